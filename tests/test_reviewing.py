"""The daily monitor on the records, and what of reviews is overdue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import structlog

from fixgateway.config import settings as reading
from fixgateway.config.settings import Settings
from fixgateway.core.desk_inputs import RecordReview, ReportAlert
from fixgateway.records.database import connect, create_schema
from fixgateway.reviewing import Ports, ReviewWatch, crossed, monitored, overdue

NEW_YORK = ZoneInfo("America/New_York")
DAY_NS = 86_400_000_000_000
CONFIG = """
[gateway]
data_dir = "var"
[reviews]
every_days = 92
sign_days = 30
[[oms]]
comp_id = "OMS1"
brokers = ["BRK1"]
[[broker]]
comp_id = "BRK1"
host = "127.0.0.1"
port = 9877
"""


@pytest.fixture
def given(tmp_path: Path) -> Settings:
    (tmp_path / "gateway.toml").write_text(CONFIG)
    (tmp_path / "policy.toml").write_text(Path("config/policy.toml").read_text())
    (tmp_path / "accounts.csv").write_text(Path("config/accounts.csv").read_text())
    create_schema(connect("sqlite:///{data_dir}/records.db", tmp_path / "var"))
    return reading.load(str(tmp_path / "gateway.toml"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("before", "now", "when", "expected"),
    [
        ("2026-11-20T22:59:50", "2026-11-20T23:00:10", "23:00", True),
        ("2026-11-20T23:00:10", "2026-11-20T23:00:30", "23:00", False),
        ("2026-11-20T22:59:50", "2026-11-20T23:00:00", "23:00", True),
        ("2026-11-20T22:00:00", "2026-11-21T01:00:00", "23:00", True),  # the machine slept over it
        ("2026-11-20T23:00:00", "2026-11-20T22:00:00", "22:30", False),  # the clock was set back
        ("2026-11-20T22:59:50", "2026-11-20T23:00:10", "off", False),
    ],
)
def test_the_time_of_day_comes_once(before: str, now: str, when: str, expected: bool) -> None:
    assert crossed(at(before), at(now), when) is expected


def review(review_id: str, age_days: int, *, signed: bool) -> dict[str, Any]:
    ts_ns = (1_000 - age_days) * DAY_NS
    return {"review_id": review_id, "ts_ns": ts_ns, "time": "2026-01-01T", "signatures": [{}] if signed else []}


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([], ["no forensic review was run yet"]),
        ([("R1", 10, True)], []),
        ([("R1", 10, False)], []),
        ([("R1", 31, False)], ["not signed 30 days after they were run: R1"]),
        ([("R1", 93, True)], ["no forensic review was run since"]),
        ([("R2", 1, True), ("R1", 93, False)], ["not signed 30 days after they were run: R1"]),
    ],
)
def test_overdue_reviews_are_said(given: Settings, runs: list[tuple[str, int, bool]], words: list[str]) -> None:
    told = overdue([review(name, age, signed=signed) for name, age, signed in runs], 1_000 * DAY_NS, given)
    assert len(told) == len(words)
    assert all(text.startswith(word) for text, word in zip(told, words, strict=True))


def test_a_day_s_look_journals_the_monitor_and_alerts_what_is_overdue(given: Settings) -> None:
    taken: list[object] = []

    def give(make: Callable[[int, int], Any]) -> None:
        taken.append(make(7, 1))

    now = at("2026-11-20T23:00:10")
    ports = Ports(lambda: now, lambda: 1_000 * DAY_NS, lambda: True, give, lambda _: [])
    ReviewWatch(given, ports, structlog.get_logger()).look()
    recorded, alert = taken
    assert isinstance(recorded, RecordReview)
    assert (recorded.kind, recorded.actor, recorded.verdict) == ("monitor", "gateway", "insufficient")
    assert isinstance(alert, ReportAlert)
    assert "no forensic review" in alert.text


def test_a_look_that_fails_ends_nothing(given: Settings) -> None:
    def give(_: Callable[[int, int], Any]) -> None:
        raise OSError("gone")

    now = [at("2026-11-20T22:59:50")]
    ports = Ports(lambda: now[0], lambda: 0, lambda: False, give, lambda _: [])
    watch = ReviewWatch(given, ports, structlog.get_logger())
    now[0] += timedelta(seconds=20)
    watch.look()
    stop = threading.Event()
    stop.set()
    watch.run(stop)


def test_records_without_blocks_say_so(given: Settings) -> None:
    told = monitored(given.records.url, str(given.data_dir), "")
    assert (told["verdict"], told["summary"]) == ("insufficient", "no blocks are recorded")
