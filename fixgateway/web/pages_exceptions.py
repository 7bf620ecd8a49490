"""Exceptions: the queue, the request form with before and after, and the page a decision is made on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from fixgateway.core.desk_inputs import AttendException, DecideException, RequestException
from fixgateway.core.model import exact_sum, plain_text
from fixgateway.core.people import Role, Task
from fixgateway.core.reasons import CATALOGUE
from fixgateway.errors import FixgatewayError
from fixgateway.web import pages_words as words
from fixgateway.web.identity import Identity
from fixgateway.web.pages import Form, Pages, Posted, Said, allow
from fixgateway.web.pages_today import due_ns
from fixgateway.web.port import Row

LISTED = 100
_BLANK_LINES = 2
_LINES_MAX = 1_000
"""Accounts a form takes."""
_KINDS = (
    ("deviation", "deviation: other quantities for accounts of the statement"),
    ("re-designation", "re-designation: to another account"),
    ("statement-change", "statement change: other intents, before completion"),
)
_DECISIONS = ("approve", "reject", "withdraw")
_ATTENTIONS = ("acknowledge", "note", "resolve")
_FAVOURED = ("proprietary", "employee")


def add(router: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @router.get("/exceptions")
    def queue(request: Request) -> Response:
        """What waits, and what was decided."""
        who = allow(request, Task.READ)
        return pages.show(request, "exceptions.html", **_queue(pages), may={"request": who.may(Task.REQUEST)})

    @router.get("/exceptions/new")
    def blank(request: Request, statement: str = "") -> Response:
        """The form for a request, for one block."""
        allow(request, Task.READ)
        return _form_page(pages, request, statement.strip()[:256])

    @router.post("/exceptions/new")
    def entered(request: Request, form: Posted) -> Response:
        """Preview a request, or file it."""
        if form["action"] != "request":
            allow(request, Task.READ)
            return _form_page(pages, request, form.line("statement", 256), form)
        return _file(pages, request, form)

    @router.get("/exceptions/{exception_id}")
    def one(request: Request, exception_id: str) -> Response:
        """One exception."""
        return _page(pages, request, exception_id)

    @router.post("/exceptions/{exception_id}")
    def act(request: Request, exception_id: str, form: Posted) -> Response:
        """Decide it, or attend to it."""
        return _act(pages, request, exception_id, form)


# ---------------------------------------------------------------- the queue


def _queue(pages: Pages) -> dict[str, Any]:
    now_ns = pages.desk.now_ns()
    asked = [_request_row(pages, row) for row in pages.reads.exceptions(limit=LISTED)]
    waiting = [_request_row(pages, row) for row in pages.reads.exceptions(state="open", limit=LISTED)]
    waiting.sort(key=lambda row: row["due_ns"] or 0)
    opened = [
        {**row, "age": words.age(row, now_ns), "tone": words.opened_tone(row["state"])}
        for row in pages.reads.opened(state="unresolved", limit=LISTED + 1)
    ]
    return {
        "waiting": waiting,
        "opened": opened[:LISTED],
        "opened_more": len(opened) > LISTED,
        "decided": [row for row in asked if row["state"] != "open"],
    }


def _request_row(pages: Pages, row: Row) -> dict[str, Any]:
    now_ns, due = pages.desk.now_ns(), due_ns(pages, row)
    return {
        **row,
        "age": words.age(row, now_ns),
        "tone": words.request_tone(row["state"]),
        "due_ns": due,
        "overdue": row["state"] == "open" and (bool(row["overdue_ns"]) or (due is not None and due < now_ns)),
        "waiting": row["state"] == "open",
    }


# ---------------------------------------------------------------- a request


def _file(pages: Pages, request: Request, form: Form) -> Response:
    """File a request; the form again when it is refused."""
    who = allow(request, Task.REQUEST)
    name, kind = form.line("statement", 256), form.line("kind", 32)
    code, text = form.line("code", 64), form.text("text")
    if form["seen"] != words.seen(pages.reads.statement(name)):
        said = Said(words.WARN, "The block changed while you wrote.", "Look at the quantities again, then request.")
        return _form_page(pages, request, name, form, HTTPStatus.CONFLICT, said)
    lines = tuple(_wanted(form))
    outcome = pages.gateway.act(
        lambda seq, ts_ns: RequestException(seq, ts_ns, who.person_id, kind, name, code, text, lines)
    )
    if outcome.done:
        return pages.done(f"/exceptions/{quote(outcome.subject, safe='')}", "requested")
    said = Said(words.BAD, "Not requested.", f"{outcome.reason} {outcome.text}".strip())
    return _form_page(pages, request, name, form, HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _wanted(form: Form) -> list[tuple[str, str]]:
    """Account and quantity as written, without thousands separators; empty rows left out."""
    pairs = zip(form.all("account"), form.all("quantity"), strict=False)
    return [(account, quantity.replace(",", "")) for account, quantity in pairs if account and quantity]


def _form_page(
    pages: Pages,
    request: Request,
    name: str,
    form: Form | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    said: Said | None = None,
) -> Response:
    who = allow(request, Task.READ)
    may = {"request": who.may(Task.REQUEST)}
    if not name:
        rows = pages.reads.statements(limit=50)
        blocks = [words.statement_row(row) for row in rows]
        return pages.show(request, "request.html", statement=None, asked=name, blocks=blocks, may=may)
    head = pages.reads.statement(name)
    if len(head["lines"]) > _LINES_MAX:
        detail = f"{name} has more than {_LINES_MAX} accounts; ask with a file: fixgateway exception request"
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    accounts = words.class_of(pages.reads.accounts())
    lines = _form_lines(head, accounts, form)
    change, problem = _foreseen(pages, who, name, form, lines)
    codes = pages.desk.codes()
    listed = codes["codes"]
    unexplained = pages.desk.explanation(form["text"]) if form and form["text"] else ""
    shown = words.with_filled([words.statement_row(head)], pages.reads.filled([name]))[0]
    return pages.show(
        request, "request.html", status=status, said=said, form=form,
        wrong={"text": unexplained} if unexplained else None, statement={**shown, "seen": words.seen(head)},
        asked=name, blocks=(), lines=lines, kinds=_KINDS, accounts=list(accounts.values()), may=may, change=change,
        change_problem=problem, codes=listed, codes_version=codes["version"], min_text=codes["min_text"],
        code_choices=[("", "choose a code"), *((x["code"], f"{x['code']} ({', '.join(x['kinds'])})") for x in listed)],
    )  # fmt: skip


def _form_lines(head: Row, accounts: Mapping[str, Row], form: Form | None) -> list[dict[str, Any]]:
    """The accounts of the statement with what they have now, then rows for others."""
    now = {line["account"]: line["quantity"] for line in head["lines"]}
    if head["divisions"]:
        latest = head["divisions"][-1]["lines"]
        now = {x["account"]: plain_text(exact_sum((Decimal(x["before"]), Decimal(x["quantity"])))) for x in latest}
    intents = {line["account"]: line["quantity"] for line in head["lines"]}
    written = dict(zip(form.all("account"), form.all("quantity"), strict=False)) if form else {}
    names = [*intents, *[account for account in now if account not in intents]]
    rows = [
        {
            "account": account,
            "fixed": True,
            "class": str(accounts.get(account, {}).get("class_", accounts.get(account, {}).get("class", ""))),
            "intent": intents.get(account, ""),
            "now": now.get(account, "0"),
            "quantity": written.get(account, now.get(account, "0")),
        }
        for account in names
    ]
    others = [(account, quantity) for account, quantity in written.items() if account and account not in names]
    blank = [("", "")] * _BLANK_LINES
    return rows + [{"account": a, "fixed": False, "quantity": q} for a, q in [*others, *blank]]


def _foreseen(
    pages: Pages, who: Identity, name: str, form: Form | None, lines: Sequence[Row]
) -> tuple[dict[str, Any] | None, str]:
    """Before, after and who gains, before it is filed."""
    if form is None:
        return None, ""
    wanted = _wanted(form)
    try:
        found = pages.desk.foresee(who.person_id, form["kind"], name, form["code"], wanted)
    except FixgatewayError as error:
        return None, str(error)
    if not found.get("lines"):
        return None, str(found.get("problem", ""))
    return change_of(found), str(found.get("problem", ""))


# ---------------------------------------------------------------- before and after


def change_of(row: Row) -> dict[str, Any]:
    """A request's lines for the table of before and after, and in words who gains."""
    lines = []
    for line in row["lines"]:
        change = plain_text(Decimal(line["after"]) - Decimal(line["before"]))
        benefit = line["benefit"]
        class_ = line.get("class_", line.get("class", ""))
        lines.append(
            {**line, "class_": class_, "change": change, "tone": _tone(change), "benefit_tone": _tone(benefit)}
        )
    sums = {name: _sum(lines, name) for name in ("intent", "before", "after", "change")}
    benefits = [line["benefit"] for line in lines if line["benefit"] is not None]
    sums["benefit"] = _sum(lines, "benefit") if benefits else ""
    who, tone = _who_gains(lines)
    rest = {name: row.get(name, "") for name in ("mark", "mark_source", "mark_ns", "avg_px")}
    return {"lines": lines, **sums, **rest, "who": who, "who_tone": tone}


