"""What the command loads before it knows what is asked: help and completion must be instant."""

import subprocess
import sys

HEAVY = ("numpy", "pydantic", "jinja2", "rich", "tomlkit", "keras", "tensorflow", "hls4ml")


def test_the_command_line_loads_nothing_heavy():
    code = "import sys, trigger.cli.app; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert {"trigger.cli.app", "trigger.cli.build", "trigger.cli.verify"} <= loaded
    assert loaded & set(HEAVY) == set()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("trigger.")}
    assert rooms == {"cli", "errors", "support"}
