"""The table ``target`` of trigger.toml: the FPGA, known or described by the user, and its use."""

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from trigger.errors import TriggerError, quoted
from trigger.spec.parts import TOTALS, Part, families, own_part, part
from trigger.spec.tables import Name, Positive, PositiveInt, Section, nearest

# Results that wait longer would fill the FPGA with registers.
MOST_CYCLES = 1000
# The clocks of boards are multiples of that of the LHC, 40.079 MHz, which are named by this.
NOMINAL_MHZ = 40


def cycles_per_crossing(clock_mhz: float) -> int:
    """The whole clock cycles from one bunch crossing to the next."""
    return int(clock_mhz / NOMINAL_MHZ)


def strategy_problem(backend: str, strategy: str, reuse_factor: int) -> str | None:
    """Why hls4ml does not support a combination of its options, or would ignore one; or None."""
    if strategy == "distributed_arithmetic" and backend not in ("Vitis", "Vivado"):
        return f"{backend} has no distributed_arithmetic; Vitis and Vivado have"
    if strategy == "latency" and backend in ("Quartus", "oneAPI"):
        return f"{backend} has no latency strategy; use resource"
    if strategy != "resource" and reuse_factor != 1:
        return f"the strategy {strategy} needs reuse_factor 1; resource shares multipliers"
    return None


class Device(Section):
    """An FPGA described by the user: its family, its totals, and its delay relative to
    UltraScale+.
    """

    family: Name
    lut: PositiveInt | None = None
    ff: PositiveInt | None = None
    dsp: Annotated[int, Field(ge=0)] | None = None
    bram: Annotated[int, Field(ge=0)] | None = None
    delay: Positive | None = None

    @model_validator(mode="after")
    def _has_a_delay(self) -> "Device":
        if self.family not in families() and self.delay is None:
            hint = nearest(self.family, families())
            raise ValueError(
                f"family is {quoted(self.family)}, whose delay is unknown{hint}; set "
                f"delay too: its "
                "logic delay relative to UltraScale+ of speed grade -2"
            )
        return self


class Synth(Section):
    """The open synthesis of a build, which is stopped after ``minutes``."""

    minutes: Positive = 4


class Target(Section):
    """The FPGA and how hls4ml is to use it."""

    device: Device | None = None
    part: str
    clock_mhz: Annotated[float, Field(gt=0, lt=2000)]
    latency_cycles: Annotated[int, Field(ge=1, le=MOST_CYCLES)] | None = None
    ii: Annotated[int, Field(ge=1, le=MOST_CYCLES)] = 1
    weights: Literal["constant", "reloadable"] = "constant"
    multipliers: Literal["lut", "dsp", "auto"] = "lut"
    backend: Literal["Vitis", "Vivado", "Quartus", "oneAPI", "Catapult"] = "Vitis"
    strategy: Literal["latency", "resource", "distributed_arithmetic"] = "latency"
    reuse_factor: PositiveInt | None = None

    @field_validator("part")
    @classmethod
    def _is_known(cls, value: str, info: ValidationInfo) -> str:
        """``device`` is checked first: a described device may have any valid name."""
        if info.data.get("device") is not None:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", value):
                raise ValueError(
                    f"{quoted(value)} cannot name a part; use letters, digits and . + - _"
                )
            return value
        try:
            return part(value).name
        except TriggerError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _is_of_hls4ml(self) -> "Target":
        problem = strategy_problem(self.backend, self.strategy, self.sharing)
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def reloadable(self) -> bool:
        """Whether hardware can get other weights."""
        return self.weights == "reloadable"

    @property
    def sharing(self) -> int:
        """hls4ml's reuse factor: by default, multipliers are shared in as many clock cycles as an
        event leaves.
        """
        if self.reuse_factor is not None:
            return self.reuse_factor
        return self.ii if self.strategy == "resource" else 1

    @property
    def fpga(self) -> Part:
        """The FPGA data."""
        if self.device is None:
            return part(self.part)
        totals = self.device.model_dump(include=set(TOTALS))
        return own_part(self.part, self.device.family, self.device.delay, totals)
