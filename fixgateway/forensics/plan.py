"""The plan of a review: groups, measure, window, thresholds and the policy, fixed before the window begins.

A plan is a TOML file. Its SHA-256 is over the bytes of the file; the default plan's over the text :data:`DEFAULT_TEXT`. Beside a
plan may lie its *fixing*, ``<plan>.fixed``: the hash and the time it was fixed at (``forensics plan fix``). A plan whose text is no
longer the fixed one, or that was fixed after the window began, or never, is "post hoc", and the report says so.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

from fixgateway.core.model import Method, Remainder, Ties
from fixgateway.errors import ConfigError
from fixgateway.forensics import columns as c

MAX_PLAN_BYTES = 1 << 20
MAX_PERMUTATIONS = 100_000_000

DEFAULT_TEXT = """\
plan_id = "default"
[groups]
own = { classes = ["proprietary", "employee"] }
fee = { fees = ["performance"] }
[test]
measure = "close"
strata = ["strategy", "side", "month"]
permutations = 99999
[thresholds]
amber = 0.01
red = 0.001
late_minutes = 60
materiality_bps = 1
"""
"""What a review without a plan file follows; its hash is the default plan's."""


@dataclass(frozen=True, slots=True)
class Group:
    """Who is in a group: rows that fit any of these; ``rate`` is a fee rate from which accounts belong."""

    name: str
    accounts: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    fees: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    rate: Decimal | None = None


OWN = Group("own", classes=frozenset(c.OWN))
FEE = Group("fee", fees=frozenset(("performance",)))


@dataclass(frozen=True, slots=True)
class Fixing:
    """That a plan with this hash existed at this time; ``source`` says who says so."""

    sha256: str
    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan, checked. ``lot`` and ``minimum`` are in the blotter's units, ``materiality`` exact money by currency.

    ``method`` is "" where the plan names no policy; ``known_policy`` says whether it does. ``ties`` is "" where any
    outcome of a tie is the policy's. ``codes`` are the approved exception codes; None: any code that is not empty.
    ``status`` is "default", "fixed" or "post hoc", ``status_text`` why.
    """

    sha256: str
    plan_id: str = "default"
    version: str = ""
    start: date | None = None
    end: date | None = None
    groups: tuple[Group, ...] = (OWN, FEE)
    measure: str = "close"
    strata: tuple[str, ...] = ("strategy", "side", "month")
    permutations: int = 99_999
    amber: Fraction = Fraction(1, 100)
    red: Fraction = Fraction(1, 1000)
    late_minutes: Fraction = Fraction(60)
    materiality_bps: Fraction = Fraction(1)
    materiality: Mapping[str, Fraction] = field(default_factory=dict)
    codes: frozenset[str] | None = None
    method: str = ""
    lot: Decimal = Decimal(1)
    minimum: Decimal = Decimal(0)
    ties: str = ""
    remainder: str = "largest-shortfall"
    tiers: tuple[tuple[str, ...], ...] = (("client", "error"), c.OWN)
    status: str = "default"
    status_text: str = "no plan was given: the shipped defaults apply"
    path: str = ""
    fixing: Fixing | None = None

    @property
    def known_policy(self) -> bool:
        """Whether the plan says how shares are recomputed."""
        return bool(self.method)

    def document(self) -> dict[str, Any]:
        """What the report says of the plan."""
        return {
            "plan_id": self.plan_id, "version": self.version, "sha256": self.sha256, "status": self.status,
            "status_text": self.status_text, "window": [_iso(self.start), _iso(self.end)],
            "groups": [group.name for group in self.groups], "measure": self.measure, "strata": list(self.strata),
            "permutations": self.permutations, "amber": float(self.amber), "red": float(self.red),
            "late_minutes": float(self.late_minutes), "materiality_bps": float(self.materiality_bps),
            "materiality": {name: str(value) for name, value in self.materiality.items()},
            "codes": None if self.codes is None else sorted(self.codes),
            "policy": {
                "method": self.method, "lot": str(self.lot), "minimum": str(self.minimum), "ties": self.ties,
                "remainder": self.remainder,
            } if self.known_policy else None,
        }  # fmt: skip


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def default() -> Plan:
    """The plan of a review that names none."""
    return Plan(hashlib.sha256(DEFAULT_TEXT.encode()).hexdigest())


def load(path: Path | str) -> Plan:
    """Read and check a plan file, and its fixing where there is one.

    Raises:
        ConfigError: names file, key and remedy.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror} (name a plan file with --plan)") from error
    plan = parse(data, str(path))
    fixing = read_fixing(path)
    return fixed(plan, fixing)


