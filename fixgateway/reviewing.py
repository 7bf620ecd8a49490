"""Reviews of the gateway's own records: the daily monitor, what is overdue, and blotters for a review by hand.

Once a day, at ``reviews.monitor_at``, a child process writes the blotter of everything recorded and follows the
sequential monitor through it (:mod:`fixgateway.forensics.monitor`); what it says is journaled, and amber or red is an
alert (A9). It may look every day without losing its meaning. A day on which the gateway did not run at that time is
made up for the next day: the monitor always begins with the first block.

Overdue reviews are looked for at the same time, once people are recorded: before that nobody could sign one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from fixgateway.config.settings import Settings
from fixgateway.core.desk_inputs import RecordReview, ReportAlert
from fixgateway.core.inputs import Input
from fixgateway.errors import FixgatewayError
from fixgateway.pump import Pump
from fixgateway.records import desk_queries
from fixgateway.records.database import Engine, open_records
from fixgateway.records.queries import Record
from fixgateway.records.registers import Period

CHECK_SECONDS = 20.0
"""Time between two looks at the clock."""
TIMEOUT_SECONDS = 1_800.0
"""Longest a day's monitor may take."""
ACTOR = "gateway"
"""Who the journal says ran the monitor."""
OVERDUE = "GW-920"
NICE = 15
_NS_PER_DAY = 86_400_000_000_000


def write_blotter(engine: Engine, target: Path, period: Period | None = None) -> int:
    """Write the records' blotter; returns how many rows it has."""
    from fixgateway.exports import catalogue

    return catalogue.write(engine, "blotter", "csv", period or Period(), target)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---------------------------------------------------------------- the thread


@dataclass(frozen=True, slots=True)
class Ports:
    """What the watch needs of the gateway.

    ``now`` is the local time of the policy's zone; ``people`` says whether anybody is recorded; ``give`` hands an input
    to the engine and waits; ``reviews`` reads the newest reviews of a kind.
    """

    now: Callable[[], datetime]
    now_ns: Callable[[], int]
    people: Callable[[], bool]
    give: Callable[[Callable[[int, int], Input]], object]
    reviews: Callable[[str], Sequence[Record]]


class ReviewWatch:
    """Runs the daily monitor and looks for overdue reviews.

    Args:
        settings: names the records, the plan and the times. ports: the running gateway. log: where failures are told.
    """

    def __init__(self, settings: Settings, ports: Ports, log: structlog.stdlib.BoundLogger) -> None:
        self._settings = settings
        self._ports = ports
        self._log = log
        self._last = ports.now()

    def run(self, stop: threading.Event) -> None:
        """Look at the clock until ``stop`` is set."""
        while not stop.wait(CHECK_SECONDS):
            before, self._last = self._last, self._ports.now()
            if crossed(before, self._last, self._settings.reviews.monitor_at):
                self.look()

    def look(self) -> None:
        """One day's look; whatever goes wrong, the gateway goes on and the log says so."""
        try:
            self._monitor()
            self._overdue()
        except Exception as error:  # a review must never end its thread: tomorrow is another day
            self._log.error("reviews.failed", error=f"{type(error).__name__}: {error}")

    def _monitor(self) -> None:
        told = _child(self._settings)
        name = f"M{self._ports.now():%Y%m%d-%H%M%S}"
        self._ports.give(
            lambda seq, ts_ns: RecordReview(
                seq, ts_ns, ACTOR, "monitor", name, told["plan_sha256"], told["data_sha256"], told["seed"],
                told["verdict"], told["summary"], told["first"], told["last"], told["result"],
            )
        )  # fmt: skip
        self._log.info("reviews.monitor", review=name, verdict=told["verdict"], wealth=told["wealth"])

    def _overdue(self) -> None:
        if not self._ports.people():
            return
        for text in overdue(self._ports.reviews("run"), self._ports.now_ns(), self._settings):
            self._ports.give(
                lambda seq, ts_ns, words=text: ReportAlert(seq, ts_ns, OVERDUE, "warning", "reviews", words)  # type: ignore[misc]
            )


def crossed(before: datetime, now: datetime, at: str) -> bool:
    """Whether a local time of day (``HH:MM``) came between two readings; never when it is ``off``."""
    if at == "off" or now <= before:
        return False
    hour, minute = int(at[:2]), int(at[3:])
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return any(before < moment <= now for moment in (today, today - timedelta(days=1)))


