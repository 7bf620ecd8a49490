"""FIX data dictionaries: which tags, groups and data fields a version has.

They are read from the XML files the quickfix package installs, with the project's overlays
(``spec/dictionaries/*.toml``, see the README there) on top. Nothing is refused because a dictionary does not
know it; the dictionary says where groups begin and end, what is data, and how fields are called.
"""

from __future__ import annotations

import sys
import sysconfig
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from fixgateway.errors import ConfigError
from fixgateway.wire.message import DATA_OF, HEADER_TAGS, TRAILER_TAGS

_FILES: Mapping[str, tuple[str, str]] = {
    # BeginString → (file with the messages, file with header and trailer)
    "FIX.4.0": ("FIX40", "FIX40"),
    "FIX.4.1": ("FIX41", "FIX41"),
    "FIX.4.2": ("FIX42", "FIX42"),
    "FIX.4.3": ("FIX43", "FIX43"),
    "FIX.4.4": ("FIX44", "FIX44"),
    "FIXT.1.1": ("FIX50SP2", "FIXT11"),
}
_OVERLAYS = Path(__file__).resolve().parents[2] / "spec" / "dictionaries"
MAX_GROUP_DEPTH = 12
"""Deepest nesting of groups read from a dictionary."""


@dataclass(frozen=True, slots=True)
class Group:
    """A repeating group: its count tag, the tag every entry starts with, its members, groups inside it.

    ``members`` are the tags of one entry in the dictionary's order, nested count tags included. ``outer`` are
    the tags known to what encloses the group: one of them ends it.
    """

    count_tag: str
    delimiter: str
    members: tuple[str, ...]
    tags: frozenset[str]
    groups: Mapping[str, Group]
    outer: frozenset[str]
    required: tuple[str, ...] = ()

    def all_tags(self) -> frozenset[str]:
        """Tags of the group and of every group inside it."""
        return self.tags.union(*(group.all_tags() for group in self.groups.values()))


@dataclass(frozen=True, slots=True)
class MessageType:
    """One message type of a version.

    ``tags`` are the body's own tags (count tags included, group members not), ``required`` those it must have,
    ``suspects`` the tags whose presence the quick text check cannot judge: header and trailer tags, count
    tags, group members, lengths and data.
    """

    msg_type: str
    name: str
    tags: frozenset[str]
    required: tuple[str, ...]
    groups: Mapping[str, Group]
    suspects: frozenset[str]


class Dictionary:
    """One version's dictionary with overlays applied; message types are expanded when first asked for.

    Attributes:
        begin_string: BeginString(8), ``FIXT.1.1`` for 5.0SP2.
        header: header tags, of this version and of every other (none of them belongs in a body).
        trailer: trailer tags.
        data_of: length tag → data tag.
        names: tag → field name.
    """

    def __init__(self, begin_string: str, application: ET.Element, session: ET.Element,
                 overlays: Iterable[Mapping[str, Any]]) -> None:  # fmt: skip
        self.begin_string = begin_string
        self._overlays = tuple(overlays)
        self._number = {
            field.get("name", ""): field.get("number", "")
            for root in (session, application)
            for field in root.iterfind("fields/field")
        }
        self._components = {item.get("name", ""): item for item in application.iterfind("components/component")}
        self._messages = {
            item.get("msgtype", ""): item
            for root in (session, application)
            for item in root.iterfind("messages/message")
        }
        self._cache: dict[str, MessageType] = {}
        self.names = {number: name for name, number in self._number.items()}
        self.data_of = dict(DATA_OF) | _data_pairs(self._number, (session, application))
        for overlay in self._overlays:
            self.names.update(overlay.get("fields", {}))
            self.data_of.update({length: str(data) for length, data in overlay.get("data", {}).items()})
        self.header = HEADER_TAGS | frozenset(self._flat(session.find("header")))
        self.trailer = TRAILER_TAGS | frozenset(self._flat(session.find("trailer")))

    def name(self, tag: str) -> str:
        """The field's name, or "" when the dictionary does not know the tag."""
        return self.names.get(tag, "")

    def message(self, msg_type: str) -> MessageType:
        """The message type, an empty one when the dictionary does not know it."""
        found = self._cache.get(msg_type)
        if found is None:
            found = self._expand(msg_type)
            if msg_type in self._messages:  # unknown types come from outside and would fill the cache
                self._cache[msg_type] = found
        return found

    @cached_property
    def msg_types(self) -> tuple[str, ...]:
        """Every MsgType the dictionary knows."""
        return tuple(self._messages)

    def _expand(self, msg_type: str) -> MessageType:
        element = self._messages.get(msg_type)
        fields, raw_groups, required = _Fields(self).read(element) if element is not None else ((), {}, ())
        tags, groups = list(fields), dict(raw_groups)
        for overlay in self._overlays:
            extra = overlay.get("messages", {}).get(msg_type, {})
            tags += [str(tag) for tag in extra.get("fields", [])]
            _merge(groups, extra.get("groups", {}))
            tags += [tag for tag in extra.get("groups", {}) if tag not in tags]
        known = frozenset(tags)
        built = {tag: _build(tag, raw, known) for tag, raw in groups.items()}
        members = frozenset().union(*(group.all_tags() for group in built.values())) if built else frozenset()
        lengths = frozenset(self.data_of) | frozenset(self.data_of.values())
        suspects = self.header | self.trailer | lengths | frozenset(built) | (members - known)
        name = element.get("name", "") if element is not None else ""
        return MessageType(msg_type, name, known, required, built, suspects)

    def _flat(self, element: ET.Element | None) -> Iterator[str]:
        for item in element.iter() if element is not None else ():
            if item.tag in ("field", "group"):
                yield self._number[item.get("name", "")]


