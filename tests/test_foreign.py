"""hls4ml projects of other origin, verified against the network they are said to be."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.backends.foreign import open_foreign
from trigger.cli import app
from trigger.foreign import check


@pytest.fixture
def project(small_build, tmp_path):
    """The hls4ml project of the small trigger, alone in a folder, and its network."""
    _, root = small_build
    shutil.copytree(root / "firmware", tmp_path / "project")
    return tmp_path / "project", root / "model" / "network.keras"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_exact_project_is_left_untouched(project):
    folder, network = project
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    result = CliRunner().invoke(app, ["verify", "--hls4ml", str(folder), "--against", str(network)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith(" events, equal")
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


def test_a_wrong_weight_is_found_on_events_of_a_file(project, small_build):
    folder, network = project
    source, _ = small_build
    edit(folder / "firmware" / "weights" / "w2.h", "{", "{0.5 + ")
    verdict = check(folder, network, source / "events.csv")
    (comparison,) = verdict.comparisons
    assert (comparison.name, comparison.events) == ("csim (Vitis)", 600)
    assert 0 < comparison.differing <= 600
    assert comparison.witness.expected != comparison.witness.found


def test_output_steps_finer_than_the_networks(project):
    """A value between two of the network's steps is different, however close."""
    folder, network = project
    defines = folder / "firmware" / "defines.h"
    kind = open_foreign(folder).output_type
    edit(
        defines,
        f"{kind.width},{kind.integer}> result_t",
        f"{kind.width + 8},{kind.integer}> result_t",
    )
    assert open_foreign(folder).output_type.fraction == kind.fraction + 8
    assert check(folder, network, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: (f / "hls4ml_config.yml").unlink(),
            "csim: {f} holds no hls4ml project: hls4ml_config.yml cannot be read",
        ),
        (
            lambda f: edit(f / "hls4ml_config.yml", "Backend: Vitis", "Backend: oneAPI"),
            "csim: the headers of oneAPI come with its vendor's compiler; csims of Vitis, Vivado, Quartus, Catapult run",
        ),
        (
            lambda f: edit(f / "firmware" / "defines.h", "input_t;", "other_t;"),
            "csim: {f}/firmware/defines.h: the type input_t is no fixed-point number",
        ),
        (
            lambda f: edit(f / "small_bridge.cpp", "double, input_t, 3", "double, input_t, 4"),
            "{f}: it has 4 inputs, the network 3",
        ),
    ],
)
def test_what_cannot_be_verified_is_said(project, change, message):
    folder, network = project
    change(folder)
    with pytest.raises(TriggerError) as error:
        check(folder, network, None)
    assert str(error.value) == message.format(f=folder)


def test_a_softmax_cannot_be_exact(project):
    folder, _ = project
    network = Path(__file__).parent / "frontends" / "legacy" / "functional.h5"
    with pytest.raises(TriggerError) as error:
        check(folder, network, None)
    assert str(error.value) == (
        f"{network}: it ends in softmax, which hls4ml takes from tables: no project of it is exact; "
        "save the network without its softmax, which does not change the order of the classes, and convert that"
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["--hls4ml", "x"], ["build/x", "--against", "y"], ["--hls4ml", "x", "--manifest"]],
)
def test_half_of_the_options(arguments):
    result = CliRunner().invoke(app, ["verify", *arguments])
    assert str(result.exception) == (
        "verify: name either a build folder, or --hls4ml DIR --against NETWORK without --manifest and --netlist"
    )
