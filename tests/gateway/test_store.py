"""The FIX store ahead of the journal, behind it, missing or damaged: numbers and resends are right afterwards."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Live, order, statement, until
from power import forget, keep_store, numbers, put_back, spec, store_dir
from resends import check_again, first_sends, reset_numbers
from trading import LINES, Trade, fresh

from fixgateway.journal.records import Kind
from fixgateway.sessions import store

SESSIONS = ("OMS1", "BRK1")


def path(live: Live, name: str, suffix: str) -> Path:
    return store.store_path(store_dir(live), spec(name), suffix)


def remove(*suffixes: str) -> Callable[[Live, str], None]:
    def damage(live: Live, name: str) -> None:
        for suffix in suffixes:
            path(live, name, suffix).unlink()

    return damage


def change(suffix: str, made: Callable[[bytes], bytes]) -> Callable[[Live, str], None]:
    def damage(live: Live, name: str) -> None:
        file = path(live, name, suffix)
        file.write_bytes(made(file.read_bytes()))

    return damage


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def both(*damages: Callable[[Live, str], None]) -> Callable[[Live, str], None]:
    def damage(live: Live, name: str) -> None:
        for each in damages:
            each(live, name)

    return damage


def nothing(_content: bytes) -> bytes:
    return b""


DAMAGES: dict[str, Callable[[Live, str], None]] = {
    "all missing": remove("body", "header", "seqnums", "session"),
    "header without body": remove("body"),
    "body without header": remove("header"),
    "no numbers": remove("seqnums"),
    "body cut": change("body", half),
    "body garbled": change("body", lambda b: b[:200] + b"#\0#" + b[203:]),
    "body of zeros": change("body", lambda b: bytes(len(b))),
    "header cut": change("header", half),
    "header garbled": change("header", lambda b: b[:10] + b"?" + b[11:]),
    "header with a torn tail": change("header", lambda b: b + b"9999,1"),
    "numbers cut": change("seqnums", lambda b: b[:30]),
    "numbers garbled": change("seqnums", lambda b: b"x" + b[1:]),
    "all empty": both(*(change(suffix, nothing) for suffix in ("body", "header", "seqnums", "session"))),
    "session garbled": change("session", lambda b: b"yesterday"),
}
LOST = {"all missing", "no numbers", "numbers cut", "numbers garbled", "all empty"}
"""Where the numbers used last cannot be known."""
EPOCH_UNSURE = {"all missing", "header without body", "body without header", "body of zeros", "all empty"}
"""Where the store has nothing left that tells whose numbers it counts by."""


def day(live: Live) -> Trade:
    """Some of everything on both sessions; nothing is left unanswered."""
    trade = Trade(live, 100)
    trade.oms.send("D", order(fresh("NO"), "NOPE", 1))
    trade.oms.expect("8", t150="8")
    trade.fill(60)
    done = Trade(live, 50)
    done.fill(50)
    live.command("statement", "close", done.statement_id, "--reason", "x", "--actor", "desk")
    done.acknowledge(done.allocation())
    done.oms.expect("AS")
    until(lambda: live.sent("OMS1", "AS"), "the last message journaled")
    return trade


def goes_on(live: Live, trade: Trade) -> None:
    """Both sessions go on with the trade: a fill in, its report out, an order out, an allocation."""
    trade.fill(40)
    trade.acknowledge(trade.allocation())
    trade.oms.expect("AS")
    Trade(live, 10).fill(10)


QUICK = ("all missing", "header without body", "numbers cut", "body garbled")
"""Damages of every run of the tests; the others are among the long proofs."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.full) for name in DAMAGES]
)
def test_after_any_damage_numbers_go_on_and_resends_are_the_same(make: Callable[..., Live], name: str) -> None:
    live = make().start()
    trade = day(live)
    if name in ("all missing", "body cut", "header cut", "numbers garbled"):
        live.kill()
    else:
        assert live.stop() == 0
    used = {"OMS1": trade.oms.next_in, "BRK1": trade.broker.next_in}
    for session in SESSIONS:
        DAMAGES[name](live, session)
    live.restart()
    goes_on(live, trade)
    for session, peer in (("OMS1", trade.oms), ("BRK1", trade.broker)):
        fresh_numbers = [m.seq for m in peer.inbox.wire if m.seq >= used[session] and m.get(43) != "Y"]
        assert (min(m for m in fresh_numbers) >= used[session] + 900) == (name in LOST), "the safety gap"
        assert len(fresh_numbers) == len(set(fresh_numbers)), "a number was used twice"
        check_again(peer, without="DG" if name in EPOCH_UNSURE else "")
    assert "store.rebuilt" in live.log.read_text()
    assert live.stop() == 0
    live.restart()
    assert live.log.read_text().count("store.rebuilt") == 2, "once for each session: it is whole again"
    live.end_well()


