"""The period blotter: one row per block and account, exactly the columns forensic tests read.

A block is a statement with fills and an allocation in force. What each column is taken from:

* ``captured_at``: the registration of the version under which the first order was forwarded (``released_at``);
* account class, fee, strategy, owner: the account file as in force at that registration;
* ``intent_qty``: the statement's; ``alloc_qty`` and ``price``: the allocations in force, all brokers together;
* ``completed_at``: when the statement was closed or its fills last changed, whichever is later; with day averaging
  when that was so of every statement of the day in the security and side;
* ``allocated_at``: when the allocation in force was decided; ``expected_qty``: the computed share, empty where the
  statement was changed after the first order;
* ``close_price``: the closing mark of the trade date, in the policy's time zone; ``mark_at_allocation``: the newest
  mark of that day not later than the allocation;
* exception columns: the newest approved exception of the block, in every row of it.

``currency`` and ``clock_offset_us`` are not known and left empty.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Row, select

from fixgateway.core.model import EXACT, ZERO, exact_sum, plain_text
from fixgateway.records import (  # noqa: F401  so that their tables are known
    booked_tables,
    configuration_tables,
    desk_tables,
)
from fixgateway.records.affirmations import _in_force
from fixgateway.records.queries import Record, utc_text
from fixgateway.records.tables import Base

REQUIRED: Final = (
    "block_id", "trade_date", "symbol", "side", "strategy", "account", "account_class", "fee", "fee_rate",
    "intent_qty", "alloc_qty", "price", "close_price", "captured_at", "released_at", "last_fill_at", "allocated_at",
    "exception_code", "trader",
)  # fmt: skip
OPTIONAL: Final = (
    "mark_at_allocation", "completed_at", "first_fill_at", "statement_changed_at", "exception_at",
    "exception_approver", "exception_approved_at", "exception_text", "method", "expected_qty", "currency",
    "multiplier", "owner", "clock_offset_us",
)  # fmt: skip
COLUMNS: Final = REQUIRED + OPTIONAL
"""The blotter's columns, in this order."""

_CHUNK = 200  # statements read at once
_PRICE_DIGITS = 12  # decimals of an average that does not end
_FILLS = frozenset(("fill", "fills-from-cum"))
_CHANGES = _FILLS | {"bust", "correct"}
_TABLES = Base.metadata.tables
_Key = tuple[str, str]


@dataclass(slots=True)
class _Known:
    """What is the same for the whole period."""

    accounts: dict[str, tuple[list[int], list[Row[Any]]]]
    policies: dict[_Key, Any]

    def account(self, name: str, seq: int) -> Row[Any] | None:
        """An account as in force at a journal record, or as it was first known."""
        starts, rows = self.accounts.get(name, ([], []))
        return rows[max(0, bisect_right(starts, seq) - 1)] if rows else None


@dataclass(slots=True)
class _Block:
    """A statement and everything its rows are made of."""

    statement: Row[Any]
    closed_ns: int = 0
    released_ns: int = 0
    fills: list[int] = field(default_factory=list)
    changed_ns: int = 0
    allocations: list[Record] = field(default_factory=list)
    intents: dict[str, Decimal] = field(default_factory=dict)
    expected: dict[str, Decimal] = field(default_factory=dict)
    shares: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    exception: Row[Any] | None = None
    replaced_ns: int = 0

    @property
    def completed_ns(self) -> int:
        """When nothing about the fills was open any more; 0 while something is."""
        return max(self.closed_ns, self.changed_ns) if self.closed_ns else 0

    @property
    def allocated_ns(self) -> int:
        """When the newest allocation in force was decided."""
        return max((row["ts_ns"] for row in self.allocations), default=0)


def blotter(engine: Engine, first: date, last: date) -> Iterator[Record]:
    """Rows of every block with a trade date from ``first`` to ``last``, text by column of :data:`COLUMNS`.

    Ordered by trade date, then as the statements were registered, accounts in the statement's order. A block whose
    fills are not allocated yet has no rows: see :func:`unallocated`.
    """
    with engine.connect() as connection:
        known = _Known(_account_versions(connection), _policies(connection))
        for day in _days(connection, first, last):
            blocks = list(_blocks(connection, day))
            completed = _completed(known, blocks)
            marks = _Marks(connection, known, day, {block.statement.symbol for block in blocks})
            for block in blocks:
                if block.allocations:
                    yield from _rows(known, marks, block, completed)


def unallocated(engine: Engine, first: date, last: date) -> list[str]:
    """Statements of the period with fills and without an allocation in force: not in the blotter yet."""
    with engine.connect() as connection:
        return [
            block.statement.statement_id
            for day in _days(connection, first, last)
            for block in _blocks(connection, day)
            if not block.allocations
        ]


