"""Bad input from an OMS: the right FIX answer, a journal record, a metric, and the next good order passes."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator

import pytest
from live import ACCOUNTS, SOH, Live, order, replace, report, shares, statement, until, utc

from fixgateway.errors import CounterpartyError
from fixgateway.journal.records import Kind
from fixgateway.sim.fields import Pair, body_text
from fixgateway.sim.numbers import Sent
from fixgateway.sim.peer import Peer

MANY = 5000
LINES = (("CLIENT-A", 600_000_000), ("PROP", 400_000_000))
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    many = "".join(f"M{n:04d},Account {n},client,standard,many,active\n" for n in range(MANY))
    live = make_shared(omses={"OMS1": {}, "OMS2": {}}, accounts=ACCOUNTS + many).start()
    for name in ("OMS1", "OMS2"):
        live.oms(name).send("J", statement(f"GOOD-{name}", LINES))
        assert live.oms(name).expect("P").get(87) == "0"
    live.oms("OMS1").send("J", statement("S", LINES))
    assert live.oms("OMS1").expect("P").get(87) == "0"
    yield live
    live.end_well()


@pytest.fixture(autouse=True)
def _serves_the_next_good_order(live: Live) -> Iterator[None]:
    """Whatever a test did: afterwards both OMS sessions get a good order through, byte for byte."""
    yield
    for name, peer in live.omses.items():
        if not peer.logged_on:
            peer.reconnect()
        good = order(f"GOOD{next(_numbers)}", f"GOOD-{name}", 1, (5001, "own"))
        peer.send("D", good)
        assert live.broker.expect("D", ClOrdID=str(good[0][1])).body == body_text(good)


def blocked(live: Live, code: str) -> float:
    return live.metric("fixgateway_orders_total", verdict="blocked", reason=code)


def bytes_of(text: str) -> str:
    """Latin-1 text as a peer writes it when it does not care for UTF-8: each byte as a surrogate."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


# ---------------------------------------------------------------- orders

Change = list[tuple[int, str | None]] | list[Pair] | str
"""What is put behind or instead of a good order's fields; None takes one away; text is put behind as it is."""

ORDERS: dict[str, tuple[Change, str, str]] = {
    # name: body after 11, code, OrdRejReason
    "quantity 0": ([(38, "0")], "GW-302", "13"),
    "quantity -1": ([(38, "-1")], "GW-302", "13"),
    "quantity 1e5": ([(38, "1e5")], "GW-302", "13"),
    "quantity NaN": ([(38, "NaN")], "GW-302", "13"),
    "quantity Infinity": ([(38, "Infinity")], "GW-302", "13"),
    "quantity 30 digits": ([(38, "1" * 30)], "GW-302", "13"),
    "quantity +5": ([(38, "+5")], "GW-302", "13"),
    "quantity 1,000": ([(38, "1,000")], "GW-302", "13"),
    "quantity 0x10": ([(38, "0x10")], "GW-302", "13"),
    "quantity with blank": ([(38, " 5")], "GW-302", "13"),
    "quantity in Arabic digits": ([(38, "٥")], "GW-302", "13"),
    "quantity empty": ([(38, "")], "GW-309", "99"),
    "quantity missing": ([], "GW-303", "99"),
    "symbol missing": ([(55, None), (38, "5")], "GW-303", "99"),
    "side missing": ([(54, None), (38, "5")], "GW-303", "99"),
    "no match key": ([(70, None), (38, "5")], "GW-101", "99"),
    "unknown statement": ([(70, "NOPE"), (38, "5")], "GW-101", "99"),
    "other symbol": ([(55, "ABC"), (38, "5")], "GW-201", "99"),
    "other side": ([(54, "2"), (38, "5")], "GW-202", "99"),
    "side cross": ([(54, "8"), (38, "5")], "GW-312", "99"),
    "cash": ([(38, "5"), (152, "100")], "GW-205", "99"),
    "above the statement": ([(38, "1000000001")], "GW-203", "13"),
    "unknown broker": ([(38, "5"), (128, "HEADER:NOPE")], "GW-401", "99"),
    "115 in the body": ([(38, "5"), (115, "EVIL")], "GW-304", "99"),
    "43 in the body": ([(38, "5"), (43, "Y")], "GW-304", "99"),
    "128 in the body": ([(38, "5"), (128, "BRK1")], "GW-304", "99"),
    "signature in the body": ([(38, "5"), (93, "3"), (89, "abc"), (58, "after")], "GW-304", "99"),
    "tag 0": ([(38, "5"), (0, "x")], "GW-305", "99"),
    "leading zero": ("38=5|0058=x|", "GW-305", "99"),
    "negative tag": ("38=5|-58=x|", "GW-305", "99"),
    "tag twice in an entry": ([(38, "5"), (78, "1"), (79, "CLIENT-A"), (80, "5"), (80, "6")], "GW-306", "99"),
    "count too high": (
        [(38, "5"), (78, "3"), (79, "CLIENT-A"), (80, "3"), (79, "PROP"), (80, "2")],
        "GW-307",
        "99",
    ),
    "count too low": (
        [(38, "5"), (78, "1"), (79, "CLIENT-A"), (80, "3"), (79, "PROP"), (80, "2")],
        "GW-307",
        "99",
    ),
    "count no number": ([(38, "5"), (78, "two"), (79, "CLIENT-A"), (80, "5")], "GW-307", "99"),
    "members without a count": ([(38, "5"), (79, "CLIENT-A"), (80, "5")], "GW-307", "99"),
    "another split": (
        [(38, "1000"), (78, "2"), (79, "CLIENT-A"), (80, "500"), (79, "PROP"), (80, "500")],
        "GW-204",
        "14",
    ),
    "data hides a field": ("38=5|354=8|355=ab\x0138=99\x01", "GW-309", "99"),
    "control character": ([(38, "5"), (58, "a\x02b")], "GW-309", "99"),
    "bytes that are not UTF-8": ([(38, "5"), (58, bytes_of("caf\xe9"))], "GW-309", "99"),
    "an empty text": ([(38, "5"), (58, "")], "GW-309", "99"),
}


