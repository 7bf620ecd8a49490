"""Money of an allocation: the FIX specification's figures, conservation, and who bears the cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import POLICY, TODAY, World

from fixgateway.core import money
from fixgateway.core.model import (
    BrokerSetup,
    CommType,
    FeeBasis,
    FeeTerms,
    Line,
    Policy,
    PriceRounding,
    ResidualCash,
    Side,
    Statement,
    Ties,
)
from fixgateway.core.outputs import (
    Alert,
    Allocation,
    Charge,
    ExceptionOpened,
    Share,
    StatementAllocated,
    TraceLine,
)
from fixgateway.core.pricing import average, written

Fills = Sequence[tuple[Decimal, Decimal]]


def fills_of(*pairs: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(quantity), Decimal(price)) for quantity, price in pairs]


def statement_of(lines: Sequence[Line], side: Side = Side.BUY, ties: Ties = Ties.ACCOUNT) -> Statement:
    """A registered statement with these lines."""
    world = World()
    world.submit()
    record = world.engine.state.statements["S-1"] if world.engine.state else None
    assert record is not None
    total = sum((line.quantity for line in lines), Decimal(0))
    return replace(record.statement, lines=tuple(lines), total=total, side=side, ties=ties)


def allocation_of(statement: Statement, fills: Fills, decimals: int, shares: Sequence[Share] = ()) -> Allocation:
    """An allocation in full of ``fills`` at their average, or of ``shares`` as they are."""
    price = written(average(fills), decimals)
    return Allocation(
        alloc_id="A-1",
        trans_type="0",
        ref_alloc_id="",
        replace_reason="",
        alloc_type="1",
        statement_id=statement.statement_id,
        broker="BRK1",
        oms="OMS1",
        trade_date=TODAY,
        symbol="XYZ",
        security_id="",
        id_source="",
        side=statement.side,
        quantity=sum((quantity for quantity, _ in fills), Decimal(0)),
        avg_px=price,
        price_decimals=decimals,
        orders=(),
        shares=tuple(shares) or tuple(Share(line.account, line.quantity, price) for line in statement.lines),
    )


def priced(
    lines: Sequence[Line],
    fills: Fills,
    broker: BrokerSetup = BrokerSetup("BRK1"),  # noqa: B008 - a frozen value
    policy: Policy = POLICY,
    side: Side = Side.BUY,
    own: Fraction | None = None,
) -> Allocation:
    statement = statement_of(lines, side)
    allocation = allocation_of(statement, fills, policy.price_decimals)
    return money.priced(allocation, policy, broker, statement, average(fills), own)


def column(allocation: Allocation, name: str) -> list[str | None]:
    values = [getattr(share, name) for share in allocation.shares]
    return [None if value is None else str(value) for value in values]


def fee_amounts(allocation: Allocation, type_: str) -> list[str]:
    return [str(fee.amount) for share in allocation.shares for fee in share.fees if fee.type == type_]


# ---------------------------------------------------------------- the specification's figures


SPEC_FILLS = fills_of(("3000", "100.00"), ("1000", "100.25"), ("3000", "100.00"), ("2000", "100.50"))
SPEC_LINES = [Line(name, Decimal(3000)) for name in ("F1", "F2", "F3")]
HNS_LINES = [Line("F1", Decimal(42200)), Line("F2", Decimal(82800))]
HNS_FILLS = fills_of(("100000", "3.9809"), ("25000", "3.9809"))


def test_the_specification_s_average_price_allocation() -> None:
    """FIX 4.2 Errata 20010501, average price example: 100.1389 for each of three accounts of 3000."""
    allocation = priced(SPEC_LINES, SPEC_FILLS)
    assert allocation.avg_px == "100.1389"
    assert column(allocation, "gross") == ["300416.70"] * 3  # 3000 x 100.1389
    assert str(allocation.fills_money) == "901250.00"  # 300000 + 100250 + 300000 + 201000
    assert str(allocation.residual_cash) == "-0.10"
    # 901250 / 3 is 300416.666…: two accounts pay a cent more than the third
    assert column(allocation, "residual") == ["-0.03", "-0.03", "-0.04"]


def test_the_specification_s_executed_price_allocation() -> None:
    """The same fills at executed prices: F1 2000@100 + 1000@100.25 and so on; nothing is left over."""
    pieces = [("F1", 2000, "100"), ("F1", 1000, "100.25"), ("F2", 2000, "100"), ("F2", 1000, "100.50"),
              ("F3", 2000, "100"), ("F3", 1000, "100.50")]  # fmt: skip
    shares = [Share(name, Decimal(quantity), "100.1389", price) for name, quantity, price in pieces]
    statement = statement_of(SPEC_LINES)
    allocation = allocation_of(statement, SPEC_FILLS, 4, shares)
    result = money.priced(allocation, POLICY, BrokerSetup("BRK1"), statement, average(SPEC_FILLS))
    assert column(result, "gross") == [
        "200000.00", "100250.00", "200000.00", "100500.00", "200000.00", "100500.00",
    ]  # fmt: skip
    assert str(result.gross) == str(result.fills_money) == "901250.00"
    assert column(result, "residual") == ["0.00"] * 6


def test_the_specification_s_commission() -> None:
    """FIX 4.2 Errata, HNS.L: F1's commission of 335.988 is 20 basis points; F2's is printed wrong and left out."""
    broker = BrokerSetup("BRK1", commission=Decimal("0.002"), commission_type=CommType.PERCENT)
    allocation = priced(HNS_LINES, HNS_FILLS, broker, replace(POLICY, money_decimals=3))
    assert column(allocation, "commission")[0] == "335.988"
    assert sum(share.commission or 0 for share in allocation.shares) == Decimal("995.225")


def test_the_specification_s_fees() -> None:
    """FIX 4.2 Errata, HNS.L: type 5 of F2 is 1648.0926 (F1's is printed wrong), type 6 0.25 for each account."""
    fees = (
        FeeTerms("5", Decimal("0.005")),
        FeeTerms("6", Decimal("0.25"), FeeBasis.ABSOLUTE, each=True),
    )
    allocation = priced(HNS_LINES, HNS_FILLS, BrokerSetup("BRK1", fees=fees), replace(POLICY, money_decimals=4))
    assert fee_amounts(allocation, "5")[1] == "1648.0926"
    assert fee_amounts(allocation, "6") == ["0.2500", "0.2500"]
    assert column(allocation, "commission") == [None, None]


# ---------------------------------------------------------------- charges


@pytest.mark.parametrize(("side", "net"), [(Side.BUY, "1015.25"), (Side.SELL, "984.75"), (Side.SHORT, "984.75")])
def test_net_money_adds_costs_to_a_purchase_and_takes_them_from_a_sale(side: Side, net: str) -> None:
    broker = BrokerSetup(
        "BRK1", commission=Decimal("10.25"), fees=(FeeTerms("1", Decimal("0.05"), FeeBasis.PER_UNIT),)
    )
    allocation = priced([Line("A", Decimal(100))], fills_of(("100", "10")), broker, side=side)
    assert column(allocation, "net") == [net]
    assert (str(allocation.net), str(allocation.gross)) == (net, "1000.00")


def test_an_absolute_commission_is_split_pro_rata_to_the_cent() -> None:
    broker = BrokerSetup("BRK1", commission=Decimal("10"))
    lines = [Line(name, Decimal(1)) for name in ("A", "B", "C")]
    assert column(priced(lines, fills_of(("3", "7")), broker), "commission") == ["3.34", "3.33", "3.33"]


def test_a_commission_of_nothing_is_a_commission() -> None:
    """Net money is said where the profile says what it is made of, even when that is 0."""
    free = priced([Line("A", Decimal(1))], fills_of(("1", "7")), BrokerSetup("BRK1", commission=Decimal(0)))
    assert (column(free, "commission"), column(free, "net")) == (["0.00"], ["7.00"])
    silent = priced([Line("A", Decimal(1))], fills_of(("1", "7")))
    assert (column(silent, "commission"), column(silent, "net"), silent.net) == ([None], [None], None)


def test_a_fee_for_each_account_falls_once_on_one_with_several_prices() -> None:
    statement = statement_of([Line("A", Decimal(3))])
    fills = fills_of(("2", "5"), ("1", "6"))
    shares = [Share("A", Decimal(2), "5.3333", "5"), Share("A", Decimal(1), "5.3333", "6")]
    broker = BrokerSetup("BRK1", fees=(FeeTerms("6", Decimal(1), FeeBasis.ABSOLUTE, each=True),))
    result = money.priced(allocation_of(statement, fills, 4, shares), POLICY, broker, statement, average(fills))
    assert [share.fees for share in result.shares] == [
        (Charge("6", Decimal("1.00")),),
        (Charge("6", Decimal("0.00")),),
    ]


# ---------------------------------------------------------------- residual cash


def test_proprietary_accounts_bear_no_residual_cash() -> None:
    """Four decimals of the average leave 0.10; the two clients bear it, equal as they are."""
    lines = [Line("A", Decimal(1000)), Line("B", Decimal(1000)), Line("PROP", Decimal(2000), residual=False)]
    allocation = priced(lines, fills_of(("3000", "10.0033"), ("1000", "10.0034")))
    assert allocation.avg_px == "10.0033"  # exactly 10.003325
    assert column(allocation, "gross") == ["10003.30", "10003.30", "20006.60"]
    assert str(allocation.fills_money) == "40013.30"
    assert str(allocation.residual_cash) == "0.10"
    assert column(allocation, "residual") == ["0.05", "0.05", "0.00"]
    assert allocation.residual_to == "accounts"


def test_the_error_account_bears_residual_cash_where_the_policy_says_so() -> None:
    policy = replace(POLICY, residual_cash=ResidualCash.ERROR_ACCOUNT, error_account="ERR")
    allocation = priced(SPEC_LINES, SPEC_FILLS, policy=policy)
    assert (str(allocation.residual_cash), allocation.residual_to) == ("-0.10", "ERR")
    assert column(allocation, "residual") == ["0.00"] * 3
    assert money.remarks(allocation) == []


def test_residual_cash_that_nobody_may_bear_goes_to_the_error_account_or_to_a_person() -> None:
    lines = [replace(line, residual=False) for line in SPEC_LINES]
    policy = replace(POLICY, error_account="ERR")
    assert priced(lines, SPEC_FILLS, policy=policy).residual_to == "ERR"
    nobody = priced(lines, SPEC_FILLS)
    assert nobody.residual_to == ""
    assert [type(out) for out in money.remarks(nobody)] == [ExceptionOpened, Alert]
    assert money.remarks(replace(nobody, residual_cash=Decimal("0.00"))) == []


def test_the_error_account_s_own_share_bears_nothing_of_the_others_cents() -> None:
    """An overfill's share of the error account pays what is written, like a proprietary line."""
    statement = statement_of([Line("A", Decimal(1000))])
    fills = fills_of(("1000", "10.0033"), ("1000", "10.00336"))
    price = written(average(fills), 4)
    shares = [Share("A", Decimal(1000), price), Share("ERR", Decimal(1000), price)]
    policy = replace(POLICY, error_account="ERR")
    result = money.priced(
        allocation_of(statement, fills, 4, shares), policy, BrokerSetup("BRK1"), statement, average(fills)
    )
    assert column(result, "residual") == [str(result.residual_cash), "0.00"]


def test_a_cancelling_instruction_is_left_as_it_is() -> None:
    statement = statement_of(SPEC_LINES)
    empty = replace(allocation_of(statement, SPEC_FILLS, 4), shares=())
    assert money.priced(empty, POLICY, BrokerSetup("BRK1"), statement, Fraction(1)) is empty


def test_money_alone_is_no_reason_to_tell_a_broker_again() -> None:
    """What a journal from before money says is compared without; any other change counts."""
    fresh = priced(SPEC_LINES, SPEC_FILLS, BrokerSetup("BRK1", commission=Decimal(10)))
    old = allocation_of(statement_of(SPEC_LINES), SPEC_FILLS, 4)
    assert money.unchanged(old, fresh)
    assert money.unchanged(fresh, fresh)
    assert not money.unchanged(fresh, priced(SPEC_LINES, SPEC_FILLS, BrokerSetup("BRK1", commission=Decimal(9))))
    assert not money.unchanged(old, replace(fresh, avg_px="100.1388"))
    assert not money.unchanged(old, replace(fresh, shares=fresh.shares[:2]))


# ---------------------------------------------------------------- properties


quantities = st.integers(1, 10**7)
prices = st.decimals(Decimal("0.0001"), Decimal(10**5), places=6)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Line], list[tuple[Decimal, Decimal]], Policy]:
    """Lines, fills of exactly their sum, and how money is rounded."""
    scale = draw(st.integers(0, 3))
    counts = draw(st.lists(quantities, min_size=1, max_size=8))
    lines = [
        Line(f"A{i}", Decimal(count).scaleb(-scale), residual=draw(st.booleans()))
        for i, count in enumerate(counts)
    ]
    total = sum(counts)
    cuts = sorted({0, total, *draw(st.lists(st.integers(0, total), max_size=5))})
    fills = [(Decimal(end - start).scaleb(-scale), draw(prices)) for start, end in pairwise(cuts)]
    policy = replace(
        POLICY,
        price_decimals=draw(st.integers(0, 9)),
        price_rounding=draw(st.sampled_from(PriceRounding)),
        money_decimals=draw(st.integers(0, 4)),
        residual_cash=draw(st.sampled_from(ResidualCash)),
        error_account="ERR",
    )
    return lines, fills, policy


