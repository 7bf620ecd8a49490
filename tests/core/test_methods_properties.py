"""Which method has which property: every claim of docs/allocation.md's table as a property test.

The numbers are those of the literature on apportionment as the table explains them; ``q`` is an account's intent,
``e`` its exact share, ``x`` what it gets.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from apportioner import exact, least_error
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import Line, Method, Remainder, Rounding, Side, Ties

SEED = "5e" * 32
ZERO = Decimal(0)

METHODS: dict[str, dict[str, object]] = {
    "pro-rata, largest remainder": {},
    "pro-rata, quota": {"rounding": Rounding.QUOTA},
    "pro-rata, carry-forward": {"rounding": Rounding.CARRY_FORWARD},
    "pro-rata, cumulative-rounding": {"rounding": Rounding.CUMULATIVE},
    "rotation": {"method": Method.ROTATION},
    "price-time": {"method": Method.PRICE_TIME},
    "client-priority": {"method": Method.CLIENT_PRIORITY},
    "client-priority, quota": {"method": Method.CLIENT_PRIORITY, "rounding": Rounding.QUOTA},
}
_ALL = ("P1", "P3", "P5", "P7", "P8", "P10", "P13", "P15")
CLAIMS: dict[str, tuple[str, ...]] = {
    "pro-rata, largest remainder": (*_ALL, "P2", "P4", "P9", "P16"),
    "pro-rata, quota": (*_ALL, "P2", "P4", "P6", "P9"),
    "pro-rata, carry-forward": (*_ALL, "P14"),
    "pro-rata, cumulative-rounding": (*_ALL, "P2", "P9", "P14"),
    "rotation": (*_ALL, "P6"),
    "price-time": (*_ALL, "P6"),
    "client-priority": _ALL,
    "client-priority, quota": (*_ALL, "P6"),
}


def claiming(number: str) -> pytest.MarkDecorator:
    """The methods that claim a property."""
    return pytest.mark.parametrize("name", [name for name, claims in CLAIMS.items() if number in claims])


def terms(name: str, **more: object) -> Terms:
    given: dict[str, object] = {
        "statement_id": "S",
        "lot": Decimal(1),
        "min_quantity": ZERO,
        "ties": Ties.SEEDED,
        "remainder": Remainder.LARGEST_SHORTFALL,
        "seed": SEED,
        **METHODS[name],
        **more,
    }
    return Terms(**given)  # type: ignore[arg-type]


def shares(lines: list[Line], filled: int | Decimal, terms: Terms) -> list[int]:
    return [int(line.quantity) for line in allocate(lines, Decimal(filled), terms).lines]


@st.composite
def statements(draw: st.DrawFn, most: int = 60, accounts: int = 8) -> tuple[list[Line], int]:
    """Lines with everything any method reads, and a fill up to the total."""
    quantities = draw(st.lists(st.integers(1, most), min_size=1, max_size=accounts))
    turns = draw(st.permutations(range(1, len(quantities) + 1)))
    lines = [
        Line(
            f"A{n}",
            Decimal(quantity),
            limit=draw(st.sampled_from([None, Decimal("9.5"), Decimal(10), Decimal(11)])),
            received_ns=draw(st.integers(0, 3)),
            tier=draw(st.integers(0, 2)),
            turn=turns[n],
        )
        for n, quantity in enumerate(quantities)
    ]
    return lines, draw(st.integers(0, sum(quantities)))


more_terms = st.fixed_dictionaries(
    {"ties": st.sampled_from(Ties), "side": st.sampled_from([Side.BUY, Side.SELL]), "seed": st.just(SEED)}
)
credits = st.dictionaries(st.sampled_from([f"A{n}" for n in range(8)]), st.fractions(-1, 1, max_denominator=50))
Case = tuple[list[Line], int]
few = settings(max_examples=30, deadline=None)
"""Quick in the default suite; :func:`test_every_claim_at_length` goes on."""


@claiming("P1")
@few
@given(statements(), more_terms, credits)
def test_p1_everything_filled_is_given_out(
    name: str, case: Case, more: dict[str, Any], owed: dict[str, Any]
) -> None:
    lines, filled = case
    division = allocate(lines, Decimal(filled), terms(name, **more, credits=owed))
    assert sum(x.quantity for x in division.lines) == filled
    assert division.unallocated == 0
    assert all(x.floor + x.award == x.quantity for x in division.lines)


@claiming("P1")
@few
@given(statements(), st.integers(1, 50))
def test_p1_an_overfill_leaves_the_excess(name: str, case: Case, above: int) -> None:
    lines, _ = case
    total = sum((line.quantity for line in lines), ZERO)
    division = allocate(lines, total + above, terms(name))
    assert [x.quantity for x in division.lines] == [line.quantity for line in lines]
    assert division.unallocated == above


@claiming("P2")
@few
@given(statements(), more_terms)
def test_p2_everybody_gets_the_floor_or_the_ceiling(name: str, case: Case, more: dict[str, Any]) -> None:
    lines, filled = case
    wanted = exact(filled, [int(line.quantity) for line in lines])
    for x, e in zip(shares(lines, filled, terms(name, **more)), wanted, strict=True):
        assert abs(x - e) < 1


@claiming("P3")
@few
@given(statements(), more_terms, credits)
def test_p3_nobody_gets_less_than_nothing_or_more_than_intended(
    name: str,
    case: Case,
    more: dict[str, Any],
    owed: dict[str, Any],
) -> None:
    lines, filled = case
    division = allocate(lines, Decimal(filled), terms(name, **more, credits=owed))
    assert [x.account for x in division.lines] == [line.account for line in lines]
    assert all(0 <= x.quantity <= line.quantity for x, line in zip(division.lines, lines, strict=True))


@claiming("P4")
@few
@given(statements(), more_terms)
def test_p4_a_larger_intent_never_gets_less(name: str, case: Case, more: dict[str, Any]) -> None:
    lines, filled = case
    got = shares(lines, filled, terms(name, **more))
    for a, x in zip(lines, got, strict=True):
        assert all(x >= y for b, y in zip(lines, got, strict=True) if a.quantity > b.quantity)


@claiming("P5")
@few
@given(statements(), more_terms, credits, st.randoms(use_true_random=False))
def test_p5_the_order_of_the_lines_does_not_matter(
    name: str,
    case: Case,
    more: dict[str, Any],
    owed: dict[str, Any],
    random: object,
) -> None:
    lines, filled = case
    these = terms(name, **more, credits=owed)
    shuffled = lines[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (allocate(order, Decimal(filled), these) for order in (lines, shuffled))
    assert {x.account: x for x in one.lines} == {x.account: x for x in other.lines}


@claiming("P6")
@few
@given(statements(), more_terms)
def test_p6_more_filled_never_gives_anybody_less(name: str, case: Case, more: dict[str, Any]) -> None:
    lines, filled = case
    assume(filled)
    before, after = (shares(lines, units, terms(name, **more)) for units in (filled - 1, filled))
    assert all(x <= y for x, y in zip(before, after, strict=True))


@claiming("P7")
@few
@given(statements(), st.sampled_from([1, 7, 100]), st.sampled_from([0, 3, 1000]), credits)
def test_p7_a_full_fill_gives_the_intents_whatever_lot_and_minimum(
    name: str,
    case: Case,
    lot: int,
    minimum: int,
    owed: dict[str, Any],
) -> None:
    lines, _ = case
    these = terms(name, lot=Decimal(lot), min_quantity=Decimal(minimum), credits=owed)
    division = allocate(lines, sum((line.quantity for line in lines), ZERO), these)
    assert [x.quantity for x in division.lines] == [line.quantity for line in lines]
    assert {x.rule for x in division.lines} == {"full"}
    assert not division.below_minimum


@claiming("P8")
@few
@given(statements(), more_terms)
def test_p8_what_is_taken_back_is_divided_like_what_was_given(name: str, case: Case, more: dict[str, Any]) -> None:
    lines, filled = case
    these = terms(name, **more)
    assert shares(lines, -filled, these) == [-x for x in shares(lines, filled, these)]


@claiming("P9")
@few
@given(statements(), more_terms, st.integers(2, 9))
def test_p9_the_scale_of_the_intents_does_not_matter(name: str, case: Case, more: dict[str, Any], k: int) -> None:
    lines, filled = case
    scaled = [replace(line, quantity=line.quantity * k) for line in lines]
    these = terms(name, **more)
    assert shares(lines, filled, these) == shares(scaled, filled, these)


@claiming("P10")
@few
@given(statements(), more_terms, st.lists(st.integers(1, 20), max_size=5))
def test_p10_only_the_total_counts_not_how_it_was_filled(
    name: str,
    case: Case,
    more: dict[str, Any],
    cuts: list[int],
) -> None:
    """The door takes one number. However that total came about and was written, the shares are the same."""
    lines, filled = case
    fills = [Decimal(cut).quantize(Decimal(1).scaleb(-n)) for n, cut in enumerate(cuts)]
    total = sum(fills, ZERO) + (filled - sum(fills, ZERO))
    these = terms(name, **more)
    assert shares(lines, total, these) == shares(lines, filled, these)
    assert list(inspect.signature(allocate).parameters) == ["lines", "filled", "terms"]


@claiming("P14")
def test_p14_nobody_gains_in_the_long_run(name: str) -> None:
    """Ten equal accounts, blocks of 1…199 (the measured case): far below the 450 lots of a fixed tie order."""
    drift = cumulated(name, [Decimal(200)] * 10, 600, lambda block: block * 37 % 199 + 1)
    bound = 1 if METHODS[name]["rounding"] is Rounding.CARRY_FORWARD else 40
    assert max(map(abs, drift)) < bound


def test_p14_a_fixed_tie_order_does_favour() -> None:
    drift = cumulated(
        "pro-rata, largest remainder",
        [Decimal(200)] * 10,
        600,
        lambda block: block * 37 % 199 + 1,
        ties=Ties.ACCOUNT,
    )
    assert drift[0] > 200
    assert drift[-1] < -200


def cumulated(
    name: str, quantities: list[Decimal], blocks: int, fill: Callable[[int], int], **more: object
) -> list[Fraction]:
    """Σ (x - e) of every account over many blocks of the same statement, credits carried where there are any."""
    lines = [Line(f"A{n:03d}", quantity) for n, quantity in enumerate(quantities)]
    total = sum(quantities)
    drift = [Fraction(0)] * len(lines)
    owed: dict[str, Fraction] = {}
    for block in range(blocks):
        filled = fill(block)
        seed = hashlib.sha256(str(block).encode()).hexdigest()
        division = allocate(lines, Decimal(filled), terms(name, seed=seed, credits=owed, **more))
        owed = {**owed, **division.credits}
        for i, line in enumerate(division.lines):
            drift[i] += Fraction(line.quantity) - Fraction(filled) * Fraction(lines[i].quantity) / Fraction(total)
    return drift


@pytest.mark.full
def test_p14_cumulative_rounding_gives_the_exact_share_on_average() -> None:
    """20,000 seeds: every account's mean within four standard errors of its exact share (64 looks)."""
    quantities = [1, 2, 3, 5, 8, 13, 21, 34]
    lines = [Line(f"A{n}", Decimal(q)) for n, q in enumerate(quantities)]
    for filled in (1, 2, 7, 20, 43, 51, 80, 86):
        sums = [0] * len(lines)
        for seed in range(20_000):
            drawn = hashlib.sha256(str(seed).encode()).hexdigest()
            got = shares(lines, filled, terms("pro-rata, cumulative-rounding", seed=drawn))
            sums = [a + b for a, b in zip(sums, got, strict=True)]
        for total, e in zip(sums, exact(filled, quantities), strict=True):
            part = e - int(e)
            deviation = (float(part * (1 - part)) / 20_000) ** 0.5
            assert abs(total / 20_000 - float(e)) <= 4 * deviation + 1e-12


