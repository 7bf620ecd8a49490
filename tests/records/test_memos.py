"""Order memoranda, messages as they came, search, accounts over two times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from journals import ORDER, STATEMENT, Scribe, report, worked_example
from sqlalchemy import Engine, event, text
from worlds import ACCOUNTS, SETUP, TODAY

from fixgateway.core.inputs import Configure
from fixgateway.journal.reader import read
from fixgateway.journal.records import Kind
from fixgateway.records import desk_queries, queries
from fixgateway.records.accounts import account_versions, accounts_at
from fixgateway.records.affirmations import affirmations
from fixgateway.records.allocation_times import TIMES
from fixgateway.records.blotter import blotter
from fixgateway.records.database import connect, create_schema
from fixgateway.records.memos import FLAT, flat, memos_of, order_memos
from fixgateway.records.projector import Projector
from fixgateway.records.recreate import KINDS
from fixgateway.records.search import search

PARTIES = ((453, 1), (448, "pm"), (447, "D"), (452, 11))


@pytest.fixture
def amended(tmp_path: Path) -> Path:
    """A limit order that is replaced, whose second replace is refused, and that is cancelled."""
    scribe = Scribe(tmp_path / "amended")
    scribe.receive("OMS1", "D", [(11, "C0"), *ORDER[1:]])
    scribe.receive("OMS1", "J", STATEMENT)
    scribe.receive("OMS1", "D", [*ORDER[:-1], (40, 2), (44, "100.50"), (59, 1), (58, "a text")])
    scribe.receive("BRK1", "8", report("E0", "0", "0", 0))
    changed = ((41, "C1"), (55, "XYZ"), (54, 1), (60, "20261123-15:01:00"), (40, 2), (44, "101"))
    scribe.receive("OMS1", "G", [(11, "C2"), *changed, (38, 40000)])
    scribe.receive("BRK1", "8", [(41, "C1"), *((t, v if t != 11 else "C2") for t, v in report("E1", "5", "0", 0))])
    scribe.receive("OMS1", "G", [(11, "C3"), *changed[1:], (41, "C9"), (38, 60000)])
    scribe.receive("OMS1", "F", [(11, "C4"), (41, "C2"), *changed[1:4], (38, 40000)])
    scribe.receive("BRK1", "8", [(41, "C2"), *((t, v if t != 11 else "C4") for t, v in report("E2", "4", "4", 0))])
    return scribe.close()


@pytest.fixture
def told(amended: Path, new_engine: Callable[[], Engine]) -> Engine:
    engine = new_engine()
    Projector(engine).apply(read(amended))
    return engine


def test_a_memorandum_has_everything_the_rule_asks_for(told: Engine) -> None:
    memo, blocked = order_memos(told, TODAY, TODAY)
    assert (blocked["cl_ord_id"], blocked["verdict"], blocked["reason"]) == ("C0", "blocked", "GW-101")
    assert (blocked["accounts"], blocked["terms"]["OrdType"], blocked["changes"]) == ([], "1", [])
    assert (memo["cl_ord_id"], memo["oms"], memo["broker"], memo["statement_id"]) == ("C1", "OMS1", "BRK1", "S-1")
    assert (memo["symbol"], memo["side"], memo["order_qty"]) == ("XYZ", "buy", "50000")
    terms = {"OrderQty": "50000", "OrdType": "2", "Price": "100.50", "TimeInForce": "1"}
    assert (memo["terms"], memo["order_type"], memo["time_in_force"]) == (terms, "limit", "good till cancel")
    assert [row["account"] for row in memo["accounts"]] == ["CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP"]
    assert [row["quantity"] for row in memo["accounts"]] == ["25000", "10000", "5000", "10000"]
    assert memo["memo_complete"] is False  # the statement says nobody's name
    assert {memo[name] for name in ("recommended_by", "placed_by", "discretionary")} == {""}
    assert memo["entered_at"] < memo["decided_at"]  # read, then decided


def test_every_modification_and_cancellation_is_in_it(told: Engine) -> None:
    memo = order_memos(told, TODAY, TODAY, limit=1)[0]
    said = [(row["what"], row["cl_ord_id"], row["verdict"]) for row in memo["changes"]]
    assert said == [
        ("replace asked for", "C2", "forwarded"), ("broker: replaced", "", "state"),
        ("cancel asked for", "C4", "forwarded"), ("broker: cancelled", "", "state"),
    ]  # fmt: skip
    assert memo["changes"][0]["terms"]["Price"] == "101"
    assert memo["changes"][0]["quantity"] == "40000"
    for name in ("C1", "C2", "C4"):
        assert [row["cl_ord_id"] for row in memos_of(told, name)] == ["C1"]
    refused = [row for row in queries.trace(told, "C3")["timeline"] if row["what"] == "G refused"]
    assert len(refused) == 1  # of no order of ours: it stands by itself


def test_a_memorandum_as_rows(told: Engine) -> None:
    rows = list(flat(order_memos(told, TODAY, TODAY, limit=1)[0]))
    assert {tuple(row) for row in rows} == {FLAT}
    assert [(row["what"], row["cl_ord_id"], row["order_qty"]) for row in rows] == [
        ("order", "C1", "50000"), ("replace asked for", "C2", "40000"), ("broker: replaced", "", ""),
        ("cancel asked for", "C4", "50000"), ("broker: cancelled", "", ""),
    ]  # fmt: skip
    assert rows[0]["terms"] == "OrderQty=50000 OrdType=2 Price=100.50 TimeInForce=1"
    assert {row["accounts"] for row in rows} == {"CLIENT-A 25000; CLIENT-B 10000; CLIENT-C 5000; PROP 10000"}


def test_memoranda_are_found_by_day_and_page(told: Engine) -> None:
    assert order_memos(told, TODAY + timedelta(days=1), TODAY + timedelta(days=9)) == []
    first = order_memos(told, TODAY, TODAY, limit=1)
    second = order_memos(told, TODAY, TODAY, limit=9, before=desk_queries.cursor(first[0]))
    assert [row["cl_ord_id"] for row in (*first, *second)] == ["C1", "C0"]
    assert len(order_memos(told, TODAY, TODAY, statement_id="S-1")) == 1
    assert len(order_memos(told, date.min, date.max)) == 2


def test_messages_are_kept_byte_by_byte_and_linked(
    tmp_path: Path, new_engine: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe = worked_example(tmp_path)
    scribe.receive("BRK1", "AK", [(664, "K\udcff")])
    records = list(read(scribe.close()))
    dumps = []
    for batch in (1, 2, 2_000):
        monkeypatch.setattr("fixgateway.records.projector.BATCH_RECORDS", batch)
        engine = new_engine()
        Projector(engine).apply(records)
        dumps.append(queries.dump(engine))
    assert dumps[0] == dumps[1] == dumps[2]
    with engine.connect() as connection:
        came = connection.execute(text("SELECT journal_seq, input_seq, msg_type, raw FROM arrivals ORDER BY 1")).all()
        left = connection.execute(text("SELECT journal_seq, raw FROM deliveries")).all()
    assert [row.msg_type for row in came] == ["D", "J", "D", "P", "AK"]
    by_seq = {record.seq: record for record in records}
    for row in came:
        assert bytes(row.raw) == by_seq[row.journal_seq].payload
        assert row.input_seq == row.journal_seq + 1
    assert b"K\xff" in bytes(came[-1].raw)
    assert [bytes(row.raw) for row in left] == [by_seq[row.journal_seq].payload[12:] for row in left]
    assert len(left) == 2  # the J to the broker, the AS to the OMS


def test_an_allocation_says_when_it_was_sent_received_and_booked(
    tmp_path: Path, new_engine: Callable[[], Engine]
) -> None:
    scribe = worked_example(tmp_path)  # its last record is the P that accepts
    records = list(read(scribe.close()))
    engine = new_engine()
    Projector(engine).apply(records)
    (found,) = queries.allocations(engine)
    outs = [r for r in records if r.kind is Kind.WIRE_OUT and b"\x0135=J\x01" in r.payload and r.session == "BRK1"]
    decided = next(r for r in records if r.seq == found["journal_seq"])
    answered = next(r for r in reversed(records) if r.kind is Kind.DECISION and r.session == "")
    assert (found["ts_ns"], found["sent_ns"]) == (decided.ts_ns, outs[0].ts_ns)
    assert found["ts_ns"] < found["sent_ns"] < found["booked_ns"] == found["received_ns"] == answered.ts_ns
    assert queries.allocation(engine, found["alloc_id"])["booked_ns"] == found["booked_ns"]
    before = new_engine()
    Projector(before).apply(records[: found["journal_seq"]])
    assert [queries.allocations(before)[0][name] for name in TIMES] == [None, None, None]


# ---------------------------------------------------------------- search


def kinds(engine: Engine, wanted: str) -> list[tuple[str, str]]:
    return [(hit["kind"], hit["id"]) for hit in search(engine, wanted)]


def test_search_finds_ids_by_their_beginning(told: Engine) -> None:
    assert kinds(told, "S-")[0] == ("statement", "S-1")
    assert kinds(told, "C1")[0] == ("order", "C1")
    assert {name for _, name in kinds(told, "C")} >= {"C0", "C1", "C2", "C3", "C4", "CLIENT-A", "CLIENT-B"}
    assert kinds(told, "E0") == [("execution", "E0")]
    assert kinds(told, "XYZ") == [("statement", "S-1")]
    assert kinds(told, TODAY.isoformat()) == [("statement", "S-1")]
    assert ("account", "PROP") in kinds(told, "PR")


@pytest.mark.parametrize(
    "wanted", ["", "  ", "s-1", "%", "_-1", "C%", "\x00", "\udcff", "'; DROP TABLE orders;--", "x" * 9_999]
)
def test_search_takes_anything(wanted: str, told: Engine) -> None:
    assert kinds(told, wanted) == []


def test_search_of_people_exceptions_and_alerts(desk: Any, projected: Callable[[Any], Engine]) -> None:
    from desks import asked

    request = asked(desk.ask({"CLIENT-A": 16000, "CLIENT-B": 5000, "CLIENT-C": 3000, "PROP": 6000}))
    engine = projected(desk)
    assert ("exception", request.exception_id) in kinds(engine, "GWE")
    assert set(kinds(engine, "cco")) >= {("person", "cco"), ("person", "cco2")}
    assert len(search(engine, "C", limit=2)) <= 2 * 12


def _seqs(engine: Engine) -> None:
    with engine.connect() as connection:
        for name in ("statement", "order", "allocation", "exception", "alert", "person", "review"):
            KINDS[name].seqs(connection, "A-1-0")


QUESTIONS: dict[str, Callable[[Engine], object]] = {
    "search": lambda engine: search(engine, "C1"),
    "statement": lambda engine: queries.statement(engine, "S-1"),
    "statements of a day": lambda engine: queries.statements(engine, trade_date=TODAY),
    "timeline": lambda engine: queries.trace(engine, "S-1"),
    "memoranda of an order": lambda engine: memos_of(engine, "C1"),
    "unresolved exceptions": lambda engine: desk_queries.opened(engine, "unresolved"),
    "requests": lambda engine: desk_queries.exceptions(engine, "open"),
    "alerts": lambda engine: desk_queries.alerts(engine, "open"),
    "what waits": desk_queries.counts,
    "affirmations": lambda engine: affirmations(engine, TODAY),
    "blotter": lambda engine: list(blotter(engine, TODAY, TODAY)),
    "recreate": _seqs,
}
SMALL = ("accounts", "policies", "projection")
"""Tables that do not grow with orders."""


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_go_by_index(name: str, amended: Path, tmp_path: Path) -> None:
    """A year of records answers at once: no table that grows with orders is read from end to end."""
    engine = connect("sqlite://", tmp_path)
    create_schema(engine)
    Projector(engine).apply(read(amended))
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    QUESTIONS[name](engine)
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        plans = [
            row[3] for statement, parameters in asked
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]  # fmt: skip
    engine.dispose()
    assert asked
    assert [plan for plan in plans if plan.startswith("SCAN") and plan.split()[1] not in SMALL] == []


# ---------------------------------------------------------------- accounts


@pytest.fixture
def accounts(new_world: Any, projected: Callable[[Any], Engine]) -> tuple[Engine, list[int]]:
    """Account files over five days: X1's fee changes, is corrected backwards, X2 leaves and comes back."""
    world = new_world()
    times: list[int] = []

    def file(**changes: Any) -> None:
        kept = [replace(a, **changes.get(a.account, {})) for a in ACCOUNTS if changes.get(a.account, {}) is not None]
        world.ts_ns += 86_400 * 10**9
        world.give(Configure, setup=replace(SETUP, accounts=tuple(kept)))
        times.append(world.entries[-1][2])

    file()
    file(X1={"fee": "performance"})
    file(X1={"fee": "performance", "fee_rate": "0.2", "valid_from": "2026-11-24"}, X2=None)
    file(X1={"fee": "performance", "fee_rate": "0.2", "valid_from": "2026-11-24"})
    return projected(world), times


