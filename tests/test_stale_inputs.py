"""No result is stale: whatever of the user's a stage reads moves its key, and nothing else does."""

import importlib.metadata
import os

import pytest
from conftest import write_small_trigger

from trigger.artifacts.folder import Build
from trigger.errors import TriggerError
from trigger.spec.spec import load
from trigger.training.network import make
from trigger.workflow.stages import STAGES

MODEL = """
import helper
from package.layers import units
from trigger.quantizers import FixedPoint

try:
    import addition
except ImportError:
    addition = None


def network(features, classes):
    import keras
    import late

    inputs = keras.Input((features,))
    return keras.Model(inputs, keras.layers.Dense(classes, name=helper.NAME)(inputs))
"""
FILES = {
    "helper.py": "from deeper import NAME",
    "deeper.py": "NAME = 'old'",
    "late.py": "",
    "package/__init__.py": "import importlib; importlib.import_module('named')",
    "package/layers.py": "from . import numbers\nunits = 1",
    "package/numbers.py": "",
    "package/inner/__init__.py": "from .. import numbers",
    "package/inner/found_by_name.py": "",
    "named.py": "",
    "unrelated.py": "import helper",
    "notes.txt": "",
}


TRAINED = ["model", "cross_validation"]

DECISION = """[decision.accept.tight]
output = "background"
threshold = 0.5
[physics]
zero_bias = "background"
"""


@pytest.fixture
def trigger(tmp_path):
    """The folder of the small trigger with a model that is spread over several files, and its keys."""
    folder, root = write_small_trigger(tmp_path / "trigger"), tmp_path / "build"
    for name, text in {**FILES, "model.py": MODEL}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in ("trigger.toml", "model/network.keras", "model/trained.npz", "graph/graph.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)

    def keys():
        digests = {stage.name: stage.name for stage in STAGES}
        build = Build(load(folder / "trigger.toml"), folder, root, digests)
        return {stage.name: stage.key(build) for stage in STAGES}

    return folder, keys


def moved(before, after):
    return [name for name in before if before[name] != after[name]]


@pytest.mark.parametrize("name", [n for n in FILES if n not in ("unrelated.py", "notes.txt")])
def test_what_the_model_imports(trigger, name):
    folder, keys = trigger
    before = keys()
    (folder / name).write_text(f"{FILES[name]}\n")
    assert moved(before, keys()) == TRAINED


@pytest.mark.parametrize("name", ["addition.py", "package/more.py", "package/inner/new.py"])
def test_a_new_file_that_the_model_may_import(trigger, name):
    folder, keys = trigger
    before = keys()
    (folder / name).write_text("")
    assert moved(before, keys()) == TRAINED


def test_a_helper_on_the_path(trigger, tmp_path, monkeypatch):
    """Of two files of a name it depends on the path which is meant: both count."""
    _, keys = trigger
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.syspath_prepend(elsewhere)
    before = keys()
    (elsewhere / "helper.py").write_text("NAME = 'other'")
    after = keys()
    assert moved(before, after) == TRAINED
    (elsewhere / "helper.py").write_text("NAME = 'another'")
    assert moved(after, keys()) == TRAINED


@pytest.mark.parametrize("name", ["unrelated.py", "notes.txt", "no_helper.py"])
def test_files_that_nothing_reads(trigger, name):
    folder, keys = trigger
    before = keys()
    (folder / name).write_text("import helper, deeper")
    assert moved(before, keys()) == []


def test_a_renamed_helper(trigger):
    folder, keys = trigger
    before = keys()
    (folder / "package" / "numbers.py").rename(folder / "package" / "figures.py")
    assert moved(before, keys()) == TRAINED


def test_events_of_the_same_size_and_time(trigger):
    folder, keys = trigger
    path = folder / "events.csv"
    before, times, text = keys(), path.stat(), path.read_text()
    path.write_text(text.replace("signal", "langis"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert moved(before, keys()) == ["events"]


@pytest.mark.parametrize(
    ("name", "now", "hint"),
    [
        ("events.csv", "other.txt", "check data.files in trigger.toml"),
        ("events.csv", "event.csv", "did you mean 'event.csv'?"),
        ("events.csv", "events.txt", "check data.files in trigger.toml"),
        ("model.py", "network", "check [model] in trigger.toml"),
        ("model.py", "modell.py", "did you mean 'modell.py'?"),
    ],
)
def test_a_missing_file(trigger, name, now, hint):
    folder, keys = trigger
    (folder / name).rename(folder / now)
    with pytest.raises(TriggerError) as error:
        keys()
    assert str(error.value) == f"{folder / name}: no such file; {hint}"


def test_another_version_of_a_package(trigger, monkeypatch):
    _, keys = trigger
    before, real = keys(), importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.1" if name == "numpy" else real(name)
    )
    assert moved(before, keys()) == [stage.name for stage in STAGES]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('task = "cl', 'description = "New."\ntask = "cl'),
        ("[target]", "[budget]\nlut = 1000\n[target]"),
        ("[physics]", "[physics]\nturn_on = ['a']"),
    ],
)
def test_what_only_the_report_says(trigger, old, new):
    folder, keys = trigger
    path = folder / "trigger.toml"
    text = path.read_text() + DECISION
    path.write_text(text)
    before = keys()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert moved(before, keys()) == ["report"]


def test_shifts(trigger):
    """They are made of the event files, and only the report says what they do."""
    folder, keys = trigger
    path = folder / "trigger.toml"
    path.write_text(path.read_text() + "[robustness.up]\nfeatures = ['a']\nscale = 1.1\n")
    before = keys()
    path.write_text(path.read_text().replace("1.1", "1.2"))
    assert moved(before, keys()) == ["shifts", "report"]
    before = keys()
    events = folder / "events.csv"
    events.write_text(events.read_text().replace("signal", "langis"))
    assert moved(before, keys()) == ["events", "shifts"]


