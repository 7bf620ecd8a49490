"""What leaves after a crash, what never does, and what leaves once more with 97=Y after the machine failed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from live import Live, cancel, order, replace, report, shares, statement, until, utc
from power import forget, keep_store, numbers, put_back
from trading import LINES, Trade, fresh

from fixgateway.journal.records import Kind, Record
from fixgateway.sim.fields import Fields
from fixgateway.sim.peer import Peer

GAP = 1_000


def firsts(peer: Peer, msg_type: str, tag: int, value: str) -> list[Fields]:
    """What a peer received of a type with this value, resent copies (43=Y) aside."""
    sent = [m for m in list(peer.inbox.wire) if m.msg_type == msg_type and m.get(43) != "Y"]
    return [m for m in sent if m.get(tag) == value]


def reasons(live: Live, subject: str) -> list[str]:
    """Reasons of the exceptions about a subject."""
    rows = live.rows("SELECT reason FROM exceptions WHERE subject = ? ORDER BY journal_seq, position", subject)
    return [reason for (reason,) in rows]


def alerts(live: Live, reason: str) -> list[str]:
    """Texts of the alerts with this reason."""
    return [text for (text,) in live.rows("SELECT text FROM alerts WHERE reason = ?", reason)]


def dead(live: Live) -> None:
    """Wait until the process has killed itself."""
    assert live.process is not None
    assert live.process.wait(20) == -9
    live.doctored()


# ---------------------------------------------------------------- never sent


def test_an_order_that_was_never_shown_is_rejected_as_stale_and_never_leaves(make: Callable[..., Live]) -> None:
    live = make().doctored(die_before="D").start()
    oms, name, cl_ord_id = live.oms(), fresh("ST"), fresh("OR")
    oms.send("J", statement(name, LINES))
    assert oms.expect("P", AllocID=name).get(87) == "0"
    oms.send("D", order(cl_ord_id, name, 100))
    dead(live)
    live.restart()
    told = oms.expect("8", ClOrdID=cl_ord_id)
    assert (told.get(150), told.get(39), told.get(103)) == ("8", "8", "8")
    assert told.get(58).startswith("GW-406 ")
    live.broker.expect_none("D", 0.3)
    more = fresh("OR")
    oms.send("D", order(more, name, 100))  # its quantity is free again
    live.broker.expect("D", ClOrdID=more)
    live.kill()
    live.restart()
    oms.expect_none("8", 0.3, ClOrdID=cl_ord_id)
    assert reasons(live, cl_ord_id) == []
    live.end_well()


def test_a_replace_that_was_never_shown_is_refused_once_over_two_restarts(make: Callable[..., Live]) -> None:
    live = make().doctored(die_before="G").start()
    trade, name = Trade(live, 50), fresh("G")
    trade.oms.send("G", replace(name, trade.cl_ord_id, 80))
    dead(live)
    live.restart()
    told = trade.oms.expect("9", ClOrdID=name)
    assert (told.get(434), told.get(58)[:6]) == ("2", "GW-406")
    live.kill()
    live.restart()
    trade.oms.expect_none("9", 0.3, ClOrdID=name)
    trade.broker.expect_none("G", 0.1)
    trade.oms.send("D", order(fresh("OR"), trade.statement_id, 50))  # the raise is not committed any more
    trade.broker.expect("D", t38="50")
    live.end_well()


# ---------------------------------------------------------------- what waited leaves


def test_after_a_crash_cancels_statuses_allocations_and_answers_leave_and_no_order_does(
    make: Callable[..., Live],
) -> None:
    """Broker and OMS are both away at the crash; what waited for them leaves as a first send."""
    live = make(omses={"OMS1": {}, "OMS2": {"brokers": ["BRK2"]}}, brokers={"BRK1": {}, "BRK2": {}}).start()
    done, alive = Trade(live, 100, broker="BRK1"), Trade(live, 50, broker="BRK1")
    done.fill(40)
    away = live.brokers["BRK1"]
    away.mute = True
    away.drop()
    until(lambda: live.http.get("/readyz").status_code == 503, "the broker gone")
    name, raised, late = fresh("F"), fresh("G"), fresh("OR")
    alive.oms.send("F", cancel(name, alive.cl_ord_id))
    alive.oms.send("H", [(11, alive.cl_ord_id), (55, "XYZ"), (54, "1")])
    alive.oms.send("G", replace(raised, alive.cl_ord_id, 90))
    assert alive.oms.expect("9", ClOrdID=raised).get(58).startswith("GW-405 ")
    alive.oms.send("D", order(late, alive.statement_id, 1))
    assert alive.oms.expect("8", ClOrdID=late).get(103) == "2"
    live.command("statement", "close", done.statement_id, "--reason", "x", "--actor", "desk")

    other = Trade(live, 100, oms="OMS2", broker="BRK2")
    assert other.oms.logout()
    exec_id = fresh("EX")
    other.broker.send("8", report(other.cl_ord_id, exec_id, "F", "1", quantity=100, cum=30, leaves=70, last=30))
    until(lambda: live.rows("SELECT 1 FROM executions WHERE exec_id = ?", exec_id), "the fill taken")
    live.kill()
    away.mute = False
    live.restart()
    assert away.expect("F", ClOrdID=name).get(97) == ""
    away.expect("H", ClOrdID=alive.cl_ord_id)
    assert done.allocation().get(53) == "40"
    assert other.oms.expect("8", ExecID=exec_id).get(97) == ""
    away.expect_none("G", 0.2)
    assert [m.get(11) for m in away.received if m.msg_type == "D"] == [done.cl_ord_id, alive.cl_ord_id]
    live.kill()  # and once more: everything has left
    live.restart()
    for kind in ("F", "H", "J", "G"):
        away.expect_none(kind, 0.1)
    live.end_well()


def test_an_answer_to_a_statement_that_a_crash_kept_back_is_sent(make: Callable[..., Live]) -> None:
    live = make().doctored(die_before="P").start()
    oms, name = live.oms(), fresh("ST")
    oms.send("J", statement(name, LINES))
    dead(live)
    live.restart()
    answer = oms.expect("P", AllocID=name)
    assert (answer.get(87), answer.get(97)) == ("0", "")
    cl_ord_id = fresh("OR")
    oms.send("D", order(cl_ord_id, name, 100))
    live.broker.expect("D", ClOrdID=cl_ord_id)
    live.end_well()


# ---------------------------------------------------------------- a mere kill


def test_after_a_mere_kill_resend_settles_what_was_sent_and_nothing_is_repeated(make: Callable[..., Live]) -> None:
    """The broker says it missed F and J: they come again under their numbers, without 97."""
    live = make().start()
    trade, other = Trade(live, 100), Trade(live, 100)
    name = fresh("F")
    other.oms.send("F", cancel(name, other.cl_ord_id))
    missed = other.broker.expect("F", ClOrdID=name)
    trade.fill(100)
    first = trade.allocation()
    live.kill()
    before = trade.broker.next_in
    trade.broker.next_in = missed.seq
    live.restart()
    until(lambda: trade.broker.next_in > before, "everything again")
    copies = [m for m in trade.broker.inbox.wire if m.msg_type in "FJ" and m.seq in (missed.seq, first.seq)]
    assert sorted((m.msg_type, m.get(43), m.get(97)) for m in copies) == [
        ("F", "", ""), ("F", "Y", ""), ("J", "", ""), ("J", "Y", ""),
    ]  # fmt: skip
    assert len(firsts(trade.broker, "J", 70, first.get(70))) == 1
    live.end_well()


def test_a_replace_left_unanswered_by_a_crash_is_in_doubt(make: Callable[..., Live]) -> None:
    live = make().start()
    trade, name = Trade(live, 50), fresh("G")
    trade.oms.send("G", replace(name, trade.cl_ord_id, 80))
    sent = trade.broker.expect("G", ClOrdID=name)
    live.kill()
    trade.broker.next_in = sent.seq  # as if it had never come
    live.restart()
    until(lambda: trade.broker.next_in > sent.seq, "the gap filled")
    assert len([m for m in trade.broker.inbox.wire if m.msg_type == "G"]) == 1
    assert reasons(live, name) == ["GW-809"]
    trade.oms.send("D", order(fresh("OR"), trade.statement_id, 21))
    assert trade.oms.expect("8", t150="8").get(58).startswith("GW-203 "), "the larger quantity stays committed"
    live.kill()
    live.restart()
    assert reasons(live, name) == ["GW-809"], "told once"
    trade.quantity = 80
    trade.report("5", "0", (41, trade.cl_ord_id), cl_ord_id=name)
    live.end_well()


# ---------------------------------------------------------------- the machine failed


def fail(live: Live, lost: Callable[[Record], bool] | None = None, *, boot_id: str = "another") -> None:
    """The machine fails: of what was not synced a part is gone, and the boot id will be another."""
    live.kill()
    if lost is not None:
        put_back(live, live.directory / "kept-store")
        forget(live, lost)
    live.doctored(boot_id=boot_id)


def test_after_a_power_failure_no_number_is_used_twice_and_what_may_be_lost_goes_again(
    make: Callable[..., Live],
) -> None:
    """Neither store nor journal knows that F, J and the OMS's reports were sent: all of them go with 97=Y."""
    live = make().start()
    trade, other = Trade(live, 100), Trade(live, 100)
    keep_store(live)
    name = fresh("F")
    other.oms.send("F", cancel(name, other.cl_ord_id))
    other.broker.expect("F", ClOrdID=name)
    fill = trade.fill(100)
    first = trade.allocation()
    used = trade.broker.next_in
    fail(live, lambda r: r.kind is Kind.WIRE_OUT and b"\x0135=F\x01" in r.payload)
    live.restart()
    again = trade.broker.expect("F", ClOrdID=name)
    assert (again.get(97), again.get(43)) == ("Y", "")
    assert again.body == firsts(trade.broker, "F", 11, name)[0].body
    assert again.seq > used + GAP // 2, "the numbers used before the failure are not used again"
    # The journal lost the fill as well: the broker sends it again, and a J is decided for the first time again.
    assert trade.oms.expect("8", ExecID=fill.get(17)).get(32) == "100"
    repeated = trade.allocation()
    assert shares(repeated) == shares(first)
    assert [m for m in trade.broker.received if m.msg_type == "D" and m.get(43) != "Y"][-1].seq < used
    assert live.journal_has("GW-408", Kind.DECISION)
    live.end_well()


