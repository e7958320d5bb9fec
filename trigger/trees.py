"""Trees as networks: ``save`` writes a model of scikit-learn so that it can be read safely.

XGBoost, LightGBM and conifer write such files themselves, with their ``save_model`` and ``save``.
"""

import json
from pathlib import Path
from typing import Any

from trigger.support import files


def save(model: Any, path: str | Path) -> None:
    """Write a fitted tree, forest or gradient boosting of scikit-learn for ``trigger build
    --network``: numbers in JSON, no code.

    Raises TriggerError for any other object.
    """
    from trigger.frontends.trees import conifer, scikit_learn

    made = conifer.document(scikit_learn.forest(model))
    files.write_text(Path(path), json.dumps(made) + "\n")
