"""What makes files and their names last a power failure: the one place for it in the journal's room."""

from __future__ import annotations

import os
from pathlib import Path


class SyncFailed(OSError):
    """A sync failed: what was written before it may be lost although it can be read. Never to be tried again."""


def fdatasync(fd: int) -> None:
    """``os.fdatasync``, failing with :class:`SyncFailed`."""
    try:
        os.fdatasync(fd)
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error


def fsync(fd: int) -> None:
    """``os.fsync``, failing with :class:`SyncFailed`."""
    try:
        os.fsync(fd)
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises :class:`SyncFailed`, or OSError when it cannot be opened."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Make a directory and those above it that are missing, durably. Raises OSError."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in made:
        sync_directory(folder.parent)


def write_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file that gets its name, perhaps from an older one, when it is whole and durable. Raises OSError."""
    unnamed = path.with_suffix(".new")
    unnamed.unlink(missing_ok=True)
    fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        fsync(fd)
    unnamed.rename(path)
    sync_directory(path.parent)
