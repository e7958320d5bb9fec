"""The learned generator of calorimeter regions in benchmarks/: an installed source of events, and what it is compared by."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import calo_package
import numpy as np
import pytest
import toy_source
from benchmark_scripts import imported

from trigger.events.hardware import splits
from trigger.fixedpoint.evaluate import run
from trigger.spec.spec import load

ROOT = Path(__file__).resolve().parents[1]
FOLDER = calo_package.FOLDER
# The page without its line ends and its percent signs.
PAGE = " ".join((ROOT / "docs/physics/fast-simulation.md").read_text().replace(" %", "").split())
SHOWN = """
import sys
sys.path.insert(0, sys.argv[1])
from calo_regions.source import calo_regions
columns = calo_regions(40, 7)
print([columns[f"region{k}_et"].tolist() for k in range(1, 253)], columns["label"].tolist())
"""


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory):
    """The scripts of the folder, and its package as pip would leave it."""
    folders = calo_package.install(tmp_path_factory.mktemp("packages"))
    toy_source.forget()
    names = ("full", "train", "classifiers", "compare", "anomaly", "speed")
    with imported(*names, folders=tuple(folders)) as found:
        yield found
    toy_source.forget()


@pytest.fixture(scope="module")
def source(modules):
    return importlib.import_module("calo_regions.source")


@pytest.fixture(scope="module")
def canvas(modules):
    return importlib.import_module("calo_regions.canvas")


def test_a_trigger_reads_its_events(modules, tmp_path):
    """Blocks of the installed source, twice the same, within what the links carry."""
    folder = modules["anomaly"].write(tmp_path, 300)
    spec = load(folder / "trigger.toml")
    found, again = splits(spec, folder), splits(spec, folder)
    assert sum(len(events.x) for events in found.events.values()) == 300
    for name, events in found.events.items():
        np.testing.assert_array_equal(events.x, again.events[name].x)
    x = np.concatenate([events.x for events in found.events.values()])
    assert x.shape == (300, 252)
    assert not np.isin(x, (1, 2, 3)).any()
    assert len(np.unique(x, axis=0)) == 300


def test_the_same_in_another_process(source):
    command = [sys.executable, "-c", SHOWN, str(FOLDER)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    columns = source.calo_regions(40, 7)
    here = [columns[f"region{k}_et"].tolist() for k in range(1, 253)]
    assert printed == f"{here} {columns['label'].tolist()}\n"
    assert source.calo_regions(40, 8)["region1_et"].tolist() != here[0]


def test_what_the_network_reads(canvas):
    """Around the last region of an image: its neighbours, also those across the end of phi."""
    image = np.zeros((1, 18, 14), int)
    image[0, 17, 12] = 4  # the region before
    image[0, 0, 12] = 12  # the first row is the next one
    image[0, 8, 13] = 252  # opposite
    board = canvas.Canvas(np.array([1]), 3)
    for phi in range(18):
        for eta in range(14):
            read = board.inputs(phi, eta)
            board.put(phi, eta, image[:, phi, eta])
    assert read.shape == (1, canvas.features(3))
    near = dict(zip(canvas.NEAR, read[0].tolist(), strict=False))
    seen = {place: value for place, value in near.items() if value}
    assert seen == {(0, -1): 8, (1, -1): 16, (9, 0): 48}
    running = read[0, len(near) : len(near) + canvas.RUNNING].tolist()
    # x of 252 at 160 degrees, 12 at 0 and 4 at 340, along 340 degrees.
    assert running == [6, 0, 2, 48, 48, -47, 8, 1, 0, 63]
    assert read[0, len(near) + canvas.RUNNING :].tolist() == [
        *([0] * 17 + [32]),
        *([0] * 13 + [32]),
        *(0, 32, 0),
    ]


def test_what_is_not_filled_yet_is_not_read(canvas):
    rng = np.random.default_rng(1)
    first = rng.integers(0, 100, (18, 14))
    second = np.where(np.arange(252).reshape(18, 14) < 100, first, 0)
    boards = [canvas.Canvas(np.array([0]), 1) for _ in range(2)]
    for place in range(101):
        phi, eta = divmod(place, 14)
        read = [board.inputs(phi, eta) for board in boards]
        np.testing.assert_array_equal(*read)
        for board, image in zip(boards, (first, second), strict=True):
            board.put(phi, eta, image[phi, eta, None])


def test_classes_are_drawn_by_their_scores(source):
    """Scores of 32 steps in a factor of e: 1, 1/e and nothing."""
    scores = np.tile([0, -32, -2000], (100_000, 1))
    drawn = source.chosen(scores, np.random.default_rng(1))
    share = 1 / (1 + np.exp(-1))
    assert abs((drawn == 0).mean() - share) < 4 * np.sqrt(share * (1 - share) / 100_000)
    assert set(drawn.tolist()) == {0, 1}


def test_energies_of_a_class(source):
    counts = np.zeros(1024, int)
    counts[[0, 4, 32, 33, 1023]] = [5, 7, 1, 3, 2]
    number = np.repeat(np.searchsorted(source.FIRST, [0, 4, 32, 1023]), 20_000)
    found = source.within(counts, number, np.random.default_rng(1)).reshape(4, -1)
    assert [set(row.tolist()) for row in found] == [{0}, {4}, {32, 33}, {1023}]
    assert abs((found[2] == 33).mean() - 0.75) < 0.02


def test_images_are_turned_and_reflected(source):
    image = np.zeros((2000, 18, 14), int)
    image[:, 3, 2] = 1
    found = np.argwhere(source.turned(image, np.random.default_rng(1)))
    assert len(found) == 2000
    assert {(phi, eta) for _, phi, eta in found.tolist()} == {
        (phi, eta) for phi in range(18) for eta in (2, 11)
    }


def test_the_learned_events_are_like_the_full_ones(modules, source):
    """Zero bias: means within 5 %, and each kind is as frequent as it should be."""
    found = modules["compare"].learned(1500, 3)
    full = modules["full"].sample("train")
    assert set(found.label) == set(full.label)
    assert abs((found.label == "zero_bias").mean() - (full.label == "zero_bias").mean()) < 0.04
    means = []
    for events in map(modules["compare"].zero_bias, (found, full)):
        quantities = [events.x.sum(axis=1), (events.x > 0).sum(axis=1)]
        means.append([np.average(each, weights=events.weight) for each in quantities])
    np.testing.assert_allclose(*means, rtol=0.05)


def test_training_writes_what_the_source_reads(modules, source, monkeypatch, tmp_path):
    """A few events: its network is exact, and gives images of every kind."""
    arguments = ["train.py", "--events", "100", "--passes", "1", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    modules["train"].main()
    monkeypatch.setattr(source, "__file__", str(tmp_path / "source.py"))
    model = source.learned.__wrapped__()
    events = modules["full"].sample("train").take(slice(100))
    for label in np.unique(events.label):
        assert np.isclose(model.shares[model.labels == label].sum(), (events.label == label).mean())
    kind = np.arange(len(model.shares))
    found = source.images(model, kind, np.random.default_rng(1))
    assert found.shape == (len(kind), 252)
    assert set(np.unique(found)) <= set(np.flatnonzero(model.counts).tolist())
    read = np.zeros((1, len(model.graph.input.types)), int)
    assert run(model.graph, read).shape == (1, source.CLASSES)


def test_distances_and_correlations(modules):
    compare, full = modules["compare"], modules["full"]
    x = np.zeros((4, 18, 14), int)
    x[0, 2, 3] = x[0, 2, 5] = 16  # together, two regions apart in eta
    x[1, 2, 3] = x[1, 2, 5] = 4
    x[:, 9, 0] = [0, 0, 36, 0]
    noise = np.random.default_rng(1).integers(0, 5, (4, 18, 14))
    events = full.Sample(
        (x + noise).reshape(4, -1), np.full(4, "zero_bias"), np.array([1, 2, 1, 3])
    )
    found = compare.correlations(events)
    roots = np.sqrt(events.x).reshape(4, 18, 14)

    def together(phi, eta):
        pairs = [
            np.cov(roots[:, i, j], roots[:, (i + phi) % 18, j + eta], aweights=events.weight)
            for i in range(18)
            for j in range(14 - eta)
        ]
        return np.mean([pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1]) for pair in pairs])

    np.testing.assert_allclose(found[0, 0], 1)
    np.testing.assert_allclose(found[0, 2], together(0, 2))
    np.testing.assert_allclose(found[7, 3], together(7, 3))
    back_to_back = np.zeros((1, 18, 14), int)
    back_to_back[0, [1, 10], [3, 8]] = 20, 50
    np.testing.assert_allclose(compare.missing(back_to_back.reshape(1, -1)), 30)
    shares = compare.shares(np.array([-1, 0, 1, 7]), np.array([1, 1, 2, 4]), np.array([0, 1, 2]))
    assert shares.tolist() == [0.25, 0.75]


def test_classifiers_tell_what_differs_and_nothing_else(modules, monkeypatch):
    classifiers = modules["classifiers"]
    monkeypatch.setattr(classifiers, "METHODS", {"trees": classifiers.trees})
    full = modules["full"].sample("validation").x[:600]
    other = np.where(full == 4, 5, full)
    value, low, high = classifiers.auc(full[:300], other[300:])["trees"]
    assert 0.9 < low <= value <= high
    value, low, high = classifiers.auc(full[:300], full[300:])["trees"]
    assert low < value < high
    assert abs(value - 0.5) < 4 * (high - low)


def test_the_convolution_goes_around(modules):
    """The same scores for an image that is turned."""
    x = modules["full"].sample("validation").x[:40]
    scores = modules["classifiers"].convolution(x, np.arange(40) % 2)
    image = x[:5].reshape(5, 18, 14)
    again = scores(np.roll(image, 7, axis=1).reshape(5, -1))
    np.testing.assert_allclose(scores(x[:5]), again, rtol=1e-5)


def test_the_page_has_the_results(modules, capsys):
    """Each figure with an interval or an error, and the distances, as the comparison prints them."""
    modules["compare"].tables(json.loads((FOLDER / "results.json").read_text()))
    printed = capsys.readouterr().out.replace(" %", "")
    for form in (r"[\d.]+ \([\d.]+ to [\d.]+\)", r"[\d.]+ ± [\d.]+ \| .* \| [\d.]+ \| [\d.]+ \|"):
        found = set(re.findall(form, PAGE.replace("| |", "|\n|")))
        assert len(found) >= 4
        assert found <= set(re.findall(form, printed))
    events = json.loads((FOLDER / "results.json").read_text())["events"]
    assert {f"{number:,}" for number in events.values()} <= set(PAGE.split())


def test_the_page_has_the_speeds():
    speed = json.loads((FOLDER / "speed.json").read_text())
    learned, full = speed["learned"], speed["full"]
    assert f"**{learned['events/s']:,.0f} events in a second of processor time**" in PAGE
    assert (
        f"makes {full['events/s']:.0f} ({full['events']:,} events in {full['seconds']:.1f} s, "
        f"with Pythia {speed['versions']['pythia8mc']}): "
        f"**{learned['events/s'] / full['events/s']:.0f} times as fast**"
    ) in PAGE


def test_the_page_tells_of_rare_soft_collisions(modules):
    """Regions above 35 GeV in the softest stratum of zero bias."""
    largest = {}
    for names in (("train",), ("validation", "test")):
        events = modules["full"].sample(*names)
        softest = events.weight > 1.9
        assert softest.sum() == {1: 7200, 2: 4800}[len(names)]
        largest[names[0]] = events.x[softest].max(axis=1) / 2
    assert (largest["validation"] > 35).sum() == 0
    assert (largest["train"] > 65).sum() == 56
    assert "of 70 and 95 GeV, seen in 56 of 7,200 crossings of the softest stratum" in PAGE
