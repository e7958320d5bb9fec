"""The emulator of a payload against the simulated shell.

On every event of a build, and with thresholds and prescales that change between events.
"""

import numpy as np
import pytest
from changing_thresholds import check, exported

from trigger.artifacts import implementations
from trigger.board.simulate import PayloadSimulation, frames
from trigger.spec.links import pack

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def events(built):
    return implementations.recorded_expectations(built.root)[0].astype(np.int64)


@pytest.fixture(scope="module")
def emulator(built, tmp_path_factory):
    return exported(built.root, tmp_path_factory.mktemp("emulator") / "out")


def test_every_event_as_the_simulated_shell(built, shell, events, emulator, tmp_path):
    simulation = PayloadSimulation(shell).compile(tmp_path).simulation
    rows = simulation.run(frames(shell, events), whole=True)
    simulated = rows[shell.links.words - 1 :: shell.apart]
    scores = len(shell.core.outputs)
    y = emulator.run(emulator.unpack(pack(shell.links, events)))
    np.testing.assert_array_equal(y, simulated[:, :scores])
    accept = emulator.Shell().decide(y)
    np.testing.assert_array_equal(accept, simulated[:, scores : scores + len(shell.points)])
    assert (emulator.ACCEPT_BITS, emulator.FRAMES, emulator.LINKS) == (("loose", "tight"), 2, 2)


def test_thresholds_and_prescales_as_in_the_simulated_shell(shell, events, emulator, tmp_path):
    thresholds = check(shell, events, emulator, tmp_path)
    assert {-128, 128} <= set(thresholds)
