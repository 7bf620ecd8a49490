"""The notary and its anchors: real files, a real HTTP server, places that fail and come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from writing import WAIT_SECONDS, add, until

from fixgateway.journal import anchors
from fixgateway.journal.anchors import Courier, Endpoint
from fixgateway.journal.checkpoints import (
    DIRECTORY,
    Checkpoint,
    anchor_directory,
    checkpoint_text,
    latest,
    parse,
    store,
    stored,
)
from fixgateway.journal.merkle import Head
from fixgateway.journal.notary import Notary
from fixgateway.journal.notes import new_private_key
from fixgateway.journal.reader import verify
from fixgateway.journal.segments import Writer

KEY = new_private_key("gateway.example/journal")


class Inbox(BaseHTTPRequestHandler):
    """An endpoint that keeps what it is sent and answers as it is told."""

    status = 200
    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if type(self).status == 200:
            self.bodies.append(body)
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[tuple[type[Inbox], str]]:
    class Mine(Inbox):
        bodies: list[bytes] = []  # noqa: RUF012 - one server, one list

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Mine, f"http://127.0.0.1:{server.server_address[1]}/checkpoints"
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_place_gets_signed_checkpoints(tmp_path: Path, endpoint: tuple[type[Inbox], str]) -> None:
    inbox, url = endpoint
    journal, mount = tmp_path / "var" / "journal", tmp_path / "mount"
    mount.mkdir()
    with Writer(journal) as writer:
        notary = Notary(
            writer, journal, "FIXGW", key=KEY, anchor_dirs=[mount], anchor_url=url, interval_seconds=0.02
        )
        notary.start()  # an empty journal has no origin yet; it waits for the first record
        add(writer, 3)
        until(lambda: inbox.bodies)
        add(writer, 4)
        assert notary.stop()
        statuses = notary.status
    assert [(status.records, status.waiting, status.error) for status in statuses] == [(7, 0, "")] * 3
    own = latest(journal / DIRECTORY)
    assert own is not None
    checkpoint = own[1]
    assert checkpoint.head == writer.head
    assert KEY.public.signed(checkpoint.note)
    assert checkpoint.origin.startswith("fixgateway/FIXGW/")
    kept = anchor_directory(mount, checkpoint.origin)
    assert kept.name.startswith("fixgateway-FIXGW-")
    for root in (kept, journal / DIRECTORY):
        assert [file.read_bytes() for file in stored(root)] == inbox.bodies
    found = verify(tmp_path / "var", checkpoints=[mount], keys=[KEY.public])
    assert (found.verified, found.signed_records, found.checkpoints) == (True, 7, 2 * len(inbox.bodies))


def test_the_origin_stays_when_the_gateway_is_renamed_and_starts_again(tmp_path: Path) -> None:
    origins = []
    for name in ("FIXGW", "OTHER"):
        with Writer(tmp_path) as writer:
            notary = Notary(writer, tmp_path, name)
            notary.start()
            add(writer)
            assert notary.stop()
        newest = latest(tmp_path / DIRECTORY)
        assert newest is not None
        assert newest[1].head == writer.head
        origins.append(newest[1].origin)
    assert origins[0] == origins[1]
    assert verify(tmp_path).signatures == "not signed"


def test_a_finished_segment_has_its_checkpoint(tmp_path: Path) -> None:
    with Writer(tmp_path, segment_bytes=150) as writer:
        notary = Notary(writer, tmp_path, "FIXGW", interval_seconds=3600)
        add(writer)
        notary.start()
        until(lambda: latest(tmp_path / DIRECTORY))
        add(writer, 6)
        until(lambda: len(list(stored(tmp_path / DIRECTORY))) >= 3)
        assert notary.stop()
    sizes = {int(file.stem) for file in stored(tmp_path / DIRECTORY)}
    firsts = {int(path.stem) for path in tmp_path.glob("*.fgj")} - {1}
    assert len(firsts) >= 2
    assert {first - 1 for first in firsts} | {7} <= sizes
    assert verify(tmp_path).verified


def test_nothing_is_written_while_the_journal_does_not_grow(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        notary = Notary(writer, tmp_path, "FIXGW", interval_seconds=0.001)
        add(writer)
        notary.start()
        until(lambda: latest(tmp_path / DIRECTORY))
        time.sleep(0.05)
        assert notary.stop()
    assert len(list(stored(tmp_path / DIRECTORY))) == 1


def test_a_notary_of_an_empty_journal_has_nothing_to_say(tmp_path: Path) -> None:
    with Writer(tmp_path) as writer:
        notary = Notary(writer, tmp_path, "FIXGW", interval_seconds=0.001)
        notary.start()
        assert notary.stop()
        assert notary.status == ()
    assert not (tmp_path / DIRECTORY).exists()


def test_an_anchor_that_is_not_mounted_is_told_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_PAUSE_SECONDS_MAX", 0.01)
    told: list[tuple[str, str]] = []
    mount, journal = tmp_path / "mount", tmp_path / "journal"
    with Writer(journal) as writer:
        add(writer)
        notary = Notary(
            writer, journal, "FIXGW", anchor_dirs=[mount], interval_seconds=0.01,
            report=lambda place, error: told.append((place, error)),
        )  # fmt: skip
        notary.start()
        until(lambda: told)
        assert "is no directory; create or mount it" in told[0][1]
        assert not mount.exists()
        until(lambda: latest(journal / DIRECTORY))  # the journal's own does not wait for the other
        assert [bool(status.error) for status in notary.status] == [False, True]
        mount.mkdir()
        until(lambda: len(told) == 2)
        assert told[1] == (told[0][0], "")
        assert notary.stop()
    assert len(list(mount.rglob("*.checkpoint"))) == 1


def test_an_endpoint_that_refuses_is_asked_again(
    endpoint: tuple[type[Inbox], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_PAUSE_SECONDS_MAX", 0.01)
    inbox, url = endpoint
    inbox.status = 503
    told: list[str] = []
    courier = Courier(Endpoint(url), lambda _, error: told.append(error))
    courier.start()
    checkpoint = some(1)
    courier.take(checkpoint)
    until(lambda: told)
    assert told == ["JournalError: answered 503 Service Unavailable"]
    inbox.status = 200
    until(lambda: courier.delivered == 1)
    courier.stop()
    assert courier.join(WAIT_SECONDS)
    assert (inbox.bodies, told[1:]) == ([checkpoint.data], [""])


def test_a_dead_endpoint_holds_nobody_up(tmp_path: Path) -> None:
    told: list[str] = []
    with Writer(tmp_path) as writer:
        add(writer)
        url = "http://127.0.0.1:1/"
        notary = Notary(writer, tmp_path, "FIXGW", anchor_url=url, report=lambda place, _: told.append(place))
        notary.start()
        until(lambda: told)
        before = time.monotonic()
        assert notary.stop(timeout_seconds=WAIT_SECONDS) is False
        assert time.monotonic() - before < WAIT_SECONDS / 2
    assert told == [url]
    assert latest(tmp_path / DIRECTORY) is not None


class Moody:
    """A place that refuses some checkpoints, always."""

    name = "moody"

    def __init__(self, refused: set[int]) -> None:
        self.refused = refused
        self.tried: list[int] = []

    def deliver(self, checkpoint: Checkpoint) -> None:
        self.tried.append(checkpoint.head.size)
        if checkpoint.head.size in self.refused:
            raise RuntimeError("not this one")


def some(size: int) -> Checkpoint:
    return parse(checkpoint_text("fixgateway/FIXGW/0123456789abcdef", Head(size, b"r" * 32)).encode())


def test_a_checkpoint_that_is_never_taken_does_not_block_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "_PAUSE_SECONDS_MAX", 0.001)
    place = Moody({1})
    courier = Courier(place, lambda *_: None)
    courier.take(some(1))
    courier.take(some(2))
    courier.start()
    until(lambda: courier.delivered == 2)
    courier.stop()
    assert courier.join(WAIT_SECONDS)
    assert place.tried == [1] * anchors.TRIES_MAX + [2]
    assert (courier.dropped, courier.waiting, courier.error) == (1, 0, "")


def test_what_waits_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "WAITING_MAX", 3)
    place = Moody(set())
    courier = Courier(place, lambda *_: None)
    for size in range(1, 6):
        courier.take(some(size))
    assert (courier.waiting, courier.dropped) == (3, 2)
    courier.start()
    courier.stop()
    assert courier.join(WAIT_SECONDS)
    assert place.tried == [3, 4, 5]


def test_a_notary_that_cannot_work_says_so_and_the_journal_goes_on(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    with Writer(tmp_path) as writer:
        add(writer)
        store(tmp_path / DIRECTORY, some(1))
        (file,) = stored(tmp_path / DIRECTORY)
        file.chmod(0o600)
        file.write_bytes(b"garbage")
        notary = Notary(
            writer, tmp_path, "FIXGW", interval_seconds=0.001, report=lambda *what: told.append(what)
        )
        notary.start()
        until(lambda: told)
        add(writer)
        assert writer.synced_seq == 2
        file.unlink()
        until(lambda: len(told) == 2)
        assert notary.stop()
    assert told[0][0] == told[1][0] == "notary"
    assert "no checkpoint of" in told[0][1]
    assert told[1][1] == ""
