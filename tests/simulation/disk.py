"""A disk that remembers what is durable, and loses the rest when the power goes.

The gateway writes real files in a directory on memory; every call that matters passes through
:class:`Disk` on its way (``os`` functions, so whichever module calls them). What counts as durable is the
strict reading of POSIX: a file's bytes at its last ``fsync`` or ``fdatasync``, a directory's names at its last
``fsync``. A *kill* keeps everything that was written; a *power cut* keeps what was durable and, of the rest,
anything between nothing and all: appended bytes up to any point, perhaps with zeros behind; a rename or a new
name or not; of a file rewritten in place any version.

Every such call is a *point* at which the machine may stop, before or after the call took effect. From then on
the disk takes no call any more: whatever a dying program still tries in ``finally`` is part of the crash.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Literal

Kind = Literal["kill", "power"]

_REAL: dict[str, Any] = {
    name: getattr(os, name)
    for name in (
        "open", "close", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "truncate", "rename", "replace",
        "link", "unlink", "remove", "posix_fallocate",
    )
}  # fmt: skip


MEMORY = Path("/dev/shm")


@contextmanager
def on_memory() -> Iterator[Path]:
    """A directory on memory for simulated days; a fast one matters more than one that lasts."""
    made = Path(tempfile.mkdtemp(prefix="fixgateway-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


class Crash(BaseException):
    """The machine or the process stopped here; nothing of the program may go on."""


class Disk:
    """The files under ``root``.

    Args:
        root: an empty directory. chance: decides what a crash leaves.

    Attributes:
        on_sync: called after each sync of a file, before the caller goes on; for what happens meanwhile.
        points: how many calls there were since the start. dead: where the machine stopped, "" while it runs.
    """

    def __init__(self, root: Path, chance: Random) -> None:
        self.root = root
        self.on_sync: Callable[[], None] | None = None
        self.points = 0
        self.dead = ""
        self._prefix = f"{root}/"
        self._chance = chance
        self._left = 0
        self._fds: dict[int, str] = {}
        self._inodes: dict[int, int] = {}
        self._appending: set[int] = set()
        self._durable: dict[int, bytearray] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._held: list[int] = []
        self._settle()

    # ------------------------------------------------------------ crashing

    def crash_after(self, points: int) -> None:
        """Stop the machine at the ``points``-th point from now; 0: not at all."""
        self._left = points

    def point(self, what: str) -> None:
        """A place in the program where the machine may stop."""
        if self._at_point(what):
            raise Crash(what)

    def _at_point(self, what: str) -> bool:
        """Whether the machine stops in this call; raises when it has stopped before."""
        if self.dead:
            raise Crash(self.dead)
        self.points += 1
        if self._left:
            self._left -= 1
            if not self._left:
                self.dead = what
                return True
        return False

    def _around(self, what: str, act: Callable[[], Any]) -> Any:
        """Do ``act``, or stop before or after it."""
        if not self._at_point(what):
            return act()
        if self._chance.random() < 0.5:
            act()
        raise Crash(what)

    def restart(self, kind: Kind) -> None:
        """What the next program finds: a kill leaves everything, a power cut what :class:`Disk` says."""
        for fd in list(self._fds):
            if self._is_open(fd):
                self._close(fd)
        if kind == "power":
            self._cut_power()
        for fd in self._held:
            _REAL["close"](fd)
        self._held.clear()
        self.dead = ""
        self._left = 0
        self._settle()

    def _settle(self) -> None:
        """All that is there now is durable."""
        self._durable.clear()
        self._names.clear()
        for directory in self._directories():
            names = self._names[str(directory)] = _listing(directory)
            for name, inode in names.items():
                self._durable[inode] = bytearray((directory / name).read_bytes())

    def _directories(self) -> list[Path]:
        return [self.root, *sorted(path for path in self.root.rglob("*") if path.is_dir())]

    def _cut_power(self) -> None:
        for directory in self._directories():
            before, now = self._names.get(str(directory), {}), _listing(directory)
            written = {inode: (directory / name).read_bytes() for name, inode in now.items()}
            placed = {inode: name for name, inode in before.items()}
            wanted = {inode: name for name, inode in now.items()}
            stayed: dict[str, bytes] = {}
            moved: dict[str, bytes] = {}
            for inode in dict.fromkeys([*before.values(), *now.values()]):
                old, new = placed.get(inode), wanted.get(inode)
                content, durable = written.get(inode), bytes(self._durable.get(inode, b""))
                kept = durable if content is None else self._survivor(durable, content)
                replaced = new is None and old in now  # gone only if what was renamed over it has its name
                if old is not None and (old == new or replaced or self._chance.random() < 0.5):
                    stayed[old] = kept
                elif new is not None and (old is not None or self._chance.random() < 0.5):
                    moved[new] = kept
            left = stayed | moved
            for name in now:
                _REAL["unlink"](directory / name)
            for name, content in left.items():
                (directory / name).write_bytes(content)

    def _survivor(self, durable: bytes, written: bytes) -> bytes:
        """What a power cut leaves of a file."""
        chance = self._chance
        if durable == written:
            return written
        if written.startswith(durable):
            kept = chance.choice((len(durable), len(written), chance.randint(len(durable), len(written))))
            zeros = len(written) - kept if chance.random() < 0.2 else 0
            return written[:kept] + bytes(zeros)
        if durable.startswith(written):
            return chance.choice((durable, written))
        return chance.choice((durable, written, written[: chance.randint(0, len(written))]))

    # ------------------------------------------------------------ what is durable

    def durable(self, directory: Path, suffix: str) -> Iterator[tuple[int, bytearray]]:
        """Files whose name and bytes would both survive a power cut now: (inode, bytes), by name."""
        for name, inode in sorted(self._names.get(str(directory), {}).items()):
            if name.endswith(suffix):
                yield inode, self._durable.get(inode, bytearray())

    # ------------------------------------------------------------ the calls

    def _ours(self, path: Any) -> bool:
        return isinstance(path, str | Path) and (str(path).startswith(self._prefix) or str(path) == str(self.root))

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not self._ours(path):
            return int(_REAL["open"](path, flags, mode, dir_fd=dir_fd))
        creates = flags & os.O_CREAT and not os.path.exists(path)
        if creates and self._at_point(f"open {Path(path).name}") and self._chance.random() < 0.5:
            raise Crash(self.dead)
        fd = int(_REAL["open"](path, flags, mode, dir_fd=dir_fd))
        self._fds[fd] = str(path)
        self._inodes[fd] = os.fstat(fd).st_ino
        if flags & os.O_APPEND and not flags & os.O_TRUNC:
            self._appending.add(fd)
        if self.dead:
            raise Crash(self.dead)
        return fd

    def _close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        self._inodes.pop(fd, None)
        self._appending.discard(fd)
        _REAL["close"](fd)

    def _is_open(self, fd: int) -> bool:
        """Whether ``fd`` is still the one that was opened here: a file object closes its own without telling."""
        if fd not in self._fds:
            return False
        try:
            same = os.fstat(fd).st_ino == self._inodes[fd]
        except OSError:
            same = False
        if not same:
            del self._fds[fd], self._inodes[fd]
            self._appending.discard(fd)
        return same

    def _write(self, fd: int, data: Any) -> int:
        if not self._is_open(fd):
            return int(_REAL["write"](fd, data))
        if self._at_point(f"write {Path(self._fds[fd]).name}"):
            _REAL["write"](fd, memoryview(data)[: self._chance.randint(0, len(data))])
            raise Crash(self.dead)
        return int(_REAL["write"](fd, data))

    def _sync(self, fd: int) -> None:
        path = self._fds[fd] if self._is_open(fd) else os.readlink(f"/proc/self/fd/{fd}")
        if not self._ours(path):
            return
        self._around(f"sync {Path(path).name}", lambda: self._make_durable(fd, path))
        if self.on_sync is not None:
            self.on_sync()

    def _make_durable(self, fd: int, path: str) -> None:
        told = os.fstat(fd)
        if stat.S_ISDIR(told.st_mode):
            self._names[path] = _listing(Path(path))
            return
        known = self._durable.setdefault(told.st_ino, bytearray())
        start = len(known) if fd in self._appending else 0
        reader = _REAL["open"](f"/proc/self/fd/{fd}", os.O_RDONLY)
        try:
            known[start:] = os.pread(reader, told.st_size - start, start)
        finally:
            _REAL["close"](reader)

    def _ftruncate(self, fd: int, length: int) -> None:
        if not self._is_open(fd):
            _REAL["ftruncate"](fd, length)
            return
        self._appending.discard(fd)
        self._around(f"truncate {Path(self._fds[fd]).name}", lambda: _REAL["ftruncate"](fd, length))

    def _two_names(self, call: str) -> Callable[..., None]:
        real = _REAL[call]

        def act(src: Any, dst: Any, **more: Any) -> None:
            if not self._ours(src):
                real(src, dst, **more)
                return
            self._hold(dst)
            self._around(f"{call} {Path(dst).name}", lambda: real(src, dst, **more))

        return act

    def _unlink(self, path: Any, **more: Any) -> None:
        if not self._ours(path):
            _REAL["unlink"](path, **more)
            return
        self._hold(path)
        self._around(f"unlink {Path(path).name}", lambda: _REAL["unlink"](path, **more))

    def _hold(self, path: Any) -> None:
        """Keep a file that loses its name, so that its inode number is not given away."""
        with suppress(FileNotFoundError):
            fd = _REAL["open"](path, os.O_RDONLY)
            self._fds.pop(fd, None)  # a file object closed that number without telling
            self._held.append(fd)

    @contextmanager
    def installed(self) -> Iterator[Disk]:
        """Let every module's ``os`` calls pass through here."""
        calls = {
            "open": self._open, "close": self._close, "write": self._write, "fsync": self._sync,
            "fdatasync": self._sync, "ftruncate": self._ftruncate, "rename": self._two_names("rename"),
            "replace": self._two_names("replace"), "link": self._two_names("link"), "unlink": self._unlink,
            "remove": self._unlink,
        }  # fmt: skip
        try:
            for name, call in calls.items():
                setattr(os, name, call)
            yield self
        finally:
            for name in calls:
                setattr(os, name, _REAL[name])


def _listing(directory: Path) -> dict[str, int]:
    """The files of a directory: name → inode number."""
    with os.scandir(directory) as found:
        return {entry.name: entry.inode() for entry in sorted(found, key=lambda e: e.name) if entry.is_file()}
