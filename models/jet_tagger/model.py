"""The jet tagger: a weightless network of comparisons, truth tables and counts of ones."""

import keras

from trigger.layers import LookupLayer, PopCount, Thermometer


def jet_tagger(features: int, classes: int, units: int = 32, thresholds: int = 32) -> keras.Model:
    """Scores of shape (events, classes), whole numbers from 0 to ``units``, from features of shape
    (events, features).

    Each feature is compared with ``thresholds`` numbers at most; each class has ``units`` truth
    tables, which vote for it. Refinement finds what is compared, which table reads what, and the
    tables.
    """
    x = inputs = keras.Input((features,), name="jet")
    x = Thermometer(thresholds, name="comparators")(x)
    x = LookupLayer(units * classes, name="tables", seed=1)(x)
    return keras.Model(inputs, PopCount(classes, name="scores")(x), name="jet_tagger")
