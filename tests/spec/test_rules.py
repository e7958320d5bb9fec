"""The rules between the tables of trigger.toml: each refuses something, with a message that says
what to do.
"""

import pytest

from trigger import TriggerError
from trigger.spec import families, rules
from trigger.spec.rules import RULES
from trigger.spec.spec import parse

TOML = """
name = "ruled"
task = "classification"
[data]
files = ["x.csv"]
features = ["a", "b", "c", "d", "e"]
label = "kind"
classes = ["noise", "signal"]
[model]
function = "network"
output = "signal"
[training]
epochs = 50
[inputs]
type = "ufixed<16,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
[physics]
zero_bias = "noise"
[budget]
[decision.accept.tight]
threshold = 0.5
"""
FEATURES = 'features = ["a", "b", "c", "d", "e"]\n'
TYPE = 'type = "ufixed<16,8>"\n'
CLASSES = 'classes = ["noise", "signal"]'
THREE = 'classes = ["noise", "signal", "tau"]'
JETS = """[inputs.objects.jet]
at = [[0, {word}, 0], [2, 0, 0]]
fields.pt = {{ bits = [0, 10] }}
fields.eta = {{ bits = [11, 19] }}
"""
OBJECTS = JETS.format(word=0)
ANOMALY = (('"classification"', '"anomaly"'), ('output = "signal"\n', ""))
USUAL = ("epochs = 50", 'epochs = 50\nclasses = ["noise"]')
TRAINED = (('function = "network"', 'network = "a.keras"'), ("[training]\nepochs = 50\n", ""))
SEARCH = '[search]\nmetric = "{}"\n[search.parameters."{}"]\nlow = 1\nhigh = 2\n'


BIT = "[decision.accept.tight]\nthreshold = 0.5\n"
TWO = (('task = "classification"\n', ""), ('output = "signal"\n', ""))
KIND = '[heads.kind]\ntask = "classification"\n'
ENERGY = '[heads.energy]\ntask = "regression"\nlabel = "true_energy"\n'


def heads(*tables):
    """The same trigger with these heads; its accept bit decides on the first score of all."""
    bit = BIT.replace("threshold", 'output = "kind_signal"\nthreshold')
    return *TWO, (BIT, bit + "".join(tables))


def family(name, more=""):
    return 'function = "network"\n', f'family = "{name}"\n{more}'


def after(text, more):
    return text, f"{text}\n{more}"


def end(more):
    return after("threshold = 0.5", more)


