"""One network of the contest: trained, lowered, made into RTL, synthesised by Yosys; the result goes into a JSON file.

Run by ``contest.py`` in the environment that the method needs: HGQ2's own, or that of QKeras.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.frontends import keras_backend

keras_backend.start()
import keras
from count import counted, normalised

from trigger.backends.rtl import Rtl
from trigger.events.dataset import Events
from trigger.frontends.networks import lower
from trigger.frontends.trees import network as forests
from trigger.spec.spec import Spec, find, load
from trigger.spec.tables import Pruning, Training

UNITS = (64, 32, 32)
# HGQ2, tables: units of the hidden layer.
TABLE_UNITS = 20
BATCH, FIRST_BITS, LEARNING_RATE = 512, 3, 0.005
# Ours, weightless: LUT for each unit of a class, comparators at most for each feature, passes of refinement.
LUT_A_UNIT, THRESHOLDS, TABLE_PASSES = 15, 32, 24
# Ours, trees: those of a class, their levels and the bits of leaves, and the passes that grow each again, up to a target and
# above it.
MOST_SMALL = 400
SMALL_FOREST, SMALL_PASSES = {"trees": 10, "depth": 5, "bits": 3}, 2
LARGE_FOREST, LARGE_PASSES = {"trees": 20, "depth": 3, "bits": 4}, 1
# Ours: small networks come out best at HGQ2's learning rate, larger ones than this at twice as much.
SMALL = 1000
PASSES = 8


class Task(NamedTuple):
    """A network to train: ``setting`` of the method, and ``point`` on its curve."""

    setting: str
    point: float
    spec: Spec
    events: dict[str, Events]
    epochs: int
    seed: int


def ours(task: Task) -> keras.Model:
    """The zoo's network from fewer bits, steered to LUT; it finds the events normalised, its own normalisation does nothing.

    Refined in passes where the setting says so: its training then ends with more LUT.
    """
    from trigger.training.recipe import trained
    from trigger.training.refine import trained_to

    model = task.spec.model.model_copy(update={"arguments": {"fraction": FIRST_BITS}})
    spec, target = task.spec, round(task.point)
    passes, end = (PASSES, trained_to(target)) if task.setting == "refined" else (0, target)
    rate = LEARNING_RATE if end <= SMALL else 2 * LEARNING_RATE
    training = _training(
        spec, task.epochs, seed=task.seed, target_lut=target, refinement=passes, learning_rate=rate
    )
    spec = spec.model_copy(update={"training": training, "model": model})
    return trained(spec, task.events, find(spec.name).parent, lambda logs: None)


def weightless(task: Task) -> keras.Model:
    """Comparators and six-input neurons, steered to LUT. Gradients give a start only; refinement, which tries every wire and
    entry, does the rest."""
    from trigger.training.recipe import trained

    spec, target = task.spec, round(task.point)
    units = 2 ** max(1, int(np.log2(target / LUT_A_UNIT)))
    training = _training(
        spec,
        task.epochs // 15,
        seed=task.seed,
        target_lut=target,
        refinement=TABLE_PASSES,
        learning_rate=0.01,
        batch_size=128,
    )
    arguments = {"units": units, "thresholds": THRESHOLDS, "seed": task.seed}
    model = {"file": "weightless.py", "function": "network", "arguments": arguments}
    spec = spec.model_copy(
        update={"training": training, "model": spec.model.model_copy(update=model)}
    )
    return trained(spec, task.events, Path(__file__).parent, lambda logs: None)


def trees(task: Task) -> Graph:
    """The built-in family, grown under a price in LUT. Its training draws nothing at random, so there is one seed."""
    from trigger.training import boosting

    target = round(task.point)
    small = target <= MOST_SMALL
    arguments = SMALL_FOREST if small else LARGE_FOREST
    passes = SMALL_PASSES if small else LARGE_PASSES
    model = {"family": "trees", "function": None, "arguments": arguments}
    training = {"target_lut": target, "refinement": passes}
    spec = task.spec.model_copy(
        update={
            "model": task.spec.model.model_copy(update=model),
            "training": task.spec.training.model_copy(update=training),
        }
    )
    return forests.lower(boosting.trained(spec, task.events), spec.input_types)


def _training(spec: Spec, epochs: int, **changes: Any) -> Training:
    same = {
        "epochs": epochs,
        "learning_rate": LEARNING_RATE,
        "batch_size": BATCH,
        "patience": None,
        "warm_start": None,
    }
    return spec.training.model_copy(update={**same, **changes})


def qkeras(task: Task) -> keras.Model:
    """The same width for all weights and values, magnitude pruning."""
    from qkeras import QActivation, QDense

    from trigger.training.recipe import train

    bits = int(task.setting)
    one = f"quantized_bits({bits},0,alpha=1)"
    keras.utils.set_random_seed(task.seed)
    x = inputs = keras.Input((len(task.spec.data.features),))
    x = QActivation(f"quantized_bits({bits},2,alpha=1)")(x)
    for units in UNITS:
        x = QDense(units, kernel_quantizer=one, bias_quantizer=one)(x)
        x = QActivation(f"quantized_relu({bits},{min(bits, 3)})")(x)
    model = keras.Model(
        inputs, QDense(len(task.spec.data.classes), kernel_quantizer=one, bias_quantizer=one)(x)
    )
    epochs = task.epochs
    pruning = (
        Pruning(sparsity=task.point, start_epoch=epochs // 10, end_epoch=epochs // 2)
        if task.point
        else None
    )
    training = _training(task.spec, epochs, target_lut=None)
    spec = task.spec.model_copy(update={"training": training, "pruning": pruning})
    train(model, task.events, spec, None, lambda logs: None)
    return model


def hgq2(task: Task) -> keras.Model:
    """Its authors' recipe for jets: kbi weights, kif values that wrap, EBOPs weighed by beta; Adam, its rate a cosine.

    Of the last third of the epochs the best on validation is kept. The setting is another learning rate.
    """
    from hgq.config import QuantizerConfig, QuantizerConfigScope
    from hgq.layers import QDense
    from hgq.regularizers import MonoL1

    keras.utils.set_random_seed(task.seed)
    with (
        QuantizerConfigScope(
            place="all", k0=1, b0=3, i0=0, default_q_type="kbi", overflow_mode="sat_sym"
        ),
        QuantizerConfigScope(
            place="datalane", k0=0, default_q_type="kif", overflow_mode="wrap", f0=3, i0=3
        ),
    ):
        inputs = QuantizerConfig(place="datalane", k0=1)
        outputs = QuantizerConfig(place="datalane", k0=1, fr=MonoL1(1e-3))
        model = keras.Sequential(
            [
                keras.Input((len(task.spec.data.features),)),
                QDense(UNITS[0], beta0=task.point, iq_conf=inputs, activation="relu"),
                *(QDense(units, beta0=task.point, activation="relu") for units in UNITS[1:]),
                QDense(
                    len(task.spec.data.classes), beta0=task.point, enable_oq=True, oq_conf=outputs
                ),
            ]
        )
    return _fit(model, task, float(task.setting or LEARNING_RATE))


def hgq2_tables(task: Task) -> keras.Model:
    """HGQ-LUT (arXiv:2604.22293) by its authors' published code for jets: 16-20-5 of tables, normalised in the hidden layer;
    edges with types of their own, from 8 bits; Adam at 0.005, its rate a cosine; at the end the ranges are traced.

    They train for 200,000 epochs, in batches of 33,200, with restarts of the cosine, and beta rises from 5e-7 to 1e-3 all the
    while. In the epochs of the contest that leaves too little to prune with: here beta is the point from the start.
    """
    from hgq.config import QuantizerConfigScope
    from hgq.layers import QDenseT
    from hgq.utils import trace_minmax

    keras.utils.set_random_seed(task.seed)
    with (
        QuantizerConfigScope(k0=1, b0=8, i0=2),
        QuantizerConfigScope(place="table", homogeneous_axis=(0,)),
    ):
        model = keras.Sequential(
            [
                keras.Input((len(task.spec.data.features),)),
                QDenseT(TABLE_UNITS, beta0=task.point, batch_norm=True),
                QDenseT(len(task.spec.data.classes), beta0=task.point),
            ]
        )
    _fit(model, task, LEARNING_RATE)
    seen = np.concatenate([task.events[name].x for name in ("train", "validation")])
    trace_minmax(model, seen.astype(np.float32), verbose=0)
    return model


def _fit(model: keras.Model, task: Task, rate: float) -> keras.Model:
    """Train with Adam and a cosine; of the last third of the epochs the best on validation is kept."""
    from hgq.utils.sugar import FreeEBOPs

    train, validation = task.events["train"], task.events["validation"]
    steps = len(train.x) // BATCH
    schedule = keras.optimizers.schedules.CosineDecay(rate, steps * task.epochs, alpha=0.01)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.Adam(schedule),
        loss,
        metrics=["accuracy"],
        jit_compile=True,
        steps_per_execution=steps,
    )
    best = _Best(2 * task.epochs // 3)
    rows = steps * BATCH
    model.fit(
        train.x[:rows].astype(np.float32),
        train.y[:rows],
        batch_size=BATCH,
        epochs=task.epochs,
        validation_data=(validation.x.astype(np.float32), validation.y),
        validation_batch_size=len(validation.x),
        callbacks=[FreeEBOPs(), best, keras.callbacks.TerminateOnNaN()],
        verbose=0,
    )
    model.set_weights(best.weights)
    return model


class _Best(keras.callbacks.Callback):
    """Keeps the weights of the best validation loss from an epoch on."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first, self._least, self.weights = first, np.inf, None

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        if epoch >= self._first and logs["val_loss"] < self._least:
            self._least, self.weights = logs["val_loss"], self.model.get_weights()


