"""Tests a1 and a2: did the favoured group gain from how blocks were divided?

*a1*, where a statement was there before its order: T = Σ P·d·r over blocks, the money the group gained by the first day's close
because its allocation differs from the expected one (d = x - x*). *a2*, where there was none: the group's share of the block instead
of d, less its mean in the stratum; who takes part may have been decided afterwards, so a2 is confounded. In both the returns r are
exchanged inside strata; one-sided.
"""  # noqa: E501

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from fixgateway.forensics import companions, permutation, power, strata
from fixgateway.forensics.data import RETURN_UNIT, Review, Stratum
from fixgateway.forensics.findings import BPS, Finding, Verdict, money
from fixgateway.forensics.moneys import by_currency
from fixgateway.forensics.permutation import Outcome

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNION, PARTIAL = "union", "partial"
_BITS = 52

_ONE = 10**30
"""Shares of a block are counted in parts of this."""

CONFOUNDED = "confounded unless participation was fixed before execution: no statement was there before the order"
FIRST_DAY = (
    "the measure is the first day's return, one outcome among others; a pattern says nothing about a single trade "
    "or about anybody's reasons"
)
MARK = "as {}, but with the price at the time of allocation, which whoever allocated could see"


@dataclass(frozen=True, slots=True)
class Cut:
    """One question: whose benefit (``group``), over which blocks."""

    id: str
    title: str
    group: str
    blocks: pl.DataFrame
    family: str
    primary: bool = True
    ret: str = "ret"
    r: str = "r"
    to: str = "close"


@dataclass(frozen=True, slots=True)
class Weighed:
    """A cut as numbers: quantised weights (``unit`` is money of one), returns, strata and the group's money."""

    w: Ints
    r: Ints
    unit: float
    stratum: Ints
    parts: tuple[Stratum, ...]
    benefits: Mapping[str, Fraction]
    notional: Mapping[str, Fraction]
    takes_part: bool


def run_a1(review: Review) -> list[Finding]:
    """a1, its groups, strategies and the cut of partially filled blocks."""
    tested = _tested(review, review.blocks.filter(pl.col("in_time")), "a1")
    return _family(review, tested, "a1")


def run_a2(review: Review) -> list[Finding]:
    """a2 on the blocks that a1 cannot use."""
    tested = _tested(review, review.blocks.filter(~pl.col("in_time")), "a2")
    return _family(review, tested, "a2")


def _tested(review: Review, blocks: pl.DataFrame, test: str) -> pl.DataFrame:
    r = _measure(review)[1]
    return blocks.filter(pl.col(r).is_not_null() & (pl.col("filled") > 0) & (pl.col("price") > 0))


def _measure(review: Review) -> tuple[str, str, str]:
    return ("ret_mark", "r_mark", "mark") if review.plan.measure == "mark" else ("ret", "r", "close")


def _cuts(review: Review, blocks: pl.DataFrame, test: str) -> list[Cut]:
    ret, r, to = _measure(review)
    words = {"own": "proprietary and employee accounts", "fee": "performance-fee accounts"}
    names = [name for name in review.groups if name != UNION]
    everybody = "the union of the groups" if len(names) > 1 else f"group {names[0]}"
    what = "First-day benefit of deviations" if test == "a1" else "First-day benefit of shares, without statements"
    cuts = [Cut(test, f"{what}: {everybody}", UNION, blocks, test)]
    for name in names:
        cuts.append(Cut(f"{test}/{name}", f"{what}: {words.get(name, f'group {name}')}", name, blocks, test))
    taken = {cut.id for cut in cuts} | {f"{test}/{PARTIAL}", f"{test}/mark"}
    for strategy in blocks["strategy"].unique().sort().to_list():
        label = f"{test}/{strategy}" if f"{test}/{strategy}" not in taken else f"{test}/strategy={strategy}"
        some = blocks.filter(pl.col("strategy") == strategy)
        cuts.append(Cut(label, f"{what}: strategy {strategy or '(none)'}", UNION, some, test))
    if test == "a1":
        partial = blocks.filter(pl.col("filled") < pl.col("intended"))
        cuts.append(Cut(f"{test}/{PARTIAL}", f"{what}: partially filled blocks only", UNION, partial, test))
    cuts = [Cut(x.id, x.title, x.group, x.blocks, x.family, True, ret, r, to) for x in cuts]
    if to == "close" and review.has("mark_at_allocation") and blocks["r_mark"].is_not_null().any():
        marked = blocks.filter(pl.col("r_mark").is_not_null())
        title = f"{what}: {MARK.format(test)}"
        cuts.append(Cut(f"{test}/mark", title, UNION, marked, "", False, "ret_mark", "r_mark", "mark"))
    return cuts


