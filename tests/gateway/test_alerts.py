"""Alerts through a real gateway: mail server down, gateway killed in between, anchors that fail, escalation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from live import HOST, Live, free_port, order, until
from receivers import Hooks, Mailbox

from fixgateway.journal.records import Kind
from fixgateway.monitor.clocksync import problem, reading

SECRET = "a secret of twenty letters"


def mail_keys(port: int) -> dict[str, object]:
    return {
        "smtp_host": HOST,
        "smtp_port": port,
        "smtp_tls": "none",
        "mail_from": "gw@example.com",
        "mail_to": ["cco@example.com"],
    }


def blocked(live: Live, cl_ord_id: str = "C1") -> None:
    """An order without a statement: rule A1."""
    live.oms().send("D", order(cl_ord_id, "S-NONE"))
    live.oms().expect("8", ClOrdID=cl_ord_id)


def test_a_gateway_killed_between_alert_and_delivery_delivers_after_the_restart_and_once(
    make: Callable[..., Live],
) -> None:
    port = free_port()
    live = make(tables={"alerts": mail_keys(port)}).start()
    blocked(live)
    blocked(live, "C2")
    until(lambda: live.journal_has('"delivered":false', Kind.CONTROL), "the failed attempt is journaled")
    assert live.metric("fixgateway_alerts_unacknowledged", severity="warning") == 1
    live.kill()
    with Mailbox(port) as box:
        live.restart()
        until(lambda: box.mails, "the mail arrives", 20)
        assert "GW-101" in box.mails[0]["Subject"]
        assert "C1" in box.text(0)
        live.wait_metric(1, "fixgateway_alert_deliveries_total", channel="mail", outcome="delivered")
        live.stop()
        live.restart()
        until(lambda: live.metric("fixgateway_alerts_unacknowledged", severity="warning") == 1, "kept")
        blocked(live, "C3")  # a repeat of the day: counted, not mailed
        live.wait_metric(0, "fixgateway_alerts_undelivered", channel="mail")
        assert len(box.mails) == 1
    live.stop()
    live.check_journal()
    done = live.cli("replay", str(live.data_dir))
    assert done.returncode == 0, done.stdout + done.stderr


def test_webhook_and_mail_go_their_own_ways(make: Callable[..., Live], tmp_path: Path) -> None:
    port, posts = free_port(), free_port()
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    hook = {"webhook_url": f"http://{HOST}:{posts}/alerts", "webhook_secret_file": str(secret)}
    with Hooks(posts) as hooks:
        live = make(tables={"alerts": {**mail_keys(port), **hook}}).start()
        blocked(live)
        until(lambda: hooks.posts, "the post arrives, though no mail server is there")
        (told,) = json.loads(hooks.posts[0][1])["alerts"]
        assert (told["reason"], told["subject"]) == ("GW-101", "OMS1")
        live.wait_metric(1, "fixgateway_alert_deliveries_total", channel="webhook", outcome="delivered")
        assert live.metric("fixgateway_alert_deliveries_total", channel="mail", outcome="delivered") == 0
        live.stop()
        assert SECRET not in live.log.read_text()


def test_an_anchor_that_keeps_no_checkpoint_is_an_alert_and_so_is_a_clock_nobody_keeps(
    make: Callable[..., Live], tmp_path: Path
) -> None:
    anchor, port = tmp_path / "anchor", free_port()
    anchor.mkdir()
    with Mailbox(port) as box:
        tables = {
            "alerts": {**mail_keys(port), "clock_limit_ms": 60_000},
            "journal": {"anchor_dirs": [str(anchor)], "checkpoint_seconds": 1},
        }
        live = make(tables=tables).start()
        until(lambda: list(anchor.iterdir()), "the first checkpoint")
        moved = anchor.rename(tmp_path / "elsewhere")
        anchor.write_text("not a directory any more")
        blocked(live)  # so that there is something new to anchor
        until(lambda: any("GW-939" in mail["Subject"] or "GW-939" in box.text(n) for n, mail in enumerate(box.mails)),
              "people are told", 20)  # fmt: skip
        assert moved.is_dir()
        # Which clock this machine has is the machine's affair; people are told exactly if the kernel says so.
        assert live.journal_has('"GW-946"', Kind.DECISION) == bool(problem(reading(), 60_000))
        live.stop()
