"""The user's network: made by the function in trigger.toml, or already trained."""

import importlib.util
import inspect
import math
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events.dataset import Events
from trigger.fixedpoint.types import Fixed
from trigger.frontends import heads, keras_backend
from trigger.frontends.keras_private import reset_layer_names
from trigger.frontends.loading import load
from trigger.frontends.networks import shaped
from trigger.spec.spec import Spec
from trigger.spec.tables import nearest
from trigger.support.files import regular
from trigger.support.user_code import importable
from trigger.training import calibration
from trigger.verification.oracle import LINEAR


def moments(events: Events) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, by weight, float64 of shape (features,)."""
    mean = np.average(events.x, axis=0, weights=events.weight)
    return mean, np.sqrt(np.average((events.x - mean) ** 2, axis=0, weights=events.weight))


def set_seed(seed: int) -> None:
    """Seed all random generators of training: Python, NumPy and Keras."""
    keras.utils.set_random_seed(seed)


def reset_names() -> None:
    """Reset Keras' numbering of unnamed layers, as in a new process.

    These names enter the network file and the firmware.
    """
    reset_layer_names()


def make(spec: Spec, folder: Path) -> keras.Model:
    """Call the model function. Raises TriggerError if it is missing or does not return a
    network.
    """
    if spec.model.family is not None:
        return _built_in(spec)
    assert spec.model.function is not None
    path = folder / spec.model.file
    features = len(spec.data.features)
    outputs: int | dict[str, int] = len(spec.scores)
    if spec.heads:
        outputs = {head.name: len(head.outputs) for head in spec.scoring}
    where = f"{path}: {spec.model.function}()"
    model = _called(path, spec.model.function, features, outputs, **spec.model.arguments)
    model = _in_order(model, spec)
    _check_shapes(model, spec, f"{where} returns")
    _check_saving(model, where)
    _check_running(model, features, where)
    return model


def _built_in(spec: Spec) -> keras.Model:
    """The network of a family. Raises TriggerError without QKeras, which its layers need."""
    from trigger.training import builtin

    try:
        model = builtin.network(spec)
    except ImportError as error:
        raise TriggerError(
            f"model.family {quoted(spec.model.family)} needs QKeras; install "
            "trigger-compiler[qkeras] in an environment of its own"
        ) from error
    _check_running(model, len(spec.data.features), "model.family")
    return model


def make_teacher(spec: Spec, folder: Path) -> keras.Model | None:
    """Call the function of the teacher; None if there is none.

    Raises TriggerError if it is missing, or does not return a network from features to features.
    """
    if spec.model.teacher is None:
        return None
    path = folder / spec.model.file
    features = len(spec.data.features)
    where = f"{path}: {spec.model.teacher}()"
    model = _called(path, spec.model.teacher, features)
    check_inputs(model, f"{where} returns")
    shapes = _together(model.inputs), _together(model.outputs)
    if tuple(_flat(shape) for shape in shapes) != ((None, features),) * 2:
        raise TriggerError(
            f"{where} returns a network from {shapes[0]} to {shapes[1]}; an autoencoder of "
            f"{features} features has as many inputs and outputs"
        )
    _check_running(model, features, where)
    return model


def _check_call(function: Any, where: str, *args: Any, **arguments: Any) -> None:
    """Raises TriggerError with the call, where the function does not take its arguments."""
    try:
        inspect.signature(function).bind(*args, **arguments)
    except TypeError as error:
        given = [*map(repr, args), *(f"{name}={value!r}" for name, value in arguments.items())]
        raise TriggerError(f"{where}: {error}; it is called with ({', '.join(given)})") from error
    except ValueError:
        return  # a function without a signature


def _called(path: Path, name: str, *args: Any, **arguments: Any) -> keras.Model:
    """The network that a function of the user's file returns."""
    where = f"{path}: {name}()"
    with importable(path):
        function = _function(path, name)
        _check_call(function, where, *args, **arguments)
        try:
            model = function(*args, **arguments)
        except Exception as error:
            raise TriggerError(f"{where} fails: {type(error).__name__}: {error}") from error
    if not isinstance(model, keras.Model):
        raise TriggerError(f"{where} returns {type(model).__name__}, not a Keras model")
    return model


def _check_running(model: keras.Model, features: int, where: str) -> None:
    """Learned widths also get their shapes from this first call."""
    try:
        model(shaped(model, np.zeros((1, features))))
    except Exception as error:
        raise TriggerError(
            f"{where} returns a network that Keras cannot run: {_plain(error)}"
        ) from error


def _plain(error: Exception) -> str:
    """Keras' message about a failing call, without colours and arguments."""
    text = re.sub(r"\x1b\[\d*m", "", str(error)).partition("Arguments received")[0]
    return " ".join(text.split()) or type(error).__name__


def warm_started(model: keras.Model, spec: Spec, folder: Path) -> Spec:
    """Load the weights of ``training.warm_start``; returns the spec for the remaining training.

    Raises TriggerError if they belong to another network.
    """
    warm = spec.training.warm_start
    if warm is None:
        return spec
    path = folder / warm.network
    before = calibration.weights(load(path))
    if [w.shape for w in before] != [w.shape for w in model.weights]:
        raise TriggerError(
            f"{path}: holds a different network from {spec.model.function}(); "
            "train with --from-scratch, or remove training.warm_start"
        )
    model.set_weights([keras.ops.convert_to_numpy(weight) for weight in before])
    left = spec.training.model_copy(
        update={"epochs": warm.epochs, "learning_rate": warm.learning_rate}
    )
    return spec.model_copy(update={"training": left})


