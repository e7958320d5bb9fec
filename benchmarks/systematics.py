"""Statistical against systematic uncertainty of a selection that is trained against its energy scale.

benchmarks/systematics.py CASE OUTPUT.json, with CASE w_jets or l1_topology

w_jets: W jets against quarks and gluons, with the features of jet_tagger. The nuisance is the scale
of the jet mass. l1_topology: top pairs against zero bias. The nuisance is the scale of the energies
of all jets. Both networks are trained without and with adversaries of several strengths, each with
several seeds. Each gets the threshold with the same fraction of background on the validation events.

On the test events it is then a counting experiment: 1,000 background events b are accepted, and as
many signal events s without an adversary. The statistical uncertainty of s is sqrt(s + b) / s. The
systematic one is the change of s + b, divided by s, when the scale is 3 % higher or lower, whichever
is larger; its interval is that of the events that change sides. Finished networks are kept in
OUTPUT.json, so that an interrupted run continues.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tomlkit

from trigger.backends import rtl
from trigger.events.hardware import splits, to_real
from trigger.events.shifts import nuisance_events, shifted_test_events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.passes.decision import decide
from trigger.frontends import keras_backend
from trigger.physics.metrics import roc
from trigger.physics.paired import of_fractions
from trigger.physics.rates import bound_for, efficiency
from trigger.spec.spec import find, parse
from trigger.support.progress import say
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job

BACKGROUND = 1000
EPOCHS = 40
# Without an adversary; with shifted events, but nothing learnt from the adversary; and with it.
STRENGTHS = (None, 1e-6, 3, 10, 30, 100)
SYNTHESISED = (None, 10)
# The first one is that of the tables with all columns.
SEEDS = (1, 2, 3)
SHIFTS = {"up": 1.03, "down": 0.97}


class Case(NamedTuple):
    """A trigger of the zoo, what is changed in it, and the accepted fraction of the background.

    ``drawn`` is the scale that training draws; ``seen`` are the classes that the adversary sees.
    """

    trigger: str
    tables: dict
    features: list
    drawn: float
    seen: list
    signal: str
    background: list
    share: float


CASES = {
    "w_jets": Case(
        "jet_tagger",
        {
            "model": {
                "file": "../l1_topology/model.py",
                "function": "topology",
                "output": ["W"],
                "arguments": {"bits": 6},
            },
            "training": {"classes": ["g", "q", "W"], "batch_size": 256},
            "pruning": {"sparsity": 0.5},
        },
        ["mass_mmdt"],
        1.3,
        ["g", "q", "W"],
        "W",
        ["g", "q"],
        0.02,
    ),
    "l1_topology": Case(
        "l1_topology",
        {"decision": None},
        ["jet_pt"],
        1.2,
        ["zero_bias"],
        "ttbar",
        ["zero_bias"],
        20 / 31038,
    ),
}


def spec_of(case, strength, seed):
    """The trigger of a case with the shifts of this benchmark, and an adversary if any."""
    path = find(case.trigger)
    document = tomlkit.parse(path.read_text())
    for table in ("payload", "budget", "search", "robustness", "physics"):
        document.pop(table, None)
    for table, keys in case.tables.items():
        document.pop(table, None)
        if keys is not None:
            document[table] = keys
    document["training"] |= {"epochs": EPOCHS, "seed": seed}
    document["pruning"] |= {"start_epoch": 4, "end_epoch": EPOCHS // 2 - 2}
    document["robustness"] = {
        name: {"features": case.features, "scale": scale}
        for name, scale in {"drawn": case.drawn, **SHIFTS}.items()
    }
    if strength is not None:
        document["training"]["adversary"] = {
            "shift": "drawn",
            "strength": strength,
            "classes": case.seen,
        }
    return parse(tomlkit.dumps(document), path), path.parent


def measured(case, strength, seed):
    """One network: its efficiencies, what the shifts do to them, and its cost."""
    from trigger.frontends.networks import lower
    from trigger.training.recipe import trained

    spec, folder = spec_of(case, strength, seed)
    integers = splits(spec, folder).events
    training = integers if strength is None else integers | nuisance_events(spec, folder)
    model = trained(spec, to_real(training, spec), folder, lambda logs: None)
    graph = lower(model, spec.input_types)
    classes = spec.data.classes
    places = [classes.index(name) for name in case.background]

    def of(events):
        return np.isin(events.y, places)

    validation = integers["validation"]
    here = of(validation)
    scores = run(graph, validation.x)[here, 0]
    bound = bound_for(scores, validation.weight[here], 1.0, case.share)
    test = integers["test"]
    outputs = run(graph, test.x)
    nominal = outputs[:, 0] >= bound
    row = {
        "strength": strength,
        "seed": seed,
        "auc": roc(outputs, test, classes.index(case.signal), places).auc,
    }
    for name, here in (("s", test.y == classes.index(case.signal)), ("b", of(test))):
        row[name] = efficiency(nominal[here], test.weight[here])
        for shift in SHIFTS:
            moved = run(graph, shifted_test_events(spec, folder, shift, test.x))[:, 0] >= bound
            row[f"{name}_{shift}"] = of_fractions(nominal[here], moved[here], test.weight[here])
    real = np.ldexp(float(bound), -int(graph.output.fractions[0]))
    decided = decide(graph, np.array([0]), np.array([real]))
    options = rtl.RtlOptions(spec.target.fpga, spec.target.clock_mhz, project_name="core")
    row["lut"] = int(rtl.plan(decided, options).estimate["lut"])
    if strength in SYNTHESISED and seed == SEEDS[0]:
        with tempfile.TemporaryDirectory() as work:
            project = rtl.write(decided, Path(work) / "rtl", options)
            target = spec.target
            job = Job(project, Path(work), target.backend, target.fpga, target.clock_mhz)
            row["yosys_lut"] = synthesise("yosys", job, Path(work) / "yosys", 600).lut
    return row


def uncertainties(row, scale):
    """Statistical and systematic uncertainty in percent, the latter with its interval; ``scale`` is
    the number of signal events at an efficiency of 1.
    """
    per_background = BACKGROUND / row["b"][0]
    s = scale * row["s"][0]
    systematic = []
    for shift in SHIFTS:
        parts = [np.array(row[f"s_{shift}"]) * scale, np.array(row[f"b_{shift}"]) * per_background]
        value = parts[0][0] + parts[1][0]
        down, up = (np.hypot(*(part[k] - part[0] for part in parts)) for k in (1, 2))
        low, high = (value - down, value + up) if value >= 0 else (-value - up, -value + down)
        systematic.append((abs(value) / s, max(low, 0) / s, high / s))
    return 100 * np.sqrt(s + BACKGROUND) / s, 100 * np.array(max(systematic))


def table(rows):
    """All columns, of the first seed."""
    scale = scale_of(rows, SEEDS[0])
    print(
        "| strength | AUC | background, % | signal, % | signal at +3 %, % | background at +3 %, % | "
        "statistical, % | systematic, % | LUT, estimated | LUT, Yosys |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for row in (row for row in rows if row["seed"] == SEEDS[0]):
        statistical, systematic = uncertainties(row, scale)
        relative = [100 * np.array(row[f"{name}_up"]) / row[name][0] for name in "sb"]
        cells = [
            label(row),
            f"{row['auc']:.4f}",
            interval(100 * np.array(row["b"]), "#.3g"),
            interval(100 * np.array(row["s"]), ".1f"),
            *(interval(change, "+.1f") for change in relative),
            f"{statistical:.1f}",
            interval(systematic, ".1f"),
            f"{row['lut']:,}",
            f"{row['yosys_lut']:,}" if "yosys_lut" in row else "",
        ]
        print(f"| {' | '.join(cells)} |")


def table_of_seeds(rows):
    """Statistical and systematic uncertainty, and both together, of each seed."""
    print(f"\n| strength | {' | '.join(f'seed {seed}' for seed in SEEDS)} | mean in all |")
    print(f"|---|{'---:|' * (len(SEEDS) + 1)}")
    for strength in STRENGTHS:
        found = {row["seed"]: row for row in rows if row["strength"] == strength}
        pairs = [
            (statistical, systematic[0])
            for seed in SEEDS
            for statistical, systematic in [uncertainties(found[seed], scale_of(rows, seed))]
        ]
        cells = [f"{one:.1f} and {other:.1f}: {np.hypot(one, other):.1f}" for one, other in pairs]
        mean = np.mean([np.hypot(*pair) for pair in pairs])
        print(f"| {label(found[SEEDS[0]])} | {' | '.join(cells)} | {mean:.1f} |")


def scale_of(rows, seed):
    """The number of signal events at an efficiency of 1: without an adversary there are as many as
    of background.
    """
    (plain,) = (row for row in rows if row["strength"] is None and row["seed"] == seed)
    return BACKGROUND / plain["s"][0]


def interval(values, form):
    value, low, high = (format(each, form) for each in values)
    return f"{value} ({low} to {high})"


def label(row):
    names = {None: "no adversary", 1e-6: "shifted events only"}
    return names.get(row["strength"]) or f"{row['strength']:g}"


def main() -> None:
    case, output = sys.argv[1:]
    keras_backend.start()
    rows = json.loads(Path(output).read_text()) if Path(output).exists() else []
    wanted = [(strength, seed) for seed in SEEDS for strength in STRENGTHS]
    for strength, seed in wanted[len(rows) :]:
        say(f"strength {strength}, seed {seed}, {len(rows) + 1} of {len(wanted)}")
        rows.append(measured(CASES[case], strength, seed))
        Path(output).write_text(json.dumps(rows, indent=1, default=float))
    rows = json.loads(Path(output).read_text())
    table(rows)
    table_of_seeds(rows)


if __name__ == "__main__":
    main()
