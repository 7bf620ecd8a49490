"""``fixgateway login``."""

from __future__ import annotations

import socket
import sys
from typing import Any

import click

from fixgateway.cli.client import Client, gateway_options, save_token
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json
from fixgateway.errors import UsageError


@click.command()
@click.argument("person_id", required=False)
@click.option("--days", default=1, type=click.IntRange(1, 366), show_default=True, help="How long the token is good.")
@click.option("--label", default=None, help="What the token is for.  [default: login on this machine]")
@click.option("--print", "as_text", is_flag=True, help="Print the token for FIXGATEWAY_TOKEN instead of saving it.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, its first line.")
@click.option("--end", is_flag=True, help="Forget the saved token of this gateway.")
@gateway_options
@json_option
def login(
    person_id: str | None, days: int, label: str | None, as_text: bool, password_stdin: bool, end: bool,
    url: str | None, config: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Sign in as PERSON_ID and save a token, which every other command then uses.

    With a one-time password a password of one's own is asked for first (from standard input: its second line).
    """
    client = Client(url, config)
    if end:
        save_token(client.url, None)
        click.echo(f"signed out of {client.url}")
        return 0
    if not person_id:
        raise UsageError("name the person to sign in as: fixgateway login PERSON_ID")
    headers = _session(client, person_id, password_stdin)
    body = {"label": label or f"login on {socket.gethostname()}"[:100], "days": days}
    made = client.post("/api/tokens", body, headers)
    client.post("/api/sign-out", {}, headers)
    if as_json:
        print_json({"person_id": person_id, **made})
    elif as_text:
        click.echo(made["token"])
    else:
        file = save_token(client.url, made["token"])
        click.echo(f"signed in as {person_id} for {days} {'day' if days == 1 else 'days'} (token saved in {file})")
    return 0


def _session(client: Client, person_id: str, from_stdin: bool) -> dict[str, str]:
    """Sign in, choosing a new password when the old one was for one time; the headers of the session."""
    password = _line() if from_stdin else click.prompt("Password", hide_input=True, err=True)
    answer, headers = client.sign_in(person_id, password)
    if answer.get("must_change"):
        click.echo("This password is good once: choose one of your own, of 12 characters or more.", err=True)
        new = (
            _line() if from_stdin else click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
        )
        answer, headers = client.choose_password(person_id, password, new)
        _refuse_weak(answer)
    return headers


def _refuse_weak(answer: dict[str, Any]) -> None:
    """Raises UsageError when the new password was not taken."""
    if answer.get("must_change"):
        raise UsageError(str(answer.get("detail", "the new password was not taken")))


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
