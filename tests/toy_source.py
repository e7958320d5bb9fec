"""An installed package with sources of events, as pip would leave it in a folder."""

import importlib
import sys
import textwrap

from trigger.events import sources

CODE = """
    import numpy as np

    import toy_helper


    def toy(events, seed, width=1.0):
        rng = np.random.default_rng(seed)
        x = rng.normal(0, width, (events, 3)) * toy_helper.SCALE
        kind = np.where(rng.random(events) < 0.5, "signal", "background")
        return {"a": x[:, 0], "b": x[:, 1].tolist(), "c": x[:, 2], "kind": kind, "other": kind}


    def short(events, seed):
        return {name: np.zeros(events - (name == "b")) for name in "abc"}


    def fails(events, seed):
        raise ValueError("no beam")


    def nothing(events, seed):
        return [1, 2]
"""
ENTRY_POINTS = "[trigger.events]\n" + "".join(
    f"{name} = toy_events:{name}\n" for name in ("toy", "short", "fails", "nothing")
)


def install(folder, version="1.0"):
    """Write the package; call ``forget`` to load it anew."""
    about = folder / "toy_events-1.0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: toy-events\nVersion: {version}\nRequires-Dist: numpy>=1\n"
    )
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "toy_events.py").write_text(textwrap.dedent(CODE))
    (folder / "toy_helper.py").write_text("SCALE = 3.0\n")
    forget()


def forget():
    """As in a process that begins now."""
    for name in ("toy_events", "toy_helper"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    sources._loaded.clear()
    sources._known_digest.cache_clear()
