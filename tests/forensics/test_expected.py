"""Expected shares: the policy recomputed at once for all blocks equals the gateway's own allocator, block by block."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from blotters import block, review
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core import methods
from fixgateway.core.division import Terms
from fixgateway.core.model import Line, Method, Remainder, Ties
from fixgateway.forensics import favouritism
from fixgateway.forensics.data import Review
from fixgateway.forensics.expected import Sheet, shares
from fixgateway.forensics.plan import Plan, parse

EXAMPLE = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}


def star(made: Review) -> dict[str, Fraction]:
    """x* by account of a review of one block, in units."""
    den = made.blocks["den"][0] * made.quantity_scale
    return {made.accounts[a]: Fraction(x, den) for a, x in made.rows.select("a", "star").iter_rows()}


def one(tmp_path: Path, filled: dict[str, int | str], plan: str = "") -> dict[str, Fraction]:
    return star(review(tmp_path, [block(1, filled, EXAMPLE)], plan))


def test_the_worked_example(tmp_path: Path) -> None:
    found = one(tmp_path, {"CLIENT-A": 15_000, "CLIENT-B": 0, "CLIENT-C": 0, "PROP": 15_000})
    assert found == {"CLIENT-A": 15_000, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}


def test_without_a_policy_the_exact_share_is_a_fraction(tmp_path: Path) -> None:
    found = one(tmp_path, {"CLIENT-A": 7, "CLIENT-B": 0, "CLIENT-C": 0, "PROP": 0})
    assert found == {"CLIENT-A": Fraction(7, 2), "CLIENT-B": Fraction(7, 5), "CLIENT-C": Fraction(7, 10),
                     "PROP": Fraction(7, 5)}  # fmt: skip


def test_an_overfill_goes_to_the_error_account(tmp_path: Path) -> None:
    made = block(1, {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000, "ERR": 500}, EXAMPLE)
    made[-1]["account_class"] = "error"
    for plan in ("", "[policy]\nmethod = 'pro-rata'"):
        found = review(tmp_path, [made], plan)
        assert star(found)["ERR"] == 500
        assert set(found.rows["d"]) == {0}


def test_the_policy_of_the_plan_is_recomputed(tmp_path: Path) -> None:
    """30,050 in lots of 100: 15,025 / 6,010 / 3,005 / 6,010 exactly; the odd 50 to the largest shortfall."""
    filled: dict[str, int | str] = {"CLIENT-A": 15_050, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}
    plan = "[policy]\nmethod = 'pro-rata'\nlot = 100\nties = 'account'\nremainder = 'largest-shortfall'"
    assert one(tmp_path, filled, plan) == {"CLIENT-A": 15_050, "CLIENT-B": 6_000, "CLIENT-C": 3_000, "PROP": 6_000}


def test_the_column_is_the_expectation_without_a_plan(tmp_path: Path) -> None:
    rows = block(1, {"CLIENT-A": 10, "CLIENT-B": 0}, {"CLIENT-A": 10, "CLIENT-B": 10})
    rows[0]["expected_qty"], rows[1]["expected_qty"] = "10", "0"
    found = review(tmp_path, [rows])
    assert star(found) == {"CLIENT-A": 10, "CLIENT-B": 0}
    assert found.blocks["known_policy"].to_list() == [True]


def test_the_plan_comes_before_the_column(tmp_path: Path) -> None:
    """Whoever fills the blotter must not choose what is expected where the policy was fixed before."""
    rows = block(1, {"CLIENT-A": 10, "CLIENT-B": 0}, {"CLIENT-A": 10, "CLIENT-B": 10})
    rows[0]["expected_qty"], rows[1]["expected_qty"] = "10", "0"
    assert star(review(tmp_path, [rows], "[policy]\nmethod = 'pro-rata'")) == {"CLIENT-A": 5, "CLIENT-B": 5}


def test_a_method_that_needs_turns_takes_the_column_or_the_exact_share(tmp_path: Path) -> None:
    rows = block(1, {"CLIENT-A": 10, "CLIENT-B": 0}, {"CLIENT-A": 10, "CLIENT-B": 10})
    plan = "[policy]\nmethod = 'rotation'"
    exact = review(tmp_path, [rows], plan)
    assert (star(exact)["CLIENT-A"], exact.blocks["known_policy"][0]) == (5, False)
    assert any("rotation" in note for note in exact.notes)
    rows[0]["expected_qty"], rows[1]["expected_qty"] = "10", "0"
    assert star(review(tmp_path, [rows], plan))["CLIENT-A"] == 10


@pytest.mark.parametrize(("given_", "wrong"), [((4, 3, 3), 0), ((3, 4, 3), 0), ((3, 3, 4), 0), ((5, 3, 2), 2)])
def test_any_outcome_of_a_seeded_tie_is_the_policys(tmp_path: Path, given_: tuple[int, ...], wrong: int) -> None:
    intents: dict[str, int | str] = {"A": 10, "B": 10, "C": 10}
    rows = block(1, dict(zip("ABC", given_, strict=True)), intents)
    made = review(tmp_path, [rows], "[policy]\nmethod = 'pro-rata'\nties = 'seeded'")
    assert sum(d != 0 for d in made.rows["d"]) == wrong


def test_clients_come_first_by_client_priority(tmp_path: Path) -> None:
    filled: dict[str, int | str] = {"CLIENT-A": 25_000, "CLIENT-B": 3_333, "CLIENT-C": 1_667, "PROP": 0}
    found = one(tmp_path, filled, "[policy]\nmethod = 'client-priority'")
    assert found["PROP"] == 0
    assert found["CLIENT-A"] == 18_750


def test_minimums_exclude_as_the_allocator_does(tmp_path: Path) -> None:
    filled: dict[str, int | str] = {"CLIENT-A": 6, "CLIENT-B": 2, "CLIENT-C": 0, "PROP": 2}
    found = one(tmp_path, filled, "[policy]\nmethod = 'pro-rata'\nminimum = 2\nties = 'account'")
    assert found["CLIENT-C"] == 0


def test_policy_effect_is_reported_apart(tmp_path: Path) -> None:
    """By policy the rounding gives PROP 2 of 5, its exact share is 1: what that earns is no deviation."""
    intents: dict[str, int | str] = {"A": 10, "B": 10, "PROP": 5}
    blocks = [block(k, {"A": 1, "B": 1, "PROP": 1}, intents, day=f"2026-03-{k + 2:02d}", close=110) for k in range(6)]
    made = review(tmp_path, blocks, "[policy]\nmethod = 'pro-rata'\nties = 'account'\nlot = 1")
    found = favouritism.run_a1(made)[0]
    assert found.summary == "no deviation"
    assert found.details["policy_effect"] == {"": "24.00"}


Case = tuple[list[int], int, int, int, Ties, Remainder]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    intents = draw(st.lists(st.integers(1, 60), min_size=1, max_size=7))
    return (
        intents, draw(st.integers(0, sum(intents))), draw(st.integers(1, 12)), draw(st.sampled_from([0, 0, 3, 20])),
        draw(st.sampled_from([Ties.ACCOUNT, Ties.SMALLEST, Ties.LARGEST])),
        draw(st.sampled_from([Remainder.LARGEST_SHORTFALL, Remainder.SMALLEST_ACCOUNT])),
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(cases(), cases())
def test_whole_columns_equal_the_allocator(case: Case, before: Case) -> None:
    """Two blocks at once, so that a block's neighbours cannot matter."""
    intents, fill, lot, minimum, ties, remainder = case
    blocks = [before[0], intents]
    fills = [min(before[1], sum(before[0])), fill]
    text = f"method='pro-rata'\nlot={lot}\nminimum={minimum}\nties='{ties}'\nremainder='{remainder}'"
    plan: Plan = parse(text.encode())

    alloc = [[fills[i] if k == 0 else 0 for k in range(len(one))] for i, one in enumerate(blocks)]
    of = np.repeat([0, 1], [len(one) for one in blocks])
    sheet = Sheet(
        first=np.array([0, len(blocks[0])]), of=of,
        account=np.concatenate([np.arange(len(one)) for one in blocks]), intent=np.concatenate(blocks),
        alloc=np.concatenate(alloc), expected=np.full(len(of), -1), error=np.zeros(len(of), dtype=bool),
        tier=np.zeros(len(of), dtype=np.int64), method=["", ""],
    )  # fmt: skip
    found = shares(sheet, plan, 1).star
    lines = [Line(f"{k:03d}", Decimal(quantity)) for k, quantity in enumerate(intents)]
    terms = Terms("S", Decimal(lot), Decimal(minimum), ties, remainder, "00", Method.PRO_RATA)
    division = methods.allocate(lines, Decimal(fill), terms)
    assert found[len(blocks[0]) :].tolist() == [int(line.quantity) for line in division.lines]