CASES = {
    "heads.task_or_heads": (
        ('task = "classification"\n', ""),
        "the key task is missing; set it, or give each output of the network a table in [heads]",
    ),
    "heads.events_have_classes": (
        (CLASSES + "\n", ""),
        "the key data.classes is missing",
    ),
    "heads.replace_other_keys": (
        TWO[0],
        end(KIND),
        "model.output is for a network without [heads]; set heads.NAME.output instead",
    ),
    "heads.have_labels": (
        *heads('[heads.kind]\ntask = "classification"\nclasses = ["a", "b"]\n'),
        "heads.kind.classes needs heads.kind.label, the column of these classes",
    ),
    "heads.score_classes": (
        *heads(KIND + 'output = "sigmal"\n'),
        "heads.kind.output has 'sigmal', which is not a class; did you mean 'signal'?",
    ),
    "heads.have_different_names": (
        *heads(KIND, ENERGY.replace("energy", "kind_signal")),
        "heads: two scores are named 'kind_signal'; rename a head or a class",
    ),
    "heads.truth_is_no_other_column": (
        *heads(KIND, ENERGY + 'mask = "a"\n'),
        "heads.energy.mask is 'a', which is also a feature",
    ),
    "heads.monotone_in_features": (
        *heads(KIND, ENERGY + 'monotone = ["a", "x*"]\n'),
        "heads.energy.monotone has 'x*', which matches no feature",
    ),
    "heads.are_trained_with_their_keys": (
        *heads(KIND + "weight = 2\n"),
        "heads.kind.weight has no effect: there is one head; remove it",
    ),
    "search.auc_and_accuracy_are_of_a_classification": (
        *TWO,
        (BIT, ENERGY + SEARCH.format("auc", "training.epochs")),
        ('[physics]\nzero_bias = "noise"\n', ""),
        'search.metric "auc" needs a head of task "classification"',
    ),
    "features.are_fields_of_objects": (
        (FEATURES, 'features = ["jet1_pt", "jet1_eta", "jet_pt"]\n'),
        ("[inputs]\n" + TYPE, OBJECTS),
        "data.features has 'jet_pt', which is not a field of inputs.objects; did you "
        "mean 'jet2_pt'?",
    ),
    "features.take_whole_objects": (
        (FEATURES, 'features = ["jet1_pt", "jet1_eta", "jet2_pt"]\n'),
        ("[inputs]\n" + TYPE, OBJECTS),
        "data.features has jet without 'jet2_eta'; list the field for all objects, or for none",
    ),
    "features.types_are_of_features": (
        after(TYPE.strip(), '[inputs.types]\nxyz = "fixed<4,2>"'),
        "inputs.types has 'xyz', which is not a feature",
    ),
    "features.have_types": (
        (TYPE, 'types = { a = "fixed<4,2>" }\n'),
        "inputs has no type for the feature 'b'; give inputs.type for all",
    ),
    "training.is_of_networks_trained_here": (
        TRAINED[0],
        "training needs a network that is trained here; model.network is already trained",
    ),
    "training.needs_labels": (
        ('label = "kind"\n', ""),
        "data.label is missing; training needs it",
    ),
    "training.quantization_needs_a_float_network": (
        end("[quantization]\nbits = 6"),
        "quantization needs a float network in model.network; a network trained here "
        "has quantised layers",
    ),
    "training.cross_validation_trains": (
        *TRAINED,
        end("[cross_validation]"),
        "cross_validation trains the network again; model.network is already trained",
    ),
    "training.cross_validation_measures_heads": (
        end('[cross_validation]\nmetric = "resolution"'),
        'cross_validation.metric "resolution" needs a head of task "regression"',
    ),
    "training.frozen_layers_have_fixed_widths": (
        after(
            "epochs = 50",
            "target_lut = 900\n[training.freeze]\nnetwork = 'a.keras'\nlayers = ['hidden']",
        ),
        "training.freeze cannot be combined with training.target_lut, which changes the widths of "
        "every layer",
    ),
    "training.max_auc_loss_needs_labels": (
        *TRAINED,
        ('label = "kind"\n', ""),
        end("[quantization]\nmax_auc_loss = 0.01"),
        "quantization.max_auc_loss needs data.label; without it set quantization.bits",
    ),
    "training.prunes_or_learns_widths": (
        after("epochs = 50", "target_lut = 900\n[pruning]\nsparsity = 0.5\nend_epoch = 9"),
        "set either [pruning] or training.target_lut, which already removes weights",
    ),
    "training.refinement_needs_a_target": (
        after("epochs = 50", "refinement = 3"),
        "training.refinement needs training.target_lut, its target for learned widths",
    ),
    "training.prunes_from_the_start": (
        after(
            "epochs = 50",
            "[training.warm_start]\nnetwork = 'a.keras'\nepochs = 3\nlearning_rate = 1e-3\n"
            "[pruning]\nsparsity = 0.5\nend_epoch = 9",
        ),
        "[pruning] cannot be combined with training.warm_start",
    ),
    "training.pruning_leaves_epochs": (
        after("epochs = 50", "[pruning]\nsparsity = 0.5\nend_epoch = 50"),
        "pruning.end_epoch 50 leaves no epoch to fine-tune; training.epochs is 50",
    ),
    "payload.needs_accept_bits": (
        ("[decision.accept.tight]\nthreshold = 0.5", "[payload]"),
        "payload needs decision.accept, the condition for accepting an event",
    ),
    "payload.decision_fits_its_links": (
        end("[payload]\noutput.accept = { loose = [0, 0] }"),
        "payload.output: accept has 'loose', which is unknown",
    ),
    "payload.has_room_for_accept_bits": (
        end(
            "".join(f"[decision.accept.bit{k}]\nthreshold = 0.{k}\n" for k in range(1, 17))
            + "[payload]"
        ),
        "decision.accept has 17 accept bits; a payload has at most 16",
    ),
    "payload.features_fit_words": (
        after(TYPE.strip(), "word_bits = 8"),
        end("[payload]"),
        "the feature 'a' is ufixed<16,8>, 16 bits; inputs.word_bits is 8, and a "
        "feature must fit into one "
        "word; raise inputs.word_bits, or use a narrower type",
    ),
    "payload.has_room_for_events": (
        (FEATURES, 'features = ["jet1_pt", "jet1_eta"]\n'),
        ("[inputs]\n" + TYPE, JETS.format(word=255)),
        end("[payload]"),
        "inputs.objects put an event into 256 words of a link; a payload takes at most "
        "255; use more links",
    ),
    "payload.names_as_many_channels_as_links": (
        end("[payload]\ninput_links = [1, 2, 3]"),
        "payload.input_links names 3 channels; the 5 features take 2 links of 64 bits; "
        "name 2 channels, or leave it out "
        "for channels 0 to 1",
    ),
    "emulator.types_have_a_value_for_each_name": (
        end('[emulator]\ninput = "float*"\noutput = "std::pair<std::array<double, 2>, double>"'),
        "emulator.output: std::pair<std::array<double, 2>, double> has 3 values; the network has 1",
    ),
    "emulator.payload_is_there": (
        end("[emulator]\npayload = true"),
        "emulator.payload emulates links, thresholds and prescales; without [payload] there are "
        "none; add [payload], or remove emulator.payload",
    ),
    "payload.takes_as_many_cycles_as_words": (
        (FEATURES, 'features = ["jet1_pt", "jet1_eta"]\n'),
        ("[inputs]\n" + TYPE, JETS.format(word=2)),
        ("[budget]", "[budget]\nii = 2"),
        end("[payload]"),
        "budget.ii is 2; inputs.objects put an event into 3 words of a link, which arrive in 3 "
        "clock cycles; use more links, or raise budget.ii to 3",
    ),
    "outputs.one_is_one_of_two_classes": (
        (CLASSES, THREE),
        "model.output is 'signal'; with two classes it must name the scored "
        "one, with more it must list the scored ones",
    ),
    "outputs.several_are_classes": (
        ('output = "signal"', 'output = ["signl"]'),
        "model.output has 'signl', which is not a class; did you mean 'signal'?",
    ),
    "outputs.several_are_not_all": (
        ('output = "signal"', 'output = ["signal", "noise"]'),
        "model.output must list some, but not all, of the classes",
    ),
    "outputs.anomaly_is_trained_here": (
        *ANOMALY,
        *TRAINED,
        'task "anomaly" needs a network that is trained here; model.network is already trained',
    ),
    "outputs.anomaly_scores_what_is_unusual": (
        ANOMALY[0],
        'model.output is for classification; the output of task "anomaly" scores anomalies',
    ),
    "outputs.anomaly_has_no_labels": (
        *ANOMALY,
        after("epochs = 50", "distillation = 0.5"),
        'training.distillation is for classification; task "anomaly" has no labels',
    ),
    "outputs.anomaly_is_an_encoder_or_a_student": (
        *ANOMALY,
        USUAL,
        after('function = "network"', 'teacher = "autoencoder"'),
        after("epochs = 50", 'reconstruct = ["a"]'),
        "training.reconstruct is for an encoder that ends in latent values; with model.teacher the "
        "network learns the teacher's errors; remove one of the two keys",
    ),
    "outputs.anomaly_names_what_is_usual": (
        *ANOMALY,
        "training.classes is missing; set it to the normal classes, the others are anomalies",
    ),
    "outputs.anomaly_reconstructs_features": (
        *ANOMALY,
        USUAL,
        after("epochs = 50", 'reconstruct = ["a", "xyz"]'),
        "training.reconstruct has 'xyz', which is not a feature",
    ),
    "outputs.taught_are_classes": (
        after("epochs = 50", 'classes = ["signal", "nois"]'),
        "training.classes has 'nois', which is not a class; did you mean 'noise'?",
    ),
    "outputs.taught_are_of_one_output": (
        ('output = "signal"\n', ""),
        USUAL,
        "training.classes needs a network of one output; one with an output per class "
        "must train on all",
    ),
    "outputs.taught_are_all_that_is_scored": (
        USUAL,
        "training.classes lacks 'signal', which model.output scores",
    ),
    "outputs.accept_bits_have_scores": (
        end('output = "noise"'),
        "decision.accept.tight.output is 'noise', which is not a class that the network scores",
    ),
    "physics.zero_bias_is_a_class": (
        ('zero_bias = "noise"', 'zero_bias = "nose"'),
        "physics.zero_bias is 'nose', which is not a class of labelled events; did you "
        "mean 'noise'?",
    ),
    "physics.rates_need_zero_bias": (
        ('zero_bias = "noise"\n', ""),
        ("threshold = 0.5", "rate_khz = 10"),
        "decision.accept.tight.rate_khz needs physics.zero_bias, the class of unbiased "
        "bunch crossings",
    ),
    "physics.rate_of_all_needs_accept_bits": (
        ("[budget]", "[budget]\nrate_khz = 10"),
        ("[decision.accept.tight]\nthreshold = 0.5", ""),
        "budget.rate_khz needs decision.accept; scores alone accept no events",
    ),
    "physics.turn_on_is_of_features": (
        after('zero_bias = "noise"', 'turn_on = ["a", "xyz"]'),
        "physics.turn_on has 'xyz', which is not a feature",
    ),
    "physics.rates_are_below_crossings": (
        ("[budget]", "[budget]\nrate_khz = 1e5"),
        "budget.rate_khz is 100,000 kHz; bunches cross at 31,037.6 kHz (40.079 MHz, "
        "physics.filled_bunches 2760 of 3564), "
        "so every event would be accepted; set a lower rate",
    ),
    "robustness.shifts_have_an_effect_to_measure": (
        *TRAINED,
        ('label = "kind"\n', ""),
        ('zero_bias = "noise"\n', ""),
        (BIT, '[robustness.up]\nfeatures = ["a"]\nscale = 1.1\n'),
        "robustness has no effect: without labels and accept bits nothing is measured; "
        "set data.label, or remove robustness",
    ),
    "robustness.shifts_are_of_features": (
        end('[robustness.up]\nfeatures = ["a", "jet_pt"]\nscale = 1.1\n'),
        "robustness.up.features has 'jet_pt', which is not a feature",
    ),
    "robustness.shifts_are_of_quantities": (
        after(TYPE.strip(), 'types = { b = "ufixed<1,1>" }'),
        end('[robustness.up]\nfeatures = ["*"]\nsmear = 0.1\n'),
        "robustness.up.smear is for quantities; 'b' has 1 bit, so it is a flag; name other "
        "features, or set dead",
    ),
    "robustness.shifts_move_integers": (
        (FEATURES, 'features = ["jet1_pt", "jet1_eta", "jet2_pt", "jet2_eta"]\n'),
        ("[inputs]\n" + TYPE, '[inputs]\nunits = "hardware"\n' + OBJECTS),
        end('[robustness.up]\nfeatures = ["jet_pt"]\nscale = 1.0002\n'),
        "robustness.up.scale moves no value of 'jet1_pt' by more than 0.41 of its LSB, so all are "
        "rounded back; set a larger scale, or name other features",
    ),
    "adversary.is_of_one_training": (
        after("epochs = 50", '[training.adversary]\nnuisance = "mass"'),
        end(SEARCH.format("auc", "training.epochs")),
        "training.adversary cannot be combined with [search], which trains on other events; "
        "remove one of the two",
    ),
    "adversary.shift_is_listed": (
        after("epochs = 50", '[training.adversary]\nshift = "upp"'),
        end('[robustness.up]\nfeatures = ["a"]\nscale = 1.1\n'),
        "training.adversary.shift is 'upp', which is not a table of [robustness]; did you mean "
        "'up'?",
    ),
    "adversary.nuisance_is_no_truth": (
        after("epochs = 50", '[training.adversary]\nnuisance = "kind"'),
        "training.adversary.nuisance is 'kind', which the network learns; name another column",
    ),
    "adversary.classes_are_taught": (
        after("epochs = 50", '[training.adversary]\nnuisance = "mass"\nclasses = ["nois"]'),
        "training.adversary.classes has 'nois', which is not a class of the training events; did "
        "you mean 'noise'?",
    ),
    "family.has_arguments": (
        family("trees", "arguments = { dept = 3 }\n"),
        "model.arguments has 'dept', which is not an argument of model.family 'trees'; its "
        "arguments are trees, depth, bits, learning_rate; did you mean 'depth'?",
    ),
    "family.separates_or_estimates": (
        *ANOMALY,
        USUAL,
        family("mlp"),
        "model.family 'mlp' is for classification and [heads]; for task \"anomaly\" write the "
        "network in model.py, and set model.function instead",
    ),
    "family.suits_its_heads": (
        *heads(KIND, ENERGY),
        family("weightless"),
        'heads.energy is a regression, but model.family "weightless" counts ones, which have no '
        'scale; set model.family to "mixed", whose neurons have learned weights',
    ),
    "family.is_trained_with_its_keys": (
        family("trees"),
        "training.epochs has no effect: trees are not trained in epochs; remove it, and set their "
        "number, depth and learning_rate in model.arguments",
    ),
    "search.is_of_networks_trained_here": (
        *TRAINED,
        end(SEARCH.format("auc", "training.epochs")),
        "search needs a network that is trained here; model.network is already trained",
    ),
    "search.accuracy_is_of_classes": (
        *ANOMALY,
        USUAL,
        end(SEARCH.format("accuracy", "training.epochs")),
        'search.metric "accuracy" is for classification, not for task "anomaly"',
    ),
    "search.efficiency_is_of_accept_bits": (
        ('zero_bias = "noise"\n', ""),
        end(SEARCH.format("efficiency", "training.epochs")),
        'search.metric "efficiency" needs both decision.accept and physics.zero_bias',
    ),
    "search.families_are_known": (
        end("[search.family.tree]"),
        "search.family has 'tree'; the families are mlp, weightless, tables, mixed, trees, model, "
        "where model is the network of [model]; did you mean 'trees'?",
    ),
    "search.parameters_are_keys_of_tables": (
        end(SEARCH.format("auc", "trainng.epochs")),
        "search.parameters has 'trainng.epochs', which is not a key of a table, such "
        "as training.target_lut; "
        "did you mean 'training'?",
    ),
    "target.latency_is_within_its_budget": (
        ("clock_mhz = 360", "clock_mhz = 360\nlatency_cycles = 19"),
        ("[budget]", "[budget]\nlatency_ns = 50"),
        "target.latency_cycles = 19 at 360 MHz is 52.8 ns, above budget.latency_ns = 50; change "
        "one of them",
    ),
    "target.interval_is_within_its_budget": (
        ("clock_mhz = 360", "clock_mhz = 360\nii = 9"),
        ("[budget]", "[budget]\nii = 8"),
        "target.ii = 9 is above budget.ii = 8; change one of them",
    ),
    "target.interval_is_within_a_crossing": (
        ("clock_mhz = 360", "clock_mhz = 360\nii = 10"),
        "target.ii = 10 at 360 MHz is an event every 27.8 ns, but bunches cross every 25 ns, 9 clock "
        "cycles; use at most 9, or raise target.clock_mhz to 400",
    ),
    "target.dsp_blocks_are_allowed": (
        ("clock_mhz = 360", 'clock_mhz = 360\nmultipliers = "dsp"'),
        ("[budget]", "[budget]\ndsp = 0"),
        'target.multipliers = "dsp" needs DSP blocks, but budget.dsp is 0; remove it, raise it, or '
        'set target.multipliers to "auto"',
    ),
    "target.reloadable_networks_have_fixed_widths": (
        ("clock_mhz = 360", 'clock_mhz = 360\nweights = "reloadable"'),
        after("epochs = 50", "target_lut = 300"),
        "training.target_lut learns the widths of a network, and no other network then fits: "
        'remove it, or set target.weights to "constant"',
    ),
    "target.reloadable_networks_give_scores": (
        ("clock_mhz = 360", 'clock_mhz = 360\nweights = "reloadable"'),
        end("[decision.accept.seen]\nthreshold = 0.5"),
        'target.weights = "reloadable" needs thresholds in registers, but those of [decision] are '
        'part of the core; add [payload] with thresholds = "registers", or set target.weights to '
        '"constant"',
    ),
    "unused.keys_have_an_effect": (
        after('zero_bias = "noise"', 'turn_on = ["a"]'),
        ('zero_bias = "noise"\n', ""),
        ("[decision.accept.tight]\nthreshold = 0.5", ""),
        "physics.turn_on has no effect: there are no accept bits; add decision.accept, or remove "
        "physics.turn_on",
    ),
}


