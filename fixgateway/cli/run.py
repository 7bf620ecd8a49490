"""``fixgateway run``."""

from __future__ import annotations

import click


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="gateway.toml.")
def run(config: str) -> int:
    """Run the gateway until it is stopped (Ctrl-C or SIGTERM)."""
    from fixgateway.config import settings
    from fixgateway.gateway import run as run_gateway

    return run_gateway(settings.load(config), lambda line: click.echo(line, err=True))