# ---------------------------------------------------------------- reading


def _days(connection: Connection, first: date, last: date) -> list[date]:
    column = _TABLES["statements"].c.trade_date
    query = select(column).where(column.between(first, last)).distinct().order_by(column)
    return list(connection.scalars(query))


def _account_versions(connection: Connection) -> dict[str, tuple[list[int], list[Row[Any]]]]:
    table = _TABLES["accounts"]
    names = ("journal_seq", "account", "class_", "fee", "fee_rate", "strategy", "owner")
    query = select(*(table.c[name] for name in names)).order_by(table.c.journal_seq)
    found: dict[str, tuple[list[int], list[Row[Any]]]] = {}
    for row in connection.execute(query):
        starts, rows = found.setdefault(row.account, ([], []))
        starts.append(row.journal_seq)
        rows.append(row)
    return found


def _policies(connection: Connection) -> dict[_Key, Any]:
    table = _TABLES["policies"]
    query = select(table.c.policy_id, table.c.version, table.c.timezone, table.c.averaging)
    rows = connection.execute(query.order_by(table.c.journal_seq)).all()
    return {(row.policy_id, row.version): row for row in rows}


def _of(connection: Connection, name: str, ids: Sequence[str], *columns: str) -> Iterator[Row[Any]]:
    """Columns of a table's rows under statements, in journal order."""
    table = _TABLES[name]
    query = select(*(table.c[column] for column in columns)).where(table.c.statement_id.in_(ids))
    yield from connection.execute(query.order_by(*table.primary_key.columns))


def _lines(
    connection: Connection, name: str, places: Iterable[tuple[int, int]], *columns: str
) -> dict[tuple[int, int], list[Row[Any]]]:
    """Lines of heads by where the head stands, in order."""
    table = _TABLES[name]
    wanted = set(places)
    seqs = sorted({seq for seq, _ in wanted})
    found: dict[tuple[int, int], list[Row[Any]]] = {}
    for start in range(0, len(seqs), 500):  # databases bound the number of parameters
        keys = (table.c.journal_seq, table.c.position, *(table.c[column] for column in columns))
        condition = table.c.journal_seq.in_(seqs[start : start + 500])
        for row in connection.execute(select(*keys).where(condition).order_by(*table.primary_key.columns)):
            if (place := (row.journal_seq, row.position)) in wanted:
                found.setdefault(place, []).append(row)
    return found


_STATEMENT = (
    "journal_seq", "position", "ts_ns", "statement_id", "trade_date", "symbol", "side", "method", "policy_id",
    "policy_version", "placed_by", "actor", "registered_ns", "state", "closed_ns",
)  # fmt: skip
_ALLOCATION = (
    "journal_seq", "position", "ts_ns", "alloc_id", "trans_type", "ref_alloc_id", "statement_id", "broker", "status",
)  # fmt: skip


def _blocks(connection: Connection, day: date) -> Iterator[_Block]:
    """Blocks of a trade date that have fills, in the order they were registered."""
    table = _TABLES["statements"]
    query = select(*(table.c[name] for name in _STATEMENT)).where(table.c.trade_date == day)
    versions: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(query.order_by(table.c.journal_seq, table.c.position)):
        versions.setdefault(row.statement_id, []).append(row)
    ids = list(versions)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        blocks = _with_fills(connection, {name: versions[name] for name in chunk})
        if blocks:
            _add_allocations(connection, blocks)
            _add_lines(connection, blocks)
            _add_exceptions(connection, blocks)
        yield from blocks.values()


def _with_fills(connection: Connection, versions: dict[str, list[Row[Any]]]) -> dict[str, _Block]:
    """Blocks with orders and fills that stand; a statement's version is the one its first order came under."""
    ids = list(versions)
    released: dict[str, Row[Any]] = {}
    for row in _of(connection, "orders", ids, "statement_id", "verdict", "ts_ns", "journal_seq"):
        if row.verdict == "forwarded":
            released.setdefault(row.statement_id, row)
    blocks: dict[str, _Block] = {}
    for name, rows in versions.items():
        order = released.get(name)
        if order is None:
            continue
        version = next((row for row in reversed(rows) if row.journal_seq <= order.journal_seq), rows[-1])
        later = [row.ts_ns for row in rows if row.journal_seq > order.journal_seq]
        blocks[name] = _Block(version, rows[-1].closed_ns or 0, order.ts_ns, replaced_ns=max(later, default=0))
    _add_fills(connection, blocks)
    return {name: block for name, block in blocks.items() if block.fills}


