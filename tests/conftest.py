"""Shared by all tests: Keras started once and quietly, a build made once, small networks compiled together."""

import os
import shutil
import textwrap
from pathlib import Path

import hypothesis
import pytest
from made_once import made_once

from trigger.frontends import keras_backend

# The same examples on every machine, however loaded it is.
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="run the long campaigns too")


def pytest_configure(config):
    config.addinivalue_line("markers", "full: a long campaign, run by `make test-full`")
    config.addinivalue_line(
        "markers", "minutes: the module takes minutes on one worker, and is started first"
    )
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # One worker a core: more threads only wait for each other, a third of all processor time.
    for library in (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
    ):
        os.environ.setdefault(library, "1")
    # Most trainings take a few steps: optimising their code takes longer than they do.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: item.get_closest_marker("minutes") is None)
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="a long campaign; run it with --full"))


@pytest.fixture(scope="session", autouse=True)
def _keras():
    keras_backend.start()
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")


@pytest.fixture(scope="session")
def higgs():
    """The UCI HIGGS sample, where it is at hand beside the project."""
    path = Path(__file__).resolve().parents[2] / "shared" / "data" / "higgs" / "higgs.csv"
    if not path.is_file():
        pytest.skip("the UCI HIGGS sample is not at hand")
    return path


SMALL_TOML = """
name = "small"
task = "classification"

[data]
files = ["events.csv"]
features = ["a", "b", "c"]
label = "kind"
classes = ["signal", "background"]

[model]
function = "network"

[training]
epochs = 6
batch_size = 64
learning_rate = 0.02

[pruning]
sparsity = 0.5
end_epoch = 3

[inputs]
type = "fixed<5,2>"

[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""

SMALL_MODEL = """
import keras
from qkeras import QActivation, QDense


def network(features, classes):
    x = inputs = keras.Input((features,))
    weights = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": "quantized_bits(4,0,alpha=1)"}
    x = QDense(4, **weights, name="hidden")(x)
    x = QActivation("quantized_relu(3,1)", name="relu")(x)
    x = QDense(classes, **weights, name="out")(x)
    return keras.Model(inputs, x)
"""


def write_small_trigger(folder: Path) -> Path:
    """A trigger that builds in seconds: 3-4-2 on 600 events of two Gaussians."""
    import numpy as np

    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    kinds = rng.integers(0, 2, 600)
    x = rng.normal(size=(600, 3)) + np.where(kinds == 0, 0.7, -0.7)[:, None]
    rows = [
        f"{a:.4f},{b:.4f},{c:.4f},{'signal' if k == 0 else 'background'}"
        for (a, b, c), k in zip(x, kinds, strict=True)
    ]
    (folder / "events.csv").write_text("\n".join(["a,b,c,kind", *rows]) + "\n")
    (folder / "trigger.toml").write_text(textwrap.dedent(SMALL_TOML))
    (folder / "model.py").write_text(SMALL_MODEL)
    return folder


@pytest.fixture(scope="session")
def _small_build(tmp_path_factory):
    from trigger.workflow.build import build

    base = made_once(
        tmp_path_factory,
        "small",
        lambda base: build(str(write_small_trigger(base / "trigger")), base / "build"),
    )
    return base / "trigger", base / "build" / "small"


@pytest.fixture
def small_build(_small_build, tmp_path):
    """A finished build of the small trigger, the test's own: (its trigger folder, its build folder)."""
    source, root = _small_build
    shutil.copytree(source, tmp_path / "trigger")
    shutil.copytree(root, tmp_path / "build" / "small", symlinks=True)
    return tmp_path / "trigger", tmp_path / "build" / "small"
