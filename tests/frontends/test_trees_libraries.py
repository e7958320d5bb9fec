"""Models that XGBoost and LightGBM make now, where they are installed: leaves and scores as they predict them."""

import numpy as np
import pytest

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from trigger.frontends.trees.libraries import record
from trigger.frontends.trees.lowering import lower
from trigger.frontends.trees.reading import read
from trigger.frontends.trees.rounding import rounded

RNG = np.random.default_rng(7)
TYPES = (Fixed(True, 9, 5), Fixed(False, 6, 6), Fixed(True, 30, 4))
STEPS = np.array([2.0**-fixed.fraction for fixed in TYPES])
X = np.stack([RNG.integers(t.minimum, t.maximum + 1, 400) for t in TYPES], axis=1)
REAL = X * STEPS
TWO = (REAL[:, 0] * REAL[:, 2] + REAL[:, 1] > 30).astype(int)
THREE = (REAL[:, 0] > 0).astype(int) + (REAL[:, 1] > 20)
FEW = {"n_estimators": 5, "max_depth": 3}
OF_XGBOOST = {
    "binary": (FEW, TWO),
    "deep": ({"n_estimators": 3, "max_depth": 10, "min_child_weight": 0}, TWO),
    "classes": (FEW, THREE),
    "dart": ({**FEW, "booster": "dart", "rate_drop": 0.5}, THREE),
    "forest": ({**FEW, "num_parallel_tree": 3, "subsample": 0.5}, THREE),
    "leafwise": ({**FEW, "grow_policy": "lossguide", "max_depth": 0, "max_leaves": 9}, TWO),
    "one leaf": ({**FEW, "gamma": 1e9}, TWO),
    "pruned": ({**FEW, "gamma": 3, "tree_method": "exact"}, TWO),
    "vectors": ({**FEW, "multi_strategy": "multi_output_tree"}, THREE),
    "weighted": ({**FEW, "base_score": 0.2}, TWO),
    "logit": ({**FEW, "objective": "binary:logitraw"}, TWO),
    "hinge": ({**FEW, "objective": "binary:hinge"}, TWO),
}
LEAVES = {"n_estimators": 5, "num_leaves": 9, "verbose": -1}
OF_LIGHTGBM = {
    "binary": (LEAVES, TWO),
    "classes": (LEAVES, THREE),
    "dart": ({**LEAVES, "boosting_type": "dart"}, TWO),
    "forest": (
        {**LEAVES, "boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        THREE,
    ),
    "one against all": ({**LEAVES, "objective": "multiclassova"}, THREE),
    "one leaf": ({**LEAVES, "min_child_samples": 1000}, TWO),
    "unbalanced": ({**LEAVES, "num_leaves": 31, "min_child_samples": 1}, TWO),
}


def check(path, name):
    """The library's leaves, and the graph on them: ``record`` compares the scores as well."""
    forest = read(path)
    made = rounded(forest, TYPES, 5)
    recorded = record(path, forest, made, REAL)
    assert recorded.name.startswith(f"{name} ")
    graph = lower(made, TYPES)
    scores = np.ldexp(evaluate.run(graph, X).astype(float), -graph.output.fractions)
    np.testing.assert_array_equal(scores, recorded.y)


@pytest.mark.parametrize("kind", ["json", "ubj"])
@pytest.mark.parametrize("name", OF_XGBOOST)
def test_xgboost(name, kind, tmp_path):
    library = pytest.importorskip("xgboost")
    options, labels = OF_XGBOOST[name]
    path = tmp_path / f"model.{kind}"
    library.XGBClassifier(**options).fit(REAL, labels).save_model(path)
    check(path, "XGBoost")


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson", "reg:tweedie"])
def test_regressions_of_xgboost(objective, tmp_path):
    library = pytest.importorskip("xgboost")
    path = tmp_path / "model.json"
    library.XGBRegressor(objective=objective, **FEW).fit(REAL, THREE).save_model(path)
    check(path, "XGBoost")


def test_several_targets_and_names_of_xgboost(tmp_path):
    library = pytest.importorskip("xgboost")
    data = library.DMatrix(REAL, np.stack([TWO, THREE], axis=1), feature_names=["a", "b", "c"])
    path = tmp_path / "model.json"
    library.train({"max_depth": 2}, data, 4).save_model(path)
    check(path, "XGBoost")
    assert (read(path).names, read(path).outputs) == (("a", "b", "c"), 2)


@pytest.mark.parametrize("wrapped", [False, True])
def test_early_stopping_of_xgboost(wrapped, tmp_path):
    library = pytest.importorskip("xgboost")
    path = tmp_path / "model.ubj"
    halves = np.split(REAL, 2)
    first, second = np.split(TWO, 2)
    if wrapped:
        model = library.XGBClassifier(
            n_estimators=80, max_depth=2, learning_rate=1.0, early_stopping_rounds=4
        )
        model.fit(halves[0], first, eval_set=[(halves[1], second)], verbose=False)
    else:
        data, other = library.DMatrix(halves[0], first), library.DMatrix(halves[1], second)
        options = {"objective": "binary:logistic", "max_depth": 2, "eta": 1.0}
        model = library.train(
            options,
            data,
            80,
            evals=[(other, "other")],
            early_stopping_rounds=4,
            verbose_eval=False,
        )
    model.save_model(path)
    check(path, "XGBoost")
    used = len(read(path).trees)
    assert used == (model.best_iteration + 1 if wrapped else model.num_boosted_rounds())


@pytest.mark.parametrize("name", OF_LIGHTGBM)
def test_lightgbm(name, tmp_path):
    library = pytest.importorskip("lightgbm")
    options, labels = OF_LIGHTGBM[name]
    path = tmp_path / "model.txt"
    library.LGBMClassifier(**options).fit(REAL, labels).booster_.save_model(path)
    check(path, "LightGBM")