def _add_fills(connection: Connection, blocks: dict[str, _Block]) -> None:
    gone: set[tuple[int, str]] = set()
    fills: list[Row[Any]] = []
    names = ("statement_id", "order_key", "exec_id", "exec_ref_id", "effect", "ts_ns")
    for row in _of(connection, "executions", list(blocks), *names):
        if row.effect in _CHANGES:
            blocks[row.statement_id].changed_ns = max(blocks[row.statement_id].changed_ns, row.ts_ns)
        if row.effect in _FILLS:
            fills.append(row)
        elif row.effect == "bust":
            gone.add((row.order_key, row.exec_ref_id))
    for row in fills:
        if (row.order_key, row.exec_id) not in gone:
            blocks[row.statement_id].fills.append(row.ts_ns)


def _add_allocations(connection: Connection, blocks: dict[str, _Block]) -> None:
    rows: dict[str, list[Record]] = {}
    for row in _of(connection, "allocations", list(blocks), *_ALLOCATION):
        rows.setdefault(row.statement_id, []).append(dict(row._mapping))
    for name, found in rows.items():
        first: dict[str, Record] = {}  # one sent again is the same allocation
        for allocation in _in_force(found):
            first.setdefault(allocation["alloc_id"], allocation)
        blocks[name].allocations = list(first.values())


def _add_lines(connection: Connection, blocks: dict[str, _Block]) -> None:
    heads = {(block.statement.journal_seq, block.statement.position): block for block in blocks.values()}
    for place, lines in _lines(connection, "statement_lines", heads, "account", "quantity").items():
        heads[place].intents = {line.account: line.quantity for line in lines}
    places = {
        (allocation["journal_seq"], allocation["position"]): block
        for block in blocks.values()
        for allocation in block.allocations
    }
    shares = _lines(connection, "allocation_lines", places, "account", "quantity", "avg_px", "price")
    for place, lines in shares.items():
        block = places[place]
        for line in lines:
            quantity, money = block.shares.get(line.account, (ZERO, ZERO))
            paid = exact_sum((money, EXACT.multiply(line.quantity, Decimal(line.price or line.avg_px))))
            block.shares[line.account] = (exact_sum((quantity, line.quantity)), paid)
    _add_expected(connection, blocks)


def _add_expected(connection: Connection, blocks: dict[str, _Block]) -> None:
    """Computed shares: the newest division, all bookings together; and the units of a statement that was split."""
    newest: dict[str, Row[Any]] = {}
    for row in _of(connection, "divisions", list(blocks), "journal_seq", "position", "statement_id", "number"):
        newest[row.statement_id] = row
    places = {(row.journal_seq, row.position): blocks[name] for name, row in newest.items()}
    flags = _TABLES["flags"]
    split = select(flags.c.subject).where(flags.c.kind == "statement split", flags.c.subject.in_(list(blocks)))
    scaled = set(connection.scalars(split))
    lines = _lines(connection, "division_lines", places, "account", "quantity", "before", "intent", "rule")
    for place, found in lines.items():
        block = places[place]
        block.expected = {
            line.account: exact_sum((line.before, line.quantity)) for line in found if line.rule != "exception"
        }
        if block.statement.statement_id in scaled:
            block.intents |= {line.account: line.intent for line in found if line.account in block.intents}


def _add_exceptions(connection: Connection, blocks: dict[str, _Block]) -> None:
    names = (
        "journal_seq", "position", "statement_id", "code", "text", "kind", "ts_ns", "state", "decided_by", "decided_ns",
    )  # fmt: skip
    for row in _of(connection, "exception_requests", list(blocks), *names):
        if row.state == "approved":
            block = blocks[row.statement_id]
            block.exception = row
            if row.kind == "statement-change":
                block.replaced_ns = max(block.replaced_ns, row.decided_ns)
    heads = {
        (block.exception.journal_seq, block.exception.position): block
        for block in blocks.values()
        if block.exception is not None
    }
    # Under an exception the division is what was approved; what would have been computed stands in the request.
    for place, lines in _lines(connection, "exception_lines", heads, "account", "before").items():
        heads[place].expected = {line.account: line.before for line in lines} | heads[place].expected
    for block in blocks.values():
        if block.replaced_ns:
            block.expected = {}  # nobody computed what the statement as it was before the order gives


# ---------------------------------------------------------------- marks and times


