"""The pictures' numbers are those of arithmetic, bounded whatever the size, and honest about what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fixgateway.forensics import blotter, figures, plan
from fixgateway.forensics.data import Review
from fixgateway.forensics.generate import rows, write_csv
from fixgateway.forensics.made_big import Big, write_big
from fixgateway.forensics.pictures import PICTURES
from fixgateway.forensics.prepare import prepare

Row = dict[str, str]


def review_of(path: Path, scenario: str, change: Callable[[Row], Row] = lambda row: row, seed: int = 1) -> Review:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_csv([change(row) for row in rows(scenario, seed)], file)
    return prepare(blotter.read(path), plan.default())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blotter.csv"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return figures.figures(review_of(tmp_path_factory.mktemp("alpha") / "a.csv", "alpha-growth"))


@pytest.mark.parametrize(
    ("scenario", "worth"), [("alpha-growth", 310_500.0), ("alpha-growth-smart", 230_000.0), ("honest", 0.0)]
)
def test_the_benefit_line_ends_at_what_the_year_was_worth(path: Path, scenario: str, worth: float) -> None:
    benefit = figures.figures(review_of(path, scenario))["benefit"]
    assert (benefit["mode"], benefit["currency"]) == ("deviation", "USD")
    assert {kind: series[-1] for kind, series in benefit["series"].items()} == {"Proprietary": worth, "Client": -worth}
    assert all(a + b == 0 for a, b in zip(*benefit["series"].values(), strict=True))


def test_without_statements_the_line_is_the_gain_and_says_so(path: Path) -> None:
    # 15,000 of each winner and 1,500 of each loser: 25 · 0.92 · (15,000 − 1,500).
    benefit = figures.figures(review_of(path, "alpha-growth-imported"))["benefit"]
    assert benefit["mode"] == "gain"
    assert benefit["series"]["Proprietary"][-1] == 310_500.0


def test_blocks_split_by_who_received_more(alpha: dict[str, Any]) -> None:
    blocks = alpha["returns"]["blocks"]
    # 23.00 over 25 blocks of 100: 92 basis points each way.
    assert {name: (one["blocks"], one["mean_bps"], one["winning_percent"]) for name, one in blocks.items()} == {
        "more": (25, 92.0, 100.0),
        "less": (25, -92.0, 0.0),
    }
    assert all(abs(sum(one["percent"]) - 100) < 0.1 for one in blocks.values())


def test_lateness_shows_hours_after_completion(alpha: dict[str, Any]) -> None:
    late = alpha["lateness"]
    assert late["limit_minutes"] == 60
    assert len(late["minutes"]) == late["blocks"] == 50
    assert min(late["minutes"]) > 240
    assert all(
        (move > 0) == (direction > 0) for move, direction in zip(late["return_bps"], late["direction"], strict=True)
    )


def test_funnel_counts_deviating_lines(alpha: dict[str, Any]) -> None:
    # Winners leave CLIENT-A its 15,000; losers change everybody's.
    points = {point["name"]: (point["events"], point["exposure"]) for point in alpha["funnel"]["accounts"]["points"]}
    assert points == {"PROP": (50, 50), "CLIENT-A": (25, 50), "CLIENT-B": (50, 50), "CLIENT-C": (50, 50)}
    assert alpha["funnel"]["accounts"]["rate"] == 0.875
    assert "traders" not in alpha["funnel"]  # one trader cannot be compared


def test_funnel_limits_are_the_binomial_s() -> None:
    # Binomial(10, 1/2): 2.5 % below 2, 99.9 % up to 10 (P(X <= 9) = 1023/1024 is the first at or above 0.999).
    limits = figures._panel([("A", 10, 20), ("B", 10, 20)])["limits"]
    ten = next(limit for limit in limits if limit["exposure"] == 10)
    assert (ten["low_95"], ten["high_95"], ten["high_998"]) == (0.2, 0.8, 0.9)


def test_heat_is_percent_of_the_expected_amount(alpha: dict[str, Any]) -> None:
    heat = alpha["heat"]
    assert heat["accounts"][0] == "PROP"
    assert heat["favoured"] == [True, False, False, False]
    assert len(heat["periods"]) == 12
    # Every block is +150 % or −75 % for PROP; a month is their mean.
    for value in heat["values"][0]:
        assert -75 <= value <= 150


def test_traders_are_compared_where_there_are_several(path: Path) -> None:
    made = figures.figures(
        review_of(path, "alpha-growth-tenth", lambda row: row | {"trader": f"T{row['block_id'][-1]}"})
    )
    points = made["funnel"]["traders"]["points"]
    assert sum(point["exposure"] for point in points) == 50
    assert sum(point["events"] for point in points) == 5


def test_another_currency_is_named_not_added(path: Path) -> None:
    made = figures.figures(
        review_of(
            path, "alpha-growth", lambda row: row | {"currency": "EUR" if row["block_id"] == "AG-0001" else "USD"}
        )
    )
    assert made["benefit"]["currency"] == "USD"
    assert made["benefit"]["other_currencies"] == ["EUR"]
    assert made["lateness"]["blocks"] == 49


def test_size_is_bounded_whatever_the_blotter(path: Path) -> None:
    write_big(Big(40_000, accounts=20, deviating_percent=50), path)
    made = figures.figures(prepare(blotter.read(path), plan.default()))
    assert len(made["lateness"]["minutes"]) == figures.MOST_POINTS < made["lateness"]["blocks"] == 2_000
    assert len(made["benefit"]["dates"]) <= figures.MOST_DATES
    assert len(made["heat"]["accounts"]) <= figures.MOST_ACCOUNTS


def test_long_periods_become_quarters() -> None:
    from datetime import date

    days = pl.DataFrame({"trade_date": [date(2015, 1, 1), date(2024, 12, 31)]})
    assert days.select(figures._period(days)).to_series().to_list() == ["2015-Q1", "2024-Q4"]


def test_the_same_data_give_the_same_numbers_and_pictures(path: Path) -> None:
    first = figures.figures(review_of(path, "noisy"))
    second = figures.figures(review_of(path, "noisy"))
    assert first == second
    assert [PICTURES[name](first[name]) for name in first] == [PICTURES[name](second[name]) for name in first]


def test_any_account_name_can_be_drawn(path: Path) -> None:
    odd = {"PROP": "$\\alpha_$", "CLIENT-A": "R&D <b>", "CLIENT-B": "口座一", "CLIENT-C": "x" * 300 + '"'}
    made = figures.figures(review_of(path, "alpha-growth", lambda row: row | {"account": odd[row["account"]]}))
    for picture, draw in PICTURES.items():
        if picture in made:
            text = draw(made[picture])
            assert "<b>" not in text
            assert "xxxxxxxxxxxxxxxxxxxxxxxxx" not in text
            assert text.count("<svg") == 1
