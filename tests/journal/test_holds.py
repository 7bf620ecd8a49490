"""Legal holds: files that are added and never changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from fixgateway.errors import JournalError, UsageError
from fixgateway.journal.holds import DIRECTORY, Hold, add, all_holds, only_one, release

AT = datetime(2033, 3, 4, 5, 6, 7, tzinfo=UTC)
ALL = (None, None)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_a_hold_is_set_and_released_and_stays_on_record(tmp_path: Path) -> None:
    assert all_holds(tmp_path) == []
    set_ = add(tmp_path, "SEC-2033-17", "subpoena of 3 March", "ann", AT, (date(2027, 1, 1), date(2027, 6, 30)))
    add(tmp_path, "audit", "yearly audit", "bob", AT, ALL)
    assert set_ == Hold("SEC-2033-17", "subpoena of 3 March", "ann", AT.isoformat(), "2027-01-01", "2027-06-30")
    assert set_.stands
    ended = release(tmp_path, "SEC-2033-17", "case closed", "eve", AT)
    assert (ended.stands, ended.released_by, ended.released_reason) == (False, "eve", "case closed")
    assert [(hold.name, hold.stands) for hold in all_holds(tmp_path)] == [("SEC-2033-17", False), ("audit", True)]
    files = sorted((tmp_path / DIRECTORY).iterdir())
    assert [file.name for file in files] == ["000001.json", "000002.json", "000003.json"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o440}
    assert json.loads(files[2].read_text())["by"] == "eve"


@pytest.mark.parametrize(
    ("first", "last", "days", "covered"),
    [
        ("2027-03-01", "2027-03-02", ALL, True),
        ("2027-03-01", "2027-03-02", (date(2027, 3, 2), None), True),
        ("2027-03-01", "2027-03-02T23:59:59", (date(2027, 3, 3), None), False),
        ("2027-03-01", "2027-03-02", (None, date(2027, 3, 1)), True),
        ("2027-03-01", "2027-03-02", (None, date(2027, 2, 28)), False),
        ("2027-03-01T23:59:59", "2027-03-02", (date(2027, 3, 1), date(2027, 3, 1)), True),
        ("2027-02-01", "2027-04-01", (date(2027, 3, 1), date(2027, 3, 1)), True),
    ],
)
def test_what_a_hold_covers(first: str, last: str, days: tuple[date | None, date | None], covered: bool) -> None:
    hold = Hold("x", "y", "z", AT.isoformat(), *(str(day or "") for day in days))
    assert hold.covers(ns(first), ns(last)) is covered


def test_names_are_used_once_and_reasons_given(tmp_path: Path) -> None:
    add(tmp_path, "one", "because", "ann", AT, ALL)
    for name in ("one", "", "a/b", "-x", "x" * 65):
        with pytest.raises(UsageError):
            add(tmp_path, name, "because", "ann", AT, ALL)
    for reason in ("", "  ", "x" * 3000):
        with pytest.raises(UsageError, match="--reason"):
            add(tmp_path, "two", reason, "ann", AT, ALL)
    with pytest.raises(UsageError, match="is before"):
        add(tmp_path, "two", "because", "ann", AT, (date(2027, 1, 2), date(2027, 1, 1)))
    with pytest.raises(UsageError, match=r"no hold two stands \(standing: one\)"):
        release(tmp_path, "two", "because", "ann", AT)
    release(tmp_path, "one", "over", "ann", AT)
    with pytest.raises(UsageError, match="standing: none"):
        release(tmp_path, "one", "again", "ann", AT)
    with pytest.raises(UsageError, match="there is, or was, a hold one"):
        add(tmp_path, "one", "because", "ann", AT, ALL)
    with pytest.raises(UsageError, match="is no directory"):
        add(tmp_path / "nowhere", "one", "because", "ann", AT, ALL)


@pytest.mark.parametrize("place", [0, 1])
def test_a_file_that_was_changed_or_taken_out_is_noticed(tmp_path: Path, place: int) -> None:
    for name in ("one", "two", "three"):
        add(tmp_path, name, "because", "ann", AT, ALL)
    file = sorted((tmp_path / DIRECTORY).iterdir())[place]
    whole = file.read_bytes()
    file.chmod(0o640)
    file.write_bytes(whole.replace(b"because", b"nothing"))
    with pytest.raises(JournalError, match="does not follow"):
        all_holds(tmp_path)
    file.write_bytes(whole[:-10])
    with pytest.raises(JournalError, match="nothing may be removed"):
        all_holds(tmp_path)
    file.unlink()
    with pytest.raises(JournalError, match="does not follow"):
        all_holds(tmp_path)
    file.write_bytes(whole)
    assert len(all_holds(tmp_path)) == 3


def test_a_crash_leaves_the_hold_unset_or_set(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).mkdir()
    (tmp_path / DIRECTORY / "000001.new").write_text("half a fi")
    add(tmp_path, "one", "because", "ann", AT, ALL)
    assert [hold.name for hold in all_holds(tmp_path)] == ["one"]


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(JournalError, match="another process"):
        add(tmp_path, "one", "because", "ann", AT, ALL)
    code = (
        "import sys, pathlib, datetime; from fixgateway.journal.holds import add; "
        "now = datetime.datetime.now(datetime.UTC); "
        "add(pathlib.Path(sys.argv[1]), 'h%s' % sys.argv[2], 'r', 'b', now, (None, None))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)], env=environment,
                         stderr=subprocess.DEVNULL)
        for number in range(4)
    ]  # fmt: skip
    good = sum(run.wait(60) == 0 for run in runs)
    assert good >= 1
    assert len(all_holds(tmp_path)) == good
