"""Networks and accept bits that say the same of every event: nobody overlooks them."""

import re
import shutil

import numpy as np
import pytest
from conftest import SMALL_TOML, write_small_trigger
from trigger_command import trigger, trigger_here

from trigger.artifacts.outcome import headline
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.build import constant as numbers
from trigger.fixedpoint.types import Fixed
from trigger.physics.constant import Constant, constants, told, unusable, warnings
from trigger.search.trial import Task, run_trial
from trigger.spec.spec import parse
from trigger.workflow.build import open_build

pytestmark = pytest.mark.minutes

# All weights zero, of one score or of both; training leaves them so.
ZERO = """
import keras
from qkeras import QDense


def network(features, classes):
    inputs = keras.Input((features,))
    weights = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": "quantized_bits(4,0,alpha=1)"}
    start = {"kernel_initializer": "zeros", "bias_initializer": keras.initializers.Constant(0.25)}
    constant = QDense(%d, **weights, **start, name="constant")
    other = QDense(2 - %d, **weights, name="other")(inputs) if %d < 2 else None
    y = constant(inputs)
    return keras.Model(inputs, y if other is None else keras.layers.Concatenate(name="both")([other, y]))
"""


def make(folder, constant_scores, more=""):
    write_small_trigger(folder)
    text = SMALL_TOML.replace("[pruning]\nsparsity = 0.5\nend_epoch = 3\n", "")
    text = text.replace("learning_rate = 0.02", "learning_rate = 1e-12")
    (folder / "trigger.toml").write_text(text + more)
    (folder / "model.py").write_text(ZERO % ((constant_scores,) * 3))
    return folder


@pytest.fixture(scope="module")
def one_constant(tmp_path_factory):
    """A build whose second score is constant: its folder, and what the command said."""
    base = tmp_path_factory.mktemp("constant")
    return base, trigger_here("build", make(base / "t", 1), "--output", base)


def test_a_network_that_is_constant(tmp_path):
    """Exact, and told at the graph stage, in the verdict, by the exit status, on the page, and by
    show.
    """
    result = trigger("build", make(tmp_path / "t", 2), "--output", tmp_path)
    same = "every score is the same for every input (signal 0.25, background 0.25)"
    warning = f"warning: {same}; raise training.epochs, or give weights and activations more bits"
    assert result.returncode == 3, result.stderr
    lines = result.stdout.splitlines()
    assert lines[lines.index("graph: lowering the network to integers") + 1] == f"  {warning}"
    verdict = next(line for line in lines if line.startswith("small: "))
    assert re.fullmatch(rf"small: Exact: .* vectors; but {re.escape(same)}\.", verdict)
    assert lines[lines.index(verdict) + 1] == f"  {warning}"
    assert result.stderr.splitlines()[-3:] == [
        "trigger: exact, but constant",
        f"  {warning.removeprefix('warning: ')}",
        f"  report: {tmp_path / 'small' / 'report' / 'index.html'}",
    ]
    page = (tmp_path / "small" / "report" / "index.html").read_text()
    assert re.search(rf'<div class="verdict over">Exact: .*; but {re.escape(same)}\.</div>', page)
    assert f'<p class="over">W{warning[1:]}.</p>' in page
    shown = trigger("show", tmp_path / "small")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[:2] == [verdict, f"  {warning}"]
    again = trigger_here("build", tmp_path / "t", "--output", tmp_path)
    assert again.returncode == 3 and f"  {warning}" in again.stdout.splitlines()
    assert trigger("verify", tmp_path / "small").returncode == 0
    over = make(tmp_path / "over", 2, "[budget]\nlatency_ns = 0.1\n")
    result = trigger_here("build", over, "--output", tmp_path)
    assert result.returncode == 3
    assert f"; but over budget: latency, ns; and {same}." in result.stdout
    assert f"  {warning.removeprefix('warning: ')}" in result.stderr.splitlines()


