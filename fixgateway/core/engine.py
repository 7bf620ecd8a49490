"""The engine: one door, :meth:`Engine.apply`, from inputs to outputs.

Theory of operation. The engine is a deterministic state machine. It is told everything it may depend on
as inputs: messages, clock readings, seeds, sessions going up and down, operator actions, the text of its
configuration. It answers with outputs: messages to send and facts to keep. It never asks anything, so the
live gateway, recovery, replay and the simulator all drive the same ``apply`` and get the same answers.
Every id it makes (OrderID, ExecID, AllocID) derives from the trade date and the journal sequence of the
input, hence is unique and the same at every replay.

The first input is a :class:`Configure`; a :class:`Tick` follows and sets the trade date. After that the
gateway asks :meth:`Engine.due` about once a second and gives a tick only when something is due.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from fixgateway.core import (
    alerts,
    booking,
    calendar,
    deadlines,
    desk,
    deviations,
    guard,
    held,
    holdings,
    overrides,
    receipts,
    reconciling,
    requests,
)
from fixgateway.core.acks import on_allocation_ack
from fixgateway.core.broker_reports import on_report
from fixgateway.core.completion import release
from fixgateway.core.confirmations import on_confirmation
from fixgateway.core.desk_inputs import (
    AcknowledgeAlert,
    AttendException,
    DecideException,
    NoteAccess,
    NoteDelivery,
    RecordMark,
    RecordPerson,
    RecordReconciliation,
    RecordReview,
    ReportAlert,
    RequestException,
    SendAgain,
    SignReview,
)
from fixgateway.core.executions import (
    end_unfilled,
    on_cancel_reject,
    on_execution,
    on_message_reject,
    refuse_request,
)
from fixgateway.core.inputs import (
    Absorbed,
    AllocationAck,
    CancelOrder,
    CancelReject,
    Configure,
    Confirmation,
    Execution,
    Input,
    JournalState,
    MessageReject,
    NewOrder,
    NotSent,
    Operator,
    PassTurn,
    ReceiptUnknown,
    RenewCalendar,
    ReplaceOrder,
    ReportedAllocation,
    SessionDown,
    SessionUp,
    SetHolding,
    StatusRequest,
    SubmitStatement,
    Tick,
    Unsupported,
)
from fixgateway.core.outputs import (
    Alert,
    Configured,
    ExceptionOpened,
    Flagged,
    OrdersSwitched,
    Output,
)
from fixgateway.core.sending_again import on_send_again
from fixgateway.core.state import ACTIVE, BrokerRecord, State
from fixgateway.core.statements import end_statement, on_pass_turn, on_submit


class Engine:
    """The rules with their memory; see the module's theory of operation.

    Attributes:
        state: everything remembered; read it, never change it from outside.
    """

    def __init__(self) -> None:
        self.state: State | None = None

    def apply(self, given: Input) -> tuple[Output, ...]:
        """Take one input; return what follows from it, in order.

        Raises:
            ValueError: before the first Configure.
        """
        if isinstance(given, Configure):
            return tuple(self._configure(given))
        if self.state is None:
            raise ValueError("the engine's first input is its configuration")
        outputs = guard.check(self.state, given) or _HANDLERS[type(given)](self.state, given)
        if self.state.held and held.may_release(given, outputs):
            outputs = [*outputs, *release(self.state, given.seq, given.ts_ns)]
        if self.state.setup.desk:
            outputs = alerts.follow(self.state, given, outputs)
        if ExceptionOpened in map(type, outputs):
            desk.remember(self.state, given, outputs)
        return tuple(outputs)

    def due(self, ts_ns: int, trade_date: date, local_time: str) -> bool:
        """Whether a tick with this clock reading would change anything."""
        return self.state is None or deadlines.due(self.state, ts_ns, trade_date, local_time)

    def _configure(self, given: Configure) -> list[Output]:
        setup = given.setup
        if self.state is None:
            self.state = State(setup)
        state = self.state
        state.setup = setup
        overrides.remember_own(state, {account.account: account for account in setup.accounts}, given.seq)
        state.accounts = {account.account: account for account in setup.accounts}
        state.policies[(setup.policy.policy_id, setup.policy.version)] = setup.policy
        state.omses = {oms.name: oms for oms in setup.omses}
        for broker in setup.brokers:
            state.brokers.setdefault(broker.name, BrokerRecord(broker)).setup = broker
        holdings.adopt(state)
        for record in state.statements.values():
            record.barred = next((x.account for x in record.statement.lines if _barred(state, x.account)), "")
        return [Configured(setup)]


def _barred(state: State, account: str) -> bool:
    known = state.accounts.get(account)
    return known is None or known.status != ACTIVE


# ---------------------------------------------------------------- sessions, clock, journal, people


def _session_up(state: State, given: SessionUp) -> list[Output]:
    broker = state.brokers.get(given.session)
    if broker is not None:
        broker.up = True
        if state.ages_from_up:
            broker.since_ns = given.ts_ns
    return []


def _session_down(state: State, given: SessionDown) -> list[Output]:
    if given.session in state.brokers:
        state.brokers[given.session].up = False
    return []


def _journal_state(state: State, given: JournalState) -> list[Output]:
    state.degraded = given.why if given.degraded else ""
    if not given.degraded:
        return []
    return [Alert("GW-502", "critical", "journal", f"new orders are off: {given.why}")]


def _operator(state: State, given: Operator) -> list[Output]:
    match given.action:
        case "halt":
            state.halted.add(given.target)
            return [OrdersSwitched(given.target, True, given.actor, given.reason)]
        case "resume":
            state.halted.discard(given.target)
            return [OrdersSwitched(given.target, False, given.actor, given.reason)]
        case "stop":
            state.stopping = True
            return [OrdersSwitched("all", True, given.actor, "stopping")]
        case "start":
            state.stopping = False
            return receipts.restart(state, given.reason, given.ts_ns)
        case "session":
            return []  # what was done to a session is kept; nothing here depends on it
        case "close" | "cancel":
            return end_statement(state, given)
        case "book":
            return booking.on_request(state, given)
        case _:
            return [Flagged("GW-404", f"unknown operator action {given.action!r}")]


def _absorbed(_state: State, _given: Absorbed) -> list[Output]:
    return []


def _not_sent(state: State, given: NotSent) -> list[Output]:
    """A D, G or F that never left is refused to the OMS; everything else waits in the outbox."""
    code = "GW-406" if given.recovered else "GW-405"
    if given.decision_seq in state.orders:
        order = state.orders[given.decision_seq]
        if order.answered or not order.open:
            return []
        return end_unfilled(state, order, code, f"not sent: {given.why}", given.seq, given.ts_ns)
    request = state.requests.get(given.decision_seq)
    if request is not None:
        return refuse_request(state, given.decision_seq, code, f"not sent: {given.why}")
    return []


_HANDLERS: dict[type, Callable[[State, Any], list[Output]]] = {
    SessionUp: _session_up,
    SessionDown: _session_down,
    Tick: deadlines.on_tick,
    JournalState: _journal_state,
    Operator: _operator,
    PassTurn: on_pass_turn,
    SetHolding: holdings.on_set,
    SubmitStatement: on_submit,
    NewOrder: requests.on_new_order,
    ReplaceOrder: requests.on_replace_order,
    CancelOrder: requests.on_cancel_order,
    StatusRequest: requests.on_status_request,
    Unsupported: requests.on_unsupported,
    Absorbed: _absorbed,
    Execution: on_execution,
    CancelReject: on_cancel_reject,
    MessageReject: on_message_reject,
    AllocationAck: on_allocation_ack,
    ReportedAllocation: on_report,
    Confirmation: on_confirmation,
    RenewCalendar: calendar.on_renew,
    NotSent: _not_sent,
    ReceiptUnknown: receipts.on_receipt_unknown,
    RecordPerson: desk.on_record_person,
    NoteAccess: desk.on_note_access,
    RecordMark: desk.on_record_mark,
    AttendException: desk.on_attend_exception,
    RecordReview: desk.on_record_review,
    SignReview: desk.on_sign_review,
    RequestException: deviations.on_request,
    DecideException: deviations.on_decide,
    NoteDelivery: alerts.on_delivery,
    AcknowledgeAlert: alerts.on_acknowledge,
    ReportAlert: alerts.on_report,
    RecordReconciliation: reconciling.on_reconciliation,
    SendAgain: on_send_again,
}
