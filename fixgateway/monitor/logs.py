"""The structured log: one JSON object a line, made from decisions.

What is written at which level:

==========  ======================================================================================
``error``   critical alerts
``warning`` other alerts, exceptions, halted orders, sessions cut, orders in doubt, DontKnowTrade
``info``    refusals, statements, allocations and their answers, sessions, configuration
``debug``   forwarded orders, executions, reports to the OMS
==========  ======================================================================================

Forwarded orders and executions are at ``debug`` because the journal already has every one: at 20,000 orders
a second the default level writes nothing for them, and their lines are not even built. Refusals are at
``info``, but an OMS gone wild can send 20,000 bad orders a second, so :class:`DecisionLog` writes at most
``max_per_second`` lines of one event and level and then one line with how many were left out. Only critical
alerts are never left out.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TextIO

import structlog

from fixgateway.core import desk_facts, inputs, outputs
from fixgateway.core.inputs import Input
from fixgateway.core.model import plain_text
from fixgateway.core.outputs import Output
from fixgateway.errors import ConfigError

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""Names of the levels, as the configuration writes them."""

Line = tuple[str, str, dict[str, Any]]
"""Level, event and fields of one log line."""

_MSG_TYPE: Final[Mapping[type[Any], str]] = {
    inputs.NewOrder: "D",
    inputs.ReplaceOrder: "G",
    inputs.CancelOrder: "F",
    inputs.StatusRequest: "H",
    inputs.Execution: "8",
    inputs.CancelReject: "9",
    inputs.AllocationAck: "P",
    inputs.ReportedAllocation: "AS",
    inputs.Confirmation: "AK",
}


# ---------------------------------------------------------------- decisions → lines (pure)


def _allocation_fields(allocation: outputs.Allocation) -> dict[str, Any]:
    return {
        "alloc_id": allocation.alloc_id,
        "statement_id": allocation.statement_id,
        "broker": allocation.broker,
        "trans_type": allocation.trans_type,
        "quantity": plain_text(allocation.quantity),
        "avg_px": allocation.avg_px,
    }


def _configured_fields(out: outputs.Configured) -> dict[str, Any]:
    policy = out.setup.policy
    return {"policy_id": policy.policy_id, "policy_version": policy.version, "sha256": policy.text_sha256}


def _registered_fields(out: outputs.StatementRegistered) -> dict[str, Any]:
    statement = out.statement
    return {
        "statement_id": statement.statement_id,
        "door": statement.door,
        "actor": statement.actor,
        "total": plain_text(statement.total),
        "lines": len(statement.lines),
    }


def _refused_fields(out: outputs.StatementRefused) -> dict[str, Any]:
    first = out.problems[0] if out.problems else None
    return {
        "statement_id": out.statement_id,
        "door": out.door,
        "actor": out.actor,
        "problems": len(out.problems),
        "reason": first.reason if first else "",
        "text": first.text if first else "",
    }


def _execution_fields(out: outputs.ExecutionApplied) -> dict[str, Any]:
    return {
        "statement_id": out.statement_id,
        "broker": out.broker,
        "exec_id": out.exec_id,
        "effect": out.effect,
        "last_qty": None if out.last_qty is None else plain_text(out.last_qty),
        "last_px": None if out.last_px is None else plain_text(out.last_px),
    }


def _split_fields(out: outputs.StatementSplit) -> dict[str, Any]:
    return {
        "statement_id": out.statement_id,
        "ratio": f"{out.numerator}:{out.denominator}",
        "total": plain_text(out.total),
        "filled": plain_text(out.filled),
    }


def _allocated_fields(out: outputs.StatementAllocated) -> dict[str, Any]:
    return {
        "statement_id": out.statement_id,
        "filled": plain_text(out.filled),
        "unallocated": plain_text(out.unallocated),
        "avg_px": out.avg_px,
        "accounts": len(out.lines),
    }


def _named(*names: str) -> Callable[[Any], dict[str, Any]]:
    """Fields taken from the output by name."""
    return lambda out: {name: getattr(out, name) for name in names}


def _forwarded_fields(out: outputs.ForwardToBroker) -> dict[str, Any]:
    return {
        "statement_id": out.statement_id,
        "cl_ord_id": out.cl_ord_id,
        "broker": out.broker,
        "quantity": plain_text(out.quantity),
    }


_Rule = tuple[str, str, Callable[[Any], dict[str, Any]]]

