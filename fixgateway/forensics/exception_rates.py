"""Test f, exceptions: who has more of them than the rest, and who benefited where there was one.

The listed rates take blocks as independent: they rank and inform. Whether anybody stands out is a permutation of the
exceptions; whether the favoured groups gained in the blocks with one is a permutation of returns like a1's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fixgateway.forensics.amounts import earned, gained, named
from fixgateway.forensics.data import Review
from fixgateway.forensics.dispersion import by_account, exchangeable
from fixgateway.forensics.findings import Finding, Verdict
from fixgateway.forensics.joint import Joint, joint, money_weights
from fixgateway.forensics.rates import Rate, funnel, rates_against_rest, two_by_two

SHOWN = 200
"""Units listed for each kind, the highest shrunken rate first; counts are of all."""
LIMITS = (
    "The listed rates take blocks as independent; they rank, and the permuted p says whether anybody stands out.",
    "A trader's or account's rate is compared with all others'; exposure is the number of its blocks.",
    "Who benefited is asked of the deviations in blocks with an exception, by first-day return.",
)
KINDS = ("trader", "account", "strategy")
"""What rates are compared by. Codes and approvers have no exposure of their own: their outcomes are listed instead."""


def run(review: Review) -> list[Finding]:
    """Exception rates by trader, account and strategy; who benefited in the blocks with one, by code and approver."""
    blocks = review.blocks.with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), (pl.col("exception_code") != "").alias("excepted")
    )
    excepted = blocks.filter(pl.col("excepted"))
    rates = {kind: _rates(review, blocks, kind) for kind in KINDS}
    benefited = _benefited(review, excepted)
    benefits = earned(review, excepted, "d_union") if "d_union" in excepted.columns else {}
    rated = uneven(review, blocks)
    p_rates = None if rated is None else float(rated.result.p.min())
    known = [value for value in (p_rates, benefited.p if benefited else None) if value is not None]
    p = min(1.0, len(known) * min(known)) if known else None
    used = benefited.joint if benefited else rated
    return [
        Finding(
            id="f",
            title="Exceptions: how often, and who benefited",
            verdict=_verdict(review, p, used),
            p=p,
            p_floor=None if used is None else min(1.0, len(known) * used.floor),
            n_blocks=blocks.height,
            groups={name: list(members) for name, members in review.groups.items()},
            n_permutations=0 if used is None else used.n_permutations,
            exact=used is None or used.exact,
            seed=review.seed,
            **gained(review, excepted, benefits),
            strata={} if used is None else used.strata,
            limits=LIMITS,
            details={
                "exceptions": excepted.height,
                "rates": {kind: [rate.document() for rate in found[:SHOWN]] for kind, found in rates.items()},
                "p_rates_adjusted": p_rates,
                "p_benefited": benefited.p if benefited else None,
                "outcomes_by_code": _outcomes(review, blocks, "exception_code"),
                "outcomes_by_approver": _outcomes(review, blocks, "exception_approver"),
            },
            figures={kind: _funnel(found) for kind, found in rates.items() if found},
            power={"text": _power(blocks.height, excepted.height)},
            summary=_words(blocks.height, excepted.height, p_rates, benefited),
        )
    ]


def _rates(review: Review, blocks: pl.DataFrame, kind: str) -> list[Rate]:
    """Blocks with an exception of all blocks, by trader, strategy or account (the rows that deviate carry it)."""
    if kind == "account":
        own = (pl.col("exception_code") != "") & (pl.col("d") != 0)
        rows = named(review, review.rows.select("a", own.alias("excepted")))
        counted = rows.group_by("account").agg(pl.col("excepted").sum().alias("events"), pl.len().alias("exposure"))
    else:
        counted = blocks.group_by(kind).agg(pl.col("excepted").sum().alias("events"), pl.len().alias("exposure"))
    table = {str(name): (int(events), int(exposure)) for name, events, exposure in counted.iter_rows()}
    return rates_against_rest(table)


def uneven(review: Review, blocks: pl.DataFrame) -> Joint | None:
    """Whether a trader's or an account's blocks have more exceptions than chance gives them.

    The exceptions are exchanged between the blocks of a stratum, whole days together, for all traders and accounts
    jointly; so neither days with many exceptions nor strategies with many make anybody look worse. Who alone trades a
    strategy cannot stand out.
    """
    traders = len(review.accounts) - 1 + pl.col("trader").cast(pl.String).rank("dense").cast(pl.Int64)
    rows = pl.concat([blocks.select("b", traders.alias("a")), review.rows.select("b", "a")])
    if not 0 < int(blocks["excepted"].sum()) < blocks.height:
        return None
    index, weights, units, _ = by_account(rows, np.ones(rows.height))
    outcome = blocks["excepted"].to_numpy().astype(np.int64)
    return joint(review, blocks["b"].to_numpy(), outcome, index, weights, "f/rates", (False,) * len(units))


@dataclass(frozen=True, slots=True)
class Benefited:
    """The permutation over the blocks with an exception: p of the union's benefit, one-sided."""

    joint: Joint
    p: float


