"""The origin of code: Keras, QKeras, HGQ2, or the user."""

from typing import Any

# The packages whose arithmetic is known.
_LIBRARIES = ("keras", "qkeras", "hgq", "trigger", "tensorflow", "jax", "torch", "builtins")
# Methods that a user's class may override: training, saving and printing, not the outputs.
HARMLESS = (
    "compile", "compile_from_config", "compute_loss", "compute_metrics", "evaluate", "fit",
    "from_config", "get_compile_config", "get_config", "get_metrics_result", "load_weights",
    "metrics", "reset_metrics", "save", "save_weights", "summary", "test_step", "train_step",
)  # fmt: skip


def module_of(thing: Any) -> str:
    """The module in which a class or function was written.

    functools.wraps does not affect the result.
    """
    function = getattr(thing, "__func__", thing)
    its_globals = getattr(function, "__globals__", None)  # a descriptor, of the class of functions
    written = its_globals.get("__name__") if isinstance(its_globals, dict) else None
    return str(written or getattr(thing, "__module__", None) or type(thing).__module__)


def is_library(thing: Any) -> bool:
    """Whether a class or function is one of Keras, its backends, QKeras, HGQ2 or this package."""
    return module_of(thing).partition(".")[0] in _LIBRARIES
