"""What the records answer about a day."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from worlds import SEED, TODAY

from fixgateway.errors import UsageError
from fixgateway.journal.records import Record
from fixgateway.records import queries
from fixgateway.records.projector import Projector


@pytest.fixture
def engine(day: list[Record], new_engine: Callable[[], Engine]) -> Engine:
    engine = new_engine()
    Projector(engine).apply(day)
    return engine


def test_the_worked_example_is_told_whole(engine: Engine) -> None:
    told = queries.statement(engine, "S-1")
    assert [(line["account"], line["quantity"]) for line in told["lines"]] == [
        ("CLIENT-A", "25000"),
        ("CLIENT-B", "10000"),
        ("CLIENT-C", "5000"),
        ("PROP", "10000"),
    ]
    first, second = told["allocations"]
    assert (first["trans_type"], first["avg_px"], first["status"]) == ("0", "100.0000", "accepted")
    assert [line["quantity"] for line in first["lines"]] == ["15000", "6000", "3000", "6000"]
    assert (second["trans_type"], second["ref_alloc_id"], second["status"]) == ("1", first["alloc_id"], "sent")
    assert [line["quantity"] for line in second["lines"]] == ["10000", "4000", "2000", "4000"]
    assert (told["state"], told["filled"], told["unallocated"], told["seed"]) == ("complete", "20000", "0", SEED)


def test_the_seed_stays_out_until_the_allocation(engine: Engine) -> None:
    (active,) = queries.statements(engine, state="active")
    assert (active["statement_id"], active["version"], active["seed"]) == ("S-3", 2, None)
    assert len(active["seed_commitment"]) == 64
    never = {row["statement_id"] for row in queries.statements(engine) if row["seed"] is None}
    assert never == {"S-2", "S-3"}


def test_statement_states(engine: Engine) -> None:
    found = {(row["statement_id"], row["version"]): row["state"] for row in queries.statements(engine)}
    assert found == {
        ("S-1", 1): "complete",
        ("S-2", 1): "cancelled",
        ("S-3", 1): "replaced",
        ("S-3", 2): "active",
    }
    assert len(queries.statements(engine, trade_date=TODAY)) == 4
    assert not queries.statements(engine, trade_date=TODAY.replace(year=2020))
    assert len(queries.statements(engine, limit=2)) == 2


def test_order_verdicts(engine: Engine) -> None:
    def reasons(verdict: str) -> dict[str, str]:
        return {row["cl_ord_id"][:2]: row["reason"] for row in queries.orders(engine, verdict=verdict)}

    assert reasons("blocked") == {
        "C0": "GW-101",
        "C1": "GW-301",
        "C7": "GW-302",
        "LL": "GW-201",
        "C8": "GW-501",
    }
    assert reasons("undone") == {"C5": "GW-405", "C6": "GW-810"}
    assert reasons("forwarded") == {"C1": "", "C9": ""}
    (c1,) = queries.orders(engine, cl_ord_id="C1", verdict="forwarded")
    # Neither the repeated ClOrdID nor the refused replace changed it; the cancel after 30,000 and the bust did.
    assert (c1["status"], c1["quantity"], c1["cum_qty"], c1["open"]) == ("4", "50000", "20000", False)
    assert (c1["order_id"], c1["in_doubt"]) == ("B-1", False)
    (c9,) = queries.orders(engine, cl_ord_id="C9")
    assert c9["in_doubt"]
    assert c9["open"]


def test_executions_are_all_kept(engine: Engine) -> None:
    found = [(row["exec_id"], row["effect"]) for row in queries.executions(engine)]
    assert [pair for pair in found if pair[0][0] in "FU"] == [
        ("F0", "fill"),
        ("F1", "fill"),
        ("F2", "fill"),
        ("F1", "duplicate"),
        ("U1", "unknown-order"),
        ("F9", "bust"),
    ]
    under = queries.executions(engine, statement_id="S-1")
    assert sum(Decimal(row["last_qty"]) for row in under if row["effect"] == "fill") == 30000


def test_an_allocation_explains_itself(engine: Engine) -> None:
    (first,) = queries.allocations(engine, status="accepted")
    told = queries.allocation(engine, first["alloc_id"])
    assert [ack["status"] for ack in told["acks"]] == ["received", "accepted"]
    assert [(order["cl_ord_id"], order["booked_qty"]) for order in told["orders"]] == [("C1", "30000")]
    # Its own division, not the one after the bust.
    assert (told["division"]["filled"], told["division"]["version"]) == ("30000", 1)
    assert told["division"]["lines"][0]["exact"] == "15000/1"
    assert [report["form"] for report in told["reports"]] == ["AS"]


def test_trace_tells_a_statement_in_order(engine: Engine) -> None:
    told = queries.trace(engine, "S-1")
    steps = [(entry["what"], entry.get("cl_ord_id") or entry.get("exec_id") or "") for entry in told["timeline"]]
    places = [
        steps.index(step)
        for step in (
            ("statement registered", ""),
            ("order forwarded", "C1"),
            ("order blocked", "C1"),
            ("execution fill", "F0"),
            ("G forwarded", "C2"),
            ("F forwarded", "C4"),
            ("statement closed: complete", ""),
            ("statement allocated", ""),
            ("allocation sent", ""),
            ("allocation answered", ""),
            ("allocation reported", ""),
            ("execution bust", "F9"),
        )
    ]
    assert places == sorted(places)
    assert not told["truncated"]
    assert json.loads(json.dumps(told)) == told


def test_trace_by_every_id(engine: Engine) -> None:
    alloc_ids = [row["alloc_id"] for row in queries.allocations(engine)]
    for wanted in ("C1", "C4", *alloc_ids):
        assert queries.trace(engine, wanted)["statements"] == ["S-1"], wanted

    def whats(wanted: str) -> list[str]:
        return [entry["what"] for entry in queries.trace(engine, wanted)["timeline"]]

    assert whats("C0") == ["order blocked"]
    assert whats("C3") == ["G refused"]
    assert whats("S-BAD") == ["statement refused"]
    assert "execution unknown-order" in whats("U1")
    # One order of a statement: not the others.
    assert {entry.get("cl_ord_id") for entry in queries.trace(engine, "C5")["timeline"]} == {"C5", None}


def test_trace_is_limited_and_says_so(engine: Engine) -> None:
    told = queries.trace(engine, "S-1", limit=3)
    assert told["truncated"]
    assert [entry["journal_seq"] for entry in told["timeline"]] == [
        entry["journal_seq"] for entry in queries.trace(engine, "S-1")["timeline"][:3]
    ]


@pytest.mark.parametrize("ask", [queries.statement, queries.allocation, queries.trace])
def test_an_unknown_id_is_said(engine: Engine, ask: Callable[[Engine, str], Any], day: list[Record]) -> None:
    with pytest.raises(UsageError, match=f"'NOPE'.*journal record {len(day)}"):
        ask(engine, "NOPE")


def test_refused_drafts_name_every_problem(engine: Engine) -> None:
    (refused,) = queries.statement_refusals(engine)
    assert refused["statement_id"] == "S-BAD"
    assert [(problem["row"], problem["reason"]) for problem in refused["problems"]] == [
        (2, "GW-606"),
        (2, "GW-607"),
    ]


def test_alerts_and_exceptions(engine: Engine) -> None:
    assert queries.exceptions(engine, reason="GW-801")[0]["subject"]
    assert {row["reason"] for row in queries.alerts(engine, severity="critical")} >= {"GW-801", "GW-809"}
    assert {row["severity"] for row in queries.alerts(engine)} == {"warning", "critical"}


def test_accounts_are_versioned(engine: Engine, day: list[Record]) -> None:
    changes = [row["journal_seq"] for row in reversed(queries.policies(engine))]
    first, last = changes
    now = {row["account"]: row["status"] for row in queries.accounts(engine)}
    then = {row["account"]: row["status"] for row in queries.accounts(engine, at_seq=first)}
    between = {row["account"]: row["status"] for row in queries.accounts(engine, at_seq=last - 1)}
    assert now == then
    assert (between["X1"], between["NEW"]) == ("closed", "active")
    assert then["X1"] == "active"
    assert then.keys() - between.keys() == {"X2"}
    assert [(row["version"], row["lot"], row["until_seq"]) for row in queries.policies(engine)] == [
        ("2", "100", None),
        ("1", "1", last),
    ]


def test_times_are_readable() -> None:
    assert queries.utc_text(1_795_447_000_000_000_001) == "2026-11-23T15:16:40.000000001Z"


def test_every_row_leads_to_its_record(engine: Engine, day: list[Record], tmp_path: Path) -> None:
    kinds = {record.seq: record.kind.name for record in day}
    rows = [json.loads(line) for line in queries.dump(engine).splitlines()]
    assert len(rows) > 90
    for name, row in rows:
        if name != "projection":
            assert kinds[row["journal_seq"]] == "DECISION", name
            assert row.get("input_seq", row["journal_seq"] - 1) == row["journal_seq"] - 1
