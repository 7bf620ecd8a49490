"""Alerts on their way to people: one courier for each channel, each on a thread of its own.

The outbox is the engine's state (:mod:`fixgateway.core.outbox`), hence the journal: after a crash the next run finds
there what was not delivered. A courier looks about once a second, sends what waits, and journals the outcome as an
input (:class:`~fixgateway.core.desk_inputs.NoteDelivery`); only that takes an alert out of the outbox. So an alert may
arrive twice (a crash between the sending and the note) and is never lost.

An attempt that fails is repeated a few times at once, then again and again with rests that grow to
:data:`REST_MAX_SECONDS`, for as long as the alert is not acknowledged. A message that a server refuses for what is in
it must not hold up the others: after a failure alerts go one by one, those that failed least first. Of failures the
first of an alert is journaled, later ones once in :data:`NOTE_SECONDS`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import structlog
import tenacity

from fixgateway.core.outbox import ESCALATION, MAIL, WEBHOOK, AlertRecord, waiting
from fixgateway.core.people import Person, Role
from fixgateway.errors import DeliveryError, FixgatewayError
from fixgateway.monitor.channels import Hook, Item, MailServer, mail, post

LOOK_SECONDS = 1.0
BATCH = 50
"""Most alerts of one mail or post."""
MAX_GROUPS = 20
"""Different sets of receivers served in one look; the rest waits for the next."""
TRIES = 3
"""Attempts at once, before a rest."""
FIRST_WAIT_SECONDS, REST_SECONDS, REST_MAX_SECONDS = 0.5, 5.0, 300.0
NOTE_SECONDS = 3_600.0
MINUTE_NS = 60_000_000_000
MAX_TEXT = 500
CRITICAL = "critical"

DESK = (Role.COMPLIANCE, Role.PRINCIPAL)
AUDIENCE: tuple[tuple[str, tuple[Role, ...]], ...] = (
    ("GW-1", (Role.OPERATIONS, Role.COMPLIANCE)),
    ("GW-2", (Role.OPERATIONS, Role.COMPLIANCE)),
    ("GW-612", (Role.COMPLIANCE,)),
    ("GW-83", (Role.OPERATIONS, Role.COMPLIANCE)),
    ("GW-93", (Role.OPERATIONS, Role.COMPLIANCE)),
    ("GW-94", (Role.OPERATIONS, Role.COMPLIANCE)),
    ("GW-9", DESK),
    ("GW-", (Role.OPERATIONS,)),
)
"""Beginning of a reason → the roles whose people get the alert by mail; the first that fits counts."""
CONFIDENTIAL = frozenset(("GW-919",))
"""Alerts whose words only compliance may read: what a forensic review found. Others hear that there is one."""
WITHHELD = "the words are for compliance only"

Note = Callable[[str, str, bool, str], None]
"""Journals an outcome: alert id, channel, delivered, words; returns when it is durable."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What ``[alerts]`` says, secrets included; ``name`` is the gateway's."""

    name: str
    server: MailServer | None
    hook: Hook | None
    mail_to: tuple[str, ...]
    escalate_to: tuple[str, ...]
    escalate_minutes: int
    least: str


def audience(reason: str) -> tuple[Role, ...]:
    """The roles an alert concerns."""
    return next(roles for beginning, roles in AUDIENCE if reason.startswith(beginning) or beginning == "GW-")


def receivers(fixed: Sequence[str], people: Mapping[str, Person], roles: Sequence[Role]) -> tuple[str, ...]:
    """Mail addresses: those of gateway.toml, then those of active people with one of the roles; each once."""
    found = dict.fromkeys(fixed)
    for person in list(people.values()):
        if person.active and person.email and any(role in roles for role in person.roles):
            found.setdefault(person.email)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Ports:
    """What a courier needs of the gateway.

    ``alerts`` and ``people`` are the engine's, ``synced`` is the newest durable journal record, ``now_ns`` the UTC
    clock, ``monotonic`` seconds of a clock that never steps.
    """

    alerts: Callable[[], Mapping[str, AlertRecord]]
    people: Callable[[], Mapping[str, Person]]
    synced: Callable[[], int]
    note: Note
    now_ns: Callable[[], int]
    monotonic: Callable[[], float]
    count: Callable[[str, int], None]


