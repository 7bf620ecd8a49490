"""A gateway's session room in a process of its own, and peers to talk to it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


class Host:
    """The driver process: its items as they come, and commands to it."""

    def __init__(self, directory: Path, **config: Any) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "driver.json"
        path.write_text(json.dumps({"dir": str(directory), **config}))
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "host_driver.py"), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent.parent,
        )
        self.items: list[dict[str, Any]] = []
        self._answers: queue.Queue[Any] = queue.Queue()
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.port: int = self._answers.get(timeout=30)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            what = json.loads(line)
            if "answer" in what or "port" in what:
                self._answers.put(what.get("answer", what.get("port")))
                continue
            with self._changed:
                self.items.append(what)
                self._changed.notify_all()

    def do(self, name: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
        self.process.stdin.flush()
        return self._answers.get(timeout=30)

    def wait(self, timeout: float = 10.0, count: int = 1, **wanted: Any) -> list[dict[str, Any]]:
        """Wait for ``count`` items whose values equal those wanted (or satisfy them, when callable)."""

        def fits(item: dict[str, Any]) -> bool:
            return all(
                want(item.get(key, "")) if callable(want) else item.get(key) == want
                for key, want in wanted.items()
            )

        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [item for item in self.items if fits(item)]
                if len(found) >= count:
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    last = "\n".join(str(item).replace("\\x01", "|") for item in self.items[-30:])
                    raise AssertionError(f"{len(found)} of {count} with {wanted}; last:\n{last}")
                self._changed.wait(left)

    def wait_up(self, *sessions: str) -> None:
        """Wait until the host itself knows that the sessions are logged on."""
        deadline = time.monotonic() + 10
        while not all(self.do("is_up", session=session) for session in sessions):
            assert time.monotonic() < deadline, f"{sessions} not up"
            time.sleep(0.01)

    def stop(self) -> int:
        self.do("stop")
        return self.process.wait(timeout=15)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(**config: Any) -> Host:
        hosts.append(Host(tmp_path / "host", **config))
        return hosts[-1]

    yield start
    for host in hosts:
        if host.process.poll() is None:
            host.kill()
