"""Made histories have the truth they claim: numbers of the published cases, arithmetic of the worked example."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fixgateway.errors import UsageError
from fixgateway.forensics.generate import COLUMNS, OPTIONAL, SCENARIOS, rows, write_csv
from fixgateway.forensics.made_big import Big, frames, largest_remainders, write_big

Row = dict[str, str]
INTENTS = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
ENTITLED = {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
ALPHA = [
    name
    for name in SCENARIOS
    if (name.startswith("alpha-growth") and name != "alpha-growth-daily") or name in ("honest", "noisy")
]


def gained(row: Row) -> Fraction:
    """First-day return of a row."""
    sign = {"buy": 1, "sell": -1}[row["side"]]
    return sign * (Fraction(row["close_price"]) / Fraction(row["price"]) - 1)


def dollars(row: Row, quantity: int) -> Fraction:
    return quantity * (Fraction(row["close_price"]) - Fraction(row["price"])) * int(row.get("multiplier") or 1)


def is_favoured(row: Row) -> bool:
    return row["account_class"] == "proprietary" or row["fee"] == "performance"


@pytest.mark.parametrize("scenario", ALPHA)
def test_alpha_growth_fills_thirty_thousand_at_100_in_fifty_blocks_a_year(scenario: str) -> None:
    blocks: dict[str, list[Row]] = defaultdict(list)
    for row in rows(scenario, seed=3, years=2):
        blocks[row["block_id"]].append(row)
    assert len(blocks) == 100
    for lines in blocks.values():
        assert [row["account"] for row in lines] == list(INTENTS)
        assert sum(int(row["alloc_qty"]) for row in lines) == 30_000
        assert {row["price"] for row in lines} == {"100"}
        assert min(int(row["alloc_qty"]) for row in lines) >= 0


@pytest.mark.parametrize(
    ("scenario", "worth"),
    [
        ("alpha-growth", Decimal("310500")),
        ("alpha-growth-imported", Decimal("310500")),
        ("alpha-growth-approved", Decimal("310500")),
        ("alpha-growth-smart", Decimal("230000")),
        ("honest", Decimal(0)),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 77])
def test_alpha_growth_is_worth_what_its_table_says(scenario: str, worth: Decimal, seed: int) -> None:
    # 25 winners and 25 losers of 0.92 on average: 25 · 0.92 · (9,000 + 4,500) = 310,500.
    prop = [row for row in rows(scenario, seed) if row["account"] == "PROP"]
    assert sum(dollars(row, int(row["alloc_qty"]) - 6_000) for row in prop) == Fraction(worth)


def test_the_smart_one_never_gives_more_than_the_intent() -> None:
    prop = [int(row["alloc_qty"]) for row in rows("alpha-growth-smart") if row["account"] == "PROP"]
    assert max(prop) == INTENTS["PROP"]


def test_a_tenth_is_five_blocks_of_fifty() -> None:
    made = rows("alpha-growth-tenth", seed=5, years=4)
    changed = {row["block_id"] for row in made if int(row["alloc_qty"]) != ENTITLED[row["account"]]}
    assert len(changed) == 20


def test_twins_differ_in_the_allocation_alone() -> None:
    same = ("block_id", "trade_date", "symbol", "price", "close_price", "captured_at", "released_at", "last_fill_at")
    seen = {tuple(tuple(row[name] for name in same) for row in rows(name, seed=9)) for name in ALPHA[:4]}
    assert len(seen) == 1


def test_memos_come_hours_late_and_nobody_approved_them() -> None:
    made = rows("alpha-growth")
    assert {row["exception_text"] for row in made} == {"market conditions"}
    assert {row["exception_approver"] for row in made} == {""}
    assert all(row["exception_at"][:13] > row["last_fill_at"][:13] for row in made)
    assert not any(row["exception_code"] for row in rows("noisy"))


# Published numbers: (rows, profitable rows, mean first-day return in percent) of the favoured and of the others.
PUBLISHED = [
    ("magee", (459, 376, "0.876"), (1_365, 219, "-2.309")),
    ("welhouse", (None, None, "6.28"), (None, None, "-5.05")),
    ("middlecove", (None, None, "0.67"), (None, None, "-0.32")),
    ("zandlo", (None, None, "2.47"), (None, None, "-1.01")),
]


@pytest.mark.parametrize(("case", "favoured", "others"), PUBLISHED)
@pytest.mark.parametrize("seed", [1, 2])
def test_cases_have_the_published_counts_and_means(
    case: str, favoured: tuple[int | None, int | None, str], others: tuple[int | None, int | None, str], seed: int
) -> None:
    made = rows(case, seed)
    for group, wanted in {True: favoured, False: others}.items():
        returns = [gained(row) for row in made if is_favoured(row) is group]
        count, wins, mean = wanted
        if count is not None:
            assert (len(returns), sum(value > 0 for value in returns)) == (count, wins)
        assert abs(sum(returns, Fraction(0)) / len(returns) * 100 - Fraction(mean)) < Fraction(1, 200)


def test_hartshorn_split_blocks() -> None:
    """85 % of own blocks profitable, no client block; 68 % of split winners and 19 % of split losers to own."""
    blocks: dict[str, list[Row]] = defaultdict(list)
    for row in rows("hartshorn"):
        blocks[row["block_id"]].append(row)
    kinds: dict[str, list[tuple[bool, Fraction]]] = defaultdict(list)
    for lines in blocks.values():
        total = sum(int(row["alloc_qty"]) for row in lines)
        own = Fraction(sum(int(row["alloc_qty"]) for row in lines if is_favoured(row)), total)
        kinds["own" if own == 1 else "clients" if own == 0 else "split"].append((gained(lines[0]) > 0, own))
    assert Fraction(sum(won for won, _ in kinds["own"]), len(kinds["own"])) == Fraction(85, 100)
    assert not any(won for won, _ in kinds["clients"])
    for won, share in ((True, Fraction(68, 100)), (False, Fraction(19, 100))):
        assert all(abs(own - share) < Fraction(1, 200) for was, own in kinds["split"] if was is won)


def test_dushek_counts() -> None:
    made = rows("dushek")
    assert len({row["block_id"] for row in made}) == 13_500
    for group in (True, False):
        returns = [gained(row) for row in made if is_favoured(row) is group]
        rate = Fraction(sum(value > 0 for value in returns), len(returns))
        assert rate > Fraction(3, 4) if group else rate < Fraction(1, 4)


def test_wamco_months_all_one_way() -> None:
    """34 months in which the favoured gained on the first day in each and the others lost in each."""
    months: dict[tuple[str, bool], Fraction] = defaultdict(Fraction)
    for row in rows("wamco"):
        months[row["trade_date"][:7], is_favoured(row)] += dollars(row, int(row["alloc_qty"]))
    assert len({month for month, _ in months}) == 34
    assert all((total > 0) is favoured for (_, favoured), total in months.items())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_seed_gives_the_same_bytes_and_every_column(scenario: str) -> None:
    first, second = io.StringIO(), io.StringIO()
    write_csv(rows(scenario, seed=4), first)
    write_csv(rows(scenario, seed=4), second)
    assert first.getvalue() == second.getvalue()
    read = list(csv.DictReader(io.StringIO(first.getvalue())))
    assert set(COLUMNS) <= set(read[0]) <= set(COLUMNS) | set(OPTIONAL)
    assert rows(scenario, seed=5) != rows(scenario, seed=4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("nobody",), "no scenario 'nobody'"), (("honest", 1, 0), "--years 0"), (("magee", 1, 2), "published case")],
)
def test_what_cannot_be_made_is_named(arguments: tuple[str, int, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rows(*arguments)


# ---------------------------------------------------------------- big


def test_big_is_honest_and_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgateway.forensics.made_big.CHUNK_ROWS", 1_000)
    path = tmp_path / "big.csv"
    assert write_big(Big(10_007, accounts=7), path) == 1_429 * 7
    read = pl.read_csv(path, schema_overrides={"price": pl.String})
    assert tuple(read.columns) == COLUMNS
    assert read["block_id"].n_unique() == 1_429
    assert read["trade_date"].is_sorted()
    filled, intended = (pl.col(name).sum().over("block_id") for name in ("alloc_qty", "intent_qty"))
    exact = filled * pl.col("intent_qty") / intended
    assert read.select((pl.col("alloc_qty") - exact).abs().max()).item() < 1


def test_big_deviates_where_asked() -> None:
    plain = pl.concat(frames(Big(3_000, accounts=10), seed=2))
    changed = pl.concat(frames(Big(3_000, accounts=10, deviating_percent=100), seed=2))
    assert plain.select("block_id", "intent_qty").equals(changed.select("block_id", "intent_qty"))
    moved = (plain["alloc_qty"] - changed["alloc_qty"]).to_numpy().reshape(-1, 10)
    assert not moved.sum(axis=1).any()
    assert (moved[:, 0] != 0).mean() > 0.9
    assert not moved[:, 1:-1].any()


def test_largest_remainders_agree_with_a_hand_computed_case() -> None:
    # 100 by 3:3:1 is 42 6/7, 42 6/7, 14 2/7: the two larger remainders take the two left over.
    given = largest_remainders(np.array([100, 10]), np.array([[3, 3, 1], [1, 1, 1]]))
    assert given.tolist() == [[43, 43, 14], [4, 3, 3]]
