"""How far the machine's clock is from UTC, as the kernel has it from the time service (ntpd, chrony, timesyncd).

The kernel is asked with ntp_adjtime(3), which changes nothing and needs no rights. A clock that no service keeps is
*unknown*, whatever it shows; so is any on a system without the call (rule A7; Regulation (EU) 2017/574, RTS 25).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

STA_UNSYNC, STA_NANO = 0x0040, 0x2000
"""Bits of timex.status: nobody keeps the clock; offsets are nanoseconds, not microseconds (linux/timex.h)."""
CHECK_SECONDS = 60.0


class _Timex(ctypes.Structure):
    """struct timex up to what is read; the kernel writes 208 bytes on 64-bit Linux, the rest is room for them."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_char * 512),
    )


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of the clock: its offset and its greatest error in nanoseconds; ``kept``: a service keeps it."""

    kept: bool
    offset_ns: int = 0
    error_ns: int = 0


def reading() -> Clock:
    """The kernel's word on the clock; not kept where it has none."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).ntp_adjtime(ctypes.byref(timex))
    except (OSError, AttributeError):
        return Clock(False)
    if state < 0:
        return Clock(False)
    unit = 1 if timex.status & STA_NANO else 1_000
    return Clock(not timex.status & STA_UNSYNC, timex.offset * unit, timex.maxerror * 1_000)


def problem(clock: Clock, limit_ms: int) -> str:
    """What is wrong with a clock that may be ``limit_ms`` from UTC, in words; "" when nothing is."""
    if not clock.kept:
        return "the clock's offset from UTC is unknown: no time service keeps it"
    if abs(clock.offset_ns) <= limit_ms * 1_000_000:
        return ""
    offset, error = (f"{value / 1e6:.3f} ms" for value in (clock.offset_ns, clock.error_ns))
    return f"the clock is {offset} from UTC (error at most {error}); the limit is {limit_ms} ms"


class ClockWatch:
    """Tells once when the clock is not good, and again after it was good in between.

    Args:
        limit_ms: how far the clock may be from UTC. tell: takes the words. read: the clock.
    """

    def __init__(self, limit_ms: int, tell: Callable[[str], None], read: Callable[[], Clock] = reading) -> None:
        self._limit_ms = limit_ms
        self._tell = tell
        self._read = read
        self._said = False

    def look(self) -> str:
        """Look at the clock; what is wrong with it, "" when nothing is."""
        words = problem(self._read(), self._limit_ms)
        if words and not self._said:
            self._tell(words)
        self._said = bool(words)
        return words
