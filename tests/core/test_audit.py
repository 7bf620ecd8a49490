"""A proposed allocation against the statement: every departure named, in plain words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgateway.core.audit import breaches
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import Line, Remainder, Ties

EXAMPLE = [
    Line("CLIENT-A", Decimal(25_000)),
    Line("CLIENT-B", Decimal(10_000)),
    Line("CLIENT-C", Decimal(5_000)),
    Line("PROP", Decimal(10_000)),
]
TERMS = Terms("S", Decimal(1), Decimal(0), Ties.SEEDED, Remainder.LARGEST_SHORTFALL, "ab" * 32)
FILLED = Decimal(30_000)


def texts(proposed: dict[str, int], lines: list[Line] = EXAMPLE, filled: Decimal = FILLED) -> list[str]:
    found = breaches(lines, filled, TERMS, {account: Decimal(q) for account, q in proposed.items()})
    return [breach.text for breach in found]


def test_the_cherry_picking_of_the_example() -> None:
    assert texts({"PROP": 15_000, "CLIENT-A": 15_000}) == [
        "CLIENT-B is short of its computed 6,000 by 6,000",
        "CLIENT-C is short of its computed 3,000 by 3,000",
        "PROP exceeds intent by 5,000",
        "PROP is above its computed 6,000 by 9,000",
    ]


def test_the_allocation_itself_has_no_breach() -> None:
    assert texts({"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}) == []


def test_strangers_sums_and_signs() -> None:
    assert texts({"CLIENT-A": 12_000, "CLIENT-B": 6_000, "CLIENT-C": -3_000, "PROP": 6_000, "X": 1_000}) == [
        "CLIENT-A is short of its computed 15,000 by 3,000",
        "CLIENT-C would get -3,000, below zero",
        "CLIENT-C is short of its computed 3,000 by 6,000",
        "X is not in the statement and would get 1,000",
        "adds up to 22,000, not to the 30,000 to allocate",
    ]


def test_an_overfill_is_not_to_be_allocated() -> None:
    full = {line.account: int(line.quantity) for line in EXAMPLE}
    assert texts(full, filled=Decimal(50_100)) == []
    assert texts({**full, "PROP": 10_100}, filled=Decimal(50_100)) == [
        "PROP exceeds intent by 100",
        "PROP is above its computed 10,000 by 100",
        "adds up to 50,100, not to the 50,000 to allocate",
    ]


def test_a_holding_is_a_bound() -> None:
    held = [replace(EXAMPLE[0], cap=Decimal("1000.5")), *EXAMPLE[1:]]
    assert "CLIENT-A exceeds its holding by 13,999.5" in texts({"CLIENT-A": 15_000}, lines=held)


@given(st.lists(st.integers(-5, 40), min_size=4, max_size=4), st.integers(0, 50))
def test_no_breach_means_the_computed_allocation(proposed: list[int], filled: int) -> None:
    lines = [replace(line, quantity=line.quantity / 1000) for line in EXAMPLE]
    computed = [line.quantity for line in allocate(lines, Decimal(filled), TERMS).lines]
    given_out = {line.account: Decimal(q) for line, q in zip(lines, proposed, strict=True)}
    found = breaches(lines, Decimal(filled), TERMS, given_out)
    assert (not found) == (proposed == computed)
    assert all(breach.by > 0 for breach in found)


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match=r"CLIENT-A: 15000\.0 is a float"):
        breaches(EXAMPLE, FILLED, TERMS, {"CLIENT-A": 15_000.0})  # type: ignore[dict-item]
