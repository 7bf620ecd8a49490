"""Busy neighbours and silent brokers: idle sessions stay up, unanswered orders are bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from live import Live, order, report, statement, until
from trading import LINES, fresh

from fixgateway.sim.fields import Fields
from fixgateway.sim.peer import Peer

BIG = (("CLIENT-A", 60_000_000), ("PROP", 40_000_000))


class Taken:
    """Counts the orders and the ends of a peer's session; ``received`` is bounded and slow to search."""

    def __init__(self, peer: Peer) -> None:
        self.orders = 0
        self.ends: list[str] = []
        peer._on_wire = self._on_wire

    def _on_wire(self, way: str, what: Fields | str) -> None:
        if isinstance(what, Fields):
            self.orders += way == "in" and what.msg_type == "D"
        else:
            self.ends.append(what)


def registered(live: Live, lines: tuple[tuple[str, int], ...] = LINES) -> str:
    """A new statement of OMS1."""
    name = fresh("ST")
    live.oms().send("J", statement(name, lines))
    assert live.oms().expect("P", AllocID=name).get(87) == "0"
    return name


# ---------------------------------------------------------------- idle beside busy


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.full)])
def test_an_idle_session_stays_up_beside_a_busy_one(make: Callable[..., Live], seconds: int) -> None:
    """HeartBtInt=2 and silent, while another OMS sends 5 a second and then as fast as it can."""
    live = make(omses={"OMS1": {}, "OMS2": {}}, brokers={"BRK1": {"heart_bt_int": 2}}).start()
    name = registered(live, BIG)
    busy, idle = live.oms("OMS1"), live.oms("OMS2", 2)
    taken, quiet = Taken(live.broker), Taken(idle)
    half, count = time.monotonic() + seconds / 2, 0
    end = time.monotonic() + seconds
    while time.monotonic() < half:
        busy.send("D", order(f"SLOW{count}", name, 1))
        count += 1
        time.sleep(0.2)
    in_slow_half = sum(m.msg_type == "0" for m in idle.received)
    while time.monotonic() < end:
        busy.send("D", order(f"FAST{count}", name, 1))
        count += 1
    until(lambda: taken.orders >= count, f"{count} orders at the broker", 90)
    beats = [m for m in idle.received if m.msg_type == "0"]
    assert (quiet.ends, taken.ends) == ([], [])
    assert idle.logged_on
    assert in_slow_half >= seconds / 2 / 2 - 2
    assert len(beats) - in_slow_half >= seconds / 2 / 2 - 2
    assert sum(m.msg_type == "A" for m in idle.received) == 1
    idle.send("D", order("IDLE", "NOPE", 1))
    assert idle.expect("8", ClOrdID="IDLE").get(58).startswith("GW-101 ")
    live.end_well()


# ---------------------------------------------------------------- a silent broker


def test_beyond_the_cap_of_unanswered_orders_a_new_one_is_refused(make: Callable[..., Live]) -> None:
    live = make(brokers={"BRK1": {"max_unacked_orders": 3}}).start()
    oms, broker, name = live.oms(), live.broker, registered(live)
    sent = [fresh("OR") for _ in range(3)]
    for cl_ord_id in sent:
        oms.send("D", order(cl_ord_id, name, 10))
        broker.expect("D", ClOrdID=cl_ord_id)
    over = fresh("OR")
    oms.send("D", order(over, name, 10))
    told = oms.expect("8", ClOrdID=over)
    assert (told.get(150), told.get(103)) == ("8", "99")
    assert told.get(58) == "GW-403 BRK1 has 3 unacknowledged orders"
    until(lambda: live.metric("fixgateway_unacked_orders", broker="BRK1") == 3, "the gauge")
    oms.send("F", [(11, fresh("F")), (41, sent[1]), (55, "XYZ"), (54, "1"), (60, "20260101-00:00:00")])
    broker.expect("F", t41=sent[1])  # a cancel passes
    broker.send("8", report(sent[1], fresh("EX"), "0", "0", quantity=10, leaves=10))
    oms.expect("8", ClOrdID=sent[1])
    after = fresh("OR")
    oms.send("D", order(after, name, 10))
    broker.expect("D", ClOrdID=after)
    live.end_well()


