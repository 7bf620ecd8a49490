"""Passwords, sessions and tokens of people: who somebody is, never what they may.

Passwords are kept as argon2id hashes, tokens and sessions as the SHA-256 of 256 random bits. A name is locked after
some failures, known or not, and a wrong name costs the same work as a wrong password: neither answer nor time tells
who exists. An attempt is counted before it is judged, so that many at once are not more guesses than one by one.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import argon2

from fixgateway.config.tables import is_loopback
from fixgateway.errors import GatewayUnavailable, UsageError
from fixgateway.web.vault import Vault

TOKEN_PREFIX = "fxg_"
"""What every token begins with, so that a scanner for leaked secrets knows one."""
SESSIONS_MAX = 20
"""Sessions a person may have at once; one more ends the oldest."""
TOKENS_MAX = 20
"""Tokens a person may have that are neither revoked nor expired."""
TOKEN_DAYS_MAX = 366
ONE_TIME_HOURS = 72
"""How long a one-time password may be used."""
PASSWORD_MIN, PASSWORD_MAX = 12, 256
"""Characters of a password."""
_ATTEMPTS_MAX = 10_000
_TOUCH_NS = 60 * 10**9
_HASHING_AT_ONCE, _WAITING_MAX, _WAIT_SECONDS = 1, 8, 5.0
FAILURES_OF_AN_ADDRESS = 50
"""Failed sign-ins from one address, but for this machine's own, before it is locked like a name."""
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a sign-in lasts, and how many failures lock a name for how long."""

    idle_seconds: int = 1_800
    session_seconds: int = 43_200
    failures: int = 5
    lock_seconds: int = 900


class Verdict(StrEnum):
    """What became of an attempt to sign in."""

    GOOD = "good"
    ONE_TIME = "one-time"
    WRONG = "wrong"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session just opened: the cookie's value, and what forms carry in ``csrf``."""

    person_id: str
    token: str
    csrf: str


def weakness(password: str, person_id: str, name: str = "") -> str:
    """Why a password may not be used, "" when it may."""
    folded = password.casefold()
    if len(password) < PASSWORD_MIN:
        return f"the password is shorter than {PASSWORD_MIN} characters"
    if len(password) > PASSWORD_MAX:
        return f"the password is longer than {PASSWORD_MAX} characters"
    if len(set(folded)) < 5:
        return "the password repeats a few characters only"
    own = [part.casefold() for part in (person_id, "fixgateway", *name.split()) if len(part) > 3]
    if any(part in folded for part in own):
        return "the password contains your name or the gateway's"
    return ""


