"""Which decision sent which number."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import RecordRemoved
from fixgateway.journal.index import Sent, WireIndex


class Journal:
    """The journal's side of the index: entries by record number, and which were asked for."""

    def __init__(self) -> None:
        self.entries: dict[int, Sent] = {}
        self.asked: list[int] = []

    def fetch(self, seq: int) -> Sent:
        self.asked.append(seq)
        return self.entries[seq]


def test_a_number_gives_its_decision_and_body() -> None:
    index = WireIndex(Journal().fetch)
    index.note("BRK1", 2, 40, 1, "11=C-1|", 44)
    index.note("BRK1", 3, 0, 0, "", 45)
    assert index.sent("BRK1", 2) == Sent(40, 1, "11=C-1|", 44)
    assert (index.decision("BRK1", 2), index.text("BRK1", 2)) == (40, "11=C-1|")
    assert (index.decision("BRK1", 3), index.text("BRK1", 3)) == (None, "")  # a heartbeat: no decision
    assert (index.decision("BRK1", 4), index.text("BRK1", 4)) == (None, None)
    assert (index.decision("OMS1", 2), index.text("OMS1", 2)) == (None, None)


def test_a_resend_or_gap_fill_does_not_change_what_was_first_sent() -> None:
    index = WireIndex(Journal().fetch)
    index.note("BRK1", 2, 40, 0, "body", 44)
    index.note("BRK1", 2, 0, 0, "gap fill", 50)
    assert index.sent("BRK1", 2) == Sent(40, 0, "body", 44)


def test_a_new_epoch_forgets_one_session_only() -> None:
    index = WireIndex(Journal().fetch)
    index.note("BRK1", 1, 40, 0, "old", 44)
    index.note("BRK2", 1, 41, 0, "other", 45)
    index.reset("BRK1")
    assert index.sent("BRK1", 1) is None
    assert index.text("BRK2", 1) == "other"
    index.note("BRK1", 1, 50, 0, "new", 55)
    assert index.decision("BRK1", 1) == 50


@settings(max_examples=50)
@given(
    steps=st.lists(st.integers(1, 3), max_size=40),
    texts_max=st.integers(1, 5),
    numbers_max=st.integers(1, 12),
)
def test_bounds_hold_and_older_texts_come_from_the_journal(
    steps: list[int], texts_max: int, numbers_max: int
) -> None:
    journal = Journal()
    index = WireIndex(journal.fetch, texts_max, numbers_max)
    number, noted = 0, []
    for seq, step in enumerate(steps, start=100):
        number += step
        sent = Sent(seq - 1, 0, f"body {number}", seq)
        journal.entries[seq] = sent
        index.note("OMS1", number, sent.decision_seq, sent.index, sent.text, seq)
        noted.append((number, sent))
    kept = noted[-max(numbers_max, texts_max) :]
    for number, sent in noted:
        assert index.sent("OMS1", number) == (sent if (number, sent) in kept else None)
    assert journal.asked == [sent.seq for _, sent in kept[:-texts_max]]


def test_messages_whose_records_were_removed_are_forgotten() -> None:
    def fetch(seq: int) -> Sent:
        if seq < 30:
            raise RecordRemoved(f"record {seq} was removed")
        return Sent(1, 0, f"text {seq}", seq)

    index = WireIndex(fetch, texts_max=2)
    for number in (1, 2, 3, 4, 5):
        index.note("OMS1", number, number, 0, f"text {number}", number * 10)
    assert (index.text("OMS1", 2), index.decision("OMS1", 2)) == (None, None)  # removed while the gateway runs
    assert index.text("OMS1", 3) == "text 30"
    index.forget(40)
    assert list(index.numbers("OMS1")) == [5]
    index.note("OMS1", 6, 6, 0, "text 6", 60)
    index.note("OMS1", 7, 7, 0, "text 7", 70)
    assert [text for _, text in index.texts("OMS1")] == ["text 50", "text 6", "text 7"]
    index.forget(100)
    assert list(index.numbers("OMS1")) == []
