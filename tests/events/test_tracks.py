"""Tracks in a tracker against closed formulas, and the truth of pairs."""

import hashlib
import itertools
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from trigger.cli.app import app
from trigger.events import tracks
from trigger.events.tracks import (
    CLASSES,
    FEATURES,
    LAYERS,
    MATERIAL,
    MIN_PT,
    PHI_LSB,
    SECTORS,
    Particles,
    Stubs,
    bend,
    crossing,
    curvature_radius,
    dphi,
    pairs,
    particles,
    stubs,
)
from trigger.support.resources import folder

ADJACENT = list(itertools.pairwise(LAYERS))


@pytest.fixture
def alone(monkeypatch):
    """Only stubs of tracks."""
    monkeypatch.setattr(tracks, "UNMATCHED", 0.0)


def rng(seed=1):
    return np.random.default_rng(seed)


def straight(pt, eta, phi, charge, z0):
    """Particles that are not scattered."""
    columns = np.broadcast_arrays(
        *(np.atleast_1d(v).astype(float) for v in (pt, eta, phi, charge, z0))
    )
    return Particles(*columns, np.zeros((2, len(MATERIAL), len(columns[0]))))


def on_helix(pt, eta, z0, charge, radius):
    """Azimuth and z where a helix that starts along x crosses a radius, from its circle."""
    R = curvature_radius(pt)
    turn = 2 * np.arcsin(radius / (2 * R))
    x, y = R * np.sin(turn), -charge * R * (1 - np.cos(turn))
    assert np.hypot(x, y) == pytest.approx(radius)
    return np.arctan2(y, x), z0 + R * turn * np.sinh(eta)


def test_the_radius_of_the_circle():
    assert curvature_radius(2.0) == pytest.approx(100 * 2 / (0.3 * 3.8), rel=1e-3)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("charge", [-1, 1])
def test_stubs_lie_on_the_helix(layer, charge, alone):
    pt, eta, z0 = 3.0, 0.4, -7.0
    phi, z = on_helix(pt, eta, z0, charge, layer.radius)
    found = stubs(straight(pt, eta, 0, charge, z0), layer, rng())
    assert abs(found.phi[0] - phi) * layer.radius <= layer.pitch / 2
    assert abs(found.z[0] - z) <= layer.length / 2
    further, _ = on_helix(pt, eta, z0, charge, layer.radius + layer.gap)
    strips = (further - phi) * layer.radius / layer.pitch
    assert abs(found.bend[0] - strips) < 1.05
    assert -charge * bend(layer, pt) == pytest.approx(strips, rel=0.02)


@pytest.mark.parametrize(("inner", "outer"), ADJACENT)
def test_dphi_of_two_layers(inner, outer):
    for pt in (MIN_PT, 5.0, 50.0):
        expected = [on_helix(pt, 0, 0, -1, layer.radius)[0] for layer in (inner, outer)]
        assert dphi(inner, outer, pt) == pytest.approx(expected[1] - expected[0])
    assert dphi(inner, outer, 50.0) == pytest.approx(
        (outer.radius - inner.radius) / (2 * curvature_radius(50.0)), rel=1e-3
    )


def test_soft_particles_leave_no_stub(alone):
    """Curled up before the layer, or bent by more strips than a stub may have."""
    layer = LAYERS[0]
    curled = 0.99 * 0.003 * 0.3 * 3.8 * layer.radius / 0.6
    assert 2 * curvature_radius(curled) < layer.radius
    assert len(stubs(straight([curled, 0.8], 0, 0.1, 1, 0), layer, rng()).z) == 0
    assert len(stubs(straight([MIN_PT, 20], 0, 0.1, 1, 0), layer, rng()).z) == 2


def test_the_spectrum_and_the_density():
    made = [particles(rng(seed)) for seed in range(20)]
    pt = np.concatenate([each.pt for each in made])
    x = MIN_PT / 1.2
    above = (1 + x) ** -6.5 * (1 + 6.5 * x)
    assert pt.mean() == pytest.approx(2 * 1.2 / 4.5, rel=0.02)
    assert (pt > MIN_PT).mean() == pytest.approx(above, rel=0.06)
    assert len(pt) / 20 == pytest.approx(200 * 5.5 * 6, rel=0.06)
    assert {*np.unique(made[0].charge)} == {-1, 1}


def test_scattering(monkeypatch):
    """At one plane, from its formula: for a particle at a right angle, beta about 1."""
    monkeypatch.setattr(tracks, "PILEUP", 20)
    made = particles(rng())
    hard = made.pt * np.cosh(made.eta) > 0.5
    thickness = 0.03 * np.cosh(made.eta)
    p = made.pt * np.cosh(made.eta)
    beta = p / np.sqrt(p**2 + 0.1396**2)
    width = 0.0136 / (beta * p) * np.sqrt(thickness) * (1 + 0.038 * np.log(thickness))
    assert np.std((made.kinks[1, 0] / width)[hard]) == pytest.approx(1, rel=0.1)
    assert np.std((made.kinks[0, 0] / width / np.cosh(made.eta))[hard]) == pytest.approx(1, rel=0.1)


