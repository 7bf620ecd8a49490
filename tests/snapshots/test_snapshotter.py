"""The process that makes snapshots: asked, late, killed, in the way of nobody."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from journals import Scribe
from structlog.testing import CapturingLogger

from fixgateway.journal import checkpoints, keys
from fixgateway.journal.merkle import Head
from fixgateway.journal.records import Kind
from fixgateway.journal.snapshots import file_name, stored
from fixgateway.snapshotter import Snapshotter

Calls = list[dict[str, Any]]


@pytest.fixture
def day(tmp_path: Path) -> Path:
    return Scribe(tmp_path).close()


@pytest.fixture
def log() -> CapturingLogger:
    return CapturingLogger()


def snapshotter(day: Path, log: CapturingLogger, key_file: Path | None = None) -> Snapshotter:
    bound: structlog.stdlib.BoundLogger = structlog.wrap_logger(log, processors=[lambda *x: x[2]])
    return Snapshotter(day, "FIXGW", [], key_file, bound)


def lines(log: CapturingLogger) -> Calls:
    return [{**call.kwargs, "level": call.method_name} for call in log.calls]


def wait(look: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_at_the_stop_everything_is_in_it(day: Path, log: CapturingLogger) -> None:
    maker = snapshotter(day, log)
    maker.start()
    maker.prepare()
    maker.finish(5)
    assert [path.name for path in stored(day / "snapshots")] == [file_name(5)]
    (line,) = lines(log)
    assert (line["event"], line["records"], line["replayed"], line["level"]) == ("snapshot.made", 5, 5, "info")


def test_one_that_takes_too_long_is_given_up(day: Path, log: CapturingLogger) -> None:
    maker = snapshotter(day, log)
    maker.prepare()
    before = time.monotonic()
    maker.finish(5, timeout_seconds=0.01)
    assert time.monotonic() - before < 5
    (line,) = lines(log)
    assert (line["event"], line["level"]) == ("snapshot.not_made", "warning")
    assert line["error"] == "not done in 0.01 seconds"
    assert stored(day / "snapshots") == []


def test_finished_segments_are_made_into_snapshots_and_the_stop_ends_what_is_being_made(
    day: Path, log: CapturingLogger
) -> None:
    maker = snapshotter(day, log)
    maker.start()
    maker.on_seal(Head(4, b""))
    wait(lambda: stored(day / "snapshots"))
    wait(lambda: lines(log))
    maker.on_seal(Head(5, b""))
    maker.prepare()
    maker.finish(6)
    assert lines(log)[-1]["records"] == 6
    assert stored(day / "snapshots")[0].name == file_name(6)
    assert all(line["event"] == "snapshot.made" for line in lines(log))


def test_what_goes_wrong_is_a_warning(day: Path, log: CapturingLogger, tmp_path: Path) -> None:
    maker = snapshotter(day, log)
    maker.prepare()
    maker.finish(10_000)
    for path in (day / "snapshots").iterdir():
        path.unlink()
    damaged = snapshotter(day, log, tmp_path / "no-such-key")
    damaged.prepare()
    damaged.finish(5)
    first, second = lines(log)
    assert "ends with record" in first["error"]
    assert "no-such-key" in second["error"]
    (day / "snapshots" / file_name(4)).write_bytes(b"nonsense")
    last = snapshotter(day, log)
    last.prepare()
    last.finish(5)
    aside, made = lines(log)[2:]
    assert (aside["event"], aside["snapshot"]) == ("snapshot.left_aside", file_name(4))
    assert (made["event"], [path.name for path in stored(day / "snapshots")]) == ("snapshot.made", [file_name(5)])


def test_it_is_signed_and_compared_with_the_checkpoints(day: Path, log: CapturingLogger, tmp_path: Path) -> None:
    keys.create(tmp_path / "key", "gateway.example.com/journal")
    key = keys.load_private(tmp_path / "key")
    origin = checkpoints.origin_of(day / "journal", "FIXGW")
    text = checkpoints.checkpoint_text(origin, Head(3, bytes(32)))
    checkpoints.store(day / "journal" / checkpoints.DIRECTORY, checkpoints.parse(key.sign(text).encode()))
    maker = snapshotter(day, log, tmp_path / "key")
    maker.prepare()
    maker.finish(5)
    (line,) = lines(log)
    assert "are not the ones of checkpoint" in line["error"]
    for path in (day / "journal" / checkpoints.DIRECTORY).rglob("*.checkpoint"):
        path.unlink()
    again = snapshotter(day, log, tmp_path / "key")
    again.prepare()
    again.finish(5)
    assert (
        f"— {key.public.name} "
        in json.loads(stored(day / "snapshots")[0].read_bytes().split(b"\nend ")[1])["note"]
    )


# ---------------------------------------------------------------- the child by itself


def child() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fixgateway.snapshotter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ignores(pid: int, number: int) -> bool:
    """Whether a process has come so far that a signal does nothing."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_the_child_ends_with_its_input(day: Path) -> None:
    process = child()
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 0


def test_the_child_does_not_outlive_a_killed_gateway(tmp_path: Path) -> None:
    """The journal is long enough that the child is at work when its input ends."""
    scribe = Scribe(tmp_path)
    for _ in range(100_000):
        scribe.append(Kind.SEEN, b"x" * 20)
    scribe.close()
    process = child()
    assert process.stdin is not None
    request = {"data_dir": str(tmp_path), "name": "", "anchor_dirs": [], "key_file": "", "up_to": 0}
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    wait(lambda: (tmp_path / "snapshots").is_dir())
    process.stdin.close()
    assert process.wait(30) == 1
    assert stored(tmp_path / "snapshots") == []


def test_a_stop_of_the_whole_service_does_not_end_the_child(day: Path) -> None:
    process = child()
    assert process.stdin is not None
    assert process.stdout is not None
    wait(lambda: ignores(process.pid, signal.SIGTERM), 30)
    request = {"data_dir": str(day), "name": "", "anchor_dirs": [], "key_file": "", "up_to": 3}
    for number in (signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["records"] == 3
    process.stdin.close()
    process.wait(30)
