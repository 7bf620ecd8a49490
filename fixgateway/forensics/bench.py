"""``scripts/bench forensics``: what permutations and blotter rows cost, beside a plain way of doing the same.

Two things are measured in one run. *Permutations*: a1's engine on a year of blocks, against a loop that shuffles each stratum
and adds up, one order at a time. *Rows*: a whole review of honest blotters of rising size, each in a process of its own so that its
peak memory is its own, against reading the smallest with the csv module, one dictionary a row. Costs are CPU time, so that
a busy machine does not change the ratios; the wall clock stands beside them.
"""  # noqa: E501

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from fixgateway.forensics import blotter, permutation, plan
from fixgateway.forensics.made_big import Big, write_big
from fixgateway.forensics.prepare import prepare
from fixgateway.forensics.run import reviewed

Ints = npt.NDArray[np.int64]

AIM_SECONDS = 60.0
"""A million permutations of a year of 10,000 blocks take less CPU time."""
AIM_RATIO = 2.0
"""Most that a row at the largest size, and a permutation of the most, may cost as a multiple of the smallest."""

_STRATA, _DAYS = 96, 260
_PLAIN_ORDERS = 100
_KILOBYTE = 1024


@dataclass(frozen=True, slots=True)
class Sizes:
    """What to measure: blocks and permutations in rising order, rows in rising order."""

    blocks: tuple[int, ...] = (1_000, 10_000)
    permutations: tuple[int, ...] = (100_000, 1_000_000)
    rows: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    accounts: int = 100


QUICK = Sizes(blocks=(1_000, 10_000), permutations=(20_000, 200_000), rows=(100_000, 1_000_000))


def measure(sizes: Sizes, say: Callable[[str], None] = lambda words: None) -> dict[str, Any]:
    """The document of ``--json``."""
    orders = permutations(sizes, say)
    rows = reviews(sizes, say)
    ratios = [*orders["ratios"].values(), *rows["ratios"].values()]
    largest = orders["seconds"][f"{sizes.blocks[-1]} x {sizes.permutations[-1]}"]
    return {
        "permutations": orders,
        "rows": rows,
        "aim": {
            "seconds": AIM_SECONDS, "ratio": AIM_RATIO,
            "met": largest < AIM_SECONDS and max(ratios, default=0) <= AIM_RATIO,
        },
    }  # fmt: skip


# ---------------------------------------------------------------- permutations


