"""Forests from files: what their libraries predict, and what is refused."""

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

import trigger.trees
from trigger.errors import TriggerError
from trigger.frontends.inexact import Inexact
from trigger.frontends.trees import conifer, ubjson
from trigger.frontends.trees.reading import is_forest, read

MODELS = Path(__file__).parent / "trees"
EXPECTED = json.loads((MODELS / "expected.json").read_text())
RNG = np.random.default_rng(3)
X = RNG.integers(-128, 128, size=(300, 3)) / 16
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
Y3 = (X[:, :2] > 0).sum(axis=1)


def single_sums(forest, leaves):
    """The scores as XGBoost adds them up, in float32."""
    sums = np.tile(forest.base.astype(np.float32), (len(leaves), 1))
    for tree, leaf in zip(forest.trees, leaves.T, strict=True):
        sums[:, tree.output] += tree.value[leaf].astype(np.float32)
    return sums


@pytest.mark.parametrize("name", EXPECTED)
def test_leaves_and_scores_are_the_librarys_own(name):
    forest = read(MODELS / name)
    expected = EXPECTED[name]
    x = np.array(expected["x"]) / 2.0 ** expected["fraction"]
    leaves = forest.leaves(x)
    own = np.array(expected["leaves"])
    first_leaf = [(t.feature >= 0).sum() if name.endswith(".txt") else 0 for t in forest.trees]
    numbers = [tree.number for tree in forest.trees]
    np.testing.assert_array_equal(leaves - first_leaf, own[:, numbers])
    scores = forest.scores(leaves) if name.endswith(".txt") else single_sums(forest, leaves)
    np.testing.assert_array_equal(scores, expected["scores"])


@pytest.mark.parametrize(
    ("name", "head", "outputs", "notes"),
    [
        ("xgboost_binary.json", "sigmoid", 1, ()),
        ("xgboost_classes.ubj", "softmax", 3, ()),
        ("xgboost_vectors.json", "softmax", 3, ()),
        (
            "xgboost_early.ubj",
            "sigmoid",
            1,
            ("16 of 19 trees are used, up to the best iteration 15",),
        ),
        ("lightgbm_binary.txt", "sigmoid", 1, ()),
        ("lightgbm_classes.txt", "softmax", 3, ()),
    ],
)
def test_a_forest_knows_its_scores(name, head, outputs, notes):
    forest = read(MODELS / name)
    assert (forest.head, forest.outputs, forest.features) == (head, outputs, 3)
    assert forest.notes == notes


@pytest.mark.parametrize(
    ("model", "labels", "head"),
    [
        (HistGradientBoostingClassifier(max_iter=3), Y, "sigmoid"),
        (HistGradientBoostingClassifier(max_iter=3), Y3, "softmax"),
        (GradientBoostingClassifier(n_estimators=3), Y, "sigmoid"),
        (GradientBoostingClassifier(n_estimators=3, init="zero"), Y3, "softmax"),
        (GradientBoostingClassifier(n_estimators=3, loss="exponential"), Y, "linear"),
        (GradientBoostingRegressor(n_estimators=3), Y, "linear"),
        (RandomForestClassifier(n_estimators=3), Y, "probability"),
        (RandomForestClassifier(n_estimators=3), Y3, "probability"),
        (DecisionTreeClassifier(), Y3, "probability"),
        (ExtraTreesRegressor(n_estimators=3), X[:, :2], "linear"),
    ],
)
def test_scikit_learn_is_saved_as_numbers(model, labels, head, tmp_path):
    model.fit(X, labels)
    trigger.trees.save(model, tmp_path / "model.json")
    forest = read(tmp_path / "model.json")
    scores = forest.scores(forest.leaves(X))
    own = getattr(model, "decision_function", getattr(model, "predict_proba", model.predict))(X)
    own = own.reshape(len(X), -1)
    if own.shape[1] == 2 and hasattr(model, "classes_"):
        own = own[:, 1:]
    assert forest.head == head
    np.testing.assert_allclose(scores, own, rtol=0, atol=1e-14)  # sums in another order


