"""One pass over a Keras network, layer by layer, into the fixed-point graph; what is the same for every kind of network."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Constant, Graph
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.spelling import read_type
from trigger.fixedpoint.types import Fixed, enclosing
from trigger.frontends.inexact import Inexact, Problem, Refusal
from trigger.frontends.piecewise import lower_relu
from trigger.naming import as_identifier

# Layers that do nothing in inference.
_TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
)
_PLAIN = "ReLU, LeakyReLU, Softmax (last), Add, Concatenate, Dot (squares), Flatten, Reshape and the Dropout layers"
# A square is looked up in a table with an entry for each value.
_WIDEST_SQUARE = 10


class Value(NamedTuple):
    """What a Keras tensor is in the graph: a node, and the shape its elements have in Keras, batch axis left out."""

    node: str
    shape: tuple[int, ...]


class Call(NamedTuple):
    """One use of a layer."""

    layer: Any
    name: str
    inputs: tuple[Value, ...]
    output_shape: tuple[int, ...]
    is_head: bool


Method = Callable[[Call], str]


def nodes(model: keras.Model) -> list[Any]:
    """Every use of a layer, in an order in which inputs come first."""
    functional = model._functional if isinstance(model, keras.Sequential) else model
    by_depth = getattr(functional, "_nodes_by_depth", None)
    if by_depth is None:
        raise Inexact(
            [
                Problem(
                    model.name,
                    "a subclassed or unbuilt model has no layers to read",
                    "use the functional API or Sequential",
                )
            ]
        )
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if not node.is_input
    ]


class Walk(ABC):
    """Every problem is collected; past one the walk goes on from a stand-in value.

    Subclasses bring their own layers in ``methods``, name them in ``layers``, and the known subclasses of a layer, whose
    arithmetic is the same, in ``subclasses``.
    """

    layers: str
    input_remedy = 'name it, as in inputs="fixed<16,6>"'
    subclasses: tuple[type, ...] = ()

    def __init__(
        self, model: keras.Model, inputs: str | Fixed | Sequence[str | Fixed] | None
    ) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._values: dict[int, Value] = {}
        self._names: set[str] = {"inputs"}
        uses = nodes(model)
        for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
            if len(tensors) != 1:
                raise Inexact(
                    [
                        Problem(
                            model.name,
                            f"it has {len(tensors)} {what}",
                            f"Concatenate the {what} into one",
                        )
                    ]
                )
        shape = tuple(model.inputs[0].shape[1:])
        if None in shape:
            raise Inexact(
                [
                    Problem(
                        model.inputs[0].name,
                        f"the input shape {shape} is open",
                        "give the Input a full shape",
                    )
                ]
            )
        self.builder = Builder(self._input_types(model, inputs, int(np.prod(shape))))
        self._values[id(model.inputs[0])] = Value("inputs", shape)
        for node in uses:
            call = self._call(node, model)
            self._values[id(node.outputs[0])] = Value(self._lower(call), call.output_shape)
        self._output = self._values[id(model.outputs[0])].node

    def graph(self) -> Graph:
        """Raises Inexact with everything in the network that cannot be exact."""
        if self.problems:
            raise Inexact(self.problems)
        return self.builder.graph(self._output, tuple(self.notes))

    @abstractmethod
    def methods(self) -> tuple[tuple[type, Method], ...]:
        """The layers that only these networks have, and what lowers them."""

    def own_input_types(self, model: keras.Model) -> tuple[Fixed, ...] | None:
        """The types of the inputs where the network itself says them."""
        return None

    def leave_out_softmax(self, call: Call) -> str:
        """The node before the softmax, with a note. Raises Refusal where the softmax is not the last step."""
        if not call.is_head:
            raise Refusal(
                "a softmax inside the network has no exact fixed-point form",
                "keep softmax for the last layer",
            )
        self.notes.append(
            f"{call.layer.name}: the softmax is left out; it cannot change the order of the classes"
        )
        return call.inputs[0].node

    def _input_types(self, model: keras.Model, inputs: Any, features: int) -> tuple[Fixed, ...]:
        if inputs is None:
            found = self.own_input_types(model)
            if found is not None:
                return found
            self.problems.append(
                Problem("inputs", "the features have no fixed-point type", self.input_remedy)
            )
            inputs = "fixed<8,4>"
        many = [inputs] * features if isinstance(inputs, str | Fixed) else list(inputs)
        if len(many) != features:
            raise Inexact(
                [
                    Problem(
                        "inputs",
                        f"{len(many)} types for {features} features",
                        "give one type, or one a feature",
                    )
                ]
            )
        return tuple(t if isinstance(t, Fixed) else read_type(t) for t in many)

    def _call(self, node: Any, model: keras.Model) -> Call:
        layer = node.operation
        base = name = as_identifier(layer.name)
        use = 1
        while name in self._names:  # a layer used twice, or two names that differ in punctuation
            use += 1
            name = f"{base}_{use}"
        self._names.add(name)
        inputs = tuple(self._values[id(tensor)] for tensor in node.arguments.keras_tensors)
        is_head = node.outputs[0] is model.outputs[0]
        return Call(layer, name, inputs, tuple(node.outputs[0].shape[1:]), is_head)

    def _lower(self, call: Call) -> str:
        try:
            return self._method(call.layer)(call)
        except Refusal as refusal:
            self.problems.append(Problem(call.layer.name, refusal.reason, refusal.remedy))
        except TooWide as wide:
            remedy = "quantise the values before this layer, or use fewer bits"
            self.problems.append(
                Problem(
                    call.layer.name, f"a value needs {wide.width} bits, float64 holds 53", remedy
                )
            )
        stand_in = Builder(
            (Fixed(True, 8, 4),) * int(np.prod(call.output_shape)), f"after_{call.name}"
        )
        return self.builder.adopt(stand_in)

    def _method(self, layer: Any) -> Method:
        if isinstance(layer, _TRAINING_ONLY):
            return _same
        plain: tuple[tuple[type, Method], ...] = (
            (keras.layers.Flatten, _same),
            (keras.layers.Reshape, _same),
            (keras.layers.Softmax, self.leave_out_softmax),
            (keras.layers.ReLU, self._relu),
            (keras.layers.LeakyReLU, self._leaky_relu),
            (keras.layers.Add, self._add),
            (keras.layers.Concatenate, self._concatenate),
            (keras.layers.Dot, self._sum_of_squares),
        )
        for kind, method in (*self.methods(), *plain):
            if isinstance(layer, kind):
                if type(layer) is not kind and type(layer) not in self.subclasses:
                    raise Refusal(
                        f"{type(layer).__name__} is a subclass of {kind.__name__} and may compute anything",
                        f"use {kind.__name__}",
                    )
                return method
        raise Refusal(
            f"a layer of the type {type(layer).__name__} has no exact lowering",
            f"use Input, {self.layers}, {_PLAIN}",
        )

    def _relu(self, call: Call) -> str:
        layer = call.layer
        if layer.threshold:
            raise Refusal(
                f"ReLU with a threshold of {float(layer.threshold):g} jumps", "use threshold=0"
            )
        upper = None if layer.max_value is None else float(layer.max_value)
        return lower_relu(
            self.builder, call.name, call.inputs[0].node, float(layer.negative_slope), upper
        )

    def _leaky_relu(self, call: Call) -> str:
        return lower_relu(
            self.builder, call.name, call.inputs[0].node, float(call.layer.negative_slope), None
        )

    def _add(self, call: Call) -> str:
        if len({value.shape for value in call.inputs}) != 1:
            raise Refusal("it adds tensors of different shapes", "give all inputs the same shape")
        return self.builder.add(call.name, tuple(value.node for value in call.inputs))

    def _concatenate(self, call: Call) -> str:
        rank = len(call.output_shape)
        if rank > 1 and call.layer.axis not in (1,):
            raise Refusal(
                f"it joins tensors of rank {rank} along axis {call.layer.axis}",
                "put Flatten layers before it",
            )
        return self.builder.concatenate(call.name, tuple(value.node for value in call.inputs))

    def _sum_of_squares(self, call: Call) -> str:
        """The product of a vector with itself: squares come from two tables, one for what is positive, one for the rest."""
        value, other = call.inputs
        if value != other or call.layer.normalize:
            raise Refusal(
                "it multiplies two different vectors, or normalises them",
                "give it one vector twice",
            )
        check_rank(value)
        source = self.builder[value.node]
        kind = enclosing(source.types)
        if kind.width > _WIDEST_SQUARE:
            raise Refusal(
                f"it squares values of {kind.width} bits",
                f"quantise them to at most {_WIDEST_SQUARE} bits before, as with QActivation",
            )
        largest = np.arange(max(kind.maximum, -kind.minimum) + 1)
        roots = Constant(largest[1:], Fixed(False, kind.width, kind.integer))
        squares = Constant(largest**2, Fixed(False, 2 * kind.width, 2 * kind.integer))
        elements = len(source.types)
        minus = constant(np.full(elements, -1.0))
        parts = [self.builder.steps(f"{call.name}_positive", value.node, roots, squares)]
        if kind.signed:
            negated = self.builder.affine(
                f"{call.name}_negated", value.node, minus, constant(np.zeros(elements))
            )
            parts.append(self.builder.steps(f"{call.name}_negative", negated, roots, squares))
        every = self.builder.concatenate(f"{call.name}_squares", tuple(parts))
        ones = constant(np.ones((elements * len(parts), 1)))
        return self.builder.dense(call.name, every, ones, constant(np.zeros(1)))


def check_rank(value: Value) -> None:
    """Refuse a Dense layer on anything but a vector."""
    if len(value.shape) != 1:
        raise Refusal(
            f"it acts on the last axis of the shape {value.shape}", "put a Flatten layer before it"
        )


def check_channel_axis(axis: Any, shape: tuple[int, ...]) -> None:
    """Refuse a normalisation along anything but the last axis."""
    if axis is not None and axis not in (-1, len(shape)):
        raise Refusal(f"it normalises axis {axis} of the shape {shape}", "use axis=-1")


def _same(call: Call) -> str:
    return call.inputs[0].node