def bad_order(cl_ord_id: str, change: Change) -> tuple[str, list[Pair]]:
    """A good order's body with the change applied, and header fields."""
    base: dict[int, str] = {11: cl_ord_id, 70: "S", 55: "XYZ", 54: "1", 60: utc(), 40: "1"}
    if isinstance(change, str):
        return body_text(list(base.items())) + change.replace("|", SOH), []
    header = [(tag, value[7:]) for tag, value in change if value and value.startswith("HEADER:")]
    rest = [(tag, value) for tag, value in change if value is not None and not value.startswith("HEADER:")]
    for tag, _ in change:
        base.pop(tag, None)
    # What goes away or changes stands behind the rest: the order of fields does not matter to the checks.
    return body_text([*base.items(), *rest]), header


@pytest.mark.parametrize("name", ORDERS)
def test_a_bad_order_is_refused_with_its_reason(live: Live, name: str) -> None:
    change, code, reason = ORDERS[name]
    cl_ord_id = f"BAD{next(_numbers)}"
    before = blocked(live, code)
    body, header = bad_order(cl_ord_id, change)
    oms = live.oms("OMS1")
    oms.send("D", body, header)
    answer = oms.expect("", ClOrdID=cl_ord_id)
    tags = {35: "8", 150: "8", 39: "8", 103: reason, 14: "0", 151: "0", 11: cl_ord_id}
    assert {tag: answer.get(tag) for tag in tags} == tags, answer
    assert answer.get(58).startswith(f"{code} ")
    assert answer.get(37)
    assert answer.get(17)
    assert not any(char < " " for char in answer.get(58))
    assert not any(message.get(11) == cl_ord_id for message in live.broker.received)
    until(lambda: blocked(live, code) == before + 1, "the refusal counted")
    assert live.rows("SELECT verdict, reason FROM orders WHERE cl_ord_id = ?", cl_ord_id) == [("blocked", code)]
    assert live.journal_has(f"11={cl_ord_id}{SOH}", Kind.SEEN)


