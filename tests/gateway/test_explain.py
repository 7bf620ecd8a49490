"""How an allocation came about, and what is wrong with a proposed one, asked of a running gateway."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from live import POLICY, WORKED_EXAMPLE, Live, order, shares, until
from trading import Trade

SEEDED = POLICY.replace('ties = "account"', 'ties = "seeded"')
LINES = (("CLIENT-A", 10), ("CLIENT-B", 10), ("CLIENT-C", 10))


@pytest.fixture
def live(make: Callable[..., Live]) -> Live:
    return make(policy=SEEDED, brokers={"BRK1": {}, "BRK2": {}}).start()


def traded(live: Live) -> Trade:
    """20 of 30 filled: 7 at the first broker at 100, 13 at the second at 101 and 102."""
    trade = Trade(live, 10, lines=LINES, broker="BRK1")
    other = Trade.__new__(Trade)
    other.__dict__.update(trade.__dict__, broker=live.brokers["BRK2"], quantity=20, cum=0, cl_ord_id="SECOND")
    trade.oms.send("D", order("SECOND", trade.statement_id, 20), [(128, "BRK2")])
    other.broker.expect("D", ClOrdID="SECOND")
    other.report("0", "0")
    trade.fill(7, "100")
    other.fill(6, "101")
    other.fill(7, "102")
    other.cancelled()
    trade.cancelled()
    first, second = trade.allocation(), other.allocation()
    trade.acknowledge(first)
    until(lambda: live.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records", 30)
    assert sum(map(int, shares(first).values())) == 7
    assert sum(map(int, shares(second).values())) == 13
    return trade


def test_an_allocation_and_its_statement_explain_themselves(live: Live) -> None:
    trade = traded(live)
    told = live.command("explain", trade.statement_id)
    assert (told["what"], told["id"]) == ("statement", trade.statement_id)
    ties = told["ties"]
    assert hashlib.sha256(bytes.fromhex(ties["seed"])).hexdigest() == ties["seed_commitment"]
    assert ties["matches"] is True
    assert told["recomputed"]["agrees"] is True
    # Three equal accounts, twenty units: 6 2/3 each; the two extra units go to the first two of the tie order.
    by_account = {line["account"]: line for line in told["division"]["lines"]}
    assert [by_account[account]["quantity"] for account in ties["order"]] == ["7", "7", "6"]
    last = by_account[ties["order"][2]]
    assert (last["exact"], last["why"]) == ("20/3", "exact 6 2/3; 6 whole, the fraction went to others")
    # (7 x 100 + 6 x 101 + 7 x 102) / 20
    assert (told["division"]["average"], told["division"]["avg_px"]) == ("101/1", "101.0000")
    assert told["policy"]["text_sha256"] == hashlib.sha256(SEEDED.encode()).hexdigest()
    assert [(one["broker"], one["quantity"]) for one in told["brokers"]] == [("BRK1", "7"), ("BRK2", "13")]
    # Of 7 or 6 units the first broker's part is 7/20.
    exact = {line["account"]: line["exact"] for line in told["brokers"][0]["lines"]}
    assert [exact[account] for account in ties["order"]] == ["49/20", "49/20", "21/10"]
    alloc_id = told["brokers"][0]["alloc_id"]
    same = live.command("explain", alloc_id)
    assert (same["what"], same["alloc_id"], same["status"]) == ("allocation", alloc_id, "accepted")
    assert same["division"]["lines"] == told["division"]["lines"]
    assert live.get(f"/api/explain/{alloc_id}") == same

    said = live.cli("explain", alloc_id, "-c", str(live.config)).stdout
    for words in (
        "approved by Chief Compliance Officer",
        "the SHA-256 of the seed is the commitment of the registration",
        "exact 6 2/3; 6 whole, 1 more for its fraction",
        "every exact share, quantity and rule is the same",
        "price: exactly 101, written 101.0000",
        "residual cash",
        "answer: BRK1 accepted",
    ):
        assert words in said, said
    live.end_well()


def test_a_proposed_allocation_is_audited_against_the_registered_statement(live: Live) -> None:
    trade = Trade(live, 50_000, lines=WORKED_EXAMPLE, broker="BRK1")
    early = live.directory / "cherry.csv"
    early.write_text("account,quantity\nPROP,15000\nCLIENT-A,15000\n")
    ask = ("audit", "--statement", trade.statement_id, "--proposed", str(early), "-c", str(live.config))
    unknown = live.cli(*ask)
    assert (unknown.returncode, "its seed is revealed when it is allocated" in unknown.stderr) == (1, True)
    trade.fill(30_000, "100")
    trade.cancelled()
    trade.allocation()
    until(lambda: live.rows("SELECT 1 FROM divisions"), "the division in the records")
    found = live.cli(*ask)
    assert found.returncode == 1
    assert "PROP exceeds intent by 5,000" in found.stdout
    assert "CLIENT-B is short of its computed 6,000 by 6,000" in found.stdout
    right = live.directory / "right.json"
    right.write_text(json.dumps({"CLIENT-A": "15000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "6000"}))
    good = live.cli(*ask[:3], "--proposed", str(right), "-c", str(live.config), "--json")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout) == {"statement_id": trade.statement_id, "filled": "30000", "breaches": []}
    live.end_well()


def test_interim_bookings_are_explained_one_by_one(make: Callable[..., Live]) -> None:
    rules = POLICY.replace('ties = "account"', 'ties = "account"\nrounding = "quota"\ninterim = "on-request"')
    live = make(policy=rules).start()
    trade = Trade(live, 100)
    trade.fill(11, "100")
    live.command("statement", "book", trade.statement_id, "--reason", "month end", "--actor", "ops")
    first = trade.allocation()
    trade.fill(20, "103")
    trade.cancelled()
    second = trade.allocation()
    until(lambda: live.rows("SELECT 1 FROM divisions WHERE kind = 'final'"), "the second booking in the records")
    told = live.command("explain", trade.statement_id)
    # x(11) of 60/40 is 7 and 4, x(31) is 19 and 12 (18.6 and 12.4 rounded by the quota method).
    assert [(one["number"], one["kind"], one["filled"]) for one in told["bookings"]] == [
        (1, "interim", "11"), (2, "final", "20"),
    ]  # fmt: skip
    booked = [[(line["before"], line["quantity"]) for line in one["lines"]] for one in told["bookings"]]
    assert booked == [[("0", "7"), ("0", "4")], [("7", "12"), ("4", "8")]]
    assert told["recomputed"]["agrees"] is True
    early = live.command("explain", first.get(70))
    assert (early["division"]["number"], early["recomputed"]["agrees"]) == (1, True)
    assert live.command("explain", second.get(70))["division"]["notes"] == told["bookings"][1]["notes"]
    said = live.cli("explain", trade.statement_id, "-c", str(live.config)).stdout
    assert "interim 1 division" in said
    assert "7 of it booked before, 12 now" in said
    live.end_well()
