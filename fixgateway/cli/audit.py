"""``fixgateway audit``."""

from __future__ import annotations

from typing import Any

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json
from fixgateway.cli.preview import terms


@click.command()
@click.argument("file", required=False)
@click.option("--statement", "statement_id", default="", metavar="ID", help="A registered statement, instead of FILE.")
@click.option("--proposed", required=True, metavar="FILE", help="The proposed allocation: .json or .csv.")
@click.option("--filled", default="", metavar="N", help="The total quantity filled; of --statement: what was filled.")
@click.option("--policy", "policy_file", default=None, metavar="FILE", help="policy.toml whose terms FILE has.")
@gateway_options
@json_option
def audit(
    file: str | None, statement_id: str, proposed: str, filled: str, policy_file: str | None, url: str | None,
    config: str | None, as_json: bool,
) -> int:  # fmt: skip
    """What is wrong with a proposed allocation, by the statement FILE or by a registered one.

    Prints every breach and exits 1 when there is one. With FILE no gateway is needed, and -c names the gateway.toml
    whose policy, accounts and holdings count; with --statement it names the gateway to ask.
    """
    from fixgateway.config import proposals

    if bool(file) == bool(statement_id):
        raise click.UsageError("Name either a statement FILE or --statement ID.")
    shares = proposals.read(proposed)
    if file is not None:
        if not filled:
            raise click.UsageError("Missing option '--filled'.")
        document = _of_file(file, shares, filled, config, policy_file)
    else:
        body = {account: format(quantity, "f") for account, quantity in shares.items()}
        query = f"?filled={quote(filled)}" if filled else ""
        document = Client(url, config).post(f"/api/statements/{quote(statement_id)}/audit{query}", body)
    if as_json:
        print_json(document)
    else:
        _print(proposed, document)
    return 1 if document["breaches"] else 0


def _of_file(file: str, shares: dict[str, Any], filled: str, config: str | None, policy_file: str | None) -> Any:
    """The breaches by a statement file, decided here."""
    from fixgateway.config import statements
    from fixgateway.config.preview import breaches

    return breaches(statements.read(file), shares, filled, *terms(config, policy_file))


def _print(proposed: str, document: dict[str, Any]) -> None:
    found = document["breaches"]
    count = f"{len(found)} breach{'' if len(found) == 1 else 'es'}" if found else "no breach"
    click.echo(f"{proposed} against statement {document['statement_id']}, {document['filled']} filled: {count}")
    for row in found:
        click.echo(f"  {row['text']}")
    for note in document.get("notes", ()):
        click.echo(f"note: {note}")
