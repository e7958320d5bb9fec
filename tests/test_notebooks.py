"""The notebooks of docs/ run from top to bottom, as in Jupyter, and show what they say."""

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
nbformat = pytest.importorskip("nbformat", reason="needs the extra [test]")
nbclient = pytest.importorskip("nbclient", reason="needs the extra [test]")
pytest.importorskip("ipykernel", reason="needs the extra [test]")


def executed(name, folder):
    """The outputs of each cell of code of a notebook of docs/."""
    return run(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4), folder)


def run(notebook, folder):
    """The outputs of each cell of code: by type of data, and what was printed."""
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def html(outputs):
    """The HTML of the outputs of all cells."""
    found = [
        one.data["text/html"]
        for cell in outputs
        for one in cell
        if "text/html" in one.get("data", {})
    ]
    return "\n".join(found)


def printed(outputs):
    return "".join(one.text for cell in outputs for one in cell if one.output_type == "stream")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, and the package for the kernel, as a user has it."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1]), prepend=os.pathsep)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_a_network_becomes_firmware(folder):
    outputs = executed("network-to-firmware", folder)
    shown = html(outputs)
    assert "<p><b>Fixed-point graph: 4 inputs, 1 output</b></p>" in shown
    assert "<p><b>RTL (Verilog) network</b></p>" in shown
    assert "<p><b>equal to the bit</b></p>" in shown and "<p><b>DIFFERENT</b></p>" in shown
    assert "first differs in hidden, element 0" in shown
    text = printed(outputs)
    assert "┃ LUT ┃" in text and "smooth" in text


def test_accuracy_against_lut(folder):
    outputs = executed("accuracy-against-lut", folder)
    assert "<p><b>Fixed-point graph: 2 inputs, 1 output</b></p>" in html(outputs)
    assert any("image/png" in one.get("data", {}) for cell in outputs for one in cell)
    assert printed(outputs).count(" LUT\n") == 4


def test_progress_is_a_bar(folder):
    """It ends as one line, in the place of the bar."""
    code = """
from trigger.support.progress import progress

with progress("counting", 3, "events") as done:
    done(3)
print("after")
"""
    cells = [nbformat.v4.new_code_cell(code)]
    ((bar, after),) = run(nbformat.v4.new_notebook(cells=cells), folder)
    assert bar.data["text/plain"].startswith("counting: 3 events in ")
    assert bar.data["text/html"] == f"<div>{bar.data['text/plain']}</div>"
    assert after.text == "after\n"


def test_both_are_tested_and_without_outputs():
    assert [path.stem for path in NOTEBOOKS] == ["accuracy-against-lut", "network-to-firmware"]
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(not cell.outputs and cell.execution_count is None for cell in code)
