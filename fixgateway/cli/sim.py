"""``fixgateway sim oms|broker``."""

from __future__ import annotations

import click

from fixgateway.cli.lazy import LazyGroup

COMMANDS = {
    "oms": ("fixgateway.sim.commands:oms", "An OMS that registers a statement and sends orders."),
    "broker": ("fixgateway.sim.commands:broker", "A broker that fills orders and answers allocations."),
}


@click.group(cls=LazyGroup, commands_table=COMMANDS)
def sim() -> None:
    """Counterparties to try the gateway with."""