def parse(data: bytes, name: str = "plan") -> Plan:
    """A plan from its text; its status is "post hoc" until a fixing says otherwise (:func:`fixed`).

    Raises:
        ConfigError: names file, key and remedy.
    """
    if len(data) > MAX_PLAN_BYTES:
        raise ConfigError(f"{name}: larger than {MAX_PLAN_BYTES} bytes (a plan is a short TOML file)")
    try:
        tables = tomllib.loads(data.decode("utf-8"), parse_float=Decimal)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{name}: no TOML ({error})") from error
    values = _flat(tables, name)
    given = {_KEYS[key][1]: _value(key, value, name) for key, value in values.items()}
    if "method" not in given and given.keys() & {"minimum", "ties", "remainder"}:
        given["method"] = str(Method.PRO_RATA)
    plan = Plan(hashlib.sha256(data).hexdigest(), path=name, status="post hoc", status_text=_NEVER, **given)
    if plan.start and plan.end and plan.start > plan.end:
        raise ConfigError(f"{name}: window.to: {plan.end} is before from, {plan.start} (swap them)")
    if plan.red > plan.amber:
        raise ConfigError(f"{name}: thresholds.red: {float(plan.red)} is above amber (red is the smaller p)")
    return plan


# ---------------------------------------------------------------- fixing

_NEVER = "the plan was not fixed before the window (no fixing lies beside it)"


def fixing_path(path: Path | str) -> Path:
    """Where a plan's fixing lies."""
    return Path(f"{path}.fixed")


