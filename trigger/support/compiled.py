"""Reuse of compiled libraries in a build, only if this user compiled them from the same sources.

The name of a library ends in a code computed from its bytes and the digest of its sources, keyed
with a secret of this user. So nobody else can plant a library, and an edited or outdated one is
compiled again.
"""

import contextlib
import functools
import hmac
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import lock_descriptor

from trigger.support import files
from trigger.support.digest import file_digest

_SECRET_BYTES = 32
# Folders in use, with their locked descriptors.
_held: list[int] = []


def library(
    folder: Path | None, file_name: str, sources: str, compile_in: Callable[[Path], Path]
) -> Path:
    """The library of sources with this digest; ``compile_in`` makes it in an empty folder if
    needed.

    ``file_name`` is its name, such as "csim.so". It goes to a temporary folder of this process if
    no folder is given, if the folder cannot be written, or if this user has no place for a secret.
    Raises TriggerError if the folder is a link.
    """
    secret = _secret()
    if folder is None or secret is None:
        return compile_in(private())
    folder = folder.parent.resolve() / folder.name
    writable = _writable(folder)
    known = _known(folder, file_name, sources, secret) if folder.is_dir() else None
    if known is None and not writable:
        return compile_in(private())
    if known is None:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = compile_in(Path(work))
            known = folder / _name(file_name, sources, file_digest(made), secret)
            made.replace(known)
        stem, suffix = file_name.split(".")
        for old in folder.glob(f"{stem}-*.{suffix}"):
            if not old.name.startswith(_begin(file_name, sources)):
                old.unlink(missing_ok=True)
    return known


def private() -> Path:
    """An empty folder that is removed when this process ends."""
    return Path(tempfile.mkdtemp(dir=_home().name))


def empty(folder: Path) -> Path:
    """This folder, emptied and locked until this process ends.

    A temporary folder of this process if that one cannot be written or is in use.
    """
    if not _writable(folder):
        return private()
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return private()
    if not _locked(held):
        os.close(held)
        return private()
    _held.append(held)
    for path in folder.iterdir():
        files.remove(path)
    return folder


def signature(text: str) -> str | None:
    """A code that only this user can give a text; None without a place for a secret."""
    secret = _secret()
    if secret is None:
        return None
    return hmac.new(secret, f"text\0{text}".encode(), "sha256").hexdigest()


def _locked(descriptor: int) -> bool:
    """Lock the file or folder until this process ends; False if it is in use, or its file system
    has no locks.
    """
    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError:
        return False


def cache() -> Path | None:
    """This user's cache folder; None if others could write there or it cannot be made."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trigger"
        folder.mkdir(parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # no home, a full disk, or a read-only one
        return None
    own = status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if own else None


def is_library(path: Path) -> bool:
    """Whether a file has a name that ``library`` gives; its key decides whether it is run."""
    return re.fullmatch(r"\w+-[0-9a-f]{16}-[0-9a-f]{32}\.\w+", path.name) is not None


def _known(folder: Path, file_name: str, sources: str, secret: bytes) -> Path | None:
    for path in folder.glob(f"{_begin(file_name, sources)}*"):
        if files.is_file(path) and path.name == _name(
            file_name, sources, file_digest(path), secret
        ):
            return path
    return None


def _begin(file_name: str, sources: str) -> str:
    """The common start of the names of all libraries from these sources."""
    return f"{file_name.split('.', maxsplit=1)[0]}-{sources[:16]}-"


def _name(file_name: str, sources: str, digest: str, secret: bytes) -> str:
    code = hmac.new(secret, f"{file_name}\0{sources}\0{digest}".encode(), "sha256").hexdigest()
    return f"{_begin(file_name, sources)}{code[:32]}.{file_name.split('.')[1]}"


def _secret() -> bytes | None:
    """Random bytes that only this user can read, made once; None if they cannot be stored."""
    folder = cache()
    if folder is None:
        return None
    path = folder / "secret"
    try:
        if not path.exists():
            partial = files.beside(path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(partial, path)
            partial.unlink()
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path, flags), "rb") as file:
            mode = os.fstat(file.fileno())
            secret = file.read(_SECRET_BYTES + 1)
    except OSError:
        return None
    own = mode.st_uid == os.geteuid() and not mode.st_mode & 0o077
    return secret if own and secret and len(secret) == _SECRET_BYTES else None


def _writable(folder: Path) -> bool:
    """Whether a folder exists, or can be made, and is writable.

    Raises TriggerError if it is a link.
    """
    try:
        files.folder(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


@functools.cache
def _home() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="trigger-")
