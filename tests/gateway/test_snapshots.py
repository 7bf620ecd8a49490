"""Snapshots of a real gateway: made at new segments and at the stop, used by the next start, never needed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from live import Live, order, until
from trading import Trade

from fixgateway import snapshots
from fixgateway.journal.reader import verify
from fixgateway.journal.records import Kind
from fixgateway.replay import replay
from fixgateway.snapshot_lines import lines
from fixgateway.snapshots import Base, Source

SMALL = {"journal": {"segment_bytes": 65_536}}


def said(live: Live, event: str) -> list[dict[str, Any]]:
    """The log's lines of an event."""
    found = [json.loads(line) for line in live.log.read_text("utf-8").splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def recovered(live: Live) -> dict[str, Any]:
    """What the last start said of the journal."""
    return said(live, "journal.recovered")[-1]


def names(live: Live) -> list[str]:
    """The snapshots that are there, oldest first."""
    return sorted(path.name for path in (live.data_dir / "snapshots").glob("*.fgs"))


def fill_segments(live: Live, wanted: int) -> Trade:
    """Trade until so many segments are finished."""
    while True:
        trade = Trade(live, 100)
        trade.fill(60)
        if len(list((live.data_dir / "journal").glob("*.fgj"))) > wanted:
            return trade


def state_of(live: Live) -> dict[str, Any]:
    """What HTTP says of orders, statements and the engine."""
    live.wait_projected()
    status = live.get("/api/status")
    for name in ("started_ns", "journal_records", "records_watermark", "checkpoints", "records_error"):
        status.pop(name, None)
    return {"orders": live.get("/api/orders"), "statements": live.get("/api/statements"), "status": status}


def keep(live: Live) -> Callable[[], None]:
    """Keep the data directory of a stopped gateway and its peers' numbers; returns what brings them back."""
    copy = live.directory / "copy"
    shutil.copytree(live.data_dir, copy)
    peers = [*live.omses.values(), *live.brokers.values()]
    numbers = [(peer.next_out, peer.next_in) for peer in peers]

    def bring_back() -> None:
        shutil.rmtree(live.data_dir)
        shutil.copytree(copy, live.data_dir)
        for peer, (next_out, next_in) in zip(peers, numbers, strict=True):
            peer.next_out, peer.next_in = next_out, next_in

    return bring_back


Bodies = dict[int, tuple[str, str]]


def first_sends(live: Live, session: str = "BRK1") -> Bodies:
    """Number → type and body of every message of the application sent on a session, as it was sent first."""
    found = [m for m in live.sent(session) if m.msg_type not in "0123A45" and m.get(43) != "Y"]
    return {int(m.get(34)): (m.msg_type, m.body) for m in found}


def resent(live: Live, wanted: Bodies) -> Bodies:
    """What the broker gets when it asks for everything from 1 on."""
    broker, before = live.broker, len(live.broker.inbox.wire)
    broker.send("2", [(7, "1"), (16, "0")])

    def all_of_it() -> Bodies:
        found = list(broker.inbox.wire)[before:]
        again = {int(m.get(34)): (m.msg_type, m.body) for m in found if m.get(43) == "Y" and m.msg_type != "4"}
        return again if wanted.keys() <= again.keys() else {}

    answer: Bodies = until(all_of_it, "everything again")
    return answer


def test_a_start_from_a_snapshot_and_a_start_without_one_come_to_the_same(make: Callable[..., Live]) -> None:
    live = make(tables=SMALL).start()
    half = fill_segments(live, 1)
    done = Trade(live, 100)
    done.fill(100)
    allocation = done.allocation()
    assert live.stop() == 0, live.tail()
    assert live.check_journal() == int(names(live)[-1][:20]), "the stop's snapshot has the stop record too"

    sent = first_sends(live)
    assert len(sent) > 5
    go_back = keep(live)
    states = {}
    for with_snapshot in (True, False):
        go_back()
        if not with_snapshot:
            shutil.rmtree(live.data_dir / "snapshots")
        live.restart()
        assert (recovered(live)["replayed"] == 0, bool(recovered(live)["snapshot"])) == (with_snapshot,) * 2
        until(lambda: half.broker.logged_on, "the broker is back")
        states[with_snapshot] = (state_of(live), resent(live, sent))
        assert live.stop() == 0
    assert states[True][0] == states[False][0]
    assert states[True][1] == states[False][1] == sent

    go_back()
    live.restart()
    half.fill(40)
    assert half.allocation().get(53) == "100"
    half.oms.send("D", order(done.cl_ord_id, done.statement_id, 1))
    assert half.oms.expect("8", ClOrdID=done.cl_ord_id, t103="6").get(14) == "100"
    done.acknowledge(allocation)
    assert done.oms.expect("AS", AllocID=allocation.get(70)).get(53) == "100"
    live.end_well()
    assert replay(live.data_dir).agrees
    check = live.cli("journal", "snapshot", str(live.data_dir), "--check")
    assert check.returncode == 0, check.stderr


def test_resends_after_a_start_from_a_snapshot_are_the_bytes_sent_first(make: Callable[..., Live]) -> None:
    live = make().start()
    for _ in range(3):
        Trade(live, 100).fill(60)
    assert live.stop() == 0
    sent = first_sends(live)
    live.restart()
    assert recovered(live)["replayed"] == 0
    until(lambda: live.broker.logged_on, "the broker is back")
    assert resent(live, sent) == sent
    live.end_well()


def test_killed_after_a_new_segment_it_starts_from_that_segments_snapshot(make: Callable[..., Live]) -> None:
    live = make(tables=SMALL).start()
    fill_segments(live, 2)
    until(lambda: len(said(live, "snapshot.made")) >= 1, "a snapshot beside the running gateway", 30)
    half = Trade(live, 100)
    half.fill(60)
    live.kill()
    found = names(live)
    live.restart()
    line = recovered(live)
    assert line["snapshot"] == found[-1]
    assert line["replayed"] == line["records"] - int(found[-1][:20]) > 0
    half.fill(40)
    assert half.allocation().get(53) == "100"
    live.end_well()
    source = Source(live.data_dir / "journal")
    texts = []
    loaded = snapshots.load(live.data_dir / "snapshots" / names(live)[-1], source)
    for base in (loaded, Base(source.new_reader())):
        for record in snapshots.rest(base, source):
            base.reader.take(record)
        texts.append(list(lines(base.reader)))
    assert texts[0] == texts[1]
    assert len(names(live)) <= 3


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another_version(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"made_by":"fixgateway ', b'"made_by":"fixgateway 0'))


def of_another_journal(path: Path) -> None:
    """Its number says that it is of more records than there are."""
    path.rename(path.with_name(f"{int(path.stem) + 5:020d}.fgs"))
    damage(path.with_name(f"{int(path.stem) + 5:020d}.fgs"))


def test_one_that_does_not_fit_is_left_aside_with_a_warning(make: Callable[..., Live]) -> None:
    live = make().start()
    half = Trade(live, 100)
    half.fill(60)
    assert live.stop() == 0
    for change in (damage, another_version, of_another_journal):
        for name in names(live)[:-1]:
            (live.data_dir / "snapshots" / name).unlink()
        change(live.data_dir / "snapshots" / names(live)[-1])
        bad = names(live)[-1]
        live.restart()
        warning = said(live, "snapshot.left_aside")[-1]
        assert (warning["snapshot"], warning["level"]) == (bad, "warning")
        assert warning["why"]
        assert (recovered(live)["snapshot"], recovered(live)["replayed"]) == ("", recovered(live)["records"])
        if change is of_another_journal:
            half.fill(40)
            assert half.allocation().get(53) == "100"
        live.end_well()
        assert names(live)[-1] == f"{live.check_journal():020d}.fgs", "the next one takes its place"
    assert len(said(live, "snapshot.left_aside")) == 6, "said at the start, and when the next one is made"


def test_a_damaged_journal_is_damaged_with_snapshots_too(make: Callable[..., Live]) -> None:
    """The start reads the segment it goes on in, its child the others; verify, replay and rebuild read all."""
    live = make(tables=SMALL).start()
    fill_segments(live, 2)
    assert live.stop() == 0
    first, *_ = sorted((live.data_dir / "journal").glob("*.fgj"))
    good = first.read_bytes()
    first.chmod(0o640)
    damage(first)
    assert not verify(live.data_dir).verified
    for command in (["replay", str(live.data_dir)], ["records", "rebuild", "-c", str(live.config)]):
        assert live.cli(*command).returncode == 1, command
    assert live.cli("journal", "snapshot", str(live.data_dir), "--check").returncode == 1
    live.start(ready=False)
    until(lambda: said(live, "journal.damaged"), "the damage is found", 30)
    assert recovered(live)["replayed"] == 0
    assert "the journal is damaged: record " in live.http.get("/readyz").text
    live.wait_metric(1, "fixgateway_orders_off", cause="damaged")
    assert live.stop() == 0
    first.write_bytes(good)
    live.start(ready=False)
    until(lambda: said(live, "journal.verified"), "read and found good", 30)
    assert live.stop() == 0
    last = sorted((live.data_dir / "journal").glob("*.fgj"))[-1]
    with last.open("ab") as file:
        file.write(bytes(range(200)))
    assert live.launch().wait(40) == 1
    assert "record" in live.tail(1)


def test_without_snapshots_none_is_made_and_none_used(make: Callable[..., Live]) -> None:
    live = make(tables={"journal": {"snapshots": False}}).start()
    Trade(live, 100)
    assert live.stop() == 0
    assert not (live.data_dir / "snapshots").exists()
    done = live.cli("journal", "snapshot", str(live.data_dir), "--json")
    assert json.loads(done.stdout)["records"] == live.check_journal()
    live.restart()
    assert recovered(live)["snapshot"] == ""
    assert live.stop() == 0
    assert len(names(live)) == 1


def test_a_snapshot_that_cannot_be_made_costs_a_warning(make: Callable[..., Live]) -> None:
    live = make().start()
    (live.data_dir / "snapshots").write_text("in the way")
    Trade(live, 100)
    before = time.monotonic()
    assert live.stop() == 0
    assert time.monotonic() - before < 20
    (warning,) = said(live, "snapshot.not_made")
    assert "no snapshot can be written" in warning["error"]
    live.restart()
    assert live.records(Kind.STOP)
    live.end_well()
