"""Largest remainder against its definition and against an independent brute force."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core.apportion import largest_remainder, seed_commitment, tie_key, tie_rank
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import Line, Remainder, Ties

SEED = "ab" * 32
EXAMPLE = [
    Line("CLIENT-A", Decimal(25000)),
    Line("CLIENT-B", Decimal(10000)),
    Line("CLIENT-C", Decimal(5000)),
    Line("PROP", Decimal(10000)),
]


def terms(**more: object) -> Terms:
    fields: dict[str, object] = {
        "statement_id": "S",
        "lot": Decimal(1),
        "min_quantity": Decimal(0),
        "ties": Ties.SEEDED,
        "remainder": Remainder.LARGEST_SHORTFALL,
        "seed": SEED,
    }
    return Terms(**{**fields, **more})  # type: ignore[arg-type]


def shares(lines: list[Line], filled: int | str, **more: object) -> list[Decimal]:
    division = allocate(lines, Decimal(filled), terms(**more))
    assert division.unallocated == max(Decimal(filled) - sum(x.quantity for x in lines), 0)
    return [line.quantity for line in division.lines]


intents = st.lists(st.integers(1, 10_000), min_size=1, max_size=12)


@st.composite
def partial_fills(draw: st.DrawFn) -> tuple[list[Line], int]:
    quantities = draw(intents)
    lines = [Line(f"A{n:02d}", Decimal(q)) for n, q in enumerate(quantities)]
    return lines, draw(st.integers(0, sum(quantities)))


def brute_force(units: int, weights: list[int]) -> int:
    """The least Σ|x − e| over every whole division, by trying all of them (small cases)."""
    total = sum(weights)
    best = None
    for x in product(*(range(w + 1) for w in weights)):
        if sum(x) == units:
            off = sum(abs(Fraction(xi) - Fraction(units * w, total)) for xi, w in zip(x, weights, strict=True))
            best = off if best is None else min(best, off)
    assert best is not None
    return best  # type: ignore[return-value]


@given(partial_fills(), st.sampled_from(Ties))
def test_conservation_quota_and_caps(case: tuple[list[Line], int], ties: Ties) -> None:
    lines, filled = case
    got = shares(lines, filled, ties=ties)
    total = sum(line.quantity for line in lines)
    assert sum(got) == filled  # P1
    for line, share in zip(lines, got, strict=True):
        exact = Fraction(filled) * Fraction(line.quantity) / Fraction(total)
        assert abs(Fraction(share) - exact) < 1  # P2
        assert 0 <= share <= line.quantity  # P3
    for a, x in zip(lines, got, strict=True):
        assert all(x >= y for b, y in zip(lines, got, strict=True) if a.quantity > b.quantity)  # P4


@given(partial_fills(), st.randoms(use_true_random=False), st.sampled_from(Ties))
def test_the_order_of_the_lines_does_not_matter(case: tuple[list[Line], int], random: object, ties: Ties) -> None:
    lines, filled = case
    shuffled = lines[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before = dict(zip([x.account for x in lines], shares(lines, filled, ties=ties), strict=True))
    after = dict(zip([x.account for x in shuffled], shares(shuffled, filled, ties=ties), strict=True))
    assert before == after  # P5


@given(partial_fills(), st.integers(2, 9))
def test_scale_of_the_intents_does_not_matter(case: tuple[list[Line], int], k: int) -> None:
    lines, filled = case
    scaled = [Line(x.account, x.quantity * k) for x in lines]
    if filled < sum(x.quantity for x in lines):
        assert shares(lines, filled) == shares(scaled, filled)  # P9


@given(intents)
def test_a_full_fill_gives_everybody_the_intent(quantities: list[int]) -> None:
    lines = [Line(f"A{n}", Decimal(q)) for n, q in enumerate(quantities)]
    for lot, minimum in ((1, 0), (100, 0), (7, 10**6)):
        assert shares(lines, sum(quantities), lot=Decimal(lot), min_quantity=Decimal(minimum)) == quantities  # P7


@settings(max_examples=60)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.data())
def test_nothing_is_nearer_to_the_exact_shares(weights: list[int], data: st.DataObject) -> None:
    units = data.draw(st.integers(0, sum(weights)))
    got = largest_remainder(units, weights, weights, range(len(weights)))
    total = sum(weights)
    off = sum(abs(Fraction(x) - Fraction(units * w, total)) for x, w in zip(got, weights, strict=True))
    assert off == brute_force(units, weights)  # P16


@given(st.integers(0, 200), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8))
def test_caps_always_hold_and_impossible_is_said(units: int, pairs: list[tuple[int, int]]) -> None:
    weights, caps = [w for w, _ in pairs], [c for _, c in pairs]
    if units > sum(caps) or not sum(weights):
        with pytest.raises(ValueError, match="cannot be divided"):
            largest_remainder(units, weights, caps, range(len(pairs)))
    else:
        got = largest_remainder(units, weights, caps, range(len(pairs)))
        assert sum(got) == units
        assert all(0 <= x <= cap for x, cap in zip(got, caps, strict=True))


def test_dividing_fill_by_fill_is_the_favouritism_machine_we_never_run() -> None:
    """100 fills of one share give 100/0/0/0 one by one; the total gives 50/20/10/20."""
    one_by_one = [0, 0, 0, 0]
    for _ in range(100):
        one_by_one = [a + int(b) for a, b in zip(one_by_one, shares(EXAMPLE, 1, ties=Ties.ACCOUNT), strict=True)]
    assert one_by_one == [100, 0, 0, 0]
    assert shares(EXAMPLE, 100) == [50, 20, 10, 20]


def test_an_account_equal_split_as_published() -> None:
    """400 shares over 6 accounts are 67,67,67,67,66,66 (Interactive Brokers, financial advisor allocation)."""
    lines = [Line(f"A{n}", Decimal(100)) for n in range(6)]
    assert shares(lines, 400, ties=Ties.ACCOUNT) == [67, 67, 67, 67, 66, 66]


@pytest.mark.parametrize(
    ("ties", "expected"),
    [(Ties.ACCOUNT, [1, 0, 0]), (Ties.SMALLEST, [1, 0, 0]), (Ties.LARGEST, [1, 0, 0])],
)
def test_tie_rules_name_the_receiver(ties: Ties, expected: list[int]) -> None:
    lines = [Line("A", Decimal(5)), Line("B", Decimal(5)), Line("C", Decimal(5))]
    assert shares(lines, 1, ties=ties) == expected


def test_ties_by_size_differ() -> None:
    """Remainders 1/2 and 1/2 of intents 1 and 3: the named rule decides."""
    lines = [Line("BIG", Decimal(3)), Line("SMALL", Decimal(1))]
    assert shares(lines, 2, ties=Ties.SMALLEST) == [1, 1]
    assert shares(lines, 2, ties=Ties.LARGEST) == [2, 0]


def test_seeded_order_can_be_derived_by_anybody() -> None:
    import hashlib
    import hmac

    lines = [Line(a, Decimal(10)) for a in "ABCDE"]
    keys = [hmac.new(bytes.fromhex(SEED), f"S|{x.account}".encode(), hashlib.sha256).digest() for x in lines]
    assert [tie_key(bytes.fromhex(SEED), "S", x.account) for x in lines] == keys
    expected = sorted(range(5), key=lambda i: keys[i])
    rank = tie_rank(lines, Ties.SEEDED, SEED, "S")
    assert sorted(range(5), key=lambda i: rank[i]) == expected
    assert seed_commitment(SEED) == hashlib.sha256(bytes.fromhex(SEED)).hexdigest()


@given(partial_fills(), st.sampled_from([10, 100, 7]), st.sampled_from(Remainder))
def test_lots(case: tuple[list[Line], int], lot: int, remainder: Remainder) -> None:
    lines, filled = case
    got = shares(lines, filled, lot=Decimal(lot), remainder=remainder)
    assert sum(got) == filled
    assert all(0 <= x <= line.quantity for x, line in zip(got, lines, strict=True))


@given(partial_fills(), st.integers(0, 3000))
def test_minimum_drops_and_never_raises(case: tuple[list[Line], int], minimum: int) -> None:
    lines, filled = case
    traced = allocate(lines, Decimal(filled), terms(min_quantity=Decimal(minimum))).lines
    assert sum(x.quantity for x in traced) == filled
    dropped = [x for x in traced if x.rule == "below-minimum"]
    assert all(x.quantity == 0 and Fraction(x.exact) < minimum for x in dropped)
    kept = [x for x in traced if x.rule != "below-minimum"]
    if filled < sum(x.quantity for x in lines) and any(Fraction(x.exact) < minimum for x in kept):
        # Somebody below the minimum was kept: without the smallest of them the fill could not be absorbed.
        smallest = min(x.intent for x in kept if Fraction(x.exact) < minimum)
        group = [x for x in kept if x.intent == smallest and Fraction(x.exact) < minimum]
        assert sum(x.intent for x in kept) - sum(x.intent for x in group) < filled or len(group) == len(kept)


def test_minimum_by_iterated_exclusion() -> None:
    """999 of the example with lot 100 and minimum 150: C (99.9) is dropped, the rest re-apportioned."""
    traced = allocate(EXAMPLE, Decimal(999), terms(lot=Decimal(100), min_quantity=Decimal(150))).lines
    assert [(x.quantity, x.rule) for x in traced] == [
        (599, "odd-rest:largest-shortfall"),
        (200, "floor"),
        (0, "below-minimum"),
        (200, "floor"),
    ]


def test_fractional_quantities_stay_exact() -> None:
    lines = [Line("A", Decimal("0.5")), Line("B", Decimal("1.25"))]
    got = shares(lines, "0.7", lot=Decimal("0.05"))
    assert got == [Decimal("0.20"), Decimal("0.50")]


def test_a_hundred_thousand_accounts() -> None:
    lines = [Line(f"A{n}", Decimal(n % 977 + 1)) for n in range(100_000)]
    assert sum(shares(lines, 20_000_000)) == 20_000_000
