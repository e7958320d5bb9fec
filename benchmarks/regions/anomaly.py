"""The zoo's calo_anomaly with events of the source calo_regions, as the trigger learned_anomaly.

benchmarks/regions/anomaly.py FOLDER [EVENTS]
"""

import shutil
import sys
from pathlib import Path

import tomlkit

from trigger.spec.spec import find

NAME = "learned_anomaly"
EVENTS = 46380
SOURCE = {"source": "calo_regions", "events": EVENTS}


def write(root: Path, events: int = EVENTS) -> Path:
    """The trigger folder in ``root``."""
    origin = find("calo_anomaly")
    document = tomlkit.parse(origin.read_text(encoding="utf-8"))
    document["name"] = NAME
    data = document["data"]
    data = {key: value for key, value in data.items() if key not in ("files", "split")}
    document["data"] = {**data, **SOURCE, "events": events}
    folder = root / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trigger.toml").write_text(tomlkit.dumps(document), encoding="utf-8")
    shutil.copy(origin.parent / "model.py", folder)
    return folder


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), *map(int, sys.argv[2:])))
