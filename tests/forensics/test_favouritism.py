"""a1 and a2, sentence by sentence: what is measured, which blocks, which cuts, which verdict."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from blotters import Row, block, review
from scipy import stats

from fixgateway.forensics import companions, favouritism, verdicts
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Finding, Verdict

INTENTS = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
HONEST = {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
WINS = {"CLIENT-A": 15_000, "CLIENT-B": 0, "CLIENT-C": 0, "PROP": 15_000}
LOSES = {"CLIENT-A": 17_000, "CLIENT-B": 8_000, "CLIENT-C": 5_000, "PROP": 0}
Blocks = list[list[Row]]


def day(k: int) -> str:
    return f"2026-{k // 20 + 1:02d}-{k % 20 + 1:02d}"


def picked(count: int = 20, first: int = 0, **fields: Any) -> Blocks:
    """PROP gets 15,000 of winners and nothing of losers; every close differs."""
    blocks = []
    for k in range(first, first + count):
        won = k % 2 == 0
        close = f"{100 + (k + 1) / 100 * (1 if won else -1):.2f}"
        blocks.append(block(k, WINS if won else LOSES, INTENTS, close=close, day=day(k), **fields))
    return blocks


def a1(made: Review) -> dict[str, Finding]:
    return {x.id: x for x in verdicts.judged(favouritism.run_a1(made), made.plan)}


def a2(made: Review) -> dict[str, Finding]:
    return {x.id: x for x in verdicts.judged(favouritism.run_a2(made), made.plan)}


# ---------------------------------------------------------------- what is measured


def test_benefit_is_exact_money_of_the_deviation(tmp_path: Path) -> None:
    """9,000 too many of winners, 6,000 too few of losers, times the move."""
    found = a1(review(tmp_path, picked()))["a1"]
    moves = [Fraction(k + 1, 100) for k in range(20)]
    expected = sum(m * 9_000 for m in moves[::2]) + sum(m * 6_000 for m in moves[1::2])
    assert found.benefit == expected
    notional = 10 * 15_000 * 100
    assert found.benefit_bps == pytest.approx(float(expected / notional * 10_000))
    assert found.document()["benefit"] == f"{float(expected):.2f}"
    assert found.verdict is Verdict.RED


@pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("cover", 1), ("sell", -1), ("short", -1)])
def test_the_side_decides_what_a_gain_is(tmp_path: Path, side: str, sign: int) -> None:
    found = a1(review(tmp_path, [block(1, WINS, INTENTS, close="101", side=side)]))["a1"]
    assert found.benefit == 9_000 * sign


def test_the_price_is_the_blocks_average_and_the_multiplier_counts(tmp_path: Path) -> None:
    prices = {"CLIENT-A": "100", "PROP": "101"}
    made = block(1, {"CLIENT-A": 10, "PROP": 20}, {"CLIENT-A": 30, "PROP": 30}, prices=prices, close=103,
                 multiplier="100")  # fmt: skip
    found = a1(review(tmp_path, [made]))["a1"]
    average = Fraction(10 * 100 + 20 * 101, 30)
    assert found.benefit == 5 * (103 - average) * 100
    assert found.document()["benefit"] == "1166.67"


def test_strategies_that_honestly_differ_are_no_deviation(tmp_path: Path) -> None:
    """PROP is in the better strategy only, as its statements said: nothing deviates."""
    blocks = []
    for k in range(24):
        better = k % 2 == 0
        intents = {"PROP": 60, "CLIENT-A": 60} if better else {"CLIENT-A": 60, "CLIENT-B": 60}
        given = dict.fromkeys(intents, 30)
        close = 105 + k if better else 95 - k
        blocks.append(block(k, given, intents, close=close, day=day(k), strategy="better" if better else "worse"))
    found = a1(review(tmp_path, blocks))
    assert (found["a1"].verdict, found["a1"].p, found["a1"].summary) == (Verdict.GREEN, 1.0, "no deviation")
    assert found["a1/worse"].verdict is Verdict.INSUFFICIENT, "nobody of the group takes part there"


# ---------------------------------------------------------------- which blocks


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"captured_at": ""}, "no times"),
        ({"released_at": ""}, "no times"),
        ({"captured_at": "2026-01-01T14:01:00Z", "released_at": "2026-01-01T14:01:00Z"}, "late"),
        ({"captured_at": "2026-01-01T14:01:01Z", "released_at": "2026-01-01T14:01:00Z"}, "late"),
        (
            {"captured_at": "2026-01-01T14:00:59.9Z", "released_at": "2026-01-01T14:01:00Z",
             "clock_offset_us": "200000"}, "unresolved",
        ),
        ({"intent_qty": ""}, "no statement"),
    ],
    ids=["no capture", "no release", "at release", "after release", "clocks", "no statement"],
)  # fmt: skip
def test_blocks_without_a_statement_before_the_order_go_to_a2(tmp_path: Path, fields: dict[str, str], why: str) -> None:
    made = review(tmp_path, picked(20) + picked(1, 20, **fields))
    assert made.blocks["why_not"].to_list() == [""] * 20 + [why]
    assert a1(made)["a1"].n_blocks == 20
    assert a2(made)["a2"].n_blocks == 1
    assert any("went to a2" in limit for limit in a1(made)["a1"].limits)


def test_late_statements_hide_nothing(tmp_path: Path) -> None:
    """Statements written after the fact to fit the allocation: a1 has no blocks, a2 finds it."""
    blocks = []
    for k, rows in enumerate(picked(40)):
        for row in rows:
            row["intent_qty"] = row["alloc_qty"]
            row["captured_at"] = f"{day(k)}T20:00:00Z"
        blocks.append(rows)
    made = review(tmp_path, blocks)
    assert a1(made)["a1"].verdict is Verdict.INSUFFICIENT
    found = a2(made)["a2"]
    assert found.verdict is Verdict.RED
    assert any("confounded" in limit for limit in found.limits)


def test_whole_blocks_to_one_account_equal_the_hypergeometric(tmp_path: Path) -> None:
    """One stratum, one size, two outcomes: a2 is Fisher's exact test."""
    blocks = []
    for k in range(18):
        won = k < 9
        mine = k in (0, 1, 2, 3, 4, 5, 6, 9, 10)
        account = "PROP" if mine else "CLIENT-A"
        blocks.append(block(k, {account: 100}, close=101 if won else 99, day=day(k)))
    found = a2(review(tmp_path, blocks))["a2"]
    assert found.exact
    assert found.p == pytest.approx(float(stats.hypergeom.sf(6, 18, 9, 9)))
    table = found.details["win_rates"]
    assert table["table"] == [[7, 2], [2, 7]]
    assert table["fisher_p"] == pytest.approx(found.p)


