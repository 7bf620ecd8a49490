"""policy.toml: the allocation policy, fixed in advance, versioned and hashed."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fixgateway.config.keys import REQUIRED, Key, Table, TimeZone, keys_of, setting
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
    Completion,
    Method,
    Policy,
    Remainder,
    Ties,
    plain_decimal,
    plain_text,
)

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


Number = Annotated[str, BeforeValidator(_number_text), AfterValidator(_plain)]
PositiveNumber = Annotated[Number, AfterValidator(_positive)]
Numbers = Annotated[tuple[Number, ...], Field(strict=False)]
PositiveNumbers = Annotated[tuple[PositiveNumber, ...], Field(strict=False)]
MethodName = Literal["pro-rata"]
TieRule = Literal["seeded", "account", "smallest", "largest"]
TieRules = Annotated[tuple[TieRule, ...], Field(strict=False)]

_NUMBER = 'a plain number such as "1" (at most 15 digits before and 9 after the point)'
_TIES = '"seeded", "account", "smallest" or "largest"'


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
    effective_from: date = setting(
        REQUIRED, "first trade date the policy is in force", "a date without quotes, for example 2026-01-01"
    )
    ties: TieRule = setting(REQUIRED, "who comes first when two shares have the same remainder; no default", _TIES)
    method: MethodName = setting("pro-rata", "how fills are divided", '"pro-rata"')
    remainder: Literal["largest-shortfall", "smallest-account"] = setting(
        "largest-shortfall", "who receives the odd rest below one lot", '"largest-shortfall" or "smallest-account"'
    )
    lot: PositiveNumber = setting("1", "smallest unit shares are divided in", _NUMBER)
    min_quantity: Number = setting("0", "an account whose exact share is below this gets nothing", _NUMBER)
    completion: Literal["orders", "day"] = setting(
        "orders", "a statement is complete when its orders have ended, or only at the cut-off", '"orders" or "day"'
    )
    price_decimals: int = setting(4, "decimals of the average price", "a number from 0 to 9", ge=0, le=9)
    require_memo: bool = setting(False, "refuse statements with an incomplete order memorandum", "true or false")


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


class Allowed(Table):
    """``[allowed]``: what a statement may ask for besides the policy's own terms."""

    method: Annotated[tuple[MethodName, ...], Field(strict=False)] = setting(
        (), "other methods", 'a list, for example ["pro-rata"]'
    )
    lot: PositiveNumbers = setting((), "other lots", 'a list of numbers, for example ["100"]')
    min_quantity: Numbers = setting((), "other minimums", 'a list of numbers, for example ["50"]')
    ties: TieRules = setting((), "other tie rules", 'a list, for example ["account"]')


TABLES: dict[str, type[Table]] = {"": Terms, "deadlines": Deadlines, "allowed": Allowed}
KEYS: tuple[Key, ...] = tuple(keys_of(TABLES))
"""Every key of policy.toml."""


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
    known = {*Terms.model_fields, "deadlines", "allowed"}
    found += [unknown_key(file, "", key, known) for key in raw if key not in known]
    top = {key: value for key, value in raw.items() if key in Terms.model_fields}
    terms = read_model(Terms, top, file, "", found)
    deadlines = read_model(Deadlines, raw.get("deadlines", {}), file, "deadlines", found)
    allowed = read_model(Allowed, raw.get("allowed", {}), file, "allowed", found)
    if found or terms is None or deadlines is None or allowed is None:
        return None, found
    return _policy(terms, deadlines, allowed, hashlib.sha256(text.encode()).hexdigest()), found


def _policy(terms: Terms, deadlines: Deadlines, allowed: Allowed, sha256: str) -> Policy:
    """The three tables as the core's value."""
    lists: dict[str, Any] = allowed.model_dump()
    return Policy(
        policy_id=terms.policy_id,
        version=terms.version,
        approved_by=terms.approved_by,
        effective_from=terms.effective_from,
        method=Method(terms.method),
        ties=Ties(terms.ties),
        remainder=Remainder(terms.remainder),
        lot=plain_decimal(terms.lot) or ZERO,
        min_quantity=plain_decimal(terms.min_quantity) or ZERO,
        completion=Completion(terms.completion),
        price_decimals=terms.price_decimals,
        require_memo=terms.require_memo,
        timezone=deadlines.timezone,
        allocate_at=deadlines.allocate,
        affirm_at=deadlines.affirm,
        text_sha256=sha256,
        allowed=tuple((term, tuple(values)) for term, values in lists.items() if values),
    )
