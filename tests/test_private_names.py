"""What a library keeps to itself is asked for in one module a library: ``<library>_private.py``."""

import ast
from pathlib import Path

import pytest

import trigger

PACKAGE = Path(trigger.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if not p.stem.endswith("_private"))
# Python's own: named tuples have these in public, so that fields may have any other name.
_OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
_READS = ("getattr", "hasattr", "setattr", "delattr")


def is_private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def is_own(node):
    """``self``, ``cls`` or ``super()``."""
    if isinstance(node, ast.Call):
        node = node.func
    return isinstance(node, ast.Name) and node.id in ("self", "cls", "super")


def first_text(node):
    """What a text, or one that is put together, begins with; "" for anything else."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def private_names(source):
    """The private names of objects of others in a module, each with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=holder, attr=name):
                if is_private(name) and name not in _OF_NAMED_TUPLES and not is_own(holder):
                    yield node.lineno, name
            case ast.Call(func=ast.Name(id=function), args=[holder, name, *_]):
                text = first_text(name)
                if function in _READS and is_private(text) and not is_own(holder):
                    yield node.lineno, text
            case ast.ImportFrom(module=module, names=names) if module:
                for part in (*module.split("."), *(alias.name for alias in names)):
                    if module.split(".")[0] != "trigger" and (is_private(part) or part == "src"):
                        yield node.lineno, part
            case ast.Import(names=names):
                for part in (part for alias in names for part in alias.name.split(".")):
                    if is_private(part) or part == "src":
                        yield node.lineno, part


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("model._functional", ["_functional"]),
        ("model.outputs[0]._keras_history.operation", ["_keras_history"]),
        ("f()._x", ["_x"]),
        ("getattr(layer, '_x', None)", ["_x"]),
        ("getattr(layer, f'_{name}')", ["_"]),
        ("from qkeras.quantizer_registry import _QUANTIZERS_REGISTRY", ["_QUANTIZERS_REGISTRY"]),
        ("from keras.src.utils.naming import reset_uids", ["src"]),
        ("import optuna.study._multi_objective", ["_multi_objective"]),
        ("self._x, cls._x, super()._x, getattr(self, '_x')", []),
        ("point._replace(x=1)._asdict(), model.__dict__", []),
        ("from __future__ import annotations", []),
        ("from trigger.support import _x", []),
    ],
)
def test_what_is_found(source, found):
    assert [name for _, name in private_names(source)] == found


def test_private_names_have_their_modules():
    assert [
        f"{path.relative_to(PACKAGE)}:{line}: {name}"
        for path in MODULES
        for line, name in private_names(path.read_text())
    ] == []
