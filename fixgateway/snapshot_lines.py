"""What a :class:`~fixgateway.recovery.Reader` remembers, as lines of a snapshot, and back without loss.

The same memory is the same bytes. Of messages sent only where they stand in the journal is written, not their
texts; the plain fields of :class:`~fixgateway.recovery.Memory` are written whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, get_type_hints

import msgspec

import fixgateway
from fixgateway.errors import ConfigError, JournalError, WireError
from fixgateway.journal.codec import decode_output, decode_outputs, encode_json, encode_outputs
from fixgateway.journal.index import Place
from fixgateway.journal.state import Builder, Line, Typed, lines_of, shape
from fixgateway.receipts import Delivery, Receipts
from fixgateway.recovery import Memory, Pending, Reader
from fixgateway.translate import Counterparty
from fixgateway.wire.message import parse
from fixgateway.wire.versions import named

_CHUNK = 10_000
"""Messages sent that are written in one line."""


def _plain_memory() -> list[tuple[str, Any]]:
    """The fields of Memory that are written as they are; the others have lines of their own."""
    own_lines = ("engine", "pending", "undecided")
    return [(name, hint) for name, hint in get_type_hints(Memory).items() if name not in own_lines]


_MEMORY_FIELDS = _plain_memory()
_Memory = msgspec.defstruct("_Memory", _MEMORY_FIELDS, forbid_unknown_fields=True)


class _Party(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    role: str
    version: str
    match_keys: tuple[str, ...]
    on_behalf_of: bool


class _Reader(msgspec.Struct, forbid_unknown_fields=True):
    """The reader's own fields."""

    version: str
    told: dict[str, tuple[str, bool]]
    parties: list[_Party]
    max_queue_seconds: int


class _Pending(msgspec.Struct, forbid_unknown_fields=True):
    session: str
    decision_seq: int
    number: int
    output: Any
    source: str | None
    ts_ns: int
    again: bool


_read_memory = Typed(_Memory)
_read_reader = Typed(_Reader)
_read_pending = Typed(_Pending)
_read_seen = Typed(tuple[int, str, int])
_read_recent = Typed(tuple[str, list[Place]])
_read_older = Typed(tuple[str, list[tuple[int, int]]])


def made_by() -> str:
    """Which fixgateway, with which classes: another one's snapshots are not used."""
    classes = (Memory, Pending, Receipts, Delivery, _Party, _Reader, _Pending)
    return f"fixgateway {fixgateway.__version__} {shape(*classes)}"


def lines(reader: Reader) -> Iterator[Line]:
    """All a reader remembers; the same bytes for the same memory."""
    memory = reader.memory
    plain = {name: getattr(memory, name) for name, _ in _MEMORY_FIELDS}
    yield "memory", encode_json({k: sorted(v) if isinstance(v, set) else v for k, v in plain.items()})
    yield (
        "reader",
        encode_json(
            _Reader(
                reader.version,
                {name: (version.name, on_behalf_of) for name, (version, on_behalf_of) in reader.told.items()},
                [
                    _Party(x.name, x.role, x.version.name, x.match_keys, x.on_behalf_of)
                    for x in reader.parties.values()
                ],
                reader.max_queue_seconds,
            )
        ),
    )
    yield from lines_of(memory.engine.state)
    for waiting in memory.pending.values():
        yield (
            "unsent",
            encode_json(
                _Pending(
                    waiting.session,
                    waiting.decision_seq,
                    waiting.number,
                    (type(waiting.output).__name__, waiting.output),
                    waiting.source.text if waiting.source is not None else None,
                    waiting.ts_ns,
                    waiting.again,
                )
            ),
        )
    for seq, outputs in memory.undecided.items():
        yield "undecided", encode_outputs(seq, outputs)
    for seq, (text, ts_ns) in reader.seen.items():
        yield "seen", encode_json((seq, text, ts_ns))
    for session in reader.index.sessions:
        for recent in _chunks(reader.index.recent(session)):
            yield "recent", encode_json((session, recent))
        for older in _chunks(reader.index.older(session)):
            yield "older", encode_json((session, older))


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))


def restore(found: Iterator[Line], reader: Reader) -> None:
    """Make a new reader remember what :func:`lines` wrote.

    Raises:
        JournalError: a line is wrong.
    """
    builder = Builder()
    for section, payload in found:
        if section in builder.sections:
            builder.take(section, payload)
        elif section in _TAKE:
            _TAKE[section](reader, payload)
        else:
            raise JournalError(f"unknown section {section[:30]!r}")
    reader.memory.engine.state = builder.state()


def _take_memory(reader: Reader, payload: bytes) -> None:
    for name, value in msgspec.structs.asdict(_read_memory(payload)).items():
        setattr(reader.memory, name, value)


def _take_reader(reader: Reader, payload: bytes) -> None:
    kept: _Reader = _read_reader(payload)
    try:
        told = {name: (named(version), on_behalf_of) for name, (version, on_behalf_of) in kept.told.items()}
        parties = {
            x.name: Counterparty(x.name, x.role, named(x.version), x.match_keys, x.on_behalf_of)
            for x in kept.parties
        }
    except ConfigError as error:
        raise JournalError(str(error)) from None
    reader.version, reader.told = kept.version, told
    reader.translate_with(parties, kept.max_queue_seconds)


def _take_pending(reader: Reader, payload: bytes) -> None:
    kept: _Pending = _read_pending(payload)
    output: Any = decode_output(kept.output)
    try:
        source = None if kept.source is None else parse(kept.source)
    except WireError as error:
        raise JournalError(f"the message behind decision {kept.decision_seq}: {error}") from None
    waiting = Pending(kept.session, kept.decision_seq, kept.number, output, source, kept.ts_ns, kept.again)
    reader.memory.pending[kept.decision_seq, kept.number] = waiting


def _take_undecided(reader: Reader, payload: bytes) -> None:
    seq, outputs = decode_outputs(payload)
    reader.memory.undecided[seq] = outputs


def _take_seen(reader: Reader, payload: bytes) -> None:
    seq, text, ts_ns = _read_seen(payload)
    reader.seen[seq] = (text, ts_ns)


def _take_recent(reader: Reader, payload: bytes) -> None:
    session, recent = _read_recent(payload)
    reader.index.restore(session, recent=recent)


def _take_older(reader: Reader, payload: bytes) -> None:
    session, older = _read_older(payload)
    reader.index.restore(session, older=older)


_TAKE: dict[str, Callable[[Reader, bytes], None]] = {
    "memory": _take_memory,
    "reader": _take_reader,
    "unsent": _take_pending,
    "undecided": _take_undecided,
    "seen": _take_seen,
    "recent": _take_recent,
    "older": _take_older,
}
