"""Printing a FIX conversation as it happens: for people in colour, or as JSON lines."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.text import Text

from fixgateway.sim.fields import Fields

_QUIET_TYPES = frozenset("01")
_ARROWS = {"in": ("◀", "cyan"), "out": ("▶", "green"), "event": ("•", "yellow")}


class Conversation:
    """An ``on_wire`` callback for one peer called ``name``; heartbeats are left out unless ``admin``."""

    def __init__(self, name: str, console: Console, *, json_lines: bool = False, admin: bool = False) -> None:
        self._name = name
        self._console = console
        self._json_lines = json_lines
        self._admin = admin
        self._lock = threading.Lock()

    def __call__(self, direction: Literal["in", "out", "event"], what: Fields | str) -> None:
        """Print one message or event."""
        if isinstance(what, Fields) and what.msg_type in _QUIET_TYPES and not self._admin:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            if self._json_lines:
                document = json.dumps(self._document(now, direction, what), ensure_ascii=False)
                self._console.out(document, highlight=False)
                return
            arrow, colour = _ARROWS[direction]
            words = what.describe() if isinstance(what, Fields) else what
            line = Text.assemble((now[11:23], "dim"), f" {self._name} ", (f"{arrow} ", colour), words)
            self._console.print(line, soft_wrap=True)

    def _document(self, now: str, direction: str, what: Fields | str) -> dict[str, object]:
        head: dict[str, object] = {"time": now, "peer": self._name, "direction": direction}
        if isinstance(what, str):
            return {**head, "event": what}
        fields = [[tag, value] for tag, value in what.pairs]
        return {**head, "msg_type": what.msg_type, "msg_seq_num": what.seq, "fields": fields}
