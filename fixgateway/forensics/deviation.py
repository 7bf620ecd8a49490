"""Test b, deviation from policy: first every block computed again, then sign flips for accounts that lean one way.

The first needs no statistics: whoever gains, an allocation that is not the policy's and has no approved exception is a
breach. The second asks whether an account's deviations go one way more than the flips of whole days explain.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from fixgateway.forensics.amounts import approved, earned, gained, named, units
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Finding, Verdict
from fixgateway.forensics.signflip import day_sums, sign_flip, smallest_p
from fixgateway.forensics.stepdown import Floats, StepDown, generator

LISTED = 500
"""Rows that are listed; counts are of all."""
_CELLS = 50_000_000_000
_FEWEST = 999
LIMITS = (
    "The recomputation shows that an allocation is not the policy's, not why.",
    "Sign flips take the deviations of different days as independent, and as likely up as down if nobody leans.",
)
_UNKNOWN = "Blocks without a known policy are compared with the exact share; less than one lot is no breach there."


def run(review: Review) -> list[Finding]:
    """Breaches of the policy, approved or not, and the accounts whose deviations lean one way."""
    rows = deviating(review)
    judged = review.blocks.filter(pl.col("source") != "none").height
    if not judged:
        return [_nothing(review)]
    blocks = _blocks(review, rows)
    open_ = blocks.filter(~pl.col("approved")).height
    table, accounts = matrix(review, rows)
    flips = _flips(review, table)
    verdict = Verdict.RED if open_ else Verdict.AMBER if blocks.height else Verdict.GREEN
    benefits = earned(review, blocks, "d_union") if "d_union" in blocks.columns else {}
    p = None if flips is None else float(flips.p.min())
    return [
        Finding(
            id="b",
            title="Deviation from policy",
            verdict=verdict,
            p=p,
            p_floor=None if flips is None else max(flips.floor, smallest_p(len(table))),
            n_blocks=judged,
            groups={name: list(members) for name, members in review.groups.items()},
            n_permutations=0 if flips is None or flips.exact else flips.n,
            exact=flips is None or flips.exact,
            seed=review.seed,
            **gained(review, blocks, benefits),
            limits=(*LIMITS, _UNKNOWN) if _some_unknown(review) else LIMITS,
            details={
                "breaches": blocks.height,
                "without_approved_exception": open_,
                "approved_late": _late_approvals(blocks),
                "rows": _listed(review, rows, blocks),
                "accounts": _leaning(table, accounts, flips),
            },
            power={"text": _power(review), "power": 1.0},
            primary=True,
            summary=_words(judged, blocks.height, open_, p),
        )
    ]


def deviating(review: Review) -> pl.DataFrame:
    """The rows whose allocation is not the expected one: by anything under a known policy, else by a lot or more."""
    facts = review.blocks.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "block_id", "den", "filled", "known_policy", "source", "day"
    )
    lot = lot_units(review)
    found = (
        review.rows.select("b", "a", "line", "alloc", "d", "star")
        .filter(pl.col("d") != 0)
        .join(facts, on="b")
        .filter(pl.col("source") != "none")
        .filter(pl.col("known_policy") | (pl.col("d").abs() >= pl.col("den") * lot))
        .sort("b", "a")
    )
    return named(review, found)


def lot_units(review: Review) -> int:
    """The plan's lot as a whole number of 1/quantity_scale; 1 unit where the plan names none."""
    return max(1, int(Fraction(review.plan.lot) * review.quantity_scale))


def matrix(review: Review, rows: pl.DataFrame) -> tuple[Floats, list[str]]:
    """Deviations as shares of their blocks, added up by day (rows) and account (columns); only what deviates."""
    indexes, column = np.unique(rows["a"].to_numpy(), return_inverse=True)
    days, day = np.unique(rows["day"].to_numpy(), return_inverse=True)
    share = rows["d"].to_numpy() / (rows["den"].to_numpy() * np.maximum(1, rows["filled"].to_numpy()))
    table = np.zeros((len(days), len(indexes)))
    np.add.at(table, (day, column), share)
    kept = day_sums(table, np.arange(len(days), dtype=np.int64))
    return kept, [review.accounts[int(index)] for index in indexes]


def _flips(review: Review, table: Floats) -> StepDown | None:
    if not table.size:
        return None
    affordable = max(_FEWEST, _CELLS // table.size)
    return sign_flip(table, generator(review.seed, "b"), min(review.plan.permutations, affordable))


def _blocks(review: Review, rows: pl.DataFrame) -> pl.DataFrame:
    """The blocks that deviate, and whether an approved exception stands beside each."""
    numbered = review.blocks.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("b"))
    return numbered.join(rows.select("b").unique(), on="b", how="semi").with_columns(approved(review).alias("approved"))


def _late_approvals(blocks: pl.DataFrame) -> int:
    return blocks.filter(pl.col("approved") & (pl.col("approved_ns") > pl.col("allocated_ns"))).height


def _listed(review: Review, rows: pl.DataFrame, blocks: pl.DataFrame) -> list[dict[str, Any]]:
    """The first rows that deviate, quantities as exact text."""
    wanted = rows.head(LISTED).join(blocks.select("b", "approved", "exception_code"), on="b", how="left")
    return [
        {
            "line": row["line"], "block_id": row["block_id"], "account": row["account"],
            "allocated": units(review, row["alloc"]), "expected": units(review, row["star"], row["den"]),
            "deviation": units(review, row["d"], row["den"]), "exception_code": row["exception_code"],
            "approved": row["approved"],
        }
        for row in wanted.iter_rows(named=True)
    ]  # fmt: skip


def _leaning(table: Floats, accounts: list[str], flips: StepDown | None) -> list[dict[str, Any]]:
    """Each deviating account: its deviations added up in blocks' shares, and p, adjusted for all accounts."""
    if flips is None:
        return []
    sums = table.sum(axis=0)
    found = [
        {"account": name, "sum_of_shares": float(sums[i]), "p": float(flips.p_single[i]), "p_adj": float(flips.p[i])}
        for i, name in enumerate(accounts)
    ]
    return sorted(found, key=lambda one: (one["p_adj"], one["p"], one["account"]))[:LISTED]


def _some_unknown(review: Review) -> bool:
    return review.blocks.filter((pl.col("source") != "none") & ~pl.col("known_policy")).height > 0


def _power(review: Review) -> str:
    if _some_unknown(review):
        return "every deviation of one lot or more is seen; smaller ones only where the policy is known"
    return "every deviation is seen, whatever its size"


def _nothing(review: Review) -> Finding:
    return Finding(
        id="b",
        title="Deviation from policy",
        verdict=Verdict.INSUFFICIENT,
        seed=review.seed,
        limits=("No block has a pre-trade statement or an expected quantity, so there is nothing to compare with.",),
        primary=True,
        summary="There is no statement and no expected quantity to compare the allocations with.",
    )


def _words(judged: int, breaches: int, open_: int, p: float | None) -> str:
    if not breaches:
        return f"All {judged} blocks were allocated as computed again."
    lean = f"; the account that leans most has p = {p:.2g}, adjusted for all accounts" if p is not None else ""
    return f"{breaches} of {judged} blocks deviate, {open_} of them without an approved exception{lean}."
