"""``fixgateway forensics power``, ``monitor`` and ``audit-sample``."""

from __future__ import annotations

from pathlib import Path

import click

from fixgateway.cli.output import as_json as json_option
from fixgateway.cli.output import print_fields, print_json, print_table

_MOST_POPULATION_BYTES = 1 << 30
_MOST_PICKS = 100_000
_SHOWN_STEPS = 12

_blotter = click.option("--blotter", metavar="FILE.csv", help="The blotter to work on (docs/forensics.md).")
_records = click.option("--records", metavar="URL", help="Instead: the gateway's address, or its database's URL.")
_plan = click.option("--plan", metavar="FILE.toml", help="The review's plan; the shipped defaults without one.")


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    """Comma-separated numbers between 0 and 1."""
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers like 0.1,0.5") from None
    if not all(0 <= number <= 1 for number in numbers):
        raise click.BadParameter(f"{value!r}: each number is between 0 and 1")
    return numbers


@click.command()
@click.option("--blocks", default=50, show_default=True, type=click.IntRange(2, 100_000), help="Blocks in the period.")
@click.option(
    "--tampered",
    default="0.1,0.2,0.3,0.5,1",
    show_default=True,
    callback=_numbers,
    help="Shares of the blocks that are tampered with.",
)
@click.option(
    "--alpha",
    "alphas",
    default="0.05,0.01,0.001",
    show_default=True,
    callback=_numbers,
    help="Levels at which the test speaks.",
)
@click.option(
    "--due", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="The favoured share that is due."
)
@click.option(
    "--winners", default=0.5, show_default=True, type=click.FloatRange(0, 1), help="The share in tampered winners."
)
@click.option(
    "--losers", default=0.05, show_default=True, type=click.FloatRange(0, 1), help="The share in tampered losers."
)
@click.option("--runs", default=400, show_default=True, type=click.IntRange(1, 1_000_000), help="Simulated periods.")
@click.option(
    "--permutations", default=9_999, show_default=True, type=click.IntRange(1, 10_000_000), help="Permutations in each."
)
@click.option("--seed", default="1", show_default=True, help="The same seed gives the same table.")
@json_option
def power(
    blocks: int, tampered: tuple[float, ...], alphas: tuple[float, ...], due: float, winners: float, losers: float,
    runs: int, permutations: int, seed: str, as_json: bool,
) -> int:  # fmt: skip
    """What favouritism test a1 would see: the chance that it speaks, by simulation and by formula.

    Returns are drawn from Student's t with 4 degrees of freedom; in tampered blocks the favoured share is --winners of
    the block where it rose and --losers where it fell.
    """
    from fixgateway.forensics.power import Scheme, by_formula, simulated

    scheme = Scheme(blocks=blocks, due=due, winners=winners, losers=losers)
    rows = []
    for share in tampered:
        found = simulated(scheme, share, alphas, runs, permutations, seed)
        formula = {f"{alpha:g}": by_formula(scheme, share, alpha) for alpha in alphas}
        rows.append(found.document() | {"by_formula": formula})
    if as_json:
        print_json({"blocks": blocks, "due": due, "winners": winners, "losers": losers, "seed": seed, "power": rows})
        return 0
    names = [f"p <= {alpha:g}" for alpha in alphas]
    shown = [
        {"tampered": f"{row['tampered']:.0%}", "mean benefit": f"{row['mean_benefit']:,}"}
        | {name: f"{row['rejected'][f'{alpha:g}']:.0%}" for name, alpha in zip(names, alphas, strict=True)}
        for row in rows
    ]
    print_table(("tampered", *names, "mean benefit"), shown, f"power of a1 with {blocks} blocks, {runs} runs",
                numbers=("tampered", *names, "mean benefit"))  # fmt: skip
    click.echo("A year of few blocks misses small schemes: the deterministic checks (b, c) are the control.")
    return 0


