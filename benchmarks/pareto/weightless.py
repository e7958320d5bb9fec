"""The weightless networks of the contest: comparators, one layer of six-input neurons, counts."""

import keras

from trigger.layers import LookupLayer, PopCount, Thermometer


def network(features: int, classes: int, units: int, thresholds: int, seed: int) -> keras.Model:
    x = inputs = keras.Input((features,))
    x = Thermometer(thresholds)(x)
    x = LookupLayer(units * classes, seed=seed)(x)
    return keras.Model(inputs, PopCount(classes)(x))
