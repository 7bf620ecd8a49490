"""Commission, fees and net money on the J, over real sessions: the specification's HNS.L example."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from live import POLICY, Live, until
from trading import Trade

CHARGES = {
    "commission": "0.002",
    "commission_type": "2",
    "fees": [{"type": "5", "amount": "0.005"}, {"type": "6", "amount": "0.25", "basis": "0", "each": True}],
}
ENTRY = (79, 80, 12, 13, 153, 154, 136, 137, 139)


@pytest.fixture
def live(make: Callable[..., Live]) -> Live:
    policy = POLICY.replace("price_decimals = 4", "price_decimals = 4\nmoney_decimals = 4")
    assert "money_decimals" in policy
    return make(brokers={"BRK1": CHARGES, "BRK2": {**CHARGES, "alloc_type": "2"}}, policy=policy).start()


def test_the_specification_s_example_reaches_broker_oms_and_records(live: Live) -> None:
    """FIX 4.2 Errata 20010501, HNS.L: 335.988 and 1648.0926 as printed (the other two are misprints)."""
    trade = Trade(live, 125_000, lines=(("CLIENT-A", 42_200), ("CLIENT-B", 82_800)), broker="BRK1")
    trade.fill(100_000, "3.9809")
    trade.fill(25_000, "3.9809")
    allocation = trade.allocation()
    assert (allocation.get(381), allocation.get(118)) == ("497612.5", "501096.2875")
    first, second = allocation.group(78, ENTRY)
    assert [value for _, value in first.pairs] == [
        "CLIENT-A", "42200", "335.988", "3", "3.9809", "169170.1879", "2", "839.9699", "5", "0.25", "6",
    ]  # fmt: skip
    assert [second.get(tag) for tag in (79, 154, 137)] == ["CLIENT-B", "331926.0996", "1648.0926"]
    trade.acknowledge(allocation)
    told = trade.oms.expect("AS")
    assert [entry.pairs for entry in told.group(78, ENTRY)] == [first.pairs, second.pairs]
    until(lambda: live.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records")
    assert live.rows("SELECT gross, net, fills_money, residual_cash, averaging_cash FROM allocations") == [
        ("497612.5", "501096.2875", "497612.5", "0", "0")
    ]
    assert live.rows("SELECT account, commission, fees, net FROM allocation_lines ORDER BY line") == [
        ("CLIENT-A", "335.988", "840.2199", "169170.1879"),
        ("CLIENT-B", "659.237", "1648.3426", "331926.0996"),
    ]
    live.end_well()


def test_a_preliminary_allocation_and_the_cents_of_a_price(live: Live) -> None:
    """626=2 says no money; 10.00005 is written 10.0001 and the difference is kept to the minor unit."""
    trade = Trade(live, 20_000, lines=(("CLIENT-A", 10_000), ("PROP", 10_000)), broker="BRK2")
    trade.fill(10_000, "10.0000")
    trade.fill(10_000, "10.0001")
    allocation = trade.allocation()
    assert [allocation.get(tag) for tag in (626, 6, 381, 118, 12, 154)] == ["2", "10.0001", "", "", "", ""]
    until(lambda: live.rows("SELECT 1 FROM allocations"), "the J in the records")
    assert live.rows("SELECT gross, fills_money, residual_cash, residual_to FROM allocations") == [
        ("200002", "200001", "-1", "accounts")
    ]
    # The client's alone: a proprietary account neither pays nor gains by rounding's rest.
    assert live.rows("SELECT account, residual FROM allocation_lines ORDER BY line") == [
        ("CLIENT-A", "-1"),
        ("PROP", "0"),
    ]
    live.end_well()
