"""The rules that turn p-values and money into verdicts, and verdicts into the overall one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from fixgateway.forensics.findings import BPS, RANK, Finding, Verdict, money
from fixgateway.forensics.plan import Plan

FAVOURITISM = ("a1", "a2")


def holm(chances: Sequence[Fraction]) -> list[Fraction]:
    """Holm's step-down adjustment, in the given order."""
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    adjusted = [Fraction(1)] * len(chances)
    highest = Fraction(0)
    for place, i in enumerate(order):
        highest = max(highest, min(Fraction(1), chances[i] * (len(chances) - place)))
        adjusted[i] = highest
    return adjusted


def benjamini_hochberg(chances: Sequence[Fraction]) -> list[Fraction]:
    """Benjamini and Hochberg's step-up adjustment, in the given order."""
    order = sorted(range(len(chances)), key=lambda i: chances[i], reverse=True)
    adjusted = [Fraction(1)] * len(chances)
    lowest = Fraction(1)
    for place, i in enumerate(order):
        lowest = min(lowest, chances[i] * len(chances) / (len(chances) - place))
        adjusted[i] = lowest
    return adjusted


def judged(findings: Sequence[Finding], plan: Plan) -> list[Finding]:
    """Favouritism findings with adjusted p and verdict; a set that was tested already gets the first one's p."""
    adjusted: dict[str, Fraction] = {}
    for family in sorted({finding.family for finding in findings}):
        members = [(x.id, x.chance) for x in findings if x.family == family and x.chance is not None and x.counts]
        chances = [chance for _, chance in members]
        adjusted |= zip((name for name, _ in members), holm(chances) if family else chances, strict=True)
    found = []
    for finding in findings:
        p = adjusted.get(str(finding.details.get("same_as", finding.id)))
        found.append(finding if p is None else _judged(finding, p, plan))
    return found


def _judged(finding: Finding, p: Fraction, plan: Plan) -> Finding:
    if finding.smallest is None:
        return replace(finding, p_adj=float(p))
    verdict, why = verdict_of(p, finding.smallest, finding.benefits, finding.notional, plan)
    limits = finding.limits
    if verdict is Verdict.INSUFFICIENT:
        limits = (f"the smallest p these blocks could give is {finding.smallest:.3g}: they cannot tell", *limits)
    if not finding.primary and verdict is Verdict.RED:
        verdict, why = Verdict.AMBER, f"{why}; informs, so amber at most"
    summary = why if finding.counts else f"{finding.summary}: {why}"
    return replace(finding, verdict=verdict, p_adj=float(p), summary=summary, limits=limits)


def verdict_of(
    p: Fraction, smallest: float, benefits: Mapping[str, Fraction], notional: Mapping[str, Fraction], plan: Plan
) -> tuple[Verdict, str]:
    """The verdict on one adjusted p, and why in words.

    Insufficient when the smallest p of the space is above amber's level; amber at most when it is above red's; red only with a
    benefit over the materiality of its currency.
    """  # noqa: E501
    levels = f"amber at p <= {float(plan.amber):g}, red at p <= {float(plan.red):g}"
    if smallest > plan.amber:
        return Verdict.INSUFFICIENT, f"the smallest possible p is {smallest:.3g}, above {float(plan.amber):g}"
    if p > plan.amber:
        return Verdict.GREEN, f"adjusted p {float(p):.3g} ({levels})"
    if p > plan.red:
        return Verdict.AMBER, f"adjusted p {float(p):.3g} ({levels})"
    if smallest > plan.red:
        return Verdict.AMBER, f"adjusted p {float(p):.3g}; the smallest possible p is {smallest:.3g}, so amber at most"
    over = [c for c, value in benefits.items() if value > materiality(plan, c, notional.get(c, Fraction(0)))]
    if not over:
        return Verdict.AMBER, f"adjusted p {float(p):.3g}, but the benefit is within materiality"
    sums = ", ".join(f"{money(benefits[c])} {c}".strip() for c in sorted(over))
    return Verdict.RED, f"adjusted p {float(p):.3g} and a benefit of {sums}, over materiality"


def materiality(plan: Plan, currency: str, notional: Fraction) -> Fraction:
    """The money up to which a benefit is not material: the plan's sum, else basis points of the group's notional."""
    if currency in plan.materiality:
        return plan.materiality[currency]
    if "" in plan.materiality:
        return plan.materiality[""]
    return abs(notional) * plan.materiality_bps / BPS


def overall(findings: Sequence[Finding]) -> Verdict:
    """The worst of the primary tests; the others raise it to amber at most; insufficient ones count for nothing.

    Insufficient only when neither a1 nor a2 can tell and nothing is amber or red.
    """
    found = Verdict.GREEN
    for finding in findings:
        verdict = finding.verdict
        if verdict is Verdict.RED and not finding.primary:
            verdict = Verdict.AMBER
        if RANK[verdict] > RANK[found]:
            found = verdict
    can_tell = any(x.family in FAVOURITISM and x.verdict is not Verdict.INSUFFICIENT for x in findings)
    return Verdict.INSUFFICIENT if found is Verdict.GREEN and not can_tell else found
