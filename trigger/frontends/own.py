"""Influences on a network beyond the classes and options of its layers.

These are user code, call arguments and the precision. The layers are read, not run, so anything
that makes Keras deviate from them is refused.
"""

from collections.abc import Callable
from typing import Any

import keras

from trigger.errors import TriggerError, quoted
from trigger.frontends import indices
from trigger.frontends.inexact import Inexact, Problem, Refusal
from trigger.frontends.keras_private import ends_by_construction, functional_inside
from trigger.frontends.libraries import HARMLESS, is_library
from trigger.frontends.methods import replaced_methods

_FORWARD = ("__call__", "__getattribute__", "__getattr__")
# Options of layers that are numbers of elements. TensorFlow also takes floats.
_SIZES = ("kernel_size", "strides", "dilation_rate", "pool_size", "size", "padding", "cropping")
PRECISIONS = ("float32", "float64")


def model_problems(model: keras.Model) -> list[Problem]:
    """Deviations due to the class of the network and its input tensors."""
    problems = []
    parts = [p for p in (model, functional_inside(model)) if p is not None]
    replaced = {name for part in parts for name in replaced_methods(part)}
    changed = sorted({*_overridden(type(model)), *replaced})
    if changed:
        problems.append(
            Problem(
                model.name,
                f"{type(model).__name__} overrides {', '.join(changed)} and may compute anything",
                "build the network only from layers, with keras.Model(inputs, outputs) or "
                "keras.Sequential",
            )
        )
    for tensor in model.inputs:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if dtype not in PRECISIONS and not (
            dtype in indices.TYPES and indices.are_indices(model, tensor)
        ):
            problems.append(
                Problem(
                    tensor.name,
                    f"Keras casts the events to {tensor.dtype}, which changes their values",
                    'use keras.Input(shape) of dtype float32; integers are inputs="fixed<9,9>"',
                )
            )
        elif getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
            problems.append(Problem(tensor.name, "it is sparse or ragged", "use a dense Input"))
    return problems


def check_network(model: Any) -> None:
    """Raise TriggerError if this is not a network, and Inexact if Keras computes in few bits or if
    its inputs or outputs are not those with which it was made.
    """
    if not isinstance(model, keras.Model):
        raise TriggerError(
            f"lower takes a network of Keras, not an object of the type {type(model).__name__}"
        )
    if keras.config.floatx() not in PRECISIONS:
        raise Inexact(
            [
                Problem(
                    model.name,
                    f"Keras computes in {keras.config.floatx()}, which rounds values "
                    f"that the graph "
                    "keeps",
                    'call keras.config.set_floatx("float32") before making the network',
                )
            ]
        )

    made = ends_by_construction(model)
    if made is None:
        return
    for what, now, first in zip(
        ("inputs", "outputs"), (model.inputs, model.outputs), made, strict=True
    ):
        if [id(tensor) for tensor in now] != [id(tensor) for tensor in first]:
            raise Inexact(
                [
                    Problem(
                        model.name,
                        f"its {what} were changed by hand, so they are not those of its layers",
                        "make a network with keras.Model(inputs, outputs) instead",
                    )
                ]
            )


def check_inputs(model: keras.Model) -> None:
    """Raise Inexact if an input is listed twice, or has a size that is not known or no elements."""
    problems = []
    inputs = getattr(model, "inputs", None) or ()
    for k, tensor in enumerate(inputs):
        shape = tuple(tensor.shape[1:])
        if any(tensor is other for other in inputs[:k]):
            problems.append(
                Problem(tensor.name, "the input is listed twice", "list each input once")
            )
        elif None in shape:
            problems.append(
                Problem(
                    tensor.name,
                    f"the input shape {shape} is not fixed",
                    "give the Input a complete shape",
                )
            )
        elif 0 in shape:
            problems.append(
                Problem(
                    tensor.name, f"the input shape {shape} has no elements", "remove this input"
                )
            )
    if problems:
        raise Inexact(problems)


def check_shapes(layer: Any, node: Any) -> None:
    """Refuse a use of a layer or operation whose outputs no longer have the shapes that they had
    when the network was made, or have no elements.
    """
    for name in _SIZES:
        sizes = getattr(layer, name, None)
        if any(isinstance(size, float) for size in keras.tree.flatten(sizes)):
            raise Refusal(f"its {name} is {sizes}, not of whole numbers", "use whole numbers")
    shapes = [tuple(tensor.shape) for tensor in node.outputs]
    for shape in shapes:
        if 0 in shape:
            raise Refusal(f"its output of the shape {shape[1:]} has no elements", "remove it")
    try:
        now = _shapes_now(layer, node.arguments)
    except Exception:  # Keras raises any type for options that do not fit the inputs
        now = []
    if now is not None and [shape[1:] for shape in now] != [shape[1:] for shape in shapes]:
        raise Refusal(
            f"its options were changed: its output no longer has the shape {shapes[0][1:]}",
            "make the network again",
        )


