"""A disk that is full, fails, is slow or cannot be written: orders are refused, everything else goes on."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from faults import FaultyLive, fill_up, small_disk
from live import Live, cancel, order, statement, until
from trading import LINES, Trade, fresh

from fixgateway.journal.records import Kind
from fixgateway.journal.scan import list_segments
from fixgateway.sim.peer import Peer

SMALL = {"journal": {"reserve_bytes": 262_144, "min_free_bytes": 1_048_576}}


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Callable[..., FaultyLive]]:
    """``faulty(spare=True)`` → a gateway whose journal's disk can fail."""
    with ExitStack() as stack:

        def make(spare: bool = True, **journal: object) -> FaultyLive:
            (tmp_path / "spare").mkdir(exist_ok=True)
            keys = {"spare_dir": str(tmp_path / "spare")} if spare else {}
            live = FaultyLive(tmp_path / "gateway", tables={"journal": {**keys, **journal}})
            stack.enter_context(live)
            return live

        yield make


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """``small("8m")`` → a gateway whose data directory is a disk of that size."""
    with ExitStack() as stack:

        def make(size: str, **tables: object) -> Live:
            live = stack.enter_context(Live(tmp_path / "gateway", tables={**SMALL, **tables}))  # type: ignore[dict-item]
            why = stack.enter_context(small_disk(live.data_dir, size))
            if why:
                pytest.skip(why)
            stack.callback(lambda: live.kill() if live.process is not None else None)
            return live

        yield make


def refused(oms: Peer, trade: Trade) -> str:
    """A new order is refused; the words."""
    cl_ord_id = fresh("NO")
    oms.send("D", order(cl_ord_id, trade.statement_id, 1))
    answer = oms.expect("8", ClOrdID=cl_ord_id)
    assert (answer.get(39), answer.get(103)) == ("8", "99"), answer
    return str(answer.get(58))


def accepted(trade: Trade) -> bool:
    """Whether a new order passes."""
    cl_ord_id = fresh("OK")
    trade.oms.send("D", order(cl_ord_id, trade.statement_id, 1))
    return trade.broker.expect("D", ClOrdID=cl_ord_id) is not None


def not_ready(live: Live, words: str) -> None:
    until(lambda: words in live.http.get("/readyz").text, f"not ready: {words}; {live.http.get('/readyz').text}")
    assert live.http.get("/readyz").status_code == 503


def flows(trade: Trade) -> None:
    """A fill, a cancel and its answer pass."""
    assert trade.fill(10).get(32) == "10"
    wanted = fresh("CX")
    trade.oms.send("F", cancel(wanted, trade.cl_ord_id))
    assert trade.broker.expect("F", ClOrdID=wanted).get(41) == trade.cl_ord_id


def check_all(live: Live) -> None:
    """Stopped well, the journal verifies and decides the same again."""
    live.end_well()
    done = live.cli("replay", str(live.data_dir), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["agrees"]


# ---------------------------------------------------------------- the disk fails


@pytest.mark.parametrize("faults", [
    {"fdatasync": errno.EIO}, {"write": errno.EROFS, "ftruncate": errno.EROFS, "fsync": errno.EROFS},
], ids=["sync", "read-only"])  # fmt: skip
def test_the_journal_goes_on_in_the_spare_directory_with_orders_off(
    faulty: Callable[..., FaultyLive], faults: dict[str, int]
) -> None:
    live = faulty().start()
    trade = Trade(live, 60)
    live.fail(**faults)
    trade.fill(5)
    not_ready(live, "orders are off: the journal's disk failed; it goes on in the spare directory")
    words = refused(trade.oms, trade)
    assert words.startswith("GW-502 the journal cannot be written safely: the journal's disk failed; "), words
    denied = fresh("ST")
    trade.oms.send("J", statement(denied, LINES))
    assert "GW-615" in trade.oms.expect("P", AllocID=denied).get(58)
    flows(trade)
    live.wait_metric(1, "fixgateway_orders_off", cause="spare")
    log = live.log.read_text()
    assert '"orders.off"' in log
    assert os.strerror(next(iter(faults.values()))) in log
    spare = live.directory.parent / "spare"
    assert len(list_segments(spare)) == 1
    said = live.cli("journal", "verify", str(live.data_dir))
    assert said.returncode == 1
    assert f"on are not here but in {spare}" in said.stderr
    shown = live.cli("journal", "show", str(live.data_dir), "--limit", "1")
    assert shown.stderr.startswith("note: records from ")
    live.kill()

    live.fail()
    live.restart()
    assert list_segments(spare) == []
    assert '"journal.brought_back"' in live.log.read_text()
    assert live.metric("fixgateway_orders_off") == 0
    assert accepted(trade)
    assert trade.fill(20).get(14) == "35"
    until(lambda: live.rows("SELECT 1 FROM orders WHERE cl_ord_id = ?", trade.cl_ord_id), "the database")
    check_all(live)


def test_a_stop_while_in_the_spare_directory(faulty: Callable[..., FaultyLive]) -> None:
    live = faulty().start()
    trade = Trade(live, 60)
    live.fail(fdatasync=errno.EIO)
    flows(trade)
    assert live.stop() == 0, live.tail()
    live.fail()
    live.restart()
    assert accepted(trade)
    check_all(live)


def test_without_a_spare_directory_a_failed_sync_ends_the_process(faulty: Callable[..., FaultyLive]) -> None:
    live = faulty(spare=False).start()
    trade = Trade(live, 60)
    live.fail(fdatasync=errno.EIO)
    trade.report("F", "1", last=10, told=False)
    assert live.process is not None
    assert live.process.wait(20) == 70
    assert '"gateway.failed"' in live.log.read_text()
    live.fail()
    live.restart()
    assert trade.oms.expect("8", ClOrdID=trade.cl_ord_id, t150="F").get(32) == "10", "it came again by resend"
    check_all(live)


def test_a_file_that_may_not_grow_is_a_disk_that_fails(faulty: Callable[..., FaultyLive]) -> None:
    """A real error of the system without any rights: the limit of a file's size."""
    live = faulty(reserve_bytes=0).start()
    trade = Trade(live, 60)
    assert live.process is not None
    size = sum(segment.path.stat().st_size for segment in list_segments(live.data_dir / "journal"))
    resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (size + 2_000, resource.RLIM_INFINITY))
    for _ in range(3):
        trade.fill(2)
    not_ready(live, "it goes on in the spare directory")
    resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    flows(trade)
    live.kill()
    live.restart()
    assert trade.fill(1).get(14) == "17"
    check_all(live)


