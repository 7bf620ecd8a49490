"""The numbers of the report's pictures, computed from the review in columns and bounded in size.

Two ways to look at a blotter: where an expected allocation is known for most blocks ("deviation"), money is what an
account gained over that on the first day; else ("gain") money is what its allocation gained on the first day, which
also holds what legitimately differs between accounts. The pictures say which.

Sums are of whole numbers (money in 1/10,000, notional in cents, rounded line by line), so the order of adding does not
matter and the same data give the same picture on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from fixgateway.forensics.data import Review

MONEY_UNIT = 10_000
CENTS = 100
BPS = 10_000
NS_A_MINUTE = 60 * 10**9

MOST_DATES = 520
MOST_POINTS = 1_500
MOST_ACCOUNTS = 30
MOST_MONTHS = 48
BINS = 40

_LABELS = {"client": "Client", "proprietary": "Proprietary", "employee": "Employee", "error": "Error account"}
_FEE_LABEL = "Client, performance fee"


def figures(review: Review) -> dict[str, Any]:
    """The series of every picture that these data allow, by the picture's name."""
    if review.blocks.is_empty():
        return {}
    mode = _mode(review)
    priced = _priced(review, mode)
    if priced.is_empty():
        return {}
    currency = _main_currency(priced)
    kept = priced.filter(pl.col("currency") == currency)
    daily = _daily(review, kept)
    common = {"mode": mode, "currency": currency, "other_currencies": sorted(set(review.currencies) - {currency})}
    favoured = favoured_group(review)
    made = {
        "benefit": common | _cumulative(daily, mode),
        "heat": common | {"group": favoured} | _heat(review, daily, mode),
        "returns": common | _returns(review, kept, favoured, mode),
        "lateness": common | {"limit_minutes": float(review.plan.late_minutes)} | _lateness(kept, favoured, mode),
        "funnel": common | _funnel(review, daily, mode),
    }
    return {name: figure for name, figure in made.items() if not figure.get("empty")}


def favoured_group(review: Review) -> str:
    """The group the pictures look at: the union where it has accounts, else the first that has; "" for none."""
    named = [name for name, accounts in review.groups.items() if accounts]
    return "union" if "union" in named else named[0] if named else ""


def _mode(review: Review) -> str:
    known = int((review.blocks["source"] != "none").sum())
    return "deviation" if 2 * known >= review.blocks.height else "gain"


def _priced(review: Review, mode: str) -> pl.DataFrame:
    """The blocks that have a close (and an expectation), with what one unit cost and gained."""
    scale = review.price_scale * review.multiplier_scale * review.quantity_scale
    price = pl.col("price") / pl.col("price_den")
    multiplier = pl.col("multiplier").fill_null(review.multiplier_scale)
    usable = pl.col("close").is_not_null() & pl.col("ret").is_not_null()
    if mode == "deviation":
        usable &= pl.col("source") != "none"
    return (
        review.blocks.drop("b", strict=False)
        .with_row_index("b")
        .with_columns(pl.col("b").cast(pl.Int64))
        .filter(usable)
        .with_columns(
            unit_cost=price * multiplier / scale,
            unit_gain=pl.col("sign") * (pl.col("close") - price) * multiplier / scale,
        )
    )


def _main_currency(priced: pl.DataFrame) -> str:
    """The currency of the largest notional."""
    sums = priced.group_by("currency").agg((pl.col("filled") * pl.col("unit_cost")).sum().alias("cost"))
    return str(sums.sort("cost", "currency", descending=[True, False])["currency"][0])


def _daily(review: Review, blocks: pl.DataFrame) -> pl.DataFrame:
    """Sums by account and trade date."""
    lookup = blocks.select("b", "trade_date", "den", "unit_cost", "unit_gain", "known_policy")
    deviation = pl.col("d").fill_null(0) / pl.col("den")
    deviates = (
        pl.when(pl.col("known_policy")).then(deviation.abs() > 0).otherwise(deviation.abs() >= review.quantity_scale)
    )
    return (
        review.rows.lazy()
        .select("b", "a", "account_class", "fee", "alloc", "d", "star")
        .join(lookup.lazy(), on="b")
        .with_columns(
            benefit=_whole(deviation * pl.col("unit_gain"), MONEY_UNIT),
            gain=_whole(pl.col("alloc") * pl.col("unit_gain"), MONEY_UNIT),
            over=_whole(deviation * pl.col("unit_cost"), CENTS),
            entitled=_whole(pl.col("star").fill_null(0) / pl.col("den") * pl.col("unit_cost"), CENTS),
            cost=_whole(pl.col("alloc") * pl.col("unit_cost"), CENTS),
            deviates=deviates.cast(pl.Int64),
        )
        .group_by("a", "account_class", "fee", "trade_date")
        .agg(pl.col("benefit", "gain", "over", "entitled", "cost", "deviates").sum(), blocks=pl.len())
        .sort("trade_date", "a", "account_class", "fee")
        .collect(engine="streaming")
    )


def _whole(value: pl.Expr, unit: int) -> pl.Expr:
    return (value * unit).round().fill_nan(0).cast(pl.Int64)


