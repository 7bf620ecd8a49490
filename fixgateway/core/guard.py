"""Who may: asked of every action a person can take, whichever door it came by.

While nobody is recorded the gateway is being set up and the actions that need no second person are open
(:mod:`.people`). Messages of an OMS and files of the drop folder are known by their session and their file, not by a
person.
"""

from __future__ import annotations

from fixgateway.core.desk_facts import ActionRefused
from fixgateway.core.inputs import Input, Operator, PassTurn, SetHolding, SubmitStatement
from fixgateway.core.outputs import Output, Problem, StatementRefused
from fixgateway.core.people import Person, Task, permitted
from fixgateway.core.state import State

REASON = "GW-903"

_OPERATOR_TASKS = {
    "close": Task.OPERATE,
    "cancel": Task.OPERATE,
    "book": Task.OPERATE,
    "halt": Task.SWITCH,
    "resume": Task.SWITCH,
    "session": Task.SESSION,
}
"""Operator actions of people; ``start`` and ``stop`` are the gateway's own."""
_ON_STATEMENTS = frozenset(("close", "cancel", "book"))
_DOORS_OF_PEOPLE = frozenset(("http", "cli"))


def why_not(state: State, actor: str, task: Task) -> str:
    """Why somebody may not do what only recorded people may; "" when they may."""
    person = state.people.get(actor)
    if permitted(person, task):
        return ""
    if person is None:
        return f"{actor or 'nobody'} is not recorded as a person and may not {task.value}"
    if not person.active:
        return f"{actor} is not active any more and may not {task.value}"
    return f"{actor} ({', '.join(person.roles)}) may not {task.value}"


def others(state: State, task: Task, besides: str) -> list[Person]:
    """Everybody who may do a task, but for one person."""
    return [person for name, person in state.people.items() if name != besides and permitted(person, task)]


def refused(actor: str, action: str, subject: str, reason: str, text: str) -> list[Output]:
    """A person's action that changed nothing."""
    return [ActionRefused(actor, action, subject, reason, text)]


def check(state: State, given: Input) -> list[Output]:
    """The refusal of an input whose actor may not do that; nothing for all others, and while nobody is recorded."""
    if not state.people:
        return []
    match given:
        case Operator() if given.action in _OPERATOR_TASKS:
            why = why_not(state, given.actor, _OPERATOR_TASKS[given.action])
            if why and given.action not in _ON_STATEMENTS:
                return refused(given.actor, given.action, given.target, REASON, why)
            return _statement(given.actor, given.target, why)
        case PassTurn():
            return _statement(given.actor, given.statement_id, why_not(state, given.actor, Task.OPERATE))
        case SetHolding():
            return _statement(given.actor, "", why_not(state, given.actor, Task.HOLDING))
        case SubmitStatement() if given.door in _DOORS_OF_PEOPLE:
            why = why_not(state, given.actor, Task.REGISTER)
            return _statement(given.actor, given.draft.statement_id, why, given.door)
        case _:
            return []


def _statement(actor: str, subject: str, why: str, door: str = "operator") -> list[Output]:
    if not why:
        return []
    return [StatementRefused(door, actor, subject, (Problem(0, "", REASON, why),))]
