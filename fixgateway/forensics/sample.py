"""Unannounced picks for an audit that nobody can steer: ranked by a hash with public randomness.

The population is fixed first (its hash is published), then a value nobody could know then: a drand round, a NIST
beacon pulse, a lottery draw. Every item's key is SHA-256(value, newline, item); the items with the smallest keys are
picked. Anybody with the population and the value finds the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from fixgateway.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sample:
    """The picks in the order of their keys (hexadecimal), and what fixes them."""

    value: str
    population: int
    population_sha256: str
    picks: tuple[tuple[str, str], ...]

    def document(self) -> dict[str, object]:
        """As JSON; ``how`` lets anybody repeat it."""
        return {
            "value": self.value,
            "population": self.population,
            "population_sha256": self.population_sha256,
            "how": HOW,
            "picks": [{"item": item, "key": key} for key, item in self.picks],
        }


HOW = (
    "key = SHA-256 of the UTF-8 text: value, newline, item; the smallest keys are picked. "
    "population_sha256 = SHA-256 of all items in byte order, each followed by a newline."
)


def population_sha256(items: Collection[str]) -> str:
    """What is published before the random value exists: the hash of all items, sorted, one a line."""
    text = "".join(f"{item}\n" for item in sorted(items, key=lambda item: item.encode()))
    return hashlib.sha256(text.encode()).hexdigest()


def key(value: str, item: str) -> str:
    """The key of one item under a public random value."""
    return hashlib.sha256(f"{value}\n{item}".encode()).hexdigest()


def draw(items: Collection[str], value: str, count: int, committed: str = "") -> Sample:
    """Pick ``count`` items.

    Args:
        items: the population, no item twice and none with a line break.
        value: the public random value as published, without surrounding blanks.
        count: picks; all items when there are fewer.
        committed: the population's hash published earlier; "" when there was none.

    Raises:
        UsageError: the value is empty, the count not positive, items are double or the population is not the
            committed one.
    """
    population = set(items)
    wrong = _wrong(items, population, value.strip(), count)
    found = population_sha256(population)
    if committed and committed.lower() != found:
        wrong = f"the population's SHA-256 is {found}, not {committed}: it was changed after it was fixed"
    if wrong:
        raise UsageError(wrong)
    keyed = sorted((key(value.strip(), item), item) for item in population)
    return Sample(value.strip(), len(population), found, tuple(keyed[:count]))


def _wrong(items: Collection[str], population: set[str], value: str, count: int) -> str:
    if not value:
        return "the random value is empty: give a drand round's randomness, a NIST beacon pulse or a lottery draw"
    if count < 1:
        return f"{count} picks cannot be drawn: ask for at least 1"
    if len(population) != len(items):
        return "the population names an item twice: every block may stand in it once"
    if any("\n" in item for item in population):
        return "an item of the population contains a line break: give it a name of one line"
    return ""
