"""What another policy would have allocated: the same journal, decided under other terms.

Theory of operation. The journal is replayed with the terms of the other policy put into every ``Configure``
input; everything else (accounts, counterparties, dates, deadlines, every message) stays as it was. Statements
then take their terms as at registration: what they ask for where the other policy allows it, else the other
policy's. Then comes from the journal's decision records, now from the engine.

A replay cannot ask the broker again. A statement that the other policy refuses covers no orders, so nothing is
allocated under it; an order that is judged otherwise has no fills, or fills that belong to no order. Both are
named, because the quantities below them answer "nothing", not "something else".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from fixgateway.core.inputs import Configure
from fixgateway.core.model import EXACT, ZERO, Policy, exact_sum
from fixgateway.core.outputs import (
    Allocation,
    ForwardToBroker,
    Output,
    SendAllocation,
    SendCancelReject,
    SendReport,
    StatementAllocated,
    StatementRefused,
    StatementRegistered,
)
from fixgateway.journal.codec import decode_input, decode_outputs, encode_input, encode_outputs
from fixgateway.journal.records import Kind, Record
from fixgateway.recovery import Reader
from fixgateway.replay import BUGS_MAX, decided_input, uncollected
from fixgateway.replay_reading import index_of, take_all

TERMS = (
    "method", "basis", "rounding", "ties", "remainder", "lot", "min_quantity", "min_value", "instruments", "tiers",
    "averaging", "price_decimals", "price_rounding", "money_decimals", "residual_cash", "error_account",
    "overfill", "allowed",
)  # fmt: skip
"""What is taken of the other policy: how a fill is divided and priced, what a statement may ask for besides."""
JUDGED_MAX = 10_000
"""Statements and orders judged otherwise that are named; the rest is counted."""

_CONFIGURE = b'["Configure",'


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement or order that the other policy judges otherwise.

    ``what`` is ``statement``, ``order`` (D) or ``replace`` (G); ``then`` and ``now`` are ``registered``,
    ``forwarded`` or ``refused``; ``text`` says why it is or was refused.
    """

    input_seq: int
    what: str
    subject: str
    then: str
    now: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """An account whose quantity differs; None: nothing was, or would have been, allocated under the statement.

    ``broker`` is "" for the whole statement, else the broker whose part this is.
    """

    broker: str
    account: str
    then: Decimal | None
    now: Decimal | None

    @property
    def by(self) -> Decimal:
        """now − then."""
        return EXACT.subtract(self.now or ZERO, self.then or ZERO)


