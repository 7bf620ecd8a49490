"""Prometheus metrics: one catalogue, one registry, and a pure mapping from decisions to increments.

Labels are bounded: sessions and brokers come from the configuration, reasons from the GW catalogue, message
types from a list; anything else is counted as ``other``. No label ever carries a ClOrdID, a statement or an
account. Names follow the Prometheus conventions (base units, ``_total``, ``_timestamp_seconds``).

The hot path counts a batch at once: :func:`increments` is pure, the counts of a batch are summed in one
:class:`collections.Counter`, and each distinct series is touched once a batch through a cached child.
"""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from fixgateway.core import inputs, outputs, reasons
from fixgateway.core.desk_facts import DeliveryNoted, ReconciliationRecorded
from fixgateway.core.inputs import Input
from fixgateway.core.outbox import CHANNELS
from fixgateway.core.outputs import Output

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content-Type of :meth:`Metrics.text`."""

OTHER: Final = "other"
"""Label value of everything outside a label's known values."""

_ADMIN_TYPES = ("0", "1", "2", "3", "4", "5", "A")
_TRADE_TYPES = ("8", "9", "D", "E", "F", "G", "H", "Q", "j", "s", "AB", "AC", "AE", "AR", "BE", "BF")
_ALLOCATION_TYPES = ("J", "P", "AS", "AT", "AK", "AU", "BH")
MSG_TYPES: Final = frozenset((*_ADMIN_TYPES, *_TRADE_TYPES, *_ALLOCATION_TYPES))
"""MsgType(35) values that get a series of their own."""

CAUSES: Final = ("bug", "clock", "damaged", "full", "slow", "spare", "store")
"""Why new orders may be off."""

STEPS: Final = ("due", "allocated", "accepted", "confirmed", "affirmed")
"""Steps of a trade date's work, as fields of :class:`outputs.CompletionMeasured`."""

_RECORD_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
_SYNC_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5)
_ALLOCATION_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 30, 60, 300, 900, 3_600, 14_400)


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the catalogue: the sample name, the Prometheus type, its labels and what it says."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


