"""The page of today, and search."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from fixgateway.core.people import Task
from fixgateway.web import pages_words as words
from fixgateway.web.identity import Identity
from fixgateway.web.pages import Pages, allow
from fixgateway.web.port import Row

TODO_MAX = 12
"""Things that wait for a person, shown on the page of today; the rest is counted."""
BLOCKS_MAX = 40
ORDERS_MAX = 100


def add(router: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @router.get("/")
    def today(request: Request) -> Response:
        """Sessions, orders, deadlines, and what waits for a person."""
        who = allow(request, Task.READ)
        may = {"register": who.may(Task.REGISTER), "request": who.may(Task.REQUEST)}
        return pages.show(request, "today.html", **_today(pages, who), may=may)

    @router.get("/search")
    def search(request: Request, q: str = "") -> Response:
        """What begins with what was typed."""
        who = allow(request, Task.READ)
        query = q.strip()[:200]
        found = [
            row
            for row in (pages.reads.search(query) if query else ())
            if row["kind"] != "review" or who.may(Task.READ_REVIEWS)
        ]
        status = pages.gateway.status()
        watermark = status.get("records_watermark", "")
        return pages.show(request, "search.html", query=query, groups=_groups(found), watermark=watermark)


def _today(pages: Pages, who: Identity) -> dict[str, Any]:
    status, day, now_ns = pages.gateway.status(), pages.desk.trade_date(), pages.desk.now_ns()
    begin_ns = pages.desk.instant(day, "00:00")
    figures = pages.reads.figures(day, begin_ns)
    statements = pages.reads.statements(trade_date=day, limit=BLOCKS_MAX)
    filled = pages.reads.filled([row["statement_id"] for row in statements])
    blocks = words.with_filled(map(words.statement_row, statements), filled)
    received = [row for row in pages.reads.orders(limit=ORDERS_MAX) if row["ts_ns"] >= begin_ns]
    todo = words.todo(
        pages.reads.exceptions(state="open", limit=TODO_MAX * 4),
        pages.reads.opened(state="unresolved", limit=TODO_MAX * 4),
        words.readable(pages.reads.alerts(state="open", limit=TODO_MAX * 4), who),
        lambda row: due_ns(pages, row),
        now_ns,
    )
    deadlines = pages.desk.deadlines()
    return {
        "state": status,
        "trade_date": day,
        "deadlines": deadlines,
        "no_deadlines": "no trading day, or switched off by the policy",
        "counts": figures,
        "todo": todo[:TODO_MAX],
        "todo_more": max(sum(pages.reads.counts().values()) - TODO_MAX, 0),
        "blocks": blocks,
        "blocks_more": figures["active"] + figures["closed"] - len(blocks),
        "dated": False,
        "orders": [words.order_row(row) for row in received],
        "orders_more": figures["orders"] > len(received),
        "sessions": pages.gateway.sessions(),
        "affirmed": _affirmed(pages.reads.affirmations(day)),
        "reconciled": pages.reads.reconciliations(limit=3),
        "checkpoint": _checkpoint(status),
    }


def due_ns(pages: Pages, row: Row) -> int | None:
    """When a request is to be decided at the latest."""
    try:
        return pages.desk.instant(date.fromisoformat(str(row["due_date"])), str(row["due_time"]))
    except ValueError:
        return None


def _affirmed(found: Mapping[str, Any]) -> list[Any]:
    return [row for row in found.get("brokers", ()) if row["due"]]


def _checkpoint(status: Row) -> str:
    errors = [row["place"] for row in status.get("checkpoints", ()) if row["error"]]
    if errors:
        return f"checkpoints not kept at {', '.join(errors)}"
    return "checkpoints kept" if status.get("checkpoints") else "no checkpoint yet"


# ---------------------------------------------------------------- search

_GROUPS = {
    "statement": "Blocks", "order": "Orders", "request": "Orders", "execution": "Executions", "person": "People",
}  # fmt: skip
_SHOWN = 20


def _groups(found: Any) -> list[dict[str, Any]]:
    """Hits by kind, in the order they were found, each with a place to go to."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        name = _GROUPS.get(row["kind"], f"{str(row['kind']).capitalize()}s")
        groups.setdefault(name, []).append({**row, "path": _path(row)})
    return [{"name": name, "rows": rows[:_SHOWN], "more": len(rows) > _SHOWN} for name, rows in groups.items()]


def _path(row: Row) -> str:
    name = quote(str(row["id"]), safe="")
    match row["kind"]:
        case "statement":
            return f"/blocks/{name}"
        case "order" | "request" | "execution" | "allocation" | "confirmation" | "broker report" | "refused statement":
            return f"/trace/{name}"
        case "exception":
            return f"/exceptions/{name}"
        case "alert":
            return f"/alerts#{name}"
        case "review":
            return f"/reviews#{name}"
        case "person":
            return f"/people/{name}"
        case _:
            return ""
