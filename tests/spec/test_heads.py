"""[heads] of trigger.toml: the keys of each task, and the names of the scores."""

import pytest

from trigger import TriggerError
from trigger.spec.spec import parse

TOML = """
name = "heads"
[data]
files = ["x.csv"]
features = ["a", "b"]
label = "kind"
weight = "w"
classes = ["u", "c", "b"]
[model]
function = "network"
[inputs]
type = "ufixed<16,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""
FLAVOUR = '[heads.flavour]\ntask = "classification"\n'
ENERGY = '[heads.energy]\ntask = "regression"\nlabel = "true_energy"\n'


def parsed(text, tmp_path):
    return parse(TOML + text, tmp_path / "trigger.toml")


def test_the_scores_of_all_heads(tmp_path):
    tag = '[heads.tag]\ntask = "classification"\noutput = ["c", "b"]\n'
    spec = parsed(ENERGY + FLAVOUR + tag, tmp_path)
    names = ["energy", "flavour_u", "flavour_c", "flavour_b", "tag"]
    assert spec.scores == spec.outputs == names
    assert [names[head.places] for head in spec.scoring] == [names[:1], names[1:4], names[4:]]
    assert [head.background for head in spec.scoring] == [None, None, (0,)]
    assert [head.column for head in spec.scoring] == [0, 1, 2]


def test_a_file_without_heads_has_one_without_a_name(tmp_path):
    spec = parse('task = "classification"\n' + TOML, tmp_path)
    (only,) = spec.scoring
    assert (only.name, only.outputs, only.column) == ("", ["u", "c", "b"], None)
    assert (only.classes, only.background, only.taught) == (["u", "c", "b"], None, (0, 1, 2))


def test_a_regression_needs_no_classes_of_events(tmp_path):
    text = TOML.replace('label = "kind"\n', "").replace('classes = ["u", "c", "b"]\n', "") + ENERGY
    assert parse(text, tmp_path).scores == ["energy"]


REFUSED = {
    "a loss of a classification": (
        FLAVOUR + 'loss = "huber"',
        'heads.flavour: loss is not a key of task "classification"',
    ),
    "classes of a regression": (
        ENERGY + 'classes = ["a", "b"]',
        'heads.energy: classes is not a key of task "regression"',
    ),
    "a regression without truth": (
        '[heads.energy]\ntask = "regression"',
        "heads.energy: label is missing; set it to the column of the true value",
    ),
    "bins out of order": (
        ENERGY + "bins = [0, 2, 1]",
        "heads.energy: bins are [0.0, 2.0, 1.0]; each edge must be above the one before",
    ),
    "a class twice": (
        FLAVOUR + 'label = "kind"\nclasses = ["a", "a"]',
        "heads.flavour: classes names 'a' twice",
    ),
    "monotone for classes": (
        FLAVOUR + 'monotone = ["a"]',
        'heads.flavour: monotone is not a key of task "classification"',
    ),
    "calibration of classes": (
        FLAVOUR + 'calibration = "isotonic"',
        'heads.flavour: calibration is not a key of task "classification"',
    ),
    "monotone in no feature": (
        ENERGY + 'monotone = ["a", "aa"]',
        "heads.energy.monotone has 'aa', which is not a feature; did you mean 'a'?",
    ),
    "monotone in an empty pattern": (
        ENERGY + 'monotone = ["em_*"]',
        "heads.energy.monotone has 'em_*', which matches no feature",
    ),
    "an unknown key": (
        FLAVOUR + "wieght = 2",
        "unknown key heads.flavour.wieght; did you mean 'weight'?",
    ),
    "task and heads": (
        FLAVOUR,
        "set either task, for a network with one head, or [heads], each with its own task",
    ),
    "training classes": (
        FLAVOUR + '[training]\nclasses = ["u"]',
        "training.classes is for a network without [heads]; set heads.NAME.mask, 0 for the events "
        "of the others",
    ),
    "distillation": (
        FLAVOUR + "[training]\ndistillation = 0.5",
        "training.distillation is for a network without [heads]; remove it",
    ),
    "the loss of an anomaly": (
        FLAVOUR + "[training]\nbeta = 0.5",
        "training.beta is for a network without [heads]; remove it",
    ),
    "an output twice": (
        FLAVOUR + 'output = ["c", "c"]',
        "heads.flavour.output names 'c' twice",
    ),
    "all classes": (
        FLAVOUR + 'output = ["c", "b", "u"]',
        "heads.flavour.output must list some, but not all, of the classes",
    ),
    "a truth that is the weight": (
        ENERGY.replace("true_energy", "w") + '[data.split]\ncolumn = "part"',
        "heads.energy.label is 'w', which is also data.weight",
    ),
    "a mask that is the split": (
        ENERGY + 'mask = "part"\n[data.split]\ncolumn = "part"',
        "heads.energy.mask is 'part', which is also data.split.column",
    ),
    "no head": (
        "[heads]",
        "[heads] is empty; give each output of the network a table in it, or remove it",
    ),
    "an accept bit of no score": (
        FLAVOUR + '[decision.accept.yes]\noutput = "flavour_d"\nthreshold = 1',
        "decision.accept.yes.output is 'flavour_d', which is not a score of a head; did you mean "
        "'flavour_u'?",
    ),
    "an accept bit without a score": (
        FLAVOUR + "[decision.accept.yes]\nthreshold = 1",
        "decision.accept.yes.output is missing; set it to the score that decides",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, tmp_path):
    text, message = REFUSED[name]
    task = 'task = "classification"\n' if name == "task and heads" else ""
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as caught:
        parse(task + TOML + text, path)
    assert str(caught.value) == f"{path}: {message}"


def test_two_heads_of_a_float_network_are_not_quantised(tmp_path):
    path = tmp_path / "trigger.toml"
    text = (
        TOML.replace('function = "network"', 'network = "a.keras"') + "[quantization]\nbits = 8\n"
    )
    assert parse(text + ENERGY, path).quantization.bits == 8
    with pytest.raises(TriggerError) as caught:
        parse(text + ENERGY + FLAVOUR, path)
    assert str(caught.value) == (
        f"{path}: [quantization] is for a network of one output; train this one with QKeras "
        f"quantisers"
    )