@dataclass(frozen=True, slots=True)
class Price:
    """The average price a broker is told, where it differs."""

    broker: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class StatementDifference:
    """What differs under one statement; ``refused`` is "" or why the other policy refuses it."""

    statement_id: str
    filled_then: Decimal | None
    filled_now: Decimal | None
    refused: str
    changes: tuple[Change, ...]
    prices: tuple[Price, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What another policy would have allocated.

    ``statements`` counts those allocated then or now; ``differing`` are the ones of them with differences;
    ``judged_count`` counts all that was judged otherwise, ``judged`` names the first. ``bugs`` are inputs that
    could not be processed: what followed from them is missing from the answer.
    """

    records: int
    statements: int
    differing: tuple[StatementDifference, ...]
    judged: tuple[Judged, ...]
    judged_count: int
    bugs: tuple[str, ...]


def compare(directory: Path, policy: Policy, progress: Callable[[int], None] | None = None) -> Comparison:
    """Replay a journal under ``policy``'s terms and compare what is allocated.

    Args:
        directory: the journal or its data directory.
        policy: whose :data:`TERMS` are put in the place of the journaled policies'.
        progress: called now and then with the number of records done.

    Raises:
        UsageError: there is no journal. JournalDamaged, JournalError: a record cannot be read; names it.
    """
    with uncollected():
        return _compare(directory, policy, progress)


def _compare(directory: Path, policy: Policy, progress: Callable[[int], None] | None) -> Comparison:
    """The engine's memory is gone when this returns, before the collector could look at it."""
    rerun = _Rerun(directory, policy)
    take_all(rerun.take, directory, progress)
    return rerun.result()


class _Rerun(Reader):
    """One pass over the journal: then is what it says, now what the engine decides under the other policy."""

    def __init__(self, directory: Path, policy: Policy) -> None:
        super().__init__(index_of(directory))
        self._policy = policy
        self._was, self._now = Book(), Book()
        self._judged = _Judgements()

    def _decide(self, record: Record) -> None:
        Reader.TAKE[record.kind](self, under(record, self._policy))
        self._now.take(self.memory.undecided.get(record.seq, ()))

    def _compare(self, record: Record) -> None:
        seq = decided_input(record.seq, record.payload)
        now = self.memory.undecided.pop(seq, ())
        was = now if encode_outputs(seq, now) == record.payload else decode_outputs(record.payload)[1]
        self._was.take(was)
        if was is not now:
            self._judged.take(seq, was, now)

    def result(self) -> Comparison:
        """After the last record."""
        differing, count = differences(self._was, self._now, self._judged.refused)
        return Comparison(
            records=self.memory.records,
            statements=count,
            differing=differing,
            judged=tuple(self._judged.rows),
            judged_count=self._judged.count,
            bugs=tuple(self.memory.bugs[:BUGS_MAX]),
        )

    TAKE: ClassVar[Mapping[int, Callable[[Any, Record], None]]] = {
        **Reader.TAKE,
        Kind.CONTROL: _decide,
        Kind.ACCEPTED: _decide,
        Kind.ENGINE_REFUSED: _decide,
        Kind.DECISION: _compare,
    }


def under(record: Record, policy: Policy) -> Record:
    """The record; a ``Configure`` with the terms of ``policy`` in the place of its policy's own."""
    if record.kind is not Kind.CONTROL or not record.payload.startswith(_CONFIGURE):
        return record
    given = decode_input(record.payload, record.seq, record.ts_ns)
    if not isinstance(given, Configure):
        return record
    terms = {name: getattr(policy, name) for name in TERMS}
    setup = replace(given.setup, policy=replace(given.setup.policy, **terms))
    return record._replace(payload=encode_input(replace(given, setup=setup)))


@dataclass(slots=True)
class Book:
    """The latest division of every statement's bookings, and what each broker was told of them."""

    divisions: dict[str, dict[int, StatementAllocated]] = field(default_factory=dict)
    told: dict[str, dict[tuple[str, int], Allocation]] = field(default_factory=dict)

    def take(self, outputs: Iterable[Output]) -> None:
        """What was decided on one input."""
        for output in outputs:
            if isinstance(output, StatementAllocated):
                self.divisions.setdefault(output.statement_id, {})[output.number] = output
            elif isinstance(output, SendAllocation):
                allocation = output.allocation
                told = self.told.setdefault(allocation.statement_id, {})
                if allocation.trans_type == "2":
                    told.pop((allocation.broker, allocation.booking), None)
                else:
                    told[allocation.broker, allocation.booking] = allocation

    def quantities(self, statement_id: str) -> dict[tuple[str, str], Decimal]:
        """(broker, account) → quantity; broker "" is the whole, the parts follow when there are several."""
        found: dict[tuple[str, str], Decimal] = {}
        for division in self.divisions.get(statement_id, {}).values():
            for line in division.lines:
                _add(found, ("", line.account), line.quantity)
        told = self.told.get(statement_id, {})
        if len({broker for broker, _ in told}) > 1:
            for (broker, _), allocation in told.items():
                for share in allocation.shares:
                    _add(found, (broker, share.account), share.quantity)
        return found

    def prices(self, statement_id: str) -> dict[str, str]:
        """Broker (and booking) → the average price it was told."""
        return {
            f"{broker} booking {number}" if number else broker: allocation.avg_px
            for (broker, number), allocation in self.told.get(statement_id, {}).items()
        }

    def filled(self, statement_id: str) -> Decimal | None:
        """The quantity that was divided."""
        divisions = self.divisions.get(statement_id)
        return exact_sum(division.filled for division in divisions.values()) if divisions else None


def _add(found: dict[tuple[str, str], Decimal], key: tuple[str, str], quantity: Decimal) -> None:
    found[key] = EXACT.add(found.get(key, ZERO), quantity)


def differences(then: Book, now: Book, refused: dict[str, str]) -> tuple[tuple[StatementDifference, ...], int]:
    """Statement by statement what differs between two books, and how many statements they hold.

    Args:
        then, now: what was and what would have been allocated.
        refused: statement id → why it is refused now.
    """
    names = {**then.divisions, **now.divisions}
    found = (_difference(name, then, now, refused.get(name, "")) for name in names)
    return tuple(one for one in found if one.changes or one.prices), len(names)


def _difference(statement_id: str, then: Book, now: Book, refused: str) -> StatementDifference:
    """Two divisions of one statement; whoever is in one of them only had, or has, nothing in the other."""
    before, after = then.quantities(statement_id), now.quantities(statement_id)
    filled_then, filled_now = then.filled(statement_id), now.filled(statement_id)
    none_then, none_now = (None if filled is None else ZERO for filled in (filled_then, filled_now))
    prices_then, prices_now = then.prices(statement_id), now.prices(statement_id)
    return StatementDifference(
        statement_id=statement_id,
        filled_then=filled_then,
        filled_now=filled_now,
        refused=refused,
        changes=tuple(
            Change(*key, before.get(key, none_then), after.get(key, none_now))
            for key in {**before, **after}
            if before.get(key, ZERO) != after.get(key, ZERO)
        ),
        prices=tuple(
            Price(broker, price, prices_now[broker])
            for broker, price in prices_then.items()
            if broker in prices_now and Decimal(price) != Decimal(prices_now[broker])
        ),
    )


# ---------------------------------------------------------------- judged otherwise


class _Judgements:
    """Statements and orders whose verdict the other policy turns, in the order they came."""

    def __init__(self) -> None:
        self.rows: list[Judged] = []
        self.count = 0
        self.refused: dict[str, str] = {}

    def take(self, seq: int, then: Iterable[Output], now: Iterable[Output]) -> None:
        """Two decisions on one input that are not the same."""
        before, after = next(verdicts(then), None), next(verdicts(now), None)
        if before is None or after is None or before.outcome == after.outcome:
            return
        self.count += 1
        if after.what == "statement" and after.outcome == "refused":
            self.refused.setdefault(after.subject, after.text)
        if len(self.rows) < JUDGED_MAX:
            text = after.text or before.text
            self.rows.append(Judged(seq, after.what, after.subject, before.outcome, after.outcome, text))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided on a statement or an order."""

    what: str
    subject: str
    outcome: str
    text: str


_REQUESTS = {"D": "order", "G": "replace"}


def verdicts(outputs: Iterable[Output]) -> Iterator[Verdict]:
    """The verdicts on statements, D and G in a decision."""
    for output in outputs:
        match output:
            case StatementRegistered():
                yield Verdict("statement", output.statement.statement_id, "registered", "")
            case StatementRefused():
                text = "; ".join(f"{problem.reason} {problem.text}" for problem in output.problems)
                yield Verdict("statement", output.statement_id, "refused", text)
            case ForwardToBroker() if output.msg_type in _REQUESTS:
                yield Verdict(_REQUESTS[output.msg_type], output.cl_ord_id, "forwarded", "")
            case SendReport() if output.exec_type == "8":
                yield Verdict("order", output.cl_ord_id, "refused", output.text)
            case SendCancelReject() if output.response_to == "2":
                yield Verdict("replace", output.cl_ord_id, "refused", output.text)
            case _:
                pass