def _sum(lines: Sequence[Row], name: str) -> str:
    return plain_text(exact_sum(Decimal(line[name]) for line in lines if line[name] is not None))


def _tone(value: object) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return ""
    return "gain" if number > 0 else "loss" if number < 0 else ""


def _who_gains(lines: Sequence[Row]) -> tuple[str, str]:
    """In words: who gains and who loses; red when a firm's or an employee's account gains."""
    by = [(line["account"], line["class_"], Decimal(line["benefit"] if line["benefit"] is not None else line["change"]))
          for line in lines]  # fmt: skip
    gains = [(account, class_) for account, class_, value in by if value > 0]
    losses = [account for account, _, value in by if value < 0]
    if not gains and not losses:
        return "", ""
    unit = "money" if any(line["benefit"] is not None for line in lines) else "quantity"
    gain = ", ".join(f"{account} ({class_ or 'unknown class'})" for account, class_ in gains) or "nobody"
    text = f"Gains in {unit}: {gain}. Gives up: {', '.join(losses) or 'nobody'}."
    favoured = any(class_ in _FAVOURED for _, class_ in gains)
    return text, words.BAD if favoured else ""


# ---------------------------------------------------------------- one exception


def _seen(row: Row) -> str:
    """What somebody who acts on an exception must have seen."""
    return f"{row['state']}:{len(row.get('attentions', ()))}"


