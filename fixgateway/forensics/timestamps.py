"""Test c, timestamps: was everything written down when it had to be, and does lateness go with the outcome?

The first half needs no chance. A statement captured after release, or changed between the first fill and the
allocation without an approved exception, is a breach. A late allocation is amber by itself; late *and* associated
with who won is what the second half looks for. A gap smaller than the clocks' offset is undecided, not passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fixgateway.forensics.amounts import approved
from fixgateway.forensics.data import Review
from fixgateway.forensics.findings import Finding, Verdict
from fixgateway.forensics.joint import Joint, joint
from fixgateway.forensics.rates import TwoByTwo, two_by_two

LISTED = 500
"""Blocks that are listed; counts are of all."""
NS_A_MINUTE = 60_000_000_000
_NS_A_MICROSECOND = 1_000
LIMITS = (
    "Times are taken as the blotter gives them; a forged time is not seen here.",
    "Lateness runs from completed_at, else from last_fill_at.",
    "Association does not show why an allocation was late; news may delay and move prices alike.",
)

KINDS = {
    "captured_late": "statement captured after release",
    "undecided": "captured and released closer than the clocks' offset",
    "changed": "statement changed between first fill and allocation",
    "late": "allocated later than the limit after completion",
    "late_undecided": "closer to the limit than the clocks' offset",
    "memo_late": "exception written down after the allocation",
    "approval_late": "exception approved after the allocation",
    "untimed": "times missing",
}
"""What can be wrong with a block's times, in words."""
_BREACHES, _AMBERS, _UNDECIDED = ("captured_late", "changed"), ("late", "memo_late", "approval_late"), ("undecided",)


def run(review: Review) -> list[Finding]:
    """Times out of order, late allocations, and whether late goes with won."""
    blocks = judged(review)
    counts = {kind: int(blocks[kind].sum()) for kind in KINDS}
    unapproved = {kind: int((blocks[kind] & ~blocks["approved"]).sum()) for kind in KINDS}
    association = _association(review, blocks)
    return [
        Finding(
            id="c",
            title="Timestamps",
            verdict=_verdict(review, blocks, counts, unapproved, association),
            p=association.p if association else None,
            p_floor=association.joint.floor if association else None,
            n_blocks=blocks.height - counts["untimed"],
            n_permutations=association.joint.n_permutations if association else 0,
            exact=association.joint.exact if association else True,
            seed=review.seed,
            strata=association.joint.strata if association else {},
            limits=LIMITS,
            details=_details(review, blocks, counts, unapproved, association),
            power={"text": "every time out of order and every late allocation is seen", "power": 1.0},
            primary=True,
            summary=_words(counts, association),
        )
    ]


def judged(review: Review) -> pl.DataFrame:
    """The blocks with a yes/no column for each of :data:`KINDS`, minutes of lateness, and ``won`` (favoured winner)."""
    offset = pl.col("offset_us").fill_null(0) * _NS_A_MICROSECOND
    lead = pl.col("released_ns") - pl.col("captured_ns")
    due = pl.coalesce("completed_ns", "last_fill_ns")
    limit = int(review.plan.late_minutes * NS_A_MINUTE)
    over = pl.col("allocated_ns") - due - limit
    started = pl.coalesce("first_fill_ns", "released_ns")
    stated = pl.col("statement")
    no = pl.lit(False)
    return (
        review.blocks.with_columns(
            pl.int_range(pl.len(), dtype=pl.Int64).alias("b"),
            approved(review).fill_null(False).alias("approved"),
            (stated & (lead.abs() >= offset) & (lead <= 0)).alias("captured_late"),
            (stated & (lead.abs() < offset)).alias("undecided"),
            ((pl.col("changed_ns") > started) & (pl.col("changed_ns") <= pl.col("allocated_ns"))).alias("changed"),
            ((over >= offset) & (over > 0)).alias("late"),
            (over.abs() < offset).alias("late_undecided"),
            (pl.col("exception_ns") > pl.col("allocated_ns")).alias("memo_late"),
            (pl.col("approved_ns") > pl.col("allocated_ns")).alias("approval_late"),
            (due.is_null() | pl.col("allocated_ns").is_null()).alias("untimed"),
            ((pl.col("allocated_ns") - due) / NS_A_MINUTE).alias("minutes"),
            won(review).alias("won"),
        )
        .with_columns(pl.col(kind).fill_null(no) for kind in (*KINDS, "won"))
    )


