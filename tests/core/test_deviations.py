"""Exceptions: the whole way, who may ask and who decides, codes and words.

The numbers are the worked example's: of 50,000 intended 30,000 fill and are divided 15,000 / 6,000 / 3,000 / 6,000.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from desks import (
    COMPUTED,
    DESK_SETUP,
    FAIR,
    PEOPLE,
    RULES,
    TEXT,
    Desk,
    asked,
    decided,
    refusal,
    sent,
    state_of,
)
from hypothesis import given
from hypothesis import strategies as st
from worlds import World, draft, one, some

from fixgateway.core.codes import KINDS, explanation_problem
from fixgateway.core.desk_facts import ExceptionDecided
from fixgateway.core.desk_inputs import RecordPerson
from fixgateway.core.inputs import Configure, ExecKind
from fixgateway.core.outputs import Alert, StatementAllocated
from fixgateway.core.people import MAY, Person, Role, Task

D = Decimal


# ---------------------------------------------------------------- the whole way


def test_a_deviation_goes_the_whole_way() -> None:
    desk = Desk()
    desk.example()
    first = next(iter(state_of(desk).statements["S-1"].sent.values()))
    desk.mark("101.25", as_of_ns=desk.ts_ns - 5)
    outputs = desk.ask(FAIR)
    request = asked(outputs)
    assert request.exception_id == f"GWE20261123-{desk.seq}"
    assert (request.requested_by, request.role) == ("tom", "compliance")
    assert (request.code, request.codes_version) == ("ANY", "1")
    assert (request.avg_px, request.mark, request.mark_source) == ("100.0000", "101.25", "screen")
    assert request.alloc_ids == (first.alloc_id,)
    rows = {x.account: (x.class_, x.intent, x.before, x.after, x.benefit) for x in request.lines}
    assert rows["CLIENT-A"] == ("client", D(25000), D(15000), D(18000), D("3750.00"))
    assert rows["CLIENT-B"] == ("client", D(10000), D(6000), D(3000), D("-3750.00"))
    assert rows["PROP"] == ("proprietary", D(10000), D(6000), D(6000), D("0.00"))
    alert = one(outputs, Alert)
    assert (alert.reason, alert.severity, alert.subject) == ("GW-901", "critical", request.exception_id)
    assert "CLIENT-A 15000 → 18000 (+3000, gains 3750)" in alert.text
    assert desk.shares() == COMPUTED  # asking changes nothing

    outputs = desk.decide(request.exception_id)
    decision = decided(outputs)
    (told,) = sent(outputs)
    assert (decision.decision, decision.actor, decision.late) == ("approved", "cco", False)
    assert decision.alloc_ids == (told.alloc_id,)
    assert (told.trans_type, told.ref_alloc_id, told.replace_reason) == ("1", first.alloc_id, "2")
    assert {x.account: x.quantity for x in told.shares} == {name: D(q) for name, q in FAIR.items()}
    division = one(outputs, StatementAllocated)
    assert [x.rule for x in division.lines] == ["exception", "exception", "floor", "floor"]
    assert [x.exact for x in division.lines] == ["15000/1", "6000/1", "3000/1", "6000/1"]
    assert all(x.floor + x.award == x.quantity for x in division.lines)
    assert any(request.exception_id in note for note in division.notes)


@pytest.mark.parametrize("decision", ["reject", "withdraw"])
def test_rejected_or_withdrawn_nothing_changes(decision: str) -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    outputs = desk.decide(name, decision, actor="tom" if decision == "withdraw" else "cco")
    assert [type(x) for x in outputs] == [ExceptionDecided]
    assert decided(outputs).decision == f"{decision}ed".replace("withdrawed", "withdrawn")
    assert desk.shares() == COMPUTED
    assert not state_of(desk).pending
    assert refusal(desk.decide(name)).reason == "GW-912"


def test_an_exception_is_undone_by_another_one() -> None:
    desk = Desk()
    desk.example()
    desk.decide(asked(desk.ask(FAIR)).exception_id)
    again = asked(desk.ask({name: str(q) for name, q in COMPUTED.items()}))
    line = next(x for x in again.lines if x.account == "CLIENT-A")
    assert (line.before, line.after, line.computed) == (D(18000), D(15000), D(15000))
    desk.decide(again.exception_id)
    assert desk.shares() == COMPUTED


def test_a_sell_gains_when_the_mark_falls() -> None:
    desk = Desk()
    desk.submit(draft(side="sell"), actor="tom")
    desk.order(side="sell")
    desk.fill("30000", "100", side="sell")
    desk.execution(ExecKind.CANCELLED, ord_status="4", side="sell")
    desk.mark("98")
    request = asked(desk.ask(FAIR))
    assert next(x for x in request.lines if x.account == "CLIENT-A").benefit == D("6000.00")


def test_without_a_mark_the_newest_fill_is_one() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order()
    desk.fill("10000", "100")
    desk.fill("20000", "103")
    desk.execution(ExecKind.CANCELLED, ord_status="4")
    request = asked(desk.ask(FAIR))
    assert (request.avg_px, request.mark, request.mark_source) == ("102.0000", "103", "last fill")
    assert next(x for x in request.lines if x.account == "CLIENT-A").benefit == D("3000.00")


def test_who_gains_is_in_the_alert_when_it_is_the_firm() -> None:
    """The firm may give up a share: but the CCO reads that it gives up a loss."""
    desk = Desk()
    desk.example()
    desk.mark("95")
    outputs = desk.ask({"CLIENT-A": 21000, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 0})
    assert "OWN ACCOUNT GAINS: PROP" in one(outputs, Alert).text


# ---------------------------------------------------------------- who


@pytest.mark.parametrize("actor", [*PEOPLE, "stranger", "", "machine:root"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_may_ask(actor: str, kind: str) -> None:
    desk = Desk()
    if kind == "statement-change":
        desk.submit(actor="tom")
        desk.order()
        lines: dict[str, int] = {"CLIENT-A": 27000, "CLIENT-B": 8000, "CLIENT-C": 5000, "PROP": 10000}
    else:
        desk.example()
        lines = FAIR
    outputs = desk.ask(lines, kind=kind, actor=actor)
    if any(role in MAY[Task.REQUEST] for role in PEOPLE.get(actor, ())):
        assert asked(outputs).kind == kind
    else:
        assert refusal(outputs).reason == "GW-903"
        assert not state_of(desk).exceptions


@pytest.mark.parametrize("actor", [*PEOPLE, "both", "gone", "stranger", "", "machine:root"])
@pytest.mark.parametrize("kind", ["deviation", "re-designation"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_who_may_decide(actor: str, kind: str, decision: str) -> None:
    """Exactly the deciding role, and never who asked, even with every role."""
    desk = Desk()
    desk.record_person("both", *Role)
    desk.record_person("gone", *Role, active=False)
    desk.example()
    name = asked(desk.ask(FAIR, kind=kind, actor="both")).exception_id
    outputs = desk.decide(name, decision, actor=actor)
    task = Task.APPROVE if kind == "deviation" else Task.APPROVE_DESIGNATION
    if any(role in MAY[task] for role in PEOPLE.get(actor, ())):
        assert decided(outputs).actor == actor
    else:
        assert refusal(outputs).reason == ("GW-904" if actor == "both" else "GW-903")
        assert name in state_of(desk).pending
        assert desk.shares() == COMPUTED


@pytest.mark.parametrize("actor", [name for name in PEOPLE if name != "tom"])
def test_only_who_asked_takes_it_back(actor: str) -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    assert refusal(desk.decide(name, "withdraw", actor=actor)).reason == "GW-904"


def test_a_decision_needs_words_and_is_one_of_three() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    assert refusal(desk.decide(name, text=" ")).reason == "GW-912"
    assert refusal(desk.decide(name, "reject", text="")).reason == "GW-912"
    assert refusal(desk.decide(name, "maybe")).reason == "GW-912"
    assert refusal(desk.decide("GWE20261123-1")).reason == "GW-912"
    assert decided(desk.decide(name, "withdraw", actor="tom", text="")).decision == "withdrawn"


def test_without_a_second_person_a_request_expires_at_once() -> None:
    desk = Desk(people={"cco": (Role.COMPLIANCE, Role.TRADER), "boss": (Role.PRINCIPAL,)})
    desk.example()
    outputs = desk.ask(FAIR, actor="cco")
    assert asked(outputs)
    assert decided(outputs).decision == "expired"
    assert [x.reason for x in some(outputs, Alert)] == ["GW-901", "GW-905"]
    assert refusal(desk.decide(asked(outputs).exception_id, actor="boss")).reason == "GW-903"
    assert desk.shares() == COMPUTED


def test_a_request_expires_when_the_last_who_may_decide_leaves() -> None:
    desk = Desk(people={"boss": (Role.PRINCIPAL,), "cco": (Role.COMPLIANCE,), "tom": (Role.TRADER,)})
    desk.give(RecordPerson, actor="boss", person=Person("tom", "tom name", ("trader",)))
    desk.give(RecordPerson, actor="boss", person=Person("cco", "cco name", ("compliance",)))
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    outputs = desk.give(RecordPerson, actor="boss", person=Person("cco", "cco name", ("operations",)))
    assert (decided(outputs).exception_id, decided(outputs).decision) == (name, "expired")


def test_during_set_up_nobody_asks() -> None:
    world = World(DESK_SETUP)
    world.submit()
    desk = Desk()
    desk.example()
    assert refusal(Desk.ask(world, FAIR)).reason == "GW-903"  # type: ignore[arg-type]


# ---------------------------------------------------------------- codes and words


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        ("", "deviation", "GW-908"),
        ("NONE", "deviation", "GW-908"),
        ("any", "deviation", "GW-908"),
        ("ERROR", "deviation", "GW-908"),
        ("LOT", "re-designation", "GW-908"),
        ("LOT", "deviation", "GW-908"),  # its condition: nobody changes by more than a lot
        ("ANY", "gift", "GW-908"),
    ],
)
def test_a_code_that_is_none(code: str, kind: str, reason: str) -> None:
    desk = Desk()
    desk.example()
    assert refusal(desk.ask(FAIR, code=code, kind=kind)).reason == reason


def test_a_condition_that_holds() -> None:
    desk = Desk()
    desk.example()
    asked(desk.ask({**FAIR, "CLIENT-A": 15001, "CLIENT-B": 5999}, code="LOT"))
    name = next(iter(state_of(desk).pending))
    desk.decide(name, "reject")
    asked(desk.ask({"CLIENT-A": 10000, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6000, "ERR": 5000},
                   kind="re-designation", code="ERROR"))  # fmt: skip


def test_a_condition_is_asked_again_at_the_approval() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order()
    change = {"CLIENT-A": 26000, "CLIENT-B": 9000, "CLIENT-C": 5000, "PROP": 10000}
    name = asked(desk.ask(change, kind="statement-change", code="EARLY")).exception_id
    desk.fill("100", "100")
    assert refusal(desk.decide(name)).reason == "GW-908"


def test_a_code_that_was_taken_off_the_list_is_none() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    desk.give(Configure, setup=replace(DESK_SETUP, exceptions=replace(RULES, codes=RULES.codes[1:])))
    assert refusal(desk.decide(name)).reason == "GW-908"
    desk.give(Configure, setup=replace(DESK_SETUP, exceptions=None))
    assert refusal(desk.decide(name)).reason == "GW-908"
    desk.decide(name, "reject")
    assert refusal(desk.ask(FAIR)).reason == "GW-908"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "too short",
        "market conditions",
        "Market  CONDITIONS! market conditions, market conditions; market-conditions",
        "due to market conditions as discussed per trader as discussed per trader",
        "m\u200barket con\u00additions market conditions market conditions market",
        "MARKET CONDITIONS market conditions " * 5,
        "a" * 60,
        "a b a b a b a b a b a b a b a b a b a b a b a b a b a b a b",
        "fix it fix it fix it fix it fix it fix it fix it fix it fix it",
        "." * 100,
        " " * 100,
        "line\x00break " * 10,
    ],
)
def test_words_that_say_nothing(text: str) -> None:
    desk = Desk()
    desk.example()
    assert refusal(desk.ask(FAIR, text=text)).reason == "GW-909"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "Client A's mandate was restricted by letter of 14:05; market conditions play no part in it.",
        "Kundin B hat um 15:10 die Hälfte ihres Guthabens überwiesen, die Depotbank bestätigt es schriftlich.",
    ],
)
def test_words_that_say_something(text: str) -> None:
    assert explanation_problem(text, RULES) == ""


@given(
    phrase=st.sampled_from(RULES.empty_phrases), times=st.integers(1, 30), pad=st.sampled_from([" ", ". ", " - "])
)
def test_repetition_never_makes_an_explanation(phrase: str, times: int, pad: str) -> None:
    assert explanation_problem(pad.join([phrase] * times), RULES)
