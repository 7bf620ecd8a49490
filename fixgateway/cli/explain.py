"""``fixgateway explain``."""

from __future__ import annotations

from typing import Any

import click

from fixgateway.cli.client import Client, gateway_options, quote
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table
from fixgateway.cli.preview import print_whys, terms_text

_COLUMNS = ("account", "intent", "exact", "floor", "award", "quantity", "rule")
_MONEY = ("quantity", "avg_px", "gross", "residual", "commission", "fees", "net")
_NUMBERS = ("intent", "exact", "floor", "award", "quantity", "difference", "before", "price", *_MONEY)
_NAMED_MAX = 20
"""Accounts of the tie order that are printed; ``--json`` has all."""
_ACTS = {"0": "new", "1": "replaces", "2": "cancels"}


@click.command()
@click.argument("any_id", metavar="ALLOC_ID|STATEMENT_ID")
@gateway_options
@json_option
def explain(any_id: str, url: str | None, config: str | None, as_json: bool) -> int:
    """How every account's share came about: exact share, whole lots, award and the rule that gave it.

    Of an allocation, or of a statement's newest division: policy, tie order with its seed and commitment, what each
    broker was told, price and money, and whether the division comes out the same when it is done again.
    """
    found = Client(url, config).get(f"/api/explain/{quote(any_id)}")
    if as_json:
        print_json(found)
        return 0
    statement = found.get("statement")
    if statement is None:  # a gateway of an earlier version
        _print_bare(any_id, found)
        return 0
    _print_head(found, statement)
    division = found["division"]
    if division is None:
        click.echo("nothing is allocated yet")
        return 0
    for one in found.get("bookings") or [division]:
        _print_division(one, found["recomputed"] if one["number"] == division["number"] else None)
    _print_brokers(found["brokers"], division)
    _print_answers(found)
    return 0


def _print_bare(any_id: str, found: dict[str, Any]) -> None:
    print_fields(found, title=f"allocation {any_id}")
    division = found.get("division")
    if division:
        print_fields(division, title="division of the statement's fill")
        print_table(_COLUMNS, division["lines"], numbers=_NUMBERS)


def _print_head(found: dict[str, Any], statement: dict[str, Any]) -> None:
    """What it is, the statement, its policy and terms, and the tie order."""
    if found["what"] == "allocation":
        act = _ACTS.get(found["trans_type"], found["trans_type"])
        what = f"{act} {found['ref_alloc_id']}".strip()
        click.echo(
            f"allocation {found['alloc_id']} ({what}) to {found['broker']}: {found['quantity']} at {found['avg_px']},"
            f" {found['status']}"
        )
    memo = "" if statement["memo_complete"] else ", memorandum incomplete"
    click.echo(
        f"statement  {statement['statement_id']} version {statement['version']}: {statement['side']}"
        f" {statement['total']} {statement['symbol']} on {statement['trade_date']}, {statement['state']}\n"
        f"           registered {_utc(statement)} by {statement['actor'] or statement['oms']}"
        f" ({statement['door']}, journal record {statement['input_seq']}){memo}"
    )
    policy = found["policy"]
    if policy:
        click.echo(
            f"policy     {policy['policy_id']} version {policy['version']}, approved by {policy['approved_by']},"
            f" effective {policy['effective_from']}\n"
            f"           SHA-256 of its text {policy['text_sha256']}"
        )
    click.echo(terms_text(statement | {"seed": ""}).replace("terms: ", "terms      "))
    _print_ties(found["ties"])


def _utc(statement: dict[str, Any]) -> str:
    return str(statement["time"])[:26] + "Z"


def _print_ties(ties: dict[str, Any]) -> None:
    if ties["matches"] is not None:
        click.echo(f"seed       {ties['seed']}\ncommitment {ties['seed_commitment']}")
        click.echo(f"           {ties['words']}")
    elif ties["seed_commitment"] and not ties["order"]:
        click.echo(f"commitment {ties['seed_commitment']} ({ties['words']})")
    if ties["order"]:
        more = len(ties["order"]) - _NAMED_MAX
        named = ", ".join(ties["order"][:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        click.echo(f"tie order  {named} ({ties['rule']})")


def _print_division(division: dict[str, Any], recomputed: dict[str, Any] | None) -> None:
    """One division: figures, a row and a sentence for each account."""
    number = f" {division['number']}" if division["number"] else ""
    title = f"{division['kind']}{number} division, version {division['version']}: {division['filled']} filled"
    if division["unallocated"] != "0":
        title += f", {division['unallocated']} unallocated"
    booked = ["before"] if any(line["before"] != "0" for line in division["lines"]) else []
    print_table((*_COLUMNS[:5], *booked, *_COLUMNS[5:]), division["lines"], title, numbers=_NUMBERS)
    print_whys(division["lines"])
    for note in filter(None, (division["notes"] or "").split("\n")):
        click.echo(f"note: {note}")
    if recomputed is not None:
        click.echo(f"checked: {recomputed['text']}")
    exact = f"exactly {_price(division['average'])}, " if division.get("average") else ""
    click.echo(f"price: {exact}written {division['avg_px']}")
    if division["gross"] is not None:
        click.echo(
            f"money: gross {division['gross']} + residual cash {division['residual_cash']}"
            + (f" + day average {division['averaging_cash']}" if division["averaging_cash"] != "0" else "")
            + f" = what the fills cost, {division['fills_money']}"
        )


def _price(exact: str) -> str:
    """``901250/9000`` as a decimal where it ends within nine places, else as whole number and fraction."""
    from fractions import Fraction

    from fixgateway.core.words import share

    value = Fraction(exact)
    billionths = value * 10**9
    if billionths.denominator != 1:
        return share(exact)
    whole, rest = divmod(billionths.numerator, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def _print_brokers(brokers: list[dict[str, Any]], division: dict[str, Any]) -> None:
    """What each broker was told, with the exact part of each share that its fills are."""
    differences = {line["account"]: line["cost_difference"] for line in division["lines"]}
    for one in brokers:
        title = f"{one['broker']}: {one['alloc_id']}, {one['quantity']} at {one['avg_px']}, {one['status']}"
        told = [name for name in ("price", *_MONEY[1:]) if any(line[name] for line in one["lines"])]
        columns = ("account", "exact", "difference", "quantity", *told)
        shown = columns if len(brokers) > 1 else ("account", "quantity", *told)
        print_table(shown, one["lines"], title, numbers=_NUMBERS)
    if len(brokers) > 1 and any(value not in (None, "0") for value in differences.values()):
        click.echo("paid more (less) than at the statement's average price, in money:")
        for account, value in list(differences.items())[:_NAMED_MAX]:
            click.echo(f"  {account}  {value}")


def _print_answers(found: dict[str, Any]) -> None:
    """What the broker answered, where one allocation is asked for."""
    for ack in found.get("acks", ()):
        code = f", code {ack['reject_code']}" if ack["reject_code"] else ""
        words = f": {ack['text']}" if ack["text"] else ""
        click.echo(f"answer: {ack['broker']} {ack['status']}{code}{words} at {str(ack['time'])[:26]}Z")