def _benefited(review: Review, excepted: pl.DataFrame) -> Benefited | None:
    if "d_union" not in excepted.columns:
        return None
    known = excepted.filter(pl.col("r").is_not_null() & (pl.col("source") != "none"))
    pool = exchangeable(review)
    weights = money_weights(known, ["d_union"])
    found = joint(review, pool["b"].to_numpy(), pool["r"].to_numpy(), known["b"].to_numpy(), weights, "f", (False,))
    return None if found is None else Benefited(found, float(found.result.p[0]))


def _verdict(review: Review, p: float | None, used: Joint | None) -> Verdict:
    if review.blocks.is_empty() or (used is not None and used.floor > review.plan.amber):
        return Verdict.INSUFFICIENT
    return Verdict.AMBER if p is not None and p <= review.plan.amber else Verdict.GREEN


def _outcomes(review: Review, blocks: pl.DataFrame, column: str) -> list[dict[str, Any]]:
    """By code or approver: blocks, how often the favoured gained, against all other blocks with a deviation."""
    if "d_union" not in blocks.columns:
        return []
    deviating = blocks.filter((pl.col("d_union") != 0) & pl.col("ret").is_not_null())
    gained = (pl.col("d_union") * pl.col("ret") > 0).sum().alias("gained")
    counted = deviating.group_by(column).agg(pl.len().alias("n"), gained).sort(column)
    hits, trials = int(counted["gained"].sum()), int(counted["n"].sum())
    found = []
    for name, n, wins in counted.filter(pl.col(column) != "").iter_rows():
        compared = two_by_two(wins, n, hits - wins, trials - n)
        found.append({column: name, **compared.document()})
    return sorted(found, key=lambda one: (one["p_greater"], one[column]))[:SHOWN]


def _funnel(rates: list[Rate]) -> dict[str, Any]:
    """Every unit's exposure and rate, and the limits within which chance keeps them."""
    events, exposure = sum(rate.events for rate in rates), sum(rate.exposure for rate in rates)
    overall = events / exposure if exposure else 0.0
    shown = rates[:SHOWN]
    points = [{"name": one.name, "exposure": one.exposure, "rate": one.events / max(1, one.exposure)} for one in shown]
    return {"rate": overall, "points": points, "limits": funnel(overall, [one.exposure for one in shown])}


def _power(blocks: int, exceptions: int) -> str:
    """Rule of thumb of two Poisson counts on the square-root scale: alpha 0.01 two-sided, power 80%, half and half."""
    if exceptions < 2:
        return "fewer than two exceptions: no difference of rates could have been seen"
    half = (exceptions / 2) ** 0.5
    ratio = ((half + 1.71) / max(1e-9, half - 1.71)) ** 2 if half > 1.71 else float("inf")
    if ratio == float("inf"):
        return f"{exceptions} exceptions: even a very uneven rate could have been missed"
    return f"a unit with half of the blocks and {ratio:.1f} times the others' rate would have been seen with 80% power"


def _words(blocks: int, exceptions: int, p_rates: float | None, benefited: Benefited | None) -> str:
    text = f"{exceptions} of {blocks} blocks have an exception"
    if p_rates is not None:
        text += f"; the most uneven rate has p = {p_rates:.2g}, adjusted for all units"
    if benefited:
        text += f"; that the favoured groups gained in them has p = {benefited.p:.2g}"
    return text + "."
