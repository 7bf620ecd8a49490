"""Templates of the pages: the environment, the words and numbers it shows, and the headers every page leaves with.

Everything shown is escaped. A template that names something the page does not give fails (StrictUndefined): a hole in
a page is a bug, not an empty cell. Quantities and prices arrive as text and stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

HERE = Path(__file__).parent
STATIC = HERE / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing of another host, nothing inline."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_NS = 1_000_000_000
_MINUTE = 60
_NO = "–"
"""What stands where there is nothing to show."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The time zone pages show times in: the policy's."""

    name: str

    def local(self, ts_ns: int) -> datetime:
        """The local time of UTC nanoseconds; parts of a second are cut."""
        return datetime.fromtimestamp(ts_ns // _NS, UTC).astimezone(ZoneInfo(self.name))


# ---------------------------------------------------------------- numbers


def number(value: object) -> str:
    """A quantity or price with thousands separated: ``15000`` is ``15,000``; digits behind the point stay."""
    if value is None or value == "":
        return _NO
    try:
        with localcontext() as context:
            context.prec = 80
            return format(Decimal(str(value)), ",f")
    except (InvalidOperation, ValueError):
        return str(value)


def signed(value: object) -> str:
    """A number with its sign; zero has none."""
    text = number(value)
    return text if text == _NO or text.startswith("-") or not text.strip("0.,") else f"+{text}"


def percent(part: object, whole: object) -> str:
    """A part of a whole in per cent, two digits at most, rounded half up; exact numbers in."""
    try:
        value = Fraction(str(part)) / Fraction(str(whole)) * 10_000
    except (ValueError, ZeroDivisionError):
        return _NO
    hundredths = int(value + Fraction(1, 2))
    text = f"{hundredths // 100}.{hundredths % 100:02d}".rstrip("0").rstrip(".")
    return f"{text} %"


def ratio(part: object, whole: object, width: int = 88) -> int:
    """How many of ``width`` units a bar for a part of a whole takes."""
    try:
        share = Fraction(str(part)) / Fraction(str(whole))
    except (ValueError, ZeroDivisionError):
        return 0
    return min(max(int(share * width), 0), width)


def exact(value: str) -> Markup:
    """An exact share ``num/den`` as whole number and fraction: ``1000/3`` is ``333 1/3``."""
    top, slash, below = value.partition("/")
    try:
        whole, rest = divmod(int(top), int(below or 1))
    except (ValueError, ZeroDivisionError):
        return Markup("{}").format(value)
    if not slash or not rest:
        return Markup("{}").format(f"{whole:,}")
    return Markup('{}<span class="soft"> {}/{}</span>').format(f"{whole:,}", rest, below)


# ---------------------------------------------------------------- times


def span(seconds: int) -> str:
    """A length of time as people say it, largest two units."""
    minutes = abs(seconds) // _MINUTE
    hours, days = minutes // 60, minutes // (60 * 24)
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def away(until_ns: int, now_ns: int) -> str:
    """How far a moment is: ``in 2 h 14 min`` or ``5 min ago``."""
    seconds = (until_ns - now_ns) // _NS
    return f"in {span(seconds)}" if seconds >= 0 else f"{span(seconds)} ago"


class Renderer:
    """Renders pages.

    Args:
        zone: IANA name of the time zone times are shown in.
    """

    def __init__(self, zone: str) -> None:
        self.zone = Zone(zone)
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters |= {
            "number": number,
            "signed": signed,
            "exact": exact,
            "clock": self._clock,
            "moment": self._moment,
            "day": _day,
            "path": _path,
            "capitalize_first": lambda text: text[:1].upper() + text[1:],
        }
        self._environment.globals |= {"percent": percent, "ratio": ratio, "away": away, "zone": zone}
        self._environment.tests["blank"] = lambda value: value is None or value == ""

    def page(
        self,
        template: str,
        values: Mapping[str, Any],
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """A page as an answer."""
        text = self._environment.get_template(template).render(**values)
        return Response(
            text.encode("utf-8", "backslashreplace"),
            int(status),
            {**HEADERS, **(headers or {})},
            "text/html; charset=utf-8",
        )

    def _clock(self, ts_ns: int) -> Markup:
        """The local time of day; the exact UTC time is in the title."""
        return self._time(ts_ns, "%H:%M:%S")

    def _moment(self, ts_ns: int) -> Markup:
        """The local date and time."""
        return self._time(ts_ns, "%d %b %Y %H:%M:%S")

    def _time(self, ts_ns: int, form: str) -> Markup:
        seconds, rest = divmod(int(ts_ns), _NS)
        utc = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
        shown = self.zone.local(int(ts_ns)).strftime(form)
        return Markup('<time datetime="{}Z" title="{}.{:09d} UTC">{}</time>').format(utc, utc, rest, shown)


def _day(value: object) -> str:
    """A date as people read it; text that is none stays."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return str(value)
    return f"{value:%a} {value.day} {value:%B %Y}" if isinstance(value, date) else _NO


def _path(value: object) -> str:
    """An id as one part of an address; also a slash in it."""
    return quote(str(value), safe="")


def words_list(items: Sequence[str]) -> Markup:
    """Texts as one escaped line."""
    return escape(", ".join(items))
