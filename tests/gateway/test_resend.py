"""Golden resend: what a counterparty asks for again is byte for byte what it was sent the first time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from live import Live, cancel, order, replace, statement
from resends import ask_again, first_sends
from trading import Trade, fresh

from fixgateway.sim.fields import Fields, Pair

USER_GROUP: tuple[Pair, ...] = (
    (78, "2"),
    (79, "CLIENT-A"),
    (5751, "lot 1"),
    (80, "60"),
    (9998, "z"),
    (79, "PROP"),
    (5751, "lot 2"),
    (80, "40"),
    (9999, "after"),
    (5002, "é€"),
)
FILL_GROUP: tuple[Pair, ...] = (
    (382, "2"),
    (375, "A"),
    (7001, "first"),
    (337, "T1"),
    (375, "B"),
    (7001, "second"),
    (337, "T2"),
    (5003, "end"),
    (453, "2"),
    (448, "X"),
    (447, "D"),
    (452, "1"),
    (7002, "own"),
    (448, "Y"),
    (447, "D"),
    (452, "3"),
)


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    """A day in which the gateway sends every type of message it knows."""
    live = make_shared(
        omses={"OMS1": {"pass_allocation_ack": True}}, brokers={"BRK1": {"dont_know": True}}
    ).start()
    oms, broker = live.oms(), live.broker
    trade = Trade(live, 100)  # P, D, 8
    oms.send("D", order(fresh("G"), trade.statement_id, 100, *USER_GROUP))  # 8 of the gateway's own
    oms.expect("8", t150="8")
    more = Trade(live, 50)
    grouped = fresh("D")
    oms.send("J", statement(f"S{grouped}", (("CLIENT-A", 60), ("PROP", 40))))
    oms.expect("P", AllocID=f"S{grouped}")
    oms.send("D", order(grouped, f"S{grouped}", 100, *USER_GROUP), [(50, "trader"), (97, "Y")])
    broker.expect("D", ClOrdID=grouped)
    name = fresh("G")
    oms.send(
        "G",
        replace(
            name,
            more.cl_ord_id,
            40,
            (5001, "x"),
            (453, "1"),
            (448, "P"),
            (447, "D"),
            (452, "11"),
            (7003, "in the group"),
        ),
    )
    broker.expect("G", ClOrdID=name)
    broker.send(
        "9",
        [
            (37, f"B-{more.cl_ord_id}"),
            (11, name),
            (41, more.cl_ord_id),
            (39, "0"),
            (434, "2"),
            (102, "0"),
            (5004, "why"),
            (58, "no"),
        ],
    )
    oms.expect("9", ClOrdID=name)
    oms.send("G", replace(fresh("G"), "NOBODY", 40))
    oms.expect("9", t41="NOBODY")
    name = fresh("F")
    oms.send("F", cancel(name, more.cl_ord_id, (5001, "y"), (78, "1"), (79, "PROP"), (5751, "l"), (80, "1")))
    broker.expect("F", ClOrdID=name)
    oms.send("H", [(11, more.cl_ord_id), (55, "XYZ"), (54, "1"), (5001, "h")])
    broker.expect("H")
    oms.send("R", [(131, "Q1"), (146, "1"), (55, "XYZ")])
    oms.expect("j")
    trade.fill(100, "100.25", *FILL_GROUP)
    allocation = trade.allocation()
    trade.acknowledge(allocation, "0", (78, "2"), (79, "CLIENT-A"), (7001, "ok"), (79, "PROP"), (7001, "ok too"))
    oms.expect("AS")
    oms.expect("P", AllocID=allocation.get(70))
    more.report("F", "1", last=1, cl_ord_id="NOBODY", exec_id=fresh("UNK"))
    yield live
    live.end_well()


def compare(first: dict[int, Fields], again: dict[int, Fields]) -> None:
    """Same numbers, same types, same bodies; 43 and 122 say that they are copies."""
    assert again.keys() == first.keys()
    for seq, copy in again.items():
        assert (copy.msg_type, copy.body) == (first[seq].msg_type, first[seq].body)
        assert copy.get(122) == first[seq].get(52)
        for tag in (50, 57, 97, 115, 116, 128, 129):
            assert copy.get(tag) == first[seq].get(tag), tag


WANTED = {"OMS1": {"8", "9", "j", "P", "AS"}, "BRK1": {"D", "G", "F", "H", "J", "Q"}}


@pytest.mark.parametrize("name", ["OMS1", "BRK1"])
def test_every_type_of_message_is_resent_byte_for_byte(live: Live, name: str) -> None:
    peer = live.oms() if name == "OMS1" else live.broker
    first = first_sends(peer)
    kinds = {m.msg_type for m in first.values()}
    assert kinds >= (WANTED[name] - {"Q"})
    again = ask_again(peer)
    compare(first, again)
    assert len(ask_again(peer)) == len(again)  # and as often as it is asked for


def test_groups_with_user_tags_are_among_them(live: Live) -> None:
    bodies = [m.body for m in first_sends(live.broker).values()]
    assert any("79=CLIENT-A\x015751=lot 1\x0180=60\x019998=z\x0179=PROP" in body for body in bodies)
    assert any("5002=é€" in body for body in bodies)
    told = [m.body for m in first_sends(live.oms()).values()]
    assert any("375=A\x017001=first\x01337=T1\x01375=B\x017001=second" in body for body in told)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_resends_after_a_restart_are_the_same(make: Callable[..., Live], how: str) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100, "100.25", *FILL_GROUP)
    allocation = trade.allocation()
    trade.acknowledge(allocation)
    trade.oms.expect("AS")
    trade.oms.send("D", order(fresh("NO"), "NOPE", 1))
    trade.oms.expect("8", t150="8")
    oms, broker = first_sends(trade.oms), first_sends(trade.broker)
    if how == "stop":
        assert live.stop() == 0
    else:
        live.kill()
    live.restart()
    compare(oms, ask_again(trade.oms))
    compare(broker, ask_again(trade.broker))
    live.end_well()
