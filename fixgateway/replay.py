"""Replay: every input of a journal decided again, every decision compared with the recorded one.

Theory of operation. The records are read as at a start (:mod:`fixgateway.replay_reading`), with the counterparties
the journal itself names, so nothing but the journal is needed. What a ``decision`` record holds is compared with
what the engine answered to that input just now: by bytes when this version wrote it, by values when another did
(a newer version may write a field more). What the engine decides now depends on the inputs alone, so a
difference does not hide or make others. A large journal is read by a process of its own, while this one
decides and compares (:mod:`fixgateway.replay_apart`).

A crash can keep the last decision from the journal; it is decided at the next start. So an input without a
decision at the very end is *undecided*, anywhere else it differs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from pathlib import Path
from typing import Any

import fixgateway
from fixgateway.core.apportion import seed_commitment
from fixgateway.core.engine import Engine
from fixgateway.core.inputs import Input
from fixgateway.core.outputs import Output
from fixgateway.errors import JournalError
from fixgateway.journal.codec import decode_json, decode_outputs, encode_json, encode_outputs
from fixgateway.journal.reader import Finder, read
from fixgateway.journal.records import Kind, unpack_accepted, unpack_engine_refused
from fixgateway.journal.show import row
from fixgateway.recovery import bug_text
from fixgateway.replay_apart import pays, tell_from_apart
from fixgateway.replay_reading import tell

BUGS_MAX = 100
"""Messages the gateway could not process that are named; the rest is counted."""
FIELDS_MAX = 200
"""Fields of the first difference that are named; the rest is counted."""
TEXT_MAX = 300
"""Characters of a field's value that are shown."""
NOTHING = "(nothing)"

_BETWEEN = frozenset((Kind.DECISION, Kind.WIRE_OUT, Kind.START))
"""What may stand between an input and its decision: a crash and the start after it."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field of a decision: its place, what was journaled, what is decided now."""

    field: str
    journaled: str
    now: str


@dataclass(frozen=True, slots=True)
class Difference:
    """An input that is decided otherwise now.

    ``input_seq`` and ``decision_seq`` are records (0: no decision was journaled), ``given`` the input as
    ``journal show`` writes it, ``fields`` what differs, ``more`` how many fields are not listed.
    """

    input_seq: int
    decision_seq: int
    given: str
    fields: tuple[FieldDifference, ...]
    more: int

    @property
    def text(self) -> str:
        """One line for people."""
        first = self.fields[0]
        where = f"record {self.input_seq}, decided in record {self.decision_seq or '(none)'}"
        return f"{where}: {first.field} was journaled as {first.journaled}, is decided as {first.now} now"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found.

    ``inputs`` are control, accepted and engine-refused records, ``decisions`` the decision records compared;
    ``undecided`` is 1 when a crash kept the last decision from the journal; ``bugs`` counts the messages the
    gateway could not process when it ran, ``bug_texts`` names the first of them; ``versions`` wrote the journal.
    """

    records: int
    inputs: int
    decisions: int
    differences: int
    undecided: int
    bugs: int
    bug_texts: tuple[str, ...]
    versions: tuple[str, ...]
    first: Difference | None

    @property
    def agrees(self) -> bool:
        """Whether every decision is the recorded one."""
        return not self.differences


def replay(
    directory: Path, progress: Callable[[int], None] | None = None, *, apart: bool | None = None
) -> Replayed:
    """Decide a journal's inputs again and compare.

    Args:
        directory: the journal or its data directory; a running gateway may write it.
        progress: called now and then with the number of records done.
        apart: whether another process reads the journal; None: when that is quicker. The result is the same.

    Raises:
        UsageError: there is no journal.
        JournalDamaged, JournalError: a record cannot be read; names it.
        FixgatewayError: the other process ended before it had read everything.
    """
    with uncollected():
        return _replay(directory, progress, pays(directory) if apart is None else apart)


def _replay(directory: Path, progress: Callable[[int], None] | None, apart: bool) -> Replayed:
    """The engine's memory is gone when this returns, before the collector could look at it."""
    comparison = _Comparison(directory, progress)
    read_to = tell_from_apart if apart else tell
    read_to(directory, comparison)
    return comparison.result()


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection: an engine's memory is large, lives to the end and is free of cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def decided_input(seq: int, payload: bytes) -> int:
    """The input that a ``decision`` record is for.

    Args:
        seq, payload: the record's.

    Raises:
        JournalError: it does not say.
    """
    head = payload[6 : payload.find(b",")]  # {"in":123,…
    if not payload.startswith(b'{"in":') or not head.isdigit():
        raise JournalError(f"record {seq} is no decision: it starts {payload[:60]!r}")
    return int(head)