@dataclass(slots=True)
class _RawGroup:
    """A group while overlays may still add to it."""

    members: list[str]
    groups: dict[str, _RawGroup]
    required: tuple[str, ...] = ()


class _Fields:
    """Reads the children of a message, component or group element, components written out."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._number = dictionary._number
        self._components = dictionary._components

    def read(
        self, element: ET.Element, depth: int = 0
    ) -> tuple[tuple[str, ...], dict[str, _RawGroup], tuple[str, ...]]:
        tags: list[str] = []
        groups: dict[str, _RawGroup] = {}
        required: list[str] = []
        if depth > MAX_GROUP_DEPTH:
            raise ConfigError(f"the dictionary nests groups deeper than {MAX_GROUP_DEPTH}: {element.get('name')}")
        for item, must in self._items(element, True):
            tag = self._number[item.get("name", "")]
            tags.append(tag)
            if must:
                required.append(tag)
            if item.tag == "group":
                inner, nested, needed = self.read(item, depth + 1)
                groups[tag] = _RawGroup(list(inner), nested, needed)
        return tuple(tags), groups, tuple(required)

    def _items(self, element: ET.Element, must: bool) -> Iterator[tuple[ET.Element, bool]]:
        """Fields and groups with whether they are required; an optional component's fields are optional."""
        for item in element:
            needed = must and item.get("required") == "Y"
            if item.tag == "component":
                yield from self._items(self._components[item.get("name", "")], needed)
            else:
                yield item, needed


def _build(count_tag: str, raw: _RawGroup, outer: frozenset[str]) -> Group:
    tags = frozenset(raw.members)
    inner_outer = outer | tags
    return Group(
        count_tag,
        raw.members[0],
        tuple(raw.members),
        tags,
        {tag: _build(tag, group, inner_outer) for tag, group in raw.groups.items()},
        outer,
        raw.required,
    )


def _merge(groups: dict[str, _RawGroup], extra: Mapping[str, Any]) -> None:
    """Add an overlay's groups and members to ``groups``."""
    for count_tag, addition in extra.items():
        group = groups.setdefault(count_tag, _RawGroup([], {}))
        group.members += [tag for tag in map(str, addition.get("members", [])) if tag not in group.members]
        nested = addition.get("groups", {})
        group.members += [tag for tag in nested if tag not in group.members]
        _merge(group.groups, nested)


def _data_pairs(number: Mapping[str, str], roots: Iterable[ET.Element]) -> dict[str, str]:
    """Length tag → data tag, by the names: ``RawDataLength`` and ``RawData``, ``XmlDataLen`` and ``XmlData``."""
    pairs: dict[str, str] = {}
    for root in roots:
        for field in root.iterfind("fields/field"):
            if field.get("type") in ("DATA", "XMLDATA"):
                name = field.get("name", "")
                length = number.get(f"{name}Len") or number.get(f"{name}Length")
                if length:
                    pairs[length] = number[name]
    return pairs


