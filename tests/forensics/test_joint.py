"""Joint permutations (d, e, f) against exact enumeration, scipy and the single-statistic engine."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import permutations
from math import factorial
from pathlib import Path

import numpy as np
import pytest
from reviews import Row, block, review
from scipy import stats

from fixgateway.forensics import (
    deviation,
    dispersion,
    exception_rates,
    permutation,
    price_sorting,
    remainder,
    resubmissions,
    round_trips,
    timestamps,
)
from fixgateway.forensics.findings import Verdict
from fixgateway.forensics.joint import arrangements, permuted, slots_of, smallest_p
from fixgateway.forensics.joint import enumerated as all_of
from fixgateway.forensics.stepdown import generator

N = 99_999
Array = np.ndarray


def test_days_are_exchanged_whole_and_with_their_like() -> None:
    """Stratum 0: days 1 and 2 of two blocks, day 3 of three. Stratum 1: days 1 and 2 of one block."""
    stratum = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    day = np.array([1, 1, 2, 2, 3, 3, 3, 1, 2])
    drawn = arrangements(slots_of(stratum, day), 9, 4_000, generator("days"))
    halves = {tuple(row[:4]) for row in drawn.tolist()}
    assert halves == {(0, 1, 2, 3), (2, 3, 0, 1)}
    assert {tuple(row[4:7]) for row in drawn.tolist()} == set(permutations((4, 5, 6)))
    assert {tuple(row[7:]) for row in drawn.tolist()} == {(7, 8), (8, 7)}
    swapped = np.mean(drawn[:, 0] == 2)
    assert abs(swapped - 0.5) < 4 * 0.5 / 4_000**0.5


def test_both_engines_exchange_the_same_places() -> None:
    rng = np.random.default_rng(1)
    stratum, day = np.sort(rng.integers(0, 3, 60)), rng.integers(0, 12, 60)
    one = {tuple(map(tuple, slot.places)) for slot in slots_of(stratum, day) if slot.places.size > 1}
    lone = {places for places in one if len(places) == 1}
    other = {tuple(map(tuple, units)) for units in permutation.exchanges(stratum, day)}
    assert {tuple((place,) for place in places[0]) for places in lone} | (one - lone) == other


def enumerated(weights: Array, outcome: Array, stratum: Array) -> float:
    """Share of all arrangements within two strata whose one-sided sum is at least the observed."""
    first, second = np.flatnonzero(stratum == 0), np.flatnonzero(stratum == 1)
    observed, reached, total = weights @ outcome, 0, 0
    for one in permutations(first):
        part = weights[first] @ outcome[list(one)]
        for two in permutations(second):
            reached += part + weights[second] @ outcome[list(two)] >= observed
            total += 1
    return reached / total


def test_against_enumeration_of_two_strata() -> None:
    """6! x 5! = 86,400 arrangements: drawn, near the share of all."""
    rng = np.random.default_rng(3)
    stratum = np.array([0] * 6 + [1] * 5)
    weights, outcome = rng.integers(-9, 9, 11), rng.integers(-99, 99, 11)
    found = permuted(weights[:, None], outcome, stratum, np.arange(11), (False,), ("e",), N)
    assert found is not None
    assert not found.exact
    expected = enumerated(weights, outcome, stratum)
    assert found.result.p[0] == pytest.approx(expected, abs=4 * (expected / N) ** 0.5)


def test_few_arrangements_are_all_counted() -> None:
    """5! x 4! = 2,880 arrangements of two strata; three days of two blocks and a lone day inside itself."""
    rng = np.random.default_rng(3)
    stratum = np.array([0] * 5 + [1] * 4)
    weights, outcome = rng.integers(-9, 9, 9), rng.integers(-99, 99, 9)
    found = permuted(weights[:, None], outcome, stratum, np.arange(9), (False,), ("e",), N)
    assert found is not None
    assert (found.exact, found.n_permutations) == (True, 0)
    assert found.result.p[0] == enumerated(weights, outcome, stratum)
    slots = slots_of(np.zeros(9, np.int64), np.array([1, 1, 2, 2, 3, 3, 4, 4, 4]))
    every = all_of(slots, 9)
    assert every is not None
    assert len({tuple(row) for row in every.tolist()}) == len(every) == factorial(3) * factorial(3)


def test_many_arrangements_are_drawn() -> None:
    assert all_of(slots_of(np.zeros(9, np.int64), np.arange(9)), 9) is None


@pytest.mark.parametrize("two_sided", [False, True])
def test_one_stratum_against_scipy(two_sided: bool) -> None:
    rng = np.random.default_rng(4)
    weights, outcome = rng.integers(-50, 50, 40).astype(np.int64), rng.integers(-999, 999, 40)
    outcome = outcome + 6 * weights
    found = permuted(weights[:, None], outcome, np.zeros(40, np.int64), np.arange(40), (two_sided,), ("s",), N)
    assert found is not None
    centred = weights - weights.mean()
    theirs = stats.permutation_test(
        (outcome,), lambda x, axis: np.sum(centred * x, axis=axis), permutation_type="pairings", n_resamples=N,
        vectorized=True, rng=np.random.default_rng(5), alternative="greater",
    )  # fmt: skip
    p = float(theirs.pvalue) * (2 if two_sided else 1)
    assert found.result.p[0] == pytest.approx(p, rel=0.15, abs=6 * (p / N) ** 0.5)


def test_smallest_p_of_yes_and_no() -> None:
    """Worked values: 10 blocks with 5 wins 1/C(10,5), 8 with 4 wins 1/C(8,4)."""
    for n, floor in ((10, 1 / 252), (8, 1 / 70)):
        yes = (np.arange(n) < n // 2).astype(np.int64)
        slots = slots_of(np.zeros(n, np.int64), np.arange(n))
        assert smallest_p(slots, yes, yes) == pytest.approx(floor)
        assert smallest_p(slots, np.arange(n), np.arange(n)) == pytest.approx(1 / factorial(n))


def test_same_seed_same_numbers_and_another_name_others() -> None:
    rng = np.random.default_rng(6)
    weights, outcome = rng.standard_normal((30, 3)), rng.integers(-999, 999, 30)
    arguments = (weights, outcome, np.zeros(30, np.int64), np.arange(30), (True,) * 3)
    one, same, other = (permuted(*arguments, (name,), 999) for name in ("x", "x", "y"))
    assert one is not None
    assert same is not None
    assert other is not None
    assert one.result.p.tolist() == same.result.p.tolist()
    assert one.result.p_single.tolist() != other.result.p_single.tolist()


def test_nothing_to_exchange() -> None:
    alone = np.array([5])
    assert permuted(np.array([[1.0]]), alone, np.array([0]), np.array([0]), (True,), ("x",), 99) is None


def test_family_wise_error_of_the_step_down_is_held_where_single_p_is_not() -> None:
    """Twenty accounts, nobody favoured: any single p below 5% comes in most runs, any adjusted one in 5% of them."""
    rng = np.random.default_rng(12)
    single, adjusted = 0, 0
    for k in range(200):
        weights, outcome = rng.standard_normal((40, 20)), rng.integers(-(10**6), 10**6, 40)
        found = permuted(weights, outcome, np.zeros(40, np.int64), np.arange(40), (True,) * 20, (str(k),), 199)
        assert found is not None
        single += found.result.p_single.min() <= 0.05
        adjusted += found.result.p.min() <= 0.05
    assert single > 100
    assert adjusted <= stats.binom.ppf(0.9999, 200, 0.05)


# ---------------------------------------------------------------- e, f, d through a review


def day_of(k: int) -> str:
    return (date(2026, 1, 5) + timedelta(days=k)).isoformat()


NAMES = [f"C{i}" for i in range(8)]
PLAN = "[test]\nstrata = ['strategy']\npermutations = 9999\n"


def history(tmp_path: Path, seed: int, favoured: str = "", code: str = "") -> list[list[Row]]:
    """Sixty blocks of 800 over eight accounts; 20 units move between two accounts, to ``favoured`` on good days."""
    rng = np.random.default_rng(seed)
    blocks = []
    for k in range(60):
        move = round(float(rng.standard_t(4)), 2)
        giver, taker = rng.choice(NAMES, 2, replace=False)
        if favoured:
            other = str(rng.choice([name for name in NAMES if name != favoured]))
            giver, taker = (other, favoured) if move > 0 else (favoured, other)
        given = dict.fromkeys(NAMES, 100)
        given[str(giver)] -= 20
        given[str(taker)] += 20
        blocks.append(block(k, given, dict.fromkeys(NAMES, 100), close=100 + move, day=day_of(k), exception_code=code))
    return blocks


def test_dispersion_finds_the_one_account(tmp_path: Path) -> None:
    (found,) = dispersion.run(review(tmp_path, history(tmp_path, 1, favoured="C3"), PLAN))
    first, second = found.details["accounts"][:2]
    assert found.verdict is Verdict.AMBER
    assert first["account"] == "C3"
    assert first["p_adj"] <= 1e-3 < 0.01 < second["p_adj"]
    assert first["p"] <= first["p_adj"]


def test_dispersion_gains_are_exact_and_sum_to_nothing(tmp_path: Path) -> None:
    (found,) = dispersion.run(review(tmp_path, history(tmp_path, 2), PLAN))
    assert found.verdict is Verdict.GREEN
    cents = [round(100 * float(row["gain"][""])) for row in found.details["accounts"]]
    assert sum(cents) == 0
    assert any(cents)
    assert found.details["spread"][0]["accounts"] == 8


def test_exceptions_of_one_trader_stand_out(tmp_path: Path) -> None:
    """18 exceptions in 50 blocks against 12 in 400: Fisher 1.0e-11; the permutation reaches its floor."""
    rng = np.random.default_rng(7)
    traders = rng.permutation([*(["T9"] * 50), *(f"T{k % 8}" for k in range(400))])
    left, blocks = {"T9": 18, "rest": 12}, []
    for k, trader in enumerate(traders.tolist()):
        who = trader if trader == "T9" else "rest"
        code = "MARKET" if left[who] > 0 else ""
        left[who] -= 1
        blocks.append(block(k, {"A": 50, "B": 50}, {"A": 50, "B": 50}, day=day_of(k % 250), trader=trader,
                            exception_code=code))  # fmt: skip
    (found,) = exception_rates.run(review(tmp_path, blocks, PLAN))
    assert found.verdict is Verdict.AMBER
    assert found.details["p_rates_adjusted"] <= 1e-3
    first = found.details["rates"]["trader"][0]
    assert (first["name"], first["events"], first["exposure"]) == ("T9", 18, 50)
    assert first["p"] < 1e-9
    assert found.figures["trader"]["points"][0]["rate"] == 0.36


def test_exceptions_that_helped_the_favoured(tmp_path: Path) -> None:
    """All traders alike; in the blocks with an exception PROP got more of winners and less of losers."""
    rng = np.random.default_rng(8)
    blocks = []
    for k in range(80):
        move, excepted = float(rng.standard_t(4)), k % 4 == 0
        more = (20 if move > 0 else -20) if excepted else 0
        blocks.append(
            block(k, {"PROP": 50 + more, "A": 50 - more}, {"PROP": 60, "A": 60}, close=round(100 + move, 2),
                  day=day_of(k), exception_code="MARKET" if excepted else "")
        )  # fmt: skip
    (found,) = exception_rates.run(review(tmp_path, blocks, PLAN))
    assert found.verdict is Verdict.AMBER
    assert found.details["p_benefited"] <= 1e-3
    (by_code,) = found.details["outcomes_by_code"]
    assert (by_code["exception_code"], by_code["hits"], by_code["trials"]) == ("MARKET", 20, 20)


def test_no_exceptions(tmp_path: Path) -> None:
    (found,) = exception_rates.run(review(tmp_path, [block(1, {"A": 5, "B": 5}, {"A": 5, "B": 5})]))
    assert (found.verdict, found.p) == (Verdict.GREEN, None)


def odd_lots(winner: str, count: int, follow: bool = False) -> list[list[Row]]:
    """One odd unit among A, B and C a block; ``winner`` gets it, or B and C in turn; ``follow``: only in winners."""
    rng = np.random.default_rng(9)
    blocks = []
    for k in range(count):
        move = float(rng.standard_t(4))
        takes = (winner if (move > 0 or not follow) else "BC"[k % 2]) if winner else "ABC"[int(rng.integers(3))]
        given = {name: 3 + (name == takes) for name in "ABC"}
        blocks.append(block(k, given, dict.fromkeys("ABC", 10), close=round(100 + move, 2), day=day_of(k)))
    return blocks


def test_ties_always_won_by_one_account(tmp_path: Path) -> None:
    """10 over 1:1:1, sixty times A: (1/3)^60, both sides, three accounts."""
    (found,) = remainder.run(review(tmp_path, odd_lots("A", 60), PLAN))
    assert found.verdict is Verdict.AMBER
    first = found.details["ties_drawn"][0]
    assert (first["account"], first["draws"], first["won"]) == ("A", 60, 60)
    assert first["expected"] == pytest.approx(20)
    assert first["z"] == pytest.approx(40 / (60 * 2 / 9) ** 0.5)
    assert found.details["p_ties_adjusted"] == pytest.approx(6 * 3.0**-60, rel=1e-6)
    assert next(row for row in found.details["accounts"] if row["account"] == "A")["cumulative"] == "40"


def test_ties_drawn_evenly(tmp_path: Path) -> None:
    (found,) = remainder.run(review(tmp_path, odd_lots("", 60), PLAN))
    assert (found.verdict, found.n_blocks) == (Verdict.GREEN, 60)


def test_a_rule_that_names_the_winner_is_no_draw(tmp_path: Path) -> None:
    """With ties by account A always gets the odd unit, by rule: no draw, and nothing that could follow returns."""
    plan = PLAN + "[policy]\nmethod = 'pro-rata'\nties = 'account'\n"
    (found,) = remainder.run(review(tmp_path, odd_lots("A", 60), plan))
    assert (found.verdict, found.details["ties_drawn"]) == (Verdict.INSUFFICIENT, [])


def test_extras_that_follow_returns(tmp_path: Path) -> None:
    plan = PLAN + "[policy]\nmethod = 'pro-rata'\nties = 'account'\n"
    (found,) = remainder.run(review(tmp_path, odd_lots("A", 60, follow=True), plan))
    assert found.verdict is Verdict.AMBER
    assert found.details["p_extras_with_returns"] <= 1e-3


def test_no_remainders(tmp_path: Path) -> None:
    (found,) = remainder.run(review(tmp_path, [block(1, {"A": 5, "B": 5}, {"A": 10, "B": 10})]))
    assert (found.verdict, found.p) == (Verdict.GREEN, 1.0)


@pytest.mark.parametrize("name", ["JPY", "USD"])
def test_no_currency_outweighs_another_by_its_unit(tmp_path: Path, name: str) -> None:
    """C3 gains in one of two currencies only, the other's noise being as large; a yen is worth a hundredth."""
    guilty, honest = history(tmp_path, 1, favoured="C3"), history(tmp_path, 2)
    blocks = []
    for k, rows in enumerate([*guilty, *honest]):
        currency = name if k < 60 else ("USD" if name == "JPY" else "JPY")
        times = 100 if currency == "JPY" else 1
        for row in rows:
            row["block_id"] = f"B{k}"
            row["currency"] = currency
            row["price"], row["close_price"] = (str(times * float(row[key])) for key in ("price", "close_price"))
        blocks.append(rows)
    (found,) = dispersion.run(review(tmp_path, blocks, PLAN))
    assert found.details["accounts"][0]["account"] == "C3"
    assert found.details["accounts"][0]["p_adj"] <= 0.01
    assert set(found.details["accounts"][0]["gain"]) == {"JPY", "USD"}


def test_nothing_at_all(tmp_path: Path) -> None:
    """A window without blocks: every test says that it cannot tell, none fails."""
    made = review(tmp_path, [block(1, {"A": 5}, {"A": 5})], "[window]\nfrom = 2030-01-01\n")
    tests = (deviation, timestamps, remainder, dispersion, exception_rates, price_sorting, round_trips, resubmissions)
    for one in tests:
        (found,) = one.run(made)
        assert found.verdict is Verdict.INSUFFICIENT, found.id