def limit_minutes(review: Review) -> float:
    """How long after completion an allocation is late: the plan's, else an hour."""
    return float(review.plan.late_minutes)


def won(review: Review) -> pl.Expr:
    """Whether the union of the groups came off well: more than due of a winner or less than due of a loser.

    Without a statement what was due is not known, and the mean share in the stratum stands for it.
    """
    if "d_union" not in review.blocks.columns:
        return pl.lit(False)
    share = pl.col("x_union") / pl.max_horizontal(pl.col("filled"), 1)
    above_mean = share - share.mean().over("stratum")
    return pl.when(pl.col("source") != "none").then(pl.col("d_union") * pl.col("ret")).otherwise(
        above_mean * pl.col("ret")
    ) > 0  # fmt: skip


@dataclass(frozen=True, slots=True)
class Association:
    """Lateness against the block's return (two-sided) and against the favoured having won (one-sided).

    ``p`` is the smaller of the two, adjusted for both; ``fisher`` the companion that takes blocks as independent.
    """

    joint: Joint
    p: float
    p_return: float
    p_won: float
    fisher: TwoByTwo


def _association(review: Review, blocks: pl.DataFrame) -> Association | None:
    known = blocks.filter(~pl.col("untimed") & pl.col("r").is_not_null())
    late = known["late"].to_numpy().astype(np.int64)
    if not 0 < late.sum() < len(late):
        return None
    won_ = known["won"].to_numpy().astype(np.int64)
    weights, pool = np.column_stack([known["r"].to_numpy(), won_]), known["b"].to_numpy()
    found = joint(review, pool, late, pool, weights, "c", two_sided=(True, False))
    if found is None:
        return None
    hits, other_hits = int((late * won_).sum()), int(((1 - late) * won_).sum())
    fisher = two_by_two(hits, int(late.sum()), other_hits, int((1 - late).sum()))
    p_return, p_won = map(float, found.result.p)
    return Association(found, min(p_return, p_won), p_return, p_won, fisher)


def _verdict(
    review: Review,
    blocks: pl.DataFrame,
    counts: dict[str, int],
    unapproved: dict[str, int],
    association: Association | None,
) -> Verdict:
    if any(unapproved[kind] for kind in _BREACHES) or (association and association.p <= review.plan.red):
        return Verdict.RED
    amber = any(counts[kind] for kind in (*_BREACHES, *_AMBERS))
    if amber or (association and association.p <= review.plan.amber):
        return Verdict.AMBER
    undecided = any(counts[kind] for kind in (*_UNDECIDED, "late_undecided"))
    return Verdict.INSUFFICIENT if undecided or counts["untimed"] == blocks.height else Verdict.GREEN


def _details(
    review: Review,
    blocks: pl.DataFrame,
    counts: dict[str, int],
    unapproved: dict[str, int],
    association: Association | None,
) -> dict[str, Any]:
    listed = blocks.filter(pl.any_horizontal(kind for kind in KINDS if kind != "untimed")).head(LISTED)
    found: dict[str, Any] = {
        "limit_minutes": limit_minutes(review),
        "counts": [
            {"kind": kind, "meaning": words, "blocks": counts[kind], "without_approved_exception": unapproved[kind]}
            for kind, words in KINDS.items()
        ],
        "blocks": [
            {
                "block_id": row["block_id"],
                "minutes": None if row["minutes"] is None else round(row["minutes"], 3),
                "kinds": [kind for kind in KINDS if row[kind]],
                "approved": row["approved"],
            }
            for row in listed.iter_rows(named=True)
        ],
    }
    if association:
        found["association"] = {
            "p_with_return": association.p_return,
            "p_with_favoured_won": association.p_won,
            "fisher_late_by_favoured_won": association.fisher.document(),
        }
    return found


def _words(counts: dict[str, int], association: Association | None) -> str:
    wrong = [f"{counts[kind]} blocks: {words}" for kind, words in KINDS.items() if counts[kind]]
    text = "; ".join(wrong) if wrong else "All times are in order"
    if association:
        text += f"; lateness against outcome p = {association.p:.2g}"
    return text + "."
