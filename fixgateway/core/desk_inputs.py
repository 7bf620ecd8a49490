"""What people and the programs beside the engine tell it: people, exceptions, alerts, marks, reviews.

``actor`` is a person's id; ``machine:NAME`` for whoever holds the machine itself (only to record the first person).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fixgateway.core.people import Person


@dataclass(frozen=True, slots=True)
class RecordPerson:
    """A person is added or changed; roles and activity are as they shall be from now on."""

    seq: int
    ts_ns: int
    actor: str
    person: Person


@dataclass(frozen=True, slots=True)
class NoteAccess:
    """Somebody signed in, failed to, signed out, or read something.

    ``what`` is ``signed-in``, ``refused``, ``locked``, ``signed-out``, ``password``, ``token``, ``read`` or ``export``;
    ``subject`` names what was read or done, ``address`` where from.
    """

    seq: int
    ts_ns: int
    actor: str
    what: str
    subject: str
    address: str


@dataclass(frozen=True, slots=True)
class RequestException:
    """A person asks for a deviation, a re-designation or a statement change (:mod:`.deviations`).

    ``lines`` are account and quantity as they shall be, as written; accounts left out receive nothing.
    """

    seq: int
    ts_ns: int
    actor: str
    kind: str
    statement_id: str
    code: str
    text: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DecideException:
    """A second person decides: ``approve`` or ``reject``; or who asked takes it back: ``withdraw``."""

    seq: int
    ts_ns: int
    actor: str
    exception_id: str
    decision: str
    text: str


@dataclass(frozen=True, slots=True)
class AttendException:
    """A person attends to an exception the gateway opened: ``acknowledge``, ``note`` or ``resolve``, with words."""

    seq: int
    ts_ns: int
    actor: str
    exception_id: str
    action: str
    text: str


@dataclass(frozen=True, slots=True)
class SendAgain:
    """An allocation the broker refused as a whole is to be sent once more, unchanged in its shares."""

    seq: int
    ts_ns: int
    actor: str
    alloc_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordMark:
    """A security's price as somebody or some source says it; ``price`` as written, ``as_of_ns`` its own time."""

    seq: int
    ts_ns: int
    actor: str
    symbol: str
    price: str
    source: str
    as_of_ns: int
    close: bool = False


@dataclass(frozen=True, slots=True)
class NoteDelivery:
    """What became of an attempt to deliver an alert by a channel (``mail``, ``webhook``, ``escalation``)."""

    seq: int
    ts_ns: int
    alert_id: str
    channel: str
    delivered: bool
    text: str


@dataclass(frozen=True, slots=True)
class AcknowledgeAlert:
    """A person has seen an alert, and says what is done about it."""

    seq: int
    ts_ns: int
    actor: str
    alert_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportAlert:
    """A part of the gateway beside the engine found what people must hear of: a checkpoint not kept, a clock."""

    seq: int
    ts_ns: int
    reason: str
    severity: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing a custodian's or broker's file says otherwise: ``kind``, what it is about, and words."""

    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class RecordReconciliation:
    """A day's records were compared with a file; each discrepancy opens an exception.

    ``rows`` is how many rows the file has, ``matched`` how many agree.
    """

    seq: int
    ts_ns: int
    actor: str
    trade_date: date
    source: str
    sha256: str
    rows: int
    matched: int
    discrepancies: tuple[Discrepancy, ...]


@dataclass(frozen=True, slots=True)
class RecordReview:
    """A forensic review was run on the records, or its sequential monitor moved.

    ``kind`` is ``run``, ``monitor`` or ``sample``; ``result`` the result document's SHA-256, ``summary`` its words.
    """

    seq: int
    ts_ns: int
    actor: str
    kind: str
    review_id: str
    plan_sha256: str
    data_sha256: str
    seed: str
    verdict: str
    summary: str
    first: str = ""
    last: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class SignReview:
    """The CCO's conclusion of a review and what follows from it."""

    seq: int
    ts_ns: int
    actor: str
    review_id: str
    conclusion: str
    follow_up: str


DeskInput = (
    RecordPerson
    | NoteAccess
    | RequestException
    | DecideException
    | AttendException
    | SendAgain
    | RecordMark
    | NoteDelivery
    | AcknowledgeAlert
    | ReportAlert
    | RecordReconciliation
    | RecordReview
    | SignReview
)