def run(lines: list[Line], fills: Fills, policy: Policy, broker: BrokerSetup) -> Allocation:
    statement = statement_of(lines)
    price = written(average(fills), policy.price_decimals, policy.price_rounding)
    allocation = allocation_of(statement, fills, policy.price_decimals)
    shares = tuple(replace(share, avg_px=price) for share in allocation.shares)
    allocation = replace(allocation, avg_px=price, shares=shares)
    return money.priced(allocation, policy, broker, statement, average(fills))


@given(worlds())
def test_p11_every_account_pays_the_same_price_and_p12_no_cent_is_lost(
    world: tuple[list[Line], list[tuple[Decimal, Decimal]], Policy],
) -> None:
    lines, fills, policy = world
    result = run(lines, fills, policy, BrokerSetup("BRK1"))
    unit = Fraction(1, 10**policy.money_decimals)
    assert {share.avg_px for share in result.shares} == {result.avg_px}
    for share in result.shares:
        exact = Fraction(share.quantity) * Fraction(result.avg_px)
        assert abs(Fraction(share.gross or 0) - exact) <= unit / 2
    cost = sum(Fraction(quantity) * Fraction(price) for quantity, price in fills)
    assert abs(Fraction(result.fills_money or 0) - cost) <= unit / 2
    gross = sum(share.gross or Decimal(0) for share in result.shares)
    assert result.gross == gross
    assert gross + (result.residual_cash or 0) + (result.averaging_cash or 0) == result.fills_money
    borne = sum(share.residual or Decimal(0) for share in result.shares)
    assert borne == (result.residual_cash if result.residual_to == "accounts" else 0)
    assert all(not share.residual for share, line in zip(result.shares, lines, strict=True) if not line.residual)