def _page(
    pages: Pages, request: Request, exception_id: str, status: HTTPStatus = HTTPStatus.OK, said: Said | None = None,
    form: Form | None = None,
) -> Response:  # fmt: skip
    who = allow(request, Task.READ)
    row = pages.reads.exception(exception_id)
    if "kind" not in row:
        return _opened_page(pages, request, row, who, status, said, form)
    head = _request_row(pages, row)
    made = [alloc_id for decision in row["decisions"] for alloc_id in decision["alloc_ids"]]
    codes = {item["code"]: item for item in pages.desk.codes()["codes"]}
    deciders = [x.name or x.person_id for x in pages.gateway.people().values()
                if x.active and row["role"] in x.roles and x.person_id != row["requested_by"]]  # fmt: skip
    task = Task.APPROVE_DESIGNATION if row["role"] == Role.PRINCIPAL else Task.APPROVE
    own = who.person_id == row["requested_by"]
    return pages.show(
        request, "request_page.html", status=status, said=said, form=form,
        head={**head, "made": made, "seen": _seen(row), "alloc_ids": row["alloc_ids"]},
        change=change_of(row), criterion=codes.get(row["code"], {}).get("criterion", ""),
        changed=_changed(pages, row), deciders=deciders, story=_story(row),
        may={"decide": who.known and not own and who.may(task), "withdraw": who.known and own},
    )  # fmt: skip


