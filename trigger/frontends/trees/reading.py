"""Forests from files, without executing any code in them and without their libraries."""

import json
from pathlib import Path
from typing import Any

from trigger.errors import TriggerError
from trigger.frontends.trees import conifer, lightgbm, ubjson, xgboost
from trigger.frontends.trees.forest import MOST_NODES, Forest, check
from trigger.support.files import regular

_PICKLES = (".joblib", ".pkl", ".pickle", ".skops", ".dill")
_OLD_XGBOOST = (".bin", ".model", ".bst", ".deprecated", ".xgb")
_MOST_BYTES = 1 << 27


def is_forest(path: Path) -> bool:
    """Whether a file is, by its name or its content, for ``read``, and no Keras network."""
    if path.suffix == ".json":
        return not _is_keras(path)
    return path.suffix in (".ubj", ".txt", *_PICKLES, *_OLD_XGBOOST)


def read(path: Path) -> Forest:
    """The forest of a model of XGBoost (.json, .ubj), LightGBM (.txt) or conifer (.json).

    Raises Inexact for trees that cannot be exact, and TriggerError for any other file.
    """
    if path.suffix in _PICKLES:
        raise TriggerError(
            f"{path}: is never opened, because a pickle can run any code; write the model with "
            f'trigger.trees.save(model, "{path.stem}.json") where it was made, and build that file'
        )
    if path.suffix in _OLD_XGBOOST:
        raise TriggerError(
            f"{path}: XGBoost's old binary format is not read; load it with XGBoost and write it "
            f'with save_model("{path.stem}.json")'
        )
    if not regular(path).exists():
        raise TriggerError(f"{path}: no such file")
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise TriggerError(
            f"{path}: it takes {size:,} bytes; a forest for a trigger has at most {_MOST_BYTES:,}. "
            f"Is it the right file?"
        )
    try:
        forest = check(_decoded(path))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        missing = isinstance(error, KeyError)
        what = f"it has no {error}" if missing else str(error).partition("\n")[0]
        raise TriggerError(f"{path}: not a forest that can be read: {what}") from error
    except (RecursionError, OverflowError) as error:
        raise TriggerError(f"{path}: not a forest that can be read: it is damaged") from error
    nodes = sum(len(tree.feature) for tree in forest.trees)
    if nodes > MOST_NODES:
        raise TriggerError(
            f"{path}: its trees have {nodes:,} nodes; a forest for a trigger has at most "
            f"{MOST_NODES:,}. Is it the right file?"
        )
    return forest


def _decoded(path: Path) -> Forest:
    if path.suffix == ".txt":
        text = path.read_text(encoding="utf-8")
        if text.partition("\n")[0].strip() != "tree":
            raise ValueError("a LightGBM model starts with the line 'tree'")
        return lightgbm.forest(text)
    if path.suffix == ".ubj":
        return xgboost.forest(ubjson.decode(path.read_bytes()))
    model = json.loads(path.read_text(encoding="utf-8"))
    if "learner" in model:
        return xgboost.forest(model)
    if "n_classes" in model:
        return conifer.forest(model)
    if "tree_info" in model:
        raise ValueError('is a dump of LightGBM; write the model with save_model("model.txt")')
    if isinstance(model, list):
        raise ValueError('is a dump of XGBoost; write the model with save_model("model.json")')
    raise ValueError("neither XGBoost nor conifer wrote it")


def _is_keras(path: Path) -> bool:
    """Whether a .json file is an architecture of Keras, or no JSON at all."""
    try:
        model: Any = json.loads(regular(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True
    return isinstance(model, dict) and "class_name" in model
