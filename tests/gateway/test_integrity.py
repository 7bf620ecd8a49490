"""Time stamps and removed records of a real gateway: what it is told to do with its journal, it does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from live import Live, until
from trading import Trade
from tsa import Tsa, needs_openssl, serve

from fixgateway.cli.retention import _usable
from fixgateway.journal.codec import decode_json
from fixgateway.journal.reader import KEPT, first_seq, read, verify
from fixgateway.journal.records import Kind
from fixgateway.journal.retention import prune
from fixgateway.journal.timestamps import load_roots


@needs_openssl
def test_the_gateway_has_its_checkpoints_stamped(make: Callable[..., Live], tmp_path: Path) -> None:
    tsa = Tsa(tmp_path / "tsa")
    with serve(tsa) as served:
        keys = {"timestamp_url": served.url, "timestamp_ca_file": str(tsa.root)}
        live = make(tables={"journal": keys}).start()
        status = until(
            lambda: [place for place in live.get("/api/status")["checkpoints"] if "time stamps" in place["place"]],
            "the authority among the places",
        )
        assert status[0]["place"] == f"time stamps of {served.url}"
        Trade(live, 100).fill(100)
        assert live.stop() == 0
        found = verify(live.data_dir, tsa_roots=load_roots(tsa.root))
        assert (found.verified, found.time_stamps[-1].records) == (True, found.last_seq)
        assert len(found.time_stamps) == len(served.requests) == 2  # at the start and at the stop


def test_a_certificate_file_that_is_none_stops_the_start(make: Callable[..., Live], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    keys = {"timestamp_url": "http://127.0.0.1:9/", "timestamp_ca_file": str(tmp_path / "ca.pem")}
    live = make(tables={"journal": keys})
    assert live.launch().wait(60) == 2
    assert "holds no certificates in PEM form" in live.log.read_text()


def test_a_gateway_goes_on_behind_removed_records(make: Callable[..., Live]) -> None:
    live = make(tables={"journal": {"segment_bytes": 65_536, "retention_years": 7}}).start()
    open_trade = Trade(live, 100)
    open_trade.fill(40)
    while len(list((live.data_dir / "journal").glob("*.fgj"))) < 4:
        Trade(live, 100).fill(100)
    assert live.stop() == 0
    whole = verify(live.data_dir)
    starts = [record.payload for record in read(live.data_dir) if record.kind == Kind.START]
    assert decode_json(starts[0])["retention_years"] == 7

    later = datetime(datetime.now(UTC).year + 8, 6, 1, tzinfo=UTC)
    too_soon = later.replace(year=later.year - 2)
    assert prune(live.data_dir, "ann", too_soon, _usable(live.data_dir, [])).removed == ()
    for name in (live.data_dir / "snapshots").glob("*.fgs"):
        if name.name < f"{whole.last_seq:020d}.fgs":
            name.unlink()  # those of the finished segments, which would keep what they need
    done = prune(live.data_dir, "ann", later, _usable(live.data_dir, []))
    assert len(done.removed) >= 3

    live.restart()
    open_trade.fill(60)
    Trade(live, 100).fill(100)
    assert live.stop() == 0
    found = verify(live.data_dir)
    assert (found.verified, found.first_seq) == (True, done.kept_from)
    assert found.last_seq > whole.last_seq
    assert "by ann" in found.removed
    assert next(iter(read(live.data_dir, KEPT))).seq == first_seq(live.data_dir) == done.kept_from
    for command in (["replay", str(live.data_dir)], ["records", "rebuild", "-c", str(live.config)]):
        result = live.cli(*command)
        assert result.returncode == 1
        assert f"records 1 to {done.kept_from - 1} were removed" in result.stderr
    live.restart()  # the database is as it was: a rebuild that cannot be done does not begin
    live.wait_projected()
    assert live.rows("select count(*) from statements")[0][0] > 0
    assert live.stop() == 0
