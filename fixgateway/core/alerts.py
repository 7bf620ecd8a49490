"""Alerts end to end, as far as they are decided: ids, what is unacknowledged, quiet repeats, acknowledgement.

Every :class:`.facts.Alert` is a fact of its own in the journal and has the id ``A-<input seq>-<position>``. The first
of a (reason, subject) on a trade date is kept here until a person acknowledges it and is delivered
(:mod:`fixgateway.monitor.delivery`); repeats are counted in it and delivered no more. What is kept is the outbox:
whoever delivers reads it from the state, so that nothing is lost with the process that should have sent it.

Some of what people must hear of is said by other facts (a refused order, a late allocation); :func:`follow` makes
alerts of those. Old journals knew none of this (``Setup.desk``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixgateway.core import digest, executed, guard
from fixgateway.core.desk_facts import AlertAcknowledged, DeliveryNoted
from fixgateway.core.desk_inputs import AcknowledgeAlert, NoteDelivery, ReportAlert
from fixgateway.core.facts import Alert, ExecutionApplied, StatementAllocated, StatementRefused
from fixgateway.core.inputs import Execution, Input
from fixgateway.core.model import EXACT, Averaging, Completion, Method, plain_text
from fixgateway.core.outbox import CHANNELS, MAX_ALERTS, AlertRecord
from fixgateway.core.outputs import Output, SendAllocation, SendReport
from fixgateway.core.people import Task
from fixgateway.core.state import State, policy_of

OVERFLOW = "GW-930"
MAX_TEXT = 1_000
"""Characters of the words of an acknowledgement."""
LATE_NS = 3_600 * 1_000_000_000
"""An allocation later than this after its statement's last fill is told (rule A10: one hour)."""
BLOCKING = ("GW-1", "GW-2")
"""Reasons of refused orders that mean "no statement covers it" (rule A1)."""
MINUTE_NS = 60 * 1_000_000_000
ABOVE_INTENT = frozenset(("overfill", "forced", "exception"))
"""Rules of a line that may exceed its intent; people hear of each in another way (GW-802, GW-841, an approval)."""
OWN_PRICES = frozenset((*executed.METHODS, Method.RELEASE_ROTATION))
"""Methods under which accounts have prices of their own."""
NAMED = 5
"""Accounts or prices written into an alert."""


# ---------------------------------------------------------------- after every input


def follow(state: State, given: Input, outputs: list[Output]) -> list[Output]:
    """What an input led to, with the alerts that follow from its facts; remembers the alerts and the day's tally."""
    kinds = set(map(type, outputs))
    if ExecutionApplied in kinds and isinstance(given, Execution) and given.last_qty:
        _filled(state, given, outputs)
    if kinds.isdisjoint(_WATCHED):  # nearly every order and report: nothing to say, nothing to keep
        return outputs
    more: list[Output] = []
    for output in outputs:
        rule = _ALSO.get(type(output))
        if rule is not None:
            more += rule(state, given, output)
    if more:
        outputs = [*outputs, *more]
    for position, output in enumerate(outputs):
        if isinstance(output, Alert):
            _raise(state, given, position, output)
        else:
            digest.tally(state, given.seq, position, output)
    return outputs


def _repeated(state: State, given: Input, alert: Alert) -> bool:
    """Whether the same alert is unacknowledged since earlier today; it is counted then."""
    known = state.alerts.get(state.alerted.get((alert.reason, alert.subject), ""))
    if known is None or known.day != state.day or known.severity != alert.severity:
        return False
    known.count += 1
    known.last_ns = given.ts_ns
    return True


def _raise(state: State, given: Input, position: int, alert: Alert) -> None:
    """Keep an alert, or count it."""
    alert_id = f"A-{given.seq}-{position}"
    if _repeated(state, given, alert):
        _remember_repeat(state, alert_id, state.alerted[alert.reason, alert.subject])
        return
    if len(state.alerts) >= MAX_ALERTS:
        text = f"{MAX_ALERTS} alerts are unacknowledged: further ones are counted here; the records have each"
        alert = Alert(OVERFLOW, "critical", "alerts", text)
        if _repeated(state, given, alert):
            _remember_repeat(state, alert_id, state.alerted[alert.reason, alert.subject])
            return
    state.alerts[alert_id] = AlertRecord(
        given.seq, alert.reason, alert.severity, alert.subject, alert.text, state.day, given.ts_ns, given.ts_ns
    )
    state.alerted[alert.reason, alert.subject] = alert_id


def _remember_repeat(state: State, alert_id: str, kept_id: str) -> None:
    """A repeat is a fact with an id of its own: whoever acknowledges that one means the first."""
    state.repeats[alert_id] = kept_id
    if len(state.repeats) > MAX_ALERTS:
        del state.repeats[next(iter(state.repeats))]


# ---------------------------------------------------------------- facts that people are told of


def _once(state: State, given: Input, alert: Alert) -> list[Output]:
    """An alert, unless the same is unacknowledged since earlier today: then it is counted and nothing is said."""
    return [] if _repeated(state, given, alert) else [alert]


def _blocked(state: State, given: Input, report: SendReport) -> list[Output]:
    """Rule A1: the gate stopped an order; one alert a day for each reason and OMS."""
    if report.exec_type != "8" or not report.reason.startswith(BLOCKING):
        return []
    text = f"order {report.cl_ord_id}: {report.text}"
    return _once(state, given, Alert(report.reason, "warning", report.session, text))


