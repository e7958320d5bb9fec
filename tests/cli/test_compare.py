"""`trigger compare`: what changed between two builds, in text, HTML, JSON and exit statuses.

The second build is a copy of the first whose results were edited and sealed again.
"""

import json
import math
import shutil

import numpy as np
import pytest
from conftest import SMALL_TOML
from trigger_command import trigger_here

from trigger.artifacts.folder import read_graph
from trigger.fixedpoint.evaluate import run
from trigger.workflow.build import open_build
from trigger.workflow.prove import sealed

_LIMITS = "--fail-if"


@pytest.fixture
def builds(small_build, monkeypatch):
    """A build and its copy, by the names that the command gets."""
    _, root = small_build
    shutil.copytree(root, root.with_name("again"), symlinks=True)
    monkeypatch.chdir(root.parent)
    return root, root.with_name("again")


def compare(*arguments):
    return trigger_here("compare", "small", "again", *arguments)


def seal(root):
    (root / "manifest.json").write_text(sealed(open_build(root)))


def edit(root, name, change):
    """Change a JSON result of a build in place."""
    path = root / name
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    seal(root)


def section(text, title):
    """The rows of a table of the output, each as its cells."""
    rows = text.split(f"\n{title}\n")[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows]


def yosys(results):
    return next(run for run in results["results"] if run["tool"].startswith("Yosys"))


