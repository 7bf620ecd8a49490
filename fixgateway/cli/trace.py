"""``fixgateway trace``."""

from __future__ import annotations

from typing import Any

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import cell, print_json, print_table

_FIELDS: dict[str, tuple[str, ...]] = {
    "statement registered": ("oms", "side", "total", "symbol", "trade_date", "actor", "seed_commitment"),
    "statement refused": ("actor", "door"),
    "statement allocated": ("filled", "unallocated", "avg_px", "seed"),
    "statement closed": ("actor",),
    "allocation sent": ("alloc_id", "broker", "quantity", "avg_px"),
    "allocation answered": ("alloc_id", "broker", "status", "reject_code", "text"),
    "allocation reported": ("alloc_id", "session", "form"),
    "order": ("cl_ord_id", "oms", "broker", "side", "order_qty", "symbol", "text"),
    "execution": ("broker", "exec_id", "last_qty", "last_px"),
    "exception": ("subject", "reason", "text"),
    "alert": ("subject", "severity", "reason", "text"),
}
"""What is shown of an entry, by the beginning of its ``what``; ``--json`` gives everything."""
_OTHERS = ("cl_ord_id", "orig_cl_ord_id", "quantity", "text")


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
    """What an entry is about, as ``name=value``, then its accounts and quantities."""
    names = next((names for what, names in _FIELDS.items() if event["what"].startswith(what)), _OTHERS)
    words = [f"{name}={text}" for name in names if (text := cell(event.get(name)))]
    lines = [f"{line['account']} {line['quantity']}" for line in event.get("lines", []) if "account" in line]
    problems = [line["text"] for line in event.get("lines", []) if "reason" in line]
    return " ".join(words) + "".join(f"; {text}" for text in lines + problems)