@lru_cache(maxsize=32)
def load(begin_string: str, overlays: tuple[Path, ...] = ()) -> Dictionary:
    """The dictionary of one version, read once per process.

    Args:
        begin_string: ``FIX.4.0`` to ``FIX.4.4``, or ``FIXT.1.1`` (5.0SP2).
        overlays: overlay files besides the one the project ships for this version.

    Raises:
        ConfigError: unknown version, missing or unreadable file, overlay of the wrong form.
    """
    if begin_string not in _FILES:
        raise ConfigError(f"begin_string {begin_string!r}: no such FIX version; use one of {', '.join(_FILES)}")
    application, session = _FILES[begin_string]
    shipped = _OVERLAYS / f"{application}.toml"
    files = ((shipped,) if shipped.is_file() else ()) + overlays
    root = _read_xml(application)
    session_root = root if session == application else _read_xml(session)
    return Dictionary(begin_string, root, session_root, [_overlay(file) for file in files])


def dictionary_file(stem: str) -> Path:
    """Where the quickfix package installed ``stem``.xml.

    Raises:
        ConfigError: it is nowhere.
    """
    places = [Path(place) / "share" / "quickfix" for place in (sys.prefix, sysconfig.get_path("data"))]
    for place in places:
        if (place / f"{stem}.xml").is_file():
            return place / f"{stem}.xml"
    raise ConfigError(f"{stem}.xml is not in {places[0]}: the quickfix package ships it; install it again")


def _read_xml(stem: str) -> ET.Element:
    file = dictionary_file(stem)
    try:
        return ET.parse(file).getroot()
    except (ET.ParseError, OSError) as problem:
        raise ConfigError(f"{file}: not a readable FIX dictionary: {problem}; install quickfix again") from problem


def _overlay(file: Path) -> Mapping[str, Any]:
    """An overlay file, its form checked."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ConfigError(f"{file}: the overlay cannot be read: {problem}") from problem
    for problem_text in _overlay_problems(data):
        raise ConfigError(f"{file}: {problem_text}; see spec/dictionaries/README.md")
    return data


def _overlay_problems(data: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key}: unknown table" for key in data if key not in ("fields", "data", "messages"))
    for table in ("fields", "data"):
        if not isinstance(data.get(table, {}), dict):
            yield f"{table}: must be a table"
            return
    yield from (f"fields.{tag}: the key must be a tag" for tag in data.get("fields", {}) if not tag.isdecimal())
    for tag, name in data.get("fields", {}).items():
        if not isinstance(name, str):
            yield f"fields.{tag}: the value must be the field's name"
    for length, value in data.get("data", {}).items():
        if not (length.isdecimal() and str(value).isdecimal()):
            yield f"data.{length}: must be length tag = data tag"
    messages = data.get("messages", {})
    for msg_type, extra in messages.items() if isinstance(messages, dict) else ():
        if not isinstance(extra, dict) or not set(extra) <= {"fields", "groups"}:
            yield f"messages.{msg_type}: has only 'fields' and 'groups'"
            continue
        if not _is_tags(extra.get("fields", [])):
            yield f"messages.{msg_type}.fields: must be a list of tags"
        yield from _group_problems(f"messages.{msg_type}", extra.get("groups", {}))


def _group_problems(where: str, groups: Any) -> Iterator[str]:
    if not isinstance(groups, dict):
        yield f"{where}.groups: must be a table"
        return
    for tag, addition in groups.items():
        key = f"{where}.groups.{tag}"
        if not tag.isdecimal() or not isinstance(addition, dict) or not set(addition) <= {"members", "groups"}:
            yield f"{key}: must be a count tag with 'members' and 'groups'"
            continue
        members = addition.get("members", [])
        if not _is_tags(members) or not (members or addition.get("groups")):
            yield f"{key}.members: must be a list of tags, the first one the entry's first tag"
        yield from _group_problems(key, addition.get("groups", {}))


def _is_tags(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(tag, int) and tag > 0 for tag in value)
