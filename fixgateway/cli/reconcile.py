"""``fixgateway reconcile`` and ``fixgateway allocation send-again``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import click

from fixgateway.cli.client import Client, actor_option, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table
from fixgateway.errors import UsageError

_COLUMNS = ("kind", "text")
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--blotter", required=True, metavar="FILE", help="The custodian's or broker's file (CSV).")
@click.option("--date", "day", type=_DAY, metavar="DATE", help="The trade date, YYYY-MM-DD, if the file has several.")
@click.option("--tolerance", default="0", metavar="NUMBER", help="How far prices may be apart in any case.")
@gateway_options
@json_option
def reconcile(
    blotter: str, day: datetime | None, tolerance: str, url: str | None, config: str | None, as_json: bool
) -> int:
    """Compare a custodian's or broker's file of a day with the records; each difference opens an exception.

    Columns: trade_date, symbol, side, quantity, price, and account (what was booked) or exec_id (executions); broker if
    there are several. Exits 1 when something differs.
    """
    path = Path(blotter)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{blotter}: {error.strerror} (correct the path or the permissions)") from None
    query = {"source": path.name, "tolerance": tolerance} | ({"trade_date": day.date().isoformat()} if day else {})
    answer = Client(url, config).send_csv(f"/api/reconciliations?{urlencode(query)}", content)
    if as_json:
        print_json(answer)
    else:
        if answer["discrepancies"]:
            print_table(_COLUMNS, answer["discrepancies"])
        found = f"{answer['differences']} differences" if answer["differences"] else "no differences"
        click.echo(f"{answer['trade_date']}: {answer['rows']} rows, {found} (journal record {answer['seq']})")
    return 1 if answer["differences"] else 0


@click.group()
def allocation() -> None:
    """Act on allocations that were sent."""


@allocation.command("send-again")
@click.argument("alloc_id")
@click.option("--reason", required=True, help="Why.")
@gateway_options
@actor_option
@json_option
def send_again(
    alloc_id: str, reason: str, url: str | None, config: str | None, actor: str, as_json: bool
) -> int:
    """Send an allocation the broker refused as a whole once more, unchanged in its shares."""
    body = {"actor": actor, "reason": reason}
    answer = Client(url, config).post(f"/api/allocations/{quote(alloc_id)}/send-again", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"sent allocation {alloc_id} again (journal record {answer['seq']})")
    return 0
