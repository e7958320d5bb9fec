"""Attributes of Keras, QKeras and HGQ2 objects that were set by hand after construction.

If attributes contradict each other, the library may read one and a frontend another. So they are
compared with those of a second object constructed with the same options.
"""

import contextlib
import inspect
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from trigger.frontends.hgq_private import (
    option_of_table,
    quantizer_of_option,
    quantizers_of_inputs,
)
from trigger.frontends.inexact import Refusal
from trigger.frontends.keras_private import uncounted_layers
from trigger.frontends.libraries import module_of

# Options and attributes that do not affect the outputs.
_IGNORED = re.compile(
    "initializer|regularizer|constraint|range$|momentum|^_?seed|^_self_|tracker|^name$|^trainable$|"
    "^built$|^dtype$|^lora_|^_beta$|^_?ebops|^weights$|^implementation$"
)
# Arguments that a layer passes to its base class; no user can choose them.
_SETTLED = ("pool_dimensions", "pool_mode", "rank")
# State that quantisers measure at each call and Normalization learns; it is read as it is.
_STATE = (
    "scale", "freeze_scale", "mean", "variance", "_first",
)  # fmt: skip
_QUANTIZER = re.compile("_quantizer(_internal)?$")
_ACTIVATION = re.compile("(recurrent_)?activation$")
_MISLEADING = re.compile("quantizer|^activation$")
# The libraries whose objects are compared attribute by attribute.
_OPEN = ("quantizers", "hgq.quantizer.internal")
# Attributes of every layer that do not affect the outputs.
_BASE = frozenset(vars(keras.layers.Layer(name="base")))
_REMEDY = "make it again with all its options in the constructor and give it the same weights"


class Change(NamedTuple):
    """An attribute, its value, and its value in an object made with the same options."""

    name: str
    found: Any
    made: Any


def check_attributes(thing: Any, whose: str = "its") -> None:
    """Refuse an object whose attributes contradict each other or name a part that it does not have.

    ``whose`` precedes the attribute in the message.
    """
    with _unobserved():
        made = _made_again(thing)
    change = next(differences(thing, made), None)
    if change is None:
        return
    class_name = type(thing).__name__
    if change.made is MISSING:
        raise Refusal(
            f"{whose} {change.name} was set by hand, and {class_name} never uses it",
            "use QDense with a kernel_quantizer and a bias_quantizer, or QActivation",
        )
    raise Refusal(
        f"{whose} {change.name} was changed after construction: it is "
        f"{_said(change.found)}, but a {class_name} "
        f"with the same options has {_said(change.made)}",
        _REMEDY,
    )


def differences(thing: Any, made: Any, where: str = "") -> Iterator[Change]:
    """The attributes that differ between two objects of one class, including nested objects."""
    base = _BASE if isinstance(thing, keras.Operation) else ()
    for name, value in vars(thing).items():
        if name in base or name in _STATE or _IGNORED.search(name):
            continue
        if name not in vars(made):
            if _MISLEADING.search(name):
                yield Change(where + name, value, MISSING)
        elif not (_QUANTIZER.search(name) or _is_list_of_qkeras(thing, name)):
            yield from _compared(where + name, value, vars(made)[name])


def _is_list_of_qkeras(thing: Any, name: str) -> bool:
    return name == "quantizers" and type(thing).__module__.startswith("qkeras")


def _compared(name: str, value: Any, made: Any) -> Iterator[Change]:
    if isinstance(value, keras.Model) and type(value) is type(made):
        # All else that a network has belongs to its training.
        yield from _compared(f"{name}.layers", value.layers, made.layers)
    elif _is_looked_into(value) and type(value) is type(made):
        yield from differences(value, made, f"{name}.")
    elif isinstance(value, list | tuple) and isinstance(made, list | tuple):
        if len(value) != len(made):
            yield Change(name, value, made)
        for k, (one, other) in enumerate(zip(value, made, strict=False)):
            yield from _compared(f"{name}.{k}", one, other)
    elif not _same(value, made):
        yield Change(name, value, made)


def _is_looked_into(value: Any) -> bool:
    return isinstance(value, keras.layers.Layer) or type(value).__module__.startswith(_OPEN)


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def _said(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, keras.Variable):
        return f"a weight of the shape {tuple(value.shape)}"
    if _is_plain(value) or isinstance(value, list | tuple):
        return repr(value)
    try:
        return str(np.asarray(value, dtype=np.float64).tolist())
    except (TypeError, ValueError):
        return f"another {type(value).__name__}"


