"""Every method on numbers somebody else published or a definition gives, and against the slow apportioner."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from apportioner import with_minimums
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.core.credits import CREDIT_UNIT, carried, kept
from fixgateway.core.methods import Division, Terms, allocate
from fixgateway.core.model import Line, Method, Remainder, Rounding, Side, Ties

ZERO = Decimal(0)
EXAMPLE = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
CENSUS = [1500, 1500, 900, 500, 500, 200]
"""The textbook case of the Alabama paradox: 25 and 26 seats."""


def terms(**more: object) -> Terms:
    given: dict[str, object] = {
        "statement_id": "S",
        "lot": Decimal(1),
        "min_quantity": ZERO,
        "ties": Ties.ACCOUNT,
        "remainder": Remainder.LARGEST_SHORTFALL,
        "seed": "ab" * 32,
        **more,
    }
    return Terms(**given)  # type: ignore[arg-type]


def lines(quantities: list[int]) -> list[Line]:
    return [Line(f"A{n}", Decimal(q), turn=n + 1) for n, q in enumerate(quantities)]


def quantities(division: Division) -> list[Decimal]:
    return [line.quantity for line in division.lines]


def rules(division: Division) -> list[str]:
    return [line.rule for line in division.lines]


# ---------------------------------------------------------------- published cases


def test_the_worked_example() -> None:
    intents = [Line(account, Decimal(q)) for account, q in EXAMPLE.items()]
    assert quantities(allocate(intents, Decimal(30_000), terms())) == [15_000, 6_000, 3_000, 6_000]


@pytest.mark.parametrize(
    ("weights", "units", "expected"),
    [
        ([406, 348, 246], 100, [40, 35, 25]),
        ([404, 397, 57, 57, 57, 28], 100, [40, 39, 6, 6, 6, 3]),
        ([406, 348, 246], -100, [-40, -35, -25]),
        ([406, 348, 246], 0, [0, 0, 0]),
    ],
)
def test_largest_remainder_as_published_with_smallest_weight_ties(
    weights: list[int], units: int, expected: list[int]
) -> None:
    """CsCheck's allocator: Allocate_Twitter, _TwitterTricky, _TwitterTotalNegative, _TwitterZero."""
    assert quantities(allocate(lines(weights), Decimal(units), terms(ties=Ties.SMALLEST))) == expected


def test_the_quota_method_as_published() -> None:
    """CsCheck's Allocate_BalinskiYoung_MinErrorExample."""
    assert quantities(allocate(lines([10, 20, 30]), Decimal(10), terms(rounding=Rounding.QUOTA))) == [2, 3, 5]


def test_the_alabama_paradox_and_the_method_without_it() -> None:
    """Largest remainder takes a seat from the fourth and fifth when the house grows from 25 to 26."""
    census = lines(CENSUS)
    small, large = (quantities(allocate(census, Decimal(seats), terms())) for seats in (25, 26))
    assert small == [7, 7, 4, 3, 3, 1]
    assert large == [8, 8, 5, 2, 2, 1]
    quota = [
        quantities(allocate(census, Decimal(seats), terms(rounding=Rounding.QUOTA))) for seats in range(25, 27)
    ]
    assert all(a <= b for a, b in zip(*quota, strict=True))


@pytest.mark.parametrize(("rounding", "steps"), [(Rounding.LARGEST_REMAINDER, 1000), (Rounding.QUOTA, 0)])
def test_claw_backs_of_a_block_filled_lot_by_lot(rounding: Rounding, steps: int) -> None:
    """Run again after each of 5,100 lots, largest remainder takes something back 1,000 times, quota never."""
    census = lines(CENSUS)
    before, taken = [ZERO] * len(census), 0
    for filled in range(1, sum(CENSUS) + 1):
        after = quantities(allocate(census, Decimal(filled), terms(rounding=rounding)))
        taken += any(x > y for x, y in zip(before, after, strict=True))
        before = after
    assert taken == steps


