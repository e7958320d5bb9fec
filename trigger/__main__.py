"""``python -m trigger``."""

from trigger.cli.app import main

main()
