"""``fixgateway preview``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_json, print_table

if TYPE_CHECKING:
    from fixgateway.core.model import Policy, Setup

WHYS_MAX = 50
"""Accounts whose sentence is printed; ``--json`` has all."""
_NUMBERS = ("weight", "intent", "exact", "floor", "award", "quantity", "amount", "gross", "residual", "price")

Command = TypeVar("Command", bound=Callable[..., Any])


def terms_options(command: Command) -> Command:
    """Add ``-c`` and ``--policy``; the command receives them as ``config`` and ``policy_file``."""
    for option in (
        click.option(
            "--policy", "policy_file", default=None, metavar="FILE",
            help="policy.toml whose terms the statement has, instead of that of -c.",
        ),
        click.option(
            "-c", "--config", default=None, metavar="FILE",
            help="gateway.toml whose policy, accounts and holdings are used.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def terms(config: str | None, policy_file: str | None) -> tuple[Policy | None, Setup | None]:
    """The policy of ``--policy`` and what ``-c`` names, None where not given."""
    from fixgateway.config import policy, settings, setup

    rules = policy.load(policy_file) if policy_file else None
    return rules, setup.load(settings.load(config)) if config else None


@click.command()
@click.argument("file")
@click.option("--filled", default="", metavar="N", help="The total quantity filled; needed without --fill.")
@click.option("--price", default="", metavar="P", help="The average price; shows each account's money.")
@click.option(
    "--fill", "fills", multiple=True, metavar="QTY@PRICE",
    help="A fill, instead of --filled and --price; may be repeated.",
)  # fmt: skip
@terms_options
@json_option
def preview(
    file: str, filled: str, price: str, fills: tuple[str, ...], config: str | None, policy_file: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Split the statement FILE (.json or .csv) for a fill of N; no gateway needed.

    Terms the file does not name come from --policy or the policy of -c, else lot 1, minimum 0, seeded ties. Seeded
    ties use the file's seed; the gateway draws its own when the statement is registered.
    """
    from fixgateway.config import statements
    from fixgateway.config.preview import preview as split

    if not filled and not fills:
        raise click.UsageError("Missing option '--filled' (or name the fills with --fill QTY@PRICE).")
    rules, setup = terms(config, policy_file)
    document = split(statements.read(file), filled, price, rules, fills=fills, setup=setup).document()
    if as_json:
        print_json(document)
        return 0
    _print(file, document)
    return 0


def _print(file: str, document: dict[str, Any]) -> None:
    """The division, its money and its reasons, for people."""
    title = f"{file}: {document['filled']} of {document['total']} filled"
    if "price" in document:
        title += f" at {document['price']}"
    elif "avg_px" in document:
        title += f" at {document['avg_px']} on average"
    priced = "gross" in document
    weighed = ["weight"] if any("weight" in line for line in document["lines"]) else []
    columns = ["account", *weighed, "intent", "exact", "floor", "award", "quantity", "rule"]
    click.echo(title)
    print_table(columns, document["lines"], numbers=_NUMBERS)
    if priced:
        _print_money(document)
    click.echo(terms_text(document))
    if document["unallocated"] != "0":
        click.echo(f"unallocated: {document['unallocated']} (more was filled than the statement holds)")
    print_whys(document["lines"])
    for note in document["notes"]:
        click.echo(f"note: {note}")


def _print_money(document: dict[str, Any]) -> None:
    pieces = [
        {"account": line["account"], **piece} for line in document["lines"] for piece in line.get("pieces", ())
    ]
    if pieces:
        print_table(("account", "quantity", "price"), pieces, "fills by account", numbers=_NUMBERS)
    paid = [line for line in document["lines"] if "gross" in line]
    print_table(("account", "quantity", "avg_px", "gross", "residual"), paid, "money", numbers=(*_NUMBERS, "avg_px"))
    cash = document["residual_cash"]
    bears = {"accounts": "borne by the accounts", "": "borne by nobody"}.get(
        document["residual_to"], f"borne by {document['residual_to']}"
    )
    click.echo(
        f"gross {document['gross']} + residual cash {cash} = what the fills cost, {document['fills_money']}"
        + (f" ({bears})" if cash != "0" else "")
    )


def terms_text(document: dict[str, Any]) -> str:
    """The terms of a division in one line."""
    words = [
        document["method"],
        *([] if document["basis"] == "quantity" else [f"basis {document['basis']}"]),
        f"rounding {document['rounding']}",
        f"lot {document['lot']}",
        f"minimum {document['min_quantity']}",
        f"ties {document['ties']}" + (f" (seed {document['seed'][:16]}…)" if document["seed"] else ""),
        f"rest below a lot: {document['remainder']}",
    ]
    return "terms: " + ", ".join(words)


def print_whys(lines: list[dict[str, Any]]) -> None:
    """A sentence for each account."""
    width = max((len(line["account"]) for line in lines[:WHYS_MAX]), default=0)
    click.echo("why:")
    for line in lines[:WHYS_MAX]:
        click.echo(f"  {line['account']:<{width}}  {line['why']}")
    if len(lines) > WHYS_MAX:
        click.echo(f"  and {len(lines) - WHYS_MAX} more (--json has all)")
