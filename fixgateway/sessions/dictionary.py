"""Permissive data dictionaries, generated from those the engine's package installs.

A stock dictionary makes the engine refuse real fills: an enumeration value it has not heard of, a price written
``1,5``, a field the standard calls required. The generated ones keep the groups (without them the engine tears
a message apart when it resends) and what the session layer itself reads, and drop every other demand. What a
message means is judged from its raw text, elsewhere.
"""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path

from fixgateway.errors import ConfigError
from fixgateway.sessions.texts import HEADER_TAGS, TRAILER_TAGS

SESSION_FIELDS = frozenset(
    {"BeginSeqNo", "EndSeqNo", "NewSeqNo", "MsgSeqNum", "NextExpectedMsgSeqNum", "HeartBtInt"}
    | {"PossDupFlag", "PossResend", "GapFillFlag", "ResetSeqNumFlag", "SendingTime", "OrigSendingTime"}
)
"""Fields the engine turns into numbers, flags or times outside any guard of its own: a Logon with HeartBtInt
``abc`` that got past the dictionary would end the engine's thread. These keep their types."""

DEMANDED = {
    "header": frozenset(["SenderCompID", "TargetCompID", "MsgSeqNum", "SendingTime"]),
    "A": frozenset(["HeartBtInt"]),
    "2": frozenset(["BeginSeqNo", "EndSeqNo"]),
    "4": frozenset(["NewSeqNo"]),
}
"""Fields still required, by place: header, or the MsgType. Without one of them the engine would drop the
connection (or do nothing at all) instead of answering with a Reject."""

WIDE_GROUPS = frozenset(["NoAllocs", "NoOrders", "NoExecs"])
"""Groups that take every field of the body. A field the dictionary does not expect in a group ends it there, and
the rest of the entries then look like repeated fields, which the engine refuses. That a wide group also swallows
what follows it does no harm: nobody reads the parsed body."""

USER_TAGS = range(5_000, 10_000)
"""User-defined tags known to wide groups; about 2 MB a session. A tag above 9999 in the middle of a group of three
entries or more still gets the message refused."""

DATA_TYPES = frozenset(["DATA"])
"""Kept: raw data may contain the field separator."""


def installed_dictionaries() -> Path:
    """The directory in which the quickfix package put its FIX*.xml.

    Raises:
        ConfigError: when it is nowhere, naming the places looked at.
    """
    places = [Path(prefix) / "share" / "quickfix" for prefix in (sys.prefix, sys.base_prefix)]
    for place in places:
        if (place / "FIX44.xml").is_file():
            return place
    looked = ", ".join(str(place / "FIX44.xml") for place in places)
    raise ConfigError(f"the FIX dictionaries of the quickfix package are missing: no {looked}; reinstall quickfix")


def write_dictionaries(names: Iterable[str], target: Path, source: Path | None = None) -> None:
    """Write a permissive dictionary ``target/NAME.xml`` for every name such as ``FIX44``.

    Args:
        names: file names without ``.xml``.
        target: directory, made if missing.
        source: directory of the stock dictionaries; None: the installed ones.

    Raises:
        ConfigError: naming the file that is missing or unreadable.
    """
    origin = source if source is not None else installed_dictionaries()
    target.mkdir(parents=True, exist_ok=True)
    for name in sorted(set(names)):
        path = origin / f"{name}.xml"
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise ConfigError(f"cannot read FIX dictionary {path}: {error}; reinstall quickfix") from error
        relax(root)
        widen(root)
        text = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
        written = target / f"{name}.xml"
        if written.is_file() and written.read_bytes() == text:
            continue  # so that a start needs no space on a full disk
        unfinished = target / f".{name}.xml.{os.getpid()}"
        unfinished.write_bytes(text)
        unfinished.replace(written)


def relax(root: ElementTree.Element) -> None:
    """Take every demand but the session layer's out of a dictionary, in place."""
    for definition in root.iterfind("fields/field"):
        definition[:] = []
        kept = definition.get("name") in SESSION_FIELDS or definition.get("type") in DATA_TYPES
        if not kept:
            definition.set("type", "STRING")
    for place, section in _sections(root):
        demanded = DEMANDED.get(place, frozenset())
        for element in section.iter():
            if "required" in element.attrib:
                element.set("required", "Y" if element.get("name") in demanded else "N")


def widen(root: ElementTree.Element) -> None:
    """Let :data:`WIDE_GROUPS` take every field but those of header and trailer, in place."""
    fields = root.find("fields")
    groups = [group for group in root.iter("group") if group.get("name") in WIDE_GROUPS]
    if fields is None or not groups:
        return
    known = {definition.get("number") for definition in fields}
    for tag in USER_TAGS:
        if str(tag) not in known:
            ElementTree.SubElement(fields, "field", number=str(tag), name=f"UserTag{tag}", type="STRING")
    components = root.find("components")
    if components is None:
        components = ElementTree.SubElement(root, "components")
    anything = ElementTree.SubElement(components, "component", name="AnyField")
    for definition in fields:
        if int(definition.get("number", "0")) not in HEADER_TAGS | TRAILER_TAGS:
            ElementTree.SubElement(anything, "field", name=definition.get("name", ""), required="N")
    for group in groups:
        ElementTree.SubElement(group, "component", name="AnyField", required="N")


def _sections(root: ElementTree.Element) -> Iterable[tuple[str, ElementTree.Element]]:
    """Every part of a dictionary that can demand fields, with the key of :data:`DEMANDED` for it."""
    for name in ("header", "trailer", "components"):
        part = root.find(name)
        if part is not None:
            yield name, part
    for message in root.iterfind("messages/message"):
        yield message.get("msgtype", ""), message
