"""Pythia 8 for the generators: a configured instance, and the packages that determine its
output.
"""

import importlib
from typing import Any

from trigger.errors import TriggerError

# Pythia takes seeds up to 900,000,000.
_LARGEST_SEED = 899_999_999


def require(module: str) -> Any:
    """A module of the extra ``generator``. Raises TriggerError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise TriggerError(
            f"events: the generator needs the package {error.name!r}; "
            "install it with: pip install 'trigger-compiler[generator]'"
        ) from error


def configured(settings: tuple[str, ...], seed: int) -> Any:
    """An initialised Pythia instance. Raises TriggerError for a setting that it refuses."""
    pythia = require("pythia8mc").Pythia("", False)
    for line in (
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {1 + seed % _LARGEST_SEED}",
        *settings,
    ):
        if not pythia.readString(line):
            raise TriggerError(f"events: Pythia refuses the setting {line!r}")
    if not pythia.init():
        raise TriggerError("events: Pythia could not be initialised")
    return pythia


def versions(*names: str) -> dict[str, str]:
    """Versions of the packages that determine generated numbers."""
    from importlib.metadata import version

    return {name: version(name) for name in ("pythia8mc", "numpy", *names)}
