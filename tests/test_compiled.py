"""Compiled code is run again only where this user compiled it, from the sources that are there."""

import shutil
import subprocess
import sys

import pytest

from trigger import TriggerError
from trigger.support import compiled

SOURCES, OTHERS = "a" * 64, "b" * 64


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Compiler:
    """Writes the number of its runs as a library."""

    def __init__(self, runs=0):
        self.runs = runs

    def __call__(self, work):
        self.runs += 1
        (work / "made.so").write_text(f"library {self.runs}")
        assert [path.name for path in work.iterdir()] == ["made.so"]
        return work / "made.so"


@pytest.fixture
def compile_in():
    return Compiler()


def test_what_was_compiled_is_used_again(home, tmp_path, compile_in):
    first = compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in)
    assert first.read_text() == "library 1" and first.parent == tmp_path / "csim"
    assert compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in) == first
    moved = shutil.copytree(tmp_path / "csim", tmp_path / "moved")
    assert compiled.library(moved, "csim.so", SOURCES, compile_in) == moved / first.name
    assert compile_in.runs == 1


def planted(path):
    path.write_text("planted")


def stale(path):
    """What was compiled from other sources, under the name that those of now have."""
    other = compiled.library(path.parent.parent / "other", "csim.so", OTHERS, Compiler(7))
    shutil.copy(other, path)


def link(path):
    """The same bytes, which can change after the check."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def another_user(path):
    (path.parents[1] / "cache" / "trigger" / "secret").unlink()


@pytest.mark.parametrize("change", [planted, stale, link, another_user])
def test_in_doubt_it_is_compiled_again(home, tmp_path, compile_in, change):
    first = compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in)
    change(first)
    again = compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in)
    assert again.read_text() == "library 2" and not again.is_symlink()


def test_that_of_other_sources_goes(home, tmp_path, compile_in):
    compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in)
    other = compiled.library(tmp_path / "csim", "csim.so", OTHERS, compile_in)
    assert list((tmp_path / "csim").iterdir()) == [other] and compile_in.runs == 2


@pytest.mark.parametrize("why", ["read only", "no secret", "shared", "readable secret"])
def test_without_a_place_it_goes_with_the_process(home, tmp_path, monkeypatch, compile_in, why):
    folder = tmp_path / "csim"
    if why == "read only":
        monkeypatch.setattr("os.access", lambda path, mode: False)
    elif why == "no secret":
        home.write_text("a file where the cache would be")
    elif why == "shared":
        (home / "trigger").mkdir(parents=True)
        (home / "trigger").chmod(0o777)
    else:
        compiled.library(folder, "csim.so", SOURCES, compile_in)
        (home / "trigger" / "secret").chmod(0o644)
    for runs in (1, 2):
        path = compiled.library(folder, "csim.so", OTHERS, compile_in)
        assert path.parent.parent == compiled.private().parent
        assert compile_in.runs == runs + (why == "readable secret")


def test_a_finished_library_is_read_from_a_folder_that_is_only_read(
    home, tmp_path, monkeypatch, compile_in
):
    first = compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in) == first


def test_nothing_is_written_through_a_link(home, tmp_path, compile_in):
    (tmp_path / "outside").mkdir()
    (tmp_path / "csim").symlink_to(tmp_path / "outside")
    with pytest.raises(TriggerError) as error:
        compiled.library(tmp_path / "csim", "csim.so", SOURCES, compile_in)
    assert str(error.value) == (
        f"{tmp_path / 'csim'}: is a link, which this program does not write through; remove it"
    )
    assert not list((tmp_path / "outside").iterdir())


def test_a_folder_in_use_is_not_shared(home, tmp_path):
    folder = tmp_path / "netlist"
    folder.mkdir()
    (folder / "stale").write_text("")
    first, second = compiled.empty(folder), compiled.empty(folder)
    assert first == folder and second != folder
    assert list(first.iterdir()) == list(second.iterdir()) == []
    code = f"from trigger.support.compiled import empty; print(empty(__import__('pathlib').Path({str(folder)!r})))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() not in (str(first), str(second))
