"""The C++ types of [emulator]: spelled as anybody spells them, or refused."""

import pytest
from pydantic import ValidationError

from trigger.fixedpoint.types import Fixed
from trigger.spec.cpp_types import Scalar, parse
from trigger.spec.emulator_tables import Emulator


@pytest.mark.parametrize(
    ("text", "spelled", "values"),
    [
        ("float *", "float*", None),
        ("ap_fixed<16,6>*", "ap_fixed<16,6>*", None),
        (" ap_ufixed < 18 , 14 , AP_RND > * ", "ap_ufixed<18,14,AP_RND>*", None),
        ("ap_fixed<10,7,AP_RND_CONV,AP_SAT>*", "ap_fixed<10,7,AP_RND_CONV,AP_SAT>*", None),
        ("ap_fixed<8,-2>*", "ap_fixed<8,-2>*", None),
        ("ap_int<12>*", "ap_int<12>*", None),
        ("std::array<double,3>", "std::array<double, 3>", ["double"] * 3),
        (
            "std::pair<std::array<ap_int<4>, 2>, ap_uint<5>>",
            "std::pair<std::array<ap_int<4>, 2>, ap_uint<5>>",
            ["ap_int<4>", "ap_int<4>", "ap_uint<5>"],
        ),
        (
            "std::array<std::pair<float,double>,2>",
            "std::array<std::pair<float, double>, 2>",
            ["float", "double", "float", "double"],
        ),
    ],
)
def test_types(text, spelled, values):
    found = parse(text)
    assert found.text == spelled
    count = 7 if values is None else len(values)
    expected = [spelled[:-1]] * 7 if values is None else values
    assert [scalar.text for scalar in found.scalars(count)] == expected
    assert found.needs_ap_types == ("ap_" in text)
    assert parse(found.text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "float",
        "float**",
        "int*",
        "std::vector<float>",
        "std::array<float>",
        "std::array<float, 0>",
        "std::array<float, 3>*",
        "std::array<float, 2000000>",
        "std::array<std::array<float, 1048576>, 1048576>",
        "std::pair<float>",
        "ap_fixed<16>*",
        "ap_fixed<0,0>*",
        "ap_fixed<65,6>*",
        "ap_fixed<16,6,AP_SAT>*",
        "ap_fixed<16,6,AP_RND,AP_TRN>*",
        "ap_fixed<16,6,AP_RND,AP_SAT,0,0>*",
        "ap_fixed<16,6>* x",
        "ap_fixed<16,6>*; system(0)",
        "ap_fixed<16,6>/**/*",
        "ap_fixed<١٦,6>*",
        "std::array<" * 20 + "float" + ", 1>" * 20,
    ],
)
def test_other_texts(text):
    with pytest.raises(ValidationError) as error:
        Emulator(input=text)
    assert "is not a type of a caller; write float*, ap_fixed<16,6>*, " in str(error.value)


@pytest.mark.parametrize(
    ("scalar", "held", "holds"),
    [
        (Scalar("x", Fixed(True, 16, 6)), Fixed(True, 16, 6), True),
        (Scalar("x", Fixed(True, 17, 7)), Fixed(True, 16, 6), True),
        (Scalar("x", Fixed(True, 17, 7)), Fixed(False, 16, 6), True),
        (Scalar("x", Fixed(True, 16, 6)), Fixed(False, 16, 6), False),
        (Scalar("x", Fixed(False, 40, 20)), Fixed(True, 4, 2), False),
        (Scalar("x", Fixed(True, 16, 6)), Fixed(True, 16, 5), False),
        (Scalar("float", None), Fixed(True, 25, 6), True),
        (Scalar("float", None), Fixed(False, 25, 6), False),
        (Scalar("float", None), Fixed(True, 8, 200), False),
        (Scalar("double", None), Fixed(False, 53, 200), True),
    ],
)
def test_what_a_type_holds(scalar, held, holds):
    assert scalar.holds(held) is holds
