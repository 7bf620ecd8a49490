"""Histories whose truth is known, reviewed: the guilty ones are found, the honest ones are left in peace.

Money is arithmetic (made_alpha.py), p-values come from a plain permutation written here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import World, draft, one

from fixgateway.core.broker_inputs import ExecKind
from fixgateway.core.outputs import SendAllocation
from fixgateway.forensics import plan
from fixgateway.forensics.generate import COLUMNS, SCENARIOS, rows, write_csv
from fixgateway.forensics.made_cases import CASES
from fixgateway.forensics.run import review

Row = dict[str, str]
QUICK = replace(plan.default(), permutations=9_999)
SEEDS = (1, 2, 3)


@pytest.fixture
def reviewed(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The document of a scenario's review."""

    def run(
        scenario: str,
        seed: int = 1,
        years: int = 1,
        made: plan.Plan = QUICK,
        change: Callable[[list[Row]], list[Row]] = list,
    ) -> dict[str, Any]:
        path = tmp_path / f"{scenario}-{seed}-{years}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            write_csv(change(rows(scenario, seed, years)), file)
        return review(path, made).document()

    return run


def finding(document: dict[str, Any], identity: str) -> dict[str, Any]:
    (found,) = [test for test in document["tests"] if test["id"] == identity]
    assert isinstance(found, dict)
    return found


def verdicts(document: dict[str, Any], *identities: str) -> tuple[str, ...]:
    return tuple(finding(document, identity)["verdict"] for identity in identities)


# ---------------------------------------------------------------- Alpha Growth and its twins


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("scenario", "benefit", "b"),
    [
        ("alpha-growth", "310500.00", "red"),
        ("alpha-growth-smart", "230000.00", "red"),
        ("alpha-growth-approved", "310500.00", "amber"),
    ],
)
def test_the_scenario_that_must_be_found(
    reviewed: Callable[..., dict[str, Any]], scenario: str, benefit: str, b: str, seed: int
) -> None:
    document = reviewed(scenario, seed)
    a1 = finding(document, "a1")
    assert document["verdict"] == "red"
    assert (a1["verdict"], a1["benefit"], a1["currency"], a1["n_blocks"]) == ("red", benefit, "USD", 50)
    assert a1["p"] == a1["p_floor"] == 1 / 10_000  # no rearrangement of 9,999 gives as much
    assert verdicts(document, "b") == (b,)
    assert finding(document, "a1/own")["benefit"] == benefit


