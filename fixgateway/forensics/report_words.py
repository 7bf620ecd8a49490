"""The report's words: verdicts, titles, captions; numbers as people read them; values of any shape as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from markupsafe import Markup, escape

from fixgateway.forensics.pictures import SHORTEST_MINUTES, group_name

WORDS = {"green": "Green", "amber": "Amber", "red": "Red", "insufficient": "Insufficient"}

MEANINGS = {
    "red": "At least one test that decides found something that chance, or the stated policy, does not explain. It "
    "needs a documented explanation. This does not say why it happened, and is no finding about any person.",
    "amber": "Something deserves a closer look. It is weaker than what the plan calls red, or has an explanation on "
    "record that should be read.",
    "green": "The tests that could run found nothing that chance and the stated policy do not explain. What they could "
    "have missed is stated beside each.",
    "insufficient": "These data cannot tell, neither way. What is missing is listed with the tests.",
}
"""What each verdict says and does not say, the most serious first."""

SIGNS = {
    "green": '<circle cx="10" cy="10" r="8"/>',
    "amber": '<path d="M10 1.5 19 18H1z"/>',
    "red": '<path d="M2 2h16v16H2z"/>',
    "insufficient": '<path d="M10 1a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2.4a6.6 6.6 0 1 1 0 13.2 6.6 6.6 0 0 1 0-13.2z"/>',
}
"""A shape for each verdict, inside a square of 20."""

TITLES = {
    ("benefit", "deviation"): "First-day benefit over the expected allocation, by kind of account",
    ("benefit", "gain"): "First-day gain of what was allocated, by kind of account",
    ("permutation", ""): "What chance gives, and what was observed",
    ("returns", "deviation"): "First-day returns by who received the blocks",
    ("returns", "gain"): "First-day returns by who received the blocks",
    ("lateness", "deviation"): "Time to allocation against outcome",
    ("lateness", "gain"): "Time to allocation against outcome",
    ("heat", "deviation"): "Deviation from the expected amount, by account and month",
    ("heat", "gain"): "First-day return, by account and month",
    ("funnel", "deviation"): "How often exceptions occur, against what chance would spread",
    ("funnel", "gain"): "How often exceptions occur, against what chance would spread",
}
"""Titles of the pictures, by name and way of looking (figures.py)."""

MOST_ROWS = 12
"""Rows of a table on the page; all are in the JSON."""

TECHNICAL = frozenset(("log10_smallest_p", "log10_orders", "exchanges", "pooled", "p_exact", "quantum", "same_as"))
"""Details that only a statistician asks for: left to the JSON."""

_TINY = 0.001


CAPTIONS = {
    (
        "benefit",
        "deviation",
    ): "Running sum of (allocated − expected) × (close − price), signed by side. Where the expected "
    "amounts add to the fill the lines add to zero: what one kind of account gains by deviations, others forgo.",
    (
        "benefit",
        "gain",
    ): "Running sum of the first-day gain of everything allocated. Without an expected allocation this "
    "holds legitimate differences between accounts too.",
    ("permutation", ""): "The group's benefit in {count} rearrangements of the blocks' outcomes within strata (test "
    "{test}), and the benefit observed; p = {p}.",
    ("returns", "deviation"): "The group: {group}. Left: the money allocated, by the return of its block at the day's "
    "close. Right: the blocks, apart by whether the group received more or less than expected.",
    ("returns", "gain"): "The group: {group}. The money allocated, by the return of its block at the day's close. "
    "Strategies that honestly differ differ here too.",
    ("lateness", "deviation"): "One mark a block: time from completion (or last fill) to allocation, and the block's "
    "return at the close. More and less than expected, for: {group}. {drawn}",
    (
        "lateness",
        "gain",
    ): "One mark a block: time from completion (or last fill) to allocation, and the block's return at "
    "the close. More and less than the average of the stratum, for: {group}. {drawn}",
    (
        "heat",
        "deviation",
    ): "The amount allocated above (orange) or below (violet) the expected amount, in percent of it. "
    "{marked} {left_out}",
    ("heat", "gain"): "First-day return of what each account was allocated; orange above zero, violet below. {marked} "
    "{left_out}",
    (
        "funnel",
        "deviation",
    ): "Each dot is one trader or account, the line the common rate; the bands hold 95 % and 99.8 % "
    "of what chance alone would give at that number of blocks. Dots beyond the bands differ from the rest; why, the "
    "picture does not say.",
}
"""What a picture shows and what it does not, by name and way of looking."""


def caption(name: str, numbers: Mapping[str, Any]) -> str:
    """The words under a picture."""
    template = CAPTIONS.get((name, str(numbers.get("mode", "")))) or CAPTIONS[name, "deviation"]
    words = {
        "group": group_name(str(numbers.get("group", ""))),
        "count": number_text(sum(numbers.get("counts", ()))),
        "test": numbers.get("test", ""),
        "p": p_plain(numbers.get("p")),
        "drawn": "",
        "marked": "",
        "left_out": "",
    }
    if name == "lateness" and len(numbers["minutes"]) < numbers["blocks"]:
        words["drawn"] = f"{number_text(len(numbers['minutes']))} of {number_text(numbers['blocks'])} blocks are drawn."
    if any(minutes < SHORTEST_MINUTES for minutes in numbers.get("minutes", ())):
        words["drawn"] += " Less than half a minute is drawn as half a minute."
    if any(numbers.get("favoured", ())):
        words["marked"] = f"♦ marks the group: {words['group']}."
    if numbers.get("accounts_left_out"):
        words["left_out"] = f"{number_text(numbers['accounts_left_out'])} accounts with smaller numbers are not drawn."
    text = " ".join(template.format(**words).split())
    others = numbers.get("other_currencies")
    return f"{text} Only {numbers.get('currency')}; also in the data: {', '.join(others)}." if others else text


# ---------------------------------------------------------------- numbers


def number_text(value: float | int) -> str:
    """A number with thousands separators; floats with at most four significant decimals."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= _TINY or not value else f"{value:.2e}"


