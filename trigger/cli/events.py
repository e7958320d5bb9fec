"""``trigger events``: samples of events."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trigger.errors import TriggerError
from trigger.support.files import write_text

if TYPE_CHECKING:
    from trigger.events.collider import Sample
    from trigger.events.level1 import View
    from trigger.support.progress import Advance

Output = Annotated[
    Path,
    typer.Argument(help="The Parquet file to write; its provenance goes beside it as .json."),
]
Seed = Annotated[
    int, typer.Option(min=0, help="Seed of the generator and of the order of the rows.")
]

ZeroBias = Annotated[int, typer.Option(min=200, help="Zero-bias events, over all strata.")]
Events = Annotated[int, typer.Option(min=1, help="Events of each of the two processes.")]
Signals = Annotated[int, typer.Option(min=20, help="Events of each of the five signals.")]


def jets(
    output: Output,
    jets: Annotated[int, typer.Option(min=1, help="Jets of each of the five classes.")] = 10_000,
    seed: Seed = 1,
) -> None:
    """Generate jets of 1 TeV with Pythia 8.

    They are like those of the hls4ml LHC jet data set ("JSC-like").
    """
    from trigger.events.jets import CLASSES, write_events

    total = jets * len(CLASSES)
    made = _generate(output, total, "jets", lambda done: write_events(output, jets, seed, done))
    typer.echo(f"{output}: {made['jets']} jets, SHA-256 {made['sha256']}")


def constituents(
    output: Output,
    jets: Annotated[int, typer.Option(min=1, help="Jets of each of the five classes.")] = 10_000,
    seed: Seed = 1,
) -> None:
    """Generate the particles of jets of 1 TeV with Pythia 8.

    The 16 hardest particles of each jet in hardware integers, its class, and the correction of its
    transverse momentum.
    """
    from trigger.events.constituents import write_events
    from trigger.events.jets import CLASSES

    total = jets * len(CLASSES)
    made = _generate(output, total, "jets", lambda done: write_events(output, jets, seed, done))
    typer.echo(f"{output}: {made['jets']} jets, SHA-256 {made['sha256']}")


def level1(
    output: Output,
    zero_bias: ZeroBias = 81_000,
    signals: Signals = 5_000,
    seed: Seed = 1,
) -> None:
    """Generate level-1 events at pileup 50 with Pythia 8.

    Missing energy, 4 e/gamma, 4 muons and 10 jets in hardware integers, of zero bias and of five
    signals.
    """
    from trigger.events.level1 import OBJECTS

    _level1(output, zero_bias, signals, seed, OBJECTS)


def regions(
    output: Output,
    zero_bias: ZeroBias = 38_880,
    signals: Signals = 1_500,
    seed: Seed = 1,
) -> None:
    """Generate level-1 events as images of the calorimeter.

    The transverse energies of 18 x 14 trigger regions in hardware integers, of the same processes
    as for level1.
    """
    from trigger.events.level1 import REGIONS

    _level1(output, zero_bias, signals, seed, REGIONS)


def _level1(output: Path, zero_bias: int, signals: int, seed: int, view: "View") -> None:
    from trigger.events.level1 import collisions, write_events

    total = collisions(zero_bias, signals)
    made = _generate(
        output,
        total,
        "collisions",
        lambda done: write_events(output, zero_bias, signals, seed, done, view),
    )
    typer.echo(f"{output}: {made['events']} events, SHA-256 {made['sha256']}")


def higgs(
    output: Output,
    events: Events = 20_000,
    seed: Seed = 1,
) -> None:
    """Generate heavy Higgs bosons (to WWbb) and top pairs.

    They are like the HIGGS data set (arXiv:1402.4735): 21 low-level and 7 high-level variables as
    integers.
    """
    from trigger.events.higgs import SAMPLE

    _collider(output, events, seed, SAMPLE)


def htautau(
    output: Output,
    events: Events = 10_000,
    seed: Seed = 1,
) -> None:
    """Generate Higgs and Z bosons that decay to tau leptons.

    Both taus decay to a lepton (arXiv:1410.3469): 12 low-level and 15 high-level variables as
    integers.
    """
    from trigger.events.htautau import SAMPLE

    _collider(output, events, seed, SAMPLE)


def _collider(output: Path, events: int, seed: int, sample: "Sample") -> None:
    from trigger.events.collider import write_events

    made = _generate(
        output,
        events * len(sample.processes),
        "events",
        lambda done: write_events(output, sample, events, seed, done),
    )
    typer.echo(f"{output}: {made['events']} events, SHA-256 {made['sha256']}")


def tracks(
    output: Output,
    crossings: Annotated[int, typer.Option(min=5, help="Bunch crossings.")] = 100,
    layer: Annotated[
        int, typer.Option(min=1, max=5, help="The inner layer; the outer one is the next.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the generator.")] = 1,
) -> None:
    """Generate pairs of stubs on two layers of a tracker.

    Tracks are helices, with 200 collisions in a crossing on average; a pair is of one particle or a
    random combination.
    """
    from trigger.events.tracks import write_events

    made = _generate(
        output,
        crossings,
        "crossings",
        lambda done: write_events(output, crossings, layer, seed, done),
    )
    typer.echo(f"{output}: {made['pairs']} pairs, SHA-256 {made['sha256']}")


def jet_energy(
    output: Output,
    collisions: Annotated[int, typer.Option(min=100, help="Hard collisions.")] = 12_000,
    seed: Seed = 1,
) -> None:
    """Generate jets as trigger towers, with their true pT.

    Made with Pythia 8: rings of trigger towers in hardware integers, at pile-up 20 to 80; 20 to
    200 GeV for training, 10 to 500 GeV for the test.
    """
    from trigger.events.jet_energy import write_events

    made = _generate(
        output,
        collisions,
        "collisions",
        lambda done: write_events(output, collisions, seed, done),
    )
    typer.echo(f"{output}: {made['jets']} jets, SHA-256 {made['sha256']}")


def openml(output: Annotated[Path, typer.Argument(help="The Parquet file to write.")]) -> None:
    """Fetch the published LHC jet data set from OpenML.

    Needs a network connection; the data set is hls4ml_lhc_jets_hlf.
    """
    from trigger.events.openml import fetch
    from trigger.support.destinations import check_absent

    check_absent(output)
    typer.echo(f"{output}: {fetch(output)} jets")


def _generate(
    output: Path, total: int, unit: str, write: "Callable[[Advance], dict[str, Any]]"
) -> dict[str, Any]:
    """Write a sample and, beside it, its provenance, which is returned. ``total`` counts the units
    of the progress shown.

    Raises TriggerError if the file does not end in .parquet, or exists and is no sample.
    """
    import json

    from trigger.support.destinations import check_sample
    from trigger.support.progress import progress

    if output.suffix != ".parquet":
        raise TriggerError(f"{output}: the name of the output file must end in .parquet")
    check_sample(output)
    with progress("generating", total, unit) as done:
        provenance = write(done)
    write_text(output.with_suffix(".json"), json.dumps(provenance, indent=1) + "\n")
    return provenance
