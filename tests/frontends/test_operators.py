"""Operators and functions of keras.ops on tensors: the battery, and every one against the network itself."""

import keras
import numpy as np
import pytest
from as_called import assert_itself
from battery import WIDTHS, Battery, at_width, parametrize, randomize
from keras import layers, ops
from qkeras import QActivation, QDense

import trigger
from trigger import Inexact

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"


def deep(middle, bits, inner, integer):
    """A function of two tensors, 3 x 2 each, of quantised values, and a Dense layer after it."""
    x = inputs = keras.Input((6,))
    x = QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)")(x)
    x = layers.Reshape((3, 2))(x)
    y = QActivation(f"quantized_relu({inner},{integer})")(x)
    x = layers.Flatten()(middle(x, y))
    x = QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)
    return randomize(keras.Model(inputs, x), 0)


def at_widths(name, middle):
    return {f"{name} at {w[0]} bits": at_width(w[0], deep, middle, *w) for w in WIDTHS}


class TestOperators(Battery):
    cases = (
        at_widths(
            "arithmetic", lambda x, y: (2 * x - y + 0.25) / 4 - np.array([[1.0], [0.5], [-2.0]])
        )
        | at_widths(
            "comparisons", lambda x, y: ops.minimum(ops.abs(x), ops.maximum(y[:, :1], 0.125))
        )
        | at_widths(
            "sums", lambda x, y: ops.concatenate([ops.sum(x, axis=1), ops.mean(y, axis=-1)], axis=1)
        )
        | at_widths(
            "products", lambda x, y: ops.concatenate([layers.Dot(2)([x, y]), x * y], axis=-1)
        )
        | at_widths(
            "choices", lambda x, y: ops.where(x > y, x @ ops.transpose(y, (0, 2, 1))[:, :, :2], -y)
        )
        | at_widths(
            "moves", lambda x, y: ops.stack(ops.split(ops.flip(x, axis=2) - y, 2, axis=2), 1)
        )
    )


def network(function, shape=(3, 4)) -> keras.Model:
    inputs = keras.Input(shape)
    found = keras.tree.flatten(function(inputs))
    flat = [layers.Flatten()(part) if len(part.shape) > 2 else part for part in found]
    return keras.Model(inputs, flat[0] if len(flat) == 1 else layers.Concatenate()(flat))


