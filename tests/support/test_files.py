"""Files are replaced whole, under names that nobody knows before; no link is followed."""

import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from trigger import TriggerError
from trigger.support import files


@pytest.fixture
def outside(tmp_path):
    """A file that a link in a build points to."""
    (tmp_path / "outside").mkdir()
    path = tmp_path / "outside" / "mine.txt"
    path.write_text("mine")
    return path


def test_a_link_is_replaced(tmp_path, outside):
    target = tmp_path / "manifest.json"
    target.symlink_to(outside)
    files.write_text(target, "new")
    assert (target.read_text(), target.is_symlink(), outside.read_text()) == ("new", False, "mine")
    assert {path.name for path in tmp_path.iterdir()} == {"manifest.json", "outside"}


def test_lines_are_appended_but_not_through_a_link(tmp_path, outside):
    for line in ("one", "two"):
        files.append_line(tmp_path / "lines", line)
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(OSError, match="^.Errno 40. Too many levels of symbolic links: "):
        files.append_line(tmp_path / "link", "three")
    assert outside.read_text() == "mine"


def test_a_device_or_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(TriggerError) as error:
        files.write_text(pipe, "new")
    assert str(error.value) == f"{pipe}: is a device or a pipe, not a file; name another one"
    assert pipe.is_fifo()


def test_a_folder_is_put_over_another(tmp_path, outside):
    (tmp_path / "made" / "src").mkdir(parents=True)
    (tmp_path / "made" / "src" / "a.v").write_text("new")
    (tmp_path / "made" / "run.sh").write_text("")
    (tmp_path / "made" / "run.sh").chmod(0o755)
    (tmp_path / "there" / "src").mkdir(parents=True)
    (tmp_path / "there" / "src" / "a.v").symlink_to(outside)
    (tmp_path / "there" / "kept").write_text("kept")
    files.put(tmp_path / "made", tmp_path / "there")
    assert (tmp_path / "there" / "src" / "a.v").read_text() == "new"
    assert (tmp_path / "there" / "run.sh").stat().st_mode & 0o100
    assert ((tmp_path / "there" / "kept").read_text(), outside.read_text()) == ("kept", "mine")


@pytest.mark.parametrize("place", ["there", "there/src"])
def test_a_folder_that_is_a_link_is_refused(tmp_path, outside, place):
    (tmp_path / "made" / "src").mkdir(parents=True)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(outside.parent)
    with pytest.raises(TriggerError) as error:
        files.put(tmp_path / "made", tmp_path / "there")
    assert str(error.value) == (
        f"{tmp_path / place}: is a link, which this program does not write through; remove it"
    )


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    monkeypatch.setattr("pathlib.Path.replace", lambda path, target: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        files.write_text(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device"),
        (
            OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28]"),
            "No space left on device",
        ),
        (
            OSError("Can't write data (file write failed: errno = 122, error message = 'x')"),
            "Disk quota exceeded",
        ),
        (
            OSError("Error writing bytes to file. Detail: [errno 27] File too large"),
            "File too large",
        ),
        (OSError("8000 requested and 16 written"), "No space left on device"),
        (OSError("not a Parquet file\nmore"), "not a Parquet file"),
        (OSError(), "OSError"),
    ],
)
def test_the_reason_of_an_error(error, words):
    assert files.reason(error) == words


def test_a_lock_is_held_once_and_never_through_a_link(tmp_path, outside):
    lock = tmp_path / ".lock"
    with files.locked(lock), pytest.raises(BlockingIOError), files.locked(lock):
        pass
    lock.unlink()
    lock.symlink_to(tmp_path / "outside" / "made")
    with pytest.raises(TriggerError) as error, files.locked(lock):
        pass
    assert str(error.value) == f"{lock}: is a link, where a lock file belongs; remove it"
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["mine.txt"]


HOLD = """
import sys, time
from pathlib import Path
from trigger.support import files
with files.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_of_another_process_is_refused_at_once_and_goes_with_it(tmp_path):
    lock = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        start = time.monotonic()
        with pytest.raises(BlockingIOError) as error, files.locked(lock):
            pass
        assert time.monotonic() - start < 1
        assert (error.value.filename, error.value.errno) == (str(lock), errno.EWOULDBLOCK)
        holder.kill()
    with files.locked(lock):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_file_has_the_rights_that_the_user_gives_to_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        with files.locked(tmp_path / ".lock"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o640


def test_no_lock_where_the_file_system_has_none(tmp_path, monkeypatch):
    """A file in place of a lock would stay where a process is killed."""

    def missing(*arguments):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", missing)
    with pytest.raises(OSError, match="Function not implemented"), files.locked(tmp_path / ".lock"):
        pass
