"""Tests b, c and g without chance: policy computed again, times, prices, round trips, statements tried again."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from reviews import Row, block, review

from fixgateway.forensics import deviation, price_sorting, resubmissions, round_trips, timestamps
from fixgateway.forensics.findings import Finding, Verdict

INTENTS = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
HONEST = {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
SORTED = {"CLIENT-A": 15_000, "CLIENT-B": 0, "CLIENT-C": 0, "PROP": 15_000}
APPROVED = {
    "exception_code": "REBALANCE", "exception_approver": "cco", "exception_approved_at": "2026-03-02T15:05:00Z",
    "exception_at": "2026-03-02T15:04:00Z",
}  # fmt: skip
POLICY = "[policy]\nmethod = 'pro-rata'\nlot = 1\nties = 'seeded'\n"


def days(count: int) -> list[str]:
    return [(date(2026, 3, 2) + timedelta(days=k)).isoformat() for k in range(count)]


def counts(finding: Finding) -> dict[str, int]:
    return {one["kind"]: one["blocks"] for one in finding.details["counts"] if one["blocks"]}


# ---------------------------------------------------------------- b


def test_worked_example_is_as_computed(tmp_path: Path) -> None:
    (found,) = deviation.run(review(tmp_path, [block(1, HONEST, INTENTS)]))
    assert (found.verdict, found.details["breaches"], found.p) == (Verdict.GREEN, 0, None)


def test_cherry_picking_of_one_block_is_a_breach_with_exact_money(tmp_path: Path) -> None:
    """15,000 instead of 6,000 at 100, close 101.50: the proprietary account gained 9,000 x 1.50."""
    (found,) = deviation.run(review(tmp_path, [block(1, SORTED, INTENTS, close="101.5")]))
    assert found.verdict is Verdict.RED
    assert found.document()["benefit"] == "13500.00"
    rows = {row["account"]: row for row in found.details["rows"]}
    assert rows["PROP"]["deviation"] == "9000"
    assert rows["CLIENT-C"]["expected"] == "3000"
    assert not rows["PROP"]["approved"]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.AMBER),
        ({"exception_approver": ""}, Verdict.RED),
        ({"exception_approver": "T1"}, Verdict.RED),
        ({"exception_approved_at": ""}, Verdict.RED),
        ({"exception_code": ""}, Verdict.RED),
    ],
    ids=["approved", "nobody", "the trader", "no time", "no code"],
)
def test_only_an_approved_exception_makes_amber(tmp_path: Path, change: dict[str, str], verdict: Verdict) -> None:
    (found,) = deviation.run(review(tmp_path, [block(1, SORTED, INTENTS, **(APPROVED | change))]))
    assert found.verdict is verdict


@pytest.mark.parametrize(("codes", "verdict"), [("'REBALANCE'", Verdict.AMBER), ("'OTHER'", Verdict.RED)])
def test_the_plans_codes_decide(tmp_path: Path, codes: str, verdict: Verdict) -> None:
    plan = f"[policy]\ncodes = [{codes}]\n"
    (found,) = deviation.run(review(tmp_path, [block(1, SORTED, INTENTS, **APPROVED)], plan))
    assert found.verdict is verdict
    (found,) = deviation.run(review(tmp_path, [block(1, SORTED, INTENTS, exception_code="REBALANCE")], plan))
    assert found.verdict is verdict, "a file without approvers: the list alone"


@pytest.mark.parametrize(("plan", "breaches"), [("", 0), (POLICY, 1)], ids=["exact share", "known policy"])
def test_less_than_a_lot_is_a_breach_only_of_a_known_policy(tmp_path: Path, plan: str, breaches: int) -> None:
    """10 over 1:1:1 is 4, 3, 3 by the policy; 3.5, 3, 3.5 is nobody's rounding but within a lot of the exact share."""
    intents = {"A": 10, "B": 10, "C": 10}
    (found,) = deviation.run(review(tmp_path, [block(1, {"A": "3.5", "B": 3, "C": "3.5"}, intents)], plan))
    assert found.details["breaches"] == breaches


def test_breach_of_one_lot_without_a_policy(tmp_path: Path) -> None:
    """9 over 1:1:1 is exactly 3 each: 4, 3, 2 is one lot off."""
    (found,) = deviation.run(review(tmp_path, [block(1, {"A": 4, "B": 3, "C": 2}, {"A": 10, "B": 10, "C": 10})]))
    assert (found.verdict, found.details["breaches"]) == (Verdict.RED, 1)


def test_an_account_that_leans_one_way(tmp_path: Path) -> None:
    """Ten days, each time one share from A to B: the two one-sided sign vectors of 1,024, for both accounts alike."""
    blocks = [block(k, {"A": 4, "B": 6}, {"A": 10, "B": 10}, day=day) for k, day in enumerate(days(10))]
    (found,) = deviation.run(review(tmp_path, blocks))
    assert found.exact
    assert found.p == found.p_floor == 2 / 1024
    assert [row["sum_of_shares"] for row in found.details["accounts"]] == pytest.approx([-1.0, 1.0])