def options_of(thing: Any) -> dict[str, Any]:
    """The options of a constructor, read from the attributes of the same names."""
    options = {}
    known = parameters(type(thing))
    for name in known:
        is_cast = name == "dtype" and not isinstance(thing, keras.layers.Layer)
        # QConvT2D calls the outputs of its base class filters.
        if name == "n_out" and "filters" in known:
            continue
        if name in _SETTLED or _QUANTIZER.search(name) or (_IGNORED.search(name) and not is_cast):
            continue
        if name.endswith("_conf"):  # HGQ2 keeps them with its quantisers
            options[name] = getattr(quantizer_of_option(thing, name), "config", None)
            continue
        if name == "iq_confs":
            options[name] = quantizers_of_inputs(thing)
            continue
        # Normalization renames its statistics, EinsumDense its shape, QDenseBatchnorm some of its
        # options, and QConv2D its mask.
        places = (
            (thing, f"input_{name}"),
            (thing, f"partial_{name}"),
            (thing, name),
            (getattr(thing, "batchnorm", None), name),
            (thing, f"_{name}"),
            (thing, "axes" if name == "axis" else name),  # QSoftmax
        )
        values = [getattr(holder, kept) for holder, kept in places if hasattr(holder, kept)]
        values = [*option_of_table(thing, name), *values]
        if values:
            options[name] = values[0]
    return options


def parameters(class_: type) -> list[str]:
    """The options of a constructor and of the base constructors that receive its keyword
    arguments.
    """
    names: list[str] = []
    for base in class_.__mro__:
        if base is keras.layers.Layer:
            break
        if "__init__" not in vars(base):
            continue
        known = inspect.signature(vars(base)["__init__"]).parameters.values()
        names += [p.name for p in known if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        if all(p.kind is not p.VAR_KEYWORD for p in known):
            break
    return [name for name in dict.fromkeys(names) if name != "self"]


def _made_again(thing: Any) -> Any:
    """A new object with the options and shapes of another."""
    class_ = type(thing)
    try:
        if not isinstance(thing, keras.layers.Layer):
            return class_(**options_of(thing))
        made = _layer_again(thing)
        if thing.built and thing.get_build_config() is not None:
            made.build_from_config(thing.get_build_config())
    except Exception as error:  # constructors raise any type for inconsistent options
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Refusal(
            f"{class_.__name__} cannot be made with the options given by its attributes: {text}",
            _REMEDY,
        ) from error
    return made


def _layer_again(layer: Any) -> Any:
    class_ = type(layer)
    if module_of(class_).partition(".")[0] == "trigger":  # these have complete configurations
        return class_.from_config(layer.get_config())
    if isinstance(layer, keras.layers.RNN):  # they pass on their options to a cell
        return _recurrent_again(layer)
    known = parameters(class_)
    if not known and hasattr(layer, "config"):  # Quantizer of HGQ2
        return class_(config=layer.config, name=layer.name, dtype=layer.dtype_policy)
    # Drawing kernels would change all later random numbers.
    zeros = {n: "zeros" for n in ("kernel_initializer", "bias_initializer") if n in known}
    return class_(**options_of(layer), **zeros, name=layer.name, dtype=layer.dtype_policy)


def _recurrent_again(layer: Any) -> Any:
    config = layer.get_config()
    zeros = {name: "zeros" for name in config if name.endswith("_initializer")}
    # Some functions of QKeras are no part of a configuration that can be read.
    activations = {name: getattr(layer.cell, name) for name in config if _ACTIVATION.match(name)}
    linear = dict.fromkeys(activations, "linear")
    made = type(layer).from_config({**config, **zeros, **linear})
    for name, activation in activations.items():
        setattr(made.cell, name, activation)
    return made


@contextlib.contextmanager
def _unobserved() -> Iterator[None]:
    """Inside, new layers do not change the seeds and names of later ones."""
    drawn = random.getstate()
    drawn_by_numpy = np.random.get_state()
    try:
        with uncounted_layers():
            yield
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)


def _same(value: Any, made: Any) -> bool:
    if value is made:
        return True
    if isinstance(value, keras.Variable) or isinstance(made, keras.Variable):
        return _shape(value) == _shape(made)
    if _is_plain(value) or _is_plain(made) or _is_array(value):
        return _equal(value, made)
    if inspect.isfunction(value) and inspect.isfunction(made):  # a table of HGQ2 defines its own
        return value.__code__ is made.__code__
    return type(value) is type(made) and not inspect.isroutine(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) or keras.ops.is_tensor(value)


def _equal(value: Any, made: Any) -> bool:
    try:
        return value is made or np.array_equal(value, made)
    except Exception:  # values that cannot be compared
        return False


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if hasattr(value, "shape") else None