def test_a_build_and_itself(builds, tmp_path):
    path = tmp_path / "found.json"
    for again in ("small", "again"):
        result = trigger_here("compare", "small", again, "--json", path, _LIMITS, "lut=0")
        assert (result.returncode, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        assert lines[0].startswith("before  small (small): Exact: ")
        assert lines[1].startswith(f"after   {again} (small): Exact: ")
        assert lines[2] == "no difference"
        assert all(row[3] == "=" for row in section(result.stdout, "Figures"))
        found = json.loads(path.read_text())
        assert found["equal"] is True
        assert found["headline"] == "no difference"
        assert not any(found[name] for name in ("layers", "interface", "sources", "not_compared"))


def test_what_changed(builds, tmp_path):
    """A weight, a bias, types, LUT, latency, a port, a key: each is told with its numbers."""
    _, root = builds

    def weights(graph):
        hidden = next(node for node in graph["nodes"] if node["name"] == "out")
        hidden["weights"]["values"][0][1] = 3 - hidden["weights"]["values"][0][1]

    before = read_graph(root)["out"].weights
    edit(root, "graph/graph.json", weights)
    after = read_graph(root)["out"].weights
    assert (before.values != after.values).sum() == 1
    step = abs(after.real - before.real).max()

    def slower(description):
        description["latency"] += 1
        description["inputs"][0]["name"] = "renamed"

    edit(root, "rtl/rtl.json", slower)

    def larger(results):
        for one in results["results"]:
            one["latency"] += 1
        yosys(results)["lut"] += 8
        yosys(results)["layers"]["out"] += 8

    edit(root, "synthesis/results.json", larger)
    path = root / "trigger.toml"
    path.write_text(path.read_text().replace("epochs = 6", "epochs = 7\nseed = 3"))
    seal(root)
    target = tmp_path / "found.json"
    result = compare("--json", target)
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(target.read_text())
    assert found["kind"] == "trigger comparison" and found["version"] == 1
    assert found["equal"] is False
    lut = next(one for one in found["figures"] if one["figure"] == "lut")
    old = lut["before"]["value"]
    assert lut["change"] == 8 and lut["relative"] == 8 / old and lut["interval"] is None
    assert lut["before"]["origin"].startswith("synthesised, Yosys ")
    assert [one["figure"] for one in found["lut_by_layer"] if one["change"]] == ["lut.out"]
    (detail,) = found["layers"]
    assert detail["layer"] == "out" and detail["what"] == "weights"
    assert (detail["changed"], detail["total"], detail["largest"]) == (1, 8, step)
    assert {one["name"]: (one["before"], one["after"]) for one in found["interface"]} == {
        "latency": ("4 clock cycles", "5 clock cycles"),
        "input 0": ("a, fixed<5,2> at bits 0 to 4", "renamed, fixed<5,2> at bits 0 to 4"),
    }
    sources = {one["name"]: (one["before"], one["after"]) for one in found["sources"]}
    assert sources.pop("training.epochs") == ("6", "7")
    assert sources.pop("training.seed") == ("none", "3")
    assert list(sources) == ["SHA-256 of graph", "SHA-256 of rtl"]
    assert found["headline"] == result.stdout.splitlines()[2]
    assert found["headline"] == (
        f"latency +25.0 %; LUT {800 / old:+.1f} %; 1 layer changed; another interface"
    )
    assert ["LUT", str(old), str(old + 8), f"+8, {800 / old:+.1f} %"] == next(
        row[:4] for row in section(result.stdout, "Figures") if row[0] == "LUT"
    )
    assert section(result.stdout, "Interface")[0] == [
        "latency",
        "4 clock cycles",
        "5 clock cycles",
    ]


def limited(root, *limits):
    """Exit status and standard error with limits."""
    found = compare(*(part for limit in limits for part in (_LIMITS, limit)))
    return found.returncode, found.stderr


def test_limits_of_what_is_counted(builds):
    _, root = builds
    old = yosys(json.loads((root / "synthesis" / "results.json").read_text()))["lut"]
    edit(root, "synthesis/results.json", lambda results: yosys(results).update(lut=old + 7))
    exact = f"{700 / old:.9f}"
    assert limited(root, "lut=+7", "lut=7", "lut=-0", "ff=0", "interface") == (0, "")
    assert limited(root, f"lut=+{float(exact) + 0.001}%") == (0, "")
    over = f"{float(exact) - 0.001:.6f}"
    line = f"LUT from {old} to {old + 7}: +7, {700 / old:+.1f} %"
    for limit in ("lut=+6", "lut=6", "lut=+0%", f"lut=+{over}%"):
        assert limited(root, limit) == (3, f"trigger: changed too much\n  {limit}: {line}\n")
    assert limited(root, "bram=+5%", "lut=+10", "lut=+6") == (
        3,
        f"trigger: changed too much\n  lut=+6: {line}\n",
    )
    edit(root, "synthesis/results.json", lambda results: yosys(results).update(bram=1))
    assert limited(root, "bram=+5%") == (
        3,
        "trigger: changed too much\n  bram=+5%: BRAM from 0 to 1: +1\n",
    )
    edit(root, "rtl/rtl.json", lambda data: data["outputs"][0].update(name="other"))
    assert limited(root, "interface") == (
        3,
        "trigger: changed too much\n  interface: it changed\n",
    )


def worse(root, number):
    """Let the csim put so many more test events into the wrong class. Returns the accuracies."""
    path = root / "verification" / "outputs.npy"
    outputs = np.load(path)
    with np.load(root / "events" / "test.npz") as file:
        y = file["y"]
    right = np.flatnonzero(outputs[: len(y)].argmax(axis=1) == y)
    outputs[right[:number]] = outputs[right[:number]][:, ::-1]
    np.save(path, outputs)
    seal(root)
    return len(right) / len(y), (len(right) - number) / len(y)


def test_accuracy_and_its_limit(builds, tmp_path):
    """The interval is of the events that changed; the whole of it must be beyond a limit."""
    _, root = builds
    old, new = worse(root, 12)
    change = new - old
    target = tmp_path / "found.json"
    assert compare("--json", target).returncode == 0
    found = json.loads(target.read_text())
    accuracy = next(one for one in found["figures"] if one["figure"] == "accuracy")
    assert (accuracy["before"]["value"], accuracy["after"]["value"]) == (old, new)
    assert accuracy["change"] == change
    low, high = accuracy["interval"]
    assert low < change < high < 0
    # Twelve of 120 events: the error of a binomial count, not that of two accuracies.
    assert 0.02 < (high - low) / 2 < 0.04
    assert limited(root, f"accuracy=-{-100 * high + 0.01:.3f}%", "accuracy=+0")[0] == 0
    status, text = limited(root, f"accuracy=-{-100 * high - 0.01:.3f}%")
    assert status == 3 and text.splitlines()[1].endswith(
        f" %): {100 * change:+.2f} % ({100 * low:+.2f} to {100 * high:+.2f} %)"
    )
    assert limited(root, "accuracy=-0.001")[0] == 3


DECISION = """
[decision.accept.loose]
output = "signal"
threshold = -0.25

[decision.accept.tight]
output = "signal"
threshold = 0.25

[physics]
zero_bias = "background"
"""


def decide(root, bounds):
    """Give a build accept bits instead of scores, at bounds on the first score."""
    with np.load(root / "events" / "test.npz") as file:
        scores = run(read_graph(root), file["x"].astype(np.int64))
    np.save(
        root / "verification" / "outputs.npy",
        np.stack([scores[:, 0] >= bound for bound in bounds], axis=1).astype(np.int64),
    )
    path = root / "trigger.toml"
    path.write_text(path.read_text() + DECISION)
    points = {
        name: {"element": 0, "bound": bound, "threshold": bound / 32}
        for name, bound in zip(("loose", "tight"), bounds, strict=True)
    }
    edit(root, "graph/summary.json", lambda data: data.update(working_points=points))


def test_rates_and_efficiencies(builds, tmp_path):
    for root, bounds in zip(builds, ((-8, 8), (-8, 0)), strict=True):
        decide(root, bounds)
    target = tmp_path / "found.json"
    result = compare("--json", target, _LIMITS, "rate_khz.loose=0")
    assert (result.returncode, result.stderr) == (0, "")
    figures = {one["figure"]: one for one in json.loads(target.read_text())["figures"]}
    with np.load(builds[0] / "events" / "test.npz") as file:
        x, y = file["x"].astype(np.int64), file["y"]
    scores = run(read_graph(builds[0]), x)[:, 0]
    old, new = (np.mean(scores[y == 0] >= bound) for bound in (8, 0))
    assert new > old
    tight = figures["efficiency.tight.signal"]
    assert (tight["before"]["value"], tight["after"]["value"]) == (old, new)
    assert figures["efficiency.any.signal"]["change"] == 0
    assert "efficiency.tight.background" not in figures
    rate = figures["rate_khz.tight"]
    khz = 1000 * 40.079 * 2760 / 3564
    assert rate["after"]["value"] == khz * np.mean(scores[y == 1] >= 0)
    assert rate["unit"] == "kHz" and rate["before"]["value"] < rate["after"]["value"]
    # No scores: the network's stand for them.
    assert figures["accuracy"]["before"]["origin"] == "Keras, test events"
    assert limited(builds[1], "efficiency.tight=-0%", "efficiency.signal=-0%")[0] == 0
    status, text = limited(builds[1], "efficiency.tight.signal=+0%")
    assert status == 3 and "efficiency tight signal from " in text
    assert limited(builds[1], "efficiency.strict=-1%") == (
        2,
        "trigger: limits that cannot be checked\n"
        "  efficiency.strict=-1%: efficiency.strict is not a figure of both builds; these are: "
        "efficiency.loose.signal, efficiency.tight.signal, efficiency.any.signal\n",
    )


def test_other_crossings(builds, tmp_path):
    """A rate then changes though no event does, and its interval joins those of both."""
    _, root = builds
    for each in builds:
        decide(each, (-8, 8))
    path = root / "trigger.toml"
    path.write_text(path.read_text().replace("[physics]", "[physics]\nfilled_bunches = 1380"))
    seal(root)
    target = tmp_path / "found.json"
    assert compare("--json", target).returncode == 0
    found = json.loads(target.read_text())
    assert found["not_compared"] == []
    figures = {one["figure"]: one for one in found["figures"]}
    rate = figures["rate_khz.loose"]
    assert rate["relative"] == -0.5
    assert rate["interval"][0] < rate["change"] < rate["interval"][1]
    efficiency = figures["efficiency.loose.signal"]
    assert efficiency["change"] == 0


def test_rates_of_other_zero_bias(builds):
    """They are not of the same thing, so none passes a limit."""
    _, root = builds
    for each in builds:
        decide(each, (-8, 8))
    path = root / "trigger.toml"
    path.write_text(path.read_text().replace('zero_bias = "background"', 'zero_bias = "signal"'))
    seal(root)
    result = compare(_LIMITS, "rate_khz.any=+1000%")
    assert section(result.stdout, "Not compared") == [
        ["rates", "zero bias is background in the first build, signal in the second"]
    ]
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: limits that cannot be checked\n"
        "  rate_khz.any=+1000%: rate_khz.any is not a figure of both builds\n",
    )


