"""The policy of a running gateway: terms by every door, its text in the journal, a changed text refused."""

from __future__ import annotations

import json
from collections.abc import Callable

from live import POLICY, Live, iso_today, order, report, shares, statement

from fixgateway.core.inputs import Configure
from fixgateway.journal.codec import decode_input
from fixgateway.journal.records import Kind

OPEN = POLICY + '[allowed]\nbasis = ["percent", "equal", "cash"]\nmethod = ["price-time"]\n'
HALVES = (("CLIENT-A", "50"), ("CLIENT-B", "20"), ("CLIENT-C", "10"), ("PROP", "20"))


def percents(live: Live, statement_id: str, *more: tuple[int, str]) -> list[tuple[int, str]]:
    """A J of weights; AllocQty(80) is left out."""
    body = statement(statement_id, (), *more, total=50000, count=len(HALVES))
    for account, weight in HALVES:
        body += [(79, account), (9811, weight)]
    return body


def test_weights_by_fix_and_by_file_and_what_the_records_keep(make: Callable[..., Live]) -> None:
    live = make(policy=OPEN).start()
    oms = live.oms()
    oms.send("J", percents(live, "S-FIX", (9802, "percent")))
    answer = oms.expect("P", AllocID="S-FIX")
    assert answer.get(87) == "0", answer.get(58)
    oms.send("J", percents(live, "S-NO", (9801, "rotation")))
    assert "GW-608" in oms.expect("P", AllocID="S-NO").get(58)

    file = live.directory / "s.json"
    lines = [{"account": account, "weight": weight} for account, weight in HALVES]
    head = {"statement_id": "S-FILE", "trade_date": iso_today(), "symbol": "XYZ", "side": "buy", "total": "50000"}
    file.write_text(json.dumps({**head, "basis": "percent", "lines": lines}))
    assert live.command("statement", "add", str(file))["registered"]
    table = live.directory / "s.csv"
    rows = "".join(f"{account},60,9.5,{iso_today()}T00:00:00Z\n" for account, _ in HALVES)
    table.write_text("account,quantity,limit,received_at\n" + rows)
    refused = live.cli("statement", "add", str(table), "-c", str(live.config))
    assert refused.returncode == 1
    assert "line 2, limit: GW-625" in refused.stderr

    oms.send("D", order("C-1", "S-FIX", 50000))
    live.broker.expect("D", ClOrdID="C-1")
    live.broker.send("8", report("C-1", "E-1", "F", "1", quantity=50000, cum=30000, leaves=20000, last=30000))
    live.broker.send("8", report("C-1", "E-2", "4", "4", quantity=50000, cum=30000))
    assert shares(live.broker.expect("J")) == {
        "CLIENT-A": "15000", "CLIENT-B": "6000", "CLIENT-C": "3000", "PROP": "6000",
    }  # fmt: skip

    live.wait_projected()
    assert sorted(live.rows("SELECT statement_id, basis, rounding FROM statements")) == [
        ("S-FILE", "percent", "largest-remainder"), ("S-FIX", "percent", "largest-remainder"),
    ]  # fmt: skip
    assert live.rows(
        "SELECT DISTINCT account, weight, quantity, residual FROM statement_lines WHERE line = 3"
    ) == [("PROP", "20", "10000", 0)]
    assert live.rows("SELECT basis, overfill, text FROM policies") == [("quantity", "unallocated", OPEN)]
    live.end_well()


def test_a_changed_text_needs_a_new_version(make: Callable[..., Live]) -> None:
    live = make(policy=POLICY).start()
    assert live.stop() == 0
    policy = live.directory / "policy.toml"
    journaled = [decode_input(x.payload, x.seq, x.ts_ns) for x in live.records(Kind.CONTROL)]
    (configured,) = [given for given in journaled if isinstance(given, Configure)]
    assert configured.setup.policy.text == policy.read_text()

    size = sum(1 for _ in live.records())
    policy.write_text(POLICY + "# only a comment\n")
    assert live.launch().wait(30) == 2
    assert 'policy.toml: version: "1" of PRO-RATA was in force with another text' in live.tail()
    assert sum(1 for _ in live.records()) == size  # nothing was written

    policy.write_text(POLICY.replace('version = "1"', 'version = "2"'))
    assert live.start().stop() == 0


def test_check_shows_what_does_not_go_together(make: Callable[..., Live]) -> None:
    live = make(policy=POLICY.replace("[deadlines]", 'interim = "daily"\nerror_account = "PROP"\n\n[deadlines]'))
    done = live.cli("check", "-c", str(live.config))
    assert done.returncode == 2
    assert "policy.toml: rounding: interim booking needs the quota method" in done.stderr
    assert "policy.toml: deadlines.allocate: is off" in done.stderr
    (live.directory / "policy.toml").write_text(
        POLICY.replace("[deadlines]", 'error_account = "PROP"\n[deadlines]')
    )
    done = live.cli("check", "-c", str(live.config))
    assert done.returncode == 2
    assert 'error_account: "PROP" is active and of class proprietary' in done.stderr
