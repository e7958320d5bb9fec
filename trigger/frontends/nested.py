"""A network as uses of layers: nested networks, TimeDistributed and Bidirectional are replaced by
their layers. Masks are left out, because no layer here depends on them.

The layers are those of the user, with the same weights and options: only their uses are new.
"""

import inspect
from typing import Any

import keras

from trigger.fixedpoint.build import free_name
from trigger.frontends import heads, own, tensors
from trigger.frontends.hgq_private import parts_of_attention, scale_of_attention
from trigger.frontends.inexact import Inexact, Problem, Refusal
from trigger.frontends.keras_private import (
    again,
    layers_inside,
    maker,
    nodes_by_depth,
    tensor_like,
    uncounted_layers,
    used,
)
from trigger.frontends.libraries import is_library
from trigger.frontends.methods import check_methods

_L = keras.layers
# Layers whose output at each step is that of their input at this step, on any rank.
_STEPWISE = (_L.Dense, _L.Activation, _L.ReLU, _L.LeakyReLU, _L.Dropout, _L.Identity)


def nodes(model: keras.Model) -> list[Any]:
    """Every use of a layer, in an order in which inputs come first."""
    by_depth = nodes_by_depth(model)
    if by_depth is None:
        raise Inexact([_unreadable(model)])
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if not node.is_input
    ]


def inlined(model: keras.Model) -> keras.Model:
    """The network without nested networks, wrappers, masks and a fixed number of events; the
    network itself if it has none of them. Raises Inexact with every one that cannot be replaced.
    """
    uses = nodes(model)
    if not any(map(_gives_way, uses)) and all(t.shape[0] is None for t in model.inputs):
        return model
    with uncounted_layers():
        inputs = [keras.Input(t.shape[1:], dtype=t.dtype, name=t.name) for t in model.inputs]
        inlining = _Inlining(model)
        outputs = inlining.of_model(model, inputs)
        if inlining.problems:
            raise Inexact(inlining.problems)
        return keras.Model(tensors.alone(inputs), tensors.alone(outputs), name=model.name)


def _gives_way(node: Any) -> bool:
    wrappers = keras.Model | _L.TimeDistributed | _L.Bidirectional
    operation = node.operation
    return isinstance(operation, wrappers) or _is_attention(operation) or own.has_mask(node)


def _is_attention(operation: Any) -> bool:
    class_ = type(operation)
    return class_.__name__ == "QMultiHeadAttention" and is_library(class_)


