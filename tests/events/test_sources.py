"""Events of a generator that an installed package offers: the same whenever they are asked for."""

import textwrap

import numpy as np
import pytest
import toy_source

from trigger.artifacts.folder import Build
from trigger.artifacts.sources import event_sources
from trigger.errors import TriggerError
from trigger.events import sources
from trigger.events.hardware import splits
from trigger.spec.spec import parse

SPEC = """
    name = "toys"
    task = "classification"
    [data]
    source = "toy"
    events = 500
    arguments = { width = 2.0 }
    features = ["a", "b", "c"]
    label = "kind"
    classes = ["signal", "background"]
    [model]
    function = "network"
    [inputs]
    type = "fixed<5,2>"
    [target]
    part = "xcvu9p-flga2104-2L-e"
    clock_mhz = 360
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of an installed package with sources."""
    home = tmp_path / "packages"
    toy_source.install(home)
    monkeypatch.syspath_prepend(home)
    yield home
    toy_source.forget()


def spec(tmp_path):
    return parse(textwrap.dedent(SPEC), tmp_path / "trigger.toml")


def test_the_events_of_a_build(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_CALL", 128)
    this = spec(tmp_path)
    found = splits(this, tmp_path).events
    again = splits(this, tmp_path).events
    assert sum(len(events.x) for events in found.values()) == 500
    for name, events in found.items():
        np.testing.assert_array_equal(events.x, again[name].x)
    x = np.concatenate([events.x for events in found.values()])
    assert (np.abs(x) >= 15).mean() > 0.5  # the width of the arguments: most values saturate
    assert len(np.unique(x, axis=0)) > 200  # a block is not the one before


def refused(tmp_path, name, message):
    text = textwrap.dedent(SPEC).replace('"toy"', f'"{name}"', 1).replace("{ width = 2.0 }", "{}")
    with pytest.raises(TriggerError) as error:
        splits(parse(text, tmp_path / "trigger.toml"), tmp_path)
    assert str(error.value) == message


def test_sources_that_are_refused(tmp_path):
    refused(
        tmp_path,
        "toi",
        "data.source: no installed package has the source 'toi'; installed: fails, nothing, short, "
        "toy; did you mean 'toy'?",
    )
    refused(tmp_path, "short", "source short: column 'b' has 499 rows; 500 were asked for")
    refused(tmp_path, "fails", "source fails: ValueError: no beam")
    refused(tmp_path, "nothing", "source nothing: must return a table of columns by their names")
    text = textwrap.dedent(SPEC).replace('"b", "c"', '"b", "zz"')
    with pytest.raises(TriggerError) as error:
        splits(parse(text, tmp_path / "trigger.toml"), tmp_path)
    assert str(error.value) == "source toy: no column 'zz'; available: a, b, c, kind, other"


def test_the_key_of_the_events_covers_the_package(tmp_path, folder):
    """Its code, what that imports, its version, and what it requires."""
    build = Build(spec(tmp_path), tmp_path, tmp_path, {})

    def key():
        toy_source.forget()
        return event_sources(build)["files"]

    before = key()
    assert list(before) == ["source toy"]
    known = sources.identity("toy")
    assert known["version"] == "1.0" and "numpy" in known["required"]
    for name in ("toy_events.py", "toy_helper.py"):
        path = folder / name
        path.write_text(path.read_text() + "\n")
        assert key() != before
        toy_source.install(folder)
        assert key() == before
    toy_source.install(folder, "1.1")
    assert key() != before


def test_code_that_changes_in_a_running_program(tmp_path, folder):
    splits(spec(tmp_path), tmp_path)
    (folder / "toy_helper.py").write_text("SCALE = 4.0\n")
    with pytest.raises(TriggerError) as error:
        splits(spec(tmp_path), tmp_path)
    assert str(error.value) == "source toy: its code has changed; start this program again"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            'source = "toy"',
            'source = "toy"\n    files = ["x.csv"]',
            "set either files, or source and events",
        ),
        ('source = "toy"\n    events = 500', "", "set either files, or source and events"),
        ("events = 500", "", "source and events need each other"),
        (
            'source = "toy"\n    events = 500',
            'files = ["x.csv"]',
            "arguments are only for a source",
        ),
    ],
)
def test_keys_that_do_not_fit(tmp_path, before, after, message):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(textwrap.dedent(SPEC.replace(before, after)), path)
    assert str(error.value) == f"{path}: data: {message}"