@dataclass(frozen=True, slots=True)
class _Found:
    """A difference as it is found: the decision's payload (b"" when there is none) and what is decided now.

    ``failure`` is "" or why the input cannot be processed now.
    """

    input_seq: int
    decision_seq: int
    journaled: bytes
    now: tuple[Output, ...]
    failure: str


class _Comparison:
    """Listens to what the journal says: decides its inputs, compares its decisions."""

    def __init__(self, directory: Path, progress: Callable[[int], None] | None) -> None:
        self._directory = directory
        self._progress = progress
        self._engine = Engine()
        self._undecided: dict[int, tuple[Output, ...]] = {}
        self._records = self._inputs = self._decisions = self._differences = 0
        self._failed: dict[int, str] = {}
        self._bugs: dict[int, str] = {}
        self._version = ""
        self._versions: dict[str, None] = {}
        self._first: _Found | None = None

    def on_run(self, version: str) -> None:
        """The version that wrote what follows."""
        self._version = version
        if version:
            self._versions[version] = None

    def on_bug(self, seq: int, text: str) -> None:
        """A message the gateway could not process when it came."""
        self._bugs[seq] = text

    def on_input(self, seq: int, given: Input) -> None:
        """An input is decided, or cannot be; one that failed then fails again and changes nothing more."""
        try:
            outputs = self._engine.apply(given)
        except Exception as error:
            self.on_failure(seq, bug_text(seq, error))
            return
        if outputs:
            self._undecided[seq] = outputs

    def on_failure(self, seq: int, text: str) -> None:
        """An input cannot be processed now."""
        self._failed[seq] = text

    def on_decision(self, seq: int, payload: bytes) -> None:
        """A decision record against what was decided just now."""
        self._decisions += 1
        input_seq = decided_input(seq, payload)
        now = self._undecided.pop(input_seq, ())
        if not _same(payload, input_seq, now, by_value=self._version != fixgateway.__version__):
            self._differs(_Found(input_seq, seq, payload, now, self._failed.get(input_seq, "")))
        if self._failed:
            self._failed.pop(input_seq, None)

    def on_part(self, records: int) -> None:
        """So many records are done."""
        if self._progress:
            self._progress(records)

    def on_end(self, records: int, inputs: int) -> None:
        """All records are done."""
        self._records, self._inputs = records, inputs
        self.on_part(records)

    def _differs(self, found: _Found) -> None:
        self._differences += 1
        if self._first is None or found.input_seq < self._first.input_seq:
            self._first = found

    def result(self) -> Replayed:
        """After the last record: what is left without a decision, and the sums."""
        missing = {**dict.fromkeys(self._failed.keys() - self._bugs.keys(), ()), **self._undecided}
        settled = self._last_settling(min(missing)) if missing else 0
        undecided = 0
        for seq, now in missing.items():
            if seq < settled:
                self._differs(_Found(seq, 0, b"", now, self._failed.get(seq, "")))
            else:
                undecided += 1
        return Replayed(
            records=self._records,
            inputs=self._inputs,
            decisions=self._decisions,
            differences=self._differences,
            undecided=undecided,
            bugs=len(self._bugs),
            bug_texts=tuple(list(self._bugs.values())[:BUGS_MAX]),
            versions=tuple(self._versions),
            first=self._describe(self._first) if self._first else None,
        )

    def _last_settling(self, from_seq: int) -> int:
        """The last record that cannot stand between an input and its decision."""
        taken = takewhile(lambda record: record.seq <= self._records, read(self._directory, from_seq))
        return max((record.seq for record in taken if record.kind not in _BETWEEN), default=0)

    def _describe(self, found: _Found) -> Difference:
        """The first difference in words."""
        then = _plain(found.journaled)
        now = _plain(encode_outputs(found.input_seq, found.now))
        fields = list(differing(then, now))
        bug = self._bugs.get(found.input_seq, "")
        if bug or found.failure:
            fields.insert(0, FieldDifference("the input", bug or "processed", found.failure or "processed"))
        if not fields:
            written = _show(found.journaled.decode("utf-8", "replace"))
            fields.append(FieldDifference("the bytes", written, "the same values, written otherwise"))
        return Difference(
            input_seq=found.input_seq,
            decision_seq=found.decision_seq,
            given=_given(self._directory, found.input_seq),
            fields=tuple(fields[:FIELDS_MAX]),
            more=max(0, len(fields) - FIELDS_MAX),
        )