@dataclass(slots=True)
class _Rest:
    """A set of receivers that could not be reached: until when it is left alone, and the next rest."""

    until: float = 0.0
    seconds: float = REST_SECONDS
    failing: bool = False


@dataclass(slots=True)
class _Memory:
    """What a courier remembers between looks, all of it about alerts that wait."""

    rests: dict[tuple[str, ...], _Rest] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    noted: dict[str, float] = field(default_factory=dict)
    unnoted: dict[str, str] = field(default_factory=dict)


class Courier:
    """Delivers the alerts of one channel; see the module's theory of operation.

    Args:
        channel: ``mail``, ``webhook`` or ``escalation``.
        terms: where to, and what. ports: the gateway. log: where outcomes are told.
        stop: set when the gateway stops.
    """

    def __init__(
        self, channel: str, terms: Terms, ports: Ports, log: structlog.stdlib.BoundLogger, stop: threading.Event
    ) -> None:
        self.channel = channel
        self._terms = terms
        self._ports = ports
        self._log = log
        self._stop = stop
        self._memory = _Memory()

    def run(self) -> None:
        """Look every :data:`LOOK_SECONDS` until the gateway stops."""
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:  # whatever is wrong with one look: the next one is another chance
                self._log.error("alerts.look_failed", channel=self.channel, error=f"{type(error).__name__}: {error}")

    # ------------------------------------------------------------ one look

    def look(self) -> None:
        """Send what waits."""
        memory, now = self._memory, self._ports.monotonic()
        self._note_again()
        items = [item for item in self._waiting() if item.alert_id not in memory.unnoted]
        self._ports.count(self.channel, len(items))
        self._forget({item.alert_id for item in items})
        groups: dict[tuple[str, ...], list[Item]] = {}
        for item in items:
            groups.setdefault(self._receivers(item.alert), []).append(item)
        due = (group for group in groups.items() if memory.rests.get(group[0], _Rest()).until <= now)
        for to, group in islice(due, MAX_GROUPS):
            if self._stop.is_set():
                return
            self._deliver(to, self._next(to, group))

    def _waiting(self) -> Iterable[Item]:
        """What this channel is to deliver: durable, severe enough, and for an escalation old enough."""
        terms, synced = self._terms, self._ports.synced()
        before_ns = self._ports.now_ns() - terms.escalate_minutes * MINUTE_NS
        for alert_id, alert in waiting(self._ports.alerts(), self.channel):
            if alert.seq > synced or (terms.least == CRITICAL != alert.severity):
                continue
            if self.channel == ESCALATION and (alert.severity != CRITICAL or alert.raised_ns > before_ns):
                continue
            yield Item(alert_id, alert)

    def _receivers(self, alert: AlertRecord) -> tuple[str, ...]:
        """Mail addresses; the webhook has none but its own."""
        terms = self._terms
        if not self._by_mail:
            return ()
        if self.channel == ESCALATION:
            return receivers(terms.escalate_to, self._ports.people(), (Role.PRINCIPAL,)) or terms.mail_to
        if alert.reason in CONFIDENTIAL:
            return self._compliance() or terms.mail_to
        return receivers(terms.mail_to, self._ports.people(), audience(alert.reason))

    def _compliance(self) -> tuple[str, ...]:
        return receivers((), self._ports.people(), (Role.COMPLIANCE,))

    def _fit(self, item: Item, to: tuple[str, ...]) -> Item:
        """An alert as these receivers may read it."""
        if item.alert.reason not in CONFIDENTIAL or (self.channel == MAIL and to == self._compliance()):
            return item
        return replace(item, alert=replace(item.alert, text=WITHHELD))

    @property
    def _by_mail(self) -> bool:
        return self.channel != WEBHOOK and self._terms.server is not None

    def _next(self, to: tuple[str, ...], group: list[Item]) -> list[Item]:
        """What to send now: one after a failure, else a batch; always those that failed least."""
        tries = self._memory.tries
        least = min(tries.get(item.alert_id, 0) for item in group)
        rest = self._memory.rests.get(to)
        most = 1 if rest is not None and rest.failing else BATCH
        return [item for item in group if tries.get(item.alert_id, 0) == least][:most]

    # ------------------------------------------------------------ one delivery

    def _deliver(self, to: tuple[str, ...], items: list[Item]) -> None:
        rests, rest = self._memory.rests, self._memory.rests.setdefault(to, _Rest())
        try:
            words = self._attempts()(self._send, to, [self._fit(item, to) for item in items])
        except DeliveryError as error:
            self._failed(items, rest, str(error)[:MAX_TEXT])
            return
        del rests[to]
        for item in items:
            self._memory.unnoted[item.alert_id] = words[:MAX_TEXT]
        self._log.info("alerts.delivered", channel=self.channel, alerts=len(items), text=words)
        self._note_again()

    def _attempts(self) -> tenacity.Retrying:
        """A few attempts at once; a stop of the gateway ends the waiting between them."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(DeliveryError),
            stop=tenacity.stop_any(tenacity.stop_after_attempt(TRIES), tenacity.stop_when_event_set(self._stop)),
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT_SECONDS),
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )

    def _send(self, to: tuple[str, ...], items: Sequence[Item]) -> str:
        terms, escalated = self._terms, self.channel == ESCALATION
        if self._by_mail and terms.server is not None:
            return mail(terms.server, terms.name, to, items, escalated=escalated)
        if terms.hook is None:
            raise DeliveryError(f"no way to deliver by {self.channel}")
        return post(terms.hook, terms.name, items, self._ports.now_ns() // 1_000_000_000, escalated=escalated)

    def _failed(self, items: Sequence[Item], rest: _Rest, words: str) -> None:
        """Leave these receivers alone for a while; say so in log and journal, not too often."""
        memory, now = self._memory, self._ports.monotonic()
        rest.until, rest.failing = now + rest.seconds, True
        rest.seconds = min(rest.seconds * 2, REST_MAX_SECONDS)
        self._log.warning("alerts.not_delivered", channel=self.channel, alerts=len(items), error=words)
        for item in items:
            name = item.alert_id
            memory.tries[name] = memory.tries.get(name, 0) + 1
            if name not in memory.noted or now - memory.noted[name] >= NOTE_SECONDS:
                memory.noted[name] = now
                self._note(name, False, words)

    # ------------------------------------------------------------ notes

    def _note_again(self) -> None:
        """Journal what was delivered; what could not be journaled stays for the next look, and is not sent again."""
        for alert_id, words in list(self._memory.unnoted.items()):
            if not self._note(alert_id, True, words):
                return
            del self._memory.unnoted[alert_id]

    def _note(self, alert_id: str, delivered: bool, words: str) -> bool:
        try:
            self._ports.note(alert_id, self.channel, delivered, words)
        except FixgatewayError as error:
            self._log.error("alerts.not_noted", channel=self.channel, alert_id=alert_id, error=str(error))
            return False
        return True

    def _forget(self, there: set[str]) -> None:
        """Drop what is remembered of alerts that wait no more."""
        for remembered in (self._memory.tries, self._memory.noted):
            for alert_id in remembered.keys() - there:
                del remembered[alert_id]
        if not there:
            self._memory.rests.clear()


def channels(terms: Terms) -> tuple[str, ...]:
    """The channels there are."""
    found = [MAIL] if terms.server else []
    found += [WEBHOOK] if terms.hook else []
    if found and terms.escalate_minutes:
        found.append(ESCALATION)
    return tuple(found)
