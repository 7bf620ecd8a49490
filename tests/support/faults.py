"""A gateway process whose operating system answers wrongly on demand, and small disks that are really full.

``python faults.py CONTROL PREFIX run -c gateway.toml`` runs the command line. While the file CONTROL holds a JSON
object such as ``{"fdatasync": 5}``, that call fails with that errno for files under PREFIX; ``{"slow": 1.5}``
makes each fdatasync take so many seconds longer, ``{"hold": 1}`` lets it wait until that is gone. It is this
process's own Python that fails (journal, checkpoints), not the FIX engine's C++ nor the database's process. Orders
are on again after 3 quiet seconds instead of 30.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from live import Live

CALLS = ("write", "fdatasync", "fsync", "ftruncate", "rename", "posix_fallocate")


class FaultyLive(Live):
    """A gateway on a disk that can be made to fail."""

    @property
    def control(self) -> Path:
        """The file that says what fails."""
        return self.directory / "faults.json"

    def fail(self, **faults: float) -> None:
        """From now on these calls fail with these error numbers; without any nothing fails."""
        unnamed = self.control.with_suffix(".new")
        unnamed.write_text(json.dumps(faults))
        unnamed.rename(self.control)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start ``fixgateway run`` with faults."""
        arguments = [str(self.control), str(self.data_dir / "journal"), "run", "-c", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.process


@contextlib.contextmanager
def small_disk(where: Path, size: str) -> Iterator[str]:
    """A file system of its own at ``where``; gives why there is none, "" when there is."""
    where.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        yield f"mounting a small disk needs rights this user does not have: {done.stderr.strip()}"
        return
    try:
        yield ""
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


def fill_up(path: Path, leave_bytes: int = 0) -> None:
    """Write a file until so little is left on its disk."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            state = os.statvfs(path)
            room = state.f_bavail * state.f_frsize - leave_bytes
            if leave_bytes and room <= 0:
                return
            file.write(bytes(min(max(room, 1), 65_536)))


def _inject(control: str, prefix: str) -> None:
    """Replace the calls of this process."""
    told: list[Any] = [None, {}]

    def faults() -> dict[str, Any]:
        try:
            stamp = os.stat(control)
        except OSError:
            return {}
        if told[0] != stamp.st_ino:
            told[:] = [stamp.st_ino, json.loads(Path(control).read_text())]
        return dict(told[1])

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *more: Any, **named: Any) -> Any:
            said = faults()
            if not said.keys() & {name, "slow", "hold"}:
                return real(first, *more, **named)
            try:
                path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            except OSError:
                path = ""
            if path.startswith(prefix):
                while name == "fdatasync" and "hold" in faults():
                    time.sleep(0.01)
                if name == "fdatasync" and "slow" in said:
                    time.sleep(said["slow"])
                if name in said:
                    raise OSError(said[name], os.strerror(said[name]))
            return real(first, *more, **named)

        return call

    for name in CALLS:
        setattr(os, name, wrap(name, getattr(os, name)))


if __name__ == "__main__":
    from fixgateway import disk
    from fixgateway.cli.main import main

    disk.QUIET_SECONDS = 3.0
    _inject(sys.argv[1], sys.argv[2])
    main(sys.argv[3:])
