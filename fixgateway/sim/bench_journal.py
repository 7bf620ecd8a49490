"""What a journal costs to read: verified, replayed, and read at a start.

The reading itself is timed in a process of its own (scripts/bench_read.py), as whoever checks a journal would.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import fixgateway
from fixgateway.errors import FixgatewayError
from fixgateway.sim.process import GatewayFiles, GatewayProcess

READ_SCRIPT = Path(fixgateway.__file__).parents[1] / "scripts" / "bench_read.py"
UP_SECONDS = 600.0
_STEP_SECONDS = 0.02


class BenchError(FixgatewayError):
    """A measurement that cannot count: orders lost or rejected, a process that ended, a journal not verified."""


@dataclass(frozen=True, slots=True)
class ReadRates:
    """Records of one journal, and how many of them are verified and replayed in a second."""

    records: int
    verify_per_second: float
    replay_per_second: float


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds from starting the process to open doors.

    ``empty_seconds``: with no journal; the others with one of ``records`` records.
    """

    records: int
    empty_seconds: float
    snapshot_seconds: float
    journal_seconds: float


def read_rates(directory: Path) -> ReadRates:
    """Verify and replay the journal of a stopped gateway with its files in ``directory``, in a process of its own.

    Raises:
        BenchError: it does not verify, or replay differs.
    """
    data_dir = directory / "var"
    command = [sys.executable, str(READ_SCRIPT), str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the journal in {data_dir} cannot be measured: {done.stderr.strip()[-500:]}")
    return ReadRates(**json.loads(done.stdout))


def start_seconds(files: GatewayFiles) -> float:
    """Start a gateway on its data directory, wait for open doors, stop it again.

    Raises:
        BenchError: it did not come up.
    """
    before = time.monotonic()
    with GatewayProcess(files) as gateway:
        while not gateway.get("/healthz")[0]:
            if gateway.process.poll() is not None or time.monotonic() - before > UP_SECONDS:
                raise BenchError(f"the gateway did not start:\n{gateway.tail()}")
            time.sleep(_STEP_SECONDS)
        taken = time.monotonic() - before
        gateway.stop(UP_SECONDS)
    return taken


def starts(files: GatewayFiles, empty_seconds: float) -> Starts:
    """Start a stopped gateway from its newest snapshot, and from its journal alone.

    Raises:
        BenchError: it left no snapshot, or did not come up.
    """
    snapshots = files.data_dir / "snapshots"
    if not any(snapshots.glob("*.fgs")):
        raise BenchError(f"no snapshot in {snapshots}; the gateway says:\n{GatewayProcess.tail_of(files)}")
    records = read_rates(files.directory).records
    with_snapshot = start_seconds(files)
    shutil.rmtree(snapshots)
    return Starts(records, empty_seconds, with_snapshot, start_seconds(files))
