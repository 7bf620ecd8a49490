"""A peer's sequence numbers and the messages it keeps for resends."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from fixgateway.sim.fields import Pair

KEPT_MESSAGES = 200_000
"""Most messages kept for resends; older ones are gap-filled."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message kept for resends: MsgType, body, header fields beyond the standard ones, first SendingTime."""

    msg_type: str
    body: str
    extra: tuple[Pair, ...]
    sending_time: str


class Numbers:
    """The next MsgSeqNum to send and to receive, kept in ``path`` across runs if one is given.

    The file survives the process, not a power cut; the messages themselves are in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.next_out = 1
        self.next_in = 1
        self.sent: OrderedDict[int, Sent] = OrderedDict()
        self._fd = -1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            words = os.pread(self._fd, 64, 0).split()
            if len(words) == 2:
                self.next_out, self.next_in = int(words[0]), int(words[1])

    def use(self, sent: Sent) -> int:
        """Give the message the next number and keep it; returns the number."""
        seq = self.next_out
        self.sent[seq] = sent
        if len(self.sent) > KEPT_MESSAGES:
            self.sent.popitem(last=False)
        self.next_out = seq + 1
        self.save()
        return seq

    def reset(self) -> None:
        """Start again at 1 both ways, with nothing to resend."""
        self.next_out = self.next_in = 1
        self.sent.clear()
        self.save()

    def save(self) -> None:
        """Write both numbers to the file, if there is one."""
        if self._fd >= 0:
            os.pwrite(self._fd, f"{self.next_out:012d} {self.next_in:012d}\n".encode(), 0)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
