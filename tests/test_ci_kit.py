"""The files of docs/ci: every command in them but the installation is run, in a repository with one trigger."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

KIT = Path(__file__).resolve().parents[1] / "docs" / "ci"


def github() -> list[str]:
    (job,) = yaml.safe_load((KIT / "github-actions.yml").read_text())["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


def gitlab() -> list[str]:
    job = yaml.safe_load((KIT / "gitlab-ci.yml").read_text())["firmware-is-the-network"]
    return [*job["before_script"], *job["script"]]


@pytest.fixture
def repository(small_build, tmp_path):
    """A repository whose trigger has been built before, as the services' caches keep it."""
    source, root = small_build
    folder = tmp_path / "repository"
    shutil.copytree(source, folder / "small")
    shutil.copytree(root, folder / "build" / "small")
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "TRIGGER": "small", "PATH": path}
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_run(repository):
    install, *rest = github()
    assert install == 'pip install "$TRIGGER_COMPILER" pytest'
    assert len(rest) == 3
    for command in rest:
        result = run(command, repository)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    assert (repository / "trigger.xml").is_file()


def test_both_services_do_the_same():
    assert github() == gitlab()


def test_edited_firmware_is_red(repository):
    weights = repository / "build" / "small" / "firmware" / "firmware" / "weights" / "w2.h"
    weights.write_text(weights.read_text().replace("{", "{0.5 + ", 1))
    _, _, verify, prove = github()
    assert run(verify, repository).returncode == 1
    assert run(prove, repository).returncode == 1


def test_the_artefacts_exist(repository):
    (job,) = yaml.safe_load((KIT / "github-actions.yml").read_text())["jobs"].values()
    paths = job["steps"][-1]["with"]["path"].splitlines()
    for path in paths[1:]:
        assert (repository / path.replace("${{ env.TRIGGER }}", "small")).exists(), path
    gitlab_paths = yaml.safe_load((KIT / "gitlab-ci.yml").read_text())["firmware-is-the-network"][
        "artifacts"
    ]["paths"]
    assert [path.replace("${{ env.TRIGGER }}", "$TRIGGER") for path in paths[1:]] == gitlab_paths


def test_the_image_runs_the_command(tmp_path):
    text = (KIT / "Dockerfile").read_text()
    entry, default = (
        re.search(rf"^{word} \[(.*)\]$", text, re.MULTILINE)[1] for word in ("ENTRYPOINT", "CMD")
    )
    result = run(" ".join(shlex.split(f"{entry} {default}")), tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith("python ")
    assert 'RUN pip install --no-cache-dir "$TRIGGER_COMPILER" pytest' in text
