"""Run the cocotb benches of this payload: python run.py. Needs cocotb, and Icarus Verilog or GHDL."""

import json
import shutil
import sys
from pathlib import Path

import find_libpython
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

HERE = Path(__file__).resolve().parent
ASKED = json.loads((HERE / "bench.json").read_text())
PROGRAMS = {"icarus": "iverilog", "ghdl": "ghdl"}


def main() -> int:
    """Build and run; the exit status is 1 where a test fails."""
    simulator = ASKED["simulator"]
    if shutil.which(PROGRAMS[simulator]) is None:
        print(f"{PROGRAMS[simulator]} is not on PATH: the benches cannot be run")
        return 2
    if find_libpython.find_libpython() is None:
        print(
            "this Python was built without its shared library (libpython), which cocotb needs: the benches cannot be run"
        )
        return 2
    runner = get_runner(simulator)
    work = HERE / "build"
    options = ["--std=08"] if simulator == "ghdl" else ["-g2012"]
    sources = [HERE.parent / name for name in ASKED["sources"]]
    common = {"hdl_toplevel": ASKED["top"], "build_dir": work}
    runner.build(sources=sources, build_args=options, always=True, **common)
    # GHDL looks for its library where it runs.
    elaborated = options if simulator == "ghdl" else []
    results = runner.test(test_module=ASKED["test"], test_dir=work, test_args=elaborated, **common)
    tests, failed = get_results(results)
    print(f"{tests} tests, {failed} failed")
    return int(failed > 0 or tests == 0)


if __name__ == "__main__":
    sys.exit(main())
