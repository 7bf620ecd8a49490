"""The clock's offset: what the kernel says, in words, told once."""

from __future__ import annotations

import pytest

from fixgateway.monitor.clocksync import Clock, ClockWatch, problem, reading

MS = 1_000_000


@pytest.mark.parametrize(
    ("clock", "limit_ms", "words"),
    [
        (Clock(True, 0, MS), 1, ""),
        (Clock(True, MS, MS), 1, ""),
        (Clock(True, -MS, MS), 1, ""),
        (Clock(True, MS + 1, MS), 1, "the clock is 1.000 ms from UTC (error at most 1.000 ms); the limit is 1 ms"),
        (Clock(True, -50 * MS, 7 * MS), 10, "the clock is -50.000 ms from UTC"),
        (Clock(False, 0, 0), 1_000, "unknown"),
    ],
)
def test_a_clock_is_good_kept_and_within_the_limit_only(clock: Clock, limit_ms: int, words: str) -> None:
    found = problem(clock, limit_ms)
    assert words in found
    assert bool(words) == bool(found)


def test_it_is_told_once_and_again_after_it_was_good() -> None:
    told: list[str] = []
    readings = iter([Clock(False), Clock(False), Clock(True), Clock(True, 9 * MS), Clock(True, 9 * MS)])
    watch = ClockWatch(5, told.append, lambda: next(readings))
    assert [bool(watch.look()) for _ in range(5)] == [True, True, False, True, True]
    assert ["unknown" in words for words in told] == [True, False]


def test_the_kernel_is_asked_and_nothing_breaks() -> None:
    clock = reading()
    assert isinstance(clock.kept, bool)
    assert abs(clock.offset_ns) < 10**12
    assert clock.error_ns >= 0
