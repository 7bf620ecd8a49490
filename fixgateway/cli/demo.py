"""``fixgateway demo``."""

from __future__ import annotations

import click

from fixgateway.cli.output import as_json as json_option


@click.command()
@json_option
def demo(as_json: bool) -> int:
    """The worked example over real FIX sessions on this machine, then the result.

    An order without a statement is blocked; one with is filled in part, allocated, acknowledged and journaled.
    """
    from fixgateway.demo import run_demo

    return run_demo(json_output=as_json)
