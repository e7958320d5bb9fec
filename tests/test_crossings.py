"""The crossings of benchmarks/rates.py: files of them, and what their turns and reflections keep."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmark_scripts import imported


@pytest.fixture(scope="module")
def rates():
    with imported("rates") as modules:
        yield modules["rates"]


def test_files_have_the_same_crossings_and_not_the_same_bytes(rates, tmp_path):
    rates.make(tmp_path, 3, 2000)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == ["00.parquet", "01.parquet", "02.parquet"]
    assert len({path.read_bytes() for path in paths}) == 3
    first, *others = map(pq.read_table, paths)
    assert len(first) == 2000
    assert all(each.equals(first) for each in others)


def test_crossings_are_turned_and_reflected(rates):
    """What is left when the azimuth of the first jet and the sign of its eta are taken out."""

    def kept(x, names):
        place = {name: number for number, name in enumerate(names)}
        jets = [[x[:, place[f"jet{k}_{field}"]] for field in ("pt", "eta", "phi")] for k in (1, 2)]
        (pt, eta, phi), (other_pt, other_eta, other_phi) = jets
        there = (other_pt > 0) & (eta != 0)
        turned = np.stack([pt, np.abs(eta), other_pt, np.sign(eta) * other_eta], axis=1)
        turned = np.column_stack([turned, (other_phi - phi) % 144])[there]
        return {tuple(row) for row in turned.tolist()}, phi[there], np.sign(eta)[there]

    made = rates.Crossings(1)
    table = pq.read_table(rates.SOURCE, columns=[*made.names, "label"])
    table = table.filter(np.array(table["label"].to_pylist()) == "zero_bias")
    source = np.stack([table[name].to_numpy() for name in made.names], axis=1).astype(int)
    drawn, phi, sign = kept(made.block(4000).astype(int), made.names)
    assert len(drawn) > 200
    assert drawn <= kept(source, made.names)[0]
    assert np.unique(phi).tolist() == list(range(144))
    assert abs(sign.mean()) < 0.2
    assert (made.block(1000) != rates.Crossings(2).block(1000)).any()
