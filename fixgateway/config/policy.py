"""policy.toml: the allocation policy, fixed in advance, versioned and hashed.

The tables below are the only definition of the keys: :data:`KEYS` and the table of ``docs/configuration.md`` come
from them. What several keys together can be wrong about stands in :mod:`.policy_checks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from fixgateway.config.keys import REQUIRED, Key, Table, TimeZone, keys_of, setting
from fixgateway.config.policy_checks import combination_problems, instrument_problems
from fixgateway.config.problems import (
    MAX_TOML_BYTES,
    Problem,
    parse_toml,
    read_model,
    read_text,
    refuse,
    unknown_key,
)
from fixgateway.core.model import (
    ZERO,
    Averaging,
    Basis,
    Completion,
    InstrumentTerms,
    Interim,
    Method,
    Overfill,
    Policy,
    PriceRounding,
    Remainder,
    ResidualCash,
    Rounding,
    Ties,
    plain_decimal,
    plain_text,
)

Kept = TypeVar("Kept")

MAX_INSTRUMENTS = 10_000
"""Most ``[[instrument]]`` tables one policy may have."""

_CLOCK = r"^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|off)$"
_PLAIN = r"^[^\x00-\x1f\x7f]{1,200}$"


def _number_text(value: object) -> object:
    """A TOML integer as its text; a TOML float was read as its text already, never as a float."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _plain(text: str) -> str:
    value = plain_decimal(text)
    if value is None:
        raise ValueError(f"{text} is not a plain number")
    return plain_text(value)


def _positive(text: str) -> str:
    if text == "0":
        raise ValueError("0 is not positive")
    return text


def _moment(value: object) -> object:
    """A TOML date as its first second; a TOML date-time must be local and of whole seconds."""
    if isinstance(value, datetime):
        if value.tzinfo is not None or value.microsecond:
            raise ValueError(f"{value} is not a local time of whole seconds")
        return value
    return datetime.combine(value, time()) if isinstance(value, date) else value


def _word(words: type[StrEnum]) -> AfterValidator:
    """A validator of one of the words of ``words``; the value stays text."""

    def check(text: str) -> str:
        return str(words(text))

    return AfterValidator(check)


def _listed(words: type[StrEnum]) -> str:
    """``"a", "b" or "c"``."""
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


