"""What everybody should have of a total: the method's shares, and whose the rest is.

A fill above the statement's total, or above what holdings allow, goes to the policy's error account
(``overfill = "error-account"``) or stays unallocated; a person is told in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import holdings, overrides, own_orders
from fixgateway.core.credits import kept
from fixgateway.core.exceptions import exception
from fixgateway.core.methods import Division, Terms, allocate
from fixgateway.core.model import EXACT, ZERO, Overfill, Rounding, Statement, exact_sum, plain_text
from fixgateway.core.outputs import Alert, Output, TraceLine
from fixgateway.core.state import State, StatementRecord, policy_of

OVERFILL = "overfill"
"""The rule of the error account's line."""


@dataclass(frozen=True, slots=True)
class Target:
    """A total divided: a line for every account of the statement, and one for the error account that bears a rest.

    ``waits``: every share is below its minimum. ``notes`` are for the division's trace, ``credits`` what the
    rounding leaves each account short of, in lots.
    """

    lines: tuple[TraceLine, ...]
    unallocated: Decimal
    waits: bool = False
    notes: tuple[str, ...] = ()
    credits: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def shares(self) -> dict[str, Decimal]:
        """Quantity by account, in the lines' order."""
        return {line.account: line.quantity for line in self.lines}


def target(state: State, record: StatementRecord, total: Decimal) -> Target:
    """Divide ``total`` by the statement's terms, or as an approved exception that fits says."""
    found = computed(state, record, total)
    if not record.override or overrides.misfit(state, record, record.override, found.lines, found.unallocated):
        return found
    lines = overrides.in_place(record.override, found.lines)
    moved = EXACT.subtract(exact_sum(line.quantity for line in lines), exact_sum(found.shares.values()))
    note = f"divided as exception {record.override_id} says"
    return replace(
        found, lines=lines, unallocated=EXACT.subtract(found.unallocated, moved), notes=(*found.notes, note)
    )


def lapse(state: State, record: StatementRecord, total: Decimal) -> list[Output]:
    """An approved exception that does not fit what is filled now is over; people are told (GW-906)."""
    if not record.override:
        return []
    found = computed(state, record, total)
    why = overrides.misfit(state, record, record.override, found.lines, found.unallocated)
    if not why:
        return []
    name, exception_id = record.statement.statement_id, record.override_id
    record.override, record.override_id = {}, ""
    text = f"statement {name}: exception {exception_id} does not fit any more: {why}; the computed division counts"
    return exception("GW-906", name, text)


def computed(state: State, record: StatementRecord, total: Decimal) -> Target:
    """Divide ``total`` by the statement's terms, whatever exception was approved."""
    statement = record.statement
    division = _division(state, record, total)
    policy = policy_of(state, statement)
    waived = ("the minimum was waived: every share was below it at the end",) if record.waived else ()
    changed = (f"the statement was changed by an exception: version {statement.version}",) if record.original else ()
    notes = (*waived, *changed, *holdings.notes(record))
    if division.unallocated and policy.overfill is Overfill.ERROR_ACCOUNT and policy.error_account:
        excess = _excess(policy.error_account, division.unallocated)
        return Target((*division.lines, excess), ZERO, division.all_below_minimum, notes, division.credits)
    return Target(division.lines, division.unallocated, division.all_below_minimum, notes, division.credits)


def _division(state: State, record: StatementRecord, total: Decimal) -> Division:
    """The method's shares of ``total``; of a release rotation what each account's own orders filled."""
    statement = record.statement
    lines = holdings.capped(record)
    if own_orders.applies(statement, state.setup.rules):
        return Division(*own_orders.shares(lines, [state.orders[key] for key in record.orders]))
    asked = replace(
        terms(statement),
        ignore_minimum=record.waived,
        credits=_credits(state, record),
        by_weight=state.setup.rules >= 2,
    )
    if record.original is not None:
        first = allocate(overrides.first_lines(record), total, asked)
        lines = overrides.bounded(state, record, lines, {line.account: line.quantity for line in first.lines})
    return allocate(lines, total, asked)


def terms(statement: Statement) -> Terms:
    """What decides the shares of a statement, apart from its lines and the fill."""
    return Terms(
        statement.statement_id,
        statement.lot,
        statement.min_quantity,
        statement.ties,
        statement.remainder,
        statement.seed,
        method=statement.method,
        rounding=statement.rounding,
        side=statement.side,
        proportional=bool(statement.justification),
    )


def _credits(state: State, record: StatementRecord) -> dict[str, Fraction]:
    """What earlier roundings under the policy left the accounts short of when the statement was first divided."""
    statement = record.statement
    if statement.rounding is not Rounding.CARRY_FORWARD:
        return {}
    if record.credits:
        return {account: Fraction(given) for account, (given, _) in record.credits.items()}
    found = {line.account: state.credits.get((statement.policy_id, line.account)) for line in statement.lines}
    return {account: Fraction(credit) for account, credit in found.items() if credit}


def keep_credits(state: State, record: StatementRecord, credits: Mapping[str, Fraction]) -> None:
    """Remember what a division leaves the accounts short of; one done again counts by how much it changed."""
    given = _credits(state, record)
    policy_id = record.statement.policy_id
    for account, after in credits.items():
        counted = record.credits.get(account)
        before = Fraction(counted[1]) if counted else given.get(account, Fraction(0))
        total = Fraction(state.credits.get((policy_id, account), "0")) + after - before
        state.credits[policy_id, account] = str(kept(total))
    if credits:
        starts = {account: record.credits.get(account, (str(given.get(account, 0)), ""))[0] for account in credits}
        record.credits = {account: (starts[account], str(after)) for account, after in credits.items()}


def _excess(account: str, quantity: Decimal) -> TraceLine:
    exact = Fraction(quantity)
    return TraceLine(account, ZERO, f"{exact.numerator}/{exact.denominator}", ZERO, quantity, quantity, OVERFILL)


def remarks(statement: Statement, found: Target) -> list[Output]:
    """The alert about what nobody of the statement may have (GW-802)."""
    name = statement.statement_id
    excess = found.lines[-1] if found.lines and found.lines[-1].rule == OVERFILL else None
    if excess is not None:
        rest = plain_text(excess.quantity)
        text = f"statement {name}: {rest} filled above what its accounts may have go to {excess.account}"
    elif found.unallocated:
        text = f"statement {name}: {found.unallocated} filled above its total stay unallocated"
    else:
        return []
    return [Alert("GW-802", "critical", name, text)]