def test_benefit_in_basis_points_is_of_the_favoured_group_s_notional(reviewed: Callable[..., dict[str, Any]]) -> None:
    # 25 · (15,000 + 1,500) · 100 = 41,250,000; 310,500 of it are 75.27 basis points.
    assert round(finding(reviewed("alpha-growth"), "a1")["benefit_bps"], 2) == 75.27


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", ["honest", "honest-strategies"])
def test_honest_twins_are_green(reviewed: Callable[..., dict[str, Any]], scenario: str, seed: int) -> None:
    document = reviewed(scenario, seed)
    a1 = finding(document, "a1")
    assert document["verdict"] == "green"
    assert (a1["verdict"], a1["p"], a1["benefit"]) == ("green", 1.0, "0.00")
    assert "no deviation" in a1["summary"]
    assert {test["verdict"] for test in document["tests"]} <= {"green", "insufficient"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_careless_twin_is_green_in_a1_and_red_in_b(reviewed: Callable[..., dict[str, Any]], seed: int) -> None:
    document = reviewed("noisy", seed)
    assert verdicts(document, "a1", "b") == ("green", "red")
    assert document["verdict"] == "red"


def test_a_tenth_is_seen_by_the_records_at_once_and_by_statistics_in_ten_years(
    reviewed: Callable[..., dict[str, Any]],
) -> None:
    short = reviewed("alpha-growth-tenth")
    assert verdicts(short, "a1", "b") == ("green", "red")
    assert short["verdict"] == "red"
    long = reviewed("alpha-growth-tenth", years=10)
    assert verdicts(long, "a1", "b") == ("red", "red")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", ["alpha-growth-imported", "alpha-growth-daily"])
def test_without_statements_a2_finds_it_and_says_confounded(
    reviewed: Callable[..., dict[str, Any]], scenario: str, seed: int
) -> None:
    """Daily: a winner and then a loser every day; exchanging days in file order would never notice."""
    document = reviewed(scenario, seed)
    assert verdicts(document, "a1", "a2", "b") == ("insufficient", "red", "insufficient")
    assert document["verdict"] == "red"
    assert any("confounded" in limit for limit in finding(document, "a2")["limits"])


@pytest.mark.parametrize("case", CASES)
def test_histories_shaped_like_published_cases_are_found(reviewed: Callable[..., dict[str, Any]], case: str) -> None:
    document = reviewed(case)
    assert (document["verdict"], *verdicts(document, "a2")) == ("red", "red")


def test_glenncap_s_paying_clients_are_a_group_of_their_own(reviewed: Callable[..., dict[str, Any]]) -> None:
    document = reviewed("glenncap")
    assert document["groups"]["fee"] == ["FEE-15", "FEE-20"]
    assert float(finding(document, "a2/fee")["benefit"]) > 0


def through_the_gateway(history: list[Row]) -> list[Row]:
    """The same blocks, statements, fills and closes; who got what is what the gateway's engine booked."""
    world = World()
    booked: dict[tuple[str, str], str] = {}
    blocks: dict[str, list[Row]] = defaultdict(list)
    for row in history:
        blocks[row["block_id"]].append(row)
    for name, lines in blocks.items():
        world.submit(draft(name, [(row["account"], row["intent_qty"]) for row in lines]))
        world.order(name, "50000", statement=name)
        world.fill("30000", "100", name)
        sent = one(world.execution(ExecKind.CANCELLED, name), SendAllocation)
        booked |= {(name, share.account): str(share.quantity) for share in sent.allocation.shares}
    return [row | {"alloc_qty": booked[row["block_id"], row["account"]]} for row in history]


def test_the_same_orders_through_the_gateway_come_out_green(reviewed: Callable[..., dict[str, Any]]) -> None:
    """Whatever the close, the engine divides by the statement: 15,000, 6,000, 3,000 and 6,000 of every block."""
    document = reviewed("alpha-growth", change=through_the_gateway)
    assert verdicts(document, "a1", "b", "g/price-sorting") == ("green", "green", "green")
    assert finding(document, "a1")["benefit"] == "0.00"
    assert reviewed("alpha-growth")["verdict"] == "red"


# ---------------------------------------------------------------- p against a plain permutation


def plain_p(history: list[Row], draws: int) -> float:
    """Σ deviation of PROP · (close − price), closes shuffled within months (one strategy, one side, one block a day).

    December has three blocks, under four, and joins November.
    """
    months: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in history:
        if row["account"] == "PROP":
            month = min(row["trade_date"][:7], "2024-11")
            months[month].append((int(row["alloc_qty"]) - 6_000, float(row["close_price"]) - 100))
    dice = np.random.default_rng(20_240_101)
    observed = sum(d * move for part in months.values() for d, move in part)
    sums = np.zeros(draws)
    for part in months.values():
        d, moves = np.array(part).T
        sums += dice.permuted(np.tile(moves, (draws, 1)), axis=1) @ d
    return float((1 + (sums >= observed - 1e-6).sum()) / (draws + 1))


@pytest.mark.parametrize("scenario", ["alpha-growth-tenth", "noisy"])
@pytest.mark.parametrize("seed", SEEDS)
def test_p_is_that_of_a_plain_permutation(reviewed: Callable[..., dict[str, Any]], scenario: str, seed: int) -> None:
    found = finding(reviewed(scenario, seed), "a1")["p"]
    plain = plain_p(rows(scenario, seed), 50_000)
    error = (plain * (1 - plain) * (1 / 9_999 + 1 / 50_000)) ** 0.5
    assert abs(found - plain) <= 4.5 * error + 1e-4


# ---------------------------------------------------------------- the file


def shuffled(history: list[Row]) -> list[Row]:
    order = np.random.default_rng(5).permutation(len(history))
    return [history[n] for n in order]


def contract_only(history: list[Row]) -> list[Row]:
    return [{name: row[name] for name in COLUMNS} for row in history]


@pytest.mark.parametrize("change", [shuffled, contract_only])
def test_the_order_of_rows_and_missing_optional_columns_change_no_verdict(
    reviewed: Callable[..., dict[str, Any]], change: Callable[[list[Row]], list[Row]]
) -> None:
    document = reviewed("alpha-growth", change=change)
    a1 = finding(document, "a1")
    assert (document["verdict"], a1["verdict"], a1["benefit"]) == ("red", "red", "310500.00")
    assert reviewed("honest", change=change)["verdict"] == "green"


def test_the_same_file_plan_and_seed_give_the_same_document(reviewed: Callable[..., dict[str, Any]]) -> None:
    assert json.dumps(reviewed("noisy")) == json.dumps(reviewed("noisy"))


@pytest.mark.full
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_with_the_shipped_plan_every_scenario_ends_as_it_should(
    reviewed: Callable[..., dict[str, Any]], scenario: str
) -> None:
    found = reviewed(scenario, 4, made=plan.default())
    assert found["verdict"] == ("green" if scenario.startswith("honest") else "red")
