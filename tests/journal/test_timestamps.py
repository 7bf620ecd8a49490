"""Time stamps of checkpoints, from a real authority: openssl's, behind HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from tsa import Served, Tsa, needs_openssl, serve
from writing import add, until

from fixgateway.cli.main import app, invoke
from fixgateway.config.settings import problems
from fixgateway.errors import UsageError
from fixgateway.journal import anchors
from fixgateway.journal.checkpoints import DIRECTORY, anchor_directory, origin_of, stamp_file, stored
from fixgateway.journal.notary import Notary
from fixgateway.journal.reader import verify
from fixgateway.journal.segments import Writer
from fixgateway.journal.timestamps import StampError, Stamping, check, load_roots, request_for

pytestmark = needs_openssl
NOTE = b"fixgateway/FIXGW/00\n3\nAAAA\n"


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Tsa:
    return Tsa(tmp_path_factory.mktemp("tsa") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Tsa:
    return Tsa(tmp_path_factory.mktemp("stranger") / "authority")


@pytest.fixture
def served(tsa: Tsa) -> Iterator[Served]:
    with serve(tsa) as found:
        yield found


def stamps(root: Path) -> list[Path]:
    return [stamp_file(file) for file in stored(root) if stamp_file(file).exists()]


# ---------------------------------------------------------------- one answer


def test_a_stamp_is_of_the_bytes_by_the_authority_at_its_time(tsa: Tsa, stranger: Tsa) -> None:
    request = request_for(NOTE)
    answer = tsa.answer(request.as_bytes())
    roots = load_roots(tsa.root)
    stamp = check(answer, NOTE, roots, request.nonce)
    assert stamp.signed
    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=1)
    assert not check(answer, NOTE, (), request.nonce).signed
    with pytest.raises(StampError, match="something else"):
        check(answer, NOTE + b" ", roots, request.nonce)
    with pytest.raises(StampError, match="nonce"):
        check(answer, NOTE, roots, (request.nonce or 0) + 1)
    with pytest.raises(StampError, match="nonce"):
        check(answer, NOTE, (), (request.nonce or 0) + 1)
    with pytest.raises(StampError, match="signature is not good"):
        check(answer, NOTE, load_roots(stranger.root), request.nonce)


@pytest.mark.parametrize("certs", ["chain.pem", "niahc.pem"])
def test_certificates_may_come_in_any_order(tsa: Tsa, certs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DER sorts them, authorities often do not; at least one of the two orders here is not DER's."""
    monkeypatch.setattr(tsa, "certs", certs)
    request = request_for(NOTE)
    assert check(tsa.answer(request.as_bytes()), NOTE, load_roots(tsa.root), request.nonce).signed


def test_a_refusal_says_why(tsa: Tsa, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsa, "digests", "sha512")
    with pytest.raises(StampError, match=r"refused: rejection, Message digest algorithm is not supported"):
        check(tsa.answer(request_for(NOTE).as_bytes()), NOTE)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_flipped_byte_gives_another_time_and_every_cut_is_noticed(tsa: Tsa) -> None:
    answer = tsa.answer(request_for(NOTE).as_bytes())
    roots = load_roots(tsa.root)
    stamp = check(answer, NOTE, roots)
    harmless = 0
    for place in range(len(answer)):
        changed = answer[:place] + bytes([answer[place] ^ 1]) + answer[place + 1 :]
        try:
            assert check(changed, NOTE, roots) == stamp
            harmless += 1  # in the copy of the root's certificate, which the authority need not have sent
        except StampError:
            pass
    assert harmless < len(answer) / 4
    for place in range(0, len(answer), 7):
        with pytest.raises(StampError):
            check(answer[:place], NOTE, roots)


