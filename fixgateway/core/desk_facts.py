"""What the engine says of people's work: exceptions asked for and decided, alerts delivered, marks, reviews.

An exception a person asks for has the id ``GWE<day>-<seq>`` of its request. One the gateway opened itself
(:class:`.facts.ExceptionOpened`), and every alert, is named by where it stands: ``X-<input seq>-<position>`` and
``A-<input seq>-<position>``, the position among the outputs of that input.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fixgateway.core.people import Person


@dataclass(frozen=True, slots=True)
class PersonRecorded:
    """A person was added or changed; ``before`` is None for a new one."""

    person: Person
    before: Person | None
    actor: str


@dataclass(frozen=True, slots=True)
class AccessNoted:
    """As :class:`.desk_inputs.NoteAccess`."""

    actor: str
    what: str
    subject: str
    address: str


@dataclass(frozen=True, slots=True)
class ActionRefused:
    """A person's action was refused and changed nothing: who, what, about what, and why (``reason`` a GW code)."""

    actor: str
    action: str
    subject: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ExceptionLine:
    """One account of a request: what it has and what is asked for, and who gains.

    ``before`` is what stands and ``after`` what is asked for; of a statement change both are intents, else shares of
    what is filled. ``computed`` is the share the statement gives, which differs from ``before`` where an earlier
    exception was approved. ``benefit`` is money at the mark: what the account gains by the change, None without a mark.
    """

    account: str
    class_: str
    intent: Decimal
    before: Decimal
    after: Decimal
    benefit: Decimal | None
    computed: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ExceptionRequested:
    """A person asks for an exception; the CCO is told at once.

    ``due_date`` and ``due_time`` (policy time zone) are the next market open plus 60 minutes (SMC Capital, 1995,
    condition 6). ``role`` is who may decide. ``mark`` with ``mark_source`` and ``mark_ns`` is what ``benefit`` is
    computed with, "" without one. ``alloc_ids`` are the allocations that stand.
    """

    exception_id: str
    kind: str
    statement_id: str
    statement_version: int
    code: str
    codes_version: str
    text: str
    requested_by: str
    role: str
    due_date: date
    due_time: str
    lines: tuple[ExceptionLine, ...]
    avg_px: str
    mark: str
    mark_source: str
    mark_ns: int
    alloc_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExceptionDecided:
    """A request was decided: ``approved``, ``rejected``, ``withdrawn``, ``expired`` or ``void``.

    ``late``: after its deadline. ``alloc_ids`` are the allocations it made, which name the ones they replace.
    """

    exception_id: str
    statement_id: str
    decision: str
    actor: str
    text: str
    late: bool
    alloc_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExceptionOverdue:
    """A request's deadline has passed without a decision."""

    exception_id: str
    statement_id: str
    due_date: date
    due_time: str


@dataclass(frozen=True, slots=True)
class ExceptionAttended:
    """A person attended to an exception the gateway opened."""

    exception_id: str
    actor: str
    action: str
    text: str


@dataclass(frozen=True, slots=True)
class MarkRecorded:
    """A mark; ``price`` is exact."""

    symbol: str
    price: Decimal
    source: str
    as_of_ns: int
    close: bool
    actor: str


@dataclass(frozen=True, slots=True)
class DeliveryNoted:
    """An attempt to deliver an alert."""

    alert_id: str
    channel: str
    delivered: bool
    text: str


@dataclass(frozen=True, slots=True)
class AlertAcknowledged:
    """A person has seen an alert."""

    alert_id: str
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class ReconciliationRecorded:
    """A day was compared with a file, or at its end was not (``source`` and ``sha256`` empty)."""

    trade_date: date
    source: str
    sha256: str
    rows: int
    matched: int
    discrepancies: int
    actor: str


@dataclass(frozen=True, slots=True)
class ReviewRecorded:
    """As :class:`.desk_inputs.RecordReview`."""

    review_id: str
    kind: str
    plan_sha256: str
    data_sha256: str
    seed: str
    verdict: str
    summary: str
    first: str
    last: str
    result: str
    actor: str


@dataclass(frozen=True, slots=True)
class ReviewSigned:
    """The CCO's conclusion of a review."""

    review_id: str
    conclusion: str
    follow_up: str
    actor: str


DeskFact = (
    PersonRecorded
    | AccessNoted
    | ActionRefused
    | ExceptionRequested
    | ExceptionDecided
    | ExceptionOverdue
    | ExceptionAttended
    | MarkRecorded
    | DeliveryNoted
    | AlertAcknowledged
    | ReconciliationRecorded
    | ReviewRecorded
    | ReviewSigned
)
