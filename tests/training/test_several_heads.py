"""Networks that a build with heads refuses, and those of several outputs that it takes without."""

import keras
import pytest

from trigger import TriggerError
from trigger.spec.spec import parse
from trigger.training import network

TOML = """
name = "heads"
{head}
[data]
files = ["x.csv"]
features = ["a", "b"]
{label}
classes = ["u", "c", "b"]
[model]
{model}
[inputs]
type = "ufixed<16,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
{heads}
"""
HEADS = """
[heads.flavour]
task = "classification"
[heads.energy]
task = "regression"
label = "true_energy"
"""
BODY = """
import keras


def network(features, heads):
    inputs = keras.Input((features,))
    flavour = keras.layers.Dense(3, name="flavour")(inputs)
    energy = keras.layers.Dense(1, name="energy"{activation})(inputs)
    return keras.Model(inputs, {outputs}, name="two")
"""


def spec(folder, heads=HEADS, label='label = "kind"', model='function = "network"'):
    head = "" if heads else 'task = "classification"'
    text = TOML.format(head=head, heads=heads, label=label, model=model)
    return parse(text, folder / "trigger.toml")


def made(folder, outputs, activation="", **changes):
    (folder / "model.py").write_text(BODY.format(outputs=outputs, activation=activation))
    return network.make(spec(folder, **changes), folder)


@pytest.mark.parametrize("outputs", ["[flavour, energy]", '{"flavour": flavour, "energy": energy}'])
def test_a_network_of_the_heads_is_taken(outputs, tmp_path):
    """Keras sorts the outputs of a dictionary; those of the build are in the order of the heads."""
    model = made(tmp_path, outputs)
    assert [tensor.shape[-1] for tensor in model.outputs] == [3, 1]
    assert model.name == "two"


REFUSED = {
    "the other order": (
        {"outputs": "[energy, flavour]"},
        "returns a network of the outputs energy, flavour, in this order; the heads are flavour, "
        "energy: order them alike",
    ),
    "other sizes": (
        {"outputs": "[keras.layers.Dense(2)(inputs), energy]"},
        "returns a network of outputs of 2, 1 values; the heads need flavour 3, energy 1, in this "
        "order",
    ),
    "one output": (
        {"outputs": "flavour"},
        "returns a network of outputs of 3 values; the heads need flavour 3, energy 1, in this "
        "order",
    ),
    "names in another order": (
        {
            "outputs": "[flavour, energy]",
            "heads": HEADS.replace("flavour", "x")
            .replace("energy]", "flavour]")
            .replace("heads.x", "heads.energy"),
        },
        "returns a network of the outputs flavour, energy, in this order; the heads are energy, "
        "flavour: order them alike",
    ),
    "a sigmoid of a regression": (
        {"outputs": "[flavour, energy]", "activation": ', activation="sigmoid"'},
        "returns a network whose output energy, a regression, ends in a sigmoid; end it in a layer "
        "without an activation, or in a quantiser",
    ),
    "no heads": (
        {"outputs": "[flavour, energy]", "heads": ""},
        "returns a network of 2 outputs; give each a table in [heads], or make a network of one, "
        "as in keras.Model(model.inputs, model.outputs[0])",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    asked, message = REFUSED[name]
    with pytest.raises(TriggerError) as caught:
        made(tmp_path, **asked)
    assert str(caught.value) == f"{tmp_path / 'model.py'}: network() {message}"


def test_outputs_of_a_trained_network_for_unlabelled_events_are_one_vector(tmp_path):
    inputs = keras.Input((2,))
    outputs = [keras.layers.Dense(n, name=f"d{n}")(inputs) for n in (2, 1)]
    keras.Model(inputs, outputs).save(tmp_path / "net.keras")
    asked = spec(tmp_path, heads="", label="", model='network = "net.keras"')
    model = network.trained(asked, tmp_path)
    assert [tensor.shape[-1] for tensor in model.outputs] == [2, 1]
