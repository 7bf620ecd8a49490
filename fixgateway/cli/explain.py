"""``fixgateway explain``."""

from __future__ import annotations

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table

_COLUMNS = ("account", "intent", "exact", "floor", "award", "quantity", "rule")


@click.command()
@click.argument("alloc_id")
@gateway_options
@json_option
def explain(alloc_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Per account of an allocation: exact share, whole lots, remainder award and the rule that gave it."""
    found = Client(url, config).get(f"/api/allocations/{quote(alloc_id)}")
    if as_json:
        print_json(found)
        return 0
    print_fields(found, title=f"allocation {alloc_id}")
    division = found.get("division")
    if division:
        print_fields(division, title="division of the statement's fill")
        print_table(_COLUMNS, division["lines"], numbers=_COLUMNS[1:-1])
    return 0
