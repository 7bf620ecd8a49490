"""What the engine answers: messages to send and facts to keep, in the order they were decided.

A *send* is something the gateway performs after the records behind it are synced; a *fact* only goes to
the journal, the database, the log and the metrics. Every output of one input stands in one ``decision``
record, so replay can compare them one by one. Names of the field's messages are kept in the class names.
"""

from __future__ import annotations

from fixgateway.core import back_office, market
from fixgateway.core.desk_facts import DeskFact
from fixgateway.core.facts import (
    Alert,
    AllocationAcked,
    Configured,
    ExceptionOpened,
    ExecutionApplied,
    Flagged,
    HoldingSet,
    OrderChanged,
    OrdersSwitched,
    Problem,
    ResendForbidden,
    RotationTurn,
    StatementAllocated,
    StatementClosed,
    StatementRefused,
    StatementRegistered,
    StatementSplit,
    TraceLine,
)
from fixgateway.core.sends import (
    Allocation,
    Charge,
    CutSession,
    ForwardToBroker,
    OrderRef,
    PassToOms,
    SendAllocation,
    SendAllocationReport,
    SendBusinessReject,
    SendCancelReject,
    SendDontKnow,
    SendReport,
    SendStatementAck,
    Share,
)

__all__ = [
    "AccountAnswer",
    "Alert",
    "Allocation",
    "AllocationAcked",
    "CalendarRenewed",
    "Charge",
    "CompletionMeasured",
    "Configured",
    "ConfirmationJudged",
    "CutSession",
    "ExceptionOpened",
    "ExecutionApplied",
    "Fact",
    "Flagged",
    "ForwardToBroker",
    "HoldingSet",
    "OrderChanged",
    "OrderRef",
    "OrdersSwitched",
    "Output",
    "PassToOms",
    "Problem",
    "ReportJudged",
    "ResendForbidden",
    "RotationTurn",
    "Send",
    "SendAllocation",
    "SendAllocationReport",
    "SendBusinessReject",
    "SendCancelReject",
    "SendConfirmationAck",
    "SendConfirmationRequest",
    "SendDontKnow",
    "SendReport",
    "SendReportAck",
    "SendStatementAck",
    "Share",
    "StatementAllocated",
    "StatementClosed",
    "StatementRefused",
    "StatementRegistered",
    "StatementSplit",
    "TraceLine",
]


AccountAnswer = back_office.AccountAnswer
CompletionMeasured = back_office.CompletionMeasured
ConfirmationJudged = back_office.ConfirmationJudged
ReportJudged = back_office.ReportJudged
SendConfirmationAck = back_office.SendConfirmationAck
SendConfirmationRequest = back_office.SendConfirmationRequest
SendReportAck = back_office.SendReportAck
CalendarRenewed = market.CalendarRenewed


Send = (
    ForwardToBroker
    | PassToOms
    | SendReport
    | SendCancelReject
    | SendBusinessReject
    | SendStatementAck
    | SendAllocation
    | SendAllocationReport
    | SendReportAck
    | SendConfirmationAck
    | SendConfirmationRequest
    | SendDontKnow
    | CutSession
)
Fact = (
    Configured
    | StatementRegistered
    | StatementRefused
    | StatementClosed
    | ExecutionApplied
    | OrderChanged
    | StatementAllocated
    | AllocationAcked
    | ReportJudged
    | ConfirmationJudged
    | CompletionMeasured
    | CalendarRenewed
    | StatementSplit
    | RotationTurn
    | HoldingSet
    | ExceptionOpened
    | Alert
    | Flagged
    | OrdersSwitched
    | ResendForbidden
    | DeskFact
)
Output = Send | Fact
