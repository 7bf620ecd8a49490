"""Blocks: the list, and one block from statement to affirmation with the proof beside each step."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from fixgateway.core.desk_inputs import SendAgain
from fixgateway.core.model import exact_sum, plain_text
from fixgateway.core.people import Task
from fixgateway.web import pages_words as words
from fixgateway.web.pages import Form, Pages, Posted, Said, allow
from fixgateway.web.port import OperateOutcome, Row

LISTED = 200
"""Blocks a list shows."""
LINES_MAX = 1_000
"""Accounts of a table shown; the exam pack has all."""
_STATES = (
    ("", "any"), ("active", "active"), ("complete", "complete"), ("closed", "closed by a person"),
    ("cut-off", "closed at the cut-off"), ("cancelled", "cancelled"),
)  # fmt: skip
_NOT_TAKEN = ("rejected",)
"""States of an allocation that may be sent once more as it is."""


def add(router: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @router.get("/blocks")
    def blocks(request: Request, day: str = "", state: str = "") -> Response:
        """The statements, newest first."""
        who = allow(request, Task.READ)
        wanted = _date(day)
        rows = pages.reads.statements(trade_date=wanted, state=state or None, limit=LISTED + 1)
        filled = pages.reads.filled([row["statement_id"] for row in rows[:LISTED]])
        shown = words.with_filled(map(words.statement_row, rows[:LISTED]), filled)
        chosen = {"day": wanted.isoformat() if wanted else "", "state": state}
        states = _STATES if state in dict(_STATES) else (*_STATES, (state, state))
        return pages.show(request, "blocks.html", blocks=shown, more=len(rows) > LISTED, dated=True, chosen=chosen,
                          states=states, may={"register": who.may(Task.REGISTER)})  # fmt: skip

    @router.get("/blocks/{statement_id:path}")
    def block(request: Request, statement_id: str) -> Response:
        """One block."""
        return show_block(pages, request, statement_id)

    @router.post("/blocks/{statement_id:path}")
    def act(request: Request, statement_id: str, form: Posted) -> Response:
        """Close, book or cancel it, or send an allocation again."""
        outcome = _act(pages, request, statement_id, form)
        if outcome.done:
            return pages.done(f"/blocks/{quote(statement_id, safe='')}", "done")
        said = Said(words.BAD, "Not done.", outcome.text)
        return show_block(pages, request, statement_id, HTTPStatus.CONFLICT, said)

    @router.get("/trace/{any_id:path}")
    def trace(request: Request, any_id: str) -> Response:
        """What happened to an order, an execution or an allocation."""
        allow(request, Task.READ)
        found = pages.reads.trace(any_id)
        steps = words.steps(found["timeline"], pages.renderer.zone)
        return pages.show(request, "trace.html", wanted=any_id, steps=steps, statements=found["statements"],
                          truncated=found["truncated"])  # fmt: skip


def _date(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "day: write the date as YYYY-MM-DD") from None


def _act(pages: Pages, request: Request, statement_id: str, form: Form) -> OperateOutcome:
    action, reason = form["action"], form.line("reason", 256)
    if action == "send-again":
        who = allow(request, Task.SEND_AGAIN)
        actor, alloc_id = who.actor(form.line("actor", 64)), form.line("alloc_id", 256)
        return pages.gateway.act(lambda seq, ts_ns: SendAgain(seq, ts_ns, actor, alloc_id, reason))
    if action not in ("close", "book", "cancel"):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "the form names no action")
    who = allow(request, Task.OPERATE)
    if not reason:
        return OperateOutcome(False, "a reason is missing")
    if form["seen"] != words.seen(pages.reads.statement(statement_id)):
        return OperateOutcome(False, "the block changed while you looked at it; this is how it stands now")
    return pages.gateway.operate(who.actor(form.line("actor", 64)), action, statement_id, reason)


# ---------------------------------------------------------------- one block


def show_block(
    pages: Pages, request: Request, statement_id: str, status: HTTPStatus = HTTPStatus.OK, said: Said | None = None
) -> Response:
    """The page of a block."""
    who = allow(request, Task.READ)
    head = pages.reads.statement(statement_id)
    found = words.with_filled([words.statement_row(head)], pages.reads.filled([statement_id]))[0]
    told = pages.reads.explain(statement_id)
    trace = pages.reads.trace(statement_id)
    accounts = words.class_of(pages.reads.accounts())
    divided, shares = _shares(head, told, accounts)
    may = {"request": who.may(Task.REQUEST), "operate": who.may(Task.OPERATE), "export": who.may(Task.EXPORT)}
    return pages.show(
        request,
        "block.html",
        status=status,
        said=said,
        head={**found, "acts": _acts(found, head["orders"]), "seen": words.seen(head)},
        divided=divided,
        shares=shares[:LINES_MAX],
        shares_more=max(len(shares) - LINES_MAX, 0),
        recomputed=told.get("recomputed") if divided else None,
        ties=told.get("ties") if divided else None,
        standing=_standing(pages, head, who.may(Task.SEND_AGAIN)),
        open=_open(pages, statement_id, trace["timeline"]),
        steps=words.steps(trace["timeline"], pages.renderer.zone),
        truncated=trace["truncated"],
        may=may,
    )


def _acts(head: Row, orders: Any) -> list[dict[str, Any]]:
    """What a person may do to the statement as it stands."""
    if not head["active"]:
        return []
    if not any(row["verdict"] == "forwarded" for row in orders):
        return [{"action": "cancel", "text": "Cancel the statement", "stop": True}]
    close = {"action": "close", "text": "Close and allocate", "stop": False}
    return [close, {"action": "book", "text": "Book what is filled", "stop": False}]


def _shares(head: Row, told: Row, accounts: Any) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The newest division and a row for each account; before it, the lines as registered."""

    def known(account: str) -> dict[str, str]:
        row = accounts.get(account, {})
        return {"class": str(row.get("class", row.get("class_", ""))), "fee": str(row.get("fee", ""))}

    division = told.get("division")
    if not division:
        rows = [{"account": x["account"], "intent": x["quantity"], **known(x["account"])} for x in head["lines"]]
        return None, rows
    rows = []
    for line in division["lines"]:
        total = plain_text(exact_sum((Decimal(line["before"]), Decimal(line["quantity"]))))
        rows.append({**line, **known(line["account"]), "quantity": total, "why": line.get("why", line["rule"])})
    summed = plain_text(exact_sum(Decimal(row["quantity"]) for row in rows))
    notes, rounded = str(division["notes"]).splitlines(), _rounded(division)
    return {**division, "sum": summed, "notes": notes, "rounded": rounded}, rows


