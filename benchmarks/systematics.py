"""Statistical against systematic uncertainty of a trigger that is trained against its energy scale.

benchmarks/systematics.py [OUTPUT.json] [FIGURE.svg]

l1_topology is trained again without and with an adversary of several strengths that looks for the
scale of the jet energies, drawn for each event up to 20 %. Each network gets a threshold for the
same rate on the validation events. On the test events it is then a counting experiment. The
background b is the accepted zero bias, and the signal s is the accepted top pairs, scaled such that
without an adversary s = b. The statistical uncertainty of s is sqrt(s + b) / s; the systematic one
is the change of s + b, divided by s, when all jets have 3 % more or 3 % less energy.
"""

import json
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
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
from trigger.physics.rates import efficiency
from trigger.spec.spec import find, parse
from trigger.support.progress import say
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job

RATE_KHZ = 20
BACKGROUND = 100  # accepted background events of the counting experiment
EPOCHS = 40
# Without an adversary; with shifted events, but nothing learnt from the adversary; and with it.
STRENGTHS = (None, 1e-6, 0.3, 1, 3, 10, 30)
SYNTHESISED = (None, 10)
SHIFTS = {"up": 1.03, "down": 0.97}


def spec_of(strength):
    """l1_topology with one accept bit, the shifts of this benchmark, and an adversary if any."""
    path = find("l1_topology")
    document = tomlkit.parse(path.read_text())
    for table in ("payload", "budget", "robustness"):
        document.pop(table)
    document["training"]["epochs"] = EPOCHS
    document["pruning"]["end_epoch"] = EPOCHS // 2 - 2
    document["decision"]["accept"] = {"main": {"rate_khz": RATE_KHZ}}
    shifts = {"drawn": 1.2, **SHIFTS}
    document["robustness"] = {
        name: {"features": ["jet_pt"], "scale": scale} for name, scale in shifts.items()
    }
    if strength is not None:
        document["training"]["adversary"] = {
            "shift": "drawn",
            "strength": strength,
            "classes": ["zero_bias"],
        }
    return parse(tomlkit.dumps(document), path), path.parent


def measured(strength):
    """One network: its efficiencies, what the shifts do to them, and its cost."""
    from trigger.frontends.networks import left_out, lower
    from trigger.physics.working_points import working_points
    from trigger.training.recipe import trained

    spec, folder = spec_of(strength)
    integers = splits(spec, folder).events
    training = integers if strength is None else integers | nuisance_events(spec, folder)
    model = trained(spec, to_real(training, spec), folder, lambda logs: None)
    graph = lower(model, spec.input_types)
    (point,) = working_points(spec, graph, integers["validation"], left_out(model, graph)).values()
    test = integers["test"]
    signal, background = (test.y == spec.data.classes.index(n) for n in ("ttbar", "zero_bias"))

    def kept(x):
        return run(graph, x)[:, point["element"]] >= point["bound"]

    nominal = kept(test.x)
    row = {"strength": strength, "auc": roc(run(graph, test.x), test, 1, (0,)).auc}
    for name, here in (("s", signal), ("b", background)):
        row[name] = efficiency(nominal[here], test.weight[here])
        for shift in SHIFTS:
            moved = kept(shifted_test_events(spec, folder, shift, test.x))
            row[f"{name}_{shift}"] = of_fractions(nominal[here], moved[here], test.weight[here])
    elements, thresholds = np.array([point["element"]]), np.array([point["threshold"]])
    decided = decide(graph, elements, thresholds)
    options = rtl.RtlOptions(spec.target.fpga, spec.target.clock_mhz, project_name="core")
    row["lut"] = int(rtl.plan(decided, options).estimate["lut"])
    if strength in SYNTHESISED:
        with tempfile.TemporaryDirectory() as work:
            project = rtl.write(decided, Path(work) / "rtl", options)
            job = Job(
                project, Path(work), spec.target.backend, spec.target.fpga, spec.target.clock_mhz
            )
            row["yosys_lut"] = synthesise("yosys", job, Path(work) / "yosys", 600).lut
    return row


def uncertainties(row, scale):
    """Statistical and systematic uncertainty in percent, each with its interval, by the larger of
    the two shifts; ``scale`` is signal events per efficiency.
    """
    per_background = BACKGROUND / row["b"][0]
    s = scale * row["s"][0]
    statistical = np.sqrt(s + BACKGROUND) / s
    systematic = []
    for shift in SHIFTS:
        parts = [np.array(row[f"s_{shift}"]) * scale, np.array(row[f"b_{shift}"]) * per_background]
        value = parts[0][0] + parts[1][0]
        down, up = (np.hypot(*(p[k] - p[0] for p in parts)) for k in (1, 2))
        sign = 1 if value >= 0 else -1
        ends = sorted((sign * (value - down), sign * (value + up)))
        systematic.append((abs(value) / s, max(ends[0], 0) / s, ends[1] / s))
    return 100 * statistical, 100 * np.array(max(systematic))


def table(rows):
    scale = BACKGROUND / rows[0]["s"][0]
    print(
        "| strength | AUC ttbar | rate, kHz | ttbar accepted, % | rate at +3 %, % | "
        "statistical, % | systematic, % | LUT, estimated | LUT, Yosys |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )
    for row in rows:
        statistical, systematic = uncertainties(row, scale)
        share, low, high = (100 * np.array(row["s"])).tolist()
        rate = np.array(row["b"]) * crossings()
        change = 100 * np.array(row["b_up"]) / row["b"][0]
        print(
            f"| {label(row)} | {row['auc']:.4f} | {rate[0]:.1f} ({rate[1]:.1f} to {rate[2]:.1f}) | "
            f"{share:.1f} ({low:.1f} to {high:.1f}) | "
            f"{change[0]:+.1f} ({change[1]:+.1f} to {change[2]:+.1f}) | {statistical:.1f} | "
            f"{systematic[0]:.1f} ({systematic[1]:.1f} to {systematic[2]:.1f}) | {row['lut']:,} | "
            f"{row.get('yosys_lut') or '—'} |"
        )


def label(row):
    names = {None: "no adversary", 1e-6: "shifted events only"}
    return names.get(row["strength"]) or f"{row['strength']:g}"


def crossings():
    return spec_of(None)[0].physics.crossings_khz


def figure(rows, path):
    mpl.use("svg")
    import matplotlib.pyplot as plt

    scale = BACKGROUND / rows[0]["s"][0]
    shown, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for row in rows:
        statistical, (value, low, high) = uncertainties(row, scale)
        axes.errorbar(
            statistical, value, [[value - low], [high - value]], fmt="o", color="tab:blue"
        )
        axes.annotate(label(row), (statistical, value), (6, 4), textcoords="offset points")
    axes.set(
        xlabel="Statistical uncertainty of the signal [%]",
        ylabel="Systematic uncertainty of the signal, jet energy ±3 % [%]",
        ylim=(0, None),
    )
    shown.savefig(path)


def main() -> None:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "build/systematics.json")
    keras_backend.start()
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(output.read_text()) if output.exists() else []
    for strength in STRENGTHS[len(rows) :]:
        say(f"strength {strength}, {len(rows) + 1} of {len(STRENGTHS)}")
        rows.append(measured(strength))
        output.write_text(json.dumps(rows, indent=1, default=float))
    table(rows)
    if len(sys.argv) > 2:
        figure(rows, sys.argv[2])


if __name__ == "__main__":
    main()
