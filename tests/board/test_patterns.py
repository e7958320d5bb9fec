"""Pattern files of a payload: what stands in the buffers of a board, and its comparison."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from trigger.board.decisions import decide
from trigger.board.patterns import compare, delays, read, text
from trigger.board.shell import ORBIT
from trigger.board.simulate import PayloadSimulation, frames
from trigger.cli.app import app, main
from trigger.errors import TriggerError
from trigger.spec.links import link_map, pack, unpack
from trigger.workflow.board_export import pattern_files, patterns

pytestmark = pytest.mark.minutes


# --- pattern files --------------------------------------------------------------------------------------------------


def test_patterns_say_what_the_payload_does(built, shell, tmp_path, capsys):
    """The words of inputs.txt, simulated, are the decisions of expected.txt."""
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(
            sys,
            "argv",
            ["trigger", "patterns", "write", str(built.root), str(tmp_path), "--events", "150"],
        )
        with pytest.raises(SystemExit) as status:
            main()
    assert not status.value.code
    inputs, expected = read(tmp_path / "inputs.txt"), read(tmp_path / "expected.txt")
    assert (inputs.links, expected.links) == ((4, 9), (12,))
    assert inputs.data.shape == (
        150 * 6,
        2,
    )  # at 240 MHz six frames a crossing, of which two are an event's
    starts = np.flatnonzero(inputs.flags[:, 0, 1])
    words = np.stack([inputs.data[starts], inputs.data[starts + 1]], axis=1)
    x = unpack(link_map(built.spec), words)
    np.testing.assert_array_equal(pack(link_map(built.spec), x), words)
    scores = PayloadSimulation(shell).compile(tmp_path / "sim").run(x)
    accept = decide(scores, shell.points, ORBIT).accept
    found = expected.data[expected.flags[:, 0, 3], 0]
    np.testing.assert_array_equal(found & 3, accept @ [1, 2])
    np.testing.assert_array_equal(found >> 16 & 0xFFF, np.arange(150))
    kind = shell.core.outputs[0].type
    np.testing.assert_array_equal(found >> 32, scores[:, 0] & (1 << kind.width) - 1)
    first = np.flatnonzero(expected.flags[:, 0, 3])[0]
    assert first - 1 == shell.latency
    assert len(frames(shell, x)) == 300


def test_pattern_files_round_trip(built, tmp_path):
    for made in patterns(built, 20):
        (tmp_path / "p.txt").write_text(text(made))
        again = read(tmp_path / "p.txt")
        assert (again.name, again.links) == (made.name, made.links)
        for a, b in zip(made[2:], again[2:], strict=True):
            np.testing.assert_array_equal(a, b)
        assert text(again) == text(made)


def test_comparing_patterns(built, tmp_path):
    _, expected = patterns(built, 20)
    shift = expected._replace(
        **{name: np.roll(getattr(expected, name), 3, axis=0) for name in ("data", "flags")}
    )
    assert (compare(expected, shift), delays(expected, shift)) == ([], {12: 3})
    data = expected.data.copy()
    place = np.flatnonzero(expected.flags[:, 0, 3])[7]
    data[place] ^= np.uint64(1)
    (tmp_path / "expected.txt").write_text(text(expected))
    (tmp_path / "found.txt").write_text(text(expected._replace(data=data)))
    command = [sys.executable, "-m", "trigger", "patterns", "compare", "expected.txt"]
    result = subprocess.run(
        [*command, "found.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    word = int(expected.data[place, 0])
    assert (result.returncode, result.stdout) == (
        1,
        f"link 012, valid word 7: expected 0111 {word:016x} in frame {place}, found 0111 {word ^ 1:016x} in frame {place}\n",
    )
    shorter = expected._replace(
        **{name: getattr(expected, name)[:-20] for name in ("data", "flags", "strobe")}
    )
    (difference,) = compare(expected, shorter)
    assert difference.found is None and str(difference).endswith("found no further word")
    (tmp_path / "found.txt").write_text(text(expected._replace(links=(13,))))
    result = subprocess.run(
        [*command, "found.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: found.txt: link 012 is missing; available: 013\n",
    )
    result = subprocess.run(
        [*command, "expected.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (
        0,
        "link 012: 20 valid words, equal, 0 frames later\n",
    )


def test_more_events_than_a_buffer_holds(built, shell, tmp_path):
    """Several files, each for a buffer of its own, with orbits that begin in it; together all events."""
    asked = ["patterns", "write", str(built.root), str(tmp_path), "--events", "500"]
    result = CliRunner().invoke(app, asked)
    # Five frames a crossing; the answer to the last event is due after its two frames and the latency.
    most = (1024 - 2 - shell.latency) // 6
    sizes = [most, most, 500 - 2 * most]
    lines = []
    for number, size in enumerate(sizes):
        lines.append(f"{tmp_path}/inputs_{number}.txt: {6 * size} frames, 2 links")
        lines.append(
            f"{tmp_path}/expected_{number}.txt: {6 * size + 2 + shell.latency} frames, 1 link"
        )
    message = (
        f"500 events do not fit a buffer of 1024 frames: 3 pairs of files, of up to {most} events"
    )
    assert (result.exit_code, result.output.splitlines()) == (0, [*lines, message])
    (whole,) = pattern_files(built, 500, 4096)
    words = []
    for number, size in enumerate(sizes):
        inputs, expected = (read(tmp_path / f"{n}_{number}.txt") for n in ("inputs", "expected"))
        assert max(len(inputs.data), len(expected.data)) <= 1024
        assert inputs.flags[0, :, 0].all() and inputs.flags[:, 0, 0].sum() == 1
        found = expected.data[expected.flags[:, 0, 3], 0]
        np.testing.assert_array_equal(found >> 16 & 0xFFF, np.arange(size))
        words.append(found & ~np.uint64(0xFFF << 16))
    answers = whole.expected.data[whole.expected.flags[:, 0, 3], 0]
    np.testing.assert_array_equal(np.concatenate(words), answers & ~np.uint64(0xFFF << 16))


def test_a_buffer_that_holds_no_event(built, shell):
    needed = 6 + 2 + shell.latency
    with pytest.raises(TriggerError) as error:
        pattern_files(built, 10, needed - 1)
    assert str(error.value) == (
        f"patterns: a buffer of {needed - 1} frames holds no event; an event and its answer take {needed}"
    )
    assert len(pattern_files(built, 3, needed)) == 3
