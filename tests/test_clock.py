"""The gateway's clock never goes back, and says when it cannot be trusted."""

from __future__ import annotations

import time
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from fixgateway.clock import Clock, local


def test_readings_never_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([100, 90, 95, 101])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings))
    clock = Clock(50)
    assert [clock.now_ns() for _ in range(4)] == [100, 100, 100, 101]


def test_a_step_back_beyond_the_limit_is_said_until_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    second = 1_000_000_000
    readings = iter([100 * second, 99 * second, 90 * second, 100 * second + 1])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings))
    clock = Clock()
    said = []
    for _ in range(4):
        clock.now_ns()
        said.append(clock.stepped_back)
    assert said == ["", "", "the clock was stepped back by 10 seconds", ""]


def test_a_journal_from_the_future_counts_as_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000_000)
    clock = Clock(last_ns=65_000_000_000)
    assert clock.now_ns() == 65_000_000_000
    assert "60 seconds" in clock.stepped_back


def test_the_trade_date_is_local() -> None:
    new_york = ZoneInfo("America/New_York")
    late_evening_ns = 1_795_487_399 * 1_000_000_000
    assert local(late_evening_ns, ZoneInfo("UTC"))[0] == date(2026, 11, 24)
    assert local(late_evening_ns, new_york) == (date(2026, 11, 23), "21:29:59")
