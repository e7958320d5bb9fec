"""Every key of trigger.toml has an effect, or is refused: alone, and beside every other key."""

import pytest
from pydantic import BaseModel

from trigger import TriggerError
from trigger.spec.rules.unused import USES
from trigger.spec.spec import Spec, parse

HEAD = 'name = "unused"\ntask = "{task}"\n'
DATA = {
    "files": '["x.csv"]',
    "features": '["a", "b"]',
    "label": '"kind"',
    "classes": '["noise", "signal"]',
}
TABLES = {
    "data": DATA,
    "model": {"function": '"network"', "output": '"signal"'},
    "training": {},
    "inputs": {"type": '"ufixed<16,8>"'},
    "target": {"part": '"xcvu9p-flga2104-2L-e"', "clock_mhz": "360"},
    "physics": {},
    "synth": {},
}
DECISION = "[decision.accept.tight]\nthreshold = 0.5\n"
TRAINED = {"model.function": None, "model.network": '"a.keras"'}
ANOMALY = {"model.output": None, "training.classes": '["noise"]'}
NO_LABEL = {"data.label": None, **TRAINED}
TRAINED_ALREADY = "model.network is already trained; set model.function instead of model.network"

# The key and its value; what else has no use for it, the message, and what else has.
CASES = {
    "model.file": ('"a.py"', TRAINED, TRAINED_ALREADY, {}),
    "model.arguments": ("{ bits = 6 }", TRAINED, TRAINED_ALREADY, {}),
    "data.tree": (
        '"events"',
        {},
        "data.files has no file of .h5, .hdf5, .root; name such a file",
        {"data.files": '["x.csv", "y.ROOT"]'},
    ),
    "data.seed": (
        "1",
        {"data.split": '{ column = "part" }'},
        "data.split.column splits the events; set fractions in data.split",
        {},
    ),
    "data.weight": (
        '"w"',
        NO_LABEL,
        "without labels and accept bits nothing is averaged over events; set data.label",
        {**NO_LABEL, "decision": DECISION},
    ),
    "model.teacher": (
        '"t"', {}, 'it is for task "anomaly"; set that task', {"task": "anomaly", **ANOMALY}
    ),
    "training.beta": (
        "1.0", {}, 'it is for task "anomaly"; set that task', {"task": "anomaly", **ANOMALY}
    ),
    "training.reconstruct": (
        '["a"]', {}, 'it is for task "anomaly"; set that task', {"task": "anomaly", **ANOMALY}
    ),
    "synth.minutes": (
        "9",
        {"target.part": '"Arria10"'},
        "Yosys does not support the family of target.part; set a part of AMD",
        {},
    ),
    "physics.zero_bias": (
        '"noise"', {}, "there are no accept bits; add decision.accept", {"decision": DECISION}
    ),
    "physics.turn_on": (
        '["a"]', {}, "there are no accept bits; add decision.accept", {"decision": DECISION}
    ),
    "physics.filled_bunches": (
        "2760",
        {"decision": DECISION},
        "there are no rates; set physics.zero_bias",
        {"decision": DECISION, "physics.zero_bias": '"noise"'},
    ),
    "physics.signal_efficiency": (
        "0.5", NO_LABEL, "there are no classes to tell apart; set data.label, or the task of a head", {}
    ),
}  # fmt: skip

# Keys that are read in every spec, or that a rule or a table of its own refuses where they are not.
READ = """
name task description data.files data.source data.events data.arguments data.features data.label data.classes data.split.column
data.split.train data.split.validation data.split.test model.function model.network model.weights
model.output model.family training.epochs training.batch_size training.learning_rate training.patience
training.target_lut training.refinement training.distillation training.classes
training.warm_start.network training.warm_start.epochs training.warm_start.learning_rate
training.freeze.network training.freeze.layers cross_validation.folds cross_validation.fractions
cross_validation.metric training.backend training.seed pruning.sparsity pruning.start_epoch pruning.end_epoch
quantization.bits quantization.max_auc_loss inputs.type inputs.types inputs.word_bits inputs.objects
inputs.units target.device.family target.device.lut target.device.ff target.device.dsp
target.device.bram target.device.delay target.part target.clock_mhz target.latency_cycles target.ii target.weights
target.multipliers target.backend
target.strategy target.reuse_factor budget.latency_ns budget.ii budget.lut budget.ff budget.dsp budget.bram
budget.rate_khz heads decision.accept payload.thresholds payload.input_links payload.output_link
payload.output.accept payload.output.crossing payload.output.scores
emulator.input emulator.output emulator.payload search.parameters search.family search.metric
search.seed robustness training.adversary.shift training.adversary.nuisance
training.adversary.strength training.adversary.classes
"""


def text(changes):
    tables = {name: dict(keys) for name, keys in TABLES.items()}
    for key, value in changes.items():
        table, dot, name = key.partition(".")
        if dot:
            tables[table][name] = value
    parts = [HEAD.format(task=changes.get("task", "classification"))]
    for table, keys in tables.items():
        lines = [f"{name} = {value}\n" for name, value in keys.items() if value is not None]
        parts += [f"[{table}]\n", *lines] if lines else []
    return "".join([*parts, changes.get("decision", "")])


def keys_of(section, prefix=""):
    for name, field in section.model_fields.items():
        inner = [
            kind
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        named = getattr(field.annotation, "__origin__", None) is dict
        if inner and not named:
            yield from keys_of(inner[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_is_listed():
    assert sorted([*READ.split(), *CASES]) == sorted(keys_of(Spec))
    assert sorted(CASES) == sorted(use.key for use in USES)


@pytest.mark.parametrize("key", CASES)
def test_a_key_without_effect_is_refused(key, tmp_path):
    value, unread, message, read = CASES[key]
    path = tmp_path / "trigger.toml"
    parse(text(unread), path)
    with pytest.raises(TriggerError) as error:
        parse(text({**unread, key: value}), path)
    assert str(error.value) == f"{path}: {key} has no effect: {message}, or remove {key}"
    parse(text({**read, key: value}), path)


def test_a_list_of_nothing_is_not_asked_for(tmp_path):
    parse(text({"physics.turn_on": "[]"}), tmp_path / "trigger.toml")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            {"target.reuse_factor": "2"},
            "the strategy latency needs reuse_factor 1; resource shares multipliers",
        ),
        (
            {"target.backend": '"Quartus"'},
            "Quartus has no latency strategy; use resource",
        ),
        (
            {"target.backend": '"Catapult"', "target.strategy": '"distributed_arithmetic"'},
            "Catapult has no distributed_arithmetic; Vitis and Vivado have",
        ),
    ],
)
def test_options_that_hls4ml_does_not_have_together(target, message, tmp_path):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(text(target), path)
    assert str(error.value) == f"{path}: target: {message}"
    parse(text({**target, "target.strategy": '"resource"'}), path)
