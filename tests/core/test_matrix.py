"""The matrix of several brokers against its definition: totals exact, floors or ceilings, the least error."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core import matrix
from fixgateway.core.apportion import largest_remainder


def exact(rows: list[int], columns: list[int]) -> list[list[Fraction]]:
    total = sum(rows)
    return [[Fraction(units * x, total) if total else Fraction(0) for x in rows] for units in columns]


def error(entries: list[list[int]], wanted: list[list[Fraction]]) -> Fraction:
    return sum(
        (abs(m - e) for got, ideal in zip(entries, wanted, strict=True) for m, e in zip(got, ideal, strict=True)),
        Fraction(0),
    )


def tables(
    rows: list[int], columns: list[int], low: list[list[int]], high: list[list[int]]
) -> Iterator[list[list[int]]]:
    """Every matrix with these sums and bounds, row after row, by brute force."""

    def go(i: int, left: list[int]) -> Iterator[list[list[int]]]:
        if i == len(rows):
            if not any(left):
                yield [[] for _ in columns]
            return
        choices = [range(low[b][i], min(high[b][i], left[b]) + 1) for b in range(len(columns))]
        for row in product(*choices):
            if sum(row) == rows[i]:
                for rest in go(i + 1, [has - takes for has, takes in zip(left, row, strict=True)]):
                    yield [[takes, *column] for takes, column in zip(row, rest, strict=True)]

    yield from go(0, list(columns))


def split_of(total: int, parts: int, data: st.DataObject) -> list[int]:
    """``total`` cut into so many whole numbers."""
    cuts = sorted(data.draw(st.integers(0, total)) for _ in range(parts - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]


def check(rows: list[int], columns: list[int], got: list[list[int]]) -> None:
    assert [sum(column) for column in got] == columns
    assert [sum(row) for row in zip(*got, strict=True)] == rows
    for column, ideal in zip(got, exact(rows, columns), strict=True):
        for m, e in zip(column, ideal, strict=True):
            assert e // 1 <= m <= -(-e // 1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(2, 4), st.randoms(), st.data())
def test_floors_or_ceilings_with_the_least_error(
    rows: list[int], brokers: int, chance: random.Random, data: st.DataObject
) -> None:
    columns = split_of(sum(rows), brokers, data)
    rank = chance.sample(range(len(rows)), len(rows))
    got = matrix.divide(rows, columns, rank).columns
    check(rows, columns, got)
    wanted = exact(rows, columns)
    floors = [[int(e // 1) for e in column] for column in wanted]
    ceilings = [[int(-(-e // 1)) for e in column] for column in wanted]
    least = min(error(table, wanted) for table in tables(rows, columns, floors, ceilings))
    assert error(got, wanted) == least


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.integers(2, 3), st.data())
def test_the_nearest_above_what_cannot_be_replaced(rows: list[int], brokers: int, data: st.DataObject) -> None:
    columns = split_of(sum(rows), brokers, data)
    everything = [[max(rows)] * len(rows) for _ in columns]
    possible = list(tables(rows, columns, [[0] * len(rows) for _ in columns], everything))
    kept = data.draw(st.sampled_from(possible))
    lower = [[data.draw(st.integers(0, entry)) for entry in column] for column in kept]
    found = matrix.divide(rows, columns, range(len(rows)), lower)
    assert [sum(column) for column in found.columns] == columns
    assert [sum(row) for row in zip(*found.columns, strict=True)] == rows
    assert all(
        m >= low for got, lows in zip(found.columns, lower, strict=True) for m, low in zip(got, lows, strict=True)
    )
    wanted = exact(rows, columns)
    bound = any(map(any, lower))
    floors = [[int(e // 1) for e in column] for column in wanted]
    ceilings = [[int(-(-e // 1)) for e in column] for column in wanted]
    tops = everything if bound else ceilings
    least = min(error(table, wanted) for table in tables(rows, columns, lower if bound else floors, tops))
    assert error(found.columns, wanted) == least
    far = {(i, b) for b, col in enumerate(found.columns) for i, m in enumerate(col) if abs(m - wanted[b][i]) >= 1}
    assert set(found.forced) == far


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=30), st.integers(1, 8), st.randoms(), st.data())
def test_larger_ones_keep_their_sums_and_places_do_not_matter(
    rows: list[int], brokers: int, chance: random.Random, data: st.DataObject
) -> None:
    columns = split_of(sum(rows), brokers, data)
    rank = chance.sample(range(len(rows)), len(rows))
    got = matrix.divide(rows, columns, rank).columns
    check(rows, columns, got)
    order = chance.sample(range(len(rows)), len(rows))
    again = matrix.divide([rows[i] for i in order], columns, [rank[i] for i in order]).columns
    assert again == [[column[i] for i in order] for column in got]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.data())
def test_within_two_units_of_the_exact_share_of_the_statement(intents: list[int], data: st.DataObject) -> None:
    total = sum(intents)
    if not total:
        return
    filled = data.draw(st.integers(0, total))
    rank = list(range(len(intents)))
    rows = largest_remainder(filled, intents, intents, rank)
    columns = split_of(filled, 4, data)
    for units, column in zip(columns, matrix.divide(rows, columns, rank).columns, strict=True):
        for m, intent in zip(column, intents, strict=True):
            assert abs(m - Fraction(units * intent, total)) < 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.data())
def test_raised_is_the_nearest_above_the_bounds(shares: list[int], data: st.DataObject) -> None:
    exact_shares = [Fraction(data.draw(st.integers(0, 28)), 4) for _ in shares]
    lower = split_of(data.draw(st.integers(0, sum(shares))), len(shares), data)
    got = matrix.raised(shares, exact_shares, lower, list(range(len(shares))))
    assert sum(got) == sum(shares)
    assert all(m >= low for m, low in zip(got, lower, strict=True))
    assert all(low <= m <= max(share, low) for m, share, low in zip(got, shares, lower, strict=True))

    def off(values: tuple[int, ...]) -> Fraction:
        return sum((abs(m - e) for m, e in zip(values, exact_shares, strict=True)), Fraction(0))

    ranges = [range(low, max(share, low) + 1) for share, low in zip(shares, lower, strict=True)]
    assert off(tuple(got)) == min(off(values) for values in product(*ranges) if sum(values) == sum(shares))


def test_bounds_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a row or a column"):
        matrix.divide([3, 3], [3, 3], [0, 1], [[2, 2], [0, 0]])
    with pytest.raises(ValueError, match="rows add up to 6"):
        matrix.divide([3, 3], [3, 4], [0, 1])
    with pytest.raises(ValueError, match="lower bounds"):
        matrix.raised([1, 1], [Fraction(1), Fraction(1)], [3, 0], [0, 1])


def test_whole_lots_where_all_amounts_are() -> None:
    assert matrix.unit_of(100, [300, 600], [500, 400]) == 100
    assert matrix.unit_of(100, [300, 600], [550, 350]) == 50
    assert matrix.unit_of(1, [300, 600], [500, 400]) == 1
    assert matrix.unit_of(100, [0], [0]) == 100


def test_a_hundred_thousand_accounts_with_three_brokers_and_twenty_brokers_with_thousands() -> None:
    for accounts, columns_of in ((100_000, (5, 3, 2)), (100_000, (1, 1, 1)), (2_500, tuple(range(1, 21)))):
        for span in (1, 997):  # all equal, and different
            rows = [1 + 7919 * i % span for i in range(accounts)]
            total, parts = sum(rows), sum(columns_of)
            columns = [total * part // parts for part in columns_of]
            columns[0] += total - sum(columns)
            check(rows, columns, matrix.divide(rows, columns, range(accounts)).columns)
