"""People, what they may do, and what they do at the desk besides asking for exceptions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from desks import DESK_SETUP, PEOPLE, Desk, refusal
from worlds import World, draft, one, some

from fixgateway.core.desk_facts import (
    AccessNoted,
    ActionRefused,
    ExceptionAttended,
    MarkRecorded,
    PersonRecorded,
    ReviewRecorded,
    ReviewSigned,
)
from fixgateway.core.desk_inputs import (
    AttendException,
    NoteAccess,
    RecordPerson,
    RecordReview,
    SignReview,
)
from fixgateway.core.inputs import Operator, PassTurn, SetHolding
from fixgateway.core.outputs import Alert, ExceptionOpened, OrdersSwitched, StatementRefused, StatementRegistered
from fixgateway.core.people import MAY, Person, Role, Task, permitted


def test_every_task_has_somebody_and_auditors_change_nothing() -> None:
    assert set(MAY) == set(Task)
    assert all(MAY.values())
    changes = set(Task) - {Task.READ, Task.READ_REVIEWS, Task.EXPORT, Task.HOLD}
    assert not any(Role.AUDITOR in MAY[task] for task in changes)


def test_nobody_who_asks_for_exceptions_decides_them_by_the_same_role() -> None:
    deciding = MAY[Task.APPROVE] | MAY[Task.APPROVE_DESIGNATION]
    assert not MAY[Task.REQUEST] & deciding


def test_nobody_unknown_or_inactive_may_anything() -> None:
    everything = Person("x", "X", tuple(Role))
    assert all(permitted(everything, task) for task in Task)
    assert not any(permitted(replace(everything, active=False), task) for task in Task)
    assert not any(permitted(None, task) for task in Task)


# ---------------------------------------------------------------- recording


def _record(world: World, actor: str, name: str, *roles: str, **more: Any) -> tuple[Any, ...]:
    return world.give(RecordPerson, actor=actor, person=Person(name, "A Name", roles, **more))


def test_the_first_person_is_recorded_on_the_machine_and_can_record_others() -> None:
    world = World(DESK_SETUP)
    assert refusal(_record(world, "mallory", "mallory", "compliance")).reason == "GW-903"
    assert refusal(_record(world, "machine:root", "tom", "trader")).reason == "GW-914"
    outputs = _record(world, "machine:root", "cco", "compliance", email="cco@example.com")
    assert one(outputs, PersonRecorded).before is None
    assert one(outputs, Alert).reason == "GW-915"
    assert refusal(_record(world, "machine:root", "tom", "trader")).reason == "GW-903"
    assert one(_record(world, "cco", "tom", "trader"), PersonRecorded).person.roles == ("trader",)
    assert refusal(_record(world, "tom", "tim", "trader")).reason == "GW-903"


@pytest.mark.parametrize(
    ("name", "roles", "more"),
    [
        ("", ("trader",), {}),
        ("machine:root", ("trader",), {}),
        ("a b", ("trader",), {}),
        ("x" * 65, ("trader",), {}),
        ("tim", ("king",), {}),
        ("tim", (), {}),
        ("tim", ("trader",), {"email": "no mail"}),
        ("TOM", ("trader",), {}),
        ("Gateway", ("trader",), {}),
    ],
)
def test_a_person_that_cannot_be(name: str, roles: tuple[str, ...], more: dict[str, Any]) -> None:
    desk = Desk()
    before = dict(desk.engine.state.people)  # type: ignore[union-attr]
    assert refusal(_record(desk, "cco", name, *roles, **more)).reason == "GW-914"
    assert desk.engine.state.people == before  # type: ignore[union-attr]


def test_a_name_of_blanks_is_none() -> None:
    desk = Desk()
    refused = refusal(desk.give(RecordPerson, actor="cco", person=Person("tim", "  ", ("trader",))))
    assert refused.reason == "GW-914"


def test_roles_stand_once_and_in_their_order() -> None:
    desk = Desk()
    found = one(_record(desk, "cco", "tim", "operations", "trader", "operations"), PersonRecorded)
    assert found.person.roles == ("trader", "operations")


def test_nobody_changes_roles_or_activity_of_their_own() -> None:
    desk = Desk()
    assert refusal(_record(desk, "cco", "cco", "compliance", "principal")).reason == "GW-914"
    assert refusal(_record(desk, "cco", "cco", "compliance", active=False)).reason == "GW-914"
    assert one(_record(desk, "cco", "cco", "compliance", email="new@example.com"), PersonRecorded)


def test_the_last_who_may_administer_stays() -> None:
    desk = Desk(people={"cco": (Role.COMPLIANCE,), "boss": (Role.PRINCIPAL,)})
    assert one(_record(desk, "boss", "cco", "compliance", active=False), PersonRecorded)
    assert refusal(_record(desk, "cco", "boss", "trader")).reason == "GW-903"  # not active any more
    assert refusal(_record(desk, "boss", "boss", "trader")).reason == "GW-914"


def test_who_may_decide_from_now_on_is_told_once() -> None:
    desk = Desk()
    assert one(_record(desk, "cco", "new", "principal"), Alert).reason == "GW-915"
    assert not some(_record(desk, "cco", "new", "principal", email="n@example.com"), Alert)
    assert not some(_record(desk, "cco", "tim", "trader"), Alert)


# ---------------------------------------------------------------- the guard

_TASKS: dict[str, tuple[Task, Any]] = {
    "close": (Task.OPERATE, lambda w, a: w.give(Operator, actor=a, action="close", target="S-1", reason="r")),
    "cancel": (Task.OPERATE, lambda w, a: w.give(Operator, actor=a, action="cancel", target="S-1", reason="r")),
    "book": (Task.OPERATE, lambda w, a: w.give(Operator, actor=a, action="book", target="S-1", reason="r")),
    "halt": (Task.SWITCH, lambda w, a: w.give(Operator, actor=a, action="halt", target="all", reason="r")),
    "resume": (Task.SWITCH, lambda w, a: w.give(Operator, actor=a, action="resume", target="all", reason="r")),
    "session": (Task.SESSION, lambda w, a: w.give(Operator, actor=a, action="session", target="BRK1", reason="r")),
    "pass": (Task.OPERATE, lambda w, a: w.give(PassTurn, actor=a, statement_id="S-1", account="PROP", reason="r")),
    "holding": (
        Task.HOLDING,
        lambda w, a: w.give(SetHolding, actor=a, account="PROP", symbol="XYZ", quantity="1", reason="r"),
    ),
    "http": (Task.REGISTER, lambda w, a: w.submit(draft("S-2"), session="", door="http", actor=a)),
    "cli": (Task.REGISTER, lambda w, a: w.submit(draft("S-2"), session="", door="cli", actor=a)),
    "mark": (Task.MARK, lambda w, a: w.mark(actor=a)),
    "person": (Task.PEOPLE, lambda w, a: _record(w, a, "tim", "trader")),
    "review": (Task.REVIEW, lambda w, a: _review(w, a)),
}
_ONE_OMS = replace(DESK_SETUP, omses=DESK_SETUP.omses[:1])


def _review(
    world: World, actor: str, review_id: str = "R-1", kind: str = "run", verdict: str = "green"
) -> tuple[Any, ...]:
    # World.give has a parameter named kind, so the input is made here
    return world._again(RecordReview(0, 0, actor, kind, review_id, "p", "d", "s", verdict, "found nothing"))


@pytest.mark.parametrize("action", _TASKS)
@pytest.mark.parametrize("actor", [*PEOPLE, "gone", "stranger", "", "machine:root"])
def test_the_role_matrix(action: str, actor: str) -> None:
    """Exactly who the table names may; whoever may not changes nothing."""
    desk = Desk(_ONE_OMS)
    desk.record_person("gone", *Role, active=False)
    desk.submit(actor="oms")
    task, act = _TASKS[action]
    allowed = any(role in MAY[task] for role in PEOPLE.get(actor, ()))
    state = desk.engine.state
    assert state is not None
    before = (dict(state.people), set(state.halted), dict(state.holdings), dict(state.marks), set(state.active))
    outputs = act(desk, actor)
    reasons = {x.reason for x in some(outputs, ActionRefused)}
    reasons |= {problem.reason for x in some(outputs, StatementRefused) for problem in x.problems}
    assert ("GW-903" not in reasons) is allowed, outputs
    if not allowed:
        assert len(outputs) == 1
        assert (dict(state.people), set(state.halted), dict(state.holdings), dict(state.marks), set(state.active)) == (
            before
        )


def test_while_nobody_is_recorded_the_gateway_is_set_up_as_before() -> None:
    world = World(_ONE_OMS)
    assert one(world.submit(session="", door="http"), StatementRegistered)
    assert one(world.operate("halt"), OrdersSwitched).halted
    assert refusal(world.give(AttendException, actor="ops", exception_id="X-1-0", action="note", text="t"))


def test_sessions_files_and_the_gateway_itself_are_no_people() -> None:
    desk = Desk(_ONE_OMS)
    assert one(desk.submit(actor="50=trader7"), StatementRegistered)
    assert one(desk.submit(draft("S-2"), session="", door="drop", actor="x.csv"), StatementRegistered)
    stopped = desk.give(Operator, actor="gateway", action="stop", target="all", reason="stopping")
    assert one(stopped, OrdersSwitched).halted


# ---------------------------------------------------------------- access, marks


def test_access_is_kept_whoever_it_is() -> None:
    desk = Desk()
    found = desk.give(NoteAccess, actor="stranger", what="refused", subject="sign-in", address="10.0.0.1")
    assert found == (AccessNoted("stranger", "refused", "sign-in", "10.0.0.1"),)


def test_the_latest_mark_counts_whenever_it_comes() -> None:
    desk = Desk()
    assert one(desk.mark("101.50", as_of_ns=2_000), MarkRecorded).actor == "ops"
    one(desk.mark("99", as_of_ns=1_000), MarkRecorded)
    marks = desk.engine.state.marks  # type: ignore[union-attr]
    assert str(marks["XYZ"].price) == "101.50"
    desk.mark("102", as_of_ns=2_000)  # a correction of the same moment
    assert str(marks["XYZ"].price) == "102"


@pytest.mark.parametrize(
    "more",
    [
        {"price": "0"}, {"price": "-1"}, {"price": "1e3"}, {"price": ""}, {"symbol": " "}, {"source": ""},
        {"as_of_ns": 0}, {"as_of_ns": 10**19},
    ],
)  # fmt: skip
def test_a_mark_that_is_none(more: dict[str, Any]) -> None:
    desk = Desk()
    assert refusal(desk.mark(**more)).reason == "GW-916"
    assert not desk.engine.state.marks  # type: ignore[union-attr]


# ---------------------------------------------------------------- attending


def _opened(desk: Desk) -> str:
    """An exception the gateway opens: a fill after the statement was allocated."""
    desk.example()
    outputs = desk.fill("1", "100")
    position = next(n for n, x in enumerate(outputs) if isinstance(x, ExceptionOpened))
    return f"X-{desk.seq}-{position}"


def _attend(desk: Desk, exception_id: str, action: str, text: str = "looked", actor: str = "ops") -> Any:
    return desk.give(AttendException, actor=actor, exception_id=exception_id, action=action, text=text)


def test_an_opened_exception_is_attended_to_until_it_is_resolved() -> None:
    desk = Desk()
    name = _opened(desk)
    state = desk.engine.state
    assert state is not None
    assert state.opened[name].reason == "GW-813"
    assert one(_attend(desk, name, "acknowledge", ""), ExceptionAttended).exception_id == name
    assert refusal(_attend(desk, name, "acknowledge", "")).reason == "GW-917"
    assert refusal(_attend(desk, name, "note", " ")).reason == "GW-917"
    assert one(_attend(desk, name, "note", "broker called"), ExceptionAttended)
    assert refusal(_attend(desk, name, "resolve", "")).reason == "GW-917"
    assert refusal(_attend(desk, name, "close", "x")).reason == "GW-917"
    assert refusal(_attend(desk, name, "resolve", actor="tom")).reason == "GW-903"
    assert one(_attend(desk, name, "resolve", "agreed with the broker"), ExceptionAttended)
    assert name not in state.opened
    assert refusal(_attend(desk, name, "note")).reason == "GW-917"


def test_what_a_person_asked_for_is_decided_and_not_attended_to() -> None:
    desk = Desk()
    desk.example()
    desk.ask({"CLIENT-A": 18000, "CLIENT-B": 3000, "CLIENT-C": 3000, "PROP": 6000})
    name = next(iter(desk.engine.state.pending))  # type: ignore[union-attr]
    assert "decided" in refusal(_attend(desk, name, "resolve", "no")).text


# ---------------------------------------------------------------- reviews


def test_a_review_is_recorded_once_and_signed_once() -> None:
    desk = Desk()
    assert one(_review(desk, "cco"), ReviewRecorded).actor == "cco"
    assert refusal(_review(desk, "cco")).reason == "GW-918"
    sign = {"review_id": "R-1", "conclusion": "nothing found", "follow_up": ""}
    assert refusal(desk.give(SignReview, actor="cco", **{**sign, "review_id": "R-2"})).reason == "GW-918"
    assert refusal(desk.give(SignReview, actor="cco", **{**sign, "conclusion": ""})).reason == "GW-918"
    assert refusal(desk.give(SignReview, actor="aud", **sign)).reason == "GW-903"
    assert one(desk.give(SignReview, actor="cco2", **sign), ReviewSigned).conclusion == "nothing found"
    assert refusal(desk.give(SignReview, actor="cco2", **sign)).reason == "GW-918"


def test_what_a_review_found_is_told_and_the_gateway_may_run_its_monitor() -> None:
    desk = Desk()
    assert not some(_review(desk, "cco", "R-1"), Alert)
    assert one(_review(desk, "cco", "R-2", verdict="amber"), Alert).severity == "warning"
    found = one(_review(desk, "gateway", "M-1", "monitor", "red"), Alert)
    assert (found.reason, found.severity, found.subject) == ("GW-919", "critical", "M-1")
    assert refusal(_review(desk, "gateway", "R-3")).reason == "GW-903"
    assert refusal(_review(desk, "ops", "M-2", "monitor")).reason == "GW-903"
