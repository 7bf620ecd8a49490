"""``fixgateway forensics``: tests for favouritism on the gateway's records or on any blotter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fixgateway.cli.lazy import LazyGroup
from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table

if TYPE_CHECKING:
    from fixgateway.forensics.plan import Plan
    from fixgateway.forensics.run import Result

COMMANDS = {
    "run": ("fixgateway.cli.forensics:run", "Review a blotter or the records; one verdict and every test."),
    "plan": ("fixgateway.cli.forensics:plan", "Check a review plan, and fix it before its window."),
    "power": ("fixgateway.cli.forensics_more:power", "What a review of a given size would have seen."),
    "monitor": ("fixgateway.cli.forensics_more:monitor", "The sequential monitor: evidence block by block."),
    "audit-sample": ("fixgateway.cli.forensics_more:audit_sample", "Unannounced picks from public randomness."),
    "generate": ("fixgateway.cli.forensics_generate:generate", "Made histories, guilty and honest."),
}

_LONGEST_NUMBER = 20
"""Digits from which on a seed is text, as the hash that is the default."""

PROBLEMS_MAX = 20
NOTES_MAX = 40


@click.group(cls=LazyGroup, commands_table=COMMANDS)
def forensics() -> None:
    """Statistical review of allocations: who gained from how blocks were divided."""


@click.command()
@click.option("--blotter", default="", metavar="FILE", help="Blotter CSV to review.")
@click.option("--records", default="", metavar="URL", help="The gateway's address, or its database's URL.")
@click.option("--plan", "plan_file", default="", metavar="FILE", help="The review's plan; default: the shipped one.")
@click.option("--seed", default="", metavar="N", help="Seed of the random orders; default: SHA-256 of plan and data.")
@click.option("--html", "html_file", default="", metavar="OUT", help="Write the report as one HTML file.")
@json_option
def run(blotter: str, records: str, plan_file: str, seed: str, html_file: str, as_json: bool) -> int:
    """Review a blotter: every test, one verdict (docs/forensics.md).

    Exits 1 when the verdict is red, 0 otherwise.
    """
    from fixgateway.forensics.run import review

    if bool(blotter) == bool(records):
        raise click.UsageError("Name what to review: --blotter FILE or --records URL (one of the two).")
    checked = _seed(seed)
    journal: Callable[[Result], str] | None = None
    plan_ = _plan(plan_file)
    path = Path(blotter)
    if records:
        from fixgateway.cli.forensics_records import blotter_of

        path, journal = blotter_of(records)
    result = review(path, plan_, checked, _progress())
    document = result.document()
    if html_file:
        _write_html(document, html_file)
    words = journal(result) if journal else ""
    if as_json:
        print_json(document)
    else:
        _print(document, html_file)
    if words:
        click.echo(words, err=as_json)
    return 1 if document["verdict"] == "red" else 0


def _seed(text: str) -> str:
    """A seed is a whole number or text in hex, as reports print it."""
    if text and not (text.isascii() and text.isalnum() and len(text) <= 128):
        raise click.UsageError(f"--seed {text[:40]}: no number (digits, or the hex text of an earlier report)")
    return str(int(text)) if text.isdecimal() and len(text) < _LONGEST_NUMBER else text


def _plan(file: str) -> Plan | None:
    from fixgateway.forensics.plan import load

    return load(file) if file else None


def _write_html(document: dict[str, Any], file: str) -> None:
    from fixgateway.errors import UsageError
    from fixgateway.forensics.report import html

    try:
        Path(file).write_text(html(document), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror} (name a file that can be written with --html)") from error


def _progress() -> Callable[[str, float], None]:
    """A bar on stderr when it is a terminal."""
    from fixgateway.forensics.data import silent

    if not sys.stderr.isatty():
        return silent
    last = [""]

    def say(what: str, share: float) -> None:
        filled = int(share * 30)
        text = f"{what[:24]:<24} [{'#' * filled}{'.' * (30 - filled)}] {share:4.0%}"
        if text != last[0]:
            last[0] = text
            click.echo(f"\r{text}", err=True, nl=False)
        if share >= 1:
            click.echo("\r" + " " * 70 + "\r", err=True, nl=False)

    return say


# ---------------------------------------------------------------- for people


def _print(document: dict[str, Any], html_file: str) -> None:
    click.echo(f"verdict: {document['verdict']}")
    post = "  POST HOC" if document["post_hoc"] else ""
    print_fields(
        {
            "period": " to ".join(document["period"]),
            "blocks": document["blocks"],
            "accounts": document["accounts"],
            "plan": f"{document['plan']['plan_id']} {document['plan']['version']} ({document['plan']['status']}){post}",
            "plan_sha256": document["plan_sha256"],
            "data_sha256": document["data_sha256"],
            "seed": document["seed"],
        }
    )
    shown = [test for test in document["tests"] if test["counts"] and test["verdict"] != "insufficient"]
    rows = [
        {
            "test": test["id"], "verdict": test["verdict"], "p": _short(test["p"]), "p_adj": _short(test["p_adj"]),
            "floor": _short(test["p_floor"]), "blocks": test["n_blocks"], "benefit": _benefit(test),
            "bps": "" if test["benefit_bps"] is None else f"{test['benefit_bps']:.2f}",
        }
        for test in shown
    ]  # fmt: skip
    columns = ("test", "verdict", "p", "p_adj", "floor", "blocks", "benefit", "bps")
    print_table(columns, rows, numbers=("p", "p_adj", "floor", "blocks", "benefit", "bps"))
    for test in shown:
        if test["verdict"] != "green" and test["summary"]:
            click.echo(f"{test['id']}: {test['summary']}")
    without = [test["id"] for test in document["tests"] if test["verdict"] == "insufficient"]
    if without:
        click.echo(f"insufficient: {', '.join(without)}")
    _print_rest(document)
    if html_file:
        click.echo(f"report: {html_file}")


def _print_rest(document: dict[str, Any]) -> None:
    for problem in document["problems"][:PROBLEMS_MAX]:
        click.echo(f"line {problem['line']}: {problem['reason']}")
    if document["problems_total"] > PROBLEMS_MAX:
        click.echo(f"and {document['problems_total'] - PROBLEMS_MAX} more rows not used (--json lists them)")
    for note in document["notes"][:NOTES_MAX]:
        click.echo(f"note: {note}")
    for limit in document["limits"]:
        click.echo(f"limit: {limit}")


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _benefit(test: dict[str, Any]) -> str:
    if test["benefit"] is not None:
        return f"{test['benefit']} {test['currency']}".strip()
    return ", ".join(f"{value} {name}" for name, value in test["benefits"].items())


@click.command()
@click.argument("action", metavar="ACTION", type=click.Choice(["check", "fix"]))
@click.argument("file")
@json_option
def plan(action: str, file: str, as_json: bool) -> None:
    """Check the plan FILE, or fix it: write its hash and the time beside it, before the window begins.

    A plan that is not fixed, or not before its window, or edited afterwards, makes a review "post hoc".
    """
    from datetime import UTC, datetime

    from fixgateway.forensics.plan import load, write_fixing

    if action == "fix":
        write_fixing(file, datetime.now(UTC).replace(microsecond=0))
    document = load(file).document()
    if as_json:
        print_json(document)
        return
    print_fields({name: value for name, value in document.items() if value not in (None, "")}, file)