def _family(review: Review, blocks: pl.DataFrame, test: str) -> list[Finding]:
    findings: list[Finding] = []
    seen: dict[bytes, Finding] = {}
    for cut in _cuts(review, blocks, test):
        weighed = _weighed(review, cut, test)
        key = _key(cut, weighed)
        same = seen.get(key) if len(cut.blocks) and weighed.takes_part else None
        found = _again(review, cut, weighed, same) if same else _finding(review, cut, weighed, test)
        if same is None and weighed.takes_part:
            seen[key] = found
        findings.append(found)
    return findings


def _key(cut: Cut, weighed: Weighed) -> bytes:
    """The same blocks with the same weights in the same strata are the same test."""
    live = np.zeros(len(weighed.parts) + 1, dtype=bool)
    live[weighed.stratum[weighed.w != 0]] = True
    used = live[weighed.stratum]
    b = cut.blocks["b"].to_numpy()[used]
    return cut.r.encode() + b.tobytes() + b"|" + _money_key(weighed, used)


def _money_key(weighed: Weighed, used: npt.NDArray[np.bool_]) -> bytes:
    found: bytes = np.round(weighed.w[used] * weighed.unit, 6).tobytes()
    return found


def _again(review: Review, cut: Cut, weighed: Weighed, same: Finding) -> Finding:
    """The finding of a set that was tested already: the same chance, its own blocks and money."""
    words = f"the same deviations as {same.id}; tested once"
    return replace(
        same, id=cut.id, title=cut.title, n_blocks=len(cut.blocks), strata=_strata(weighed), counts=False,
        groups={cut.group: list(review.groups[cut.group])}, notional=weighed.notional, summary=words,
        details={"same_as": same.id}, figures={}, limits=(words,), **_money(weighed),
    )  # fmt: skip


def with_power(review: Review, findings: Sequence[Finding]) -> list[Finding]:
    """The findings with what each green one would have seen."""
    wanted = {x.id for x in findings if x.verdict is Verdict.GREEN and x.counts and x.n_blocks}
    cuts = [
        cut
        for test, inside in (("a1", pl.col("in_time")), ("a2", ~pl.col("in_time")))
        for cut in _cuts(review, _tested(review, review.blocks.filter(inside), test), test)
        if cut.id in wanted
    ]
    powers = {cut.id: _power(review, cut) for cut in cuts}
    return [replace(x, power=powers[x.id]) if x.id in powers else x for x in findings]


def _power(review: Review, cut: Cut) -> Mapping[str, object]:
    blocks = cut.blocks
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    price = blocks["price"].to_numpy() / blocks["price_den"].to_numpy()
    notional = price * blocks["filled"].to_numpy() * blocks["multiplier"].to_numpy() / scale
    due = pl.when(pl.col("statement")).then(pl.col(f"star_{cut.group}") / pl.col("den")).otherwise(f"x_{cut.group}")
    share = blocks.select((due / pl.col("filled")).alias("y"))["y"].to_numpy()
    stratum = strata.assign(blocks, review.plan.strata)[0]
    names = blocks["currency"].unique().to_list()
    return power.favouritism(
        notional, blocks[cut.ret].to_numpy(), share, stratum, float(review.plan.amber), review.seed,
        names[0] if len(names) == 1 else "(currencies added)",
    )  # fmt: skip


