"""Average price against the figures of the FIX specification."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import World

from fixgateway.core.model import PriceRounding, Side, Statement
from fixgateway.core.pricing import average, day_average, round_half_up, written


def test_the_specification_s_average() -> None:
    """FIX 4.2 Errata 20010501, allocation example: 100.1389 at 4 decimals."""
    fills = [("3000", "100.00"), ("1000", "100.25"), ("3000", "100.00"), ("2000", "100.50")]
    exact = average((Decimal(q), Decimal(p)) for q, p in fills)
    assert exact == Fraction(90125, 900)
    assert round_half_up(exact, 4) == "100.1389"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        ("0", 4, "0.0000"),
        ("1/2", 0, "1"),
        ("5/4", 1, "1.3"),
        ("-5/4", 1, "-1.3"),
        ("-1/100", 1, "0.0"),
        ("1305889/1000", 3, "1305.889"),
        ("7", 0, "7"),
        ("1/3", 9, "0.333333333"),
    ],
)
def test_half_up_once(value: str, decimals: int, text: str) -> None:
    assert round_half_up(Fraction(value), decimals) == text


@given(st.decimals(-(10**9), 10**9, places=6), st.integers(0, 6))
def test_agrees_with_decimal_rounding(value: Decimal, decimals: int) -> None:
    expected = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    assert Decimal(round_half_up(Fraction(value), decimals)) == expected


def test_nothing_filled() -> None:
    assert average([]) == 0


@pytest.mark.parametrize(
    ("value", "half_up", "half_even", "down"),
    [
        ("0.125", "0.13", "0.12", "0.12"),
        ("0.135", "0.14", "0.14", "0.13"),
        ("0.1351", "0.14", "0.14", "0.13"),
        ("-0.125", "-0.13", "-0.12", "-0.12"),
        ("-0.001", "0.00", "0.00", "0.00"),
        ("2/3", "0.67", "0.67", "0.66"),
    ],
)
def test_the_three_rules_of_rounding(value: str, half_up: str, half_even: str, down: str) -> None:
    texts = [written(Fraction(value), 2, rule) for rule in PriceRounding]
    assert texts == [half_up, half_even, down]


@given(st.decimals(-(10**9), 10**9, places=6), st.integers(0, 6), st.sampled_from(PriceRounding))
def test_every_rule_agrees_with_decimal_rounding(value: Decimal, decimals: int, rule: PriceRounding) -> None:
    theirs = {PriceRounding.HALF_UP: ROUND_HALF_UP, PriceRounding.HALF_EVEN: ROUND_HALF_EVEN,
              PriceRounding.DOWN: ROUND_DOWN}  # fmt: skip
    expected = value.quantize(Decimal(1).scaleb(-decimals), theirs[rule])
    assert Decimal(written(Fraction(value), decimals, rule)) == expected


# ---------------------------------------------------------------- the day's average


def _statement(**more: Any) -> Statement:
    world = World()
    world.submit()
    assert world.engine.state is not None
    return replace(world.engine.state.statements["S-1"].statement, **more)


def _fills(*pairs: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(quantity), Decimal(price)) for quantity, price in pairs]


def test_the_day_s_average_covers_every_statement_in_that_security_and_side() -> None:
    """SMC's third condition: 10 in the morning, 20 in the afternoon, 13 for both."""
    morning = _statement()
    afternoon = replace(morning, statement_id="S-2", oms="OMS2")
    day = [(morning, _fills(("600", "10"), ("100", "10"))), (afternoon, _fills(("300", "20")))]
    assert day_average(morning, day) == day_average(afternoon, day) == 13


@pytest.mark.parametrize(
    "other",
    [
        {"side": Side.SELL},
        {"symbol": "ABC"},
        {"trade_date": date(2026, 11, 24)},
        {"security_id": "US0000000002"},
    ],
)
def test_another_side_security_or_date_has_its_own_average(other: dict[str, Any]) -> None:
    mine = _statement(security_id="US0000000001", id_source="4")
    theirs = replace(mine, statement_id="S-2", **other)
    day = [(mine, _fills(("100", "10"))), (theirs, _fills(("100", "20")))]
    assert (day_average(mine, day), day_average(theirs, day)) == (10, 20)


def test_a_statement_without_a_security_id_means_the_one_of_its_symbol() -> None:
    mine = _statement(security_id="US0000000001", id_source="4")
    theirs = replace(mine, statement_id="S-2", security_id="", id_source="")
    assert day_average(mine, [(mine, _fills(("1", "10"))), (theirs, _fills(("1", "20")))]) == 15