def test_an_order_is_not_resent_from_a_store_that_was_lost(make: Callable[..., Live]) -> None:
    """Nobody knows by whose numbers the broker counts: under a new epoch's number it would be a new order."""
    live = make().start()
    trade = Trade(live, 100)
    assert live.stop() == 0
    for suffix in ("body", "header", "seqnums", "session"):
        path(live, "BRK1", suffix).unlink()
    trade.broker.next_in = trade.order.seq
    live.restart()
    until(lambda: trade.broker.next_in > trade.order.seq + 900, "the gap filled")
    assert len([m for m in trade.broker.inbox.wire if m.msg_type == "D"]) == 1
    trade.fill(100)
    assert trade.allocation().get(53) == "100"
    live.end_well()


def test_a_store_that_is_ahead_is_adopted(make: Callable[..., Live]) -> None:
    """A kill kept the newest wire-out records from the journal: the store says what was sent."""
    live = make().start()
    trade = day(live)
    trade.fill(40)
    first = trade.allocation()
    mark = trade.broker.next_in
    until(lambda: len(live.sent("BRK1", "J")) == 2, "the wire-out record of the allocation")
    live.kill()
    forget(live, lambda r: r.kind is Kind.WIRE_OUT and f"\x0170={first.get(70)}\x01".encode() in r.payload)
    assert numbers(live, "BRK1")[0] == mark
    live.restart()
    assert "store.adopted" in live.log.read_text()
    trade.broker.expect_none("J", 0.3)
    assert trade.broker.next_in < mark + 10, "no gap: nothing can be missing"
    trade.acknowledge(first)
    trade.oms.expect("AS")
    check_again(trade.broker)
    check_again(trade.oms)
    live.end_well()