# ---------------------------------------------------------------- numbers


def _weighed(review: Review, cut: Cut, test: str) -> Weighed:
    blocks = cut.blocks
    stratum, parts = strata.assign(blocks, review.plan.strata)
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    r = blocks[cut.r].to_numpy()
    if test == "a1":
        weights = _deviation(blocks, cut.group)
        benefits = by_currency(blocks, f"d_{cut.group}", "den", "gain", scale, cut.to)
    else:
        weights, benefits = _shares(blocks, cut, stratum, scale)
    notional = by_currency(blocks, f"x_{cut.group}", None, "notional", scale)
    takes_part = bool((blocks[f"x_{cut.group}"] != 0).any()) or bool(np.any(weights))
    if len(benefits) > 1:
        weights = weights / _traded(blocks)
    else:
        weights = weights / scale
    w, unit = _quantised(weights, r)
    return Weighed(w, r, unit, stratum, parts, benefits, notional, takes_part)


def _deviation(blocks: pl.DataFrame, group: str) -> Floats:
    """P·d·multiplier by block, in units of the scales."""
    d, den = blocks[f"d_{group}"].to_numpy(), blocks["den"].to_numpy()
    price = blocks["price"].to_numpy() / blocks["price_den"].to_numpy()
    found: Floats = d / den * price * blocks["multiplier"].to_numpy()
    return found


