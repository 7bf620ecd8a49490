"""What the simulated broker does with an order, as data: the language of its steps and its scenario file.

Steps, separated by commas (a list of texts in a file), run one after another for every order::

    10000@99.90      fill 10,000 at 99.90          rest@100       fill what is left
    30%@100          fill 30% of the order         rest+500@100   fill 500 more than was ordered
    bust 1           take back the first fill      correct 2 9000@99.95   correct the second
    repeat 1         send the first fill's report again, unchanged
    unknown 500@100  report a fill of an order nobody sent
    wait 0.5         wait half a second            done           done for the day (39=3)
    expire           39=C                          cancel         cancelled unasked
    disconnect       cut the connection            logout         log out and close

A scenario file is TOML; every key is optional, shown with its default. The first ``[[rule]]`` whose ``when``
(fields of the order by FIX name, or ``t<number>``) fits replaces keys for that order::

    ack = true                   # false: no 150=0
    steps = ["rest@100"]         # default: none
    delay_seconds = 0.0          # before every step
    reject = ""                  # a text: refuse the order with it
    on_cancel = "accept"         # accept | reject | silent
    on_replace = "accept"        # accept | reject | silent
    allocation = ["accepted"]    # answers to J: received | accepted | rejected | account-rejected
    allocation_report = "none"   # AS for an accepted J: none | right | wrong-quantity | wrong-price |
                                 #   duplicate | unasked
    confirmations = []           # AK, accounts in turn: right | wrong-quantity | wrong-price | wrong-account |
                                 #   missing | late | duplicate | copy; rejected ones are corrected, BH is answered
    late_seconds = 1.0           # how late a late one is
    disconnect_after = 0         # cut the connection after so many orders; 0 never

    [[rule]]
    when = {Symbol = "ABC"}
    reject = "not today"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

from fixgateway.errors import ConfigError, UsageError
from fixgateway.sim.booker import CONFIRMATIONS, REPORTS
from fixgateway.sim.fields import Fields
from fixgateway.sim.names import tag_of

ALLOCATION_ANSWERS = ("received", "accepted", "rejected", "account-rejected")
_CHOICES = ("accept", "reject", "silent")
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_FILL = re.compile(rf"(?:rest(?:\+{_NUMBER})?|{_NUMBER}%?)@{_NUMBER}")
_ONE_NUMBER = re.compile(_NUMBER)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the broker does: ``verb``, the number of a fill or of seconds, a quantity and a price."""

    verb: str
    number: Decimal = Decimal(0)
    quantity: str = ""
    price: Decimal = Decimal(0)

    def quantity_of(self, order_qty: Decimal, leaves: Decimal) -> Decimal:
        """The quantity meant, for an order of ``order_qty`` with ``leaves`` open."""
        if self.quantity.startswith("rest"):
            return leaves + Decimal(self.quantity.removeprefix("rest").removeprefix("+") or 0)
        if self.quantity.endswith("%"):
            part = order_qty * Decimal(self.quantity.removesuffix("%")) / 100
            return part.quantize(Decimal(1), ROUND_DOWN)
        return Decimal(self.quantity)


@dataclass(frozen=True, slots=True)
class BrokerScript:
    """How the broker behaves; the keys of the scenario file, see the module."""

    ack: bool = True
    steps: tuple[Step, ...] = ()
    delay_seconds: float = 0.0
    reject: str = ""
    on_cancel: str = "accept"
    on_replace: str = "accept"
    allocation: tuple[str, ...] = ("accepted",)
    allocation_report: str = "none"
    confirmations: tuple[str, ...] = ()
    late_seconds: float = 1.0
    disconnect_after: int = 0
    rules: tuple[tuple[tuple[tuple[int, str], ...], Mapping[str, Any]], ...] = ()

    def for_order(self, order: Fields) -> BrokerScript:
        """The script with the first fitting rule applied."""
        for when, changes in self.rules:
            if all(order.get(tag) == value for tag, value in when):
                return replace(self, **changes)
        return self


def parse_steps(texts: str | list[str] | tuple[str, ...]) -> tuple[Step, ...]:
    """Read steps, as one comma-separated text or a list.

    Raises:
        UsageError: a step is not understood; names it.
    """
    parts = texts.split(",") if isinstance(texts, str) else texts
    return tuple(_step(part.strip()) for part in parts if part.strip())