@pytest.mark.parametrize(
    ("fills", "size", "one_by_one", "at_once"),
    [(100, 1, [100, 0, 0, 0], [50, 20, 10, 20]), (30, 7, [120, 30, 30, 30], [105, 42, 21, 42])],
)
def test_dividing_every_fill_by_itself_favours(
    fills: int, size: int, one_by_one: list[int], at_once: list[int]
) -> None:
    intents = [Line(account, Decimal(q)) for account, q in EXAMPLE.items()]
    got = [ZERO] * 4
    for _ in range(fills):
        got = [a + b for a, b in zip(got, quantities(allocate(intents, Decimal(size), terms())), strict=True)]
    assert got == one_by_one
    assert quantities(allocate(intents, Decimal(fills * size), terms())) == at_once


def test_three_equal_accounts_get_all_ten() -> None:
    """round() for each account would give nine."""
    assert quantities(allocate(lines([50, 50, 50]), Decimal(10), terms())) == [4, 3, 3]


# ---------------------------------------------------------------- caps and minimums


@st.composite
def bounded(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], int]:
    n = draw(st.integers(1, 7))
    intents = draw(st.lists(st.integers(1, 60), min_size=n, max_size=n))
    caps = [draw(st.one_of(st.just(q), st.integers(0, q))) for q in intents]
    minimums = draw(st.lists(st.sampled_from([0, 0, 2, 5, 20, 50]), min_size=n, max_size=n))
    return intents, caps, minimums, draw(st.integers(1, sum(intents)))


@settings(deadline=None)
@given(bounded(), st.sampled_from([1, 2, 7, 50]), st.sampled_from(Remainder), st.sampled_from(Rounding))
def test_caps_and_minimums_as_defined(
    case: tuple[list[int], list[int], list[int], int], lot: int, remainder: Remainder, rounding: Rounding
) -> None:
    """Exact shares, exclusions and flags are those of the literal procedure; caps hold; nothing is lost."""
    intents, caps, minimums, filled = case
    bound = [
        replace(line, cap=Decimal(cap), min_quantity=Decimal(minimum))
        for line, cap, minimum in zip(lines(intents), caps, minimums, strict=True)
    ]
    these = terms(lot=Decimal(lot), remainder=remainder, rounding=rounding)
    division = allocate(bound, Decimal(filled), these)
    assert sum(quantities(division)) + division.unallocated == filled
    assert all(0 <= x.quantity <= cap for x, cap in zip(division.lines, caps, strict=True))
    assert division.unallocated == max(0, filled - sum(caps))
    if filled >= sum(caps) or rounding is Rounding.QUOTA:
        return
    share, dropped = with_minimums(filled, intents, caps, minimums)
    for i, line in enumerate(division.lines):
        assert Fraction(line.exact) == (dropped[i] if i in dropped else share[i])
        assert (line.rule == "below-minimum") == (i in dropped)
    below = [e < minimums[i] for i, e in share.items()]
    assert (division.below_minimum, division.all_below_minimum) == (any(below), all(below))
    if lot == 1 and rounding is Rounding.LARGEST_REMAINDER:
        assert all(abs(Fraction(division.lines[i].quantity) - e) < 1 for i, e in share.items())


def test_a_holding_caps_and_the_rest_is_spread() -> None:
    """300 of 100/100/200 with 20 held by the first: 20, and 280 by 1:2 are 93⅓ and 186⅔."""
    bound = [
        replace(line, cap=cap) for line, cap in zip(lines([100, 100, 200]), (Decimal(20), None, None), strict=True)
    ]
    division = allocate(bound, Decimal(300), terms())
    assert quantities(division) == [20, 93, 187]
    assert rules(division) == ["cap", "floor", "remainder:account"]
    division = allocate(bound, Decimal(330), terms())
    assert quantities(division) == [20, 100, 200]
    assert division.unallocated == 10
    assert rules(division) == ["cap", "full", "full"]


def test_everybody_below_the_minimum_is_said_and_can_be_waived() -> None:
    these = terms(min_quantity=Decimal(50))
    division = allocate(lines([100, 100, 100]), Decimal(90), these)
    assert division.below_minimum
    assert division.all_below_minimum
    waived = allocate(lines([100, 100, 100]), Decimal(90), replace(these, ignore_minimum=True))
    assert quantities(waived) == [30, 30, 30]
    assert not waived.below_minimum


def test_a_small_account_is_kept_when_the_others_cannot_take_the_fill() -> None:
    division = allocate(lines([1000, 10]), Decimal(1005), terms(min_quantity=Decimal(50)))
    assert quantities(division) == [995, 10]
    assert (division.below_minimum, division.all_below_minimum) == (True, False)