def _shares(
    blocks: pl.DataFrame, cut: Cut, stratum: Ints, scale: int
) -> tuple[Floats, Mapping[str, Fraction]]:
    """(y - the stratum's mean of y) · notional by block, and the exact money of it."""
    x, filled = blocks[f"x_{cut.group}"].to_list(), blocks["filled"].to_list()
    parts = stratum.tolist()
    shares = [a * _ONE // q for a, q in zip(x, filled, strict=True)]
    sums, sizes = [0] * (max(parts, default=0) + 1), [0] * (max(parts, default=0) + 1)
    for s, share in zip(parts, shares, strict=True):
        sums[s] += share
        sizes[s] += 1
    over = [(share * sizes[s] - sums[s]) // sizes[s] for s, share in zip(parts, shares, strict=True)]
    gains: dict[str, int] = dict.fromkeys(blocks["currency"].unique(maintain_order=True).to_list(), 0)
    columns = ("currency", "filled", "sign", cut.to, "price", "price_den", "multiplier")
    for part, row in zip(over, blocks.select(columns).iter_rows(), strict=True):
        currency, q, sign, to, price, den, multiplier = row
        gains[currency] += part * q * sign * (to * den - price) * multiplier // den
    exact = {currency: Fraction(gain, _ONE * scale) for currency, gain in gains.items()}
    notional = blocks["price"].to_numpy() / blocks["price_den"].to_numpy() * blocks["filled"].to_numpy()
    return np.array([y / _ONE for y in over]) * notional * blocks["multiplier"].to_numpy(), exact


def _traded(blocks: pl.DataFrame) -> Floats:
    """Each block's currency's whole notional, by which weights of several currencies become comparable."""
    about = pl.col("price") / pl.col("price_den") * pl.col("filled") * pl.col("multiplier")
    found: Floats = blocks.select(about.sum().over("currency").alias("n"))["n"].to_numpy()
    return found


def _quantised(weights: Floats, r: Ints) -> tuple[Ints, float]:
    """Weights as whole numbers of a power of two, as fine as sums below 2^53 allow."""
    total, largest = float(np.abs(weights).sum()), float(np.abs(r).max()) if len(r) else 0.0
    if not total or not largest:
        return np.zeros(len(weights), dtype=np.int64) if not total else np.sign(weights).astype(np.int64), 1.0
    exponent = _BITS - math.ceil(math.log2(total)) - math.ceil(math.log2(largest)) - 1
    exponent = min(exponent, 40)
    return np.rint(weights * 2.0**exponent).astype(np.int64), 2.0**-exponent


# ---------------------------------------------------------------- findings


def _finding(review: Review, cut: Cut, weighed: Weighed, test: str) -> Finding:
    base: dict[str, Any] = {
        "id": cut.id, "title": cut.title, "n_blocks": len(cut.blocks), "primary": cut.primary, "seed": review.seed,
        "family": cut.family, "notional": weighed.notional, "strata": _strata(weighed),
        "groups": {cut.group: list(review.groups[cut.group])},
    }  # fmt: skip
    limits = _limits(review, cut, weighed, test)
    if not len(cut.blocks) or not weighed.takes_part:
        why = "no block can be tested" if not len(cut.blocks) else "no account of the group takes part"
        return Finding(verdict=Verdict.INSUFFICIENT, limits=(why, *limits), summary=why, counts=False, **base)
    base |= _money(weighed)
    details = _details(review, cut, weighed, test)
    if not weighed.w.any():
        what = "no deviation" if test == "a1" else "no deviation: the group has the same share of every block"
        return Finding(
            verdict=Verdict.GREEN, p=1.0, p_adj=1.0, p_floor=1.0, exact=True, limits=limits, details=details,
            summary=what, chance=Fraction(1), **base,
        )  # fmt: skip
    day = cut.blocks["day"].to_numpy()
    groups = permutation.exchanges(weighed.stratum, day, permutation.within_days(review.seed, cut.id, len(day)))
    n = review.plan.permutations
    outcome = permutation.test(weighed.w, weighed.r, groups, n, review.seed, cut.id, review.progress)
    details |= _permuted(outcome, weighed)
    limits = (*limits, *_permutation_limits(outcome, weighed, review))
    return Finding(
        verdict=Verdict.GREEN, p=float(outcome.p), p_adj=float(outcome.p), p_floor=outcome.p_floor,
        n_permutations=outcome.drawn, exact=outcome.exact, limits=limits, details=details, chance=outcome.p,
        smallest=outcome.smallest,
        figures={"permutation": _picture(outcome, weighed)}, **base,
    )  # fmt: skip


def _strata(weighed: Weighed) -> Mapping[str, Any]:
    return {
        "count": len(weighed.parts),
        "sizes": [part.size for part in weighed.parts],
        "names": [
            {"strategy": part.strategy, "side": part.side, "months": list(part.months)} for part in weighed.parts[:500]
        ],
    }


def _money(weighed: Weighed) -> dict[str, Any]:
    """Benefit in money and in basis points of what the group was allocated."""
    found: dict[str, Any] = {"benefits": weighed.benefits}
    if len(weighed.benefits) == 1:
        ((currency, benefit),) = weighed.benefits.items()
        notional = weighed.notional.get(currency, Fraction(0))
        found |= {"benefit": benefit, "currency": currency}
        found["benefit_bps"] = float(benefit / notional * BPS) if notional else None
    return found


def _details(review: Review, cut: Cut, weighed: Weighed, test: str) -> dict[str, Any]:
    blocks = cut.blocks
    details: dict[str, Any] = {
        "notional": {currency: money(value) for currency, value in weighed.notional.items()},
        "deviating_blocks": int((weighed.w != 0).sum()),
        "win_rates": companions.win_rates(review, blocks, cut.group, cut.ret),
    }
    if len(weighed.benefits) > 1:
        details["benefit_bps"] = {
            name: float(value / weighed.notional[name] * BPS) if weighed.notional.get(name) else None
            for name, value in weighed.benefits.items()
        }
    if test == "a1":
        details["policy_effect"] = {name: money(value) for name, value in _policy_effect(review, cut).items()}
    else:
        details["cochran_mantel_haenszel"] = companions.by_strata(review, blocks, weighed.stratum, cut.group, cut.ret)
    return details


def _policy_effect(review: Review, cut: Cut) -> Mapping[str, Fraction]:
    """What x* gives the group above its exact share, in money; not tested."""
    blocks = cut.blocks.filter(pl.col("source").is_in(["policy", "column"]))
    zero = {currency: Fraction(0) for currency in cut.blocks["currency"].unique().to_list()}
    if not len(blocks):
        return zero
    scale = review.quantity_scale * review.price_scale * review.multiplier_scale
    rows = review.rows.filter(pl.col(f"g_{cut.group}")).group_by("b").agg(pl.col("exact").sum())
    blocks = blocks.join(rows, on="b", how="left", maintain_order="left").with_columns(pl.col("exact").fill_null(0))
    star = by_currency(blocks, f"star_{cut.group}", "den", "gain", scale, cut.to)
    exact = by_currency(blocks, "exact", "eden", "gain", scale, cut.to)
    return zero | {name: star[name] - exact[name] for name in star}


def _permuted(outcome: Outcome, weighed: Weighed) -> dict[str, Any]:
    return {
        "smallest_p": outcome.smallest,
        "log10_smallest_p": outcome.log10_smallest,
        "log10_orders": outcome.log10_space,
        "exchanges": outcome.exchanges,
        "pooled": bool(outcome.pool),
        "p_exact": f"{outcome.p.numerator}/{outcome.p.denominator}",
        "quantum": {"weight": weighed.unit, "return": 1 / RETURN_UNIT},
    }


def _picture(outcome: Outcome, weighed: Weighed) -> Mapping[str, Any]:
    """The distribution in money."""
    unit = weighed.unit / RETURN_UNIT
    return {
        "edges": [edge * unit for edge in outcome.edges],
        "counts": outcome.counts,
        "observed": outcome.observed * unit,
    }


def _limits(review: Review, cut: Cut, weighed: Weighed, test: str) -> tuple[str, ...]:
    found = [FIRST_DAY]
    if test == "a2":
        found.insert(0, CONFOUNDED)
    all_ = review.blocks.filter(pl.col("in_time") if test == "a1" else ~pl.col("in_time"))
    unpriced = len(all_.filter((pl.col("filled") > 0) & pl.col(cut.r).is_null()))
    if unpriced and cut.id == test:
        found.append(f"{unpriced} blocks have no {'closing price' if cut.to == 'close' else 'mark'} and are not tested")
    if cut.id == "a1":
        found += _elsewhere(review)
    if len(weighed.benefits) > 1:
        found.append("several currencies: weights are parts of each currency's notional, benefits are by currency")
    return tuple(found)


def _elsewhere(review: Review) -> list[str]:
    words = {
        "no statement": "had no pre-trade statement", "no times": "lack the time of capture or of release",
        "late": "had their statement captured at or after release",
        "unresolved": "had statement and order closer in time than the clocks can tell",
    }  # fmt: skip
    counts = dict(review.blocks.group_by("why_not").len().iter_rows())
    return [f"{counts[why]} blocks {text} and went to a2" for why, text in words.items() if counts.get(why)]


def _permutation_limits(outcome: Outcome, weighed: Weighed, review: Review) -> Sequence[str]:
    found = [f"sums are exact in whole numbers of {weighed.unit:.3g} (weight) x {1 / RETURN_UNIT:.3g} (return)"]
    if outcome.exact:
        found.append("all distinct orders were counted")
    else:
        found.append(f"{outcome.drawn} random orders: p cannot be below {outcome.p_floor:.3g}")
    if outcome.pool:
        found.append(
            f"each draw takes one of {outcome.pool} orders of every exchange, the observed order included"
        )
    if not outcome.exact and 1 / (outcome.drawn + 1) > review.plan.red:
        found.append("too few permutations for red")
    return found
