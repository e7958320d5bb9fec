"""The particles of a jet as the trigger receives them, and the truth of the jet."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from trigger.events.constituents import ANGLE_LSB, MOST_ANGLE, MOST_PT, PARTICLES, constituents
from trigger.events.jets import CHARGED, PHOTON, Jet
from trigger.support.resources import folder

NEUTRAL = 2.0
SAMPLE = folder("models") / "jet_constituents"


def jet(rows, kinds, axis=(0.0, 0.0), generated=None):
    measured = np.array(rows, dtype=float)
    particles = measured if generated is None else np.array(generated, dtype=float)
    return Jet(measured, np.column_stack([particles, kinds]), np.array(axis))


def test_the_hardest_come_first_and_missing_ones_are_zero():
    found = constituents(jet([(3, 0.1, 0.0), (10, -0.05, 0.02)], [CHARGED, PHOTON])).fields
    assert found.shape == (PARTICLES, 4)
    assert found[:3].tolist() == [[20, -10, 4, 1], [6, 20, 0, 2], [0, 0, 0, 0]]
    assert not found[2:].any()


def test_only_sixteen_are_sent():
    rows = [(pt, 0.0, 0.0) for pt in range(1, 31)]
    found = constituents(jet(rows, [NEUTRAL] * 30))
    assert found.fields[:, 0].tolist() == [2 * pt for pt in range(30, 14, -1)]
    assert found.correction == pytest.approx(sum(range(1, 31)) / sum(range(15, 31)))


def test_distances_are_from_the_axis_around_the_turn():
    found = constituents(jet([(5, 1.0, 3.1), (4, 1.0, -3.1)], [NEUTRAL] * 2, (1.0, np.pi)))
    steps = round((np.pi - 3.1) / ANGLE_LSB)
    assert found.fields[:2, 1:3].tolist() == [[0, -steps], [0, steps]]


def test_values_saturate():
    found = constituents(jet([(5000, 9.0, 0.0), (1, -9.0, 0.0)], [NEUTRAL] * 2))
    assert found.fields[:2, :2].tolist() == [[MOST_PT, MOST_ANGLE], [2, -MOST_ANGLE]]


def test_the_correction_gives_the_generated_momentum():
    measured = [(10.0, 0.0, 0.0), (6.0, 0.0, 0.1)]
    generated = [(12.0, 0.0, 0.0), (6.0, 0.0, 0.0)]
    assert constituents(jet(measured, [NEUTRAL] * 2, generated=generated)).correction == 18 / 16


def test_the_sample_that_comes_with_the_program():
    path = SAMPLE / "constituents.parquet"
    made = json.loads((SAMPLE / "constituents.json").read_text())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]
    assert path.stat().st_size < 4e6
    table = pq.read_table(path)
    assert (table.num_rows, made["jets"]) == (50_000, 50_000)
    pt = [np.array(each) for each in table["particle_pt"].to_pylist()]
    assert all((np.diff(each) <= 0).all() and each[-1] >= 1 and len(each) <= 16 for each in pt)
