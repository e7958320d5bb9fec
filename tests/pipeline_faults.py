"""What the tests of faults in a pipeline share, in Verilog and VHDL: the network, how a text is changed, what is said."""

import re

import keras
from battery import randomize
from qkeras import QActivation, QDense

from trigger.backends.rtl.verilator import RtlFailed

W = "quantized_bits(4,1,alpha=1)"
STALE = r"f\d+ gave \d+ results after a reset for events from before it"
COUNT = r"f\d+ gave -?\d+ results for \d+ events"
MOVED = r"f\d+ changed its result \d+ times while the clock enable was low"
LATE = r"f\d+ took \d+ to \d+ clock cycles; \d+ were promised"


def network(features: int, seed: int) -> keras.Model:
    x = inputs = keras.Input((features,))
    x = QActivation("quantized_bits(5,2,alpha=1)")(x)
    x = QDense(4, kernel_quantizer=W, bias_quantizer=W)(x)
    x = QActivation("quantized_relu(6,3)")(x)
    return randomize(keras.Model(inputs, QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)), seed)


def replaced(old: str, new: str):
    """The text with the first match of a pattern replaced."""

    def change(text: str) -> str:
        changed, count = re.subn(old, new, text, count=1, flags=re.DOTALL)
        assert count == 1, old
        return changed

    return change


def named(text: str, name: str) -> str:
    """The sources of the core ``net`` under another name."""
    return re.sub(r"\bnet(?=\b|_)", name, text)


def found(simulation, x, expected) -> str:
    """What verification finds: back to back, and with gaps, stalls and resets."""
    said = []
    for stalls in (False, True):
        try:
            said.append("different" if (simulation.run(x, stalls=stalls) != expected).any() else "")
        except RtlFailed as failure:
            said.append(str(failure).removeprefix("rtl: "))
    return next(filter(None, said), "")
