"""Hardware inputs: physical values to integers, objects in order, their bits on the links; what is
wrong is refused.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.errors import TriggerError
from trigger.events import dataset
from trigger.events.hardware import structured, to_hardware
from trigger.spec.links import link_map, pack, unpack
from trigger.spec.spec import Spec, parse

HEAD = """
name = "objects"
task = "classification"
[data]
files = ["x.csv"]
classes = ["score"]
[model]
network = "network.keras"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""
OBJECTS = """
[inputs.objects.met]
at = [[0, 0, 0]]
fields.pt = { bits = [0, 11], lsb = 0.5 }
fields.phi = { bits = [12, 19], lsb = 0.04363323129985824, wraps = true }
[inputs.objects.jet]
at = [[0, 0, 20], [0, 0, 45], [1, 1, 3]]
order_by = "pt"
fields.pt = { bits = [0, 10], lsb = 0.5 }
fields.eta = { bits = [11, 18], signed = true, lsb = 0.0435 }
"""


def spec_of(tmp_path, inputs=OBJECTS, old="", new="") -> Spec:
    assert old in inputs
    return parse(HEAD + inputs.replace(old, new), tmp_path / "trigger.toml")


def test_every_field_is_a_feature(tmp_path):
    spec = spec_of(tmp_path)
    assert spec.data.features == [
        "met_pt",
        "met_phi",
        "jet1_pt",
        "jet1_eta",
        "jet2_pt",
        "jet2_eta",
        "jet3_pt",
        "jet3_eta",
    ]
    kinds = ["ufixed<12,12>", "ufixed<8,8>"] + 3 * ["ufixed<11,11>", "fixed<8,8>"]
    assert [str(t) for t in spec.input_types] == kinds
    links = link_map(spec)
    assert (links.links, links.words, links.word_bits) == (2, 2, 64)
    assert [p[:4] for p in links.places[-2:]] == [("jet3_pt", 1, 1, 3), ("jet3_eta", 1, 1, 14)]


def test_physical_values_to_integers(tmp_path):
    """Steps of the LSB rounded half to even, angles wrapped, saturation counted, order and zeros as
    promised.
    """
    turn = 2 * np.pi / 144
    x = np.array(
        [
            [10.25, -turn, 5.0, 0.435, 7.0, -0.435, 6.0, 0.0],
            [3000, 144 * turn, 2000, 9.0, np.nan, np.nan, -999, 1.0],
            [0.75, 143.4 * turn, 1.0, np.nan, 0.0, 2.0, 0.2, 1.0],
        ]
    )
    found = to_hardware(x, spec_of(tmp_path))
    np.testing.assert_array_equal(
        found.x,
        [
            [20, 143, 14, -10, 12, 0, 10, 10],
            [4095, 0, 2047, 127, 0, 0, 0, 0],
            [2, 143, 0, 0, 0, 0, 0, 0],
        ],
    )
    np.testing.assert_array_equal(found.saturated, [1, 0, 1, 1, 0, 0, 0, 0])


def test_hardware_units_are_taken_as_they_are(tmp_path):
    spec = spec_of(
        tmp_path,
        OBJECTS.replace(
            "[inputs.objects.met]", '[inputs]\nunits = "hardware"\n[inputs.objects.met]'
        ),
    )
    x = np.array([[20, 144, 3, 1, 5, 2, 0, 7.0]])
    np.testing.assert_array_equal(to_hardware(x, spec).x, [[20, 0, 5, 2, 3, 1, 0, 0]])


