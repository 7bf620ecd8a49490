"""What follows a J over real sessions: reports, confirmations, affirmations, deadlines, a back office."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from live import HOST, POLICY, Live, iso_today, order, shares, statement, statement_file, until, utc
from trading import Trade, fresh

from fixgateway.sim.broker import Broker
from fixgateway.sim.fields import Fields, Pair
from fixgateway.sim.script import BrokerScript, parse_steps

CONFIRMS = {"confirmations": True, "price_tolerance": "0.001", "money_tolerance": "0.01"}


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    live = make_shared(brokers={"BRK1": CONFIRMS, "BRK2": {}}).start()
    live.oms("OMS1")
    yield live
    live.end_well()


def allocated(live: Live, broker: str = "BRK1") -> tuple[Trade, Fields]:
    """A statement of 60 and 40, filled at 10.005 and accepted; with its J."""
    trade = Trade(live, 100, broker=broker)
    trade.fill(100, "10.005")
    allocation = trade.allocation()
    trade.acknowledge(allocation)
    return trade, allocation


def confirmation(allocation: Fields, account: str, quantity: int, *more: Pair) -> list[Pair]:
    """A broker's AK as FIX 4.4 requires it."""
    gross = str(quantity * Decimal("10.005"))
    changed = dict(more)
    pairs: list[Pair] = [
        (664, fresh("K")), (666, "0"), (773, "2"), (665, "4"), (70, allocation.get(70)), (60, utc()),
        (75, allocation.get(75)), (55, "XYZ"), (80, str(quantity)), (54, "1"), (862, "1"), (528, "A"),
        (863, str(quantity)), (79, account), (6, "10.005"), (381, gross), (118, gross),
    ]  # fmt: skip
    known = {tag for tag, _ in pairs}
    return [*((tag, changed.get(tag, value)) for tag, value in pairs), *(x for x in more if x[0] not in known)]


def report(allocation: Fields, *lines: tuple[str, int], **more: str) -> list[Pair]:
    """A broker's AS."""
    pairs: list[Pair] = [
        (755, fresh("R")), (70, allocation.get(70)), (71, "0"), (794, "3"), (87, "0"), (857, "0"), (54, "1"),
        (55, "XYZ"), (53, str(sum(n for _, n in lines))), (6, "10.005"), (75, allocation.get(75)), (60, utc()),
        (78, str(len(lines))),
    ]  # fmt: skip
    for account, quantity in lines:
        pairs += [(79, account), (80, str(quantity)), (153, "10.005")]
    return [(tag, more.get(f"t{tag}", value)) for tag, value in pairs]


def reasons(live: Live, subject: str) -> list[str]:
    return [reason for (reason,) in live.rows("SELECT reason FROM exceptions WHERE subject = ?", subject)]


# ---------------------------------------------------------------- confirmations


def test_confirmations_are_affirmed_account_by_account(live: Live) -> None:
    trade, allocation = allocated(live)
    body = confirmation(allocation, "CLIENT-A", 60)
    trade.broker.send("AK", body)
    confirm_id = dict(body)[664]
    received = trade.broker.expect("AU", ConfirmID=confirm_id, AffirmStatus="1")
    affirmed = trade.broker.expect("AU", ConfirmID=confirm_id, AffirmStatus="3")
    assert (affirmed.get(75), affirmed.get(573), affirmed.get(58)) == (allocation.get(75), "0", "")
    assert received.get(573) == ""
    found = live.command("affirmations", "--date", iso_today())
    mine = [row for row in found["open"] if row["alloc_id"] == allocation.get(70)]
    assert [(row["account"], row["allocation"], row["confirmation"]) for row in mine] == [
        ("PROP", "accepted", "missing")
    ]
    live.wait_metric(1, "fixgateway_confirmations_total", broker="BRK1", verdict="affirmed")


