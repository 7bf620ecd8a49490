"""Journals of earlier releases are decided again as they were: every new rule has a switch that they do not set.

``old/0.1.0.fgj.gz`` was written by fixgateway 0.1.0 through ``tests/support/journals.py``: the worked example over
FIX with a bust after its allocation, statements by HTTP and the drop folder with terms of their own, refused,
repeated, replaced and withdrawn ones, two brokers, an overfill, a cut-off, and a second version of the policy.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import fixgateway
from fixgateway.core.model import Basis, Overfill, Rounding
from fixgateway.journal.index import WireIndex
from fixgateway.journal.reader import Finder, read
from fixgateway.recovery import Reader, recover, sent_at
from fixgateway.replay import replay

OLD = sorted((Path(__file__).parent / "old").glob("*.fgj.gz"))


@pytest.fixture(params=OLD, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The data directory of an old journal."""
    journal = tmp_path / "journal"
    journal.mkdir()
    (journal / "00000000000000000001.fgj").write_bytes(gzip.decompress(request.param.read_bytes()))
    return tmp_path


def test_an_old_journal_is_decided_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixgateway, "__version__", "a later one")
    result = replay(old)
    assert result.agrees, result.first and result.first.text
    assert (result.versions, result.bugs, result.records, result.decisions) == (("0.1.0",), 0, 110, 35)


def test_what_an_old_journal_does_not_say_is_as_it_was(old: Path) -> None:
    finder = Finder(old)
    memory = recover(read(old), Reader(WireIndex(lambda seq: sent_at(finder, seq))))
    state = memory.engine.state
    assert state is not None
    assert memory.bugs == []
    assert [key[1] for key in state.policies] == ["1", "2"]
    for policy in state.policies.values():
        assert (policy.basis, policy.rounding, policy.overfill) == (
            Basis.QUANTITY, Rounding.LARGEST_REMAINDER, Overfill.UNALLOCATED,
        )  # fmt: skip
        assert (policy.text, policy.tiers, policy.instruments, policy.min_value) == ("", (), (), 0)
    lines = [line for record in state.statements.values() for line in record.statement.lines]
    assert {(line.weight, line.limit, line.tier, line.turn, line.cap, line.residual) for line in lines} == {
        (0, None, 0, 0, None, True)
    }