@given(worlds())
def test_where_all_may_bear_it_each_pays_its_exact_part_to_the_minor_unit(
    world: tuple[list[Line], list[tuple[Decimal, Decimal]], Policy],
) -> None:
    """The floor or the ceiling of the exact part of what the fills cost, whatever the price was rounded to.

    (Not with a price written as 0, of which no exact part follows.)
    """
    lines, fills, policy = world
    lines = [replace(line, residual=True) for line in lines]
    policy = replace(policy, residual_cash=ResidualCash.ACCOUNTS, price_decimals=9)
    result = run(lines, fills, policy, BrokerSetup("BRK1"))
    total = sum(Fraction(line.quantity) for line in lines)
    unit = Fraction(1, 10**policy.money_decimals)
    for share in result.shares:
        exact = Fraction(result.fills_money or 0) * Fraction(share.quantity) / total
        assert abs(Fraction(share.gross or 0) + Fraction(share.residual or 0) - exact) < unit


fee_terms = st.builds(
    FeeTerms,
    type=st.sampled_from(["1", "5", "6"]),
    amount=st.decimals(0, 1, places=6),
    basis=st.sampled_from(FeeBasis),
)


@given(
    worlds(),
    st.decimals(0, 100, places=6) | st.none(),
    st.sampled_from(CommType),
    st.lists(fee_terms, max_size=3),
    st.sampled_from(Side),
)
def test_charges_add_up_to_the_block_s_and_net_money_follows_the_formula(
    world: tuple[list[Line], list[tuple[Decimal, Decimal]], Policy],
    commission: Decimal | None,
    basis: CommType,
    fees: list[FeeTerms],
    side: Side,
) -> None:
    lines, fills, policy = world
    broker = BrokerSetup("BRK1", commission=commission, commission_type=basis, fees=tuple(fees))
    statement = statement_of(lines, side)
    allocation = replace(allocation_of(statement, fills, policy.price_decimals), side=side)
    result = money.priced(allocation, policy, broker, statement, average(fills))
    unit = Fraction(1, 10**policy.money_decimals)
    gross, quantity = Fraction(result.gross or 0), Fraction(result.quantity)
    whole = {CommType.PER_UNIT: quantity, CommType.PERCENT: gross, CommType.ABSOLUTE: Fraction(1)}[basis]
    if commission is not None:
        charged = sum(Fraction(share.commission or 0) for share in result.shares)
        assert abs(charged - Fraction(commission) * whole) <= unit / 2
    for place, terms in enumerate(fees):
        base = {FeeBasis.ABSOLUTE: Fraction(1), FeeBasis.PER_UNIT: quantity, FeeBasis.PERCENTAGE: gross}
        charged = sum(Fraction(share.fees[place].amount) for share in result.shares)
        assert abs(charged - Fraction(terms.amount) * base[terms.basis]) <= unit / 2
    if commission is None and not fees:
        assert result.net is None
        return
    sign = 1 if side is Side.BUY else -1
    for share in result.shares:
        costs = (share.commission or 0) + sum(fee.amount for fee in share.fees)
        assert share.net == (share.gross or 0) + sign * costs
    assert result.net == sum(share.net or Decimal(0) for share in result.shares)


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_split_gives_floor_or_ceiling_and_loses_nothing(units: int, weights: list[int], random: Any) -> None:
    rank = list(range(len(weights)))
    random.shuffle(rank)
    parts = money.split(units, weights, rank)
    assert sum(parts) == units
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = Fraction(units * weight, total) if total else Fraction(units, len(weights))
        assert abs(part - exact) < 1
    mirrored = dict(zip(rank, parts, strict=True))
    order = sorted(range(len(weights)), key=rank.__getitem__)
    again = money.split(units, [weights[i] for i in order], [rank[i] for i in order])
    assert again == [mirrored[rank[i]] for i in order]  # the place in the list decides nothing