def test_a_wrong_confirmation_is_rejected_with_reason_and_words(live: Live) -> None:
    trade, allocation = allocated(live)
    body = confirmation(allocation, "PROP", 41)
    trade.broker.send("AK", body)
    rejected = trade.broker.expect("AU", ConfirmID=dict(body)[664], AffirmStatus="2")
    assert rejected.get(774) == "99"
    assert rejected.get(58).startswith("GW-875 PROP quantity is 41, ours 40")
    assert reasons(live, dict(body)[664]) == ["GW-875"]
    better = confirmation(allocation, "PROP", 40, (666, "1"), (772, dict(body)[664]))
    trade.broker.send("AK", better)
    assert trade.broker.expect("AU", ConfirmID=dict(better)[664], AffirmStatus="3")


def test_a_copy_gets_nothing_but_received(live: Live) -> None:
    trade, allocation = allocated(live)
    body = confirmation(allocation, "PROP", 1, (797, "Y"))
    trade.broker.send("AK", body)
    assert trade.broker.expect("AU", ConfirmID=dict(body)[664]).get(940) == "1"
    trade.broker.expect_none("AU", 0.2, ConfirmID=dict(body)[664])


def test_brokers_that_do_not_confirm_are_told_so(live: Live) -> None:
    trade, allocation = allocated(live, "BRK2")
    trade.broker.send("AK", confirmation(allocation, "PROP", 40))
    assert trade.broker.expect("j", RefMsgType="AK").get(380) == "3"


def test_when_what_came_and_left_is_on_record(live: Live) -> None:
    """17 CFR 275.204-2(a)(7)(iii): confirmations received, allocations and affirmations, each with its time."""
    trade, allocation = allocated(live)
    body = confirmation(allocation, "CLIENT-A", 60)
    trade.broker.send("AK", body)
    trade.broker.expect("AU", ConfirmID=dict(body)[664], AffirmStatus="3")
    rows = live.rows(
        "SELECT c.ts_ns, a.affirm_status, d.msg_type, d.ts_ns FROM confirmations c JOIN affirmations a "
        "USING (confirm_id) JOIN deliveries d ON d.input_seq = a.input_seq AND d.position = a.position "
        "WHERE confirm_id = ? ORDER BY a.position",
        dict(body)[664],
    )
    assert [(status, kind) for _, status, kind, _ in rows] == [("1", "AU"), ("3", "AU")]
    assert all(received <= left for received, _, _, left in rows)
    sent = live.rows(
        "SELECT d.msg_type FROM allocations a JOIN deliveries d ON d.input_seq = a.input_seq AND d.position = "
        "a.position WHERE a.alloc_id = ?", allocation.get(70),
    )  # fmt: skip
    assert sent == [("J",)]
    timeline = [entry["what"] for entry in live.command("trace", trade.statement_id)["timeline"]]
    assert timeline[-3:] == ["confirmation", "confirmation answered", "confirmation answered"]


# ---------------------------------------------------------------- reports


def test_a_report_is_verified_line_by_line(live: Live) -> None:
    trade, allocation = allocated(live)
    body = report(allocation, ("CLIENT-A", 60), ("PROP", 40))
    trade.broker.send("AS", body)
    name = dict(body)[755]
    assert trade.broker.expect("AT", AllocReportID=name, AllocStatus="3").get(70) == allocation.get(70)
    assert trade.broker.expect("AT", AllocReportID=name, AllocStatus="0").get(573) == "0"
    body = report(allocation, ("CLIENT-A", 59), ("PROP", 41))
    trade.broker.send("AS", body)
    rejected = trade.broker.expect("AT", AllocReportID=dict(body)[755], AllocStatus="1")
    assert (rejected.get(88), rejected.get(573)) == ("8", "1")
    assert rejected.get(58).startswith("GW-873 CLIENT-A quantity is 59, ours 60; PROP quantity is 41, ours 40")
    assert reasons(live, dict(body)[755]) == ["GW-873"]


