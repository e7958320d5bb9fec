"""How well classifiers tell the images of two samples apart: their AUC, with intervals."""

from collections.abc import Callable

import numpy as np
from calo_regions.canvas import ETA, PHI
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

TRAINING = 0.6
RESAMPLED = 200
EPOCHS = 6


def summaries(x: np.ndarray) -> np.ndarray:
    """What people would look at: sums, counts, the leading regions, neighbours, balance."""
    image = x.reshape(-1, PHI, ETA)
    angle = 2 * np.pi * np.arange(PHI) / PHI
    row = image.sum(axis=2)
    logs = np.log1p(image)
    return np.column_stack(
        [
            x.sum(axis=1),
            (x > 0).sum(axis=1),
            (x == 4).sum(axis=1),
            np.minimum(x, 16).sum(axis=1),
            np.sort(x, axis=1)[:, -8:],
            np.hypot(row @ np.cos(angle), row @ np.sin(angle)),
            (logs * np.roll(logs, 1, axis=1)).sum(axis=(1, 2)),
            (logs[:, :, 1:] * logs[:, :, :-1]).sum(axis=(1, 2)),
            (row * np.roll(row, PHI // 2, axis=1)).sum(axis=1),
            image.sum(axis=1).reshape(len(x), 2, ETA // 2).sum(axis=2),
        ]
    )


def trees(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Boosted trees on all regions and the summaries."""

    def features(images: np.ndarray) -> np.ndarray:
        return np.concatenate([images, summaries(images)], axis=1)

    fitted = HistGradientBoostingClassifier(max_iter=200, learning_rate=0.05, random_state=1)
    fitted.fit(features(x), y)
    return lambda images: fitted.predict_proba(features(images))[:, 1]


def convolution(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A network of two convolutions that goes around in phi."""
    import keras
    from keras import layers

    def pictures(images: np.ndarray) -> np.ndarray:
        logs = np.log1p(images).reshape(-1, PHI, ETA, 1).astype(np.float32)
        present = (images > 0).reshape(logs.shape)
        both = np.concatenate([logs, present], axis=3)
        return np.concatenate([both, both[:, :4]], axis=1)

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((PHI + 4, ETA, 2)),
            layers.Conv2D(24, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(32, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
    model.fit(pictures(x), y, 128, EPOCHS, verbose=0)
    return lambda images: model.predict(pictures(images), 1024, verbose=0)[:, 0]


METHODS = {"boosted trees": trees, "convolutions": convolution}


def auc(first: np.ndarray, second: np.ndarray) -> dict[str, list[float]]:
    """The AUC of each method on images it has not seen, with its interval of 68 % (bootstrap)."""
    rng = np.random.default_rng(1)
    x = np.concatenate([first, second])
    y = np.repeat([0, 1], [len(first), len(second)])
    order = rng.permutation(len(x))
    seen, unseen = np.split(order, [round(TRAINING * len(x))])
    found = {}
    for name, method in METHODS.items():
        scores = method(x[seen], y[seen])(x[unseen])
        again = []
        for _ in range(RESAMPLED):
            rows = rng.integers(len(unseen), size=len(unseen))
            again.append(roc_auc_score(y[unseen][rows], scores[rows]))
        value = roc_auc_score(y[unseen], scores)
        found[name] = [float(value), *np.quantile(again, [0.1587, 0.8413]).tolist()]
    return found
