"""What every request must pass before a handler sees it: Host, content type, size and time of the body.

The API has no passwords and listens on this machine only; what remains to fear is a web page in somebody's
browser posting to it. A page cannot forge Host (DNS rebinding fails) and cannot send application/json or
text/csv to another origin without asking first, which nobody answers.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fixgateway.web.answers import problem

BODY_TYPES = ("application/json", "text/csv")
BODY_SECONDS = 30
"""Longest a client may take to send its body; then the request is refused."""


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: what is guarded.
        allowed_hosts: names accepted in Host besides loopback ones.
        max_body_bytes: largest body taken; a larger one is refused with 413.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str], max_body_bytes: int) -> None:
        self._app = app
        self._hosts = {host.lower() for host in allowed_hosts} | {"localhost"}
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on with its whole body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(str(scope["method"]), headers)
        body = b""
        if refusal is None:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await self._body(receive)
            except TimeoutError:
                refusal = (HTTPStatus.REQUEST_TIMEOUT, f"the body took longer than {BODY_SECONDS} s")
            except OverflowError:
                refusal = (
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than {self._max_body_bytes} bytes",
                )
        if refusal is not None:
            await problem(*refusal)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    def _refusal(self, method: str, headers: Headers) -> tuple[HTTPStatus, str] | None:
        """Why the headers alone refuse the request."""
        if not self._known_host(headers.get("host", "")):
            return HTTPStatus.FORBIDDEN, "Host is not a loopback name; add it to http.allowed_hosts"
        if method in ("GET", "HEAD"):
            return None
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type not in BODY_TYPES:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send Content-Type {' or '.join(BODY_TYPES)}"
        length = headers.get("content-length", "0")
        if length.isdigit() and len(length) < 20 and int(length) > self._max_body_bytes:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {self._max_body_bytes} bytes"
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

    async def _body(self, receive: Receive) -> bytes:
        """The whole body; OverflowError as soon as it is too large."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > self._max_body_bytes:
                raise OverflowError
            parts.append(part)
            more = bool(message.get("more_body", False))
        return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body read before, then whatever comes (the disconnect)."""
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