@pytest.mark.parametrize(
    ("model", "left_out"),
    [
        (
            GradientBoostingClassifier(n_estimators=1, loss="exponential"),
            "the sigmoid of twice the score",
        ),
        (HistGradientBoostingRegressor(max_iter=1, loss="poisson"), "the exponential"),
    ],
)
def test_what_scikit_learn_makes_of_the_scores_is_left_out(model, left_out, tmp_path):
    trigger.trees.save(model.fit(X, Y), tmp_path / "model.json")
    note = f"{left_out} that the loss {model.loss!r} takes of the scores is left out"
    assert read(tmp_path / "model.json").notes == (note,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.txt", "{} is no name of a file that ends in .json; give one"),
        (".", "{} is no name of a file that ends in .json; give one"),
        ("none/model.json", "{.parent} is no folder; make it, or give another path"),
    ],
)
def test_a_name_that_no_build_reads_is_refused(name, message, tmp_path):
    path = tmp_path / name
    with pytest.raises(TriggerError) as refused:
        trigger.trees.save(DecisionTreeClassifier().fit(X, Y), path)
    assert str(refused.value) == f"trees.save: {message.format(path)}"
    assert not path.is_file()


def test_a_split_of_missing_values_alone(tmp_path):
    """Its threshold is infinite, which scikit-learn takes for no feature."""
    x = np.where(Y[:, None] == 1, np.nan, X)
    model = DecisionTreeClassifier().fit(x, Y)
    assert np.isinf(model.tree_.threshold[0])
    trigger.trees.save(model, tmp_path / "model.json")
    forest = read(tmp_path / "model.json")
    np.testing.assert_array_equal(
        forest.scores(forest.leaves(X))[:, 0], model.predict_proba(X)[:, 1]
    )


@pytest.mark.parametrize(("what", "change"), [("threshold", 1e-6), ("value", 1e-7)])
def test_a_file_that_is_not_the_model_is_refused(what, change, tmp_path, monkeypatch):
    """A witness of its own: the model, on and beside its thresholds."""
    made = conifer.document

    def wrong(forest):
        document = made(forest)
        document["trees"][1][0][what][0 if what == "threshold" else -1] += change
        return document

    monkeypatch.setattr(conifer, "document", wrong)
    model = GradientBoostingRegressor(n_estimators=3, max_depth=2, random_state=1).fit(X, Y)
    with pytest.raises(TriggerError) as error:
        trigger.trees.save(model, tmp_path / "model.json")
    assert re.fullmatch(
        r"trees\.save: GradientBoostingRegressor is saved as another model: for the features "
        r"\[.*\] it gives .* as score 0, the file .*; this is a fault of trigger, please report it "
        r"with the model",
        str(error.value),
    )
    assert not (tmp_path / "model.json").exists()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            GradientBoostingClassifier(),
            "trees.save: this GradientBoostingClassifier is not fitted; call fit() first",
        ),
        (
            GradientBoostingClassifier(n_estimators=1, init=DecisionTreeClassifier()).fit(X, Y),
            "trees.save: the model adds to the predictions of DecisionTreeClassifier; fit it "
            "again without init",
        ),
        (
            HistGradientBoostingClassifier(max_iter=1, categorical_features=[0]).fit(
                np.abs(np.floor(X)), Y
            ),
            "trees.save: the model splits by categories, not by thresholds; give the features as "
            "numbers, with categorical_features=None, and fit again",
        ),
        (
            RandomForestClassifier(n_estimators=1).fit(X, np.stack([Y, Y3], axis=1)),
            "trees.save: the model separates 2 sets of classes; fit a model for each",
        ),
        (
            AdaBoostClassifier(),
            "trees.save: AdaBoostClassifier is not one of HistGradientBoostingClassifier, "
            "HistGradientBoostingRegressor, GradientBoostingClassifier, "
            "GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor, "
            "ExtraTreesClassifier, ExtraTreesRegressor, DecisionTreeClassifier, "
            "DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor",
        ),
    ],
)
def test_other_models_are_not_saved(model, message, tmp_path):
    with pytest.raises(TriggerError) as refused:
        trigger.trees.save(model, tmp_path / "model.json")
    assert str(refused.value) == message
    assert not (tmp_path / "model.json").exists()


CONIFER = {
    "n_classes": 2,
    "n_features": 2,
    "init_predict": [0.25, 0.25],
    "norm": 0.5,
    "trees": [
        [
            {
                "feature": [1, -2, -2],
                "threshold": [0.5, -2, -2],
                "children_left": [1, -1, -1],
                "children_right": [2, -1, -1],
                "value": [0, 1, -3],
            }
        ]
    ],
}