def test_other_events(builds, tmp_path):
    """Intervals then join those of both builds, and areas have none."""
    _, root = builds
    edit(root, "events/summary.json", lambda data: data["files"].update({"events.csv": "0" * 64}))
    target = tmp_path / "found.json"
    assert compare("--json", target).returncode == 0
    found = json.loads(target.read_text())
    assert found["not_compared"] == [
        {"what": "event by event", "why": "the two builds have different test events"}
    ]
    figures = {one["figure"]: one for one in found["figures"]}
    accuracy = figures["accuracy"]
    low, high = accuracy["before"]["interval"]
    value = accuracy["before"]["value"]
    error = math.sqrt((value - low) ** 2 + (high - value) ** 2)
    assert accuracy["interval"] == [-error, error]
    assert figures["auc.signal"]["interval"] is None


def test_the_same_tool_counts_for_both(builds):
    """A build without Yosys is compared by the estimate of both."""
    _, root = builds
    edit(root, "synthesis/results.json", lambda data: data["results"].remove(yosys(data)))
    result = compare()
    assert result.returncode == 0
    rows = {row[0]: row for row in section(result.stdout, "Figures")}
    assert rows["LUT"][3:] == ["=", rows["clock, MHz"][4]]
    (note,) = section(result.stdout, "Not compared")
    assert note[0].startswith("RTL core, synthesised, Yosys ")
    assert note[1] == "only of the first build"
    assert result.stdout.splitlines()[2] == "no difference in what was compared"


