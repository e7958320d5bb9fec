"""Progress where the output is no terminal: lines with rate, time left, and what is known of the units."""

import re

from trigger.support import progress


def test_lines_say_what_is_known_of_the_units(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress.progress("training the network", 2, "epochs") as done:
        done(1, "val_loss 0.5")
        done(1, "val_loss 0.25")
    with progress.progress("comparing", 2, "events") as done:
        done(2)
    lines = capsys.readouterr().out.splitlines()
    rate = r"[\d.,]+/s"
    patterns = [
        rf"  training the network: 1/2 epochs, {rate}, \d+ s left; val_loss 0\.5",
        rf"  training the network: 2/2 epochs, {rate}, 0 s left; val_loss 0\.25",
        rf"  training the network: 2 epochs in [\d.]+ s, {rate}; val_loss 0\.25",
        rf"  comparing: 2/2 events, {rate}, 0 s left",
        rf"  comparing: 2 events in [\d.]+ s, {rate}",
    ]
    assert len(lines) == len(patterns)
    assert all(re.fullmatch(p, line) for p, line in zip(patterns, lines, strict=True)), lines