# ---------------------------------------------------------------- the disk is full


def test_orders_go_off_before_the_disk_is_full_and_on_again_by_themselves(small: Callable[..., Live]) -> None:
    live = small("16m").start()
    trade = Trade(live, 60)
    live.wait_projected()  # what the database still writes would take room, or give some back
    reserve, filler = live.data_dir / "journal" / "reserve", live.data_dir / "filler"
    assert reserve.stat().st_size == 262_144
    fill_up(filler, leave_bytes=700_000)
    not_ready(live, "new orders are off: the journal's disk is nearly full: fewer than 1048576 bytes are free")
    assert "the journal's disk is nearly full" in refused(trade.oms, trade)
    flows(trade)
    assert reserve.exists()
    os.truncate(filler, filler.stat().st_size - 400_000)  # more than the limit, less than limit and reserve
    assert "nearly full" in refused(trade.oms, trade)
    fill_up(filler, leave_bytes=100_000)
    not_ready(live, "the journal's disk is full; its reserve is in use")
    assert not reserve.exists()
    assert trade.fill(5).get(32) == "5"
    filler.unlink()
    until(lambda: live.http.get("/readyz").status_code == 200, "ready again")
    assert reserve.stat().st_size == 262_144
    assert accepted(trade)
    states = [json.loads(r.payload) for r in live.records(Kind.CONTROL) if b'"JournalState"' in r.payload]
    assert len(states) == 3
    check_all(live)


def test_a_disk_that_is_full_at_once_costs_no_fill_no_cancel_and_no_heartbeat(small: Callable[..., Live]) -> None:
    # The database and the FIX stores take of the reserve, too.
    live = small("16m", journal={"reserve_bytes": 2_097_152, "min_free_bytes": 1_048_576}).start()
    trade = Trade(live, 150, lines=(("CLIENT-A", 120), ("PROP", 80)))
    filler = live.data_dir / "filler"
    fill_up(filler)  # nothing is left: the journal finds out before the watch does
    for _ in range(80):
        trade.fill(1)
    assert "GW-502" in refused(trade.oms, trade)
    flows(trade)
    not_ready(live, "reserve is in use")
    filler.unlink()
    until(lambda: live.http.get("/readyz").status_code == 200, "ready again")
    assert accepted(trade)
    fills = [m for m in trade.oms.inbox.wire if m.msg_type == "8" and m.get(150) == "F"]
    assert len({m.get(17) for m in fills}) == 81
    check_all(live)


def test_a_gateway_starts_on_a_full_disk_with_orders_off(small: Callable[..., Live]) -> None:
    live = small("16m").start()
    trade = Trade(live, 60)
    live.kill()
    fill_up(live.data_dir / "filler")
    live.restart(ready=False)
    not_ready(live, "full")
    assert "GW-502" in refused(trade.oms, trade)
    flows(trade)
    (live.data_dir / "filler").unlink()
    until(lambda: live.http.get("/readyz").status_code == 200, "ready again")
    assert accepted(trade)
    check_all(live)