def test_one_score_that_is_constant(one_constant):
    base, result = one_constant
    assert result.returncode == 0, result.stderr
    same = "the score of background is 0.25 for every input"
    assert f"  warning: {same}; raise training.epochs, " in result.stdout
    assert f"vectors; but {same}.\n" in result.stdout
    page = (base / "small" / "report" / "index.html").read_text()
    assert re.search(rf'<div class="verdict over">Exact: .*; but {re.escape(same)}\.</div>', page)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (
            'output = "background"\nthreshold = 0.5',
            "decision.accept.tight: the score of background is 0.25 for every input, "
            "so no threshold separates events; "
            "raise training.epochs, or give weights and activations more bits",
        ),
        (
            'output = "background"\nrate_khz = 100',
            "decision.accept.tight: the score of background is 0.25 for every input, "
            "so no threshold separates events; "
            "raise training.epochs, or give weights and activations more bits",
        ),
        (
            'output = "signal"\nthreshold = 100',
            r"decision.accept.tight.threshold is 100.0, and no event reaches it: the "
            r"score of signal lies between "
            r"(\S+) and (\S+); give a threshold above \1 and not above \2",
        ),
        (
            'output = "signal"\nthreshold = -100.5',
            r"decision.accept.tight.threshold is -100.5, and every event reaches it: "
            r"the score of signal lies between "
            r"(\S+) and (\S+); give a threshold above \1 and not above \2",
        ),
    ],
)
def test_thresholds_that_divide_nothing(one_constant, tmp_path, point, message):
    """Of a network that is trained already."""
    shutil.copytree(one_constant[0], tmp_path / "build", symlinks=True)
    more = f'[decision.accept.tight]\n{point}\n[physics]\nzero_bias = "background"\n'
    folder = make(tmp_path / "build" / "t", 1, more)
    result = trigger_here("build", folder, "--output", tmp_path / "build")
    assert "training the" not in result.stdout
    assert result.returncode == 2, result.stdout
    last = result.stderr.splitlines()[-1].removeprefix("trigger: ")
    assert re.fullmatch(message, last) or last == message


@pytest.mark.parametrize(
    ("head", "threshold", "reached", "ends"),
    [
        ("sigmoid", -2.5, "every event reaches it", (0.0, 1.0)),
        ("hard_sigmoid", 1.5, "no event reaches it", (0.0, 1.0)),
        ("tanh", -1.0, "every event reaches it", (-1.0, 1.0)),
    ],
)
def test_a_threshold_outside_the_values_of_the_head(tmp_path, head, threshold, reached, ends):
    """Before any training: as if it were on the scores in front of the head."""
    more = f'[decision.accept.tight]\noutput = "signal"\nthreshold = {threshold}\n'
    folder = make(tmp_path / "t", 2, more)
    text = (
        (folder / "model.py")
        .read_text()
        .replace("y = constant(inputs)", "y = head(constant(inputs))")
    )
    head_made = f"head = keras.layers.Activation({head!r})\n    y ="
    (folder / "model.py").write_text(text.replace("y =", head_made))
    result = trigger_here("build", folder, "--output", tmp_path)
    assert result.returncode == 2, result.stdout
    assert "training the" not in result.stdout
    low, high = ends
    assert result.stderr.splitlines()[-1] == (
        f"trigger: decision.accept.tight.threshold is {threshold}, and {reached}: the "
        f"score of signal lies between {low} and "
        f"{high}; give a threshold above {low} and not above {high}"
    )


def test_a_search_fails_the_trials_that_are_constant(tmp_path):
    search = '[search.parameters]\n"training.batch_size" = { choices = [64, 128] }\n'
    folder = make(tmp_path / "t", 2, search)
    text = (folder / "trigger.toml").read_text()
    found = run_trial(Task(text, str(folder), {}, (np.inf,) * 3))
    assert (found.state, found.reason) == (
        "failed",
        "every score is the same for every input; raise training.epochs, or give "
        "weights and activations more bits",
    )


# --- what is constant, and what is said of it
# -----------------------------------------------------------------------


def spec_of(tmp_path, more=""):
    return parse(SMALL_TOML + more, tmp_path / "trigger.toml")


def graph_of(weights, biases):
    builder = Builder((Fixed(True, 4, 4),) * 2)
    out = builder.dense("out", "inputs", numbers(np.array(weights)), numbers(np.array(biases)))
    return builder.graph(out)


