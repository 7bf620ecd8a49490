"""Four doors for a statement, one answer: FIX J, command line (JSON and CSV), HTTP, drop folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from live import Live, order, statement, statement_csv, statement_file, until

DOORS = ("fix", "cli-json", "cli-csv", "http", "drop")
LINES = (("CLIENT-A", 600), ("PROP", 400))

Answer = tuple[bool, list[tuple[str, str]]]
"""Registered, and the problems as (reason, text or part of it)."""


@pytest.fixture(scope="module")
def live(make_shared: Callable[..., Live]) -> Iterator[Live]:
    live = make_shared(omses={"OMS1": {}}, drop=True).start()
    live.oms()
    yield live
    live.end_well()


def _by_fix(live: Live, statement_id: str, lines: Sequence[tuple[str, object]], total: object) -> Answer:
    oms = live.oms()
    oms.send("J", statement(statement_id, lines, total=total))
    answer = oms.expect("P", AllocID=statement_id)
    text = answer.get(58)
    return answer.get(87) == "0", [] if answer.get(87) == "0" else [(text.split()[0], text)]


def _by_file(live: Live, path: Path) -> Answer:
    done = live.cli("statement", "add", str(path), "-c", str(live.config), "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["registered"] else 1)
    return answer["registered"], [
        (p["reason"], f"line {p['row']} {p['field']}: {p['text']}") for p in answer["problems"]
    ]


def _by_http(live: Live, document: dict[str, Any]) -> Answer:
    answer = live.http.post("/api/statements", json=document)
    assert answer.status_code in (201, 422), answer.text
    body = answer.json()
    found = [(p["reason"], f"line {p['row']} {p['field']}: {p['text']}") for p in body.get("problems", [])]
    return body["registered"], found


def _by_drop(live: Live, name: str, document: dict[str, Any] | None) -> Answer:
    """Drop ``document`` (None: it lies there already) and wait for what becomes of it."""
    if document is not None:
        (live.drop_folder / name).write_text(json.dumps(document))
    taken = live.drop_folder / "registered" / name
    refused = live.drop_folder / "refused" / f"{name}.txt"
    until(lambda: taken.exists() or refused.exists(), f"{name} taken")
    if taken.exists():
        return True, []
    said = until(lambda: refused.read_text().splitlines(), "the reasons")
    return False, [(next(word for word in line.split() if word.startswith("GW-")), line) for line in said]


def submit(
    live: Live,
    door: str,
    tmp_path: Path,
    statement_id: str,
    lines: Sequence[tuple[str, object]] = LINES,
    total: object = 1000,
) -> Answer:
    """Hand the same statement in by one of the doors."""
    document = statement_file(statement_id, lines, total=str(total))
    name = f"{door}-{statement_id}"
    match door:
        case "fix":
            return _by_fix(live, statement_id, lines, total)
        case "cli-json":
            (tmp_path / f"{name}.json").write_text(json.dumps(document))
            return _by_file(live, tmp_path / f"{name}.json")
        case "cli-csv":
            head, *rows = statement_csv(statement_id, lines).splitlines()
            text = "\n".join([f"{head},total", *(f"{row},{total}" for row in rows)])
            (tmp_path / f"{name}.csv").write_text(text)
            return _by_file(live, tmp_path / f"{name}.csv")
        case "http":
            return _by_http(live, document)
        case _:
            return _by_drop(live, f"{name}.json", document)


@pytest.mark.parametrize("door", DOORS)
def test_each_door_registers_and_the_order_under_it_goes_through(live: Live, tmp_path: Path, door: str) -> None:
    name = f"REG-{door}"
    assert submit(live, door, tmp_path, name) == (True, [])
    oms = live.oms()
    oms.send("D", order(f"O-{door}", name, 1000))
    assert live.broker.expect("D", ClOrdID=f"O-{door}").get(70) == name
    (row,) = live.rows("SELECT state, total, symbol, side, oms, door FROM statements WHERE statement_id = ?", name)
    assert row[:5] == ("active", "1000", "XYZ", "buy", "OMS1")
    assert row[5] == door.split("-")[0]


@pytest.mark.parametrize("first", ["fix", "cli-csv", "http", "drop"])
def test_the_same_content_by_any_other_door_is_the_same_statement(live: Live, tmp_path: Path, first: str) -> None:
    name = f"SAME-{first}"
    last = [door for door in ("fix", "cli-json", "http", "drop") if door.split("-")[0] != first.split("-")[0]]
    for door in (first, *last):
        assert submit(live, door, tmp_path, name) == (True, []), door
    doors = live.rows("SELECT door FROM statements WHERE statement_id = ?", name)
    assert doors == [(first.split("-")[0],)]


@pytest.mark.parametrize("door", DOORS)
def test_other_content_under_a_used_id_is_refused_by_every_door(live: Live, tmp_path: Path, door: str) -> None:
    name = f"USED-{door}"
    assert submit(live, "http", tmp_path, name)[0]
    registered, problems = submit(live, door, tmp_path, name, (("CLIENT-A", 400), ("PROP", 600)))
    assert not registered
    assert [reason for reason, _ in problems] == ["GW-603"]
    assert name in problems[0][1]


WRONG: dict[str, tuple[Sequence[tuple[str, object]], object, str, str]] = {
    # name: lines, total, reason, words of the field
    "twice": ((("CLIENT-A", 600), ("PROP", 200), ("CLIENT-A", 200)), 1000, "GW-605", "CLIENT-A is named twice"),
    "sum": ((("CLIENT-A", 600), ("PROP", 399)), 1000, "GW-604", "999"),
    "unknown": ((("CLIENT-A", 600), ("NOBODY", 400)), 1000, "GW-606", "'NOBODY'"),
    "closed": ((("CLIENT-A", 600), ("SHUT", 400)), 1000, "GW-606", "SHUT is closed"),
    "zero": ((("CLIENT-A", 1000), ("PROP", 0)), 1000, "GW-607", "quantity 0"),
    "negative": ((("CLIENT-A", 1001), ("PROP", -1)), 1000, "GW-607", "quantity -1"),
    "exponent": ((("CLIENT-A", 600), ("PROP", "4e2")), 1000, "GW-607", "quantity 4e2"),
    "nan": ((("CLIENT-A", 600), ("PROP", "NaN")), 1000, "GW-607", "quantity NaN"),
    "thirty": ((("CLIENT-A", 600), ("PROP", "4" * 30)), 1000, "GW-607", "4" * 30),
}


def check_refusal(live: Live, name: str, wrong: str, problems: list[tuple[str, str]]) -> None:
    """The reason is given, in words that name line and field, and the refusal is in the records."""
    _, _, reason, words = WRONG[wrong]
    assert reason in [found for found, _ in problems]
    text = next(text for found, text in problems if found == reason)
    assert words in text
    if wrong != "sum":  # the sum is no single line's
        assert f"line {3 if wrong == 'twice' else 2}" in text
    assert live.rows("SELECT count(*) FROM statements WHERE statement_id = ?", name) == [(0,)]
    refused = live.rows(
        "SELECT reason FROM statement_problems JOIN statement_refusals USING (journal_seq, position) "
        "WHERE statement_id = ?",
        name,
    )
    assert (reason,) in refused


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("door", ["fix", "http"])
def test_a_wrong_statement_is_refused_with_line_and_field(
    live: Live, tmp_path: Path, door: str, wrong: str
) -> None:
    lines, total, *_ = WRONG[wrong]
    name = f"W-{wrong}-{door}"
    registered, problems = submit(live, door, tmp_path, name, lines, total)
    assert not registered
    check_refusal(live, name, wrong, problems)


def test_wrong_files_in_the_drop_folder_are_put_aside_with_line_and_field(live: Live) -> None:
    for wrong, (lines, total, *_) in WRONG.items():
        document = statement_file(f"W-{wrong}-drop", lines, total=str(total))
        (live.drop_folder / f"wrong-{wrong}.json").write_text(json.dumps(document))
    for wrong in WRONG:
        problems = _by_drop(live, f"wrong-{wrong}.json", None)
        assert problems[0] is False
        check_refusal(live, f"W-{wrong}-drop", wrong, problems[1])


def test_the_command_line_names_the_lines_of_the_file(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(statement_csv("CLI-W", (("CLIENT-A", 1), ("NOBODY", 2), ("PROP", "x"))))
    done = live.cli("statement", "add", str(path), "-c", str(live.config))
    assert done.returncode == 1
    assert f"error: {path}: line 3, account: GW-606 account 'NOBODY' is not in the account file" in done.stderr
    assert f"error: {path}: line 4, quantity: GW-607 quantity x is not a plain positive number" in done.stderr


def test_a_file_that_is_no_statement_is_put_aside_with_the_reason(live: Live) -> None:
    (live.drop_folder / "broken.csv").write_bytes(b"statement_id,account\xff,quantity\n")
    reason = live.drop_folder / "refused" / "broken.csv.txt"
    until(reason.exists, "the file refused")
    assert "not UTF-8 at byte 20" in until(reason.read_text, "the reason")
    assert (live.drop_folder / "refused" / "broken.csv").exists()


def test_refusals_are_counted_by_door(live: Live, tmp_path: Path) -> None:
    before = {
        door: live.metric("fixgateway_statements_total", door=door, outcome="refused") for door in ("fix", "http")
    }
    submit(live, "fix", tmp_path, "COUNT", LINES, 1)
    submit(live, "http", tmp_path, "COUNT", LINES, 1)
    for door, count in before.items():
        live.wait_metric(count + 1, "fixgateway_statements_total", door=door, outcome="refused")


def test_without_a_gateway_the_command_says_how_to_start_one(make: Callable[..., Live], tmp_path: Path) -> None:
    silent = make()
    (tmp_path / "s.json").write_text(json.dumps(statement_file("S")))
    done = silent.cli("statement", "add", str(tmp_path / "s.json"), "-c", str(silent.config))
    assert done.returncode == 1
    assert "no gateway answers at" in done.stderr
    assert "fixgateway run -c" in done.stderr


def test_the_same_file_again_says_that_it_is_registered_already(live: Live, tmp_path: Path) -> None:
    path = tmp_path / "again.json"
    path.write_text(json.dumps(statement_file("AGAIN", LINES)))
    add = ("statement", "add", str(path), "-c", str(live.config))
    first, second = live.cli(*add), live.cli(*add)
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.startswith("registered AGAIN (journal record ")
    assert second.stdout == f"already {first.stdout}", "the first record and its commitment"
    assert json.loads(live.cli(*add, "--json").stdout)["already"] is True
    answers = [live.http.post("/api/statements", json=statement_file(name, LINES)) for name in ("NEW1", "NEW1")]
    assert [x.json()["already"] for x in answers] == [False, True]