def _same(payload: bytes, seq: int, now: tuple[Output, ...], *, by_value: bool) -> bool:
    """Whether a decision record's payload says what is decided now."""
    if encode_outputs(seq, now) == payload:
        return True
    if not by_value:
        return False
    try:
        return decode_outputs(payload) == (seq, now)
    except JournalError:
        return False  # a type or field this version does not have: shown as plain text


def _given(directory: Path, seq: int) -> str:
    """The input in one line, as ``journal show`` writes it; of a message the text itself."""
    finder = Finder(directory)
    try:
        record = finder.read(seq)
        shown = row(record)
        if record.kind is Kind.ACCEPTED:
            shown["summary"] = row(finder.read(unpack_accepted(record.payload).seen_seq))["summary"]
        elif record.kind is Kind.ENGINE_REFUSED:
            shown["summary"] = row(finder.read(unpack_engine_refused(record.payload).seen_seq))["summary"]
    except JournalError as error:
        return str(error)
    return f"{shown['time']} {shown['kind']} {shown['session'] or '-'} {shown['summary']}"


# ---------------------------------------------------------------- two decisions, field by field

_Pair = tuple[str, Any]


def _plain(payload: bytes) -> list[_Pair]:
    """A decision's outputs as (type, plain values); none of an empty payload."""
    if not payload:
        return []
    match decode_json(payload):
        case {"out": list(pairs)}:
            return [(str(pair[0]), pair[1]) if _is_pair(pair) else ("?", pair) for pair in pairs]
    return [("?", decode_json(payload))]


def _is_pair(pair: object) -> bool:
    return isinstance(pair, list) and len(pair) == 2


def differing(then: Sequence[_Pair], now: Sequence[_Pair]) -> Iterator[FieldDifference]:
    """Where two decisions differ: outputs paired by type and order, then field by field.

    Args:
        then, now: (type, plain values) of each output.
    """
    types = ([name for name, _ in then], [name for name, _ in now])
    for same, then_from, then_to, now_from, now_to in SequenceMatcher(None, *types, autojunk=False).get_opcodes():
        if same == "equal":
            for at, (before, after) in enumerate(zip(then[then_from:then_to], now[now_from:now_to], strict=True)):
                yield from _fields(before[1], after[1], f"output {then_from + at + 1} {before[0]}")
            continue
        for at in range(then_from, then_to):
            yield FieldDifference(f"output {at + 1} {then[at][0]}", _show(then[at][1]), NOTHING)
        for at in range(now_from, now_to):
            yield FieldDifference(f"output {at + 1} {now[at][0]}", NOTHING, _show(now[at][1]))


def _fields(then: Any, now: Any, place: str) -> Iterator[FieldDifference]:
    """The leaves in which two plain values differ."""
    if then == now:
        return
    match then, now:
        case dict(), dict():
            for name in {**then, **now}:
                yield from _fields(then.get(name, _ABSENT), now.get(name, _ABSENT), f"{place}.{name}")
        case list(), list() if len(then) == len(now):
            for number, (before, after) in enumerate(zip(then, now, strict=True), 1):
                yield from _fields(before, after, f"{place}[{number}]")
        case _:
            hide = _seed if place.endswith(".seed") else _show
            yield FieldDifference(place, hide(then), hide(now))


class _Absent:
    """Stands for a field that is not there."""


_ABSENT = _Absent()


def _show(value: Any) -> str:
    """A plain value in one line; seeds inside it by their commitment."""
    if isinstance(value, _Absent):
        return NOTHING
    text = value if isinstance(value, str) else encode_json(_without_seeds(value)).decode("utf-8")
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}… (+{len(text) - TEXT_MAX} characters)"


def _seed(value: Any) -> str:
    """A seed by its commitment: it may not be revealed yet (DESIGN rule 8)."""
    try:
        return f"(seed with commitment {seed_commitment(value)})"
    except (TypeError, ValueError):
        return "(not a seed)" if value else NOTHING


def _without_seeds(value: Any) -> Any:
    match value:
        case dict():
            return {key: _seed(item) if key == "seed" else _without_seeds(item) for key, item in value.items()}
        case list():
            return [_without_seeds(item) for item in value]
    return value
