"""Numbers the journal's texts give recovery and the pump."""

from __future__ import annotations

import pytest

from fixgateway.recovery import after


@pytest.mark.parametrize(
    ("new_seq_no", "highest"),
    [("20", 19), ("3", 10), ("", 10), ("x", 10), ("\u00b2", 10), ("\u0662\u0660", 10), ("9" * 30, 10)],
)
def test_a_sequence_reset_moves_the_number_only_when_it_is_plain(new_seq_no: str, highest: int) -> None:
    """A digit that is none to int() must not end the process: the pump asks this of every peer's text."""
    assert after("4", f"8=FIX.4.4\x0135=4\x0134=10\x0136={new_seq_no}\x0110=000\x01", 10) == highest
