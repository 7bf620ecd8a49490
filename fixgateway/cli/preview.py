"""``fixgateway preview``."""

from __future__ import annotations

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table


@click.command()
@click.argument("file")
@click.option("--filled", required=True, metavar="N", help="The total quantity filled.")
@click.option("--price", default="", metavar="P", help="The average price; shows each account's amount.")
@click.option("-c", "--config", default=None, metavar="FILE", help="gateway.toml whose policy fills in terms.")
@json_option
def preview(file: str, filled: str, price: str, config: str | None, as_json: bool) -> int:
    """Split the statement FILE (.json or .csv) for a fill of N; no gateway needed.

    Terms the file does not name come from the policy of -c, else lot 1, minimum 0, seeded ties. Seeded ties
    use the file's seed; the gateway draws its own when the statement is registered.
    """
    from fixgateway.config import policy, settings, statements
    from fixgateway.config.preview import preview as split

    rules = policy.load(settings.load(config).policy_file) if config else None
    document = split(statements.read(file), filled, price, rules).document()
    if as_json:
        print_json(document)
        return 0
    columns = ["account", "intent", "quantity", "exact", "rule"] + (["amount"] if price else [])
    title = f"{file}: {document['filled']} filled" + (f" at {document['price']}" if price else "")
    print_table(columns, document["lines"], title, numbers=("intent", "quantity", "exact", "amount"))
    if document["unallocated"] != "0":
        click.echo(f"unallocated: {document['unallocated']} (more was filled than the statement holds)")
    return 0
