"""Runs one function of a compiled csim: python csim_worker.py LIBRARY FUNCTION INPUTS.npy
OUTPUTS.npy COLUMNS.

It is a separate program, so that a csim that aborts ends only this process. It prints the number of
finished events; the output of the csim is discarded.
"""

import ctypes
import os
import sys
import time

import numpy as np

# Few events at first, because one may take long; then enough to fill a second, or to make the start
# of threads negligible.
_FIRST = 16
_CHUNK = 2_000
_SHORT_S = 1.0


def main(library: str, function: str, source: str, target: str, columns: str) -> None:
    progress = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
    call = getattr(ctypes.CDLL(library), function)
    pointer = ctypes.POINTER(ctypes.c_double)
    call.argtypes = (pointer, pointer, ctypes.c_size_t, ctypes.c_size_t)
    call.restype = None
    x = np.load(source)
    y = np.empty((len(x), int(columns)))
    threads = len(os.sched_getaffinity(0))
    start = 0
    size = _FIRST
    while start < len(x):
        rows = x[start : start + size]
        begun = time.monotonic()
        call(rows.ctypes.data_as(pointer), y[start:].ctypes.data_as(pointer), len(rows), threads)
        print(len(rows), file=progress, flush=True)
        start += len(rows)
        if time.monotonic() - begun < _SHORT_S:
            size = min(2 * size, _CHUNK)
    np.save(target, y)


if __name__ == "__main__":
    main(*sys.argv[1:])
