"""What no board and no accelerator can give is refused when trigger.toml is read, not after
training or at the export.
"""

import re

import pytest

from trigger.errors import TriggerError
from trigger.spec.payload_tables import Payload, ScorePort
from trigger.spec.spec import parse

TOML = """
name = "limited"
task = "classification"
[data]
files = ["x.csv"]
features = ["a", "b", "c", "d", "e"]
label = "kind"
classes = ["zero_bias", "signal"]
[model]
function = "network"
output = "signal"
[inputs]
type = "ufixed<16,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
[physics]
zero_bias = "zero_bias"
filled_bunches = 1782
[decision.accept.tight]
rate_khz = 100
[payload]
"""
OBJECTS = """[inputs.objects.jet]
at = [[0, {word}, 0], [2, 0, 0]]
fields.pt = { bits = [0, 10] }
"""
FEATURES = 'features = ["a", "b", "c", "d", "e"]\n'
TYPE = '[inputs]\ntype = "ufixed<16,8>"\n'


def change(*changes):
    text = TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def refusal(tmp_path, *changes):
    path = tmp_path / "trigger.toml"
    with pytest.raises(TriggerError) as error:
        parse(change(*changes), path)
    return str(error.value).removeprefix(f"{path}: ")


def objects(word=0):
    return (FEATURES, ""), (TYPE, OBJECTS.replace("{word}", str(word)))


# --- rates
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "key", "rate"),
    [
        (("rate_khz = 100", "rate_khz = 20040"), "decision.accept.tight.rate_khz", "20,040"),
        (("rate_khz = 100", "rate_khz = 20039.5"), "decision.accept.tight.rate_khz", "20,039.5"),
        (("[payload]", "[budget]\nrate_khz = 40079"), "budget.rate_khz", "40,079"),
    ],
)
def test_a_rate_at_or_above_the_crossing_rate(tmp_path, change, key, rate):
    assert refusal(tmp_path, change) == (
        f"{key} is {rate} kHz; bunches cross at 20,039.5 kHz (40.079 MHz, "
        f"physics.filled_bunches 1782 of 3564), so every event would be "
        "accepted; set a lower rate"
    )


def test_a_rate_just_below_the_crossing_rate(tmp_path):
    spec = parse(change(("rate_khz = 100", "rate_khz = 20039.4")), tmp_path / "trigger.toml")
    assert spec.physics.crossings_khz == 20039.5


# --- links
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", ["3", "0, 1, 2"])
def test_channels_for_features(tmp_path, channels):
    count = channels.count(",") + 1
    assert refusal(tmp_path, ("[payload]", f"[payload]\ninput_links = [{channels}]")) == (
        f"payload.input_links names {count} channel{'s' if count > 1 else ''}; the 5 "
        f"features take 2 links of 64 bits; "
        "name 2 channels, or leave it out for channels 0 to 1"
    )
    right = change(("[payload]", "[payload]\ninput_links = [3, 7]"))
    assert parse(right, tmp_path / "trigger.toml").payload.input_links == [3, 7]


def test_channels_for_objects(tmp_path):
    assert refusal(tmp_path, *objects(), ("[payload]", "[payload]\ninput_links = [3, 7]")) == (
        "payload.input_links names 2 channels; inputs.objects come on links 0 to 2; "
        "name 3 channels, or leave it out for "
        "channels 0 to 2"
    )
    right = change(*objects(), ("[payload]", "[payload]\ninput_links = [3, 7, 1]"))
    assert parse(right, tmp_path / "trigger.toml").payload.input_links == [3, 7, 1]


def test_a_feature_wider_than_a_word(tmp_path):
    narrow = ("[inputs]", '[inputs]\nword_bits = 12\ntypes = { b = "ufixed<12,8>" }')
    assert refusal(tmp_path, narrow) == (
        "the feature 'a' is ufixed<16,8>, 16 bits; inputs.word_bits is 12, and a "
        "feature must fit into one "
        "word; raise inputs.word_bits, or use a narrower type"
    )
    parse(change(narrow, ("[payload]", "")), tmp_path / "trigger.toml")  # links are the payload's


def test_more_words_than_a_shell_counts(tmp_path):
    assert refusal(tmp_path, *objects(word=255)) == (
        "inputs.objects put an event into 256 words of a link; a payload takes at most "
        "255; use more links"
    )
    parse(change(*objects(word=254)), tmp_path / "trigger.toml")


def test_more_accept_bits_than_a_shell_has_registers(tmp_path):
    points = "".join(f"[decision.accept.p{k}]\nthreshold = {k}\n" for k in range(16))
    assert refusal(tmp_path, ("[payload]", f"{points}[payload]")) == (
        "decision.accept has 17 accept bits; a payload has at most 16"
    )
    parse(change(("[payload]", points)), tmp_path / "trigger.toml")


# --- channels of the decision
# ---------------------------------------------------------------------------------------


def test_scores_that_cannot_fit_the_channel_that_is_named(tmp_path):
    """A score has one bit or more, whatever the network becomes."""
    classes = [f"c{k}" for k in range(33)]
    many = (
        ('["zero_bias", "signal"]', str(["zero_bias", *classes[1:]])),
        ('output = "signal"\n', ""),
        ("rate_khz = 100", 'rate_khz = 100\noutput = "c1"'),
    )
    assert refusal(tmp_path, *many, ("[payload]", "[payload]\noutput_link = 4")) == (
        "payload.output_link: the scores take 33 bits; only 32 are free in the word on "
        "link 4; place them with [payload.output], "
        'or use a network of one output, or thresholds = "fixed"'
    )
    parse(change(*many), tmp_path / "trigger.toml")  # the plain shell and the AXI shell have room


@pytest.mark.parametrize("keys", [{"output_link": 4}, {"input_links": [1]}, {}])
def test_scores_that_are_wider_than_their_word(keys):
    """As a build asks as soon as the network is known, where the spec names channels."""
    payload = Payload(**keys)
    assert payload.names_channels == bool(keys)
    fields = payload.output_fields(["tight"], [ScorePort("signal", 0, 32)])
    assert (fields[-1].low, fields[-1].high) == (32, 63)
    with pytest.raises(ValueError, match="^the scores take") as error:
        payload.output_fields(["tight"], [ScorePort("signal", 0, 20), ScorePort("other", 20, 13)])
    assert str(error.value) == (
        f"the scores take 33 bits; only 32 are free in the word on link "
        f"{payload.output_link}; place them with [payload.output], "
        'or use a network of one output, or thresholds = "fixed"'
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("input_links = [3, 3]", "payload: input_links names 3 twice"),
        ("input_links = [3, 1000]", "payload.input_links.1 is 1000; it must be less than 1000"),
        ("output_link = 1000", "payload.output_link is 1000; it must be less than 1000"),
        (
            "output.accept = [1000, 0]",
            "payload.output.accept: link 1000 does not exist; links are numbered from 0 to 999",
        ),
        (
            "output.crossing = [0, 60]",
            "payload.output: crossing takes bits 60 to 71 of link 0; a word has 64",
        ),
    ],
)
def test_channels_that_are_none(tmp_path, keys, message):
    assert re.sub(r"\s+", " ", refusal(tmp_path, ("[payload]", f"[payload]\n{keys}"))) == message