@click.command()
@_blotter
@_records
@_plan
@click.option(
    "--group", default="union", show_default=True, help="Whose benefit: own, fee, union or a group of the plan."
)
@click.option("--seed", default="", help="Keep it the same from run to run; the plan's SHA-256 without it.")
@json_option
def monitor(blotter: str | None, records: str | None, plan: str | None, group: str, seed: str, as_json: bool) -> int:
    """Watch for favouritism day by day, as often as you like: amber from wealth 20, red from 100.

    A gambler bets on every day with a deviation that it goes with the return. If nobody is favoured, the chance that
    the wealth *ever* reaches 20 is at most 5%, 100 at most 1%. Exits 1 when it is red, 0 otherwise.
    """
    from fixgateway.forensics import plan as plans
    from fixgateway.forensics.findings import Verdict
    from fixgateway.forensics.monitor import monitor_file

    made = plans.load(plan) if plan else plans.default()
    found = monitor_file(_one_of(blotter, records), made, seed, group)
    document = found.document()
    if as_json:
        print_json(document)
    else:
        head = ("verdict", "group", "wealth", "highest", "first_amber", "first_red", "days", "bets", "seed")
        print_fields({name: document[name] for name in head})
        rows = [step | {"wealth": f"{step['wealth']:.3g}"} for step in document["steps"][-_SHOWN_STEPS:]]
        print_table(("day", "bets", "wealth"), rows, "the last days", numbers=("bets", "wealth"))
    return 1 if found.verdict is Verdict.RED else 0


@click.command("audit-sample")
@_blotter
@_records
@click.option("--population", metavar="FILE", help="Instead of a blotter: one item a line.")
@click.option(
    "--of",
    "unit",
    type=click.Choice(("block", "day")),
    default="block",
    show_default=True,
    help="What is picked from a blotter.",
)
@click.option(
    "--value", default="", help="The public random value: a drand round, a NIST beacon pulse, a lottery draw."
)
@click.option("--source", default="", help="Where the value was published, for the record.")
@click.option(
    "--count", default=10, show_default=True, type=click.IntRange(1, _MOST_PICKS), help="How many are picked."
)
@click.option("--committed", default="", metavar="SHA256", help="The population's hash as published before the value.")
@click.option("--commit", is_flag=True, help="Only print the population's hash: publish it before the value exists.")
@json_option
def audit_sample(
    blotter: str | None, records: str | None, population: str | None, unit: str, value: str, source: str, count: int,
    committed: str, commit: bool, as_json: bool,
) -> int:  # fmt: skip
    """Pick blocks (or days) to audit by public randomness, so that nobody can choose them.

    First publish the population's hash (--commit). When the value is published, draw (--value, --committed). Anybody
    with the population and the value finds the same picks.
    """
    from fixgateway.forensics.sample import draw, population_sha256

    items = _lines(Path(population)) if population else _of_blotter(_one_of(blotter, records), unit)
    if commit:
        document = {"population": len(items), "population_sha256": population_sha256(items)}
        print_json(document) if as_json else print_fields(document)
        return 0
    document = draw(items, value, count, committed).document() | {"source": source, "committed": committed}
    if as_json:
        print_json(document)
        return 0
    print_fields({name: document[name] for name in ("value", "source", "population", "population_sha256", "how")})
    print_table(("item", "key"), document["picks"])  # type: ignore[arg-type]
    return 0


def _of_blotter(path: Path, unit: str) -> list[str]:
    """Every block or trade date of a blotter; blocks whose rows cannot be used are picked from as well."""
    from fixgateway.forensics.blotter import read

    found = read(path)
    if unit == "day":
        return [str(day) for day in found.blocks["trade_date"].unique().sort().to_list()]
    names = {str(name) for name in found.blocks["block_id"].to_list()}
    return sorted(names | {problem.block_id for problem in found.problems if problem.block_id})


def _lines(path: Path) -> list[str]:
    from fixgateway.errors import UsageError

    try:
        if path.stat().st_size > _MOST_POPULATION_BYTES:
            raise UsageError(f"{path}: larger than {_MOST_POPULATION_BYTES:,} bytes; draw from parts of it")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def _one_of(blotter: str | None, records: str | None) -> Path:
    """The blotter file, downloaded for the command's time when the records were named."""
    from fixgateway.errors import UsageError

    if bool(blotter) == bool(records):
        raise UsageError("name what to work on: --blotter FILE.csv or --records URL (one of the two)")
    if blotter:
        return Path(blotter)
    from fixgateway.cli.forensics_records import blotter_of

    return blotter_of(str(records))[0]
