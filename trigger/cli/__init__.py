"""The command ``trigger``."""

from trigger.cli.app import main

__all__ = ["main"]
