"""The reserve: space on the journal's disk that is set aside and given back when the disk is full.

It is a file of zeros in the journal's directory whose blocks are really there. Once it is deleted, what still
has to be written down (fills, cancels, answers) has room, while new orders are off.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from fixgateway.journal.durable import SyncFailed, fsync, sync_directory

NAME = "reserve"
_MODE = 0o640
_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: OSError) -> bool:
    """Whether a *write* failed for lack of space; only that may be tried again, once there is space."""
    return error.errno in _FULL and not isinstance(error, SyncFailed)


def free_bytes(directory: Path) -> int:
    """Bytes the gateway's user may still write on the disk of ``directory``. Raises OSError."""
    state = os.statvfs(directory)
    return state.f_bavail * state.f_frsize


class Reserve:
    """The reserve file of a journal directory.

    Args:
        directory: the journal's own directory, on whose disk the space is set aside.
        size: bytes; 0 for no reserve.

    Attributes:
        held: whether the space is set aside now.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self.size = size
        self.held = False
        self._path = directory / NAME

    @property
    def missing(self) -> bool:
        """Whether there should be a reserve and is none."""
        return self.size > 0 and not self.held

    def make(self) -> None:
        """Set the space aside, unless it is already. One of another size is made anew.

        Raises:
            OSError: there is not enough space; nothing is left of the attempt.
        """
        if self.held:
            return
        if self._whole():
            self.held = True
            return
        self._path.unlink(missing_ok=True)
        if not self.size:
            return
        unnamed = self._path.with_name(f"{NAME}.new")
        try:
            fd = os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
            try:
                os.posix_fallocate(fd, 0, self.size)
                fsync(fd)
            finally:
                os.close(fd)
            os.rename(unnamed, self._path)
            sync_directory(self._path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(unnamed)
            raise
        self.held = True

    def _whole(self) -> bool:
        """Whether the file is there, of its size and with all its blocks: a copy of a directory may have none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        return found.st_size == self.size > 0 and found.st_blocks * 512 >= self.size

    def give_back(self) -> bool:
        """Free the space. Returns whether there was any.

        Raises:
            OSError: the file cannot be removed.
        """
        if not self.held:
            return False
        self._path.unlink(missing_ok=True)
        self.held = False
        with contextlib.suppress(OSError):
            # Only so that a power failure does not bring the file back; the space is free in any case.
            sync_directory(self._path.parent)
        return True
