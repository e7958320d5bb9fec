"""Limits on the size of a network, checked before anything of that size is allocated."""

import json
import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from trigger.errors import TriggerError

# Far more than any network for an FPGA: 256 MiB in float32.
MOST_WEIGHTS = 2**26
# The limit for a file, and for its unpacked content.
_MOST_BYTES = 2**30
# The layer options that set a size.
_SIZE = re.compile(r"shape|units|filters|dim|size|padding|^n$")


def check_file(path: Path) -> None:
    """Raise TriggerError if a network file, or the content of an archive, is too large."""
    size = path.stat().st_size
    what = "it takes"
    if path.suffix == ".keras" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > size:
            what = "unpacked it takes"
            size = unpacked
    if size > _MOST_BYTES:
        raise _too_large(path, f"{what} {size:,} bytes", f"{_MOST_BYTES:,} bytes")


def check_architecture(path: Path, text: str) -> None:
    """Raise TriggerError if a number or shape in a JSON architecture is too large."""
    for key, size in _sizes("", json.loads(text)):
        if _SIZE.search(key) and size > MOST_WEIGHTS:
            raise _too_large(path, f"its {key} is {size:,}")


@contextmanager
def bounded(path: Path) -> Iterator[None]:
    """Inside, raise TriggerError, before allocating, if the new layers have too many weights."""
    allocate = keras.layers.Layer.add_weight
    so_far = 0
    problems = []

    def add_weight(layer: Any, shape: Any = None, *args: Any, **kwargs: Any) -> Any:
        nonlocal so_far
        so_far += math.prod(shape or ())
        if so_far > MOST_WEIGHTS:
            problems.append(
                _too_large(path, f"with layer {layer.name!r} it has {so_far:,} weights")
            )
            raise problems[0]
        return allocate(layer, shape, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    except Exception as error:
        raise (problems[0] if problems else error) from error
    finally:
        keras.layers.Layer.add_weight = allocate
    if problems:
        raise problems[0]


def _sizes(key: str, part: Any) -> Iterator[tuple[str, int]]:
    """Every integer, and the product of every list of integers, with its key."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield from _sizes(name, value)
    elif isinstance(part, list):
        yield key, math.prod(abs(n) for n in part if isinstance(n, int))
        for value in part:
            yield from _sizes(key, value)
    elif isinstance(part, int):
        yield key, abs(part)


def _too_large(path: Path, what: str, most: str = f"{MOST_WEIGHTS:,}") -> TriggerError:
    return TriggerError(
        f"{path}: {what}; a network for a trigger has at most {most}. Is it the right file?"
    )
