"""The simulation finds bugs: each way to break a rule on purpose is noticed within a few days."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from disk import on_memory
from judge import divide
from line import Broken
from setting import Troubles, configured
from world import Day

from fixgateway import reconcile, sender
from fixgateway.core import gate, methods, targets
from fixgateway.journal import segments
from fixgateway.sessions import store

DAYS = 40

Break = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Where simulated days are played, one after another."""
    with on_memory() as made:
        yield made


def found(place: Path, troubles: Troubles) -> str:
    """What the first bad day says."""
    given = configured(place)
    for seed in range(DAYS):
        try:
            Day(seed, place, given, troubles).run()
        except Broken as broken:
            return str(broken)
    return ""


def no_sync(patch: pytest.MonkeyPatch) -> None:
    """Messages leave although the journal is only written."""
    patch.setattr(segments, "fdatasync", lambda _fd: None)


def no_adoption(patch: pytest.MonkeyPatch) -> None:
    """What the FIX store sent and a crash kept from the journal is sent again."""
    patch.setattr(reconcile.Reconciler, "_adopt", lambda *_: None)


def target_too_high(patch: pytest.MonkeyPatch) -> None:
    """After a crash the FIX store's word counts for what was received."""
    patch.setattr(store, "prepare_target", lambda *_: 1)


def no_cover(patch: pytest.MonkeyPatch) -> None:
    """Orders beyond the statement's quantity pass."""
    patch.setattr(gate, "fits", lambda *_: None)


def favourite(patch: pytest.MonkeyPatch) -> None:
    """One unit goes from the last account to the first."""
    right = methods.allocate

    def wrong(*given: Any) -> Any:
        division = right(*given)
        lines = division.lines
        if len(lines) < 2 or not lines[-1].quantity or lines[0].quantity >= lines[0].intent:
            return division
        first = replace(lines[0], quantity=lines[0].quantity + Decimal(1))
        last = replace(lines[-1], quantity=lines[-1].quantity - Decimal(1))
        return replace(division, lines=(first, *lines[1:-1], last))

    patch.setattr(targets, "allocate", wrong)


def forgetful(patch: pytest.MonkeyPatch) -> None:
    """What waits for a session that is down is lost."""
    patch.setattr(sender.Sender, "keep", lambda *_: None)


@pytest.mark.parametrize(
    ("break_it", "words", "troubles"),
    [
        (no_sync, "durable there is nothing", Troubles()),
        (no_adoption, "sent twice", Troubles(power=0)),
        (target_too_high, "never ", Troubles(power=0)),
        (no_cover, "brokers hold ", Troubles(crashes=0)),
        (favourite, "right is", Troubles(crashes=0)),
        (forgetful, "never ", Troubles(crashes=0)),
    ],
)
def test_a_broken_rule_is_noticed(
    place: Path, monkeypatch: pytest.MonkeyPatch, break_it: Break, words: str, troubles: Troubles
) -> None:
    break_it(monkeypatch)
    said = found(place, troubles)
    assert said, f"{DAYS} days passed with: {break_it.__doc__}"
    assert words in said


@pytest.mark.parametrize(
    ("filled", "wanted"),
    [(30_000, (15_000, 6_000, 3_000, 6_000)), (50_000, (25_000, 10_000, 5_000, 10_000)), (1, (1, 0, 0, 0)),
     (9, (4, 2, 1, 2)), (60_000, (25_000, 10_000, 5_000, 10_000))],
)  # fmt: skip
def test_the_judge_s_own_division_is_that_of_the_worked_example(filled: int, wanted: tuple[int, ...]) -> None:
    lines = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
    assert tuple(divide(lines, filled).values()) == wanted