def sentence(words: str) -> str:
    """A test's words as a sentence: a capital, a full stop, powers of ten and thousands as people write them."""
    text = _POWER.sub(lambda found: f"{found[1]} × 10{str(int(found[2])).translate(_RAISED)}", words.strip())
    text = _LONG_NUMBER.sub(lambda found: f"{Decimal(found[0]):,}", text)
    text = text.replace("<=", "≤").replace(">=", "≥")
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


_POWER = re.compile(r"\b(\d(?:\.\d+)?)e(-\d+)\b")
_LONG_NUMBER = re.compile(r"(?<![\d.,/-])\d{4,}\.\d\d\b")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def money_text(value: str, currency: str = "") -> str:
    """Exact money with thousands separators and its currency."""
    try:
        text = f"{Decimal(value):,.2f}"
    except InvalidOperation:
        text = str(value)
    return f"{text.replace('-', '−')} {currency}".strip()


def p_text(p: float | None) -> Markup | str:
    """A p-value; small ones as powers of ten."""
    if p is None or p >= _TINY:
        return "" if p is None else f"{p:.3f}"
    if p <= 0:
        return Markup("below 10<sup>−300</sup>")
    mantissa, power = f"{p:.1e}".split("e")
    return Markup("{} × 10<sup>−{}</sup>").format(mantissa, abs(int(power)))


def p_plain(p: float | None) -> str:
    """The same without markup."""
    return "" if p is None else f"{p:.3f}" if p >= _TINY else f"{p:.1e}"


# ---------------------------------------------------------------- values of any shape


def pairs(values: Mapping[str, Any]) -> Markup:
    """Names and values as a list; nested values below each other."""
    shown = [(name, value) for name, value in values.items() if not _is_empty(value)]
    items = (Markup("<dt>{}</dt><dd>{}</dd>").format(_name(name), _value(name, value)) for name, value in shown)
    return Markup('<dl class="pairs">{}</dl>').format(Markup("").join(items)) if shown else Markup("")


