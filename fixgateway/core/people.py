"""People: who may do what.

Every person has a name of their own and one or more roles; nobody shares an account (17 CFR 240.17a-4(f)(2)(i)(A)(3)).
What a role may do is the table :data:`MAY`, and nothing else. Before the first person is recorded the gateway is
being set up: actions that need no second person are open to whoever reaches it, and are journaled with the name
they give.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is in the firm."""

    TRADER = "trader"
    OPERATIONS = "operations"
    COMPLIANCE = "compliance"
    PRINCIPAL = "principal"
    AUDITOR = "auditor"


class Task(StrEnum):
    """What a person may want to do; the value is the word used in refusals and in docs."""

    READ = "read"
    READ_REVIEWS = "read reviews"
    REGISTER = "register statements"
    OPERATE = "close, book and cancel statements"
    SWITCH = "halt and resume orders"
    SESSION = "administer sessions"
    HOLDING = "set holdings"
    MARK = "record marks"
    REQUEST = "request exceptions"
    APPROVE = "decide exceptions"
    APPROVE_DESIGNATION = "decide re-designations"
    ATTEND = "attend to exceptions and alerts"
    SEND_AGAIN = "send allocations again"
    RECONCILE = "reconcile"
    REVIEW = "run and sign reviews"
    HOLD = "place legal holds"
    EXPORT = "export records"
    PEOPLE = "administer people"


_ALL = frozenset(Role)
_DESK = frozenset((Role.TRADER, Role.OPERATIONS))
_OVERSIGHT = frozenset((Role.COMPLIANCE, Role.PRINCIPAL))

MAY: dict[Task, frozenset[Role]] = {
    Task.READ: _ALL,
    Task.READ_REVIEWS: frozenset((Role.COMPLIANCE, Role.AUDITOR)),
    Task.REGISTER: _DESK,
    Task.OPERATE: frozenset((Role.OPERATIONS,)),
    Task.SWITCH: frozenset((Role.OPERATIONS, Role.COMPLIANCE, Role.PRINCIPAL)),
    Task.SESSION: frozenset((Role.OPERATIONS,)),
    Task.HOLDING: frozenset((Role.OPERATIONS,)),
    Task.MARK: frozenset((Role.OPERATIONS,)),
    Task.REQUEST: _DESK,
    Task.APPROVE: frozenset((Role.COMPLIANCE,)),
    Task.APPROVE_DESIGNATION: frozenset((Role.PRINCIPAL,)),
    Task.ATTEND: frozenset((Role.OPERATIONS, Role.COMPLIANCE, Role.PRINCIPAL)),
    Task.SEND_AGAIN: frozenset((Role.OPERATIONS,)),
    Task.RECONCILE: frozenset((Role.OPERATIONS, Role.COMPLIANCE)),
    Task.REVIEW: frozenset((Role.COMPLIANCE,)),
    Task.HOLD: frozenset((Role.COMPLIANCE, Role.AUDITOR)),
    Task.EXPORT: frozenset((Role.OPERATIONS, Role.COMPLIANCE, Role.PRINCIPAL, Role.AUDITOR)),
    Task.PEOPLE: _OVERSIGHT,
}
"""The role matrix: who may do what."""


@dataclass(frozen=True, slots=True)
class Person:
    """One named person. ``roles`` are values of :class:`Role`; an inactive person can do nothing, for ever kept."""

    person_id: str
    name: str
    roles: tuple[str, ...]
    active: bool = True
    email: str = ""


def permitted(person: Person | None, task: Task) -> bool:
    """Whether a person may do a task; nobody unknown or inactive may."""
    return person is not None and person.active and any(role in MAY[task] for role in person.roles)
