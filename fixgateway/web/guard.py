"""What every request must pass before a handler sees it: Host, content type, size and time of the body.

A web page in somebody's browser must not act here. It cannot forge Host (DNS rebinding fails) and cannot send
application/json or text/csv to another origin without asking first, which nobody answers. Forms, which it can send
anywhere, are taken by pages only, and there the door (:mod:`.door`) wants the value only our own pages know.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fixgateway.web.answers import problem

BODY_TYPES = ("application/json", "text/csv")
FORM_TYPE = "application/x-www-form-urlencoded"
BODY_BYTES_MAX = 1_000_000
"""Largest body, but for what carries many accounts or rows (:data:`LARGE`)."""
LARGE = ("/api/statements", "/api/reconciliations", "/blocks/new")
API = "/api/"
"""Paths of the API begin so; forms belong to pages, everywhere else."""
BODY_SECONDS = 30
"""Longest a client may take to send its body; then the request is refused."""


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: what is guarded.
        allowed_hosts: names accepted in Host besides loopback ones.
        max_body_bytes: largest body taken where a path begins as :data:`LARGE` says; a larger one is refused with 413.
        known: whether somebody known asks, so that more than :data:`BODY_BYTES_MAX` is read for them.
    """

    def __init__(
        self, app: ASGIApp, allowed_hosts: Iterable[str], max_body_bytes: int,
        known: Callable[[Scope], bool] = lambda _: True,
    ) -> None:  # fmt: skip
        self._app = app
        self._known = known
        self._hosts = {host.lower() for host in allowed_hosts} | {"localhost"}
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on with its whole body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send, str(scope["path"]))
        headers = Headers(scope=scope)
        most = await self._most(scope)
        refusal = self._refusal(str(scope["method"]), str(scope["path"]), headers, most)
        body = b""
        if refusal is None:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await self._body(receive, most)
            except TimeoutError:
                refusal = (HTTPStatus.REQUEST_TIMEOUT, f"the body took longer than {BODY_SECONDS} s")
            except OverflowError:
                refusal = (
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than {most} bytes",
                )
        if refusal is not None:
            await problem(*refusal)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _refusal(self, method: str, path: str, headers: Headers, most: int) -> tuple[HTTPStatus, str] | None:
        """Why the headers alone refuse the request."""
        if not self._known_host(headers.get("host", "")):
            return HTTPStatus.FORBIDDEN, "Host is not a loopback name; add it to http.allowed_hosts"
        if method in ("GET", "HEAD"):
            return None
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        taken = BODY_TYPES if path.startswith(API) else (*BODY_TYPES, FORM_TYPE)
        if content_type not in taken:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send Content-Type {' or '.join(taken)}"
        length = headers.get("content-length", "0")
        if length.isdigit() and (len(length) > 19 or int(length) > most):
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most} bytes"
        return None

    def _known_host(self, host: str) -> bool:
        """Whether Host (with or without port) names this machine or a configured name."""
        name = host.rpartition(":")[0] if not host.endswith("]") and host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    async def _most(self, scope: Scope) -> int:
        """The largest body a request may have, in bytes."""
        large = scope["method"] == "POST" and scope["path"].startswith(LARGE)
        return self._max_body_bytes if large and await run_in_threadpool(self._known, scope) else BODY_BYTES_MAX

    async def _body(self, receive: Receive, most: int) -> bytes:
        """The whole body; OverflowError as soon as it is too large."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > most:
                raise OverflowError
            parts.append(part)
            more = bool(message.get("more_body", False))
        return b"".join(parts)


_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer says to browsers, unless it says otherwise: guess nothing, frame nothing, keep nothing."""


def _with_headers(send: Send, path: str) -> Send:
    """A send that adds :data:`_HEADERS`; static files may be kept."""
    keep = path.startswith("/static/")
    wanted = [(name, value) for name, value in _HEADERS.items() if not (keep and value == "no-store")]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in wanted:
                headers.setdefault(name, value)
        await send(message)

    return sending


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body read before, then whatever comes (the disconnect)."""
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
