"""Confirmations (AK) compared, affirmed or rejected; what changes them; what comes twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from booked import CONFIRMING, SHARES, busted, confirm, opened, sent
from worlds import World, one, some

from fixgateway.core import dayclock
from fixgateway.core.outputs import (
    ConfirmationJudged,
    ExceptionOpened,
    Output,
    SendBusinessReject,
    SendConfirmationAck,
    Share,
)


def statuses(outputs: tuple[Output, ...]) -> list[tuple[str, str]]:
    return [(x.affirm_status, x.reject_reason) for x in some(outputs, SendConfirmationAck)]


def done(world: World) -> tuple[int, int, int]:
    """(due, confirmed, affirmed) at BRK1 today."""
    assert world.engine.state is not None
    work = dayclock.survey(world.engine.state, world.engine.state.trade_date)["BRK1"]
    return work.due, work.confirmed, work.affirmed


@pytest.fixture
def world() -> World:
    return World(CONFIRMING)


@pytest.fixture
def alloc_id(world: World) -> str:
    found = sent(world)
    world.ack(found)
    return found


def test_every_account_is_affirmed_by_itself(world: World, alloc_id: str) -> None:
    for number, account in enumerate(SHARES, 1):
        outputs = confirm(world, alloc_id, account)
        assert statuses(outputs) == [("1", ""), ("3", "")]
        assert opened(outputs) == []
        assert done(world) == (4, number, number)


@pytest.mark.parametrize(("change", "code", "words"), [
    ({"quantity": Decimal(15001)}, "99", "CLIENT-A quantity is 15001, ours 15000"),
    ({"quantity": None}, "99", "CLIENT-A quantity is missing"),
    ({"avg_px": Decimal("100.00011")}, "99", "CLIENT-A price is 100.00011, ours 100"),
    ({"gross": Decimal("1500000.02")}, "99", "CLIENT-A gross is 1500000.02, ours 1500000"),
    ({"side": "sell"}, "99", "Side is sell, ours buy"),
    ({"symbol": "ABC"}, "99", "Symbol is ABC"),
    ({"trade_date": "2026-11-20"}, "99", "TradeDate is 2026-11-20"),
    ({"defects": ("AvgPx(6) 'x' is not a number",)}, "99", "AvgPx(6) 'x' is not a number"),
])  # fmt: skip
def test_a_confirmation_that_differs_is_rejected(
    world: World, alloc_id: str, change: dict[str, Any], code: str, words: str
) -> None:
    outputs = confirm(world, alloc_id, **change)
    assert statuses(outputs) == [("1", ""), ("2", code)]
    assert opened(outputs) == ["GW-875"]
    assert words in one(outputs, ExceptionOpened).text
    assert words in some(outputs, SendConfirmationAck)[1].text
    assert done(world) == (4, 1, 0)


def test_an_account_that_is_not_in_the_allocation(world: World, alloc_id: str) -> None:
    outputs = confirm(world, alloc_id, "STRANGER")
    assert statuses(outputs) == [("1", ""), ("2", "1")]  # 774=1: mismatched account
    assert opened(outputs) == ["GW-876"]


def test_an_allocation_never_sent(world: World, alloc_id: str) -> None:
    assert opened(confirm(world, "NOT-OURS")) == ["GW-876"]
    assert statuses(confirm(world, "", cl_ord_ids=("C1",), confirm_id="K2"))[-1] == ("3", "")  # by its orders
    assert done(world)[2] == 1


def test_tolerances(world: World, alloc_id: str) -> None:
    near: dict[str, Any] = {"avg_px": Decimal("100.0001"), "gross": Decimal("1500000.01")}
    assert statuses(confirm(world, alloc_id, **near))[-1] == ("3", "")


def test_what_the_broker_leaves_out_is_not_compared(world: World, alloc_id: str) -> None:
    bare: dict[str, Any] = {"avg_px": None, "gross": None, "symbol": "", "side": "", "trade_date": ""}
    assert statuses(confirm(world, alloc_id, **bare))[-1] == ("3", "")


def test_a_copy_is_never_affirmed(world: World, alloc_id: str) -> None:
    outputs = confirm(world, alloc_id, copy=True, quantity=Decimal(1))
    assert statuses(outputs) == [("1", "")]
    assert opened(outputs) == []
    assert done(world) == (4, 0, 0)


@pytest.mark.parametrize(("status", "reasons"), [("1", []), ("2", ["GW-884"]), ("3", ["GW-884"])])
def test_a_status_is_acknowledged_and_trouble_told(
    world: World, alloc_id: str, status: str, reasons: list[str]
) -> None:
    outputs = confirm(world, alloc_id, confirm_type="1", status=status)
    assert statuses(outputs) == [("1", "")]
    assert opened(outputs) == reasons


def test_a_repeated_confirmation_gets_the_same_answer_and_changes_nothing(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id)
    again = confirm(world, alloc_id)
    assert statuses(again) == [("3", "")]
    assert one(again, ConfirmationJudged).verdict == "duplicate"
    assert done(world) == (4, 1, 1)
    rejected: dict[str, Any] = {"quantity": Decimal(1), "account": "PROP", "confirm_id": "K9"}
    confirm(world, alloc_id, **rejected)
    assert statuses(confirm(world, alloc_id, **rejected)) == [("2", "99")]


def test_an_id_used_again_with_other_content_is_rejected(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id)
    outputs = confirm(world, alloc_id, quantity=Decimal(1))
    assert statuses(outputs)[-1] == ("2", "99")
    assert opened(outputs) == ["GW-875"]
    assert done(world) == (4, 1, 1)  # the first still stands


def test_a_second_confirmation_of_an_affirmed_account_is_rejected(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id)
    outputs = confirm(world, alloc_id, confirm_id="K2")
    assert statuses(outputs)[-1] == ("2", "99")
    assert "confirmed already by K-CLIENT-A" in one(outputs, ExceptionOpened).text
    assert done(world) == (4, 1, 1)


def test_rejected_then_replaced_then_affirmed(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id, quantity=Decimal(1))
    outputs = confirm(world, alloc_id, confirm_id="K2", ref_confirm_id="K-CLIENT-A", trans_type="1")
    assert statuses(outputs) == [("1", ""), ("3", "")]
    assert opened(outputs) == []
    assert done(world) == (4, 1, 1)


def test_rejected_then_a_new_one(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id, quantity=Decimal(1))
    assert statuses(confirm(world, alloc_id, confirm_id="K2"))[-1] == ("3", "")


def test_a_replace_of_an_affirmed_one_is_told(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id)
    outputs = confirm(
        world, alloc_id, confirm_id="K2", ref_confirm_id="K-CLIENT-A", trans_type="1", quantity=Decimal(1)
    )
    assert statuses(outputs)[-1] == ("2", "99")
    assert sorted(opened(outputs)) == ["GW-875", "GW-877"]
    assert done(world) == (4, 1, 0)


def test_a_replace_under_the_same_id(world: World, alloc_id: str) -> None:
    confirm(world, alloc_id, quantity=Decimal(1))
    assert statuses(confirm(world, alloc_id, trans_type="1"))[-1] == ("3", "")
    assert done(world) == (4, 1, 1)


@pytest.mark.parametrize("named", ["K-CLIENT-A", ""])
def test_a_cancel_takes_the_affirmation_back(world: World, alloc_id: str, named: str) -> None:
    confirm(world, alloc_id)
    outputs = confirm(world, alloc_id, confirm_id="K2", ref_confirm_id=named, trans_type="2")
    assert statuses(outputs) == [("1", "")]
    assert opened(outputs) == ["GW-877"]
    assert done(world) == (4, 0, 0)
    assert statuses(confirm(world, alloc_id, confirm_id="K3"))[-1] == ("3", "")


def test_a_cancel_of_something_unknown(world: World, alloc_id: str) -> None:
    assert opened(confirm(world, alloc_id, confirm_id="K2", ref_confirm_id="K77", trans_type="2")) == ["GW-876"]


def test_our_own_replace_asks_for_new_confirmations_where_figures_changed(world: World, alloc_id: str) -> None:
    for account in SHARES:
        confirm(world, alloc_id, account)
    replacing = busted(world)  # 20,000: 10000/4000/2000/4000
    assert done(world) == (4, 0, 0)
    late = confirm(world, alloc_id, confirm_id="K9")
    assert opened(late) == ["GW-875"]  # the old figures
    given: dict[str, Any] = {"quantity": Decimal(10000), "gross": Decimal(1000000)}
    outputs = confirm(
        world, replacing.alloc_id, confirm_id="K2", ref_confirm_id="K-CLIENT-A", trans_type="1", **given
    )
    assert statuses(outputs)[-1] == ("3", "")
    assert opened(outputs) == []  # the broker had to change it
    assert done(world) == (4, 1, 1)


def test_a_refused_allocation_is_not_affirmed(world: World) -> None:
    found = sent(world)
    world.ack(found, "rejected")
    outputs = confirm(world, found)
    assert f"allocation {found} is rejected" in one(outputs, ExceptionOpened).text


def test_commission_and_net_are_compared_where_we_have_them(world: World, alloc_id: str) -> None:
    state = world.engine.state
    assert state is not None
    kept = state.allocations[alloc_id]
    shares = tuple(replace(x, net=Decimal("1500150.00"), commission=Decimal(150)) for x in kept.allocation.shares)
    kept.allocation = replace(kept.allocation, shares=shares)
    state.statements["S-1"].sent["BRK1"] = kept.allocation
    good: dict[str, Any] = {"net": Decimal("1500150.01"), "commission": Decimal(150)}
    assert statuses(confirm(world, alloc_id, **good))[-1] == ("3", "")
    bad = confirm(world, alloc_id, confirm_id="K2", account="CLIENT-B", commission=Decimal(151))
    assert "CLIENT-B commission is 151, ours 150" in one(bad, ExceptionOpened).text


def test_brokers_that_are_not_expected_to_confirm_are_refused(world: World) -> None:
    assert one(confirm(world, "X", session="BRK2"), SendBusinessReject).business_reason == "3"


def test_a_confirmation_without_an_id(world: World, alloc_id: str) -> None:
    assert one(confirm(world, alloc_id, confirm_id=""), SendBusinessReject).business_reason == "5"


def test_an_account_with_shares_at_several_prices_is_confirmed_at_their_average(
    world: World, alloc_id: str
) -> None:
    """The specification's executed-price example: F1 2,000@100 and 1,000@100.25 (FIX 4.2 errata, allocation)."""
    state = world.engine.state
    assert state is not None
    kept = state.allocations[alloc_id]
    shares = (
        Share("F1", Decimal(2000), "100.0833", "100"), Share("F2", Decimal(3000), "100"),
        Share("F1", Decimal(1000), "100.0833", "100.25"),
    )  # fmt: skip
    kept.allocation = replace(kept.allocation, shares=shares, quantity=Decimal(6000))
    state.statements["S-1"].sent["BRK1"] = kept.allocation
    assert done(world) == (2, 0, 0)
    given: dict[str, Any] = {"quantity": Decimal(3000), "avg_px": Decimal("100.0833"), "gross": Decimal(300250)}
    assert statuses(confirm(world, alloc_id, "F1", **given))[-1] == ("3", "")
    assert done(world) == (2, 1, 1)
    wrong = confirm(world, alloc_id, "F1", confirm_id="K2", **{**given, "quantity": Decimal(2000)})
    assert statuses(wrong)[-1] == ("2", "99")
