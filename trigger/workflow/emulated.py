"""Exported emulators, compiled and run: the network, and with ``emulator.payload`` its links and
accept bits.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from trigger.artifacts.built_payload import accept_bits
from trigger.artifacts.folder import Build
from trigger.board.decisions import passing, prescaled
from trigger.errors import TriggerError
from trigger.fixedpoint.types import Integers
from trigger.spec.emulator_tables import EmulatedPayload, Interface
from trigger.spec.links import link_map, pack
from trigger.support import process

# A prescale that does not divide the events into equal parts.
_PRESCALE = 3


def interface(build: Build) -> Interface:
    """What ``[emulator]`` asks for, with the payload of the build."""
    spec = build.spec
    handed = spec.emulator.handed
    if not spec.emulator.payload:
        return handed
    return handed._replace(payload=EmulatedPayload(link_map(spec), accept_bits(build.root, spec)))


def runner(
    folder: Path, name: str, payload: EmulatedPayload | None
) -> tuple[str, Callable[[Integers], Integers]]:
    """Compile an exported emulator in its folder; what it is called in messages, and a function
    from the integers of inputs to those of outputs.

    With a payload the function goes through link words, and raises TriggerError if those or the
    accept bits are wrong.
    """
    binding = _compiled(folder, name, payload is not None)
    if payload is None:
        return "the emulator, compiled with g++,", binding.run
    asked = payload

    def run(x: Integers) -> Integers:
        unpacked = binding.unpack(pack(asked.links, x))
        _compare("inputs from link words", unpacked, x)
        y: Integers = binding.run(unpacked)
        _check_decisions(binding, asked, y)
        return y

    return "the emulator from link words to accept bits, compiled with g++,", run


def _check_decisions(binding: ModuleType, payload: EmulatedPayload, y: Integers) -> None:
    """Accept bits after a reset, and with prescales and a threshold in the middle of the scores."""
    shell = binding.Shell()
    elements = [bit.element for bit in payload.accept]
    expected = passing(y, elements, [bit.bound for bit in payload.accept])
    _compare("accept bits", shell.decide(y).astype(np.int64), expected)
    middle = [int(np.sort(y[:, element])[len(y) // 2]) for element in elements]
    for bit, bound in zip(payload.accept, middle, strict=True):
        shell.accept[bit.name].threshold = bound
        shell.accept[bit.name].prescale = _PRESCALE
    expected = prescaled(passing(y, elements, middle), _PRESCALE)
    _compare("prescaled accept bits", shell.decide(y).astype(np.int64), expected)


def _compare(what: str, found: Integers, expected: Integers) -> None:
    differs = (found != expected).any(axis=1)
    if differs.any():
        event = int(np.argmax(differs))
        raise TriggerError(
            f"export: the emulator's {what} {found[event].tolist()} differ from the payload's "
            f"{expected[event].tolist()}; nothing was written"
        )


def _compiled(folder: Path, name: str, has_payload: bool) -> ModuleType:
    """The Python binding of an exported emulator, with its library compiled in the same folder."""
    flags = ["-std=c++17", "-O2", "-fPIC", "-shared"]
    sources = [f"{name}.cpp", *([f"{name}_payload.cpp"] if has_payload else [])]
    paths = [str(folder / source) for source in sources]
    command = ["g++", *flags, *paths, "-o", str(folder / f"lib{name}.so")]
    process.run_program(command, lambda message: TriggerError(f"export: {message}"))
    spec = importlib.util.spec_from_file_location(
        f"{name}_emulator", folder / f"{name}_emulator.py"
    )
    assert spec is not None
    assert spec.loader is not None
    binding = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(binding)
    return binding