def test_many_accounts_smaller_than_a_lot_leave_the_rest_to_the_large_ones_by_size() -> None:
    """Caps of 0 lots cut so much off that it is spread by weight, not lot by lot."""
    small = [Line(f"S{n:04d}", Decimal(50)) for n in range(1000)]
    large = [Line("BIG", Decimal(80_000)), Line("MID", Decimal(20_000))]
    division = allocate([*large, *small], Decimal(90_000), terms(lot=Decimal(100)))
    assert quantities(division)[:2] == [72_000, 18_000]
    first_edition = allocate([*large, *small], Decimal(90_000), terms(lot=Decimal(100), by_weight=False))
    assert quantities(first_edition)[:2] == [70_000, 20_000]


@pytest.mark.parametrize(
    ("remainder", "expected"),
    [
        (Remainder.LARGEST_SHORTFALL, [200, 100, 50]),
        (Remainder.SMALLEST_ACCOUNT, [200, 100, 50]),
        (Remainder.ROTATION, [250, 100, 0]),
    ],
)
def test_the_odd_rest_goes_where_the_policy_says(remainder: Remainder, expected: list[int]) -> None:
    """350 of 400/160/140, lots of 100. Exact 200, 80, 70; of three lots 1.71, 0.69, 0.6: 2, 1 and 0; 50 left."""
    division = allocate(lines([400, 160, 140]), Decimal(350), terms(lot=Decimal(100), remainder=remainder))
    assert quantities(division) == expected
    taken = [x for x in division.lines if x.rule == f"odd-rest:{remainder}"]
    assert len(taken) == 1
    assert sum(x.award for x in taken) == 50


def test_under_quota_the_odd_rest_grows_into_the_next_lot() -> None:
    """Lots of 100 of 300/200: the third lot is the first account's, so are the odd shares before it."""
    got = [
        quantities(allocate(lines([300, 200]), Decimal(filled), terms(lot=Decimal(100), rounding=Rounding.QUOTA)))
        for filled in (200, 201, 250, 299, 300)
    ]
    assert got == [[100, 100], [101, 100], [150, 100], [199, 100], [200, 100]]


@pytest.mark.parametrize("value", [1.0, 1])
def test_floats_are_refused(value: object) -> None:
    two = lines([5, 5])
    with pytest.raises(TypeError, match="quantities are decimals"):
        allocate(two, value, terms())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="quantities are decimals"):
        allocate(two, Decimal(3), terms(lot=value))
    for field in ("quantity", "min_quantity", "cap"):
        odd = [replace(two[0], **{field: value}), two[1]]  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="quantities are decimals"):
            allocate(odd, Decimal(3), terms())


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        allocate(lines([5, 5]), Decimal(text), terms())


# ---------------------------------------------------------------- rotation, price-time, client-priority


def test_rotation_serves_whole_intents_in_order_of_turn() -> None:
    turned = [replace(line, turn=turn) for line, turn in zip(lines([100, 200, 300]), (3, 1, 2), strict=True)]
    division = allocate(turned, Decimal(350), terms(method=Method.ROTATION))
    assert quantities(division) == [0, 200, 150]
    assert rules(division) == ["waiting", "full", "part"]
    assert [line.place for line in division.lines] == [3, 1, 2]


def test_rotation_passes_over_a_part_below_the_minimum() -> None:
    turned = lines([100, 200, 300])
    division = allocate(turned, Decimal(110), terms(method=Method.ROTATION, min_quantity=Decimal(50)))
    assert quantities(division) == [100, 0, 10]
    assert rules(division) == ["full", "below-minimum", "part"]
    assert division.below_minimum
    assert not division.all_below_minimum


def test_price_time_takes_the_best_limit_first_then_the_earliest() -> None:
    orders = [
        Line("LATE", Decimal(100), limit=Decimal("10.5"), received_ns=2),
        Line("EARLY", Decimal(100), limit=Decimal("10.50"), received_ns=1),
        Line("LOW", Decimal(100), limit=Decimal(10)),
        Line("MARKET", Decimal(100), received_ns=9),
    ]
    buy = allocate(orders, Decimal(250), terms(method=Method.PRICE_TIME, side=Side.BUY))
    assert [line.place for line in buy.lines] == [3, 2, 4, 1]
    assert quantities(buy) == [50, 100, 0, 100]
    for side in (Side.SELL, Side.SHORT, Side.SHORT_EXEMPT):
        sell = allocate(orders, Decimal(250), terms(method=Method.PRICE_TIME, side=side))
        assert [line.place for line in sell.lines] == [4, 3, 2, 1]
        assert quantities(sell) == [0, 50, 100, 100]


