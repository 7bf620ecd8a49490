"""What the pages need besides the gateway port, as types; the composition hands in the real things."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from fixgateway.core.model import Setup
from fixgateway.web.port import Row


def _none(*_: Any, **__: Any) -> list[Row]:
    return []


def _zero() -> dict[str, int]:
    return {"requests": 0, "exceptions": 0, "alerts": 0}


class DeskPort(Protocol):
    """What of the running gateway no query gives."""

    def now_ns(self) -> int:
        """The time, UTC nanoseconds."""
        ...

    def trade_date(self) -> date:
        """The gateway's trade date."""
        ...

    def setup(self) -> Setup:
        """The configuration in force."""
        ...

    def instant(self, day: date, local_time: str) -> int:
        """UTC nanoseconds of a local time ``HH:MM[:SS]`` of the policy's time zone."""
        ...

    def deadlines(self) -> Sequence[Row]:
        """The trade date's deadlines: name, at (local time), at_ns, and more (words)."""
        ...

    def codes(self) -> Row:
        """The pre-approved list: version, min_text, and codes with code, kinds, criterion, condition."""
        ...

    def explanation(self, text: str) -> str:
        """What is wrong with an explanation, "" when nothing is."""
        ...

    def foresee(self, actor: str, kind: str, statement_id: str, code: str, lines: Sequence[tuple[str, str]]) -> Row:
        """What a request would say: ``lines`` as of an exception, avg_px, mark, mark_source, mark_ns, problem."""
        ...

    def proved(self) -> int:
        """How many records the journal's newest checkpoint covers."""
        ...

    def checkpoint(self) -> str:
        """The newest checkpoint as signed, "" without one."""
        ...

    def record(self, sequence: int) -> Row:
        """One journal record for people: sequence, ts_ns, kind, session, what, text, refers.

        Raises:
            FixgatewayError: there is none, or it cannot be read.
        """
        ...

    def proof(self, sequence: int) -> Row:
        """The proof that a record is in the journal of the newest checkpoint.

        Raises:
            FixgatewayError: it cannot be proved, in words.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads of the database for pages: :mod:`fixgateway.records.queries` and ``desk_queries``, bound."""

    statements: Callable[..., Sequence[Row]]
    statement: Callable[[str], Row]
    orders: Callable[..., Sequence[Row]]
    explain: Callable[[str], Row]
    allocation: Callable[[str], Row]
    trace: Callable[[str], Row]
    affirmations: Callable[[date | None], Row]
    accounts: Callable[[], Sequence[Row]]
    figures: Callable[[date, int], dict[str, int]]
    filled: Callable[[Sequence[str]], dict[str, str]]
    counts: Callable[[], dict[str, int]] = _zero
    exceptions: Callable[..., Sequence[Row]] = _none
    exception: Callable[[str], Row] = lambda _: {}
    opened: Callable[..., Sequence[Row]] = _none
    alerts: Callable[..., Sequence[Row]] = _none
    people: Callable[[], Sequence[Row]] = _none
    accesses: Callable[..., Sequence[Row]] = _none
    reconciliations: Callable[..., Sequence[Row]] = _none
    reviews: Callable[..., Sequence[Row]] = _none
    search: Callable[..., Sequence[Row]] = _none
