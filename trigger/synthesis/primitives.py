"""What Yosys gets as primitives: tables of up to six inputs as LUTs, so that it does not map each
of them on its own, and products in DSP blocks as black boxes.
"""

import re

# A small table as ``trigger.backends.rtl.emit`` writes it.
_MODULE = re.compile(
    r"^module (?P<name>\w+_lut_\w+)"
    r"\(input \[(?P<last>[0-5]):0\] in, output reg \[(?P<top>\d+):0\] out\);\n"
    r"always @\(\*\) case \(in\)\n(?P<rows>.*?)^default: .*?^endcase\nendmodule$",
    re.MULTILINE | re.DOTALL,
)
_ROW = re.compile(r"^\d+'h([0-9A-Fa-f]+): out = \d+'h([0-9A-Fa-f]+);$", re.MULTILINE)


_PRODUCT = re.compile(r"^\(\* use_dsp = \"yes\".*?^endmodule$", re.MULTILINE | re.DOTALL)


def as_primitives(text: str) -> tuple[str, str]:
    """Verilog with a LUT of AMD's library for each bit of each small table, without the cells of
    products in DSP blocks; and these cells.
    """
    return _PRODUCT.sub("", _MODULE.sub(_luts, text)), "\n".join(_PRODUCT.findall(text))


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
