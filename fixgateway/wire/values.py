"""FIX values to ours and back: numbers, timestamps, dates, text. Exact, without floats, never raising."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

MAX_TEXT_LENGTH = 512
"""Longest Text(58) of the gateway's own, in characters."""

_CONTROL = "\x00-\x1f\x7f-\x9f\ud800-\udfff"
_UNCLEAN = re.compile(f"[{_CONTROL}]")
_UNCLEAN_BODY = re.compile("[\x00\x02-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSENDABLE = re.compile("[\x00\ud800-\udfff]")
_NOT_PLAIN = re.compile("[^ -~]")
_NUMBER = re.compile(r"-?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})", re.ASCII)
_NUMBER_LENGTH_MAX = 38
_SECOND = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})-([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)
_FRACTION = re.compile(r"\.[0-9]{1,12}", re.ASCII)
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})", re.ASCII)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS = 1_000_000_000


def is_clean(body: str) -> bool:
    """Whether a body has neither control characters (SOH aside) nor bytes that are not UTF-8."""
    return _UNCLEAN_BODY.search(body) is None


def clean_text(text: str) -> str:
    """``text`` with each control character and each byte that is not UTF-8 as ``?``."""
    return _UNCLEAN.sub("?", text)


def clean_body(text: str) -> str:
    """``text`` with what the FIX engine cannot carry as ``?``: NUL and bytes that are not UTF-8."""
    if text.isascii() and "\x00" not in text:
        return text  # nearly every one, and much quicker than the pattern
    return _UNSENDABLE.sub("?", text)


def plain_words(text: str, limit: int = MAX_TEXT_LENGTH) -> str:
    """Printable ASCII for a text of our own: everything else as ``?``, cut at ``limit`` characters."""
    return _NOT_PLAIN.sub("?", text[:limit])


def lenient_decimal(text: str) -> Decimal | None:
    """A broker's number, exactly, or None when it is not one.

    Leading and trailing zeros, a minus sign, ``23.`` and ``.5`` are numbers (FIX 4.4 vol. 1, float); an
    exponent, a plus sign, blanks, commas and ``NaN`` are not. Up to 18 digits on either side of the point.
    """
    return _number(text) if len(text) <= _NUMBER_LENGTH_MAX else None


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def utc_ns(text: str) -> int:
    """UTCTimestamp ``YYYYMMDD-HH:MM:SS[.fraction]`` as nanoseconds since 1970; 0 when unreadable.

    A fraction finer than nanoseconds is cut; second 60 (a leap second) is the next minute's first.
    """
    start = _second_ns(text[:17])
    rest = text[17:]
    if not start or not rest:
        return start
    if len(rest) == 4 and rest[0] == "." and rest[1:].isdigit() and rest.isascii():
        return start + int(rest[1:]) * 1_000_000  # nearly every one
    return start + int(rest[1:10].ljust(9, "0")) if _FRACTION.fullmatch(rest) else 0


@lru_cache(maxsize=4096)
def _second_ns(text: str) -> int:
    found = _SECOND.fullmatch(text)
    if found is None:
        return 0
    year, month, day, hour, minute, second = map(int, found.groups())
    if year < 1971 or hour > 23 or minute > 59 or second > 60:
        return 0
    try:
        days = date(year, month, day).toordinal() - _EPOCH.toordinal()
    except ValueError:
        return 0
    return (days * 86_400 + hour * 3_600 + minute * 60 + second) * _NS


def utc_text(ts_ns: int) -> str:
    """Nanoseconds since 1970 as UTCTimestamp with milliseconds; the rest is cut, not rounded."""
    seconds, rest = divmod(ts_ns, _NS)
    return f"{_second_text(seconds)}.{rest // 1_000_000:03d}"


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    return f"{_EPOCH + timedelta(seconds=seconds):%Y%m%d-%H:%M:%S}"


def iso_date(text: str) -> str:
    """LocalMktDate ``YYYYMMDD`` as ``YYYY-MM-DD``; anything else as it came."""
    return _DATE.sub(r"\1-\2-\3", text) if _DATE.fullmatch(text) else text


def iso_time(text: str) -> str:
    """UTCTimestamp as ISO 8601 with ``Z``, to nanoseconds; anything else as it came."""
    found = _SECOND.fullmatch(text[:17])
    fraction = text[17:]
    if found is None or not (fraction == "" or _FRACTION.fullmatch(fraction)):
        return text
    year, month, day, hour, minute, second = found.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{fraction[:10]}Z"


@lru_cache(maxsize=64)
def market_date(text: str) -> date | None:
    """LocalMktDate ``YYYYMMDD`` as a date, None when it is no real day."""
    found = _DATE.fullmatch(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def fix_date(text: str) -> str:
    """``YYYY-MM-DD`` or ``YYYYMMDD`` of a real day as LocalMktDate, "" for anything else."""
    digits = text.replace("-", "") if _ISO_DATE.fullmatch(text) else text
    found = _DATE.fullmatch(digits)
    try:
        return digits if found and date(int(found[1]), int(found[2]), int(found[3])) else ""
    except ValueError:
        return ""
