"""[alerts] of gateway.toml: what is wrong is said by key; secrets come from files or the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from fixgateway.config import alerts
from fixgateway.config.alerts import Alerts

MAIL = {"smtp_host": "mail.example.com", "mail_from": "gw@example.com", "mail_to": ["ops@example.com"]}
HOOK = {"webhook_url": "https://hooks.example.com/x", "webhook_secret_file": "hook"}
SECRET = "sixteen letters!"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("hook", "smtp"):
        (tmp_path / name).write_text(f"{SECRET}\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path / "gateway.toml"


def found(file: Path, **keys: Any) -> list[tuple[str, str]]:
    return [(x.key, x.text) for x in alerts.checks(file, Alerts.model_validate(keys))]


def test_nothing_and_everything_are_good(file: Path) -> None:
    assert found(file) == []
    assert found(file, **MAIL, **HOOK, smtp_user="gw", smtp_password_file="smtp", smtp_tls="tls") == []


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({**MAIL, "mail_from": ""}, "alerts.mail_from"),
        ({**MAIL, "mail_to": []}, "alerts.mail_to"),
        ({**MAIL, "smtp_user": "gw", "smtp_tls": "none"}, "alerts.smtp_tls"),
        ({**MAIL, "smtp_password_file": "missing"}, "alerts.smtp_password_file"),
        ({**HOOK, "webhook_secret_file": "missing"}, "alerts.webhook_secret_file"),
        ({"webhook_url": "https://hooks.example.com/x"}, "alerts.webhook_secret_file"),
        ({**HOOK, "webhook_url": "https://me:word@hooks.example.com/x"}, "alerts.webhook_url"),
    ],
)
def test_what_is_wrong_is_said_by_key(
    file: Path, keys: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(alerts.WEBHOOK_SECRET, raising=False)
    assert [x for x, _ in found(file, **keys)] == [key]


@pytest.mark.parametrize(
    "keys",
    [
        {"mail_to": ["no address"]},
        {"mail_to": ["a@b.c\nBcc: d@e.f"]},
        {"webhook_url": "file:///etc/passwd"},
        {"smtp_port": 0},
        {"least": "info"},
        {"escalate_minutes": -1},
        {"smtp_password": "in the file"},
    ],
)
def test_what_is_no_value_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Alerts.model_validate(keys)


def test_a_secret_others_can_read_is_refused(file: Path) -> None:
    (file.parent / "hook").chmod(0o640)
    assert [x for x, _ in found(file, **HOOK)] == ["alerts.webhook_secret_file"]


def test_a_short_secret_is_refused_and_one_of_the_environment_is_taken(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file.parent / "hook").write_text("short")
    assert [x for x, _ in found(file, **HOOK)] == ["alerts.webhook_secret_file"]
    monkeypatch.setenv(alerts.WEBHOOK_SECRET, SECRET)
    assert found(file, webhook_url="http://127.0.0.1/x") == []


def test_a_file_counts_before_the_environment(file: Path) -> None:
    assert alerts.secret(file.parent, "smtp", alerts.SMTP_PASSWORD, {alerts.SMTP_PASSWORD: "other"}) == SECRET
    assert alerts.secret(file.parent, "", alerts.SMTP_PASSWORD, {alerts.SMTP_PASSWORD: "other"}) == "other"
    assert alerts.secret(file.parent, "", alerts.SMTP_PASSWORD, {}) == ""
