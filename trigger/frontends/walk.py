"""One pass over a Keras network, layer by layer, into the graph; shared by all kinds of
networks.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.build import Builder, free_name
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError, Threshold
from trigger.fixedpoint.parameters import loaded_types
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.types import Fixed
from trigger.frontends import (
    heads,
    logic,
    masks,
    operators,
    own,
    plain,
    remedies,
    weighted,
    weightless,
)
from trigger.frontends.attributes import check_attributes
from trigger.frontends.calls import Call, Value
from trigger.frontends.constants import check_weights
from trigger.frontends.inexact import Inexact, Problem, Refusal
from trigger.frontends.keras_private import layers_inside, maker
from trigger.frontends.methods import check_methods
from trigger.frontends.nested import inlined, nodes
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.support.names import as_identifier
from trigger.support.spelling import read_type

INPUTS, OUTPUTS = "inputs", "outputs"


Method = Callable[[Call], str | Value | tuple[str, ...]]


def named_nodes(model: keras.Model) -> list[tuple[Any, str]]:
    """Every use of a layer with its name in the graph: an identifier, unique even in lower case."""
    uses = nodes(model)
    wanted = [as_identifier(node.operation.name) for node in uses]
    taken = {INPUTS, *(name.casefold() for name in wanted)}
    seen = {INPUTS}
    names = []
    for name in wanted:
        # The first to ask for a name gets it.
        own = name if name.casefold() not in seen else free_name(name, taken)
        taken.add(own.casefold())
        seen.add(own.casefold())
        names.append(own)
    return list(zip(uses, names, strict=True))


class Walk(ABC):
    """The walk collects every problem and continues after each with a stand-in value.

    Subclasses define their own layers in ``methods`` and name them in ``layers``.
    """

    layers: str
    softmax_remedy: str
    input_remedy = 'give it, as in inputs="fixed<16,6>"'

    def __init__(
        self,
        model: keras.Model,
        inputs: str | Fixed | Sequence[str | Fixed] | None,
        reloadable: bool | Graph = False,
    ) -> None:
        self.notes: list[str] = []
        # The types of what a given graph loads, kernel by kernel.
        self.loaded = loaded_types(reloadable) if isinstance(reloadable, Graph) else []
        if isinstance(reloadable, Graph) and not self.loaded:
            raise TriggerError("reloadable: the graph has no weights that can be loaded")
        own.check_network(model)
        own.check_inputs(model)
        given, model = model, inlined(model)
        self.problems: list[Problem] = [*own.model_problems(given), *masks.problems(given)]
        uses = named_nodes(model)
        self._methods = dict((*self._plain(), *self.methods()))
        self._outputs = _ends(model, [node for node, _ in uses])
        shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        types = self._input_types(model, inputs, sum(map(math.prod, shapes)))
        self.builder = Builder(types, reloadable=bool(reloadable))
        self.builder.reserve(name for _, name in uses)
        self._values = dict(
            zip(map(id, model.inputs), self._divided(model.inputs, shapes), strict=True)
        )
        for node, name in uses:
            self.builder.claim(name)
            self._visit(node, name)
        self._output = self._joined(model)

    def graph(self) -> Graph:
        """Raises Inexact with everything in the network that cannot be exact."""
        if self.problems:
            raise Inexact(self.problems)
        if isinstance(self.builder[self._output], Threshold):
            problem = Problem(
                self._output,
                "its bits are the outputs of the network, but comparators at the end of a graph "
                "are accept bits",
                "put a PopCount after it, or give the thresholds as accept bits of [decision]",
            )
            raise Inexact([problem])
        return self.builder.graph(self._output, tuple(self.notes))

    @abstractmethod
    def methods(self) -> tuple[tuple[type, Method], ...]:
        """The layers specific to these networks, and the methods that lower them."""

    def own_input_types(self, model: keras.Model) -> tuple[Fixed, ...] | None:
        """The types of the inputs if the network itself defines them."""
        return None

    def rounds(self, layer: Any) -> bool:
        """Whether a layer is a quantiser that can round a real-valued function before it."""
        return False

    def leave_out_softmax(self, call: Call, axis: Any = -1) -> str:
        """The node before the softmax, with a note.

        Raises Refusal if that could reorder the outputs.
        """
        if not call.is_head:
            raise Refusal(
                "a softmax inside the network has no exact fixed-point form", self.softmax_remedy
            )
        shape = call.output_shape
        axes = {a % (len(shape) + 1) for a in np.atleast_1d(axis).tolist()}
        if 0 in axes or any(n > 1 for k, n in enumerate(shape, 1) if k not in axes):
            raise Refusal(
                f"its softmax over axis {axis} of the shape {shape} cannot "
                f"be left out: the sum is not over "
                "all outputs",
                "remove the softmax from the network and apply it in software",
            )
        if math.prod(shape) == 1:
            raise Refusal(
                "a softmax of one output is always 1", "use two outputs, or a sigmoid instead"
            )
        self.notes.append(
            f"{call.layer.name}: the softmax is left out; it cannot change the order of the classes"
        )
        return call.inputs[0].node

    def _divided(self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Value]:
        """The features of each input of the network."""
        if len(inputs) == 1:
            return [Value(INPUTS, shapes[0])]
        self.notes.append(f"features: those of the inputs {_listed(inputs)}, in this order")
        ends = np.cumsum([0, *map(math.prod, shapes)])
        return [
            Value(self.builder.select(f"{INPUTS}_{k}", INPUTS, np.arange(start, stop)), shape)
            for k, (start, stop, shape) in enumerate(zip(ends, ends[1:], shapes, strict=False), 1)
        ]

    def _joined(self, model: keras.Model) -> str:
        """All outputs of the network as one value."""
        outputs = tuple(self._rounded(self._values[id(tensor)]).node for tensor in model.outputs)
        if len(outputs) == 1:
            return outputs[0]
        layers = [maker(tensor) for tensor in model.outputs]
        self.notes.append(f"outputs: those of {_listed(layers)}, in this order")
        return self.builder.concatenate(OUTPUTS, outputs)

    def _input_types(self, model: keras.Model, inputs: Any, features: int) -> tuple[Fixed, ...]:
        if inputs is None:
            types = self.own_input_types(model)
            if types is not None:
                return types
            self._refuse_inputs("the features have no fixed-point type", self.input_remedy)
            inputs = "fixed<8,4>"
        if not isinstance(inputs, str | Fixed | Sequence):
            self._refuse_inputs(
                f"{quoted(inputs)} is not a fixed-point type",
                'give one, as in inputs="fixed<16,6>"',
            )
            inputs = "fixed<8,4>"
        many = [inputs] * features if isinstance(inputs, str | Fixed) else list(inputs)
        if len(many) != features:
            self._refuse_inputs(
                f"{len(many)} types for {features} features", "give one type, or one per feature"
            )
            many = ["fixed<8,4>"] * features
        return tuple(t if isinstance(t, Fixed) else read_type(t) for t in many)

    def _refuse_inputs(self, reason: str, remedy: str) -> None:
        self.problems.append(Problem("inputs", reason, remedy))

    def _visit(self, node: Any, name: str) -> None:
        outputs = node.outputs
        inputs = tuple(self._values[id(tensor)] for tensor in node.arguments.keras_tensors)
        if not (self.rounds(node.operation) or plain.keeps_elements(node.operation)):
            inputs = tuple(map(self._rounded, inputs))
        is_head = id(outputs[0]) in self._outputs
        call = Call(node.operation, name, inputs, tuple(outputs[0].shape[1:]), is_head, node)
        lowered = self._lower(call)
        for tensor, made in zip(outputs, lowered, strict=False):
            self._values[id(tensor)] = made._replace(shape=tuple(tensor.shape[1:]))
        for tensor in outputs[len(lowered) :]:
            self._values[id(tensor)] = self._stand_in(f"after_{name}", tensor, node.operation)

    def _rounded(self, value: Value) -> Value:
        """The value; a problem if it is a real-valued function without a quantiser after it."""
        if value.unrounded is None:
            return value
        refusal = value.unrounded.refusal
        problem = Problem(value.unrounded.layer, refusal.reason, refusal.remedy)
        if problem not in self.problems:
            self.problems.append(problem)
        return Value(value.node, value.shape)

    def _lower(self, call: Call) -> tuple[Value, ...]:
        """The layer's outputs; none, with a problem recorded, if it is refused."""
        try:
            method = self._method(call)
            _check(call)
            made = method(call)
            if isinstance(made, Value):
                return (made,)
            names = (made,) if isinstance(made, str) else made
            return tuple(Value(name, ()) for name in names)
        except Refusal as refusal:
            self.problems.append(Problem(call.layer.name, refusal.reason, refusal.remedy))
        except TooWide as wide:
            remedy = "quantise the values before this layer, or use fewer bits"
            self.problems.append(
                Problem(
                    call.layer.name,
                    f"a value needs {wide.width} bits, but float64 holds 53",
                    remedy,
                )
            )
        except GraphError as error:
            self.problems.append(
                Problem(call.layer.name, str(error), "use constants of fewer bits")
            )
        return ()

    def _stand_in(self, name: str, tensor: Any, layer: Any) -> Value:
        """A stand-in for a value that could not be built, so that later layers are checked too."""
        shape = tuple(size or 1 for size in tensor.shape[1:])
        fixed = weightless.BIT if isinstance(layer, weightless.MAKING_BITS) else Fixed(True, 8, 4)
        return Value(self.builder.stand_in(name, (fixed,) * math.prod(shape)), shape)

    def _plain(self) -> tuple[tuple[type, Method], ...]:
        return (
            *(
                (layer_class, partial(self._plainly, lower))
                for layer_class, lower in plain.LAYERS.items()
            ),
            (keras.layers.Rescaling, partial(self._plainly, operators.rescaling)),
            (keras.layers.Masking, partial(self._plainly, operators.masking)),
            (keras.layers.PReLU, partial(self._plainly, weighted.prelu)),
            (keras.layers.Embedding, partial(self._plainly, weighted.embedding)),
            (Thermometer, partial(self._plainly, weightless.thermometer)),
            (LookupLayer, partial(self._plainly, weightless.lookup_layer)),
            (PopCount, partial(self._plainly, weightless.pop_count)),
            (TableDense, partial(self._plainly, weightless.table_dense)),
            (keras.layers.Softmax, lambda call: self.leave_out_softmax(call, call.layer.axis)),
        )

    def _plainly(self, lower: plain.Lower, call: Call) -> str | Value:
        return lower(self.builder, call)

    def _method(self, call: Call) -> Method:
        """Look up the method by the exact class of the layer: a subclass may compute anything."""
        layer_class = type(call.layer)
        if operators.is_known(call.layer):
            return partial(operators.lower, self.builder)
        if layer_class in self._methods:
            return self._methods[layer_class]
        for base in layer_class.__mro__:
            if base in self._methods:
                raise Refusal(
                    f"{layer_class.__name__} is a subclass of {base.__name__} "
                    "and may compute anything",
                    remedies.of_subclass(layer_class.__name__, base.__name__),
                )
        what = "a layer of the type" if isinstance(call.layer, keras.Layer) else "the operation"
        raise Refusal(
            f"{what} {layer_class.__name__} has no exact lowering",
            remedies.of_layer(
                call.layer,
                f"{self.layers}, {weighted.NAMES}, {weightless.NAMES}, {plain.NAMES}, "
                f"{operators.NAMES}",
            ),
        )


