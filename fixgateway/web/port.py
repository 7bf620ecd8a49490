"""What the web room needs of the others, as types; the composition hands in the real things."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from fixgateway.core.desk_inputs import DeskInput
from fixgateway.core.model import Draft
from fixgateway.core.outputs import Problem
from fixgateway.core.people import Person

Row = Mapping[str, Any]
"""One row for a reader: JSON values, quantities and prices as text."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a submitted statement, durable when given.

    ``seq`` is the journal sequence of the input that decided it; ``already`` says that the same content was
    registered before, by that input.
    """

    registered: bool
    statement_id: str
    problems: tuple[Problem, ...] = ()
    seed_commitment: str = ""
    seq: int = 0
    already: bool = False


@dataclass(frozen=True, slots=True)
class OperateOutcome:
    """What became of a person's action; ``text`` says why not when it was not done, ``reason`` the GW code.

    ``subject`` is the id of what was made: an exception's, for example.
    """

    done: bool
    text: str = ""
    seq: int = 0
    reason: str = ""
    subject: str = ""


def people_words(people: Mapping[str, Person]) -> str:
    """How many people are recorded, in words."""
    active = sum(person.active for person in people.values())
    return f"{active} active" if people else "nobody is recorded: anybody who reaches this address may act"


class GatewayPort(Protocol):
    """The running gateway. Every method may block and may raise FixgatewayError with words for the caller."""

    def submit_statement(self, draft: Draft, door: str, actor: str) -> Outcome:
        """Register a statement; returns when the decision is durable. ``door`` is ``http`` or ``cli``."""
        ...

    def operate(self, actor: str, action: str, target: str, reason: str) -> OperateOutcome:
        """``halt`` or ``resume`` orders (``target`` all or a name), ``close``, ``cancel`` or ``book`` a statement."""
        ...

    def pass_turn(self, actor: str, statement_id: str, account: str, reason: str) -> OperateOutcome:
        """Pass over an account's turn in a release rotation, so that the next one's orders may leave."""
        ...

    def set_holding(self, actor: str, account: str, symbol: str, quantity: str, reason: str) -> OperateOutcome:
        """Say what an account may sell of a symbol from now on; open statements are cut to it."""
        ...

    def act(self, make: Callable[[int, int], DeskInput]) -> OperateOutcome:
        """What a person does at the desk: ``make`` builds it from journal sequence and time; durable when given."""
        ...

    def note(self, make: Callable[[int, int], DeskInput]) -> None:
        """As :meth:`act` for what nobody waits for: an access that is noted. Never waits."""
        ...

    def people(self) -> Mapping[str, Person]:
        """Everybody recorded, by id; empty while the gateway is being set up."""
        ...

    def rotations(self) -> Mapping[str, Sequence[str]]:
        """The accounts of each policy in the order of their next turn."""
        ...

    def sessions(self) -> Sequence[Row]:
        """Rows of name, role, up, enabled, next_sender, next_target, address."""
        ...

    def session_action(
        self, name: str, action: str, next_sender: int | None, next_target: int | None, actor: str
    ) -> OperateOutcome:
        """``logout``, ``enable``, ``disable``, ``seq`` (set the numbers given) or ``roll`` (both to 1)."""
        ...

    def status(self) -> Row:
        """The gateway at a glance."""
        ...


class HealthPort(Protocol):
    """Health, as the monitor room answers it."""

    def live(self, now_ns: int) -> tuple[bool, str]:
        """Whether the pump runs, and one line; ``now_ns`` is ``time.monotonic_ns()``."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether orders can flow, and one line that says why not."""
        ...


@dataclass(frozen=True, slots=True)
class DeskQueries:
    """Reads of people's work. Lists take ``limit`` and ``before`` (:meth:`cursor` of the last row seen) and filters by
    name; what asks for one id raises UsageError for an unknown one.
    """

    exceptions: Callable[..., Sequence[Row]]
    exception: Callable[[str], Row]
    opened: Callable[..., Sequence[Row]]
    alerts: Callable[..., Sequence[Row]]
    alert: Callable[[str], Row]
    accesses: Callable[..., Sequence[Row]]
    refused_actions: Callable[..., Sequence[Row]]
    person: Callable[[str], Row]
    marks: Callable[..., Sequence[Row]]
    reconciliations: Callable[..., Sequence[Row]]
    reviews: Callable[..., Sequence[Row]]
    review: Callable[[str], Row]
    search: Callable[..., Sequence[Row]]
    counts: Callable[[], Row]
    cursor: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Queries:
    """Reads of the database, each with a limit of its own; ``statements``, ``orders`` and ``allocations`` also take
    ``limit`` and ``before``, the journal_seq and position of the last row seen, joined by a hyphen.

    ``affirmations`` takes a trade date, None for the newest; ``turns`` a policy id and how many, ``fairness``
    account, symbol, first and last trade date, each None for all.
    ``statement``, ``trace`` (one timeline for an order, statement or allocation) and ``allocation`` (with
    the arithmetic of every account) raise UsageError for an unknown id. ``explain`` takes an AllocID or a statement
    id (without it ``allocation`` answers); ``audit`` a statement id, a proposed quantity by account, what is filled.
    """

    statements: Callable[..., Sequence[Row]]
    statement: Callable[[str], Row]
    orders: Callable[..., Sequence[Row]]
    allocations: Callable[..., Sequence[Row]]
    allocation: Callable[[str], Row]
    trace: Callable[[str], Row]
    affirmations: Callable[[date | None], Row] = lambda _: {}
    explain: Callable[[str], Row] | None = None
    audit: Callable[[str, Mapping[str, Decimal], Decimal | None], Row] = lambda *_: {}
    turns: Callable[[str | None, int], Sequence[Row]] = lambda *_: ()
    fairness: Callable[[str | None, str | None, date | None, date | None], Row] = lambda *_: {}
    desk: DeskQueries | None = None
