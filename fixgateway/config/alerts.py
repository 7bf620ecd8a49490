"""``[alerts]`` of gateway.toml: who is told, by mail and webhook, and after how long somebody else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from fixgateway.config.keys import Table, Words, setting
from fixgateway.config.problems import Problem

SMTP_PASSWORD, WEBHOOK_SECRET = "FIXGATEWAY_SMTP_PASSWORD", "FIXGATEWAY_WEBHOOK_SECRET"
"""Environment variables that hold the secrets where no file is named."""
MIN_SECRET = 16
"""Fewest characters of the webhook's secret."""
_ADDRESS = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,190}")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _ADDRESS.fullmatch(value):
            raise ValueError(f"{value} is no mail address")
    return values


def _url(url: str) -> str:
    if url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no address")
    return url


Addresses = Annotated[Words, AfterValidator(_addresses)]


class Alerts(Table):
    """Who is told of alerts."""

    smtp_host: str = setting(
        "", 'mail server alerts are sent through; "": no mail', "an IP address or host name",
        pattern=r"^[A-Za-z0-9._:-]{0,253}$",
    )  # fmt: skip
    smtp_port: int = setting(25, "port of the mail server", "a number from 1 to 65535", ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = setting(
        "starttls",
        "starttls: encrypted after the greeting; tls: from the first byte; none: in the clear, without a user",
        '"starttls", "tls" or "none"',
    )
    smtp_user: str = setting("", 'name at the mail server; "": none', "a name")
    smtp_password_file: str = setting(
        "",
        f'its password, relative to this file; "": from the environment, {SMTP_PASSWORD}',
        "a file that only the gateway's user can read",
    )
    mail_from: str = setting("", "sender of the mails; required with smtp_host", "a mail address")
    mail_to: Addresses = setting(
        (),
        "who gets every alert, besides the people whose role it concerns; required with smtp_host",
        'a list of mail addresses, for example ["ops@example.com"]',
    )
    webhook_url: Annotated[str, AfterValidator(_url)] = setting(
        "", 'address alerts are posted to as JSON; "": none', "an address that begins with http:// or https://"
    )
    webhook_secret_file: str = setting(
        "",
        "secret the posts are signed with (HMAC-SHA256), relative to this file; "
        f'"": from the environment, {WEBHOOK_SECRET}',
        f"a file that only the gateway's user can read, with at least {MIN_SECRET} characters",
    )
    least: Literal["warning", "critical"] = setting(
        "warning", "least severe alerts delivered; all are kept and shown", '"warning" or "critical"'
    )
    escalate_minutes: int = setting(
        60,
        "critical alerts nobody has acknowledged after this are sent once more, to escalate_to; 0: never",
        "a number from 0 to 10080",
        ge=0,
        le=10_080,
    )
    escalate_to: Addresses = setting(
        (),
        "who gets what was not acknowledged, besides everybody with role principal; by webhook where there is no mail",
        'a list of mail addresses, for example ["head@example.com"]',
    )
    clock_limit_ms: int = setting(
        0,
        "how far the machine's clock may be from UTC; beyond it, and when no time service keeps it, people are told "
        "(GW-946); 0: not looked at",
        "a number of milliseconds from 0 to 60000",
        ge=0,
        le=60_000,
    )


def secret(base: Path, name: str, variable: str, environment: Mapping[str, str] | None = None) -> str:
    """A secret from the file ``name`` beside gateway.toml, else from the environment; "" when there is none."""
    if name:
        return (base / name).read_text(encoding="utf-8", errors="replace").strip()
    return (os.environ if environment is None else environment).get(variable, "")


def checks(file: Path, alerts: Alerts) -> Iterator[Problem]:
    """What several keys of ``[alerts]`` together can be wrong about."""
    where = str(file)
    if alerts.smtp_host:
        yield from _mail_checks(where, alerts)
    for key, name in (
        ("smtp_password_file", alerts.smtp_password_file),
        ("webhook_secret_file", alerts.webhook_secret_file),
    ):
        yield from _file_checks(where, f"alerts.{key}", file.parent / name if name else None)
    if alerts.webhook_url:
        yield from _hook_checks(file, alerts)


def _mail_checks(where: str, alerts: Alerts) -> Iterator[Problem]:
    if not _ADDRESS.fullmatch(alerts.mail_from):
        yield Problem(where, "alerts.mail_from", "is no mail address", 'write one such as "fixgateway@example.com"')
    if not alerts.mail_to:
        yield Problem(where, "alerts.mail_to", "is missing", "name at least one address that gets every alert")
    if alerts.smtp_user and alerts.smtp_tls == "none" and alerts.smtp_host not in _LOCAL:
        text = "none would send the password of smtp_user in the clear"
        yield Problem(where, "alerts.smtp_tls", text, 'write "starttls" or "tls"')


def _file_checks(where: str, key: str, path: Path | None) -> Iterator[Problem]:
    if path is None:
        return
    if not path.is_file():
        yield Problem(where, key, f"{path} does not exist", "create it or correct the path")
    elif not os.access(path, os.R_OK):
        yield Problem(where, key, f"{path} cannot be read", "give it to the gateway's user")
    elif path.stat().st_mode & 0o077:
        yield Problem(where, key, f"{path} can be used by others than its owner", f"chmod 0600 {path}")


def _hook_checks(file: Path, alerts: Alerts) -> Iterator[Problem]:
    if urlsplit(alerts.webhook_url).username is not None:
        remedy = "leave it out; the signature says who posts"
        yield Problem(str(file), "alerts.webhook_url", "holds a name or a password", remedy)
    name = alerts.webhook_secret_file
    if name and not os.access(file.parent / name, os.R_OK):
        return  # said already
    if len(secret(file.parent, name, WEBHOOK_SECRET)) < MIN_SECRET:
        text = f"the webhook's secret is missing or has fewer than {MIN_SECRET} characters"
        remedy = f"name a file that holds one, or set {WEBHOOK_SECRET} in the environment"
        yield Problem(str(file), "alerts.webhook_secret_file", text, remedy)
