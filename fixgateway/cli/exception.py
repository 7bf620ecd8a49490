"""``fixgateway exception list|show|codes|preview|request|approve|reject|withdraw|attend``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table
from fixgateway.errors import UsageError

_LIST = ("exception_id", "time", "kind", "statement_id", "code", "state", "requested_by", "due_date", "due_time")
_OPENED = ("exception_id", "time", "reason", "subject", "state", "text")
_LINES = ("account", "class_", "intent", "before", "after", "benefit")
_STATES = (
    "open", "approved", "rejected", "withdrawn", "expired", "void", "noted", "acknowledged", "resolved", "unresolved",
)  # fmt: skip
_KINDS = click.Choice(("deviation", "re-designation", "statement-change"))
_PARTS: Mapping[str, tuple[str, ...]] = {
    "lines": _LINES,
    "decisions": ("time", "decision", "actor", "late", "text"),
    "attentions": ("time", "action", "actor", "text"),
}


@click.group()
def exception() -> None:
    """Ask for exceptions, decide them, attend to those the gateway opened."""


@exception.command("list")
@click.option("--state", default=None, type=click.Choice(_STATES), help="Only these.")
@click.option("--opened", is_flag=True, help="Those the gateway opened itself, not those people asked for.")
@click.option("--limit", default=100, type=click.IntRange(1, 1000), show_default=True, help="Most rows.")
@gateway_options
@json_option
def list_(state: str | None, opened: bool, limit: int, url: str | None, config: str | None, as_json: bool) -> int:
    """List exceptions, newest first."""
    wanted = {"limit": str(limit), **({"state": state} if state else {})}
    path = "/api/exceptions/opened" if opened else "/api/exceptions"
    found = Client(url, config).get(f"{path}?{urlencode(wanted)}")
    if as_json:
        print_json(found["rows"])
    elif not found["rows"]:
        click.echo("no exceptions")
    else:
        print_table(_OPENED if opened else _LIST, found["rows"])
    return 0


@exception.command()
@click.argument("exception_id")
@gateway_options
@json_option
def show(exception_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Show an exception: accounts before and after, who gains, what was decided."""
    row = Client(url, config).get(f"/api/exceptions/{quote(exception_id)}")
    if as_json:
        print_json(row)
        return 0
    print_fields(row)
    for part, columns in _PARTS.items():
        if row.get(part):
            print_table(columns, row[part], title=part, numbers=_LINES[2:])
    return 0


@exception.command()
@click.argument("statement_id")
@click.option("--kind", default="deviation", type=_KINDS, show_default=True, help="What is asked for.")
@click.option("--code", required=True, help="A code of the pre-approved list.")
@click.option("--text", required=True, help="Why, in words of your own.")
@click.option("--line", "lines", multiple=True, metavar="ACCOUNT=QUANTITY", help="What an account gets; repeat it.")
@click.option("--lines", "file", default=None, metavar="FILE", help='JSON: [{"account": …, "quantity": …}, …].')
@gateway_options
@json_option
def request(
    statement_id: str, kind: str, code: str, text: str, lines: tuple[str, ...], file: str | None, url: str | None,
    config: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Ask for an exception to STATEMENT_ID: accounts that are not named receive nothing.

    Compliance (for a re-designation a principal) is told at once, and somebody else than you decides.
    """
    body = {"kind": kind, "statement_id": statement_id, "code": code, "text": text, "lines": _lines(lines, file)}
    answer = Client(url, config).post("/api/exceptions", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"requested {answer['subject']} (journal record {answer['seq']})")
    return 0


@exception.command()
@click.argument("statement_id")
@click.option("--kind", default="deviation", type=_KINDS, show_default=True, help="What would be asked for.")
@click.option("--line", "lines", multiple=True, metavar="ACCOUNT=QUANTITY", help="What an account gets; repeat it.")
@click.option("--lines", "file", default=None, metavar="FILE", help='JSON: [{"account": …, "quantity": …}, …].')
@gateway_options
@json_option
def preview(
    statement_id: str, kind: str, lines: tuple[str, ...], file: str | None, url: str | None, config: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """What an exception to STATEMENT_ID would change, and who gains; nothing is asked for."""
    body = {"kind": kind, "statement_id": statement_id, "lines": _lines(lines, file)}
    found = Client(url, config).post("/api/exceptions/preview", body)
    if as_json:
        print_json(found)
        return 0
    print_table(_LINES, found["lines"], numbers=_LINES[2:])
    mark = f"at {found['mark']} ({found['mark_source']})" if found["mark"] else "no mark: nobody's gain can be said"
    click.echo(f"average price {found['avg_px']}, {mark}")
    return 0


@exception.command()
@gateway_options
@json_option
def codes(url: str | None, config: str | None, as_json: bool) -> int:
    """List the pre-approved codes, each with its criterion."""
    found = Client(url, config).get("/api/codes")
    if as_json:
        print_json(found)
        return 0
    print_table(("code", "kinds", "criterion", "condition"), found["codes"], title=f"list {found['version']}")
    click.echo(f"an explanation has at least {found['min_text']} characters")
    return 0


def _lines(lines: tuple[str, ...], file: str | None) -> list[dict[str, str]]:
    """The lines from the options or the file.

    Raises:
        UsageError: neither or both are given, or one cannot be read.
    """
    if bool(lines) == bool(file):
        raise UsageError("give --line ACCOUNT=QUANTITY for every account, or --lines FILE")
    if file:
        try:
            found = json.loads(Path(file).read_text("utf-8"))
            return [{"account": str(item["account"]), "quantity": str(item["quantity"])} for item in found]
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from None
        except (ValueError, TypeError, KeyError):
            raise UsageError(f'{file}: is no JSON list of {{"account": …, "quantity": …}}') from None
    parts = [line.rpartition("=") for line in lines]
    for line, (account, _, quantity) in zip(lines, parts, strict=True):
        if not account or not quantity:
            raise UsageError(f"--line {line}: write ACCOUNT=QUANTITY")
    return [{"account": account, "quantity": quantity} for account, _, quantity in parts]


def _add_decision(action: str, done: str, words: str) -> None:
    """``approve``, ``reject`` or ``withdraw``."""

    @exception.command(action, help=words)
    @click.argument("exception_id")
    @click.option("--text", default="", help="Why.")
    @gateway_options
    @json_option
    def command(exception_id: str, text: str, url: str | None, config: str | None, as_json: bool) -> int:
        answer = Client(url, config).post(f"/api/exceptions/{quote(exception_id)}/{action}", {"text": text})
        return _said(answer, f"{done} {exception_id}", as_json)


_add_decision("approve", "approved", "Approve an exception somebody else asked for; the brokers are told.")
_add_decision("reject", "rejected", "Reject an exception somebody else asked for; nothing changes.")
_add_decision("withdraw", "withdrew", "Take back an exception you asked for; nothing changes.")


@exception.command()
@click.argument("exception_id")
@click.argument("action", type=click.Choice(("acknowledge", "note", "resolve")))
@click.option("--text", default="", help="What you found or did.")
@gateway_options
@json_option
def attend(exception_id: str, action: str, text: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Acknowledge an exception the gateway opened, write a note to it, or resolve it."""
    answer = Client(url, config).post(f"/api/exceptions/{quote(exception_id)}/attend/{action}", {"text": text})
    return _said(answer, f"{action} {exception_id}: done", as_json)


def _said(answer: dict[str, Any], words: str, as_json: bool) -> int:
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{words} (journal record {answer['seq']})")
    return 0
