"""``fixgateway records rebuild``."""

from __future__ import annotations

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, progress


@click.group()
def records() -> None:
    """The SQL database, a projection of the journal."""


@records.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="gateway.toml.")
@json_option
def rebuild(config: str, as_json: bool) -> int:
    """Empty the gateway's tables and fill them again from the journal."""
    from fixgateway.config import settings
    from fixgateway.records.rebuild import rebuild as fill

    given = settings.load(config)
    report = progress("records")
    count = fill(given.data_dir, given.records.url, report)
    if report:
        click.echo(err=True)
    if as_json:
        print_json({"records": count})
    else:
        click.echo(f"rebuilt from {count} journal records")
    return 0
