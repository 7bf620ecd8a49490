"""Make the engine's acceptor listen on one address only.

The engine always opens ``0.0.0.0``. So it is given a port nobody knows, and as soon as it listens there, our own
listener, bound to the wanted address, takes the place of its socket (the same file descriptor). The engine polls
descriptors by number and notices nothing. For the few milliseconds between, a stranger who guesses the port can
open a connection that nobody ever accepts.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from fixgateway.errors import ConfigError

_STEP_SECONDS = 0.005


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket on ``host`` and ``port`` (0: any free one).

    Raises:
        ConfigError: when the address cannot be used.
    """
    try:
        listener = socket.create_server((host, port), backlog=128)
    except OSError as error:
        raise ConfigError(
            f"[listen] host = {host!r}, port = {port}: {error}; choose a free port on an address of this machine"
        ) from error
    # The engine may call accept without a connection waiting; that must not block all its sessions.
    listener.setblocking(False)
    return listener


def reserve_port() -> socket.socket:
    """A bound socket whose port nobody is given by chance while it is open; the engine can still bind it."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("0.0.0.0", 0))
    return reserved


def find_listening(port: int) -> int | None:
    """The file descriptor of this process that listens on ``0.0.0.0:port``."""
    for name in os.listdir("/dev/fd"):
        try:
            duplicate = os.dup(int(name))
        except OSError:
            continue  # closed meanwhile
        try:
            copy = socket.socket(fileno=duplicate)
        except OSError:
            os.close(duplicate)  # no socket: a copy of a pipe kept open would hide its end from the reader
            continue
        with copy:
            try:
                listening = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listening and copy.getsockname() == ("0.0.0.0", port):
                    return int(name)
            except OSError:
                continue
    return None


def take_over(
    listener: socket.socket,
    engine_port: int,
    timeout_seconds: float,
    failed: Callable[[], bool],
    accepting: Callable[[], bool],
) -> bool:
    """Put ``listener`` in the place of the engine's own socket.

    The engine asks its socket for the port again while it registers one session after the other, so the place
    may be taken only when it is done with that: when it is ``accepting``, which a connection makes it show.

    Returns:
        False when the engine ``failed``, or did not listen and accept on ``engine_port`` in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while (descriptor := find_listening(engine_port)) is None or not accepting():
        if failed() or time.monotonic() > deadline:
            return False
        if descriptor is not None:
            _knock("127.0.0.1", engine_port)
        time.sleep(_STEP_SECONDS)
    os.dup2(listener.fileno(), descriptor)
    # A poll under way still waits on the old socket and keeps it open. A connection there wakes it, and it
    # returns if it then finds something to do at the new one.
    _knock(*listener.getsockname()[:2])
    _knock("127.0.0.1", engine_port)
    return True


def _knock(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as knock:
        knock.settimeout(0.2)
        knock.connect_ex((host, port))
