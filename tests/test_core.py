"""`make test-core`: the tests of the fixed-point graph, in seconds and without Keras."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def test_the_tests_of_the_fixed_point_graph_start_no_keras():
    code = (
        "import sys, pytest\n"
        "status = pytest.main(['-q', '-p', 'no:xdist', '-p', 'no:cacheprovider', 'tests/fixedpoint'])\n"
        "print('started:', *sorted({'tensorflow', 'keras', 'jax', 'hls4ml', 'onnx'} & set(sys.modules)))\n"
        "sys.exit(status)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    assert result.stdout.splitlines()[-1] == "started:"


def test_make_says_what_it_can_do():
    """`make` alone explains every target that is there to be called, and does nothing else."""
    told = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    text = (PROJECT / "Makefile").read_text()
    phony = text.partition(".PHONY: ")[2].partition("\n")[0].split()
    assert [line.split()[0] for line in told.splitlines() if line.startswith("  ")] == phony
    assert (
        told
        == subprocess.run(
            ["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout
    )