CATALOGUE: Final[tuple[Metric, ...]] = (
    Metric("fixgateway_orders_total", "counter", ("verdict", "reason"),
           "NewOrderSingle (D) decided: forwarded, blocked, or undone (forwarded, then refused or unsent)."),
    Metric("fixgateway_order_changes_total", "counter", ("msg_type", "verdict", "reason"),
           "Replace (G) and cancel (F) requests decided: verdict forwarded or refused."),
    Metric("fixgateway_message_refusals_total", "counter", ("session", "reason"),
           "BusinessMessageRejects (j) the gateway answered."),
    Metric("fixgateway_messages_total", "counter", ("session", "direction", "msg_type"),
           "FIX messages by session and direction (in, out)."),
    Metric("fixgateway_statements_total", "counter", ("door", "outcome"),
           "Allocation statements by door; outcome registered or refused."),
    Metric("fixgateway_statements_closed_total", "counter", ("why",),
           "Statements closed: complete, cut-off, closed, cancelled, replaced."),
    Metric("fixgateway_executions_total", "counter", ("effect",),
           "ExecutionReports by their effect on the order."),
    Metric("fixgateway_allocations_total", "counter", ("broker", "trans_type"),
           "AllocationInstructions decided, by AllocTransType(71)."),
    Metric("fixgateway_allocation_acks_total", "counter", ("broker", "status"),
           "Answers of the brokers to allocations."),
    Metric("fixgateway_broker_reports_total", "counter", ("broker", "verdict"),
           "AllocationReports (AS) of brokers compared with what they were sent."),
    Metric("fixgateway_confirmations_total", "counter", ("broker", "verdict"),
           "Confirmations (AK) of brokers compared with what they were sent."),
    Metric("fixgateway_confirmation_requests_total", "counter", ("broker",),
           "ConfirmationRequests (BH): confirmations missing before the affirmation deadline."),
    Metric("fixgateway_exceptions_total", "counter", ("reason",), "Exceptions opened."),
    Metric("fixgateway_alerts_total", "counter", ("reason", "severity"), "Alerts raised."),
    Metric("fixgateway_alerts_unacknowledged", "gauge", ("severity",), "Alerts nobody has acknowledged yet."),
    Metric("fixgateway_alerts_undelivered", "gauge", ("channel",),
           "Alerts that wait to be delivered by the channel, as its courier saw last."),
    Metric("fixgateway_alert_deliveries_total", "counter", ("channel", "outcome"),
           "Journaled outcomes of delivering an alert; outcome delivered or failed."),
    Metric("fixgateway_reconciliations_total", "counter", ("outcome",),
           "Days compared with a custodian's or broker's file: matched, differs, or not-run at the day's end."),
    Metric("fixgateway_journal_records_total", "counter", ("kind",), "Journal records written."),
    Metric("fixgateway_records_skipped_total", "counter", (),
           "Journal records the database could not take; the journal still has them."),
    Metric("fixgateway_batch_records", "histogram", (), "Journal records per pump batch (one sync each).",
           _RECORD_BUCKETS),
    Metric("fixgateway_journal_sync_seconds", "histogram", (), "Duration of one journal sync.",
           _SYNC_BUCKETS),
    Metric("fixgateway_allocation_seconds", "histogram", (),
           "From a statement's completion to its AllocationInstruction on the wire.", _ALLOCATION_BUCKETS),
    Metric("fixgateway_day_accounts", "gauge", ("broker", "stage", "step"),
           "Accounts of the last trade date measured at a deadline or the day's end: due and how many were done."),
    Metric("fixgateway_session_up", "gauge", ("session",), "1 while the FIX session is logged on."),
    Metric("fixgateway_queue_depth", "gauge", (), "Items waiting in the pump's inbox."),
    Metric("fixgateway_unallocated_quantity", "gauge", (),
           "Quantity filled and not yet allocated, over all statements."),
    Metric("fixgateway_unacked_orders", "gauge", ("broker",),
           "Orders sent to the broker and not answered yet."),
    Metric("fixgateway_orders_halted", "gauge", ("target",),
           "1 while new orders are halted for the target (all or a session)."),
    Metric("fixgateway_orders_off", "gauge", ("cause",),
           "1 while new orders are off (GW-502) because of: bug, clock, damaged, full, slow, spare, store."),
    Metric("fixgateway_journal_free_bytes", "gauge", (),
           "Bytes free on the disk of the journal's directory."),
    Metric("fixgateway_last_processed_timestamp_seconds", "gauge", (),
           "UTC time of the newest input the gateway has decided."),
    Metric("fixgateway_records_lag", "gauge", (), "Journal records not yet in the database."),
    Metric("fixgateway_ready", "gauge", (), "1 while /readyz answers ready."),
    Metric("fixgateway_build_info", "info", (), "Version of the gateway and of Python."),
)  # fmt: skip
"""Every metric fixgateway exports besides ``process_*``; the documentation is tested against it."""

Increment = tuple[str, tuple[str, ...]]
"""A catalogue name and the label values of the series to add one to."""


# ---------------------------------------------------------------- decisions → increments (pure)


def reason_label(code: str) -> str:
    """The ``reason`` label for a GW code: itself when it is in the catalogue, "" when there is none."""
    return code if not code or code in reasons.CATALOGUE else OTHER


def _forwarded(_: Input, out: outputs.ForwardToBroker) -> Increment:
    if out.msg_type == "D":
        return "fixgateway_orders_total", ("forwarded", "")
    return "fixgateway_order_changes_total", (out.msg_type, "forwarded", "")


def _reported(source: Input, out: outputs.SendReport) -> Increment | None:
    if out.exec_type != "8":
        return None
    verdict = "blocked" if isinstance(source, inputs.NewOrder) else "undone"
    return "fixgateway_orders_total", (verdict, reason_label(out.reason))


def _cancel_rejected(_: Input, out: outputs.SendCancelReject) -> Increment:
    msg_type = "G" if out.response_to == "2" else "F"
    return "fixgateway_order_changes_total", (msg_type, "refused", reason_label(out.reason))


def _known(value: str, values: Iterable[str]) -> str:
    return value if value in values else OTHER


