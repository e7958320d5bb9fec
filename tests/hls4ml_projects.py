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