def test_an_adversary(trigger):
    """Its training sees the events that were made for it, and no other shift."""
    folder, keys = trigger
    path = folder / "trigger.toml"
    nuisance = folder.parent / "build" / "shifts" / "nuisance.npz"
    nuisance.parent.mkdir()
    nuisance.write_text("made for it")
    up = "[robustness.up]\nfeatures = ['a']\nscale = 1.1\n"
    against = "[training.adversary]\nshift = 'up'\nstrength = 2\n"
    path.write_text(path.read_text() + against + up)
    before = keys()
    path.write_text(path.read_text().replace("strength = 2", "strength = 3"))
    assert moved(before, keys()) == [*TRAINED, "report"]
    before = keys()
    path.write_text(path.read_text() + up.replace("up", "other"))
    assert moved(before, keys()) == ["shifts", "report"]
    before = keys()
    nuisance.write_text("made anew")
    assert moved(before, keys()) == TRAINED


ALL = [stage.name for stage in STAGES if stage.name != "shifts"]
SYNTHESISED = [name for name in ALL if name not in ("events", *TRAINED, "graph", "report")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "<5,2>",
            "<6,3>",
            [n for n in ALL if n not in ("firmware", "rtl", "proof")],
        ),  # the same integers
        ("seed = 1", "seed = 2", [*TRAINED, "graph", "report"]),
        ('"signal", "b', '"Signal", "b', [n for n in ALL if n in ("events", *TRAINED, "graph")]),
        ("clock_mhz = 360", "clock_mhz = 240", ["firmware", "rtl", "synthesis", "report"]),
        ("epochs = 6", "epochs = 7", [*TRAINED, "report"]),
        ("[physics]", "[physics]\nfilled_bunches = 1000", ["graph", "report"]),
        ('"small"', '"other"', [n for n in SYNTHESISED if n != "proof"]),
    ],
)
def test_what_the_spec_says(trigger, old, new, expected):
    """Each stage reads it for itself: what another stage has made of it may be the same as before."""
    folder, keys = trigger
    path = folder / "trigger.toml"
    text = path.read_text().replace("epochs = 6", "epochs = 6\nseed = 1") + DECISION
    path.write_text(text)
    before = keys()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert set(expected) <= set(moved(before, keys())) <= {*expected, "report", "payload", "rtl"}


LOOSE = '[decision.accept.loose]\noutput = "background"\nthreshold = 0.0\n'
TIGHT = DECISION.partition("[physics]")[0]
ENERGY = '[heads.energy]\ntask = "regression"\nlabel = "e"\n'
MASS = '[heads.mass]\ntask = "regression"\nlabel = "m"\n'


@pytest.mark.parametrize("payload", ["", "[payload]\n"])
def test_the_order_of_accept_bits(trigger, payload):
    folder, keys = trigger
    path = folder / "trigger.toml"
    (folder.parent / "build" / "graph" / "summary.json").write_text("{}")
    text = path.read_text() + payload
    path.write_text(text + TIGHT + LOOSE)
    before = keys()
    path.write_text(text + LOOSE + TIGHT)
    assert {"graph", "report"} <= set(moved(before, keys()))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ENERGY + MASS, MASS + ENERGY, {"events", *TRAINED, "graph", "rtl", "report"}),
        (MASS, MASS + "mask = 'k'\n", {"events", *TRAINED, "report"}),
        (MASS + ENERGY, MASS + ENERGY + "weight = 2\n", {*TRAINED, "report"}),
        (MASS, MASS + "bins = [0, 1]\nunit = 'GeV'\n", {"report"}),
    ],
)
def test_heads(trigger, before, after, expected):
    folder, keys = trigger
    path = folder / "trigger.toml"
    text = path.read_text().replace('task = "classification"\n', "")
    path.write_text(text + before)
    first = keys()
    path.write_text(text + after)
    assert expected <= set(moved(first, keys())) <= {*expected, "payload"}


def test_a_helper_that_is_edited_is_imported_again(trigger):
    """In one process, and after another trigger whose helper has the same name."""
    folder, _ = trigger
    spec = load(folder / "trigger.toml")
    other = folder.with_name("other")
    write_small_trigger(other)
    (other / "model.py").write_text(MODEL.replace("from package.layers import units\n", ""))
    (other / "helper.py").write_text("NAME = 'others'")
    (other / "late.py").write_text("")
    assert make(spec, folder).layers[-1].name == "old"
    (folder / "deeper.py").write_text("NAME = 'new'")
    assert make(spec, folder).layers[-1].name == "new"
    assert make(spec, other).layers[-1].name == "others"
    assert make(spec, folder).layers[-1].name == "new"
    assert list(folder.rglob("*.pyc")) == []


def test_where_products_are(trigger):
    """The RTL depends on it, and on the DSP blocks that are allowed where these decide."""
    folder, keys = trigger
    path = folder / "trigger.toml"
    text = path.read_text()
    forms = [
        text.replace("[target]", f"[budget]\ndsp = {most}\n[target]\nmultipliers = {chosen!r}", 1)
        for chosen in ("lut", "dsp", "auto")
        for most in (5, 6)
    ]
    found = []
    for form in forms:
        path.write_text(form)
        found.append(keys()["rtl"])
    assert len(set(found)) == 4
    assert found[0] == found[1] and found[2] == found[3] and found[4] != found[5]
