"""Test g, round trips: bought and sold on one day, and whose the winning ones were.

A round trip is what one account bought and sold of one symbol on one trade date. Who may allocate both legs after the
second one is filled knows the result; with a statement before each leg nobody does. Secondary: it informs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from fixgateway.forensics.amounts import named
from fixgateway.forensics.data import RETURN_UNIT, Review
from fixgateway.forensics.findings import Finding, Verdict
from fixgateway.forensics.joint import Joint, permuted
from fixgateway.forensics.rates import two_by_two

SHOWN = 500
LIMITS = (
    "Confounded unless participation was fixed before execution: who day-trades more may also day-trade better.",
    "Only what was bought and sold on one trade date is looked at, by average prices.",
)
_CEILING = 100 * RETURN_UNIT


def run(review: Review) -> list[Finding]:
    """The union's share of round trips against their return, permuted within strategy by days."""
    accounts = trips(review)
    if not accounts.height:
        return [_none(review)]
    pairs = by_pair(accounts)
    known = pairs.filter(pl.col("closed_first_ns").is_not_null())
    after = pairs.filter(pl.col("known_before_allocation")).height
    found = _permuted(review, pairs)
    p = None if found is None else float(found.result.p[0])
    return [
        Finding(
            id="g/round-trips",
            title="Round trips within a day",
            verdict=_verdict(review, found, p, after),
            p=p,
            p_floor=None if found is None else found.floor,
            n_blocks=pairs.height,
            n_permutations=0 if found is None else found.n_permutations,
            exact=found is not None and found.exact,
            seed=review.seed,
            strata={} if found is None else found.strata,
            limits=LIMITS,
            details={
                "round_trips": pairs.height,
                "accounts_with_one": accounts["account"].n_unique(),
                "times_known": known.height,
                "allocated_when_result_was_known": after,
                "won_by_favoured_and_others": _won(accounts),
                "accounts": _by_account(accounts),
                "sold_or_held": sold_or_held(review, accounts),
            },
            power={"text": "secondary: no power is claimed"},
            summary=_words(pairs.height, after, p),
        )
    ]


def trips(review: Review) -> pl.DataFrame:
    """A row an account, symbol and trade date with both sides: quantity closed, return, times, and whether favoured."""
    facts = review.blocks.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "trade_date", "day", "symbol", "strategy", "side",
        "currency", "last_fill_ns", "allocated_ns",
    )  # fmt: skip
    favoured = pl.col("g_union") if "g_union" in review.rows.columns else pl.lit(False).alias("g_union")
    held = named(review, review.rows.select("b", "a", "alloc", "price", favoured).filter(pl.col("alloc") > 0))
    legs = held.join(facts, on="b")
    bought = pl.col("side").is_in(["buy", "cover"])
    value = pl.col("alloc").cast(pl.Float64) * pl.col("price")

    def leg(condition: pl.Expr, name: str) -> list[pl.Expr]:
        return [
            pl.col("alloc").filter(condition).sum().alias(f"{name}_qty"),
            value.filter(condition).sum().alias(f"{name}_value"),
            pl.col("last_fill_ns").filter(condition).max().alias(f"{name}_filled_ns"),
            pl.col("allocated_ns").filter(condition).min().alias(f"{name}_allocated_ns"),
        ]

    keys = ["trade_date", "day", "symbol", "strategy", "currency", "account"]
    both = legs.group_by(keys).agg(pl.col("g_union").any(), *leg(bought, "buy"), *leg(~bought, "sell"))
    closed = pl.min_horizontal("buy_qty", "sell_qty")
    profit = pl.col("sell_value") / pl.col("sell_qty") / (pl.col("buy_value") / pl.col("buy_qty")) - 1
    return (
        both.filter((pl.col("buy_qty") > 0) & (pl.col("sell_qty") > 0))
        .with_columns(
            closed.alias("closed"),
            profit.alias("ret"),
            pl.min_horizontal("buy_allocated_ns", "sell_allocated_ns").alias("first_allocated_ns"),
            pl.max_horizontal("buy_filled_ns", "sell_filled_ns").alias("closed_first_ns"),
        )
        .sort(keys)
    )


