"""``scripts/bench sizes``: what an account costs in statements of 1,000, 10,000 and 100,000 accounts.

The core alone is measured (scripts/bench_sizes.py, a process of its own), all sizes side by side in one run; what is
told are ratios to the smallest size. 1.0 is a cost that grows exactly as the accounts do; sorting adds a little.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

import fixgateway
from fixgateway.sim.bench_journal import BenchError

SCRIPT = Path(fixgateway.__file__).parents[1] / "scripts" / "bench_sizes.py"
SIZES = (1_000, 10_000, 100_000)
QUICK_SIZES = (1_000, 10_000)
ACCOUNTS_MIN = 20_000
AIM_RATIO = 3.0
"""Most an account may cost at the largest size, as a multiple of the smallest."""


def measure(sizes: tuple[int, ...], least: int = ACCOUNTS_MIN) -> dict[str, Any]:
    """The document of ``--json``: by case the microseconds of an account at the smallest size, and the ratios to it.

    Args:
        sizes: in rising order. least: a small size is done so often that as many accounts are divided.

    Raises:
        BenchError: the measuring process failed.
    """
    command = [sys.executable, str(SCRIPT), str(least), *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the sizes cannot be measured: {done.stderr.strip()[-500:]}")
    first, *others = map(str, sizes)
    cases = {
        name: {
            "us_per_account": round(found[first], 2),
            "ratios": {size: round(found[size] / found[first], 2) for size in others},
        }
        for name, found in json.loads(done.stdout).items()
    }
    last = str(sizes[-1])
    met = all(case["ratios"][last] <= AIM_RATIO for case in cases.values())
    return {"sizes": list(sizes), "cases": cases, "aim": {"ratio": AIM_RATIO, "met": met}}


def table(document: dict[str, Any]) -> Table:
    """For people."""
    first, *others = document["sizes"]
    shown = Table(title="CPU time for each account, as a multiple of the smallest statement's")
    shown.add_column("")
    shown.add_column(f"{first:,} accounts", justify="right")
    for size in others:
        shown.add_column(f"{size:,}", justify="right")
    for name, case in document["cases"].items():
        ratios = (f"{case['ratios'][str(size)]:.2f}" for size in others)
        shown.add_row(name, f"1.00 ({case['us_per_account']:.1f} µs)", *ratios)
    return shown


@click.command()
@click.option("--quick", is_flag=True, help="Without 100,000 accounts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(quick: bool, as_json: bool) -> None:
    """What an account costs in small and large statements, measured side by side in one run."""
    try:
        document = measure(QUICK_SIZES if quick else SIZES)
    except BenchError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    Console().print(table(document))
    reached = "met" if document["aim"]["met"] else "MISSED"
    click.echo(f"aim: at most {AIM_RATIO} at the largest size: {reached}")


if __name__ == "__main__":
    main()
