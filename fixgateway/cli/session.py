"""``fixgateway session list|seq|logout|enable|disable|roll``."""

from __future__ import annotations

from typing import Any

import click

from fixgateway.cli.client import Client, actor_option, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table

_COLUMNS = ("name", "role", "up", "enabled", "next_sender", "next_target", "address")
_NUMBER = click.IntRange(1, 2**31 - 1)
_ACTIONS = {
    "logout": "Log the session out; it may log on again.",
    "enable": "Let the session log on.",
    "disable": "Log the session out and keep it out.",
    "roll": "Start both sequence numbers at 1; agree it with the counterparty first.",
}


@click.group()
def session() -> None:
    """List and administer the FIX sessions."""


@session.command("list")
@gateway_options
@json_option
def list_(url: str | None, config: str | None, as_json: bool) -> int:
    """List the sessions with state and next sequence numbers."""
    rows = Client(url, config).get("/api/sessions")
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, rows, numbers=("next_sender", "next_target"))
    return 0


@session.command()
@click.argument("name")
@click.option("--next-sender", default=None, type=_NUMBER, metavar="N", help="Next number the gateway sends.")
@click.option("--next-target", default=None, type=_NUMBER, metavar="N", help="Next number it expects.")
@gateway_options
@actor_option
@json_option
def seq(
    name: str,
    next_sender: int | None,
    next_target: int | None,
    url: str | None,
    config: str | None,
    actor: str,
    as_json: bool,
) -> int:
    """Set the next sequence numbers of session NAME."""
    if next_sender is None and next_target is None:
        raise click.UsageError("give --next-sender, --next-target or both")
    numbers = {"next_sender": next_sender, "next_target": next_target}
    body = {"actor": actor, **{key: value for key, value in numbers.items() if value is not None}}
    return _act("seq", name, body, Client(url, config), as_json)


def _add_action(action: str, words: str) -> None:
    """The command of an action that needs nothing but the session's name."""

    @session.command(action, help=words)
    @click.argument("name")
    @gateway_options
    @actor_option
    @json_option
    def command(name: str, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
        return _act(action, name, {"actor": actor}, Client(url, config), as_json)


def _act(action: str, name: str, body: dict[str, Any], client: Client, as_json: bool) -> int:
    answer = client.post(f"/api/sessions/{quote(name)}/{action}", body)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{action} {name}: done")
    return 0


for _action, _words in _ACTIONS.items():
    _add_action(_action, _words)
