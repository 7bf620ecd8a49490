"""Average price against the figures of the FIX specification."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixgateway.core.pricing import average, round_half_up


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
