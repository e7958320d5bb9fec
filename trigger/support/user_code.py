"""A user's Python file and the user modules that it imports, always in their current state."""

import ast
import contextlib
import importlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder, all_suffixes
from pathlib import Path
from typing import NamedTuple

from trigger.errors import TriggerError
from trigger.support.digest import file_digest
from trigger.support.executed import executed, existing

_PROGRAM = __name__.partition(".")[0]
_PACKAGE = Path(__file__).resolve().parents[1]
_STANDARD = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = ("site-packages", "dist-packages")
# The digest of each file at its last import in this process.
_imported: dict[Path, str] = {}


class _Import(NamedTuple):
    """A dotted name as written in a source file; ``level`` counts the leading dots."""

    name: str
    level: int = 0

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def user_files(path: Path) -> list[Path]:
    """A Python file and the user files that it can import, without installed packages.

    Imports are followed, packages count with all modules, and an ambiguous name counts with both
    files. They are read from the sources; imports with computed names are not found.
    """
    places = [path.parent, *_places()]
    files: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in files or not file.is_file():
            continue
        files[file] = None
        for imported in _imports(file):
            if imported.level:
                waiting += _files(file.parents[imported.level - 1], imported.name)
            elif imported.top != _PROGRAM:
                waiting += (inner for place in places for inner in _files(place, imported.name))
    return sorted(files)


def is_installed(path: Path) -> bool:
    """Whether a file is of an installed package."""
    return bool(set(_INSTALLED) & set(path.parts))


def program_names(path: Path) -> list[str]:
    """The dotted names that a user's file, or a file that it imports, imports from this program."""
    imports = {imported for file in user_files(path) for imported in _imports(file)}
    return sorted(
        imported.name for imported in imports if not imported.level and imported.top == _PROGRAM
    )


@contextlib.contextmanager
def importable(path: Path) -> Iterator[None]:
    """Files beside a user's file can be imported, after everything else, in their present state.

    Nothing is written there, and bytecode is not read: it may be older than its source. Raises
    TriggerError if a file of the user's was run that ``user_files`` does not know.
    """
    places = sys.path[:]
    known = user_files(path)
    before = sys.dont_write_bytecode, sys.pycache_prefix
    with executed() as names:
        # Below this path there can be no file.
        sys.dont_write_bytecode = True
        sys.pycache_prefix = os.devnull
        sys.path.append(str(path.parent))
        importlib.invalidate_caches()
        _forget(path)
        try:
            yield
        finally:
            sys.path[:] = places
            sys.dont_write_bytecode, sys.pycache_prefix = before
    _check_known(path, existing(names), known)


def _check_known(path: Path, ran: set[Path], known: list[Path]) -> None:
    resolved = {file.resolve() for file in (*known, path)}
    unknown = sorted(file for file in ran - resolved if _is_users(file))
    if unknown:
        raise TriggerError(
            f"{path}: runs {unknown[0]} in a way that its source does not show, so that "
            f"the network "
            f"would not be trained again after an edit there; put that file beside {path.name} and "
            "import it by its name"
        )


def _is_users(file: Path) -> bool:
    """Whether a file is neither of this program, nor installed, nor of Python itself."""
    homes = {
        Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib")
    }
    homes.add(_PACKAGE)
    return not (homes & set(file.parents)) and not is_installed(file)


def _forget(path: Path) -> None:
    """Forget user modules that have changed, lie beside the file, or belong to another user's
    file.
    """
    now = {file.resolve(): file_digest(file) for file in user_files(path)}
    old = {file for file, digest in now.items() if _imported.get(file, digest) != digest} | {
        file for file in now if path.parent.resolve() in file.parents
    }
    meant = {imported.top for file in now for imported in _imports(file) if not imported.level}
    tops = {name for name in meant if _meant(name) in now and _loaded(name) != _meant(name)}
    tops |= {name.partition(".")[0] for name in list(sys.modules) if _loaded(name) in old}
    for name in list(sys.modules):
        if name.partition(".")[0] in tops - {"__main__"}:
            del sys.modules[name]
    _imported.update(now)


def _meant(name: str) -> Path | None:
    """The file that a module is imported from."""
    spec = PathFinder.find_spec(name)
    return Path(spec.origin).resolve() if spec and spec.has_location and spec.origin else None


def _loaded(name: str) -> Path | None:
    """The file that a module was imported from."""
    file = getattr(sys.modules.get(name), "__file__", None)
    if not file:
        return None
    return _resolved(file) if _of_library(file) else Path(file).resolve()


def _of_library(file: str) -> bool:
    return file.startswith(_STANDARD) or any(
        f"{os.sep}{part}{os.sep}" in file for part in _INSTALLED
    )


@cache  # thousands of modules, for each import of a user's file
def _resolved(file: str) -> Path:
    folder, name = os.path.split(file)
    path = _resolved_folder(folder) / name
    return path.resolve() if path.is_symlink() else path


@cache  # most modules share their folder with others
def _resolved_folder(folder: str) -> Path:
    return Path(folder).resolve()


def _places() -> list[Path]:
    """The module search path without the installed packages."""
    standard = Path(sysconfig.get_path("stdlib"))
    places = [Path(place).absolute() for place in sys.path]
    return [
        place
        for place in places
        if place.is_dir()
        and place != standard
        and standard not in place.parents
        and not set(_INSTALLED) & set(place.parts)
    ]


def _imports(file: Path) -> list[_Import]:
    """The imports of a source, also inside functions; none if it is not Python."""
    if file.suffix != ".py":
        return []
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    imports: list[_Import] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                imports += (_Import(name.name) for name in names)
            case ast.ImportFrom(module, names, level):
                inner = (f"{module}.{name.name}" if module else name.name for name in names)
                imports += (_Import(name, level or 0) for name in (module or "", *inner))
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                imports.append(_Import(name))
    return imports


def _files(place: Path, name: str) -> list[Path]:
    """The files in a folder that a dotted name may refer to."""
    paths: list[Path] = []
    for part in filter(None, name.split(".")):
        place = place / part
        if (place / "__init__.py").is_file():
            return paths + [p for p in sorted(place.rglob("*")) if p.suffix in all_suffixes()]
        paths += (place.with_name(f"{part}{suffix}") for suffix in all_suffixes())
    return paths
