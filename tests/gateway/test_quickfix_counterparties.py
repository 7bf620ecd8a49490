"""The worked example against counterparties made with the quickfix package, its stock dictionary fully on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from live import WORKED_SHARES, Live, today, until

HERE = Path(__file__).parent


class Script:
    """A counterparty's process and the facts it prints."""

    def __init__(self, name: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / name), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent / "support")},
        )
        self.facts: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.facts.append(json.loads(line))

    def fact(self, key: str) -> dict[str, Any]:
        """Wait for the first fact with ``key``."""
        until(lambda: any(key in fact for fact in self.facts), f"{key} in {self.facts}", 20)
        return next(fact for fact in self.facts if key in fact)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def test_the_worked_example_with_a_quickfix_oms_and_a_quickfix_broker(make: Callable[..., Live]) -> None:
    live = make(down=["BRK1"])
    broker = Script("qf_broker.py", str(live.ports["BRK1"]))
    oms = None
    try:
        broker.fact("event")
        live.start()
        oms = Script("qf_oms.py", str(live.fix_port), today())
        assert oms.process.wait(40) == 0, (oms.facts, broker.facts)
        assert oms.fact("blocked") == {
            "blocked": "C0",
            "reason": "99",
            "text": "GW-101 no allocation statement for AllocID S-9",
        }
        assert oms.fact("registered") == {"registered": "S-1", "status": "0"}
        assert [fact["price"] for fact in oms.facts if "fill" in fact] == ["99.90", "100", "100.10"]
        assert oms.fact("allocation") == {"allocation": WORKED_SHARES, "status": "0", "total": "30000"}
        assert broker.fact("order") == {"order": "C1", "quantity": "50000", "alloc_id": "S-1"}
        assert broker.fact("allocation") == {
            "allocation": WORKED_SHARES,
            "total": "30000",
            "avg_px": "100.0000",
            "trans_type": "0",
            "alloc_type": "1",
        }
        assert [fact for fact in (*oms.facts, *broker.facts) if "error" in fact] == []
        assert live.rows("SELECT status FROM allocations") == [("accepted",)]
        live.end_well()
    finally:
        broker.end()
        if oms is not None:
            oms.end()
