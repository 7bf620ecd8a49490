"""Alerts reach people: through a real mail server and a real webhook, also when those are down for a while."""

from __future__ import annotations

import hmac
import json
import socket
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest
import structlog
from live import HOST, free_port
from receivers import Hooks, Mailbox

from fixgateway.core.outbox import AlertRecord
from fixgateway.core.people import Person, Role
from fixgateway.errors import FixgatewayError
from fixgateway.monitor import delivery
from fixgateway.monitor.channels import DELIVERY, SIGNATURE, Hook, Item, MailServer, signature, subject
from fixgateway.monitor.delivery import Courier, Ports, Terms

SECRET = "sixteen letters and more"
MINUTE_NS = 60_000_000_000


def alert(seq: int = 1, reason: str = "GW-806", severity: str = "critical", text: str = "rejected") -> AlertRecord:
    return AlertRecord(seq, reason, severity, f"A{seq}", text, "20261123", 1_000 * MINUTE_NS, 1_000 * MINUTE_NS)


@dataclass
class Gateway:
    """What a courier sees of the gateway: the outbox, and notes that take out of it."""

    alerts: dict[str, AlertRecord] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    notes: list[tuple[str, str, bool, str]] = field(default_factory=list)
    synced: int = 1_000_000
    now_ns: int = 1_001 * MINUTE_NS
    seconds: float = 0.0
    waiting: dict[str, int] = field(default_factory=dict)
    deaf: bool = False

    def note(self, alert_id: str, channel: str, delivered: bool, text: str) -> None:
        if self.deaf:
            raise FixgatewayError("the gateway did not answer in 30 seconds")
        self.notes.append((alert_id, channel, delivered, text))
        if delivered and alert_id in self.alerts:
            self.alerts[alert_id].delivered.append(channel)

    def put(self, *alerts: AlertRecord) -> None:
        self.alerts |= {f"A-{x.seq}-0": x for x in alerts}

    def courier(self, channel: str, **more: Any) -> Courier:
        fields: dict[str, Any] = {
            "name": "FIXGW", "server": None, "hook": None, "mail_to": ("ops@example.com",), "escalate_to": (),
            "escalate_minutes": 60, "least": "warning",
        }  # fmt: skip
        ports = Ports(
            alerts=lambda: self.alerts,
            people=lambda: self.people,
            synced=lambda: self.synced,
            note=self.note,
            now_ns=lambda: self.now_ns,
            monotonic=lambda: self.seconds,
            count=self.waiting.__setitem__,
        )
        log: structlog.stdlib.BoundLogger = structlog.get_logger()
        return Courier(channel, Terms(**fields | more), ports, log, threading.Event())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_WAIT_SECONDS", 0.01)


def server(port: int, **more: Any) -> MailServer:
    fields: dict[str, Any] = {"host": HOST, "port": port, "tls": "none", "user": "", "password": ""}
    return MailServer(**fields | {"sender": "gw@example.com"} | more)


# ---------------------------------------------------------------- mail


def test_an_alert_is_mailed_once_and_noted() -> None:
    gateway = Gateway()
    gateway.put(alert(7, text="BRK1: allocation\r\nBcc: everybody@example.com"))
    with Mailbox(free_port()) as box:
        courier = gateway.courier("mail", server=server(box.port))
        courier.look()
        courier.look()
        assert box.receivers == [["ops@example.com"]]
        (mail,) = box.mails
        assert mail["Subject"] == "[FIXGW] critical GW-806 A7: BRK1: allocation  Bcc: everybody@example.com"
        assert mail["Bcc"] is None
        assert mail["Message-ID"] == f"<alert.A-7-0.1.{1_000 * MINUTE_NS}@example.com>"
        assert "A-7-0  critical  GW-806  A7" in box.text()
        assert "fixgateway alert ack A-7-0" in box.text()
    assert gateway.notes == [("A-7-0", "mail", True, "mail to ops@example.com")]
    assert gateway.waiting == {"mail": 0}


