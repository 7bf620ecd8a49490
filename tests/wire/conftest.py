"""Helpers of the wire tests: FIX text written with ``|``, framed with a true length and checksum."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Frame = Callable[..., str]


def frame(body: str, msg_type: str = "D", begin: str = "FIX.4.4", header: str = "") -> str:
    """A whole message around ``body``; ``|`` stands for SOH, ``header`` are more header fields."""
    inner = f"35={msg_type}|34=2|49=OMS1|{header}52=20261122-14:30:00.123|56=FIXGW|".replace(
        "|", "\x01"
    ) + body.replace("|", "\x01")
    size = len(inner.encode("utf-8", "surrogateescape"))
    text = f"8={begin}\x019={size}\x01{inner}"
    return f"{text}10={sum(text.encode('utf-8', 'surrogateescape')) % 256:03d}\x01"


@pytest.fixture(name="frame", scope="session")
def frame_fixture() -> Frame:
    return frame