def year(blocks: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Weights, returns, strata and days of a made year: several blocks a day, every block deviates."""
    dice = np.random.Generator(np.random.PCG64(blocks))
    day = np.sort(dice.integers(0, _DAYS, blocks))
    stratum = dice.integers(0, _STRATA // 12, blocks) * 12 + day * 12 // _DAYS
    w = dice.integers(-(1 << 16), 1 << 16, blocks)
    r = np.rint(dice.standard_t(4, blocks) * (1 << 13)).astype(np.int64)
    return w, r, stratum, day


def permutations(sizes: Sizes, say: Callable[[str], None]) -> dict[str, Any]:
    """CPU seconds by blocks x permutations, growth of the cost, and how many times a plain loop takes."""
    seconds: dict[str, float] = {}
    for blocks in sizes.blocks:
        w, r, stratum, day = year(blocks)
        groups = permutation.exchanges(stratum, day)
        for count in sizes.permutations:
            say(f"{count:,} permutations of {blocks:,} blocks")
            before = time.process_time()
            permutation.test(w, r, groups, count, "bench", "a1")
            seconds[f"{blocks} x {count}"] = round(time.process_time() - before, 3)
    say("a plain loop")
    plain = _plain_seconds(sizes.blocks[-1])
    few, many = sizes.permutations[0], sizes.permutations[-1]
    small, large = sizes.blocks[0], sizes.blocks[-1]
    most = seconds[f"{large} x {many}"]
    return {
        "seconds": seconds,
        "plain_loop_takes_times": round(plain * many / most, 1),
        "ratios": {
            "permutation": round(most / many / (seconds[f"{large} x {few}"] / few), 2),
            "block": round(most / large / (seconds[f"{small} x {many}"] / small), 2),
        },
    }


def _plain_seconds(blocks: int) -> float:
    """CPU seconds of one order when each stratum is shuffled and the products are added."""
    w, r, stratum, _ = year(blocks)
    parts = [np.flatnonzero(stratum == s) for s in np.unique(stratum)]
    dice = np.random.default_rng(1)
    before = time.process_time()
    for _ in range(_PLAIN_ORDERS):
        sum(int(w[part] @ dice.permutation(r[part])) for part in parts)
    return (time.process_time() - before) / _PLAIN_ORDERS


# ---------------------------------------------------------------- rows


def reviews(sizes: Sizes, say: Callable[[str], None]) -> dict[str, Any]:
    """CPU microseconds a row, wall clock and peak memory of whole reviews; growth; plain reading against ours."""
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="fixgateway-bench-") as directory:
        for rows in sizes.rows:
            path = Path(directory) / "blotter.csv"
            say(f"making {rows:,} rows")
            write_big(Big(rows, sizes.accounts, deviating_percent=10), path)
            if rows == sizes.rows[0]:
                say("a plain reader")
                plain = _plain_reading(path)
            say(f"a review of {rows:,} rows")
            found[rows] = _apart(path)
    first = sizes.rows[0]

    def cost(rows: int) -> float:
        return found[rows]["cpu_seconds"] / rows

    return {
        "us_per_row": {str(rows): round(cost(rows) * 1e6, 2) for rows in found},
        "seconds": {str(rows): round(one["seconds"], 1) for rows, one in found.items()},
        "peak_mb": {str(rows): round(one["peak_mb"]) for rows, one in found.items()},
        "us_per_row_read": {str(rows): round(one["read_seconds"] / rows * 1e6, 2) for rows, one in found.items()},
        "plain_reading_takes_times": round(plain / (found[sizes.rows[-1]]["read_seconds"] / sizes.rows[-1]), 2),
        "ratios": {str(rows): round(cost(rows) / cost(first), 2) for rows in sizes.rows[1:]},
    }


def _plain_reading(path: Path) -> float:
    """CPU seconds a row to read the file as dictionaries with exact numbers: no test at all."""
    before = time.process_time()
    count = 0
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            count += 1
            Decimal(row["intent_qty"]), Decimal(row["alloc_qty"]), Decimal(row["price"]), Decimal(row["close_price"])
    return (time.process_time() - before) / count


def _apart(path: Path) -> dict[str, float]:
    """A review in a process of its own."""
    command = [sys.executable, "-m", "fixgateway.forensics.bench", "--one", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"the review cannot be measured: {done.stderr.strip()[-500:]}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _one(path: str) -> dict[str, float]:
    before, cpu = time.perf_counter(), time.process_time()
    made = prepare(blotter.read(path), plan.default())
    read_seconds = time.process_time() - cpu
    reviewed(made)
    seconds, cpu_seconds = time.perf_counter() - before, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "read_seconds": read_seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTE,
    }


# ---------------------------------------------------------------- for people


def table(document: dict[str, Any]) -> Table:
    """For people."""
    orders, rows = document["permutations"], document["rows"]
    shown = Table(title="Forensic tests: cost, and growth of the cost")
    shown.add_column("")
    shown.add_column("measured", justify="right")
    shown.add_column("ratio", justify="right")
    for name, seconds in orders["seconds"].items():
        shown.add_row(f"{name} (blocks x permutations)", f"{seconds:.2f} s", "")
    shown.add_row("one more permutation, most against fewest", "", f"{orders['ratios']['permutation']:.2f}")
    shown.add_row("one more block, most against fewest", "", f"{orders['ratios']['block']:.2f}")
    shown.add_row("a plain loop takes", "", f"{orders['plain_loop_takes_times']:.1f} times")
    for size, cost in rows["us_per_row"].items():
        ratio = rows["ratios"].get(size, 1.0)
        shown.add_row(
            f"a row of {int(size):,}, reviewed",
            f"{cost:.2f} µs ({rows['us_per_row_read'][size]:.2f} to read), {rows['seconds'][size]} s, "
            f"{rows['peak_mb'][size]:,} MB",
            f"{ratio:.2f}",
        )
    shown.add_row("plain reading of the rows takes, against ours", "", f"{rows['plain_reading_takes_times']:.1f} times")
    return shown


@click.command()
@click.option("--quick", is_flag=True, help="200,000 permutations, a million rows at most.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--one", hidden=True, default="", help="Review one file and print what it took.")
def main(quick: bool, as_json: bool, one: str) -> None:
    """What permutations and blotter rows cost, measured in one run beside a plain way of doing the same."""
    if one:
        click.echo(json.dumps(_one(one)))
        return
    document = measure(QUICK if quick else Sizes(), _say if sys.stderr.isatty() else lambda words: None)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    Console().print(table(document))
    reached = "met" if document["aim"]["met"] else "MISSED"
    click.echo(f"aim: under {AIM_SECONDS:.0f} s, growth at most {AIM_RATIO}: {reached}")


def _say(words: str) -> None:
    click.echo(words, err=True)


if __name__ == "__main__":
    main()