def name_of(rule):
    return f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"


def edited(changes):
    text = TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_every_rule_has_a_case():
    assert sorted(CASES) == sorted(map(name_of, RULES))
    assert len(set(RULES)) == len(RULES)


def test_a_spec_that_keeps_all_rules(tmp_path):
    parsed = parse(TOML, tmp_path / "trigger.toml")
    assert [rule(parsed) for rule in RULES] == [None] * len(RULES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_refuses_with_its_message(name, tmp_path, monkeypatch):
    *changes, message = CASES[name]
    broken = []

    def watched(rule):
        def run(spec):
            problem = rule(spec)
            broken.extend([name_of(rule)] if problem is not None else [])
            return problem

        return run

    monkeypatch.setattr(rules, "RULES", tuple(map(watched, RULES)))
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(edited(changes), path)
    assert str(error.value) == f"{path}: {message}"
    assert broken == [name]


def test_an_interval_below_the_words_of_an_event(tmp_path):
    """The other key of this rule; what is not set is no interval."""
    *changes, _ = CASES["payload.takes_as_many_cycles_as_words"]
    changes[2] = ("clock_mhz = 360", "clock_mhz = 360\nii = 2")
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(edited(changes), path)
    assert str(error.value) == (
        f"{path}: target.ii is 2; inputs.objects put an event into 3 words of a link, which arrive "
        "in 3 clock cycles; use more links, or raise target.ii to 3"
    )
    for enough in ("ii = 1", "ii = 3"):
        changes[2] = ("clock_mhz = 360", f"clock_mhz = 360\n{enough}")
        parse(edited(changes), path)


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_reads_and_does_not_change(rule, tmp_path):
    parsed = parse(TOML, tmp_path / "trigger.toml")
    before = parsed.model_dump_json()
    assert rule(parsed) == rule(parsed)
    assert parsed.model_dump_json() == before


UNTRAINED = ("[training]\nepochs = 50\n", "")
OTHERWISE = "write the network in model.py, and set model.function instead"


def test_built_in_networks_have_no_fixed_widths(tmp_path):
    changes = (
        ("clock_mhz = 360", 'clock_mhz = 360\nweights = "reloadable"'),
        family("mlp"),
        after("epochs = 50", "target_lut = 300"),
    )
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(edited(changes), path)
    assert str(error.value) == (
        f"{path}: model.family 'mlp' learns its widths or wires, so no other training fits "
        'firmware with target.weights = "reloadable"; write the network in model.py, and set '
        'model.function instead, or target.weights to "constant"'
    )


def test_the_arguments_have_defaults(tmp_path):
    spec = parse(edited([family("trees"), UNTRAINED]), tmp_path / "trigger.toml")
    assert families.arguments(spec) == families.Trees(trees=10, depth=5, bits=3, learning_rate=0.5)
    assert spec.model_files == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [family("tree")],
            "model.family is 'tree'; it must be 'mlp', 'weightless', 'tables', 'mixed' or 'trees'",
        ),
        (
            [family("mlp", 'file = "a.py"\n')],
            "model: family is a network of this program; remove file, or remove family",
        ),
        (
            [family("mlp", 'arguments = { units = "8-" }\n')],
            "model.arguments.units is '8-'; it must have the neurons of each hidden layer, as in "
            '"32-16"',
        ),
        (
            [family("trees", "arguments = { depth = 9 }\n"), UNTRAINED],
            "model.arguments.depth is 9; it must be less than or equal to 8",
        ),
        (
            [family("mixed")],
            "training.target_lut is missing; set it to the LUT that model.family 'mixed' may take",
        ),
        (
            [family("trees"), UNTRAINED, end("[pruning]\nsparsity = 0.5\nend_epoch = 3")],
            "[pruning] is for a network of model.function; remove it: model.arguments has the "
            "number and the depth of trees",
        ),
        (
            [family("trees"), UNTRAINED, end("[cross_validation]\nfolds = 3")],
            "[cross_validation] trains networks of Keras, not trees; remove it",
        ),
        (
            [family("mlp"), *heads(KIND, ENERGY + 'monotone = ["a"]\n')],
            "heads.energy.monotone needs layers made for it, which model.family 'mlp' has not; "
            f"remove it, or {OTHERWISE}",
        ),
        (
            [family("trees"), UNTRAINED, *heads(KIND, ENERGY + 'loss = "huber"\n')],
            'heads.energy.loss is "huber", which trees are not trained with; set it to '
            '"mean_squared_error" or "mean_absolute_error"',
        ),
    ],
)
def test_what_a_family_cannot_do(changes, message, tmp_path):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(edited(changes), path)
    assert str(error.value) == f"{path}: {message}"