def test_the_rank_decides_between_equal_remainders() -> None:
    assert money.split(1, [5, 5], [1, 0]) == [0, 1]
    assert money.split(-1, [5, 5], [1, 0]) == [-1, 0]


# ---------------------------------------------------------------- statement and day


def test_a_statement_s_money_is_its_brokers_money_and_unequal_prices_are_said_in_money() -> None:
    """A 50 + 50 of 100@10 and 100@11: 10.50 for all; whole units at each broker's price come out a little off."""
    lines = [Line("A", Decimal(101)), Line("B", Decimal(99))]
    statement = statement_of(lines)
    prices_ = {"BRK1": "10", "BRK2": "11"}
    columns = {"BRK1": (51, 49), "BRK2": (50, 50)}
    allocations = []
    for broker, (a, b) in columns.items():
        fills = fills_of(("100", prices_[broker]))
        shares = [Share("A", Decimal(a), prices_[broker]), Share("B", Decimal(b), prices_[broker])]
        made = replace(allocation_of(statement, fills, 4, shares), broker=broker)
        allocations.append(money.priced(made, POLICY, BrokerSetup(broker), statement, average(fills)))
    trace = tuple(
        TraceLine(line.account, line.quantity, f"{line.quantity}/1", line.quantity, Decimal(0), line.quantity, "x")
        for line in lines
    )
    division = StatementAllocated("S-1", 1, Decimal(200), Decimal(0), "10.5000", "", trace)
    result = money.with_cash(division, allocations, POLICY, Fraction(21, 2))
    assert (str(result.gross), str(result.fills_money)) == ("2100.00", "2100.00")
    assert [str(line.cost_difference) for line in result.lines] == ["-0.50", "0.50"]
    alone = money.with_cash(division, allocations[:1], POLICY, Fraction(10))
    assert [line.cost_difference for line in alone.lines] == [None, None]


