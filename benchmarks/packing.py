"""The factor of ``synth/packing.toml``: LUTs after packing against those that a paper prints, for published networks.

FOLDER holds a clone of the repository of KANELÉ (arXiv:2512.12850), whose trained networks lie there as VHDL; the LUTs
after place and route are those of tables 3 and 4 of the paper, and of the report of Vivado in benchmarks/RL. Needs GHDL.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from trigger.synthesis import packing
from trigger.synthesis.yosys import mapped

FAMILY = "xcup"  # the parts are UltraScale+
TIMEOUT_S = 3600.0
# Folders of benchmarks/, and the LUTs that Vivado counted.
PUBLISHED = {
    "Tran_study/Moons/models/20250914_095437": 67,
    "Tran_study/DryBean/models/20250913_102228": 402,
    "Tran_study/Wine/models/20250914_110625": 534,
    "JSC_OpenML/models/official": 1232,
    "JSC_CERNBox/models/20250920_175126": 5034,
    "MNIST/models/20250912_062633": 3809,
    "RL/logs_kan_quant": 2828,
}
_TABLE = re.compile(r'entity work\.LUT_(\d+) generic map \(MEMFILE=>"(\w+)\.mem"\) port map')
# What GHDL 2.0 does not take, and names that are keywords in Verilog.
_REPLACED = {
    "(W-1 => '0', others => '1')": "not shift_left(to_signed(-1, W), W-1)",
    "(W-1 => '1', others => '0')": "shift_left(to_signed(-1, W), W-1)",
}
_RENAMED = {r"\binput\b": "x_in", r"\boutput\b": "y_out"}


def sources(firmware: Path, work: Path) -> list[Path]:
    """A published network as Verilog; its tables, memories of the vendor, are written anew."""
    package = (firmware / "src" / "PkgLUT.vhd").read_text()
    core = (firmware / "src" / "KAN.vhd").read_text()
    layers = {name: layer for layer, name in _TABLE.findall(core)}
    core = _TABLE.sub(r"\2 port map", core)
    core = core.replace("use work.PkgLUT.all;", "use work.PkgLUT.all;\nuse work.Tables.all;")
    components = [
        f"component {name} is port (clk : in std_logic; d : in lut_input_t_{layer};"
        f" q : out lut_output_t_{layer}); end component;"
        for name, layer in layers.items()
    ]
    texts = {
        "PkgLUT": package,
        "PkgKAN": (firmware / "src" / "PkgKAN.vhd").read_text(),
        "Tables": "\n".join(
            [
                "library ieee; use ieee.std_logic_1164.all; use work.PkgLUT.all;",
                "package Tables is",
                *components,
                "end package;",
            ]
        ),
        "KAN": core,
        "top": (firmware / "src" / "top.vhd").read_text(),
    }
    for name, text in texts.items():
        (work / f"{name}.vhd").write_text(_for_ghdl(text))
        _ghdl(work, "-a", "--std=08", f"{name}.vhd")
    made = _ghdl(work, "--synth", "--std=08", "--out=verilog", "top")
    # Without the empty modules of the tables.
    (work / "top.v").write_text(made[made.index("\nmodule kan") :])
    tables = (_table(firmware, package, name, layer) for name, layer in layers.items())
    (work / "tables.v").write_text("\n".join(tables))
    return [work / "top.v", work / "tables.v"]


def _for_ghdl(text: str) -> str:
    for old, new in _REPLACED.items():
        text = text.replace(old, new)
    for old, new in _RENAMED.items():
        text = re.sub(old, new, text)
    return text


def _ghdl(work: Path, *arguments: str) -> str:
    return subprocess.run(
        ["ghdl", *arguments], cwd=work, check=True, capture_output=True, text=True
    ).stdout


def _table(firmware: Path, package: str, name: str, layer: str) -> str:
    """A table and its register, in the form of this program's own tables."""
    bits, width = (
        int(re.search(rf"LUT_{kind}_WIDTH_{layer}\s*:\s*integer := (\d+)", package)[1])
        for kind in ("ADDR", "DATA")
    )
    levels = [int(word, 16) for word in (firmware / "mem" / f"{name}.mem").read_text().split()]
    own = f"kan_{'lut' if bits <= 6 else 'table'}_{name}"
    return "\n".join(
        [
            f"module {own}(input [{bits - 1}:0] in, output reg [{width - 1}:0] out);",
            "always @(*) case (in)",
            *(
                f"{bits}'h{place:x}: out = {width}'h{level % (1 << width):x};"
                for place, level in enumerate(levels)
            ),
            f"default: out = {width}'bx;",
            "endcase",
            "endmodule",
            f"module {name}(input clk, input [{bits - 1}:0] d, output reg [{width - 1}:0] q);",
            f"wire [{width - 1}:0] level;",
            f"{own} rom(d, level);",
            "always @(posedge clk) q <= level;",
            "endmodule",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder / "benchmarks"
    print("| network | LUT, paper | LUT, Yosys | in pairs |\n|---|---:|---:|---:|")
    ratios = []
    for name, published in PUBLISHED.items():
        with tempfile.TemporaryDirectory() as work:
            files = sources(folder / name / "firmware", Path(work))
            (synthesis := Path(work) / "synthesis").mkdir()
            mapped(files, FAMILY, "top", "top", synthesis, TIMEOUT_S)
            functions = list(packing.functions((synthesis / "netlist.v").read_text()))
        left = len(functions) - packing.pairs(functions)
        ratios.append(left / published)
        print(f"| {name} | {published:,} | {len(functions):,} | {left:,} |", flush=True)
    logs = np.log(ratios)
    others = (logs.sum() - logs) / (len(logs) - 1)
    error = np.sqrt(np.mean(np.expm1(logs - others) ** 2))
    print(f"networks = {len(ratios)}\nfactor = {np.exp(logs.mean()):.2f}\nerror = {error:.2f}")


if __name__ == "__main__":
    main()