_OUTPUT_LINES: Final[Mapping[type[Any], _Rule]] = {
    outputs.ForwardToBroker: ("debug", "order forwarded", _forwarded_fields),
    outputs.SendReport: (
        "info", "order refused", _named("cl_ord_id", "statement_id", "broker", "reason", "text")),
    outputs.SendCancelReject: (
        "info", "change refused", _named("cl_ord_id", "orig_cl_ord_id", "reason", "text")),
    outputs.SendBusinessReject: ("info", "message refused", _named("ref_msg_type", "reason", "text")),
    outputs.SendAllocation: ("info", "allocation", lambda out: _allocation_fields(out.allocation)),
    outputs.SendAllocationReport: (
        "debug", "allocation reported", lambda out: {"form": out.form, **_allocation_fields(out.allocation)}),
    outputs.SendDontKnow: ("warning", "trade not known", _named("order_id", "exec_id", "symbol", "text")),
    outputs.CutSession: ("warning", "session cut", _named("session", "reason", "text")),
    outputs.Configured: ("info", "configured", _configured_fields),
    outputs.StatementRegistered: ("info", "statement registered", _registered_fields),
    outputs.StatementRefused: ("info", "statement refused", _refused_fields),
    outputs.StatementClosed: ("info", "statement closed", _named("statement_id", "why", "actor")),
    outputs.ExecutionApplied: ("debug", "execution", _execution_fields),
    outputs.StatementSplit: ("warning", "statement split", _split_fields),
    outputs.StatementAllocated: ("info", "statement allocated", _allocated_fields),
    outputs.AllocationAcked: (
        "info", "allocation answered", _named("alloc_id", "statement_id", "broker", "status", "text")),
    outputs.ReportJudged: (
        "info", "report judged", _named("report_id", "alloc_id", "statement_id", "broker", "verdict", "text")),
    outputs.ConfirmationJudged: (
        "info", "confirmation judged",
        _named("confirm_id", "alloc_id", "statement_id", "broker", "account", "verdict", "text")),
    outputs.SendReportAck: ("debug", "report answered", _named("report_id", "alloc_status", "reason", "text")),
    outputs.SendConfirmationAck: (
        "debug", "confirmation answered", _named("confirm_id", "account", "affirm_status", "reason", "text")),
    outputs.SendConfirmationRequest: (
        "info", "confirmation asked for", _named("request_id", "alloc_id", "statement_id", "account")),
    outputs.CompletionMeasured: (
        "info", "day measured",
        _named("broker", "stage", "due", "allocated", "accepted", "confirmed", "affirmed")),
    outputs.RotationTurn: (
        "info", "turn", _named("policy_id", "statement_id", "account", "turn", "outcome", "position")),
    outputs.HoldingSet: ("warning", "holding set", _named("account", "symbol", "actor", "reason")),
    outputs.CalendarRenewed: ("info", "calendar renewed", _named("name", "source")),
    outputs.ExceptionOpened: ("warning", "exception", _named("reason", "subject", "text")),
    outputs.Alert: ("warning", "alert", _named("severity", "reason", "subject", "text")),
    outputs.Flagged: ("info", "flagged", _named("reason", "text")),
    outputs.OrdersSwitched: ("warning", "orders switched", _named("target", "halted", "actor", "reason")),
    outputs.ResendForbidden: ("warning", "order in doubt", _named("order", "decision_seq")),
    desk_facts.PersonRecorded: (
        "info", "person recorded", lambda out: {
            "person_id": out.person.person_id, "roles": out.person.roles, "active": out.person.active,
            "actor": out.actor}),
    desk_facts.AccessNoted: ("debug", "access", _named("actor", "what", "subject", "address")),
    desk_facts.ActionRefused: ("info", "action refused", _named("actor", "action", "subject", "reason", "text")),
    desk_facts.ExceptionRequested: (
        "warning", "exception requested",
        _named("exception_id", "kind", "statement_id", "code", "requested_by", "due_date", "due_time")),
    desk_facts.ExceptionDecided: (
        "warning", "exception decided", _named("exception_id", "statement_id", "decision", "actor", "late")),
    desk_facts.ExceptionOverdue: (
        "warning", "exception overdue", _named("exception_id", "statement_id", "due_date", "due_time")),
    desk_facts.ExceptionAttended: ("info", "exception attended", _named("exception_id", "actor", "action")),
    desk_facts.MarkRecorded: (
        "debug", "mark", lambda out: {
            "symbol": out.symbol, "price": plain_text(out.price), "source": out.source, "actor": out.actor}),
    desk_facts.DeliveryNoted: ("debug", "alert delivery", _named("alert_id", "channel", "delivered", "text")),
    desk_facts.AlertAcknowledged: ("info", "alert acknowledged", _named("alert_id", "actor")),
    desk_facts.ReconciliationRecorded: (
        "info", "reconciliation", _named("trade_date", "source", "rows", "matched", "discrepancies", "actor")),
    desk_facts.ReviewRecorded: ("info", "review", _named("review_id", "kind", "verdict", "actor")),
    desk_facts.ReviewSigned: ("info", "review signed", _named("review_id", "actor")),
}  # fmt: skip

_INPUT_LINES: Final[Mapping[type[Any], _Rule]] = {
    inputs.SessionUp: ("info", "session up", _named("session")),
    inputs.SessionDown: ("info", "session down", _named("session")),
    inputs.JournalState: ("warning", "journal state", _named("degraded", "why")),
    inputs.NotSent: ("warning", "not sent", _named("decision_seq", "why")),
}


