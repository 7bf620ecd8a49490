"""The HTTP server in a thread of its own; signals stay with whoever runs the process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from fixgateway.errors import ConfigError, FixgatewayError

MAX_CONNECTIONS = 64
"""Connections served at once; one more is answered 503."""
START_SECONDS = 10
STOP_SECONDS = 10
_BACKLOG = 128


HEAD_SECONDS = 10.0
"""A connection that has not sent a whole request head after this, or twice this at most, is closed."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that does not wait for ever for a request's first bytes: a slow client would hold a connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look after a new connection."""
        super().connection_made(transport)
        self._looked_at: RequestResponseCycle | None = None
        self._looks = 0
        self._look = self.loop.call_later(HEAD_SECONDS, self._still_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._look.cancel()
        super().connection_lost(exc)

    def _still_waiting(self) -> None:
        """Close a connection that waits for a request's head and has since the last look."""
        cycle: RequestResponseCycle | None = self.cycle
        idle = cycle is None or cycle.response_complete
        if idle and self._looks and cycle is self._looked_at:
            self.transport.close()
            return
        self._looked_at, self._looks = cycle, self._looks + 1
        self._look = self.loop.call_later(HEAD_SECONDS, self._still_waiting)


class Server:
    """A running HTTP server.

    Attributes:
        host: the address it listens on.
        port: the port it listens on, also when 0 was asked for.
    """

    def __init__(self, app: FastAPI, listener: socket.socket, tls: tuple[Path, Path] | None = None) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self._listener = listener
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                http=PatientProtocol,
                proxy_headers=False,
                ssl_certfile=tls[0] if tls else None,
                ssl_keyfile=tls[1] if tls else None,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=STOP_SECONDS // 2,
            )
        )
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def _run(self) -> None:
        # Off the main thread uvicorn leaves the signals alone.
        self._server.run(sockets=[self._listener])

    def start(self) -> None:
        """Start the thread; returns when requests are answered.

        Raises:
            FixgatewayError: when the server does not come up.
        """
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise FixgatewayError(f"the HTTP server on {self.host}:{self.port} did not start (see the log)")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop taking connections, let running requests end for some seconds, end the thread."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        self._server.force_exit = True
        self._thread.join(1)
        self._listener.close()


def serve(app: FastAPI, host: str, port: int, tls: tuple[Path, Path] | None = None) -> Server:
    """Serve ``app``; ``port`` 0 takes any free one; ``tls`` are certificate chain and key, None for plain HTTP.

    Raises:
        ConfigError: when the address cannot be bound.
        FixgatewayError: when the server does not come up.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"http: cannot listen on {host}:{port}: {error.strerror} (stop what uses it or change http.port)"
        ) from None
    server = Server(app, listener, tls)
    server.start()
    return server
