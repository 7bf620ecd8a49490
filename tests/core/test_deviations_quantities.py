"""Exceptions: what may be asked for, and what becomes of it when the fills change."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from desks import (
    ABUSE,
    COMPUTED,
    DESK_SETUP,
    FAIR,
    Desk,
    asked,
    decided,
    refusal,
    sent,
    state_of,
    with_policy,
)
from worlds import draft, some

from fixgateway.core.codes import KINDS
from fixgateway.core.inputs import ExecKind, Operator
from fixgateway.core.model import (
    Averaging,
    BrokerSetup,
    CommType,
    Interim,
    Method,
    Overfill,
    Rounding,
)
from fixgateway.core.outputs import Alert

D = Decimal


# ---------------------------------------------------------------- what may be asked for


@pytest.mark.parametrize(
    ("kind", "lines", "reason"),
    [
        ("deviation", {"CLIENT-A": 15000, "PROP": 15000}, "GW-911"),
        ("deviation", {"CLIENT-A": 14999, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6001}, "GW-911"),
        ("deviation", {"CLIENT-A": 25001, "CLIENT-B": 4999}, "GW-910"),
        ("deviation", {"CLIENT-A": 24000, "CLIENT-B": 5999}, "GW-910"),
        ("deviation", {"CLIENT-A": 24000, "CLIENT-B": 6001}, "GW-910"),
        ("deviation", {"CLIENT-A": 24000, "X1": 6000}, "GW-910"),
        ("deviation", {"CLIENT-A": 24000, "ERR": 6000}, "GW-910"),
        ("deviation", {}, "GW-910"),
        ("deviation", [("CLIENT-A", "15000"), ("CLIENT-A", "15000")], "GW-910"),
        ("deviation", [("CLIENT-A", "-5000"), ("CLIENT-B", "35000")], "GW-910"),
        ("deviation", [("CLIENT-A", "1e4"), ("CLIENT-B", "20000")], "GW-910"),
        ("deviation", [("CLIENT-A", ""), ("CLIENT-B", "20000")], "GW-910"),
        ("deviation", [("CLIENT-A", "24000.5"), ("CLIENT-B", "5999.5")], "GW-910"),
        ("deviation", [("PROP ", "15000"), ("CLIENT-A", "15000")], "GW-910"),
        ("deviation", [("prop", "15000"), ("CLIENT-A", "15000")], "GW-910"),
        ("deviation", COMPUTED, "GW-910"),  # nothing would change
        ("re-designation", ABUSE, "GW-911"),
        ("re-designation", {**FAIR, "CLIENT-A": 17999, "EMP": 1}, "GW-911"),
        ("re-designation", {**FAIR, "SHUT": 1, "CLIENT-A": 17999}, "GW-910"),
        ("re-designation", {**FAIR, "NOBODY": 1, "CLIENT-A": 17999}, "GW-910"),
        ("re-designation", {**FAIR, "ALONE": 1, "CLIENT-A": 17999}, "GW-910"),
        ("re-designation", {**FAIR, "ERR": 1}, "GW-910"),
        ("statement-change", FAIR, "GW-907"),  # it is complete
    ],
)
def test_quantities_that_cannot_be(kind: str, lines: Any, reason: str) -> None:
    desk = Desk()
    desk.example()
    assert refusal(desk.ask(lines, kind=kind)).reason == reason
    assert desk.shares() == COMPUTED


def test_a_re_designation_needs_the_principal_and_may_go_to_the_error_account() -> None:
    desk = Desk()
    desk.example()
    lines = {"CLIENT-A": 10000, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6000, "ERR": 4000, "X1": 1000}
    request = asked(desk.ask(lines, kind="re-designation"))
    assert request.role == "principal"
    (told,) = sent(desk.decide(request.exception_id, actor="boss"))
    assert {x.account: x.quantity for x in told.shares} == {name: D(q) for name, q in lines.items()}


def test_what_stands_in_the_error_account_never_goes_to_the_firm() -> None:
    desk = Desk()
    desk.example()
    lines = {"CLIENT-A": 6000, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6000, "ERR": 9000}
    desk.decide(asked(desk.ask(lines, kind="re-designation")).exception_id, actor="boss")
    for kind in KINDS:
        refused = refusal(desk.ask({**lines, "PROP": 15000, "ERR": 0}, kind=kind))
        assert refused.reason in ("GW-911", "GW-910", "GW-907")
    back = {**lines, "CLIENT-A": 15000, "ERR": 0}
    desk.decide(asked(desk.ask(back, kind="re-designation")).exception_id, actor="boss")
    assert {name: q for name, q in desk.shares().items() if q} == COMPUTED


def test_an_overfill_that_nobody_may_have_finds_a_client_by_re_designation_and_never_the_firm() -> None:
    desk = Desk(with_policy(overfill=Overfill.UNALLOCATED))
    desk.submit(actor="tom")
    desk.order()
    desk.fill("51000", "100", cum_qty=D(51000))
    full = {"CLIENT-A": 25000, "CLIENT-B": 10000, "CLIENT-C": 5000, "PROP": 10000}
    record = state_of(desk).statements["S-1"]
    assert record.allocated is not None
    assert record.allocated.unallocated == 1000
    refused = refusal(desk.ask({**full, "PROP": 11000}, kind="re-designation"))
    assert refused.reason == "GW-911"
    name = asked(desk.ask({**full, "X1": 1000}, kind="re-designation")).exception_id
    desk.decide(name, actor="boss")
    assert record.allocated.unallocated == 0
    assert desk.shares()["X1"] == 1000


def test_an_overfill_of_the_error_account_stays_there_unless_a_client_is_named() -> None:
    desk = Desk(with_policy(overfill=Overfill.ERROR_ACCOUNT, error_account="ERR"))
    desk.submit(actor="tom")
    desk.order()
    desk.fill("51000", "100", cum_qty=D(51000))
    full = {"CLIENT-A": 25000, "CLIENT-B": 10000, "CLIENT-C": 5000, "PROP": 10000}
    assert desk.shares()["ERR"] == 1000
    assert refusal(desk.ask(full, kind="re-designation")).reason == "GW-910"  # nothing is left to nobody
    assert refusal(desk.ask({**full, "PROP": 11000}, kind="re-designation")).reason == "GW-911"
    desk.decide(asked(desk.ask({**full, "X1": 1000}, kind="re-designation")).exception_id, actor="boss")
    assert (desk.shares()["ERR"], desk.shares()["X1"]) == (0, 1000)


def test_one_undecided_request_for_a_statement() -> None:
    desk = Desk()
    desk.example()
    asked(desk.ask(FAIR))
    assert refusal(desk.ask(FAIR, actor="ops")).reason == "GW-907"


@pytest.mark.parametrize("kind", KINDS)
def test_a_statement_that_is_none_or_has_nothing(kind: str) -> None:
    desk = Desk()
    assert refusal(desk.ask(FAIR, kind=kind, statement="S-9")).reason == "GW-907"
    desk.submit(actor="tom")
    assert refusal(desk.ask(FAIR, kind=kind)).reason == "GW-907"  # no order yet: replace it
    desk.give(Operator, actor="ops", action="cancel", target="S-1", reason="r")
    assert refusal(desk.ask(FAIR, kind=kind)).reason == "GW-907"
    desk.submit(draft("S-2"), actor="tom")
    desk.order("C2", statement="S-2")
    desk.execution(ExecKind.CANCELLED, "C2", ord_status="4")
    assert refusal(desk.ask(FAIR, kind=kind, statement="S-2")).reason == "GW-907"  # nothing was filled


def test_a_broker_that_keeps_what_it_accepted_is_not_asked_to_change() -> None:
    desk = Desk(replace(DESK_SETUP, brokers=(BrokerSetup("BRK1", replace_accepted=False), BrokerSetup("BRK2"))))
    desk.example()
    assert "takes no replacement" in refusal(desk.ask(FAIR)).text


def test_what_is_booked_in_parts_is_not_undone() -> None:
    desk = Desk(with_policy(interim=Interim.DAILY, rounding=Rounding.QUOTA))
    desk.example()
    assert "booked in parts" in refusal(desk.ask(FAIR)).text


def test_executed_prices_are_not_moved_around_the_firm() -> None:
    """Under high-low a change between two clients gives the firm other fills: refused while it has any."""
    desk = Desk(with_policy(method=Method.HIGH_LOW))
    desk.example()
    assert "fills of its own" in refusal(desk.ask(FAIR)).text
    desk.submit(draft("S-2", (("CLIENT-A", "20000"), ("CLIENT-B", "10000"))), actor="tom")
    desk.order("C2", "30000", "S-2")
    desk.fill("3000", "100", "C2")
    desk.execution(ExecKind.CANCELLED, "C2", ord_status="4")
    request = asked(desk.ask({"CLIENT-A": 1500, "CLIENT-B": 1500}, statement="S-2"))
    (told,) = sent(desk.decide(request.exception_id))
    assert sum(x.quantity for x in told.shares) == 3000


def test_before_the_turns_are_decided_no_exception_moves_them() -> None:
    desk = Desk(with_policy(method=Method.ROTATION))
    desk.submit(actor="tom")
    desk.order()
    desk.fill("30000", "100")
    assert "turns" in refusal(desk.ask(FAIR)).text
    desk.execution(ExecKind.CANCELLED, ord_status="4")
    queue = list(state_of(desk).rotations["P"])
    shares = desk.shares()
    assert shares["CLIENT-A"] == 25000
    name = asked(desk.ask({"CLIENT-A": 24000, "CLIENT-B": 6000})).exception_id
    desk.decide(name)
    assert state_of(desk).rotations["P"] == queue


# ---------------------------------------------------------------- fills change


def test_a_late_fill_brings_the_computed_division_back() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    desk.decide(name)
    outputs = desk.fill("10", "100")
    assert desk.shares() == {"CLIENT-A": D(15005), "CLIENT-B": D(6002), "CLIENT-C": D(3001), "PROP": D(6002)}
    assert any(x.reason == "GW-906" and name in x.text for x in some(outputs, Alert))
    assert state_of(desk).statements["S-1"].override == {}
    (told,) = sent(outputs)
    assert told.trans_type == "1"


def test_a_bust_of_everything_cancels_what_an_exception_divided() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order()
    desk.fill("30000", "100", exec_id="F1")
    desk.execution(ExecKind.CANCELLED, ord_status="4")
    desk.decide(asked(desk.ask(FAIR)).exception_id)
    outputs = desk.execution(ExecKind.BUST, exec_ref_id="F1", exec_id="F2", last_qty=D(30000), last_px=D(100))
    (told,) = sent(outputs)
    assert told.trans_type == "2"
    assert not any(desk.shares().values())


def test_a_request_about_another_fill_is_not_approved() -> None:
    desk = Desk()
    desk.example()
    name = asked(desk.ask(FAIR)).exception_id
    desk.fill("10", "100")
    assert refusal(desk.decide(name)).reason == "GW-910"
    assert decided(desk.decide(name, "reject")).decision == "rejected"


def test_several_brokers_get_their_columns_of_it() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order("C1", "20000")
    desk.order("C2", "20000", deliver_to="BRK2")
    desk.fill("20000", "100", "C1")
    desk.fill("10000", "101", "C2", session="BRK2")
    desk.execution(ExecKind.CANCELLED, "C2", ord_status="4", session="BRK2")
    outputs = desk.decide(asked(desk.ask(FAIR)).exception_id)
    told = sent(outputs)
    assert [x.broker for x in told] == ["BRK1", "BRK2"]
    total: dict[str, Decimal] = {}
    for allocation in told:
        assert sum(x.quantity for x in allocation.shares) == allocation.quantity
        for share in allocation.shares:
            total[share.account] = total.get(share.account, D(0)) + share.quantity
    assert total == {name: D(q) for name, q in FAIR.items()}
    assert decided(outputs).alloc_ids == tuple(x.alloc_id for x in told)


def test_with_the_days_price_an_approved_exception_waits_like_its_statement() -> None:
    desk = Desk(with_policy(averaging=Averaging.DAY))
    desk.submit(draft("S-0"), actor="tom")
    desk.example()
    outputs = desk.decide(asked(desk.ask(FAIR)).exception_id)
    assert not sent(outputs)
    told = sent(desk.tick(local_time="19:00:00"))
    assert {x.account: x.quantity for x in told[0].shares} == {name: D(q) for name, q in FAIR.items()}


def test_money_follows_an_exception_to_accounts_the_statement_does_not_name() -> None:
    """Two accounts more, an odd price, an absolute commission: all of it is paid by somebody, to the cent."""
    setup = with_policy(overfill=Overfill.ERROR_ACCOUNT, error_account="ERR")
    brokers = (BrokerSetup("BRK1", commission=D("10.00"), commission_type=CommType.ABSOLUTE), BrokerSetup("BRK2"))
    desk = Desk(replace(setup, money=True, brokers=brokers))
    desk.submit(actor="tom")
    desk.order()
    desk.fill("10001", "33.3333")
    desk.fill("19999", "33.3337")
    desk.execution(ExecKind.CANCELLED, ord_status="4")
    lines = {"CLIENT-A": 9998, "CLIENT-B": 6000, "CLIENT-C": 3000, "PROP": 6000, "ERR": 4001, "X1": 501, "X2": 500}
    (told,) = sent(desk.decide(asked(desk.ask(lines, kind="re-designation")).exception_id, actor="boss"))
    assert sum(x.quantity for x in told.shares) == 30000
    assert sum(x.commission for x in told.shares) == D("10.00")
    paid = sum(x.gross for x in told.shares) + told.residual_cash + told.averaging_cash
    assert paid == told.fills_money == D("1000007.00")  # 10,001 × 33.3333 + 19,999 × 33.3337 = 1,000,006.9996


def test_a_stock_split_takes_an_approved_exception_along() -> None:
    desk = Desk()
    desk.submit(actor="tom")
    desk.order()
    desk.fill("30000", "100")
    desk.decide(asked(desk.ask(FAIR)).exception_id)
    waiting = asked(desk.ask({**FAIR, "CLIENT-A": 17000, "CLIENT-B": 4000})).exception_id
    desk.execution(
        ExecKind.RESTATED, order_qty=D(100000), cum_qty=D(60000), restatement_reason="0", ord_status="1",
        leaves_qty=D(40000),
    )  # fmt: skip
    record = state_of(desk).statements["S-1"]
    assert record.statement.total == 100000
    assert refusal(desk.decide(waiting)).reason == "GW-907"  # its quantities are old units
    desk.execution(ExecKind.CANCELLED, ord_status="4")
    assert desk.shares() == {name: D(2 * q) for name, q in FAIR.items()}
