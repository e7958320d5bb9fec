"""The pages of docs/: each file they show is written, each command and script run, in order, in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trigger

DOCS = Path(__file__).resolve().parents[1] / "docs"
HOW_TO = ("own-data", "own-network", "payload", "search", "small-network", "vendor-tools")
PAGES = ("tutorial.md", *(f"how-to/{name}.md" for name in HOW_TO))

pytestmark = pytest.mark.minutes


def blocks(page: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_works(page, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = blocks(page)
    assert found
    for language, text in found:
        first, _, rest = text.partition("\n")
        file = re.fullmatch(r"# (\S+\.\w+)", first)
        if file:
            assert (tmp_path / file[1]).parent.is_dir()
            (tmp_path / file[1]).write_text(rest)
            continue
        status = re.fullmatch(r"# exit status (\d)", first)
        if language not in ("sh", "python"):
            continue
        command = {"sh": ["sh", "-e", "-c", text], "python": [sys.executable, "-c", text]}[language]
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == (int(status[1]) if status else 0), (
            f"{text}\n{result.stdout}\n{result.stderr}"
        )
        assert "Traceback" not in result.stderr


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    commands = (tmp_path / "reference" / "cli.html").read_text()
    names = "build search verify synth report show new list doctor events-jets export-emulator export-onnx export-qonnx"
    names += " events-level1 export-payload patterns-write patterns-compare"
    for command in names.split():
        assert f'id="trigger-{command}"' in commands, command
    functions = (tmp_path / "reference" / "python.html").read_text()
    for name in trigger.__all__:
        assert f'id="trigger.{name}"' in functions or f".{name}" in functions, name


def test_every_page_with_blocks_is_tested():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    runnable = {
        page for page in pages if any(language in ("sh", "python") for language, _ in blocks(page))
    }
    assert runnable == set(PAGES)


def test_links_lead_somewhere():
    for path in [*DOCS.rglob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path}: {target}"
