"""Test d, remainder bias: who got the odd lots that no exact share gives, and did they go with the outcome?

An account's *extra* is the lot it got above the whole lots of its exact share. Three questions: were ties of a seeded
policy drawn evenly (exact distribution), do extras go with returns (somebody may choose which orders to split), and
what did rounding add up to for each account, in units and in money.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fixgateway.core.model import Ties
from fixgateway.forensics import moneys
from fixgateway.forensics.amounts import units
from fixgateway.forensics.data import Review
from fixgateway.forensics.deviation import lot_units
from fixgateway.forensics.dispersion import by_account, exchangeable
from fixgateway.forensics.findings import Finding, Verdict, money
from fixgateway.forensics.joint import Joint, joint, money_weights
from fixgateway.forensics.rates import poisson_binomial, two_sided

SHOWN = 500
SUMMED_ROWS = 2_000_000
"""Up to so many rounded rows the accounts' sums in units and money are worked out."""
_SAFE = 1 << 62
LIMITS = (
    "Only partial fills whose rounding stays within a lot of the exact share are looked at; more is test b.",
    "z by fractions is right only for a policy that rounds at random; for largest remainders it is information.",
    "Draws of ties are taken as independent of each other, which a seed for each statement gives.",
)


def run(review: Review) -> list[Finding]:
    """Ties drawn evenly, extras against returns, and what rounding added up to."""
    rows = rounded(review)
    if not rows.height:
        return [_none(review)]
    drawn = lots_drawn(rows) if review.plan.ties in ("", str(Ties.SEEDED)) else rows.head(0)
    lottery = _lottery(review, drawn)
    against, numbers = _against_returns(review, rows)
    p_ties = min(1.0, min((one["p"] for one in lottery), default=1.0) * max(1, len(lottery)))
    p_returns = None if against is None else float(against.result.p.min())
    p = min(1.0, 2 * min(p_ties, 1.0 if p_returns is None else p_returns))
    return [
        Finding(
            id="d",
            title="Remainder bias",
            verdict=_verdict(review, p, lottery, against),
            p=p,
            p_floor=None if against is None else min(1.0, 2 * against.floor),
            n_blocks=rows["b"].n_unique(),
            n_permutations=0 if against is None else against.n_permutations,
            exact=against is None or against.exact,
            seed=review.seed,
            strata={} if against is None else against.strata,
            limits=LIMITS,
            details={
                "ties_drawn": lottery[:SHOWN],
                "p_ties_adjusted": p_ties if lottery else None,
                "p_extras_with_returns": p_returns,
                "accounts": _accounts(review, rows, against, numbers),
            },
            power={"text": _power(rows)},
            summary=_words(rows, lottery, p_ties, p_returns),
        )
    ]


