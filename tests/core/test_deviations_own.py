"""No road gives the firm more than its computed share: PROP 15,000 / CLIENT-A 15,000 of the worked example."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from desks import (
    ABUSE,
    CHANGED,
    COMPUTED,
    DESK_SETUP,
    FAIR,
    PEOPLE,
    RULES,
    TEXT,
    Desk,
    asked,
    decided,
    end,
    open_example,
    refusal,
    state_of,
    with_policy,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import TODAY, draft, some

from fixgateway.core.codes import KINDS, ExceptionRules, explanation_problem
from fixgateway.core.desk_facts import ActionRefused, ExceptionDecided, ExceptionRequested
from fixgateway.core.engine import Engine
from fixgateway.core.foreseen import Seen, foreseen
from fixgateway.core.inputs import Configure, ExecKind, Operator, SubmitStatement
from fixgateway.core.methods import allocate
from fixgateway.core.model import (
    Method,
    Overfill,
)
from fixgateway.core.outputs import Alert, SendAllocation, StatementAllocated
from fixgateway.core.state import State
from fixgateway.core.targets import target, terms
from fixgateway.journal.state import Builder, lines_of

D = Decimal


# ---------------------------------------------------------------- the firm never gains


def _attempts(desk: Desk, lines: Any) -> None:
    """Every person asks for it by every kind and code; everybody approves whatever was taken."""
    for kind in KINDS:
        for code in (entry.code for entry in RULES.codes):
            for actor in (*PEOPLE, "stranger"):
                for output in desk.ask(lines, kind=kind, code=code, actor=actor):
                    if isinstance(output, ExceptionRequested):
                        for name in PEOPLE:
                            desk.decide(output.exception_id, actor=name)


@pytest.mark.parametrize("state", ["open", "complete"])
def test_the_abuse_is_impossible_for_every_role_and_kind(state: str) -> None:
    desk = Desk()
    if state == "open":
        desk = open_example()
        _attempts(desk, ABUSE)
        end(desk)
    else:
        desk.example()
        _attempts(desk, ABUSE)
    assert desk.shares() == COMPUTED


def test_the_abuse_is_impossible_by_the_other_doors() -> None:
    desk = open_example()
    lines = (("CLIENT-A", "15000"), ("PROP", "15000"))
    for door, session in (("fix", "OMS1"), ("http", ""), ("cli", ""), ("drop", "")):
        desk.give(
            SubmitStatement, door=door, actor="tom", session=session, draft=draft(lines=lines, oms="OMS1"), seed="11",
            alloc_trans_type="1", ref_statement_id="S-1",
        )  # fmt: skip
    for action in ("close", "cancel", "book"):
        for actor in PEOPLE:
            desk.give(Operator, actor=actor, action=action, target="S-1", reason="r")
    end(desk)
    assert desk.shares() == COMPUTED


_STEPS = (
    ("deviation", {"CLIENT-A": 15000, "CLIENT-B": 12000, "CLIENT-C": 3000}),
    ("deviation", {"CLIENT-A": 24000, "CLIENT-B": 3000, "CLIENT-C": 3000}),
    ("re-designation", {"CLIENT-A": 15000, "ERR": 15000}),
    ("re-designation", {"CLIENT-A": 15000, "X1": 9000, "PROP": 6000}),
)


@pytest.mark.parametrize("order", list(permutations(range(len(_STEPS)), 3)))
def test_no_chain_of_exceptions_leads_there(order: tuple[int, ...]) -> None:
    """After each approved step the abuse is tried again by every kind."""
    desk = Desk()
    desk.example()
    for number in order:
        kind, lines = _STEPS[number]
        outputs = desk.ask(lines, kind=kind)
        if some(outputs, ExceptionRequested):
            desk.decide(asked(outputs).exception_id, actor="boss" if kind == "re-designation" else "cco")
        for abuse in KINDS:
            assert isinstance(desk.ask(ABUSE, kind=abuse)[0], ActionRefused)
        assert desk.shares()["PROP"] <= 6000


def test_a_changed_statement_is_no_way_there() -> None:
    desk = open_example()
    for lines in (
        {"CLIENT-A": 37500, "CLIENT-B": 1250, "CLIENT-C": 1250, "PROP": 10000},
        {"CLIENT-A": 40000, "PROP": 10000},
        {"CLIENT-A": 45000, "PROP": 5000},
    ):
        desk.decide(asked(desk.ask(lines, kind="statement-change")).exception_id)
        for abuse in KINDS:
            assert isinstance(desk.ask(ABUSE, kind=abuse)[0], ActionRefused)
    assert refusal(desk.ask({"CLIENT-A": 40000, "PROP": 10000}, kind="statement-change")).reason == "GW-911"
    end(desk)
    assert desk.shares() == {"CLIENT-A": D(27000), "PROP": D(3000)}
    assert refusal(desk.ask({"CLIENT-A": 26999, "PROP": 3001})).reason == "GW-911"


def test_a_changed_statement_gives_the_firm_no_better_rounding() -> None:
    """33 of 1,000: 12.672 / 13.728 / 6.6 as registered gives the firm 6; changed 12.21 / 14.19 / 6.6 would give 7."""
    desk = Desk()
    desk.submit(draft(lines=(("CLIENT-A", "384"), ("CLIENT-B", "416"), ("PROP", "200"))), actor="tom")
    desk.order(qty="1000")
    change = {"CLIENT-A": 370, "CLIENT-B": 430, "PROP": 200}
    desk.decide(asked(desk.ask(change, kind="statement-change")).exception_id)
    desk.fill("33", "100")
    end(desk)
    assert sum(desk.shares().values()) == 33
    assert desk.shares()["PROP"] == 6


def test_renaming_the_class_is_no_way_there() -> None:
    """An account that was the firm's at any time since the statement was registered counts as the firm's."""
    desk = open_example()
    clients = tuple(replace(x, class_="client") if x.class_ == "proprietary" else x for x in DESK_SETUP.accounts)
    desk.give(Configure, setup=replace(DESK_SETUP, accounts=clients))
    end(desk)
    for kind in KINDS:
        assert isinstance(desk.ask(ABUSE, kind=kind)[0], ActionRefused)
    without = tuple(x for x in DESK_SETUP.accounts if x.account != "PROP")
    desk.give(Configure, setup=replace(DESK_SETUP, accounts=without))
    desk.give(Configure, setup=replace(DESK_SETUP, accounts=clients))
    for kind in KINDS:
        assert isinstance(desk.ask(ABUSE, kind=kind)[0], ActionRefused)
    desk.submit(draft("S-2"), actor="tom")  # registered as a client's from the beginning
    desk.order("C2", statement="S-2")
    desk.fill("30000", "100", "C2")
    desk.execution(ExecKind.CANCELLED, "C2", ord_status="4")
    assert not isinstance(desk.ask({"PROP": 9000, "CLIENT-A": 21000}, statement="S-2")[0], ActionRefused)


def test_a_client_that_becomes_an_employees_between_request_and_approval() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    staff = tuple(replace(x, class_="employee") if x.account == "CLIENT-A" else x for x in DESK_SETUP.accounts)
    desk.give(Configure, setup=replace(DESK_SETUP, accounts=staff))
    assert refusal(desk.decide(name)).reason == "GW-911"


def test_a_client_that_becomes_an_employees_before_the_approved_one_is_used() -> None:
    desk = open_example()
    desk.decide(asked(desk.ask(FAIR)).exception_id)
    staff = tuple(replace(x, class_="employee") if x.account == "CLIENT-A" else x for x in DESK_SETUP.accounts)
    desk.give(Configure, setup=replace(DESK_SETUP, accounts=staff))
    assert "GW-906" in {x.reason for x in some(end(desk), Alert)}
    assert desk.shares() == COMPUTED


# ---------------------------------------------------------------- whatever happens


_OWN = {"PROP", "EMP"}
"""The firm's and an employee's account, whatever the account file says of them later."""


_MOVES = st.lists(
    st.tuples(
        st.sampled_from(("CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP", "ERR", "X1")),
        st.sampled_from(("CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP", "EMP", "ERR", "X1")),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=3,
)
"""Who gives, who takes, how much."""
_ASK = st.tuples(
    st.just("ask"), st.sampled_from(("deviation", "statement-change", *KINDS)), _MOVES, st.booleans()
)
"""What is asked, and whether whoever may approves it at once."""


_ACTIONS = st.one_of(
    st.tuples(st.just("fill"), st.integers(1, 400), st.sampled_from(["99", "100", "101.5"])),
    st.tuples(st.just("bust"), st.integers(0, 5)),
    _ASK,
    _ASK,
    _ASK,
    st.tuples(st.just("approve")),
    st.tuples(st.just("approve")),
    st.tuples(st.just("reject")),
    st.tuples(st.just("cancel order")),
    st.tuples(st.just("close")),
    st.tuples(st.just("cut-off")),
    st.tuples(st.just("restart")),
    st.tuples(
        st.just("class"),
        st.sampled_from(("CLIENT-A", "CLIENT-B", "PROP", "EMP", "X1")),
        st.sampled_from(("client", "proprietary", "employee")),
    ),
)


def _act(desk: Desk, action: tuple[Any, ...], fills: list[str]) -> tuple[Any, ...]:
    state = state_of(desk)
    record = state.statements["S-1"]
    found: tuple[Any, ...]
    match action:
        case ("fill", quantity, price):
            fills.append(f"F{desk.seq}")
            return desk.fill(str(quantity), price, exec_id=fills[-1])
        case ("bust", number) if number < len(fills):
            name = fills.pop(number)
            return desk.execution(ExecKind.BUST, exec_ref_id=name, exec_id=f"B{desk.seq}")
        case ("ask", kind, moves, approved):
            if kind == "statement-change":
                now = {x.account: x.quantity for x in record.statement.lines}
            else:
                now = target(state, record, record.filled).shares
            for giver, taker, quantity in moves:
                if kind == "deviation" and taker not in now:
                    taker = "CLIENT-B"
                moved = min(now.get(giver, D(0)), D(quantity))
                now[giver] = now.get(giver, D(0)) - moved
                now[taker] = now.get(taker, D(0)) + moved
            found = desk.ask({name: q for name, q in now.items() if q}, kind=kind)
            return found + (_act(desk, ("approve",), fills) if approved else ())
        case ("approve" | "reject" as decision,):
            found = ()
            for name in list(state.pending):
                for actor in ("cco", "boss"):
                    found += desk.decide(name, decision, actor=actor)
            return found
        case ("cancel order",):
            return desk.execution(ExecKind.CANCELLED, ord_status="4")
        case ("close",):
            return desk.give(Operator, actor="ops", action="close", target="S-1", reason="r")
        case ("cut-off",):
            return desk.tick(local_time="19:00:00")
        case ("class", name, class_):
            rows = (replace(x, class_=class_) if x.account == name else x for x in state.setup.accounts)
            desk.give(Configure, setup=replace(state.setup, accounts=tuple(rows)))
        case ("restart",):
            desk.engine.state = _again(state)
    return ()


def _again(state: State) -> State:
    """The state through a snapshot."""
    builder = Builder()
    lines = list(lines_of(state))
    for section, payload in lines:
        builder.take(section, payload)
    again = builder.state()
    assert again is not None
    assert list(lines_of(again)) == lines
    return again


def _check(desk: Desk, outputs: tuple[Any, ...], first: Any, own: set[str]) -> None:
    """No own account stands above what the statement as registered gives of the same fill, computed apart."""
    state = state_of(desk)
    for output in outputs:
        if isinstance(output, StatementAllocated):
            asked_terms = replace(terms(first), ignore_minimum=state.statements["S-1"].waived)
            shares = {x.account: x.quantity for x in allocate(first.lines, output.filled, asked_terms).lines}
            for line in output.lines:
                if line.account in own:
                    assert line.quantity <= shares.get(line.account, D(0)), (line, shares)
            assert sum(x.quantity for x in output.lines) + output.unallocated == output.filled
            assert all(x.quantity >= 0 for x in output.lines)
        if isinstance(output, SendAllocation) and output.allocation.trans_type != "2":
            assert sum(x.quantity for x in output.allocation.shares) == output.allocation.quantity


_INTENTS = (("CLIENT-A", "503"), ("PROP", "211"), ("CLIENT-B", "197"), ("CLIENT-C", "89"))
_SETUPS = {
    "pro-rata": DESK_SETUP,
    "waits": with_policy(exceptions_wait=True),
    "priority": with_policy(method=Method.CLIENT_PRIORITY, tiers=(("client",), ("employee",), ("proprietary",))),
    "error account": with_policy(overfill=Overfill.ERROR_ACCOUNT, error_account="ERR"),
}


@pytest.mark.parametrize("setup", _SETUPS)
@settings(max_examples=40, deadline=None)
@given(actions=st.lists(_ACTIONS, min_size=3, max_size=14))
def test_whatever_is_asked_and_approved_the_firm_never_has_more_than_its_share(
    setup: str, actions: list[tuple[Any, ...]]
) -> None:
    _play(setup, actions)


@pytest.mark.full
@pytest.mark.parametrize("setup", _SETUPS)
@settings(max_examples=2000, deadline=None)
@given(actions=st.lists(_ACTIONS, min_size=3, max_size=25))
def test_the_same_at_length(setup: str, actions: list[tuple[Any, ...]]) -> None:
    _play(setup, actions)


def _play(setup: str, actions: list[tuple[Any, ...]]) -> None:
    desk = Desk(_SETUPS[setup])
    desk.submit(draft(lines=_INTENTS), actor="tom")
    desk.order(qty="1000")
    first = state_of(desk).statements["S-1"].statement
    fills: list[str] = []
    own = set(_OWN)
    _check(desk, desk.fill("300", "100", exec_id="F0"), first, own)
    for action in actions:
        if action[0] == "class" and action[2] != "client":
            own.add(action[1])
        _check(desk, _act(desk, action, fills), first, own)
    _check(desk, desk.tick(local_time="19:00:00"), first, own)
    _replayed(desk)


def _replayed(desk: Desk) -> None:
    """The same inputs decide the same, and end in the same state."""
    engine = Engine()
    outputs = [output for taken in desk.inputs for output in engine.apply(taken)]
    assert outputs == desk.outputs
    assert list(lines_of(engine.state)) == list(lines_of(desk.engine.state))


def test_the_play_does_reach_approved_exceptions() -> None:
    """The property above is not empty: of its actions some end in a division by an exception."""
    desk = Desk()
    desk.submit(draft(lines=_INTENTS), actor="tom")
    desk.order(qty="1000")
    desk.fill("300", "100", exec_id="F0")
    _act(desk, ("cancel order",), ["F0"])
    assert _act(desk, ("ask", "deviation", [("PROP", "CLIENT-A", 20)], False), ["F0"])
    outputs = _act(desk, ("approve",), ["F0"])
    assert any(isinstance(x, ExceptionDecided) and x.decision == "approved" for x in outputs)


# ---------------------------------------------------------------- memory


def test_a_snapshot_holds_everything_of_the_desk() -> None:
    desk = open_example()
    desk.mark()
    desk.decide(asked(desk.ask(CHANGED, kind="statement-change")).exception_id)
    end(desk)
    desk.decide(
        asked(desk.ask({"CLIENT-A": 17000, "CLIENT-B": 4000, "CLIENT-C": 3000, "PROP": 6000})).exception_id
    )
    desk.fill("5", "100")
    desk.ask({"CLIENT-A": 30005}, kind="re-designation")
    state = state_of(desk)
    assert (state.people, state.marks, state.exceptions, state.opened) != ({}, {}, {}, {})
    assert state.pending
    again = _again(state)
    assert again == state
    desk.engine.state = again
    assert decided(desk.decide(next(iter(again.pending)), actor="boss")).decision == "approved"


def test_the_preview_says_what_the_request_will_say() -> None:
    desk = Desk()
    desk.example()
    desk.mark()
    seen = foreseen(state_of(desk), "deviation", "S-1", [(k, str(v)) for k, v in FAIR.items()])
    assert isinstance(seen, Seen)
    assert seen.lines == asked(desk.ask(FAIR)).lines
    refused = foreseen(state_of(desk), "deviation", "S-1", [(k, str(v)) for k, v in ABUSE.items()])
    assert not isinstance(refused, Seen)
    assert refused.reason.code == "GW-911"


def test_a_list_of_codes_says_what_is_required() -> None:
    rules = ExceptionRules("1", "CCO", TODAY, (), min_text=100)
    assert "100 are the least" in explanation_problem(TEXT, rules)