def alkaid_rtl(model, graph, own: Rtl, folder: Path) -> Rtl:
    """An HGQ2 network by alkaid's own converter, in as many stages as ours."""
    from alkaid.codegen import RTLModel
    from alkaid.converter import trace_model
    from alkaid.trace import trace

    kif = [
        np.array(part)
        for part in zip(
            *((t.signed, t.integer - t.signed, t.fraction) for t in graph.input.types), strict=True
        )
    ]
    inputs, outputs = trace_model(model, inputs_kif=tuple(kif))
    RTLModel(trace(inputs, outputs), folder, "core", n_stages=own.interface.latency - 1).write()
    sources = tuple(p for p in sorted(folder.glob("src/**/*.v")) if "wrapper" not in p.name)
    return Rtl(folder, graph, own.interface, "verilog", own.part, own.clock_mhz, sources)


METHODS = {
    "ours": ours,
    "ours-weightless": weightless,
    "ours-trees": trees,
    "hgq2": hgq2,
    "hgq2-tables": hgq2_tables,
    "qkeras": qkeras,
}


def measure(method: str, point: float, seed: int, epochs: int) -> dict:
    spec, events, exact = normalised(load(find("jet_mlp")))
    start = time.monotonic()
    kind, _, setting = method.partition("-")
    train = METHODS.get(method) or METHODS[kind]
    model = train(Task(setting, point, spec, events, epochs, seed))
    trained = {"training_s": round(time.monotonic() - start)}
    graph = model if isinstance(model, Graph) else lower(model, spec.input_types)
    more = {"lut_alkaid": partial(alkaid_rtl, model)} if kind == "hgq2" else {}
    found = counted(graph, spec, exact, more) | trained
    found["seconds"] = round(time.monotonic() - start)
    return {"method": method, "point": point, "seed": seed, "epochs": epochs, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "method",
        help="ours, ours-refined, ours-weightless, ours-trees, hgq2, hgq2-0.01 (the learning rate), hgq2-tables, qkeras-8, "
        "qkeras-6 or qkeras-4",
    )
    parser.add_argument("point", type=float, help="target in LUT; beta; sparsity")
    parser.add_argument("seed", type=int)
    parser.add_argument("epochs", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    asked.result.write_text(
        json.dumps(measure(asked.method, asked.point, asked.seed, asked.epochs)) + "\n"
    )


if __name__ == "__main__":
    main()