def test_a_full_fix_store_turns_orders_off_and_heals_when_there_is_space(tmp_path: Path) -> None:
    """The engine's files remember an error for ever; nothing would leave any more, not even a Heartbeat."""
    live = FaultyLive(tmp_path / "gateway")
    with live, small_disk(live.data_dir / "fix-store", "200k") as why:
        if why:
            pytest.skip(why)
        live.start()
        trade = Trade(live, 90)
        filler = live.data_dir / "fix-store" / "filler"
        fill_up(filler)
        for number in range(60):
            trade.report("F", "1", last=1, told=False, exec_id=f"FILL{number}")
            trade.cum += 1
        not_ready(live, "new orders are off: the FIX store of OMS1 cannot be written")
        assert '"store.not_written"' in live.log.read_text()
        got = len([m for m in trade.oms.inbox.wire if m.get(150) == "F"])
        assert got < 60
        filler.unlink()
        until(lambda: len({m.get(17) for m in trade.oms.inbox.wire if m.get(150) == "F"}) == 60, "every fill")
        assert "the FIX store of OMS1 cannot be written" in refused(trade.oms, trade)
        until(lambda: live.http.get("/readyz").status_code == 200, "ready again")
        assert accepted(trade)
        fills = [m.get(17) for m in trade.oms.inbox.wire if m.get(150) == "F"]
        assert fills == [f"FILL{number}" for number in range(60)], "in order, none twice"
        check_all(live)
        live.restart()
        assert accepted(trade)
        live.end_well()


def test_a_restart_does_not_leave_orders_off(faulty: Callable[..., FaultyLive]) -> None:
    """The journal says off; nobody said on before the process was killed."""
    live = faulty(spare=False, slow_sync_seconds=0.05).start()
    trade = Trade(live, 60)
    live.fail(slow=0.4)
    not_ready(live, "the journal's disk is slow")
    live.kill()
    live.fail()
    live.restart()
    assert accepted(trade)


# ---------------------------------------------------------------- the disk is slow


def test_a_slow_disk_turns_orders_off_and_a_hanging_one_is_seen_from_outside(
    faulty: Callable[..., FaultyLive],
) -> None:
    live = faulty(slow_sync_seconds=0.2).start()
    trade = Trade(live, 60)
    live.fail(slow=0.3)
    for _ in range(3):
        trade.fill(1)
    not_ready(live, "the journal's disk is slow: syncs take longer than 0.2 s")
    assert "GW-502" in refused(trade.oms, trade)
    live.fail(slow=4)
    trade.report("F", "1", last=1, told=False)
    not_ready(live, "a sync of the journal takes longer than 0.2 s; nothing passes until it ends")
    live.wait_metric(0, "fixgateway_ready")
    assert live.http.get("/healthz").status_code == 200
    live.fail()
    assert trade.oms.expect("8", 15, ClOrdID=trade.cl_ord_id, t14="3") is not None
    until(lambda: live.http.get("/readyz").status_code == 200, "ready again")
    assert accepted(trade)
    live.end_well()


# ---------------------------------------------------------------- starts that cannot be


def test_a_read_only_data_directory(small: Callable[..., Live]) -> None:
    live = small("16m").start()
    assert live.stop() == 0
    assert os.system(f"mount -o remount,ro {live.data_dir}") == 0
    done = live.cli("run", "-c", str(live.config))
    assert (done.returncode, done.stderr) == (
        1,
        f"error: cannot write the data directory: [Errno {errno.EROFS}] Read-only file system: "
        f"'{live.data_dir}/lock'; mend the disk or its rights\n",
    )


def test_check_and_start_want_a_spare_directory_that_is_there(tmp_path: Path) -> None:
    with Live(tmp_path / "gateway", tables={"journal": {"spare_dir": "spare"}}) as live:
        done = live.cli("check", "-c", str(live.config))
        assert done.returncode == 2
        assert f"journal.spare_dir: {live.directory / 'spare'} is no directory (create or mount it)" in done.stderr
        (live.directory / "spare").mkdir()
        done = live.cli("check", "-c", str(live.config), "--json")
        document = json.loads(done.stdout)
        assert (done.returncode, document["good"]) == (0, True)
        (warning,) = document["warnings"]
        assert warning["text"].endswith("is on the disk of gateway.data_dir")
        live.start()
        assert '"configuration.warning"' in live.log.read_text()
        assert live.process is not None
        live.process.send_signal(signal.SIGTERM)
        assert live.process.wait(20) == 0


