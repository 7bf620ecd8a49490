"""What only several terms of a policy together, or the policy and the account file, can be wrong about.

Every rule is a row: the key to correct, when it is broken, what is wrong, what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fixgateway.config.problems import Problem
from fixgateway.core.model import (
    Account,
    Averaging,
    Basis,
    Interim,
    Method,
    Overfill,
    Policy,
    ResidualCash,
    Rounding,
    Ties,
    plain_decimal,
)

CLASSES = ("client", "employee", "proprietary")
"""Account classes that statements may name, hence every tier list must."""

_BY_FILL = frozenset((Method.HIGH_LOW, Method.MIN_DISPERSION))
"""Methods that hand out whole fills at their own prices."""
_IN_TURN = frozenset((Method.ROTATION, Method.RELEASE_ROTATION))
"""Methods that serve one account after another in the order of turns."""
_REMEMBERS = frozenset((Rounding.CARRY_FORWARD, Rounding.CUMULATIVE))


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing a policy may not say: broken when ``broken`` is true of it."""

    key: str
    broken: Callable[[Policy], bool]
    text: str
    remedy: str


def _methods(policy: Policy) -> frozenset[str]:
    """The policy's method and those a statement may ask for."""
    return frozenset((str(policy.method), *_allowed(policy, "method")))


def _allowed(policy: Policy, term: str) -> tuple[str, ...]:
    return dict(policy.allowed).get(term, ())


def _interim(policy: Policy) -> bool:
    return policy.interim is not Interim.NEVER


def _has_minimum(policy: Policy) -> bool:
    minimums = [policy.min_quantity, policy.min_value, *(x.min_quantity for x in policy.instruments)]
    return any(minimums) or any(plain_decimal(text) for text in _allowed(policy, "min_quantity"))


def _tier_places(policy: Policy) -> dict[str, list[int]]:
    """Class → the tiers it stands in."""
    return {name: [n for n, tier in enumerate(policy.tiers) if name in tier] for name in CLASSES}


def _wrong_tiers(policy: Policy) -> bool:
    """Whether a class stands in no tier or in two, clients are not served first or own accounts not last."""
    if not policy.tiers:
        return False
    places = _tier_places(policy)
    if any(len(tiers) != 1 for tiers in places.values()) or sum(map(len, policy.tiers)) != len(CLASSES):
        return True
    client, own = places["client"][0], places["proprietary"][0]
    return client != 0 or own != len(policy.tiers) - 1 or client == own


