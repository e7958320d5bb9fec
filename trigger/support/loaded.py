"""The state of the files of this program at the time Python loaded them."""

import os
from pathlib import Path

from trigger.support.resources import folder

_HOMES = (Path(__file__).resolve().parents[1], folder("firmware"), folder("synth"))
# The time of the last change, and the size.
State = tuple[int, int]


def states() -> dict[str, State]:
    """The state of each file now, by its path."""
    known: dict[str, State] = {}
    waiting = [str(home) for home in _HOMES if home.is_dir()]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting += [entry.path] if entry.name != "__pycache__" else []
                elif entry.is_file():
                    known[entry.path] = state(entry.path)
    return known


def state(path: str | Path) -> State:
    """The state of one file now."""
    status = Path(path).stat()
    return status.st_ctime_ns, status.st_size


# Not later: a file that is edited after Python loaded it must not count as loaded. It takes 2 ms.
AT_START = states()
