"""The command line: exit codes, one JSON document on stdout, errors with a remedy on stderr."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from memory_gateway import MemoryGateway

from fixgateway.cli.main import COMMANDS, app, invoke
from fixgateway.core.model import Draft
from fixgateway.core.outputs import Problem
from fixgateway.errors import UsageError
from fixgateway.monitor.health import Health
from fixgateway.web.app import create_app
from fixgateway.web.port import OperateOutcome, Outcome, Queries, Row
from fixgateway.web.server import serve

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "config" / "statements" / "worked-example.json")
EXAMPLE_CSV = str(ROOT / "config" / "statements" / "worked-example.csv")

Captured = pytest.CaptureFixture[str]


def error_lines(captured: Captured) -> list[str]:
    """The lines on stderr; each must be an error with nothing on stdout."""
    out, err = captured.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines
    assert all(line.startswith("error: ") for line in lines)
    return lines


# ---------------------------------------------------------------- help and usage


def test_the_programme_runs_as_installed() -> None:
    command = [sys.executable, "-m", "fixgateway.cli.main", "preview", EXAMPLE, "--filled", "30000", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = json.loads(done.stdout)["lines"]
    assert [line["quantity"] for line in lines] == ["15000", "6000", "3000", "6000"]
    assert set(lines[0]) >= {"account", "intent", "quantity", "exact", "rule"}


def test_help_imports_no_room() -> None:
    code = (
        "import sys; from fixgateway.cli.main import invoke; invoke(['--help']);"
        "slow = {'quickfix', 'sqlalchemy', 'fastapi', 'httpx', 'rich', 'pydantic'};"
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert name in done.stdout


def all_commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(app)
    pending: list[tuple[tuple[str, ...], str, click.Group]]
    pending = [((name,), name, app) for name in app.list_commands(context)]
    while pending:
        path, name, group = pending.pop()
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join(path), command
        if isinstance(command, click.Group):
            pending += [((*path, child), child, command) for child in command.list_commands(context)]


def test_every_command_and_option_has_help_text(capsys: Captured) -> None:
    seen = 0
    for path, command in all_commands():
        seen += 1
        assert (command.help or "").strip(), path
        for parameter in command.params:
            # The counterparties' options are choices that say what they are.
            if isinstance(parameter, click.Option) and not path.startswith("sim "):
                assert parameter.help, f"{path} {parameter.opts}"
        assert invoke([*path.split(), "--help"]) == 0
        assert "Usage: fixgateway" in capsys.readouterr().out
    assert seen > len(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["preview"],
        ["preview", EXAMPLE],
        ["preview", EXAMPLE, "--filled", "ten"],
        ["preview", EXAMPLE, "--filled", "10", "--price", "1e3"],
        ["preview", "missing.json", "--filled", "10"],
        ["preview", "missing.txt", "--filled", "10"],
        ["preview", EXAMPLE, "--filled", "10", "-c", "missing.toml"],
        ["check"],
        ["run", "-c", "missing.toml"],
        ["session", "seq", "OMS1"],
        ["session", "seq", "OMS1", "--next-sender", "0"],
        ["orders", "halt"],
        ["statement", "list", "--url", "gopher://x"],
        ["statement", "list", "-c", "missing.toml"],
        ["statement", "add", "missing.json"],
        ["journal", "verify", "missing-directory"],
        ["journal", "show", "missing-directory"],
        ["journal", "show", "missing-directory", "--kind", "huh"],
        ["--huh"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: Captured) -> None:
    assert invoke(arguments) == 2
    assert len(error_lines(capsys)) == 1


def test_no_command_shows_the_help(capsys: Captured) -> None:
    assert invoke([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commands:" in err


# ---------------------------------------------------------------- check and preview


def test_check(tmp_path: Path, capsys: Captured) -> None:
    shipped = str(ROOT / "config" / "gateway.toml")
    assert invoke(["check", "-c", shipped]) == 0
    assert "good" in capsys.readouterr().out
    assert invoke(["check", "-c", shipped, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "file": shipped, "good": True, "problems": [], "warnings": [],
    }

    for name in ("policy.toml", "accounts.csv"):
        shutil.copy(ROOT / "config" / name, tmp_path)
    bad = tmp_path / "gateway.toml"
    bad.write_text(Path(shipped).read_text().replace("9877", "0").replace("sync", "snyc"))
    assert invoke(["check", "-c", str(bad)]) == 2
    lines = error_lines(capsys)
    assert [line.split(": ")[2] for line in lines] == ["journal.snyc", "broker[BRK1].port"]
    assert "did you mean sync?" in lines[0]
    assert invoke(["check", "-c", str(bad), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert [problem["key"] for problem in document["problems"]] == ["journal.snyc", "broker[BRK1].port"]


@pytest.mark.parametrize("command", [["preview"], ["statement", "preview"]])
def test_preview(command: list[str], capsys: Captured) -> None:
    assert invoke([*command, EXAMPLE_CSV, "--filled", "30000", "--price", "100"]) == 0
    out = capsys.readouterr().out
    for text in ("CLIENT-A", "15000", "1500000", "PROP"):
        assert text in out
    config = str(ROOT / "config" / "gateway.toml")
    assert invoke([*command, EXAMPLE_CSV, "--filled", "60000"]) == 0
    assert "unallocated: 10000" in capsys.readouterr().out
    assert invoke([*command, EXAMPLE_CSV, "--filled", "60000", "-c", config]) == 0
    assert "the error account takes 10,000" in capsys.readouterr().out


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m fixgateway.cli.main preview {EXAMPLE} --filled 1 | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


# ---------------------------------------------------------------- against a gateway


class CommandGateway(MemoryGateway):
    """Refuses an account and a broker."""

    def submit_statement(self, draft: Draft, door: str, actor: str) -> Outcome:
        self.done.append((draft.statement_id, draft.trade_date, door, actor))
        if draft.lines[1].account == "CLIENT-X":
            problem = Problem(2, "account", "GW-606", "account 'CLIENT-X' is not in the account file")
            return Outcome(False, draft.statement_id, (problem,), seq=4)
        return Outcome(True, draft.statement_id, seed_commitment="c0ffee", seq=5)

    def operate(self, actor: str, action: str, target: str, reason: str) -> OperateOutcome:
        self.done.append((actor, action, target, reason))
        return OperateOutcome(target != "BRK9", "no counterparty BRK9")


STATEMENT = {"statement_id": "S-1", "symbol": "XYZ", "total": "50000", "state": "active",
             "lines": [{"account": "CLIENT-A", "quantity": "25000"}], "orders": [], "allocations": []}  # fmt: skip
TRACE = {"id": "S-1", "truncated": False, "timeline": [
    {"journal_seq": 3, "time": "2026-11-22T14:30:00Z", "what": "statement registered",
     "symbol": "XYZ", "lines": [{"account": "PROP", "quantity": "10000"}]}]}  # fmt: skip
ALLOCATION = {"alloc_id": "A/1", "quantity": "30000", "division": {"filled": "30000", "lines": [
    {"account": "PROP", "intent": "10000", "exact": "6000/1", "floor": "6000", "award": "0", "quantity": "6000",
     "rule": "floor"}]}}  # fmt: skip


def only(wanted: str, row: Row) -> Any:
    def read(name: str) -> Row:
        if name != wanted:
            raise UsageError(f"no {name} in the records; check the id")
        return row

    return read


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandGateway]:
    memory = CommandGateway()
    queries = Queries(
        lambda: [STATEMENT], only("S-1", STATEMENT), list, list, only("A 1", ALLOCATION), only("S-1", TRACE)
    )
    server = serve(create_app(memory, Health(), bytes, queries), "127.0.0.1", 0)
    monkeypatch.setenv("FIXGATEWAY_URL", f"http://127.0.0.1:{server.port}")
    monkeypatch.setenv("FIXGATEWAY_ACTOR", "ann")
    yield memory
    server.stop()


def output_json(capsys: Captured) -> Any:
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def test_statement_add(gateway: CommandGateway, capsys: Captured) -> None:
    assert invoke(["statement", "add", EXAMPLE]) == 0
    out = capsys.readouterr().out
    assert "registered S-1 (journal record 5)" in out
    assert "c0ffee" in out
    assert invoke(["statement", "add", EXAMPLE_CSV, "--trade-date", "2030-01-02", "--json"]) == 0
    assert output_json(capsys) == {
        "registered": True, "already": False, "statement_id": "S-1", "seed_commitment": "c0ffee", "seq": 5,
        "problems": [],
    }  # fmt: skip
    assert gateway.done == [("S-1", "2026-11-22", "cli", "ann"), ("S-1", "2030-01-02", "cli", "ann")]
    assert invoke(["statement", "add", EXAMPLE, "--trade-date", "today"]) == 0
    assert len(gateway.done[-1][1]) == len("2030-01-02")


def test_a_refused_statement_exits_1_with_its_problems(
    gateway: CommandGateway, tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "s.csv"
    file.write_text("statement_id,account,quantity\nS-2,A,1\n\nS-2,CLIENT-X,1\n")
    assert invoke(["statement", "add", str(file)]) == 1
    (line,) = error_lines(capsys)
    assert "line 4, account: GW-606 account 'CLIENT-X'" in line
    assert invoke(["statement", "add", str(file), "--json"]) == 1
    document = output_json(capsys)
    assert document["registered"] is False
    assert document["problems"][0]["row"] == 4


def test_reads(gateway: CommandGateway, capsys: Captured) -> None:
    for arguments, words, document in (
        (["statement", "list"], ["S-1", "XYZ", "50000"], [STATEMENT]),
        (["statement", "show", "S-1"], ["S-1", "CLIENT-A", "25000"], STATEMENT),
        (["trace", "S-1"], ["statement registered", "symbol=XYZ", "PROP 10000"], TRACE),
        (["explain", "A 1"], ["PROP", "6000", "floor"], ALLOCATION),
        (["session", "list"], ["OMS1", "12", "34", "yes"], gateway.sessions()),
    ):
        assert invoke(arguments) == 0
        out = capsys.readouterr().out
        for word in words:
            assert word in out, arguments
        assert invoke([*arguments, "--json"]) == 0
        assert output_json(capsys) == document


@pytest.mark.parametrize("arguments", [["statement", "show", "S-9"], ["trace", "S/9?x#"], ["explain", "A-9"]])
def test_an_unknown_id_exits_1(gateway: CommandGateway, arguments: list[str], capsys: Captured) -> None:
    assert invoke([*arguments, "--json"]) == 1
    assert error_lines(capsys)


def test_operations(gateway: CommandGateway, capsys: Captured) -> None:
    for arguments in (
        ["orders", "halt", "--reason", "drill"],
        ["orders", "resume", "BRK1", "--reason", "over"],
        ["statement", "cancel", "S-1"],
        ["statement", "close", "S-1", "--reason", "late"],
        ["session", "seq", "OMS1", "--next-target", "7"],
        ["session", "logout", "OMS1"],
        ["session", "roll", "OMS1", "--actor", "bob"],
    ):
        assert invoke(arguments) == 0
    assert gateway.done == [
        ("ann", "halt", "all", "drill"),
        ("ann", "resume", "BRK1", "over"),
        ("ann", "cancel", "S-1", ""),
        ("ann", "close", "S-1", "late"),
        ("OMS1", "seq", None, 7, "ann"),
        ("OMS1", "logout", None, None, "ann"),
        ("OMS1", "roll", None, None, "bob"),
    ]
    capsys.readouterr()
    assert invoke(["orders", "halt", "BRK9", "--reason", "x"]) == 1
    assert error_lines(capsys) == ["error: no counterparty BRK9"]
    assert invoke(["session", "logout", "OMS9"]) == 1


def test_no_gateway_says_how_to_start_one(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXGATEWAY_URL", "http://127.0.0.1:1")
    assert invoke(["statement", "list"]) == 1
    (line,) = error_lines(capsys)
    assert "fixgateway run -c" in line


def test_something_else_answers(tmp_path: Path, capsys: Captured) -> None:
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        assert other.stdout is not None
        port = other.stdout.readline().split(" port ")[1].split()[0]
        try:
            assert invoke(["statement", "list", "--url", f"http://127.0.0.1:{port}"]) == 1
        finally:
            other.terminate()
    assert "check --url" in error_lines(capsys)[0]


def test_the_url_comes_from_the_configuration(gateway: CommandGateway, tmp_path: Path, capsys: Captured) -> None:
    port = os.environ.pop("FIXGATEWAY_URL").rpartition(":")[2]
    for name in ("policy.toml", "accounts.csv", "gateway.toml"):
        shutil.copy(ROOT / "config" / name, tmp_path)
    file = tmp_path / "gateway.toml"
    file.write_text(file.read_text().replace("8080", port))
    assert invoke(["session", "list", "-c", str(file)]) == 0
    assert "OMS1" in capsys.readouterr().out
