"""A build that is interrupted while it trains: what was finished is taken, the rest starts again, and both are told."""

import shutil

import numpy as np
import pytest

from trigger.artifacts.folder import Build
from trigger.frontends.loading import load
from trigger.spec.spec import load as load_spec
from trigger.training import fit
from trigger.workflow.stages import STAGES


@pytest.fixture
def trainings(small_build, tmp_path, monkeypatch):
    """Runs the model's stage, interrupted in an epoch of all its trainings; gives what it prints and the weights."""
    source, root = small_build
    staged = tmp_path / "staged"
    shutil.copytree(root / "events", staged / "events")
    (stage,) = (stage for stage in STAGES if stage.name == "model")

    def run(until=0):
        this = Build(load_spec(source / "trigger.toml"), source, staged, {"events": "as they are"})
        seen = []

        def see(self, epoch, logs=None):
            seen.append(epoch)
            if len(seen) == until:
                raise KeyboardInterrupt
            self._watch(logs or {})

        monkeypatch.setattr(fit._Watching, "on_epoch_end", see)
        folder = staged / "model"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        stage.run(this, folder)
        return load(folder / "network.keras").get_weights()

    return run, source, staged, root


TAKEN = "  the float network was trained before the build was interrupted; reusing it"
AGAIN = (
    "  training the {} was interrupted in epoch {} of 6: it restarts from the first, so that "
    "the same seed gives the same network"
)


@pytest.mark.parametrize(
    ("until", "lines"),
    [
        (3, [AGAIN.format("float network", 3)]),
        (6 + 5, [TAKEN, AGAIN.format("network", 5)]),
    ],
)
def test_an_interrupted_training(trainings, capsys, until, lines):
    run, _, staged, root = trainings
    with pytest.raises(KeyboardInterrupt):
        run(until)
    capsys.readouterr()
    found = run()
    told = [line for line in capsys.readouterr().out.splitlines() if "interrupted" in line]
    assert told == lines
    wanted = load(root / "model" / "network.keras").get_weights()
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not (staged / "training").exists()


@pytest.mark.parametrize("spoil", ["spec", "weights"])
def test_what_does_not_belong_to_it_is_not_taken(trainings, capsys, spoil):
    run, source, staged, _ = trainings
    with pytest.raises(KeyboardInterrupt):
        run(6 + 1)
    if spoil == "spec":
        path = source / "trigger.toml"
        path.write_text(path.read_text().replace("epochs = 6", "epochs = 7"))
    else:
        (staged / "training" / "float network.npz").write_bytes(b"cut short")
    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt):
        run(1)
    assert TAKEN not in capsys.readouterr().out
