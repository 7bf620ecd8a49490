"""A whole review: blotter and plan in, every test run, one document out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

import fixgateway
from fixgateway.forensics import (
    blotter,
    deviation,
    dispersion,
    exception_rates,
    favouritism,
    plan,
    price_sorting,
    remainder,
    resubmissions,
    round_trips,
    timestamps,
    verdicts,
)
from fixgateway.forensics.data import Progress, Review, silent
from fixgateway.forensics.findings import Finding, Verdict
from fixgateway.forensics.plan import Plan
from fixgateway.forensics.prepare import prepare

TESTS: Sequence[tuple[str, Callable[[Review], list[Finding]]]] = (
    ("a1", favouritism.run_a1),
    ("a2", favouritism.run_a2),
    ("b", deviation.run),
    ("c", timestamps.run),
    ("d", remainder.run),
    ("e", dispersion.run),
    ("f", exception_rates.run),
    ("g", price_sorting.run),
    ("g", round_trips.run),
    ("g", resubmissions.run),
)
"""The tests in the order of the report."""

PRIMARY = ("b", "c", "g/price-sorting")
"""Besides a1 and a2: tests whose red is the review's."""

MAX_LISTED = 10_000
"""Unused rows that the document lists; all are counted."""

CAUTION = (
    "A pattern that chance does not explain is not a reason for it: this report shows what happened, not why.",
    "A year of few blocks can miss a small pattern: the deterministic checks are the control, statistics the backstop.",
)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished review."""

    review: Review
    findings: tuple[Finding, ...]
    verdict: Verdict
    figures: Mapping[str, Any]

    def document(self) -> dict[str, Any]:
        """The review as one JSON document (docs/forensics.md)."""
        review = self.review
        days = review.blocks["trade_date"]
        found: dict[str, Any] = _plain(
            {
                "verdict": str(self.verdict),
                "tests": [finding.document() for finding in self.findings],
                "plan_sha256": review.plan.sha256,
                "seed": int(review.seed) if review.seed.isdecimal() and len(review.seed) < 20 else review.seed,
                "data_sha256": review.data_sha256,
                "version": fixgateway.__version__,
                "plan": review.plan.document(),
                "post_hoc": review.plan.status == "post hoc",
                "period": [str(days.min() or ""), str(days.max() or "")],
                "blocks": len(review.blocks),
                "rows": len(review.rows),
                "accounts": len(review.accounts),
                "currencies": review.currencies,
                "groups": {name: list(accounts) for name, accounts in review.groups.items()},
                "problems": [
                    {"line": x.line, "block_id": x.block_id, "reason": x.reason} for x in review.problems[:MAX_LISTED]
                ],
                "problems_total": len(review.problems),
                "notes": list(review.notes),
                "limits": [*_post_hoc(review.plan), *CAUTION],
                "figures": dict(self.figures),
            }
        )
        return found


def _post_hoc(made: Plan) -> list[str]:
    return [f"post hoc: {made.status_text}"] if made.status == "post hoc" else []


def review(path: Path | str, made: Plan | None = None, seed: str = "", progress: Progress = silent) -> Result:
    """Review a blotter file.

    Args:
        path: the CSV file.
        made: the plan; the shipped defaults when None.
        seed: text of the seed; SHA-256 of plan and data when empty.
        progress: told how far the work is.

    Raises:
        UsageError: the file cannot be read; names line and column.
    """
    return reviewed(prepare(blotter.read(path, progress), made or plan.default(), seed, progress))


def reviewed(made: Review) -> Result:
    """Run every test on prepared data."""
    from fixgateway.forensics.figures import figures

    findings: list[Finding] = []
    for name, test in TESTS:
        made.progress(name, 0.0)
        findings += test(made)
    judged = verdicts.judged([x for x in findings if x.family in verdicts.FAVOURITISM or _secondary(x)], made.plan)
    after = {finding.id: finding for finding in judged}
    findings = [_placed(after.get(finding.id, finding)) for finding in findings]
    findings = favouritism.with_power(made, _triaged(findings))
    return Result(made, tuple(findings), verdicts.overall(findings), figures(made))


def _triaged(findings: Sequence[Finding]) -> list[Finding]:
    """The other tests' p-values adjusted together (Benjamini and Hochberg): an order to look at them in, no verdict."""
    chances = {
        finding.id: finding.chance if finding.chance is not None else Fraction(finding.p)
        for finding in findings
        if finding.family not in verdicts.FAVOURITISM and not _secondary(finding) and finding.p is not None
    }
    adjusted = dict(zip(chances, verdicts.benjamini_hochberg(list(chances.values())), strict=True))
    return [
        replace(finding, p_adj=float(adjusted[finding.id])) if finding.id in adjusted else finding
        for finding in findings
    ]


def _secondary(finding: Finding) -> bool:
    """A favouritism test outside its Holm family."""
    return finding.id in ("a1/mark", "a2/mark")


def _placed(finding: Finding) -> Finding:
    """Whether the finding may make the review red is decided here, for all tests alike."""
    if finding.family in verdicts.FAVOURITISM:
        return finding
    return replace(finding, primary=finding.id in PRIMARY)


def _plain(value: Any) -> Any:
    """Numbers as JSON knows them: no NaN, no infinity, no numpy."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, pl.Series):
        return _plain(value.to_list())
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
