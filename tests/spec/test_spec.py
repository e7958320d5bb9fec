"""trigger.toml: what is right is read, what is wrong is named with the nearest right key."""

import re

import pytest

from trigger import TriggerError
from trigger.spec.parts import parts
from trigger.spec.spec import Spec, find, load, parse, without_warm_start, zoo
from trigger.spec.tables import Section
from trigger.support.resources import folder

# Pruned instead of with learned widths, so that both can be got wrong.
PRUNING = "[pruning]\nsparsity = 0.7\nstart_epoch = 10\nend_epoch = 70\n\n[inputs.types]"
JETS = (folder("models") / "jet_mlp" / "trigger.toml").read_text()
GOOD = re.sub("target_lut = .*\n", "", without_warm_start(JETS)).replace("[inputs.types]", PRUNING)


def refusal(tmp_path, *changes) -> str:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "trigger.toml"
    path.write_text(text)
    with pytest.raises(TriggerError) as error:
        load(path)
    message = str(error.value)
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    return message.replace(f"{path}: ", "")


@pytest.mark.parametrize("name", zoo())
def test_the_zoo_is_valid(name):
    spec = load(find(name))
    assert spec.name == name
    assert len(spec.input_types) == len(spec.data.features)
    assert spec.description


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[pruning]", "[prunning]", "unknown key prunning; did you mean 'pruning'?"),
        ("batch_size", "batchsize", "unknown key training.batchsize; did you mean 'batch_size'?"),
        ("train = 0.6", "trian = 0.6", "unknown key data.split.trian; did you mean 'train'?"),
        ('name = "jet_mlp"', "", "the key name is missing"),
        (
            "clock_mhz = 240",
            'clock_mhz = "240 MHz"',
            "target.clock_mhz is '240 MHz'; it must be a number, in MHz, without quotes and unit",
        ),
        (
            "clock_mhz = 240",
            "clock_mhz = -1",
            "target.clock_mhz is -1; it must be greater than 0",
        ),
        (
            "latency_ns = 100",
            "latency_ns = inf",
            "budget.latency_ns is inf; it must be a finite number",
        ),
        (
            "latency_ns = 100",
            "latency_ns = 0",
            "budget.latency_ns is 0; it must be greater than 0",
        ),
        ("lut = 8000", "lut = 0", "budget.lut is 0; it must be greater than 0"),
        ("lut = 8000", "lut = 1.5", "budget.lut is 1.5; it must be a valid integer"),
        (
            "xcvu13p-flga2577-2-e",
            "xcvu13p",
            "target.part: no part 'xcvu13p'; did you mean 'xcvu13p-",
        ),
        (
            'name = "jet_mlp"',
            'name = "jet tagger"',
            "name: 'jet tagger' cannot name a C++ function; use letters, digits",
        ),
        (
            'name = "jet_mlp"',
            'name = "class"',
            "name: 'class' cannot name a C++ function: it is reserved by C++ or "
            "hls4ml; use another name",
        ),
        ('"t"]', '"W"]', "data: classes names 'W' twice"),
        (
            'label = "jet"',
            'label = "zlogz"',
            "data: 'zlogz' is a feature and also the label, weight or split",
        ),
        (
            "train = 0.6",
            "train = 0.7",
            "data.split: train, validation and test add up to 1.1; they must add up to 1",
        ),
        ("end_epoch = 70", "end_epoch = 5", "pruning: end_epoch 5 is not after start_epoch 10"),
        (
            "end_epoch = 70",
            "end_epoch = 600",
            "pruning.end_epoch 600 leaves no epoch to fine-tune; training.epochs is 600",
        ),
        (
            "patience = 200",
            "target_lut = 5000",
            "set either [pruning] or training.target_lut, which already removes weights",
        ),
        (
            "patience = 200",
            "refinement = 8",
            "training.refinement needs training.target_lut, its target for learned widths",
        ),
        ("sparsity = 0.7", "sparsity = 1", "pruning.sparsity is 1; it must be less than 1"),
        (
            "multiplicity =",
            "multiplicty =",
            "inputs.types has 'multiplicty', which is not a feature; did you mean 'multiplicity'?",
        ),
        (
            'mass_mmdt = "ufixed<12,10>"',
            "",
            "inputs has no type for the feature 'mass_mmdt'; give inputs.type for all",
        ),
        (
            "ufixed<12,10>",
            "float",
            "inputs.types: 'float' is not a type; write fixed<W,I> or ufixed<W,I> with "
            "W from 1 to 53",
        ),
        ('"classification"', '"regression"', "task is 'regression'; it must be 'classification'"),
        ("[data]", "[data", "not TOML: "),
        (
            'function = "jet_mlp"',
            'network = "a.keras"',
            "training needs a network that is trained here",
        ),
        (
            'function = "jet_mlp"',
            'function = "jet_mlp"\noutput = "t"',
            "model.output is 't'; with two classes it must name the scored one",
        ),
        (
            'function = "jet_mlp"',
            'function = "jet_mlp"\noutput = ["t", "Wz"]',
            "model.output has 'Wz', which is not a class; did you mean 'W'?",
        ),
        (
            'function = "jet_mlp"',
            'function = "jet_mlp"\noutput = ["t", "W", "Z", "q", "g"]',
            "model.output must list some, but not all, of the classes",
        ),
        (
            "train = 0.6, validation = 0.2, test = 0.2",
            'column = "split", train = 0.6',
            "data.split: set either column, or train, validation and test",
        ),
        (
            "[physics]",
            "[decision.accept]\nany.threshold = 1\ntight.threshold = 2\n\n[physics]",
            "decision: accept.any: this is the name of all accept bits together; use another one",
        ),
        (
            "[physics]",
            "[decision.accept.a]\nthreshold = 1\n\n[physics]",
            "decision.accept.a.output is missing; set it to the class",
        ),
        (
            "[physics]",
            '[decision.accept.a]\noutput = "t"\n\n[physics]',
            "decision.accept.a: set either threshold or rate_khz",
        ),
        (
            "[physics]",
            '[decision.accept.a]\noutput = "t"\nrate_khz = 10\n\n[physics]',
            "decision.accept.a.rate_khz needs physics.zero_bias, the class of unbiased "
            "bunch crossings",
        ),
        (
            "[physics]",
            '[physics]\nzero_bias = "G"',
            "physics.zero_bias is 'G', which is not a class of labelled events",
        ),
        (
            "[physics]",
            "[physics]\nfilled_bunches = 3565",
            "physics.filled_bunches is 3565; it must be less than or equal to 3564",
        ),
        (
            "[physics]",
            '[physics]\nturn_on = ["mass"]',
            "physics.turn_on has 'mass', which is not a feature; did you mean 'mass_mmdt'?",
        ),
        (
            "lut = 8000",
            "rate_khz = 4",
            "budget.rate_khz needs physics.zero_bias, the class of unbiased bunch crossings",
        ),
        (
            "[physics]",
            "[quantization]\nbits = 6\n\n[physics]",
            "quantization needs a float network in model.network; a network trained "
            "here has quantised layers",
        ),
        (
            "[pruning]",
            "[quantization]\n\n[pruning]",
            "quantization: set either bits or max_auc_loss",
        ),
        (
            "[pruning]",
            "[quantization]\nbits = 1\n\n[pruning]",
            "quantization.bits is 1; it must be greater than",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert refusal(tmp_path, (old, new)).startswith(message)


def test_all_problems_are_told(tmp_path):
    message = refusal(
        tmp_path, ("clock_mhz = 240", "clock_mhz = 0"), ("lut = 8000", "luts = 40000")
    )
    assert message.splitlines() == [
        "target.clock_mhz is 0; it must be greater than 0",
        "unknown key budget.luts; did you mean 'lut'?",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a = " + b"[" * 5000, b"name = 1\n" * 2])
def test_hostile_files(tmp_path, content):
    path = tmp_path / "trigger.toml"
    path.write_bytes(content)
    with pytest.raises(TriggerError, match=f"^{path}: "):
        load(path)


def test_unknown_triggers():
    with pytest.raises(TriggerError) as error:
        find("jet_taggr")
    assert str(error.value) == (
        "no trigger 'jet_taggr': neither a file, a folder with trigger.toml, nor in the zoo "
        "(calo_anomaly, jet_constituents, jet_energy, jet_mlp, jet_tagger, l1_anomaly, "
        "l1_topology, track_doublets); did you mean 'jet_tagger'?"
    )


def test_parts_have_all_totals():
    for name, part in parts().items():
        assert part.vendor in ("AMD", "Intel") and part.delay >= 1, name
        assert min(part.lut, part.ff, part.dsp, part.bram) > 0, name
        assert bool(part.yosys) != bool(part.quartus), name


def sections(section=Spec, prefix=""):
    for name, field in section.model_fields.items():
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = [o for o in options if isinstance(o, type) and issubclass(o, Section)]
        if inner:
            yield from sections(inner[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_the_documentation_has_every_key_and_no_other():
    page = (folder("models").parent / "docs" / "trigger-toml.md").read_text()
    documented = re.findall(r"^\| `([a-zA-Z_.]+)` \|", page, re.MULTILINE)
    assert sorted(key.replace(".NAME", "") for key in documented) == sorted(sections())


def test_types_in_the_spelling_of_cpp():
    written = JETS.replace('"ufixed<12,10>"', '"ap_ufixed<12, 10, AP_RND_CONV, AP_SAT>"')
    assert written != JETS
    path = folder("models") / "jet_mlp" / "trigger.toml"
    assert parse(written, path).input_types == load(path).input_types
