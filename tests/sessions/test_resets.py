"""A reset of the numbers is durable before its Logon is answered: over TCP, with a disk that does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from rawpeer import SOH, RawBroker, RawPeer, field
from test_relay import OMS, ORDER, Start, Trio, broker_config, fields

RESET = fields("98=0|108=30|141=Y|")
HELD_SECONDS = 0.3
"""How long a disk does not answer; without waiting for it the answer takes some milliseconds."""


def oms_at_logon(start_host: Start, **config: Any) -> tuple[Any, RawPeer]:
    """An OMS comes back and begins at 1 again."""
    trio = Trio(start_host, **config)
    trio.oms.logout()
    trio.host.wait(item="SessionEvent", session="OMS1", kind="down")
    trio.host.do("disk", answers=False)
    peer = RawPeer.connect(trio.host.port, "OMS1")
    peer.send("A", RESET)
    return trio.host, peer


def in_session(name: str) -> Callable[..., tuple[Any, RawPeer]]:
    def begin(start_host: Start, **config: Any) -> tuple[Any, RawPeer]:
        trio = Trio(start_host, **config)
        peer = trio.oms if name == "OMS1" else trio.broker
        trio.host.do("disk", answers=False)
        peer.messages.clear()
        peer.next_out = 1
        peer.send("A", RESET)
        return trio.host, peer

    return begin


def broker_at_logon(start_host: Start, **config: Any) -> tuple[Any, RawPeer]:
    """A broker answers our Logon with a reset that nobody asked for."""
    listening = RawBroker("BRK1")
    host = start_host(broker=[broker_config(listening)], **config)
    sock, _ = listening.server.accept()
    peer = RawPeer(sock, "BRK1")
    assert field(peer.expect_type("A")[0], 141) == ""
    host.do("disk", answers=False)
    peer.messages.clear()
    peer.send("A", RESET)
    return host, peer


WAYS = {
    "an OMS at its logon": oms_at_logon,
    "an OMS in its session": in_session("OMS1"),
    "a broker in its session": in_session("BRK1"),
    "a broker at our logon": broker_at_logon,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_reset_is_not_answered_before_it_is_durable(start_host: Start, way: str) -> None:
    host, peer = WAYS[way](start_host)
    host.wait(item="Barrier")
    kinds = [i.get("kind") or i["item"] for i in host.items]
    assert "reset" in kinds[: kinds.index("Barrier")], "the barrier is behind the reset"
    time.sleep(HELD_SECONDS)
    assert peer.messages == []
    host.do("disk", answers=True)
    answer = peer.expect_type("A")[0]
    assert (field(answer, 34), field(answer, 141)) == ("1", "Y")
    host.wait(item="Outgoing", session=peer.comp_id, text=lambda text: f"{SOH}141=Y{SOH}" in text)
    kinds = [i.get("kind") or i["item"] for i in host.items if i["session"] == peer.comp_id]
    after = kinds[len(kinds) - kinds[::-1].index("Barrier") :]
    assert [kind for kind in after if kind in ("Accepted", "Outgoing", "reset")] == ["Accepted", "Outgoing"]


@pytest.mark.parametrize("way", WAYS)
def test_a_reset_that_is_not_durable_in_time_has_no_answer_and_is_asked_for_again(
    start_host: Start, way: str
) -> None:
    """No Logout either: it would be number 1 of numbers that the next start may not know of."""
    host, peer = WAYS[way](start_host, reset_seconds=0.2)
    peer.wait_closed()
    assert peer.messages == []
    host.do("disk", answers=True)
    alert = host.wait(item="SessionEvent", text=lambda text: "its Logon is not answered" in text)
    assert alert[0]["session"] == peer.comp_id
    accepted = [item["text"] for item in host.items if item["item"] == "Accepted"]
    assert not [text for text in accepted if field(text, 141) == "Y"]
    if peer.comp_id == "OMS1":
        again = RawPeer.connect(host.port, "OMS1")
        again.send("A", RESET)
        assert field(again.expect_type("A")[0], 34) == "1"
        again.send("D", ORDER)
        host.wait(item="Accepted", session="OMS1", admin=False, number=2)
    assert host.do("failed") == ""


def test_a_session_that_did_not_reset_waits_for_nothing(start_host: Start) -> None:
    host = start_host(oms=[OMS], reset_seconds=0.2)
    host.do("disk", answers=False)
    RawPeer.connect(host.port, "OMS1").logon()
    host.wait_up("OMS1")
    assert not [i for i in host.items if i["item"] == "Barrier"]


@pytest.mark.parametrize("way", ["an OMS in its session", "a broker in its session"])
def test_whoever_sends_on_a_session_is_not_held_up_while_its_reset_waits(start_host: Start, way: str) -> None:
    """The engine holds no lock of the session then: else the pump, sending, would wait for who waits for it."""
    host, peer = WAYS[way](start_host)
    host.wait(item="Barrier")
    text = f"8=FIX.4.4{SOH}9=5{SOH}35=0{SOH}10=161{SOH}"
    assert host.do("engine_send", session=peer.comp_id, text=text) is True
    assert host.do("send", session=peer.comp_id, msg_type="B", body=fields("148=x|33=0|")) is False
    host.do("disk", answers=True)
    peer.expect_type("A")


def test_resets_in_a_busy_session_are_all_answered(start_host: Start) -> None:
    """Reports go out on the session as fast as they come in from the broker, while it resets again and again."""
    trio = Trio(start_host, verbose=False)
    report = fields("37=1|11=C1|17=1|150=0|39=0|55=XYZ|54=1|151=1|14=0|6=0|")
    for count in range(1, 21):
        for _ in range(100):
            trio.broker.send("8", report)
        trio.oms.next_out = 1
        trio.oms.send("A", RESET)
        trio.oms.expect(lambda text: field(text, 35) == "A" and field(text, 141) == "Y", count=count)
        trio.oms.send("D", ORDER)
    trio.broker.expect_type("D", count=20)
    assert trio.host.do("failed") == ""
    assert not [i for i in trio.host.items if "not answered" in i.get("text", "")]