def test_a2_without_any_difference_of_shares_is_green(tmp_path: Path) -> None:
    blocks = [block(k, HONEST, close=100 + k, day=day(k)) for k in range(12)]
    found = a2(review(tmp_path, blocks))["a2"]
    assert (found.verdict, found.p, found.benefit) == (Verdict.GREEN, 1.0, 0)


def test_blocks_without_a_close_are_not_tested_and_said(tmp_path: Path) -> None:
    found = a1(review(tmp_path, [*picked(20), block(20, WINS, INTENTS, close="", day=day(20))]))["a1"]
    assert found.n_blocks == 20
    assert any("1 blocks have no closing price" in limit for limit in found.limits)


# ---------------------------------------------------------------- cuts


def test_identical_sets_count_once(tmp_path: Path) -> None:
    found = a1(review(tmp_path, picked()))
    assert list(found) == ["a1", "a1/own", "a1/fee", "a1/value", "a1/partial"]
    assert [x.counts for x in found.values()] == [True, False, False, False, False]
    assert {x.p_adj for x in found.values()} == {found["a1"].p}


def test_holm_over_all_that_differ(tmp_path: Path) -> None:
    """HEDGE pays a performance fee, STAFF is an employee: union, own and fee are three sets."""
    intents = {"A": 100, "HEDGE": 100, "STAFF": 100}
    blocks = []
    for k in range(40):
        won = k % 2 == 0
        staff = 40 if won else 50 if k % 4 == 1 else 45
        given = {"A": 20, "HEDGE": 90, "STAFF": staff} if won else {"A": 80, "HEDGE": 20, "STAFF": staff}
        blocks.append(block(k, given, intents, close=round(100 + (k + 1) * (0.1 if won else -0.1), 2), day=day(k)))
    found = a1(review(tmp_path, blocks))
    assert found["a1"].groups == {"union": ["HEDGE", "STAFF"]}
    assert found["a1/own"].groups == {"own": ["STAFF"]}
    assert found["a1/fee"].groups == {"fee": ["HEDGE"]}
    counted = [x for x in found.values() if x.counts]
    assert [x.id for x in counted] == ["a1", "a1/own", "a1/fee"]
    chances = [x.chance for x in counted if x.chance is not None]
    assert [x.p_adj for x in counted] == [float(p) for p in verdicts.holm(chances)]
    assert found["a1/own"].verdict is Verdict.GREEN


