"""The state of the files of this program at the time Python loaded them."""

import os
from pathlib import Path

from trigger.support.resources import folder

_HOMES = (Path(__file__).resolve().parents[1], folder("firmware"), folder("synth"))
# The time of the last change, and the size.
State = tuple[int, int]


def states() -> dict[str, State]:
    """The state of each file now, by its path."""
    found: dict[str, State] = {}
    waiting = [str(home) for home in _HOMES if home.is_dir()]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting += [entry.path] if entry.name != "__pycache__" else []
                elif entry.is_file():
                    found[entry.path] = state(entry.path)
    return found


def state(path: str | Path) -> State:
    """The state of one file now."""
    found = Path(path).stat()
    return found.st_ctime_ns, found.st_size


# Not later: a file that is edited after Python loaded it must not count as loaded. It takes 2 ms.
AT_START = states()
