"""How an alert leaves: as a mail, or as a signed post to a webhook. One attempt; whoever calls repeats it.

Webhook posts are JSON; ``X-Fixgateway-Signature: t=SECONDS,sha256=HEX`` is HMAC-SHA256 under the shared secret over
``SECONDS.BODY``, so that a receiver can tell who posts, that nothing was changed, and that it is not an old post
played again. ``X-Fixgateway-Delivery`` is the same when a post is repeated: receivers keep the first.
"""

from __future__ import annotations

import hmac
import json
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from hashlib import sha256
from typing import Any

import httpx

from fixgateway.core.outbox import AlertRecord
from fixgateway.errors import DeliveryError

TIMEOUT_SECONDS = 10.0
"""How long a mail server or webhook may take for a step."""
SIGNATURE, DELIVERY = "X-Fixgateway-Signature", "X-Fixgateway-Delivery"
MAX_SUBJECT = 150
"""Characters of a mail's subject."""
_LONG_LINES = policy.SMTP.clone(max_line_length=500)  # a subject stays in one line


@dataclass(frozen=True, slots=True)
class Item:
    """An alert to be delivered: its id and what the state keeps of it."""

    alert_id: str
    alert: AlertRecord


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go in, and as whom; ``tls`` is ``starttls``, ``tls`` or ``none``."""

    host: str
    port: int
    tls: str
    user: str
    password: str
    sender: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook and the secret its receiver shares with the gateway."""

    url: str
    secret: str


# ---------------------------------------------------------------- words


def printable(text: str, most: int) -> str:
    """Text that fits into a header: one line, nothing but printable characters."""
    return "".join(x if x.isprintable() else " " for x in text)[:most]


def utc_text(ts_ns: int) -> str:
    """UTC nanoseconds as ISO 8601 with microseconds."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000:06d}Z"


def subject(name: str, items: Sequence[Item], *, escalated: bool) -> str:
    """A mail's subject: the alert, or how many there are and the first."""
    first = items[0].alert
    words = f"{first.reason} {first.subject}: {first.text}"
    if len(items) > 1:
        critical = sum(1 for item in items if item.alert.severity == "critical")
        words = f"{len(items)} alerts, {critical} critical: {words}"
    else:
        words = f"{first.severity} {words}"
    return printable(f"[{name}] {'NOT ACKNOWLEDGED ' if escalated else ''}{words}", MAX_SUBJECT)


def body(items: Sequence[Item]) -> str:
    """A mail's text."""
    parts = []
    for item in items:
        alert = item.alert
        times = f", {alert.count} times until {utc_text(alert.last_ns)}" if alert.count > 1 else ""
        head = f"{item.alert_id}  {alert.severity}  {alert.reason}  {alert.subject}"
        parts.append(f"{head}\n{utc_text(alert.raised_ns)}{times}\n{alert.text}\n")
    parts.append(f'To acknowledge: fixgateway alert ack {items[0].alert_id} --text "what is done about it"\n')
    return "\n".join(parts)


def document(name: str, items: Sequence[Item], *, escalated: bool) -> bytes:
    """A webhook post's body."""
    alerts = [
        {
            "alert_id": item.alert_id,
            "reason": item.alert.reason,
            "severity": item.alert.severity,
            "subject": item.alert.subject,
            "text": item.alert.text,
            "count": item.alert.count,
            "raised_at": utc_text(item.alert.raised_ns),
            "escalated": escalated,
        }
        for item in items
    ]
    whole: Mapping[str, Any] = {"gateway": name, "alerts": alerts}
    return json.dumps(whole, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def signature(secret: str, seconds: int, posted: bytes) -> str:
    """The value of :data:`SIGNATURE` for a body posted at ``seconds`` (UTC)."""
    mac = hmac.new(secret.encode("utf-8"), b"%d." % seconds + posted, sha256)
    return f"t={seconds},sha256={mac.hexdigest()}"


# ---------------------------------------------------------------- sending


def mail(server: MailServer, name: str, to: Sequence[str], items: Sequence[Item], *, escalated: bool) -> str:
    """Send one mail; returns whom it was accepted for.

    Raises:
        DeliveryError: the server is not there, or took it for nobody.
    """
    message = EmailMessage(_LONG_LINES)
    message["From"], message["To"] = server.sender, ", ".join(to)
    message["Subject"] = subject(name, items, escalated=escalated)
    domain = server.sender.rpartition("@")[2]
    # The same when it is sent twice (a crash between the sending and the note of it): mail programs show it once.
    kind = "escalated" if escalated else "alert"
    message["Message-ID"] = f"<{kind}.{items[0].alert_id}.{len(items)}.{items[0].alert.raised_ns}@{domain}>"
    message.set_content(body(items).encode("utf-8", "replace").decode("utf-8"))
    try:
        refused = _hand_over(server, message, to)
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        words = printable(f"{type(error).__name__}: {error}", 300)
        raise DeliveryError(f"mail server {server.host}:{server.port}: {words}") from None
    took = [address for address in to if address not in refused]
    more = f"; refused for {', '.join(sorted(refused))}" if refused else ""
    return f"mail to {', '.join(took)}{more}"


def _hand_over(server: MailServer, message: EmailMessage, to: Sequence[str]) -> Mapping[str, Any]:
    """Give a message to the server; returns the addresses it refused."""
    with _connect(server) as connection:
        if server.tls == "starttls":
            connection.starttls(context=ssl.create_default_context())
        if server.user:
            connection.login(server.user, server.password)
        return connection.send_message(message, server.sender, list(to))


def _connect(server: MailServer) -> smtplib.SMTP:
    if server.tls == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_SECONDS, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)


def post(hook: Hook, name: str, items: Sequence[Item], seconds: int, *, escalated: bool) -> str:
    """Post alerts to a webhook; returns how it answered. Redirections are not followed.

    Raises:
        DeliveryError: nobody there, or another answer than 2xx.
    """
    posted = document(name, items, escalated=escalated)
    headers = {
        "Content-Type": "application/json",
        SIGNATURE: signature(hook.secret, seconds, posted),
        DELIVERY: f"{'escalated-' if escalated else ''}{items[0].alert_id}-{len(items)}",
    }
    try:
        # The answer's body is not read: it says nothing, and may be endless.
        with httpx.stream(
            "POST", hook.url, content=posted, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as answer:
            status, good = answer.status_code, answer.is_success
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        words = printable(f"{type(error).__name__}: {error}", 300)
        raise DeliveryError(f"webhook {_place(hook)}: {words}") from None
    if not good:
        raise DeliveryError(f"webhook {_place(hook)} answered {status}")
    return f"webhook {_place(hook)} answered {status}"


def _place(hook: Hook) -> str:
    """The webhook without what its address may hold of secrets: scheme and host."""
    return "/".join(hook.url.split("/")[:3])
