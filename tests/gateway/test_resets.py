"""ResetSeqNumFlag(141)=Y from a counterparty, at any time: nothing is lost, nothing is ordered twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import FaultyLive
from live import HOST, Live, cancel, order, replace, report, statement, until
from resends import check_again, first_sends, reset_numbers
from trading import LINES, Trade, fresh

from fixgateway.journal.records import Kind
from fixgateway.sim.fields import Fields
from fixgateway.sim.peer import Peer


def again(peer: Peer, msg_type: str, tag: int, value: str) -> list[Fields]:
    """Copies with 97=Y of a message with this value."""
    sent = [m for m in list(peer.inbox.wire) if m.msg_type == msg_type and m.get(97) == "Y" and m.get(43) != "Y"]
    return [m for m in sent if m.get(tag) == value]


def reasons(live: Live, subject: str) -> list[str]:
    rows = live.rows("SELECT reason FROM exceptions WHERE subject = ? ORDER BY journal_seq, position", subject)
    return [reason for (reason,) in rows]


def relogon(live: Live, peer: Peer) -> Peer:
    """The OMS comes back with 141=Y, in a new process that knows nothing."""
    peer.close()
    name = peer.settings.sender
    live.omses[name] = Peer.connect(HOST, live.fix_port, name, "FIXGW", reset_seq_num=True)
    return live.omses[name]


@pytest.mark.parametrize("how", ["in the session", "at a new logon"])
def test_what_an_oms_may_have_missed_comes_again_after_its_reset(make: Callable[..., Live], how: str) -> None:
    """P, a refusal, a fill and the AS: same bodies, 97=Y, once, and in their order."""
    live = make().start()
    trade = Trade(live, 100)
    no = fresh("NO")
    trade.oms.send("D", order(no, "NOPE", 1))
    trade.oms.expect("8", ClOrdID=no)
    fill = trade.fill(100)
    trade.acknowledge(trade.allocation())
    told = trade.oms.expect("AS")
    before = [m for m in first_sends(trade.oms).values() if m.msg_type in ("P", "8", "AS")]
    if how == "in the session":
        oms = trade.oms
        reset_numbers(oms)
    else:
        oms = relogon(live, trade.oms)
    until(lambda: again(oms, "AS", 755, told.get(755)), "the last of them")
    copies = [m for m in oms.inbox.wire if m.get(97) == "Y"]
    assert [(m.msg_type, m.body) for m in copies] == [(m.msg_type, m.body) for m in before]
    assert len(again(oms, "8", 17, fill.get(17))) == 1
    check_again(oms)
    alerts = live.rows("SELECT text FROM alerts WHERE reason = 'GW-407'")
    assert len(alerts) == 1
    assert "OMS1: sequence numbers began at 1 again" in alerts[0][0]
    name = fresh("ST")
    oms.send("J", statement(name, LINES))
    assert oms.expect("P", AllocID=name).get(97) == "", "what comes later is a first send"
    live.end_well()
    assert live.cli("replay", str(live.data_dir)).returncode == 0


def test_what_a_broker_may_have_missed_comes_again_after_its_reset_but_no_order(make: Callable[..., Live]) -> None:
    live = make().start()
    done, silent, changing = Trade(live, 100), Trade(live, 100), Trade(live, 50)
    done.fill(100)
    allocation = done.allocation()
    unanswered = Trade(live, 10, acknowledge=False)
    raised, cancelled = fresh("G"), fresh("F")
    changing.oms.send("G", replace(raised, changing.cl_ord_id, 80))
    changing.broker.expect("G", ClOrdID=raised)
    silent.oms.send("F", cancel(cancelled, silent.cl_ord_id))
    silent.broker.expect("F", ClOrdID=cancelled)
    broker = done.broker
    reset_numbers(broker)
    until(lambda: again(broker, "F", 11, cancelled), "the cancel again")
    assert [m.body for m in again(broker, "J", 70, allocation.get(70))] == [allocation.body]
    until(lambda: reasons(live, unanswered.cl_ord_id) == ["GW-809"], "the order in doubt")
    assert reasons(live, raised) == ["GW-809"]
    assert reasons(live, silent.cl_ord_id) == [], "it was answered before"
    broker.expect_none("D", 0.2, ClOrdID=unanswered.cl_ord_id)
    assert not [m for m in broker.inbox.wire if m.msg_type in ("D", "G") and m.get(97) == "Y"]
    check_again(broker)
    unanswered.oms.send("D", order(fresh("OR"), unanswered.statement_id, 95))
    assert unanswered.oms.expect("8", t150="8").get(58).startswith("GW-203 "), "its quantity stays committed"
    done.acknowledge(allocation)
    done.oms.expect("AS")
    unanswered.fill(10)
    live.end_well()
    assert live.cli("replay", str(live.data_dir)).returncode == 0


def test_a_duplicate_refusal_after_a_reset_is_a_query(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100)
    first = trade.allocation()
    reset_numbers(trade.broker)
    repeated = trade.broker.expect("J", t70=first.get(70))
    trade.broker.send("j", [(45, str(repeated.seq)), (372, "J"), (379, first.get(70)), (380, "0"), (58, "dup")])
    until(lambda: reasons(live, first.get(70)) == ["GW-816"], "the query")
    trade.broker.expect_none("J", 0.3)
    live.end_well()


def test_several_resets_one_after_the_other_repeat_everything_until_it_is_received(
    make: Callable[..., Live],
) -> None:
    live = make().start()
    trade = Trade(live, 100)
    fills = [trade.fill(10) for _ in range(5)]
    for count in range(1, 4):
        reset_numbers(trade.oms)
        until(lambda: len(again(trade.oms, "8", 17, fills[-1].get(17))) == count, "the fills again")  # noqa: B023
    for fill in fills:
        assert len(again(trade.oms, "8", 17, fill.get(17))) == 3
    asked = trade.oms.expect_wire("1", 8)  # and the answer proves that they were received
    until(lambda: live.journal_has(f"\x01112={asked.get(112)}\x01", Kind.SEEN), "answered")
    reset_numbers(trade.oms)
    name = fresh("ST")
    trade.oms.send("J", statement(name, LINES))
    trade.oms.expect("P", AllocID=name)
    assert len(again(trade.oms, "8", 17, fills[-1].get(17))) == 3
    assert len(live.rows("SELECT 1 FROM alerts WHERE reason = 'GW-407'")) == 4
    live.end_well()


@pytest.mark.parametrize("who", ["oms", "broker"])
def test_a_reset_has_no_answer_while_the_disk_does_not_take_it(tmp_path: Path, who: str) -> None:
    """Should the machine fail now, the counterparty asks again; once it is answered the next start knows of it."""
    live = FaultyLive(tmp_path / "gateway")
    with live:
        live.start()
        trade = Trade(live, 100)
        fill = trade.fill(10)
        peer: Peer = getattr(trade, who)
        mark = len(peer.inbox.wire)
        live.fail(hold=1)
        reset = threading.Thread(target=reset_numbers, args=(peer,))
        reset.start()
        time.sleep(0.5)
        early = [m for m in list(peer.inbox.wire)[mark:] if m.msg_type == "A"]
        live.fail()
        reset.join()
        assert early == []
        answer = next(m for m in list(peer.inbox.wire)[mark:] if m.msg_type == "A")
        assert (answer.seq, answer.get(141)) == (1, "Y")
        if who == "oms":
            until(lambda: again(peer, "8", 17, fill.get(17)), "the fill again")
        trade.fill(10)
        check_again(peer)
        live.end_well()


def test_a_crash_right_after_a_reset_loses_nothing(make: Callable[..., Live]) -> None:
    """The repeats wait for a broker that left again before they could go; the gateway is killed meanwhile."""
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100)
    first = trade.allocation()
    reset_numbers(trade.broker)
    live.kill()
    live.restart()
    until(lambda: again(trade.broker, "J", 70, first.get(70)), "the allocation again")
    assert len(again(trade.broker, "J", 70, first.get(70))) == 1
    check_again(trade.broker)
    trade.acknowledge(first)
    trade.oms.expect("AS")
    live.end_well()


def test_resets_in_the_middle_of_traffic_lose_no_fill_and_double_no_order(make: Callable[..., Live]) -> None:
    """Orders and fills flow while the OMS comes back with 141=Y again and again."""
    live = make(omses={"OMS1": {}, "OMS2": {}}).start()
    trade = Trade(live, 100, lines=(("CLIENT-A", 600_000), ("PROP", 400_000)), oms="OMS2")
    steady, broker = live.oms("OMS2"), trade.broker
    wanted: list[str] = []
    seen: set[str] = set()
    done = threading.Event()

    def traffic() -> None:
        while not done.is_set():
            exec_id = fresh("EX")
            trade.cum += 1
            quantity = 1_000_000
            body = report(
                trade.cl_ord_id, exec_id, "F", "1", quantity=quantity, cum=trade.cum, leaves=1, last=1, avg="100"
            )
            broker.send("8", body)
            wanted.append(exec_id)
            done.wait(0.002)

    sender = threading.Thread(target=traffic)
    sender.start()
    for _ in range(4):
        mark = len(wanted)
        until(lambda: len(wanted) > mark + 100, "some fills")  # noqa: B023
        steady._on_frame = lambda fields: None  # type: ignore[method-assign] # what comes now is lost on it
        until(lambda: len(wanted) > mark + 150, "some lost fills")  # noqa: B023
        seen |= {m.get(17) for m in list(steady.received) if m.msg_type == "8"}
        steady = relogon(live, steady)
    done.set()
    sender.join()

    def all_seen() -> bool:
        return set(wanted) <= seen | {m.get(17) for m in list(steady.received) if m.msg_type == "8"}

    until(all_seen, "every fill at the OMS", 20)
    doubles = [m.get(11) for m in broker.inbox.wire if m.msg_type == "D"]
    assert doubles == [trade.cl_ord_id]
    live.end_well()
    assert live.cli("replay", str(live.data_dir)).returncode == 0