def _ends(model: keras.Model, uses: Sequence[Any]) -> set[int]:
    """The tensors that become outputs, except those that a layer reads: these must be exact."""
    passed_on = {id(part) for tensor in model.outputs for part in heads.passed(tensor)[:-1]}
    read = {
        id(tensor)
        for node in uses
        if id(node.outputs[0]) not in passed_on
        for tensor in node.arguments.keras_tensors
    }
    return {id(heads.end(tensor)) for tensor in model.outputs} - read


def check_channel_axis(axis: Any, shape: tuple[int, ...]) -> None:
    """Refuse a normalisation along any axis but the last."""
    if axis is not None and axis not in (-1, len(shape)):
        raise Refusal(
            f"it normalises axis {axis} of the shape {shape}",
            "use axis=-1, and retrain",
        )


def _check(call: Call) -> None:
    """Refuse a layer or operation that is not what its class and options say."""
    if not isinstance(call.layer, keras.layers.Layer):
        check_methods("its", call.layer, "use the operation as Keras has it")
        check_attributes(call.layer)
        own.check_shapes(call.layer, call.node)
        return
    reads_truth = any(tensor.dtype == "bool" for tensor in call.node.arguments.keras_tensors)
    if reads_truth and not plain.moves_elements(call.layer):
        raise logic.refuse_numbers(type(call.layer).__name__)
    _check_methods(call.layer)
    own.check_precision(call.layer)
    own.check_built(call.layer)
    check_attributes(call.layer)
    own.check_arguments(call.node)
    own.check_shapes(call.layer, call.node)
    check_weights(call.layer)


def _check_methods(layer: Any) -> None:
    """Refuse a layer with replaced methods, its own or those of nested layers."""
    remedy = "use the layer as Keras has it"
    check_methods("its", layer, remedy)
    for part in layers_inside(layer):
        if part is not getattr(layer, "activation", None):
            check_methods(f"{part.name}:", part, remedy)


def _listed(things: Sequence[Any]) -> str:
    return ", ".join(thing.name for thing in things)