def rounded(review: Review) -> pl.DataFrame:
    """The rows of partial fills that were rounded by less than a lot: whole lots, fraction and extra of each.

    ``rest`` is the fraction of a lot as numerator over ``whole`` (denominator of a lot), ``extra`` 1 or 0, ``off`` what
    the allocation is above the exact share as numerator over ``eden``.
    """
    lot = lot_units(review)
    facts = review.blocks.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "eden", "filled", "intended", "price", "price_den", "close",
        "sign", "multiplier", "currency", "r", "day",
    ).filter(
        (pl.col("filled") < pl.col("intended")) & (pl.col("filled") % lot == 0) & (pl.col("eden") < _SAFE // lot)
    )  # fmt: skip
    whole = pl.col("eden") * lot
    held = (
        review.rows.select("b", "a", "alloc", "exact")
        .filter(pl.col("exact").is_not_null() & (pl.col("alloc") < _SAFE))
        .join(facts, on="b")
        .filter(pl.col("alloc").cast(pl.Float64) * pl.col("eden") < float(_SAFE))
        .with_columns(whole.alias("whole"), (pl.col("exact") % whole).alias("rest"))
        .with_columns((pl.col("alloc") * pl.col("eden") - pl.col("exact")).alias("off"))
        .with_columns((pl.col("off") > 0).cast(pl.Int64).alias("extra"))
    )
    inside = (pl.col("off").abs() < pl.col("whole")).all().over("b")
    return held.filter(inside & (pl.col("rest") > 0).any().over("b")).sort("b", "a")


def lots_drawn(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that stood in a draw: equal fractions, of which the remaining lots were enough for some only.

    Only blocks that are otherwise as largest remainders have them: higher fractions all got a lot, lower ones none.
    ``chance`` is each such row's chance of the lot.
    """
    lacks, has = pl.col("rest").filter(pl.col("extra") == 0), pl.col("rest").filter(pl.col("extra") == 1)
    proper = (lacks.max().over("b") <= has.min().over("b")) & (pl.col("rest") > 0)
    of_tie = ["b", "rest"]
    got, stood = pl.col("extra").sum().over(of_tie), pl.len().over(of_tie)
    return (
        rows.filter(proper.fill_null(False))
        .with_columns((got / stood).alias("chance"))
        .filter((pl.col("chance") > 0) & (pl.col("chance") < 1))
    )


def _verdict(review: Review, p: float, lottery: list[dict[str, Any]], against: Joint | None) -> Verdict:
    if p <= review.plan.amber:
        return Verdict.AMBER
    blind = not lottery and (against is None or against.floor > review.plan.amber)
    return Verdict.INSUFFICIENT if blind else Verdict.GREEN


def _lottery(review: Review, drawn: pl.DataFrame) -> list[dict[str, Any]]:
    """Each account's draws: how many, won, expected, z and exact two-sided p; most remarkable first."""
    found = []
    for (a,), mine in sorted(drawn.partition_by("a", as_dict=True).items()):
        chances, won = mine["chance"].to_numpy(), int(mine["extra"].sum())
        expected, spread = float(chances.sum()), float((chances * (1 - chances)).sum()) ** 0.5
        p = two_sided(*poisson_binomial(chances, won))
        z = (won - expected) / spread
        found.append(
            {"account": review.accounts[a], "draws": len(chances), "won": won, "expected": expected, "z": z}
            | {"p": max(p, 5e-324)}
        )
    return sorted(found, key=lambda one: (one["p"], one["account"]))


def _against_returns(review: Review, rows: pl.DataFrame) -> tuple[Joint | None, list[int]]:
    """What rounding gave each account, in money, against returns: joint permutation, step-down over accounts."""
    known = rows.filter(pl.col("r").is_not_null())
    if not known.height:
        return None, []
    index, weights, numbers, _ = by_account(known, money_weights(known, ["off"], "eden")[:, 0])
    pool = exchangeable(review)
    found = joint(review, pool["b"].to_numpy(), pool["r"].to_numpy(), index, weights, "d", (True,) * len(numbers))
    return found, numbers


def _accounts(review: Review, rows: pl.DataFrame, against: Joint | None, numbers: list[int]) -> list[dict[str, Any]]:
    """Each account: extras against its fractions, cumulative rounding in units and in money, p against returns."""
    place = {number: i for i, number in enumerate(numbers)}
    fraction = pl.col("rest") / pl.col("whole")
    counted = rows.group_by("a").agg(
        pl.col("extra").sum(), fraction.sum().alias("f"), (fraction * (1 - fraction)).sum().sqrt().alias("spread")
    )
    found = []
    for a, extras, expected, spread in counted.sort("a").head(SHOWN).iter_rows():
        i = place.get(a, -1)
        z = (extras - expected) / spread if spread else None
        found.append(
            {"account": review.accounts[a], "extras": extras, "sum_of_fractions": expected, "z_if_rounded_at_random": z}
            | (_summed(review, rows.filter(pl.col("a") == a)) if rows.height <= SUMMED_ROWS else {})
            | {"p_with_returns": None if against is None or i < 0 else float(against.result.p[i])}
        )
    return found


def _summed(review: Review, mine: pl.DataFrame) -> dict[str, Any]:
    """What rounding added up to for an account: exact units, exact money by currency."""
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    total = moneys.exact_sum([mine["off"].to_numpy()], [mine["eden"].to_numpy()])
    value = moneys.by_currency(mine.filter(pl.col("price").is_not_null()), "off", "eden", "gain", scale)
    return {
        "cumulative": units(review, total.numerator, total.denominator),
        "value": {currency: money(amount) for currency, amount in value.items()},
    }


def _none(review: Review) -> Finding:
    judged = review.blocks.filter(pl.col("intended").is_not_null()).height
    return Finding(
        id="d",
        title="Remainder bias",
        verdict=Verdict.GREEN if judged else Verdict.INSUFFICIENT,
        p=1.0 if judged else None,
        n_blocks=0,
        exact=True,
        seed=review.seed,
        limits=LIMITS,
        power={"text": "no remainder was divided, so none could be given to anybody", "power": 1.0} if judged else None,
        summary="No block left a remainder to divide." if judged else "No statements, so no remainders are known.",
    )


def _power(rows: pl.DataFrame) -> str:
    """Extras of the account with the most fractions that a two-sided z at 0.01 would have seen with power 80%."""
    fraction = pl.col("rest") / pl.col("whole")
    spread = rows.group_by("a").agg((fraction * (1 - fraction)).sum().sqrt().alias("s"))["s"].max()
    size = (2.576 + 0.842) * float(spread or 0)  # type: ignore[arg-type]
    return f"about {np.ceil(size):.0f} lots too many or too few of one account would have been seen with 80% power"


def _words(rows: pl.DataFrame, lottery: list[dict[str, Any]], p_ties: float, p_returns: float | None) -> str:
    text = f"{rows['b'].n_unique()} blocks left odd lots"
    if lottery:
        text += f"; ties drawn: p = {p_ties:.2g}, adjusted for {len(lottery)} accounts"
    if p_returns is not None:
        text += f"; odd lots against returns: p = {p_returns:.2g}"
    return text + "."
