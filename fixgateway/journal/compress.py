"""Compressing finished segments with gzip; they are read and verified as before."""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fixgateway.errors import JournalError
from fixgateway.journal.durable import sync_directory
from fixgateway.journal.scan import Segment, list_segments, locate, open_segment

_MODE = 0o440
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Compressed:
    """One segment that was compressed: its new file, and its bytes before and after."""

    path: Path
    bytes_before: int
    bytes_after: int


def compress(directory: Path) -> Iterator[Compressed]:
    """Compress every segment but the last, which the writer may have open; gives each when it is done.

    May run beside the gateway. A segment is removed only when its compressed file was read back, is the same
    and is durable; a crash leaves one of the two or both.

    Raises:
        UsageError: there is no journal. JournalError: a file cannot be read or written, or another process
            compresses this journal.
    """
    directory = locate(directory)
    for segment in list_segments(directory)[:-1]:
        if not segment.compressed:
            try:
                yield _compress(segment)
            except OSError as error:
                raise JournalError(
                    f"cannot compress {segment.path}: {error}; the segment was left as it was"
                ) from error


def _compress(segment: Segment) -> Compressed:
    path = segment.path
    goal = path.with_name(path.name + ".gz")
    unnamed = path.with_name(path.name + ".gz.new")
    fd = os.open(unnamed, os.O_RDWR | os.O_CREAT, _MODE | 0o200)
    with os.fdopen(fd, "r+b") as file:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(f"another process compresses {path}: wait for it") from None
        os.ftruncate(fd, 0)
        # No name and time in it: equal segments give equal files.
        with open_segment(segment) as source, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)
        file.flush()
        os.fsync(fd)
        file.seek(0)
        with open_segment(segment) as source, gzip.GzipFile(fileobj=file, mode="rb") as copy:
            if not _same(source, copy):
                raise JournalError(f"{unnamed} is not what {path} is: disk or memory is bad; nothing was removed")
        os.fchmod(fd, _MODE)
        before, after = path.stat().st_size, os.fstat(fd).st_size
        unnamed.rename(goal)
    sync_directory(path.parent)
    path.unlink()
    sync_directory(path.parent)
    return Compressed(goal, before, after)


def _same(first: BinaryIO, second: gzip.GzipFile) -> bool:
    while True:
        block = first.read(_BLOCK_BYTES)
        if block != second.read(len(block) or 1):
            return False
        if not block:
            return True
