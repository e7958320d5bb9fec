"""Boosted trees of others on the contest's jets: TreeLUT and conifer. Needs XGBoost, NumPy, and
the packages treelut (github.com/kiabuzz/TreeLUT) and conifer with pandas.

TreeLUT: features of 8 bits between their least and greatest, depth 5, learning rate 0.8, leaves of 4
bits, as its authors take for jets. conifer: the depth and learning rate of its examples, scores of
4 fractional bits. Thresholds become those of the hardware integers that they distinguish.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import xgboost

FEATURE_BITS, LEAF_BITS = 8, 4
SCORE_FRACTION = 4
LEAF = -2


def treelut(rounds, seed, x, y):
    """TreeLUT's trees, its thresholds at hardware integers."""
    from treelut import TreeLUTClassifier

    top = 2**FEATURE_BITS - 1
    least, greatest = x.min(axis=0), x.max(axis=0)

    def few_bits(values):
        return np.clip(np.round((values - least) / (greatest - least) * top), 0, top)

    model = xgboost.XGBClassifier(
        objective="multi:softmax",
        n_estimators=rounds,
        max_depth=5,
        learning_rate=0.8,
        **fixed(seed),
    )
    model.fit(few_bits(x), y)
    made = TreeLUTClassifier(xgb_model=model, w_feature=FEATURE_BITS, w_tree=LEAF_BITS)
    made.convert()
    # The first hardware integer of each value of 8 bits.
    grids = [np.arange(low, high + 1) for low, high in zip(least, greatest, strict=True)]
    columns = [np.repeat(grid[:, None], x.shape[1], axis=1) for grid in grids]
    values = [few_bits(column)[:, k] for k, column in enumerate(columns)]
    firsts = [
        low + np.searchsorted(v, np.arange(top + 2)) for low, v in zip(least, values, strict=True)
    ]
    classes = made._n_classes
    trees = [plain(nodes, firsts) for nodes in made._treelut_model]
    rows = [trees[k : k + classes] for k in range(0, len(trees), classes)]
    return rows, made._classes_bias.tolist()


def plain(nodes, firsts):
    """A tree of TreeLUT as lists."""
    order = {number: place for place, number in enumerate(sorted(nodes))}
    listed = [nodes[number] for number in sorted(nodes)]
    split = [node["type"] == "split" for node in listed]
    both = list(zip(listed, split, strict=True))
    return {
        "feature": [node["feature"] if s else LEAF for node, s in both],
        "threshold": [int(firsts[n["feature"]][n["threshold"]]) if s else 0 for n, s in both],
        "children_left": [order[node["yes"]] if s else -1 for node, s in both],
        "children_right": [order[node["no"]] if s else -1 for node, s in both],
        "value": [0 if s else int(node["value"]) for node, s in both],
    }


def conifer(rounds, seed, x, y):
    """conifer's trees; their scores are rounded down, as its fixed point does."""
    from conifer.converters.xgboost import convert

    model = xgboost.XGBClassifier(
        n_estimators=rounds, max_depth=3, learning_rate=1.0, **fixed(seed)
    )
    model.fit(x, y)
    made = convert(model)
    for tree in (tree for row in made["trees"] for tree in row):
        split = np.array(tree["feature"]) >= 0
        values = np.floor(np.array(tree["value"], dtype=float) * 2**SCORE_FRACTION)
        tree["value"] = np.where(split, 0, values).tolist()
        tree["threshold"] = np.where(split, np.ceil(np.array(tree["threshold"])), 0).tolist()
        tree["feature"] = np.where(split, tree["feature"], LEAF).tolist()
    base = np.floor(np.array(made["init_predict"], dtype=float) * 2**SCORE_FRACTION)
    return made["trees"], np.broadcast_to(base, len(made["trees"][0])).tolist()


def fixed(seed):
    return {"random_state": seed, "n_jobs": 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=("treelut", "conifer"))
    parser.add_argument("events", type=Path)
    parser.add_argument("rounds", type=float, help="trees of a class")
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    events = np.load(asked.events)
    x = events["train_x"].astype(np.int64)
    start = time.process_time()
    train = {"treelut": treelut, "conifer": conifer}[asked.method]
    rows, base = train(round(asked.rounds), asked.seed, x, events["train_y"].astype(int))
    notes = {"epochs": round(asked.rounds), "training_cpu_s": round(time.process_time() - start)}
    network = {
        "library": asked.method,
        "n_classes": len(base),
        "n_features": x.shape[1],
        "init_predict": base,
        "norm": 1,
        "splitting_convention": "<",
        "trees": rows,
        "notes": notes,
    }
    asked.result.write_text(json.dumps(network))


if __name__ == "__main__":
    main()