COLUMN = np.array([[1.0], [0.5], [-2.0]])
MATRIX = np.array([[1.0, 0.5], [2.0, -1.0], [0.0, 3.0], [0.25, 1.0]])
ROWS = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 1.0]])
TAKEN = {
    "x @ a matrix": lambda x: x @ MATRIX,
    "matmul with a vector": lambda x: ops.matmul(x, MATRIX[:, 0]),
    "a vector @ a matrix": lambda x: ops.matmul(x[:, 0], MATRIX),
    "a matrix @ x": lambda x: ops.matmul(ROWS, x),
    "x @ x": lambda x: x @ ops.transpose(x, (0, 2, 1)),
    "matmul at many places": lambda x: ops.matmul(
        ops.reshape(x, (-1, 3, 1, 4)), ops.reshape(x, (-1, 3, 4, 1))
    ),
    "matmul of other shapes": lambda x: ops.matmul(
        ops.reshape(x, (-1, 3, 1, 4)), ops.reshape(x[:, 0], (-1, 1, 4, 1))
    ),
    "einsum": lambda x: ops.einsum("eij,ekj->eik", x, x),
    "einsum of products": lambda x: ops.einsum("ei,ej->eij", x[:, 0], x[:, 1]),
    "einsum along an axis": lambda x: ops.einsum("eij,eij->ei", x, x),
    "einsum of an axis alone": lambda x: ops.einsum("eij,ek->eik", x, x[:, 0]),
    "einsum with dots": lambda x: ops.einsum("e...j,e...j->e...", x, x),
    "einsum with a matrix": lambda x: ops.einsum("eij,jk->eik", x, MATRIX),
    "einsum with a matrix first": lambda x: ops.einsum("jk,eij->eki", MATRIX, x),
    "einsum with a matrix and dots": lambda x: ops.einsum("...j,jk->...k", x, MATRIX),
    "where": lambda x: ops.where(x > 0, x, 0.25 * x),
    "where with a constant": lambda x: ops.where(x >= 0.5, 1.0, -x),
    "where with constants": lambda x: ops.where(x <= 0.5, 1.0, np.arange(4.0)) * x,
    "where of two tensors": lambda x: ops.where(x < x[:, ::-1], x, x[:, ::-1]),
    "where equal": lambda x: ops.where(ops.equal(x, 0.5), 3.0, x),
    "where not equal": lambda x: ops.where(ops.not_equal(x, 0.5), -2 * x, x),
    "where by name": lambda x: ops.where(x < 1.0, x1=x, x2=-x),
    "where of other shapes": lambda x: ops.where(x[:, :1] > 0, x, x[:, :, :1]),
    "where on a finer grid": lambda x: ops.where(x > 0.15625, x, 0.0),
    "where both": lambda x: ops.where(ops.logical_and(x > -1, x < 1), x, 0.0),
    "where either": lambda x: ops.where((x > 1) | (x < -1), x, 0.0),
    "where not": lambda x: ops.where(~(x > 1), x, 0.0),
    "a truth as a number": lambda x: ops.cast(x > 0.5, "float32") * x,
    "x * (x > 0)": lambda x: x * (x > 0),
    "a number of truths": lambda x: ops.sum(x > 0, axis=1) * x[:, 0],
    "a part of truths": lambda x: (x > 0)[:, 1] * x[:, 0],
    "layers of truths": lambda x: layers.Concatenate()(
        [layers.UpSampling1D(2)(x > 0), ops.tile(x, (1, 2, 1))]
    ),
    "cast of numbers": lambda x: ops.cast(x, "float32") + x,
    "x + x": lambda x: x + x[:, ::-1],
    "x - x": lambda x: x - x[:, ::-1],
    "x + 1": lambda x: x + 1,
    "1 + x": lambda x: 1 + x,
    "x - 0.5": lambda x: x - 0.5,
    "0.5 - x": lambda x: 0.5 - x,
    "2 * x": lambda x: 2 * x,
    "x * -0.75": lambda x: x * -0.75,
    "-x": lambda x: -x,
    "x / 4": lambda x: x / 4,
    "x / -0.5": lambda x: x / -0.5,
    "abs": abs,
    "an array": lambda x: x * np.array([1.0, 0.5, -2.0, 3.0]),
    "an array of float32": lambda x: x + np.array([1.0, 0.5, -2.0, 3.0], np.float32),
    "an array of integers": lambda x: x * np.arange(4),
    "a column": lambda x: ops.subtract(COLUMN, x),
    "a constant with an axis for events": lambda x: x + np.ones((1, 3, 4)),
    "a constant that adds elements": lambda x: x[:, :1] * COLUMN,
    "a tensor of TensorFlow": lambda x: x + ops.convert_to_tensor([1.0, 2.0, 3.0, 4.0]),
    "broadcasting": lambda x: x[:, :1] - x[:, :, 1:2],
    "x[:, 1:3]": lambda x: x[:, 1:3],
    "x[:, 1]": lambda x: x[:, 1],
    "x[:, -1, ::2]": lambda x: x[:, -1, ::2],
    "x[..., 0]": lambda x: x[..., 0],
    "x[:, None]": lambda x: x[:, None],
    "x[:, :, 0, None]": lambda x: x[:, :, 0, None] + x,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "hard_tanh": ops.hard_tanh,
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.25),
    "add": lambda x: ops.add(x, x[:, ::-1]),
    "subtract": lambda x: ops.subtract(x, x[:, ::-1]),
    "multiply": lambda x: ops.multiply(0.125, x),
    "divide": lambda x: ops.divide(x, np.array([1.0, 2.0, 4.0, 0.25])),
    "multiply two": lambda x: ops.multiply(x, x[:, ::-1]),
    "x * y of other shapes": lambda x: x[:, :, :1] * x,
    "square": ops.square,
    "negative": ops.negative,
    "ops.abs": ops.abs,
    "maximum": lambda x: ops.maximum(x, x[:, ::-1]),
    "maximum with a constant": lambda x: ops.maximum(x, 0.5),
    "maximum with a fine constant": lambda x: ops.maximum(0.15625, x),
    "maximum with an array": lambda x: ops.maximum(x, np.array([1.0, 0.5, -2.0, 3.0])),
    "minimum": lambda x: ops.minimum(x, x[:, ::-1]),
    "minimum with a constant": lambda x: ops.minimum(x, -0.5),
    "clip": lambda x: ops.clip(x, -1, 1.5),
    "sum": lambda x: ops.sum(x, axis=1),
    "sum of the last": lambda x: ops.sum(x, axis=-1),
    "sum of all": lambda x: ops.sum(x, axis=(1, 2), keepdims=True),
    "mean": lambda x: ops.mean(x, axis=2),
    "mean, keepdims": lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    "max": lambda x: ops.max(x, axis=1),
    "amax": lambda x: ops.amax(x, axis=2),
    "min": lambda x: ops.min(x, axis=(2, 1), keepdims=True),
    "amin": lambda x: ops.amin(x, axis=1, keepdims=True),
    "concatenate": lambda x: ops.concatenate([x, ops.relu(x)], axis=1),
    "concatenate the last": lambda x: ops.concatenate([x, x[:, :, :1]], axis=-1),
    "append": lambda x: ops.append(x, x[:, :1], axis=1),
    "concatenate one after the other": lambda x: ops.concatenate([x[:, 1], x[:, :, 0]], axis=1),
    "hstack": lambda x: ops.hstack([x, -x]),
    "stack": lambda x: ops.stack([x, -x], axis=1),
    "stack the last": lambda x: ops.stack([x, -x], axis=-1),
    "reshape": lambda x: ops.reshape(x, (-1, 2, 6)),
    "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "moveaxis": lambda x: ops.moveaxis(x, 1, 2),
    "expand_dims": lambda x: ops.expand_dims(x, 1),
    "squeeze": lambda x: ops.squeeze(x[:, :1], 1),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "flip": lambda x: ops.flip(x, axis=1),
    "roll": lambda x: ops.roll(x, 1, axis=2),
    "rot90": lambda x: ops.rot90(x, axes=(1, 2)),
    "take": lambda x: ops.take(x, [2, 0, 0], axis=2),
    "take of negative numbers": lambda x: ops.take(x, np.array([-1, 0]), axis=1),
    "split": lambda x: [part * k for k, part in enumerate(ops.split(x, 2, axis=2), 1)],
    "split at places": lambda x: ops.split(x, [1, 2], axis=1)[1],
    "split, one part": lambda x: ops.split(x, 2, axis=2)[1],
    "unstack": lambda x: ops.unstack(x, axis=1)[::-1],
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (2, 1))),
    "pad with zeros": lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=0.0),
    "pad by reflection": lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1)), mode="reflect"),
    "diagonal": lambda x: ops.diagonal(x, axis1=1, axis2=2),
    "stop_gradient": ops.stop_gradient,
    "copy": ops.copy,
    "Rescaling": layers.Rescaling(0.5, offset=-1.0),
    "Rescaling of each feature": layers.Rescaling(
        [0.5, 1.0, 2.0, 3.0], offset=[1.0, 0.0, 0.0, 0.5]
    ),
    "Average": lambda x: layers.Average()([x, ops.relu(x)]),
    "Average of one row": lambda x: layers.Average()([x, x[:, :1]]),
    "Multiply": lambda x: layers.Multiply()([x, ops.relu(x), x[:, :1]]),
    "Dot of vectors": lambda x: layers.Dot(1)([x[:, 0], x[:, 1]]),
    "Dot of a vector and a matrix": lambda x: layers.Dot((1, 2))([x[:, 0], x]),
    "Dot of matrices": lambda x: layers.Dot((1, -2))([x, ops.relu(x)]),
    "Dot along the last axis": lambda x: layers.Dot(-1)([x, x[:, :2]]),
    "Add of other shapes": lambda x: layers.Add()([x, x[:, :1], x[:, :, 1:2]]),
    "Add of other ranks": lambda x: layers.Add()([x, x[:, 1]]),
    "Subtract of other ranks": lambda x: layers.Subtract()([x[:, 1], x]),
    "Maximum of other shapes": lambda x: layers.Maximum()([x[:, :1], x[:, :, :1]]),
    "Minimum of other ranks": lambda x: layers.Minimum()([x, x[:, 2]]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name, tmp_path):
    assert_itself(network(TAKEN[name]), "fixed<9,6>", folder=tmp_path)


