"""The worked example through every public door: FIX, HTTP, SQL, metrics, journal, command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from live import WORKED_EXAMPLE, WORKED_SHARES, Live, cancel, iso_today, order, report, shares, statement, until

from fixgateway.sim.fields import Fields


@pytest.fixture(scope="module")
def day(make_shared: Callable[..., Live]) -> Iterator[tuple[Live, dict[str, Fields]]]:
    """The whole example, run once; the tests look at what it left behind."""
    live = make_shared().start()
    oms, broker = live.oms(), live.broker
    said: dict[str, Fields] = {}

    oms.send("D", order("C0", "S-9", 50000))
    said["blocked"] = oms.expect("8", ClOrdID="C0")
    oms.send("J", statement("S-1"))
    said["registered"] = oms.expect("P", AllocID="S-1")
    oms.send("D", order("C1", "S-1", 50000))
    said["order"] = broker.expect("D")
    broker.send("8", report("C1", "E0", "0", "0", quantity=50000, leaves=50000))
    oms.expect("8", ExecID="E0")
    for number, price in enumerate(("99.90", "100", "100.10"), 1):
        done = number * 10000
        broker.send(
            "8",
            report(
                "C1",
                f"E{number}",
                "F",
                "1",
                quantity=50000,
                cum=done,
                leaves=50000 - done,
                last=10000,
                price=price,
                avg="100",
            ),
        )
        said[f"fill{number}"] = oms.expect("8", ExecID=f"E{number}")
    oms.send("F", cancel("X1", "C1"))
    said["cancel"] = broker.expect("F")
    broker.send(
        "8", report("X1", "E9", "4", "4", (41, "C1"), quantity=50000, cum=30000, avg="100", order_id="B-C1")
    )
    oms.expect("8", ExecID="E9")
    said["allocation"] = broker.expect("J")
    broker.send("P", [(70, said["allocation"].get(70)), (60, "20260101-00:00:00"), (87, "0")])
    said["report"] = oms.expect("AS")
    until(lambda: live.rows("SELECT 1 FROM allocations WHERE status = 'accepted'"), "the P in the records")
    yield live, said
    live.end_well()


def test_the_order_without_a_statement_is_blocked(day: tuple[Live, dict[str, Fields]]) -> None:
    live, said = day
    blocked = said["blocked"]
    tags = {150: "8", 39: "8", 11: "C0", 14: "0", 151: "0", 6: "0", 103: "99", 55: "XYZ", 54: "1", 38: "50000"}
    assert {tag: blocked.get(tag) for tag in tags} == tags
    assert blocked.get(58) == "GW-101 no allocation statement for AllocID S-9"
    assert blocked.get(37)
    assert blocked.get(17)
    assert not [message for message in live.broker.received if message.get(11) == "C0"]


def test_the_statement_is_registered_with_its_seed_committed(day: tuple[Live, dict[str, Fields]]) -> None:
    registered = day[1]["registered"]
    assert (registered.get(87), registered.get(88)) == ("0", "")
    assert registered.get(58).startswith("registered; seed commitment ")
    assert len(registered.get(58).split()[-1]) == 64


def test_the_order_reaches_the_broker_byte_for_byte(day: tuple[Live, dict[str, Fields]]) -> None:
    live, said = day
    assert said["order"].body == next(
        m.body for m in live.omses["OMS1"]._numbers.sent.values() if "11=C1" in m.body
    )
    assert (said["order"].get(49), said["order"].get(56)) == ("FIXGW", "BRK1")


def test_fills_are_passed_on_as_they_came(day: tuple[Live, dict[str, Fields]]) -> None:
    said = day[1]
    assert [said[f"fill{n}"].get(31) for n in (1, 2, 3)] == ["99.90", "100", "100.10"]
    assert [said[f"fill{n}"].get(14) for n in (1, 2, 3)] == ["10000", "20000", "30000"]


def test_the_allocation_is_fifteen_six_three_six(day: tuple[Live, dict[str, Fields]]) -> None:
    allocation = day[1]["allocation"]
    assert shares(allocation) == WORKED_SHARES
    tags = {71: "0", 626: "1", 857: "1", 54: "1", 55: "XYZ", 53: "30000", 6: "100.0000", 74: "4", 78: "4", 73: "1"}
    assert {tag: allocation.get(tag) for tag in tags} == tags
    (booked,) = allocation.group(73, (11, 37, 38, 799, 800))
    assert [booked.get(tag) for tag in (11, 37, 38, 800)] == ["C1", "B-C1", "50000", "30000"]
    assert {entry.get(153) for entry in allocation.group(78, (79, 80, 153))} == {"100.0000"}


def test_the_oms_hears_of_the_accepted_allocation(day: tuple[Live, dict[str, Fields]]) -> None:
    allocation, told = day[1]["allocation"], day[1]["report"]
    assert shares(told) == WORKED_SHARES
    assert {tag: told.get(tag) for tag in (87, 793, 794, 70)} == {
        87: "0",
        793: "S-1",
        794: "3",
        70: allocation.get(70),
    }


def test_the_database_says_the_same(day: tuple[Live, dict[str, Fields]]) -> None:
    live, said = day
    assert live.rows(
        "SELECT cl_ord_id, verdict, reason, status, cum_qty, avg_px FROM orders ORDER BY order_key"
    ) == [
        ("C0", "blocked", "GW-101", "8", "0", "0"),
        ("C1", "forwarded", "", "4", "30000", "100.0000"),
    ]
    assert live.rows("SELECT statement_id, state, door, total, filled, unallocated FROM statements") == [
        ("S-1", "complete", "fix", "50000", "30000", "0")
    ]
    assert live.rows("SELECT account, quantity FROM statement_lines ORDER BY line") == [
        (account, str(quantity)) for account, quantity in WORKED_EXAMPLE
    ]
    assert live.rows("SELECT alloc_id, quantity, status FROM allocations") == [
        (said["allocation"].get(70), "30000", "accepted")
    ]
    assert dict(live.rows("SELECT account, quantity FROM allocation_lines")) == WORKED_SHARES
    fills = live.rows(
        "SELECT exec_id, last_qty, last_px FROM executions WHERE effect = 'fill' ORDER BY journal_seq"
    )
    assert fills == [("E1", "10000", "99.9"), ("E2", "10000", "100"), ("E3", "10000", "100.1")]
    assert dict(live.rows("SELECT account, exact FROM division_lines")) == {
        account: f"{quantity}/1" for account, quantity in WORKED_SHARES.items()
    }


def test_the_metrics_count_it(day: tuple[Live, dict[str, Fields]]) -> None:
    live = day[0]
    counted = {
        ("fixgateway_orders_total", "verdict", "blocked"): 1,
        ("fixgateway_orders_total", "reason", "GW-101"): 1,
        ("fixgateway_orders_total", "verdict", "forwarded"): 1,
        ("fixgateway_order_changes_total", "msg_type", "F"): 1,
        ("fixgateway_statements_total", "outcome", "registered"): 1,
        ("fixgateway_statements_closed_total", "why", "complete"): 1,
        ("fixgateway_executions_total", "effect", "fill"): 3,
        ("fixgateway_allocations_total", "broker", "BRK1"): 1,
        ("fixgateway_allocation_acks_total", "status", "accepted"): 1,
        ("fixgateway_session_up", "session", "OMS1"): 1,
        ("fixgateway_session_up", "session", "BRK1"): 1,
    }
    for (name, label, value), wanted in counted.items():
        live.wait_metric(wanted, name, **{label: value})
    live.wait_metric(2, "fixgateway_messages_total", session="OMS1", direction="in", msg_type="D")
    live.wait_metric(1, "fixgateway_messages_total", session="BRK1", direction="out", msg_type="J")
    until(lambda: live.metric("fixgateway_ready") == 1, "ready as a metric")
    live.wait_metric(0, "fixgateway_unallocated_quantity")
    until(lambda: live.metric("fixgateway_journal_records_total", kind="wire-out") > 5, "counted")


def test_the_trace_tells_it_over_http_and_by_command(day: tuple[Live, dict[str, Fields]]) -> None:
    live, said = day
    traced = live.get("/api/trace/S-1")
    what = [entry["what"] for entry in traced["timeline"]]
    for wanted in (
        "statement registered",
        "order forwarded",
        "execution fill",
        "F forwarded",
        "statement closed: complete",
        "statement allocated",
        "allocation sent",
        "allocation answered",
        "allocation reported",
    ):
        assert wanted in what
    assert what.index("statement registered") < what.index("order forwarded") < what.index("allocation sent")
    assert live.get(f"/api/trace/{said['allocation'].get(70)}")["statements"] == ["S-1"]
    assert live.command("trace", "C1")["statements"] == ["S-1"]
    assert live.http.get("/api/trace/NOBODY").status_code == 404


def test_explain_shows_the_arithmetic(day: tuple[Live, dict[str, Fields]]) -> None:
    live, said = day
    explained = live.command("explain", said["allocation"].get(70))
    lines = explained["division"]["lines"]
    assert {line["account"]: line["quantity"] for line in lines} == WORKED_SHARES
    assert {line["account"]: line["exact"] for line in lines}["PROP"] == "6000/1"


def test_the_command_line_lists_statement_and_sessions(day: tuple[Live, dict[str, Fields]]) -> None:
    live = day[0]
    listed = live.command("statement", "list")
    assert [(row["statement_id"], row["trade_date"], row["state"]) for row in listed] == [
        ("S-1", iso_today(), "complete")
    ]
    sessions = {row["name"]: row for row in live.command("session", "list")}
    assert sessions["OMS1"]["up"] is True
    assert sessions["BRK1"]["role"] == "broker"


def test_health_and_status_answer(day: tuple[Live, dict[str, Fields]]) -> None:
    live = day[0]
    assert live.http.get("/healthz").status_code == 200
    assert live.http.get("/readyz").text.strip() == "ready"
    assert live.get("/api/status")["trade_date"] == iso_today()


def test_the_journal_verifies_while_the_gateway_runs(day: tuple[Live, dict[str, Fields]]) -> None:
    live = day[0]
    done = live.cli("journal", "verify", str(live.data_dir), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["verified"] is True
    shown = live.cli("journal", "show", str(live.data_dir), "--contains", "11=C1|", "--json")
    assert {row["kind"] for row in json.loads(shown.stdout)} >= {"seen", "wire-out"}
