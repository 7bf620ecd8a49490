"""``fixgateway replay``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import note_pending, print_fields, print_json, print_table, progress

if TYPE_CHECKING:
    from fixgateway.core.model import Policy
    from fixgateway.other_policy import Comparison, StatementDifference
    from fixgateway.replay import Replayed

_SHOWN_ROWS = 1000
"""Rows of one table that people are shown; --json has all."""


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--policy", "policy_file", default=None, metavar="FILE", help="policy.toml to allocate by instead.")
@json_option
def replay(directory: str, policy_file: str | None, as_json: bool) -> int:
    """Decide everything in the journal of DIR, a data directory, again and compare with what was decided.

    Exits 1 when a decision differs and names the first. With --policy: what that policy would have allocated,
    as a table of differences.
    """
    note_pending(Path(directory))
    count = progress("records")
    if policy_file is not None:
        return _other_policy(Path(directory), policy_file, count, as_json)
    from fixgateway.replay import replay as decide_again

    result = decide_again(Path(directory), count)
    if count:
        click.echo(err=True)
    _tell(directory, result, as_json)
    return 0 if result.agrees else 1


# ---------------------------------------------------------------- the journal's own policy


def _tell(directory: str, result: Replayed, as_json: bool) -> None:
    document = {"agrees": result.agrees, **asdict(result)}
    first = document.pop("first")
    if as_json:
        print_json({**document, "first_difference": first})
    else:
        verdict = "every decision agrees" if result.agrees else "DIFFERS"
        texts = document.pop("bug_texts")
        print_fields(document, title=f"{directory}: {verdict}")
        for text in texts:
            click.echo(f"could not be processed when it came: {text}")
    if result.first is None:
        return
    if not as_json:
        click.echo(f"\nthe first difference: record {result.first.input_seq}, {result.first.given}")
        rows = [asdict(field) for field in result.first.fields]
        print_table(("field", "journaled", "now"), rows)
        if result.first.more:
            click.echo(f"and {result.first.more} fields more")
    click.echo(f"error: {directory}: {result.first.text}", err=True)


# ---------------------------------------------------------------- another policy


def _other_policy(directory: Path, policy_file: str, count: Any, as_json: bool) -> int:
    from fixgateway.config import policy as policies
    from fixgateway.other_policy import compare

    policy = policies.load(policy_file)
    found = compare(directory, policy, count)
    if count:
        click.echo(err=True)
    if as_json:
        print_json(_document(policy_file, policy, found))
        return 0
    click.echo(
        f"{directory} under {policy.policy_id} {policy.version} ({policy_file}): {len(found.differing)} of "
        f"{found.statements} allocated statements differ"
    )
    _table("quantities", ("statement", "broker", "account", "then", "now", "change"), list(_changes(found)))
    _table("average prices", ("statement", "broker", "then", "now"), list(_prices(found)))
    for difference in found.differing:
        _say_why(difference)
    judged = [asdict(row) for row in found.judged]
    _table("judged otherwise", ("input_seq", "what", "subject", "then", "now", "text"), judged, found.judged_count)
    for text in found.bugs:
        click.echo(f"could not be processed: {text}")
    return 0


def _document(policy_file: str, policy: Policy, found: Comparison) -> dict[str, Any]:
    """The comparison for --json."""
    from fixgateway.other_policy import TERMS

    terms = {name: _text(getattr(policy, name)) for name in TERMS}
    terms["allowed"] = {term: list(values) for term, values in policy.allowed}
    return {
        "policy": {"file": policy_file, "policy_id": policy.policy_id, "version": policy.version, "terms": terms},
        "records": found.records,
        "statements": found.statements,
        "differing": len(found.differing),
        "differences": [
            {
                "statement_id": x.statement_id,
                "filled": {"then": _text(x.filled_then), "now": _text(x.filled_now)},
                "refused": x.refused,
                "quantities": [
                    {
                        "broker": c.broker,
                        "account": c.account,
                        "then": _text(c.then),
                        "now": _text(c.now),
                        "change": _signed(c.by),
                    }
                    for c in x.changes
                ],
                "prices": [asdict(price) for price in x.prices],
            }
            for x in found.differing
        ],
        "judged_otherwise": found.judged_count,
        "judged": [asdict(row) for row in found.judged],
        "bugs": list(found.bugs),
    }


def _changes(found: Comparison) -> Iterator[dict[str, Any]]:
    for difference in found.differing:
        for change in difference.changes:
            yield {
                "statement": difference.statement_id,
                "broker": change.broker or "(all)",
                "account": change.account,
                "then": _text(change.then) or "-",
                "now": _text(change.now) or "-",
                "change": _signed(change.by),
            }


def _prices(found: Comparison) -> Iterator[dict[str, Any]]:
    for difference in found.differing:
        for price in difference.prices:
            yield {"statement": difference.statement_id, **asdict(price)}


def _say_why(difference: StatementDifference) -> None:
    """Why a statement's fill is not what it was."""
    if difference.refused:
        click.echo(f"{difference.statement_id}: refused under this policy: {difference.refused}")
    elif difference.filled_then != difference.filled_now:
        then, now = (_text(x) or "nothing" for x in (difference.filled_then, difference.filled_now))
        click.echo(f"{difference.statement_id}: {then} was divided, {now} would be: orders are judged otherwise")


def _table(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]], count: int = 0) -> None:
    """A table unless it is empty; at most so many rows."""
    if not rows:
        return
    print_table(columns, rows[:_SHOWN_ROWS], title, numbers=("then", "now", "change", "input_seq"))
    more = max(count, len(rows)) - _SHOWN_ROWS
    if more > 0:
        click.echo(f"and {more} rows more (see --json)")


def _text(value: Any) -> Any:
    """Numbers as plain text, tuples as lists, tables of their own as tables, words as they are."""
    from fixgateway.core.model import plain_text

    match value:
        case Decimal():
            return plain_text(value)
        case tuple():
            return [_text(item) for item in value]
        case None | int():
            return value
    if is_dataclass(value):
        named = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _text(own) for name, own in named.items() if own is not None}
    return str(value)


def _signed(value: Decimal) -> str:
    from fixgateway.core.model import plain_text

    return f"+{plain_text(value)}" if value > 0 else f"-{plain_text(-value)}" if value < 0 else "0"
