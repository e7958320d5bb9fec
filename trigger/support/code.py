"""The code that a result depends on, as one digest: modules, their imports, and data files."""

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import trigger
from trigger.errors import TriggerError
from trigger.support import files, loaded, resources
from trigger.support.digest import data_digest, file_digest

if TYPE_CHECKING:
    from grimp import ImportGraph

_PACKAGE = Path(trigger.__file__).resolve().parent


def code_digest(modules: Iterable[str], data: Iterable[str] = ()) -> str:
    """SHA-256 over the names and the bytes of ``code_files``. Raises TriggerError if one of them
    cannot be read.

    If a file was edited after this program was loaded, it is unknown which version runs. The digest
    is then unique to this process.
    """
    files = sorted(code_files(modules, data).items())
    return data_digest({name: _digest(path) for name, path in files})


def code_files(modules: Iterable[str], data: Iterable[str] = ()) -> dict[str, Path]:
    """All files of this program that these modules can use, by name.

    They are the modules, such as "trigger.backends.rtl"; all modules of this package that they
    import, also inside functions; the packages that contain those; and the other files beside them,
    such as templates, Verilog and C++. ``data`` adds files and folders of models/, firmware/ and
    synth/, such as "synth/rtl". Raises TriggerError if a module or one of those is missing.
    """
    used = _closure(frozenset(modules))
    sources = {_source(module) for module in used}
    beside = (path for folder in {source.parent for source in sources} for path in _beside(folder))
    packages = {package for module in used for package in _packages(module)}
    paths = sources.union(beside, map(_source, packages))
    files_of = {path.relative_to(_PACKAGE.parent).as_posix(): path for path in paths}
    for name in data:
        files_of |= _data_files(name)
    return files_of


def _digest(path: Path) -> str:
    digest = file_digest(path)
    state = loaded.state(path)
    if state == loaded.AT_START.get(str(path)):
        return digest
    return f"edited while process {os.getpid()} ran: {state}"


def modules_of(names: Iterable[str]) -> list[str]:
    """The modules of this program that dotted names begin with, such as
    "trigger.quantizers.FixedPoint".
    """
    known = _graph().modules
    modules = set()
    for name in names:
        parts = name.split(".")
        heads = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
        modules.add(next(head for head in heads if head in known))
    return sorted(modules)


@functools.cache
def _closure(modules: frozenset[str]) -> frozenset[str]:
    """The modules, and all that they import."""
    graph = _graph()
    for missing in sorted(modules - graph.modules):
        raise TriggerError(f"{missing}: no such module in {_PACKAGE}; reinstall trigger-compiler")
    return modules.union(*map(graph.find_upstream_modules, modules))


@functools.cache
def _graph() -> "ImportGraph":
    """The import graph, read from the sources, without imports for type checkers."""
    import grimp

    # No cache: grimp would write it into the user's folder.
    return grimp.build_graph(trigger.__name__, exclude_type_checking_imports=True, cache_dir=None)


def _packages(module: str) -> list[str]:
    """The packages that contain a module."""
    parts = module.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _beside(folder: Path) -> list[Path]:
    """The files of a folder that are not modules."""
    return [
        path
        for path in folder.iterdir()
        if path.suffix != ".py" and not path.name.startswith(".") and path.is_file()
    ]


@functools.cache
def _source(module: str) -> Path:
    path = _PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")


def _data_files(name: str) -> dict[str, Path]:
    """The files of a file or folder of models/, firmware/ or synth/.

    Raises TriggerError if there are none.
    """
    home, _, rest = name.partition("/")
    path = resources.folder(home) / rest
    if path.is_file():
        return {name: path}
    inside = {f"{name}/{part.relative_to(path).as_posix()}": part for part in files.entries(path)}
    inside = {inner: part for inner, part in inside.items() if not _is_compiled(part)}
    if not inside:
        raise TriggerError(f"{path}: missing; reinstall trigger-compiler")
    return inside


def _is_compiled(path: Path) -> bool:
    """Whether this is a by-product of Python, such as bytecode."""
    return path.suffix == ".pyc"