def _rounded(division: Row) -> bool:
    """Whether the price written is not the exact average."""
    try:
        return bool(division["average"]) and Fraction(division["average"]) != Fraction(division["avg_px"])
    except ValueError:
        return False


def _standing(pages: Pages, head: Row, may_send_again: bool) -> list[dict[str, Any]]:
    """The allocations in force, with what was confirmed and affirmed of each account."""
    found = []
    for row in head["allocations"]:
        if not words.stands(row):
            continue
        full = pages.reads.allocation(row["alloc_id"])
        confirmed = {x["account"]: f"confirmed, {x['verdict']}" for x in full["confirmations"]}
        affirmed = {x["account"]: "affirmed" for x in full["affirmations"] if str(x["affirm_status"]) == "3"}
        lines = [
            {**line, "confirmed": (confirmed | affirmed).get(line["account"], "")} for line in full["lines"][:LINES_MAX]
        ]
        again = may_send_again and row["status"] in _NOT_TAKEN
        tone = words.allocation_tone(row["status"])
        found.append(
            {**full, "lines": lines, "tone": tone, "may_send_again": again, "more": len(full["lines"]) - len(lines)}
        )
    return found


def _open(pages: Pages, statement_id: str, timeline: Any) -> list[dict[str, Any]]:
    """What about this block waits for a person."""
    requests = pages.reads.exceptions(state="open", statement_id=statement_id, limit=20)
    subjects = sorted({row["subject"] for row in timeline if row["what"] == "exception"})[:20]
    opened = [row for name in subjects for row in pages.reads.opened(state="unresolved", subject=name, limit=20)]
    return words.todo(requests, opened, (), lambda _: None, pages.desk.now_ns())
