"""Replaces, cancels and status requests; several orders under one statement over two brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from live import Live, cancel, order, replace, shares, statement, until, utc
from trading import Trade, fresh

from fixgateway.sim.fields import Fields, body_text


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    live = make_shared(brokers={"BRK1": {}, "BRK2": {}}).start()
    live.oms()
    yield live
    live.end_well()


def ask(trade: Trade, quantity: object, **more: str) -> tuple[str, list[tuple[int, str]]]:
    """The OMS sends a G."""
    name = fresh("G")
    body = replace(name, trade.cl_ord_id, quantity, **more)
    trade.oms.send("G", body)
    return name, body


def replaced(trade: Trade, name: str, quantity: int) -> Fields:
    """The broker takes a replace: 150=5 under the new ClOrdID."""
    trade.quantity, old = quantity, trade.cl_ord_id
    status = "1" if trade.cum else "0"
    confirmed = trade.report("5", status, (41, old), cl_ord_id=name)
    trade.cl_ord_id = name
    return confirmed


def refused(trade: Trade, name: str, code: str) -> Fields:
    """The gateway refuses a G with a 9; the broker hears nothing."""
    answer = trade.oms.expect("9", ClOrdID=name)
    assert (answer.get(434), answer.get(41)) == ("2", trade.cl_ord_id)
    assert answer.get(58).startswith(f"{code} "), answer.get(58)
    trade.broker.expect_none("G", 0.1, ClOrdID=name)
    return answer


def uncommitted(trade: Trade, more: int) -> bool:
    """Whether an order for ``more`` still finds room under the statement (it stays forwarded if so)."""
    name = fresh("ROOM")
    trade.oms.send("D", order(name, trade.statement_id, more))
    if until(lambda: told(trade, name), "an answer") == "D":
        return True
    answer = trade.oms.expect("8", ClOrdID=name)
    assert (answer.get(150), answer.get(103), answer.get(58)[:7]) == ("8", "13", "GW-203 ")
    return False


def told(trade: Trade, name: str) -> str:
    """Who has heard of an order: ``D`` the broker, ``8`` the OMS, or nobody yet."""
    for peer, msg_type in ((trade.broker, "D"), (trade.oms, "8")):
        if any(m.msg_type == msg_type and m.get(11) == name for m in list(peer.received)):
            return msg_type
    return ""


def test_a_replace_for_the_same_or_less_passes_byte_for_byte(live: Live) -> None:
    trade = Trade(live, 100)
    for quantity in (100, 40):
        name, body = ask(trade, quantity)
        assert trade.broker.expect("G", ClOrdID=name).body == body_text(body)
        replaced(trade, name, quantity)
    trade.fill(40)
    trade.oms.expect_none("9", 0.1)


def test_a_lower_replace_frees_quantity_only_when_the_broker_confirms(live: Live) -> None:
    trade = Trade(live, 100)
    name, _ = ask(trade, 40)
    trade.broker.expect("G", ClOrdID=name)
    assert not uncommitted(trade, 60)
    replaced(trade, name, 40)
    assert not uncommitted(trade, 61)
    assert uncommitted(trade, 60)


def test_a_raise_within_the_statement_counts_at_once(live: Live) -> None:
    trade = Trade(live, 30)
    name, body = ask(trade, 90)
    assert trade.broker.expect("G", ClOrdID=name).body == body_text(body)
    assert not uncommitted(trade, 11)
    assert uncommitted(trade, 10)
    replaced(trade, name, 90)
    assert not uncommitted(trade, 1)


def test_a_raise_beyond_the_statement_is_refused(live: Live) -> None:
    trade = Trade(live, 30)
    name, _ = ask(trade, 101)
    told = refused(trade, name, "GW-203")
    assert (told.get(102), told.get(39), told.get(37)) == ("99", "0", f"B-{trade.cl_ord_id}")
    assert uncommitted(trade, 70)


def test_a_raise_the_broker_refuses_gives_the_quantity_back(live: Live) -> None:
    trade = Trade(live, 30)
    name, _ = ask(trade, 100)
    trade.broker.expect("G", ClOrdID=name)
    assert not uncommitted(trade, 1)
    trade.broker.send(
        "9",
        [
            (37, f"B-{trade.cl_ord_id}"),
            (11, name),
            (41, trade.cl_ord_id),
            (39, "0"),
            (434, "2"),
            (102, "0"),
            (58, "too late"),
        ],
    )
    told = trade.oms.expect("9", ClOrdID=name)
    assert (told.get(102), told.get(58)) == ("0", "too late")
    assert uncommitted(trade, 70)
    assert not uncommitted(trade, 1)


def test_a_lowered_then_raised_order_never_gets_above_the_statement(live: Live) -> None:
    trade = Trade(live, 100)
    down, _ = ask(trade, 50)
    trade.broker.expect("G", ClOrdID=down)
    replaced(trade, down, 50)
    assert uncommitted(trade, 30)
    up, _ = ask(trade, 71)
    refused(trade, up, "GW-203")
    up, _ = ask(trade, 70)
    trade.broker.expect("G", ClOrdID=up)
    replaced(trade, up, 70)
    assert not uncommitted(trade, 1)


@pytest.mark.parametrize("change", [{"symbol": "ABC"}, {"side": "2"}])
def test_a_replace_may_not_change_symbol_or_side(live: Live, change: dict[str, str]) -> None:
    trade = Trade(live, 100)
    name, _ = ask(trade, 100, **change)
    refused(trade, name, "GW-702")


def test_a_replace_may_not_change_the_account(live: Live) -> None:
    trade = Trade(live, 100)
    name = fresh("G")
    trade.oms.send("G", replace(name, trade.cl_ord_id, 100, (1, "PROP")))
    told = trade.oms.expect("9", ClOrdID=name)
    assert told.get(58).startswith("GW-702 ")
    trade.broker.expect_none("G", 0.1, ClOrdID=name)


def test_a_replace_of_an_ended_or_unknown_order_is_refused(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(100)
    name, _ = ask(trade, 100)
    told = refused(trade, name, "GW-703")
    assert (told.get(39), told.get(102)) == ("2", "0")
    name = fresh("G")
    trade.oms.send("G", replace(name, "NOBODY", 100))
    told = trade.oms.expect("9", ClOrdID=name)
    tags = {37: "NONE", 41: "NOBODY", 39: "8", 434: "2", 102: "1"}
    assert {tag: told.get(tag) for tag in tags} == tags


def test_a_replace_under_a_used_cl_ord_id_is_refused(live: Live) -> None:
    trade = Trade(live, 100)
    trade.oms.send("G", replace(trade.cl_ord_id, trade.cl_ord_id, 50))
    told = trade.oms.expect("9", ClOrdID=trade.cl_ord_id)
    assert (told.get(434), told.get(102), told.get(58)[:6]) == ("2", "6", "GW-301")


def test_the_allocation_names_the_latest_cl_ord_id_of_a_replaced_order(live: Live) -> None:
    trade = Trade(live, 100)
    first = trade.cl_ord_id
    name, _ = ask(trade, 80)
    trade.broker.expect("G", ClOrdID=name)
    replaced(trade, name, 80)
    trade.fill(50)
    trade.cancelled()
    allocation = trade.allocation()
    (booked,) = allocation.group(73, (11, 37, 38, 799, 800))
    assert first != name
    assert (booked.get(11), booked.get(38), booked.get(800)) == (name, "80", "50")


def test_a_cancel_of_a_known_order_passes_and_an_unknown_one_gets_a_9(live: Live) -> None:
    trade = Trade(live, 100)
    name = fresh("F")
    body = cancel(name, trade.cl_ord_id, (5001, "mine"))
    trade.oms.send("F", body)
    assert trade.broker.expect("F", ClOrdID=name).body == body_text(body)
    trade.report("4", "4", (41, trade.cl_ord_id), cl_ord_id=name)
    name = fresh("F")
    trade.oms.send("F", cancel(name, "NOBODY"))
    told = trade.oms.expect("9", ClOrdID=name)
    tags = {37: "NONE", 41: "NOBODY", 39: "8", 434: "1", 102: "1"}
    assert {tag: told.get(tag) for tag in tags} == tags
    assert told.get(58).startswith("GW-701 ")


def test_a_cancel_passes_while_orders_are_halted_and_of_an_ended_order_too(live: Live) -> None:
    trade = Trade(live, 100)
    live.command("orders", "halt", "all", "--reason", "test", "--actor", "tester")
    try:
        trade.oms.send("D", order(fresh("H"), trade.statement_id, 1))
        assert trade.oms.expect("8", t103="99").get(58).startswith("GW-501 ")
        name, _ = ask(trade, 50)  # lowering is no new exposure
        trade.broker.expect("G", ClOrdID=name)
        replaced(trade, name, 50)
        up, _ = ask(trade, 60)
        refused(trade, up, "GW-501")
        trade.fill(20)
        for _ in range(2):
            name = fresh("F")
            trade.oms.send("F", cancel(name, trade.cl_ord_id))
            trade.broker.expect("F", ClOrdID=name)
            if trade.cum == 20:
                trade.report("4", "4", (41, trade.cl_ord_id))
                trade.cum = 21  # the second cancel finds it ended
        assert trade.allocation().get(53) == "20"
    finally:
        live.command("orders", "resume", "all", "--reason", "test", "--actor", "tester")
    assert live.rows("SELECT target, halted, actor, reason FROM switches ORDER BY journal_seq DESC LIMIT 2") == [
        ("all", 0, "tester", "test"),
        ("all", 1, "tester", "test"),
    ]


def test_a_cancel_with_odd_fields_still_passes(live: Live) -> None:
    trade = Trade(live, 100)
    name = fresh("F")
    body = cancel(name, trade.cl_ord_id, (78, "2"), (79, "PROP"), (80, "1"))
    trade.oms.send("F", body)
    assert trade.broker.expect("F", ClOrdID=name).body == body_text(body)


@pytest.mark.parametrize("odd", ["58=a\x02b|", "58=|", "0=x|"])
def test_a_cancel_with_odd_text_still_cancels(live: Live, odd: str) -> None:
    trade = Trade(live, 100)
    name = fresh("F")
    body = body_text(cancel(name, trade.cl_ord_id)) + odd.replace("|", "\x01")
    trade.oms.send("F", body)
    assert trade.broker.expect("F", ClOrdID=name).body == body


@pytest.mark.parametrize("msg_type", ["F", "H"])
@pytest.mark.parametrize("text", ["caf\udce9", "a\x00b"])
def test_a_cancel_or_status_request_the_binding_cannot_carry_goes_out_cleaned(
    make: Callable[..., Live], msg_type: str, text: str
) -> None:
    """Such a byte becomes ``?``; above all a cancel is not lost and nobody's orders are switched off."""
    live = make().start()
    trade = Trade(live, 100)
    name = fresh("F") if msg_type == "F" else trade.cl_ord_id
    trade.oms.send(msg_type, [*cancel(name, trade.cl_ord_id), (58, text)])
    sent = trade.broker.expect(msg_type, ClOrdID=name)
    assert (sent.get(41), sent.get(58)) == (trade.cl_ord_id, text.replace("\udce9", "?").replace("\x00", "?"))
    trade.oms.send("D", order(fresh("NEXT"), trade.statement_id, 1))
    assert trade.oms.expect("8", t150="8").get(58).startswith("GW-203"), "the statement is used up, orders are on"
    live.end_well()


