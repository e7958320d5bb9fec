"""What cannot be compiled or run because it is not the build's is told as that, not by an error of g++."""

import shutil

import pytest
from trigger_command import refused


def said(path, problem):
    return f"{path}: {problem} since the build; run `trigger build` again"


def test_firmware_that_gcc_refuses(small_build):
    _, root = small_build
    path = root / "firmware" / "firmware" / "defines.h"
    path.write_text("what is this?\n")
    assert refused("verify", root) == said(path, "EDITED")


def test_the_firmware_of_another_network(small_build):
    _, root = small_build
    path = root / "firmware" / "firmware" / "small.cpp"
    path.rename(path.with_name("other.cpp"))
    assert refused("verify", root) == said(path.with_name("other.cpp"), "ADDED")


@pytest.mark.parametrize("part", ["firmware", "rtl"])
def test_a_part_that_is_missing(small_build, part):
    _, root = small_build
    shutil.rmtree(root / part)
    message = refused("verify", root)
    assert message.startswith(f"{root / part}/") and message.endswith(
        ": MISSING since the build; run `trigger build` again"
    )


def test_rtl_that_verilator_refuses(small_build):
    _, root = small_build
    path = next((root / "rtl").rglob("*.v"))
    path.write_text("module")
    assert refused("verify", root) == said(path, "EDITED")
