"""What was sent and not yet known to be received, for the day when FIX can no longer ask for it by number.

Theory of operation. Every message of a decision stays on a list of its session until something proves that the
counterparty has it: the answer to a TestRequest sent after it, or the answer to an order or allocation sent
after it (FIX messages are taken in the order of their numbers). The gateway asks by TestRequest when there is
something to prove. When the numbers begin at 1 again, or the machine failed, what is still on the list is *lost
sight of*: it is sent again with PossResend(97)=Y, and a D or G among it is in doubt.

All of it follows from the journal's records, so recovery comes to the same lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from fixgateway.sessions.texts import field as field_value

MAX_UNPROVEN = 100_000
"""Messages of a session kept without proof; beyond it the oldest tenth counts as received."""
PROOF_SECONDS = 5.0
"""How often a session with something to prove is sent a TestRequest."""


class Delivery(NamedTuple):
    """A message sent: its session and MsgSeqNum, decision and output index, MsgType, wire-out record."""

    session: str
    msg_seq_num: int
    decision_seq: int
    number: int
    msg_type: str
    seq: int

    @property
    def is_order(self) -> bool:
        """Whether it is a D or G, which never leaves twice."""
        return self.msg_type in ("D", "G")


Answered = Callable[[int, str], bool]
"""``answered(decision, session)``: whether the counterparty answered what the decision sent it."""


@dataclass(slots=True)
class Receipts:
    """The lists, by session, oldest first.

    ``unproven``: sent in this epoch, without proof. ``asked``: TestReqID → MsgSeqNum of our TestRequests without
    an answer. ``again``: to be sent again. ``doubtful``: D and G the engine must be told of. ``kept``: whether the
    fixgateway that wrote the records kept such lists; else nobody asked for proof, and nothing is on them.
    """

    kept: bool = False
    unproven: dict[str, list[Delivery]] = field(default_factory=dict)
    asked: dict[str, dict[str, int]] = field(default_factory=dict)
    again: dict[str, list[Delivery]] = field(default_factory=dict)
    doubtful: dict[str, list[Delivery]] = field(default_factory=dict)

    def sent(self, delivery: Delivery) -> None:
        """A message of a decision left; if it was to be sent again, it was."""
        if not self.kept:
            return
        sends = self.unproven.setdefault(delivery.session, [])
        sends.append(delivery)
        if len(sends) > MAX_UNPROVEN:
            del sends[: MAX_UNPROVEN // 10]
        waiting = self.again.get(delivery.session)
        if waiting:
            wanted = (delivery.decision_seq, delivery.number)
            at = next((at for at, x in enumerate(waiting) if (x.decision_seq, x.number) == wanted), -1)
            if at >= 0:  # the first, nearly always
                del waiting[at]

    def engine_sent(self, session: str, kind: str, text: str, msg_seq_num: int) -> None:
        """A message of the FIX engine's own left, or a TestRequest of ours."""
        if kind == "1":
            self.asked.setdefault(session, {}).setdefault(field_value(text, 112), msg_seq_num)
        elif kind == "A":
            self.asked.pop(session, None)  # what was asked before the connection ended is answered no more

    def heartbeat(self, session: str, text: str) -> None:
        """A Heartbeat came: with the TestReqID of ours it proves all that was sent before the TestRequest."""
        number = self.asked.get(session, {}).pop(field_value(text, 112), 0)
        sends = self.unproven.get(session)
        if not number or not sends:
            return
        first = next((at for at, sent in enumerate(sends) if sent.msg_seq_num > number), len(sends))
        del sends[:first]

    def to_ask(self, session: str) -> bool:
        """Whether there is something to prove and no question open."""
        return bool(self.unproven.get(session)) and not self.asked.get(session)

    def without_proof(self, session: str, answered: Answered) -> list[Delivery]:
        """What was sent on a session in this epoch and may not have been received."""
        sends = self.unproven.get(session, [])
        for at in range(len(sends) - 1, -1, -1):
            if answered(sends[at].decision_seq, session):
                return sends[at + 1 :]
        return list(sends)

    def lose_sight(self, session: str, answered: Answered) -> list[Delivery]:
        """Nothing of this epoch can be asked for any more: to be sent again (returned), or in doubt."""
        lost = self.without_proof(session, answered)
        self.unproven.pop(session, None)
        self.asked.pop(session, None)
        again = [sent for sent in lost if not sent.is_order]
        _add(self.again, session, again)
        _add(self.doubtful, session, (sent for sent in lost if sent.is_order))
        return again

    def forget(self, seq: int) -> None:
        """Messages of records up to ``seq``, which were removed after years, count as received."""
        for table in (self.unproven, self.again, self.doubtful):
            for session, sends in table.items():
                table[session] = [sent for sent in sends if sent.seq > seq]

    def doubt(self, session: str, answered: Answered) -> None:
        """The gateway crashed: the D and G without proof are in doubt; all else can still be asked for."""
        lost = self.without_proof(session, answered)
        _add(self.doubtful, session, (sent for sent in lost if sent.is_order))


def _add(table: dict[str, list[Delivery]], session: str, more: Iterable[Delivery]) -> None:
    """Merge into a session's list, in the order of the decisions; nothing twice."""
    found = {(sent.decision_seq, sent.number): sent for sent in (*table.get(session, ()), *more)}
    if found:
        table[session] = [found[key] for key in sorted(found)]
