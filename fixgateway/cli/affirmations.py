"""``fixgateway affirmations``."""

from __future__ import annotations

from datetime import datetime

import click

from fixgateway.cli.client import Client, gateway_options
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table

_STEPS = ("due", "allocated", "accepted", "confirmed", "affirmed")
_OPEN = ("broker", "statement_id", "alloc_id", "account", "quantity", "allocation", "confirmation", "confirm_id")


@click.command()
@click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE",
    help="Trade date YYYY-MM-DD; default: the newest with an allocation.",
)  # fmt: skip
@gateway_options
@json_option
def affirmations(day: datetime | None, url: str | None, config: str | None, as_json: bool) -> int:
    """How much of a trade date is allocated, accepted, confirmed and affirmed, by broker, and what is open.

    Counts accounts. "measured" are the figures at the deadlines and at the day's end. Exits 0 whatever is open.
    """
    query = f"?date={day.date().isoformat()}" if day is not None else ""
    found = Client(url, config).get(f"/api/affirmations{query}")
    if as_json:
        print_json(found)
        return 0
    if found["trade_date"] is None:
        click.echo("no allocations yet")
        return 0
    print_table(("broker", *_STEPS), found["brokers"], title=f"trade date {found['trade_date']}", numbers=_STEPS)
    if found["measured"]:
        print_table(("broker", "stage", *_STEPS, "time"), found["measured"], title="measured", numbers=_STEPS)
    if found["open"]:
        print_table(_OPEN, found["open"], title="open", numbers=("quantity",))
    if found["open_more"]:
        click.echo(f"and {found['open_more']} more accounts")
    return 0