def test_a_report_nobody_asked_for(live: Live) -> None:
    trade, allocation = allocated(live, "BRK2")  # no key is needed for reports
    body = report(allocation, ("CLIENT-A", 60), ("PROP", 40), t70="THEIRS", t794="4", t857="1")
    named = [*body[:6], (73, "1"), (11, trade.cl_ord_id), *body[6:]]
    trade.broker.send("AS", named)
    assert trade.broker.expect("AT", AllocReportID=dict(body)[755], AllocStatus="0")
    stranger = report(allocation, ("CLIENT-A", 60), t70="THEIRS")
    trade.broker.send("AS", stranger)
    assert trade.broker.expect("AT", AllocReportID=dict(stranger)[755], AllocStatus="1")
    assert reasons(live, dict(stranger)[755]) == ["GW-874"]


def test_an_account_level_reject_keeps_the_accounts(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(100, "10.005")
    allocation = trade.allocation()
    trade.acknowledge(allocation, "2", (78, "1"), (79, "PROP"), (776, "0"), (161, "no such account"))
    until(lambda: trade.live.rows("SELECT status FROM allocations WHERE alloc_id = ?", allocation.get(70)) ==
          [("account-rejected",)], "rejected")  # fmt: skip
    lines = live.rows(
        "SELECT l.account, l.code, l.text FROM allocation_acks a JOIN allocation_ack_lines l "
        "USING (journal_seq, position) WHERE a.alloc_id = ?", allocation.get(70),
    )  # fmt: skip
    assert lines == [("PROP", "0", "no such account")]


def test_a_refused_replace_leaves_the_earlier_one(live: Live) -> None:
    trade = Trade(live, 100)
    trade.fill(100, "10.005", exec_id=fresh("EX"))
    first = trade.allocation()
    trade.acknowledge(first)
    trade.now((90, "10.005"))
    fill = "SELECT exec_id FROM executions WHERE statement_id = ? AND effect = 'fill'"
    trade.report("G", "1", (19, live.rows(fill, trade.statement_id)[0][0]), last=90, price="10.005")
    second = trade.allocation("1")
    trade.acknowledge(second, "1", (88, "7"), (58, "too late"))
    until(lambda: reasons(live, second.get(70)) == ["GW-871"], "told")
    statuses = live.rows("SELECT status FROM allocations WHERE statement_id = ? ORDER BY journal_seq",
                         trade.statement_id)  # fmt: skip
    assert statuses == [("accepted",), ("refused",)]


# ---------------------------------------------------------------- a simulated back office


@contextmanager
def back_office(live: Live, script: BrokerScript) -> Iterator[Broker]:
    """A simulated broker as BRK1."""
    with Broker(script, HOST, live.ports["BRK1"], "BRK1", "FIXGW") as broker:
        yield broker


def test_a_back_office_that_errs_is_corrected_until_everything_is_affirmed(make: Callable[..., Live]) -> None:
    live = make(brokers={"BRK1": CONFIRMS}, down=["BRK1"])
    script = BrokerScript(
        steps=parse_steps("30000@100.05"), allocation=("received", "accepted"), allocation_report="right",
        confirmations=("right", "wrong-quantity", "late", "duplicate"), late_seconds=0.3,
    )  # fmt: skip
    with back_office(live, script):
        live.start()
        oms = live.oms()
        oms.send("J", statement("S-1"))
        oms.expect("P", AllocID="S-1")
        oms.send("D", order("O-1", "S-1", 50000))
        oms.expect("8", ExecType="F")
        live.command("statement", "close", "S-1", "--reason", "test")
        assert shares(oms.expect("AS", 10)) == {
            "CLIENT-A": "15000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "6000"
        }  # fmt: skip
        found = until(lambda: _all_affirmed(live), "every account affirmed", 20)
        assert found["brokers"] == [
            {"broker": "BRK1", "due": 4, "allocated": 4, "accepted": 4, "confirmed": 4, "affirmed": 4}
        ]
        verdicts = live.rows("SELECT verdict, count(*) FROM confirmations GROUP BY verdict ORDER BY verdict")
        assert verdicts == [("affirmed", 4), ("duplicate", 1), ("rejected", 1)]
        assert live.rows("SELECT verdict FROM broker_reports") == [("matched",)]
        printed = live.cli("affirmations", "-c", str(live.config))
        assert printed.returncode == 0
        assert "BRK1" in printed.stdout
        assert live.stop() == 0
    replayed = live.cli("replay", str(live.data_dir))
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def _all_affirmed(live: Live) -> dict[str, list[dict[str, object]]] | None:
    live.wait_projected()
    found: dict[str, list[dict[str, object]]] = live.get("/api/affirmations")
    return found if found["brokers"] and not found["open"] else None


def midday() -> ZoneInfo:
    """A time zone in which midnight is hours away, so that deadlines of today can be a minute away.

    Never east of UTC: the sessions of calendar 24/7 are UTC days and would end on another day there.
    """
    hour = datetime.now(ZoneInfo("UTC")).hour
    behind = hour - 12 if hour >= 12 else 12 if hour < 6 else 6
    return ZoneInfo(f"Etc/GMT+{behind}" if behind else "UTC")


def test_missing_confirmations_are_asked_for_and_the_deadline_is_a_breach(make: Callable[..., Live]) -> None:
    zone = midday()
    affirm = datetime.now(zone) + timedelta(seconds=90)  # the warning comes 60 before: time for a slow start
    policy = POLICY.replace("America/New_York", zone.key).replace(
        'affirm = "off"', f'affirm = "{affirm:%H:%M:%S}"\nwarn_minutes = 1\ncalendar = "24/7"'
    )
    live = make(brokers={"BRK1": CONFIRMS}, down=["BRK1"], policy=policy)
    script = BrokerScript(steps=parse_steps("50000@100"), confirmations=("missing", "right"))
    with back_office(live, script):
        live.start()
        oms = live.oms()
        oms.send("J", statement("S-1", trade_date=f"{datetime.now(zone):%Y%m%d}"))
        answer = oms.expect("P", AllocID="S-1")
        assert answer.get(87) == "0", answer.get(58)
        oms.send("D", order("O-1", "S-1", 50000))
        oms.expect("AS", 10)
        found = until(lambda: _all_affirmed(live), "asked for, confirmed, affirmed", 80)
        assert found["brokers"][0]["affirmed"] == 4
        asked = live.rows("SELECT account FROM confirmation_requests ORDER BY position")
        assert asked == [("CLIENT-A",), ("CLIENT-C",)]
        assert "GW-880" in [reason for (reason,) in live.rows("SELECT reason FROM alerts")]
        live.end_well()


def test_a_day_without_trading_is_refused_and_the_calendar_is_journaled(make: Callable[..., Live]) -> None:
    live = make(policy=POLICY.replace('affirm = "off"', 'affirm = "off"\ncalendar = "XNYS"')).start()
    today = datetime.now(ZoneInfo("America/New_York")).date()
    saturday = today + timedelta(days=(5 - today.weekday()) % 7 or 7)
    answer = live.http.post("/api/statements", json=statement_file("S-1", trade_date=saturday.isoformat()))
    assert answer.status_code == 422
    assert [problem["reason"] for problem in answer.json()["problems"]] == ["GW-882"]
    monday = saturday + timedelta(days=9)  # no holiday is two Mondays after any Saturday in a row
    taken = [
        live.http.post("/api/statements", json=statement_file(f"S-{n}", trade_date=str(monday + timedelta(7 * n))))
        for n in range(2)
    ]
    assert 201 in [answer.status_code for answer in taken]
    assert live.journal_has('"calendar":{"name":"XNYS"')
    live.end_well()


def test_a_calendar_nobody_has_stops_the_start(make: Callable[..., Live]) -> None:
    live = make(policy=POLICY.replace('affirm = "off"', 'affirm = "off"\ncalendar = "NOWHERE"'))
    checked = live.cli("check", "-c", str(live.config))
    assert checked.returncode == 2
    assert "deadlines.calendar: there is no calendar 'NOWHERE'" in checked.stderr
    assert live.launch().wait(60) == 2
