"""The emulator of a graph, compiled and called in this process."""

import ctypes
import tempfile
from pathlib import Path

import numpy as np

from trigger.backends import emulator
from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Integers
from trigger.support.compiled import library
from trigger.support.digest import folder_digest
from trigger.support.process import run_program

_NAME = "network"
# As in the Makefile of an exported emulator.
_FLAGS = ("-std=c++17", "-O2", "-ftree-vectorize", "-fPIC", "-fvisibility=hidden", "-shared")


class Emulator:
    """The emulator of a graph; any number of threads may call it.

    The library is kept in the folder ``into``. Raises TriggerError with the first error of g++, or
    where there is no g++.
    """

    label = "emulator"

    def __init__(self, graph: Graph, into: Path) -> None:
        version = emulator.version_of(graph)
        inputs, outputs = (
            [f"p{k}" for k in range(len(node.types))] for node in (graph.input, graph.output)
        )
        with tempfile.TemporaryDirectory() as work:
            sources = Path(work)
            emulator.write(graph, sources, _NAME, inputs, outputs, version)

            def compile_in(folder: Path) -> Path:
                made = folder / "emulator.so"
                command = ["g++", *_FLAGS, "-o", str(made), str(sources / f"{_NAME}.cpp")]
                run_program(command, lambda text: TriggerError(f"emulator: {text}"))
                return made

            path = library(into, "emulator.so", folder_digest(sources), compile_in)
        self._run = ctypes.CDLL(str(path))[f"{_NAME}_{version}_run"]
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self._run.restype = ctypes.c_size_t
        self._outputs = len(outputs)

    def run(self, x: Integers) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

        Raises ValueError for an input outside its type.
        """
        x = np.ascontiguousarray(x, dtype=np.int64)
        y = np.empty((len(x), self._outputs), dtype=np.int64)
        done = self._run(x.ctypes.data, y.ctypes.data, len(x))
        if done != len(x):
            raise ValueError(f"event {done} has an input outside its type")
        return y
