"""For the tests of other repositories: ``assert_bit_exact``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger.errors import TriggerError

if TYPE_CHECKING:
    import keras


def assert_bit_exact(
    model: "keras.Model | str | Path", firmware: Any, events: "np.ndarray | str | Path"
) -> None:
    """Assert that firmware computes exactly what a trained network computes.

    ``model`` is a network or its file; ``firmware`` a build folder, or graphs, compiled csims and
    compiled RTL, one or several; ``events`` real inputs, shape (events, features), or an event
    file, from which a build takes its features by name, and anything else the numeric columns in
    order. Raises AssertionError with the first difference, and TriggerError if something cannot be
    read, compiled or lowered.
    """
    from trigger.api import verify
    from trigger.frontends import keras_backend

    keras_backend.start()
    if isinstance(model, str | Path):
        from trigger.frontends.loading import load

        model = load(Path(model))
    names = None
    if isinstance(firmware, str | Path):
        from trigger.artifacts.implementations import implementations
        from trigger.workflow.build import open_sealed

        build = open_sealed(Path(firmware))
        if build.spec.decision:
            raise TriggerError(
                f"{firmware}: it gives accept bits, not network outputs; use `pytest "
                f"--trigger {firmware}`"
            )
        names = build.spec.data.features
        firmware = [make() for make in implementations(build.root, build.spec).values()]
    verdict = verify(
        model, firmware if isinstance(firmware, Sequence) else [firmware], _real(events, names)
    )
    if not verdict:
        raise AssertionError(f"not bit-exact\n{verdict}")


def _real(events: "np.ndarray | str | Path", names: Sequence[str] | None) -> np.ndarray:
    from trigger.events.dataset import features, numeric_columns

    if not isinstance(events, str | Path):
        return events  # verify() reports what it cannot read
    if names is not None:
        return features(Path(events), names)
    return np.stack(list(numeric_columns(Path(events)).values()), axis=1)