def test_a_file_of_conifer(tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(CONIFER))
    forest = read(path)
    scores = forest.scores(forest.leaves(np.array([[0, 0.5], [0, 0.75]])))
    np.testing.assert_array_equal(scores, [[0.625], [-1.375]])


def changed(made, change):
    """A copy of a decoded file after a change."""
    copy = json.loads(json.dumps(made))
    change(copy)
    return json.dumps(copy)


def tree_of(model):
    return model["trees"][0][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: tree_of(m).update(children_left=[0, -1, -1]),
            "tree 0: node 0 has no child 0 of its own",
        ),
        (
            lambda m: tree_of(m).update(children_right=[1, -1, -1]),
            "tree 0: node 0 has no child 1 of its own",
        ),
        (
            lambda m: tree_of(m).update(children_right=[3, -1, -1]),
            "tree 0: node 0 has no child 3 of its own",
        ),
        (
            lambda m: tree_of(m).update(feature=[2, -2, -2]),
            "tree 0: node 0 reads feature 2 of 2",
        ),
        (
            lambda m: tree_of(m).update(threshold=[float("nan"), 0, 0]),
            "tree 0: the threshold of node 0 is not a number",
        ),
        (
            lambda m: tree_of(m).update(value=[0, float("inf"), 0]),
            "tree 0: the value of leaf 1 is not finite",
        ),
        (
            lambda m: tree_of(m).update(value=[0, 1]),
            "tree 0: its arrays have different lengths",
        ),
        (lambda m: m.update(trees=[]), "it has no trees"),
        (
            lambda m: m.update(n_features=10**11),
            "it has 100,000,000,000 features; at most 65,536 are read",
        ),
        (
            lambda m: m.update(n_classes=10**11),
            "it has 100,000,000,000 scores; at most 4,096 are read",
        ),
        (lambda m: m.update(init_predict=[float("inf")]), "its base scores are not finite"),
        (lambda m: m.update(init_predict=[1, 2, 3]), "init_predict has 3 values for 1 scores"),
        (
            lambda m: m.update(feature_map={f"f{k}": k + 1 for k in range(m["n_features"])}),
            f"feature_map does not number its features from 0 to {CONIFER['n_features'] - 1}",
        ),
        (lambda m: m["trees"][0].append({}), "2 trees in a row instead of 1"),
        (lambda m: m.pop("norm"), "it has no 'norm'"),
        (lambda m: m.update(trees=[[7]]), "'int' object has no attribute 'get'"),
    ],
)
def test_a_damaged_file_is_refused(change, message, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(changed(CONIFER, change))
    with pytest.raises(TriggerError) as refused:
        read(path)
    assert str(refused.value) == f"{path}: not a forest that can be read: {message}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "model.joblib",
            "is never opened, because a pickle can run any code; write the model with "
            'trigger.trees.save(model, "model.json") where it was made, and build that file',
        ),
        (
            "model.pkl",
            "is never opened, because a pickle can run any code; write the model with "
            'trigger.trees.save(model, "model.json") where it was made, and build that file',
        ),
        (
            "model.bin",
            "XGBoost's old binary format is not read; load it with XGBoost and write it with "
            'save_model("model.json")',
        ),
        ("model.ubj", "no such file"),
    ],
)
def test_other_files_are_refused(name, message, tmp_path):
    path = tmp_path / name
    assert is_forest(path)
    with pytest.raises(TriggerError) as refused:
        read(path)
    assert str(refused.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.txt", b"name,x\n", "a LightGBM model starts with the line 'tree'"),
        ("model.txt", b"tree\nversion=v4\n", "it has no line 'end of trees'"),
        ("model.txt", b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: "),
        (
            "model.json",
            b'{"tree_info": []}',
            'is a dump of LightGBM; write the model with save_model("model.txt")',
        ),
        (
            "model.json",
            b"[]",
            'is a dump of XGBoost; write the model with save_model("model.json")',
        ),
        ("model.json", b"{}", "neither XGBoost nor conifer wrote it"),
        ("model.json", b"[" * 100_000, "it is damaged"),
        ("model.ubj", b"", "it ends early: 1 bytes are missing at byte 0"),
        ("model.ubj", b"{", "it ends early: 1 bytes are missing at byte 1"),
        ("model.ubj", b"[" * 100, "its values are nested more than 64 deep"),
        (
            "model.ubj",
            b"[$d#L" + b"\x7f" * 8,
            "9187201950435737471 values at byte 13 cannot be in it",
        ),
        ("model.ubj", b"[#i\xff", "-1 values at byte 4 cannot be in it"),
        ("model.ubj", b"[$d]", "a type without a number of values at byte 3"),
        ("model.ubj", b"ZZ", "1 bytes follow its end"),
        ("model.ubj", b"?", "'?' at byte 1 is not the type of a value"),
        ("model.ubj", b"{Si\x01a", "'S' at byte 2 is not the type of a length"),
        ("model.ubj", b"Z", "'NoneType' object is not subscriptable"),
    ],
)
def test_a_file_of_another_kind_is_refused(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TriggerError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: not a forest that can be read: {message}")


def test_ubjson():
    array = b"[$l#i\x02" + struct.pack(">ii", 1, -2)
    data = b"{i\x01aSU\x03xyzi\x01bNTi\x01cZi\x01d[i\x05I\x01\x00]i\x01e" + array + b"}"
    value = ubjson.decode(data)
    np.testing.assert_array_equal(value.pop("e"), [1, -2])
    assert value == {"a": "xyz", "b": True, "c": None, "d": [5, 256]}
    assert ubjson.decode(b"[$d#i\x01\x3f\xc0\x00\x00").tolist() == [1.5]
    assert ubjson.decode(b"D" + struct.pack(">d", 0.1)) == 0.1


def xgboost_problem(model):
    tree = model["learner"]["gradient_booster"]["model"]["trees"][2]
    tree["split_type"][1] = 1


def linear_booster(model):
    model["learner"]["gradient_booster"] = {"name": "gblinear"}


def old_logit(model):
    model["version"] = [1, 7, 6]
    model["learner"]["objective"]["name"] = "binary:logitraw"


def certain(model):
    model["learner"]["learner_model_param"]["base_score"] = "1E-7"


def unknown_objective(model):
    model["learner"]["objective"]["name"] = "reg:mine"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            xgboost_problem,
            "tree 2: node 1 splits by categories, not by a threshold. Remedy: give the feature as "
            "numbers, without enable_categorical, and train again.",
        ),
        (
            linear_booster,
            "gblinear: the booster gblinear is linear and has no trees. Remedy: train with "
            'booster="gbtree".',
        ),
        (
            old_logit,
            "objective: what base_score means with 'binary:logitraw' has changed in XGBoost 2. "
            "Remedy: load the model in XGBoost 2 or later, compare its predictions, and save it "
            "again.",
        ),
        (
            certain,
            "base_score: versions of XGBoost limit base_score = 1.00000001e-07 in different ways. "
            "Remedy: train with base_score between 1e-6 and 1 - 1e-6, as base_score=0.5.",
        ),
        (
            unknown_objective,
            "objective: what XGBoost makes of base_score with 'reg:mine' is not known. Remedy: "
            "train with one of binary:hinge, binary:logistic, binary:logitraw, count:poisson, "
            "multi:softmax, multi:softprob, rank:map, rank:ndcg, rank:pairwise, "
            "reg:absoluteerror, reg:gamma, reg:linear, reg:logistic, reg:pseudohubererror, "
            "reg:quantileerror, reg:squarederror, reg:squaredlogerror, reg:tweedie, "
            "survival:aft, survival:cox.",
        ),
    ],
)
def test_trees_of_xgboost_that_cannot_be_exact(change, problem, tmp_path):
    path = tmp_path / "model.json"
    made = json.loads((MODELS / "xgboost_binary.json").read_text())
    path.write_text(changed(made, change))
    with pytest.raises(Inexact) as refused:
        read(path)
    assert str(refused.value) == f"the network cannot be compiled exactly: 1 problem\n  {problem}"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "decision_type=2",
            "decision_type=1",
            "tree 0: split 0 is by categories, not by a threshold. Remedy: give the feature as "
            "numbers, without categorical_feature, and train again.",
        ),
        (
            "decision_type=2",
            "decision_type=6",
            "tree 0: split 0 takes zero for a missing value. Remedy: train again without "
            "zero_as_missing.",
        ),
        (
            "is_linear=0",
            "is_linear=1",
            "tree 0: its leaves are linear functions, not values. Remedy: train again without "
            "linear_tree.",
        ),
    ],
)
def test_trees_of_lightgbm_that_cannot_be_exact(old, new, problem, tmp_path):
    path = tmp_path / "model.txt"
    path.write_text((MODELS / "lightgbm_binary.txt").read_text().replace(old, new, 1))
    with pytest.raises(Inexact) as refused:
        read(path)
    assert str(refused.value) == f"the network cannot be compiled exactly: 1 problem\n  {problem}"