def by_pair(accounts: pl.DataFrame) -> pl.DataFrame:
    """A row a symbol, strategy and trade date: return of the round trip, the favoured share of it, what was known when.

    ``known_before_allocation``: no leg was allocated before the later leg was filled, so whoever allocated knew the result.
    """  # noqa: E501
    weight = pl.col("closed").cast(pl.Float64)
    return (
        accounts.group_by("trade_date", "day", "symbol", "strategy")
        .agg(
            (pl.col("ret") * weight).sum() / weight.sum(),
            (weight.filter(pl.col("g_union")).sum() / weight.sum()).alias("share"),
            pl.col("closed_first_ns").max(),
            (pl.col("first_allocated_ns").min() > pl.col("closed_first_ns").max())
            .fill_null(False)
            .alias("known_before_allocation"),
        )
        .sort("strategy", "day", "symbol")
    )


def _permuted(review: Review, pairs: pl.DataFrame) -> Joint | None:
    """Share of the favoured against the round trip's return; strata are strategies."""
    stratum = pairs["strategy"].cast(pl.String).rank("dense").cast(pl.Int64).to_numpy()
    whole = np.clip(np.rint(pairs["ret"].to_numpy() * RETURN_UNIT), -_CEILING, _CEILING).astype(np.int64)
    share = pairs["share"].to_numpy()[:, None]
    day = pairs["day"].to_numpy()
    return permuted(share, whole, stratum, day, (False,), (review.seed, "g/round-trips"), review.plan.permutations)


def _verdict(review: Review, found: Joint | None, p: float | None, after: int) -> Verdict:
    if p is not None and p <= review.plan.amber:
        return Verdict.AMBER
    if found is None or found.floor > review.plan.amber:
        return Verdict.INSUFFICIENT
    return Verdict.GREEN


def _won(accounts: pl.DataFrame) -> dict[str, Any]:
    """Round trips won by the favoured against the others': Fisher, each account's trip taken as independent."""
    own, rest = accounts.filter(pl.col("g_union")), accounts.filter(~pl.col("g_union"))
    wins, other = own.filter(pl.col("ret") > 0).height, rest.filter(pl.col("ret") > 0).height
    return two_by_two(wins, own.height, other, rest.height).document()


def _by_account(accounts: pl.DataFrame) -> list[dict[str, Any]]:
    grouped = accounts.group_by("account").agg(
        pl.col("g_union").any().alias("favoured"), pl.len().alias("round_trips"),
        (pl.col("ret") > 0).sum().alias("won"), (10_000 * pl.col("ret").mean()).round(2).alias("mean_bps"),
    )  # fmt: skip
    return grouped.sort(["round_trips", "account"], descending=[True, False]).head(SHOWN).to_dicts()


def sold_or_held(review: Review, accounts: pl.DataFrame) -> list[dict[str, Any]]:
    """By group: positions opened and closed on the day, and held beyond it, each with its mean return in basis points.

    Who closes what rose and gives away what fell has high returns in the first and leaves low ones to others. Held
    positions are measured by the first day's return.
    """
    favoured = pl.col("g_union") if "g_union" in review.rows.columns else pl.lit(False).alias("g_union")
    facts = review.blocks.select(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("b"), "trade_date", "symbol", "side", "ret"
    )
    opened = (
        named(review, review.rows.select("b", "a", "alloc", favoured).filter(pl.col("alloc") > 0))
        .join(facts, on="b")
        .filter(pl.col("side").is_in(["buy", "short"]) & pl.col("ret").is_not_null())
        .join(accounts.select("account", "trade_date", "symbol"), on=["account", "trade_date", "symbol"], how="anti")
    )

    def means(rows: pl.DataFrame, name: str) -> pl.DataFrame:
        mean = (10_000 * pl.col("ret").mean()).round(2)
        return rows.group_by("g_union").agg(pl.len().alias(name), mean.alias(f"{name}_mean_bps"))

    both = means(accounts, "sold").join(means(opened, "held"), on="g_union", how="full", coalesce=True)
    return both.rename({"g_union": "favoured"}).sort("favoured").to_dicts()


def _none(review: Review) -> Finding:
    return Finding(
        id="g/round-trips",
        title="Round trips within a day",
        verdict=Verdict.INSUFFICIENT,
        seed=review.seed,
        limits=LIMITS,
        summary="No account bought and sold a symbol on one trade date.",
    )


def _words(pairs: int, after: int, p: float | None) -> str:
    text = f"{pairs} round trips; in {after} both legs were allocated when the result was known"
    return f"{text}; favoured share against return p = {p:.2g}." if p is not None else f"{text}."