def test_a_kink_moves_the_stubs_behind_it(alone):
    one = straight(10.0, 0.0, 0.0, 1, 0)
    kinked = one._replace(kinks=one.kinks.copy())
    kinked.kinks[:, 0] = [[0.01], [0.02]]
    for layer in LAYERS[:3]:
        before, after = (stubs(each, layer, rng()) for each in (one, kinked))
        way = layer.radius - MATERIAL[0][0]
        moved = (after.phi - before.phi)[0] * layer.radius
        assert moved == pytest.approx(0.01 * way, abs=layer.pitch)
        assert (after.z - before.z)[0] == pytest.approx(0.02 * way, abs=layer.length)


def test_the_truth_of_pairs():
    """Of one hard particle, of one soft one, and of anything else."""
    inner, outer = LAYERS[:2]
    of = straight([5.0, 1.5], 0, 0, 1, 0)
    first = Stubs(np.array([0, 1, -1]), np.full(3, 0.1), np.zeros(3), np.array([1, 2, 3]))
    second = Stubs(np.array([1, -1, 0]), np.full(3, 0.11), np.full(3, 1.0), np.array([-1, -2, -3]))
    found = pairs(of, first, second, inner, outer)
    rows = {tuple(x[3:]): CLASSES[label] for x, label in zip(found.x, found.label, strict=True)}
    assert rows == {
        (b, c): {(1, -3): "track", (2, -1): "soft"}.get((b, c), "combination")
        for b in (1, 2, 3)
        for c in (-1, -2, -3)
    }
    steps = round(0.11 / PHI_LSB) - round(0.1 / PHI_LSB)
    assert found.x[:, :3].tolist() == [[steps, 16, 0]] * 9
    assert sorted(found.pt) == [0] * 7 + [1.5, 5.0]
    assert not found.sector.any()


@pytest.mark.parametrize("border", range(SECTORS))
def test_a_track_over_the_border_of_a_sector_is_found_once(border, alone):
    inner, outer = LAYERS[:2]
    edge = border * 2 * np.pi / SECTORS
    half = np.arcsin(inner.radius / (2 * curvature_radius(4.0)))
    of = straight(4.0, 0, edge + half - 0.001, 1, 0)
    made = [stubs(of, layer, rng()) for layer in (inner, outer)]
    found = pairs(of, *made, inner, outer)
    assert found.sector.tolist() == [(border - 1) % SECTORS]
    assert found.x[0, 0] * PHI_LSB == pytest.approx(-dphi(inner, outer, 4.0), abs=7e-4)


@pytest.mark.parametrize(("inner", "outer"), ADJACENT)
def test_coarse_bins_lose_no_track(inner, outer, alone):
    of = particles(rng(3))
    one, other = stubs(of, inner, rng()), stubs(of, outer, rng())
    both = np.intersect1d(one.particle, other.particle)
    wanted = both[(of.pt[both] > MIN_PT) & (np.abs(of.z0[both]) < 14.5)]
    found = pairs(of, one, other, inner, outer)
    assert len(wanted) > 20
    assert set(of.pt[wanted]) <= set(found.pt)


@pytest.mark.parametrize("layer", range(1, 6))
def test_values_fit_their_bits(layer):
    x = crossing(layer, rng(5)).x
    assert np.abs(x[:, :3]).max() < 2**11
    assert np.abs(x[:, 3]).max() == LAYERS[layer - 1].most_bend < (4 if layer <= 3 else 8)
    assert np.abs(x[:, 4]).max() == LAYERS[layer].most_bend < (4 if layer <= 2 else 8)


def test_the_command(tmp_path):
    """A crossing does not depend on how many there are, and is in one split."""
    tables = {}
    for count in (5, 10):
        path = tmp_path / f"{count}.parquet"
        result = CliRunner().invoke(app, ["events", "tracks", str(path), "--crossings", str(count)])
        made = json.loads(path.with_suffix(".json").read_text())
        text = f"{path}: {made['pairs']} pairs, SHA-256 {made['sha256']}\n"
        assert result.exit_code == 0 and result.stdout.endswith(text)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]
        assert made["generator"] == f"trigger events tracks --crossings {count} --layer 1 --seed 1"
        table = tables[count] = pq.read_table(path)
        assert (made["crossings"], made["pairs"]) == (count, len(table))
        split, of = (np.array(table[name].to_pylist()) for name in ("split", "crossing"))
        found = [np.unique(of[split == name]).tolist() for name in ("train", "validation", "test")]
        assert list(itertools.chain(*found)) == list(range(count))
        assert [len(each) for each in found] == [count * 6 // 10, count * 2 // 10, count * 2 // 10]
    few = tables[5].drop_columns("split")
    assert few.to_pylist() == tables[10].drop_columns("split").slice(0, len(few)).to_pylist()


def test_the_sample_of_the_zoo():
    """It repeats, and every value fits the trigger's types."""
    path = folder("models") / "track_doublets" / "doublets.parquet"
    about = json.loads(path.with_suffix(".json").read_text())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == about["sha256"]
    assert path.stat().st_size < 4e6
    assert about["generator"] == "trigger events tracks --crossings 40 --layer 1 --seed 1"
    table = pq.read_table(path)
    assert (len(table), len(table["crossing"].unique())) == (about["pairs"], 40)
    first = crossing(1, rng([1, 0]))
    x = np.column_stack([table[name].to_numpy() for name in FEATURES])
    np.testing.assert_array_equal(x[: len(first.x)], first.x)
    widths = np.array([12, 12, 12, 3, 3])
    assert (x >= -(2 ** (widths - 1))).all() and (x < 2 ** (widths - 1)).all()