def test_other_tasks_and_parts(builds):
    _, root = builds
    path = root / "trigger.toml"
    text = path.read_text().replace("xcvu9p-flga2104-2L-e", "xcvp1802-lsvc4072-2MP-e-S")
    path.write_text(text.replace('["signal", "background"]', '["signal", "noise"]'))
    edit(
        root,
        "synthesis/results.json",
        lambda data: [one.update(part="xcvp1802-lsvc4072-2MP-e-S") for one in data["results"]],
    )
    result = compare(_LIMITS, "accuracy=-1%", _LIMITS, "lut=+1%")
    assert section(result.stdout, "Not compared") == [
        [
            "accuracy and AUC",
            "the classes are signal, background in the first build, signal, noise in the second",
        ],
        ["area and clock", "the parts are Virtex UltraScale+ and Versal"],
    ]
    assert [row[0] for row in section(result.stdout, "Figures")] == [
        "latency, clock cycles",
        "latency, ns",
        "II",
    ]
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: limits that cannot be checked\n"
        "  accuracy=-1%: accuracy is not a figure of both builds\n"
        "  lut=+1%: lut is not a figure of both builds\n",
    )


def test_parts_that_are_missing_or_edited(builds):
    """The rest is compared; nothing of them passes a limit."""
    _, root = builds
    shutil.rmtree(root / "model")
    (root / "rtl" / "rtl.json").write_text("{}")
    result = compare(_LIMITS, "interface", _LIMITS, "accuracy=-1%")
    edited = "EDITED since the build; run `trigger build` again"
    notes = dict(section(result.stdout, "Not compared"))
    assert notes["the interface"] == f"{root / 'rtl' / 'rtl.json'}: {edited}"
    assert notes["cost"] == f"{root / 'rtl' / 'rtl.json'}: {edited}"
    assert notes["accuracy, rates and efficiencies"].endswith(
        ": MISSING since the build; run `trigger build` again"
    )
    assert len(notes) == 3
    assert result.stdout.startswith("before  small (small): Exact: ")
    assert result.stdout.splitlines()[1] == "after   again (small): verdict not known"
    assert (result.returncode, result.stderr) == (
        2,
        "trigger: limits that cannot be checked\n"
        "  interface: it was not compared\n"
        "  accuracy=-1%: accuracy is not a figure of both builds\n",
    )


@pytest.mark.parametrize(
    ("name", "key", "what"),
    [
        ("rtl/rtl.json", "latency", "the interface"),
        ("synthesis/results.json", "failures", "cost"),
    ],
)
def test_a_build_of_another_version(builds, name, key, what):
    _, root = builds
    edit(root, name, lambda data: data.pop(key))
    result = compare()
    assert (result.returncode, result.stderr) == (0, "")
    assert what in dict(section(result.stdout, "Not compared"))


def test_a_result_of_another_form(builds):
    _, root = builds
    edit(root, "events/summary.json", lambda data: data.update(files=3))
    result = compare()
    assert (result.returncode, result.stderr) == (0, "")
    why = "cannot be read (AttributeError: 'int' object has no attribute '{}'); another version"
    assert section(result.stdout, "Not compared") == [
        ["accuracy, rates and efficiencies", f"{why.format('values')} built it?"],
        ["sources", f"{why.format('items')} built it?"],
    ]


@pytest.mark.parametrize("content", [b"", b"null"])
@pytest.mark.parametrize("name", ["events/test.npz", "verification/outputs.npy"])
def test_arrays_that_cannot_be_read(builds, name, content):
    """They are sealed as they are; the other parts are compared."""
    _, root = builds
    (root / name).write_bytes(content)
    seal(root)
    result = compare()
    assert (result.returncode, result.stderr) == (0, "")
    ((what, why),) = section(result.stdout, "Not compared")
    assert what == "accuracy, rates and efficiencies"
    assert why.startswith("cannot be read (") and why.endswith("); another version built it?")
    assert any(row[0] == "LUT" for row in section(result.stdout, "Figures"))


