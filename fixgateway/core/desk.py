"""What people do at the desk besides asking for exceptions: people recorded, marks, access, attention, reviews.

Every action is in the journal with the person who took it, also one that was refused (:class:`.ActionRefused`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from fixgateway.core import guard, pending
from fixgateway.core.desk_facts import (
    AccessNoted,
    ExceptionAttended,
    MarkRecorded,
    PersonRecorded,
    ReviewRecorded,
    ReviewSigned,
)
from fixgateway.core.desk_inputs import (
    AttendException,
    NoteAccess,
    RecordMark,
    RecordPerson,
    RecordReview,
    SignReview,
)
from fixgateway.core.desk_records import Mark, OpenedRecord
from fixgateway.core.facts import Alert, ExceptionOpened
from fixgateway.core.inputs import Input
from fixgateway.core.model import plain_decimal
from fixgateway.core.outputs import Output
from fixgateway.core.people import MAY, Person, Role, Task, permitted
from fixgateway.core.state import State

MACHINE = "machine:"
"""What the actor begins with who holds the machine itself; such a one may record the first person, nothing else."""
GATEWAY = "gateway"
"""Who acts when the gateway does; no person may be called so."""
MAX_PEOPLE = 10_000
MAX_MARKS = 100_000
"""Symbols with a mark; the one marked longest ago is forgotten first (the records keep it)."""
MAX_OPENED = 100_000
"""Unresolved exceptions remembered; the oldest is forgotten first (the records keep it)."""
MAX_WORDS = 4_000
"""Characters of what a person writes."""

_PERSON_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_EMAIL = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff@]{1,100}@[^\x00-\x20\x7f\ud800-\udfff@]{1,100}")
_SYMBOL = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_WORDS = re.compile(rf"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]{{0,{MAX_WORDS}}}")
_DECIDES = frozenset((Task.APPROVE, Task.APPROVE_DESIGNATION))


def words_problem(text: str, *, needed: bool = True) -> str:
    """What is wrong with a person's words, "" when nothing is."""
    if needed and not text.strip():
        return "it needs words"
    if not _WORDS.fullmatch(text):
        return f"its words have control characters or more than {MAX_WORDS} characters"
    return ""


# ---------------------------------------------------------------- people


def on_record_person(state: State, given: RecordPerson) -> list[Output]:
    """A person is added or changed; who may decide exceptions from now on is told."""
    person = given.person
    why = _may_record(state, given) or _person_problem(state, person) or _power_problem(state, given)
    if why:
        reason = guard.REASON if _may_record(state, given) else "GW-914"
        return guard.refused(given.actor, "record person", person.person_id, reason, why)
    roles = tuple(role.value for role in Role if role.value in person.roles)
    person = replace(person, roles=roles)
    before = state.people.get(person.person_id)
    state.people[person.person_id] = person
    told = _told(person, before, given.actor)
    return [PersonRecorded(person, before, given.actor), *told, *pending.expire_orphans(state)]


def _may_record(state: State, given: RecordPerson) -> str:
    """Why somebody may not record people, "" when they may."""
    if not state.people:
        if not given.actor.startswith(MACHINE):
            return f"the first person is recorded on the machine itself, not by {given.actor or 'nobody'}"
        return ""
    return guard.why_not(state, given.actor, Task.PEOPLE)


def _person_problem(state: State, person: Person) -> str:
    """What is wrong with a person as written, "" when nothing is."""
    name = person.person_id
    if not _PERSON_ID.fullmatch(name):
        return f"person id {name!r} is not 1 to 64 letters, digits or . _ @ -"
    if name.lower() == GATEWAY:
        return f"nobody is called {name}: the gateway's own actions are journaled so"
    if not _NAME.fullmatch(person.name) or not person.name.strip():
        return f"{name}: a person has a name of 1 to 200 printable characters"
    if person.email and not _EMAIL.fullmatch(person.email):
        return f"{name}: {person.email!r} is no mail address"
    unknown = [role for role in person.roles if role not in tuple(Role)]
    if unknown:
        return f"{name}: {unknown[0]!r} is no role; roles are {', '.join(Role)}"
    if not person.roles and person.active:
        return f"{name}: an active person has at least one role"
    twin = next((other for other in state.people if other != name and other.lower() == name.lower()), "")
    if twin:
        return f"{name} differs from {twin} in upper and lower case only"
    if name not in state.people and len(state.people) >= MAX_PEOPLE:
        return f"more than {MAX_PEOPLE} people"
    return ""