def test_strategies_and_partial_fills_are_cuts_of_their_own(tmp_path: Path) -> None:
    one, two = picked(20, strategy="A"), picked(20, strategy="B")
    for k, rows in enumerate(two):
        for row in rows:
            row["block_id"] = f"X{k}"
            row["intent_qty"] = row["alloc_qty"]
    found = a1(review(tmp_path, one + two))
    assert (found["a1/A"].n_blocks, found["a1/B"].n_blocks, found["a1/partial"].n_blocks) == (20, 20, 20)
    assert found["a1/B"].summary == "no deviation"
    assert found["a1/A"].details["same_as"] == "a1", "B's blocks deviate nowhere: the same set"


def test_a_strategy_called_like_a_group_has_its_own_id(tmp_path: Path) -> None:
    assert "a1/strategy=own" in a1(review(tmp_path, picked(20, strategy="own")))


def test_groups_of_the_plan(tmp_path: Path) -> None:
    made = review(tmp_path, picked(), "[groups]\nfriends = ['CLIENT-B']\nrich = { fee_rate_at_least = 0.01 }\n")
    found = a1(made)
    assert found["a1/friends"].groups == {"friends": ["CLIENT-B"]}
    assert found["a1/friends"].verdict is Verdict.GREEN
    assert len(found["a1/rich"].groups["rich"]) == 4


def test_the_mark_at_allocation_informs(tmp_path: Path) -> None:
    blocks = picked()
    for rows in blocks:
        for row in rows:
            row["mark_at_allocation"] = row["close_price"]
    found = a1(review(tmp_path, blocks))["a1/mark"]
    assert (found.verdict, found.primary) == (Verdict.AMBER, False)


# ---------------------------------------------------------------- verdicts


def test_no_deviation_at_all(tmp_path: Path) -> None:
    found = a1(review(tmp_path, [block(1, HONEST, INTENTS, close=110)]))["a1"]
    assert (found.verdict, found.p, found.p_adj, found.summary) == (Verdict.GREEN, 1.0, 1.0, "no deviation")


@pytest.mark.parametrize(
    ("blocks", "verdict"), [(8, Verdict.INSUFFICIENT), (10, Verdict.AMBER), (14, Verdict.RED)],
    ids=["1/C(8,4) = 0.014", "1/C(10,5) = 0.004", "1/C(14,7) = 0.0003"],
)  # fmt: skip
def test_the_smallest_p_bounds_the_verdict(tmp_path: Path, blocks: int, verdict: Verdict) -> None:
    """Half winners, all to PROP: the best possible order. Equal deviations in winners and in losers."""
    found = a1(review(tmp_path, picked(blocks)))["a1"]
    assert found.smallest == pytest.approx({8: 1 / 70, 10: 1 / 252, 14: 1 / 3432}[blocks])
    assert found.p == pytest.approx(found.smallest)
    assert found.verdict is verdict


