"""What a counterparty was sent, and what it gets when it asks for it again."""

from __future__ import annotations

from live import until

from fixgateway.sim.fields import Fields
from fixgateway.sim.peer import Peer


def first_sends(peer: Peer) -> dict[int, Fields]:
    """Application messages of the epoch by number, as they came first."""
    epoch: dict[int, Fields] = {}
    for message in list(peer.inbox.wire):
        if message.msg_type == "A" and message.seq == 1:
            epoch.clear()
        if message.msg_type not in "012345A" and message.get(43) != "Y":
            epoch[message.seq] = message
    return epoch


def ask_again(peer: Peer) -> dict[int, Fields]:
    """Ask for everything from the first message (ResendRequest 1 to 0); resent copies by number."""
    mark = len(peer.inbox.wire)
    last = peer.next_in - 1
    peer.send("2", [(7, "1"), (16, "0")])

    def covered() -> bool:
        copies = [m for m in list(peer.inbox.wire)[mark:] if m.get(43) == "Y"]
        ends = [int(m.get(36)) - 1 if m.msg_type == "4" else m.seq for m in copies]
        return bool(ends) and max(ends) >= last

    until(covered, f"everything up to {last} again")
    return {m.seq: m for m in list(peer.inbox.wire)[mark:] if m.get(43) == "Y" and m.msg_type != "4"}


def check_again(peer: Peer, *, without: str = "") -> None:
    """Everything comes again byte for byte; messages of the types ``without`` may be gap-filled instead."""
    first, again = first_sends(peer), ask_again(peer)
    assert again.keys() <= first.keys(), "something that was never sent"
    missing = [m for seq, m in first.items() if seq not in again and m.msg_type not in without]
    assert missing == []
    for seq, copy in again.items():
        assert (copy.msg_type, copy.body) == (first[seq].msg_type, first[seq].body)
        assert copy.get(122) == first[seq].get(52)
        assert copy.get(97) == first[seq].get(97)


def reset_numbers(peer: Peer) -> None:
    """Log on with ResetSeqNumFlag(141)=Y in the middle of the session, whichever side the peer is."""
    acceptor, peer._acceptor = peer._acceptor, False  # the answering Logon is not to be answered
    with peer._send_lock:
        peer._numbers.reset()
        peer.send("A", [(98, "0"), (108, "30"), (141, "Y")])
    until(lambda: peer.next_in > 1, "our Logon with 141=Y answered")
    peer._acceptor = acceptor
