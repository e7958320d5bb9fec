"""Replaced methods of Keras, QKeras and HGQ2, on an object or on its class.

The frontends read the parameters of a layer and know what its library computes with them. A
replaced ``call`` invalidates that.
"""

import types
from typing import Any

from trigger.frontends.inexact import Refusal
from trigger.frontends.libraries import HARMLESS, is_library

# Keras itself sets these on every new layer.
_WRAPPED = ("build", "quantize")
# QKeras gives its recurrent layers the properties of their cells by functions of this name.
_DELEGATED = "_delegate_property.<locals>.<lambda>"
# Set by compile() and read only by training.
_OF_TRAINING = ("loss", "optimizer")


def check_methods(what: str, thing: Any, remedy: str) -> None:
    """Refuse an object whose methods are not those of its library class; ``what`` names it."""
    names = replaced_methods(thing)
    if names:
        were = "was" if len(names) == 1 else "were"
        raise Refusal(f"{what} {', '.join(names)} {were} replaced and may compute anything", remedy)


def replaced_methods(thing: Any) -> list[str]:
    """The replaced methods of an object, on itself or on its library classes, not on user
    classes.
    """
    library = [base for base in type(thing).__mro__ if is_library(base) and base is not object]
    on_classes = {
        name
        for base in library
        for name, value in vars(base).items()
        if name not in HARMLESS and not _is_original(value, name, library)
    }
    on_itself = {
        name
        for name, value in vars(thing).items()
        if callable(value)
        and callable(getattr(type(thing), name, None))
        and name not in (*HARMLESS, *_OF_TRAINING)
        and not (name in _WRAPPED and is_library(value))
    }
    return sorted(on_classes | on_itself)


def _is_original(value: Any, name: str, classes: list[type]) -> bool:
    """Whether a class attribute is not a method, or is a method written in one of these classes."""
    own = {f"{base.__qualname__}.{name}" for base in classes}
    if isinstance(value, property):
        functions = [part for part in (value.fget, value.fset, value.fdel) if part is not None]
    elif isinstance(value, staticmethod | classmethod):
        functions = [value.__func__]
    elif isinstance(value, types.FunctionType):
        functions = [value]
    else:
        return isinstance(value, type) or _is_builtin(value) or not callable(value)
    return all(
        isinstance(function, types.FunctionType)
        and is_library(function)
        and (function.__qualname__ in own or _is_delegated(function, name))
        for function in functions
    )


def _is_delegated(function: types.FunctionType, name: str) -> bool:
    """Whether this is a property of a recurrent layer of QKeras that gives that of its cell."""
    named = [cell.cell_contents for cell in function.__closure__ or ()]
    return function.__qualname__ == _DELEGATED and named == [name]


def _is_builtin(value: Any) -> bool:
    return isinstance(
        value,
        types.BuiltinFunctionType
        | types.WrapperDescriptorType
        | types.MethodDescriptorType
        | types.GetSetDescriptorType
        | types.MemberDescriptorType,
    )
