"""Many accounts in one statement, over real sessions: 2,500 by FIX, 100,000 by HTTP."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from live import ACCOUNTS, Live, iso_today, shares, statement, until
from trading import Trade

from fixgateway.core.model import MAX_LINES

COUNT = MAX_LINES


def accounts(count: int) -> str:
    """An account file of so many clients."""
    rows = (f"A{n:06},Client {n},client,standard,large-cap,active\n" for n in range(count))
    return ACCOUNTS + "".join(rows)


def lines(count: int) -> list[tuple[str, int]]:
    """Intents of 10 to 109."""
    return [(f"A{n:06}", 10 + n % 100) for n in range(count)]


def test_2500_accounts_in_one_order(make: Callable[..., Live]) -> None:
    asked = lines(2500)
    total = sum(quantity for _, quantity in asked)
    live = make(accounts=accounts(2500)).start()
    trade = Trade(live, total, lines=asked)
    trade.fill(total // 2, "100.01")
    trade.fill(1, "100.02")
    trade.cancelled()
    allocation = trade.allocation()
    given = shares(allocation)
    filled = total // 2 + 1
    assert sum(map(int, given.values())) == filled
    # Quota: everybody within one unit of the exact share, in the statement's order.
    assert list(given) == [account for account, _ in asked]
    assert all(abs(int(given[account]) - Decimal(q * filled) / total) < 1 for account, q in asked)
    trade.acknowledge(allocation)
    told = trade.oms.expect("AS")
    assert len(shares(told)) == 2500
    until(lambda: live.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records", 60)
    explained = live.command("explain", allocation.get(70))
    assert explained["recomputed"]["agrees"] is True
    live.end_well()


@pytest.mark.full
@pytest.mark.parametrize("door", ["http", "fix"])
def test_100000_accounts_in_one_statement(make: Callable[..., Live], door: str) -> None:
    """Registered, allocated, answered, explained, recovered."""
    asked = lines(COUNT)
    total = sum(quantity for _, quantity in asked)
    live = make(accounts=accounts(COUNT)).start()
    trade = _registered(live, asked, total, door)
    trade.fill(total // 2, "100.01")
    trade.report("4", "4", told=False)
    allocation = trade.broker.expect("J", 120)
    given = shares(allocation)
    assert sum(map(int, given.values())) == total // 2
    assert list(given) == [account for account, _ in asked]
    trade.acknowledge(allocation)
    assert len(shares(trade.oms.expect("AS", 60))) == COUNT
    until(lambda: live.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records", 120)
    explained = live.command("explain", allocation.get(70))
    assert explained["recomputed"]["agrees"] is True
    live.kill()
    live.restart()
    live.end_well()


def _registered(live: Live, asked: list[tuple[str, int]], total: int, door: str) -> Trade:
    """The statement by HTTP or FIX, and an order of its total."""
    if door == "http":
        body = {
            "statement_id": "BIG", "trade_date": iso_today(), "symbol": "XYZ", "side": "buy", "oms": "OMS1",
            "lines": [{"account": account, "quantity": str(quantity)} for account, quantity in asked],
        }  # fmt: skip
        answer = live.http.post("/api/statements", json=body)
        assert answer.status_code == 201, answer.text[:500]
    else:
        oms = live.oms()
        oms.send("J", statement("BIG", asked))
        assert oms.expect("P", 60, AllocID="BIG").get(87) == "0"
    return Trade(live, total, statement_id="BIG")
