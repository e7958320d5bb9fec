"""A network that was trained elsewhere: its trigger.toml is written, and it is built as it is."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from qkeras import QDense
from typer.testing import CliRunner

from trigger import TriggerError
from trigger.artifacts.folder import read_graph
from trigger.cli.app import app
from trigger.fixedpoint import evaluate
from trigger.spec.spec import load
from trigger.training.network import trained
from trigger.workflow.adopt import Adoption, adopt
from trigger.workflow.build import build

pytestmark = pytest.mark.minutes

LEGACY = Path(__file__).parent / "frontends" / "legacy"
PART = "xcvu9p-flga2104-2L-e"
QUANTIZER = "quantized_bits(4,0,alpha=1)"


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A working folder with a sample of four features and a class, in text."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    rows = [
        f"{','.join(f'{v:.3f}' for v in row)},{'abc'[k % 3]}"
        for k, row in enumerate(rng.normal(size=(300, 4)) * 3)
    ]
    Path("sample.csv").write_text("\n".join(["p,q,r,s,kind", *rows]) + "\n")
    shutil.copy(LEGACY / "functional.h5", "trained.h5")
    return Path("sample.csv")


@pytest.mark.full
def test_a_legacy_network_is_built_from_its_file(sample):
    arguments = [
        "build",
        "--network",
        "trained.h5",
        "--events",
        "sample.csv",
        "--label",
        "kind",
        "--part",
        PART,
        "--clock",
        "240",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == "wrote trained.toml: check its classes and input types"
    root = Path("build/trained")
    assert json.loads((root / "verification" / "results.json").read_text())["equal"]
    page = (root / "report" / "index.html").read_text()
    assert "<code>trained.h5</code>, trained elsewhere" in page and "AUC a" in page
    saved, graph = np.load(LEGACY / "functional.npz"), read_graph(root)
    found = np.ldexp(
        evaluate.run(graph, evaluate.quantize_inputs(graph, saved["x"])).astype(float),
        -graph.output.fractions,
    )
    np.testing.assert_array_equal(found, saved["y"])
    # Without a label there is nothing to measure.
    Path("trained.toml").unlink()
    lines = [line.rpartition(",")[0] for line in sample.read_text().splitlines()]
    sample.write_text("\n".join(lines) + "\n")
    root = build(str(adopt(Adoption(Path("trained.h5"), sample, PART, 240))), Path("build"))
    assert (
        "The events have no label, so there is nothing to measure it by."
        in (root / "report" / "index.html").read_text()
    )


def test_the_types_of_the_inputs_are_those_asked_for(sample):
    path = adopt(Adoption(Path("trained.h5"), sample, PART, 240, "kind", inputs="fixed<9,4>"))
    assert {str(t) for t in load(path).input_types} == {"fixed<9,4>"}


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("float", "float_network"),
        ("class", "class_network"),
        ("model (1)", "model_1"),
        ("best__model", "best_model"),
        ("été", "ete"),
        ("2026-best", "network_2026_best"),
    ],
)
def test_any_file_name_gives_a_project_a_name(sample, stem, name):
    shutil.copy(LEGACY / "functional.h5", f"{stem}.h5")
    path = adopt(Adoption(Path(f"{stem}.h5"), sample, PART, 240, "kind"))
    assert (str(path), load(path).name) == (f"{name}.toml", name)


def test_columns_of_integers_get_integer_types(sample):
    rng = np.random.default_rng(5)
    rows = [
        f"{k % 4096},{k % 2},{-(k % 2049)},{v:.3f}" for k, v in enumerate(rng.normal(size=5000))
    ]
    Path("counts.csv").write_text("\n".join(["p,q,r,s", *rows]) + "\n")
    shutil.copy(LEGACY / "sequential.h5", "one.h5")
    path = adopt(Adoption(Path("one.h5"), Path("counts.csv"), PART, 240))
    types = [str(kind) for kind in load(path).input_types]
    assert types == ["ufixed<12,12>", "ufixed<1,1>", "fixed<12,12>", "fixed<16,3>"]


def test_classes_are_found_in_the_order_of_the_outputs(sample, small_build):
    """The small trigger's outputs are signal, background: not the alphabet's order."""
    source, root = small_build
    shutil.copy(root / "model" / "network.keras", "small_one.keras")
    shutil.copy(source / "events.csv", "events.csv")
    adopt(Adoption(Path("small_one.keras"), Path("events.csv"), PART, 240, "kind"))
    text = Path("small_one.toml").read_text()
    assert 'classes = ["signal", "background"]' in text
    assert "# sample score highest." in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "kin"}, "sample.csv: no column 'kin'; available: p, q, r, s, kind"),
        (
            {"label": "p"},
            "sample.csv: 3 numeric columns besides the label; trained.h5 has 4 inputs",
        ),
        ({"part": "xcvu9"}, "trained.toml: target.part: no part 'xcvu9'; did you mean"),
        ({"clock_mhz": 0}, "trained.toml: target.clock_mhz is 0; it must be greater than 0"),
        (
            {"inputs": "int8"},
            "trained.toml: inputs.type: 'int8' is not a type; write fixed<W,I> or ufixed<W,I>",
        ),
        ({"network": Path("none.h5")}, "none.h5: no such file"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(sample, change, message):
    asked = Adoption(Path("trained.h5"), sample, PART, 240, "kind")._replace(**change)
    with pytest.raises(TriggerError) as error:
        adopt(asked)
    assert str(error.value).startswith(message)
    assert not Path("trained.toml").exists()


def test_as_many_classes_as_outputs(sample):
    shutil.copy(LEGACY / "sequential.h5", "one.h5")
    with pytest.raises(TriggerError) as error:
        adopt(Adoption(Path("one.h5"), sample, PART, 240, "kind"))
    assert (
        str(error.value) == "sample.csv: the column 'kind' has 3 different values, but the network "
        "separates 2 classes"
    )


def test_a_file_of_the_users_own_is_kept(sample):
    Path("trained.toml").write_text("mine")
    with pytest.raises(TriggerError) as error:
        adopt(Adoption(Path("trained.h5"), sample, PART, 240, "kind"))
    assert str(error.value) == (
        "trained.toml: already exists with different content; build it with `trigger "
        "build trained.toml`, or remove it"
    )


@pytest.mark.parametrize("arguments", [[], ["jet_tagger", "--clock", "1"]])
def test_half_of_the_options(arguments):
    result = CliRunner().invoke(app, ["build", *arguments])
    assert (
        str(result.exception)
        == "build: name either a trigger, or --network or --hls4ml, with --events, --part and --clock"
    )


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["--clock", "1", "--events", "x.csv"], "--part"),
        (["--part", "xcvu13p"], "--events and --clock"),
        ([], "--events and --part and --clock"),
    ],
)
def test_missing_options_of_a_network(arguments, missing):
    result = CliRunner().invoke(app, ["build", "--network", "x.keras", *arguments])
    assert str(result.exception) == f"build: --network also needs {missing}"


def two_inputs(outputs):
    """A network of the sample's four features in two inputs, named in a dictionary."""
    p, rest = keras.Input((1,), name="p"), keras.Input((3,), name="rest")
    x = keras.layers.Concatenate()([p, rest])
    made = {name: QDense(3, kernel_quantizer=QUANTIZER, name=name)(x) for name in outputs}
    keras.Model({"p": p, "rest": rest}, made).save("two.keras")