@pytest.mark.full
def test_p14_carry_forward_stays_within_a_lot_over_many_blocks() -> None:
    """Unequal accounts whose shares are at least a lot: |Σ(x - e)| < 1 lot after 20,000 blocks."""
    quantities = [Decimal(q) for q in (700, 1100, 1300, 1700, 2300, 2900)]
    drift = cumulated("pro-rata, carry-forward", quantities, 20_000, lambda block: 100 + block * 7919 % 9000)
    assert max(map(abs, drift)) < 1


@pytest.mark.parametrize("name", CLAIMS)
def test_p15_the_allocator_is_blind(name: str) -> None:
    """No price, profit, fee or class can reach it: it has nowhere to put them."""
    words = {word for cls in (Line, Terms) for x in fields(cls) for word in x.name.split("_")}
    assert not words & {
        "price",
        "px",
        "mark",
        "pnl",
        "fee",
        "fees",
        "class",
        "profit",
        "strategy",
        "owner",
        "cost",
    }
    lines = [
        Line("A", Decimal(50), weight=Decimal(1), limit=Decimal(9), received_ns=3, tier=0, turn=1),
        Line("B", Decimal(30), weight=Decimal(2), limit=Decimal(9), received_ns=4, tier=0, turn=2),
    ]
    unread = {
        "rotation": ("weight", "limit", "received_ns", "tier", "residual"),
        "price-time": ("weight", "tier", "turn", "residual"),
        "client-priority": ("weight", "limit", "received_ns", "turn", "residual"),
    }.get(name.split(",")[0], ("weight", "limit", "received_ns", "tier", "turn", "residual"))
    other: dict[str, Any] = {
        "weight": Decimal(9),
        "limit": Decimal(1),
        "received_ns": 1,
        "tier": 5,
        "turn": 9,
        "residual": False,
    }
    changed = [lines[0], replace(lines[1], **{field: other[field] for field in unread})]
    assert shares(lines, 33, terms(name)) == shares(changed, 33, terms(name))


