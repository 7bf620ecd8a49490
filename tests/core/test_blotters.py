"""A day compared with a custodian's or broker's file: accounts and executions."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from fixgateway.config import blotters as files
from fixgateway.core.blotters import Booked, Executed, Row, accounts, executions
from fixgateway.errors import UsageError

DAY = date(2026, 11, 23)
SHARES = (("CLIENT-A", "15000"), ("CLIENT-B", "6000"), ("CLIENT-C", "3000"), ("PROP", "6000"))
STATEMENTS = {("XYZ", "buy")}


def ours(*shares: tuple[str, str], price: str = "100.0000", broker: str = "BRK1") -> list[Booked]:
    return [Booked("GWA1", broker, a, "XYZ", "buy", Decimal(q), Decimal(price)) for a, q in shares or SHARES]


def row(line: int, account: str = "", quantity: str = "1", price: str = "100", **more: Any) -> Row:
    fields: dict[str, Any] = {"exec_id": "", "symbol": "XYZ", "side": "buy", **more}
    return Row(line, DAY, account, fields.pop("exec_id"), fields.pop("symbol"), fields.pop("side"), Decimal(quantity),
               Decimal(price), **fields)  # fmt: skip


def theirs(*shares: tuple[str, str], price: str = "100", **more: Any) -> list[Row]:
    return [row(n, a, q, price, **more) for n, (a, q) in enumerate(shares or SHARES, 2)]


def kinds(found: Any) -> list[tuple[str, str]]:
    return [(x.kind, x.subject.split()[0]) for x in found.discrepancies]


def test_the_worked_example_booked_as_it_was_allocated_agrees() -> None:
    found = accounts(theirs(), ours(), STATEMENTS)
    assert (found.matched, found.discrepancies) == (4, ())


def test_cherry_picking_behind_the_gateways_back_is_two_quantities() -> None:
    """The J said 15,000 / 6,000 / 3,000 / 6,000; the custodian booked PROP 15,000 and CLIENT-A 6,000."""
    moved = theirs(("CLIENT-A", "6000"), *SHARES[1:3], ("PROP", "15000"))
    found = accounts(moved, ours(), STATEMENTS)
    assert kinds(found) == [("quantity", "CLIENT-A"), ("quantity", "PROP")]
    assert found.matched == 2
    assert "the file has 15000, allocated are 6000 (GWA1)" in found.discrepancies[1].text


def test_another_account_a_missing_one_and_a_trade_without_a_statement() -> None:
    file = [*theirs(*SHARES[:3], ("FRIEND", "6000")), row(9, "CLIENT-A", "10", symbol="ABC")]
    found = accounts(file, ours(), STATEMENTS)
    assert kinds(found) == [("missing", "PROP"), ("account", "FRIEND"), ("no-statement", "CLIENT-A")]


def test_quantities_in_several_rows_and_from_several_brokers_are_added_up() -> None:
    file = [*theirs(("CLIENT-A", "10000"), ("CLIENT-A", "5000"), *SHARES[1:])]
    assert accounts(file, ours(), STATEMENTS).discrepancies == ()
    two = [*ours(("CLIENT-A", "7000")), *ours(("CLIENT-A", "8000"), broker="BRK2"), *ours(*SHARES[1:])]
    assert accounts(theirs(), two, STATEMENTS).discrepancies == ()
    named = [row(1, "CLIENT-A", "15000", broker="BRK1"), *theirs(*SHARES[1:], broker="BRK1")]
    assert kinds(accounts(named, two, STATEMENTS)) == [("quantity", "CLIENT-A"), ("missing", "CLIENT-A")]


@pytest.mark.parametrize(
    ("price", "tolerance", "agrees"),
    [
        ("100.1234", "0", True),
        ("100.12", "0", True),  # rounded to its own two decimals
        ("100.13", "0", False),
        ("100.13", "0.01", True),
        ("100", "0", False),  # not "rounded to no decimals": 100 is 100.00
        ("101", "0", False),
        ("100.1235", "0", False),
    ],
)
def test_a_price_agrees_when_it_is_ours_rounded(price: str, tolerance: str, agrees: bool) -> None:
    found = accounts(theirs(price=price), ours(price="100.1234"), STATEMENTS, Decimal(tolerance))
    assert {x.kind for x in found.discrepancies} == (set() if agrees else {"price"})


def test_a_price_without_its_zeros_agrees_and_hides_nothing() -> None:
    """A file that writes 100 and 99.5 has one decimal more than none; half a unit would hide 49 cents a share."""
    assert accounts(theirs(price="100"), ours(price="100.0000"), STATEMENTS).discrepancies == ()
    assert {x.kind for x in accounts(theirs(price="100"), ours(price="100.49"), STATEMENTS).discrepancies} == {"price"}
    file = [*theirs(*SHARES[:3], price="100"), row(9, "PROP", "6000", "100.1234")]
    assert kinds(accounts(file, ours(price="100.004"), STATEMENTS))[0] == ("price", "CLIENT-A")


def test_several_prices_are_compared_by_their_exact_average() -> None:
    file = [row(1, "CLIENT-A", "1", "10"), row(2, "CLIENT-A", "2", "13")]
    assert accounts(file, ours(("CLIENT-A", "3"), price="12"), STATEMENTS).discrepancies == ()
    assert kinds(accounts(file, ours(("CLIENT-A", "3"), price="13"), STATEMENTS)) == [("price", "CLIENT-A")]


# ---------------------------------------------------------------- executions


def executed(name: str, quantity: str = "100", price: str = "10.5", **more: Any) -> Executed:
    return Executed("BRK1", name, "XYZ", "buy", Decimal(quantity), Decimal(price), **more)


def test_executions_agree_by_their_id_also_by_the_one_before_a_correction() -> None:
    rows = [row(1, exec_id="E1", quantity="100", price="10.5"), row(2, exec_id="E2", quantity="100", price="10.5")]
    found = executions(rows, [executed("E1"), executed("E3", names=("E2",))])
    assert (found.matched, found.discrepancies) == (2, ())


def test_every_way_an_execution_can_differ() -> None:
    rows = [
        row(1, exec_id="NEVER", quantity="5"),
        row(2, exec_id="E1", quantity="99", price="10.5"),
        row(3, exec_id="E2", quantity="100", price="11"),
        row(4, exec_id="E4", quantity="100", price="10.5"),
        row(5, exec_id="E4", quantity="100", price="10.5"),
        row(6, exec_id="E5", quantity="100", price="10.5", side="sell"),
    ]
    mine = [executed("E1"), executed("E2"), executed("E3"), executed("E4"), executed("OLD", of_day=False)]
    found = executions(rows, [*mine, executed("E5")])
    assert [(x.kind, x.subject.split()[1]) for x in found.discrepancies] == [
        ("no-statement", "NEVER"), ("quantity", "E1"), ("price", "E2"), ("quantity", "E4"), ("no-statement", "E5"),
        ("missing", "E3"), ("missing", "E5"),
    ]  # fmt: skip
    assert found.matched == 1


def test_a_file_of_one_broker_misses_nothing_of_another() -> None:
    rows = [row(1, exec_id="E1", quantity="100", price="10.5", broker="BRK1")]
    other = Executed("BRK2", "E1", "XYZ", "buy", Decimal(7), Decimal(1))
    assert executions(rows, [other, executed("E1")]).discrepancies == ()


# ---------------------------------------------------------------- files

FILE = """\
Trade Date,Account,Symbol,Side,Quantity,Price,Memo
2026-11-23,CLIENT-A,XYZ,B,15000,100.00,x
2026-11-23,PROP,XYZ,1,6000.5,100.00,"y, z"
"""


def test_a_file_is_read_with_its_own_spelling_of_the_header() -> None:
    day, rows = files.parse(FILE.encode("utf-8-sig"), "custody.csv")
    assert day == DAY
    assert [(x.line, x.account, x.side, x.quantity, x.exec_id) for x in rows] == [
        (2, "CLIENT-A", "buy", Decimal(15000), ""), (3, "PROP", "buy", Decimal("6000.5"), ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: write the columns"),
        ("trade_date,symbol,side,quantity,price\n", "missing: account, exec_id"),
        ("account,symbol,side,quantity,price\n", "missing: trade_date"),
        (FILE.replace("Memo", "Account"), "more than once"),
        (FILE.replace("6000.5", "-6000"), "line 3: quantity: "),
        (FILE.replace("6000.5", "0"), "line 3: quantity: "),
        (FILE.replace("6000.5", "6e3"), "line 3: quantity: "),
        (FILE.replace(",1,", ",long,"), "line 3: side: "),
        (FILE.replace("2026-11-23,PROP", "23.11.2026,PROP"), "line 3: trade_date: "),
        (FILE.replace("2026-11-23,PROP", "2026-11-22,PROP"), "trade dates 2026-11-22 to 2026-11-23"),
        (FILE.replace("PROP", ""), "line 3: account: is empty"),
        (FILE.replace("PROP", "P" * 201), "too long"),
        (FILE + "2026-11-23,PROP\n", "line 4: has 2 cells for 7 columns"),
        (FILE.replace("x\n", '"x\n'), "no CSV"),
        ("trade_date,account,symbol,side,quantity,price\n", "has no rows"),
        ("trade_date,exec_id,symbol,side,quantity,price\n2026-11-23,,X,buy,1,1\n", "exec_id: is empty"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_line_and_column(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=r"custody\.csv: ") as error:
        files.parse(text.encode(), "custody.csv")
    assert words in str(error.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UsageError, match="not UTF-8 at byte 0"):
        files.parse(b"\xff\xfe\x00", "custody.csv")


def test_rows_of_other_days_are_passed_over_when_the_day_is_named() -> None:
    text = FILE.replace("2026-11-23,PROP", "2026-11-22,PROP")
    assert [x.account for x in files.parse(text.encode(), "f", DAY)[1]] == ["CLIENT-A"]
    assert files.parse(b"trade_date,account,symbol,side,quantity,price\n", "f", DAY) == (DAY, [])


def test_problems_and_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = FILE + "x,,,,,,\n" * 500
    with pytest.raises(UsageError) as error:
        files.parse(bad.encode(), "f")
    assert len(str(error.value).splitlines()) == files.MAX_PROBLEMS + 1
    monkeypatch.setattr(files, "MAX_ROWS", 1)
    with pytest.raises(UsageError, match="more than 1 rows"):
        files.parse(FILE.encode(), "f")