def overdue(runs: Sequence[Record], now_ns: int, settings: Settings) -> list[str]:
    """What of reviews is overdue, in words; ``runs`` are the reviews run, newest first."""
    found = []
    every, sign = settings.reviews.every_days, settings.reviews.sign_days
    newest = max((run["ts_ns"] for run in runs), default=0)
    if every and now_ns - newest > every * _NS_PER_DAY:
        since = f"since {runs[0]['time'][:10]}" if runs else "yet"
        found.append(f"no forensic review was run {since}; one is due every {every} days")
    unsigned = [x["review_id"] for x in runs if not x["signatures"] and now_ns - x["ts_ns"] > sign * _NS_PER_DAY]
    if sign and unsigned:
        found.append(f"not signed {sign} days after they were run: {', '.join(unsigned[:5])}")
    return found


def _child(settings: Settings) -> dict[str, Any]:
    """The monitor's word on the records, from a process of its own."""
    reviews = settings.reviews
    request = {
        "records_url": settings.records.url,
        "data_dir": str(settings.data_dir),
        "plan": str(settings.file.parent / reviews.plan) if reviews.plan else "",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fixgateway.reviewing"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,  # a Ctrl-C is for the gateway
        )
    except subprocess.TimeoutExpired:
        raise FixgatewayError(f"the monitor took longer than {TIMEOUT_SECONDS:.0f} seconds") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise FixgatewayError(f"the monitor's process ended with {done.returncode}: {words[-1] if words else ''}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise FixgatewayError(answer["error"])
    return answer


# ---------------------------------------------------------------- the child


def monitored(records_url: str, data_dir: str, plan_file: str) -> dict[str, Any]:
    """Follow the monitor through everything recorded.

    Raises:
        FixgatewayError: the records do not answer, or the plan cannot be read.
    """
    from fixgateway.forensics import blotter, plan
    from fixgateway.forensics.monitor import watch
    from fixgateway.forensics.prepare import prepare

    made = plan.load(plan_file) if plan_file else plan.default()
    with tempfile.TemporaryDirectory(prefix="fixgateway-review-") as directory:
        path = Path(directory) / "blotter.csv"
        rows = write_blotter(open_records(records_url, data_dir), path)
        if not rows:
            return _nothing(made.sha256, sha256_of(path))
        review = prepare(blotter.read(path), made, "")
        found = watch(review, made.sha256)
    document = found.document()
    days = review.blocks["trade_date"]
    text = json.dumps(document, sort_keys=True)
    return {
        "plan_sha256": made.sha256,
        "data_sha256": review.data_sha256,
        "seed": document["seed"],
        "verdict": document["verdict"],
        "summary": f"wealth {document['wealth']:.3g}, highest {document['highest']:.3g}, {document['bets']} bets on "
        f"{document['days']} days (amber from {document['amber_at']:g}, red from {document['red_at']:g})",
        "first": str(days.min() or ""),
        "last": str(days.max() or ""),
        "result": hashlib.sha256(text.encode()).hexdigest(),
        "wealth": round(document["wealth"], 6),
    }


def _nothing(plan_sha256: str, data_sha256: str) -> dict[str, Any]:
    return {
        "plan_sha256": plan_sha256, "data_sha256": data_sha256, "seed": "", "verdict": "insufficient",
        "summary": "no blocks are recorded", "first": "", "last": "", "result": "", "wealth": 1.0,
    }  # fmt: skip


def main() -> None:
    """Answer the request on standard input."""
    os.nice(NICE)
    try:
        request = json.load(sys.stdin)
        answer = monitored(request["records_url"], request["data_dir"], request["plan"])
    except FixgatewayError as error:
        answer = {"error": str(error)}
    json.dump(answer, sys.stdout)


# ---------------------------------------------------------------- composition


def start(
    settings: Settings, pump: Pump, database: Engine, log: structlog.stdlib.BoundLogger, stop: threading.Event
) -> None:
    """Start the watch of a running gateway; ``stop`` ends it."""

    def zone() -> ZoneInfo:
        state = pump.memory.engine.state
        return ZoneInfo(state.setup.policy.timezone if state is not None else "UTC")

    ports = Ports(
        now=lambda: datetime.now(zone()),
        now_ns=time.time_ns,
        people=lambda: bool(pump.memory.engine.state and pump.memory.engine.state.people),
        give=pump.ask,
        reviews=lambda kind: desk_queries.reviews(database, kind),
    )
    watch = ReviewWatch(settings, ports, log)
    threading.Thread(target=watch.run, args=(stop,), name="reviews", daemon=True).start()


if __name__ == "__main__":
    main()