_OUTCOMES: Final = {True: "delivered", False: "failed"}
_RULES: Final[Mapping[type[Any], Callable[[Input, Any], Increment | None]]] = {
    outputs.ForwardToBroker: _forwarded,
    outputs.SendReport: _reported,
    outputs.SendCancelReject: _cancel_rejected,
    outputs.SendBusinessReject: lambda _, out: (
        "fixgateway_message_refusals_total", (out.session, reason_label(out.reason))),
    outputs.SendAllocation: lambda _, out: (
        "fixgateway_allocations_total", (out.allocation.broker, out.allocation.trans_type)),
    outputs.StatementRegistered: lambda _, out: (
        "fixgateway_statements_total", (out.statement.door, "registered")),
    outputs.StatementRefused: lambda _, out: ("fixgateway_statements_total", (out.door, "refused")),
    outputs.StatementClosed: lambda _, out: ("fixgateway_statements_closed_total", (out.why,)),
    outputs.ExecutionApplied: lambda _, out: ("fixgateway_executions_total", (out.effect,)),
    outputs.AllocationAcked: lambda _, out: ("fixgateway_allocation_acks_total", (out.broker, out.status)),
    outputs.ReportJudged: lambda _, out: ("fixgateway_broker_reports_total", (out.broker, out.verdict)),
    outputs.ConfirmationJudged: lambda _, out: ("fixgateway_confirmations_total", (out.broker, out.verdict)),
    outputs.SendConfirmationRequest: lambda _, out: ("fixgateway_confirmation_requests_total", (out.session,)),
    outputs.ExceptionOpened: lambda _, out: ("fixgateway_exceptions_total", (reason_label(out.reason),)),
    outputs.Alert: lambda _, out: ("fixgateway_alerts_total", (reason_label(out.reason), out.severity)),
    DeliveryNoted: lambda _, out: (
        "fixgateway_alert_deliveries_total", (_known(out.channel, CHANNELS), _OUTCOMES[out.delivered])),
    ReconciliationRecorded: lambda _, out: (
        "fixgateway_reconciliations_total",
        ("not-run" if not out.sha256 else "differs" if out.discrepancies else "matched",)),
}  # fmt: skip


def increments(source: Input, decided: Iterable[Output]) -> list[Increment]:
    """The series one decision adds one to. Pure; outputs that count nothing are passed over."""
    found = []
    for out in decided:
        rule = _RULES.get(type(out))
        if rule is not None and (increment := rule(source, out)) is not None:
            found.append(increment)
    return found


# ---------------------------------------------------------------- the registry


