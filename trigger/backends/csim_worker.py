"""Runs one function of a compiled csim: python csim_worker.py LIBRARY FUNCTION INPUTS.npy OUTPUTS.npy COLUMNS.

A program of its own, so that a csim that aborts takes only this process with it. Prints "done N" as events finish.
"""

import ctypes
import os
import sys

import numpy as np

# Small enough for progress to move, large enough that starting threads costs nothing.
_CHUNK = 2_000


def main(library: str, function: str, source: str, target: str, columns: str) -> None:
    call = getattr(ctypes.CDLL(library), function)
    pointer = ctypes.POINTER(ctypes.c_double)
    call.argtypes, call.restype = (pointer, pointer, ctypes.c_size_t, ctypes.c_size_t), None
    x = np.load(source)
    y = np.empty((len(x), int(columns)))
    threads = len(os.sched_getaffinity(0))
    for start in range(0, len(x), _CHUNK):
        rows = x[start : start + _CHUNK]
        call(rows.ctypes.data_as(pointer), y[start:].ctypes.data_as(pointer), len(rows), threads)
        print("done", len(rows), flush=True)
    np.save(target, y)


if __name__ == "__main__":
    main(*sys.argv[1:])
