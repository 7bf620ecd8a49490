"""What a broker charges, as gateway.toml says it: commission and fees of ``[[broker]]``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator

from fixgateway.config.keys import REQUIRED, Table, setting
from fixgateway.config.problems import Problem
from fixgateway.core.model import ZERO, CommType, FeeBasis, FeeTerms, plain_decimal

FEE_TYPES = {"FIX.4.2": 9, "FIX.4.4": 12}
"""Highest MiscFeeType(139) of the versions before 5.0, whose counterparties refuse a higher one."""


def _amount(text: str) -> str:
    if plain_decimal(text) is None:
        raise ValueError(f"{text} is not a plain number")
    return text


Amount = Annotated[str, AfterValidator(_amount)]
"""A number in quotes: a TOML number would be a float."""

AMOUNT = 'a number in quotes such as "0.002"'
FEES = '{ type = "4", amount = "0.000008", basis = "2" }: basis "0" absolute, "1" per unit, "2" part of the gross'


class Fee(Table):
    """One entry of ``fees``."""

    type: str = setting(REQUIRED, "MiscFeeType(139)", "a number from 1 to 99", pattern="^[1-9][0-9]?$")
    amount: Amount = setting(REQUIRED, "how much", AMOUNT)
    basis: Literal["0", "1", "2"] = setting("2", "MiscFeeBasis(891)", '"0", "1" or "2"')
    each: bool = setting(False, "an absolute amount for each account", "true or false")

    def terms(self) -> FeeTerms:
        """The fee as the core reads it."""
        return FeeTerms(self.type, amount_of(self.amount), FeeBasis(self.basis), self.each)


def amount_of(text: str) -> Decimal:
    """An amount that was read."""
    return plain_decimal(text) or ZERO


def commission_type(code: str | None) -> CommType:
    """CommType(13) as the core reads it; without one there is no commission either."""
    return CommType.ABSOLUTE if code is None else CommType(code)


def checks(
    file: str, where: str, begin_string: str, commission: str | None, code: str | None, fees: tuple[Fee, ...]
) -> Iterator[Problem]:
    """What the keys of one broker together can be wrong about.

    Args:
        file: the file's name and ``where`` the broker's table, for messages.
        begin_string: the session's version.
        commission: and ``code`` and ``fees``: the keys ``commission``, ``commission_type`` and ``fees``.
    """
    if (commission is None) != (code is None):
        missing, words = ("commission", AMOUNT) if commission is None else ("commission_type", '"1", "2" or "3"')
        yield Problem(file, f"{where}.{missing}", "is missing", f"add it: {words}; or leave both out")
    if commission is not None and code == CommType.PERCENT and amount_of(commission) >= 1:
        yield _too_much(file, f"{where}.commission")
    highest = FEE_TYPES.get(begin_string, 99)
    for number, fee in enumerate(fees, 1):
        key, terms = f"{where}.fees[{number}]", fee.terms()
        if int(fee.type) > highest:
            yield Problem(file, f"{key}.type", f"{fee.type} is unknown in {begin_string}", f"write 1 to {highest}")
        if terms.basis is FeeBasis.PERCENTAGE and terms.amount >= 1:
            yield _too_much(file, f"{key}.amount")
        if terms.each and terms.basis is not FeeBasis.ABSOLUTE:
            yield Problem(file, f"{key}.each", "is for absolute amounts only", 'write basis = "0" or leave it out')


def _too_much(file: str, key: str) -> Problem:
    return Problem(file, key, "is all of the gross amount or more", 'write 5 % as "0.05", as FIX does')