# ---------------------------------------------------------------- benefit over time


def _cumulative(daily: pl.DataFrame, mode: str) -> dict[str, Any]:
    """Running money by kind of account, at no more than :data:`MOST_DATES` dates, the last one always."""
    column = "benefit" if mode == "deviation" else "gain"
    by_date = (
        daily.with_columns(kind=_kind())
        .group_by("trade_date", "kind")
        .agg(pl.col(column).sum())
        .pivot("kind", index="trade_date", values=column)
        .sort("trade_date")
        .fill_null(0)
    )
    kinds = sorted(set(by_date.columns) - {"trade_date"}, key=_kind_order)
    running = by_date.with_columns(pl.col(kinds).cum_sum())
    kept = running[_spread(running.height, MOST_DATES)]
    return {
        "dates": [day.isoformat() for day in kept["trade_date"]],
        "series": {kind: _money(kept[kind]) for kind in kinds},
    }


def _kind() -> pl.Expr:
    paying = (pl.col("account_class") == "client") & (pl.col("fee") == "performance")
    return pl.when(paying).then(pl.lit(_FEE_LABEL)).otherwise(pl.col("account_class").replace(_LABELS))


def _kind_order(kind: str) -> int:
    order = ["Proprietary", "Employee", _FEE_LABEL, "Client", "Error account"]
    return order.index(kind) if kind in order else len(order)


