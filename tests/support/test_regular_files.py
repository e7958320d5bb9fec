"""Only regular files are read: a pipe or a device may never end, a folder is told as what it is."""

import os
import shutil
import signal
import socket

import pytest
from trigger_command import invoke, refused

from trigger import TriggerError
from trigger.workflow.adopt import Adoption, adopt

_SECONDS = 60


@pytest.fixture(autouse=True)
def _no_waiting():
    """A reader that waits for a pipe fails instead."""

    def stop(*_):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path):
    """A named pipe in place of whatever is there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()
    return path


def device(path):
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    return path


def listening(path):
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(path))
    return path


KINDS = {
    "a named pipe": pipe,
    "a folder": folder,
    "a device": device,
    "a socket": listening,
}


def said(path, kind="a named pipe"):
    return f"{path}: is {kind}; a regular file is needed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["csv", "h5", "hdf5", "npz", "parquet", "root"])
def test_events(small_build, tmp_path, monkeypatch, kind, ending):
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    path = KINDS[kind](tmp_path.joinpath(f"e.{ending}").relative_to(tmp_path))
    expected = said(path, kind)
    if kind == "a folder":
        expected = f"{path}: is a folder; name its files, for example '{path}/*.parquet'"
    assert refused("verify", small_build[1], "--events", path) == expected


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
def test_what_a_trigger_names(small_build, tmp_path, kind):
    source, _ = small_build
    for name in ("events.csv", "model.py"):
        kept = (source / name).read_bytes()
        path = KINDS[kind](source / name)
        output = tmp_path / f"other-{name}"
        assert refused("build", source, "--output", output) == said(path, kind)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.write_bytes(kept)


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
def test_a_trigger(small_build, kind):
    path = KINDS[kind](small_build[0] / "trigger.toml")
    for command in ("build", "search"):
        assert refused(command, small_build[0]) == said(path, kind)


@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
def test_a_trigger_by_its_path(tmp_path, kind):
    path = KINDS[kind](tmp_path / "x.toml")
    assert refused("build", path) == said(path, kind)


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
@pytest.mark.parametrize("ending", ["keras", "h5", "json"])
def test_networks(tmp_path, kind, ending):
    path = KINDS[kind](tmp_path / f"n.{ending}")
    weights = tmp_path / "w.h5" if ending == "json" else None
    with pytest.raises(TriggerError) as error:
        adopt(Adoption(path, tmp_path / "e.csv", "xcvu9p", 240, weights=weights))
    assert str(error.value) == said(path, kind)


def test_weights(tmp_path):
    (tmp_path / "n.json").write_text("{}")
    path = pipe(tmp_path / "w.h5")
    with pytest.raises(TriggerError) as error:
        adopt(Adoption(tmp_path / "n.json", tmp_path / "e.csv", "xcvu9p", 240, weights=path))
    assert str(error.value) == said(path)


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device"])
def test_pattern_files(tmp_path, kind):
    path = KINDS[kind](tmp_path / "p.txt")
    assert refused("patterns", "compare", path, path) == said(path, kind)


def test_files_of_a_build_on_the_way_to_its_seal(small_build):
    _, root = small_build
    for name in ("manifest.json", "trigger.toml", "stages.json"):
        kept = (root / name).read_bytes()
        path = pipe(root / name)
        for command in (("verify", root), ("verify", root, "--manifest"), ("report", root)):
            assert refused(*command) == said(path)
        path.unlink()
        path.write_bytes(kept)


def test_files_of_a_build_under_its_seal(small_build):
    _, root = small_build
    for name in ("graph/expected.npz", "model/trained.npz", "events/test.npz"):
        kept = (root / name).read_bytes()
        path = pipe(root / name)
        assert (
            refused("verify", root) == f"{path}: EDITED since the build; run `trigger build` again"
        )
        path.unlink()
        path.write_bytes(kept)
    path = pipe(root / "graph" / "graph.json")
    assert refused("verify", root) == said(path)


def test_another_tools_project(small_build, tmp_path):
    _, root = small_build
    network = root / "model" / "network.keras"
    for name in ("firmware/defines.h", "firmware/nnet_utils/nnet_dense.h", "firmware/notes"):
        shutil.copytree(root / "firmware", tmp_path / "project")
        path = pipe(tmp_path / "project" / name)
        command = ("verify", "--hls4ml", tmp_path / "project", "--against", network)
        assert refused(*command) == said(path)
        shutil.rmtree(tmp_path / "project")


def test_a_pipe_where_the_trigger_of_a_network_goes(small_build, tmp_path, monkeypatch):
    source, root = small_build
    monkeypatch.chdir(tmp_path)
    pipe(tmp_path / "network.toml")
    options = ["--network", root / "model" / "network.keras", "--events", source / "events.csv"]
    options += ["--label", "kind", "--part", "xcvu9p", "--clock", 240]
    assert refused("build", *options) == said("network.toml")


def test_a_pipe_as_the_trials_of_a_search(small_build, tmp_path):
    source, _ = small_build
    with (source / "trigger.toml").open("a") as file:
        file.write('[search]\nparameters = {"training.epochs" = {choices = [6, 7]}}\n')
    (tmp_path / "small-search").mkdir()
    path = pipe(tmp_path / "small-search" / "study.db")
    assert refused("search", source, "--output", tmp_path) == said(path)


def test_a_pipe_as_the_secret_of_compiled_code_is_not_waited_for(
    small_build, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "trigger").mkdir(parents=True)
    pipe(tmp_path / "cache" / "trigger" / "secret")
    result = invoke("verify", small_build[1])
    assert result.exit_code == 0, result.output