def _shapes_now(layer: Any, arguments: Any) -> list[tuple[Any, ...]] | None:
    """The shapes of the outputs as Keras computes them from the options; None if it does not."""
    if not isinstance(layer, keras.layers.Layer):
        specs = layer.compute_output_spec(*arguments.args, **arguments.kwargs)
        return [tuple(spec.shape) for spec in keras.tree.flatten(specs)]
    if type(layer).compute_output_shape is keras.layers.Layer.compute_output_shape:
        return None
    shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), arguments.args[0])
    made = layer.compute_output_shape(shapes)
    several = any(isinstance(part, tuple | list) for part in made)
    return [tuple(shape) for shape in made] if several else [tuple(made)]


def check_built(layer: Any) -> None:
    """Refuse a layer that says it has no weights yet, although it was called to make the
    network.
    """
    if not getattr(layer, "built", True):
        raise Refusal(
            f"its built was set to {layer.built} by hand, so Keras does not call it as it is",
            "set built to True, or make it again and give it the same weights",
        )


def called(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The output of a quantiser; refused, with the message of Keras, if it cannot be called."""
    try:
        return function(*arguments)
    except Refusal:
        raise
    except Exception as error:  # Keras, QKeras and user classes may raise anything
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Refusal(
            f"{what} cannot be called: {type(error).__name__}: {text}",
            "correct its options so that the network can be called",
        ) from error


def check_precision(layer: Any) -> None:
    """Refuse a layer that Keras quantised, or that computes in few bits."""
    policy = layer.dtype_policy
    if not isinstance(policy, keras.dtype_policies.DTypePolicy):
        raise Refusal(
            f"its dtype policy was set to {quoted(policy)} by hand, which Keras cannot use",
            'set dtype_policy to "float32"',
        )
    if getattr(policy, "quantization_mode", None) or getattr(layer, "quantization_mode", None):
        raise Refusal(
            f"Keras quantised it ({policy.name})", "use QDense with a kernel_quantizer instead"
        )
    low = {layer.compute_dtype, layer.variable_dtype} - set(PRECISIONS)
    if low:
        raise Refusal(
            f"it computes in {min(low)} (dtype policy {policy.name}), which rounds values that the "
            "graph keeps",
            'make the network with the dtype policy "float32" and retrain it',
        )


def check_arguments(node: Any) -> None:
    """Refuse a call with other arguments than inputs, recurrent states and masks, such as
    training=True.
    """
    arguments = node.arguments
    options = without_masks(arguments.kwargs)
    if isinstance(node.operation, keras.layers.RNN) and _are_tensors(options.get("initial_state")):
        options.pop("initial_state")
    named = [(f"{name}={quoted(value)}", value) for name, value in options.items()]
    others = [(f"a further argument {quoted(value)}", value) for value in arguments.args[1:]]
    for text, value in (*named, *others):
        if any(part is not None and part is not False for part in keras.tree.flatten(value)):
            raise Refusal(
                f"it is called with {text}, which changes what it computes",
                "call it with its input only",
            )


def _are_tensors(value: Any) -> bool:
    return all(isinstance(part, keras.KerasTensor) for part in keras.tree.flatten(value))


def without_masks(options: dict[str, Any]) -> dict[str, Any]:
    """The named arguments of a call without the masks."""
    return {name: value for name, value in options.items() if not name.endswith("mask")}


def has_mask(node: Any) -> bool:
    """Whether a layer or network is called with a mask."""
    given = node.arguments.kwargs
    masks = given.keys() - without_masks(given).keys()
    return any(
        part is not None and part is not False
        for name in masks
        for part in keras.tree.flatten(given[name])
    )


def _overridden(class_: type) -> list[str]:
    """The methods of Keras that the user's own base classes of a network replace."""
    own = [base for base in class_.__mro__ if not is_library(base)]
    library = [base for base in class_.__mro__ if is_library(base)]
    names = sorted({name for base in own for name in vars(base)})
    return [
        name
        for name in names
        if name in _FORWARD
        or (
            not name.startswith("__")
            and name not in HARMLESS
            and any(name in vars(base) for base in library)
        )
    ]
