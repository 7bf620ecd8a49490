"""Every system call of the journal's writer broken, one at a time: EIO, ENOSPC, and SIGKILL in the middle of it.

A process writes a journal under strace, which makes one of its calls fail or kills it there. Whatever was said to
be durable must then be there and right, nothing else may stand between, and the next start must go on. Without
strace, or where it may not trace, the tests are skipped and say so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import fault_writer
import pytest

from fixgateway.journal.reader import read
from fixgateway.journal.segments import Writer
from fixgateway.journal.verification import verify

CALLS = "openat,write,fdatasync,fsync,rename,ftruncate,unlink,fallocate"
FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "SIGKILL": "signal=SIGKILL"}
RESERVE_BYTES = 65_536
_LINE = re.compile(r"(\w+)\(")


@dataclass(frozen=True, slots=True)
class Way:
    """How the writer is set up: ``reserve`` space set aside, ``spare`` a directory to go on in."""

    reserve: bool
    spare: bool

    def command(self, directory: Path) -> list[str]:
        """The process, on ``directory``."""
        spare = directory / "spare" if self.spare else ""
        reserve = RESERVE_BYTES if self.reserve else 0
        return [
            sys.executable,
            str(Path(fault_writer.__file__)),
            str(directory / "journal"),
            str(reserve),
            str(spare),
        ]


WAYS = {"alone": Way(False, False), "reserve": Way(True, False), "spare": Way(True, True)}


def strace(trace: Path, way: Way, directory: Path, *arguments: str) -> str:
    """Run the writer under strace; what it said."""
    (directory / "spare").mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["strace", "-o", str(trace), "-y", "-e", f"trace={CALLS}", *arguments, *way.command(directory)],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place to work in, where strace is there and may trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: no faults can be injected into system calls")
    probe = subprocess.run(
        ["strace", "-o", os.devnull, "-e", "inject=getppid:error=EIO", "true"], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr.decode(errors='replace').strip()[-200:]}")
    return tmp_path_factory.mktemp("faults")


def calls(place: Path, way: Way) -> list[tuple[str, int]]:
    """The writer's own system calls in order: each with how many of its name the process made until then."""
    directory, trace = place / "clean", place / "clean.trace"
    said = strace(trace, way, directory)
    assert said.count("durable") == fault_writer.BATCHES, said
    counted: Counter[str] = Counter()
    found = []
    for line in trace.read_text().splitlines():
        name = _LINE.match(line)
        if name is None:
            continue
        counted[name[1]] += 1
        if str(directory) in line:
            found.append((name[1], counted[name[1]]))
    assert {"openat", "write", "fdatasync", "fsync", "rename"} <= {name for name, _ in found}
    return found


def judge(said: str, directory: Path, way: Way, what: str) -> None:
    """What must hold after any fault: what was durable is there and right, and the next start goes on."""
    durable = max((int(line.split()[1]) for line in said.splitlines() if line.startswith("durable")), default=0)
    journal = directory / "journal"
    spare = directory / "spare" if way.spare else None
    with Writer(journal, segment_bytes=1024, spare=spare) as writer:
        assert writer.next_seq > durable, (
            f"{what}: {durable} records were durable, {writer.next_seq - 1} are there"
        )
    verified = verify(journal)
    assert verified.verified, f"{what}: {verified.damage}"
    records = list(read(journal))
    assert [record.seq for record in records] == list(range(1, len(records) + 1)), what
    assert all(record.payload == fault_writer.payload(record.seq) for record in records), what
    again = subprocess.run(way.command(directory), capture_output=True, text=True, timeout=60, check=False)
    total = len(records) + fault_writer.BATCHES * fault_writer.BATCH_RECORDS
    assert again.stdout.splitlines()[-1:] == [f"durable {total}"], f"{what}: {again.stdout}{again.stderr}"
    assert verify(journal).last_seq == total, what


def inject(place: Path, name: str, way: Way, number: int, call: tuple[str, int], fault: str) -> str:
    """One fault in one call; what the writer said then."""
    directory, trace = place / f"{number}-{fault}", place / f"{number}-{fault}.trace"
    said = strace(trace, way, directory, "-e", f"inject={call[0]}:{FAULTS[fault]}:when={call[1]}")
    what = f"{name}, call {number} ({call[0]} number {call[1]}), {fault}"
    hit = [line for line in trace.read_text().splitlines() if "INJECTED" in line or "killed by SIGKILL" in line]
    assert hit, f"{what}: the call was not made"
    judge(said, directory, way, f"{what}: {hit[0]}")
    shutil.rmtree(directory)
    return said


def every(place: Path, name: str, step: int) -> Iterator[tuple[str, str]]:
    """Every ``step``-th of calls × faults broken; the faults with what the writer said."""
    way = WAYS[name]
    cases = [(number, call, fault) for number, call in enumerate(calls(place, way)) for fault in FAULTS][::step]
    with ThreadPoolExecutor(2) as threads:
        yield from threads.map(lambda case: (case[2], inject(place, name, way, *case)), cases)


def check(traced: Path, name: str, step: int) -> None:
    place = traced / f"{name}-{step}"
    place.mkdir()
    said = list(every(place, name, step))
    print(f"{name}: {len(said)} faults injected")
    gave_up = {fault for fault, text in said if "durable 36" not in text}
    assert "SIGKILL" in gave_up
    # With another disk to go on, no failing call but those of the opening ends the writer.
    ended = sum("refused" in text and "durable" in text for _, text in said)
    assert (ended == 0) == WAYS[name].spare, f"{ended} faults ended a writer that was under way"


@pytest.mark.parametrize("name", WAYS)
def test_some_calls_broken(traced: Path, name: str) -> None:
    check(traced, name, 13)


@pytest.mark.full
@pytest.mark.parametrize("name", WAYS)
def test_every_call_broken(traced: Path, name: str) -> None:
    check(traced, name, 1)
