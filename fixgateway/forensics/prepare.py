"""From a blotter and a plan to a :class:`~.data.Review`: window, expected shares, prices, returns, groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import polars as pl

from fixgateway.forensics import columns as c
from fixgateway.forensics import strata
from fixgateway.forensics.blotter import Blotter
from fixgateway.forensics.data import RETURN_UNIT, Problem, Progress, Review, silent
from fixgateway.forensics.expected import COLUMN, MOST, POLICY, RECOMPUTED, SOURCES, Sheet, shares
from fixgateway.forensics.plan import Group, Plan, fixed

ROWS_AT_ONCE = 1 << 20
_LARGEST_R = 1 << 40


def seed_of(plan_sha256: str, data_sha256: str) -> str:
    """The default seed: SHA-256 of the two hashes in hex with a colon between."""
    return hashlib.sha256(f"{plan_sha256}:{data_sha256}".encode()).hexdigest()


def prepare(blotter: Blotter, plan: Plan, seed: str = "", progress: Progress = silent) -> Review:
    """Everything the tests work on; blocks outside the plan's window are left out and noted."""
    notes = _missing(blotter)
    rows, blocks = blotter.rows, blotter.blocks
    rows, blocks = _window(rows, blocks, plan, notes)
    problems = list(blotter.problems)
    scale = blotter.quantity_scale
    finer = _finer(plan, scale)
    if finer > 1:
        scale *= finer
        rows = rows.with_columns(pl.col("intent", "alloc", "expected") * finer)
    rows, blocks = _with_shares(rows, blocks, plan, scale, progress)
    blocks = _with_price(rows, blocks)
    rows, blocks = _without_large(rows, blocks, problems)
    blocks = blocks.with_columns(pl.col("multiplier").fill_null(blotter.multiplier_scale))
    groups = plan.groups
    rows = _with_groups(rows, blotter.accounts, groups)
    blocks = _with_returns(_with_times(blocks))
    blocks = _with_sums(rows, _with_exceptions(rows, blocks), ("union", *(group.name for group in groups)))
    stratum, parts = strata.assign(blocks, plan.strata)
    blocks = blocks.with_columns(pl.Series("stratum", stratum, dtype=pl.Int64))
    first = blocks["trade_date"].min()
    if plan.fixing and plan.start is None and first is not None:
        plan = fixed(plan, plan.fixing, first)  # type: ignore[arg-type]
    _policy_notes(blocks, plan, notes)
    return Review(
        plan=plan, seed=seed or seed_of(plan.sha256, blotter.sha256), data_sha256=blotter.sha256, rows=rows,
        blocks=blocks, accounts=blotter.accounts, groups=_members(rows, blotter.accounts, groups), strata=parts,
        quantity_scale=scale, price_scale=blotter.price_scale, multiplier_scale=blotter.multiplier_scale,
        columns=blotter.columns, problems=tuple(problems), notes=tuple(notes), progress=progress,
    )  # fmt: skip


def _missing(blotter: Blotter) -> list[str]:
    notes = [f"column {name} is missing: {why}" for name, why in c.OPTIONAL.items() if name not in blotter.columns]
    if blotter.unknown:
        notes.append(f"columns not read: {', '.join(blotter.unknown)}")
    if blotter.problems:
        notes.append(
            f"{len(blotter.problems)} rows were not used, {blotter.set_aside} blocks set aside with them; each is "
            "listed with its line and the reason"
        )
    return notes


