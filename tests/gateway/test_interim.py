"""Interim booking over real sessions: asked for by CLI and HTTP, across a kill, replaced after a bust."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from live import POLICY, Live, shares, until
from trading import Trade

INTERIM = POLICY.replace('ties = "account"', 'ties = "account"\nrounding = "quota"\ninterim = "on-request"')
ROW = "SELECT kind, number, filled, notes FROM divisions ORDER BY journal_seq, position"


@pytest.fixture
def live(make: Callable[..., Live]) -> Live:
    assert "on-request" in INTERIM
    return make(policy=INTERIM).start()


def test_what_is_filled_is_booked_when_operations_ask_and_the_rest_at_the_end(live: Live) -> None:
    trade = Trade(live, 100)
    early = live.cli("statement", "book", trade.statement_id, "--reason", "x", "-c", str(live.config))
    assert (early.returncode, "no fills" in early.stderr) == (1, True)
    trade.fill(10, "100", exec_id="F1")
    live.command("statement", "book", trade.statement_id, "--reason", "month end", "--actor", "ops")
    first = trade.allocation()
    assert (first.get(53), first.get(6), shares(first)) == ("10", "100.0000", {"CLIENT-A": "6", "PROP": "4"})
    trade.acknowledge(first)
    trade.oms.expect("AS")

    live.kill()
    live.restart()
    trade = trade_again(live, trade)
    trade.fill(20, "103", exec_id="F2")
    answer = live.http.post(
        f"/api/statements/{trade.statement_id}/book", json={"actor": "ann", "reason": "still month end"}
    )
    assert (answer.status_code, answer.json()["text"]) == (200, f"booked 20 of statement {trade.statement_id}")
    second = trade.allocation()
    assert (second.get(53), second.get(6), shares(second)) == ("20", "103.0000", {"CLIENT-A": "12", "PROP": "8"})

    trade.now((5, "100"), (20, "103"))
    trade.report("G", "1", (19, "F1"), exec_id="F3", last=5, price="100")
    replaced = trade.allocation("1")
    assert (replaced.get(72), replaced.get(53), shares(replaced)) == (
        first.get(70), "5", {"CLIENT-A": "3", "PROP": "2"},
    )  # fmt: skip

    trade.cancelled()
    until(lambda: live.rows("SELECT 1 FROM statements WHERE state = 'complete'"), "the statement closed")
    assert live.rows(ROW) == [
        ("interim", 1, "10", "booked on request of ops: month end"),
        ("interim", 2, "20", "booked on request of ann: still month end"),
        ("interim", 1, "5", "a bust or correction changed what is booked"),
    ]
    assert live.rows("SELECT filled FROM statements") == [("25",)]
    assert live.get(f"/api/allocations/{second.get(70)}")["division"]["number"] == 2
    live.end_well()


def trade_again(live: Live, trade: Trade) -> Trade:
    """The same trade after the gateway came back."""
    trade.oms, trade.broker = live.oms(), live.broker
    return trade
