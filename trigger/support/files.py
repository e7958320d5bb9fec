"""Writing into folders that others can write to: atomic replacement, and no link is followed."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from trigger.errors import TriggerError

# The names from ``beside``, as left behind by a killed process.
BESIDE = f".*-{'[0-9a-f]' * 16}"
_ERRNO = re.compile(r"\[[Ee]rrno (\d+)\]|errno = (\d+)")
# The error of NumPy for an incomplete write.
_SHORT = re.compile(r"\d+ requested and \d+ written")
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file atomically. A link in its place is replaced.

    Raises TriggerError if a device, a pipe or the like is in its place.
    """
    if not path.is_symlink() and path.exists() and not (path.is_file() or path.is_dir()):
        raise TriggerError(f"{path}: is a device or a pipe, not a file; name another one")
    partial = beside(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(partial, flags, mode), "wb") as file:
            file.write(data)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def append_line(path: Path, line: str) -> None:
    """Write a line at the end of a file, made if missing, and wait until it is on the disk.

    Raises OSError if a link is in its place.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def put(source: Path, target: Path) -> None:
    """Copy a file, or a folder over another, replacing files as ``write_bytes`` does.

    Raises TriggerError if the target, or a folder in it, is a link.
    """
    if source.is_dir():
        folder(target)
        for entry in sorted(source.iterdir()):
            put(entry, target / entry.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, source.read_bytes(), stat.S_IMODE(source.stat().st_mode))


def beside(path: Path) -> Path:
    """An unpredictable name next to a path."""
    return path.with_name(f".{path.name}-{secrets.token_hex(8)}")


def folder(path: Path) -> Path:
    """The folder, made if missing. Raises TriggerError if it is a link or a file."""
    if path.is_symlink():
        raise TriggerError(
            f"{path}: is a link, which this program does not write through; remove it"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise not_a_folder(path) from error
    return path


def not_a_folder(path: Path) -> TriggerError:
    """The error that says what is in the place of a folder."""
    what = _KINDS.get(stat.S_IFMT(path.stat().st_mode), "a file")
    return TriggerError(f"{path}: is {what} where a folder is needed; remove it")


def check_parents(path: Path) -> None:
    """Raise TriggerError if the folders above a path cannot be made, or not be written to."""
    for parent in path.absolute().parents:
        if parent.is_symlink() and not parent.exists():
            raise TriggerError(
                f"{parent}: is a link to nothing where a folder is needed; remove it"
            )
        if parent.exists():
            if not parent.is_dir():
                raise not_a_folder(parent)
            if not os.access(parent, os.W_OK | os.X_OK):
                raise TriggerError(f"{parent}: cannot be written to; name another folder")
            return


def fresh(path: Path) -> Path:
    """An empty folder that replaces whatever is there."""
    remove(path)
    path.mkdir(parents=True)
    return path


def remove(path: Path) -> None:
    """Remove a file, a folder or a link, but never the target of a link; it may be missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def entries(path: Path) -> list[Path]:
    """Everything in a folder, except folders, sorted: files, links and other entries."""
    if path.is_symlink():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_symlink() or not p.is_dir())


def is_file(path: Path) -> bool:
    """Whether this is a file, not a link to one."""
    return stat.S_ISREG(path.lstat().st_mode)


def regular(path: Path) -> Path:
    """``path`` itself if it is a file, a link to one, or missing (opening it reports that).

    Raises TriggerError for anything else: reading a pipe or a device may never end.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return path
    if not stat.S_ISREG(mode):
        raise TriggerError(f"{path}: is {_KINDS[stat.S_IFMT(mode)]}; a regular file is needed")
    return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, made if missing. Raises BlockingIOError if another process holds it.

    Raises TriggerError if it is a link.
    """
    if path.is_symlink():
        raise TriggerError(f"{path}: is a link, where a lock file belongs; remove it")
    # Where there is no flock, this is an error: a lock that is only a file outlives a killed
    # process.
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        busy = errno.EWOULDBLOCK
        raise BlockingIOError(busy, os.strerror(busy), str(path)) from error
    with held:
        yield


def number(error: OSError) -> int:
    """The errno of an error, also of one that states it only in its text; 0 if unknown."""
    match = _ERRNO.search(str(error))
    if _SHORT.search(str(error)):
        return errno.ENOSPC
    return error.errno or (int(match[1] or match[2]) if match else 0)


def reason(error: OSError) -> str:
    """The text of the errno of an error, or, without one, the first line of its message."""
    if number(error):
        return os.strerror(number(error))
    return str(error).strip().partition("\n")[0] or type(error).__name__
