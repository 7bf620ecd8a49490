"""FIX store against journal, where no gateway is needed to see it."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from fixgateway.core.outputs import SendCancelReject
from fixgateway.journal.index import Sent, WireIndex
from fixgateway.reconcile import SAFETY_GAP, Reconciler
from fixgateway.recovery import Memory, Pending
from fixgateway.sessions import store
from fixgateway.sessions.settings import SessionSpec
from fixgateway.translate import Counterparty, Translator
from fixgateway.wire.versions import FIX44

SPEC = SessionSpec(name="OMS1", role="oms", begin_string="FIX.4.4", gateway_comp_id="FIXGW", comp_id="OMS1")


def reconcile(
    directory: Path, *, failed: bool, memory: Memory | None = None, sent: dict[int, str] | None = None
) -> tuple[int, int] | None:
    """Reconcile with a journal that has records, and those of ``sent``; the store's numbers afterwards."""

    def nothing(seq: int) -> Sent:
        raise LookupError(seq)

    index = WireIndex(nothing)
    for number, text in (sent or {}).items():
        index.note("OMS1", number, 0, 0, text, number)
    Reconciler(
        directory=directory,
        memory=memory or Memory(records=5),
        index=index,
        translator=Translator({"OMS1": Counterparty("OMS1", "oms", FIX44)}, index.decision, 0),
        wire_out=lambda *_: 6,
        event=lambda *_: None,
        ended="failed" if failed else "killed",
        log=structlog.get_logger(),
    ).session(SPEC)
    return store.read_seqnums(directory, SPEC)


@pytest.mark.parametrize("store_left", [True, False])
def test_a_first_logon_that_a_power_cut_made_us_forget_does_not_use_its_number_again(
    tmp_path: Path, store_left: bool
) -> None:
    """Neither the store nor the journal has it: nothing of them was synced yet."""
    if store_left:
        store.rebuild(tmp_path, SPEC, [], 1, 1)
    assert reconcile(tmp_path, failed=True) == (SAFETY_GAP + 1, 1)


def test_a_session_that_was_never_there_begins_at_1(tmp_path: Path) -> None:
    assert reconcile(tmp_path, failed=False) is None


def logon(number: int, time: str) -> str:
    """A Logon of ours as the FIX engine stores it."""
    inner = f"35=A\x0134={number}\x0149=FIXGW\x0152=20261123-{time}\x0156=OMS1\x0198=0\x01108=30\x01"
    text = f"8=FIX.4.4\x019={len(inner)}\x01{inner}"
    return f"{text}10={sum(text.encode()) % 256:03d}\x01"


@pytest.mark.parametrize(("time", "epochs"), [("15:00:02.000", 1), ("14:00:00.000", 0)])
def test_a_reset_that_a_kill_kept_from_the_journal_is_found_without_a_number_in_common(
    tmp_path: Path, time: str, epochs: int
) -> None:
    """Ours of the old count began above a safety gap; the counterparty's new 2 to 7 must not pass for old ones."""
    store.rebuild(tmp_path, SPEC, [(1, logon(1, time))], 2, 2)
    memory = Memory(records=5, highest={"OMS1": 7}, sent={"OMS1": 1006})
    refusal = SendCancelReject("OMS1", "F1", "C1", "NONE", "8", "1", "1", "GW-701", "unknown", 0)
    memory.pending[4, 0] = Pending("OMS1", 4, 0, refusal, None, 1)
    old = {number: logon(number, "15:00:01.000") for number in (1001, 1006)}
    numbers = reconcile(tmp_path, failed=False, memory=memory, sent=old)
    assert numbers is not None
    assert numbers[1] == (1 if epochs else 2)
    assert memory.pending[4, 0].again, "it may have left, and the store that would tell is gone"
    assert (memory.epochs.get("OMS1", 0), memory.highest["OMS1"]) == (epochs, 0 if epochs else 7)


@pytest.mark.parametrize(("failed", "next_sender"), [(False, 2), (True, 2 + SAFETY_GAP)])
def test_a_kill_between_a_stored_message_and_its_number_skips_no_numbers(
    tmp_path: Path, failed: bool, next_sender: int
) -> None:
    """The engine writes a message, then the number after it: an ordinary leftover of a kill, and all is known."""
    store.rebuild(tmp_path, SPEC, [(1, logon(1, "15:00:00.000"))], 1, 1)
    numbers = reconcile(tmp_path, failed=failed, memory=Memory(records=5, highest={"OMS1": 1}))
    assert numbers == (next_sender, 1)
