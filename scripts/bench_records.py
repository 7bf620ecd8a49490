"""Asks the records what pages ask, of a fortnight and of a year of 1,000 blocks a day, for scripts/bench records.

A block is the worked example as the projector stores it (the D, its blocked twin, fills, the J, the broker's answer,
messages included), repeated with numbers, ids, days and symbols of its own.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, insert, select, update

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from journals import worked_example  # noqa: E402

from fixgateway.journal.reader import read  # noqa: E402
from fixgateway.records import desk_queries, queries  # noqa: E402
from fixgateway.records.affirmations import affirmations  # noqa: E402
from fixgateway.records.blotter import blotter  # noqa: E402
from fixgateway.records.database import connect, create_schema  # noqa: E402
from fixgateway.records.memos import order_memos  # noqa: E402
from fixgateway.records.projector import Projector  # noqa: E402
from fixgateway.records.search import search  # noqa: E402
from fixgateway.records.tables import Base  # noqa: E402

BLOCKS_A_DAY = 1_000
FORTNIGHT, YEAR = 10, 250
"""Trade dates."""
REPEATS = 15
CHUNK = 200
"""Blocks inserted at once."""
DAY_NS = 86_400 * 10**9
_ONCE = frozenset(("policies", "accounts", "projection", "unprojected"))
_SEQS = frozenset(
    ("journal_seq", "input_seq", "order_key", "closed_seq", "allocated_seq", "answered_seq", "changed_seq")
)
_IDS = frozenset(
    (
        "statement_id", "alloc_id", "ref_alloc_id", "cl_ord_id", "latest_cl_ord_id", "orig_cl_ord_id", "exec_id",
        "exec_ref_id", "order_id", "subject", "report_id",
    )
)  # fmt: skip


def template(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """The worked example's rows by table."""
    data_dir = worked_example(directory / "template").close()
    engine = connect("sqlite://", directory)
    create_schema(engine)
    Projector(engine).apply(read(data_dir))
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            rows = connection.execute(select(*table.columns)).all()
            found[table.name] = [dict(zip(table.columns.keys(), row, strict=True)) for row in rows]
    return found


def fill(engine: Engine, rows: dict[str, list[dict[str, Any]]], days: int) -> int:
    """Write ``days`` trade dates of blocks; how many rows that are."""
    create_schema(engine)
    step = max(row["journal_seq"] for some in rows.values() for row in some if "journal_seq" in row) + 1
    written = 0
    with engine.begin() as connection:
        for name in _ONCE - {"projection"}:
            if rows[name]:
                connection.execute(insert(Base.metadata.tables[name]), rows[name])
    for start in range(0, days * BLOCKS_A_DAY, CHUNK):
        with engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                if table.name in _ONCE or not rows[table.name]:
                    continue
                numbers = range(start, min(start + CHUNK, days * BLOCKS_A_DAY))
                made = [_row(row, number, step) for number in numbers for row in rows[table.name]]
                connection.execute(insert(table), made)
                written += len(made)
    with engine.begin() as connection:
        # A database that is used has most of what it opened attended to.
        for name, column, value in (("exceptions", "state", "resolved"), ("alerts", "acknowledged_ns", 1)):
            table = Base.metadata.tables[name]
            last = connection.scalar(select(func.max(table.c.journal_seq))) or 0
            old = table.c.journal_seq < last - 20 * step
            connection.execute(update(table).where(old).values({column: value}))
    return written


def _row(row: dict[str, Any], number: int, step: int) -> dict[str, Any]:
    day, place = divmod(number, BLOCKS_A_DAY)
    made = dict(row)
    for name, value in row.items():
        if not value:
            continue
        if name in _SEQS:
            made[name] = value + number * step
        elif name.endswith("_ns"):
            made[name] = value + day * DAY_NS + place * 20 * 10**9
        elif name in _IDS:
            made[name] = f"{value}-{number}"
        elif name == "symbol":
            made[name] = f"SYM{number % 500}"
        elif isinstance(value, date):
            made[name] = value + timedelta(days=day)
    return made


def questions(days: int, first: date) -> dict[str, Callable[[Engine, random.Random], Any]]:
    """What pages and people ask, by name."""

    def one(chance: random.Random) -> str:
        return str(chance.randrange(days * BLOCKS_A_DAY))

    def day(chance: random.Random) -> date:
        return first + timedelta(days=chance.randrange(days))

    return {
        "statements of a day": lambda e, c: queries.statements(e, trade_date=day(c)),
        "newest orders": lambda e, c: queries.orders(e, limit=100),
        "newest allocations": lambda e, c: queries.allocations(e, limit=100),
        "what waits for people": lambda e, c: desk_queries.counts(e),
        "unresolved exceptions": lambda e, c: desk_queries.opened(e, "unresolved"),
        "open alerts": lambda e, c: desk_queries.alerts(e, "open"),
        "one statement": lambda e, c: queries.statement(e, f"S-1-{one(c)}"),
        "one timeline": lambda e, c: queries.trace(e, f"S-1-{one(c)}"),
        "search for an order": lambda e, c: search(e, f"C1-{one(c)}"),
        "search for a beginning": lambda e, c: search(e, "S-1-12"),
        "affirmations of a day": lambda e, c: affirmations(e, day(c)),
        "order memoranda of a day, 100": lambda e, c: order_memos(e, (d := day(c)), d, 100),
        "blotter of a day": lambda e, c: list(blotter(e, (d := day(c)), d)),
    }


def median_ms(ask: Callable[[Engine, random.Random], Any], engine: Engine) -> float:
    """The median of ``REPEATS`` askings, in milliseconds; the same questions every time."""
    chance = random.Random(1)
    took = []
    for _ in range(REPEATS):
        before = time.perf_counter()
        ask(engine, chance)
        took.append((time.perf_counter() - before) * 1000)
    return statistics.median(took)


def measure(sizes: tuple[int, int], directory: Path) -> dict[str, Any]:
    """Medians of every question for both sizes, and the large as a multiple of the small."""
    rows = template(directory)
    first = rows["statements"][0]["trade_date"]
    medians: list[dict[str, float]] = []
    counts = []
    for days in sizes:
        engine = connect(f"sqlite:///{directory / f'{days}.db'}", directory)
        counts.append(fill(engine, rows, days))
        medians.append({name: median_ms(ask, engine) for name, ask in questions(days, first).items()})
        engine.dispose()
    small, large = medians
    return {
        "blocks_a_day": BLOCKS_A_DAY,
        "days": list(sizes),
        "rows": counts,
        "median_ms": {
            name: {"small": round(small[name], 2), "large": round(large[name], 2),
                   "times": round(large[name] / small[name], 2)}
            for name in small
        },
    }  # fmt: skip


def main() -> None:
    """Print a table, or with ``--json`` the document; ``--quick`` takes two and twenty days."""
    sizes = (2, 20) if "--quick" in sys.argv else (FORTNIGHT, YEAR)
    with tempfile.TemporaryDirectory(prefix="fgbench") as directory:
        found = measure(sizes, Path(directory))
    if "--json" in sys.argv:
        print(json.dumps(found, indent=2))
        return
    print(f"{'median of ' + str(REPEATS):<32}{sizes[0]:>6} days {sizes[1]:>6} days   times")
    for name, row in found["median_ms"].items():
        print(f"{name:<32}{row['small']:>8.1f} ms {row['large']:>8.1f} ms {row['times']:>7.2f}")


if __name__ == "__main__":
    main()
