"""``fixgateway trace``."""

from __future__ import annotations

from typing import Any

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import cell, print_json, print_table

_HIDDEN = {"what", "journal_seq", "position", "input_seq", "ts_ns", "time", "lines"}


@click.command()
@click.argument("id_", metavar="ID")
@gateway_options
@json_option
def trace(id_: str, url: str | None, config: str | None, as_json: bool) -> int:
    """One timeline for an order (ClOrdID), a statement or an allocation (AllocID)."""
    found = Client(url, config).get(f"/api/trace/{quote(id_)}")
    if as_json:
        print_json(found)
        return 0
    rows = [{**event, "record": event["journal_seq"], "details": _details(event)} for event in found["timeline"]]
    print_table(("time", "record", "what", "details"), rows, numbers=("record",))
    if found.get("truncated"):
        click.echo("only the oldest entries are shown")
    return 0


def _details(event: dict[str, Any]) -> str:
    """What else an entry says, as ``name=value``."""
    shown = {
        name: cell(value) for name, value in event.items() if name not in _HIDDEN and not isinstance(value, dict)
    }
    return " ".join(f"{name}={text}" for name, text in shown.items() if text)
