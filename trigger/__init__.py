"""The trigger compiler: quantised Keras networks as FPGA firmware, equal to the bit or refused.

>>> import trigger
>>> graph = trigger.lower(model)                 # doctest: +SKIP
>>> csim = graph.to_hls4ml("firmware").compile() # doctest: +SKIP
>>> bool(trigger.verify(model, [graph, csim], x)) # doctest: +SKIP
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trigger.errors import TriggerError

if TYPE_CHECKING:
    from trigger.api import Graph, build, lower, verify
    from trigger.frontends.inexact import Inexact
    from trigger.testing import assert_bit_exact

__version__ = "0.1.0"
__all__ = ["Graph", "Inexact", "TriggerError", "assert_bit_exact", "build", "lower", "verify"]

# Nothing heavy is imported until it is asked for: `trigger --help` answers at once.
_HOMES = {"Inexact": "trigger.frontends.inexact", "assert_bit_exact": "trigger.testing"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "trigger.api")), name)
    raise AttributeError(f"module 'trigger' has no attribute {name!r}")