def test_an_order_unanswered_too_long_cuts_the_session_and_is_in_doubt(make: Callable[..., Live]) -> None:
    live = make(brokers={"BRK1": {"max_unacked_seconds": 2}}).start()
    oms, broker, name = live.oms(), live.broker, registered(live)
    answered, silent = fresh("OR"), fresh("OR")
    oms.send("D", order(answered, name, 10))
    broker.expect("D", ClOrdID=answered)
    broker.send("8", report(answered, fresh("EX"), "0", "0", quantity=10, leaves=10))
    oms.send("D", order(silent, name, 90))
    sent = broker.expect("D", ClOrdID=silent)
    assert "1 orders unanswered for more than 2 seconds" in broker.expect("5", 8).get(58)
    until(lambda: live.metric("fixgateway_alerts_total", reason="GW-403", severity="critical") == 1, "the alert")
    assert live.rows("SELECT reason, subject FROM exceptions") == [("GW-809", silent)]
    assert live.rows("SELECT in_doubt FROM orders WHERE cl_ord_id = ?", silent) == [(1,)]
    broker.drop()
    broker.next_in = sent.seq  # the broker says it never got it
    broker.wait_down(2)
    until(lambda: broker.logged_on and broker.next_in > sent.seq, "back, the gap filled")
    until(lambda: live.http.get("/readyz").status_code == 200, "ready")
    assert sum(m.get(11) == silent for m in broker.inbox.wire) == 1, "the order in doubt was sent again"
    more = fresh("OR")
    oms.send("D", order(more, name, 1))
    assert oms.expect("8", ClOrdID=more).get(58).startswith("GW-203 "), "its quantity stays committed"
    broker.send("8", report(silent, fresh("EX"), "F", "2", quantity=90, cum=90, last=90))
    assert oms.expect("8", ClOrdID=silent).get(32) == "90"
    assert live.rows("SELECT in_doubt, cum_qty FROM orders WHERE cl_ord_id = ?", silent) == [(0, "90")]
    live.end_well()


# ---------------------------------------------------------------- waiting too long


def test_an_order_resent_long_after_it_was_made_is_refused(make: Callable[..., Live]) -> None:
    live = make(tables={"limits": {"resend_seconds": 1}}).start()
    oms, name = live.oms(keep_when_down=True), registered(live)
    oms.logout()
    old = fresh("OLD")
    oms.send("D", order(old, name, 10))  # kept; the gateway will ask for it
    time.sleep(2.2)
    oms.reconnect()
    fresh_one = fresh("OR")
    oms.send("D", order(fresh_one, name, 10))
    told = oms.expect("8", ClOrdID=old)
    assert (told.get(150), told.get(103), told.get(58)[:6]) == ("8", "8", "GW-310")
    live.broker.expect("D", ClOrdID=fresh_one)
    assert not any(m.get(11) == old for m in live.broker.received)
    live.end_well()


def test_many_oms_at_once_are_served_in_order(make: Callable[..., Live]) -> None:
    """Four sessions firing together: every order reaches the broker, each session's in its own order."""
    names = [f"OMS{n}" for n in range(1, 5)]
    live = make(omses={name: {} for name in names}).start()
    for name in names:
        live.oms(name).send("J", statement(f"S-{name}", BIG))
        assert live.oms(name).expect("P").get(87) == "0"
    each = 500

    def fire(name: str) -> None:
        for number in range(each):
            live.oms(name).send("D", order(f"{name}-{number}", f"S-{name}", 1))

    threads = [threading.Thread(target=fire, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(
        lambda: sum(m.msg_type == "D" for m in list(live.broker.received)) == each * len(names), "all of them", 30
    )
    got = [m.get(11) for m in live.broker.received if m.msg_type == "D"]
    for name in names:
        assert [c for c in got if c.startswith(f"{name}-")] == [f"{name}-{number}" for number in range(each)]
    live.end_well()