def test_a_status_request_of_a_known_order_is_forwarded_and_of_an_unknown_one_answered(live: Live) -> None:
    trade = Trade(live, 100)
    body = [(11, trade.cl_ord_id), (55, "XYZ"), (54, "1")]
    trade.oms.send("H", body)
    assert trade.broker.expect("H", ClOrdID=trade.cl_ord_id).body == body_text(body)
    trade.oms.send("H", [(11, "NOBODY"), (55, "XYZ"), (54, "1")])
    told = trade.oms.expect("8", ClOrdID="NOBODY")
    assert {tag: told.get(tag) for tag in (150, 39, 37)} == {150: "I", 39: "8", 37: "NONE"}


# ---------------------------------------------------------------- several orders, two brokers

LINES = (("CLIENT-A", 500), ("CLIENT-B", 200), ("CLIENT-C", 100), ("PROP", 200))


def test_orders_of_one_statement_share_its_budget_and_each_broker_gets_one_allocation(live: Live) -> None:
    one = Trade(live, 400, lines=LINES, broker="BRK1")
    two = Trade(live, 300, statement_id=one.statement_id, broker="BRK2")
    three = Trade(live, 200, statement_id=one.statement_id, broker="BRK1")
    for quantity, fits in ((101, False), (100, True)):
        name = fresh("FOURTH")
        one.oms.send("D", order(name, one.statement_id, quantity), [(128, "BRK2")])
        if fits:
            live.brokers["BRK2"].expect("D", ClOrdID=name)
        else:
            assert one.oms.expect("8", ClOrdID=name).get(58).startswith("GW-203 ")
    one.fill(333, "10")
    two.fill(300, "10.10")
    three.fill(7, "10.50")
    one.cancelled()
    three.cancelled()
    live.brokers["BRK1"].expect_none("J", 0.2, t11=one.cl_ord_id)
    two.broker.send(
        "8",
        [
            (37, "B-4"),
            (17, fresh("EX")),
            (150, "4"),
            (39, "4"),
            (11, name),
            (55, "XYZ"),
            (54, "1"),
            (38, "100"),
            (14, "0"),
            (151, "0"),
            (6, "0"),
        ],
    )
    first, second = one.allocation(), two.allocation()
    assert (first.get(53), second.get(53)) == ("340", "300")
    assert first.get(6) == "10.0103"  # (333 × 10 + 7 × 10.50) / 340
    assert second.get(6) == "10.1000"
    assert {e.get(11): e.get(800) for e in first.group(73, (11, 37, 38, 799, 800))} == {
        one.cl_ord_id: "333",
        three.cl_ord_id: "7",
    }
    mine, theirs = shares(first), shares(second)
    total = {account: int(mine.get(account, "0")) + int(theirs.get(account, "0")) for account, _ in LINES}
    assert total == {"CLIENT-A": 320, "CLIENT-B": 128, "CLIENT-C": 64, "PROP": 128}
    assert sum(map(int, mine.values())) == 340
    assert sum(map(int, theirs.values())) == 300
    for message, broker in ((first, "BRK1"), (second, "BRK2")):
        live.brokers[broker].send("P", [(70, message.get(70)), (60, utc()), (87, "0")])
        one.oms.expect("AS", AllocID=message.get(70))


