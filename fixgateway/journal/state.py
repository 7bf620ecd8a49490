"""The engine's state as lines of JSON, and back without loss: the larger part of a snapshot.

A line is a section and a value: ``state`` has the plain fields of :class:`~fixgateway.core.state.State`, and every
entry of a table of it is a line ``[key, value]`` of the section that is called like the field. Tables keep their
order; sets are written sorted; so the same state is the same bytes. Values are read into their types, nothing of a
line can name code.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from operator import attrgetter
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from fixgateway.core import (
    codes,
    desk_records,
    facts,
    fills,
    market,
    model,
    orders,
    outbox,
    outputs,
    people,
    sends,
    state,
)
from fixgateway.core.state import State
from fixgateway.errors import JournalError
from fixgateway.journal.codec import encode_json

STATE = "state"
"""The section of the fields that are no tables."""

Line = tuple[str, bytes]
"""A section and a value of it as JSON."""

_HINTS = get_type_hints(State)
_TABLES = {name: hint for name, hint in _HINTS.items() if get_origin(hint) is dict}
_PLAIN_FIELDS = tuple(name for name in _HINTS if name not in _TABLES)
# Not the state's own class: every field must be there, and no other.
_Plain = msgspec.defstruct("_Plain", [(name, _HINTS[name]) for name in _PLAIN_FIELDS], forbid_unknown_fields=True)


def shape(*more: type) -> str:
    """What the values' classes look like, as a hash: another one means that a snapshot cannot be read.

    Args:
        more: further classes of a snapshot besides the core's.
    """
    found = [
        (cls.__name__, [(item.name, str(item.type)) for item in dataclasses.fields(cls)])
        for module in (market, model, fills, orders, outbox, outputs, state, facts, sends, people, codes, desk_records)
        for cls in vars(module).values()
        if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__
    ]
    found += [(cls.__name__, sorted((k, str(v)) for k, v in cls.__annotations__.items())) for cls in more]
    return sha256(repr(sorted(found)).encode()).hexdigest()


# ---------------------------------------------------------------- writing


def _collections_of(cls: Any) -> tuple[str, ...]:
    """The fields of a class that are sets or queues, which JSON has not."""
    if not dataclasses.is_dataclass(cls) or not isinstance(cls, type):
        return ()
    return tuple(name for name, hint in get_type_hints(cls).items() if get_origin(hint) in (set, deque))


def _listed(value: object) -> object:
    """A set as a sorted list, a queue as a list, anything else as it is."""
    match value:
        case set():
            return sorted(value)
        case deque():
            return list(value)
        case _:
            return value


def _writer(cls: Any) -> Callable[[Any], Any]:
    """What makes a table's values writable."""
    if not _collections_of(cls):
        return lambda value: value
    names = tuple(field.name for field in dataclasses.fields(cls))
    values = attrgetter(*names)
    return lambda value: dict(zip(names, map(_listed, values(value)), strict=True))


_WRITERS = {name: _writer(get_args(hint)[1]) for name, hint in _TABLES.items()}


def lines_of(value: State | None) -> Iterator[Line]:
    """A state's lines; none before the first configuration."""
    if value is None:
        return
    yield STATE, encode_json({name: _listed(getattr(value, name)) for name in _PLAIN_FIELDS})
    for name, write in _WRITERS.items():
        for key, entry in getattr(value, name).items():
            yield name, encode_json((key, write(entry)))


# ---------------------------------------------------------------- reading


def _queue(wanted: Any, value: Any) -> Any:
    """A list as the queue it was (msgspec knows every other type of the core's)."""
    if get_origin(wanted) is deque:
        return deque(value)
    raise NotImplementedError(wanted)


class Typed:
    """Reads JSON into a type.

    Args:
        wanted: any type msgspec reads; unknown fields of its dataclasses are not looked for.
    """

    def __init__(self, wanted: Any) -> None:
        self._wanted = wanted
        self._decoder = msgspec.json.Decoder(wanted, dec_hook=_queue)

    def __call__(self, payload: bytes) -> Any:
        """The value. Raises JournalError when the payload is none of the type."""
        try:
            return self._decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        try:  # msgspec refuses the escaped lone surrogates that encode_json writes
            return msgspec.convert(json.loads(payload), self._wanted, dec_hook=_queue)
        except (msgspec.ValidationError, ValueError) as error:
            raise JournalError(f"{payload[:60]!r} cannot be read: {error}") from None


class Builder:
    """Puts a state together from its lines, in any order.

    Attributes:
        sections: what :meth:`take` takes.
    """

    _READERS = types.MappingProxyType(
        {name: Typed(types.GenericAlias(tuple, get_args(hint))) for name, hint in _TABLES.items()}
        | {STATE: Typed(_Plain)}
    )
    sections = frozenset(_READERS)

    def __init__(self) -> None:
        self._plain: Any = None
        self._tables: dict[str, dict[Any, Any]] = {name: {} for name in _TABLES}

    def take(self, section: str, payload: bytes) -> None:
        """Add a line. Raises JournalError when it cannot be read."""
        value = self._READERS[section](payload)
        if section == STATE:
            self._plain = value
        else:
            key, entry = value
            self._tables[section][key] = entry

    def state(self) -> State | None:
        """The state; None when there were no lines.

        Raises:
            JournalError: its plain fields are missing.
        """
        if self._plain is None:
            if any(self._tables.values()):
                raise JournalError("the state's own fields are missing")
            return None
        fields: dict[str, Any] = msgspec.structs.asdict(self._plain) | self._tables
        return State(**fields)
