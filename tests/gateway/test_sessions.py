"""Sessions that come and go: broker down, OMS down, logout in the middle, administration, the stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from live import HOST, SOH, Live, order, report, statement, until
from trading import LINES, Trade, fresh

from fixgateway.errors import CounterpartyError
from fixgateway.journal.records import Kind
from fixgateway.sim.fields import Fields
from fixgateway.sim.peer import Peer

BIG = (("CLIENT-A", 600_000), ("PROP", 400_000))


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    live = make_shared(omses={"OMS1": {}, "OMS2": {}}).start()
    live.oms("OMS1")
    yield live
    live.end_well()


@pytest.fixture(autouse=True)
def _up(live: Live) -> None:
    """Every test begins with all sessions logged on."""
    until(lambda: live.http.get("/readyz").status_code == 200, "ready")
    for peer in live.omses.values():
        if not peer.logged_on:
            peer.reconnect()


def rejoin(live: Live, name: str = "BRK1") -> Peer:
    """The broker comes back as the counterparty it was."""
    peer = live.brokers[name]
    peer.wait_logon(10)
    until(lambda: live.http.get("/readyz").status_code == 200, "ready again")
    return peer


class Gone:
    """The broker's side is away while the block runs: connections are refused, the session is kept."""

    def __init__(self, live: Live) -> None:
        self.live, self.peer = live, live.broker

    def __enter__(self) -> Peer:
        self.peer.mute = True  # an acceptor that answers no Logon is as good as none
        self.peer.drop()
        until(lambda: self.live.http.get("/readyz").status_code == 503, "not ready")
        return self.peer

    def __exit__(self, *_exc: object) -> None:
        self.peer.mute = False
        self.peer.drop()
        rejoin(self.live)


# ---------------------------------------------------------------- broker down


def test_an_order_for_a_broker_that_is_down_is_refused_at_once_and_never_sent_later(live: Live) -> None:
    oms, name = live.oms(), fresh("DOWN")
    trade = Trade(live, 10)
    with Gone(live) as broker:
        assert live.http.get("/readyz").text.strip() == "not ready: broker BRK1 is not logged on"
        live.wait_metric(0, "fixgateway_session_up", session="BRK1")
        oms.send("D", order(name, trade.statement_id, 10))
        told = oms.expect("8", 2, ClOrdID=name)
        assert (told.get(150), told.get(103), told.get(58)[:6]) == ("8", "2", "GW-402")
    broker.expect_none("D", 0.5, ClOrdID=name)
    assert live.http.get("/healthz").status_code == 200


def test_statements_are_taken_while_the_broker_is_down(live: Live) -> None:
    oms, name = live.oms(), fresh("ST")
    with Gone(live):
        oms.send("J", statement(name, LINES))
        assert oms.expect("P", AllocID=name).get(87) == "0"
    oms.send("D", order(fresh("OR"), name, 10))
    live.broker.expect("D", t70=name)


