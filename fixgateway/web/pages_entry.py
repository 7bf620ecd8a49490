"""Statement entry with live preview: what a fill would give, by the engine's own arithmetic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from fixgateway.config import statements
from fixgateway.config.preview import preview
from fixgateway.core.model import plain_decimal, plain_text
from fixgateway.core.outputs import Problem
from fixgateway.core.people import Task
from fixgateway.errors import FixgatewayError, UsageError
from fixgateway.web import pages_words as words
from fixgateway.web.pages import Form, Pages, Posted, Said, allow

_BLANK_LINES = 5
_MORE_LINES = 10
_LINES_MAX = 500
"""Lines of a form; a larger statement comes as a file."""
_HEAD = ("statement_id", "trade_date", "symbol", "side", "total", "recommended_by", "placed_by", "discretionary",
         "rationale")  # fmt: skip
_FIELDS = (*_HEAD, "filled", "price", "actor")
_SIDES = (("buy", "buy"), ("sell", "sell"), ("sell short", "sell short"))
_YES_NO = (("", "–"), ("yes", "yes"), ("no", "no"))

Lines = list[dict[str, str]]


def add(router: APIRouter, pages: Pages) -> None:
    """Add the routes."""

    @router.get("/new-statement")
    def blank(request: Request) -> Response:
        """An empty form."""
        allow(request, Task.REGISTER)
        start = {"trade_date": pages.desk.trade_date().isoformat()}
        return _show(pages, request, start, _padded([]))

    @router.post("/new-statement")
    def entered(request: Request, form: Posted) -> Response:
        """Preview it, or register it."""
        who = allow(request, Task.REGISTER)
        lines = _lines(form)
        if form["action"] == "more":
            return _show(pages, request, form, [*lines, *[_blank() for _ in range(_MORE_LINES)]])
        if form["action"] != "register":
            return _show(pages, request, form, _padded(lines))
        if len(lines) > _LINES_MAX:
            said = Said(words.BAD, "Too many lines.", f"A form takes {_LINES_MAX}; register a file instead.")
            return _show(pages, request, form, lines[:_LINES_MAX], HTTPStatus.UNPROCESSABLE_ENTITY, said)
        try:
            source = _source(form, lines)
        except FixgatewayError as error:
            said = Said(words.BAD, "Not registered.", _words(error))
            return _show(pages, request, form, _padded(lines), HTTPStatus.UNPROCESSABLE_ENTITY, said)
        outcome = pages.gateway.submit_statement(source.for_submission(), "http", who.actor(form.line("actor", 64)))
        if outcome.registered:
            return pages.done(f"/blocks/{quote(outcome.statement_id, safe='')}", "registered")
        return _refused(pages, request, form, lines, outcome.problems)


def _refused(pages: Pages, request: Request, form: Form, lines: Lines, problems: Sequence[Problem]) -> Response:
    """The form again, with what is wrong beside each field."""
    wrong, rest = dict[str, str](), list[str]()
    for item in problems:
        text = f"{item.reason} {item.text}"
        if item.row and item.row <= len(lines):
            lines[item.row - 1]["wrong"] = text
        elif item.field in _FIELDS:
            wrong[item.field] = text
        rest.append(f"{f'line {item.row}: ' if item.row else ''}{text}")
    said = Said(words.BAD, "Not registered.", "Nothing was kept but this refusal.", rest[:50])
    return _show(pages, request, form, _padded(lines), HTTPStatus.UNPROCESSABLE_ENTITY, said, wrong)


def _show(
    pages: Pages,
    request: Request,
    form: Form | dict[str, str],
    lines: Lines,
    status: HTTPStatus = HTTPStatus.OK,
    said: Said | None = None,
    wrong: dict[str, str] | None = None,
) -> Response:
    split, problem = _split(pages, form, lines) if isinstance(form, Form) else (None, "")
    return pages.show(
        request, "entry.html", status=status, said=said, form=form, wrong=wrong, lines=lines, split=split,
        split_problem=problem, accounts=pages.reads.accounts(), sides=_SIDES, yes_no=_YES_NO,
        require_memo=pages.desk.setup().policy.require_memo,
    )  # fmt: skip


# ---------------------------------------------------------------- the form as a statement


def _blank() -> dict[str, str]:
    return {"account": "", "quantity": "", "wrong": ""}


def _padded(lines: Lines) -> Lines:
    """At least some lines to fill in."""
    return [*lines, *[_blank() for _ in range(max(_BLANK_LINES - len(lines), 1))]]


def _lines(form: Form) -> Lines:
    """The lines that say something."""
    pairs = zip(form.all("account"), form.all("quantity"), strict=False)
    return [
        {"account": account, "quantity": quantity, "wrong": ""} for account, quantity in pairs if account or quantity
    ]


def _source(form: Form, lines: Lines) -> statements.Source:
    """The statement, as a file would say it.

    Raises:
        StatementFileError: its form is wrong.
    """
    head = {name: form[name] for name in _HEAD if form[name]}
    rows = [{"account": line["account"], "quantity": line["quantity"].replace(",", "")} for line in lines]
    if "total" in head:
        head["total"] = head["total"].replace(",", "")
    document = {**head, "lines": rows}
    return statements.parse(json.dumps(document).encode("utf-8", "surrogatepass"), ".json", "form")


def _words(error: FixgatewayError) -> str:
    return str(error).removeprefix("form: ")


def _split(pages: Pages, form: Form, lines: Lines) -> tuple[dict[str, Any] | None, str]:
    """What a fill would give, or why it cannot be said."""
    if not lines:
        return None, ""
    lines = [line for line in lines if line["account"] or line["quantity"]]
    if not lines:
        return None, ""
    price = form["price"].replace(",", "")
    try:
        filled = form["filled"].replace(",", "") or _total(lines)
        source = _source(form, lines[:_LINES_MAX])
        return preview(source, filled, price, setup=pages.desk.setup()).document(), ""
    except FixgatewayError as error:
        return None, _words(error)


def _total(lines: Lines) -> str:
    """All of it, when no fill is named."""
    total = plain_decimal("0")
    for line in lines:
        quantity = plain_decimal(line["quantity"].replace(",", ""))
        if quantity is None or total is None:
            raise UsageError(f"quantity: {line['quantity'][:40]!r} is not a number (write for example 25000)")
        total += quantity
    return plain_text(total) if total is not None else "0"