def test_a_missing_object_may_be_no_number(tmp_path):
    spec = spec_of(tmp_path)
    header = ",".join(spec.data.features)
    (tmp_path / "x.csv").write_text(f"{header}\n1,2,3,0,nan,nan,nan,nan\n")
    assert np.isnan(dataset.load(spec.data, tmp_path, spec.inputs).events.x[0, 4])
    with pytest.raises(TriggerError) as error:
        dataset.load(spec.data, tmp_path)
    assert (
        str(error.value)
        == f"{tmp_path / 'x.csv'}: column 'jet2_pt', line 2: nan is not a finite number"
    )
    (tmp_path / "x.csv").write_text(f"{header}\n1,2,3,0,inf,nan,nan,nan\n")
    with pytest.raises(TriggerError) as error:
        dataset.load(spec.data, tmp_path, spec.inputs)
    assert (
        str(error.value)
        == f"{tmp_path / 'x.csv'}: column 'jet2_pt', line 2: inf is not a finite number"
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_words_and_back(tmp_path_factory, seed):
    spec = spec_of(tmp_path_factory.getbasetemp())
    links = link_map(spec)
    x = structured(spec, 50, seed)
    words = pack(links, x)
    assert words.shape == (50, 2, 2) and not words[0].any()
    np.testing.assert_array_equal(unpack(links, words), x)


def test_structured_events_are_what_hardware_sends(tmp_path):
    spec = spec_of(tmp_path)
    x = structured(spec, 2000, 1)
    np.testing.assert_array_equal(
        to_hardware(x * [0.5, 2 * np.pi / 144, *[0.5, 0.0435] * 3], spec).x[:, 2:], x[:, 2:]
    )
    pt = x[:, 2::2]
    assert (np.diff(pt, axis=1) <= 0).all() and (pt.max(axis=0) == 2047).all() and not x[0].any()
    assert ((pt > 0).sum(axis=1)[:, None] == np.arange(4)).any(axis=0).all()


def test_features_without_objects_are_packed_one_after_the_other(tmp_path):
    inputs = '[inputs]\nword_bits = 32\ntype = "fixed<20,4>"\n[inputs.types]\nb = "ufixed<10,2>"\n'
    text = (HEAD + inputs).replace('["score"]', '["score"]\nfeatures = ["a", "b", "c"]')
    links = link_map(parse(text, tmp_path / "trigger.toml"))
    assert [p[:4] for p in links.places] == [("a", 0, 0, 0), ("b", 0, 0, 20), ("c", 1, 0, 0)]
    x = np.array([[-(1 << 19), 1023, -1], [5, 0, 1]])
    np.testing.assert_array_equal(unpack(links, pack(links, x)), x)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "[0, 0, 45]",
            "[0, 0, 30]",
            "inputs: jet1_pt and jet2_pt share bit 30 of word 0 of link 0",
        ),
        (
            "[0, 0, 45]",
            "[0, 0, 48]",
            "inputs: jet2_eta takes bits 59 to 66 of word 0 of link 0; a word has 64",
        ),
        (
            "[1, 1, 3]",
            "[1, 1]",
            "inputs.objects.jet.at.2 is [1, 1]; it must have at least 3 items",
        ),
        (
            "[1, 1, 3]",
            "[1, -1, 3]",
            "inputs.objects.jet.at.2.1 is -1; it must be greater than or equal to 0",
        ),
        (
            "bits = [0, 10]",
            "bits = [10, 0]",
            "inputs.objects.jet.fields.pt: bits are [10, 0]; write [first, last]",
        ),
        (
            'order_by = "pt"',
            'order_by = "et"',
            "inputs.objects.jet: order_by is 'et', which is not a field",
        ),
        (
            "lsb = 0.0435 ",
            "lsb = 0 ",
            "inputs.objects.jet.fields.eta.lsb is 0; it must be greater than 0",
        ),
        ("lsb = 0.0435 ", "step = 1 ", "unknown key inputs.objects.jet.fields.eta.step"),
        (
            "[inputs.objects.met]",
            '[inputs]\ntype = "fixed<8,3>"\n[inputs.objects.met]',
            "inputs: set either type and types, or ",
        ),
    ],
)
def test_bad_objects(tmp_path, old, new, message):
    with pytest.raises(TriggerError) as error:
        spec_of(tmp_path, OBJECTS, old, new)
    assert str(error.value).removeprefix(f"{tmp_path / 'trigger.toml'}: ").startswith(message)


def test_objects_that_the_network_does_not_see(tmp_path):
    """A kind of object, or the last ones of a kind, may be left out; what is left is read as
    ever.
    """
    features = ["jet1_eta", "jet1_pt", "jet2_pt", "jet2_eta"]
    text = (HEAD + OBJECTS).replace('["score"]', f'["score"]\nfeatures = {features}')
    spec = parse(text, tmp_path / "trigger.toml")
    x = np.array([[0.435, 5.0, 7.0, -0.435], [1.0, np.nan, -1.0, 0.0]])
    np.testing.assert_array_equal(to_hardware(x, spec).x, [[-10, 14, 10, 10], [0, 0, 0, 0]])
    made = structured(spec, 40, 1)
    np.testing.assert_array_equal(unpack(link_map(spec), pack(link_map(spec), made)), made)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            ["jet4_pt"],
            "data.features has 'jet4_pt', which is not a field of inputs.objects; did "
            "you mean 'jet3_pt'?",
        ),
        (
            ["jet1_pt"],
            "data.features has jet without 'jet1_eta'; list the field for all objects, or for none",
        ),
    ],
)
def test_features_that_are_no_objects(tmp_path, features, message):
    text = (HEAD + OBJECTS).replace('["score"]', f'["score"]\nfeatures = {features}')
    with pytest.raises(TriggerError) as error:
        parse(text, tmp_path / "trigger.toml")
    assert str(error.value) == f"{tmp_path / 'trigger.toml'}: {message}"


def test_units_without_objects(tmp_path):
    text = (
        HEAD.replace('["score"]', '["score"]\nfeatures = ["a"]')
        + '[inputs]\ntype = "fixed<8,3>"\nunits = "hardware"\n'
    )
    with pytest.raises(TriggerError) as error:
        parse(text, tmp_path / "trigger.toml")
    assert str(error.value).endswith(
        "inputs: units is for objects; other features are in the units of their types"
    )
