"""A day's records compared with a custodian's or broker's file: what the comparison leads to.

The comparison is made outside (:mod:`fixgateway.records.reconciling`) and told as an input with every difference. Each
difference opens an exception, bounded; one alert says how many there are.
"""

from __future__ import annotations

from fixgateway.core import guard
from fixgateway.core.desk_facts import ReconciliationRecorded
from fixgateway.core.desk_inputs import RecordReconciliation
from fixgateway.core.facts import Alert, ExceptionOpened
from fixgateway.core.outputs import Output
from fixgateway.core.people import Task
from fixgateway.core.state import State

MAX_DISCREPANCIES = 500
"""Differences of one file that open an exception each; the rest is one exception that counts them."""
MAX_TEXT = 500
UNKNOWN, QUANTITY, PRICE, ACCOUNT, MISSING = "no-statement", "quantity", "price", "account", "missing"
REASONS = {
    UNKNOWN: "GW-941",
    QUANTITY: "GW-942",
    PRICE: "GW-943",
    ACCOUNT: "GW-944",
    MISSING: "GW-945",
}
"""Kind of a difference → its reason."""
FOUND = "GW-940"


def on_reconciliation(state: State, given: RecordReconciliation) -> list[Output]:
    """A file was compared with a day's records."""
    day = given.trade_date.isoformat()
    if why := guard.why_not(state, given.actor, Task.RECONCILE):
        return guard.refused(given.actor, "reconcile", day, guard.REASON, why)
    if why := _wrong(state, given):
        return guard.refused(given.actor, "reconcile", day, "GW-933", why)
    number = len(given.discrepancies)
    recorded = ReconciliationRecorded(
        given.trade_date, given.source, given.sha256, given.rows, given.matched, number, given.actor
    )
    outputs: list[Output] = [recorded]
    for found in given.discrepancies[:MAX_DISCREPANCIES]:
        text = f"{day}, {given.source}: {found.text}"
        outputs.append(ExceptionOpened(REASONS[found.kind], found.subject, text[:MAX_TEXT]))
    if number > MAX_DISCREPANCIES:
        text = f"{day}, {given.source}: {number - MAX_DISCREPANCIES} more differences"
        outputs.append(ExceptionOpened(FOUND, day, text))
    if number:
        words = f"{given.source}: {number} differences to the records of {day}, {given.rows} rows"
        outputs.append(Alert(FOUND, "critical", day, words))
    return outputs


def _wrong(state: State, given: RecordReconciliation) -> str:
    """What is wrong with a comparison as it is told, "" when nothing is."""
    if given.trade_date > state.trade_date:
        return f"{given.trade_date.isoformat()} has not come yet"
    unknown = sorted({found.kind for found in given.discrepancies} - REASONS.keys())
    if unknown:
        return f"unknown kind of difference: {', '.join(unknown)}"
    if not given.source.strip() or not given.sha256:
        return "the file has no name or no SHA-256"
    return ""
