"""Grinding: statements tried again and again until the seed, or the turn, is the one somebody wants.

A seed or a turn is known to nobody before the statement is registered; but who may cancel and register again may try
as often as it takes. Every statement that ends without a fill is remembered for the day, by OMS, instrument and side;
the next one registered there counts as a re-registration, and from the policy's ``reregistrations`` on people are
told at each (GW-831). Turns that end unfilled are counted by account (:mod:`.rotation`).
"""

from __future__ import annotations

from fixgateway.core.model import Statement
from fixgateway.core.outputs import Alert, Output
from fixgateway.core.state import State

RULES = 2
"""The first edition of the rules that counts."""


def limit(state: State) -> int:
    """From which count on people are told; 0 in the policy means from the first."""
    return max(1, state.setup.policy.reregistrations)


def counted(counts: dict[str, int], key: str) -> int:
    """Count one more, and return the count."""
    counts[key] = counts.get(key, 0) + 1
    return counts[key]


def _key(statement: Statement) -> str:
    return f"{statement.oms}|{statement.symbol}|{statement.side}"


def unfilled(state: State, statement: Statement) -> None:
    """A statement ended, by whatever way, and nothing was filled under it."""
    counted(state.withdrawn, _key(statement))


def registered(state: State, statement: Statement) -> list[Output]:
    """A statement is registered; the alert when it is one try too many."""
    key = _key(statement)
    if state.setup.rules < RULES or not state.withdrawn.get(key):
        return []
    state.withdrawn[key] -= 1
    count = counted(state.reregistered, key)
    if count < limit(state):
        return []
    text = (
        f"{count} statements of {statement.oms} to {statement.side} {statement.symbol} ended unfilled today and were "
        f"registered again, the last as {statement.statement_id}"
    )
    return [Alert("GW-831", "warning", statement.statement_id, text)]


def new_day(state: State) -> None:
    """Counts are of one trade date."""
    for counts in (state.withdrawn, state.reregistered, state.unfilled_turns):
        counts.clear()
