"""Projects written by hls4ml 0.8.1, lowered from their C++, against their own csim.

``make test-old-hls4ml`` makes an environment with that release and runs this script. The release
needs a TensorFlow that no supported Python has; conversion of a list of layers does not use it, so
empty modules take its place, and that of QKeras.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

PROJECTS = {
    "parallel": ("io_parallel", "Latency", 1),
    "resource": ("io_parallel", "Resource", 2),
    "stream": ("io_stream", "Resource", 2),
}
UNUSED = (
    "qkeras", "qkeras.quantizers", "qkeras.qlayers", "qkeras.utils", "tensorflow",
    "tensorflow.keras", "tensorflow.keras.layers", "tensorflow.keras.models",
)  # fmt: skip
# Inputs, neurons of the hidden layer, outputs.
SIZES = (4, 6, 3)


class _Empty(ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def write(folder: Path) -> None:
    """The projects, written by the hls4ml of this interpreter."""
    sys.modules.update({name: _Empty(name) for name in UNUSED})
    from hls4ml.model import ModelGraph
    from hls4ml.utils.config import create_config

    for name, (io_type, strategy, reuse) in PROJECTS.items():
        config = create_config(
            output_dir=str(folder / name), project_name="old", backend="Vivado", io_type=io_type
        )
        config["HLSConfig"] = {
            "Model": {"Precision": "ap_fixed<16,6>", "ReuseFactor": reuse, "Strategy": strategy}
        }
        for kind, layers in (("", _layers), ("_image", _image)):
            config["OutputDir"] = str(folder / f"{name}{kind}")
            ModelGraph(config, layers(np.random.default_rng(2))).write()


def _layers(rng: np.random.Generator) -> list[dict[str, Any]]:
    inputs, hidden, outputs = SIZES
    of_norm = {
        f"{name}_data": abs(rng.normal(size=hidden)) + 0.3
        for name in ("gamma", "beta", "mean", "variance")
    }
    return [
        {"class_name": "InputLayer", "name": "x", "input_shape": [inputs]},
        _dense(rng, "fc", inputs, hidden, "x"),
        {
            "class_name": "Activation", "name": "act", "activation": "relu", "n_in": hidden,
            "inputs": ["fc"],
        },
        {
            "class_name": "BatchNormalization", "name": "bn", "n_in": hidden, "n_filt": -1,
            "epsilon": 0.001, "use_gamma": True, "use_beta": True, "inputs": ["act"], **of_norm,
        },
        _dense(rng, "scores", hidden, outputs, "bn"),
    ]  # fmt: skip


def _image(rng: np.random.Generator) -> list[dict[str, Any]]:
    """A convolution of an image of 6 × 6, with 2 channels and 3 filters, and its maxima."""
    return [
        {"class_name": "InputLayer", "name": "x", "input_shape": [6, 6, 2]},
        {
            "class_name": "Conv2D", "name": "conv", "inputs": ["x"], "use_bias": True,
            **_window("filt", 6, 3, 1), "n_chan": 2, "n_filt": 3,
            "weight_data": rng.normal(size=(3, 3, 2, 3)), "bias_data": rng.normal(size=3),
            "weight_quantizer": None, "bias_quantizer": None,
        },
        {
            "class_name": "Activation", "name": "act", "activation": "relu", "inputs": ["conv"],
            "n_in": 48,
        },
        {
            "class_name": "MaxPooling2D", "name": "most", "inputs": ["act"], "n_filt": 3,
            **_window("pool", 4, 2, 2),
        },
        {"class_name": "Reshape", "name": "flat", "inputs": ["most"], "target_shape": [12]},
        _dense(rng, "scores", 12, 3, "flat"),
    ]  # fmt: skip


def _window(name: str, size: int, window: int, stride: int) -> dict[str, Any]:
    """Square windows on a square image."""
    outputs = (size - window) // stride + 1
    sides = {
        f"{field}_{side}": value
        for side in ("height", "width")
        for field, value in (("in", size), (name, window), ("stride", stride), ("out", outputs))
    }
    pads = {f"pad_{side}": 0 for side in ("top", "bottom", "left", "right")}
    return {"data_format": "channels_last", "padding": "valid", **sides, **pads}


def _dense(
    rng: np.random.Generator, name: str, inputs: int, outputs: int, source: str
) -> dict[str, Any]:
    return {
        "class_name": "Dense", "name": name, "n_in": inputs, "n_out": outputs, "use_bias": True,
        "weight_data": rng.normal(size=(inputs, outputs)), "bias_data": rng.normal(size=outputs),
        "weight_quantizer": None, "bias_quantizer": None, "inputs": [source],
    }  # fmt: skip


def differing(folder: Path) -> tuple[int, int]:
    """In how many vectors and random events graph and csim differ, and how many there are."""
    from trigger.fixedpoint.evaluate import quantize_inputs, run
    from trigger.frontends.hls4ml import network
    from trigger.verification import vectors

    project = network.load(folder)
    graph = network.lower(project, None)
    kind = graph.input.types[0]
    random = np.random.default_rng(0).integers(
        kind.minimum, kind.maximum + 1, (5000, project.features)
    )
    x = np.concatenate([quantize_inputs(graph, vectors.generate(graph, 0).all), random])
    real = np.ldexp(x.astype(np.float64), -graph.input.fractions)
    expected = np.ldexp(network.Reference(project).predict(real), graph.output.fractions)
    return int((run(graph, x) != expected).any(axis=1).sum()), len(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="a Python with hls4ml 0.8.1")
    parser.add_argument("--write", type=Path, help="only write the projects into this folder")
    options = parser.parse_args()
    if options.write is not None:
        write(options.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [options.python, __file__, "--write", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        projects = [path for path in sorted(Path(folder).iterdir()) if path.is_dir()]
        found = {project.name: differing(project) for project in projects}
    for name, (wrong, events) in found.items():
        print(f"{name}: {wrong} of {events:,} events differ")
    if any(wrong for wrong, _ in found.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
