"""What a statement would give for any fill: the core's own arithmetic, no gateway needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from typing import Any, TypeVar

from fixgateway.config.statements import Source
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import (
    ZERO,
    Draft,
    Line,
    Method,
    Policy,
    Remainder,
    Ties,
    plain_decimal,
    plain_text,
)
from fixgateway.core.outputs import TraceLine
from fixgateway.errors import StatementFileError, UsageError

NO_SEED = "00" * 32
"""Seed of a preview that names none; the gateway draws its own at registration."""

_EXACT = Context(prec=80)  # two plain numbers have 24 digits each

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Preview:
    """A statement split for one fill; ``price`` is None when none was given, ``seed`` "" when not used."""

    filled: Decimal
    price: Decimal | None
    terms: Terms
    lines: tuple[TraceLine, ...]
    unallocated: Decimal

    def document(self) -> dict[str, Any]:
        """The preview as one JSON document; quantities and prices are text."""
        priced = {} if self.price is None else {"price": plain_text(self.price)}
        return {
            "filled": plain_text(self.filled),
            **priced,
            "lines": [self._line(line) for line in self.lines],
            "unallocated": plain_text(self.unallocated),
            "lot": plain_text(self.terms.lot),
            "min_quantity": plain_text(self.terms.min_quantity),
            "ties": str(self.terms.ties),
            "remainder": str(self.terms.remainder),
            "seed": self.terms.seed,
        }

    def _line(self, line: TraceLine) -> dict[str, str]:
        document = {
            "account": line.account,
            "intent": plain_text(line.intent),
            "quantity": plain_text(line.quantity),
            "exact": line.exact,
            "rule": line.rule,
        }
        if self.price is not None:
            document["amount"] = plain_text(_EXACT.multiply(line.quantity, self.price))
        return document


def preview(source: Source, filled: str, price: str = "", policy: Policy | None = None) -> Preview:
    """Split ``source`` for a total fill of ``filled`` at average ``price`` ("" for none).

    Terms the statement does not name come from ``policy``; without one from the shipped policy's values
    (lot 1, minimum 0, seeded ties, largest shortfall).

    Raises:
        StatementFileError: when the statement cannot be split; names line and field.
        UsageError: when ``filled`` or ``price`` is not a plain number.
    """
    with localcontext(_EXACT):
        return _preview(source, filled, price, policy)


def _preview(source: Source, filled: str, price: str, policy: Policy | None) -> Preview:
    """:func:`preview` under a context that rounds nothing."""
    draft = source.draft
    quantity, at = _usage_number(filled, "filled"), _usage_number(price, "price") if price else None
    _word(Method, draft.method, Method.PRO_RATA, "method")
    ties = _word(Ties, draft.ties, policy.ties if policy else Ties.SEEDED, "ties")
    lot = _number(draft.lot, "lot") if draft.lot else (policy.lot if policy else Decimal(1))
    if lot <= ZERO:
        raise StatementFileError(f"lot: {draft.lot} is not positive (write a number above zero)")
    minimum = policy.min_quantity if policy else ZERO
    terms = Terms(
        statement_id=draft.statement_id,
        lot=lot,
        min_quantity=_number(draft.min_quantity, "min_quantity") if draft.min_quantity else minimum,
        ties=ties,
        remainder=policy.remainder if policy else Remainder.LARGEST_SHORTFALL,
        seed=(source.seed or NO_SEED) if ties is Ties.SEEDED else "",
    )
    shares, unallocated = allocate(_lines(draft), quantity, terms)
    return Preview(quantity, at, terms, shares, unallocated)


def _lines(draft: Draft) -> list[Line]:
    """The draft's lines as numbers, each account once, in sum the total if one is named."""
    if not draft.lines:
        raise StatementFileError("lines: empty (write one line for every account)")
    lines = []
    for line in draft.lines:
        where = f"line {line.row}, "
        if not line.account:
            raise StatementFileError(f"{where}account: missing (name the account)")
        quantity = _number(line.quantity, f"{where}quantity")
        if quantity <= ZERO:
            raise StatementFileError(f"{where}quantity: {line.quantity} is not positive (write more than zero)")
        minimum = _number(line.min_quantity, f"{where}min_quantity") if line.min_quantity else ZERO
        lines.append(Line(line.account, quantity, minimum))
    doubled = [account for account, times in Counter(line.account for line in lines).items() if times > 1]
    if doubled:
        raise StatementFileError(f"account: {doubled[0]} is named twice (name every account once)")
    total = sum((line.quantity for line in lines), ZERO)
    if draft.total and _number(draft.total, "total") != total:
        raise StatementFileError(
            f"total: {draft.total}, but the lines add up to {plain_text(total)} (correct a line or the total)"
        )
    return lines


def _number(text: str, where: str) -> Decimal:
    value = plain_decimal(text)
    if value is None:
        raise StatementFileError(
            f'{where}: "{text[:40]}" is not a plain number (write digits with at most one point)'
        )
    return value


def _usage_number(text: str, what: str) -> Decimal:
    value = plain_decimal(text)
    if value is None:
        raise UsageError(f'{what}: "{text[:40]}" is not a plain number (write digits with at most one point)')
    return value


def _word(words: type[Word], text: str, default: Word, field: str) -> Word:
    """The term named by ``text``, ``default`` when it names none."""
    if not text:
        return default
    try:
        return words(text)
    except ValueError:
        raise StatementFileError(f'{field}: "{text[:40]}" is unknown (write one of {", ".join(words)})') from None