def _window(
    rows: pl.DataFrame, blocks: pl.DataFrame, plan: Plan, notes: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    inside = pl.lit(True)
    if plan.start:
        inside &= pl.col("trade_date") >= plan.start
    if plan.end:
        inside &= pl.col("trade_date") <= plan.end
    kept = blocks.filter(inside)
    if len(kept) == len(blocks):
        return rows, blocks
    notes.append(f"{len(blocks) - len(kept)} blocks outside the plan's window were left out")
    return _renumbered(rows, kept)


def _renumbered(rows: pl.DataFrame, kept: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Blocks numbered anew, and their rows."""
    kept = kept.rename({"b": "old"}).with_row_index("b").with_columns(pl.col("b").cast(pl.Int64))
    rows = rows.rename({"b": "old"}).join(kept.select("old", "b"), on="old").drop("old")
    return rows.sort("b", "a"), kept.drop("old")


def _finer(plan: Plan, scale: int) -> int:
    """By what the quantity scale must grow so that lot and minimum are whole numbers."""
    if not plan.known_policy:
        return 1
    exponents = [x.normalize().as_tuple().exponent for x in (plan.lot, plan.minimum)]
    digits = [-exponent for exponent in exponents if isinstance(exponent, int)]
    need = int(Decimal(10) ** max(0, *digits))
    return max(1, need // scale)


# ---------------------------------------------------------------- expected shares


def _with_shares(
    rows: pl.DataFrame, blocks: pl.DataFrame, plan: Plan, scale: int, progress: Progress
) -> tuple[pl.DataFrame, pl.DataFrame]:
    per_row: list[pl.DataFrame] = []
    per_block: list[pl.DataFrame] = []
    for part, some in _parts(rows, blocks):
        found = shares(_sheet(part, some, plan), plan, scale)
        per_row.append(pl.DataFrame({"star": found.star, "d": found.d, "exact": found.exact}))
        per_block.append(
            pl.DataFrame(
                {
                    "den": found.den, "eden": found.eden, "source": found.source, "large": found.large,
                    "filled": found.filled, "intended": found.intended,
                }
            )
        )  # fmt: skip
        progress("expected shares", int(some["b"][-1] + 1) / len(blocks))
    if not per_row:
        found = shares(_sheet(rows, blocks, plan), plan, scale)
        per_row.append(pl.DataFrame({"star": found.star, "d": found.d, "exact": found.exact}))
        schema = dict.fromkeys(("den", "eden", "source", "filled", "intended"), pl.Int64)
        per_block.append(pl.DataFrame(schema={**schema, "large": pl.Boolean}))
    rows = rows.hstack(pl.concat(per_row))
    blocks = blocks.hstack(pl.concat(per_block))
    intended = pl.col("intended")
    source = pl.col("source")
    blocks = blocks.with_columns(
        pl.when(intended >= 0).then(intended).alias("intended"),
        (intended > 0).alias("statement"),
        (source.is_in([COLUMN, POLICY])).alias("known_policy"),
        source.replace_strict(dict(enumerate(SOURCES)), return_dtype=pl.String).alias("source"),
    )
    stated = blocks.select("b", stated=pl.col("statement"))
    rows = rows.join(stated, on="b", maintain_order="left").with_columns(
        pl.when(pl.col("stated")).then(pl.col("exact")).alias("exact")
    )
    return rows.drop("stated"), blocks


def _parts(rows: pl.DataFrame, blocks: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Whole blocks with about ROWS_AT_ONCE rows at a time."""
    of = rows["b"].to_numpy()
    start = 0
    while start < len(rows):
        end = min(start + ROWS_AT_ONCE, len(rows))
        if end < len(rows):
            end = int(np.searchsorted(of, of[end - 1], side="right"))
        yield rows[start:end], blocks[int(of[start]) : int(of[end - 1]) + 1]
        start = end


def _sheet(rows: pl.DataFrame, blocks: pl.DataFrame, plan: Plan) -> Sheet:
    of = rows["b"].to_numpy()
    of = of - (of[0] if len(of) else 0)
    first = np.searchsorted(of, np.arange(len(blocks)))
    classes = rows["account_class"].cast(pl.String)
    tiers = {name: place for place, names in enumerate(plan.tiers) for name in names}
    tier = classes.replace_strict(tiers, default=len(plan.tiers), return_dtype=pl.Int64)
    return Sheet(
        first=first, of=of, account=rows["a"].to_numpy(), intent=rows["intent"].fill_null(-1).to_numpy(),
        alloc=rows["alloc"].to_numpy(), expected=rows["expected"].fill_null(-1).to_numpy(),
        error=(classes == "error").to_numpy(), tier=tier.to_numpy(), method=blocks["method"].to_list(),
    )  # fmt: skip


def _without_large(
    rows: pl.DataFrame, blocks: pl.DataFrame, problems: list[Problem]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    large = blocks.filter(pl.col("large"))
    if not len(large):
        return rows, blocks.drop("large")
    for line, block in large.select("line", "block_id").iter_rows():
        problems.append(Problem(line, block, "its quantities are too large to be divided exactly; block set aside"))
    return _renumbered(rows, blocks.filter(~pl.col("large")).drop("large")) if len(large) else (rows, blocks)


def _policy_notes(blocks: pl.DataFrame, plan: Plan, notes: list[str]) -> None:
    if plan.method and plan.method not in RECOMPUTED:
        notes.append(
            f"method {plan.method} needs turns, limits or times of receipt that a blotter does not have: expected "
            "shares are column expected_qty where it is filled, else the exact shares"
        )
    counts = dict(blocks.group_by("source").len().iter_rows())
    words = {
        "policy": "recomputed by the policy", "column": "taken from column expected_qty",
        "exact": "the exact share of the statement", "none": "not known (no statement)",
    }  # fmt: skip
    said = [f"{counts[name]} {text}" for name, text in words.items() if counts.get(name)]
    if said:
        notes.append(f"expected shares by block: {', '.join(said)}")


# ---------------------------------------------------------------- what a block cost and when


def _with_price(rows: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """The block's average price as an exact ratio, and whether all accounts have the same."""
    priced = rows.filter(pl.col("price").is_not_null())
    amount = pl.col("price").cast(pl.Float64) * pl.col("alloc").cast(pl.Float64)
    traded = pl.col("alloc") > 0
    found = priced.group_by("b").agg(
        pl.col("price").first().alias("any_price"),
        pl.col("price").filter(traded).min().alias("low"),
        pl.col("price").filter(traded).max().alias("high"),
        (pl.col("price") * pl.col("alloc")).sum().alias("amount"),
        amount.sum().alias("about"),
    )
    blocks = blocks.join(found, on="b", how="left", maintain_order="left")
    one = (pl.col("low") == pl.col("high")).fill_null(True)
    blocks = blocks.with_columns(
        one.alias("one_price"),
        (pl.col("large") | ((pl.col("about") >= MOST) & ~one).fill_null(False)).alias("large"),
        pl.when(one).then(pl.coalesce("low", "any_price")).otherwise(pl.col("amount")).alias("price"),
        pl.when(one).then(1).otherwise(pl.col("filled")).cast(pl.Int64).alias("price_den"),
    )
    top, bottom = blocks["price"].fill_null(0).to_numpy(), blocks["price_den"].to_numpy()
    common = np.maximum(np.gcd(top, bottom), 1)
    common = np.where(bottom == 1, 1, common)
    known = blocks["price"].is_not_null()
    blocks = blocks.with_columns(
        pl.Series("price", top // common), pl.Series("price_den", bottom // common)
    ).with_columns(pl.when(known).then(pl.col("price")).alias("price"))
    return blocks.drop("any_price", "low", "high", "amount", "about")


def _with_times(blocks: pl.DataFrame) -> pl.DataFrame:
    """Which statements were surely there before their order."""
    gap = pl.col("released_ns") - pl.col("captured_ns")
    offset = pl.col("offset_us").fill_null(0) * 1000
    why = (
        pl.when(~pl.col("statement")).then(pl.lit("no statement"))
        .when(gap.is_null()).then(pl.lit("no times"))
        .when(gap.abs() < offset).then(pl.lit("unresolved"))
        .when(gap <= 0).then(pl.lit("late"))
        .otherwise(pl.lit(""))
    )  # fmt: skip
    return blocks.with_columns(why.alias("why_not")).with_columns(
        (pl.col("why_not") == "").alias("in_time"),
        pl.col("trade_date").cast(pl.Int32).cast(pl.Int64).alias("day"),
        pl.col("side").replace_strict(dict(c.SIGNS), return_dtype=pl.Int64).alias("sign"),
    )


def _with_returns(blocks: pl.DataFrame) -> pl.DataFrame:
    def ret(name: str) -> pl.Expr:
        over = pl.col(name).cast(pl.Float64) * pl.col("price_den").cast(pl.Float64) - pl.col("price")
        return pl.when((pl.col("price") > 0) & (pl.col("filled") > 0)).then(pl.col("sign") * over / pl.col("price"))

    blocks = blocks.with_columns(ret("close").alias("ret"), ret("mark").alias("ret_mark"))
    whole = [
        (pl.col(name) * RETURN_UNIT).round().clip(-_LARGEST_R, _LARGEST_R).cast(pl.Int64).alias(short)
        for name, short in (("ret", "r"), ("ret_mark", "r_mark"))
    ]
    return blocks.with_columns(whole)


def _with_exceptions(rows: pl.DataFrame, blocks: pl.DataFrame) -> pl.DataFrame:
    """The first exception a row of the block has."""
    texts = ("exception_code", "exception_approver", "exception_text")
    some = rows.select("b", *(pl.col(name).cast(pl.String) for name in texts), "exception_ns", "approved_ns")
    some = some.filter(pl.any_horizontal(*(pl.col(name) != "" for name in texts)))
    first = some.group_by("b", maintain_order=True).first()
    blocks = blocks.join(first, on="b", how="left", maintain_order="left")
    return blocks.with_columns(pl.col(name).fill_null("") for name in texts)


# ---------------------------------------------------------------- groups


def _with_groups(rows: pl.DataFrame, accounts: tuple[str, ...], groups: tuple[Group, ...]) -> pl.DataFrame:
    found = [_belongs(group, accounts).alias(f"g_{group.name}") for group in groups]
    rows = rows.with_columns(found)
    union = pl.any_horizontal(*(pl.col(f"g_{group.name}") for group in groups))
    return rows.with_columns(union.alias("g_union"))


def _belongs(group: Group, accounts: tuple[str, ...]) -> pl.Expr:
    fits = pl.lit(False)
    if group.accounts:
        fits |= pl.col("a").is_in([i for i, name in enumerate(accounts) if name in group.accounts])
    for name, words in (("account_class", group.classes), ("fee", group.fees), ("owner", group.owners)):
        if words:
            fits |= pl.col(name).cast(pl.String).is_in(sorted(words))
    if group.rate is not None:
        fits |= pl.col("fee_rate").cast(pl.String).cast(pl.Float64, strict=False).fill_null(-1.0) >= float(group.rate)
    return fits


def _members(
    rows: pl.DataFrame, accounts: tuple[str, ...], groups: tuple[Group, ...]
) -> dict[str, tuple[str, ...]]:
    names = (*(group.name for group in groups), "union")
    return {
        name: tuple(accounts[a] for a in rows.filter(pl.col(f"g_{name}"))["a"].unique().sort().to_list())
        for name in names
    }


def _with_sums(rows: pl.DataFrame, blocks: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    sums = [
        pl.col(value).filter(pl.col(f"g_{name}")).sum().alias(f"{short}_{name}")
        for name in names
        for short, value in (("d", "d"), ("star", "star"), ("x", "alloc"))
    ]
    found = rows.group_by("b").agg(sums)
    return blocks.join(found, on="b", how="left", maintain_order="left")