def test_without_statements_there_is_nothing_to_compare(tmp_path: Path) -> None:
    (found,) = deviation.run(review(tmp_path, [block(1, HONEST)]))
    assert found.verdict is Verdict.INSUFFICIENT


# ---------------------------------------------------------------- c

TIMES: dict[str, tuple[dict[str, str], str, Verdict]] = {
    "in order": ({}, "", Verdict.GREEN),
    "captured after release": ({"captured_at": "2026-03-02T14:01:00.000001Z"}, "captured_late", Verdict.RED),
    "captured at release": ({"captured_at": "2026-03-02T14:01:00Z"}, "captured_late", Verdict.RED),
    "within the clocks' offset": (
        {"captured_at": "2026-03-02T14:00:59.999Z", "clock_offset_us": "1500"}, "undecided", Verdict.INSUFFICIENT),
    "after, within the offset": (
        {"captured_at": "2026-03-02T14:01:00.001Z", "clock_offset_us": "1500"}, "undecided", Verdict.INSUFFICIENT),
    "beyond the offset": ({"captured_at": "2026-03-02T14:00:59.998Z", "clock_offset_us": "1500"}, "", Verdict.GREEN),
    "61 minutes": ({"allocated_at": "2026-03-02T16:01:00Z"}, "late", Verdict.AMBER),
    "60 minutes": ({"allocated_at": "2026-03-02T16:00:00Z"}, "", Verdict.GREEN),
    "completed later than the last fill": (
        {"allocated_at": "2026-03-02T16:30:00Z", "completed_at": "2026-03-02T15:30:00Z"}, "", Verdict.GREEN),
    "changed while filled": ({"statement_changed_at": "2026-03-02T14:30:00Z"}, "changed", Verdict.RED),
    "changed before release": ({"statement_changed_at": "2026-03-02T14:00:30Z"}, "", Verdict.GREEN),
    "other offsets, same moment": ({"captured_at": "2026-03-02T09:00:30-05:00"}, "", Verdict.GREEN),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_times(tmp_path: Path, name: str) -> None:
    fields, kind, verdict = TIMES[name]
    (found,) = timestamps.run(review(tmp_path, [block(1, HONEST, INTENTS, **fields)]))
    assert (found.verdict, list(counts(found))) == (verdict, [kind] if kind else [])


def test_changed_with_an_approved_exception_is_amber(tmp_path: Path) -> None:
    fields = APPROVED | {"statement_changed_at": "2026-03-02T14:30:00Z"}
    (found,) = timestamps.run(review(tmp_path, [block(1, HONEST, INTENTS, **fields)]))
    assert found.verdict is Verdict.AMBER


def test_memo_after_the_fact(tmp_path: Path) -> None:
    fields = APPROVED | {"exception_at": "2026-03-02T18:00:00Z", "exception_approved_at": "2026-03-02T18:30:00Z"}
    (found,) = timestamps.run(review(tmp_path, [block(1, SORTED, INTENTS, **fields)]))
    assert (found.verdict, set(counts(found))) == (Verdict.AMBER, {"memo_late", "approval_late"})


def late_blocks(late_winners: int, late_losers: int, each: int) -> list[list[Row]]:
    """So many winners and losers of the favoured (always 10,000 against 6,000 due), the first of each late."""
    blocks = []
    for k, day in enumerate(days(2 * each)):
        winner, place = k % 2 == 0, k // 2
        late = place < (late_winners if winner else late_losers)
        allocated = "2026-03-02T15:10:00Z".replace("2026-03-02", day).replace("15:10", "20:10" if late else "15:10")
        given = {"CLIENT-A": 12_500, "CLIENT-B": 5_000, "CLIENT-C": 2_500, "PROP": 10_000}
        close = 101 if winner else 99
        blocks.append(block(k, given, INTENTS, close=close, day=day, allocated_at=allocated))
    return blocks


def test_lateness_of_winners_is_found(tmp_path: Path) -> None:
    """24 of 25 winners late against 12 of 25 losers: Fisher 1.4e-4, and the permutation says the same."""
    plan = "[test]\nstrata = ['strategy']\n"
    (found,) = timestamps.run(review(tmp_path, late_blocks(24, 12, 25), plan))
    fisher: dict[str, Any] = found.details["association"]["fisher_late_by_favoured_won"]
    assert (fisher["hits"], fisher["trials"], fisher["other_hits"], fisher["other_trials"]) == (24, 36, 1, 14)
    assert fisher["p_greater"] == pytest.approx(1.4e-4, rel=0.05)
    assert found.p == pytest.approx(1.4e-4, abs=2e-4)
    assert found.verdict is Verdict.RED


def test_lateness_of_everything_is_amber_without_association(tmp_path: Path) -> None:
    (found,) = timestamps.run(review(tmp_path, late_blocks(25, 25, 25)))
    assert (found.verdict, found.p) == (Verdict.AMBER, None)


# ---------------------------------------------------------------- g


def test_price_sorting_needs_one_block(tmp_path: Path) -> None:
    """100 at 100.00 for PROP, 100 at 100.10 for A: half of the difference is PROP's gain, 100 x 0.05."""
    sorted_ = block(1, {"PROP": 100, "A": 100}, {"PROP": 100, "A": 100}, prices={"PROP": "100.00", "A": "100.10"})
    (found,) = price_sorting.run(review(tmp_path, [sorted_, block(2, HONEST, INTENTS)]))
    assert (found.verdict, found.document()["benefit"]) == (Verdict.RED, "5.00")
    assert [one["block_id"] for one in found.details["blocks"]] == ["B00001"]


def test_price_sorting_of_a_sale_and_by_rule(tmp_path: Path) -> None:
    prices = {"PROP": "100.10", "A": "100.00"}
    sale = block(1, {"PROP": 100, "A": 300}, {"PROP": 100, "A": 300}, prices=prices, side="sell", method="")
    ruled = block(2, {"PROP": 100, "A": 300}, {"PROP": 100, "A": 300}, prices=prices, method="high-low")
    (found,) = price_sorting.run(review(tmp_path, [sale, ruled]))
    assert found.document()["benefit"] == "7.50"
    assert (found.details["blocks_with_several_prices"], found.details["prices_by_method"]) == (1, 1)


def test_one_price_is_green(tmp_path: Path) -> None:
    (found,) = price_sorting.run(review(tmp_path, [block(1, HONEST, INTENTS)]))
    assert (found.verdict, found.document()["benefit"]) == (Verdict.GREEN, "0.00")


def round_trip(k: int, day: str, account: str, up: bool, known: bool) -> list[list[Row]]:
    """Bought and sold by one account on a day; ``known``: both legs allocated after the second fill."""
    morning = f"{day}T20:00:00Z" if known else f"{day}T15:10:00Z"
    bought: dict[str, Any] = {"side": "buy", "price": 100, "allocated_at": morning}
    sold: dict[str, Any] = {
        "side": "sell", "price": 101 if up else 99, "last_fill_at": f"{day}T19:00:00Z",
        "allocated_at": f"{day}T20:00:00Z",
    }  # fmt: skip
    return [block(2 * k + n, {account: 100}, day=day, **leg) for n, leg in enumerate((bought, sold))]


def trips(known: bool, honest: bool) -> list[list[Row]]:
    blocks = []
    for k, day in enumerate(days(24)):
        up = k % 2 == 0
        account = "PROP" if (k % 4 < 2 if honest else up) else "A"
        blocks += round_trip(k, day, account, up, known)
    return blocks


def test_round_trips_with_winners_to_one_side(tmp_path: Path) -> None:
    (found,) = round_trips.run(review(tmp_path, trips(known=True, honest=False)))
    assert found.verdict is Verdict.AMBER
    assert found.p is not None
    assert found.p <= 1e-3
    assert found.details["allocated_when_result_was_known"] == 24
    assert found.details["won_by_favoured_and_others"]["hits"] == 12


def test_sold_winners_and_held_losers(tmp_path: Path) -> None:
    """PROP sells what rose by 1% the same day; A holds what fell by 2%."""
    blocks = [*round_trip(0, "2026-03-02", "PROP", True, False), block(9, {"A": 100}, close=98, day="2026-03-03")]
    (found,) = round_trips.run(review(tmp_path, blocks))
    others, favoured = found.details["sold_or_held"]
    assert (favoured["sold"], favoured["sold_mean_bps"], favoured["held"]) == (1, 100.0, None)
    assert (others["sold"], others["held"], others["held_mean_bps"]) == (None, 1, -200.0)


def test_round_trips_shared_by_turns(tmp_path: Path) -> None:
    (found,) = round_trips.run(review(tmp_path, trips(known=False, honest=True)))
    assert (found.verdict, found.details["allocated_when_result_was_known"]) == (Verdict.GREEN, 0)


def test_no_round_trips(tmp_path: Path) -> None:
    (found,) = round_trips.run(review(tmp_path, [block(1, HONEST, INTENTS)]))
    assert found.verdict is Verdict.INSUFFICIENT


def tried(withdrawn: int) -> list[list[Row]]:
    nothing = dict.fromkeys(INTENTS, 0)
    day = "2026-03-02"
    blocks = [block(k, nothing, INTENTS, captured_at=f"{day}T13:{k:02d}:00Z") for k in range(withdrawn)]
    return [*blocks, block(50, HONEST, INTENTS)]


@pytest.mark.parametrize(("withdrawn", "verdict"), [(0, Verdict.INSUFFICIENT), (1, Verdict.GREEN), (2, Verdict.AMBER)])
def test_statements_tried_again(tmp_path: Path, withdrawn: int, verdict: Verdict) -> None:
    (found,) = resubmissions.run(review(tmp_path, tried(withdrawn)))
    assert found.verdict is verdict
