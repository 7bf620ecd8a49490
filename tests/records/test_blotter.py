"""The period blotter: the forensic contract's columns, from what the engine really decided."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from desks import TEXT, asked
from sqlalchemy import Engine
from worlds import TODAY, draft

from fixgateway.core.desk_facts import MarkRecorded
from fixgateway.core.inputs import ExecKind
from fixgateway.forensics import columns as contract
from fixgateway.records.blotter import COLUMNS, OPTIONAL, REQUIRED, blotter, unallocated


def rows(engine: Engine, day: date = TODAY) -> list[dict[str, Any]]:
    return list(blotter(engine, day, day))


def cells(found: list[dict[str, Any]], *names: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in names) for row in found]


def test_the_columns_are_the_contracts() -> None:
    assert set(REQUIRED) == set(contract.REQUIRED)
    assert set(OPTIONAL) == set(contract.OPTIONAL)


def test_the_worked_example(desk: Any, projected: Callable[[Any], Engine]) -> None:
    found = rows(projected(desk))
    assert cells(found, "account", "account_class", "intent_qty", "alloc_qty", "expected_qty", "price") == [
        ("CLIENT-A", "client", "25000", "15000", "15000", "100"),
        ("CLIENT-B", "client", "10000", "6000", "6000", "100"),
        ("CLIENT-C", "client", "5000", "3000", "3000", "100"),
        ("PROP", "proprietary", "10000", "6000", "6000", "100"),
    ]
    row = found[0]
    assert list(row) == list(COLUMNS)
    assert all(isinstance(cell, str) for row in found for cell in row.values())
    assert (row["block_id"], row["trade_date"], row["symbol"], row["side"]) == (
        "S-1", TODAY.isoformat(), "XYZ", "buy",
    )  # fmt: skip
    assert row["captured_at"] < row["released_at"] < row["first_fill_at"] == row["last_fill_at"]
    assert row["last_fill_at"] < row["completed_at"] == row["allocated_at"]
    blank = ("close_price", "mark_at_allocation", "exception_code", "exception_at", "statement_changed_at")
    assert {row[name] for name in blank} == {""}
    assert (row["trader"], row["method"], row["multiplier"]) == ("trader", "pro-rata", "1")
    assert rows(projected(desk), TODAY + timedelta(days=1)) == []


def test_the_forensic_reader_takes_every_row(desk: Any, projected: Callable[[Any], Engine], tmp_path: Any) -> None:
    import csv

    from fixgateway.forensics import blotter as reader

    path = tmp_path / "blotter.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows(projected(desk)))
    read = reader.read(path)
    assert (list(read.problems), len(read.rows)) == ([], 4)


def test_marks_of_the_trade_date(desk: Any, projected: Callable[[Any], Engine]) -> None:
    def mark(price: str, when: int, *, close: bool = False, symbol: str = "XYZ") -> None:
        desk.say(MarkRecorded(symbol, Decimal(price), "screen", when, close, "ops"))

    midnight = int(datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=ZoneInfo("America/New_York")).timestamp())
    begin = midnight * 10**9
    mark("99", begin)
    mark("98", begin - 1)
    mark("97", begin + 86_400 * 10**9)
    mark("1", begin, symbol="ABC")
    engine = projected(desk)
    assert {(row["close_price"], row["mark_at_allocation"]) for row in rows(engine)} == {("", "99")}
    mark("102.5", begin + 86_399 * 10**9, close=True)
    mark("102.25", begin + 86_399 * 10**9, close=True)
    assert {(row["close_price"], row["mark_at_allocation"]) for row in rows(projected(desk))} == {("102.25", "99")}


def test_an_approved_exception_is_in_every_row(desk: Any, projected: Callable[[Any], Engine]) -> None:
    request = asked(desk.ask({"CLIENT-A": 16000, "CLIENT-B": 5000, "CLIENT-C": 3000, "PROP": 6000}))
    before = rows(projected(desk))
    assert {row["exception_code"] for row in before} == {""}  # nobody has approved it
    desk.decide(request.exception_id)
    found = rows(projected(desk))
    assert cells(found, "account", "alloc_qty", "expected_qty") == [
        ("CLIENT-A", "16000", "15000"), ("CLIENT-B", "5000", "6000"), ("CLIENT-C", "3000", "3000"),
        ("PROP", "6000", "6000"),
    ]  # fmt: skip
    said = {(row["exception_code"], row["exception_approver"], row["exception_text"]) for row in found}
    assert said == {("ANY", "cco", TEXT)}
    row = found[0]
    assert row["exception_at"] < row["exception_approved_at"] == row["allocated_at"] > before[0]["allocated_at"]


def test_a_changed_statement_keeps_what_was_intended_before_the_order(
    desk: Any, projected: Callable[[Any], Engine]
) -> None:
    desk.submit(draft("S-2"), actor="tom")
    desk.order("C2", "50000", "S-2")
    lines = {"CLIENT-A": 20000, "CLIENT-B": 15000, "CLIENT-C": 5000, "PROP": 10000}
    request = asked(desk.ask(lines, kind="statement-change", statement="S-2"))
    desk.decide(request.exception_id)
    desk.fill("30000", "100", "C2", exec_id="F-2")
    desk.execution(ExecKind.CANCELLED, "C2", ord_status="4", cum_qty=Decimal(30000), leaves_qty=Decimal(0))
    found = [row for row in rows(projected(desk)) if row["block_id"] == "S-2"]
    assert cells(found, "account", "intent_qty", "alloc_qty", "expected_qty") == [
        ("CLIENT-A", "25000", "12000", ""), ("CLIENT-B", "10000", "9000", ""), ("CLIENT-C", "5000", "3000", ""),
        ("PROP", "10000", "6000", ""),
    ]  # fmt: skip
    assert found[0]["captured_at"] < found[0]["released_at"] < found[0]["statement_changed_at"]


def test_a_bust_changes_quantities_and_times(desk: Any, projected: Callable[[Any], Engine]) -> None:
    desk.submit(draft("S-2"), actor="tom")
    desk.order("C2", "50000", "S-2")
    for number, px in enumerate(("99.90", "100", "100.10")):
        desk.fill("10000", px, "C2", exec_id=f"G{number}")
    desk.execution(ExecKind.CANCELLED, "C2", ord_status="4", cum_qty=Decimal(30000), leaves_qty=Decimal(0))
    before = next(row for row in rows(projected(desk)) if row["block_id"] == "S-2")
    desk.execution(ExecKind.BUST, "C2", exec_id="G9", exec_ref_id="G2")
    after = next(row for row in rows(projected(desk)) if row["block_id"] == "S-2")
    assert (before["alloc_qty"], before["price"], after["alloc_qty"], after["price"]) == (
        "15000", "100", "10000", "99.95",
    )  # fmt: skip
    assert after["first_fill_at"] == before["first_fill_at"]
    assert after["last_fill_at"] < before["last_fill_at"]
    # Not late: the facts changed and the allocation with them.
    assert after["completed_at"] == after["allocated_at"] > before["allocated_at"]


def test_blocks_without_an_allocation_are_counted_not_shown(
    desk: Any, projected: Callable[[Any], Engine]
) -> None:
    desk.submit(draft("S-2"), actor="tom")
    desk.submit(draft("S-3"), actor="tom")
    desk.order("C2", "50000", "S-2")
    desk.order("C3", "50000", "S-3")
    desk.fill("10", "100", "C2", exec_id="H1")
    engine = projected(desk)
    assert {row["block_id"] for row in rows(engine)} == {"S-1"}
    assert unallocated(engine, TODAY, TODAY) == ["S-2"]