def test_several_inputs_are_one_row_of_the_sample(sample):
    two_inputs(["score"])
    adopt(Adoption(Path("two.keras"), sample, PART, 240, "kind"))
    spec = load(Path("two.toml"))
    assert spec.data.features == ["p", "q", "r", "s"]
    assert sorted(spec.data.classes) == ["a", "b", "c"]


def test_several_outputs_with_a_label_are_refused(sample):
    two_inputs(["score", "other"])
    with pytest.raises(TriggerError) as error:
        adopt(Adoption(Path("two.keras"), sample, PART, 240, "kind"))
    assert str(error.value) == (
        "two.keras: holds a network of 2 outputs; build it without --label, then add [heads] to "
        "the trigger.toml"
    )


def test_several_outputs_are_one_row_of_scores(sample):
    """Without a label they need no names of classes; the label of this sample is text."""
    two_inputs(["score", "other"])
    adopt(Adoption(Path("two.keras"), sample, PART, 240))
    spec = load(Path("two.toml"))
    assert spec.scores == [f"output_{k}" for k in range(6)]
    assert len(trained(spec, Path()).outputs) == 2


def test_an_open_shape_is_refused(sample):
    x = keras.Input((None, 2))
    pooled = keras.layers.GlobalMaxPooling1D()(QDense(3, kernel_quantizer=QUANTIZER)(x))
    keras.Model(x, pooled).save("open.keras")
    with pytest.raises(TriggerError) as error:
        adopt(Adoption(Path("open.keras"), sample, PART, 240, "kind"))
    assert str(error.value) == (
        "open.keras: holds a network with the open input shape (None, 2); give its Input a "
        "complete shape"
    )