@pytest.mark.parametrize(("bps", "verdict"), [("1", Verdict.RED), ("5000", Verdict.AMBER)])
def test_red_needs_a_material_benefit(tmp_path: Path, bps: str, verdict: Verdict) -> None:
    plan = f"[thresholds]\nmateriality_bps = {bps}\n"
    assert a1(review(tmp_path, picked(), plan))["a1"].verdict is verdict


def test_currencies_are_never_added(tmp_path: Path) -> None:
    one = picked(20, currency="USD")
    two = picked(20, 20, currency="JPY")
    made = review(tmp_path, one + two)
    found = a1(made)["a1"]
    alone = a1(review(tmp_path, one))["a1"]
    assert found.benefit is None
    assert found.benefits["USD"] == alone.benefit
    assert set(found.benefits) == {"USD", "JPY"}
    assert found.verdict is Verdict.RED
    big = "[thresholds]\nmateriality = { USD = 10000000, JPY = 10000000 }\n"
    assert a1(review(tmp_path, one + two, big))["a1"].verdict is Verdict.AMBER
    part = "[thresholds]\nmateriality = { USD = 10000000, JPY = 1 }\n"
    assert a1(review(tmp_path, one + two, part))["a1"].verdict is Verdict.RED


def finding(id_: str, verdict: Verdict, family: str = "", primary: bool = True) -> Finding:
    return Finding(id_, id_, verdict, family=family, primary=primary)


G, A, R, I = Verdict.GREEN, Verdict.AMBER, Verdict.RED, Verdict.INSUFFICIENT  # noqa: E741


@pytest.mark.parametrize(
    ("a1_", "a2_", "b", "e", "overall"),
    [
        (G, I, G, G, G), (R, I, G, G, R), (A, I, G, G, A), (I, R, G, G, R), (I, G, G, G, G), (G, I, R, G, R),
        (G, I, G, R, A), (G, I, G, A, A), (I, I, G, G, I), (I, I, I, I, I), (I, I, A, G, A), (I, I, R, G, R),
        (I, I, G, R, A), (G, I, I, I, G),
    ],
)  # fmt: skip
def test_overall(a1_: Verdict, a2_: Verdict, b: Verdict, e: Verdict, overall: Verdict) -> None:
    found = [finding("a1", a1_, "a1"), finding("a2", a2_, "a2"), finding("b", b), finding("e", e, primary=False)]
    assert verdicts.overall(found) is overall


def test_holm_and_benjamini_hochberg_as_published() -> None:
    """Benjamini and Hochberg 1995, table 1: at q = 0.05 their procedure rejects 4 of 15, Bonferroni-type ones 3."""
    p = [Fraction(x).limit_denominator(10**6) for x in (
        "0.0001", "0.0004", "0.0019", "0.0095", "0.0201", "0.0278", "0.0298", "0.0344", "0.0459", "0.3240", "0.4262",
        "0.5719", "0.6528", "0.7590", "1.0000",
    )]  # fmt: skip
    assert sum(x <= Fraction(5, 100) for x in verdicts.benjamini_hochberg(p)) == 4
    assert sum(x <= Fraction(5, 100) for x in verdicts.holm(p)) == 3


# ---------------------------------------------------------------- companions


def test_a_published_two_by_two() -> None:
    """SEC against Magee: 376 of 459 own trades profitable, 219 of 1,365 of clients'."""
    found = companions.two_by_two(376, 459 - 376, 219, 1365 - 219)
    assert found["rate"] == pytest.approx(0.819, abs=0.0005)
    assert found["other_rate"] == pytest.approx(0.160, abs=0.0005)
    assert found["odds_ratio"] == pytest.approx(23.7, abs=0.05)
    assert found["fisher_p"] == pytest.approx(8.9e-147, rel=0.01)


def test_newcombe_as_published() -> None:
    """Newcombe 1998, statistics in medicine 17, example (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339."""
    assert companions.newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=0.00005)