def test_a_division_without_money_stays_as_it_was() -> None:
    statement = statement_of(SPEC_LINES)
    division = StatementAllocated("S-1", 1, Decimal(9000), Decimal(0), "1", "", ())
    assert money.with_cash(division, [allocation_of(statement, SPEC_FILLS, 4)], POLICY, Fraction(1)) is division
    # Nothing sent yet: no amounts, but the exact price is known.
    assert money.with_cash(division, [], POLICY, Fraction(1)) == replace(division, average="1/1")


def test_a_day_average_moves_money_between_allocations_of_one_broker_without_a_word() -> None:
    """100@10 under one statement, 100@20 under another: both pay 15, the broker gets what its fills cost."""
    line, policy = [Line("A", Decimal(100))], POLICY
    cheap = money.priced(
        allocation_of(statement_of(line), fills_of(("100", "15")), 4),
        policy, BrokerSetup("BRK1"), statement_of(line), Fraction(15), own=Fraction(10),
    )  # fmt: skip
    dear = money.priced(
        allocation_of(statement_of(line), fills_of(("100", "15")), 4),
        policy, BrokerSetup("BRK1"), statement_of(line), Fraction(15), own=Fraction(20),
    )  # fmt: skip
    assert [str(x.averaging_cash) for x in (cheap, dear)] == ["-500.00", "500.00"]
    assert [str(x.fills_money) for x in (cheap, dear)] == ["1000.00", "2000.00"]
    assert [str(x.gross) for x in (cheap, dear)] == ["1500.00", "1500.00"]
    assert money.day_remarks([cheap, dear]) == []
    uneven = money.day_remarks([cheap, replace(dear, broker="BRK2")])
    assert [type(out) for out in uneven] == [ExceptionOpened, Alert]
    assert "BRK1 -500, BRK2 500" in uneven[0].text  # type: ignore[union-attr]


def test_cents_of_rounding_between_brokers_are_no_remark() -> None:
    statement = statement_of(SPEC_LINES)
    made = allocation_of(statement, SPEC_FILLS, 4)
    one = replace(made, averaging_cash=Decimal("0.01"))
    assert money.day_remarks([one, replace(one, broker="BRK2", averaging_cash=Decimal("-0.01"))]) == []
    assert money.day_remarks([]) == []
