"""Turns: who comes first where a policy serves accounts one after another.

Theory of operation. Every policy has a queue of accounts, derived from the inputs alone (:attr:`State.rotations`).
Registration stamps each line of a statement with its turn in the order of the queue, from 1; accounts that are not in
the queue join at its end in order of account id. An account moves to the back only when its turn was *served*: it was
filled (method rotation), or a remainder or odd rest went to it (ties and remainder rotation). A statement that ends
unfilled moves nobody: whoever is first stays first, so an order that is cancelled again skips no account; it is
counted, because it may be an attempt to find a better turn.

Somebody who is first in a statement that is still active goes behind those who are not (and somebody who is first in
two of them behind those who are in one): ten statements registered at once do not all begin with the same account.

Under method release-rotation every account has orders of its own; :func:`release_refusal` lets them out in order of
turn. How their fills are booked: :mod:`.own_orders`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from fixgateway.core import grinding, own_orders
from fixgateway.core.inputs import PassTurn
from fixgateway.core.model import (
    EXACT,
    ZERO,
    Line,
    Method,
    Remainder,
    Statement,
    Ties,
    exact_sum,
    plain_decimal,
    plain_text,
)
from fixgateway.core.orders import REJECTED
from fixgateway.core.outputs import Alert, Output, Problem, RotationTurn, StatementRefused
from fixgateway.core.reasons import Refusal, refuse
from fixgateway.core.state import ACTIVE, State, StatementRecord

RULES = 2
"""The first edition of the rules with turns."""
SERVED, PASSED, UNFILLED = "served", "passed", "unfilled"
_METHODS = frozenset((Method.ROTATION, Method.RELEASE_ROTATION))
_NAMED_MAX = 20
"""Accounts named in an acknowledgement; all turns stand on the statement's lines."""
_ODD_REST = f"odd-rest:{Remainder.ROTATION}"


# ---------------------------------------------------------------- registration


def applies(method: Method, ties: Ties, remainder: Remainder) -> bool:
    """Whether terms look at turns."""
    return method in _METHODS or ties is Ties.ROTATION or remainder is Remainder.ROTATION


def turns(state: State, policy_id: str, accounts: Iterable[str], besides: str = "") -> dict[str, int]:
    """The turn of each account in a statement registered now, from 1.

    Args:
        besides: a statement that the new one replaces; being first there does not count.
    """
    queue = state.rotations.get(policy_id, ())
    place = {account: n for n, account in enumerate(queue)}
    first = Counter(
        state.statements[name].first
        for name in state.active
        if name != besides and state.statements[name].statement.policy_id == policy_id
    )
    order = sorted(accounts, key=lambda account: (first[account], place.get(account, len(place)), account))
    return {account: turn for turn, account in enumerate(order, 1)}


def enter(state: State, record: StatementRecord) -> None:
    """A statement is in force: accounts that are new to its policy's rotation join the queue."""
    lines = record.statement.lines
    if state.setup.rules < RULES or not lines[0].turn:
        return
    queue = state.rotations.setdefault(record.statement.policy_id, [])
    known = set(queue)
    queue.extend(sorted(line.account for line in lines if line.account not in known))
    record.first = min(lines, key=lambda line: line.turn).account


def sequence(statement: Statement) -> str:
    """For the acknowledgement of a release rotation: in which order its accounts' orders may leave, the first ones."""
    if statement.method is not Method.RELEASE_ROTATION or not statement.lines[0].turn:
        return ""
    names = [line.account for line in sorted(statement.lines, key=lambda line: line.turn)]
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return f"; turns {', '.join(names[:_NAMED_MAX])}{more}"


# ---------------------------------------------------------------- the end of a statement


def ended(state: State, record: StatementRecord) -> list[Output]:
    """A statement is closed, and divided when anything was filled: its turns are over.

    A correction afterwards changes no turn: others were registered in the order that came of it.
    """
    if state.setup.rules < RULES:
        return []
    if not record.filled:
        grinding.unfilled(state, record.statement)
        return _unfilled(state, record, [record.first]) if record.first else []
    if not record.first:
        return []
    statement = record.statement
    queue = state.rotations[statement.policy_id]
    served = _served(record)
    moved = {account for account, _ in served}
    queue[:] = [account for account in queue if account not in moved] + [account for account, _ in served]
    first = len(queue) - len(served) + 1
    turn = {line.account: line.turn for line in statement.lines}
    outputs: list[Output] = [
        RotationTurn(
            statement.policy_id, statement.statement_id, account, turn[account], SERVED, first + n, quantity
        )
        for n, (account, quantity) in enumerate(served)
    ]
    if statement.method is Method.RELEASE_ROTATION:
        ordered = {state.orders[key].account for key in record.orders} - moved
        outputs += _unfilled(state, record, sorted(ordered, key=lambda account: turn[account]))
    return outputs


def _served(record: StatementRecord) -> list[tuple[str, Decimal]]:
    """The accounts whose turn was served, in the order they were, with what they received."""
    statement, division = record.statement, record.allocated
    if division is None:
        return []
    given = {line.account: line for line in division.lines}
    found = []
    for line in sorted(statement.lines, key=lambda line: (line.turn, line.account)):
        share = given[line.account]
        quantity = EXACT.add(share.before, share.quantity)
        if statement.method in _METHODS:
            served = quantity > ZERO
        else:
            by_turn = statement.ties is Ties.ROTATION and share.award > ZERO and share.rule != "forced"
            served = by_turn or share.rule == _ODD_REST
        if served:
            found.append((line.account, quantity))
    return found


