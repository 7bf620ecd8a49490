"""The report: one HTML file from the review's document alone, for the screen and for paper.

Nothing is looked up elsewhere: styles and pictures are inside, and so is the document itself as JSON. The words never
go beyond what was measured: what the records show, what chance explains badly, what the data cannot tell.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from fixgateway.forensics.pictures import PICTURES, group_name
from fixgateway.forensics.report_words import (
    MEANINGS,
    SIGNS,
    TITLES,
    WORDS,
    caption,
    money_text,
    number_text,
    p_text,
    pairs,
    rendered,
    sentence,
)

Document = Mapping[str, Any]

MOST_HEADLINES = 3
MOST_PROBLEMS = 200
"""Unused rows listed on the page; all are in the JSON."""


def html(document: Document) -> str:
    """The report of a review.

    Args:
        document: what ``Result.document()`` gives (docs/forensics.md); sections that it lacks are left out.
    """
    tests = [_test(test) for test in document.get("tests", ())]
    for number, test in enumerate(tests):
        test["number"] = number
    problems = list(document.get("problems", ()))
    plan = document.get("plan") or {}
    verdict = str(document["verdict"])
    template = _environment().get_template("report.html.j2")
    return template.render(
        css=Markup(_text("report.css")),
        period=_period(document),
        facts=_facts(document),
        post_hoc=sentence(str(plan.get("status_text", ""))) if plan.get("status") == "post hoc" else "",
        verdict={"name": verdict, "word": WORDS[verdict], "meaning": MEANINGS[verdict]},
        headline=_headline(document),
        tests=tests,
        deciding=[test for test in tests if test["shown"] and test["primary"]],
        informing=[test for test in tests if test["shown"] and not test["primary"]],
        same=[(one, [test["id"] for test in ones]) for one, ones in _by("same_as", tests) if one],
        untested=_by("summary", [test for test in tests if test["verdict"] == "insufficient" and not test["same_as"]]),
        pictures=_pictures(document),
        reviewed=pairs(_reviewed(document)),
        notes=[sentence(words) for words in document.get("notes", ())],
        problems=problems[:MOST_PROBLEMS],
        problems_left_out=max(0, int(document.get("problems_total", len(problems))) - MOST_PROBLEMS),
        cautions=[words for words in document.get("limits", ()) if not words.startswith("post hoc")],
        plan=pairs({"sha256": document.get("plan_sha256", ""), **plan}),
        words=[{"name": name, "meaning": meaning} for name, meaning in MEANINGS.items()],
        json=Markup(_embedded(document)),
    )


def _embedded(document: Document) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.update(sign=_sign, chip=_chip)
    return made


@cache
def _text(name: str) -> str:
    return (files("fixgateway.forensics") / "templates" / name).read_text(encoding="utf-8")


def _sign(verdict: str) -> Markup:
    """A shape of its own for each verdict, so that nobody depends on the colour."""
    return Markup('<svg viewBox="0 0 20 20" aria-hidden="true" fill="currentColor">{}</svg>').format(
        Markup(SIGNS[verdict])
    )


def _chip(verdict: str) -> Markup:
    return Markup('<span class="chip {}">{}{}</span>').format(verdict, _sign(verdict), WORDS[verdict])


# ---------------------------------------------------------------- parts


def _period(document: Document) -> str:
    first, last = (str(day) for day in document.get("period") or ("", ""))
    return f"{first} to {last}" if first != last else first


def _facts(document: Document) -> list[str]:
    counted = [(name, document.get(name)) for name in ("blocks", "accounts", "rows")]
    return [f"{number_text(value)} {name}" for name, value in counted if isinstance(value, int)]


def _headline(document: Document) -> list[str]:
    """What the tests behind the result say, one sentence each."""
    verdict = document["verdict"]
    behind = [
        test
        for test in document.get("tests", ())
        if test["verdict"] == verdict
        and test.get("summary")
        and not _same_as(test)
        and (test.get("primary") or verdict in ("amber", "green"))
    ]
    first = sorted(behind, key=lambda test: not test.get("primary"))[:MOST_HEADLINES]
    return [f"{test['id']}: {sentence(test['summary'])}" for test in first]


def _reviewed(document: Document) -> dict[str, Any]:
    names = ("period", "blocks", "rows", "accounts", "currencies", "groups", "data_sha256", "seed", "version")
    return {name: document[name] for name in names if name in document} | {"period": _period(document)}


def _pictures(document: Document) -> list[dict[str, Any]]:
    """The pictures that there are numbers for, each with title and caption."""
    numbers = dict(document.get("figures") or {})
    tested = _permutation(document)
    if tested:
        numbers["permutation"] = tested
    return [
        {
            "name": name,
            "title": TITLES[name, str(numbers[name].get("mode", ""))],
            "svg": Markup(draw(numbers[name])),
            "caption": caption(name, numbers[name]),
        }
        for name, draw in PICTURES.items()
        if name in numbers
    ]


def _permutation(document: Document) -> Mapping[str, Any] | None:
    """The distribution of the first test that has one, a1 before others."""
    for test in document.get("tests", ()):
        found = (test.get("figures") or {}).get("permutation")
        if found:
            return {
                "currency": test.get("currency", ""), **found, "test": test["id"], "p": test.get("p"),
                "n_permutations": test.get("n_permutations"), "exact": test.get("exact"),
            }  # fmt: skip
    return None


# ---------------------------------------------------------------- tests


def _test(test: Mapping[str, Any]) -> dict[str, Any]:
    """A test as the template shows it."""
    power = test.get("power") or {}
    return {
        "id": test["id"],
        "title": test.get("title", ""),
        "verdict": str(test["verdict"]),
        "primary": bool(test.get("primary")),
        "summary": sentence(test.get("summary", "")),
        "same_as": _same_as(test),
        "shown": not _same_as(test) and str(test["verdict"]) != "insufficient",
        "benefit_text": _benefit(test),
        "bps_text": _bps(test),
        "p_text": p_text(_adjusted(test)),
        "at_floor": _at_floor(test),
        "n_text": number_text(test.get("n_blocks", 0)),
        "facts": _test_facts(test),
        "power_text": sentence(str(power.get("text", ""))),
        "limits": [sentence(words) for words in test.get("limits", ())],
        "details": rendered(test.get("details") or {}),
    }


def _by(key: str, tests: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The tests together that have the same value."""
    found: dict[str, list[dict[str, Any]]] = {}
    for test in tests:
        found.setdefault(test[key], []).append(test)
    return list(found.items())


