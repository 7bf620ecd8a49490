"""``fixgateway orders halt|resume``."""

from __future__ import annotations

import click

from fixgateway.cli.client import Client, actor_option, gateway_options
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json


@click.group()
def orders() -> None:
    """Halt and resume new orders; cancels and fills always flow."""


def _add_switch(action: str, done: str, words: str) -> None:
    """``halt`` or ``resume``."""

    @orders.command(action, help=words)
    @click.argument("target", default="all")
    @click.option("--reason", required=True, help="Why; it is journaled.")
    @gateway_options
    @actor_option
    @json_option
    def command(target: str, reason: str, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
        body = {"target": target, "reason": reason, "actor": actor}
        answer = Client(url, config).post(f"/api/orders/{action}", body)
        if as_json:
            print_json(answer)
        else:
            click.echo(f"orders {done}: {target}")
        return 0


_add_switch("halt", "halted", "Refuse new orders of TARGET (a counterparty's name; default all).")
_add_switch("resume", "resumed", "Take new orders of TARGET again (a counterparty's name; default all).")
