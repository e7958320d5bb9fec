"""Run the cocotb benches of this payload: python run.py. Needs cocotb, and Icarus Verilog or
GHDL.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ASKED = json.loads((HERE / "bench.json").read_text())
PROGRAMS = {"icarus": "iverilog", "ghdl": "ghdl"}


def missing():
    """What the benches need and do not find, a line for each."""
    # cocotb before 2.0 has no module cocotb_tools.
    modules = {"cocotb_tools": "cocotb>=2"}
    if ASKED["test"] == "test_axi":
        modules["cocotbext.axi"] = "cocotbext-axi"
    for module, package in modules.items():
        if not installed(module):
            yield f"{module} is not installed (python -m pip install '{package}')"
    program = PROGRAMS[ASKED["simulator"]]
    if shutil.which(program) is None:
        yield f"{program} is not on PATH"
    if installed("find_libpython"):
        import find_libpython

        if find_libpython.find_libpython() is None:
            yield "this Python was built without its shared library (libpython), which cocotb needs"


def installed(module):
    """Whether a module can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor can its package
        return False


def main() -> int:
    """Build and run; the exit status is 1 where a test fails, 2 where something is missing."""
    problems = list(missing())
    if problems:
        for problem in problems:
            print(f"{problem}: the benches cannot be run")
        return 2
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    simulator = ASKED["simulator"]
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
