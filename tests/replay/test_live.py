"""A real gateway's journal: replayed beside the gateway, after a kill and a restart, and after the stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from live import WORKED_EXAMPLE, Live, order, statement
from trading import Trade


def replayed(live: Live, *more: str, code: int = 0) -> Any:
    done = live.cli("replay", str(live.data_dir), "--json", *more)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_gateways_journal_is_decided_again_without_its_configuration(tmp_path: Path) -> None:
    with Live(tmp_path / "gateway", brokers={"BRK1": {}, "BRK2": {}}) as live:
        live.start()
        live.oms().send("D", order("C0", "S-9"))
        live.oms().expect("8", ClOrdID="C0")
        trade = Trade(live, 50000, lines=WORKED_EXAMPLE, statement_id="", broker="BRK1")
        trade.fill(30000, "99.9")
        trade.fill(3333, "100.1")
        trade.cancelled()
        trade.acknowledge(trade.allocation())
        trade.oms.expect("AS")
        running = replayed(live)
        assert running["agrees"] is True

        open_order = Trade(live, 100, broker="BRK2")
        open_order.fill(40)
        live.kill()
        live.restart()
        live.broker.expect("A")
        open_order.oms.send("J", statement("LAST"))
        open_order.oms.expect("P", AllocID="LAST")
        live.command("orders", "halt", "--reason", "test")
        live.end_well()

        for name in ("gateway.toml", "policy.toml", "accounts.csv"):
            (live.directory / name).rename(live.directory / f"{name}.away")
        after = replayed(live)
        assert (after["agrees"], after["differences"], after["undecided"], after["bugs"]) == (True, 0, 0, 0)
        assert after["decisions"] > running["decisions"] > 5

        lots = live.directory / "lots.toml"
        lots.write_text((live.directory / "policy.toml.away").read_text().replace('lot = "1"', 'lot = "100"'))
        other = replayed(live, "--policy", str(lots))
        assert [(x["account"], x["then"], x["now"]) for x in other["differences"][0]["quantities"]] == [
            ("CLIENT-A", "16666", "16633"), ("CLIENT-B", "6667", "6700"), ("CLIENT-C", "3333", "3300"),
            ("PROP", "6667", "6700"),
        ]  # fmt: skip
        assert other["differing"] == 1
