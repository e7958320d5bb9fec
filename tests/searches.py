"""Searches of the small trigger, and points of their study."""

from pathlib import Path

from conftest import write_small_trigger

from trigger.search.trial import COMPLETE, Outcome, Task

SEARCH = """
[search]
metric = "accuracy"

[search.parameters]
"pruning.sparsity" = { low = 0.2, high = 0.8 }
"training.seed" = { low = 1, high = 1000 }
"inputs.type" = { choices = ["fixed<4,2>", "fixed<5,2>"] }
"""


# What makes every loss infinite in float32, and changes nothing else.
NO_NUMBER = (
    "keras.Input((features,))",
    "keras.Input((features,))\n    x = keras.layers.ActivityRegularization(l2=1e38)(x)",
)


def searched(folder: Path, search: str = SEARCH) -> Path:
    """The small trigger with a search; returns its trigger.toml."""
    path = write_small_trigger(folder) / "trigger.toml"
    path.write_text(path.read_text() + search)
    return path


def outcome(metric, lut, latency_ns, *rungs):
    return Outcome(COMPLETE, "", metric, lut, 10 * lut, latency_ns, "00000000", rungs)


def task(path, bars=(float("inf"),) * 3, files=None):
    return Task(path.read_text(), str(path.parent), files or {}, bars)