def _spread(count: int, most: int) -> list[int]:
    """At most so many of the indices 0..count-1, evenly, the first and the last included."""
    if count <= most:
        return list(range(count))
    return sorted({n * (count - 1) // (most - 1) for n in range(most)})


def _money(column: pl.Series) -> list[float]:
    return [round(value / MONEY_UNIT, 2) for value in column.to_list()]


# ---------------------------------------------------------------- deviation by account and month


def _heat(review: Review, daily: pl.DataFrame, mode: str) -> dict[str, Any]:
    """By account and month: percent above or below the entitlement; without one, the first-day return in bp.

    The accounts with the largest deviations first; the others are counted, not drawn.
    """
    top, bottom, unit = ("over", "entitled", "percent") if mode == "deviation" else ("gain", "cost", "bp")
    factor = 100 if mode == "deviation" else BPS * CENTS / MONEY_UNIT
    monthly = (
        daily.with_columns(period=_period(daily))
        .group_by("a", "period")
        .agg(pl.col(top, bottom).sum())
        .sort("a", "period")
    )
    ranked = monthly.group_by("a").agg(pl.col(top).abs().sum()).sort([top, "a"], descending=[True, False])
    drawn = ranked["a"].head(MOST_ACCOUNTS).to_list()
    periods = sorted(monthly["period"].unique().to_list())
    values: dict[tuple[int, str], float | None] = {
        (a, period): round(factor * over / entitled, 2) if entitled else None
        for a, period, over, entitled in monthly.filter(pl.col("a").is_in(drawn)).iter_rows()
    }
    favoured = set(review.groups.get(favoured_group(review), ()))
    order = sorted(drawn, key=lambda a: (review.accounts[a] not in favoured, drawn.index(a)))
    return {
        "unit": unit,
        "accounts": [review.accounts[a] for a in order],
        "favoured": [review.accounts[a] in favoured for a in order],
        "periods": periods,
        "values": [[values.get((a, period)) for period in periods] for a in order],
        "accounts_left_out": ranked.height - len(drawn),
        "empty": not drawn,
    }


def _period(daily: pl.DataFrame) -> pl.Expr:
    """Months, or quarters where there are too many months to draw."""
    first, last = daily["trade_date"].min(), daily["trade_date"].max()
    months = (last.year - first.year) * 12 + last.month - first.month + 1  # type: ignore[union-attr]
    if months <= MOST_MONTHS:
        return pl.col("trade_date").dt.strftime("%Y-%m")
    day = pl.col("trade_date").dt
    return day.year().cast(pl.String) + "-Q" + day.quarter().cast(pl.String)


# ---------------------------------------------------------------- distributions


def _returns(review: Review, blocks: pl.DataFrame, favoured: str, mode: str) -> dict[str, Any]:
    """First-day returns, weighted by what each group was allocated; and of the blocks by how the group fared."""
    reach = float(blocks["ret"].abs().quantile(0.99) or 0) * BPS
    edges = _edges(reach, min(BINS, 2 * round(blocks.height**0.5)))
    cut = np.clip(np.digitize(blocks["ret"].to_numpy() * BPS, edges) - 1, 0, len(edges) - 2)
    total = (blocks["filled"] * blocks["unit_cost"]).to_numpy()
    part = (blocks[f"x_{favoured}"] * blocks["unit_cost"]).to_numpy() if favoured else np.zeros_like(total)
    moved = blocks["ret"].to_numpy()
    sides = {"favoured": part, "others": total - part} if favoured else {"all": total}
    figure: dict[str, Any] = {
        "edges_bps": [round(edge, 3) for edge in edges.tolist()],
        "group": favoured,
        "weighted": {
            name: _distribution(cut, len(edges) - 1, moved, weight)
            for name, weight in sides.items()
            if weight.sum() > 0
        },
    }
    if favoured and mode == "deviation":
        direction = np.sign(blocks[f"d_{favoured}"].to_numpy())
        figure["blocks"] = {
            name: _distribution(cut, len(edges) - 1, moved, (direction == sign).astype(float))
            for name, sign in (("more", 1), ("as expected", 0), ("less", -1))
            if (direction == sign).any()
        }
    return figure


def _edges(reach: float, bins: int) -> np.ndarray:
    """About so many bins of equal and round width over ± reach; the outermost hold what is beyond."""
    bins = max(4, bins // 2 * 2)
    width = max(reach, 1.0) * 2 / bins
    unit = 10.0 ** np.floor(np.log10(width))
    width = next(unit * step for step in (1, 2, 2.5, 5, 10) if unit * step >= width)
    half = int(np.ceil(max(reach, 1.0) / width))
    edges: np.ndarray = np.arange(-half, half + 1) * width
    return edges


def _distribution(cut: np.ndarray, bins: int, moved: np.ndarray, weight: np.ndarray) -> dict[str, Any]:
    total = float(weight.sum())
    percent = np.bincount(cut, weight, bins) / total * 100
    return {
        "percent": [round(value, 3) for value in percent.tolist()],
        "blocks": int((weight > 0).sum()),
        "mean_bps": round(float((weight * moved).sum()) / total * BPS, 2),
        "winning_percent": round(float(weight[moved > 0].sum()) / total * 100, 1),
    }


# ---------------------------------------------------------------- lateness


def _lateness(blocks: pl.DataFrame, favoured: str, mode: str) -> dict[str, Any]:
    """How long after completion each block was allocated, what it returned, how the group fared."""
    done = pl.coalesce("completed_ns", "last_fill_ns")
    known = blocks.with_columns(minutes=(pl.col("allocated_ns") - done) / NS_A_MINUTE).filter(
        pl.col("minutes").is_not_null()
    )
    if known.is_empty():
        return {"empty": True}
    if not favoured:
        direction = np.zeros(known.height)
    elif mode == "deviation":
        direction = np.sign(known[f"d_{favoured}"].to_numpy())
    else:
        share = known.select("stratum", y=pl.col(f"x_{favoured}") / pl.col("filled"))
        direction = np.sign(
            share.select((pl.col("y") - pl.col("y").mean().over("stratum")).round(9)).to_series().to_numpy()
        )
    kept = _spread(known.height, MOST_POINTS)
    return {
        "minutes": [round(value, 2) for value in known["minutes"].gather(kept).to_list()],
        "return_bps": [round(value * BPS, 2) for value in known["ret"].gather(kept).to_list()],
        "direction": [int(direction[n]) for n in kept],
        "blocks": known.height,
        "group": favoured,
    }


# ---------------------------------------------------------------- exceptions


def _funnel(review: Review, daily: pl.DataFrame, mode: str) -> dict[str, Any]:
    """Exceptions on record by trader, and deviating lines by account: how many of how many.

    Traders are drawn where there are two or more to compare and any exception, accounts where a deviation is known.
    """
    written = (pl.col("exception_code") != "") | pl.col("exception_ns").is_not_null()
    traders = (
        review.blocks.group_by("trader").agg(events=written.fill_null(False).sum(), exposure=pl.len()).sort("trader")
    )
    accounts = daily.group_by("a").agg(pl.col("deviates").sum(), pl.col("blocks").sum()).sort("a")
    panels = {}
    if traders.height > 1 and traders["events"].sum():
        panels["traders"] = [(name or "(none)", events, exposure) for name, events, exposure in traders.iter_rows()]
    if mode == "deviation" and accounts["deviates"].sum():
        panels["accounts"] = [(review.accounts[a], events, exposure) for a, events, exposure in accounts.iter_rows()]
    return {name: _panel(units) for name, units in panels.items()} or {"empty": True}


def _panel(units: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
    """The units' rates, the farthest from the common rate first, and binomial limits around it."""
    events, exposure = sum(unit[1] for unit in units), sum(unit[2] for unit in units)
    rate = events / exposure
    widest = max(unit[2] for unit in units)
    grid = sorted({max(1, round(widest * (k / BINS) ** 2 * 1.1)) for k in range(1, BINS + 1)})
    cuts = stats.binom.ppf([[0.001], [0.025], [0.975], [0.999]], grid, rate) / grid
    kept = sorted(units, key=lambda unit: (-abs(unit[1] - rate * unit[2]), unit[0]))[:MOST_POINTS]
    return {
        "rate": round(rate, 6),
        "limits": [
            {"exposure": size, "low_998": low, "low_95": low95, "high_95": high95, "high_998": high}
            for size, low, low95, high95, high in zip(grid, *cuts.round(6).tolist(), strict=True)
        ],
        "points": [{"name": name, "events": seen, "exposure": chances} for name, seen, chances in kept],
        "left_out": len(units) - len(kept),
    }
