"""One product and a bias of an hls4ml project: where its rounding and saturation end."""

import keras
import numpy as np
import pytest
from foreign_projects import edit
from hls4ml_projects import write_default

from trigger.fixedpoint import evaluate
from trigger.frontends.hls4ml import network
from trigger.frontends.inexact import Inexact

TYPES = {
    "x": {"Precision": {"result": "ap_uint<1>"}},
    "score": {
        "Precision": {"accum": "ap_fixed<14,3>", "result": "ap_fixed<7,5,AP_RND,AP_SAT_SYM>"}
    },
}


@pytest.fixture
def project(tmp_path):
    source = keras.Input((1,), name="x")
    made = keras.Model(source, keras.layers.Dense(1, name="score")(source))
    made.set_weights([np.array([[-1.39]]), np.array([0.5])])
    return write_default(tmp_path / "project", made, layers=TYPES)


def test_rounding_alone_reaches_the_least_integer_of_as_many_bits(project):
    read = network.load(project)
    lowered = network.lower(read, None)
    x = np.array([[0], [1]])
    assert network.Reference(read).predict(x).tolist() == [[0.5], [-1.0]]
    assert np.ldexp(evaluate.run(lowered, x), -lowered.output.fractions).tolist() == [[0.5], [-1.0]]


def refused(project):
    with pytest.raises(Inexact) as caught:
        network.lower(network.load(project), None)
    (problem,) = caught.value.problems
    return str(problem)


def test_a_product_that_saturates_before_the_bias_is_added_is_refused(project):
    defines = project / "firmware" / "defines.h"
    edit(defines, "ap_fixed<14,3>", "ap_fixed<12,1,AP_TRN,AP_SAT>")
    assert refused(project) == (
        "score (firmware/tiny.cpp, line 32, nnet::dense): its accumulator fixed<12,1> can saturate "
        "between two additions, so the sum depends on their order. Remedy: widen accum_t, or let "
        "it wrap (AP_WRAP)."
    )


def test_a_weight_that_only_python_reads_is_refused(project):
    (project / "firmware" / "weights" / "w2.txt").write_text("1_0")
    assert refused(project) == (
        "firmware/weights/w2.txt: one of its numbers cannot be read: C++ reads only digits, signs, "
        "points and exponents. Remedy: write the project again with hls4ml."
    )
