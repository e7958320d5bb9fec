"""The proof against a bit-vector solver, on cores that are small enough for one, whole and with faults."""

import re

import bit_vectors
import numpy as np
from random_graphs import random_graph

from trigger.backends.rtl import Rtl, write
from trigger.backends.rtl.planning import RtlOptions
from trigger.errors import TriggerError
from trigger.proof.core import prove
from trigger.synthesis.tool import ToolFailed

GRAPHS, FAULTS = 14, 3
WIDEST = 14
# What faults change: constants, parameters of cells, entries of tables.
NUMBERS = r"(?<='b)[01]+|(?<=,)-?\d(?=[,)])|(?<='h)[0-9A-F](?=;)"


def small_cores(folder):
    """Cores of random graphs of few bits."""
    found = 0
    for seed in range(1000):
        graph = random_graph(seed)
        if max(t.width for node in graph.nodes for t in node.types) > WIDEST:
            continue
        try:
            yield (
                seed,
                write(
                    graph,
                    folder / str(seed),
                    RtlOptions("xcvu9p-flgb2104-2-e", 250, project_name="core"),
                ),
            )
        except TriggerError:
            continue
        found += 1
        if found == GRAPHS:
            return


def with_faults(rtl: Rtl, rng: np.random.Generator):
    """The core with one number changed, several times; then it is as before."""
    for source in (path for path in rtl.sources if not path.name.endswith("cells.v")):
        text = source.read_text()
        places = list(re.finditer(NUMBERS, text))
        for k in rng.permutation(len(places))[:FAULTS].tolist():
            start, end = places[k].span()
            digit = str(1 - int(text[end - 1])) if text[end - 1] in "01" else "0"
            source.write_text(text[: end - 1] + digit + text[end:])
            yield text[start - 40 : end + 20]
        source.write_text(text)


def compared(rtl: Rtl, work) -> list[tuple[bool, bool | None]] | None:
    """For each output what the proof and the solver say; None if Yosys cannot read the core."""
    try:
        proof = prove(rtl, work / "proof")
        return list(zip(proof.outputs, bit_vectors.equal(rtl, work / "solver", 3000), strict=True))
    except ToolFailed:
        return None


def test_the_proof_and_the_solver_agree(tmp_path):
    rng = np.random.default_rng(1)
    verdicts = []
    for seed, rtl in small_cores(tmp_path):
        whole = compared(rtl, tmp_path)
        assert whole is not None
        assert all(proven and found is not False for proven, found in whole), (seed, whole)
        verdicts += whole
        for fault in with_faults(rtl, rng):
            for proven, found in compared(rtl, tmp_path) or []:
                assert not (proven and found is False), (seed, fault)
                verdicts.append((proven, found))
    assert verdicts.count((True, True)) > 30
    assert verdicts.count((False, False)) > 5