class _Inlining:
    """New uses of the layers of a network, at any depth; it collects every problem."""

    def __init__(self, model: keras.Model) -> None:
        self.problems: list[Problem] = []
        self._twins: dict[int, Any] = {}
        self._batch = model.inputs[0].shape[0]
        self._taken: set[str] = {tensor.name.casefold() for tensor in model.inputs}
        for last in heads.last_layers(model):
            self._twin(last)

    def of_model(self, model: keras.Model, inputs: list[Any]) -> list[Any]:
        values = dict(zip(map(id, model.inputs), inputs, strict=True))
        for node in nodes(model):
            try:
                outputs = self._of_node(node, values)
            except Refusal as refusal:
                name = node.operation.name
                self.problems.append(Problem(name, refusal.reason, refusal.remedy))
                outputs = [tensor_like(tensor) for tensor in self._of_any_batch(node.outputs)]
            values |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
        return [values[id(tensor)] for tensor in model.outputs]

    def _of_node(self, node: Any, values: dict[int, Any]) -> list[Any]:
        operation = node.operation
        arguments, options = node.arguments.fill_in(values)
        options = own.without_masks(options)
        if isinstance(operation, keras.Model):
            return self._of_inner(node, arguments[0])
        if type(operation) is _L.TimeDistributed:
            own.check_arguments(node)
            (like,) = self._of_any_batch(node.outputs)
            return [self._over_time(operation, arguments[0], like.shape)]
        if isinstance(operation, _L.Bidirectional) and is_library(type(operation)):
            own.check_arguments(node)
            return self._both_ways(operation, arguments[0])
        if _is_attention(operation):
            return self._attention(operation, arguments, options)
        like = self._of_any_batch(node.outputs)
        return used(self._twin(operation), arguments, options, like)

    def _of_any_batch(self, tensors: list[Any]) -> list[Any]:
        """Tensors like these for any number of events, if the network was made for one number."""
        if self._batch is None:
            return tensors
        return [
            keras.KerasTensor((None, *tensor.shape[1:]), tensor.dtype)
            if tensor.shape[:1] == (self._batch,)
            else tensor
            for tensor in tensors
        ]

    def _of_inner(self, node: Any, given: Any) -> list[Any]:
        own.check_arguments(node)
        if isinstance(given, dict):
            raise Refusal("it is called with a dictionary", "call it with a list of its inputs")
        return self._of_call(node.operation, keras.tree.flatten(given))

    def _of_call(self, model: keras.Model, inputs: list[Any]) -> list[Any]:
        own.check_precision(model)
        read = nodes_by_depth(model) is not None
        for problem in own.model_problems(model) if read else [_unreadable(model)]:
            raise Refusal(problem.reason, problem.remedy)
        for tensor, wanted in zip(inputs, model.inputs, strict=True):
            if tensor.shape[1:] != wanted.shape[1:]:
                raise Refusal(
                    f"it is called with the shape {tensor.shape[1:]}, but its Input has the shape "
                    f"{wanted.shape[1:]}",
                    "give both the same shape",
                )
        return self.of_model(model, inputs)

    def _over_time(self, wrapper: Any, x: Any, shape: Any) -> Any:
        check_methods("its", wrapper, "use the layer as Keras has it")
        own.check_precision(wrapper)
        inner = wrapper.layer
        if is_stepwise(inner):
            return used(self._twin(inner), (x,), {}, [keras.KerasTensor(shape, x.dtype)])[0]
        steps = [self._named(x[:, step], wrapper) for step in range(x.shape[1])]
        after = [self._of_step(inner, step, (shape[0], *shape[2:])) for step in steps]
        return self._named(keras.ops.stack(after, axis=1), wrapper)

    def _both_ways(self, wrapper: Any, x: Any) -> list[Any]:
        check_methods("its", wrapper, "use the layer as Keras has it")
        own.check_precision(wrapper)
        (y, *states), (back, *others) = (
            used(self._twin(layer), (x,), {}, _outputs_like(layer, x))
            for layer in (wrapper.forward_layer, wrapper.backward_layer)
        )
        if wrapper.return_sequences:
            back = self._named(keras.ops.flip(back, axis=1), wrapper)
        match wrapper.merge_mode:
            case "concat":
                merged = [self._named(keras.ops.concatenate([y, back], axis=-1), wrapper)]
            case "sum":
                merged = [self._named(y + back, wrapper)]
            case "ave":
                merged = [self._named(self._named(y + back, wrapper) / 2, wrapper)]
            case "mul":
                merged = [self._named(y * back, wrapper)]
            case None:
                merged = [y, back]
            case other:
                raise Refusal(f"its merge_mode is {other!r}", 'use merge_mode="concat"')
        return [*merged, *states, *others] if wrapper.return_state else merged

    def _attention(self, layer: Any, arguments: Any, options: Any) -> list[Any]:
        check_methods("its", layer, "use the layer as HGQ2 has it")
        own.check_precision(layer)
        given = inspect.signature(layer.call).bind(*arguments, **options).arguments
        query = given.pop("query")
        value = given.pop("value", query)
        key = given.pop("key", value)
        shows_scores = given.pop("return_attention_scores", False)
        if any(given.values()) or scale_of_attention(layer) != 1:
            raise Refusal(
                f"it is called with {', '.join(given)}, which changes what it computes",
                "call it with query, value and key only",
            )
        parts = parts_of_attention(layer)
        queries = self._used(parts.query, query)
        keys = self._used(parts.key, key)
        values = self._used(parts.value, value)
        scores = self._named(keras.ops.einsum(parts.scores, keys, queries), layer)
        weights = self._used(parts.softmax, scores)
        context = self._named(keras.ops.einsum(parts.context, weights, values), layer)
        output = self._used(parts.output, context)
        return [output, weights] if shows_scores else [output]

    def _used(self, layer: Any, x: Any) -> Any:
        """The only output of a new use of a layer."""
        return used(self._twin(layer), (x,), {}, _outputs_like(layer, x))[0]

    def _of_step(self, inner: Any, step: Any, shape: Any) -> Any:
        if isinstance(inner, keras.Model):
            return self._of_call(inner, [step])[0]
        if type(inner) is _L.TimeDistributed:
            return self._over_time(inner, step, shape)
        return used(self._twin(inner), (step,), {}, [keras.KerasTensor(shape, step.dtype)])[0]

    def _twin(self, operation: Any) -> Any:
        """The same layer or operation with uses of its own; its name is unique in the network."""
        if id(operation) not in self._twins:
            self._twins[id(operation)] = again(operation, self._free(operation.name))
        return self._twins[id(operation)]

    def _named(self, tensor: Any, wrapper: Any) -> Any:
        """A tensor whose operation has a name like that of a wrapper."""
        maker(tensor).name = self._free(wrapper.name)
        return tensor

    def _free(self, name: str) -> str:
        free = free_name(name, self._taken)
        self._taken.add(free.casefold())
        return free


def _outputs_like(layer: Any, x: Any) -> list[Any]:
    """Symbolic tensors of the shapes of a recurrent layer's outputs."""
    shapes = layer.compute_output_shape(x.shape)
    several = any(isinstance(part, tuple | list) for part in shapes)
    return [keras.KerasTensor(shape, x.dtype) for shape in (shapes if several else [shapes])]


def is_stepwise(layer: Any) -> bool:
    """Whether the output of a layer at each step is that of its input at this step alone."""
    activation = getattr(layer, "activation", None)
    if heads.is_softmax(layer) or heads.kind_of(activation) is not None:
        return False
    if isinstance(layer, _L.BatchNormalization):
        return layer.axis in (-1, [-1], (-1,))
    return isinstance(layer, _STEPWISE) or type(layer).__name__ == "QActivation"


def every_layer(model: keras.Model) -> list[Any]:
    """All layers of a network, at any depth, without the networks that hold them."""
    return [part for part in layers_inside(model) if not isinstance(part, keras.Model)]


def _unreadable(model: keras.Model) -> Problem:
    if isinstance(model, keras.Sequential):
        return Problem(
            model.name,
            "the shape of its inputs is unknown",
            "put keras.Input((features,)) before its first layer",
        )
    return Problem(
        model.name,
        f"{type(model).__name__} overrides call, so there are no layers to read",
        "build the network with keras.Model(inputs, outputs) or keras.Sequential",
    )