def unwrite(live: Live, name: str, number: int, how: str) -> None:
    """The engine was killed while it stored message ``number``, the last: journal and store end there."""
    shown = b"\x0134=%d\x01" % number
    forget(live, lambda r: r.kind is Kind.WIRE_OUT and r.session == name and shown in r.payload)
    texts = dict(store.sent_texts(store_dir(live), spec(name)))
    assert max(texts) == number
    size = len(texts[number].encode())
    path(live, name, "seqnums").write_bytes(b"%020d : %020d" % (number, numbers(live, name)[1]))
    if how != "its number":
        change("header", lambda b: b[: b.rindex(b" %d," % number) + 1])(live, name)
    if how == "half of it":
        change("body", lambda b: b[: -(size // 2)])(live, name)


WRITES = ("its entry", *(pytest.param(name, marks=pytest.mark.full) for name in ("its number", "half of it")))
"""What is missing of a message that was being stored; ``test_reconcile`` goes through every byte."""


@pytest.mark.parametrize("missing", WRITES)
def test_a_report_that_a_kill_kept_from_its_store_is_sent_as_new(make: Callable[..., Live], missing: str) -> None:
    live = make().start()
    trade = Trade(live, 100)
    fill = trade.fill(100)
    allocation = trade.allocation()
    until(lambda: live.sent("BRK1", "J"), "both journaled as sent")
    live.kill()
    unwrite(live, "OMS1", fill.seq, missing)
    trade.oms.next_in = fill.seq
    trade.oms.inbox.wire.remove(fill)
    live.restart()
    trade.acknowledge(allocation)
    trade.oms.expect("AS")
    again = [m for m in trade.oms.inbox.wire if m.get(17) == fill.get(17)]
    assert [(m.body, m.get(43), m.get(97)) for m in again] == [(fill.body, "", "")]
    assert "store.torn_end_cut" in live.log.read_text()
    check_again(trade.oms)
    check_again(trade.broker)
    live.end_well()


@pytest.mark.parametrize("missing", WRITES)
def test_an_order_that_a_kill_kept_from_its_store_is_refused(make: Callable[..., Live], missing: str) -> None:
    """It did not leave, so it is not in doubt: its quantity is free again."""
    live = make().start()
    trade = Trade(live, 60)
    late = Trade(live, 40, statement_id=trade.statement_id, acknowledge=False)
    until(lambda: len(live.sent("BRK1", "D")) == 2, "journaled as sent")
    live.kill()
    unwrite(live, "BRK1", late.order.seq, missing)
    late.broker.next_in = late.order.seq
    late.broker.inbox.wire.remove(late.order)
    live.restart()
    assert late.oms.expect("8", ClOrdID=late.cl_ord_id).get(58).startswith("GW-406 ")
    next_one = Trade(live, 40, statement_id=trade.statement_id)
    next_one.fill(40)
    assert not [m for m in late.broker.inbox.wire if m.get(11) == late.cl_ord_id]
    assert not live.journal_has("GW-809"), "in doubt"
    live.end_well()


def test_a_store_that_is_behind_gets_what_the_journal_has(make: Callable[..., Live]) -> None:
    live = make().start()
    Trade(live, 10)
    keep_store(live)
    trade = day(live)
    used = trade.broker.next_in
    live.kill()
    put_back(live, live.directory / "kept-store")
    live.restart()
    goes_on(live, trade)
    for peer in (trade.oms, trade.broker):
        check_again(peer)
    assert [m for m in trade.broker.inbox.wire if m.msg_type == "A"][-1].seq >= used + 900
    live.end_well()


def test_a_reset_that_the_crash_kept_from_the_journal_is_found_in_the_store(make: Callable[..., Live]) -> None:
    """Both counterparties reset their numbers; the journal is as it was before. Nothing of the old epoch comes
    under a number of the new one, and what was repeated is not repeated again."""
    live = make().start()
    trade = day(live)
    old_order, fill = trade.order, trade.fill(10)
    live.kill()
    shutil.copytree(live.data_dir / "journal", live.directory / "before")
    live.restart()
    for peer in (trade.oms, trade.broker):
        reset_numbers(peer)
    assert trade.oms.expect("8", ExecID=fill.get(17)).get(97) == "Y"
    live.kill()
    shutil.rmtree(live.data_dir / "journal")
    shutil.copytree(live.directory / "before", live.data_dir / "journal")
    live.restart()
    assert live.log.read_text().count("store.newer_epoch") == 2
    trade.cum, trade.value = 70, trade.value
    trade.report("F", "1", last=10)
    trade.oms.expect_none("8", 0.3, ExecID=fill.get(17))
    for peer in (trade.oms, trade.broker):
        assert max(first_sends(peer), default=0) < 60, "the new epoch's numbers"
        check_again(peer)
    assert not [m for m in trade.broker.inbox.wire if m.get(11) == old_order.get(11) and m.get(43) == "Y"]
    live.end_well()


def test_a_store_of_an_older_epoch_is_not_used(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = day(live)
    assert live.stop() == 0
    keep_store(live)
    live.restart()
    reset_numbers(trade.oms)
    trade.fill(10)
    assert live.stop() == 0
    put_back(live, live.directory / "kept-store", "OMS1")
    live.restart()
    trade.fill(10)
    check_again(trade.oms)
    live.end_well()


def test_a_kill_at_a_sessions_first_logon_is_no_older_journal(make: Callable[..., Live]) -> None:
    """The store knows a session whose first messages the crash kept from the journal: nothing was decided yet."""
    live = make(omses={"OMS1": {}, "OMS2": {}}).start()
    Trade(live, 10)
    late = live.oms("OMS2", keep_when_down=True)
    until(lambda: any(live.records(Kind.SEEN, session="OMS2")), "the Logon journaled")
    live.kill()
    forget(live, lambda r: r.session == "OMS2" and r.kind is Kind.SEEN)
    assert numbers(live, "OMS2") == (2, 2)
    live.restart()
    name = fresh("ST")
    late.send("J", statement(name, LINES))
    assert late.expect("P", AllocID=name).get(87) == "0"
    live.end_well()


def test_a_journal_that_never_decided_what_its_store_holds_says_so(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 10, acknowledge=False)
    until(lambda: live.sent("BRK1", "D"), "the order journaled")
    live.kill()
    forget(live, lambda r: r.kind is Kind.SEEN and f"\x0111={trade.cl_ord_id}\x01".encode() in r.payload)
    process = live.launch()
    try:
        assert process.wait(20) == 2, live.tail()
    except subprocess.TimeoutExpired:
        pytest.fail(f"it started:\n{live.tail()}")
    assert f"holds message {trade.order.seq} (35=D), and the journal has no decision behind that" in live.tail()
    assert "older than the session" in live.tail()
