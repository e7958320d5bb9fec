"""The scripts of benchmarks/ as modules."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@contextlib.contextmanager
def imported(*names: str, folders: tuple[str, ...] = (".",)) -> Iterator[dict[str, ModuleType]]:
    """These modules, from these folders of benchmarks/; they are forgotten afterwards."""
    paths = [str(BENCHMARKS / folder) for folder in folders]
    sys.path[:0] = paths
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        for path in paths:
            sys.path.remove(path)
        for name in names:
            sys.modules.pop(name, None)