def test_after_a_power_failure_an_allocation_is_sent_again_once_with_97(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100)
    first = trade.allocation()
    fail(live)
    live.restart()
    again = trade.allocation()
    assert (again.get(97), again.get(43), again.body) == ("Y", "", first.body)
    assert again.seq > first.seq + GAP
    live.kill()  # the machine did not fail this time
    live.restart()
    trade.broker.expect_none("J", 0.3)
    trade.acknowledge(again)
    assert trade.oms.expect("AS", AllocID=first.get(70)).get(53) == "100"
    fail(live, boot_id="a third")
    live.restart()
    trade.broker.expect_none("J", 0.3)
    live.end_well()


def test_a_restart_of_the_machine_after_an_ordered_stop_repeats_nothing(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100)
    first = trade.allocation()
    assert live.stop() == 0
    before = numbers(live, "BRK1")
    live.doctored(boot_id="another").restart()
    trade.broker.expect_none("J", 0.3)
    trade.acknowledge(first)
    trade.oms.expect("AS")
    assert live.command("session", "list")[1]["next_sender"] < before[0] + GAP // 2
    live.end_well()


def test_what_an_answer_proves_received_is_not_sent_again(make: Callable[..., Live]) -> None:
    """An order sent later and answered proves the J before it; an answered TestRequest proves all before it."""
    live = make().start()
    trade = Trade(live, 100)
    fill = trade.fill(100)
    trade.allocation()
    Trade(live, 10)  # answered with 150=0
    asked = trade.oms.expect_wire("1", 8)
    while int(asked.get(34)) < int(fill.get(34)):  # on a slow machine one may have been sent before the fill
        asked = trade.oms.expect_wire("1", 8)
    until(lambda: [m for m in live.sent("OMS1", "1") if m.get(112) == asked.get(112)], "asked")
    until(lambda: live.journal_has(f"\x01112={asked.get(112)}\x01", Kind.SEEN), "answered")
    fail(live)
    live.restart()
    trade.broker.expect_none("J", 0.3)
    trade.oms.expect_none("8", 0.1, ExecID=fill.get(17))
    late = fresh("NO")
    trade.oms.send("D", order(late, "NOPE", 1))
    refused = trade.oms.expect("8", ClOrdID=late)
    fail(live, boot_id="a third")
    live.restart()
    again = trade.oms.expect("8", ClOrdID=late)
    assert (again.get(97), again.body) == ("Y", refused.body)
    live.end_well()


