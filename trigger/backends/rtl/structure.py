"""The pipelined core as data: which value goes where. ``core`` makes it, and ``emit`` writes it in
one HDL or the other.

Values are numbered as in ``Logic``. Stage k reads the registers ``r<k>_v<value>`` and makes the
wires ``s<k>_v<value>`` in one block of combinational logic per active layer; the registers of the
last stage hold the outputs.
"""

from typing import NamedTuple

from alkaid.types import CombLogic

from trigger.backends.rtl.image import WORD_BITS
from trigger.backends.rtl.interface import Interface


class Bits(NamedTuple):
    """``width`` bits of ``signal`` from bit ``low`` up; if ``signal`` is empty, the integer
    ``low``.
    """

    signal: str
    low: int
    width: int


class Wire(NamedTuple):
    """A port of a block: the value, its width, and the connected signal of the core."""

    value: int
    width: int
    signal: str


class Block(NamedTuple):
    """The combinational logic of one layer in one stage; ports in the order of ``logic``'s inputs
    and outputs. The products at the places ``dsp`` are for DSP blocks.
    """

    name: str
    stage: int
    layer: str
    logic: CombLogic
    inputs: tuple[Wire, ...]
    outputs: tuple[Wire, ...]
    dsp: tuple[int, ...] = ()


class Register(NamedTuple):
    """A register at the entry of ``stage``: it takes ``source`` at every enabled clock edge; if it
    is ``held``, only when an event enters the stage, and if it is ``loaded``, only when the first
    event with another image does.
    """

    name: str
    stage: int
    source: Bits
    held: bool = False
    loaded: bool = False

    @property
    def width(self) -> int:
        return self.source.width


class Form(NamedTuple):
    """A module for the positions at which some inputs of a kernel, ``zero``, are always zero: the
    kernel with zeros there, which synthesis simplifies. It has ``register_bits`` then.
    """

    name: str
    zero: frozenset[Wire]
    register_bits: int


class Kernel(NamedTuple):
    """A module for several positions of a layer: blocks and registers with stages of its own.

    The values of its ports are those of its logic. A value that it reads in several stages has an
    input for each, whose register is outside, because other positions may read it, too.
    The instances are of its ``forms``. The only one without zeros is the kernel itself.
    """

    name: str
    blocks: tuple[Block, ...]
    registers: tuple[Register, ...]
    inputs: tuple[Wire, ...]
    outputs: tuple[Wire, ...]
    forms: tuple[Form, ...]

    @property
    def wrappers(self) -> tuple[Form, ...]:
        """The forms that are modules around the kernel."""
        return tuple(form for form in self.forms if form.name != self.name)


class Phase(NamedTuple):
    """A counter of the clock cycles since an event entered ``stage``, for ``phases`` positions."""

    stage: int
    phases: int

    @property
    def name(self) -> str:
        return f"phase_s{self.stage}_of_{self.phases}"

    @property
    def width(self) -> int:
        return (self.phases - 1).bit_length()


class Choice(NamedTuple):
    """A signal that is one of ``sources``: the first in phase 0, and so on."""

    signal: str
    phase: Phase
    sources: tuple[Bits, ...]

    @property
    def width(self) -> int:
        return self.sources[0].width


class Connection(NamedTuple):
    """A port of a module, and the connected signal of the core."""

    port: str
    signal: str


class Instance(NamedTuple):
    """A copy of a kernel; ``outputs`` are its signals of the core."""

    name: str
    module: str
    connections: tuple[Connection, ...]
    outputs: tuple[Wire, ...]


class Core(NamedTuple):
    """A whole design; ``results`` are the bits of ``y``, lowest first.

    ``image`` has the words of the weights after a reset, if others can be loaded.
    """

    interface: Interface
    blocks: tuple[Block, ...]
    kernels: tuple[Kernel, ...]
    instances: tuple[Instance, ...]
    registers: tuple[Register, ...]
    results: tuple[Bits, ...]
    choices: tuple[Choice, ...] = ()
    image: tuple[int, ...] = ()

    @property
    def loads(self) -> int:
        """The stages that an image goes through, from the first one to the last that reads it."""
        return max([1, *(register.stage for register in self.registers if register.loaded)])

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The counters that the choices read."""
        return tuple(dict.fromkeys(choice.phase for choice in self.choices))

    @property
    def register_bits(self) -> int:
        """The number of flip-flops, for data, the valid bit and the counters."""
        own = sum(register.width for register in self.registers) + self.interface.latency
        own += sum(phase.width for phase in self.phases)
        if self.image:
            own += WORD_BITS * (len(self.image) + 1) + self.loads
        bits = {form.name: form.register_bits for kernel in self.kernels for form in kernel.forms}
        return own + sum(bits[instance.module] for instance in self.instances)

    @property
    def every_block(self) -> list[Block]:
        """The blocks of the core and of its kernels."""
        return [*self.blocks, *(block for kernel in self.kernels for block in kernel.blocks)]
