"""The text check: what no order may contain, because the body goes to the broker byte for byte.

A header tag inside the body, a tag twice, a count that lies, data that hides fields: a receiver might read such
a message in another way than the gate did. Only messages that can raise an exposure are refused for it; fills and
answers are flagged and passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fixgateway.wire.dictionary import Dictionary, MessageType
from fixgateway.wire.groups import Layout, layout
from fixgateway.wire.message import SOH, Message

ALLOC_COUNT = "78"
_CONTROL = "\x00-\x1f\x7f-\x9f\ud800-\udfff"
_CLEAN_BODY = re.compile(f"(?:[1-9][0-9]{{0,8}}+=[^{_CONTROL}]++\x01)*+")
_TAG = re.compile("[1-9][0-9]{0,8}")
_UNCLEAN = re.compile(f"[{_CONTROL}]")
_UNCLEAN_DATA = re.compile("[\x00\x01\ud800-\udfff]")
_SHOWABLE = re.compile("[!-~]{1,20}")


def examine(message: Message, dictionary: Dictionary) -> tuple[str, Layout | None]:
    """The defect and, where the body has groups or data fields, its layout (None when it has neither).

    Nearly every order takes the short way: one pattern over the body, no tag twice, no tag that needs a look.
    """
    kind = dictionary.message(message.msg_type)
    if (
        _CLEAN_BODY.fullmatch(message.body)
        and len(message.fields) == message.body.count(SOH)
        and kind.suspects.isdisjoint(message.fields)
    ):
        return "", None
    found = layout(message.pairs, kind.groups)
    return next(_defects(message, dictionary, kind, found), ""), found


def defect(message: Message, dictionary: Dictionary) -> str:
    """The first thing wrong with the body's text: "" or a code GW-304 … GW-309, a blank, and plain words."""
    return examine(message, dictionary)[0]


def _defects(message: Message, dictionary: Dictionary, kind: MessageType, found: Layout) -> Iterator[str]:
    data_tags = frozenset(dictionary.data_of.values())
    reserved = dictionary.header | dictionary.trailer
    for tag, value in message.pairs:
        if not _TAG.fullmatch(tag):
            yield f"GW-305 {_shown(tag)} is not a tag"
        elif tag in reserved:
            yield f"GW-304 tag {tag} of the header or trailer stands in the body"
        elif not value:
            yield f"GW-309 tag {tag} has no value"
    yield from data_defects(message, dictionary)
    for tag, value in message.pairs:
        if tag in data_tags:
            # A receiver that cuts at every separator would see fields here that the gate did not.
            if _UNCLEAN_DATA.search(value):
                yield f"GW-309 data tag {tag} has a field separator, NUL or bytes that are not UTF-8"
        elif _UNCLEAN.search(value):
            yield f"GW-309 tag {tag} has control characters or bytes that are not UTF-8"
    for block in found.all_blocks():
        if block.problem:
            yield f"GW-307 {block.problem}"
    yield from _repeats(found)
    alloc = kind.groups.get(ALLOC_COUNT)
    if alloc is not None:
        for tag in alloc.all_tags() - kind.tags:
            if tag in found.fields:
                yield f"GW-307 tag {tag} stands outside its group {ALLOC_COUNT}"


def data_defects(message: Message, dictionary: Dictionary) -> Iterator[str]:
    """Lengths without data, data without length, lengths that differ; each a code, a blank, and words."""
    expected, length = "", ""
    data_tags = frozenset(dictionary.data_of.values())
    for tag, value in message.pairs:
        if expected and tag != expected:
            yield f"GW-308 data {expected} does not follow its length"
        elif expected and length != str(_byte_length(value)):
            yield f"GW-308 data {expected} is not {_shown(length)} bytes long"
        elif not expected and tag in data_tags:
            yield f"GW-308 data {tag} has no length before it"
        expected, length = dictionary.data_of.get(tag, ""), value
    if expected:
        yield f"GW-308 data {expected} does not follow its length"


def _repeats(found: Layout) -> Iterator[str]:
    """A tag twice outside groups, twice in one entry, or both outside and inside a group."""
    if len(found.fields) != len(found.top):
        yield f"GW-306 tag {_second(found.top)} is repeated"
    for block in found.all_blocks():
        for entry in block.entries:
            if len(entry.fields) != len(entry.pairs):
                yield f"GW-306 tag {_second(entry.pairs)} is repeated in an entry of {block.group.count_tag}"
            elif not found.fields.keys().isdisjoint(entry.fields):
                tag = next(iter(found.fields.keys() & entry.fields.keys()))
                yield f"GW-306 tag {tag} stands both outside and inside group {block.group.count_tag}"


def _byte_length(value: str) -> int:
    """Bytes of ``value`` on the wire; -1 when it never came from a wire."""
    try:
        return len(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return -1


def _second(pairs: list[tuple[str, str]]) -> str:
    """The first tag that comes a second time."""
    seen: set[str] = set()
    for tag, _ in pairs:
        if tag in seen:
            return tag
        seen.add(tag)
    return ""


def _shown(text: str) -> str:
    """Peer text as far as it may be repeated in a reply."""
    return text if _SHOWABLE.fullmatch(text) else "an unprintable text"
