"""Tables of up to six inputs as LUTs, so that Yosys does not map each of them on its own."""

import re

# A small table as ``trigger.backends.rtl.emit`` writes it.
_MODULE = re.compile(
    r"^module (?P<name>\w+_lut_\w+)"
    r"\(input \[(?P<last>\d):0\] in, output reg \[(?P<top>\d+):0\] out\);\n"
    r"always @\(\*\) case \(in\)\n(?P<rows>.*?)^default: .*?^endcase\nendmodule$",
    re.MULTILINE | re.DOTALL,
)
_ROW = re.compile(r"^\d+'h([0-9A-Fa-f]+): out = \d+'h([0-9A-Fa-f]+);$", re.MULTILINE)


def as_luts(text: str) -> str:
    """Verilog with a LUT of AMD's library for each bit of each small table."""
    return _MODULE.sub(_luts, text)


def _luts(module: re.Match[str]) -> str:
    inputs, outputs = int(module["last"]) + 1, int(module["top"]) + 1
    rows = _ROW.findall(module["rows"])
    levels = {int(address, 16): int(level, 16) for address, level in rows}
    reads = ", ".join(f".I{k}(in[{k}])" for k in range(inputs))
    lines = [f"module {module['name']}(input [{inputs - 1}:0] in, output [{outputs - 1}:0] out);"]
    for bit in range(outputs):
        # An address without a row does not occur.
        ones = sum(1 << address for address, level in levels.items() if level >> bit & 1)
        init = f"{1 << inputs}'h{ones:x}"
        lines.append(f"LUT{inputs} #(.INIT({init})) bit{bit} (.O(out[{bit}]), {reads});")
    return "\n".join([*lines, "endmodule"])
