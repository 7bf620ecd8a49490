"""Real receivers of alerts: an SMTP server and an HTTP server, each on a port of its own."""

from __future__ import annotations

import threading
from email import message_from_bytes, policy
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

HOST = "127.0.0.1"


class Mailbox:
    """A mail server (aiosmtpd) that keeps what it gets.

    Args:
        port: where. refuse: words in a message's text that make the server refuse it for good (554).
        unknown: receivers it refuses (550). auth: name and password it asks for, None for nobody.
    """

    def __init__(
        self, port: int, *, refuse: str = "", unknown: tuple[str, ...] = (), auth: tuple[str, str] | None = None
    ) -> None:
        self.port, self.refuse, self.unknown, self.auth = port, refuse, unknown, auth
        self.mails: list[Message] = []
        self.receivers: list[list[str]] = []
        self.signed_in: list[str] = []
        self._controller: Controller | None = None

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:
        if self.refuse and self.refuse.encode() in envelope.content:
            return "554 not such a thing"
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.receivers.append(list(envelope.rcpt_tos))
        return "250 taken"

    def __enter__(self) -> Self:
        options: dict[str, Any] = {}
        if self.auth:
            from aiosmtpd.smtp import AuthResult, LoginPassword

            def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
                assert isinstance(data, LoginPassword)
                given = (data.login.decode(), data.password.decode())
                self.signed_in.append(given[0])
                return AuthResult(success=given == self.auth, handled=False)

            options = {"authenticator": check, "auth_require_tls": False, "auth_required": True}
        self._controller = Controller(self, hostname=HOST, port=self.port, **options)
        self._controller.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._controller is not None:
            self._controller.stop()

    def text(self, number: int = -1) -> str:
        """The text of a mail."""
        payload = self.mails[number].get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload.decode()


class Hooks:
    """An HTTP server that keeps what is posted; ``status`` is what it answers."""

    def __init__(self, port: int, status: int = 200) -> None:
        self.status = status
        self.posts: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", f"http://{HOST}:{port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, port), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
