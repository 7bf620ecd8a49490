"""Order memoranda (17 CFR 275.204-2(a)(3)): every order with its terms, and every modification and cancellation.

Who recommended and who placed an order, whether it was discretionary, and for which accounts, stands in its
statement; the terms stand in the order's own text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select

from fixgateway.records.desk_queries import _grouped, _list
from fixgateway.records.queries import _TABLES, LIMIT, Record, _add_lines, _plain, utc_text

TERMS: Final[Mapping[str, str]] = {
    "1": "Account", "15": "Currency", "18": "ExecInst", "21": "HandlInst", "38": "OrderQty", "40": "OrdType",
    "44": "Price", "59": "TimeInForce", "63": "SettlType", "64": "SettlDate", "99": "StopPx", "100": "ExDestination",
    "110": "MinQty", "111": "MaxFloor", "126": "ExpireTime", "152": "CashOrderQty", "168": "EffectiveTime",
    "211": "PegOffsetValue", "423": "PriceType", "432": "ExpireDate", "528": "OrderCapacity", "847": "TargetStrategy",
}  # fmt: skip
"""Tags of an order that are its terms and conditions."""
ORD_TYPES: Final[Mapping[str, str]] = {
    "1": "market", "2": "limit", "3": "stop", "4": "stop limit", "5": "market on close", "6": "with or without",
    "7": "limit or better", "9": "on basis", "B": "limit on close", "D": "previously quoted",
    "E": "previously indicated", "J": "market if touched", "K": "market with leftover as limit", "P": "pegged",
}  # fmt: skip
"""OrdType(40) in words."""
TIMES_IN_FORCE: Final[Mapping[str, str]] = {
    "": "day", "0": "day", "1": "good till cancel", "2": "at the opening", "3": "immediate or cancel",
    "4": "fill or kill", "5": "good till crossing", "6": "good till date", "7": "at the close",
}  # fmt: skip
"""TimeInForce(59) in words; an order without one is good for the day."""

_NS_PER_SECOND = 1_000_000_000
_EARLY, _LATE = date(1971, 1, 1), date(2200, 1, 1)  # beyond them a period has no end
_IN_MAX = 500
_ORDER = (
    "journal_seq", "position", "input_seq", "order_key", "cl_ord_id", "oms", "broker", "statement_id", "symbol", "side",
    "order_qty", "verdict", "reason", "text", "status", "latest_cl_ord_id", "order_id", "quantity", "cum_qty",
    "avg_px",
)  # fmt: skip
_STATEMENT = (
    "version", "trade_date", "recommended_by", "placed_by", "discretionary", "rationale", "memo_complete", "policy_id",
    "policy_version",
)  # fmt: skip
_ENDS = ("replaced", "cancelled", "rejected", "expired", "done-for-day", "restated")
_ASKED = {"G": "replace asked for", "F": "cancel asked for", "D": "order undone"}


def order_memos(
    engine: Engine,
    first: date,
    last: date,
    limit: int = LIMIT,
    before: str | None = None,
    *,
    statement_id: str | None = None,
) -> list[Record]:
    """Memoranda of the orders entered from ``first`` to ``last``, days of the policy's time zone, newest first.

    Args:
        engine: the records database. first, last: both included. limit: most orders. before: only behind this cursor
            (:func:`.desk_queries.cursor`). statement_id: only the orders of this statement.

    Returns:
        For each order, also one that was blocked: ``entered_at`` (the D was read) and ``decided_at``, what it was
        and became, ``terms`` (by FIX field name), ``order_type`` and ``time_in_force`` in words; of its statement
        ``recommended_by``, ``placed_by``, ``discretionary``, ``memo_complete`` and ``accounts``; and ``changes``: every
        replace, cancel and what came of it, oldest first, each with time, verdict, quantity and terms.
    """
    table = _TABLES["orders"]
    with engine.connect() as connection:
        zone = _zone(connection)
        wanted = [table.c.ts_ns >= _midnight_ns(first, zone)] if first > _EARLY else []
        if last < _LATE:
            wanted.append(table.c.ts_ns < _midnight_ns(last + timedelta(days=1), zone))
        if statement_id is not None:
            wanted.append(table.c.statement_id == statement_id)
        orders = _list(connection, "orders", *wanted, limit=limit, before=before)
        return _memos(connection, orders)


FLAT: Final = (
    "time", "entered_at", "what", "cl_ord_id", "orig_cl_ord_id", "statement_id", "trade_date", "oms", "broker",
    "symbol", "side", "order_qty", "terms", "order_type", "time_in_force", "verdict", "status", "recommended_by",
    "placed_by", "discretionary", "complete", "accounts", "reason", "text", "journal_seq", "position",
)  # fmt: skip
"""Columns of :func:`flat`."""


def flat(memo: Record) -> Iterator[Record]:
    """A memorandum as rows of plain texts by :data:`FLAT`: the order, then every change of it.

    A change's row has who, what and for whom of its order, and terms, quantity and words of its own.
    """
    accounts = "; ".join(f"{line['account']} {line['quantity']}" for line in memo["accounts"])
    head = {name: memo.get(name, "") for name in FLAT} | {"accounts": accounts}
    yield head | {"what": "order", "terms": _terms_text(memo["terms"])}
    for change in memo["changes"]:
        own = {name: change[name] for name in FLAT if name in change}
        words = {"terms": _terms_text(change["terms"]), "order_type": "", "time_in_force": "", "status": ""}
        yield head | own | words | {"order_qty": change["quantity"] or ""}


def _terms_text(terms: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in terms.items())


def memos_of(engine: Engine, cl_ord_id: str) -> list[Record]:
    """Memoranda of the orders with a ClOrdID, their own or one of their changes, newest first."""
    orders, requests = _TABLES["orders"], _TABLES["requests"]
    with engine.connect() as connection:
        changed = select(requests.c.order_key).where(requests.c.cl_ord_id == cl_ord_id, requests.c.order_key != 0)
        keys = set(connection.scalars(changed))
        keys |= set(connection.scalars(select(orders.c.order_key).where(orders.c.cl_ord_id == cl_ord_id)))
        wanted = orders.c.order_key.in_(sorted(keys)[:_IN_MAX])
        return _memos(connection, _list(connection, "orders", wanted, limit=LIMIT, before=None))


def _zone(connection: Connection) -> str:
    table = _TABLES["policies"]
    query = select(table.c.timezone).order_by(table.c.journal_seq.desc()).limit(1)
    return connection.scalar(query) or "UTC"


def _midnight_ns(day: date, zone: str) -> int:
    return int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * _NS_PER_SECOND


def _memos(connection: Connection, orders: list[Record]) -> list[Record]:
    keys = [row["order_key"] for row in orders]
    requests = _by_key(connection, "requests", keys)
    executions = _by_key(connection, "executions", keys)
    statements = _grouped(connection, "statements", "statement_id", (row["statement_id"] for row in orders))
    heads = [version for versions in statements.values() for version in versions]
    _add_lines(connection, "statement_lines", heads)
    inputs = [*keys, *(row["input_seq"] for rows in requests.values() for row in rows)]
    texts = _texts(connection, inputs)
    return [
        _memo(
            order,
            statements.get(order["statement_id"], []),
            requests.get(order["order_key"], []),
            executions.get(order["order_key"], []),
            texts,
        )
        for order in orders
    ]


def _by_key(connection: Connection, name: str, keys: list[int]) -> dict[int, list[Record]]:
    """Rows about orders, oldest first."""
    table = _TABLES[name]
    found: dict[int, list[Record]] = {}
    for start in range(0, len(keys), _IN_MAX):
        of_keys = table.c.order_key.in_(keys[start : start + _IN_MAX])
        query = select(table).where(of_keys).order_by(*table.primary_key.columns)
        for row in connection.execute(query).mappings():
            found.setdefault(row["order_key"], []).append(_plain(row))
    return found


def _texts(connection: Connection, inputs: Iterable[int]) -> dict[int, Any]:
    """The messages as they came, by input."""
    table = _TABLES["arrivals"]
    wanted = sorted(set(inputs))
    found: dict[int, Any] = {}
    for start in range(0, len(wanted), _IN_MAX):
        query = select(table).where(table.c.input_seq.in_(wanted[start : start + _IN_MAX]))
        found |= {row.input_seq: row for row in connection.execute(query)}
    return found


def _memo(
    order: Record,
    versions: list[Record],
    requests: list[Record],
    executions: list[Record],
    texts: Mapping[int, Any],
) -> Record:
    came = texts.get(order["order_key"])
    terms = _terms(came)
    # The version in force when the order came; later ones changed what the order was not placed under.
    head = next((v for v in reversed(versions) if v["journal_seq"] <= order["journal_seq"]), None)
    changes = [_asked(row, texts) for row in requests if row["msg_type"] in _ASKED]
    changes += [_outcome(row) for row in executions if row["kind"] in _ENDS]
    return {
        **{name: order[name] for name in _ORDER},
        "time": order["time"],
        "entered_at": utc_text(came.ts_ns) if came else order["time"],
        "decided_at": order["time"],
        "terms": terms,
        "order_type": ORD_TYPES.get(terms.get("OrdType", ""), ""),
        "time_in_force": TIMES_IN_FORCE.get(terms.get("TimeInForce", ""), "") if came else "",
        **{name: head[name] if head else "" for name in _STATEMENT},
        "complete": bool(head and head["memo_complete"]),
        "accounts": [
            {"account": line["account"], "quantity": line["quantity"]} for line in (head["lines"] if head else ())
        ],
        "changes": sorted(changes, key=lambda row: (row["journal_seq"], row["position"])),
    }


def _terms(came: Any) -> dict[str, str]:
    """The terms in a message's text, by field name; {} without the text."""
    if came is None:
        return {}
    found: dict[str, str] = {}
    for part in came.raw.decode("utf-8", "backslashreplace").split("\x01"):
        tag, _, value = part.partition("=")
        if tag in TERMS:
            found.setdefault(TERMS[tag], value)
    return found


_CHANGE = ("journal_seq", "position", "cl_ord_id", "orig_cl_ord_id", "quantity", "verdict", "reason", "text")


def _asked(row: Record, texts: Mapping[int, Any]) -> Record:
    """A replace or cancel somebody asked for; or the order undone after it was forwarded."""
    came = texts.get(row["input_seq"])
    return {
        "time": row["time"],
        "entered_at": utc_text(came.ts_ns) if came else row["time"],
        "what": _ASKED[row["msg_type"]],
        **{name: row[name] for name in _CHANGE},
        "session": row["session"],
        "terms": _terms(came),
    }


def _outcome(row: Record) -> Record:
    """What the broker says became of the order or of a change."""
    blank = dict.fromkeys(_CHANGE, "")
    return {
        "time": row["time"],
        "entered_at": row["time"],
        "what": f"broker: {row['kind']}",
        **blank,
        "journal_seq": row["journal_seq"],
        "position": row["position"],
        "verdict": row["effect"],
        "session": row["broker"],
        "terms": {},
    }
