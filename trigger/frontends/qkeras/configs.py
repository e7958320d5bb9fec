"""Completion of the configurations of QKeras, which omit options of quantisers and layers.

Saving and cloning use ``get_config``; an option that is missing there changes the network. ``mend``
patches the classes of QKeras so that configurations hold every constructor option.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import qkeras
import qkeras.quantizers as q
from qkeras.qdense_batchnorm import QDenseBatchnorm
from qkeras.qdepthwiseconv2d_batchnorm import QDepthwiseConv2DBatchnorm

from trigger.errors import quoted
from trigger.frontends.qkeras.qkeras_private import quantizers

QUANTIZERS: dict[str, type] = quantizers()
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    f"{kind}_{name}": getattr(q, f"{kind}_{name}")
    for kind in ("hard", "smooth", "binary")
    for name in ("sigmoid", "tanh")
}

# Names in files of classes that do not register themselves with Keras.
CLASSES: dict[str, Any] = {
    "QDenseBatchnorm": QDenseBatchnorm,
    **{name: f for name, f in FUNCTIONS.items() if not hasattr(keras.activations, name)},
}

# Constructor options that change no value.
_WITHOUT_EFFECT = ("self", "kwargs", "var_name", "use_ste", "use_variables", "trainable")
_TRAINING_ONLY = re.compile("initializer|regularizer|constraint|range$|momentum|^seed$")
_OF_EVERY_LAYER = ("name", "trainable", "dtype")
# Configuration entries that the constructor does not accept; they may be dropped only with these
# values.
_NOT_TAKEN: dict[type, dict[str, Any]] = {
    q.quantized_hswish: {"keep_negative": True, "post_training_scale": None},
    QDenseBatchnorm: {
        "renorm": False,
        "renorm_clipping": None,
        "renorm_momentum": 0.99,
        "synchronized": False,
    },
}


@functools.cache
def mend() -> None:
    """Make all configurations of QKeras complete from now on."""
    for class_ in (*QUANTIZERS.values(), QDenseBatchnorm):
        _complete(class_)
    for class_ in (qkeras.QActivation, qkeras.QDense):
        _name_own_functions(class_)
    _read_iteration_once(QDepthwiseConv2DBatchnorm)


def lost_options(model: keras.Model) -> list[str]:
    """The parts of a network that its configuration loses, one line each; empty if it is complete.

    Options of layers and quantisers are compared, and functions by identity, because a user's
    function with the name of a built-in one is restored as the built-in one.
    """
    mend()
    try:
        text = json.dumps(keras.saving.serialize_keras_object(model))
        again = keras.saving.deserialize_keras_object(json.loads(text), CLASSES)
    except Exception as error:  # Keras and user classes may raise anything
        return [_first_line(error)]
    return [
        f"layer {quoted(layer.name)}: {option}"
        for layer, copy in zip(model.layers, again.layers, strict=True)
        for option in _differences(layer, copy)
    ]


def _differences(layer: Any, copy: Any) -> Iterator[str]:
    if type(layer) is not type(copy):
        yield f"{_named(type(layer))} is saved as {_named(type(copy))}"
        return
    for name, value in _options(layer):
        other = getattr(copy, name, None)
        if not _is_quantizer(value) or type(value) is not type(other):
            if not _same(value, other):
                yield f"{name}={_named(value)} is saved as {_named(other)}"
            continue
        for option, own in _options(value):
            saved = getattr(other, option, None)
            if not _same(own, saved):
                yield (
                    f"{type(value).__name__}({option}={quoted(own)}) is saved as "
                    f"{option}={quoted(saved)}"
                )


def _options(thing: Any) -> Iterator[tuple[str, Any]]:
    """The options of a layer or quantiser that affect inference, without arrays."""
    for name in _parameters(type(thing)):
        # QKeras keeps the user's text beside the quantiser built from it.
        kept = f"{name}_internal" if hasattr(thing, f"{name}_internal") else name
        value = getattr(thing, kept, None)
        if value is not None and not _TRAINING_ONLY.search(name) and _is_option(value):
            yield kept, value


def _is_option(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_option(part) for part in value)
    return isinstance(value, str | int | float | np.generic) or callable(value)


def _same(value: Any, other: Any) -> bool:
    if callable(value):
        return value is other or (type(value) is type(other) and not inspect.isroutine(value))
    return bool(np.array_equal(value, other))


def _named(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return repr(value) if name is None else f"{value.__module__}.{name}"


def _is_quantizer(value: Any) -> bool:
    return isinstance(value, q.base_quantizer.BaseQuantizer)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _parameters(class_: type) -> list[str]:
    return [n for n in inspect.signature(class_).parameters if n not in _WITHOUT_EFFECT]


def _plain(value: Any) -> Any:
    """The value as stored in JSON."""
    if isinstance(value, keras.Variable | keras.KerasTensor):
        value = keras.ops.convert_to_numpy(value)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _complete(class_: type) -> None:
    """Make the configuration of a class hold exactly the options of its constructor."""
    options = _parameters(class_)
    partial = class_.get_config  # type: ignore[attr-defined]
    common = _OF_EVERY_LAYER if issubclass(class_, keras.layers.Layer) else ()
    not_taken = _NOT_TAKEN.get(class_, {})

    @functools.wraps(partial)
    def get_config(self: Any) -> dict[str, Any]:
        saved = partial(self)
        missing = {n: getattr(self, n) for n in options if n not in saved and hasattr(self, n)}
        whole = {**saved, **missing}
        return {n: _plain(v) for n, v in whole.items() if n in options or n in common}

    def from_config(cls: Any, config: Mapping[str, Any]) -> Any:
        return cls(**{n: v for n, v in config.items() if n not in not_taken or v != not_taken[n]})

    class_.get_config = get_config  # type: ignore[attr-defined]
    if not_taken:
        class_.from_config = classmethod(from_config)  # type: ignore[attr-defined]


def _read_iteration_once(class_: type) -> None:
    """Read the files of a class that saves its number of iterations twice, by number and by name,
    which Keras takes for one variable too many.
    """
    load = class_.__mro__[1].load_own_variables  # type: ignore[attr-defined]

    @functools.wraps(class_.load_own_variables)  # type: ignore[attr-defined]
    def load_own_variables(self: Any, store: Mapping[str, Any]) -> None:
        numbers = set(store.keys()) - {"iteration"}
        load(self, {number: store[number] for number in numbers})

    class_.load_own_variables = load_own_variables  # type: ignore[attr-defined]


def _name_own_functions(class_: type) -> None:
    """Save a function of QKeras under the name that QKeras finds; Keras has others of the same
    name.
    """
    unnamed = class_.get_config  # type: ignore[attr-defined]

    @functools.wraps(unnamed)
    def get_config(self: Any) -> dict[str, Any]:
        saved: dict[str, Any] = unnamed(self)
        name = getattr(self.activation, "__name__", "")
        return {**saved, "activation": name} if FUNCTIONS.get(name) is self.activation else saved

    class_.get_config = get_config  # type: ignore[attr-defined]