def _collector(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram | Info:
    """The prometheus_client object of one catalogue entry, registered in ``registry``."""
    if metric.type == "histogram":
        return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
    if metric.type == "info":
        return Info(metric.name.removesuffix("_info"), metric.help, metric.labels, registry=registry)
    plain: dict[str, type[Counter] | type[Gauge]] = {"counter": Counter, "gauge": Gauge}
    return plain[metric.type](metric.name, metric.help, metric.labels, registry=registry)


class Metrics:
    """The gateway's metrics in a registry of their own.

    Args:
        version: the gateway's version, for ``fixgateway_build_info``.
        sessions: names of the configured counterparties; other names are counted as ``other``.

    Methods may be called from any thread.
    """

    def __init__(self, version: str, sessions: Iterable[str] = ()) -> None:
        no_created_series: Callable[[], None] = disable_created_metrics
        no_created_series()  # process-wide; they double every counter and say nothing
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._sessions = frozenset(sessions)
        collectors = {metric.name: _collector(metric, self.registry) for metric in CATALOGUE}
        self._counters = {name: c for name, c in collectors.items() if isinstance(c, Counter)}
        self._gauges = {name: g for name, g in collectors.items() if isinstance(g, Gauge)}
        self._histograms = {name: h for name, h in collectors.items() if isinstance(h, Histogram)}
        # Bounded like the labels themselves: one entry per series that exists.
        self._children: dict[Increment, Counter] = {}
        info = collectors["fixgateway_build_info"]
        assert isinstance(info, Info)
        info.info({"version": version, "python": platform.python_version()})
        for session in self._sessions:
            self._gauges["fixgateway_session_up"].labels(session).set(0)

    def observe(self, decisions: Iterable[tuple[Input, Iterable[Output]]]) -> None:
        """Count a batch of decisions: each an input and what the engine answered."""
        tally: dict[Increment, int] = {}
        for source, decided in decisions:
            for increment in increments(source, decided):
                tally[increment] = tally.get(increment, 0) + 1
            for out in decided:
                if type(out) is outputs.OrdersSwitched:
                    self.orders_halted(out.target, out.halted)
                elif type(out) is outputs.CompletionMeasured:
                    self.day_measured(out)
        self._add(tally)

    def messages(self, counts: Mapping[tuple[str, str, str], int]) -> None:
        """Count messages; ``counts`` maps (session, ``in`` or ``out``, MsgType) to how many."""
        tally: Tally[Increment] = Tally()
        for (session, direction, msg_type), number in counts.items():
            label = msg_type if msg_type in MSG_TYPES else OTHER
            tally["fixgateway_messages_total", (session, direction, label)] += number
        self._add(tally)

    def journal_records(self, counts: Mapping[str, int]) -> None:
        """Count journal records written; ``counts`` maps the kind's name to how many."""
        self._add({("fixgateway_journal_records_total", (kind,)): n for kind, n in counts.items()})

    def batches(
        self, sizes: Iterable[int], sync_seconds: Iterable[float], queue_depth: int, newest_ts_ns: int
    ) -> None:
        """Pump batches: items of each, seconds of each sync, what waits now, the newest input's clock."""
        for size in sizes:
            self._histograms["fixgateway_batch_records"].observe(size)
        for seconds in sync_seconds:
            self._histograms["fixgateway_journal_sync_seconds"].observe(seconds)
        self._gauges["fixgateway_queue_depth"].set(queue_depth)
        self._gauges["fixgateway_last_processed_timestamp_seconds"].set(newest_ts_ns / 1e9)

    def allocation_sent(self, seconds: float) -> None:
        """An AllocationInstruction left ``seconds`` after its statement was complete."""
        self._histograms["fixgateway_allocation_seconds"].observe(seconds)

    def session_up(self, session: str, up: bool) -> None:
        """A counterparty's session went up or down."""
        self._gauges["fixgateway_session_up"].labels(self._session(session)).set(int(up))

    def orders_halted(self, target: str, halted: bool) -> None:
        """New orders are halted or resumed for ``target`` (``all`` or a counterparty)."""
        label = target if target == "all" else self._session(target)
        self._gauges["fixgateway_orders_halted"].labels(label).set(int(halted))

    def day_measured(self, out: outputs.CompletionMeasured) -> None:
        """How much of a trade date was done at a broker."""
        gauge = self._gauges["fixgateway_day_accounts"]
        for step in STEPS:
            gauge.labels(self._session(out.broker), out.stage, step).set(getattr(out, step))

    def unacked_orders(self, broker: str, number: int) -> None:
        """How many orders ``broker`` has not answered."""
        self._gauges["fixgateway_unacked_orders"].labels(self._session(broker)).set(number)

    def unallocated_quantity(self, quantity: Decimal) -> None:
        """Filled and not yet allocated, over all statements. Exported as a float, as Prometheus has it."""
        self._gauges["fixgateway_unallocated_quantity"].set(float(quantity))

    def records(self, lag: int, newly_skipped: int = 0) -> None:
        """The projector's lag in journal records, and records skipped since the last call."""
        self._gauges["fixgateway_records_lag"].set(lag)
        self._counters["fixgateway_records_skipped_total"].inc(newly_skipped)

    def orders_off(self, causes: Iterable[str]) -> None:
        """Why new orders are off now: some of :data:`CAUSES`."""
        now = frozenset(causes)
        for cause in CAUSES:
            self._gauges["fixgateway_orders_off"].labels(cause).set(int(cause in now))

    def journal_free(self, free_bytes: int) -> None:
        """What is free on the journal's disk."""
        self._gauges["fixgateway_journal_free_bytes"].set(free_bytes)

    def alerts_unacknowledged(self, counts: Mapping[str, int]) -> None:
        """How many alerts nobody has acknowledged, by severity."""
        for severity in ("warning", "critical"):
            self._gauges["fixgateway_alerts_unacknowledged"].labels(severity).set(counts.get(severity, 0))

    def alerts_undelivered(self, channel: str, number: int) -> None:
        """How many alerts wait for a channel."""
        self._gauges["fixgateway_alerts_undelivered"].labels(_known(channel, CHANNELS)).set(number)

    def ready(self, ok: bool) -> None:
        """Whether the gateway is ready."""
        self._gauges["fixgateway_ready"].set(int(ok))

    def text(self) -> bytes:
        """The exposition for ``/metrics``; its type is :data:`CONTENT_TYPE`."""
        return generate_latest(self.registry)

    def _session(self, name: str) -> str:
        return name if name in self._sessions else OTHER

    def _add(self, tally: Mapping[Increment, int]) -> None:
        for (name, values), number in tally.items():
            labels = CATALOGUE_BY_NAME[name].labels
            bounded = tuple(
                self._session(value) if label in ("session", "broker") else value
                for label, value in zip(labels, values, strict=True)
            )
            key = (name, bounded)
            child = self._children.get(key)
            if child is None:
                child = self._children[key] = self._counters[name].labels(*bounded)
            child.inc(number)


CATALOGUE_BY_NAME: Final[Mapping[str, Metric]] = {metric.name: metric for metric in CATALOGUE}
"""The catalogue by name."""