EVENTS = ("it combines different events (axis 0)", "use the other axes only")
PICKED = ("it picks events (axis 0)", "begin with a colon, as in x[:, 1:3]")
UNKNOWN = "the operation {} has no exact lowering"
REAL = "the operation {} has real values, which no fixed-point type holds"
ROUNDED = "put a quantiser after it, which makes the two one table"
DIVIDES = (
    "it divides by a tensor",
    "quantise the reciprocal 1 / x, put a quantiser after that, and multiply by it",
)
REFUSED = {
    "a slice without elements": (
        lambda x: ops.concatenate([x, x[:, 2:2]], axis=1),
        "its output of the shape (0, 4) has no elements",
        "remove it",
    ),
    "a part without elements": (
        lambda x: ops.split(x, [0, 1], axis=1),
        "its output of the shape (0, 4) has no elements",
        "remove it",
    ),
    "x * 0.1": (
        lambda x: x * 0.1,
        "its constant 0.1 is not a fixed-point number of 24 bits",
        "use one, such as 0.10009765625",
    ),
    "x + pi": (
        lambda x: x + np.array([1.0, 2.0, 3.0, np.pi]),
        "its constant 3.141592653589793 is not a fixed-point number of 24 bits",
        "use one, such as 3.140625",
    ),
    "x + infinity": (
        lambda x: x + np.inf,
        "its constant is not finite",
        "use a finite one",
    ),
    "x / 3": (
        lambda x: x / 3,
        "it divides by 3, which is not a power of two",
        "divide by a power of two, or multiply by a fixed-point number such as 0.333984375",
    ),
    "1 / x": (lambda x: 1 / x, *DIVIDES),
    "x / y": (lambda x: x / x[:, ::-1], *DIVIDES),
    "constants / x": (lambda x: ops.divide(np.arange(4.0), x), *DIVIDES),
    "x ** 2": (
        lambda x: x**2,
        "Keras rounds powers, even of whole numbers",
        "write keras.ops.square(x), or x * x",
    ),
    "a normalised Dot": (
        lambda x: layers.Dot(1, normalize=True)([x[:, 0], x[:, 1]]),
        "it normalises its inputs",
        "use normalize=False, and quantised inputs",
    ),
    "a variable": (
        lambda x: x + keras.Variable([1.0, 2.0, 3.0, 4.0]),
        "it reads a variable, which may change",
        "use a constant or a layer",
    ),
    "constants far apart": (
        lambda x: x * np.array([1.0, 2.0**-60, 2.0, 3.0]),
        "its constant spans too many bits (the values need 62 bits)",
        "use constants of fewer bits",
    ),
    "a constant that TensorFlow flushes to zero": (
        lambda x: x * 2.0**-140,
        "its constant 7.17465e-43 is below 2^-126, and TensorFlow takes it for 0",
        "use a larger one",
    ),
    "mean of three": (
        lambda x: ops.mean(x, axis=1),
        "it divides by 3, which is not a power of two",
        'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), or '
        "average 2, 4, 8 … values",
    ),
    "sum over the events": (lambda x: x - ops.sum(x, axis=0, keepdims=True), *EVENTS),
    "sum of everything": (lambda x: x * ops.sum(x), *EVENTS),
    "max with an initial value": (
        lambda x: ops.max(x, axis=1, initial=0.5),
        "it has an initial value",
        "use initial=None, and compare afterwards",
    ),
    "clip of nothing": (
        lambda x: ops.clip(x, 1, -1),
        "its lower bound exceeds its upper bound",
        "exchange them",
    ),
    "clip between steps": (
        lambda x: ops.maximum(x, 2.0**-20),
        "the constant 9.53674e-07 is not a multiple of the step 0.125",
        "choose a multiple of the step",
    ),
    "pad with ones": (
        lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=1),
        "it pads with 1",
        "pad with zeros",
    ),
    "flip of everything": (ops.flip, *EVENTS),
    "roll of everything": (lambda x: ops.roll(x, 24), *EVENTS),
    "roll of the events": (lambda x: ops.roll(x, 2, axis=0), *EVENTS),
    "a concatenation of events": (
        lambda x: ops.concatenate([x, x]),
        *EVENTS,
    ),
    "a transpose of everything": (lambda x: x + ops.transpose(ops.transpose(x)), *EVENTS),
    "a reshape of the events": (lambda x: ops.reshape(x, (-1, 4)), *EVENTS),
    "a constant for each event": (lambda x: x + np.ones((2, 1, 4)), *EVENTS),
    "the events by dots": (lambda x: x[..., :2, :, :], *PICKED),
    "the first events": (lambda x: x[:2, :], *PICKED),
    "every other event": (lambda x: x[::2, :], *PICKED),
    "x // 2": (lambda x: x // 2, UNKNOWN.format("FloorDivide"), None),
    "sigmoid": (ops.sigmoid, REAL.format("Sigmoid"), ROUNDED),
    "elu": (ops.elu, REAL.format("Elu"), ROUNDED),
    "exp that something reads": (
        lambda x: ops.exp(x) + x,
        REAL.format("Exp"),
        ROUNDED,
    ),
    "matmul of events": (
        lambda x: ops.matmul(x[:, 0], ops.reshape(x, (-1, 4, 3))),
        *EVENTS,
    ),
    "a matrix times vectors": (lambda x: ops.matmul(np.ones((2, 1)), x[:, 0]), *EVENTS),
    "matmul with many matrices": (
        lambda x: ops.matmul(ops.reshape(x, (-1, 2, 3, 2)), np.ones((2, 2, 3))),
        "its constant has the shape (2, 2, 3), which is no matrix",
        "use a matrix",
    ),
    "einsum of events": (lambda x: ops.einsum("eij,fij->ef", x, x), *EVENTS),
    "einsum without an output": (
        lambda x: ops.einsum("eij,jk", x, MATRIX),
        "its equation eij,jk is not of two values and their output",
        "write one as in abc,acd->abd",
    ),
    "einsum of three": (
        lambda x: ops.einsum("eij,jk,kl->eil", x, MATRIX, ROWS),
        "its equation eij,jk,kl->eil is not of two values and their output",
        "write one as in abc,acd->abd",
    ),
    "einsum of a diagonal": (
        lambda x: ops.einsum("eii,ej->ei", x[:, :, :3], x[:, 0]),
        "its equation eii,ej->ei has one axis twice",
        "use each axis once, as in abc,cd->abd",
    ),
    "where without a comparison": (
        lambda x: ops.where(x, x, 1.0),
        "it chooses by something else than a comparison",
        "write it as keras.ops.where(x > 0, …)",
    ),
    "a comparison with a real number": (
        lambda x: ops.where(x > 0.1, x, 0.0),
        "its constant 0.1 is not a fixed-point number of 24 bits",
        "use one, such as 0.10009765625",
    ),
    "a difference of truths": (
        lambda x: (x > 0) - (x > 1),
        "Subtract computes with truth values as if they were numbers",
        'write keras.ops.cast(x, "float32") first, or keras.ops.where',
    ),
    "a sum of truths": (
        lambda x: (x > 0) + (x > 1),
        "Add computes with truth values as if they were numbers",
        'write keras.ops.cast(x, "float32") first, or keras.ops.where',
    ),
    "a layer of truths": (
        lambda x: layers.ReLU()(x > 0),
        "ReLU computes with truth values as if they were numbers",
        'write keras.ops.cast(x, "float32") first, or keras.ops.where',
    ),
    "numbers as truths": (
        lambda x: ops.where(ops.logical_and(x, x > 0), x, 0.0),
        "it takes numbers for truth values",
        "compare them first, as in x != 0",
    ),
    "cast to integers": (
        lambda x: ops.cast(x, "int32") * x,
        "it casts to int32, which changes values",
        'cast to "float32", or use a quantiser',
    ),
    "cumsum": (
        lambda x: ops.cumsum(x, axis=1),
        UNKNOWN.format("Cumsum"),
        "use QDense with a kernel of zeros and ones",
    ),
    "a constant that TensorFlow adds along the last axis": (
        lambda x: x[:, :, :3] + np.array([[0.5], [1.0], [2.0]], dtype=np.float32),
        "Keras on tensorflow adds values of the shape (3, 1) to the shape (3, 3) along another "
        "axis than NumPy does",
        "give it the shape (3, 3), as with numpy.broadcast_to",
    ),
    "Rescaling by 255": (
        layers.Rescaling(1 / 255),
        "its constant 0.00392156862745098 is not a fixed-point number of 24 bits",
        "use one, such as 0.003936767578125",
    ),
    "Average of three": (
        lambda x: layers.Average()([x, ops.relu(x), -x]),
        "it divides by 3, which is not a power of two",
        'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), or '
        "average 2, 4, 8 … values",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    function, reason, remedy = REFUSED[name]
    with pytest.raises(Inexact) as error:
        trigger.lower(network(function), "fixed<9,6>")
    problem = error.value.problems[0]
    assert problem.reason == reason
    assert problem.remedy == remedy or remedy is None


def test_the_reference_has_operations_with_arrays():
    model = network(lambda x: ops.clip(x, np.array([-1.0, 0.0, 0.5, 1.0]), 2.0))
    graph = trigger.lower(model, "fixed<9,6>")
    x = np.random.default_rng(0).integers(-32, 32, (100, 12)) / 8
    verdict = trigger.verify(model, [graph], x)
    assert verdict.equal, str(verdict)


@pytest.mark.parametrize("shape", [(3, 3), (1, 3), (3,)])
def test_constants_that_keras_adds_as_numpy_does(shape):
    constant = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 4
    model = network(lambda x: x[:, :, :3] + constant)
    graph = trigger.lower(model, "fixed<9,6>")
    x = np.random.default_rng(0).integers(-32, 32, (100, 12)) / 8
    assert trigger.verify(model, [graph], x).equal


def test_an_operation_that_was_changed_is_refused():
    model = network(lambda x: ops.sum(x, axis=1))
    (operation,) = [op for op in model.operations if type(op).__name__ == "Sum"]
    operation.axis = (2,)
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<9,6>")
    assert str(error.value.problems[0]) == (
        f"{operation.name}: its options were changed: its output no longer has the shape (4,). "
        "Remedy: make the network again."
    )


def test_an_operation_whose_call_was_replaced_is_refused():
    model = network(ops.relu)
    (operation,) = [op for op in model.operations if type(op).__name__ == "Relu"]
    operation.call = lambda x: 2 * x
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<9,6>")
    assert str(error.value.problems[0]) == (
        f"{operation.name}: its call was replaced and may compute anything. "
        "Remedy: use the operation as Keras has it."
    )