def test_people_get_what_concerns_their_role() -> None:
    gateway = Gateway()
    gateway.people = {
        "cco": Person("cco", "C", (Role.COMPLIANCE,), True, "cco@example.com"),
        "gone": Person("gone", "G", (Role.COMPLIANCE,), False, "gone@example.com"),
        "head": Person("head", "H", (Role.PRINCIPAL,), True, "head@example.com"),
        "olga": Person("olga", "O", (Role.OPERATIONS,), True, "olga@example.com"),
        "tina": Person("tina", "T", (Role.TRADER,), True, "tina@example.com"),
        "mute": Person("mute", "M", (Role.COMPLIANCE,)),
    }
    gateway.put(alert(1, "GW-901"), alert(2, "GW-806"), alert(3, "GW-101", "warning"), alert(4, "GW-934"))
    with Mailbox(free_port()) as box:
        gateway.courier("mail", server=server(box.port)).look()
        got = {mail["Subject"].split()[2]: set(to) for mail, to in zip(box.mails, box.receivers, strict=True)}
    assert got["GW-901"] == {"ops@example.com", "cco@example.com", "head@example.com"}
    assert got["GW-806"] == {"ops@example.com", "olga@example.com"}
    both = {"ops@example.com", "cco@example.com", "olga@example.com"}
    assert [to for subject_, to in got.items() if subject_ not in ("GW-901", "GW-806")] == [both]


def test_what_a_review_found_is_read_by_compliance_only() -> None:
    gateway = Gateway(now_ns=2_000 * MINUTE_NS)
    gateway.people = {
        "cco": Person("cco", "C", (Role.COMPLIANCE,), True, "cco@example.com"),
        "head": Person("head", "H", (Role.PRINCIPAL,), True, "head@example.com"),
    }
    gateway.put(alert(1, "GW-919", text="red: PROP gains"))
    port = free_port()
    with Mailbox(free_port()) as box, Hooks(port) as hooks:
        gateway.courier("mail", server=server(box.port)).look()
        assert (box.receivers, "PROP gains" in box.text()) == ([["cco@example.com"]], True)
        gateway.courier("escalation", server=server(box.port)).look()
        assert (box.receivers[1], "PROP gains" in box.text(1)) == (["head@example.com"], False)
        gateway.courier("webhook", hook=Hook(f"http://{HOST}:{port}/", SECRET)).look()
        assert json.loads(hooks.posts[0][1])["alerts"][0]["text"] == delivery.WITHHELD
        gateway.people.clear()
        gateway.put(alert(2, "GW-919", text="red: PROP gains"))
        gateway.courier("mail", server=server(box.port)).look()
        assert (box.receivers[2], "PROP gains" in box.text(2)) == (["ops@example.com"], False)
        assert all("PROP gains" not in mail["Subject"] for mail in box.mails[1:])


def test_many_alerts_are_few_mails() -> None:
    gateway = Gateway()
    gateway.put(*(alert(n) for n in range(1, 121)))
    with Mailbox(free_port()) as box:
        courier = gateway.courier("mail", server=server(box.port))
        for _ in range(3):
            courier.look()
        assert [mail["Subject"].split()[1] for mail in box.mails] == ["50", "50", "20"]
    assert len(gateway.notes) == 120


def test_a_mail_server_that_is_down_loses_nothing_and_is_asked_less_and_less() -> None:
    gateway = Gateway()
    gateway.put(alert(1))
    port = free_port()
    courier = gateway.courier("mail", server=server(port))
    courier.look()
    assert [(x[1], x[2]) for x in gateway.notes] == [("mail", False)]
    assert f"127.0.0.1:{port}" in gateway.notes[0][3]
    with Mailbox(port) as box:
        gateway.seconds = delivery.REST_SECONDS - 1
        courier.look()
        assert box.mails == []  # it rests
        gateway.seconds = delivery.REST_SECONDS
        courier.look()
        assert len(box.mails) == 1
    assert gateway.notes[-1][2] is True


