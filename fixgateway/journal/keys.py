"""Key files: the signing key, which nobody but the gateway's user may read, and the public key beside it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from fixgateway.errors import UsageError
from fixgateway.journal.notes import (
    NoteError,
    PrivateKey,
    PublicKey,
    new_private_key,
    parse_private_key,
    parse_public_key,
)

_FILE_BYTES_MAX = 4096
_SECRET_MODE = 0o600
_PUBLIC_MODE = 0o644
_OTHERS = 0o077


def public_file(path: Path) -> Path:
    """Where the public key of the signing key in ``path`` is written."""
    return path.with_name(path.name + ".pub")


def create(path: Path, name: str) -> PublicKey:
    """Make a signing key in ``path`` and write its public key beside it, as ``<path>.pub``.

    Raises:
        UsageError: one of the files exists or cannot be written, or ``name`` is no name for a key.
    """
    try:
        key = new_private_key(name)
        if public_file(path).exists():  # looked at first, or a key without its public half would be left
            raise FileExistsError(17, "exists", str(public_file(path)))
        for file, line, mode in (
            (path, key.secret_line(), _SECRET_MODE),
            (public_file(path), str(key.public), _PUBLIC_MODE),
        ):
            _write_new(file, f"{line}\n", mode)
    except NoteError as error:
        raise UsageError(f"{error}; choose another --name") from None
    except FileExistsError as error:
        raise UsageError(f"{error.filename} exists: keys are not overwritten, choose another file") from None
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or path}: {error.strerror}") from None
    return key.public


def _write_new(path: Path, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, mode)
        file.write(text)
        file.flush()
        os.fsync(fd)


def load_private(path: Path) -> PrivateKey:
    """Read a signing key from a file that only its owner can read.

    Raises:
        UsageError: others may read or write the file, it cannot be read, or it holds no signing key.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            why = _unsafe(status)
            if why:
                raise UsageError(f"signing key {path}: {why}")
            return parse_private_key(_text(file.read(_FILE_BYTES_MAX)))
    except OSError as error:
        raise UsageError(
            f"signing key {path}: {error.strerror}; make one with 'fixgateway keys new {path}'"
        ) from None
    except NoteError as error:
        raise UsageError(f"signing key {path}: {error}; name the file 'fixgateway keys new' wrote") from None


def _unsafe(status: os.stat_result) -> str:
    """Why a file of this status must not hold a secret; "" when it may."""
    if not stat.S_ISREG(status.st_mode):
        return "it is no file"
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}, who can read it: give it to the gateway's user (chown)"
    mode = stat.S_IMODE(status.st_mode)
    if mode & _OTHERS:
        return f"its mode is {mode:04o}, others than its owner may use it: chmod 0600"
    return ""


def load_public(path: Path) -> PublicKey:
    """Read a public key file.

    Raises:
        UsageError: it cannot be read, or it holds no public key.
    """
    try:
        with path.open("rb") as file:
            return parse_public_key(_text(file.read(_FILE_BYTES_MAX)))
    except OSError as error:
        raise UsageError(f"public key {path}: {error.strerror}") from None
    except NoteError as error:
        raise UsageError(f"public key {path}: {error}; name the .pub file 'fixgateway keys new' wrote") from None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("it is no text") from None
