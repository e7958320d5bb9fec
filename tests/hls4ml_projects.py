"""Projects as hls4ml itself writes them, with default types and with types of every mode."""

import contextlib
import io

import keras
import numpy as np


def network(hidden=4, inputs=3, outputs=2, softmax=False):
    """Two dense layers with ReLU between them; weights of many bits."""
    rng = np.random.default_rng(5)
    x = source = keras.Input((inputs,), name="x")
    x = keras.layers.Dense(hidden, name="fc")(x)
    x = keras.layers.Activation("relu", name="act")(x)
    x = keras.layers.Dense(outputs, name="scores")(x)
    if softmax:
        x = keras.layers.Activation("softmax", name="probabilities")(x)
    made = keras.Model(source, x)
    made.set_weights([rng.normal(size=w.shape) for w in made.get_weights()])
    return made


def activations(layers):
    """One dense layer, and a branch for each activation; the outputs are those of all branches."""
    rng = np.random.default_rng(7)
    source = keras.Input((3,), name="x")
    x = keras.layers.Dense(4, name="fc")(source)
    branches = [layer(x) for layer in layers]
    y = branches[0]
    for k, branch in enumerate(branches[1:]):
        y = keras.layers.Concatenate(name=f"both_{k}")([y, branch])
    made = keras.Model(source, y)
    made.set_weights([rng.normal(scale=1.5, size=w.shape) for w in made.get_weights()])
    return made


def ending_in(activation, hidden):
    """A binary classifier with one output; ``hidden`` is the activation in its middle."""
    rng = np.random.default_rng(5)
    x = source = keras.Input((3,), name="x")
    x = keras.layers.Dense(4, hidden, name="fc")(x)
    x = keras.layers.Dense(1, name="score")(x)
    x = keras.layers.Activation(activation, name="probability")(x)
    made = keras.Model(source, x)
    made.set_weights([rng.normal(size=w.shape) for w in made.get_weights()])
    return made


def write_default(folder, model, io_type="io_parallel", strategy="Latency", reuse=1, layers=None):
    """A project with the types ``ap_fixed<16,6>`` everywhere, or those of ``layers`` by name."""
    import hls4ml

    config = {
        "Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": reuse, "Strategy": strategy},
        "LayerName": layers or {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        project = hls4ml.converters.convert_from_keras_model(
            model,
            hls_config=config,
            output_dir=str(folder),
            project_name="tiny",
            backend="Vitis",
            io_type=io_type,
            allow_da_fallback=False,
        )
        project.write()
    return folder