def rendered(details: Mapping[str, Any]) -> Markup:
    """A test's details: plain values as a list, then every table and nested value under its name."""
    details = {name: value for name, value in details.items() if name not in TECHNICAL}
    plain = {name: value for name, value in details.items() if not isinstance(value, (dict, list))}
    nested = {name: value for name, value in details.items() if name not in plain and not _is_empty(value)}
    parts = [pairs(plain)]
    parts += [Markup("<h4>{}</h4>{}").format(_name(name), _value(name, value)) for name, value in nested.items()]
    return Markup("").join(parts)


def _value(name: str, value: Any) -> Markup:
    match value:
        case bool():
            return escape("yes" if value else "no")
        case int() | float() if str(name) == "p" or str(name).startswith(("p_", "smallest")):
            return escape(p_text(float(value)))
        case int() | float():
            return escape(number_text(value))
        case Mapping() if value and all(_CURRENCY.fullmatch(str(key)) for key in value):
            return escape("; ".join(money_text(str(amount), str(key)) for key, amount in value.items()))
        case Mapping() if value and all(isinstance(item, Mapping) for item in value.values()):
            return _table([{"": key, **item} for key, item in value.items()])
        case Mapping():
            return pairs(value)
        case list() | tuple() if value and all(isinstance(item, Mapping) for item in value):
            return _table(value)
        case list() | tuple():
            kept = Markup(", ").join(_value("", item) for item in value[:MOST_ROWS])
            return kept + (f" … {len(value) - MOST_ROWS} more" if len(value) > MOST_ROWS else "")
        case None:
            return Markup("")
        case str() if _is_decimal(value) and not str(name).endswith(_NAMES):
            return escape(f"{Decimal(value):,}".replace("-", "−"))
    css = "hash" if str(name).lower().replace("-", "").endswith(("sha256", "seed")) else ""
    return Markup('<code class="hash">{}</code>').format(value) if css else escape(str(value))


_DECIMAL = re.compile(r"-?\d+(\.\d+)?")
_LONGEST_DECIMAL = 24
_CURRENCY = re.compile(r"[A-Z]{3}")
_NAMES = ("id", "code", "name")
"""How columns end that hold names, even where the names are digits."""


def _is_empty(value: Any) -> bool:
    """Nothing to show, however deep."""
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_empty, value))
    return value is None or value == ""


def _table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    columns = list(dict.fromkeys(name for row in rows[:MOST_ROWS] for name in row))
    numeric = {
        name
        for name in columns
        if not name.endswith(_NAMES) and all(_is_number(row.get(name)) for row in rows[:MOST_ROWS])
    }
    head = _cells("th", ((name, _name(name)) for name in columns), numeric)
    body = (
        _cells("td", ((name, _value(name, row.get(name))) for name in columns), numeric) for row in rows[:MOST_ROWS]
    )
    more = Markup('<p class="note">{} more rows in the numbers at the end of this file.</p>').format(
        len(rows) - MOST_ROWS
    )
    table = Markup("<table><thead>{}</thead><tbody>{}</tbody></table>").format(head, Markup("").join(body))
    return table + more if len(rows) > MOST_ROWS else table


def _cells(tag: str, cells: Iterable[tuple[str, Any]], numeric: set[str]) -> Markup:
    made = (
        Markup('<{0} class="n">{1}</{0}>' if name in numeric else "<{0}>{1}</{0}>").format(tag, value)
        for name, value in cells
    )
    return Markup("<tr>{}</tr>").format(Markup("").join(made))


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _is_decimal(value)
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _is_decimal(text: str) -> bool:
    """Whether this is exact money or a quantity: plain digits, no more than a number would have."""
    return len(text) <= _LONGEST_DECIMAL and _DECIMAL.fullmatch(text) is not None


def _name(name: str) -> str:
    """A key as words."""
    return str(name).replace("_", " ")
