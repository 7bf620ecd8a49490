"""``fixgateway statement add|list|show|preview|cancel|close|book|pass``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fixgateway.cli.client import Client, actor_option, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table
from fixgateway.cli.preview import preview

if TYPE_CHECKING:
    from fixgateway.config.statements import Source

_LIST = ("statement_id", "state", "trade_date", "oms", "side", "symbol", "total")
_SHOWN = {
    "lines": ("account", "quantity", "min_quantity"),
    "orders": ("cl_ord_id", "verdict", "status", "quantity", "cum_qty", "avg_px", "broker"),
    "allocations": ("alloc_id", "broker", "quantity", "avg_px", "status"),
}
_SHOWN_IF = {"lines": ("turn", "cap")}
"""Shown where a line has one."""
_NUMBERS = ("turn", "cap", "total", "quantity", "min_quantity", "cum_qty", "avg_px", "line")


@click.group()
def statement() -> None:
    """Register, list, show, preview, cancel, close and book allocation statements."""


statement.add_command(preview)


@statement.command()
@click.argument("file")
@click.option("--trade-date", default=None, metavar="DATE", help="YYYY-MM-DD or today, instead of the file's.")
@gateway_options
@actor_option
@json_option
def add(file: str, trade_date: str | None, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
    """Register the statement FILE (.json or .csv) with the running gateway.

    Prints the seed's commitment; exits 1 when the statement is refused, with every problem.
    """
    from fixgateway.config import statements

    source = statements.read(file)
    body = statements.to_object(source)
    if trade_date:
        body["trade_date"] = _today(config) if trade_date == "today" else trade_date
    answer = Client(url, config).submit(body, actor)
    problems = [_in_file(source, problem) for problem in answer.get("problems", [])]
    registered = bool(answer["registered"])
    if as_json:
        keys = ("registered", "already", "statement_id", "seed_commitment", "seq")
        print_json({key: answer[key] for key in keys if key in answer} | {"problems": problems})
    elif registered:
        done = "already registered" if answer.get("already") else "registered"
        click.echo(f"{done} {answer['statement_id']} (journal record {answer['seq']})")
        click.echo(f"seed commitment {answer['seed_commitment']}")
    else:
        for problem in problems:
            where = f"line {problem['row']}, " if problem["row"] else ""
            field = f"{problem['field']}: " if problem["field"] else ""
            click.echo(f"error: {file}: {where}{field}{problem['reason']} {problem['text']}", err=True)
    return 0 if registered else 1


def _in_file(source: Source, problem: dict[str, Any]) -> dict[str, Any]:
    """A problem with its row as it stands in the file: what was sent counts the lines from 1."""
    row = int(problem.get("row", 0))
    in_file = source.draft.lines[row - 1].row if 0 < row <= len(source.draft.lines) else 0
    return {**problem, "row": in_file}


def _today(config: str | None) -> str:
    """Today in the policy's time zone; New York's without a configuration."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from fixgateway.config import policy, settings

    zone = policy.load(settings.load(config).policy_file).timezone if config else "America/New_York"
    return datetime.now(ZoneInfo(zone)).date().isoformat()


@statement.command("list")
@gateway_options
@json_option
def list_(url: str | None, config: str | None, as_json: bool) -> int:
    """List the statements, newest first."""
    rows = Client(url, config).get("/api/statements")
    if as_json:
        print_json(rows)
    else:
        print_table(_LIST, rows, numbers=_NUMBERS)
    return 0


@statement.command()
@click.argument("statement_id")
@gateway_options
@json_option
def show(statement_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Show a statement with its lines, orders and allocations."""
    row = Client(url, config).get(f"/api/statements/{quote(statement_id)}")
    if as_json:
        print_json(row)
        return 0
    print_fields(row)
    for part, columns in _SHOWN.items():
        if row.get(part):
            more = [name for name in _SHOWN_IF.get(part, ()) if any(line.get(name) for line in row[part])]
            print_table((*columns, *more), row[part], title=part, numbers=_NUMBERS)
    return 0


@statement.command()
@click.argument("statement_id")
@click.option("--reason", default="", help="Why.")
@gateway_options
@actor_option
@json_option
def cancel(statement_id: str, reason: str, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
    """Cancel a statement that has no orders."""
    return _end("cancel", "cancelled", statement_id, reason, Client(url, config), actor, as_json)


@statement.command()
@click.argument("statement_id")
@click.option("--reason", default="", help="Why.")
@gateway_options
@actor_option
@json_option
def close(statement_id: str, reason: str, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
    """Close a statement: no further orders; what is filled is allocated."""
    return _end("close", "closed", statement_id, reason, Client(url, config), actor, as_json)


@statement.command()
@click.argument("statement_id")
@click.option("--reason", required=True, help="Why.")
@gateway_options
@actor_option
@json_option
def book(statement_id: str, reason: str, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
    """Book what is filled so far (interim booking); the statement stays open."""
    return _end("book", "booked", statement_id, reason, Client(url, config), actor, as_json)


@statement.command("pass")
@click.argument("statement_id")
@click.argument("account")
@click.option("--reason", required=True, help="Why.")
@gateway_options
@actor_option
@json_option
def pass_(
    statement_id: str, account: str, reason: str, url: str | None, config: str | None, actor: str, as_json: bool
) -> int:
    """Pass over ACCOUNT's turn in a release rotation: the next one's orders may leave; it keeps its place."""
    body = {"actor": actor, "reason": reason, "account": account}
    answer = Client(url, config).post(f"/api/statements/{quote(statement_id)}/pass", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['text']} (journal record {answer['seq']})")
    return 0


def _end(action: str, done: str, statement_id: str, reason: str, client: Client, actor: str, as_json: bool) -> int:
    body = {"actor": actor, "reason": reason}
    answer = client.post(f"/api/statements/{quote(statement_id)}/{action}", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{done} {statement_id}")
    return 0