def _change_refused(state: State, given: Input, refused: StatementRefused) -> list[Output]:
    """Rule A2: somebody tried to change a statement that has orders."""
    for problem in refused.problems:
        if problem.reason == "GW-612":
            text = f"{refused.actor or refused.door}: {problem.text}"
            return _once(state, given, Alert("GW-612", "warning", refused.statement_id, text))
    return []


def _filled(state: State, given: Execution, outputs: list[Output]) -> None:
    """Remember when the statement was filled last (rule A10)."""
    for output in outputs:
        if isinstance(output, ExecutionApplied) and output.effect == "fill" and output.statement_id in state.statements:
            state.last_fills[output.statement_id] = given.ts_ns


def _sent(state: State, given: Input, sent: SendAllocation) -> list[Output]:
    """Rules A5 (one price for everybody) and A10 (an hour after the last fill at the latest)."""
    allocation = sent.allocation
    name, found = allocation.alloc_id, list[Output]()
    last = state.last_fills.pop(allocation.statement_id, None)
    late = last is not None and given.ts_ns - last > LATE_NS and not _waits_for_the_day(state, allocation.statement_id)
    if last is not None and late and allocation.trans_type == "0":
        minutes = (given.ts_ns - last) // MINUTE_NS
        text = f"statement {allocation.statement_id}: allocation {name} left {minutes} minutes after the last fill"
        found += _once(state, given, Alert("GW-938", "warning", allocation.statement_id, text))
    prices = sorted({share.avg_px for share in allocation.shares})
    if len(prices) > 1 and _averaged(state, allocation.statement_id):
        text = f"allocation {name} has several average prices: {', '.join(prices[:NAMED])}"
        found += _once(state, given, Alert("GW-937", "critical", name, text))
    return found


def _waits_for_the_day(state: State, statement_id: str) -> bool:
    """Whether the policy itself says that allocations wait for the end of the day."""
    record = state.statements.get(statement_id)
    if record is None:
        return False
    policy = policy_of(state, record.statement)
    return policy.completion is Completion.DAY or policy.averaging is Averaging.DAY


def _averaged(state: State, statement_id: str) -> bool:
    """Whether everybody under a statement has the average price: no executed prices, no fills of one's own."""
    record = state.statements.get(statement_id)
    return record is not None and record.statement.method not in OWN_PRICES


def _divided(state: State, given: Input, division: StatementAllocated) -> list[Output]:
    """Rule A5: nobody above the intent. The engine cannot do it; should it ever, people are told."""
    record = state.statements.get(division.statement_id)
    if record is None or record.split_num != record.split_den:
        return []
    above = []
    for line in division.lines:
        quantity = EXACT.add(line.before, line.quantity)
        if quantity > line.intent and line.rule.partition(":")[0] not in ABOVE_INTENT:
            above.append(f"{line.account} {plain_text(quantity)} of {plain_text(line.intent)}")
    if not above:
        return []
    text = f"statement {division.statement_id}: more than intended: {', '.join(above[:NAMED])}"
    return _once(state, given, Alert("GW-936", "critical", division.statement_id, text))


_ALSO: dict[type, Callable[[State, Any, Any], list[Output]]] = {
    SendReport: _blocked,
    StatementRefused: _change_refused,
    SendAllocation: _sent,
    StatementAllocated: _divided,
}
_WATCHED = digest.TALLIED.union(_ALSO)
"""Outputs that lead to an alert, or that an alert or the digest keeps."""


# ---------------------------------------------------------------- delivery and acknowledgement


def on_delivery(state: State, given: NoteDelivery) -> list[Output]:
    """An attempt to deliver an alert; one that succeeded takes it out of the channel's outbox."""
    kept = state.alerts.get(given.alert_id)
    if kept is not None and given.channel in CHANNELS:
        if not given.delivered:
            kept.failed += 1
        elif given.channel not in kept.delivered:
            kept.delivered.append(given.channel)
    return [DeliveryNoted(given.alert_id, given.channel, given.delivered, given.text[:MAX_TEXT])]


def on_acknowledge(state: State, given: AcknowledgeAlert) -> list[Output]:
    """A person has seen an alert, with all of its reason and subject until now: the next of its kind is news again."""
    refused = (given.actor, "acknowledge alert", given.alert_id)
    if why := guard.why_not(state, given.actor, Task.ATTEND):
        return guard.refused(*refused, guard.REASON, why)
    kept_id = state.repeats.get(given.alert_id, given.alert_id)
    kept = state.alerts.get(kept_id)
    text = given.text.strip()
    if kept is None:
        return guard.refused(*refused, "GW-931", f"alert {given.alert_id} is not known, or was acknowledged before")
    if not text or len(text) > MAX_TEXT:
        return guard.refused(*refused, "GW-931", f"say what is done about it, in at most {MAX_TEXT} characters")
    same = {name for name, x in state.alerts.items() if (x.reason, x.subject) == (kept.reason, kept.subject)}
    for name in same:
        del state.alerts[name]
    for name in [name for name, first in state.repeats.items() if first in same]:
        del state.repeats[name]
    state.alerted.pop((kept.reason, kept.subject), None)
    return [AlertAcknowledged(kept_id, given.actor, text)]


def on_report(_state: State, given: ReportAlert) -> list[Output]:
    """Something beside the engine has found what people must hear of."""
    return [Alert(given.reason, given.severity, given.subject, given.text[:MAX_TEXT])]
