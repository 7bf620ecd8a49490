"""``fixgateway forensics generate``: blotters whose truth is known."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fixgateway.cli.output import progress

_BIG = "big"


@click.command()
@click.argument("scenario", metavar="SCENARIO", required=False)
@click.option("-o", "--output", metavar="FILE", help="Write the blotter here; else to standard output.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Which history of the kind.")
@click.option("--years", default=1, show_default=True, help="Years of 50 blocks.")
@click.option("--rows", default=200_000, show_default=True, type=click.IntRange(min=1), help="big: how many rows.")
@click.option("--accounts", default=20, show_default=True, type=click.IntRange(min=3), help="big: accounts a block.")
@click.option(
    "--deviating", default=0, show_default=True, type=click.IntRange(0, 100),
    help="big: percent of the blocks with a deviation that favours nobody.",
)  # fmt: skip
def generate(
    scenario: str | None, output: str | None, seed: int, years: int, rows: int, accounts: int, deviating: int
) -> int:
    """Write a made history as a blotter: SCENARIO of the list printed without one, or "big".

    The same arguments give the same file. "fixgateway forensics run --blotter FILE" reviews it.
    """
    from fixgateway.errors import UsageError
    from fixgateway.forensics.generate import SCENARIOS, write_csv
    from fixgateway.forensics.generate import rows as made

    if scenario is None:
        for name, one in SCENARIOS.items():
            click.echo(f"{name:<22} {one.words}")
        click.echo(f"{_BIG:<22} honest, of any size: --rows, --accounts, --deviating; needs -o")
        return 0
    if output is None and scenario == _BIG:
        raise UsageError('generate big writes much: name a file with "-o FILE"')
    if output is None:
        write_csv(made(scenario, seed, years), sys.stdout)
        return 0
    try:
        if scenario == _BIG:
            from fixgateway.forensics.made_big import Big, write_big

            count = write_big(Big(rows, accounts, deviating), Path(output), seed, progress("rows") or _silent)
        else:
            history = made(scenario, seed, years)
            with Path(output).open("w", encoding="utf-8", newline="") as file:
                count = write_csv(history, file)
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror} (name a file that can be written with -o)") from error
    click.echo(f"{count} rows  {output}", err=True)
    return 0


def _silent(count: int) -> None:
    """No progress where nobody watches."""
