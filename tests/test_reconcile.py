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


def waiting_refusal() -> Memory:
    """Two messages sent, five records; a third is decided."""
    memory = Memory(records=5, highest={"OMS1": 7}, sent={"OMS1": 2})
    refusal = SendCancelReject("OMS1", "F1", "C1", "NONE", "8", "1", "1", "GW-701", "unknown", 0)
    memory.pending[4, 0] = Pending("OMS1", 4, 0, refusal, None, 1)
    return memory


SENT = {number: logon(number, f"15:00:0{number}.000") for number in (1, 2)}
WRITING = logon(3, "15:00:03.000")


def leave(directory: Path, body: bytes, header: bytes, next_sender: int = 3) -> None:
    """A store of the two messages sent, and behind them what the engine had written of the third."""
    if not store.store_path(directory, SPEC, "body").exists():
        store.rebuild(directory / "whole", SPEC, SENT.items(), 3, 8)
    for suffix, more in (("body", body), ("header", header), ("session", b"")):
        content = store.store_path(directory / "whole", SPEC, suffix).read_bytes()
        store.store_path(directory, SPEC, suffix).write_bytes(content + more)
    store.store_path(directory, SPEC, "seqnums").write_bytes(b"%020d : %020d" % (next_sender, 8))


def test_what_a_kill_left_of_a_message_being_stored_was_not_sent(tmp_path: Path) -> None:
    """The engine writes the text, its entry, the number after it, then sends: at every byte of the three."""
    text = WRITING.encode()
    entry = b"3,%d,%d " % (sum(map(len, SENT.values())), len(text))
    written = [(text[:size], b"") for size in range(len(text) + 1)]
    written += [(text, entry[:size]) for size in range(len(entry) + 1)]
    for body, header in written:
        leave(tmp_path, body, header)
        memory = waiting_refusal()
        words = f"{len(body)} bytes of the text, {len(header)} of the entry"
        assert reconcile(tmp_path, failed=False, memory=memory, sent=SENT) == (3, 8), words
        assert not memory.pending[4, 0].again, words
        assert (4, 0) in memory.pending, f"{words}: taken for sent"
        assert store.look(tmp_path, SPEC) == store.Held((3, 8), (1, 2), whole=True), words
        assert dict(store.sent_texts(tmp_path, SPEC)) == SENT, words


OTHER = logon(7, "15:00:03.000").encode()
DAMAGE = {
    "a message that is not the next one": (OTHER, b""),
    "the beginning of one that is not": (OTHER[:70], b""),
    "bytes of no message": (b"x" * 20, b""),
    "an entry without its text": (b"", b"3,16"),
    "an entry of another number": (WRITING.encode(), b"4,16"),
    "an entry of half a text": (WRITING.encode()[:50], b"3,16"),
    "garbage behind the entries": (b"", b"?"),
    "zeros behind the texts": (bytes(30), b""),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_other_damage_at_the_end_may_hide_what_left(tmp_path: Path, what: str) -> None:
    leave(tmp_path, *DAMAGE[what])
    memory = waiting_refusal()
    assert reconcile(tmp_path, failed=False, memory=memory, sent=SENT) == (3, 8)
    assert memory.pending[4, 0].again
    assert store.look(tmp_path, SPEC) == store.Held((3, 8), (1, 2), whole=True)


def test_a_store_that_lost_an_entry_may_hide_what_left(tmp_path: Path) -> None:
    """The number after it was written, so the message may have gone; the journal does not know it."""
    leave(tmp_path, WRITING.encode(), b"", next_sender=4)
    memory = waiting_refusal()
    assert reconcile(tmp_path, failed=False, memory=memory, sent=SENT) == (4, 8)
    assert memory.pending[4, 0].again


@pytest.mark.parametrize("size", [20, 70])
def test_the_beginning_of_a_message_above_a_gap_counts_when_it_shows_its_number(tmp_path: Path, size: int) -> None:
    """A machine failed, the numbers went on 1,000 higher, and a kill hit the first message written after that."""
    leave(tmp_path, logon(1003, "15:00:03.000").encode()[:size], b"", next_sender=1003)
    memory = waiting_refusal()
    assert reconcile(tmp_path, failed=False, memory=memory, sent=SENT) == (1003, 8)
    assert memory.pending[4, 0].again == (size < 64)


def test_after_the_machine_failed_a_torn_end_is_no_proof(tmp_path: Path) -> None:
    """What was written later may be on the disk and what was written before not."""
    leave(tmp_path, WRITING.encode()[:40], b"")
    assert reconcile(tmp_path, failed=True, memory=waiting_refusal(), sent=SENT) == (3 + SAFETY_GAP, 8)


@pytest.mark.parametrize(("failed", "next_sender"), [(False, 1), (True, 2 + SAFETY_GAP)])
def test_a_stored_message_without_the_number_after_it_did_not_leave(
    tmp_path: Path, failed: bool, next_sender: int
) -> None:
    """After a kill; when the machine failed, the number may have been lost behind it."""
    store.rebuild(tmp_path, SPEC, [(1, logon(1, "15:00:00.000"))], 1, 1)
    numbers = reconcile(tmp_path, failed=failed, memory=Memory(records=5, highest={"OMS1": 1}))
    assert numbers == (next_sender, 1)
