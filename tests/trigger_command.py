"""The command `trigger`, run as a user runs it."""

import subprocess
import sys


def trigger(*arguments, cwd=None, env=None):
    command = [sys.executable, "-m", "trigger", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)