def _at_least(rules: Mapping[type[Any], _Rule], floor: int) -> dict[type[Any], _Rule]:
    """The rules whose lines are wanted; alerts always, because a critical one is written as ``error``."""
    return {kind: rule for kind, rule in rules.items() if kind is outputs.Alert or LEVELS[rule[0]] >= floor}


_RULES_AT: Final[Mapping[str, tuple[dict[type[Any], _Rule], dict[type[Any], _Rule]]]] = {
    name: (_at_least(_INPUT_LINES, floor), _at_least(_OUTPUT_LINES, floor)) for name, floor in LEVELS.items()
}


def _common(source: Input) -> dict[str, Any]:
    fields: dict[str, Any] = {"journal_seq": source.seq}
    for name in ("session", "cl_ord_id"):
        if value := getattr(source, name, ""):
            fields[name] = value
    if msg_type := getattr(source, "msg_type", "") or _MSG_TYPE.get(type(source), ""):
        fields["msg_type"] = msg_type
    return fields


def decision_events(source: Input, decided: Iterable[Output], at_least: str = "debug") -> list[Line]:
    """The log lines of one decision, in the order decided.

    Args:
        source: the input.
        decided: what the engine answered; ExecutionReports that only answer a status make no line.
        at_least: lowest level wanted; lines below it are not built.

    Returns:
        (level, event, fields); the fields always hold ``journal_seq`` and, where the input or output has
        them, ``session``, ``msg_type``, ``cl_ord_id``, ``statement_id`` and ``reason``.
    """
    of_inputs, of_outputs = _RULES_AT[at_least]
    lines: list[Line] = []
    if (rule := of_inputs.get(type(source))) is not None:
        lines.append((rule[0], rule[1], {**_common(source), **rule[2](source)}))
    for out in decided:
        if (rule := of_outputs.get(type(out))) is None:
            continue
        level, event, fields = rule
        if isinstance(out, outputs.SendReport) and out.exec_type != "8":
            continue
        if isinstance(out, outputs.Alert):
            level = "error" if out.severity == "critical" else level
            if LEVELS[level] < LEVELS[at_least]:
                continue
        lines.append((level, event, {**_common(source), **fields(out)}))
    return lines


# ---------------------------------------------------------------- writing


_TIMESTAMP = structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts")
"""``ts`` is when the line was written, not when it was decided (that is in the journal)."""


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring twice replaces it instead of adding another."""


def _dumps(event: Any, **_: Any) -> str:
    """One line of ASCII JSON, whatever bytes a counterparty put into a field."""
    return json.dumps(event, default=str)


def configure(level: str = "info", stream: TextIO | None = None) -> structlog.stdlib.BoundLogger:
    """A logger writing one JSON object a line; libraries' own warnings go the same way.

    Args:
        level: lowest level written: debug, info, warning or error.
        stream: where to; standard error when None.

    Raises:
        ConfigError: the level is not one of the four.
    """
    if level not in LEVELS:
        raise ConfigError(f"log level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        _TIMESTAMP,
        structlog.processors.format_exc_info,
    ]
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    ours = logging.getLogger("fixgateway")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(LEVELS[level])
    root = logging.getLogger()
    root.handlers = [*(h for h in root.handlers if not isinstance(h, _Handler)), handler]
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        ours,
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


class DecisionLog:
    """Writes the lines of decisions, at most ``max_per_second`` of one event and level.

    Args:
        logger: from :func:`configure`.
        level: lowest level written, as given to :func:`configure`; lines below are not built.
        max_per_second: limit per (level, event) in one second of input time; the rest are counted and
            told in one line ``lines left out``. Critical alerts are never left out.
    """

    def __init__(
        self, logger: structlog.stdlib.BoundLogger, level: str = "info", max_per_second: int = 200
    ) -> None:
        self._logger = logger
        self._level = level
        self._limit = max_per_second
        self._second = 0
        self._written: dict[tuple[str, str], int] = {}

    def write(self, decisions: Iterable[tuple[Input, Iterable[Output]]]) -> None:
        """Write the lines of a batch."""
        for source, decided in decisions:
            for level, event, fields in decision_events(source, decided, self._level):
                if self._allowed(source.ts_ns // 1_000_000_000, level, event):
                    self._logger.log(LEVELS[level], event, **fields)

    def flush(self) -> None:
        """Tell what was left out of the second now ended; call it at stop."""
        for (level, event), number in self._written.items():
            if number > self._limit:
                self._logger.warning("lines left out", of=event, at=level, left_out=number - self._limit)
        self._written.clear()

    def _allowed(self, second: int, level: str, event: str) -> bool:
        if second != self._second:
            self.flush()
            self._second = second
        if level == "error":
            return True
        key = (level, event)
        number = self._written[key] = self._written.get(key, 0) + 1
        return number <= self._limit