def test_an_order_that_may_have_been_sent_before_a_power_failure_is_in_doubt(make: Callable[..., Live]) -> None:
    """It was decided, and nothing says that it left: unlike after a kill it may have."""
    live = make().doctored(die_before="D").start()
    oms, name, cl_ord_id = live.oms(), fresh("ST"), fresh("OR")
    oms.send("J", statement(name, LINES))
    oms.expect("P", AllocID=name)
    oms.send("D", order(cl_ord_id, name, 100))
    dead(live)
    live.doctored(boot_id="another")
    live.restart()
    until(lambda: reasons(live, cl_ord_id) == ["GW-809"], "in doubt")
    oms.expect_none("8", 0.2, ClOrdID=cl_ord_id)
    live.broker.expect_none("D", 0.1)
    oms.send("D", order(fresh("OR"), name, 1))
    assert oms.expect("8", t150="8").get(58).startswith("GW-203 ")
    live.kill()
    live.restart()
    assert reasons(live, cl_ord_id) == ["GW-809"]
    oms.expect_none("8", 0.2, ClOrdID=cl_ord_id)
    live.end_well()


def test_a_repeated_allocation_refused_as_a_duplicate_is_asked_about_and_never_made_anew(
    make: Callable[..., Live],
) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(60, exec_id="FILL1")
    trade.fill(40, exec_id="FILL2")
    first = trade.allocation()
    fail(live)
    live.restart()
    assert trade.allocation().get(97) == "Y"
    trade.acknowledge(first, "1", (88, "7"), (58, "AllocID already known"))
    until(lambda: reasons(live, first.get(70)) == ["GW-816"], "the exception")
    rows = live.rows("SELECT status FROM allocations WHERE alloc_id = ?", first.get(70))
    assert rows == [("query",)]
    trade.now((60, "100"))
    trade.report("H", "1", (19, "FILL2"), last=40)
    changed = trade.broker.expect("J", 5, t72=first.get(70))
    assert (changed.get(71), changed.get(53)) == ("1", "60"), "a replacement of the one that the broker has"
    live.end_well()


