"""Progress where the output is no terminal: lines with rate, time left, and what is known of the units."""

import re
import sys
import types

import pytest

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


class Handle:
    """The place in a notebook that a call of ``display`` made."""

    def __init__(self):
        self.seen = []

    def update(self, data, raw):
        assert raw is True
        self.seen.append(data)


@pytest.fixture
def notebook(monkeypatch):
    """IPython as the kernel of a notebook, and what it displays."""
    handle = Handle()

    def display(data, raw, display_id):
        assert display_id is True
        handle.update(data, raw)
        return handle

    shell = types.SimpleNamespace(kernel=object())
    package = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    return types.SimpleNamespace(seen=handle.seen, package=package)


def test_a_bar_in_a_notebook(monkeypatch, capsys, notebook):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_UPDATES", 0.0)
    with progress.progress("training <b>", 4, "epochs") as done:
        done(1, "val_loss 0.5")
        done(3)
    assert capsys.readouterr().out == ""
    first, second, third, last = notebook.seen
    assert first["text/plain"] == "training <b>: 0/4 epochs"
    rate = r"[\d.,]+/s"
    assert re.fullmatch(
        rf"training <b>: 1/4 epochs, {rate}, \d+ s left; val_loss 0\.5", second["text/plain"]
    )
    assert second["text/html"] == (
        f'<div><progress value="1" max="4"></progress> '
        f"{second['text/plain'].replace('<b>', '&lt;b&gt;')}</div>"
    )
    assert third["text/html"].startswith('<div><progress value="4" max="4">')
    assert re.fullmatch(rf"training <b>: 4 epochs in [\d.]+ s, {rate}", last["text/plain"])
    assert last["text/html"] == f"<div>{last['text/plain'].replace('<b>', '&lt;b&gt;')}</div>"


def test_few_updates_in_a_notebook(monkeypatch, notebook):
    """The page keeps them all."""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_UPDATES", 1e9)
    with progress.progress("comparing", 1000, "events") as done:
        for _ in range(1000):
            done(1)
    assert len(notebook.seen) == 2


@pytest.mark.parametrize("shell", [None, types.SimpleNamespace()])
def test_ipython_on_a_terminal_is_no_notebook(capsys, notebook, shell):
    notebook.package.get_ipython = lambda: shell
    with progress.progress("comparing", 2, "events") as done:
        done(2)
    assert notebook.seen == [] and capsys.readouterr().out.startswith("  comparing: 2 events in ")