def test_a_closed_statement_takes_no_further_order(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(50)
    trade.cancelled()
    trade.allocation()
    trade.oms.send("D", order(fresh("AGAIN"), trade.statement_id, 10))
    assert trade.oms.expect("8", t150="8", t103="99").get(58).startswith("GW-103 ")


def test_a_named_person_closes_a_statement_and_what_is_filled_is_allocated(live: Live) -> None:
    trade = Trade(live, 50)
    trade.fill(50)
    trade.broker.expect_none("J", 0.2, t11=trade.cl_ord_id)  # 50 of 100 are left for another order
    live.command("statement", "close", trade.statement_id, "--reason", "done", "--actor", "desk")
    assert trade.allocation().get(53) == "50"
    assert live.rows("SELECT state, closed_by FROM statements WHERE statement_id = ?", trade.statement_id) == [
        ("closed", "desk")
    ]


def test_an_order_finds_its_statement_by_cl_ord_id(live: Live) -> None:
    oms, named = live.oms(), fresh("NAMED")
    statement_id = fresh("ST")
    oms.send("J", statement(statement_id, LINES, (73, "1"), (11, named)))
    assert oms.expect("P", AllocID=statement_id).get(87) == "0"
    for name in (named, statement_id):
        oms.send("D", order(name, "", 10))
        live.broker.expect("D", ClOrdID=name)
    for other in range(2):
        more = fresh("AMB")
        oms.send("J", statement(more, LINES, (73, "1"), (11, f"{named}-2")))
        assert oms.expect("P", AllocID=more).get(87) == "0", other
    oms.send("D", order(f"{named}-2", "", 10))
    assert oms.expect("8", ClOrdID=f"{named}-2").get(58).startswith("GW-102 ")


def test_the_order_goes_where_128_or_100_says(live: Live) -> None:
    trade = Trade(live, 10, broker="BRK2")
    assert trade.order.get(56) == "BRK2"
    name = fresh("DEST")
    trade.oms.send("D", order(name, trade.statement_id, 10, (100, "BRK2")))
    assert live.brokers["BRK2"].expect("D", ClOrdID=name).get(100) == "BRK2"