@pytest.mark.parametrize(
    ("objective", "head", "notes"),
    [
        ("binary sigmoid:1", "sigmoid", ()),
        (
            "binary sigmoid:2",
            "linear",
            (
                "what LightGBM makes of the scores with the objective 'binary sigmoid:2' is left out",
            ),
        ),
        ("regression", "linear", ()),
        (
            "regression sqrt",
            "linear",
            ("what LightGBM makes of the scores with the objective 'regression sqrt' is left out",),
        ),
        ("", "linear", ()),
    ],
)
def test_functions_of_the_scores_of_lightgbm(objective, head, notes, tmp_path):
    path = tmp_path / "model.txt"
    text = (MODELS / "lightgbm_binary.txt").read_text()
    path.write_text(text.replace("objective=binary sigmoid:1", f"objective={objective}"))
    assert (read(path).head, read(path).notes) == (head, notes)


def test_an_exponential_of_xgboost_is_left_out(tmp_path):
    made = json.loads((MODELS / "xgboost_binary.json").read_text())
    made["learner"]["objective"]["name"] = "count:poisson"
    path = tmp_path / "model.json"
    path.write_text(json.dumps(made))
    note = "the exponential that count:poisson takes of the scores is left out"
    assert (read(path).head, read(path).notes) == ("linear", (note,))


