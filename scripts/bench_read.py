"""Verifies and replays the journal of a stopped gateway and prints what that took, for scripts/bench."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixgateway.journal.verification import verify
from fixgateway.replay import replay


def timed(read: Callable[[Path], Any], data_dir: Path) -> tuple[Any, float]:
    """What ``read`` says of the journal, and its seconds."""
    before = time.perf_counter()
    found = read(data_dir)
    return found, time.perf_counter() - before


def main() -> None:
    """Measure the journal of the data directory ``sys.argv[1]``."""
    data_dir = Path(sys.argv[1])
    verified, verify_seconds = timed(verify, data_dir)
    if not verified.verified:
        sys.exit(verified.damage)
    replayed, replay_seconds = timed(replay, data_dir)
    if replayed.first:
        sys.exit(replayed.first.text)
    records = verified.records
    rates = {"verify_per_second": records / verify_seconds, "replay_per_second": records / replay_seconds}
    print(json.dumps({"records": records, **rates}))


if __name__ == "__main__":
    main()
