"""``records migrate``, ``recreate`` and ``accounts`` on a gateway's files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from journals import STARTED_NS, worked_example

from fixgateway.cli.main import invoke
from fixgateway.records.database import connect
from fixgateway.records.migrate import locked, upgrade
from fixgateway.records.queries import utc_text

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, capsys: Captured) -> str:
    """A configuration beside the worked example's journal, the database filled from it."""
    for name in ("policy.toml", "accounts.csv", "gateway.toml"):
        shutil.copy(ROOT / "config" / name, tmp_path)
    worked_example(tmp_path / "var").close()
    assert invoke(["records", "rebuild", "-c", str(tmp_path / "gateway.toml")]) == 0
    capsys.readouterr()
    return str(tmp_path / "gateway.toml")


def test_recreate(config: str, capsys: Captured) -> None:
    assert invoke(["recreate", "S-1", "-c", config, "--json"]) == 0
    now = json.loads(capsys.readouterr().out)
    assert (now["kind"], now["record"]["state"], now["later"]) == ("statement", "complete", 0)
    registered = now["trail"][1]["time"]
    assert invoke(["recreate", "S-1", "-c", config, "--json", "--as-of", registered]) == 0
    then = json.loads(capsys.readouterr().out)
    assert (then["record"]["state"], then["record"]["orders"], then["record"]["seed"]) == ("active", [], None)
    assert then["later"] > 0
    assert then["as_of"] == registered
    assert invoke(["recreate", "C1", "-c", config]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("order C1", "CLIENT-A", "25000", "trail", "OMS1"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["NO-SUCH"], 2, "no record 'NO-SUCH'"),
        (["S-1", "--as-of", "2026-11-22"], 2, "date, time and offset"),
        (["S-1", "--kind", "thing"], 2, "no kind 'thing'"),
        (["S-1", "--as-of", "2001-01-01T00:00:00Z"], 2, "there was no statement 'S-1' at 2001"),
    ],
)
def test_recreate_says_what_is_wrong(
    arguments: list[str], code: int, words: str, config: str, capsys: Captured
) -> None:
    assert invoke(["recreate", *arguments, "-c", config]) == code
    assert words in capsys.readouterr().err


def test_accounts(config: str, capsys: Captured) -> None:
    assert invoke(["accounts", "-c", config, "--json"]) == 0
    now = json.loads(capsys.readouterr().out)
    assert "PROP" in {row["account"] for row in now}
    assert invoke(["accounts", "-c", config, "--json", "--as-of", utc_text(STARTED_NS)]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert invoke(["accounts", "-c", config, "--valid-on", "2026-11-23"]) == 0
    assert "proprietary" in capsys.readouterr().out
    assert invoke(["accounts", "-c", config, "--valid-on", "x"]) == 2
    assert "is no date" in capsys.readouterr().err


def test_migrate(config: str, capsys: Captured) -> None:
    assert invoke(["records", "migrate", "-c", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"before": 3, "after": 3}
    file = Path(config).parent / "var" / "records.db"
    file.unlink()
    assert invoke(["records", "migrate", "-c", config]) == 0
    assert "were missing and are of version 3" in capsys.readouterr().out
    file.unlink()
    engine = connect(f"sqlite:///{file}", ".")
    with locked(engine) as connection:
        upgrade(connection, 0, 2)
        connection.exec_driver_sql("INSERT INTO projection VALUES (1, 2, 0, 0)")
    engine.dispose()
    assert invoke(["accounts", "-c", config]) == 2
    assert "records migrate" in capsys.readouterr().err
    assert invoke(["records", "migrate", "-c", config]) == 0
    assert "were of version 2 and are of version 3" in capsys.readouterr().out