@settings(max_examples=25, deadline=None)
@claiming("P16")
@given(statements(most=6, accounts=4))
def test_p16_nothing_is_nearer_to_the_exact_shares(name: str, case: Case) -> None:
    lines, filled = case
    quantities = [int(line.quantity) for line in lines]
    got = shares(lines, filled, terms(name))
    off = sum(abs(x - e) for x, e in zip(got, exact(filled, quantities), strict=True))
    assert off == least_error(filled, quantities, quantities)


ONCE_MORE = """
import sys
sys.path[:0] = sys.argv[1:]
from test_methods_properties import digest
print(digest())
"""


def digest() -> str:
    """Hash of what every method gives for a few statements."""
    out = hashlib.sha256()
    for name in METHODS:
        for filled in (1, 17, 99, 150):
            lines = [
                Line(f"ACC-{n}", Decimal(q), limit=Decimal(10 + n % 3), received_ns=n % 2, tier=n % 2, turn=9 - n)
                for n, q in enumerate((5, 50, 50, 31, 3, 20, 1))
            ]
            out.update(repr(allocate(lines, Decimal(filled), terms(name))).encode())
    return out.hexdigest()


def test_p13_the_same_on_any_machine() -> None:
    """Another process with another hash seed comes to the same bytes."""
    paths = [str(Path(__file__).parent), *(str(path) for path in sys.path if path.endswith("support"))]
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", ONCE_MORE, *paths],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == digest()


