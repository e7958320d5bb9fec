"""Learned widths: how values are rounded, and how widths and values learn."""

import numpy as np
import pytest
from keras import ops
from learned_widths import small_network

from trigger.frontends.loading import load as load_network
from trigger.quantizers import LearnedActivation, LearnedWeights


def test_weights_are_rounded_half_to_even_each_to_its_step_within_its_range():
    quantizer = LearnedWeights()
    quantizer.build((2, 4))
    quantizer.integer.assign([[1, 1, 0, 1], [2.2, 1, 0, -1]])
    quantizer.fraction.assign([[0, 1, 2, 2], [-1, 0.6, 3, 1]])
    weights = np.array([[0.5, 0.75, -0.375, 3], [2.9, -0.2, 1.0, 0.3]], dtype=np.float32)
    large = np.array([[-0.5, -9, -2, -3], [-9, 9, -1.125, -0.3]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(weights)).tolist() == [
        [0, 1, -0.5, 1.75],
        [2, 0, 0.875, 0],
    ]
    assert ops.convert_to_numpy(quantizer(large)).tolist() == [
        [0, -1.5, -0.75, -1.75],
        [-2, 1.5, -0.875, 0],
    ]
    assert ops.convert_to_numpy(quantizer.width()).tolist() == [[1, 2, 2, 3], [1, 2, 3, 0]]
    assert ops.convert_to_numpy(quantizer.used(weights)).tolist() == [[0, 2, 2, 3], [1, 0, 3, 0]]


def test_weights_saved_without_a_range_do_not_saturate():
    config = LearnedWeights(fraction=1).get_config()
    del config["integer"]
    quantizer = LearnedWeights.from_config(config)
    assert ops.convert_to_numpy(quantizer(np.array([5.3, -8, 0.2]))).tolist() == [5.5, -8, 0]


def test_activations_saturate_where_training_has_seen_nothing():
    quantizer = LearnedActivation(fraction=[1, 1, -3])
    seen = np.array([[1.6, -0.9, 3.0], [-0.2, 0.3, 3.0]], dtype=np.float32)
    quantizer(seen, training=True)
    assert [part.tolist() for part in quantizer.kif()] == [[True] * 3, [1, 0, 2], [1, 1, -3]]
    assert ops.convert_to_numpy(quantizer.width()).tolist() == [2, 1, 0]
    x = np.array([[9, 9, 9], [-9, -9, -9], [0.25, 0.75, 1]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(x)).tolist() == [[1.5, 0.5, 0], [-2, -1, 0], [0, 0.5, 0]]
    relu = LearnedActivation(fraction=1, relu=True, granularity="tensor", integer=1)
    assert ops.convert_to_numpy(relu(x)).tolist() == [[1.5] * 3, [0] * 3, [0, 1, 1]]


def test_activations_wrap_where_training_has_seen_nothing():
    """In training nothing does: the range goes up to the largest value as it is rounded, and down to the lowest."""
    quantizer = LearnedActivation(fraction=[1, 1, 1, -3], rounding="RND", overflow="WRAP")
    seen = np.array([[1.75, 1.7, -2.0, 3.0], [0.2, 0.3, -0.2, 3.0]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(seen, training=True)).tolist() == [
        [2, 1.5, -2, 0],
        [0, 0.5, 0, 0],
    ]
    assert [part.tolist() for part in quantizer.kif()] == [[True] * 4, [2, 1, 1, 2], [1, 1, 1, -3]]
    x = np.array([[4, 2, 2, 9], [-0.25, -0.3, -2.3, 9]], dtype=np.float32)
    assert ops.convert_to_numpy(quantizer(x)).tolist() == [[-4, -2, -2, 0], [0, -0.5, 1.5, 0]]
    relu = LearnedActivation(
        fraction=1, relu=True, granularity="tensor", integer=1, rounding="RND", overflow="WRAP"
    )
    assert ops.convert_to_numpy(relu(x)).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]


def test_values_below_a_step_are_cut_off():
    quantizer = LearnedActivation(fraction=1, granularity="tensor", integer=1, rounding="TRN")
    assert ops.convert_to_numpy(quantizer(np.array([[0.49, 0.99, -0.1, 5.0]]))).tolist() == [
        [0, 0.5, -0.5, 1.5]
    ]


def test_a_range_that_shrinks_gives_its_bits_back_slowly():
    quantizer = LearnedActivation(granularity="tensor")
    quantizer(np.array([[4.0]]), training=True)
    for _ in range(99):
        quantizer(np.array([[1.0]]), training=True)
    assert quantizer.kif()[1].tolist() == [2]
    for _ in range(2):
        quantizer(np.array([[1.0]]), training=True)
    assert quantizer.kif()[1].tolist() == [1]


def test_gradients_of_widths():
    """Of rounding: ln 2 times its error (arXiv:2405.00645); of the bits: one for each weight that may have any."""
    tf = pytest.importorskip("tensorflow")
    quantizer = LearnedWeights(fraction=2)
    weights = tf.constant([0.3, 0.5, 0.05, 0.9, 0.4])
    quantizer.build(weights.shape)
    quantizer.integer.assign([0, 0, 0, 0, -2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(weights)
        total, bits = ops.sum(quantizer(weights)), ops.sum(quantizer.width())
    assert quantizer(weights).numpy().tolist() == [0.25, 0.5, 0, 0.75, 0]
    error = weights.numpy() - quantizer(weights).numpy()
    slopes = tape.gradient(total, quantizer.fraction.value).numpy()
    np.testing.assert_allclose(slopes[:3], np.log(2) * error[:3], rtol=1e-5)
    # A finer step would raise the end of the range; so would an integer bit.
    np.testing.assert_allclose(slopes[3:], [np.log(2) * 0.25, 0], rtol=1e-5)
    ranges = tape.gradient(total, quantizer.integer.value).numpy()
    np.testing.assert_allclose(ranges, [0, 0, 0, np.log(2), 0], rtol=1e-5)
    assert tape.gradient(total, weights).numpy().tolist() == [1, 1, 1, 0, 0]
    assert tape.gradient(bits, quantizer.fraction.value).numpy().tolist() == [1, 1, 1, 1, 0]
    assert tape.gradient(bits, quantizer.integer.value) is None


def test_the_largest_values_learn():
    """Between the largest value, 1.5, and the end of the range, 2, the slope is that of rounding; past it there is none."""
    tf = pytest.importorskip("tensorflow")
    quantizer = LearnedActivation(fraction=1, relu=True, granularity="tensor", integer=1)
    x = tf.constant([[1.4, 1.9, 2.1, -0.1]])
    quantizer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = quantizer(x)
    assert y.numpy().tolist() == [[1.5, 1.5, 1.5, 0]]
    assert tape.gradient(y, x).numpy().tolist() == [[1, 1, 0, 0]]


def test_a_value_without_bits_can_win_them_back_unless_they_were_taken():
    tf = pytest.importorskip("tensorflow")
    quantizer = LearnedActivation(fraction=[-1, -16], relu=True, integer=[1, 1])
    x = tf.constant([[1.5, 1.5], [-2.0, -2.0]])
    quantizer.build(x.shape)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = quantizer(x)
    assert y.numpy().tolist() == [[0, 0], [0, 0]]
    assert tape.gradient(y, quantizer.fraction.value).numpy().tolist() == pytest.approx(
        [np.log(2) * 1.5, 0]
    )
    assert tape.gradient(y, x).numpy().tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("granularity", "shape"), [("tensor", (1, 1)), ("channel", (1, 3)), ("element", (4, 3))]
)
def test_granularity(granularity, shape):
    assert (
        small_network(granularity=granularity).get_layer("hidden").kernel_quantizer.fraction.shape
        == shape
    )


def test_what_a_quantiser_does_not_know():
    with pytest.raises(
        ValueError, match="^granularity is 'row'; it must be tensor, channel or element$"
    ):
        LearnedWeights(granularity="row")
    with pytest.raises(ValueError, match="^rounding is 'up'; it must be TRN, RND or RND_CONV$"):
        LearnedActivation(rounding="up")
    with pytest.raises(ValueError, match="^overflow is 'SAT_SYM'; it must be SAT or WRAP$"):
        LearnedActivation(overflow="SAT_SYM")


def test_a_network_is_saved_with_its_widths(tmp_path):
    model = small_network(granularity="channel")
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.uniform(-2, 5, variable.shape))
    x = rng.normal(size=(50, 4)).astype(np.float32) * 4
    model(x, training=True)
    model.save(tmp_path / "a.keras")
    load_network(tmp_path / "a.keras").save(tmp_path / "b.keras")
    again = load_network(tmp_path / "b.keras")
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]
    np.testing.assert_array_equal(again(x), model(x))
    fresh = small_network(granularity="channel")
    fresh.set_weights(again.get_weights())
    np.testing.assert_array_equal(fresh(x), model(x))
