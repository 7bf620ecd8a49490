"""kill -9 at random points of a running day with two OMSs and two brokers.

The counterparties note every frame; an independent judge (``killday_check``, ``killday_shares``) looks at
nothing else. ``FIXGATEWAY_SEED=N`` repeats one seed; the machine's timing is not repeated, so a rare failure may
need several tries.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from killday import BROKERS, OMSES, KillDay, Result
from killday_check import Day, complaints
from killday_tape import Entry

from fixgateway.sim.fields import Fields, Pair, Stamp, body_text, build_frame

ONE_SEED = os.environ.get("FIXGATEWAY_SEED")
FAST_KILLS, FULL_KILLS, FULL_DAYS = 12, 30, 10
DAY_SECONDS = 60
"""What a full day takes on two idle processors."""

Entries = list[Entry]


def run(seed: int, kills: int, test: str) -> tuple[Result, Entries]:
    """One day; a failure says how to repeat it and where its files are."""
    directory = Path(tempfile.mkdtemp(prefix=f"fixgateway-kill-day-{seed}-"))
    day = KillDay(directory, seed, kills)
    try:
        result = day.run()
        assert not result.wrong, f"{len(result.wrong)} complaints, the first:\n" + "\n".join(result.wrong[:10])
    except BaseException as error:
        (directory / "tape.txt").write_text(day.tape.text())
        command = f"FIXGATEWAY_SEED={seed} scripts/test --full tests/gateway/test_kill_day.py -k {test}"
        error.add_note(
            f"seed {seed}; repeat with: {command}\neverything is in {directory}, the frames in tape.txt"
        )
        raise
    shutil.rmtree(directory)
    return result, day.tape.entries


@pytest.mark.timeout(300)
def test_a_dozen_kills_lose_double_and_alter_nothing() -> None:
    """The same day then proves that the judge is not blind."""
    result, entries = run(int(ONE_SEED or 1), FAST_KILLS, "dozen")
    print(result.line())
    assert result.kills == FAST_KILLS
    assert result.at_brokers > 20
    assert result.allocations > 10
    for forge, wanted in FORGERIES:
        forged = list(entries)
        forge(forged)
        found = complaints(Day(forged, OMSES, BROKERS), set())
        assert any(wanted in complaint for complaint in found), f"{forge.__name__}: {found[:3]}"


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [int(ONE_SEED)] if ONE_SEED else range(101, 101 + FULL_DAYS))
def test_three_hundred_kills(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    result, _ = run(seed, FULL_KILLS, "three_hundred")
    with capsys.disabled():
        minutes = FULL_DAYS * DAY_SECONDS / 60
        print(f"\n{result.line()} ({FULL_DAYS} such days: about {minutes:.0f} minutes of one processor pair)")
    assert result.kills == FULL_KILLS


# ---------------------------------------------------------------- what the judge must see


def position(
    entries: Entries, peers: tuple[str, ...], way: str, kind: str, last: bool = False, **match: str
) -> int:
    """Where a frame of this kind stands first, or last."""
    found = [
        at
        for at, e in enumerate(entries)
        if e.peer in peers and e.way == way and e.fields.matches(kind, {int(k[1:]): v for k, v in match.items()})
    ]
    return found[-1 if last else 0]


def again(fields: Fields, seq: int, *changed: Pair) -> Fields:
    """The message under another number, with other values for some tags."""
    values = dict(changed)
    body = [
        (tag, values.get(tag, value)) for tag, value in Fields.parse(b"x=\x01" + fields.body.encode()).pairs[1:]
    ]
    stamp = Stamp("FIX.4.4", fields.get(49), fields.get(56), seq, fields.get(52))
    return Fields.parse(build_frame(stamp, fields.msg_type, body_text(body)))


def forge_order_twice(entries: Entries) -> None:
    entry = entries[position(entries, BROKERS, "in", "D")]
    entries.append(entry._replace(fields=again(entry.fields, 900_000)))


def forge_number_twice(entries: Entries) -> None:
    entry = entries[position(entries, BROKERS, "in", "D")]
    entries.append(entry._replace(fields=again(entry.fields, entry.fields.seq, (38, "7"))))


def forge_too_much(entries: Entries) -> None:
    """An order for a million, written by the OMS and passed on."""
    at = position(entries, BROKERS, "in", "D")
    big = again(entries[at].fields, 900_000, (11, f"{entries[at].fields.get(11)}0000"), (38, "1000000"))
    oms = big.get(11)[:4]
    entries += [Entry(oms, "out", again(big, 900_000)), Entry(entries[at].peer, "in", big)]


def forge_no_registration(entries: Entries) -> None:
    statement_id = entries[position(entries, BROKERS, "in", "D")].fields.get(70)
    entries[:] = [e for e in entries if not (e.fields.msg_type == "P" and e.fields.get(70) == statement_id)]


def forge_silence(entries: Entries) -> None:
    cl_ord_id = entries[position(entries, OMSES, "out", "D")].fields.get(11)
    entries[:] = [e for e in entries if not (e.peer in OMSES and e.way == "in" and e.fields.get(11) == cl_ord_id)]


def forge_lost_fill(entries: Entries) -> None:
    exec_id = entries[position(entries, BROKERS, "out", "8", t150="F")].fields.get(17)
    entries[:] = [e for e in entries if not (e.peer in OMSES and e.fields.get(17) == exec_id)]


def forge_other_fill(entries: Entries) -> None:
    at = position(entries, OMSES, "in", "8", t150="F")
    fields = entries[at].fields
    entries[at] = entries[at]._replace(fields=again(fields, fields.seq, (31, "1")))


def forge_allocation_twice(entries: Entries) -> None:
    entry = entries[position(entries, BROKERS, "in", "J", last=True)]
    entries.append(entry._replace(fields=again(entry.fields, 900_000)))


def forge_second_allocation(entries: Entries) -> None:
    """The same decided anew, as a gateway would that forgot it."""
    entry = entries[position(entries, BROKERS, "in", "J", last=True, t71="1")]
    name = entry.fields.get(70)
    forged = again(entry.fields, 900_000, (70, f"GWA20261122-99999999-{name[-1]}"), (72, name))
    entries.append(entry._replace(fields=forged))


def forge_favour(entries: Entries) -> None:
    """One share moves from the last account to the first."""
    at, fields = next(
        (at, e.fields)
        for at, e in enumerate(entries)
        if e.peer in BROKERS and e.way == "in" and e.fields.msg_type == "J" and len(e.fields.all(80)) > 1
    )
    pairs = list(fields.pairs)
    shares = [n for n, (tag, _) in enumerate(pairs) if tag == 80]
    for n, more in ((shares[0], 1), (shares[-1], -1)):
        pairs[n] = (80, str(int(pairs[n][1]) + more))
    entries[at] = entries[at]._replace(fields=Fields(pairs, body_text(pairs).encode()))


def forge_lost_allocation(entries: Entries) -> None:
    name = entries[position(entries, BROKERS, "in", "J", last=True)].fields.get(70)
    entries[:] = [e for e in entries if not (e.way == "in" and e.peer in BROKERS and e.fields.get(70) == name)]


def forge_resend_mark(entries: Entries) -> None:
    at = position(entries, BROKERS, "in", "D")
    entries[at] = entries[at]._replace(
        fields=Fields([(35, "D"), (97, "Y"), *entries[at].fields.pairs], entries[at].fields.raw)
    )


def forge_refused_and_sent(entries: Entries) -> None:
    at = position(entries, BROKERS, "in", "D")
    cl_ord_id = entries[at].fields.get(11)
    told = [
        (35, "8"),
        (34, "900000"),
        (11, cl_ord_id),
        (17, "GWE1"),
        (150, "8"),
        (39, "8"),
        (58, "GW-405 it did not leave"),
    ]
    entries.append(Entry(cl_ord_id[:4], "in", Fields(told, body_text(told).encode())))


FORGERIES: tuple[tuple[Callable[[Entries], None], str], ...] = (
    (forge_order_twice, "twice"),
    (forge_number_twice, "is two messages"),
    (forge_too_much, "at brokers under a statement of"),
    (forge_no_registration, "without a registered statement"),
    (forge_silence, "was never answered"),
    (forge_lost_fill, "told 0 times"),
    (forge_other_fill, "sent 0 times"),
    (forge_allocation_twice, "got allocation"),
    (forge_second_allocation, "got a change"),
    (forge_favour, ", not {"),
    (forge_lost_allocation, "filled"),
    (forge_resend_mark, "97=Y"),
    (forge_refused_and_sent, "which was refused to its OMS"),
)
"""What a gateway might do wrong, and what the judge must say to it."""
