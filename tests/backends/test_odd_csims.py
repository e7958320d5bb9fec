"""Csims that never end, end their process, or print: each is told as what it is."""

import shutil

import pytest
from trigger_command import invoke

from trigger import TriggerError
from trigger.support import csim_process

PLACE = "    // hls-fpga-machine-learning insert load weights"


def verify(build, tmp_path, code):
    """The small trigger's hls4ml project, with this code in its top function, against its network."""
    _, root = build
    shutil.copytree(root / "firmware", tmp_path / "project")
    path = tmp_path / "project" / "firmware" / "small.cpp"
    text = path.read_text()
    assert PLACE in text
    path.write_text("#include <cstdio>\n#include <cstdlib>\n" + text.replace(PLACE, code))
    network = root / "model" / "network.keras"
    return invoke("verify", "--hls4ml", tmp_path / "project", "--against", network)


def refused(*arguments) -> str:
    result = verify(*arguments)
    assert isinstance(result.exception, TriggerError), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("code", "finished"),
    [
        ("volatile bool endless = true; while (endless) {}", 0),
        ("static int n = 0; volatile bool late = ++n > 100; while (late) {}", 48),
    ],
)
def test_one_that_never_ends(small_build, tmp_path, monkeypatch, code, finished):
    monkeypatch.setattr(csim_process, "_STALLED_S", 5)
    assert refused(small_build, tmp_path, code) == (
        f"csim: small did nothing for 5 s after {finished} events, and was stopped; "
        "look for a loop in it that does not end"
    )


def test_one_that_exits(small_build, tmp_path):
    assert refused(small_build, tmp_path, "std::exit(0);") == (
        "csim: small ended its process with status 0 and gave no results; "
        "look for a call of exit in it"
    )
    shutil.rmtree(tmp_path / "project")
    code = 'std::fprintf(stderr, "no more\\n"); std::exit(3);'
    assert refused(small_build, tmp_path, code) == "csim: small ended with status 3: no more"
    shutil.rmtree(tmp_path / "project")
    assert refused(small_build, tmp_path, "std::abort();") == (
        "csim: small ended with status -6: Aborted (SIGABRT)"
    )


def test_one_that_prints(small_build, tmp_path):
    """What it prints is not taken for progress."""
    code = 'std::printf("done it\\n12\\n"); std::fflush(stdout);'
    result = verify(small_build, tmp_path, code)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith(" events, equal")
