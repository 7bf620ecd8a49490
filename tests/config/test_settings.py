"""gateway.toml: defaults, and every problem with its key and a remedy."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from fixgateway.config import settings, setup
from fixgateway.config.problems import Problem
from fixgateway.config.tables import KEYS
from fixgateway.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "config"

SMALL = """
[[oms]]
comp_id = "OMS1"
brokers = ["BRK1"]
[[broker]]
comp_id = "BRK1"
host = "127.0.0.1"
port = 9877
"""


def oms(line: str) -> str:
    """A configuration with one more line for the OMS."""
    return SMALL.replace('"OMS1"', f'"OMS1"\n{line}')


def broker(line: str) -> str:
    """A configuration with one more line for the broker."""
    return SMALL + line + "\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("policy.toml", "accounts.csv"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    return tmp_path


def write(place: Path, text: str) -> Path:
    file = place / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_shipped_configuration_is_good() -> None:
    assert setup.problems(str(SHIPPED / "gateway.toml")) == []
    given = settings.load(SHIPPED / "gateway.toml")
    assert given.data_dir == SHIPPED.absolute() / "var"
    assert given.records_url == f"sqlite:///{SHIPPED.absolute()}/var/records.db"
    built = setup.load(given)
    assert [account.account for account in built.accounts] == ["CLIENT-A", "CLIENT-B", "CLIENT-C", "PROP", "ERROR"]
    assert built.policy.ties == "seeded"
    assert (built.omses[0].name, built.omses[0].brokers, built.brokers[0].name) == ("OMS1", ("BRK1",), "BRK1")


def test_everything_has_the_documented_default(place: Path) -> None:
    given = settings.load(write(place, SMALL))
    for key in KEYS:
        table, _, name = key.key.partition(".")
        holder = getattr(given, table)
        value = getattr(holder[0] if isinstance(holder, tuple) else holder, name)
        if key.default == "none":
            assert value is None, key.key
        elif key.default != "required":
            expected = tomllib.loads(f"x = {key.default}")["x"]
            assert value == (tuple(expected) if isinstance(expected, list) else expected), key.key


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        (SMALL + "[lisen]\n", "lisen", "listen"),
        (SMALL + "[listen]\nprt = 1\n", "listen.prt", "did you mean port?"),
        (SMALL + "[listen]\nzzzz = 1\n", "listen.zzzz", "known here: host, port"),
        (SMALL + "[listen]\nport = 0\n", "listen.port", "1 to 65535"),
        (SMALL + "[listen]\nport = 65536\n", "listen.port", "1 to 65535"),
        (SMALL + '[listen]\nport = "9876"\n', "listen.port", "1 to 65535"),
        (SMALL + "[listen]\nport = 9876.0\n", "listen.port", "1 to 65535"),
        (SMALL + "[listen]\nport = true\n", "listen.port", "1 to 65535"),
        (SMALL + "[listen]\nport = 8080\n", "http.port", "port of its own"),
        (SMALL + "[http]\nport = -1\n", "http.port", "0 to 65535"),
        (SMALL + '[http]\nhost = "0.0.0.0"\n', "http.host", "loopback"),
        (SMALL + '[http]\nhost = "gw.example.com"\n', "http.host", "loopback"),
        (SMALL + '[gateway]\ncomp_id = "A B"\n', "gateway.comp_id", "letters"),
        (SMALL + '[gateway]\ncomp_id = "A\\u0001"\n', "gateway.comp_id", "letters"),
        (SMALL + '[gateway]\ncomp_id = ""\n', "gateway.comp_id", "letters"),
        (SMALL + '[gateway]\ncomp_id = "BRK1"\n', "broker[BRK1].comp_id", "its own comp_id"),
        (SMALL + '[gateway]\ndata_dir = "policy.toml"\n', "gateway.data_dir", "directory"),
        (SMALL + '[journal]\nsync = "sometimes"\n', "journal.sync", "group"),
        (SMALL + "[journal]\nsegment_bytes = 1\n", "journal.segment_bytes", "65536"),
        (SMALL + '[records]\nurl = "mysql://x"\n', "records.url", "postgresql+psycopg"),
        (SMALL + '[records]\nurl = "postgresql+psycopg://u:secret@h/d"\n', "records.url", "PGPASSWORD"),
        (SMALL + '[records]\nurl = "postgresql+psycopg://h/d?password=secret"\n', "records.url", "PGPASSWORD"),
        (SMALL + '[policy]\nfile = "nowhere.toml"\n', "policy.file", "create it"),
        (SMALL + '[policy]\naccounts = "nowhere.csv"\n', "policy.accounts", "create it"),
        (SMALL + '[drop]\ndirectory = "nowhere"\n', "drop.directory", "create it"),
        (SMALL + '[log]\nlevel = "loud"\n', "log.level", "debug"),
        (SMALL + "[limits]\ninbox_messages = 0\n", "limits.inbox_messages", "100 to"),
        ("listen = 1\n" + SMALL, "listen", "[listen]"),
        (SMALL.split("[[broker]]")[0], "broker", "[[broker]]"),
        ("[[broker]]" + SMALL.split("[[broker]]")[1], "oms", "[[oms]]"),
        (SMALL.replace("[[oms]]", "[oms]"), "oms", "two brackets"),
        (SMALL.replace('comp_id = "OMS1"\n', ""), "oms[#1].comp_id", "add it"),
        (SMALL.replace('brokers = ["BRK1"]\n', ""), "oms[OMS1].brokers", "add it"),
        (SMALL.replace('["BRK1"]', "[]"), "oms[OMS1].brokers", "comp_ids"),
        (SMALL.replace('["BRK1"]', "[1]"), "oms[OMS1].brokers", "comp_ids"),
        (SMALL.replace('["BRK1"]', '["BRK2"]'), "oms[OMS1].brokers", 'comp_id = "BRK2"'),
        (SMALL.replace('["BRK1"]', '["BRK1", "BRK1"]'), "oms[OMS1].brokers", "once"),
        (SMALL.replace('"OMS1"', '"BRK1"'), "broker[BRK1].comp_id", "its own comp_id"),
        (oms('begin_string = "FIX.4.3"'), "oms[OMS1].begin_string", "FIX.4.4"),
        (oms('begin_string = "FIX.4.2"'), "oms[OMS1].allocation_report", '"J"'),
        (oms('match = ["Text"]'), "oms[OMS1].match", "AllocID"),
        (oms('start_time = "8:00"\nend_time = "17:00:00"'), "oms[OMS1].start_time", "HH:MM:SS"),
        (oms('timezone = "Mars/Olympus"'), "oms[OMS1].timezone", "America/New_York"),
        (oms('timezone = "../etc"'), "oms[OMS1].timezone", "America/New_York"),
        (oms('allowed_addresses = ["10.0.0"]'), "oms[OMS1].allowed_addresses", "10."),
        (oms('start_time = "08:00:00"'), "oms[OMS1].end_time", "both"),
        (broker('end_time = "08:00:00"'), "broker[BRK1].start_time", "both"),
        (oms('start_time = "08:00:00"\nend_time = "08:00:00"'), "oms[OMS1].end_time", "leave both out"),
        (broker('profile = "other"'), "broker[BRK1].profile", "default"),
        (oms('heart_bt_int = 0'), "oms[OMS1].heart_bt_int", "1 to 3600"),
        (SMALL.replace("port = 9877", "port = 0"), "broker[BRK1].port", "1 to 65535"),
        (SMALL.replace("port = 9877\n", ""), "broker[BRK1].port", "add it"),
        (broker('price_decimals = 10'), "broker[BRK1].price_decimals", "0 to 9"),
        (broker('alloc_type = "9"'), "broker[BRK1].alloc_type", '"1"'),
        (broker('reconect_seconds = 9'), "broker[BRK1].reconect_seconds", "reconnect"),
        ("[gateway\n", "", "correct the line"),
    ],
)  # fmt: skip
def test_a_problem_names_key_and_remedy(place: Path, text: str, key: str, remedy: str) -> None:
    file = write(place, text)
    found = settings.problems(file)
    assert [problem.key for problem in found] == [key]
    assert remedy in found[0].remedy
    assert found[0].file == str(file)
    assert "secret" not in str(found[0])
    with pytest.raises(ConfigError) as refused:
        settings.load(file)
    assert str(refused.value) == str(found[0])


def test_all_problems_come_at_once(place: Path) -> None:
    text = SMALL.replace("9877", "99999").replace('"BRK1"]', '"BRK2"]') + "[listen]\nport = -1\nhots = 1\n[huh]\n"
    keys = {problem.key for problem in settings.problems(write(place, text))}
    assert keys == {"huh", "listen.port", "listen.hots", "broker[BRK1].port"}
    with pytest.raises(ConfigError) as refused:
        settings.load(place / "gateway.toml")
    assert len(str(refused.value).splitlines()) == 4


def test_names_that_differ_in_case_only_are_one(place: Path) -> None:
    found = settings.problems(write(place, SMALL.replace('"OMS1"', '"brk1"')))
    assert [problem.key for problem in found] == ["broker[BRK1].comp_id"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 1_000_001])
def test_unreadable_files(place: Path, content: bytes) -> None:
    file = place / "gateway.toml"
    file.write_bytes(content)
    assert len(settings.problems(file)) == 1
    assert len(settings.problems(place / "missing.toml")) == 1
    assert len(settings.problems(place)) == 1


def test_setup_lists_policy_and_accounts_together(place: Path) -> None:
    file = write(place, SMALL)
    (place / "policy.toml").write_text("ties = 1\n")
    (place / "accounts.csv").write_text("account\n")
    found = setup.problems(str(file))
    assert {Path(problem.file).name for problem in found} == {"policy.toml", "accounts.csv"}
    with pytest.raises(ConfigError, match=r"(?s)policy\.toml.*accounts\.csv"):
        setup.load(settings.load(file))


def test_a_problem_is_one_line() -> None:
    assert str(Problem("f", "k", "is x", "write y")) == "f: k: is x (write y)"
    assert str(Problem("f", "", "is x", "write y")) == "f: is x (write y)"


# ---------------------------------------------------------------- the journal's key and anchors


def journal_problems(place: Path, lines: str) -> list[tuple[str, str]]:
    file = write(place, f"[journal]\n{lines}\n{SMALL}")
    return [(problem.key, problem.text) for problem in settings.problems(str(file))]


def test_a_key_and_anchors_that_are_good(place: Path) -> None:
    (place / "journal.key").touch(0o600)
    (place / "anchor").mkdir()
    lines = 'key_file = "journal.key"\nanchor_dirs = ["anchor"]\nanchor_url = "https://log.example/add"'
    assert journal_problems(place, lines) == []
    given = settings.load(place / "gateway.toml")
    assert given.journal_key_file == place / "journal.key"
    assert given.journal_anchor_dirs == (place / "anchor",)
    assert settings.load(write(place, SMALL)).journal_key_file is None


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ('key_file = "missing.key"', "journal.key_file", "does not exist"),
        ('key_file = "policy.toml"', "journal.key_file", "others than its owner"),
        ('anchor_dirs = ["missing"]', "journal.anchor_dirs", "is no directory"),
        ('anchor_dirs = ["var"]', "journal.anchor_dirs", "is inside gateway.data_dir"),
        ('anchor_dirs = ["var/anchor"]', "journal.anchor_dirs", "is inside gateway.data_dir"),
        ('anchor_url = "ftp://log.example"', "journal.anchor_url", "ftp://log.example"),
        ('anchor_url = "https://"', "journal.anchor_url", "https://"),
        ('anchor_url = "https://me:secret@log.example"', "journal.anchor_url", "holds a name or a password"),
        ("checkpoint_seconds = 0", "journal.checkpoint_seconds", ""),
    ],
)
def test_a_key_and_anchors_that_are_wrong(place: Path, lines: str, key: str, words: str) -> None:
    (place / "var" / "anchor").mkdir(parents=True)
    (place / "policy.toml").chmod(0o644)
    ((found, problem),) = journal_problems(place, lines)
    assert found == key
    assert words in problem
    assert "secret" not in problem
