"""What a person must look at: kept as an exception, and told at once."""

from __future__ import annotations

from fixgateway.core.facts import Alert, ExceptionOpened
from fixgateway.core.outputs import Output


def exception(reason: str, subject: str, text: str, severity: str = "critical") -> list[Output]:
    """An exception and its alert; ``reason`` is the GW code, ``severity`` as of :class:`.facts.Alert`."""
    return [ExceptionOpened(reason, subject, text), Alert(reason, severity, subject, text)]