def test_roots_must_be_certificates(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_roots(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("hello")
    with pytest.raises(UsageError, match="holds no certificates"):
        load_roots(tmp_path / "bad.pem")


# ---------------------------------------------------------------- the notary


def test_first_and_last_checkpoint_get_a_stamp_everywhere(tmp_path: Path, tsa: Tsa, served: Served) -> None:
    journal, mount = tmp_path / "var" / "journal", tmp_path / "mount"
    mount.mkdir()
    told: list[tuple[str, str]] = []
    with Writer(journal) as writer:
        stamping = Stamping(served.url, load_roots(tsa.root))
        notary = Notary(
            writer, journal, "FIXGW", anchor_dirs=[mount], interval_seconds=0.02, stamping=stamping,
            report=lambda place, error: told.append((place, error)),
        )  # fmt: skip
        add(writer, 3)
        notary.start()
        until(lambda: served.requests)
        until(lambda: stamps(journal / DIRECTORY))
        add(writer, 4)
        until(lambda: notary.status[0].records == 7)  # a checkpoint that gets no stamp: the hour is not over
        assert len(served.requests) == 1
        add(writer, 2)
        assert notary.stop()
        status = notary.status[-1]
    assert (status.place, status.records, status.error) == (f"time stamps of {served.url}", 9, "")
    assert told == []
    assert served.content_types == ["application/timestamp-query"] * 2
    kept = anchor_directory(mount, origin_of(journal, "FIXGW"))
    for root in (journal / DIRECTORY, kept):
        assert [file.name for file in stamps(root)] == [f"{size:020d}.checkpoint.tsr" for size in (3, 9)]
        for file in stamps(root):
            assert file.stat().st_mode & 0o777 == 0o440
            assert tsa.verifies(file.with_suffix(""), file)  # anybody's openssl does


def test_a_finished_segment_gets_a_stamp_and_so_does_the_interval(tmp_path: Path, served: Served) -> None:
    with Writer(tmp_path, segment_bytes=1) as writer:
        notary = Notary(writer, tmp_path, "FIXGW", interval_seconds=3600, stamping=Stamping(served.url))
        notary.start()
        add(writer, 2)
        until(lambda: [file.name[16:20] for file in stamps(tmp_path / DIRECTORY)] == ["0001"])
        notary.stop()
    assert [file.name[16:20] for file in stamps(tmp_path / DIRECTORY)] == ["0001", "0002"]
    with Writer(tmp_path) as writer:
        notary = Notary(
            writer, tmp_path, "FIXGW", interval_seconds=0.01, stamping=Stamping(served.url, seconds=0.01)
        )
        notary.start()
        for size in (3, 4, 5):
            add(writer)
            until(lambda size=size: notary.status and notary.status[-1].records == size)  # type: ignore[misc]
        notary.stop()
    assert len(stamps(tmp_path / DIRECTORY)) == 5


def test_an_authority_that_fails_holds_up_nothing_and_is_asked_again(
    tmp_path: Path, tsa: Tsa, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_PAUSE_SECONDS_MAX", 0.02)
    other = tsa.answer(request_for(b"something else").as_bytes())
    told: list[str] = []
    served.status = 503
    with Writer(tmp_path) as writer:
        notary = Notary(
            writer, tmp_path, "FIXGW", interval_seconds=0.01, stamping=Stamping(served.url, load_roots(tsa.root)),
            report=lambda place, error: told.append(error),
        )  # fmt: skip
        notary.start()
        add(writer)
        until(lambda: told)
        add(writer)
        until(lambda: notary.status[0].records == 2)  # checkpoints go on
        assert "503" in told[-1]
        served.status, served.replay = 200, other
        until(lambda: len(told) == 2)
        assert "something else" in told[-1]
        served.replay = b"x" * (anchors.STAMP_BYTES_MAX + 1)
        until(lambda: len(told) == 3)
        assert f"more than {anchors.STAMP_BYTES_MAX}" in told[-1]
        assert not stamps(tmp_path / DIRECTORY)
        served.replay = None
        until(lambda: len(told) == 4)
        assert told[-1] == ""
        assert notary.stop()
    assert stamps(tmp_path / DIRECTORY)


def test_a_granted_stamp_is_not_asked_for_again_when_a_directory_is_away(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "_PAUSE_SECONDS_MAX", 0.02)
    journal, mount = tmp_path / "journal", tmp_path / "mount"
    told: list[tuple[str, str]] = []
    with Writer(journal) as writer:
        notary = Notary(
            writer, journal, "FIXGW", anchor_dirs=[mount], stamping=Stamping(served.url),
            report=lambda place, error: told.append((place, error)),
        )  # fmt: skip
        add(writer)
        notary.start()
        until(lambda: any(place.startswith("time stamps") and "not kept in" in error for place, error in told))
        assert stamps(journal / DIRECTORY)
        mount.mkdir()
        until(lambda: list(mount.rglob("*.tsr")))
        notary.stop()
    assert len(served.requests) == 1


# ---------------------------------------------------------------- verifying


@pytest.fixture
def stamped(tmp_path: Path, served: Served) -> Path:
    """A data directory with a journal whose checkpoints of 2 and 5 records are stamped."""
    data_dir = tmp_path / "data"
    with Writer(data_dir / "journal") as writer:
        notary = Notary(
            writer, data_dir / "journal", "FIXGW", interval_seconds=3600, stamping=Stamping(served.url)
        )
        add(writer, 2)
        notary.start()
        until(lambda: stamps(data_dir / "journal" / DIRECTORY))
        add(writer, 3)
        assert notary.stop()
    return data_dir


def test_verify_says_since_when_the_records_existed(stamped: Path, tsa: Tsa, stranger: Tsa) -> None:
    found = verify(stamped)
    assert found.verified
    assert [stamp.records for stamp in found.time_stamps] == [2, 5]
    moment = found.time_stamps[-1].time
    assert abs(datetime.fromisoformat(moment) - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.time_stamped == (
        f"2, records 1 to 5 existed by {moment}, signatures not checked (no certificate given)"
    )
    found = verify(stamped, tsa_roots=load_roots(tsa.root))
    assert found.verified
    assert found.time_stamped.endswith("signatures checked")
    found = verify(stamped, tsa_roots=load_roots(stranger.root))
    assert "its signature is not good" in found.damage
    assert not found.verified


def test_verify_finds_a_stamp_that_was_changed_or_exchanged(stamped: Path, tsa: Tsa) -> None:
    first, second = stamps(stamped / "journal" / DIRECTORY)
    whole = second.read_bytes()
    second.chmod(0o640)
    second.write_bytes(first.read_bytes())
    assert f"time stamp {second}: it is the time stamp of something else" in verify(stamped).damage
    second.write_bytes(whole[:-5])
    assert f"time stamp {second}: no time stamp" in verify(stamped).damage
    at = whole.rindex(b"20", 0, len(whole) // 2)  # somewhere in the token: the time, or what is signed
    second.write_bytes(whole[:at] + b"19" + whole[at + 2 :])
    assert not verify(stamped, tsa_roots=load_roots(tsa.root)).verified
    second.unlink()
    first.unlink()
    assert verify(stamped).verified
    assert "no checkpoint has a good time stamp" in verify(stamped, tsa_roots=load_roots(tsa.root)).damage


def test_the_command_shows_and_checks_them(stamped: Path, tsa: Tsa, stranger: Tsa) -> None:
    shown = CliRunner().invoke(app, ["journal", "verify", str(stamped), "--tsa-ca", str(tsa.root)])
    assert "records 1 to 5 existed by" in shown.output
    assert "signatures checked" in shown.output
    document = CliRunner().invoke(app, ["journal", "verify", str(stamped), "--json"]).output
    assert '"time_stamps": [\n    {\n      "records": 2' in document
    assert invoke(["journal", "verify", str(stamped), "--tsa-ca", str(stranger.root)]) == 1
    assert invoke(["journal", "verify", str(stamped), "--tsa-ca", str(stamped / "none")]) == 2


def test_an_anchor_alone_is_enough_to_tell_the_time(stamped: Path, tsa: Tsa, tmp_path: Path) -> None:
    away = tmp_path / "away"
    shutil.copytree(stamped / "journal" / DIRECTORY, away)
    shutil.rmtree(stamped / "journal" / DIRECTORY)
    assert [stamp.records for stamp in verify(stamped, checkpoints=[away]).time_stamps] == [2, 5]


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('timestamp_url = "https://user:secret@tsa.example.com"', "holds a name or a password"),
        ('timestamp_url = "tsa.example.com"', "http"),
        ('timestamp_ca_file = "none.pem"', "does not exist"),
        ("timestamp_seconds = 0", "timestamp_seconds"),
    ],
)
def test_wrong_keys_are_named(tmp_path: Path, line: str, what: str) -> None:
    shutil.copytree(Path(__file__).parents[2] / "config", tmp_path / "config")
    file = tmp_path / "config" / "gateway.toml"
    text = file.read_text()
    head = "[journal]\n"
    file.write_text(text.replace(head, f"{head}{line}\n") if head in text else f"{text}\n{head}{line}\n")
    assert any(what in str(problem) and "journal.timestamp" in str(problem) for problem in problems(file))
