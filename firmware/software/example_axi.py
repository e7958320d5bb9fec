"""Show the counters of a trigger behind AXI4-Lite, and set a prescale if asked, on Linux:

    python example_axi.py /dev/uio0 [--base BYTES] [--prescale NAME NUMBER]

With /dev/mem, ``--base`` is the address of the registers in your block design.
"""

import argparse
import ctypes
import json
import mmap
import sys
from pathlib import Path

from trigger_board import PAYLOAD, Mapped, Trigger


def registers(device, base):
    """Functions that read and write a word of the mapped device."""
    size = 4 << json.loads(PAYLOAD.read_text())["address_bits"]
    memory = mmap.mmap(device.fileno(), max(size, mmap.PAGESIZE), offset=base)

    def word(address):
        return ctypes.c_uint32.from_buffer(memory, address)

    def write(address, value):
        word(address).value = value

    return lambda address: word(address).value, write


def main() -> int:
    parser = argparse.ArgumentParser(description="Counters and prescales over AXI4-Lite.")
    parser.add_argument("device", help="/dev/uio0, or /dev/mem with --base")
    parser.add_argument("--base", type=lambda text: int(text, 0), default=0)
    parser.add_argument("--prescale", nargs=2, metavar=("NAME", "NUMBER"))
    asked = parser.parse_args()
    with Path(asked.device).open("r+b", buffering=0) as device:
        trigger = Trigger(Mapped(*registers(device, asked.base)))
        if asked.prescale:
            name, number = asked.prescale
            trigger.accept[name].prescale = int(number)
        for name, bit in trigger.accept.items():
            print(f"{name}: threshold {bit.threshold}, prescale {bit.prescale}")
        print(trigger.counters(), "errors:", trigger.errors() or "none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
