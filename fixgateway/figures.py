"""Counting on the pump's thread, published when there is a moment.

A metric costs microseconds, and a batch of one message would pay for a dozen of them. So the pump counts in
plain dictionaries and :meth:`Figures.publish` turns the counts into metrics when nothing waits, at the latest
after ``PUBLISH_SECONDS`` or ``PUBLISH_DECISIONS``.
"""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal

from fixgateway.core.inputs import Input
from fixgateway.core.model import ZERO
from fixgateway.core.outputs import Output
from fixgateway.core.state import State
from fixgateway.journal.records import Kind
from fixgateway.monitor.logs import DecisionLog
from fixgateway.monitor.metrics import Metrics

PUBLISH_SECONDS = 0.25
PUBLISH_DECISIONS = 2_000


class Figures:
    """What the pump counted since the last :meth:`publish`.

    Args:
        metrics: where counts go. decision_log: where the lines of decisions go, at once.
        appended: the journal writer's records by the number of their kind; set back to 0 when published.

    Attributes:
        messages: by session, ``in`` or ``out`` and MsgType.
    """

    def __init__(self, metrics: Metrics, decision_log: DecisionLog, appended: list[int]) -> None:
        self._metrics = metrics
        self._decision_log = decision_log
        self._decided: list[tuple[Input, tuple[Output, ...]]] = []
        self._sizes: list[int] = []
        self._syncs: list[float] = []
        self._next = 0.0
        self._appended = appended
        self.messages: Counter[tuple[str, str, str]] = Counter()

    def batch(self, decided: list[tuple[Input, tuple[Output, ...]]], items: int, sync_seconds: float) -> None:
        """One batch of the pump: its decisions, its size, how long its sync took (0: it had none)."""
        self._decision_log.write(decided)
        self._decided += decided
        self._sizes.append(items)
        if sync_seconds:
            self._syncs.append(sync_seconds)

    def publish(self, queue_depth: int, newest_ts_ns: int, *, idle: bool) -> None:
        """Turn counts into metrics, if it is time; ``idle``: nothing waits, so now is a good moment."""
        now = time.monotonic()
        if not self._sizes or (not idle and now < self._next and len(self._decided) < PUBLISH_DECISIONS):
            return
        self._next = now + PUBLISH_SECONDS
        self._metrics.batches(self._sizes, self._syncs, queue_depth, newest_ts_ns)
        self._metrics.observe(self._decided)
        self._metrics.journal_records({kind.label: self._appended[kind] for kind in Kind if self._appended[kind]})
        self._appended[:] = [0] * len(self._appended)
        self._metrics.messages(self.messages)
        for counted in (self._decided, self._sizes, self._syncs, self.messages):
            counted.clear()


def unallocated(state: State) -> Decimal:
    """Filled under active statements and not yet allocated."""
    return sum((state.statements[name].unbooked for name in state.active), ZERO)