def test_constants_are_proven_or_only_seen(tmp_path):
    graph = graph_of([[1.0, 0.0], [0.5, 0.0]], [0.0, -0.75])
    seen = evaluate.run(graph, np.array([[1, 2], [1, 2], [3, 2]]))
    points = {
        "low": {"element": 0, "bound": -1},
        "some": {"element": 0, "bound": 9},
        "high": {"element": 0, "bound": 40},
        "none": {"element": 0, "bound": 1000},
    }
    spec = spec_of(tmp_path)
    assert constants(spec, graph, seen, {}) == [Constant("background", False, -0.75, True)]
    assert constants(spec, graph, seen, points) == [
        Constant("background", False, -0.75, True),
        Constant("low", True, 1.0, False),
        Constant("high", True, 0.0, False),
        Constant("none", True, 0.0, True),
    ]
    assert constants(spec, graph, evaluate.run(graph, np.array([[1, 2], [1, 2]])), {}) == [
        Constant("signal", False, 2.0, False),
        Constant("background", False, -0.75, True),
    ]


SIGNAL, BACKGROUND = Constant("signal", False, 1.5, True), Constant("background", False, 0.0, False)
TIGHT = Constant("tight", True, 0.0, False)
DECISION = (
    '[decision.accept.tight]\noutput = "signal"\nthreshold = 1\n'
    '[decision.accept.loose]\noutput = "signal"\nthreshold = 0\n'
)


@pytest.mark.parametrize(
    ("found", "more", "lines", "hopeless"),
    [
        ([], "", [], False),
        ([], DECISION, [], False),
        (
            [SIGNAL],
            "",
            [
                "the score of signal is 1.5 for every input; lower pruning.sparsity, "
                "or raise training.epochs"
            ],
            False,
        ),
        (
            [SIGNAL, BACKGROUND],
            "",
            [
                "every score is the same in all events and vectors (signal 1.5, "
                "background 0); lower pruning.sparsity, "
                "or raise training.epochs"
            ],
            True,
        ),
        (
            [TIGHT],
            DECISION,
            ["accept bit tight is 0 in all events and vectors; change decision.accept.tight"],
            False,
        ),
        (
            [TIGHT, TIGHT._replace(name="loose", value=1.0)],
            DECISION,
            [
                "accept bit tight is 0 in all events and vectors",
                "accept bit loose is 1 in all events and vectors; change "
                "decision.accept.tight and decision.accept.loose",
            ],
            True,
        ),
        (
            [TIGHT._replace(proven=True)],
            DECISION,
            ["accept bit tight is 0 for every input; change decision.accept.tight"],
            True,
        ),
        (
            [TIGHT],
            DECISION + "[payload]\n",
            ["accept bit tight is 0 in all events and vectors; change decision.accept.tight"],
            False,
        ),
    ],
)
def test_what_is_said(tmp_path, found, more, lines, hopeless):
    spec = spec_of(tmp_path, more)
    assert warnings(found, spec) == lines
    assert unusable(found, spec) == hopeless
    assert [line.split(";")[0] for line in lines] == told(found, spec)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        (
            [
                ("[pruning]\nsparsity = 0.5\nend_epoch = 3\n", ""),
                ("epochs = 6", "epochs = 6\ntarget_lut = 10"),
            ],
            "raise training.target_lut, or training.epochs",
        ),
        (
            [
                ('function = "network"', 'network = "n.keras"'),
                (SMALL_TOML[SMALL_TOML.index("[training]") : SMALL_TOML.index("[inputs]")], ""),
            ],
            "check the weights of n.keras and the types in [inputs]",
        ),
        (
            [
                ('function = "network"', 'network = "n.keras"'),
                (
                    SMALL_TOML[SMALL_TOML.index("[training]") : SMALL_TOML.index("[inputs]")],
                    "[quantization]\nbits = 2\n",
                ),
            ],
            "raise quantization.bits, or check the weights of n.keras and the types in [inputs]",
        ),
    ],
)
def test_what_helps(tmp_path, changes, remedy):
    text = SMALL_TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    spec = parse(text, tmp_path / "trigger.toml")
    assert warnings([SIGNAL], spec) == [f"the score of signal is 1.5 for every input; {remedy}"]


def test_builds_that_recorded_nothing(small_build):
    """Those of earlier versions are shown as before."""
    from trigger.artifacts.outcome import outcome

    _, root = small_build
    path = root / "graph" / "summary.json"
    path.write_text(re.sub(r',\s*"constant": \[\]', "", path.read_text()))
    assert "constant" not in path.read_text()
    found = outcome(open_build(root))
    assert found.headline.kind == "good" and found.warnings == [] and not found.unusable
    assert headline(found.results, same=["a is b"]).text.endswith(" vectors; but a is b.")
