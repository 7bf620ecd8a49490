"""What the state remembers of alerts and of the day's exceptions: plain values, bounded, part of every snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_ALERTS = 10_000
"""Unacknowledged alerts kept one by one; what comes on top is counted in one (GW-930)."""
MAX_NAMED = 200
"""Exceptions of a day kept with their words for the digest; the rest is counted."""
MAX_RECONCILED = 10
"""Days whose reconciliation is remembered."""
MAIL, WEBHOOK, ESCALATION = "mail", "webhook", "escalation"
"""Channels an alert is delivered by."""
CHANNELS = (MAIL, WEBHOOK, ESCALATION)


@dataclass(slots=True)
class AlertRecord:
    """An alert that nobody has acknowledged yet.

    ``raised_ns`` is when it came first, ``last_ns`` when last; ``count`` how often on ``day`` (YYYYMMDD).
    ``delivered`` are the channels that took it, ``failed`` counts journaled attempts that did not.
    """

    seq: int
    reason: str
    severity: str
    subject: str
    text: str
    day: str
    raised_ns: int
    last_ns: int
    count: int = 1
    failed: int = 0
    delivered: list[str] = field(default_factory=list)


def waiting(alerts: Mapping[str, AlertRecord], channel: str) -> Iterator[tuple[str, AlertRecord]]:
    """The outbox of a channel: id and record of what it has not delivered, oldest first.

    Args:
        alerts: :attr:`.state.State.alerts`; copied first, so that any thread may ask.
    """
    for alert_id, kept in list(alerts.items()):
        if channel not in kept.delivered:
            yield alert_id, kept