def _power_problem(state: State, given: RecordPerson) -> str:
    """Why a change of who may do what cannot be, "" when it can."""
    person, before = given.person, state.people.get(given.person.person_id)
    if not state.people:
        if person.active and any(role in MAY[Task.PEOPLE] for role in person.roles):
            return ""
        return "the first person has role compliance or principal, so that somebody can record the others"
    if given.actor == person.person_id and before is not None and _power(before) != _power(person):
        return f"{given.actor} may not change roles or activity of their own; another person must"
    if not permitted(person, Task.PEOPLE) and not guard.others(state, Task.PEOPLE, person.person_id):
        return f"{person.person_id} is the last active person who may {Task.PEOPLE.value}"
    return ""


def _power(person: Person) -> tuple[frozenset[str], bool]:
    return frozenset(person.roles), person.active


def _told(person: Person, before: Person | None, actor: str) -> list[Output]:
    """Somebody who may decide exceptions now and could not before: the others must know of them."""
    new = [task for task in Task if task in _DECIDES and permitted(person, task) and not permitted(before, task)]
    if not new:
        return []
    may = " and ".join(task.value for task in new)
    text = f"{person.person_id} ({person.name}) may {may} since {actor} recorded roles {', '.join(person.roles)}"
    return [Alert("GW-915", "warning", person.person_id, text)]


def on_note_access(_state: State, given: NoteAccess) -> list[Output]:
    """Who signed in, or read what: kept as it is told."""
    return [AccessNoted(given.actor, given.what, given.subject, given.address)]


# ---------------------------------------------------------------- marks


def on_record_mark(state: State, given: RecordMark) -> list[Output]:
    """A price of a security; one of an earlier moment than the latest is kept in the records only."""
    price = plain_decimal(given.price)
    why = guard.why_not(state, given.actor, Task.MARK)
    reason = guard.REASON if why else "GW-916"
    if not why:
        why = _mark_problem(given)
    if why or not price:
        why = why or f"{given.price or '(missing)'} is not a plain positive number"
        return guard.refused(given.actor, "record mark", given.symbol, reason, why)
    latest = state.marks.get(given.symbol)
    if latest is None or latest.as_of_ns <= given.as_of_ns:
        state.marks.pop(given.symbol, None)
        state.marks[given.symbol] = Mark(price, given.source, given.as_of_ns, given.close)
        if len(state.marks) > MAX_MARKS:
            del state.marks[next(iter(state.marks))]
    return [MarkRecorded(given.symbol, price, given.source, given.as_of_ns, given.close, given.actor)]


def _mark_problem(given: RecordMark) -> str:
    if not _SYMBOL.fullmatch(given.symbol) or not given.symbol.strip():
        return "a mark is of a symbol"
    if not _NAME.fullmatch(given.source) or not given.source.strip():
        return "a mark names its source"
    if not 0 < given.as_of_ns <= given.ts_ns:
        return "a mark's time is neither missing nor later than now"
    return ""


# ---------------------------------------------------------------- exceptions the gateway opened itself


def remember(state: State, given: Input, outputs: Sequence[Output]) -> None:
    """Keep the exceptions an input has just opened until somebody resolves them."""
    for position, opened in enumerate(outputs):
        if isinstance(opened, ExceptionOpened):
            key = f"X-{given.seq}-{position}"
            state.opened[key] = OpenedRecord(given.seq, opened.reason, opened.subject, opened.text, state.trade_date)
    while len(state.opened) > MAX_OPENED:
        del state.opened[next(iter(state.opened))]