class _Marks:
    """The marks of a trade date: its closes, and what was known at a moment."""

    def __init__(self, connection: Connection, known: _Known, day: date, symbols: set[str]) -> None:
        self._known = known
        self._day = day
        self._rows: dict[str, list[Row[Any]]] = {}
        table = _TABLES["marks"]
        names = ("symbol", "price", "as_of_ns", "close")
        around = (_midnight_ns(day, "UTC") - _DAY_NS, _midnight_ns(day, "UTC") + 2 * _DAY_NS)
        wanted = sorted(symbols)
        for start in range(0, len(wanted), 500):
            query = (
                select(*(table.c[name] for name in names))
                .where(table.c.symbol.in_(wanted[start : start + 500]), table.c.as_of_ns.between(*around))
                .order_by(table.c.as_of_ns, table.c.journal_seq, table.c.position)
            )
            for row in connection.execute(query):
                self._rows.setdefault(row.symbol, []).append(row)

    def _of_day(self, block: _Block) -> Iterator[Row[Any]]:
        """Marks of the block's symbol on its trade date, oldest first."""
        policy = self._known.policies.get((block.statement.policy_id, block.statement.policy_version))
        zone = policy.timezone if policy is not None else "UTC"
        begin, end = _midnight_ns(self._day, zone), _midnight_ns(self._day + timedelta(days=1), zone)
        return (row for row in self._rows.get(block.statement.symbol, ()) if begin <= row.as_of_ns < end)

    def close(self, block: _Block) -> str:
        """The newest closing mark, "" without one."""
        return _last(row for row in self._of_day(block) if row.close)

    def at_allocation(self, block: _Block) -> str:
        """The newest mark not later than the allocation."""
        return _last(row for row in self._of_day(block) if row.as_of_ns <= block.allocated_ns)


_DAY_NS = 86_400 * 10**9


def _midnight_ns(day: date, zone: str) -> int:
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * 10**9


def _last(rows: Iterable[Row[Any]]) -> str:
    price = next((row.price for row in reversed(list(rows))), None)
    return "" if price is None else plain_text(price)


def _completed(known: _Known, blocks: Iterable[_Block]) -> dict[_Key, int]:
    """With day averaging: when all of a security and side was complete, by symbol and side."""
    found: dict[_Key, int] = {}
    for block in blocks:
        policy = known.policies.get((block.statement.policy_id, block.statement.policy_version))
        if policy is not None and policy.averaging == "day":
            key = (block.statement.symbol, block.statement.side)
            found[key] = max(found.get(key, 0), block.completed_ns)
    return found


# ---------------------------------------------------------------- rows


def _rows(known: _Known, marks: _Marks, block: _Block, completed: dict[_Key, int]) -> Iterator[Record]:
    statement, exception = block.statement, block.exception
    completed_ns = block.completed_ns and max(
        block.completed_ns, completed.get((statement.symbol, statement.side), 0)
    )
    shared = {
        "block_id": statement.statement_id,
        "trade_date": statement.trade_date.isoformat(),
        "symbol": statement.symbol,
        "side": statement.side,
        "close_price": marks.close(block),
        "captured_at": _at(statement.registered_ns),
        "released_at": _at(block.released_ns),
        "last_fill_at": _at(max(block.fills)),
        "allocated_at": _at(block.allocated_ns),
        "exception_code": exception.code if exception else "",
        "trader": statement.placed_by or statement.actor,
        "mark_at_allocation": marks.at_allocation(block),
        "completed_at": _at(completed_ns),
        "first_fill_at": _at(min(block.fills)),
        "statement_changed_at": _at(block.replaced_ns),
        "exception_at": _at(exception.ts_ns) if exception else "",
        "exception_approver": (exception.decided_by or "") if exception else "",
        "exception_approved_at": _at(exception.decided_ns) if exception else "",
        "exception_text": exception.text if exception else "",
        "method": statement.method,
        "currency": "",
        "multiplier": "1",
        "clock_offset_us": "",
    }
    for name in dict.fromkeys((*block.intents, *block.shares, *block.expected)):
        row = shared | _account(known, block, name)
        yield {column: row[column] for column in COLUMNS}


def _account(known: _Known, block: _Block, name: str) -> Record:
    """One account's cells."""
    account = known.account(name, block.statement.journal_seq)
    quantity, paid = block.shares.get(name, (ZERO, ZERO))
    return {
        "account": name,
        "account_class": account.class_ if account else "",
        "fee": account.fee if account else "",
        "fee_rate": account.fee_rate if account else "",
        "strategy": account.strategy if account else "",
        "owner": account.owner if account else "",
        "intent_qty": plain_text(block.intents.get(name, ZERO)),
        "alloc_qty": plain_text(quantity),
        "expected_qty": plain_text(block.expected.get(name, ZERO)) if block.expected else "",
        "price": _price(paid, quantity),
    }


def _price(paid: Decimal, quantity: Decimal) -> str:
    """Money over quantity, to twelve decimals where it does not end; "" of nothing."""
    if not quantity:
        return ""
    with localcontext(prec=60):
        return plain_text(round(paid / quantity, _PRICE_DIGITS).normalize())


def _at(ts_ns: int | None) -> str:
    return utc_text(ts_ns) if ts_ns else ""
