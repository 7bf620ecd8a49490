"""``fixgateway alert list|ack`` and ``fixgateway mark add|list``."""

from __future__ import annotations

from urllib.parse import urlencode

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table

_ALERTS = ("alert_id", "time", "severity", "reason", "subject", "text")
_MARKS = ("time", "symbol", "price", "source", "as_of_time", "close", "actor")
_LIMIT = click.IntRange(1, 1000)


@click.group()
def alert() -> None:
    """List alerts and acknowledge them."""


@alert.command("list")
@click.option("--state", default=None, type=click.Choice(("open", "acknowledged")), help="Only these.")
@click.option("--limit", default=100, type=_LIMIT, show_default=True, help="Most rows.")
@gateway_options
@json_option
def list_(state: str | None, limit: int, url: str | None, config: str | None, as_json: bool) -> int:
    """List alerts, newest first."""
    wanted = {"limit": str(limit), **({"state": state} if state else {})}
    found = Client(url, config).get(f"/api/alerts?{urlencode(wanted)}")
    if as_json:
        print_json(found["rows"])
    elif not found["rows"]:
        click.echo("no alerts")
    else:
        print_table(_ALERTS, found["rows"])
    return 0


@alert.command()
@click.argument("alert_id")
@click.option("--text", required=True, help="What is done about it.")
@gateway_options
@json_option
def ack(alert_id: str, text: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Acknowledge an alert: it is seen, and not sent again."""
    answer = Client(url, config).post(f"/api/alerts/{quote(alert_id)}/acknowledge", {"text": text})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"acknowledged {alert_id} (journal record {answer['seq']})")
    return 0


@click.group()
def mark() -> None:
    """Record the prices exceptions are judged by."""


@mark.command()
@click.argument("symbol")
@click.argument("price")
@click.option("--source", required=True, help="Where the price is from.")
@click.option("--as-of", default="", metavar="TIME", help="Its own time, with time zone; default now.")
@click.option("--close", is_flag=True, help="It is the closing price of its day.")
@gateway_options
@json_option
def add(
    symbol: str, price: str, source: str, as_of: str, close: bool, url: str | None, config: str | None, as_json: bool
) -> int:
    """Record that SYMBOL is worth PRICE."""
    body = {"symbol": symbol, "price": price, "source": source, "as_of": as_of, "close": close}
    answer = Client(url, config).post("/api/marks", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"marked {symbol} {price} (journal record {answer['seq']})")
    return 0


@mark.command("list")
@click.option("--symbol", default=None, help="Only this symbol.")
@click.option("--limit", default=100, type=_LIMIT, show_default=True, help="Most rows.")
@gateway_options
@json_option
def marks(symbol: str | None, limit: int, url: str | None, config: str | None, as_json: bool) -> int:
    """List marks, newest first."""
    wanted = {"limit": str(limit), **({"symbol": symbol} if symbol else {})}
    found = Client(url, config).get(f"/api/marks?{urlencode(wanted)}")
    if as_json:
        print_json(found["rows"])
    else:
        print_table(_MARKS, found["rows"], numbers=("price",))
    return 0