UNREADABLE: dict[str, tuple[str, Change]] = {
    # what the FIX engine itself may refuse: name → SessionRejectReason(373), body after 11
    "quantity twice": ("13", [(38, "5"), (38, "6")]),
    "symbol twice": ("13", "38=5|55=ABC|"),
    "user tag twice": ("13", "38=5|5001=a|5001=b|"),
    "sender in the body": ("13", [(38, "5"), (49, "OMS2")]),
    "tag with plus": ("0", "38=5|+58=x|"),
    "tag in hex": ("0", "38=5|0x3A=x|"),
    "tag a word": ("0", "38=5|Text=x|"),
    "tag beyond any number": ("0", "38=5|99999999999999999999=x|"),
    "no equals sign": ("0", "38=5|hello|"),
    "data too short": ("0", "38=5|354=9|355=abc|"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_order_the_engine_cannot_read_gets_one_answer(live: Live, name: str) -> None:
    """A session-level Reject or the order's own report, and nothing else; above all no "unsupported"."""
    reason, change = UNREADABLE[name]
    cl_ord_id = f"UNR{next(_numbers)}"
    oms = live.oms("OMS1")
    seq = oms.send("D", bad_order(cl_ord_id, change)[0])
    oms.send("H", [(11, f"AFTER{cl_ord_id}"), (55, "XYZ"), (54, "1")])
    oms.expect("8", 8, ClOrdID=f"AFTER{cl_ord_id}")  # the session goes on behind it
    answers = [m for m in oms.received if m.get(11) == cl_ord_id or m.get(45) == str(seq)]
    assert [m.msg_type for m in answers] in (["3"], ["8"]), answers
    if answers[0].msg_type == "3":
        assert (answers[0].get(372), answers[0].get(373)) == ("D", reason)
    else:
        assert (answers[0].get(150), answers[0].get(58)[:5]) == ("8", "GW-30")
    assert not any(message.get(11) == cl_ord_id for message in live.broker.received)
    assert live.journal_has(f"11={cl_ord_id}{SOH}", Kind.SEEN)


def test_an_order_without_a_cl_ord_id_gets_a_business_reject(live: Live) -> None:
    oms = live.oms("OMS1")
    seq = oms.send("D", [(70, "S"), (55, "XYZ"), (54, "1"), (60, utc()), (38, "5"), (40, "1")])
    answer = oms.expect("j", t45=str(seq))
    assert {tag: answer.get(tag) for tag in (372, 380)} == {372: "D", 380: "5"}
    assert answer.get(58).startswith("GW-303 ClOrdID(11) is missing")
    until(
        lambda: live.metric("fixgateway_message_refusals_total", session="OMS1", reason="GW-303") >= 1, "counted"
    )


def test_a_cl_ord_id_that_is_not_utf8_is_refused_and_not_echoed_raw(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("D", order(bytes_of("BYTE\xff"), "S", 5))
    answer = oms.expect("8", ClOrdID="BYTE?")
    assert (answer.get(150), answer.get(58)[:6]) == ("8", "GW-309")
    assert live.journal_has(b"11=BYTE\xff\x01", Kind.SEEN)


def test_a_full_allocation_group_equal_to_the_statement_passes(live: Live) -> None:
    oms = live.oms("OMS1")
    body = order("SPLIT1", "S", 1000, (78, "2"), (79, "CLIENT-A"), (80, "600"), (79, "PROP"), (80, "400"))
    oms.send("D", body)
    assert live.broker.expect("D", ClOrdID="SPLIT1").body == body_text(body)


def test_the_statement_of_another_oms_covers_nothing(live: Live) -> None:
    oms = live.oms("OMS2")
    oms.send("D", order("THEIRS", "S", 5))
    answer = oms.expect("8", ClOrdID="THEIRS")
    assert (answer.get(150), answer.get(103), answer.get(58)[:6]) == ("8", "99", "GW-105")


# ---------------------------------------------------------------- duplicates


def test_a_cl_ord_id_used_again_is_refused_with_the_first_orders_state(live: Live) -> None:
    oms, broker = live.oms("OMS1"), live.broker
    oms.send("D", order("DUP1", "S", 100))
    broker.expect("D", ClOrdID="DUP1")
    broker.send("8", report("DUP1", "DUP1-0", "0", "0", quantity=100, leaves=100))
    broker.send("8", report("DUP1", "DUP1-1", "F", "1", quantity=100, cum=40, leaves=60, last=40))
    oms.expect("8", ExecID="DUP1-1")
    oms.send("D", order("DUP1", "S", 77))
    answer = oms.expect("8", ClOrdID="DUP1", ExecType="8")
    tags = {39: "1", 103: "6", 14: "40", 37: "B-DUP1"}
    assert {tag: answer.get(tag) for tag in tags} == tags
    assert answer.get(58).startswith("GW-301 ")
    broker.expect_none("D", 0.2, ClOrdID="DUP1")


def test_a_known_order_sent_again_with_97_gets_its_status(live: Live) -> None:
    oms, broker = live.oms("OMS1"), live.broker
    body = order("DUP2", "S", 100)
    oms.send("D", body)
    broker.expect("D", ClOrdID="DUP2")
    broker.send("8", report("DUP2", "DUP2-1", "F", "1", quantity=100, cum=40, leaves=60, last=40))
    oms.expect("8", ExecID="DUP2-1")
    oms.send("D", body, [(97, "Y")])
    answer = oms.expect("8", ClOrdID="DUP2", ExecType="I")
    tags = {39: "1", 14: "40", 151: "60", 103: "", 32: "", 37: "B-DUP2"}
    assert {tag: answer.get(tag) for tag in tags} == tags
    broker.expect_none("D", 0.2, ClOrdID="DUP2")


def test_an_unknown_order_with_97_is_new_and_keeps_the_flag(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("D", order("DUP3", "S", 100), [(97, "Y")])
    assert live.broker.expect("D", ClOrdID="DUP3").get(97) == "Y"


def test_the_cl_ord_id_of_a_refused_order_is_used_up(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("D", order("DUP4", "NOPE", 100))
    assert oms.expect("8", ClOrdID="DUP4").get(58).startswith("GW-101")
    oms.send("D", order("DUP4", "S", 100))
    answer = oms.expect("8", ClOrdID="DUP4")
    assert (answer.get(150), answer.get(39), answer.get(103)) == ("8", "8", "6")


def test_two_oms_may_not_have_the_same_cl_ord_id_live_on_a_broker(live: Live) -> None:
    one, two = live.oms("OMS1"), live.oms("OMS2")
    one.send("D", order("BOTH", "S", 100))
    live.broker.expect("D", ClOrdID="BOTH")
    two.send("D", order("BOTH", "GOOD-OMS2", 100))
    answer = two.expect("8", ClOrdID="BOTH")
    assert (answer.get(150), answer.get(103), answer.get(58)[:6]) == ("8", "6", "GW-311")


# ---------------------------------------------------------------- statements

STATEMENTS: dict[str, tuple[Callable[[str], list[Pair] | str], str, str]] = {
    # name: id → body, code, AllocRejCode
    "an account twice": (lambda i: statement(i, [("PROP", 1), ("CLIENT-A", 1), ("PROP", 1)]), "GW-605", "7"),
    "sum is not the total": (lambda i: statement(i, [("PROP", 1)], total=2), "GW-604", "1"),
    "total missing": (lambda i: [p for p in statement(i, [("PROP", 1)]) if p[0] != 53], "GW-601", "7"),
    "total 1e3": (lambda i: statement(i, [("PROP", 1000)], total="1e3"), "GW-607", "8"),
    "quantity 0": (lambda i: statement(i, [("PROP", 0)]), "GW-607", "8"),
    "quantity -1": (lambda i: statement(i, [("PROP", -1)]), "GW-607", "8"),
    "quantity 1e5": (lambda i: statement(i, [("PROP", "1e5")], total=100000), "GW-607", "8"),
    "quantity NaN": (lambda i: statement(i, [("PROP", "NaN")], total=1), "GW-607", "8"),
    "quantity 30 digits": (lambda i: statement(i, [("PROP", "3" * 30)], total=1), "GW-607", "8"),
    "unknown account": (lambda i: statement(i, [("NOBODY", 1)]), "GW-606", "0"),
    "closed account": (lambda i: statement(i, [("SHUT", 1)]), "GW-606", "0"),
    "no lines": (lambda i: [p for p in statement(i, [("PROP", 1)]) if p[0] not in (78, 79, 80)], "GW-601", "7"),
    "yesterday": (lambda i: statement(i, [("PROP", 1)], trade_date="20200102"), "GW-609", "7"),
    "no such day": (lambda i: statement(i, [("PROP", 1)], trade_date="20260230"), "GW-602", "7"),
    "626=1": (lambda i: statement(i, [("PROP", 1)], alloc_type="1"), "GW-614", "7"),
    "71=5": (lambda i: statement(i, [("PROP", 1)], trans="5"), "GW-614", "7"),
    "count too high": (lambda i: statement(i, [("PROP", 1)], count=2), "GW-614", "7"),
    "count too low": (lambda i: statement(i, [("PROP", 1), ("CLIENT-A", 1)], count=1), "GW-614", "7"),
    "control character": (lambda i: statement(i, [("PROP", 1)], (58, "a\x03b")), "GW-614", "7"),
    "not UTF-8": (lambda i: statement(i, [(bytes_of("PR\xd6P"), 1)]), "GW-614", "7"),
    "header tag in the body": (lambda i: [*statement(i, [("PROP", 1)]), (115, "OMS2")], "GW-614", "7"),
    "tag with a zero": (lambda i: body_text(statement(i, [("PROP", 1)])) + f"0058=x{SOH}", "GW-614", "7"),
    "side missing": (lambda i: [p for p in statement(i, [("PROP", 1)]) if p[0] != 54], "GW-601", "7"),
    "symbol missing": (lambda i: [p for p in statement(i, [("PROP", 1)]) if p[0] != 55], "GW-601", "7"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_bad_statement_gets_a_p_with_the_reason(live: Live, name: str) -> None:
    make_body, code, alloc_rej_code = STATEMENTS[name]
    statement_id = f"J{next(_numbers)}"
    oms = live.oms("OMS1")
    oms.send("J", make_body(statement_id))
    answer = oms.expect("", AllocID=statement_id)
    tags = {35: "P", 87: "1", 88: alloc_rej_code}
    assert {tag: answer.get(tag) for tag in tags} == tags, answer.get(58)
    assert answer.get(58).startswith(f"{code} ")
    oms.send("D", order(f"U{statement_id}", statement_id, 1))
    assert oms.expect("8", ClOrdID=f"U{statement_id}").get(58).startswith("GW-101")
    assert live.rows("SELECT count(*) FROM statement_refusals WHERE statement_id = ?", statement_id) == [(1,)]


@pytest.mark.parametrize("change", [[(53, "2")], [(49, "OMS2")]])
def test_a_statement_the_engine_refuses_gets_its_reject_and_nothing_else(live: Live, change: list[Pair]) -> None:
    oms = live.oms("OMS1")
    statement_id = f"JR{next(_numbers)}"
    seq = oms.send(
        "J", [*statement(statement_id, [("PROP", 1)])[:-3], *change, (78, "1"), (79, "PROP"), (80, "1")]
    )
    oms.send("D", order(f"U{statement_id}", statement_id, 1))
    assert oms.expect("8", ClOrdID=f"U{statement_id}").get(58).startswith("GW-101")
    answers = [m for m in oms.received if m.get(70) == statement_id or m.get(45) == str(seq)]
    assert [(m.msg_type, m.get(372), m.get(373)) for m in answers] == [("3", "J", "13")]


def test_a_statement_without_an_id_is_refused(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("J", statement("", [("PROP", 1)])[1:])
    answer = oms.expect("P", AllocID="NONE")
    assert (answer.get(87), answer.get(58)[:6]) == ("1", "GW-601")


def test_a_statement_id_with_other_content_is_refused_and_the_first_stays(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("J", statement("ONCE", [("PROP", 10)]))
    first = oms.expect("P", AllocID="ONCE")
    oms.send("J", statement("ONCE", [("PROP", 11)]))
    answer = oms.expect("P", AllocID="ONCE")
    assert (answer.get(87), answer.get(88), answer.get(58)[:6]) == ("1", "7", "GW-603")
    oms.send("J", statement("ONCE", [("PROP", 10)]))
    again = oms.expect("P", AllocID="ONCE")
    assert (again.get(87), again.get(58)) == ("0", first.get(58)), "the same content is the same statement"
    oms.send("D", order("ONCE-O", "ONCE", 11))
    assert oms.expect("8", ClOrdID="ONCE-O").get(58).startswith("GW-203")


def test_another_oms_can_neither_take_nor_change_a_statement(live: Live) -> None:
    two = live.oms("OMS2")
    two.send("J", statement("S", [("PROP", 10)]))
    assert two.expect("P", AllocID="S").get(58).startswith("GW-603")
    two.send("J", statement("S", LINES, trans="2"))
    answer = two.expect("P", AllocID="S")
    assert (answer.get(87), answer.get(58)[:6]) == ("1", "GW-613")
    two.send("J", statement("S-NEW", [("PROP", 10)], (72, "S"), trans="1"))
    assert two.expect("P", AllocID="S-NEW").get(58).startswith("GW-613")


def test_a_statement_is_replaced_and_cancelled_only_before_its_first_order(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("J", statement("CH1", [("PROP", 10)]))
    assert oms.expect("P", AllocID="CH1").get(87) == "0"
    oms.send("J", statement("CH2", [("PROP", 20)], (72, "CH1"), trans="1"))
    assert oms.expect("P", AllocID="CH2").get(87) == "0"
    oms.send("D", order("CH-O1", "CH1", 5))
    assert oms.expect("8", ClOrdID="CH-O1").get(58).startswith("GW-104")
    oms.send("D", order("CH-O2", "CH2", 20))
    live.broker.expect("D", ClOrdID="CH-O2")
    for trans, name in (("1", "CH3"), ("2", "CH2")):
        oms.send("J", statement(name, [("PROP", 30)], (72, "CH2"), trans=trans))
        answer = oms.expect("P", AllocID=name)
        assert (answer.get(87), answer.get(58)[:6]) == ("1", "GW-612")
    oms.send("J", statement("CH4", [("PROP", 10)]))
    oms.expect("P", AllocID="CH4")
    oms.send(
        "J",
        [
            (70, "CH5"),
            (71, "2"),
            (626, "2"),
            (72, "CH4"),
            (857, "0"),
            (54, "1"),
            (55, "XYZ"),
            (53, "10"),
            (6, "0"),
            (75, "20200101"),
        ],
    )
    assert oms.expect("P", AllocID="CH5").get(87) == "0"
    oms.send("D", order("CH-O4", "CH4", 5))
    assert oms.expect("8", ClOrdID="CH-O4").get(58).startswith("GW-104")


# ---------------------------------------------------------------- message types


@pytest.mark.parametrize("msg_type", ["E", "AB", "s", "R", "AE", "8", "AS", "BH", "Q"])
def test_a_message_type_the_gate_cannot_check_goes_nowhere(live: Live, msg_type: str) -> None:
    oms = live.oms("OMS1")
    before = len(live.broker.received)
    seq = oms.send(msg_type, [(11, f"T{msg_type}"), (66, "L"), (55, "XYZ"), (54, "1"), (38, "5"), (60, utc())])
    answer = oms.expect("j", t45=str(seq))
    assert (answer.get(372), answer.get(380), answer.get(58)[:6]) == (msg_type, "3", "GW-404")
    assert [m.msg_type for m in list(live.broker.received)[before:] if m.msg_type not in "01"] == []


@pytest.mark.parametrize("msg_type", ["ZZ", "U1", "d9"])
def test_a_message_type_nobody_knows_is_refused(live: Live, msg_type: str) -> None:
    oms = live.oms("OMS1")
    seq = oms.send(msg_type, [(11, "T"), (55, "XYZ")])
    answer = oms.expect("", t45=str(seq))
    expected = {"3": (373, "11"), "j": (380, "3")}
    tag, value = expected[answer.msg_type]
    assert (answer.get(372), answer.get(tag)) == (msg_type, value)


def test_an_order_mass_cancel_and_quote_request_do_not_reach_the_broker_either(live: Live) -> None:
    oms = live.oms("OMS1")
    for msg_type in ("q", "AF", "i"):
        seq = oms.send(msg_type, [(11, f"M{msg_type}"), (530, "7"), (60, utc())])
        assert oms.expect("j", t45=str(seq)).get(380) == "3"


# ---------------------------------------------------------------- frames and sessions


def lose(oms: Peer, body: list[Pair], garbled: Callable[[bytes], bytes]) -> str:
    """Send a numbered D as ``garbled`` makes of its frame; the peer keeps it for a resend."""
    frame = oms.frame("D", body)
    oms._numbers.use(Sent("D", body_text(body), (), utc()))
    oms.send_raw(garbled(frame))
    return str(body[0][1])


GARBLED: dict[str, Callable[[bytes], bytes]] = {
    "wrong checksum": lambda frame: frame[:-4] + (b"000\x01" if frame[-4:-1] != b"000" else b"001\x01"),
    "a byte changed": lambda frame: frame.replace(b"55=XYZ", b"55=XYY"),
    "body length too short": lambda frame: frame.replace(frame.split(b"\x01")[1], b"9=20", 1),
    "no body length": lambda frame: frame.replace(frame.split(b"\x01")[1] + b"\x01", b"", 1),
    "rubbish before it": lambda frame: b"\x00\xff rubbish \r\n" + frame[:-4] + b"xyz\x01",
    "checksum no number": lambda frame: frame[:-4] + b"abc\x01",
}


@pytest.mark.parametrize("name", GARBLED)
def test_a_garbled_frame_is_ignored_and_its_number_asked_for_again(live: Live, name: str) -> None:
    oms, broker = live.oms("OMS1"), live.broker
    lost = lose(oms, order(f"G{next(_numbers)}", "S", 1), GARBLED[name])
    later = [f"G{next(_numbers)}" for _ in range(2)]  # the first may be swallowed by the end of the garbled one
    for cl_ord_id in later:
        oms.send("D", order(cl_ord_id, "S", 1))
    for cl_ord_id in (lost, *later):
        assert broker.expect("D", 8, ClOrdID=cl_ord_id).get(55) == "XYZ"
    for cl_ord_id in (lost, *later):
        broker.expect_none("D", 0.05, ClOrdID=cl_ord_id)


def test_an_unknown_comp_id_gets_no_session_and_disturbs_nobody(live: Live) -> None:
    for sender, target in (("STRANGER", "FIXGW"), ("OMS1", "SOMEBODY"), ("BRK1", "FIXGW")):
        with pytest.raises(CounterpartyError):
            Peer.connect("127.0.0.1", live.fix_port, sender, target, timeout_seconds=3)
    assert live.oms("OMS1").logged_on
    assert live.broker.logged_on


def test_a_second_connection_of_a_logged_on_oms_is_turned_away(live: Live) -> None:
    with pytest.raises(CounterpartyError):
        Peer.connect("127.0.0.1", live.fix_port, "OMS1", "FIXGW", timeout_seconds=3)
    assert live.oms("OMS1").logged_on


BROKEN_HEADERS = {
    "no MsgSeqNum": "35=D|49=OMS2|52={now}|56=FIXGW|11=Z1|55=XYZ|54=1|38=1|40=1|70=S|",
    "MsgSeqNum no number": "35=D|34=x|49=OMS2|52={now}|56=FIXGW|11=Z2|55=XYZ|54=1|38=1|40=1|70=S|",
    "sender of another session": "35=D|34={seq}|49=OMS1|52={now}|56=FIXGW|11=Z3|55=XYZ|54=1|38=1|40=1|70=S|",
    "other begin string": "8=FIX.4.2|35=D|34={seq}|49=OMS2|52={now}|56=FIXGW|11=Z4|55=XYZ|54=1|38=1|70=S|",
    "number far too low": "35=D|34=1|49=OMS2|52={now}|56=FIXGW|11=Z6|55=XYZ|54=1|38=1|40=1|70=S|",
    "before its Logon": "",
}


@pytest.mark.parametrize("name", BROKEN_HEADERS)
def test_a_broken_header_never_becomes_an_order(live: Live, name: str) -> None:
    """Session-level rubbish: whatever the session does about it, no order, no stop, and OMS2 can go on."""
    oms = live.oms("OMS2")
    if name == "before its Logon":
        oms.drop()
        with socket.create_connection(("127.0.0.1", live.fix_port)) as sock:
            sock.sendall(oms.frame("D", order("Z7", "GOOD-OMS2", 1)))
            sock.settimeout(5)
            assert sock.recv(100) == b"", "the connection is cut"
    else:
        text = BROKEN_HEADERS[name].format(now=utc(), seq=oms.next_out).replace("|", SOH)
        begin, text = ("FIX.4.2", text[10:]) if text.startswith("8=") else ("FIX.4.4", text)
        inner = text.encode()
        frame = f"8={begin}{SOH}9={len(inner)}{SOH}".encode() + inner
        oms.send_raw(frame + f"10={sum(frame) % 256:03d}{SOH}".encode())
        if name == "sender of another session":
            assert oms.expect("3").get(373) == "9"
            oms.next_out += 1
    oms.wait_down(1.5)
    assert not [m for m in live.broker.received if m.get(11).startswith("Z")]
    assert live.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("role", ["oms", "broker"])
def test_a_message_without_a_type_does_not_stop_the_others_orders(make: Callable[..., Live], role: str) -> None:
    live = make(omses={"OMS1": {}, "OMS2": {}}).start()
    one, two = live.oms("OMS1"), live.oms("OMS2")
    one.send("J", statement("S", LINES))
    assert one.expect("P").get(87) == "0"
    peer, name = (two, "OMS2") if role == "oms" else (live.broker, "BRK1")
    inner = f"34={peer.next_out}|49={name}|52={utc()}|56=FIXGW|11=Z5|55=XYZ|".replace("|", SOH).encode()
    frame = f"8=FIX.4.4{SOH}9={len(inner)}{SOH}".encode() + inner
    peer.send_raw(frame + f"10={sum(frame) % 256:03d}{SOH}".encode())
    until(lambda: live.journal_has("11=Z5", Kind.SEEN), "the message journaled")
    if role == "broker":
        until(lambda: live.http.get("/readyz").status_code == 200, "the broker back")
    one.send("D", order("NEXT", "S", 1))
    live.broker.expect("D", ClOrdID="NEXT")
    assert live.http.get("/readyz").text.strip() == "ready"
    live.end_well()


# ---------------------------------------------------------------- size


def test_five_thousand_accounts_in_a_statement_and_an_allocation(live: Live) -> None:
    oms, broker = live.oms("OMS1"), live.broker
    lines = [(f"M{n:04d}", 1 + n % 7) for n in range(MANY)]
    total = sum(quantity for _, quantity in lines)
    oms.send("J", statement("BIG", lines))
    answer = oms.expect("P", 10, AllocID="BIG")
    assert answer.get(87) == "0", answer.get(58)
    oms.send("D", order("BIG-O", "BIG", total))
    broker.expect("D", ClOrdID="BIG-O")
    filled = total // 2
    broker.send(
        "8", report("BIG-O", "BIG-1", "F", "1", quantity=total, cum=filled, leaves=total - filled, last=filled)
    )
    broker.send("8", report("BIG-O", "BIG-2", "4", "4", quantity=total, cum=filled))
    allocation = broker.expect("J", 15)
    shared = shares(allocation)
    assert sum(int(quantity) for quantity in shared.values()) == filled == int(allocation.get(53))
    for account, quantity in lines:
        exact = quantity * filled / total
        assert abs(int(shared.get(account, "0")) - exact) < 1
    broker.send("P", [(70, allocation.get(70)), (60, utc()), (87, "0")])
    assert shares(oms.expect("AS", 10)) == shared


def test_a_statement_of_too_many_accounts_names_the_limit(live: Live) -> None:
    """A J whose accounts are mostly unknown is refused as a whole, with one P that says how many problems."""
    oms = live.oms("OMS1")
    oms.send("J", statement("HUGE", [(f"X{n}", 1) for n in range(MANY)]))
    answer = oms.expect("P", 10, AllocID="HUGE")
    assert (answer.get(87), answer.get(88)) == ("1", "0")
    assert "(and 4999 more)" in answer.get(58)
    assert len(answer.get(58)) <= 512


def test_a_long_text_and_many_user_fields_pass_untouched(live: Live) -> None:
    oms = live.oms("OMS1")
    body = order("LONG", "S", 1, (58, "x" * 20_000), *((20_000 + n, f"v{n}") for n in range(500)))
    oms.send("D", body)
    assert live.broker.expect("D", 10, ClOrdID="LONG").body == body_text(body)


def test_a_bad_replace_is_answered_with_a_9(live: Live) -> None:
    oms = live.oms("OMS1")
    oms.send("D", order("BR1", "S", 100))
    live.broker.expect("D", ClOrdID="BR1")
    for number, (quantity, code) in enumerate((("0", "GW-302"), ("1e2", "GW-302"), ("-5", "GW-302")), 1):
        oms.send("G", replace(f"BR1-{number}", "BR1", quantity))
        answer = oms.expect("9", ClOrdID=f"BR1-{number}")
        assert (answer.get(434), answer.get(102), answer.get(41)) == ("2", "99", "BR1")
        assert answer.get(58).startswith(code)
    live.broker.expect_none("G", 0.2)