def read_fixing(path: Path | str) -> Fixing | None:
    """The fixing beside a plan file; None without one.

    Raises:
        ConfigError: it is there and cannot be read.
    """
    where = fixing_path(path)
    if not where.exists():
        return None
    try:
        document = json.loads(where.read_text(encoding="utf-8"))
        at = datetime.fromisoformat(document["fixed_at"])
        return Fixing(str(document["sha256"]), at if at.tzinfo else at.replace(tzinfo=UTC), where.name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{where}: no fixing (write it with: fixgateway forensics plan fix {path})") from error


def write_fixing(path: Path | str, at: datetime) -> Fixing:
    """Fix a plan: check it, write its hash and the time beside it.

    Raises:
        ConfigError: the plan is wrong, or was fixed already.
    """
    plan = load(path)
    where = fixing_path(path)
    if where.exists():
        raise ConfigError(f"{where}: the plan is fixed already (a changed plan is a new file with a new name)")
    document = {"plan": Path(path).name, "sha256": plan.sha256, "fixed_at": at.isoformat()}
    where.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return Fixing(plan.sha256, at, where.name)


def fixed(plan: Plan, fixing: Fixing | None, first_day: date | None = None) -> Plan:
    """The plan with the status the fixing gives it; ``first_day`` is the data's where the plan has no window."""
    if plan.status == "default" or fixing is None:
        return plan
    plan = replace(plan, fixing=fixing)
    begins = plan.start or first_day
    if fixing.sha256 != plan.sha256:
        text = f"the plan was edited after it was fixed at {fixing.at.isoformat()} ({fixing.source})"
        return replace(plan, status="post hoc", status_text=text)
    if begins and fixing.at.date() >= begins:
        text = f"the plan was fixed at {fixing.at.isoformat()}, when the window had begun ({begins.isoformat()})"
        return replace(plan, status="post hoc", status_text=text)
    text = f"fixed at {fixing.at.isoformat()} ({fixing.source})"
    return replace(plan, status="fixed", status_text=text)


# ---------------------------------------------------------------- keys


def _flat(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Keys without their tables: each has one meaning wherever it stands."""
    values: dict[str, Any] = {}
    for key, value in tables.items():
        inside = isinstance(value, dict) and key in _TABLES
        for inner, content in (value.items() if inside and key != "groups" else ((key, value),)):
            if inner not in _KEYS:
                where = f"{key}.{inner}" if inside else inner
                raise ConfigError(f"{name}: {where}: unknown key (docs/forensics.md lists the plan's keys)")
            values[inner] = content
    return values


def _value(key: str, value: Any, name: str) -> Any:
    table = _KEYS[key][0]
    try:
        return _KEYS[key][2](value)
    except (ValueError, TypeError, InvalidOperation) as error:
        raise ConfigError(f"{name}: {table + '.' if table else ''}{key}: {error}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value} is no text (write it in quotes)")
    return value


def _day(value: Any) -> date:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError(f"{value} is no date like 2026-01-31 (without quotes)")
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise ValueError(f"{value} is no number")
    number = Decimal(value)
    if not number.is_finite() or number < 0:
        raise ValueError(f"{value} is not zero or more")
    return number


def _positive(value: Any) -> Decimal:
    number = _number(value)
    if not number:
        raise ValueError("0 is not positive")
    return number


def _level(value: Any) -> Fraction:
    number = Fraction(_positive(value))
    if number >= 1:
        raise ValueError(f"{value} is no significance level (between 0 and 1)")
    return number


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 99 <= value <= MAX_PERMUTATIONS:
        raise ValueError(f"{value} is no number of permutations (99 to {MAX_PERMUTATIONS})")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("no list of texts")
    return tuple(value)


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f'"{value}" is none of {", ".join(words)}')
        return str(value)

    return check


def _strata(value: Any) -> tuple[str, ...]:
    names = _texts(value)
    for name in names:
        _one_of("strategy", "side", "month")(name)
    return names


def _money(value: Any) -> Mapping[str, Fraction]:
    if isinstance(value, dict):
        return {str(currency): Fraction(_number(amount)) for currency, amount in value.items()}
    return {"": Fraction(_number(value))}


def _tiers(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return tuple((item,) if isinstance(item, str) else _texts(item) for item in value)


def _groups(value: Any) -> tuple[Group, ...]:
    if not isinstance(value, dict) or not value:
        raise ValueError("no table of groups")
    groups = []
    for name, content in value.items():
        if name in ("union", "partial"):
            raise ValueError(f"{name} is a name of the report's own (choose another)")
        if isinstance(content, list):
            groups.append(Group(name, accounts=frozenset(_texts(content))))
            continue
        if not isinstance(content, dict) or content.keys() - _GROUP_KEYS:
            raise ValueError(f"{name}: a list of accounts, or a table with {', '.join(sorted(_GROUP_KEYS))}")
        rate = content.get("fee_rate_at_least")
        sets = {key: frozenset(_texts(content[key])) for key in content if key != "fee_rate_at_least"}
        groups.append(Group(name, rate=None if rate is None else _number(rate), **sets))
    return tuple(groups)


_GROUP_KEYS = {"accounts", "classes", "fees", "owners", "fee_rate_at_least"}

_TABLES = ("window", "groups", "test", "thresholds", "policy")

_METHODS = tuple(str(method) for method in Method)

_KEYS: Mapping[str, tuple[str, str, Callable[[Any], Any]]] = {
    "plan_id": ("", "plan_id", _text),
    "version": ("", "version", _text),
    "from": ("window", "start", _day),
    "to": ("window", "end", _day),
    "groups": ("", "groups", _groups),
    "measure": ("test", "measure", _one_of("close", "mark")),
    "strata": ("test", "strata", _strata),
    "permutations": ("test", "permutations", _count),
    "amber": ("thresholds", "amber", _level),
    "red": ("thresholds", "red", _level),
    "late_minutes": ("thresholds", "late_minutes", lambda value: Fraction(_number(value))),
    "materiality_bps": ("thresholds", "materiality_bps", lambda value: Fraction(_number(value))),
    "materiality": ("thresholds", "materiality", _money),
    "codes": ("policy", "codes", lambda value: frozenset(_texts(value))),
    "method": ("policy", "method", _one_of(*_METHODS)),
    "lot": ("policy", "lot", _positive),
    "minimum": ("policy", "minimum", _number),
    "min_quantity": ("policy", "minimum", _number),
    "ties": ("policy", "ties", _one_of(*(str(word) for word in Ties))),
    "remainder": ("policy", "remainder", _one_of(*(str(word) for word in Remainder))),
    "tiers": ("policy", "tiers", _tiers),
}
"""Key → its table, the field of :class:`Plan`, and how it is read. A key may also stand outside its table."""
