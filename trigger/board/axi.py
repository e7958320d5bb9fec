"""The ports of a payload behind AXI, declared once: the RTL and its IP-XACT description follow."""

from collections.abc import Iterator
from typing import NamedTuple

_READ_FROM_HOST = ("ARADDR", "ARPROT", "ARVALID", "RREADY")
_WRITE_FROM_HOST = ("AWADDR", "AWPROT", "AWVALID", "WDATA", "WSTRB", "WVALID", "BREADY")


class AxiPort(NamedTuple):
    """A port; ``interface`` and ``signal`` are what it is in its bus interface."""

    name: str
    direction: str
    width: int
    interface: str
    signal: str


class Widths(NamedTuple):
    """Bits of a beat in, of a beat out, and of a byte address of the registers."""

    beat_in: int
    beat_out: int
    address: int


def axi_ports(widths: Widths) -> tuple[AxiPort, ...]:
    """All ports in their order."""
    return (
        AxiPort("aclk", "input", 1, "aclk", "CLK"),
        AxiPort("aresetn", "input", 1, "aresetn", "RST"),
        *_stream("s_axis", {"TDATA": widths.beat_in, "TLAST": 1, "TUSER": 2}, ("input", "output")),
        *_stream("m_axis", {"TDATA": widths.beat_out, "TLAST": 1}, ("output", "input")),
        *_registers(widths.address),
        AxiPort("error", "output", 1, "", ""),
    )


def _stream(name: str, data: dict[str, int], directions: tuple[str, str]) -> Iterator[AxiPort]:
    """A stream: the directions of its data and of its handshake."""
    forward, back = directions
    yield AxiPort(f"{name}_tvalid", forward, 1, name, "TVALID")
    yield AxiPort(f"{name}_tready", back, 1, name, "TREADY")
    for signal, width in data.items():
        yield AxiPort(f"{name}_{signal.lower()}", forward, width, name, signal)


def _registers(address: int) -> Iterator[AxiPort]:
    widths = {
        "AWADDR": address,
        "AWPROT": 3,
        "AWVALID": 1,
        "AWREADY": 1,
        "WDATA": 32,
        "WSTRB": 4,
        "WVALID": 1,
        "WREADY": 1,
        "BRESP": 2,
        "BVALID": 1,
        "BREADY": 1,
        "ARADDR": address,
        "ARPROT": 3,
        "ARVALID": 1,
        "ARREADY": 1,
        "RDATA": 32,
        "RRESP": 2,
        "RVALID": 1,
        "RREADY": 1,
    }
    for signal, width in widths.items():
        direction = "input" if signal in (*_READ_FROM_HOST, *_WRITE_FROM_HOST) else "output"
        yield AxiPort(f"s_axi_{signal.lower()}", direction, width, "s_axi", signal)
