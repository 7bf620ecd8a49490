"""kill -9 and what is there afterwards; one process per data directory; journals that do not fit the store."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from live import SOH, Live, order, report, shares, statement, until
from trading import LINES, Trade, fresh

from fixgateway.errors import JournalDamaged
from fixgateway.records import queries
from fixgateway.records.database import connect

BIG = (("CLIENT-A", 600_000), ("PROP", 400_000))


def dump(live: Live) -> str:
    """Every row of the database of a gateway that is not running."""
    database = connect(f"sqlite:///{live.data_dir}/records.db", live.data_dir)
    try:
        return queries.dump(database)
    finally:
        database.dispose()


def check_rebuild(live: Live) -> None:
    """After a stop: emptied and filled again from the journal, the database holds the same rows."""
    before = dump(live)
    done = live.cli("records", "rebuild", "-c", str(live.config))
    assert done.returncode == 0, done.stderr
    assert dump(live) == before
    assert before.count("\n") > 10


def copies(live: Live, cl_ord_id: str) -> int:
    """How many D of this ClOrdID the broker got."""
    return sum(m.msg_type == "D" and m.get(11) == cl_ord_id for m in live.broker.inbox.wire)


def test_a_killed_gateway_knows_its_orders_statements_and_pending_allocations(make: Callable[..., Live]) -> None:
    live = make().start()
    half, done, idle = Trade(live, 100), Trade(live, 100), fresh("ST")
    half.fill(60)
    done.fill(40)
    half.oms.send("J", statement(idle, LINES))
    assert half.oms.expect("P", AllocID=idle).get(87) == "0"
    refused = fresh("NO")
    half.oms.send("D", order(refused, "NOPE", 1))
    half.oms.expect("8", ClOrdID=refused)
    half.broker.mute = True
    half.broker.drop()
    until(lambda: live.http.get("/readyz").status_code == 503, "the broker gone")
    live.command("statement", "close", done.statement_id, "--reason", "x", "--actor", "desk")
    live.kill()
    live.check_journal()

    half.broker.mute = False
    live.restart()
    assert done.allocation().get(53) == "40", "the pending J is sent"
    half.oms.send("D", order(half.cl_ord_id, half.statement_id, 1))
    told = half.oms.expect("8", ClOrdID=half.cl_ord_id, t103="6")
    assert (told.get(39), told.get(14)) == ("1", "60")
    half.oms.send("D", order(refused, half.statement_id, 1))
    assert half.oms.expect("8", ClOrdID=refused).get(103) == "6", "a refused ClOrdID stays used"
    half.oms.send("D", order(fresh("OR"), half.statement_id, 1))
    assert half.oms.expect("8", t103="13").get(58).startswith("GW-203 ")
    covered = fresh("OR")
    half.oms.send("D", order(covered, idle, 100))
    half.broker.expect("D", ClOrdID=covered)
    half.fill(40)
    allocation = half.allocation()
    assert (allocation.get(53), shares(allocation)) == ("100", {"CLIENT-A": "60", "PROP": "40"})
    for trade in (half, done):
        assert copies(live, trade.cl_ord_id) == 1
    assert [m.get(11) for m in live.sent("BRK1", "J")].count(done.cl_ord_id) == 1
    live.end_well()
    check_rebuild(live)


def test_a_fill_sent_while_the_gateway_is_dead_arrives_and_its_j_is_right(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(30)
    live.kill()
    until(lambda: not trade.broker.logged_on, "the broker noticed")
    exec_id = fresh("EX")
    trade.broker.send("8", report(trade.cl_ord_id, exec_id, "F", "2", quantity=100, cum=100, last=70))  # kept
    live.restart()
    assert trade.oms.expect("8", 10, ExecID=exec_id).get(32) == "70"
    assert trade.allocation().get(53) == "100"
    live.end_well()


def test_an_allocation_is_sent_once_over_two_restarts(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(100)
    first = trade.allocation()
    for _ in range(2):
        live.kill()
        live.restart()
    trade.broker.expect_none("J", 0.3)
    trade.acknowledge(first)
    assert trade.oms.expect("AS", AllocID=first.get(70)).get(53) == "100"
    live.kill()
    live.restart()
    trade.oms.expect_none("AS", 0.3)
    assert len(live.sent("BRK1", "J")) == 1
    live.end_well()
    check_rebuild(live)


def test_an_order_a_crash_left_unanswered_is_in_doubt_and_not_sent_again(make: Callable[..., Live]) -> None:
    """The broker says it missed the D: it gets a gap fill, the quantity stays committed, people are told."""
    live = make().start()
    trade = Trade(live, 100, acknowledge=False)
    live.kill()
    trade.broker.next_in = trade.order.seq  # as if the D had never come
    live.restart()
    until(lambda: trade.broker.next_in > trade.order.seq, "the gap filled")
    trade.oms.send("D", order(fresh("OR"), trade.statement_id, 1))
    assert trade.oms.expect("8", t150="8").get(58).startswith("GW-203 "), "its quantity stays committed"
    assert copies(live, trade.cl_ord_id) == 1, "the D was sent again"
    rows = live.rows("SELECT reason FROM exceptions WHERE subject = ?", trade.cl_ord_id)
    assert ("GW-809",) in rows
    trade.fill(100)  # an execution settles it
    assert trade.allocation().get(53) == "100"
    live.end_well()


def test_a_fill_not_yet_passed_on_reaches_the_oms_after_the_crash(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    assert trade.oms.logout()
    exec_id = fresh("EX")
    trade.broker.send("8", report(trade.cl_ord_id, exec_id, "F", "1", quantity=100, cum=30, leaves=70, last=30))
    until(lambda: live.rows("SELECT 1 FROM executions WHERE exec_id = ?", exec_id), "taken")
    live.kill()
    live.restart()
    assert trade.oms.expect("8", ExecID=exec_id).get(32) == "30"
    trade.oms.expect_none("8", 0.2, ExecID=exec_id)
    live.end_well()


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in (2, 3, 4))]
)
def test_kills_in_the_middle_of_a_burst_lose_and_double_nothing(make: Callable[..., Live], seed: int) -> None:
    """The broker's side checks: every order it got was covered and came once; every order has one fate."""
    live = make().start()
    oms, broker, name = live.oms(keep_when_down=True), live.broker, "S"
    chance = random.Random(seed)
    oms.send("J", statement(name, BIG))
    assert oms.expect("P", AllocID=name).get(87) == "0"
    sent: list[str] = []
    running = threading.Event()
    running.set()

    def fire() -> None:
        while running.is_set():
            cl_ord_id = f"K{len(sent)}"
            quantity = 1 if len(sent) % 10 else 2_000_000  # every tenth is more than the statement
            oms.send("D", order(cl_ord_id, name, quantity))
            sent.append(cl_ord_id)
            time.sleep(0.001)

    sender = threading.Thread(target=fire)
    sender.start()
    for _ in range(2):
        time.sleep(chance.uniform(0.1, 0.6))
        live.kill()
        live.check_journal_after_crash()
        live.restart()
    time.sleep(0.3)
    running.clear()
    sender.join()
    last = fresh("LAST")
    oms.send("D", order(last, name, 1))
    broker.expect("D", 30, ClOrdID=last)

    too_big = {cl_ord_id for number, cl_ord_id in enumerate(sent) if number % 10 == 0}

    def fates() -> tuple[list[str], set[str], set[str]]:
        at_broker = [m.get(11) for m in list(broker.received) if m.msg_type == "D"]
        told = {m.get(11) for m in list(oms.received) if m.msg_type == "8" and m.get(150) == "8"}
        doubtful = {subject for (subject,) in live.rows("SELECT subject FROM exceptions WHERE reason = 'GW-809'")}
        return at_broker, told, doubtful

    def without_a_fate() -> set[str]:
        at_broker, told, doubtful = fates()
        return set(sent) - set(at_broker) - told - doubtful

    until(lambda: not without_a_fate(), "a fate for every order", 20)
    at_broker, told, _ = fates()
    assert len(at_broker) == len(set(at_broker)), "an order came twice"
    assert not too_big & set(at_broker), "an order without cover went out"
    assert not set(at_broker) & told, "an order that was refused went live"
    assert too_big <= told
    live.end_well()
    check_rebuild(live)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_nothing_of_a_gateway_goes_on_running_without_it(make: Callable[..., Live], how: str) -> None:
    live = make().start()
    Trade(live, 10).fill(10)
    assert running(live)
    if how == "stop":
        assert live.stop() == 0
    else:
        live.kill()
    until(lambda: not running(live), "every process of it gone")


