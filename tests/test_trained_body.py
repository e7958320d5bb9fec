"""benchmarks/transfer.py on few events: a task with and without a frozen body."""

import numpy as np
import pytest
from benchmark_scripts import imported

from trigger.events.hardware import splits


@pytest.fixture(scope="module")
def transfer():
    with imported("transfer") as modules:
        yield modules["transfer"]


def test_both_starts_of_a_task(transfer, monkeypatch, tmp_path):
    """The body is trained on all its jets once; that it stays the same is checked inside."""
    monkeypatch.setattr(transfer, "TASKS", {"Z or q": ("Z", "q")})
    monkeypatch.setattr(transfer, "EVENTS", (600,))
    found = list(transfer.rows(tmp_path, [1], 6))
    assert [(row.task, row.events, row.start) for row in found] == [
        ("Z or q", 600, "scratch"),
        ("Z or q", 600, "frozen"),
    ]
    assert all(0.6 < row.auc[0] < 1 for row in found)
    assert found[0].auc != found[1].auc


def test_a_seed_draws_its_events(transfer, tmp_path):
    spec = transfer.spec_of(tmp_path, ("Z", "q"), 1, 1)
    events = splits(spec, tmp_path).events
    first, again, other = (transfer.some(events, 300, seed) for seed in (1, 1, 2))
    assert len(first["train"].y) == 300
    assert len(first["validation"].y) == 100
    assert first["test"] is events["test"]
    np.testing.assert_array_equal(first["train"].x, again["train"].x)
    assert (first["train"].x != other["train"].x).any()
