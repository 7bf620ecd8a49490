"""Between the journal's texts and the core's values, for every counterparty.

The live pump and recovery use the same :class:`Translator`, so an input means the same at both times: what a
text becomes depends on the text, the two clock readings in the journal and the configuration only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeGuard

from fixgateway.core import outputs
from fixgateway.core.inputs import (
    Confirmation,
    Input,
    NewOrder,
    ReplaceOrder,
    ReportedAllocation,
    SubmitStatement,
    Unsupported,
)
from fixgateway.core.outputs import Output
from fixgateway.errors import WireError
from fixgateway.wire import inward, outward
from fixgateway.wire.message import Message, intact, parse
from fixgateway.wire.outward import Buildable, Built
from fixgateway.wire.versions import Version

REJECTS = frozenset({"3", "j"})
"""Refusals of something we sent; they are never answered, by whichever side."""


@dataclass(frozen=True, slots=True)
class Counterparty:
    """What translating needs to know of one session. ``role`` is ``oms`` or ``broker``."""

    name: str
    role: str
    version: Version
    match_keys: tuple[str, ...] = ()
    on_behalf_of: bool = False


class Translator:
    """Texts to inputs, outputs to texts.

    Args:
        parties: every configured counterparty by name.
        resolve: the decision that sent message N on a session (the journal's wire index).
        max_queue_seconds: an order that waited longer between socket and pump is refused.
    """

    def __init__(
        self,
        parties: Mapping[str, Counterparty],
        resolve: Callable[[str, int], int | None],
        max_queue_seconds: int,
    ) -> None:
        self._parties = parties
        self._resolve = resolve
        self._max_queue_ns = max_queue_seconds * 1_000_000_000
        self._max_queue_seconds = max_queue_seconds

    def accepted(
        self, session: str, text: str, seq: int, ts_ns: int, seen_ns: int, msg_seq_num: int, seed: str
    ) -> tuple[Input, Message]:
        """What an accepted message means.

        Args:
            session: who sent it. text: FIX text as read.
            seq, ts_ns: its ``accepted`` record. seen_ns: the clock when its text was read.
            msg_seq_num: MsgSeqNum(34). seed: hex, for a statement.
        """
        party = self._parties[session]
        message = parse(text)
        if party.role == "broker" or message.msg_type in REJECTS:
            given: Input = inward.from_broker(
                message, party.version, session, seq, ts_ns, msg_seq_num, self._resolve
            )
        else:
            given = inward.from_oms(
                message, party.version, party.match_keys, session, seq, ts_ns, msg_seq_num, seed
            )
            waited = ts_ns - seen_ns > self._max_queue_ns
            if waited and isinstance(given, NewOrder | ReplaceOrder) and not given.defect:
                words = f"GW-310 waited more than {self._max_queue_seconds} seconds in the gateway"
                given = replace(given, defect=words)
        return given, message

    def refused(
        self, session: str, text: str, seq: int, ts_ns: int, why: str
    ) -> tuple[Input | None, Message | None]:
        """What a message means that the FIX engine itself refused: its raw text is all there is.

        A garbled one means nothing: FIX has it sent again. Of a broker everything whole is taken. An OMS that
        the engine answered has its answer; what the engine could not read and said nothing of is refused here.
        """
        try:
            message = parse(text)
        except WireError:
            return None, None
        party = self._parties[session]
        answered = why.startswith("35=")
        if not intact(text) or (party.role == "oms" and answered):
            return None, message
        number = first_number(message)
        if message.msg_type in REJECTS or (party.role == "broker" and message.msg_type != "8"):
            given: Input = inward.from_broker(message, party.version, session, seq, ts_ns, number, self._resolve)
            return (None if isinstance(given, _UNANSWERED) else given), message
        if party.role == "broker":
            return inward.from_refused(message, party.version, session, seq, ts_ns, why), message
        given = inward.from_oms(message, party.version, party.match_keys, session, seq, ts_ns, number, "")
        return unreadable(given), message

    def knows(self, session: str) -> bool:
        """Whether the counterparty is configured."""
        return session in self._parties

    def role(self, session: str) -> str:
        """``oms`` or ``broker``."""
        return self._parties[session].role

    def build(self, output: Buildable, ts_ns: int, source: Message | None) -> Built:
        """The FIX message of a send. ``ts_ns`` is the input's clock reading, so the text is reproducible."""
        party = self._parties[destination(output)]
        on_behalf_of = party.on_behalf_of
        if isinstance(output, outputs.PassToOms):
            on_behalf_of = self._parties[output.broker].on_behalf_of
        return outward.build(output, party.version, ts_ns, source, on_behalf_of=on_behalf_of)


_UNANSWERED = (Unsupported, ReportedAllocation, Confirmation)
"""What of a broker's the engine has refused already; a second answer would contradict the first."""

_DESTINATION: dict[type, Callable[..., str]] = {
    outputs.ForwardToBroker: attrgetter("broker"),
    outputs.PassToOms: attrgetter("oms"),
    outputs.SendReport: attrgetter("session"),
    outputs.SendCancelReject: attrgetter("session"),
    outputs.SendBusinessReject: attrgetter("session"),
    outputs.SendStatementAck: attrgetter("session"),
    outputs.SendAllocation: attrgetter("allocation.broker"),
    outputs.SendAllocationReport: attrgetter("session"),
    outputs.SendReportAck: attrgetter("session"),
    outputs.SendConfirmationAck: attrgetter("session"),
    outputs.SendConfirmationRequest: attrgetter("session"),
    outputs.SendDontKnow: attrgetter("session"),
}


def unreadable(given: Input) -> Input:
    """An OMS's message with the reason why it can only be refused, unless one was found already."""
    words = "the FIX engine could not read the message"
    if isinstance(given, NewOrder | ReplaceOrder):
        return given if given.defect else replace(given, defect=f"GW-309 {words}")
    if isinstance(given, SubmitStatement):
        return replace(given, draft=replace(given.draft, defects=(*given.draft.defects, words)))
    return given


def first_number(message: Message) -> int:
    """MsgSeqNum(34) of a message, 0 when it is none."""
    value = message.header.get("34", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0


def is_message(output: Output) -> TypeGuard[Buildable]:
    """Whether an output is a FIX message to send."""
    return type(output) in _DESTINATION


def destination(output: Buildable) -> str:
    """The session a send goes to."""
    return _DESTINATION[type(output)](output)