TIERED = [
    Line("CLIENT-A", Decimal(25_000), tier=0),
    Line("CLIENT-B", Decimal(10_000), tier=0),
    Line("STAFF", Decimal(5_000), tier=1),
    Line("OWN", Decimal(10_000), tier=2),
]


@pytest.mark.parametrize(
    ("filled", "expected"),
    [
        (7_000, [5_000, 2_000, 0, 0]),
        (35_000, [25_000, 10_000, 0, 0]),
        (38_000, [25_000, 10_000, 3_000, 0]),
        (45_000, [25_000, 10_000, 5_000, 5_000]),
    ],
)
def test_clients_come_before_the_own_account(filled: int, expected: list[int]) -> None:
    """Regulation 2017/565 article 69(2): the client first."""
    assert quantities(allocate(TIERED, Decimal(filled), terms(method=Method.CLIENT_PRIORITY))) == expected


def test_proportional_only_when_the_statement_says_why() -> None:
    these = terms(method=Method.CLIENT_PRIORITY, proportional=True)
    assert quantities(allocate(TIERED, Decimal(5_000), these)) == [2_500, 1_000, 500, 1_000]
    tiered = allocate(TIERED, Decimal(5_000), replace(these, proportional=False))
    assert [line.place for line in tiered.lines] == [1, 1, 2, 3]
    assert rules(tiered)[2:] == ["waiting", "waiting"]


# ---------------------------------------------------------------- carry-forward


def test_credits_decide_the_next_remainder() -> None:
    """Three equal accounts, one lot at a time: everybody in turn, and then nobody is owed anything."""
    three, owed = lines([10, 10, 10]), dict[str, Fraction]()
    got = []
    for _ in range(3):
        division = allocate(three, Decimal(1), terms(rounding=Rounding.CARRY_FORWARD, credits=owed))
        owed = dict(division.credits)
        got.append(quantities(division))
    assert got == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert all(abs(credit) < Fraction(1, 10**11) for credit in owed.values())
    assert division.lines[2].credit == "333333333333/500000000000"


@given(st.fractions(-5, 5, max_denominator=10**15))
def test_a_credit_is_at_most_a_lot_and_never_grows_when_kept(credit: Fraction) -> None:
    carried_on = kept(credit)
    assert abs(carried_on) <= min(abs(credit), Fraction(1))
    assert abs(max(Fraction(-1), min(Fraction(1), credit)) - carried_on) < Fraction(1, CREDIT_UNIT)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_carried_units_are_the_nearest_to_the_targets(data: st.DataObject) -> None:
    """Σ (x - t)² is the least of all divisions within the caps."""
    from apportioner import vectors

    caps = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    units = data.draw(st.integers(0, sum(caps)))
    targets = [data.draw(st.fractions(-2, 6, max_denominator=12)) for _ in caps]
    got = carried(units, targets, caps, range(len(caps)))

    def off(x: tuple[int, ...] | list[int]) -> Fraction:
        return sum(((a - t) ** 2 for a, t in zip(x, targets, strict=True)), Fraction(0))

    assert off(got) == min(off(x) for x in vectors(units, caps))


# ---------------------------------------------------------------- size


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"lot": Decimal(100), "min_quantity": Decimal(900)},
        {"rounding": Rounding.QUOTA},
        {"rounding": Rounding.CARRY_FORWARD},
        {"method": Method.CLIENT_PRIORITY},
    ],
)
def test_twenty_thousand_accounts(more: dict[str, object]) -> None:
    """Anything that compares every account with every other would need minutes and stop at the time limit."""
    many = [
        Line(
            f"A{n:05d}",
            Decimal(n * 7919 % 4999 + 1),
            Decimal(n % 700),
            tier=n % 3,
            cap=Decimal(n * 31 % 4000 + 900),
        )
        for n in range(20_000)
    ]
    filled = Decimal(20_000_000)
    assert sum(quantities(allocate(many, filled, terms(**more)))) == filled
