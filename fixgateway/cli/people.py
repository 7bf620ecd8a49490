"""``fixgateway people list|show|add|change|deactivate|activate|password|unlock|tokens|revoke``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from fixgateway.cli.client import Client, actor_option, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table

_COLUMNS = ("person_id", "name", "roles", "active", "email", "password", "locked")
_TOKENS = ("token_id", "person_id", "label", "made", "expires", "revoked", "used")
_ROLES = click.Choice(("trader", "operations", "compliance", "principal", "auditor"))


@click.group()
def people() -> None:
    """Record people and their roles, give passwords, revoke tokens.

    The first person is recorded on the gateway's machine (with -c) and has role compliance or principal.
    """


@people.command("list")
@gateway_options
@json_option
def list_(url: str | None, config: str | None, as_json: bool) -> int:
    """List everybody recorded."""
    found = Client(url, config, machine=True).get("/api/people")
    if as_json:
        print_json(found["rows"])
    elif not found["rows"]:
        click.echo("nobody is recorded: anybody who reaches the gateway may act (fixgateway people add)")
    else:
        print_table(_COLUMNS, found["rows"])
    return 0


@people.command()
@click.argument("person_id")
@gateway_options
@json_option
def show(person_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Show one person."""
    row = Client(url, config, machine=True).get(f"/api/people/{quote(person_id)}")
    if as_json:
        print_json(row)
    else:
        print_fields(row)
    return 0


@people.command()
@click.argument("person_id")
@click.option("--name", required=True, help="The person's name.")
@click.option("--role", "roles", multiple=True, required=True, type=_ROLES, help="A role; give it several times.")
@click.option("--email", default="", help="Where alerts for this person go.")
@gateway_options
@actor_option
@json_option
def add(
    person_id: str, name: str, roles: tuple[str, ...], email: str, url: str | None, config: str | None, actor: str,
    as_json: bool,
) -> int:  # fmt: skip
    """Record PERSON_ID, and print a one-time password for them."""
    person = {"person_id": person_id, "name": name, "roles": list(roles), "email": email}
    return _record(Client(url, config, machine=True), person, actor, as_json)


@people.command()
@click.argument("person_id")
@click.option("--name", default=None, help="The person's name.")
@click.option("--role", "roles", multiple=True, type=_ROLES, help="The roles from now on; give it several times.")
@click.option("--email", default=None, help="Where alerts for this person go.")
@gateway_options
@actor_option
@json_option
def change(
    person_id: str, name: str | None, roles: tuple[str, ...], email: str | None, url: str | None, config: str | None,
    actor: str, as_json: bool,
) -> int:  # fmt: skip
    """Change what is recorded of PERSON_ID; what is not named stays."""
    wanted = {"name": name, "roles": list(roles) or None, "email": email}
    return _change(Client(url, config), person_id, wanted, actor, as_json)


def _add_activity(command_name: str, active: bool, words: str) -> None:
    """``deactivate`` or ``activate``."""

    @people.command(command_name, help=words)
    @click.argument("person_id")
    @gateway_options
    @actor_option
    @json_option
    def command(person_id: str, url: str | None, config: str | None, actor: str, as_json: bool) -> int:
        return _change(Client(url, config), person_id, {"active": active}, actor, as_json)


_add_activity("deactivate", False, "PERSON_ID can do nothing from now on: sessions end, tokens are revoked.")
_add_activity("activate", True, "PERSON_ID can sign in again, with a new one-time password.")


def _change(client: Client, person_id: str, wanted: Mapping[str, Any], actor: str, as_json: bool) -> int:
    row = client.get(f"/api/people/{quote(person_id)}")
    person = {key: row[key] for key in ("person_id", "name", "roles", "active", "email")}
    person |= {key: value for key, value in wanted.items() if value is not None}
    return _record(client, person, actor, as_json)


def _record(client: Client, person: Mapping[str, Any], actor: str, as_json: bool) -> int:
    answer = client.post("/api/people", {**person, "actor": actor})
    if as_json:
        print_json(answer)
        return 0
    state = "" if answer["active"] else ", not active"
    click.echo(f"recorded {answer['person_id']}: {', '.join(answer['roles'])}{state} (journal record {answer['seq']})")
    _say_password(answer)
    return 0


@people.command()
@click.argument("person_id")
@gateway_options
@json_option
def password(person_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Give PERSON_ID a one-time password; their sessions end. On the gateway's machine (with -c) for anybody."""
    answer = Client(url, config, machine=True).post(f"/api/people/{quote(person_id)}/password", {})
    if as_json:
        print_json(answer)
    else:
        _say_password(answer)
    return 0


def _say_password(answer: Mapping[str, Any]) -> None:
    if answer.get("one_time_password"):
        person_id, secret = answer["person_id"], answer["one_time_password"]
        click.echo(f"one-time password {secret} (good once, for 72 hours: fixgateway login {person_id})")


@people.command()
@click.argument("person_id")
@gateway_options
@json_option
def unlock(person_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """Let PERSON_ID, locked after failed sign-ins, try again."""
    answer = Client(url, config, machine=True).post(f"/api/people/{quote(person_id)}/unlock", {})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"unlocked {person_id}")
    return 0


@people.command()
@click.argument("person_id", required=False)
@gateway_options
@json_option
def tokens(person_id: str | None, url: str | None, config: str | None, as_json: bool) -> int:
    """List the tokens of PERSON_ID; without it all you may see."""
    found = Client(url, config).get("/api/tokens" + (f"?person_id={quote(person_id)}" if person_id else ""))
    if as_json:
        print_json(found["rows"])
    else:
        print_table(_TOKENS, found["rows"])
    return 0


@people.command()
@click.argument("token_id")
@gateway_options
@json_option
def revoke(token_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """End a token at once."""
    answer = Client(url, config).post(f"/api/tokens/{quote(token_id)}/revoke", {})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"revoked {token_id}")
    return 0
