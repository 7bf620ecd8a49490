"""Made histories: blotters whose truth is known, to try the tests on.

A scenario is a pure function of a seed and a number of years; the same arguments give the same bytes on any machine
(``random.Random`` is used through its integer methods only). The columns are those of the blotter contract
(docs/forensics.md), all values text, one row a block and account.

| scenarios | where |
|---|---|
| Alpha Growth and its twins: one adviser, 50 blocks a year, tampered or not | ``made_alpha.py`` |
| histories shaped like published enforcement cases | ``made_cases.py`` |
| honest histories of any size, for the bench | ``made_big.py`` |
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import TextIO

from fixgateway.errors import UsageError
from fixgateway.forensics.made_alpha import ALPHA
from fixgateway.forensics.made_blocks import COLUMNS, OPTIONAL, Row, Scenario
from fixgateway.forensics.made_cases import CASES

__all__ = ["COLUMNS", "OPTIONAL", "SCENARIOS", "Row", "Scenario", "rows", "write_csv"]

SCENARIOS: Mapping[str, Scenario] = ALPHA | CASES
"""Every scenario by name."""


def rows(scenario: str, seed: int = 1, years: int = 1) -> list[Row]:
    """The rows of a made history.

    Args:
        scenario: a key of :data:`SCENARIOS`.
        seed: which of the many histories with this truth.
        years: how many years of 50 blocks; a history shaped like a published case has the length of that case
            and takes no other.

    Raises:
        UsageError: an unknown scenario, no years, or years of a published case.
    """
    made = SCENARIOS.get(scenario)
    if made is None:
        raise UsageError(f"no scenario {scenario!r}; there are: {', '.join(SCENARIOS)}")
    if not 1 <= years <= 100:
        raise UsageError(f"--years {years}: 1 to 100 years can be made")
    if made.fixed_length and years != 1:
        raise UsageError(f"--years {years}: {scenario!r} has the length of the published case; leave --years away")
    return list(made.make(seed, years))


def write_csv(made: Iterable[Row], stream: TextIO) -> int:
    """Write rows as a blotter, contract columns first; returns how many.

    Optional columns that no row fills are left out, as an import from a simple system would.
    """
    kept = list(made)
    columns = [*COLUMNS, *(name for name in OPTIONAL if any(row.get(name) for row in kept))]
    writer = csv.DictWriter(stream, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    return len(kept)