def test_another_refusal_of_a_repeated_allocation_is_a_refusal(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100)
    first = trade.allocation()
    fail(live)
    live.restart()
    trade.allocation()
    trade.acknowledge(first, "1", (88, "0"), (58, "no such account"))
    until(lambda: reasons(live, first.get(70)) == ["GW-806"], "the exception")
    live.end_well()


# ---------------------------------------------------------------- old orders, other versions


@pytest.mark.parametrize(("age_seconds", "passes"), [(0, True), (60, False)])
def test_a_possible_duplicate_that_was_never_processed_is_judged_by_its_age(
    make: Callable[..., Live], age_seconds: int, passes: bool
) -> None:
    """The OMS sent it while the gateway was dead; it comes by resend with 43=Y and its first times."""
    live = make().start()
    oms, name, cl_ord_id = live.oms(keep_when_down=True), fresh("ST"), fresh("OR")
    oms.send("J", statement(name, LINES))
    oms.expect("P", AllocID=name)
    live.kill()
    until(lambda: not oms.logged_on, "the OMS noticed")
    made = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() - age_seconds))
    body = [(tag, made if tag == 60 else value) for tag, value in order(cl_ord_id, name, 100)]
    oms.send("D", body)
    live.restart()
    if passes:
        assert live.broker.expect("D", 10, ClOrdID=cl_ord_id).get(60) == made
    else:
        told = oms.expect("8", 10, ClOrdID=cl_ord_id)
        assert (told.get(103), told.get(58)[:6]) == ("8", "GW-310")
        live.broker.expect_none("D", 0.2)
    live.end_well()


def test_an_order_unanswered_at_a_stop_is_simply_unanswered_at_a_late_restart(make: Callable[..., Live]) -> None:
    # The limit must be longer than a start takes on a busy machine: it counts from there until the broker is back.
    live = make(brokers={"BRK1": {"max_unacked_seconds": 12}}).start()
    trade = Trade(live, 100, acknowledge=False)
    sent = time.monotonic()
    assert live.stop() == 0
    until(lambda: time.monotonic() - sent > 12.2, "older than the limit", 30)
    live.restart()
    assert alerts(live, "GW-403") == []
    trade.fill(100)
    assert trade.exceptions() == []
    live.end_well()


def test_a_journal_of_another_version_is_said_in_the_log(make: Callable[..., Live]) -> None:
    live = make().doctored(version="0.0.9").start()
    Trade(live, 10)
    live.kill()
    live.doctored().restart()
    assert '"journal": "0.0.9"' in live.log.read_text()
    assert "journal.other_version" in live.log.read_text()
    live.kill()
    live.restart()
    assert live.log.read_text().count("journal.other_version") == 1
    live.end_well()


def test_the_journal_of_all_this_replays(make: Callable[..., Live]) -> None:
    live = make().start()
    trade, other = Trade(live, 100), Trade(live, 50, acknowledge=False)
    trade.fill(100)
    trade.allocation()
    fail(live)
    live.restart()
    trade.allocation()
    other.oms.send("F", cancel(fresh("F"), other.cl_ord_id, (60, utc())))
    live.kill()
    live.restart()
    live.end_well()
    replayed = live.cli("replay", str(live.data_dir))
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
