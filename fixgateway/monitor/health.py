"""Health: what each thread says of itself, as two answers, live and ready.

Threads call :meth:`Health.set`; nothing is polled. A plain dict holds the conditions: one assignment per key
is atomic, and readers take a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

NS_PER_SECOND = 1_000_000_000


class Health:
    """Named conditions and the pump's heartbeat.

    Args:
        expected: conditions that must have reported before the gateway is ready, for example ``journal``,
            ``engine``, ``broker BRK1``. Until then each counts as not ok.
        stale_seconds: the pump's loop must have run within this time to be live.
    """

    def __init__(self, expected: Iterable[str] = (), stale_seconds: int = 10) -> None:
        self._conditions: dict[str, tuple[bool, str]] = {
            name: (False, f"{name} has not reported yet") for name in expected
        }
        self._asked: dict[str, Callable[[], str]] = {}
        self._stale_ns = stale_seconds * NS_PER_SECOND
        self._beat_ns = 0

    def set(self, name: str, ok: bool, why: str) -> None:
        """Set condition ``name``. ``why`` is a whole phrase when not ok: ``broker BRK1 is not logged on``."""
        self._conditions[name] = (ok, why)

    def ask(self, name: str, look: Callable[[], str]) -> None:
        """Let condition ``name`` be looked at whenever somebody wants to know, on that thread.

        For what a thread cannot say of itself because it is stuck. ``look`` gives why not, "" when ok; it must
        answer at once.
        """
        self._asked[name] = look

    def beat(self, now_ns: int) -> None:
        """The pump's loop ran at ``now_ns`` (any clock, the same as :meth:`live` is asked with)."""
        self._beat_ns = now_ns

    def live(self, now_ns: int) -> tuple[bool, str]:
        """Whether the pump's loop ran lately, and one line.

        Args:
            now_ns: the clock now, in nanoseconds.
        """
        if not self._beat_ns:
            return False, "not live: the pump has not run yet"
        age_ns = now_ns - self._beat_ns
        if age_ns > self._stale_ns:
            return False, (
                f"not live: the pump last ran {age_ns // NS_PER_SECOND} s ago"
                f" (limit {self._stale_ns // NS_PER_SECOND} s)"
            )
        return True, "live"

    def ready(self) -> tuple[bool, str]:
        """Whether every condition is ok, and one line that says why not."""
        conditions = self.conditions()
        wrong = [why or f"{name} is not ok" for name, (ok, why) in sorted(conditions.items()) if not ok]
        return (False, "not ready: " + "; ".join(wrong)) if wrong else (True, "ready")

    def conditions(self) -> dict[str, tuple[bool, str]]:
        """A copy of every condition: name → (ok, why)."""
        asked = {name: look() for name, look in self._asked.items()}
        return self._conditions | {name: (not why, why) for name, why in asked.items()}