def _changed(pages: Pages, row: Row) -> bool:
    """Whether the block was divided anew since the request."""
    if row["state"] != "open":
        return False
    head = pages.reads.statement(row["statement_id"])
    return any(division["journal_seq"] > row["journal_seq"] for division in head["divisions"])


def _story(row: Row) -> list[dict[str, Any]]:
    """Requested, overdue, decided."""
    by = f"by {row['requested_by']}: {row['code']}"
    story = [{"title": "Requested", "text": by, "ts_ns": row["ts_ns"], "journal_seq": row["journal_seq"]}]
    for late in row["overdues"]:
        text = f"was due {late['due_date']} {late['due_time']}"
        story.append({"title": "Overdue", "text": text, "ts_ns": late["ts_ns"], "journal_seq": late["journal_seq"]})
    for done in row["decisions"]:
        text = f"by {done['actor'] or 'the gateway'}{' (late)' if done['late'] else ''}. {done['text']}"
        title = str(done["decision"]).capitalize()
        story.append({"title": title, "text": text, "ts_ns": done["ts_ns"], "journal_seq": done["journal_seq"]})
    return story


def _opened_page(
    pages: Pages, request: Request, row: Row, who: Identity, status: HTTPStatus, said: Said | None, form: Form | None
) -> Response:
    story = [
        {"title": f"{done['action'].capitalize()} by {done['actor']}:", "text": done["text"], "ts_ns": done["ts_ns"],
         "journal_seq": done["journal_seq"]}
        for done in row["attentions"]
    ]  # fmt: skip
    head = {
        **row,
        "age": words.age(row, pages.desk.now_ns()),
        "tone": words.opened_tone(row["state"]),
        "seen": _seen(row),
    }
    why_not = (
        "Attending needs a recorded person." if who.set_up else "Attending is for operations, compliance, principals."
    )
    return pages.show(request, "opened_page.html", status=status, said=said, form=form, head=head, story=story,
                      meaning=_meaning(row["reason"]), why_not=why_not,
                      may={"attend": who.may(Task.ATTEND)})  # fmt: skip


def _meaning(code: str) -> str:
    """A reason of the catalogue in words, and what to do about it."""
    found = CATALOGUE.get(code)
    return f"{found.meaning.rstrip('.')}. {found.remedy}" if found else ""


def _act(pages: Pages, request: Request, exception_id: str, form: Form) -> Response:
    """Decide or attend; the page as it is now when that is refused."""
    who = allow(request, Task.READ)
    if not who.known:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this needs a recorded person, and nobody is recorded yet")
    action, text, name = form["action"], form.text("text"), exception_id
    row = pages.reads.exception(name)
    if action not in (_DECISIONS if "kind" in row else _ATTENTIONS):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "the form names no action")
    if form["seen"] != _seen(row):
        said = Said(words.WARN, "Not done: it changed while you looked at it.", "This is how it stands now.")
        return _page(pages, request, name, HTTPStatus.CONFLICT, said, form)
    if "kind" in row:
        outcome = pages.gateway.act(lambda seq, ts: DecideException(seq, ts, who.person_id, name, action, text))
    else:
        outcome = pages.gateway.act(lambda seq, ts: AttendException(seq, ts, who.person_id, name, action, text))
    if outcome.done:
        return pages.done(f"/exceptions/{quote(name, safe='')}", "decided" if "kind" in row else "attended")
    said = Said(words.BAD, "Not done.", f"{outcome.reason} {outcome.text}".strip())
    return _page(pages, request, name, HTTPStatus.CONFLICT, said, form)
