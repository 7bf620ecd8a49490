"""The day's exceptions for the Chief Compliance Officer: counted as they come, told when the date changes.

The digest is an alert of its own (GW-934) and names the exceptions of the day, the requests that wait, the ones that
are overdue, and what the day's reconciliation found: also that there was none.
"""

from __future__ import annotations

from datetime import date

from fixgateway.core import calendar
from fixgateway.core.desk_facts import ExceptionDecided, ExceptionOverdue, ExceptionRequested, ReconciliationRecorded
from fixgateway.core.desk_records import ExceptionRecord
from fixgateway.core.facts import Alert, ExceptionOpened
from fixgateway.core.outbox import MAX_NAMED, MAX_RECONCILED
from fixgateway.core.outputs import Output
from fixgateway.core.state import State

DIGEST = "GW-934"
NOT_RUN = "not run"
LISTED = 50
"""Exceptions, requests and alerts written into one digest; the rest is counted."""
_WORDS = 160
"""Characters of an exception's own words in a digest."""


TALLIED = frozenset(
    (Alert, ExceptionOpened, ExceptionRequested, ExceptionDecided, ExceptionOverdue, ReconciliationRecorded)
)
"""Outputs that the day's digest or the outbox keeps."""


def tally(state: State, seq: int, position: int, output: Output) -> None:
    """Count what belongs into the day's digest; anything else is passed over."""
    match output:
        case ExceptionOpened(reason, subject, text):
            _count(state, reason)
            _name(state, f"X-{seq}-{position}", f"{reason} {subject}: {text}")
        case ExceptionRequested():
            _count(state, "requested")
            due = f"{output.due_date.isoformat()} {output.due_time}"
            words = f"{output.kind} of statement {output.statement_id} by {output.requested_by}, due {due}"
            _name(state, output.exception_id, f"requested: {words}")
        case ExceptionDecided(exception_id=name, decision=decision, actor=actor, late=late):
            _count(state, decision)
            _name(state, name, f"{decision} by {actor or 'the gateway'}{', late' if late else ''}")
        case ExceptionOverdue():
            _count(state, "overdue")
        case ReconciliationRecorded():
            _reconciled(state, output)
        case _:
            pass


def _count(state: State, what: str) -> None:
    state.day_tally[what] = state.day_tally.get(what, 0) + 1


def _name(state: State, name: str, words: str) -> None:
    """Keep an exception's words; what a request comes to stands behind its id."""
    if name in state.day_named or len(state.day_named) < MAX_NAMED:
        before = state.day_named.get(name)
        state.day_named[name] = f"{before}; {words[:_WORDS]}" if before else words[:_WORDS]


def _reconciled(state: State, found: ReconciliationRecorded) -> None:
    day = found.trade_date.isoformat()
    state.reconciled[day] = outcome(found)
    for old in sorted(state.reconciled)[:-MAX_RECONCILED]:
        del state.reconciled[old]


def outcome(found: ReconciliationRecorded) -> str:
    """A reconciliation in words: ``matched, 12 rows of custody.csv`` or ``3 differences, …`` or ``not run``."""
    if not found.sha256:
        return NOT_RUN
    what = f"{found.discrepancies} differences" if found.discrepancies else "matched"
    return f"{what}, {found.rows} rows of {found.source}, by {found.actor}"


# ---------------------------------------------------------------- the end of the day


def end_day(state: State, ended: date) -> list[Output]:
    """The date has changed: tell what the day that ended was like, and begin anew.

    A day without trading of which there is nothing to tell is passed over.
    """
    if not state.setup.desk or ended == date.min:
        return []
    outputs: list[Output] = []
    day = ended.isoformat()
    if day not in state.reconciled and calendar.is_trade_date(state.setup, ended):
        outputs.append(ReconciliationRecorded(ended, "", "", 0, 0, 0, ""))
    if outputs or state.day_tally or state.pending:
        outputs.append(Alert(DIGEST, "critical" if _overdue(state) else "warning", day, text(state, ended)))
    state.day_tally.clear()
    state.day_named.clear()
    return outputs


def _overdue(state: State) -> list[ExceptionRecord]:
    """Requests whose deadline passed without a decision."""
    return [asked for name in state.pending if (asked := state.exceptions[name]).overdue]


def text(state: State, ended: date) -> str:
    """The digest's words, a line for each thing."""
    day, tallied = ended.isoformat(), state.day_tally
    opened = sum(number for what, number in tallied.items() if what.startswith("GW-"))
    others = [f"{number} {what}" for what, number in sorted(tallied.items()) if not what.startswith("GW-")]
    counts = [f"{opened} exceptions opened", *others]
    critical = sum(1 for kept in state.alerts.values() if kept.severity == "critical")
    lines = [
        f"Digest of {day}: {', '.join(counts)}",
        f"reconciliation: {state.reconciled.get(day, NOT_RUN)}",
        f"alerts nobody has acknowledged: {len(state.alerts)}, of them critical: {critical}",
        f"requests overdue: {_listed(_overdue(state))}",
        f"requests undecided: {_listed([state.exceptions[name] for name in state.pending])}",
    ]
    named = [f"{name} {words}" for name, words in state.day_named.items()]
    more = opened + tallied.get("requested", 0) - len(named)
    lines += [f"- {words}" for words in named[:LISTED]]
    if (rest := max(more, 0) + max(len(named) - LISTED, 0)) > 0:
        lines.append(f"- and {rest} more: see the exception register")
    return "\n".join(lines)


def _listed(asked: list[ExceptionRecord]) -> str:
    """Requests in words, bounded."""
    rest = f" and {len(asked) - LISTED} more" if len(asked) > LISTED else ""
    words = (f"{x.exception_id} ({x.kind} of {x.statement_id}, due {x.due_date} {x.due_time})" for x in asked[:LISTED])
    return (", ".join(words) + rest) if asked else "none"