RULES: tuple[Rule, ...] = (
    Rule(
        "rounding",
        lambda p: _interim(p) and p.rounding is not Rounding.QUOTA,
        "interim booking needs the quota method: under any other rounding a later fill can take a share back",
        'write rounding = "quota", or interim = "never"',
    ),
    Rule(
        "min_quantity",
        lambda p: _interim(p) and _has_minimum(p),
        "interim booking with a minimum: an account that is below it now may be above it later",
        'leave out min_quantity and min_value, also of instruments and [allowed], or write interim = "never"',
    ),
    Rule(
        "ties",
        lambda p: _interim(p) and Ties.SEEDED in (p.ties, *_allowed(p, "ties")),
        "interim booking with seeded ties would show the seed before the last fill is divided",
        'name another tie rule, also in [allowed], or write interim = "never"',
    ),
    Rule(
        "method",
        lambda p: _interim(p) and not _BY_FILL.isdisjoint(_methods(p)),
        "interim booking with a method that hands out whole fills: a later fill would move earlier ones",
        'name another method, also in [allowed], or write interim = "never"',
    ),
    Rule(
        "interim",
        lambda p: p.interim is Interim.ON_REQUEST and p.averaging is Averaging.DAY,
        "on-request needs a price before the day's average is known",
        'write interim = "daily", or averaging = "statement"',
    ),
    Rule(
        "method",
        lambda p: _interim(p) and Method.RELEASE_ROTATION in _methods(p),
        "interim booking with release-rotation: its accounts keep the fills of their own orders, nothing is divided",
        'name another method, also in [allowed], or write interim = "never"',
    ),
    Rule(
        "averaging",
        lambda p: p.averaging is Averaging.DAY and Method.RELEASE_ROTATION in _methods(p),
        "one price for the day, and release-rotation, whose accounts keep the prices of their own orders",
        'write averaging = "statement", or name another method, also in [allowed]',
    ),
    Rule(
        "deadlines.allocate",
        lambda p: p.interim is Interim.DAILY and p.allocate_at == "off",
        "is off, and interim = daily books at the cut-off",
        'write a time, or interim = "never"',
    ),
    Rule(
        "averaging",
        lambda p: p.averaging is Averaging.DAY and not _BY_FILL.isdisjoint(_methods(p)),
        "one price for the day, and a method that hands out fills at their own prices",
        'write averaging = "statement", or name another method, also in [allowed]',
    ),
    Rule(
        "rounding",
        lambda p: p.rounding in _REMEMBERS and p.method is not Method.PRO_RATA,
        "carry-forward and cumulative-rounding remember remainders, which only pro-rata has",
        'write method = "pro-rata", or rounding = "largest-remainder"',
    ),
    Rule(
        "ties",
        lambda p: p.rounding is Rounding.CUMULATIVE and Ties.SEEDED not in (p.ties, *_allowed(p, "ties")),
        "cumulative-rounding draws from the statement's seed",
        'write ties = "seeded", or another rounding',
    ),
    Rule(
        "ties",
        lambda p: p.method in _IN_TURN and p.ties is not Ties.ROTATION,
        "a rotation serves accounts in order of turn; another rule would never be asked",
        'write ties = "rotation"',
    ),
    Rule(
        "min_quantity",
        lambda p: p.method in _IN_TURN and _has_minimum(p),
        "a rotation serves whole intents and gives the last one what is left; it drops nobody",
        "leave out min_quantity and min_value, also of instruments and [allowed]",
    ),
    Rule(
        "basis",
        lambda p: p.method is Method.RELEASE_ROTATION and p.basis is not Basis.QUANTITY,
        "release-rotation sends every account's quantity in orders of its own; weights say no quantity",
        'write basis = "quantity"',
    ),
    Rule(
        "tiers",
        lambda p: Method.CLIENT_PRIORITY in _methods(p) and not p.tiers,
        "is missing, and client-priority serves by it",
        'write tiers = [["client"], ["employee"], ["proprietary"]]',
    ),
    Rule(
        "tiers",
        _wrong_tiers,
        "names a class twice or not at all, or does not serve clients first and own accounts last",
        'write for example tiers = [["client"], ["employee", "proprietary"]]',
    ),
    Rule(
        "error_account",
        lambda p: p.overfill is Overfill.ERROR_ACCOUNT and not p.error_account,
        "is missing, and an overfill goes there",
        'name an account of class error, or write overfill = "unallocated"',
    ),
    Rule(
        "error_account",
        lambda p: p.residual_cash is ResidualCash.ERROR_ACCOUNT and not p.error_account,
        "is missing, and residual cash goes there",
        'name an account of class error, or write residual_cash = "accounts"',
    ),
)


def combination_problems(policy: Policy, file: str) -> Iterator[Problem]:
    """Every rule the policy breaks."""
    for rule in RULES:
        if rule.broken(policy):
            yield Problem(file, rule.key, rule.text, rule.remedy)


def instrument_problems(tables: Sequence[tuple[str, tuple[object, ...]]], file: str) -> Iterator[Problem]:
    """Instruments named twice, or without a term of their own; ``tables`` are (symbol, its terms)."""
    seen: set[str] = set()
    for symbol, terms in tables:
        key = f"instrument[{symbol}]"
        if symbol in seen:
            yield Problem(file, key, "is written twice", "write one [[instrument]] table for it")
        elif not any(term is not None for term in terms):
            yield Problem(file, key, "has no term of its own", "add lot, min_quantity or remainder, or remove it")
        seen.add(symbol)


def account_problems(policy: Policy, accounts: Mapping[str, Account], file: str) -> Iterator[Problem]:
    """What the policy says of accounts that the account file does not bear out."""
    if not policy.error_account:
        return
    account = accounts.get(policy.error_account)
    if account is None:
        yield Problem(
            file,
            "error_account",
            f'"{policy.error_account}" is not in the account file',
            "add it there with class error, or name another",
        )
    elif account.class_ != "error" or account.status != "active":
        yield Problem(
            file,
            "error_account",
            f'"{policy.error_account}" is {account.status} and of class {account.class_}',
            "name an active account of class error",
        )


def version_problem(policy: Policy, journaled: Policy | None, file: str) -> Iterator[Problem]:
    """Another text under an id and version that the journal has already: nobody could say which was in force.

    Args:
        journaled: the policy of this id and version as the journal has it, None when it has none.
    """
    if journaled is None or journaled.text_sha256 in ("", policy.text_sha256):
        return
    was, now = journaled.text_sha256[:16], policy.text_sha256[:16]
    text = f'"{policy.version}" of {policy.policy_id} was in force with another text (SHA-256 {was}…, now {now}…)'
    yield Problem(file, "version", text, "give the changed text a new version, or put the old text back")
