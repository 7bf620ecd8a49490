"""Fills: whatever a broker writes, nothing is lost, and the allocation follows the fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from live import SOH, Live, cancel, replace, report, shares, until, utc
from trading import Trade, fresh

from fixgateway.journal.records import Kind
from fixgateway.sim.fields import Pair, body_text

ONE_OF_BRK1 = {"OMS1": {"brokers": ["BRK1", "BRK2"]}, "OMS2": {"brokers": ["BRK2"]}}


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    live = make_shared(omses=ONE_OF_BRK1, brokers={"BRK1": {}, "BRK2": {"dont_know": True}}).start()
    live.oms("OMS1")
    live.oms("OMS2")
    yield live
    live.end_well()


# ---------------------------------------------------------------- too much, unknown, twice


def test_an_overfill_reaches_the_oms_opens_an_exception_and_stays_unallocated(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(60)
    assert trade.fill(60).get(14) == "120"
    allocation = trade.allocation()
    assert (allocation.get(53), shares(allocation)) == ("100", {"CLIENT-A": "60", "PROP": "40"})
    assert "GW-802" in trade.exceptions()
    assert live.rows("SELECT filled, unallocated FROM statements WHERE statement_id = ?", trade.statement_id) == [
        ("120", "20")
    ]
    until(lambda: live.metric("fixgateway_exceptions_total", reason="GW-802") >= 1, "counted")


def test_an_execution_of_an_unknown_order_is_passed_to_the_brokers_only_oms(live: Live) -> None:
    exec_id = fresh("UNK")
    live.brokers["BRK1"].send("8", report("NOBODY", exec_id, "F", "2", last=5, cum=5, quantity=5))
    passed = live.oms("OMS1").expect("8", ExecID=exec_id)
    assert passed.get(32) == "5"
    assert ("GW-801",) in live.rows("SELECT reason FROM exceptions WHERE subject = ?", exec_id)
    assert ("unknown-order",) in live.rows("SELECT effect FROM executions WHERE exec_id = ?", exec_id)


def test_an_unknown_execution_of_a_shared_broker_is_flagged_answered_and_not_told_to_the_wrong_oms(
    live: Live,
) -> None:
    exec_id, broker = fresh("UNK"), live.brokers["BRK2"]
    broker.send("8", report("NOBODY", exec_id, "F", "2", last=5, cum=5, quantity=5))
    doubt = broker.expect("Q", ExecID=exec_id)
    assert (doubt.get(127), doubt.get(37)) == ("D", "B-NOBODY")
    assert ("GW-801",) in live.rows("SELECT reason FROM exceptions WHERE subject = ?", exec_id)
    for name in ("OMS1", "OMS2"):
        live.oms(name).expect_none("8", 0.1, ExecID=exec_id)
    addressed = fresh("UNK")
    broker.send("8", report("NOBODY", addressed, "F", "2", last=5, cum=5, quantity=5), [(128, "OMS2")])
    assert live.oms("OMS2").expect("8", ExecID=addressed).get(32) == "5"


def test_an_exec_id_that_comes_twice_counts_once(live: Live) -> None:
    trade = Trade(live, 100)
    exec_id = fresh("TWICE")
    trade.fill(60, exec_id=exec_id)
    trade.report("F", "1", last=60, exec_id=exec_id)
    assert trade.exceptions() == []
    trade.cancelled()
    assert trade.allocation().get(53) == "60"
    assert [
        effect
        for (effect,) in live.rows("SELECT effect FROM executions WHERE exec_id = ? ORDER BY journal_seq", exec_id)
    ] == ["fill", "duplicate"]


def test_an_exec_id_that_comes_again_with_other_content_opens_an_exception(live: Live) -> None:
    trade = Trade(live, 100)
    exec_id = fresh("TWICE")
    trade.fill(60, exec_id=exec_id)
    trade.report("F", "1", last=30, exec_id=exec_id)
    trade.cancelled()
    assert trade.allocation().get(53) == "60"
    assert "GW-804" in trade.exceptions()


@pytest.mark.parametrize(("exec_type", "more"), [("I", ()), ("F", ((797, "Y"),))])
def test_a_status_or_a_copy_is_passed_on_and_is_no_fill(
    live: Live, exec_type: str, more: tuple[Pair, ...]
) -> None:
    trade = Trade(live, 100)
    trade.fill(40)
    trade.report(exec_type, "1", *more, last=40)
    trade.cancelled()
    assert trade.allocation().get(53) == "40"


# ---------------------------------------------------------------- busts, corrections, late fills


def test_a_bust_and_a_correction_before_the_allocation(live: Live) -> None:
    trade = Trade(live, 100)
    bad, wrong = fresh("BAD"), fresh("WRONG")
    trade.fill(30, "99", exec_id=bad)
    trade.fill(20, "100", exec_id=wrong)
    trade.fill(10, "102")
    trade.now((20, "100"), (10, "102"))
    trade.report("H", "1", (19, bad))
    trade.now((30, "101"), (10, "102"))
    trade.report("G", "1", (19, wrong), last=30, price="101")
    trade.cancelled()
    allocation = trade.allocation()
    assert (allocation.get(53), allocation.get(6)) == ("40", "101.2500")
    assert shares(allocation) == {"CLIENT-A": "24", "PROP": "16"}
    assert trade.exceptions() == []


def test_a_bust_of_something_unknown_is_an_exception_and_changes_nothing(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(50)
    trade.report("H", "1", (19, "NEVER"))
    assert "GW-805" in trade.exceptions()
    trade.cancelled()
    assert trade.allocation().get(53) == "50"


def test_a_correction_after_the_allocation_replaces_it(live: Live) -> None:
    trade = Trade(live, 100)
    wrong = fresh("WRONG")
    trade.fill(100, "100", exec_id=wrong)
    first = trade.allocation()
    trade.acknowledge(first)
    assert trade.oms.expect("AS", AllocID=first.get(70)).get(53) == "100"
    trade.now((100, "100.5"))
    trade.report("G", "2", (19, wrong), last=100, price="100.5")
    second = trade.allocation("1")
    tags = {72: first.get(70), 796: "2", 626: "1", 53: "100", 6: "100.5000"}
    assert {tag: second.get(tag) for tag in tags} == tags
    assert second.get(70) != first.get(70)
    trade.acknowledge(second)
    assert trade.oms.expect("AS", AllocID=second.get(70)).get(6) == "100.5000"
    assert "GW-813" in trade.exceptions()


def test_busts_after_the_allocation_replace_it_and_at_last_cancel_it(live: Live) -> None:
    trade = Trade(live, 100)
    one, two = fresh("ONE"), fresh("TWO")
    trade.fill(50, exec_id=one)
    trade.fill(50, exec_id=two)
    first = trade.allocation()
    trade.now((50, "100"))
    trade.report("H", "1", (19, two))
    second = trade.allocation("1")
    assert (second.get(72), second.get(53), shares(second)) == (
        first.get(70),
        "50",
        {"CLIENT-A": "30", "PROP": "20"},
    )
    trade.now()
    trade.report("H", "0", (19, one))
    last = trade.allocation("2")
    assert (last.get(72), last.get(796)) == (second.get(70), "2")
    assert live.rows(
        "SELECT trans_type FROM allocations WHERE statement_id = ? ORDER BY journal_seq", trade.statement_id
    ) == [("0",), ("1",), ("2",)]


def test_a_late_fill_after_the_cancel_replaces_the_allocation(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(50)
    trade.cancelled()
    first = trade.allocation()
    assert first.get(53) == "50"
    trade.now((60, "100"))
    trade.report("F", "4", last=10)
    second = trade.allocation("1")
    assert (second.get(72), second.get(53), shares(second)) == (
        first.get(70),
        "60",
        {"CLIENT-A": "36", "PROP": "24"},
    )
    assert "GW-813" in trade.exceptions()


def test_a_late_fill_while_another_order_is_open_counts_in_the_one_allocation(live: Live) -> None:
    first = Trade(live, 50, lines=(("CLIENT-A", 60), ("PROP", 40)))
    second = Trade(live, 50, statement_id=first.statement_id)
    first.fill(20)
    first.cancelled()
    first.now((30, "100"))
    first.report("F", "4", last=10)
    second.fill(40)
    second.cancelled()
    allocation = first.allocation()
    assert allocation.get(53) == "70"
    assert {entry.get(11): entry.get(800) for entry in allocation.group(73, (11, 37, 38, 799, 800))} == {
        first.cl_ord_id: "30",
        second.cl_ord_id: "40",
    }


def test_a_last_fill_called_partial_with_nothing_left_completes(live: Live) -> None:
    trade = Trade(live, 100)
    trade.now((100, "100"))
    trade.report("F", "1", last=100)
    assert trade.allocation().get(53) == "100"


def test_a_reject_after_fills_keeps_the_fills(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(30)
    trade.report("8", "8", (103, "99"))
    assert live.rows("SELECT cum_qty, status FROM orders WHERE cl_ord_id = ?", trade.cl_ord_id) == [("30", "8")]


def test_done_for_day_completes_and_trading_on_replaces(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(30)
    trade.report("3", "3")
    first = trade.allocation()
    assert first.get(53) == "30"
    trade.fill(20)
    assert trade.allocation("1").get(53) == "50"


# ---------------------------------------------------------------- odd reports

ODD: dict[str, Callable[[str], str]] = {
    # what a broker makes of its report's body
    "an unknown tag": lambda body: body + f"9999=x{SOH}5001=own{SOH}",
    "a tag of another message": lambda body: body + f"70=ALLOC{SOH}626=5{SOH}",
    "a user tag inside a group": lambda body: (
        body + f"382=2{SOH}375=A{SOH}7001=u{SOH}337=T{SOH}375=B{SOH}7001=v{SOH}"
    ),
    "an unlisted enum value": lambda body: body + f"21=Z{SOH}528=?{SOH}",
    "a repeated tag": lambda body: body + f"58=a{SOH}58=b{SOH}",
    "an empty value": lambda body: body + f"58={SOH}",
    "a text that is not UTF-8": lambda body: body + f"58=caf\udce9{SOH}",
    "control characters": lambda body: body + f"58=a\x02b{SOH}",
    "no average price": lambda body: body.replace(f"{SOH}6=100{SOH}", SOH),
    "no LeavesQty": lambda body: body.replace("151=", "5151="),
    "a group count that lies": lambda body: body + f"382=3{SOH}375=A{SOH}337=T{SOH}",
    "a data field that lies": lambda body: body + f"354=50{SOH}355=ab{SOH}",
    "a header tag in the body": lambda body: body + f"128=OMS1{SOH}",
    "a second sender in the body": lambda body: body + f"49=BRK1{SOH}",
    "no symbol and side": lambda body: body.replace(f"55=XYZ{SOH}54=1{SOH}", ""),
    "tag zero": lambda body: body + f"0=x{SOH}",
    "no equals sign": lambda body: body + f"hello{SOH}",
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_fill_is_taken_and_passed_on(live: Live, odd: str) -> None:
    trade = Trade(live, 100)
    exec_id = fresh("ODD")
    good = report(trade.cl_ord_id, exec_id, "F", "1", quantity=100, cum=30, leaves=70, last=30)
    trade.broker.send("8", ODD[odd](body_text(good)))
    passed = trade.oms.expect("8", 8, ExecID=exec_id)
    assert (passed.get(32), passed.get(11)) == ("30", trade.cl_ord_id)
    until(lambda: live.rows("SELECT effect FROM executions WHERE exec_id = ?", exec_id) == [("fill",)], "the fill")
    assert live.journal_has(f"17={exec_id}{SOH}", Kind.SEEN)
    trade.now((30, "100"))
    trade.cancelled()
    assert trade.allocation().get(53) == "30"


def test_the_body_of_an_odd_fill_is_passed_byte_for_byte(live: Live) -> None:
    trade = Trade(live, 100)
    exec_id = fresh("ODD")
    body = body_text(
        report(
            trade.cl_ord_id,
            exec_id,
            "F",
            "1",
            (9999, "x"),
            (382, "1"),
            (375, "A"),
            (7001, "ü€"),
            quantity=100,
            cum=30,
            leaves=70,
            last=30,
            price="099.900",
        )
    )
    trade.broker.send("8", body)
    assert trade.oms.expect("8", ExecID=exec_id).body == body


@pytest.mark.parametrize(
    ("price", "last"), [("1,5", "30"), ("NaN", "30"), ("100", "3e1"), ("100", "-30"), ("", "30")]
)
def test_a_fill_that_cannot_be_read_is_passed_on_and_flagged(live: Live, price: str, last: str) -> None:
    trade = Trade(live, 100)
    exec_id = fresh("ODD")
    trade.broker.send(
        "8", report(trade.cl_ord_id, exec_id, "F", "1", quantity=100, cum=30, leaves=70, last=last, price=price)
    )
    assert trade.oms.expect("8", 8, ExecID=exec_id).get(32) == last
    assert "GW-811" in trade.exceptions()
    assert live.journal_has(f"17={exec_id}{SOH}", Kind.SEEN)


def test_a_refused_fill_is_flagged_with_the_engines_words(live: Live) -> None:
    trade = Trade(live, 100)
    exec_id = fresh("ODD")
    body = body_text(report(trade.cl_ord_id, exec_id, "F", "1", quantity=100, cum=30, leaves=70, last=30))
    trade.broker.send("8", body + f"58=a{SOH}58=b{SOH}")
    assert trade.oms.expect("8", 8, ExecID=exec_id).body == body + f"58=a{SOH}58=b{SOH}"
    flags = live.rows("SELECT text FROM flags WHERE reason = 'GW-812' AND text LIKE ?", f"%{exec_id}%")
    assert len(flags) == 1
    assert any(f"17={exec_id}{SOH}".encode() in record.payload for record in live.records(Kind.SEEN))


def test_a_difference_in_cum_qty_is_told_once(live: Live) -> None:
    trade = Trade(live, 100)
    trade.now((45, "100"))
    trade.report("F", "1", last=30)
    trade.now((55, "100"))
    trade.report("F", "1", last=10)
    assert trade.exceptions() == ["GW-803"]


def test_another_average_price_is_told(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(30, "99")
    trade.now((60, "100"))
    trade.report("F", "1", last=30, price="100")  # the broker takes the first fill for one at 100 as well
    assert trade.exceptions() == ["GW-803"]


# ---------------------------------------------------------------- the broker refuses what we sent


@pytest.mark.parametrize("answer", ["3", "j"])
def test_a_refused_order_becomes_an_execution_report(live: Live, answer: str) -> None:
    trade = Trade(live, 100, acknowledge=False)
    reason = (373, "5") if answer == "3" else (380, "0")
    trade.broker.send(answer, [(45, str(trade.order.seq)), (372, "D"), reason, (58, "no such thing")])
    told = trade.oms.expect("8", ClOrdID=trade.cl_ord_id)
    tags = {150: "8", 39: "8", 14: "0", 151: "0", 103: "99"}
    assert {tag: told.get(tag) for tag in tags} == tags
    assert told.get(58).startswith("GW-810 ")
    assert "no such thing" in told.get(58)
    again = Trade(live, 100, statement_id=trade.statement_id)  # the whole quantity is free again
    again.fill(100)
    assert again.allocation().get(53) == "100"


@pytest.mark.parametrize("answer", ["3", "j"])
@pytest.mark.parametrize("request_type", ["G", "F"])
def test_a_refused_request_becomes_a_cancel_reject(live: Live, answer: str, request_type: str) -> None:
    trade = Trade(live, 100)
    name = fresh("RQ")
    body = cancel(name, trade.cl_ord_id) if request_type == "F" else replace(name, trade.cl_ord_id, 80)
    trade.oms.send(request_type, body)
    sent = trade.broker.expect(request_type, ClOrdID=name)
    reason = (373, "5") if answer == "3" else (380, "0")
    trade.broker.send(answer, [(45, str(sent.seq)), (372, request_type), reason, (58, "not so")])
    told = trade.oms.expect("9", ClOrdID=name)
    tags = {
        41: trade.cl_ord_id,
        434: "1" if request_type == "F" else "2",
        39: "0",
        102: "99",
        37: f"B-{trade.cl_ord_id}",
    }
    assert {tag: told.get(tag) for tag in tags} == tags
    assert told.get(58).startswith("GW-810 ")
    trade.fill(100)
    assert trade.allocation().get(53) == "100"


@pytest.mark.parametrize("answer", ["3", "j"])
def test_a_refused_allocation_opens_an_exception(live: Live, answer: str) -> None:
    trade = Trade(live, 100)
    trade.fill(100)
    allocation = trade.allocation()
    reason = (373, "5") if answer == "3" else (380, "0")
    trade.broker.send(answer, [(45, str(allocation.seq)), (372, "J"), reason, (58, "no allocations here")])
    found = until(
        lambda: live.rows("SELECT reason, text FROM exceptions WHERE subject = ?", allocation.get(70)), "it"
    )
    assert found[0][0] == "GW-810"
    assert "no allocations here" in found[0][1]
    until(lambda: live.metric("fixgateway_alerts_total", reason="GW-810") >= 1, "counted")
    trade.oms.expect_none("AS", 0.1, AllocID=allocation.get(70))


def test_a_refusal_of_nothing_we_know_is_kept_and_alerted(live: Live) -> None:
    before = live.metric("fixgateway_alerts_total", reason="GW-810", severity="warning")
    live.broker.send("j", [(45, "999999"), (372, "D"), (380, "0"), (58, "what?")])
    until(
        lambda: live.metric("fixgateway_alerts_total", reason="GW-810", severity="warning") == before + 1, "alert"
    )


# ---------------------------------------------------------------- the broker answers the allocation


@pytest.mark.parametrize(("status", "word"), [("1", "rejected"), ("2", "account-rejected"), ("4", "incomplete")])
def test_a_rejected_allocation_opens_an_exception(live: Live, status: str, word: str) -> None:
    trade = Trade(live, 100)
    trade.fill(100)
    allocation = trade.allocation()
    trade.acknowledge(allocation, status, (88, "0"), (58, "who is PROP?"))
    rows = until(
        lambda: live.rows("SELECT reason, text FROM exceptions WHERE subject = ?", allocation.get(70)), "it"
    )
    assert rows[0][0] == "GW-806"
    assert "who is PROP?" in rows[0][1]
    assert live.rows("SELECT status FROM allocations WHERE alloc_id = ?", allocation.get(70)) == [(word,)]
    until(lambda: live.metric("fixgateway_alerts_total", reason="GW-806", severity="critical") >= 1, "counted")
    trade.oms.expect_none("AS", 0.1, AllocID=allocation.get(70))


def test_received_then_accepted_tells_the_oms_once(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(100)
    allocation = trade.allocation()
    for status in ("3", "0", "0", "3"):
        trade.acknowledge(allocation, status)
    assert trade.oms.expect("AS", AllocID=allocation.get(70)).get(87) == "0"
    trade.oms.expect_none("AS", 0.2, AllocID=allocation.get(70))
    assert live.rows("SELECT status FROM allocations WHERE alloc_id = ?", allocation.get(70)) == [("accepted",)]


def test_an_answer_to_an_allocation_nobody_sent_is_alerted(live: Live) -> None:
    before = live.metric("fixgateway_alerts_total", reason="GW-807")
    live.broker.send("P", [(70, "NEVER"), (60, utc()), (87, "0")])
    until(lambda: live.metric("fixgateway_alerts_total", reason="GW-807") == before + 1, "the alert")