Number = Annotated[str, BeforeValidator(_number_text), AfterValidator(_plain)]
PositiveNumber = Annotated[Number, AfterValidator(_positive)]
Numbers = Annotated[tuple[Number, ...], Field(strict=False)]
Days = Annotated[tuple[date, ...], Field(strict=False)]
PositiveNumbers = Annotated[tuple[PositiveNumber, ...], Field(strict=False)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
MethodName = Annotated[str, _word(Method)]
BasisName = Annotated[str, _word(Basis)]
TieRule = Annotated[str, _word(Ties)]
RemainderRule = Annotated[str, _word(Remainder)]
ClassName = Literal["client", "employee", "proprietary"]
Tier = Annotated[tuple[ClassName, ...], Field(strict=False, min_length=1)]

_NUMBER = 'a plain number such as "1" (at most 15 digits before and 9 after the point)'


class Terms(Table):
    """The keys above the first table."""

    policy_id: str = setting(REQUIRED, "name of the policy", "1 to 200 printable characters", pattern=_PLAIN)
    version: str = setting(
        REQUIRED,
        "version of the policy; every change of the text needs a new one",
        'text in quotes, for example "1"',
        pattern=_PLAIN,
    )
    approved_by: str = setting(
        REQUIRED, "who approved this version", "1 to 200 printable characters", pattern=_PLAIN
    )
    approved_on: date | None = setting(
        None, "when this version was approved", "a date without quotes, for example 2026-01-01"
    )
    disclosed_on: date | None = setting(
        None, "when this version was told to clients (Form ADV)", "a date without quotes, for example 2026-01-01"
    )
    effective_from: Moment = setting(
        REQUIRED,
        "first trade date the policy is in force, or the local time on it (in `deadlines.timezone`)",
        "a date or a local date-time without quotes, for example 2026-01-01 or 2026-01-01T09:30:00",
    )
    ties: TieRule = setting(
        REQUIRED, "who comes first when two shares have the same remainder; no default", _listed(Ties)
    )
    method: MethodName = setting("pro-rata", "how fills are divided", _listed(Method))
    basis: BasisName = setting(
        "quantity",
        "what a statement's lines say: quantities, or weights that registration makes quantities of the total",
        _listed(Basis),
    )
    rounding: Annotated[str, _word(Rounding)] = setting(
        "largest-remainder", "how whole lots come of exact shares", _listed(Rounding)
    )
    remainder: RemainderRule = setting(
        "largest-shortfall", "who receives the odd rest below one lot", _listed(Remainder)
    )
    lot: PositiveNumber = setting("1", "smallest unit shares are divided in", _NUMBER)
    min_quantity: Number = setting("0", "an account whose exact share is below this gets nothing", _NUMBER)
    min_value: Number = setting(
        "0",
        "the same as money: becomes a quantity on every line at the statement's reference_price; 0: none",
        _NUMBER,
    )
    completion: Literal["orders", "day"] = setting(
        "orders", "a statement is complete when its orders have ended, or only at the cut-off", '"orders" or "day"'
    )
    interim: Annotated[str, _word(Interim)] = setting(
        "never", "whether anything is booked before a statement is complete", _listed(Interim)
    )
    averaging: Annotated[str, _word(Averaging)] = setting(
        "statement",
        "which fills share one average price: the statement's, or all of the day in that security and side",
        _listed(Averaging),
    )
    price_decimals: int = setting(4, "decimals of the average price", "a number from 0 to 9", ge=0, le=9)
    price_rounding: Annotated[str, _word(PriceRounding)] = setting(
        "half-up", "how the average price is rounded", _listed(PriceRounding)
    )
    money_decimals: int = setting(
        2, "decimals of amounts of money: 2 for cents, 0 for yen", "a number from 0 to 6", ge=0, le=6
    )
    residual_cash: Annotated[str, _word(ResidualCash)] = setting(
        "accounts",
        "who bears the cents that rounding leaves: accounts by largest remainder (never proprietary or employee "
        "ones), or the error account",
        _listed(ResidualCash),
    )
    error_account: str = setting(
        "", 'account of class error that takes what belongs to nobody; "": none', "an account of the account file"
    )
    overfill: Annotated[str, _word(Overfill)] | None = setting(
        None,
        "where a fill above the statement's total goes; default: error-account if one is named, else unallocated",
        _listed(Overfill),
    )
    tiers: Annotated[tuple[Tier, ...], Field(strict=False)] = setting(
        (),
        "classes of accounts in the order client-priority serves them, own accounts last",
        'a list of lists, for example [["client"], ["employee"], ["proprietary"]]',
    )
    sellable: bool = setting(False, "a sell is refused above the account's sellable holding", "true or false")
    reregistrations: int = setting(
        3,
        "statements cancelled and registered again for an instrument and side in a day before an alert",
        "a number from 0 to 1000",
        ge=0,
        le=1000,
    )
    require_memo: bool = setting(False, "refuse statements with an incomplete order memorandum", "true or false")
    exceptions_wait: bool = setting(
        False,
        "the allocation of a complete statement waits, until the cut-off, for the decision on an exception asked for "
        "before",
        "true or false",
    )


class Deadlines(Table):
    """``[deadlines]``: local times of the day."""

    timezone: TimeZone = setting(
        "America/New_York",
        "time zone of the trade date and the deadlines",
        'an IANA time zone such as "America/New_York"',
    )
    allocate: str = setting(
        "19:00",
        "cut-off: what is filled is allocated then at the latest",
        'a time "HH:MM" or "HH:MM:SS", or "off"',
        pattern=_CLOCK,
    )
    affirm: str = setting(
        "21:00", "affirmation deadline", 'a time "HH:MM" or "HH:MM:SS", or "off"', pattern=_CLOCK
    )
    calendar: str = setting(
        "none",
        "market whose days are trade dates: a statement for another day is refused (GW-882)",
        '"none" or a name of exchange_calendars, such as "XNYS" (New York), "XLON", "XTKS"',
        pattern=r"^[A-Za-z0-9/_]{1,20}$",
    )
    closed: Days = setting(
        (), "days without trading besides the calendar's", "a list of dates without quotes, such as [2026-12-09]"
    )
    allocate_after_close: int | None = setting(
        None,
        "minutes after the market's close by which is allocated, if that is before `allocate`, as on half days",
        "a number from 0 to 720",
        ge=0,
        le=720,
    )
    affirm_after_close: int | None = setting(
        None,
        "minutes after the market's close by which is affirmed, if that is before `affirm`",
        "a number from 0 to 720",
        ge=0,
        le=720,
    )
    warn_minutes: int = setting(
        30,
        "what is open so long before a deadline is told (GW-878, GW-880), missing confirmations are asked for; "
        "0: neither",
        "a number of minutes from 0 to 720",
        ge=0,
        le=720,
    )


class Allowed(Table):
    """``[allowed]``: what a statement may ask for besides the policy's own terms."""

    method: Annotated[tuple[MethodName, ...], Field(strict=False)] = setting(
        (), "other methods", 'a list, for example ["pro-rata"]'
    )
    basis: Annotated[tuple[BasisName, ...], Field(strict=False)] = setting(
        (), "other bases", 'a list, for example ["percent"]'
    )
    lot: PositiveNumbers = setting((), "other lots", 'a list of numbers, for example ["100"]')
    min_quantity: Numbers = setting((), "other minimums", 'a list of numbers, for example ["50"]')
    ties: Annotated[tuple[TieRule, ...], Field(strict=False)] = setting(
        (), "other tie rules", 'a list, for example ["account"]'
    )


class Instrument(Table):
    """``[[instrument]]``: terms of one instrument that differ from the policy's own."""

    symbol: str = setting(
        REQUIRED, "Symbol(55) or SecurityID(48) of the statements meant", "1 to 200 printable characters",
        pattern=_PLAIN,
    )  # fmt: skip
    lot: PositiveNumber | None = setting(None, "its lot; the increment of a bond", _NUMBER)
    min_quantity: Number | None = setting(None, "its minimum; the minimum piece (denomination) of a bond", _NUMBER)
    remainder: RemainderRule | None = setting(None, "who receives the odd rest below its lot", _listed(Remainder))


TABLES: dict[str, type[Table]] = {
    "": Terms,
    "deadlines": Deadlines,
    "allowed": Allowed,
    "instrument": Instrument,
}
KEYS: tuple[Key, ...] = tuple(keys_of(TABLES))
"""Every key of policy.toml."""
_ONCE = tuple(name for name in TABLES if name and name != "instrument")


def load(path: Path | str) -> Policy:
    """Read policy.toml.

    Raises:
        ConfigError: with every problem found, one a line.
    """
    policy, problems = read(path)
    refuse(problems)
    if policy is None:  # read() gives a policy or problems
        raise AssertionError("no policy and no problem")
    return policy


def read(path: Path | str) -> tuple[Policy | None, list[Problem]]:
    """policy.toml as a Policy, or None and every problem found in it."""
    file, found = Path(path), list[Problem]()
    text = read_text(file, MAX_TOML_BYTES, found)
    return (None, found) if text is None else parse(text, str(file))


def parse(text: str, file: str = "policy.toml") -> tuple[Policy | None, list[Problem]]:
    """The policy written in ``text``, or None and every problem; ``file`` is its name for messages."""
    found: list[Problem] = []
    raw = parse_toml(file, text, found, parse_float=str)
    if found:
        return None, found
    known = {*Terms.model_fields, *_ONCE, "instrument"}
    found += [unknown_key(file, "", key, known) for key in raw if key not in known]
    top = {key: value for key, value in raw.items() if key in Terms.model_fields}
    terms = read_model(Terms, top, file, "", found)
    deadlines = read_model(Deadlines, raw.get("deadlines", {}), file, "deadlines", found)
    allowed = read_model(Allowed, raw.get("allowed", {}), file, "allowed", found)
    instruments = _instruments(raw.get("instrument", []), file, found)
    if found or terms is None or deadlines is None or allowed is None:
        return None, found
    policy = _policy(terms, deadlines, allowed, instruments, text)
    found += combination_problems(policy, file)
    return (None, found) if found else (policy, [])


def _instruments(raw: object, file: str, found: list[Problem]) -> list[Instrument]:
    """The ``[[instrument]]`` tables that could be read."""
    if not isinstance(raw, list):
        found.append(Problem(file, "instrument", "is written once", "write [[instrument]] with two brackets"))
        return []
    if len(raw) > MAX_INSTRUMENTS:
        found.append(Problem(file, "instrument", f"more than {MAX_INSTRUMENTS}", "leave those out that need none"))
        return []
    read_ones = [
        read_model(Instrument, item, file, f"instrument[{_named(item, number)}]", found)
        for number, item in enumerate(raw, 1)
    ]
    tables = [table for table in read_ones if table is not None]
    found += instrument_problems([(x.symbol, (x.lot, x.min_quantity, x.remainder)) for x in tables], file)
    return tables


def _named(item: object, number: int) -> str:
    """The symbol of a table, or its number for one without."""
    symbol = item.get("symbol") if isinstance(item, dict) else None
    return symbol if isinstance(symbol, str) and symbol.isprintable() and len(symbol) <= 40 else f"#{number}"


def _policy(
    terms: Terms, deadlines: Deadlines, allowed: Allowed, instruments: list[Instrument], text: str
) -> Policy:
    """The tables as the core's value."""
    lists: dict[str, Any] = allowed.model_dump()
    return Policy(
        policy_id=terms.policy_id,
        version=terms.version,
        approved_by=terms.approved_by,
        approved_on=terms.approved_on,
        disclosed_on=terms.disclosed_on,
        effective_from=terms.effective_from.date(),
        effective_at=terms.effective_from.time().isoformat(),
        method=Method(terms.method),
        ties=Ties(terms.ties),
        remainder=Remainder(terms.remainder),
        lot=_decimal(terms.lot),
        min_quantity=_decimal(terms.min_quantity),
        completion=Completion(terms.completion),
        price_decimals=terms.price_decimals,
        require_memo=terms.require_memo,
        timezone=deadlines.timezone,
        allocate_at=deadlines.allocate,
        affirm_at=deadlines.affirm,
        calendar=deadlines.calendar,
        closed=deadlines.closed,
        allocate_after_close=deadlines.allocate_after_close,
        affirm_after_close=deadlines.affirm_after_close,
        warn_minutes=deadlines.warn_minutes,
        text_sha256=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        allowed=tuple((term, tuple(values)) for term, values in lists.items() if values),
        basis=Basis(terms.basis),
        rounding=Rounding(terms.rounding),
        min_value=_decimal(terms.min_value),
        price_rounding=PriceRounding(terms.price_rounding),
        money_decimals=terms.money_decimals,
        residual_cash=ResidualCash(terms.residual_cash),
        overfill=_overfill(terms),
        error_account=terms.error_account,
        averaging=Averaging(terms.averaging),
        interim=Interim(terms.interim),
        tiers=terms.tiers,
        sellable=terms.sellable,
        reregistrations=terms.reregistrations,
        exceptions_wait=terms.exceptions_wait,
        instruments=tuple(
            InstrumentTerms(
                x.symbol,
                _optional(_decimal, x.lot),
                _optional(_decimal, x.min_quantity),
                _optional(Remainder, x.remainder),
            )
            for x in instruments
        ),
    )


def _overfill(terms: Terms) -> Overfill:
    """What the file says, else the error account when one is named."""
    if terms.overfill is not None:
        return Overfill(terms.overfill)
    return Overfill.ERROR_ACCOUNT if terms.error_account else Overfill.UNALLOCATED


def _decimal(text: str) -> Decimal:
    """A number the tables have checked."""
    return plain_decimal(text) or ZERO


def _optional(make: Callable[[str], Kept], text: str | None) -> Kept | None:
    return None if text is None else make(text)