class Credentials:
    """See the module.

    Args:
        vault: where they are kept; an attribute, too.
        terms: lengths and limits.
        now_ns: the clock, UTC nanoseconds.
        hasher: argon2id with its parameters.
    """

    def __init__(
        self,
        vault: Vault,
        terms: Terms = Terms(),
        now_ns: Callable[[], int] = time.time_ns,
        hasher: argon2.PasswordHasher | None = None,
    ) -> None:
        self.terms = terms
        self.vault = vault
        self._now_ns = now_ns
        # 64 MiB, three passes (RFC 9106, section 4), one thread: the others of the machine belong to the orders.
        self._hasher = hasher or argon2.PasswordHasher(parallelism=1)
        self._hashing = threading.BoundedSemaphore(_HASHING_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(_WAITING_MAX)

    # ------------------------------------------------------------ passwords

    @cached_property
    def _nobodys(self) -> str:
        """The hash an unknown name's password is compared with: the same work as with a known one."""
        return self._hasher.hash(secrets.token_hex(16))

    def check(self, person_id: str, password: str, known: bool, address: str = "") -> Verdict:
        """Judge a password; ``known`` says whether an active person has this id, ``address`` where it comes from.

        Raises:
            GatewayUnavailable: too many sign-ins at once.
        """
        place = f"@{address[:60]}" if address and not is_loopback(address) else ""
        if place and not self._count_attempt(place, FAILURES_OF_AN_ADDRESS):
            return Verdict.LOCKED
        if not self._count_attempt(_folded(person_id), self.terms.failures):
            return Verdict.LOCKED
        row = self.vault.one("SELECT * FROM passwords WHERE person_id = ?", (person_id,)) if known else None
        good = self._verify(row["hash"] if row else self._nobodys, password)
        if row is None or not good or (row["one_time"] and row["expires_ns"] < self._now_ns()):
            return Verdict.WRONG
        self.unlock(person_id)
        self.vault.run("UPDATE attempts SET failed = failed - 1 WHERE name = ?", (place,))
        if row["one_time"]:
            return Verdict.ONE_TIME
        if self._hasher.check_needs_rehash(row["hash"]):
            self._keep_password(person_id, password, one_time=False)
        return Verdict.GOOD

    def _verify(self, stored: str, password: str) -> bool:
        busy = GatewayUnavailable("too many people sign in at once; try again")
        if not self._waiting.acquire(blocking=False):
            raise busy
        try:
            if not self._hashing.acquire(timeout=_WAIT_SECONDS):
                raise busy
            try:
                return self._hasher.verify(stored, _bytes(password))
            finally:
                self._hashing.release()
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
        finally:
            self._waiting.release()

    def _count_attempt(self, name: str, most: int) -> bool:
        """Count an attempt before it is judged; whether it may be judged at all: not after ``most`` failures."""
        now = self._now_ns()
        since = now - self.terms.lock_seconds * 10**9
        with self.vault.change() as vault:
            vault.run("DELETE FROM attempts WHERE last_ns < ?", (since,))
            row = vault.one("SELECT failed FROM attempts WHERE name = ?", (name,))
            if row and row["failed"] >= most:
                return False
            vault.run(
                "INSERT INTO attempts VALUES (?, 1, ?) "
                "ON CONFLICT (name) DO UPDATE SET failed = failed + 1, last_ns = excluded.last_ns",
                (name, now),
            )
            vault.run(
                "DELETE FROM attempts WHERE name IN "
                "(SELECT name FROM attempts ORDER BY last_ns DESC LIMIT -1 OFFSET ?)",
                (_ATTEMPTS_MAX,),
            )
        return True

    def locked(self, person_id: str) -> bool:
        """Whether a name is locked now."""
        since = self._now_ns() - self.terms.lock_seconds * 10**9
        row = self.vault.one(
            "SELECT failed FROM attempts WHERE name = ? AND last_ns >= ?", (_folded(person_id), since)
        )
        return row is not None and bool(row["failed"] >= self.terms.failures)

    def unlock(self, person_id: str) -> None:
        """Forget a name's failures."""
        self.vault.run("DELETE FROM attempts WHERE name = ?", (_folded(person_id),))

    def set_password(self, person_id: str, password: str) -> None:
        """A person's own password from now on; their sessions end."""
        self._keep_password(person_id, password, one_time=False)
        self.end_sessions(person_id)
        self.unlock(person_id)

    def one_time_password(self, person_id: str) -> str:
        """A new password that is good for setting one's own, once; the person's sessions end."""
        password = secrets.token_urlsafe(15)
        self._keep_password(person_id, password, one_time=True)
        self.end_sessions(person_id)
        self.unlock(person_id)
        return password

    def _keep_password(self, person_id: str, password: str, *, one_time: bool) -> None:
        now = self._now_ns()
        expires = now + ONE_TIME_HOURS * 3_600 * 10**9 if one_time else 0
        self.vault.run(
            "INSERT OR REPLACE INTO passwords VALUES (?, ?, ?, ?, ?)",
            (person_id, self._hasher.hash(_bytes(password)), int(one_time), expires, now),
        )

    # ------------------------------------------------------------ sessions

    def open_session(self, person_id: str, address: str) -> SignedIn:
        """A session for a person who proved who they are."""
        signed_in = SignedIn(person_id, secrets.token_urlsafe(32), secrets.token_urlsafe(24))
        now = self._now_ns()
        with self.vault.change() as vault:
            vault.run(
                "DELETE FROM sessions WHERE made_ns < ? OR seen_ns < ?",
                (now - self.terms.session_seconds * 10**9, now - self.terms.idle_seconds * 10**9),
            )
            values = (_sha256(signed_in.token), person_id, signed_in.csrf, now, now, address)
            vault.run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", values)
            vault.run(
                "DELETE FROM sessions WHERE sha256 IN (SELECT sha256 FROM sessions WHERE person_id = ? "
                "ORDER BY made_ns DESC, rowid DESC LIMIT -1 OFFSET ?)",
                (person_id, SESSIONS_MAX),
            )
        return signed_in

    def session(self, token: str) -> SignedIn | None:
        """The session a cookie names; None when it ended, was idle too long or is too old."""
        key, now = _sha256(token), self._now_ns()
        row = self.vault.one("SELECT * FROM sessions WHERE sha256 = ?", (key,))
        if row is None:
            return None
        idle, age = now - row["seen_ns"], now - row["made_ns"]
        if idle > self.terms.idle_seconds * 10**9 or age > self.terms.session_seconds * 10**9:
            self.vault.run("DELETE FROM sessions WHERE sha256 = ?", (key,))
            return None
        if idle > min(_TOUCH_NS, self.terms.idle_seconds * 10**8):
            self.vault.run("UPDATE sessions SET seen_ns = ? WHERE sha256 = ?", (now, key))
        return SignedIn(row["person_id"], token, row["csrf"])

    def close_session(self, token: str) -> None:
        """End one session."""
        self.vault.run("DELETE FROM sessions WHERE sha256 = ?", (_sha256(token),))

    def end_sessions(self, person_id: str) -> None:
        """End every session of a person."""
        self.vault.run("DELETE FROM sessions WHERE person_id = ?", (person_id,))

    # ------------------------------------------------------------ tokens

    def make_token(self, person_id: str, label: str, days: int) -> tuple[str, str]:
        """A token for a program that acts for a person: its id and itself, shown this once.

        Raises:
            UsageError: the person has too many.
        """
        now = self._now_ns()
        token_id, token = secrets.token_hex(6), TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self.vault.change() as vault:
            row = vault.one(
                "SELECT count(*) AS n FROM tokens WHERE person_id = ? AND revoked_ns = 0 AND expires_ns > ?",
                (person_id, now),
            )
            if row is not None and row["n"] >= TOKENS_MAX:
                raise UsageError(f"{person_id} has {TOKENS_MAX} tokens; revoke one first")
            values = (token_id, person_id, _sha256(token), label, now, now + days * _DAY_NS, 0, 0)
            vault.run("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        return token_id, token

    def token(self, token: str) -> str | None:
        """Whose token it is; None for one that is unknown, revoked or expired."""
        now = self._now_ns()
        row = self.vault.one("SELECT * FROM tokens WHERE sha256 = ?", (_sha256(token),))
        if row is None or row["revoked_ns"] or row["expires_ns"] <= now:
            return None
        if now - row["used_ns"] > 60 * _TOUCH_NS:
            self.vault.run("UPDATE tokens SET used_ns = ? WHERE token_id = ?", (now, row["token_id"]))
        return str(row["person_id"])

    def tokens(self, person_id: str | None = None) -> list[dict[str, Any]]:
        """The tokens of a person, or all, newest first; never the token itself."""
        rows = self.vault.all(
            "SELECT token_id, person_id, label, made_ns, expires_ns, revoked_ns, used_ns FROM tokens "
            "WHERE person_id = coalesce(?, person_id) ORDER BY made_ns DESC, token_id LIMIT 1000",
            (person_id,),
        )
        return [dict(row) for row in rows]

    def revoke(self, token_id: str) -> str | None:
        """End a token; whose it was, None when there is none such."""
        row = self.vault.one("SELECT person_id FROM tokens WHERE token_id = ?", (token_id,))
        now = self._now_ns()
        self.vault.run("UPDATE tokens SET revoked_ns = ? WHERE token_id = ? AND revoked_ns = 0", (now, token_id))
        return str(row["person_id"]) if row else None

    def forget(self, person_id: str) -> None:
        """A person is not active any more: no session, no token, no password is left."""
        now = self._now_ns()
        with self.vault.change() as vault:
            vault.run("DELETE FROM sessions WHERE person_id = ?", (person_id,))
            vault.run("DELETE FROM passwords WHERE person_id = ?", (person_id,))
            vault.run("UPDATE tokens SET revoked_ns = ? WHERE person_id = ? AND revoked_ns = 0", (now, person_id))

    def state(self, person_id: str) -> dict[str, Any]:
        """How a person can sign in now: ``password`` is none, one-time or set; sessions; locked or not."""
        row = self.vault.one("SELECT one_time FROM passwords WHERE person_id = ?", (person_id,))
        count = self.vault.one("SELECT count(*) AS n FROM sessions WHERE person_id = ?", (person_id,))
        return {
            "password": "none" if row is None else "one-time" if row["one_time"] else "set",
            "sessions": count["n"] if count else 0,
            "locked": self.locked(person_id),
        }


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _bytes(password: str) -> bytes:
    """A password as bytes, the same from every keyboard (NFKC)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _folded(person_id: str) -> str:
    return person_id.casefold()[:64]
