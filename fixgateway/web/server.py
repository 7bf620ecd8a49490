"""The HTTP server in a thread of its own; signals stay with whoever runs the process."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn
from fastapi import FastAPI

from fixgateway.errors import ConfigError, FixgatewayError

MAX_CONNECTIONS = 64
"""Connections served at once; one more is answered 503."""
START_SECONDS = 10
STOP_SECONDS = 10
_BACKLOG = 128


class Server:
    """A running HTTP server.

    Attributes:
        host: the address it listens on.
        port: the port it listens on, also when 0 was asked for.
    """

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
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


def serve(app: FastAPI, host: str, port: int) -> Server:
    """Serve ``app``; ``port`` 0 takes any free one.

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
    server = Server(app, listener)
    server.start()
    return server
