"""Sending what was decided: at once, later, or never.

A message goes to the FIX engine of a session that is logged on. A D or G that cannot go at once is given back
as not sent, hence refused to the OMS; everything else waits in the session's outbox and goes, in order, when
the session is up again. A body that the engine cannot carry is given back too: it would never go. What may
have been received before leaves with PossResend(97)=Y.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from fixgateway.core.outputs import SendAllocation
from fixgateway.errors import JournalError, WireError
from fixgateway.journal.index import WireIndex
from fixgateway.monitor.metrics import Metrics
from fixgateway.receipts import PROOF_SECONDS, Delivery, Receipts
from fixgateway.recovery import Pending
from fixgateway.translate import Translator
from fixgateway.wire.message import parse
from fixgateway.wire.outward import Built

MAX_OUTBOX = 100_000
"""Messages that may wait for one session; beyond it the oldest is left to recovery, with an error in the log."""

Waiting = Pending | Delivery
"""What waits: a message decided and not sent, or one that is sent again."""

_CARRIED = ("50", "57", "115", "116", "128", "129", "347")
"""Header fields of a message that it keeps when it is sent again."""
_POSS_RESEND = (97, "Y")


class Line(Protocol):
    """What sending needs of the sessions room."""

    def send(
        self,
        session: str,
        msg_type: str,
        body: str,
        header: tuple[tuple[int, str], ...],
        decision_seq: int,
        index: int,
    ) -> bool:
        """Hand a message to the FIX engine; False when it surely did not go."""
        ...

    def is_up(self, session: str) -> bool:
        """Whether the session is logged on."""
        ...

    def logout(self, session: str, text: str) -> None:
        """Log the session out."""
        ...

    def reopen_store(self, session: str) -> bool:
        """Open the session's FIX store again after it could not be written; whether it can be used again."""
        ...


class Sender:
    """Performs sends on the pump's thread.

    Args:
        line: the FIX sessions. translator: builds the text.
        index: finds the text of what is sent again.
        metrics: told how long an allocation took. log: told of what could not be sent.
    """

    def __init__(
        self,
        line: Line,
        translator: Translator,
        index: WireIndex,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._line = line
        self._translator = translator
        self._index = index
        self._metrics = metrics
        self._log = log
        self._outbox: dict[str, deque[Waiting]] = {}
        self._next_proof = 0.0

    def perform(self, waiting: Pending, now_ns: int) -> str:
        """Send one decided message, or keep it for later.

        Returns:
            "" when it was sent or waits; else why it was not and never will be, for the core to know.
        """
        if not self._translator.knows(waiting.session):
            self._log.error(
                "send.unknown_counterparty", session=waiting.session, decision_seq=waiting.decision_seq
            )
            return f"{waiting.session} is not configured" if waiting.is_order else ""
        queued = self._outbox.get(waiting.session)
        if not queued:
            sent, why = self._send(waiting, now_ns)
            if sent or why:
                return why
        if waiting.is_order:
            return f"{waiting.session} is not logged on, or its FIX store cannot be written"
        self.keep([waiting])
        return ""

    def keep_first(self, session: str, again: Sequence[Delivery]) -> None:
        """Put messages that are to be sent again at the head of their session's outbox: they are the oldest."""
        self._outbox.setdefault(session, deque()).extendleft(reversed(again))

    def keep(self, later: Iterable[Waiting]) -> None:
        """Put messages at the end of their sessions' outboxes."""
        for waiting in later:
            if not self._translator.knows(waiting.session):
                self._log.error("send.unknown_counterparty", session=waiting.session)
                continue
            queued = self._outbox.setdefault(waiting.session, deque())
            queued.append(waiting)
            if len(queued) > MAX_OUTBOX:
                left = queued.popleft()
                self._log.error("outbox.full", session=left.session, decision_seq=left.decision_seq)

    def flush(self, session: str, now_ns: int) -> list[tuple[Waiting, str]]:
        """The session is up: send what waited, in order, until something does not go.

        Returns:
            what can never go, with why, for the core to know.
        """
        queued = self._outbox.get(session)
        impossible: list[tuple[Waiting, str]] = []
        while queued and self._line.is_up(session):
            sent, why = self._send(queued[0], now_ns)
            if not sent and not why:
                break
            waiting = queued.popleft()
            if why:
                impossible.append((waiting, why))
        return impossible

    def ask_for_proof(self, receipts: Receipts, now: float, seq: int) -> None:
        """Ask by TestRequest, every :data:`PROOF_SECONDS`, where something was sent without proof of receipt.

        Args:
            now: monotonic seconds. seq: a number never given before.
        """
        if now < self._next_proof:
            return
        self._next_proof = now + PROOF_SECONDS
        for session in sorted(receipts.unproven):
            if receipts.to_ask(session) and self._translator.knows(session):
                self._line.send(session, "1", f"112=GW{seq}\x01", (), 0, 0)

    def _send(self, waiting: Waiting, now_ns: int) -> tuple[bool, str]:
        """Whether it went, and if it can never go, why: only what forwards a peer's body may fail so."""
        try:
            built = self._build(waiting)
            sent = self._line.send(
                waiting.session, built.msg_type, built.body, built.header, waiting.decision_seq, waiting.number
            )
        except (WireError, JournalError) as error:
            name = type(waiting.output).__name__ if isinstance(waiting, Pending) else waiting.msg_type
            self._log.error("send.impossible", session=waiting.session, output=name, error=str(error))
            # Only a request of an OMS has somebody to tell; anything else is in the journal and the log.
            return False, str(error)
        if sent and isinstance(waiting, Pending) and isinstance(waiting.output, SendAllocation):
            self._metrics.allocation_sent((now_ns - waiting.ts_ns) / 1e9)
        return sent, ""

    def _build(self, waiting: Waiting) -> Built:
        """The message: as it was sent the first time when it is sent again."""
        if isinstance(waiting, Delivery):
            message = parse(self._index.at(waiting.seq).text)
            header = tuple((int(tag), message.header[tag]) for tag in _CARRIED if message.header.get(tag))
            return Built(message.msg_type, message.body, (*header, _POSS_RESEND))
        built = self._translator.build(waiting.output, waiting.ts_ns, waiting.source)
        if not waiting.again or _POSS_RESEND in built.header:
            return built
        return Built(built.msg_type, built.body, (*built.header, _POSS_RESEND))
