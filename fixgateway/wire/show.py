"""FIX text for people: ``|`` instead of SOH, field names beside the tags, nothing unprintable."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fixgateway.errors import ConfigError, WireError
from fixgateway.wire.dictionary import load
from fixgateway.wire.message import SOH, every_field, parse

_SECRET_TAGS = frozenset(("554", "925", "1402", "1404", "96"))
"""Password, new password (plain and encrypted), and raw data, which a Logon uses for one."""
_UNPRINTABLE = re.compile("[^ -~\xa0-\ud7ff\ue000-\U0010ffff]")


def show(text: str, names: bool = True) -> str:
    """One line: ``8 BeginString=FIX.4.4|9 BodyLength=…|…`` (or ``8=FIX.4.4|…`` without ``names``).

    Never raises: text that is no FIX message is shown as it is. Control characters and bytes that are not UTF-8
    appear as ``\\xNN``; passwords as ``***``.
    """
    known = _names(text) if names else {}
    return "|".join(_field(tag, value, known) for tag, value in every_field(text))


def title(text: str) -> str:
    """The message's name and type, ``NewOrderSingle (D)``; ``? (X)`` when unknown, "" when it is no message."""
    try:
        msg_type = parse(text).msg_type
        name = load(_begin_string(text)).message(msg_type).name
    except (WireError, ConfigError):
        return ""
    return f"{name or '?'} ({_visible(msg_type)})"


def _field(tag: str, value: str, names: Mapping[str, str]) -> str:
    name = names.get(tag, "")
    shown = "***" if tag in _SECRET_TAGS else value
    return _visible(f"{tag} {name}={shown}" if name else f"{tag}={shown}")


def _visible(text: str) -> str:
    return _UNPRINTABLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    # surrogateescape keeps byte 0xNN as U+DCNN
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\x{code:02x}"


def _names(text: str) -> Mapping[str, str]:
    try:
        return load(_begin_string(text)).names
    except ConfigError:
        return {}


def _begin_string(text: str) -> str:
    return text[2:].split(SOH, 1)[0] if text.startswith("8=") else ""