_ACTIONS = ("acknowledge", "note", "resolve")


def on_attend_exception(state: State, given: AttendException) -> list[Output]:
    """A person looks at an exception the gateway opened, writes to it, or ends it."""
    opened = state.opened.get(given.exception_id)
    why = guard.why_not(state, given.actor, Task.ATTEND)
    reason = guard.REASON if why else "GW-917"
    why = why or _attend_problem(state, given, opened)
    if why or opened is None:
        return guard.refused(given.actor, given.action, given.exception_id, reason, why)
    if not opened.acknowledged_by:
        opened.acknowledged_by = given.actor
    if given.action == "resolve":
        del state.opened[given.exception_id]
    return [ExceptionAttended(given.exception_id, given.actor, given.action, given.text)]


def _attend_problem(state: State, given: AttendException, opened: OpenedRecord | None) -> str:
    if opened is None:
        if given.exception_id in state.exceptions:
            return f"exception {given.exception_id} was asked for by a person; it is decided, not attended to"
        return f"exception {given.exception_id} does not exist or is resolved"
    if given.action not in _ACTIONS:
        return f"{given.action!r} is not one of {', '.join(_ACTIONS)}"
    if given.action == "acknowledge" and opened.acknowledged_by:
        return f"exception {given.exception_id} was acknowledged by {opened.acknowledged_by}"
    return words_problem(given.text, needed=given.action != "acknowledge")


# ---------------------------------------------------------------- reviews

OPEN, SIGNED = "open", "signed"
_REVIEWS = ("run", "monitor", "sample")


_FOUND = {"amber": "warning", "red": "critical"}
"""Verdicts that the CCO is told of at once, and how loudly (rule A9)."""


def on_record_review(state: State, given: RecordReview) -> list[Output]:
    """A forensic review was run; its result is named by hash. The gateway runs its daily monitor itself."""
    itself = given.kind == "monitor" and given.actor == GATEWAY
    why = "" if itself else guard.why_not(state, given.actor, Task.REVIEW)
    reason = guard.REASON if why else "GW-918"
    why = why or _review_problem(state, given)
    if why:
        return guard.refused(given.actor, "record review", given.review_id, reason, why)
    state.reviews[given.review_id] = OPEN
    fact = ReviewRecorded(
        given.review_id, given.kind, given.plan_sha256, given.data_sha256, given.seed, given.verdict, given.summary,
        given.first, given.last, given.result, given.actor,
    )  # fmt: skip
    severity = _FOUND.get(given.verdict, "")
    if not severity:
        return [fact]
    text = f"forensic review {given.review_id} ({given.kind}) is {given.verdict}: {given.summary}"
    return [fact, Alert("GW-919", severity, given.review_id, text)]


def _review_problem(state: State, given: RecordReview) -> str:
    if not _PERSON_ID.fullmatch(given.review_id):
        return f"review id {given.review_id!r} is not 1 to 64 letters, digits or . _ @ -"
    if given.review_id in state.reviews:
        return f"review {given.review_id} is recorded already"
    if given.kind not in _REVIEWS:
        return f"{given.kind!r} is not one of {', '.join(_REVIEWS)}"
    return ""


def on_sign_review(state: State, given: SignReview) -> list[Output]:
    """The conclusion of a review and what follows from it: once."""
    why = guard.why_not(state, given.actor, Task.REVIEW)
    reason = guard.REASON if why else "GW-918"
    if not why:
        known = state.reviews.get(given.review_id)
        missing = "does not exist" if known is None else "is signed already" if known == SIGNED else ""
        why = f"review {given.review_id} {missing}" if missing else words_problem(given.conclusion)
        why = why or words_problem(given.follow_up, needed=False)
    if why:
        return guard.refused(given.actor, "sign review", given.review_id, reason, why)
    state.reviews[given.review_id] = SIGNED
    return [ReviewSigned(given.review_id, given.conclusion, given.follow_up, given.actor)]