def test_a_long_outage_is_journaled_once_an_hour_not_every_attempt() -> None:
    gateway = Gateway()
    gateway.put(alert(1), alert(2))
    courier = gateway.courier("mail", server=server(free_port()))
    for _ in range(30):  # rests of 5, 10, 20 … 300 seconds: a good two hours
        gateway.seconds += delivery.REST_MAX_SECONDS
        courier.look()
    assert gateway.seconds == 9_000
    assert len([x for x in gateway.notes if x[0] == "A-1-0"]) == 3
    assert all(not delivered for _, _, delivered, _ in gateway.notes)


def test_one_message_the_server_will_not_have_holds_up_no_other() -> None:
    gateway = Gateway()
    gateway.put(alert(1, text="POISON"), *(alert(n) for n in range(2, 12)))
    with Mailbox(free_port(), refuse="POISON") as box:
        courier = gateway.courier("mail", server=server(box.port))
        for _ in range(6):
            gateway.seconds += delivery.REST_MAX_SECONDS
            courier.look()
        assert sum("POISON" not in box.text(n) for n in range(len(box.mails))) == len(box.mails)
    delivered = {name for name, _, done, _ in gateway.notes if done}
    assert delivered == {f"A-{n}-0" for n in range(2, 12)}
    assert gateway.alerts["A-1-0"].delivered == []


def test_a_receiver_that_is_refused_does_not_keep_it_from_the_others() -> None:
    gateway = Gateway()
    gateway.put(alert(1))
    with Mailbox(free_port(), unknown=("left@example.com",)) as box:
        to = ("ops@example.com", "left@example.com")
        gateway.courier("mail", server=server(box.port), mail_to=to).look()
        assert box.receivers == [["ops@example.com"]]
    assert gateway.notes == [("A-1-0", "mail", True, "mail to ops@example.com; refused for left@example.com")]


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_server_that_wants_a_password_gets_it_and_a_wrong_one_is_no_delivery() -> None:
    gateway = Gateway()
    gateway.put(alert(1))
    with Mailbox(free_port(), auth=("gw", "right")) as box:
        gateway.courier("mail", server=server(box.port, user="gw", password="wrong")).look()
        assert box.mails == []
        gateway.courier("mail", server=server(box.port, user="gw", password="right")).look()
        assert len(box.mails) == 1
    assert [x[2] for x in gateway.notes] == [False, True]
    assert "wrong" not in gateway.notes[0][3]


def test_without_starttls_at_the_server_nothing_is_sent_in_the_clear() -> None:
    gateway = Gateway()
    gateway.put(alert(1))
    with Mailbox(free_port()) as box:
        gateway.courier("mail", server=server(box.port, tls="starttls")).look()
        assert box.mails == []
    assert gateway.notes[0][2] is False
    assert "STARTTLS" in gateway.notes[0][3]


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixgateway.monitor.channels.TIMEOUT_SECONDS", 0.2)
    gateway = Gateway()
    gateway.put(alert(1))
    with socket.create_server((HOST, 0)) as silent:
        gateway.courier("mail", server=server(silent.getsockname()[1])).look()
    assert gateway.notes[0][2] is False


# ---------------------------------------------------------------- webhook


def test_a_post_is_signed_so_that_the_receiver_can_check_it() -> None:
    gateway = Gateway()
    gateway.put(alert(3, text="caf\u00e9 \udc80"))
    port = free_port()
    with Hooks(port) as hooks:
        gateway.courier("webhook", hook=Hook(f"http://{HOST}:{port}/in", SECRET)).look()
        ((headers, body),) = hooks.posts
    seconds = gateway.now_ns // 1_000_000_000
    mac = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, sha256).hexdigest()
    assert headers[SIGNATURE.lower()] == f"t={seconds},sha256={mac}"
    assert headers[DELIVERY.lower()] == "A-3-0-1"
    (told,) = json.loads(body)["alerts"]
    assert (told["alert_id"], told["reason"], told["severity"]) == ("A-3-0", "GW-806", "critical")
    assert (told["subject"], told["count"], told["escalated"]) == ("A3", 1, False)
    assert told["text"].startswith("café")
    assert told["raised_at"] == "1970-01-01T16:40:00.000000Z"
    assert gateway.notes == [("A-3-0", "webhook", True, f"webhook http://{HOST}:{port} answered 200")]