def trained(spec: Spec, folder: Path) -> keras.Model:
    """Load the trained network in trigger.toml.

    Raises TriggerError if it is none or has the wrong shape.
    """
    assert spec.model.network is not None
    path = folder / spec.model.network
    model = load(path, folder / spec.model.weights if spec.model.weights else None)
    model = _in_order(model, spec)
    _check_shapes(model, spec, f"{path}: holds")
    return model


def check_inputs(model: keras.Model, where: str) -> None:
    """Raise TriggerError unless a network has inputs of known shapes."""
    if not getattr(model, "inputs", None):
        raise TriggerError(
            f"{where} a network without an input shape; start it with keras.Input(...)"
        )
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise TriggerError(
                f"{where} a network with the open input shape {tuple(tensor.shape[1:])}; give its "
                f"Input a complete shape"
            )


def _check_shapes(model: keras.Model, spec: Spec, where: str) -> None:
    check_inputs(model, where)
    _check_heads(model, spec, where)
    shapes = _together(model.inputs), _together(model.outputs)
    wanted = (None, len(spec.data.features)), (None, len(spec.scores))
    if tuple(_flat(shape) for shape in shapes) != wanted:
        if shapes == (wanted[0], (None, 1)) and len(spec.data.classes) == 2:
            raise TriggerError(
                f"{where} a network of one output; set model.output in trigger.toml to "
                f"the class it scores"
            )
        raise TriggerError(
            f"{where} a network from {shapes[0]} to {shapes[1]}; the data needs "
            f"{wanted[0]} to {wanted[1]}"
        )


def _in_order(model: keras.Model, spec: Spec) -> keras.Model:
    """The network with outputs in the order of the heads: Keras sorts those of a dictionary."""
    outputs = getattr(model, "output", None)
    if not isinstance(outputs, dict) or sorted(outputs) != sorted(spec.heads):
        return model
    return keras.Model(model.input, [outputs[name] for name in spec.heads], name=model.name)


def _check_heads(model: keras.Model, spec: Spec, where: str) -> None:
    """Raise TriggerError unless a network has the outputs of a spec, each of its size."""
    sizes = [math.prod(tensor.shape[1:]) for tensor in model.outputs]
    if not spec.heads:
        if len(sizes) > 1 and spec.data.label is not None:
            raise TriggerError(
                f"{where} a network of {len(sizes)} outputs; give each a table in [heads], or make "
                f"a network of one, as in keras.Model(model.inputs, model.outputs[0])"
            )
        return
    wanted = {head.name: len(head.outputs) for head in spec.scoring}
    names = [layer.name for layer in heads.last_layers(model)]
    if sorted(names) == sorted(wanted) and names != list(wanted):
        raise TriggerError(
            f"{where} a network of the outputs {', '.join(names)}, in this order; the heads are "
            f"{', '.join(wanted)}: order them alike"
        )
    if sizes != list(wanted.values()):
        asked = ", ".join(f"{name} {size}" for name, size in wanted.items())
        raise TriggerError(
            f"{where} a network of outputs of {', '.join(map(str, sizes))} values; the heads need "
            f"{asked}, in this order"
        )
    for head, end in zip(spec.scoring, heads.recorded(model), strict=True):
        if head.is_regression and end.kind != LINEAR:
            raise TriggerError(
                f"{where} a network whose output {head.name}, a regression, ends in a {end.kind}; "
                f"end it in a layer without an activation, or in a quantiser"
            )


def _together(outputs: list[Any]) -> tuple[Any, ...]:
    """The shape of one tensor, or of several as one vector."""
    if len(outputs) == 1:
        return tuple(outputs[0].shape)
    return None, sum(math.prod(tensor.shape[1:]) for tensor in outputs)


def _flat(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """A flattened shape; unchanged if a size is open, or for several tensors."""
    sizes = shape[1:]
    return (shape[0], math.prod(sizes)) if all(isinstance(n, int) for n in sizes) else shape


def _check_saving(model: keras.Model, where: str) -> None:
    if keras_backend.NETWORKS == "hgq":
        return
    from trigger.frontends.qkeras.configs import lost_options

    if lost := lost_options(model):
        raise TriggerError(
            f"{where} returns a network that its file does not hold completely: "
            f"{'; '.join(lost)}. Give functions names that Keras and "
            "QKeras do not use, and register them with keras.saving.register_keras_serializable()"
        )


def _function(path: Path, name: str) -> Any:
    if not regular(path).exists():
        raise TriggerError(f"{path}: no such file; check model.file in trigger.toml")
    module_spec = importlib.util.spec_from_file_location(f"_trigger_model_{path.parent.name}", path)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise TriggerError(f"{path}: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, name, None)):
        functions = [known for known, value in vars(module).items() if callable(value)]
        hint = nearest(name, functions) or "; check model.function in trigger.toml"
        raise TriggerError(f"{path}: no function {name!r}{hint}")
    return getattr(module, name)


def power_of_two_normalization(
    model: keras.Model, events: Events, types: tuple[Fixed, ...]
) -> None:
    """Adapt every Normalization layer to the training events, in a form that costs no multiplier.

    The mean of each feature, by weight, is rounded to a step of its hardware type, its deviation to
    a power of two. Only layers directly after the inputs can be adapted.
    """
    step = np.array([2.0**-t.fraction for t in types])
    average, spread = moments(events)
    mean = np.rint(average / step) * step
    deviation = np.exp2(np.rint(np.log2(np.maximum(spread, step))))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            if not layer.trainable:  # frozen: it keeps the moments of other events
                layer.finalize_state()
                continue
            if not any(layer.input is tensor for tensor in model.inputs):
                raise TriggerError(
                    f"the layer {layer.name!r} does not normalise the inputs; give it "
                    f"mean and variance"
                )
            layer.adapt_mean.assign(mean)
            layer.adapt_variance.assign(deviation**2)
            layer.finalize_state()
