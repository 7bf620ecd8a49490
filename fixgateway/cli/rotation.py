"""``fixgateway rotation``, ``fixgateway fairness``, ``fixgateway holding set``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import click

from fixgateway.cli.client import Client, actor_option, gateway_options
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table
from fixgateway.errors import UsageError

_QUEUE = ("policy_id", "position", "account")
_TURNS = (
    "time", "policy_id", "statement_id", "turn", "account", "outcome", "quantity", "queue_position", "actor", "reason",
)  # fmt: skip
_FAIRNESS = ("account", "symbol", "blocks", "above", "below", "deviation", "mean", "largest", "lots")
_SHOWN = 100
"""Turns shown to people, newest first."""
_EXPORTED = 10_000_000
"""Most turns of one export."""
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--policy", default=None, metavar="ID", help="Only this policy's rotation.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the turns as CSV, oldest first.")
@gateway_options
@json_option
def rotation(policy: str | None, as_csv: bool, url: str | None, config: str | None, as_json: bool) -> int:
    """Who comes next in each policy's rotation, and every turn there was.

    A turn is served (filled, or given a remainder), passed by a person, or unfilled: an order that filled nothing moves
    nobody.
    """
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other")
    turns = str(_SHOWN if not (as_csv or as_json) else _EXPORTED)
    found = Client(url, config).get("/api/rotation" + _query(policy=policy, turns=turns))
    if as_json:
        print_json(found)
    elif as_csv:
        _print_csv((*_TURNS, "journal_seq"), reversed(found["turns"]))
    elif not found["queue"]:
        click.echo("no rotation yet")
    else:
        print_table(_QUEUE, found["queue"], title="next turns", numbers=("position",))
        print_table(
            _TURNS,
            found["turns"],
            title=f"turns, newest first, at most {_SHOWN}",
            numbers=("turn", "quantity", "queue_position"),
        )
    return 0


@click.command()
@click.option("--account", default=None, help="Only this account.")
@click.option("--symbol", default=None, help="Only this symbol.")
@click.option("--from", "first", type=_DAY, metavar="DATE", help="Trade dates from YYYY-MM-DD.")
@click.option("--to", "last", type=_DAY, metavar="DATE", help="Trade dates to YYYY-MM-DD, included.")
@gateway_options
@json_option
def fairness(
    account: str | None, symbol: str | None, first: datetime | None, last: datetime | None, url: str | None,
    config: str | None, as_json: bool,
) -> int:  # fmt: skip
    """What accounts received minus their exact shares, summed over their blocks, in lots.

    No bound is promised: one below a lot holds only for a fixed set of accounts with fixed proportions.
    """
    query = _query(account=account, symbol=symbol, first=_day(first), last=_day(last))
    found = Client(url, config).get("/api/fairness" + query)
    if as_json:
        print_json(found)
        return 0
    if not found["rows"]:
        click.echo("no allocated statements")
        return 0
    print_table(_FAIRNESS, found["rows"], numbers=_FAIRNESS[2:])
    click.echo(f"{found['statements']} statements. {found['words']}")
    if found["truncated"]:
        click.echo("only the newest were looked at: name an account, a symbol or days")
    return 0


@click.group()
def holding() -> None:
    """Set what an account may sell."""


@holding.command("set")
@click.argument("account")
@click.argument("symbol")
@click.argument("quantity")
@click.option("--reason", required=True, help="Why.")
@gateway_options
@actor_option
@json_option
def set_(
    account: str, symbol: str, quantity: str, reason: str, url: str | None, config: str | None, actor: str,
    as_json: bool,
) -> int:  # fmt: skip
    """From now on ACCOUNT may sell QUANTITY of SYMBOL in all, open sell statements included.

    Open statements that would give it more are cut, which opens an exception for each.
    """
    body = {"actor": actor, "reason": reason, "account": account, "symbol": symbol, "quantity": quantity}
    answer = Client(url, config).post("/api/holdings", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer['text']} (journal record {answer['seq']})")
    return 0


def _day(given: datetime | None) -> str | None:
    return None if given is None else given.date().isoformat()


def _query(**wanted: str | None) -> str:
    given = {name: value for name, value in wanted.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