def fees(engine: Engine, known_ns: int | None = None, valid_on: date | None = None) -> tuple[str, str] | None:
    found = {row["account"]: row for row in accounts_at(engine, known_ns, valid_on)}
    return (found["X1"]["fee"], found["X1"]["fee_rate"]) if "X1" in found else None


def test_what_was_recorded_and_what_was_true(accounts: tuple[Engine, list[int]]) -> None:
    engine, (first, second, third, _) = accounts
    assert [fees(engine, when) for when in (first, second, third, None)] == [
        ("standard", ""), ("performance", ""), ("performance", "0.2"), ("performance", "0.2"),
    ]  # fmt: skip
    assert fees(engine, second - 1) == ("standard", "")
    # Recorded on the 25th, on the 26th it was corrected from the 24th on.
    days = [date(2026, 11, day) for day in (23, 24, 25, 26)]
    assert [fees(engine, None, day) for day in days] == [("standard", ""), *[("performance", "0.2")] * 3]
    assert [fees(engine, second, day) for day in days] == [("standard", "")] * 2 + [("performance", "")] * 2
    assert fees(engine, None, date(2026, 11, 1)) is None
    assert accounts_at(engine, 1) == []


def test_an_account_that_left_and_came_back(accounts: tuple[Engine, list[int]]) -> None:
    engine, (_, second, third, fourth) = accounts

    def there(known_ns: int | None = None, valid_on: date | None = None) -> bool:
        return "X2" in {row["account"] for row in accounts_at(engine, known_ns, valid_on)}

    assert [there(when) for when in (second, third, fourth, None)] == [True, False, True, True]
    days = [date(2026, 11, day) for day in (25, 26, 27, 28)]
    assert [there(None, day) for day in days] == [True, False, True, True]
    assert [there(third, day) for day in days] == [True, False, False, False]
    gone, back = account_versions(engine, "X2")
    assert (gone["until_ns"], back["until_ns"]) == (third, None)
