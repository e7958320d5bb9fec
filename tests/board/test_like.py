"""Retraining keeps the interface: the latency asked for, and a build in the place of another."""

import json

import pytest
from payloads import MODEL, QUICK, make_trigger

from trigger.errors import TriggerError
from trigger.workflow.build import build, open_build
from trigger.workflow.compare import compare

# Without Yosys.
FIXED = QUICK.replace("clock_mhz = 240", "clock_mhz = 240\nlatency_cycles = 14")
FIXED_SCORES = MODEL.replace(
    'return keras.Model(inputs, QDense(classes, **weights, name="out")(x))',
    'scores = QActivation("quantized_bits(8,3,alpha=1)", name="scores")\n'
    '    return keras.Model(inputs, scores(QDense(classes, **weights, name="out")(x)))',
)


def trigger_of(folder, text, model=FIXED_SCORES):
    made = make_trigger(folder / "trigger", text)
    (made / "model.py").write_text(model)
    return str(made)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    base = tmp_path_factory.mktemp("like")
    return build(trigger_of(base, FIXED), base / "build")


def test_a_retrained_network_in_the_same_place(first, tmp_path):
    other = FIXED.replace("epochs = 4", "epochs = 6\nseed = 5")
    again = build(trigger_of(tmp_path, other), tmp_path / "build", like=first)
    one, two = (open_build(root) for root in (first, again))
    assert one.digests["graph"] != two.digests["graph"]
    for root in (first, again):
        found = json.loads((root / "verification" / "results.json").read_text())
        payload = json.loads((root / "payload" / "payload.json").read_text())
        assert found["equal"] and payload["latency"] == 14
    changes = compare(first, again).changes
    assert changes.same_interface is True and not changes.none and not changes.notes
    figures = {pair.key: pair for pair in changes.figures}
    assert figures["latency_cycles"].before == (14, "payload, simulated", None)
    assert {"rate_khz.loose", "rate_khz.any", "efficiency.tight.signal"} <= figures.keys()


def test_a_core_against_a_payload(first, small_build):
    """The cores are compared; the interface is another."""
    comparison = compare(small_build[1], first)
    notes = dict(comparison.changes.notes)
    assert notes["payload"] == "only the second build has one: the cores are compared"
    figures = {pair.key: pair for pair in comparison.changes.figures}
    assert figures["latency_cycles"].after == (
        json.loads((first / "rtl" / "rtl.json").read_text())["latency"],
        "simulated",
        None,
    )
    assert comparison.changes.interface[0] == ("firmware", "core alone", "payload")
    assert comparison.changes.same_interface is False


def refusal(folder, first, text, model=FIXED_SCORES):
    """The differences in the message."""
    with pytest.raises(TriggerError) as caught:
        build(trigger_of(folder, text, model), folder / "build", like=first)
    assert not (folder / "build" / "shelled" / "manifest.json").exists()
    head, *lines = str(caught.value).split("\n  ")
    assert head == f"build: the firmware does not fit in the place of {first}:"
    return lines


def test_another_interface_is_refused(first, tmp_path):
    text = (
        FIXED.replace("latency_cycles = 14", "latency_cycles = 15")
        .replace("clock_mhz = 240", "clock_mhz = 200")
        .replace("at = [[1, 1, 7]]", "at = [[1, 1, 8]]")
        .replace("accept.tight", "accept.strict")
        .replace("output_link = 12", "output_link = 13")
    )
    type_ = "threshold on a score of fixed<8,4>"
    assert refusal(tmp_path, first, text) == [
        "clock: 240 MHz, here 200 MHz",
        "latency: 14 clock cycles, here 15 clock cycles",
        "feature met_pt: ufixed<9,9> at bits 7 to 15 of word 1, link 1, here ufixed<9,9> at bits 8 "
        "to 16 of word 1, link 1",
        f"accept bit 1: tight, {type_}, here strict, {type_}",
        *(
            f"{part} of channel 12 on, here {part.partition(': ')[2]} of channel 13 on"
            for part in (
                "accept bits, as out_accept: 2 bits from bit 0",
                "bunch crossing: 12 bits from bit 16",
                "scores, as out_score: 8 bits from bit 32",
            )
        ),
    ]


def test_remedies(first, tmp_path):
    *lines, cycles, types = refusal(tmp_path, first, QUICK, MODEL)
    assert lines[0] == "latency: 14 clock cycles, here 9 clock cycles"
    assert cycles == "set target.latency_cycles = 14 to keep the latency"
    assert types == (
        "the types of scores follow the weights, unless the network ends with a quantiser, such as "
        "QActivation"
    )