@pytest.mark.full
@pytest.mark.parametrize("name", CLAIMS)
@settings(max_examples=4_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements(most=2000, accounts=30), more_terms)
def test_every_claim_at_length(name: str, case: Case, more: dict[str, Any]) -> None:
    """All that needs no second statement, on larger ones and many more of them."""
    lines, filled = case
    these = terms(name, **more)
    got = shares(lines, filled, these)
    quantities = [int(line.quantity) for line in lines]
    assert sum(got) == filled
    assert all(0 <= x <= q for x, q in zip(got, quantities, strict=True))
    if "P2" in CLAIMS[name]:
        assert all(abs(x - e) < 1 for x, e in zip(got, exact(filled, quantities), strict=True))
    if "P4" in CLAIMS[name]:
        ordered = sorted(zip(quantities, got, strict=True))
        assert all(x <= y or a == b for (a, x), (b, y) in pairwise(ordered))
    if "P6" in CLAIMS[name] and filled:
        assert all(x <= y for x, y in zip(shares(lines, filled - 1, these), got, strict=True))


def test_the_page_claims_what_is_tested() -> None:
    """The table method × property of docs/allocation.md is this module's, word for word."""
    page = (Path(__file__).parents[2] / "docs" / "allocation.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w[^|]*) \|((?: (?:yes|-) \|)+)$", page, re.MULTILINE)
    header = re.search(r"^\| method \|((?: P\d+ \|)+)$", page, re.MULTILINE)
    assert header is not None
    numbers = header[1].replace("|", " ").split()
    table = {
        name: {number for number, cell in zip(numbers, cells.split("|"), strict=False) if cell.strip() == "yes"}
        for name, cells in rows
    }
    assert table == {name: set(claims) for name, claims in CLAIMS.items()}
