"""What a test says: one :class:`Finding`, the same shape for all of them, and how it is written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

CENTS = 100
BPS = 10_000


class Verdict(StrEnum):
    """How a test ended. Insufficient says that the data cannot tell, neither way."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    INSUFFICIENT = "insufficient"


RANK: Mapping[Verdict, int] = {Verdict.INSUFFICIENT: -1, Verdict.GREEN: 0, Verdict.AMBER: 1, Verdict.RED: 2}
"""Worse is higher; insufficient neither raises nor lowers anything."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one test.

    ``id`` is ``a1``, ``a1/own``, ``b`` …; ``p`` is the plain p-value, ``p_adj`` the adjusted one, ``p_floor`` the
    smallest the test could have shown. ``benefit`` is exact money of the favoured group, None where it makes no sense or
    where there are several currencies (``benefits`` has one for each). ``n_permutations`` is 0 and ``exact`` True
    where all permutations were counted or where no chance is involved. ``strata`` holds ``count`` and ``sizes``.
    ``limits`` are plain sentences: what the test cannot show. ``details`` are tables and companions, ``figures``
    the numbers of the pictures, ``power`` what the test would have seen. ``primary`` findings may make the overall verdict red; others
    inform and cap it at amber. ``counts`` False leaves a finding out of the overall verdict (the same set as another).
    ``chance`` is p as an exact fraction, ``notional`` the group's money traded and ``smallest`` the smallest p of the
    space of permutations: what the verdict rules need. ``family`` is the Holm or BH family's name, empty outside any.
    """  # noqa: E501

    id: str
    title: str
    verdict: Verdict
    p: float | None = None
    p_adj: float | None = None
    p_floor: float | None = None
    n_blocks: int = 0
    benefit: Fraction | None = None
    benefit_bps: float | None = None
    currency: str = ""
    benefits: Mapping[str, Fraction] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)
    n_permutations: int = 0
    exact: bool = False
    seed: str = ""
    strata: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    power: Mapping[str, Any] | None = None
    primary: bool = False
    counts: bool = True
    family: str = ""
    summary: str = ""
    chance: Fraction | None = None
    notional: Mapping[str, Fraction] = field(default_factory=dict)
    smallest: float | None = None

    def document(self) -> dict[str, Any]:
        """The finding as a JSON object."""
        return {
            "id": self.id,
            "title": self.title,
            "verdict": str(self.verdict),
            "summary": self.summary,
            "p": self.p,
            "p_adj": self.p_adj,
            "p_floor": self.p_floor,
            "n_blocks": self.n_blocks,
            "benefit": None if self.benefit is None else money(self.benefit),
            "benefit_bps": self.benefit_bps,
            "currency": self.currency,
            "benefits": {name: money(value) for name, value in self.benefits.items()},
            "groups": dict(self.groups),
            "n_permutations": self.n_permutations,
            "exact": self.exact,
            "seed": self.seed,
            "strata": dict(self.strata),
            "limits": list(self.limits),
            "details": dict(self.details),
            "figures": dict(self.figures),
            "power": None if self.power is None else dict(self.power),
            "primary": self.primary,
            "counts": self.counts,
        }


def money(value: Fraction) -> str:
    """Exact money as a decimal with two places, half to even: ``310500.00``."""
    cents = round(value * CENTS)
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // CENTS}.{abs(cents) % CENTS:02d}"


def worst(verdicts: list[Verdict]) -> Verdict:
    """The worst of several; insufficient only when nothing else is there."""
    return max(verdicts, key=RANK.__getitem__, default=Verdict.INSUFFICIENT)