def _same_as(test: Mapping[str, Any]) -> str:
    """The id of the test that has the same accounts and blocks; "" where this one stands for itself."""
    return str((test.get("details") or {}).get("same_as") or "")


def _adjusted(test: Mapping[str, Any]) -> float | None:
    found: float | None = test.get("p") if test.get("p_adj") is None else test["p_adj"]
    return found


def _at_floor(test: Mapping[str, Any]) -> bool:
    """Whether the plain p-value is the smallest that the test could show."""
    p, floor = test.get("p"), test.get("p_floor")
    return p is not None and floor is not None and p <= floor * (1 + 1e-9) < 1


def _bps(test: Mapping[str, Any]) -> str:
    found = test.get("benefit_bps")
    return "" if found is None else f"{found:,.1f} bp".replace("-", "−")


def _benefit(test: Mapping[str, Any]) -> str:
    if test.get("benefit") is not None:
        return money_text(test["benefit"], test.get("currency", ""))
    return "; ".join(money_text(value, name) for name, value in (test.get("benefits") or {}).items())


def _test_facts(test: Mapping[str, Any]) -> list[tuple[str, Any]]:
    strata = test.get("strata") or {}
    sizes = [size for size in strata.get("sizes", ()) if isinstance(size, int)] if isinstance(strata, Mapping) else []
    rearranged = "all, counted exactly" if test.get("exact") else number_text(test.get("n_permutations") or 0)
    groups = [name for name in test.get("groups") or {} if name == "union" or "union" not in test["groups"]]
    facts = [
        ("Benefit on the first day", _benefit(test)),
        ("In basis points of its notional", _bps(test)),
        ("p", p_text(test.get("p"))),
        ("p, adjusted", p_text(test.get("p_adj"))),
        ("Smallest p possible", p_text(test.get("p_floor"))),
        ("Blocks", number_text(test.get("n_blocks", 0))),
        ("Rearrangements", rearranged if test.get("p") is not None else ""),
        (
            "Strata",
            f"{number_text(strata.get('count', len(sizes)))}, of {min(sizes)} to {max(sizes)} blocks" if sizes else "",
        ),
        ("Groups", ", ".join(group_name(str(name)) for name in groups) if groups else ""),
    ]
    return [(name, value) for name, value in facts if value not in ("", None)]
