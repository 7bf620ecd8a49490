"""The registers by name: what each is for, its columns in order, where its rows come from.

One table. The command line, the HTTP API and the annual review pack all go through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fixgateway.core.people import Task
from fixgateway.errors import UsageError
from fixgateway.exports.forms import FORMS, Register
from fixgateway.records import desk_registers, registers
from fixgateway.records.blotter import COLUMNS as BLOTTER_COLUMNS
from fixgateway.records.database import Engine
from fixgateway.records.memos import FLAT as MEMO_COLUMNS
from fixgateway.records.queries import Record
from fixgateway.records.registers import Period

_WHERE = ("journal_seq", "position")


REGISTERS: dict[str, Register] = {
    "allocations": Register(
        "Allocations",
        "17 CFR 275.204-2(a)(7)(iii): every allocation with its date and time",
        ("trade_date", "statement_id", "alloc_id", "trans_type", "ref_alloc_id", "replace_reason", "broker", "oms",
         "symbol", "side", "account", "quantity", "avg_px", "price", "gross", "commission", "fees", "net", "residual",
         "status", "decided_at", "sent_at", "booked_at"),
        registers.allocations,
    ),
    "completion-rates": Register(
        "Completion rates by trade date and broker",
        "17 CFR 240.15c6-2(b): measured, monitored and documented",
        ("trade_date", "broker", "stage", "time", "due", "allocated", "accepted", "confirmed", "affirmed", "confirms",
         "allocated_rate", "accepted_rate", "confirmed_rate", "affirmed_rate"),
        registers.completion_rates,
    ),
    "blocked-orders": Register(
        "Orders and requests that were not let through",
        "the pre-trade hard stop (SMC Capital, 1995, condition 4)",
        ("time", "session", "broker", "msg_type", "cl_ord_id", "orig_cl_ord_id", "statement_id", "symbol", "side",
         "order_qty", "verdict", "reason", "text", *_WHERE),
        registers.blocked_orders,
    ),
    "statement-changes": Register(
        "Statements changed, cancelled or closed by a person, and drafts refused",
        "17 CFR 275.204-2(a)(3): modifications and cancellations",
        ("time", "statement_id", "version", "trade_date", "symbol", "side", "total", "state", "closed_at", "closed_by",
         "door", "actor", "reason", "text", *_WHERE),
        registers.statement_changes,
    ),
    "trade-errors": Register(
        "Trade errors and the use of error accounts",
        "FINRA 4515: transfers to an error account are changes of designation",
        ("time", "what", "statement_id", "alloc_id", "account", "quantity", "avg_px", "broker", "exec_id",
         "exec_ref_id", "effect", "last_qty", "last_px", "reason", "subject", "text", *_WHERE),
        registers.trade_errors,
    ),
    "turns": Register(
        "Turns of rotations",
        "the rotation the policy discloses, turn by turn",
        ("time", "policy_id", "statement_id", "account", "turn", "outcome", "queue_position", "quantity", "actor",
         "reason", *_WHERE),
        registers.turns,
    ),
    "accounts": Register(
        "Accounts side by side, with class and fee over time",
        "who could gain from favouritism, at any time",
        ("account", "name", "class", "fee", "fee_rate", "strategy", "status", "owner", "aggregation_permitted",
         "agreement_ref", "disclosed_on", "new_issue_restricted", "represented_on", "from", "until"),
        registers.accounts,
    ),
    "policies": Register(
        "Allocation policies that were in force",
        "17 CFR 275.206(4)-7: written policies",
        ("policy_id", "version", "approved_by", "effective_from", "effective_at", "time", "method", "rounding", "ties",
         "remainder", "lot", "min_quantity", "completion", "averaging", "interim", "text_sha256", "engine_version",
         *_WHERE),
        registers.policies,
    ),
    "dispersion": Register(
        "Dispersion of accounts by strategy and quarter",
        "NFA 9029: reviewed at least quarterly",
        ("quarter", "strategy", "account", "blocks", "quantity", "notional", "deviation_units", "deviation_money",
         "deviation_bps", "spread_bps"),
        registers.dispersion,
    ),
    "order-memoranda": Register(
        "Order memoranda",
        "17 CFR 275.204-2(a)(3): a memorandum of each order and of any modification or cancellation",
        MEMO_COLUMNS,
        desk_registers.order_memoranda,
    ),
    "exceptions": Register(
        "Exceptions asked for, before and after",
        "SMC Capital, 1995, condition 6: written reason, approved in writing, one hour after the next open",
        ("time", "exception_id", "kind", "statement_id", "code", "codes_version", "text", "requested_by", "role",
         "due_date", "due_time", "account", "class", "intent", "before", "after", "benefit", "mark", "mark_source",
         "avg_px", "state", "decided_at", "decided_by", "late", "overdue_at", "decision_text", "made", *_WHERE),
        desk_registers.exceptions,
    ),
    "opened-exceptions": Register(
        "Exceptions the gateway opened, and how they were resolved",
        "what a person had to look at",
        ("time", "exception_id", "reason", "subject", "text", "resolved_at", "resolved_by", "resolution", *_WHERE),
        desk_registers.opened_exceptions,
    ),
    "alerts": Register(
        "Alerts, their delivery and acknowledgement",
        "told at once, and who saw it when",
        ("time", "alert_id", "severity", "reason", "subject", "text", "delivered_at", "acknowledged_at",
         "acknowledged_by", "acknowledgement", *_WHERE),
        desk_registers.alerts,
    ),
    "accesses": Register(
        "Who signed in, and who read what",
        "17 CFR 275.204-2(g): limited access",
        ("time", "actor", "what", "subject", "address", *_WHERE),
        desk_registers.accesses,
        Task.READ_REVIEWS,
    ),
    "refused-actions": Register(
        "What people tried and were not allowed",
        "17 CFR 275.204-2(g): limited access",
        ("time", "actor", "action", "subject", "reason", "text", *_WHERE),
        desk_registers.refused_actions,
        Task.READ_REVIEWS,
    ),
    "people": Register(
        "People, their roles and every change of them",
        "17 CFR 240.17a-4(f)(2)(i)(A)(3): the identity of the individual",
        ("time", "person_id", "name", "roles", "active", "email", "actor", *_WHERE),
        desk_registers.people,
    ),
    "marks": Register(
        "Marks, their sources and times",
        "what an exception or a review was measured with",
        ("time", "symbol", "price", "source", "as_of", "close", "actor", *_WHERE),
        desk_registers.marks,
    ),
    "reconciliations": Register(
        "Days compared with custodians' and brokers' files, and days that were not",
        "an independent look at the books",
        ("time", "trade_date", "source", "sha256", "rows", "matched", "discrepancies", "actor", *_WHERE),
        desk_registers.reconciliations,
    ),
    "reviews": Register(
        "Forensic reviews and their conclusions",
        "17 CFR 275.206(4)-7: annual review",
        ("time", "review_id", "kind", "first", "last", "verdict", "summary", "plan_sha256", "data_sha256", "seed",
         "result", "actor", "conclusion", "follow_up", "signed_by", "signed_at", *_WHERE),
        desk_registers.reviews,
        Task.READ_REVIEWS,
    ),
    "blotter": Register(
        "Period blotter, one row a block and account",
        "the file forensic tests read: fixgateway forensics run --blotter FILE",
        BLOTTER_COLUMNS,
        desk_registers.period_blotter,
        as_it_is=True,
    ),
}  # fmt: skip
"""Name on the command line and in addresses → the register."""


def register(name: str) -> Register:
    """The register of a name.

    Raises:
        UsageError: there is none; the names there are stand in the message.
    """
    found = REGISTERS.get(name)
    if found is None:
        raise UsageError(f"no register {name!r}; there are {', '.join(sorted(REGISTERS))}")
    return found


def described() -> dict[str, dict[str, object]]:
    """Every register's title, basis and columns, by name."""
    return {
        name: {"title": found.title, "basis": found.basis, "columns": list(found.columns), "task": found.task}
        for name, found in REGISTERS.items()
    }


def write(engine: Engine, name: str, form: str, period: Period, target: Path) -> int:
    """Write a register of a period to a file; returns how many rows it has.

    Raises:
        UsageError: there is no such register or form, or the file cannot be written.
    """
    chosen = register(name)
    if form not in FORMS:
        raise UsageError(f"a register is written as {', '.join(FORMS)}, not {form}")
    count = 0

    def counted(rows: Iterator[Record]) -> Iterator[Record]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    try:
        with engine.connect() as connection, target.open("w", encoding="utf-8", newline="") as file:
            file.writelines(FORMS[form][1](chosen, counted(chosen.rows(connection, period))))
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None
    return count