def running(live: Live) -> list[str]:
    """Command lines of all processes that name this gateway's directory."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(live.directory) in words:
                found.append(words)
    return found


def test_a_second_gateway_on_the_same_directory_is_turned_away(make: Callable[..., Live]) -> None:
    live = make().start()
    done = live.cli("run", "-c", str(live.config))
    assert done.returncode == 2
    assert f"another gateway runs on {live.data_dir}" in done.stderr
    trade = Trade(live, 10)
    trade.fill(10)
    live.end_well()


def test_an_emptied_journal_beside_a_living_store_stops_the_start(make: Callable[..., Live]) -> None:
    live = make().start()
    Trade(live, 10)
    assert live.stop() == 0
    journal = live.data_dir / "journal"
    kept = live.directory / "kept"
    shutil.move(journal, kept)
    done = live.cli("run", "-c", str(live.config))
    assert done.returncode == 2
    assert "older than the session" in done.stderr
    assert "OMS1" in done.stderr or "BRK1" in done.stderr
    shutil.rmtree(journal, ignore_errors=True)
    shutil.move(kept, journal)
    live.restart()
    Trade(live, 10)
    live.end_well()


def test_a_journal_restored_from_yesterday_stops_the_start(make: Callable[..., Live]) -> None:
    live = make().start()
    Trade(live, 10)
    assert live.stop() == 0
    shutil.copytree(live.data_dir / "journal", live.directory / "backup")
    live.restart()
    for _ in range(3):
        Trade(live, 10)
    assert live.stop() == 0
    shutil.rmtree(live.data_dir / "journal")
    shutil.move(live.directory / "backup", live.data_dir / "journal")
    process = live.launch()
    try:
        assert process.wait(10) == 2, live.tail()
    except subprocess.TimeoutExpired:
        pytest.fail(f"it started with a journal that misses what the store sent:\n{live.tail()}")
    assert "older than the session" in live.tail()


def test_a_torn_tail_is_cut_and_said(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    live.kill()
    segment = max((live.data_dir / "journal").glob("*.fgj"))
    good = segment.read_bytes().rstrip(b"\0")
    segment.write_bytes(good[:-5])
    live.restart()
    assert "journal.torn_tail_cut" in live.log.read_text()
    trade.fill(100)
    assert trade.allocation().get(53) == "100"
    live.end_well()


def test_a_damaged_record_stops_the_start_and_is_named(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    assert live.stop() == 0
    segment = next((live.data_dir / "journal").glob("*.fgj"))
    data = segment.read_bytes()
    at = data.index(f"11={trade.cl_ord_id}{SOH}".encode())
    segment.write_bytes(data[:at] + b"X" + data[at + 1 :])
    number = _last_good(live) + 1
    done = live.cli("run", "-c", str(live.config))
    assert done.returncode in (1, 2)
    assert f"record {number}" in done.stderr
    verified = live.cli("journal", "verify", str(live.data_dir))
    assert verified.returncode == 1
    assert f"record {number}" in verified.stderr


def _last_good(live: Live) -> int:
    last = 0
    with pytest.raises(JournalDamaged):
        for record in live.records():
            last = record.seq
    return last


def test_a_lost_database_is_filled_again_at_the_next_start(make: Callable[..., Live]) -> None:
    live = make().start()
    trade = Trade(live, 100)
    trade.fill(30)
    assert live.stop() == 0
    for file in live.data_dir.glob("records.db*"):
        file.unlink()
    live.restart()
    assert live.rows("SELECT cum_qty FROM orders WHERE cl_ord_id = ?", trade.cl_ord_id) == [("30",)]
    trade.fill(70)
    assert trade.allocation().get(53) == "100"
    live.end_well()