def set_in_tree(key, node, value):
    def change(model):
        model["learner"]["gradient_booster"]["model"]["trees"][0][key][node] = value

    return change


def set_parameter(key, value):
    return lambda model: model["learner"]["learner_model_param"].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_in_tree("split_conditions", 0, None),
            "tree 0: the threshold of node 0 is not a number",
        ),
        (set_in_tree("split_conditions", -1, 1e39), "tree 0: the value of leaf 14 is not finite"),
        (set_in_tree("split_indices", 0, -5), "tree 0: node 0 reads feature -5 of 3"),
        (set_parameter("base_score", "NaN"), "its base scores are not finite"),
        (set_parameter("base_score", "[1E-1,2E-1]"), "base_score has 2 values for 1 scores"),
        (set_parameter("num_class", "9999999"), "it has 9,999,999 scores; at most 4,096 are read"),
        (
            lambda m: m["learner"]["attributes"].update(best_iteration="9"),
            "its best iteration 9 is not among its 4 iterations",
        ),
        (lambda m: m.pop("version"), "it has no 'version'"),
    ],
)
def test_a_damaged_model_of_xgboost_is_refused(change, message, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(changed(json.loads((MODELS / "xgboost_binary.json").read_text()), change))
    with pytest.raises(TriggerError) as refused:
        read(path)
    assert str(refused.value) == f"{path}: not a forest that can be read: {message}"


@pytest.mark.parametrize("threshold", [float("inf"), -float("inf"), 3e38, 1e39])
def test_thresholds_without_a_limit(threshold, tmp_path):
    path = tmp_path / "model.json"
    made = json.loads((MODELS / "xgboost_binary.json").read_text())
    path.write_text(changed(made, set_in_tree("split_conditions", 0, threshold)))
    graph = trigger.trees.lower(path, "fixed<8,4>", bits=4)
    assert any("split" in note and "left out" in note for note in graph.notes)


def test_dart_weighs_its_trees(tmp_path):
    made = json.loads((MODELS / "xgboost_binary.json").read_text())
    booster = made["learner"]["gradient_booster"]
    weights = [0.5, 1.0, 0.25, 2.0]
    made["learner"]["gradient_booster"] = {
        "name": "dart", "gbtree": booster, "weight_drop": weights
    }  # fmt: skip
    path = tmp_path / "model.json"
    path.write_text(json.dumps(made))
    plain = read(MODELS / "xgboost_binary.json")
    for weight, one, other in zip(weights, read(path).trees, plain.trees, strict=True):
        np.testing.assert_array_equal(one.value, other.value * weight)


def test_a_keras_architecture_is_no_forest(tmp_path):
    path = tmp_path / "model.json"
    path.write_text('{"class_name": "Functional", "config": {}}')
    assert not is_forest(path)
    path.write_text(json.dumps(CONIFER))
    assert is_forest(path)
