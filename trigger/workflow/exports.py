"""Exports of a build to other software, each verified on the events and vectors of the build.

Exports are written to a temporary folder and run there. Only if every event gives the integers of
the network are they moved to the destination, where they may replace only an earlier export.
"""

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trigger.artifacts import implementations
from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.errors import TriggerError
from trigger.fixedpoint.types import Integers
from trigger.support import files
from trigger.support.destinations import check_file, check_folder, replace_folder
from trigger.support.progress import progress
from trigger.workflow.build import open_sealed
from trigger.workflow.prove import FILE_NAME, REFERENCES, require

if TYPE_CHECKING:
    from trigger.board.patterns import Pattern

# A staircase without a table needs memory for one comparison per step and event.
_CHUNK = 4096
# The simulation of a payload repeats its events around a reset for each chunk.
_PAYLOAD_CHUNK = 16_384
_BYTECODE = "__pycache__/*"
_ONNX = "pip install 'trigger-compiler[onnx]'"


class Exported(NamedTuple):
    """The written file or folder, and how it was verified."""

    path: Path
    verified: str

    def __str__(self) -> str:
        return f"  {self.verified}"


def open_exact(root: Path) -> Build:
    """An unchanged exact build. Raises TriggerError for any other."""
    build = open_sealed(root, (*REFERENCES, "verification"))
    for one in read_json(build.root / "verification" / "results.json")["comparisons"]:
        if not one["equal"]:
            reason = one["failure"] or f"different in {one['differing']} of {one['events']} events"
            raise TriggerError(
                f"export: {root} differs from its network ({one['name']}: {reason}); "
                "only exact builds are exported"
            )
    return build


def to_onnx(root: Path, output: Path | None = None) -> Exported:
    """Export standard ONNX operators on integers, run by onnxruntime or by onnx's reference
    evaluator.
    """
    with _needs_onnx():
        from trigger.backends.onnx.integer import save
        from trigger.backends.onnx.run import integer_runner
    build = open_exact(root)

    def make(path: Path) -> str:
        save(read_graph(build.root), path)
        return _verified(build, *integer_runner(path))

    return _into_file(output or Path(f"{build.spec.name}.onnx"), make)


def to_qonnx(root: Path, output: Path | None = None) -> Exported:
    """Export QONNX, run by its own executor. Raises TriggerError if that is not installed."""
    with _needs_onnx():
        from trigger.backends.onnx.qonnx import save
        from trigger.backends.onnx.run import qonnx_runner
    _require("qonnx", "pip install qonnx")
    build = open_exact(root)

    def make(path: Path) -> str:
        graph = read_graph(build.root)
        save(graph, path)
        return _verified(build, "QONNX' executor", qonnx_runner(path, graph))

    return _into_file(output or Path(f"{build.spec.name}.qonnx.onnx"), make)


def to_emulator(root: Path, output: Path | None = None, version: str | None = None) -> Exported:
    """Export C++17 in integers, compiled with g++ and run through its Python binding; with
    ``emulator.payload``, from link words to accept bits.
    """
    from trigger.backends.emulator import write
    from trigger.workflow.emulated import interface, runner

    build = open_exact(root)
    name = build.spec.name
    asked = interface(build)

    def make(path: Path) -> str:
        write(
            read_graph(build.root),
            path,
            name,
            build.spec.data.features,
            build.spec.outputs,
            version,
            asked,
        )
        with tempfile.TemporaryDirectory() as work:
            shutil.copytree(path, work, dirs_exist_ok=True)
            return _verified(build, *runner(Path(work), name, asked.payload))

    target = output or Path(f"{name}_emulator")
    return into_folder(target, "emulator", make, (f"lib{name}.so", f"{name}.so", _BYTECODE))