def test_folders_without_a_build(builds, tmp_path):
    first, root = builds
    result = trigger_here("compare", first, tmp_path / "none")
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        f"trigger: {tmp_path / 'none'}: holds no finished build; run `trigger build` first\n",
    )
    (root / "trigger.toml").write_text(SMALL_TOML + "\n# edited\n")
    result = trigger_here("compare", first, root)
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {root / 'trigger.toml'}: EDITED since the build; run `trigger build` again\n",
    )
    (root / "manifest.json").write_text("{")
    result = trigger_here("compare", first, root)
    assert result.returncode == 2
    assert result.stderr.startswith(f"trigger: {root / 'manifest.json'}: damaged: ")


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            "lut<=5",
            '\'lut<=5\' is not a limit; write "lut=+5%", "accuracy=-0.3%" or "interface"',
        ),
        (
            "lut=+5 %",
            '\'lut=+5 %\' is not a limit; write "lut=+5%", "accuracy=-0.3%" or "interface"',
        ),
        (
            "acc=-1%",
            "no figure 'acc'; did you mean 'accuracy'?; available: accuracy, efficiency, auc, "
            "bias, resolution, rate_khz, latency_cycles, latency_ns, ii, clock_mhz, lut, ff, dsp, "
            "bram, interface",
        ),
        ("interface=1", '"interface" takes no amount: it may not change'),
        (
            "lutt=+5%",
            "no figure 'lutt'; did you mean 'lut'?; available: accuracy, efficiency, auc, bias, "
            "resolution, rate_khz, latency_cycles, latency_ns, ii, clock_mhz, lut, ff, dsp, bram, "
            "interface",
        ),
    ],
)
def test_what_is_no_limit(builds, limit, message):
    assert limited(builds[1], limit) == (2, f"trigger: --fail-if: {message}\n")


def test_the_page(builds, tmp_path):
    """The user's texts are data, and only an earlier page is replaced."""
    hostile = "<script>alert(1)</script>"
    for root in builds:
        path = root / "trigger.toml"
        path.write_text(path.read_text().replace('"signal"', f'"{hostile}"'))
        seal(root)
    old, new = worse(builds[1], 12)
    target = tmp_path / "pages" / "page.html"
    for _ in range(2):
        result = compare("--html", target, _LIMITS, "accuracy=-0.1%")
        assert result.returncode == 3
    page = target.read_text()
    assert hostile not in page and "AUC &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert f'<div class="verdict bad">accuracy {100 * (new - old):+.2f} %</div>' in page
    assert '<p class="bad">Limit: accuracy=-0.1%: accuracy from ' in page
    assert '<tr class="bad"><td>accuracy</td>' in page
    assert str(tmp_path) not in page
    foreign = tmp_path / "own.html"
    foreign.write_text("<p>mine</p>")
    result = compare("--html", foreign)
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        f"trigger: {foreign}: already exists and is not a page of `trigger compare`; remove it, "
        "or name another file\n",
    )
    result = compare("--json", foreign)
    assert result.returncode == 2 and "is not a JSON file of `trigger compare`" in result.stderr
    assert foreign.read_text() == "<p>mine</p>"
    one = tmp_path / "one"
    result = compare("--html", one, "--json", tmp_path / "." / "one")
    assert (result.returncode, one.exists()) == (2, False)
    assert result.stderr == f"trigger: compare: --html and --json both name {one}; name two files\n"


@pytest.mark.parametrize("text", ["[]", "{", '{"kind": "trigger rates"}', "[" * 100_000])
def test_a_json_file_of_another_command_stays(builds, tmp_path, text):
    foreign = tmp_path / "own.json"
    foreign.write_text(text)
    result = compare("--json", foreign)
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        f"trigger: {foreign}: already exists and is not a JSON file of `trigger compare`; remove "
        "it, or name another file\n",
    )
    assert foreign.read_text() == text


def test_a_terminal_gets_colours(builds):
    from trigger.report.changes import table
    from trigger.workflow.compare import compare as compared

    worse(builds[1], 12)
    comparison = compared(*builds)
    assert "\x1b[" in table(comparison, is_terminal=True)
    assert "\x1b[" not in table(comparison)