def _step(text: str) -> Step:
    if _FILL.fullmatch(text):
        return _fill("fill", Decimal(0), text)
    verb, _, rest = text.partition(" ")
    words = rest.split()
    takes = _VERBS.get(verb)
    try:
        if takes == "nothing" and not words:
            return Step(verb)
        if takes == "number" and len(words) == 1 and _ONE_NUMBER.fullmatch(words[0]):
            return Step(verb, Decimal(words[0]))
        if takes == "fill" and len(words) == 1:
            return _fill(verb, Decimal(0), words[0])
        if takes == "number fill" and len(words) == 2 and words[0].isdecimal():
            return _fill(verb, Decimal(words[0]), words[1])
    except ValueError:
        pass
    known = "QTY@PRICE, " + ", ".join(f"{verb} {takes}".removesuffix(" nothing") for verb, takes in _VERBS.items())
    raise UsageError(f"step {text!r} is not understood; write one of: {known}")


_VERBS = {
    "bust": "number", "correct": "number fill", "repeat": "number", "unknown": "fill", "wait": "number",
    "done": "nothing", "expire": "nothing", "cancel": "nothing", "disconnect": "nothing", "logout": "nothing",
}  # fmt: skip


def _fill(verb: str, number: Decimal, text: str) -> Step:
    if not _FILL.fullmatch(text):
        raise ValueError(text)
    quantity, _, price = text.partition("@")
    return Step(verb, number, quantity, Decimal(price))


def load_broker_script(path: Path) -> BrokerScript:
    """Read a scenario file.

    Raises:
        ConfigError: the file cannot be read; names file, key and what is allowed.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return broker_script(table, str(path))


def broker_script(table: Mapping[str, Any], where: str = "script") -> BrokerScript:
    """A script from parsed keys; ``where`` names the source in messages.

    Raises:
        ConfigError: a key is unknown or its value wrong.
    """
    top = {key: value for key, value in table.items() if key != "rule"}
    rules = []
    for index, rule in enumerate(table.get("rule", []), 1):
        here = f"{where}: rule {index}"
        when = rule.get("when", {})
        changes = _checked({key: value for key, value in rule.items() if key != "when"}, here)
        try:
            rules.append((tuple((tag_of(name), str(value)) for name, value in when.items()), changes))
        except ValueError as error:
            raise ConfigError(f"{here}: when: {error}") from error
    return BrokerScript(**_checked(top, where), rules=tuple(rules))


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The keys as BrokerScript takes them."""
    known = {field.name for field in fields(BrokerScript)} - {"rules"}
    out: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}: {key} is not a key; known are {', '.join(sorted(known))}")
        kind, check, wanted = _KEYS[key]
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool) or not check(value):
            raise ConfigError(f"{where}: {key} = {value!r}; write {wanted}")
        out[key] = value
    try:
        if "steps" in out:
            out["steps"] = parse_steps(out["steps"])
    except UsageError as error:
        raise ConfigError(f"{where}: steps: {error}") from error
    for key in ("allocation", "confirmations"):
        if key in out:
            out[key] = tuple(out[key])
    return out


_KEYS: dict[str, tuple[Any, Any, str]] = {
    "ack": (bool, lambda _: True, "true or false"),
    "steps": ((str, list), lambda v: all(isinstance(s, str) for s in v), 'a list of steps, ["10000@99.90"]'),
    "delay_seconds": ((int, float), lambda v: 0 <= v <= 3600, "seconds from 0 to 3600"),
    "reject": (str, lambda _: True, "a text"),
    "on_cancel": (str, _CHOICES.__contains__, " | ".join(_CHOICES)),
    "on_replace": (str, _CHOICES.__contains__, " | ".join(_CHOICES)),
    "allocation": (
        list, lambda v: set(v) <= set(ALLOCATION_ANSWERS), f"a list of {' | '.join(ALLOCATION_ANSWERS)}"
    ),
    "allocation_report": (str, REPORTS.__contains__, " | ".join(REPORTS)),
    "confirmations": (list, lambda v: set(v) <= set(CONFIRMATIONS), f"a list of {' | '.join(CONFIRMATIONS)}"),
    "late_seconds": ((int, float), lambda v: 0 <= v <= 3600, "seconds from 0 to 3600"),
    "disconnect_after": (int, lambda v: v >= 0, "a number of orders"),
}  # fmt: skip