def to_payload(
    root: Path, output: Path | None = None, shell: str = "plain", language: str | None = None
) -> Exported:
    """Export the trigger for a board, simulated by Verilator, or by GHDL if that is installed."""
    from trigger.board.simulate import PayloadSimulation
    from trigger.workflow.board_export import export

    build = open_exact(root)

    def make(path: Path) -> str:
        payload = export(build, path, shell, language)
        if payload.rtl.language == "vhdl" and shutil.which("ghdl") is None:
            return "not simulated: no ghdl on PATH; simulate it with python sim/run.py"
        with tempfile.TemporaryDirectory() as work:
            simulation = PayloadSimulation(payload).compile(Path(work))
            what = (
                "the trigger inside the shell, simulated," if shell != "plain" else "its simulation"
            )
            return _verified(build, what, simulation.run, _PAYLOAD_CHUNK)

    target = output or Path(f"{build.spec.name}_payload")
    return into_folder(target, "payload", make, ("sim/build/*", f"sim/{_BYTECODE}"))


def to_patterns(root: Path, output: Path, events: int, frames: int) -> "dict[Path, Pattern]":
    """Write pattern files of inputs and expected outputs, see ``pattern_files``; by path."""
    from trigger.board.patterns import text
    from trigger.workflow.board_export import pattern_files

    build = open_exact(root)
    require(build.root, ("rtl",))  # its interface says where the outputs are
    check_folder(output, "patterns")
    pairs = pattern_files(build, events, frames)
    named = {
        f"{name}_{number}.txt" if len(pairs) > 1 else f"{name}.txt": pattern
        for number, pair in enumerate(pairs)
        for name, pattern in pair._asdict().items()
    }

    def make(path: Path) -> str:
        path.mkdir()
        for name, pattern in named.items():
            files.write_text(path / name, text(pattern))
        return ""

    into_folder(output, "patterns", make)
    return {output / name: pattern for name, pattern in named.items()}


def _into_file(target: Path, make: Callable[[Path], str]) -> Exported:
    """``make`` writes and verifies a file, which is then moved to ``target``."""
    _check_outside_builds(target)
    check_file(target, _is_our_onnx, "an ONNX file of this program")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.onnx"
        verified = make(made)
        check_file(target, _is_our_onnx, "an ONNX file of this program")
        files.put(made, target)
    return Exported(target, verified)


def _is_our_onnx(data: bytes) -> bool:
    from trigger.backends.onnx.writer import is_ours

    return is_ours(data)


def into_folder(
    target: Path, kind: str, make: Callable[[Path], str], by_products: Sequence[str] = ()
) -> Exported:
    """The same for a folder; ``by_products`` as in ``check_folder``."""
    _check_outside_builds(target)
    check_folder(target, kind, by_products)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made"
        verified = make(made)
        replace_folder(made, target, kind, by_products)
    return Exported(target, verified)


def _check_outside_builds(target: Path) -> None:
    for place in (target.resolve(), *target.resolve().parents):
        if (place / FILE_NAME).is_file() and (place / "trigger.toml").is_file():
            raise TriggerError(
                f"export: {target} is inside the build {place}; choose a path outside it"
            )


def _verified(
    build: Build, what: str, run: Callable[[Integers], Integers], chunk: int = _CHUNK
) -> str:
    """Run the exported network on all recorded events, ``chunk`` at a time.

    Raises TriggerError for the first that differs.
    """
    x, expected, _ = implementations.recorded_expectations(build.root)
    with progress("verifying the export", len(x), "events") as done:
        for start in range(0, len(x), chunk):
            rows = slice(start, start + chunk)
            differs = (run(x[rows].astype(np.int64)) != expected[rows]).any(axis=1)
            if differs.any():
                event = start + int(np.argmax(differs))
                raise TriggerError(
                    f"export: {what} differs from the network in event {event}, inputs "
                    f"{x[event].tolist()}; "
                    "nothing was written"
                )
            done(len(differs))
    return f"verified: {what} gives the network's integers for {len(x):,} events"


@contextlib.contextmanager
def _needs_onnx() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise TriggerError(f"export: no {error.name}; install it with: {_ONNX}") from error


def _require(package: str, remedy: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise TriggerError(f"export: no {package} to verify with; install it with: {remedy}")
