"""Executed prices dealt to accounts: exact, by account number, or as near to the average as units allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core.model import Method
from fixgateway.core.split_fills import PricedPiece, account_number, split_fills

BOTH = pytest.mark.parametrize("method", [Method.HIGH_LOW, Method.MIN_DISPERSION])


@st.composite
def blocks(draw: st.DrawFn, most: int = 400) -> tuple[list[tuple[str, Decimal]], list[tuple[Decimal, Decimal]]]:
    rows = draw(st.lists(st.integers(0, most), min_size=1, max_size=6).filter(any))
    left, fills = sum(rows), []
    while left:
        size = draw(st.integers(1, left))
        fills.append((Decimal(draw(st.integers(9900, 10100))) / 100, Decimal(size)))
        left -= size
    return [(f"ACC-{n}", Decimal(q)) for n, q in enumerate(rows)], fills


@BOTH
@settings(deadline=None)
@given(blocks(), st.randoms(use_true_random=False))
def test_quantities_and_money_are_exact(method: Method, block: tuple, shuffler: object) -> None:  # type: ignore[type-arg]
    shares, fills = block
    pieces = split_fills(shares, fills, method)
    by_account, by_price = defaultdict[str, Decimal](Decimal), defaultdict[Decimal, Decimal](Decimal)
    for piece in pieces:
        assert piece.quantity > 0
        by_account[piece.account] += piece.quantity
        by_price[piece.price] += piece.quantity  # type: ignore[index]
    filled = defaultdict[Decimal, Decimal](Decimal)
    for price, quantity in fills:
        filled[price] += quantity
    assert by_account == {account: q for account, q in shares if q}
    assert by_price == filled
    assert sum(paid(pieces, account) for account, _ in shares) == sum(
        Fraction(q) * Fraction(p) for p, q in fills
    )  # P12
    assert len({(p.account, p.price) for p in pieces}) == len(pieces)
    shuffled, refilled = shares[:], fills[:]
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    shuffler.shuffle(refilled)  # type: ignore[attr-defined]
    assert sorted(map(repr, split_fills(shuffled, refilled, method))) == sorted(map(repr, pieces))  # P5


def test_the_highest_prices_go_to_the_highest_account_numbers() -> None:
    """NFA Interpretive Notice 9029: 5, 3 and 2 lots for accounts 8, 9 and 10; 4 at 102, 3 at 101, 3 at 100."""
    shares = [("10", Decimal(2)), ("8", Decimal(5)), ("9", Decimal(3))]
    fills = [(Decimal(100), Decimal(3)), (Decimal(102), Decimal(4)), (Decimal(101), Decimal(3))]
    pieces = [(p.account, int(p.quantity), int(p.price)) for p in split_fills(shares, fills, Method.HIGH_LOW)]
    assert pieces == [("10", 2, 102), ("8", 2, 101), ("8", 3, 100), ("9", 2, 102), ("9", 1, 101)]


def test_account_numbers_count_as_numbers() -> None:
    names = ["A-10", "A-9", "B-1", "7", "007", "A"]
    assert sorted(names, key=account_number) == ["7", "007", "A", "A-9", "A-10", "B-1"]


def test_equal_accounts_pay_the_average_where_it_is_possible() -> None:
    """Two accounts of 2, fills 2 at 99 and 2 at 101: one of each to both."""
    fills = [(Decimal(101), Decimal(2)), (Decimal(99), Decimal(2))]
    pieces = split_fills([("A", Decimal(2)), ("B", Decimal(2))], fills, Method.MIN_DISPERSION)
    assert [(p.account, p.quantity, p.price) for p in pieces] == [
        ("A", 1, 101),
        ("A", 1, 99),
        ("B", 1, 101),
        ("B", 1, 99),
    ]


def dispersion(rows: list[int], cost: list[Fraction], average: Fraction) -> Fraction:
    """Σ (what an account pays too much)² / quantity."""
    return sum(((c - x * average) ** 2 / x for x, c in zip(rows, cost, strict=True)), Fraction(0))


def deals(rows: list[int], sizes: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    """Every way to deal the sizes to the rows."""
    if not rows:
        yield []
        return
    for part in parts(rows[0], sizes):
        left = tuple(size - x for size, x in zip(sizes, part, strict=True))
        yield from ([part, *rest] for rest in deals(rows[1:], left))


def parts(total: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(sizes) == 1:
        if total <= sizes[0]:
            yield (total,)
        return
    for first in range(min(total, sizes[0]) + 1):
        yield from ((first, *rest) for rest in parts(total - first, sizes[1:]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=3), st.data())
def test_min_dispersion_is_near_the_best_of_all_deals(rows: list[int], data: st.DataObject) -> None:
    total = sum(rows)
    cut = data.draw(st.integers(1, total - 1))
    prices = data.draw(st.lists(st.integers(100, 110), min_size=2, max_size=2, unique=True))
    sizes = (cut, total - cut)
    average = Fraction(sum(p * s for p, s in zip(prices, sizes, strict=True)), total)
    best = min(
        dispersion(rows, [Fraction(sum(x * p for x, p in zip(row, prices, strict=True))) for row in deal], average)
        for deal in deals(rows, sizes)
    )
    shares = [(f"A{n}", Decimal(x)) for n, x in enumerate(rows)]
    fills = [(Decimal(p), Decimal(s)) for p, s in zip(prices, sizes, strict=True)]
    pieces = split_fills(shares, fills, Method.MIN_DISPERSION)
    found = dispersion(rows, [paid(pieces, account) for account, _ in shares], average)
    assert found <= best + Fraction((max(prices) - min(prices)) ** 2, 4)


def paid(pieces: tuple[PricedPiece, ...], account: str) -> Fraction:
    return sum((Fraction(p.quantity) * Fraction(p.price) for p in pieces if p.account == account), Fraction(0))


@settings(deadline=None)
@given(blocks())
def test_nobody_is_more_than_one_unit_of_the_range_away(block: tuple) -> None:  # type: ignore[type-arg]
    """Every account pays its quantity at the block's average, give or take one unit's difference in price."""
    shares, fills = block
    pieces = split_fills(shares, fills, Method.MIN_DISPERSION)
    total = sum(Fraction(q) for _, q in fills)
    average = sum((Fraction(p) * Fraction(q) for p, q in fills), Fraction(0)) / total
    spread = Fraction(max(p for p, _ in fills)) - Fraction(min(p for p, _ in fills))
    assert all(abs(paid(pieces, account) - Fraction(q) * average) <= spread for account, q in shares)


@BOTH
def test_prices_may_be_endless_and_quantities_broken(method: Method) -> None:
    shares = [("A", Decimal("0.50")), ("B", Decimal("1.25"))]
    pieces = split_fills(shares, [(Fraction(1, 3), Decimal("1.75"))], method)
    assert [(p.account, p.quantity, p.price) for p in pieces] == [
        ("A", Decimal("0.5"), Fraction(1, 3)),
        ("B", Decimal("1.25"), Fraction(1, 3)),
    ]


def test_what_cannot_be_split_is_refused() -> None:
    one = [("A", Decimal(1))]
    with pytest.raises(ValueError, match="add up"):
        split_fills(one, [(Decimal(9), Decimal(2))], Method.HIGH_LOW)
    with pytest.raises(ValueError, match="does not split"):
        split_fills(one, [(Decimal(9), Decimal(1))], Method.PRO_RATA)
    with pytest.raises(TypeError, match="float"):
        split_fills([("A", 1.0)], [(Decimal(9), Decimal(1))], Method.HIGH_LOW)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="prices"):
        split_fills(one, [(9.0, Decimal(1))], Method.HIGH_LOW)  # type: ignore[list-item]