def test_the_signature_of_a_known_message() -> None:
    """HMAC-SHA256 as RFC 4231 has it in test case 2, with the time before the text."""
    assert hmac.new(b"Jefe", b"what do ya want for nothing?", sha256).hexdigest() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
    whole = hmac.new(b"Jefe", b"12.what do ya want for nothing?", sha256).hexdigest()
    assert signature("Jefe", 12, b"what do ya want for nothing?") == f"t=12,sha256={whole}"


@pytest.mark.parametrize("status", [302, 400, 500, 503])
def test_only_2xx_is_a_delivery_and_no_redirection_is_followed(status: int) -> None:
    gateway = Gateway()
    gateway.put(alert(1))
    port = free_port()
    with Hooks(port, status) as hooks:
        courier = gateway.courier("webhook", hook=Hook(f"http://{HOST}:{port}/secret-path", SECRET))
        courier.look()
        assert len(hooks.posts) == delivery.TRIES
        assert gateway.notes == [("A-1-0", "webhook", False, f"webhook http://{HOST}:{port} answered {status}")]
        hooks.status = 204
        gateway.seconds = delivery.REST_SECONDS
        courier.look()
    assert gateway.notes[-1][2] is True


# ---------------------------------------------------------------- what waits


def test_nothing_is_sent_before_it_is_durable() -> None:
    gateway = Gateway(synced=6)
    gateway.put(alert(7))
    with Mailbox(free_port()) as box:
        courier = gateway.courier("mail", server=server(box.port))
        courier.look()
        assert box.mails == []
        gateway.synced = 7
        courier.look()
        assert len(box.mails) == 1


def test_warnings_are_kept_back_where_only_critical_ones_are_wanted() -> None:
    gateway = Gateway()
    gateway.put(alert(1, severity="warning"), alert(2))
    with Mailbox(free_port()) as box:
        gateway.courier("mail", server=server(box.port), least="critical").look()
        assert [x[0] for x in gateway.notes] == ["A-2-0"]


def test_what_could_not_be_noted_is_noted_later_and_not_sent_again() -> None:
    gateway = Gateway(deaf=True)
    gateway.put(alert(1))
    with Mailbox(free_port()) as box:
        courier = gateway.courier("mail", server=server(box.port))
        courier.look()
        courier.look()
        gateway.deaf = False
        courier.look()
        assert len(box.mails) == 1
    assert [x[2] for x in gateway.notes] == [True]


def test_a_critical_alert_nobody_acknowledges_is_sent_once_more_to_others() -> None:
    gateway = Gateway(now_ns=1_000 * MINUTE_NS + 60 * MINUTE_NS - 1)
    gateway.people = {"head": Person("head", "H", (Role.PRINCIPAL,), True, "head@example.com")}
    gateway.put(alert(1), alert(2, severity="warning"))
    with Mailbox(free_port()) as box:
        courier = gateway.courier("escalation", server=server(box.port), escalate_to=("boss@example.com",))
        courier.look()
        assert box.mails == []
        gateway.now_ns += 1
        courier.look()
        courier.look()
        assert box.receivers == [["boss@example.com", "head@example.com"]]
        assert box.mails[0]["Subject"] == "[FIXGW] NOT ACKNOWLEDGED critical GW-806 A1: rejected"
    assert [(x[0], x[1]) for x in gateway.notes] == [("A-1-0", "escalation")]


def test_without_mail_the_escalation_goes_to_the_webhook() -> None:
    gateway = Gateway(now_ns=2_000 * MINUTE_NS)
    gateway.put(alert(1))
    port = free_port()
    with Hooks(port) as hooks:
        gateway.courier("escalation", hook=Hook(f"http://{HOST}:{port}/", SECRET)).look()
        ((headers, body),) = hooks.posts
    assert json.loads(body)["alerts"][0]["escalated"] is True
    assert headers[DELIVERY.lower()] == "escalated-A-1-0-1"


def test_a_subject_is_one_line_of_bounded_length() -> None:
    record = alert(1, text="x" * 1_000 + "\n")
    assert len(subject("FIXGW", [Item("A-1-0", record)], escalated=False)) == 150
