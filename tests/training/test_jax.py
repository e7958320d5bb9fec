"""The other Keras backend, in a process of its own: Keras cannot change backends."""

import subprocess
import sys

import pytest
from conftest import write_small_trigger


def test_a_build_on_jax_is_exact(tmp_path):
    pytest.importorskip("jax", reason="the extra [jax] is not installed")
    folder = write_small_trigger(tmp_path / "small")
    path = folder / "trigger.toml"
    path.write_text(path.read_text().replace("[training]", '[training]\nbackend = "jax"'))
    command = [
        sys.executable,
        "-m",
        "trigger",
        "build",
        str(folder),
        "--output",
        str(tmp_path / "build"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].startswith("exact: ")


def test_the_backend_that_is_missing_is_named(tmp_path):
    folder = write_small_trigger(tmp_path / "small")
    path = folder / "trigger.toml"
    path.write_text(path.read_text().replace("[training]", '[training]\nbackend = "jax"'))
    code = (
        "import sys; sys.modules['jax'] = None\n"
        f"sys.argv = ['trigger', 'build', {str(folder)!r}, '--output', {str(tmp_path / 'build')!r}]\n"
        "from trigger.cli.app import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == (
        "trigger: the Keras backend jax needs the package 'jax'; install it with: pip install 'trigger-compiler[jax]'\n"
    )