def test_a_cancel_and_an_allocation_wait_for_the_broker_and_go_at_logon(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(50)
    cancel_id = fresh("F")
    other = Trade(live, 100)
    with Gone(live) as broker:
        trade.oms.send(
            "F", [(11, cancel_id), (41, other.cl_ord_id), (55, "XYZ"), (54, "1"), (60, "20260101-00:00:00")]
        )
        live.command("statement", "close", trade.statement_id, "--reason", "down", "--actor", "desk")
        broker.expect_none("J", 0.2)
    assert broker.expect("F", ClOrdID=cancel_id).get(41) == other.cl_ord_id
    assert trade.allocation().get(53) == "50"
    broker.expect_none("J", 0.2, t11=trade.cl_ord_id)
    assert len([m for m in live.sent("BRK1", "J") if m.get(11) == trade.cl_ord_id]) == 1


def test_fills_wait_for_the_oms_and_go_at_its_logon(live: Live) -> None:
    trade = Trade(live, 100)
    assert trade.oms.logout()
    exec_ids = [fresh("EX") for _ in range(3)]
    for exec_id in exec_ids:
        trade.cum += 10
        trade.broker.send(
            "8",
            report(
                trade.cl_ord_id, exec_id, "F", "1", quantity=100, cum=trade.cum, leaves=100 - trade.cum, last=10
            ),
        )
    until(lambda: len(live.rows("SELECT 1 FROM executions WHERE exec_id IN (?, ?, ?)", *exec_ids)) == 3, "taken")
    trade.oms.reconnect()
    for exec_id in exec_ids:
        assert trade.oms.expect("8", ExecID=exec_id).get(43) in ("", "N")


def longer(orders: list[str], than: int) -> bool:
    """Whether more than so many were sent."""
    return len(orders) > than


def refused_after(oms: Peer, mark: Fields) -> bool:
    """Whether the OMS was told of an order that did not go, after ``mark``."""
    recent = list(oms.received)[-500:]
    later = recent[recent.index(mark) + 1 :] if mark in recent else recent
    return any(m.get(150) == "8" and m.get(103) == "2" for m in later)


def test_a_broker_that_leaves_in_the_middle_of_a_burst_gets_no_order_later(live: Live) -> None:
    """Every order either reached the broker or was refused; none of the refused goes live when it is back."""
    oms, broker, name = live.oms(), live.broker, fresh("ST")
    oms.send("J", statement(name, BIG))
    assert oms.expect("P", AllocID=name).get(87) == "0"
    orders: list[str] = []

    def fire(going: threading.Event) -> None:
        while going.is_set():
            orders.append(fresh("BURST"))
            oms.send("D", order(orders[-1], name, 1))
            time.sleep(0.0003)

    for leave in (broker.logout, broker.logout, broker.logout, broker.drop):
        going, enough, mark = threading.Event(), len(orders) + 200, oms.received[-1]
        going.set()
        sender = threading.Thread(target=fire, args=(going,))
        sender.start()
        until(partial(longer, orders, enough), "some orders")
        leave()
        until(partial(refused_after, oms, mark), "orders refused while it is away")
        going.clear()
        sender.join()
        rejoin(live)

    def settled() -> tuple[set[str], set[str]]:
        at_broker = {m.get(11) for m in list(broker.received) if m.msg_type == "D"} & set(orders)
        told = {m.get(11) for m in list(oms.received) if m.msg_type == "8" and m.get(150) == "8"} & set(orders)
        return at_broker, told

    until(lambda: len(set.union(*settled())) == len(orders), "every order accounted for", 15)
    at_broker, told = settled()
    assert at_broker & told == set()
    assert told, "the broker left before the end of the burst"
    reasons = {m.get(58)[:6] for m in oms.received if m.get(11) in told and m.get(150) == "8"}
    assert reasons <= {"GW-402", "GW-405"}
    assert {m.get(103) for m in oms.received if m.get(11) in told and m.get(150) == "8"} == {"2"}
    broker.wait_down(1.0)  # nothing happens meanwhile: what was refused does not go live later
    first_sends = [m.get(11) for m in broker.inbox.wire if m.msg_type == "D" and m.get(43) != "Y"]
    assert len(first_sends) == len(set(first_sends)), "an order was sent twice"
    leaving = False
    for message in live.sent("BRK1"):  # behind our own Logout the peer listens no more: it would come by resend
        leaving = message.msg_type == "5" or (leaving and message.msg_type != "A")
        assert not (leaving and message.msg_type == "D"), f"sent after our Logout: {message!r}"


# ---------------------------------------------------------------- OMS sessions


def test_messages_missed_behind_a_gap_are_asked_for_and_taken_once(live: Live) -> None:
    oms, trade = live.oms(), Trade(live, 10)
    oms.next_out += 5  # five numbers that never were
    name = fresh("GAP")
    oms.send("D", order(name, trade.statement_id, 10))
    live.broker.expect("D", ClOrdID=name)
    live.broker.expect_none("D", 0.2, ClOrdID=name)


def test_an_order_resent_with_43_under_a_number_already_taken_is_ignored(live: Live) -> None:
    oms, trade = live.oms(), Trade(live, 10)
    name = fresh("DUP")
    seq = oms.send("D", order(name, trade.statement_id, 10))
    live.broker.expect("D", ClOrdID=name)
    body = order(name, trade.statement_id, 10)
    oms.send_raw(oms.frame("D", body, seq=seq, header=[(43, "Y"), (122, "20261122-00:00:00")]))
    live.broker.expect_none("D", 0.3, ClOrdID=name)
    oms.expect_none("8", 0.1, ClOrdID=name)


def test_an_oms_that_resets_its_numbers_goes_on_with_its_statements(live: Live) -> None:
    peer = Peer.connect(HOST, live.fix_port, "OMS2", "FIXGW", reset_seq_num=True)
    live.omses["OMS2"] = peer
    try:
        trade = Trade(live, 10, oms="OMS2")
        for _ in range(2):
            peer.logout()
            peer.reconnect()  # with 141=Y again: both sides at 1
            assert peer.next_out < 4
            name = fresh("RESET")
            peer.send("D", order(name, trade.statement_id, 1))
            live.broker.expect("D", ClOrdID=name)
        resets = [r for r in live.records(Kind.EVENT, session="OMS2") if r.payload.startswith(b"reset")]
        assert len(resets) >= 2
    finally:
        peer.close()
        del live.omses["OMS2"]


# ---------------------------------------------------------------- administration


def session(live: Live, name: str) -> dict[str, object]:
    """One session as the command line lists it."""
    return next(row for row in live.command("session", "list") if row["name"] == name)


def test_logout_tells_why_and_the_session_comes_back(live: Live) -> None:
    broker = live.broker
    logons = sum(m.msg_type == "A" for m in broker.received)
    live.command("session", "logout", "BRK1", "--actor", "ops")
    broker.expect("5", Text="logged out by ops")
    until(lambda: sum(m.msg_type == "A" for m in list(broker.received)) > logons, "a new logon", 10)
    until(lambda: session(live, "BRK1")["up"], "up again")


def test_a_disabled_session_stays_out_until_it_is_enabled(live: Live) -> None:
    oms = live.oms()
    live.command("session", "disable", "OMS1", "--actor", "ops")
    assert oms.wait_down(5)
    row = session(live, "OMS1")
    assert (row["up"], row["enabled"]) == (False, False)
    with pytest.raises(CounterpartyError):
        oms.reconnect(2)
    live.command("session", "enable", "OMS1", "--actor", "ops")
    until(lambda: _logs_on(oms), "logged on again")
    name, trade = fresh("OR"), Trade(live, 10)
    oms.send("D", order(name, trade.statement_id, 1))
    live.broker.expect("D", ClOrdID=name)


def _logs_on(peer: Peer) -> bool:
    try:
        peer.reconnect(2)
    except CounterpartyError:
        return False
    return True


def test_sequence_numbers_are_set_only_while_the_session_is_down(live: Live) -> None:
    oms = live.oms()
    done = live.cli("session", "seq", "OMS1", "--next-sender", "5000", "-c", str(live.config))
    assert done.returncode == 2
    assert "fixgateway session disable" in done.stderr
    live.command("session", "disable", "OMS1", "--actor", "ops")
    assert oms.wait_down(5)
    before = int(str(session(live, "OMS1")["next_sender"]))
    live.command("session", "seq", "OMS1", "--next-sender", str(before + 100), "--actor", "ops")
    assert session(live, "OMS1")["next_sender"] == before + 100
    live.command("session", "enable", "OMS1", "--actor", "ops")
    until(lambda: _logs_on(oms), "logged on again")
    until(lambda: oms.next_in > before + 100, "the hundred are gap-filled")
    trade = Trade(live, 10)
    trade.fill(10)
    assert live.journal_has('"reason":"seq next_sender', Kind.CONTROL)


def test_an_unknown_session_or_target_is_named(live: Live) -> None:
    for words in (("session", "logout", "NOBODY"), ("orders", "halt", "NOBODY", "--reason", "x")):
        done = live.cli(*words, "-c", str(live.config))
        assert done.returncode in (1, 2), words
        assert "NOBODY" in done.stderr


@pytest.mark.parametrize("target", ["all", "OMS1", "BRK1"])
def test_halted_orders_are_refused_and_resumed_orders_pass(live: Live, target: str) -> None:
    trade = Trade(live, 10)
    live.command("orders", "halt", target, "--reason", "fat finger", "--actor", "ops")
    name = fresh("HALT")
    trade.oms.send("D", order(name, trade.statement_id, 1))
    told = trade.oms.expect("8", ClOrdID=name)
    assert (told.get(150), told.get(103), told.get(58)[:6]) == ("8", "99", "GW-501")
    until(lambda: live.http.get("/readyz").text.strip() == f"not ready: orders are halted for {target}", "said")
    live.wait_metric(1, "fixgateway_orders_halted", target=target)
    trade.fill(10)  # fills flow
    live.command("orders", "resume", target, "--reason", "ok", "--actor", "ops")
    name = fresh("HALT")
    trade.oms.send("D", order(name, trade.statement_id, 1))
    live.broker.expect("D", ClOrdID=name)
    live.wait_metric(0, "fixgateway_orders_halted", target=target)
    until(lambda: live.http.get("/readyz").status_code == 200, "ready")


# ---------------------------------------------------------------- stopping


def test_a_stop_under_load_is_clean_and_keeps_the_late_fills(make: Callable[..., Live]) -> None:
    """SIGTERM while orders pour in: exit 0, every order accounted for, a fill sent at the Logout journaled."""
    live = make().start()
    oms, broker = live.oms(), live.broker
    trade = Trade(live, 100, lines=BIG)
    late: list[str] = []

    def on_wire(direction: str, what: Fields | str) -> None:
        if direction == "in" and isinstance(what, Fields) and what.msg_type == "5" and not late:
            for _ in range(3):
                late.append(fresh("LATE"))
                broker.send(
                    "8",
                    report(
                        trade.cl_ord_id,
                        late[-1],
                        "F",
                        "1",
                        quantity=100,
                        cum=10 * len(late),
                        leaves=100 - 10 * len(late),
                        last=10,
                    ),
                )

    broker._on_wire = on_wire
    running = threading.Event()
    running.set()
    sent: list[str] = []

    def fire() -> None:
        while running.is_set() and oms.logged_on:
            name = fresh("LOAD")
            try:
                oms.send("D", order(name, trade.statement_id, 1))
            except CounterpartyError:
                return
            sent.append(name)

    sender = threading.Thread(target=fire)
    sender.start()
    until(lambda: len(sent) > 300, "some load")
    status = live.stop()
    running.clear()
    sender.join()
    assert status == 0, live.tail()
    live.check_journal()
    assert len(late) == 3
    for exec_id in late:
        assert live.journal_has(f"17={exec_id}{SOH}", Kind.SEEN)
    assert [r.kind for r in live.records()][-1] is Kind.STOP
    live.restart()
    for exec_id in late:
        assert oms.expect("8", 10, ExecID=exec_id).get(32) == "10"

    def settled() -> set[str]:
        at_broker = {m.get(11) for m in list(broker.received) if m.msg_type == "D"}
        told = {m.get(11) for m in list(oms.received) if m.msg_type == "8" and m.get(150) == "8"}
        assert not at_broker & told
        return at_broker | told

    until(lambda: set(sent) <= settled(), "every order accounted for", 20)
    doubles = [m.get(11) for m in broker.received if m.msg_type == "D"]
    assert len(doubles) == len(set(doubles))
    live.end_well()


def test_sequence_numbers_go_on_after_a_restart(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(10)
    before = {name: (peer.next_out, peer.next_in) for name, peer in (("O", trade.oms), ("B", trade.broker))}
    assert live.stop() == 0
    live.restart()
    trade.fill(10)
    for name, peer in (("O", trade.oms), ("B", trade.broker)):
        assert peer.next_out > before[name][0]
        assert peer.next_in > before[name][1]
        logons = [m for m in peer.received if m.msg_type == "A"]
        assert len(logons) == 2
        assert {m.get(141) for m in logons} == {""}
    assert not [r for r in live.records(Kind.EVENT) if r.payload.startswith(b"reset")]
    rows = {row["name"]: row for row in live.command("session", "list")}
    assert rows["OMS1"]["next_target"] == trade.oms.next_out
    assert rows["BRK1"]["next_sender"] == trade.broker.next_in
    live.end_well()
