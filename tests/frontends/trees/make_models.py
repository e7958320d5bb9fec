"""Writes the tiny models here, and what their libraries predict for integers: needs XGBoost and LightGBM.

python tests/frontends/trees/make_models.py
"""

import json
from pathlib import Path

import lightgbm
import numpy as np
import xgboost

HERE = Path(__file__).parent
FRACTION = 4
EVENTS = 40


def events(number=400):
    """Integers of 8 bits, their labels of two and of three classes."""
    x = np.random.default_rng(1).integers(-128, 128, size=(number, 3))
    real = x / 2**FRACTION
    return x, (real[:, 0] + real[:, 1] * real[:, 2] > 0).astype(int), (x[:, :2] > 0).sum(axis=1)


def expected(scores, leaves):
    """Predictions for the first events."""
    few = events()[0][:EVENTS].tolist()
    rows = [np.asarray(part).reshape(EVENTS, -1).tolist() for part in (scores, leaves)]
    return {"x": few, "fraction": FRACTION, "scores": rows[0], "leaves": rows[1]}


def of_xgboost(model, used=(0, 0)):
    """The margins and leaves of XGBoost's own Booster, up to an iteration."""
    data = xgboost.DMatrix(events()[0][:EVENTS] / 2**FRACTION)
    booster = model.get_booster()
    options = {"iteration_range": used}
    return expected(
        booster.predict(data, output_margin=True, **options),
        booster.predict(data, pred_leaf=True, **options),
    )


def of_lightgbm(model):
    real = events()[0][:EVENTS] / 2**FRACTION
    booster = model.booster_
    return expected(booster.predict(real, raw_score=True), booster.predict(real, pred_leaf=True))


def models():
    """Each file's name, with its model and the predictions of its library."""
    x, two, three = events()
    x = x / 2**FRACTION
    few = {"n_estimators": 4, "max_depth": 3}
    classifier = xgboost.XGBClassifier
    binary = classifier(**few).fit(x, two)
    yield "xgboost_binary.json", binary, of_xgboost(binary)
    classes = classifier(**{**few, "n_estimators": 2}).fit(x, three)
    yield "xgboost_classes.ubj", classes, of_xgboost(classes)
    vectors = classifier(multi_strategy="multi_output_tree", **few).fit(x, three)
    yield "xgboost_vectors.json", vectors, of_xgboost(vectors)
    early = classifier(n_estimators=60, max_depth=2, learning_rate=1, early_stopping_rounds=3)
    early.fit(x[:200], two[:200], eval_set=[(x[200:], two[200:])], verbose=False)
    yield "xgboost_early.ubj", early, of_xgboost(early, (0, early.best_iteration + 1))
    few = {"n_estimators": 3, "num_leaves": 6, "verbose": -1}
    binary = lightgbm.LGBMClassifier(**few).fit(x, two)
    yield "lightgbm_binary.txt", binary, of_lightgbm(binary)
    classes = lightgbm.LGBMClassifier(**few).fit(x, three)
    yield "lightgbm_classes.txt", classes, of_lightgbm(classes)


def main():
    found = {}
    for name, model, predictions in models():
        if name.startswith("xgboost"):
            model.save_model(HERE / name)
        else:
            model.booster_.save_model(HERE / name)
        found[name] = predictions
    (HERE / "expected.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
