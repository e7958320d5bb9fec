"""The spellings of types that users may write."""

import pytest

from trigger.support.spelling import read_type

WANTED = "is not a type; write fixed<W,I> or ufixed<W,I> with W from 1 to 53"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("fixed<16,6>", "fixed<16,6>"),
        ("ap_fixed<16,6>", "fixed<16,6>"),
        (" ap_ufixed< 16 , -2 > ", "ufixed<16,-2>"),
        ("ap_fixed<16,6,AP_RND_CONV>", "fixed<16,6>"),
        ("ap_fixed<16, 6, AP_RND_CONV, AP_SAT>", "fixed<16,6>"),
        ("fixed<16,6,RND_CONV,SAT,0>", "fixed<16,6>"),
        ("ap_int<8>", "fixed<8,8>"),
        ("ap_uint<12>", "ufixed<12,12>"),
    ],
)
def test_spellings(text, canonical):
    assert str(read_type(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "int8",
        "float",
        "",
        "fixed",
        "fixed<16>",
        "fixed<a,b>",
        "ap_fixed<54,6>",
        "ap_fixed<0,0>",
        "ap_int<0>",
        "ap_int<64>",
        "ap_int<8,4>",
        "ac_fixed<16,6,true>",
        5,
        None,
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=WANTED) as error:
        read_type(text)
    assert str(error.value) == f"{str(text)!r} {WANTED}"


@pytest.mark.parametrize(
    ("text", "mode", "plain"),
    [
        ("fixed<16,6,AP_RND,AP_SAT>", "RND", "fixed<16,6>"),
        ("ap_ufixed<8,3,AP_TRN>", "TRN", "ufixed<8,3>"),
        ("ap_fixed<8,3,AP_RND_CONV,AP_WRAP>", "WRAP", "fixed<8,3>"),
        ("ap_fixed<8,3,AP_RND_CONV,AP_SAT_SYM>", "SAT_SYM", "fixed<8,3>"),
        ("ap_fixed<8,3,AP_RND_CONV,AP_SAT,2>", "2", "fixed<8,3>"),
    ],
)
def test_modes_that_inputs_do_not_have(text, mode, plain):
    with pytest.raises(ValueError, match="asks for") as error:
        read_type(text)
    assert str(error.value) == (
        f"{text!r} asks for {mode}; input values are rounded half to even and saturated (AP_RND_CONV, "
        f"AP_SAT): write {plain} and send values that it "
        "holds, or quantise in the network with trigger.quantizers.FixedPoint"
    )
