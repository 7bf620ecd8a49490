"""Every rule of a trace has a sentence that a person can read."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from fixgateway.core.outputs import TraceLine
from fixgateway.core.words import _RULES, number, sentence, share

D = Decimal
ONE = D(1)


def line(rule: str, exact: str = "6000/1", floor: int = 6000, award: int = 0, **more: object) -> TraceLine:
    quantity = D(floor + award)
    return TraceLine("A", D(10_000), exact, D(floor), D(award), quantity, rule, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "lot", "said"),
    [
        (line("floor"), ONE, "exact 6,000; 6,000 whole"),
        (line("floor", "20/3", 6), ONE, "exact 6 2/3; 6 whole, the fraction went to others"),
        (line("remainder:seeded", "20/3", 6, 1), ONE,
         "exact 6 2/3; 6 whole, 1 more for its fraction (equal fractions: seeded order)"),
        (line("remainder:rotation", "1200/7", 100, 100), D(100),
         "exact 171 3/7; 100 in whole lots of 100, 100 more for its fraction (equal fractions: turn)"),
        (line("odd-rest:largest-shortfall", "70/1", 0, 50), D(100),
         "exact 70; 0 in whole lots of 100, 50 more of the rest below a lot: furthest below its exact share"),
        (line("full"), ONE, "everything it asked for, 10,000"),
        (line("cap", cap=D(20)), ONE, "all that its holding allows, 20"),
        (line("below-minimum", "98/5", 0), ONE,
         "left out: its exact share 19 3/5 was below its minimum, and nobody is raised to it"),
        (line("part", "150/1", 150, place=2), ONE, "served in place 2, the last one reached: what was left, 150"),
        (line("waiting", "0/1", 0, place=3), ONE, "not reached: the fill ended before place 3"),
        (line("carry-forward", "1/3", 0, 1, credit="2/3"), ONE,
         "exact 1/3; 0 whole, short 2/3 lots from earlier blocks: 1 more"),
        (line("carry-forward", "5/3", 1, -1, credit="-1/3"), ONE,
         "exact 1 2/3; 1 whole, short -1/3 lots from earlier blocks: 1 less"),
        (line("own-order", "7/1", 7, place=2), ONE, "its own orders, turn 2, filled 7"),
        (line("new-word"), ONE, "exact 6,000; rule new-word"),
    ],
)  # fmt: skip
def test_a_sentence(given: TraceLine, lot: Decimal, said: str) -> None:
    assert sentence(given, lot) == said


def test_what_was_booked_before_is_told() -> None:
    given = TraceLine("A", D(60), "18/1", D(18), D(0), D(12), "floor", before=D(6))
    assert sentence(given, ONE) == "exact 18; 18 whole; 6 of it booked before, 12 now"


def test_every_documented_rule_has_its_sentence() -> None:
    text = (Path(__file__).parents[2] / "docs" / "allocation.md").read_text(encoding="utf-8")
    table = text[text.index("## The words of the trace") : text.index("`exact` is the share as a fraction")]
    rows = re.findall(r"^\| (.+?) \|", table, re.MULTILINE)
    documented = {word for row in rows for word in re.findall(r"`([\w-]+)", row)}
    assert documented == set(_RULES)


def test_numbers() -> None:
    assert [number(D(text)) for text in ("0", "1234567.50", "-0.5", "-1234")] == ["0", "1,234,567.5", "-0.5", "-1,234"]
    assert [share(text) for text in ("0/1", "-20/3", "1/3", "50000/3")] == ["0", "-6 2/3", "1/3", "16,666 2/3"]
