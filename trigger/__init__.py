"""The trigger compiler: quantised Keras networks as FPGA firmware, equal to the bit or refused.

>>> import trigger
>>> graph = trigger.lower(model)                 # doctest: +SKIP
>>> csim = graph.to_hls4ml("firmware").compile() # doctest: +SKIP
>>> bool(trigger.verify(model, [graph, csim], x)) # doctest: +SKIP
True

lower             a trained network as the fixed-point graph that computes the same integers
Graph             that graph: predict, run, to_hls4ml, to_rtl
verify            compare graphs, csims and RTL with the network
assert_bit_exact  the same as an assertion, for tests
build             run `trigger build`: from trigger.toml to the report
Report            verdict and figures of a finished build
Inexact           raised where a network cannot be exact: layer, reason, remedy
TriggerError      raised for every other error that the user can correct

trigger.onnx reads quantised networks in ONNX, such as those of Brevitas.
trigger.trees reads boosted trees, and writes those of scikit-learn so that they can be read.
trigger.quantizers has quantisers whose bit widths are learned, for the networks of a model.py.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trigger.errors import TriggerError
from trigger.support import loaded as _loaded  # noqa: F401 - it notes how the files are now

if TYPE_CHECKING:
    from trigger.api import Graph, build, lower, verify
    from trigger.frontends.inexact import Inexact
    from trigger.testing import assert_bit_exact
    from trigger.workflow.opened import Report

    __version__: str

__all__ = [
    "Graph",
    "Inexact",
    "Report",
    "TriggerError",
    "assert_bit_exact",
    "build",
    "lower",
    "verify",
]

# Heavy modules are imported on demand, so that `trigger --help` is instant.
_HOMES = {
    "Inexact": "trigger.frontends.inexact",
    "Report": "trigger.workflow.opened",
    "assert_bit_exact": "trigger.testing",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING", "import_module"})


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "trigger.api")), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("trigger-compiler")
    raise AttributeError(f"module 'trigger' has no attribute {name!r}")
