"""Market calendars: real days of real markets, in local times; what goes wrong; renewal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import structlog

from fixgateway.calendar_watch import RENEW_DAYS, CalendarWatch
from fixgateway.config import calendar, policy, settings, setup
from fixgateway.core.calendar import market_day
from fixgateway.core.model import Calendar, MarketDay, Policy
from fixgateway.errors import ConfigError

NEW_YORK = policy.load(Path(__file__).parents[2] / "config" / "policy.toml")
TODAY = date(2026, 11, 22)


def named(name: str, **more: object) -> Policy:
    return replace(NEW_YORK, calendar=name, **more)  # type: ignore[arg-type]


# NYSE, "Holidays & Trading Hours", 2026 and 2027; LSE, business days 2026.
@pytest.mark.parametrize(("name", "zone", "closed", "early", "whole"), [
    ("XNYS", "America/New_York",
     ["2026-11-26", "2026-12-25", "2027-01-01", "2027-01-18", "2027-02-15", "2027-03-26", "2027-05-31",
      "2027-06-18", "2027-07-05", "2027-09-06", "2027-11-25", "2027-12-24"],
     {"2026-11-27": "13:00", "2026-12-24": "13:00", "2027-11-26": "13:00"}, ("2026-11-23", "09:30", "16:00")),
    ("XLON", "Europe/London", ["2026-12-25", "2026-12-28", "2027-01-01"],
     {"2026-12-24": "12:30", "2026-12-31": "12:30"}, ("2026-11-26", "08:00", "16:30")),
])  # fmt: skip
def test_published_days(
    name: str, zone: str, closed: list[str], early: dict[str, str], whole: tuple[str, str, str]
) -> None:
    found = calendar.read(named(name, timezone=zone), TODAY)
    assert (found.first, found.last) == (date(2026, 11, 12), date(2027, 12, 27))
    assert [day for day in closed if market_day(found, date.fromisoformat(day)) is not None] == []
    assert not any(x.day.weekday() > 4 for x in found.days)
    halves = {x.day.isoformat(): x.close for x in found.days if x.early}
    assert early.items() <= halves.items()
    assert market_day(found, date.fromisoformat(whole[0])) == MarketDay(
        date.fromisoformat(whole[0]), whole[1], whole[2]
    )


def test_days_the_policy_calls_closed() -> None:
    assert market_day(calendar.read(named("24/7", closed=(TODAY,)), TODAY), TODAY) is None


def test_a_calendar_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="there is no calendar 'NOPE'"):
        calendar.read(named("NOPE"), TODAY)
    found, problems = calendar.of_policy(named("NOPE"), "policy.toml")
    assert found is None
    assert str(problems[0]).startswith("policy.toml: deadlines.calendar: there is no calendar 'NOPE'")


def test_without_a_calendar_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a child was started"))
    assert calendar.of_policy(NEW_YORK, "policy.toml") == (None, [])


def test_a_child_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("calendar", 1)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(ConfigError, match="the days of XNYS cannot be had: TimeoutExpired"):
        calendar.read(named("XNYS"), TODAY)


def test_sessions_across_local_days() -> None:
    tokyo, new_york = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")
    day = date(2026, 11, 24)
    hours = (day, datetime(2026, 11, 24, 9, tzinfo=tokyo), datetime(2026, 11, 24, 15, 30, tzinfo=tokyo))
    assert calendar.days_of([hours], set(), tokyo) == [("2026-11-24", "09:00", "15:30", False)]
    assert calendar.days_of([hours], {day}, new_york) == [("2026-11-24", "00:00", "01:30", True)]
    with pytest.raises(ConfigError, match="closes on another day in Pacific/Honolulu"):
        calendar.days_of([hours], set(), ZoneInfo("Pacific/Honolulu"))
    midnight = (day, datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC))
    assert calendar.days_of([midnight], set(), ZoneInfo("UTC")) == [("2026-11-24", "00:00", "23:59", False)]


def test_the_library_stays_out_of_the_gateways_process() -> None:
    script = (
        "import sys, fixgateway.gateway, fixgateway.cli.main, fixgateway.config.setup as s;"
        "assert not {'pandas', 'exchange_calendars', 'numpy'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_keys_reach_the_core(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "config"
    for name in ("gateway.toml", "policy.toml", "accounts.csv"):
        (tmp_path / name).write_text((shipped / name).read_text())
    text = (tmp_path / "policy.toml").read_text().replace(
        "[deadlines]",
        '[deadlines]\ncalendar = "24/7"\nclosed = [2027-01-04]\nallocate_after_close = 90\n'
        "affirm_after_close = 180\nwarn_minutes = 15",
    )  # fmt: skip
    (tmp_path / "policy.toml").write_text(text)
    gateway = tmp_path / "gateway.toml"
    gateway.write_text(
        gateway.read_text().replace(
            'profile = "default"',
            'profile = "default"\nconfirmations = true\nfinal_timeout_seconds = 60\nprice_tolerance = "0.005"\n'
            'money_tolerance = "1.5"',
        )
    )
    built = setup.load(settings.load(gateway))
    terms = built.policy
    got = (terms.calendar, terms.closed, terms.allocate_after_close, terms.affirm_after_close, terms.warn_minutes)
    assert got == ("24/7", (date(2027, 1, 4),), 90, 180, 15)
    assert built.life_cycle
    assert built.calendar is not None
    assert market_day(built.calendar, date(2027, 1, 4)) is None
    broker = built.brokers[0]
    assert (broker.confirmations, broker.final_timeout_seconds) == (True, 60)
    assert (str(broker.price_tolerance), str(broker.money_tolerance)) == ("0.005", "1.5")


def test_fix42_brokers_cannot_confirm(tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "config" / "gateway.toml").read_text()
    text = shipped.replace('begin_string = "FIX.4.4"', 'begin_string = "FIX.4.2"\nallocation_report = "J"', 1)
    text = text.replace('begin_string = "FIX.4.4"', 'begin_string = "FIX.4.2"\nconfirmations = true', 1)
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    assert "broker[BRK1].confirmations" in {problem.key for problem in settings.read(file)[1]}


# ---------------------------------------------------------------- renewal


def days(first: date, last: date, closed: date | None = None) -> Calendar:
    every = (first + timedelta(n) for n in range((last - first).days + 1))
    return Calendar("T", "UTC", "test", first, last, tuple(
        MarketDay(day, "09:00", "17:00") for day in every if day != closed
    ))  # fmt: skip


@pytest.mark.parametrize(("left", "closed", "renewed"), [
    (RENEW_DAYS + 1, None, False), (RENEW_DAYS, None, True), (RENEW_DAYS + 1, TODAY + timedelta(5), True),
    (RENEW_DAYS + 1, TODAY - timedelta(400), False),
])  # fmt: skip
def test_renewed_when_days_run_out_or_one_has_changed(left: int, closed: date | None, renewed: bool) -> None:
    known = days(TODAY, TODAY + timedelta(left))
    fresh = days(TODAY, TODAY + timedelta(400), closed)
    given: list[Calendar] = []
    CalendarWatch(lambda: known, lambda _: fresh, given.append, lambda: TODAY, structlog.get_logger()).look()
    assert given == ([fresh] if renewed else [])


def test_a_failed_look_up_changes_nothing() -> None:
    def fail(_: date) -> Calendar:
        raise ConfigError("the days of T cannot be had")

    given: list[Calendar] = []
    known = days(TODAY, TODAY + timedelta(3))
    CalendarWatch(lambda: known, fail, given.append, lambda: TODAY, structlog.get_logger()).look()
    assert given == []