def _unfilled(state: State, record: StatementRecord, accounts: Iterable[str]) -> list[Output]:
    """Turns that came and were not filled: they stay, are counted, and people are told from the limit on."""
    statement = record.statement
    policy_id, name = statement.policy_id, statement.statement_id
    place = {account: n for n, account in enumerate(state.rotations[policy_id], 1)}
    turn = {line.account: line.turn for line in statement.lines}
    outputs: list[Output] = []
    for account in accounts:
        outputs.append(RotationTurn(policy_id, name, account, turn[account], UNFILLED, place[account]))
        count = grinding.counted(state.unfilled_turns, f"{policy_id}|{account}")
        if count >= grinding.limit(state):
            text = f"{count} turns of {account} under policy {policy_id} ended unfilled today, the last in {name}"
            outputs.append(Alert("GW-830", "warning", name, text))
    return outputs


# ---------------------------------------------------------------- release rotation


def line_of(statement: Statement, account: str) -> Line | None:
    """The statement's line of an account."""
    return next((line for line in statement.lines if line.account == account), None)


def release_refusal(
    state: State,
    record: StatementRecord,
    account: str,
    more: Decimal,
    alloc_lines: tuple[tuple[str, str], ...] | None,
    order_qty: Decimal,
) -> Refusal | None:
    """Why an order of a release rotation may not leave now, None when it may.

    Args:
        account: Account(1) of the order. more: what it adds to what is committed for the account.
        alloc_lines: a carried allocation group; it can only name this account and the whole order.
    """
    statement = record.statement
    name = statement.statement_id
    line = line_of(statement, account)
    if line is None:
        named = (
            f"account {account} is not in" if account else "Account(1) is missing; every order names an account of"
        )
        return refuse("GW-630", f"{named} statement {name}")
    if alloc_lines is not None and [(a, plain_decimal(q)) for a, q in alloc_lines] != [(account, order_qty)]:
        return refuse("GW-204", f"the order's allocation group is not {account} alone with the whole order")
    if not more:  # a lower or unchanged quantity always passes
        return None
    own = (state.orders[key] for key in record.orders)
    room = EXACT.subtract(
        record.most(line), exact_sum(order.committed for order in own if order.account == account)
    )
    if more > room:
        left = f"the {plain_text(max(room, ZERO))} left of {account} in statement {name}"
        return refuse("GW-631", f"OrderQty {plain_text(order_qty)} exceeds {left}")
    sent = _sent(state, record)
    waiting = [
        earlier for earlier in statement.lines if earlier.turn < line.turn and _waits(record, earlier, sent)
    ]
    if not waiting:
        return None
    earlier = min(waiting, key=lambda line: line.turn)
    missing = plain_text(EXACT.subtract(record.most(earlier), sent.get(earlier.account, ZERO)))
    turn = f"turn {earlier.turn} of statement {name} is {earlier.account}'s"
    return refuse("GW-632", f"{turn}: {missing} not released yet; {account} has turn {line.turn}")


def waits(state: State, record: StatementRecord) -> bool:
    """Whether turns of a release rotation are still to come: the statement is not complete before."""
    if not own_orders.applies(record.statement, state.setup.rules):
        return False
    sent = _sent(state, record)
    return any(_waits(record, line, sent) for line in record.statement.lines)


def _waits(record: StatementRecord, line: Line, sent: dict[str, Decimal]) -> bool:
    """Whether a line's turn is still to come, or not over: neither released as a whole nor passed."""
    return sent.get(line.account, ZERO) < record.most(line) and line.account not in record.passed


def _sent(state: State, record: StatementRecord) -> dict[str, Decimal]:
    """Quantity of all orders of each account that were sent, whatever became of them; not of one that never left."""
    sent: dict[str, Decimal] = {}
    for key in record.orders:
        order = state.orders[key]
        if order.status == REJECTED and not order.answered:
            continue
        before = sent.get(order.account)
        sent[order.account] = order.quantity if before is None else EXACT.add(before, order.quantity)
    return sent


def on_pass(state: State, given: PassTurn) -> list[Output]:
    """A named person lets the next account go first: the turn is passed over, with the reason, and keeps its place.

    What completes a statement is looked at by the caller (:func:`.statements.on_pass_turn`).
    """
    record = state.statements.get(given.statement_id)
    why = _pass_problem(state, record, given)
    if record is None or why:
        problem = Problem(0, "account", "GW-633", why)
        return [StatementRefused("operator", given.actor, given.statement_id, (problem,))]
    statement = record.statement
    record.passed[given.account] = f"{given.actor}: {given.reason}"
    turn = {line.account: line.turn for line in statement.lines}[given.account]
    place = state.rotations[statement.policy_id].index(given.account) + 1
    turn_of = f"turn {turn} of statement {statement.statement_id}, {given.account}"
    text = f"{turn_of}, was passed by {given.actor}: {given.reason}"
    return [
        RotationTurn(
            statement.policy_id, statement.statement_id, given.account, turn, PASSED, place, ZERO, given.actor,
            given.reason,
        ),
        Alert("GW-834", "warning", statement.statement_id, text),
    ]  # fmt: skip


def _pass_problem(state: State, record: StatementRecord | None, given: PassTurn) -> str:
    """Why a turn cannot be passed, "" when it can."""
    name = given.statement_id
    if record is None or record.status != ACTIVE:
        return f"statement {name} does not exist or is closed"
    if record.statement.method is not Method.RELEASE_ROTATION or not record.first:
        return f"statement {name} is no release rotation; nobody waits for a turn to be released"
    line = line_of(record.statement, given.account)
    if line is None:
        return f"account {given.account} is not in statement {name}"
    if not given.reason.strip() or not given.actor.strip():
        return "a turn is passed by a named person with a reason"
    if given.account in record.passed:
        return f"the turn of {given.account} in statement {name} is passed already"
    if not _waits(record, line, _sent(state, record)):
        return f"the turn of {given.account} in statement {name} is released already"
    return ""
