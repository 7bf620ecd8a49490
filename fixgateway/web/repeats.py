"""Idempotency-Key: a request that is sent again is answered again and not done again.

Keys are each person's own, kept for a day and bounded in number, in the credentials file: a restart forgets none. A
key used with another request is refused (422); one whose request has not been answered yet, or never was because the
gateway ended, says so (409): then look what happened before asking anew.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fixgateway.web.answers import problem
from fixgateway.web.guard import API
from fixgateway.web.identity import Identity
from fixgateway.web.vault import Vault

HEADER = "idempotency-key"
KEYS_MAX = 10_000
"""Most keys kept; the oldest is forgotten first."""
KEEP_SECONDS = 86_400
KEY_CHARACTERS_MAX = 128
_ANSWER_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known of a key: ``status`` 0 while nothing was answered, by ``run`` of the gateway."""

    same: bool
    run: str
    status: int
    media_type: str
    body: bytes


class Repeats:
    """The keys and what was answered.

    Args:
        vault: where they are kept.
        now_ns: the clock, UTC nanoseconds.
    """

    def __init__(self, vault: Vault, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._vault = vault
        self._now_ns = now_ns
        self.run = secrets.token_hex(8)

    def claim(self, key: bytes, fingerprint: bytes) -> _Kept | None:
        """Take a key for a request; what is kept when it was taken before."""
        now = self._now_ns()
        with self._vault.change() as vault:
            vault.run("DELETE FROM requests WHERE made_ns < ?", (now - KEEP_SECONDS * 10**9,))
            row = vault.one("SELECT * FROM requests WHERE key = ?", (key,))
            if row is not None:
                same = row["fingerprint"] == fingerprint
                return _Kept(same, row["run"], row["status"], row["media_type"], row["body"])
            vault.run("INSERT INTO requests VALUES (?, ?, ?, ?, 0, '', x'')", (key, fingerprint, now, self.run))
            vault.run(
                "DELETE FROM requests WHERE key IN (SELECT key FROM requests ORDER BY made_ns DESC LIMIT -1 OFFSET ?)",
                (KEYS_MAX,),
            )
        return None

    def answered(self, key: bytes, status: int, media_type: str, body: bytes) -> None:
        """Keep what was answered."""
        self._vault.run(
            "UPDATE requests SET status = ?, media_type = ?, body = ? WHERE key = ?", (status, media_type, body, key)
        )

    def unknown(self, key: bytes) -> None:
        """Nothing was answered, nor ever will be."""
        self._vault.run("UPDATE requests SET run = '' WHERE key = ?", (key,))


class RepeatKeeper:
    """ASGI middleware behind the door: looks after requests of the API that carry a key.

    Args:
        app: what is asked when a key is new.
        repeats: the keys.
        never: how paths begin whose answers hold secrets; their keys are ignored.
    """

    def __init__(self, app: ASGIApp, repeats: Repeats, never: tuple[str, ...]) -> None:
        self._app = app
        self._repeats = repeats
        self._never = never

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or answer as before."""
        given = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        path = str(scope.get("path", ""))
        if given is None or scope["method"] != "POST" or not path.startswith(API) or path.startswith(self._never):
            await self._app(scope, receive, send)
            return
        if not (0 < len(given) <= KEY_CHARACTERS_MAX and given.isascii() and given.isprintable()):
            words = f"Idempotency-Key: write 1 to {KEY_CHARACTERS_MAX} printable characters"
            await problem(HTTPStatus.BAD_REQUEST, words)(scope, receive, send)
            return
        message = await receive()
        body: bytes = message.get("body", b"")
        identity = scope.get("state", {}).get("identity", Identity())
        key = _digest(identity.person_id, given)
        fingerprint = _digest(path, scope.get("query_string", b"").decode("latin-1"), body)
        kept = await run_in_threadpool(self._repeats.claim, key, fingerprint)
        if kept is not None:
            await self._again(kept)(scope, receive, send)
            return
        await self._first(key, scope, _once(message, receive), send)

    def _again(self, kept: _Kept) -> Response:
        """The answer to a key that was used before."""
        if not kept.same:
            words = "Idempotency-Key: this key was used for another request; take a new one"
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, words)
        if kept.status:
            headers = {"Idempotent-Replayed": "true"}
            return Response(kept.body, kept.status, headers, kept.media_type)
        if kept.run == self._repeats.run:
            return problem(HTTPStatus.CONFLICT, "the request with this Idempotency-Key is still being processed")
        words = "the request with this Idempotency-Key was not answered; look what it did before asking anew"
        return problem(HTTPStatus.CONFLICT, words)

    async def _first(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and keep its answer before it leaves."""
        start: Message = {}
        parts, size = list[bytes](), 0

        async def keeping(message: Message) -> None:
            nonlocal start, size
            if message["type"] == "http.response.start":
                start = message
                return
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if message.get("more_body") and size <= _ANSWER_BYTES_MAX:
                return
            if not start.get("sent"):
                whole = size <= _ANSWER_BYTES_MAX
                media_type = Headers(raw=start["headers"]).get("content-type", "")
                await run_in_threadpool(
                    self._repeats.answered, key, start["status"], media_type, b"".join(parts) if whole else b""
                )
                await send(start)
                start = {**start, "sent": True}
            await send({**message, "body": b"".join(parts)})
            parts.clear()

        try:
            await self._app(scope, receive, keeping)
        finally:
            if not start.get("sent"):
                await run_in_threadpool(self._repeats.unknown, key)


def _digest(*parts: str | bytes) -> bytes:
    """One hash of several texts, each with its length."""
    made = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        made.update(len(raw).to_bytes(8, "big") + raw)
    return made.digest()


def _once(first: Message, receive: Receive) -> Receive:
    """A receive that gives ``first``, then whatever comes."""
    pending = [first]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
