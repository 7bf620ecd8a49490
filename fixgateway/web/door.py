"""The door: finds out who a request is from before any handler sees it, and refuses what comes from nobody.

From the first recorded person on, every request but those of :data:`OPEN` needs a session's cookie, a token, or a
name given by a trusted proxy. Before that the gateway is being set up and everybody who reaches it may act; where it
can be reached from elsewhere, only this machine may.

A page in somebody's browser cannot act in their name: requests that change something and carry a cookie (or come as
a form) need the value of ``csrf`` that only our own pages know, and no foreign Origin.
"""

from __future__ import annotations

import hmac
import html
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qs, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fixgateway.config.tables import is_loopback
from fixgateway.core.desk_inputs import DeskInput, NoteAccess
from fixgateway.core.people import Person
from fixgateway.web.accesses import Accesses
from fixgateway.web.answers import problem
from fixgateway.web.credentials import Credentials, SignedIn, Verdict, weakness
from fixgateway.web.guard import API, FORM_TYPE
from fixgateway.web.identity import MACHINE, Identity
from fixgateway.web.port import OperateOutcome

OPEN = ("/healthz", "/readyz", "/metrics")
"""What anybody may ask for, besides static files."""
STATIC = "/static/"
SIGN_IN_PATHS = ("/sign-in", "/api/sign-in", "/api/password")
"""What is there for people who are not signed in yet."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_FIELDS_MAX = 10_000


class Denied(str):
    """Why somebody does not come in, in words.

    Attributes:
        must_change: the password is right and good for choosing one's own, nothing else.
        locked: the name is locked.
    """

    must_change: bool
    locked: bool

    def __new__(cls, words: str, *, must_change: bool = False, locked: bool = False) -> Denied:
        """The words, and what kind they are of."""
        made = super().__new__(cls, words)
        made.must_change, made.locked = must_change, locked
        return made


class DoorPort(Protocol):
    """What the door needs of the running gateway."""

    def people(self) -> Mapping[str, Person]:
        """Everybody recorded, by id."""
        ...

    def act(self, make: Callable[[int, int], DeskInput]) -> OperateOutcome:
        """An input whose decision is waited for."""
        ...

    def note(self, make: Callable[[int, int], DeskInput]) -> None:
        """An input that nobody waits for."""
        ...


@dataclass(frozen=True, slots=True)
class DoorTerms:
    """Where the door stands.

    Attributes:
        reachable: other machines can reach it, by themselves or through a proxy.
        secure: people reach it by TLS, so cookies travel by TLS only.
        proxies: addresses of proxies whose headers are believed.
        user_header: the header in which a proxy names the person it has authenticated, "" for none.
        hosts: names besides Host that may stand in Origin.
    """

    reachable: bool = False
    secure: bool = False
    proxies: tuple[str, ...] = ()
    user_header: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of a request the door looks at."""

    method: str
    path: str
    query: str
    headers: Headers
    peer: str
    address: str
    session: str
    form: str

    @property
    def page(self) -> bool:
        """Whether a person's browser asks for a page, not a program for data."""
        return not self.path.startswith(API) and "text/html" in self.headers.get("accept", "")

    @property
    def subject(self) -> str:
        """What a note of it names."""
        return f"{self.method} {self.path}{'?' + self.query if self.query else ''}"


class _Refused(Exception):
    """The request stops here."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Door:
    """See the module.

    Args:
        gateway: people, and the journal's ear.
        credentials: who somebody is.
        terms: where the door stands.
        machine_token: what whoever holds the machine can read from a file of it, "" for none.
    """

    def __init__(
        self, gateway: DoorPort, credentials: Credentials, terms: DoorTerms = DoorTerms(), machine_token: str = ""
    ) -> None:
        self.credentials = credentials
        self.accesses = Accesses(gateway.note)
        self.terms = terms
        self._gateway = gateway
        self._machine_token = machine_token
        self.cookie = "__Host-fixgateway" if terms.secure else "fixgateway"
        self.form_cookie = "__Host-fixgateway-form" if terms.secure else "fixgateway-form"

    # ------------------------------------------------------------ signing in and out

    def person(self, person_id: str) -> Person | None:
        """The active person of this id."""
        found = self._gateway.people().get(person_id)
        return found if found is not None and found.active else None

    def sign_in(self, person_id: str, password: str, address: str) -> SignedIn | Denied:
        """Open a session; words why not. Noted in the journal either way.

        Raises:
            GatewayUnavailable: too many at once, or the journal takes no note: then nobody comes in.
        """
        match self.credentials.check(person_id, password, self.person(person_id) is not None, address):
            case Verdict.GOOD:
                return self._opened(person_id, "signed-in", "password", address)
            case Verdict.ONE_TIME:
                return Denied("this is a one-time password: choose one of your own with it", must_change=True)
            case verdict:
                return self._not_in(person_id, verdict, address)

    def change_password(self, person_id: str, old: str, new: str, address: str) -> SignedIn | Denied:
        """Put a person's own password in place of the one they prove they know, and open a session."""
        person = self.person(person_id)
        verdict = self.credentials.check(person_id, old, person is not None, address)
        if person is None or verdict in (Verdict.WRONG, Verdict.LOCKED):
            return self._not_in(person_id, verdict, address)
        why = weakness(new, person_id, person.name) or ("the new password is the old one" if new == old else "")
        if why:
            return Denied(why, must_change=True)
        self.record(person_id, "password", f"{person_id} (own)", address)
        self.credentials.set_password(person_id, new)
        return self._opened(person_id, "signed-in", "new password", address)

    def _opened(self, person_id: str, what: str, how: str, address: str) -> SignedIn:
        self.record(person_id, what, how, address)
        return self.credentials.open_session(person_id, address)

    def _not_in(self, person_id: str, verdict: Verdict, address: str) -> Denied:
        locked = verdict is Verdict.LOCKED
        self.accesses.refused("", f"{'locked' if locked else 'sign-in'} {person_id[:64]!r}", address)
        if locked:
            minutes = -(-self.credentials.terms.lock_seconds // 60)
            words = f"too many failures: the name is locked for {minutes} minutes, or until somebody unlocks it"
            return Denied(words, locked=True)
        if self.credentials.locked(person_id):
            self.accesses.note("", "locked", person_id[:64], address)
        return Denied("unknown name or wrong password")

    def sign_out(self, identity: Identity, request: Request) -> None:
        """End the request's session."""
        token = request.cookies.get(self.cookie, "")
        if identity.means == "session" and token:
            self.credentials.close_session(token)
            self.accesses.note(identity.person_id, "signed-out", "session", identity.address)

    def record(self, actor: str, what: str, subject: str, address: str) -> None:
        """A note that must be durable before what it is about happens or is answered."""
        self._gateway.act(lambda seq, ts_ns: NoteAccess(seq, ts_ns, actor, what, subject[:200], address))

    def give_cookie(self, response: Response, signed_in: SignedIn) -> None:
        """Let the browser keep a session."""
        response.set_cookie(
            self.cookie, signed_in.token, max_age=self.credentials.terms.session_seconds, path="/",
            secure=self.terms.secure, httponly=True, samesite="lax",
        )  # fmt: skip

    def take_cookie(self, response: Response) -> None:
        """Let the browser forget it."""
        response.delete_cookie(self.cookie, path="/", secure=self.terms.secure, httponly=True, samesite="lax")

    # ------------------------------------------------------------ who is it?

    def identify(self, asked: _Asked) -> Identity:
        """Who a request is from; nobody (``means`` "") when nothing says so.

        Raises:
            _Refused: what it says of itself is wrong.
        """
        people = self._gateway.people()
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme and (scheme.lower() == "bearer" or people):
            return self._by_token(scheme, token.strip(), asked)
        if not people:
            return self._set_up(asked)
        if self.terms.user_header and asked.peer in self.terms.proxies:
            name = asked.headers.get(self.terms.user_header, "")
            if name:
                return self._named(name, "proxy", asked, asked.form)
        if asked.session:
            found = self.credentials.session(asked.session)
            if found is not None:
                return self._named(found.person_id, "session", asked, found.csrf)
        return Identity(csrf=asked.form, address=asked.address)

    def _by_token(self, scheme: str, token: str, asked: _Asked) -> Identity:
        if scheme.lower() != "bearer":
            raise _Refused(HTTPStatus.UNAUTHORIZED, "only Authorization: Bearer is understood")
        if self._machine_token and hmac.compare_digest(token.encode(), self._machine_token.encode()):
            user = asked.headers.get("x-actor", "")[:64] or "machine"
            named = MACHINE + user.removeprefix(MACHINE)
            return Identity(
                named, named, means="machine", address=asked.address, set_up=not self._gateway.people()
            )
        person_id = self.credentials.token(token)
        if person_id is None:
            raise _Refused(HTTPStatus.UNAUTHORIZED, "the token is unknown, revoked or expired")
        return self._named(person_id, "token", asked, "")

    def _named(self, person_id: str, means: str, asked: _Asked, csrf: str) -> Identity:
        person = self.person(person_id)
        if person is None:
            raise _Refused(HTTPStatus.UNAUTHORIZED, f"{person_id!r} is no active person of this gateway")
        return Identity(person_id, person.name, person.roles, csrf, False, means, asked.address)

    def _set_up(self, asked: _Asked) -> Identity:
        """Nobody is recorded: everybody who is on this machine, or all where nobody else can be."""
        forwarded = any(name in asked.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
        if self.terms.reachable and (forwarded or not is_loopback(asked.peer)):
            words = "nobody is recorded yet: record the first person on this machine (fixgateway people add)"
            raise _Refused(HTTPStatus.FORBIDDEN, words)
        return Identity(csrf=asked.form, set_up=True, address=asked.address)

    # ------------------------------------------------------------ may it come in?

    def admit(self, asked: _Asked, body: bytes) -> Identity:
        """Who the request is from, when it may come in.

        Raises:
            _Refused: it may not; noted.
        """
        identity = Identity(csrf=asked.form, address=asked.address)
        try:
            identity = self.identify(asked)
            open_to_all = asked.path in SIGN_IN_PATHS
            if not (identity.person_id or identity.set_up or open_to_all):
                raise _Refused(HTTPStatus.UNAUTHORIZED, "sign in first (the page /sign-in, or fixgateway login)")
            if identity.means == "machine" and not identity.set_up and not asked.path.startswith("/api/people"):
                raise _Refused(HTTPStatus.FORBIDDEN, "who holds the machine may give passwords, nothing else")
            if asked.method not in _SAFE and identity.means not in ("token", "machine"):
                self._check_forgery(asked, identity, body)
        except _Refused:
            if self._gateway.people():
                self.accesses.refused(identity.person_id, asked.subject, asked.address)
            raise
        if identity.known and asked.method == "GET":
            self.accesses.read(identity.person_id, asked.subject.removeprefix("GET "), asked.address)
        return identity

    def _check_forgery(self, asked: _Asked, identity: Identity, body: bytes) -> None:
        """A browser's request that changes something comes from our own page.

        Raises:
            _Refused: it does not.
        """
        origin = asked.headers.get("origin")
        if origin is not None and not self._own_origin(origin, asked):
            raise _Refused(HTTPStatus.FORBIDDEN, f"a page of {origin[:100]} may not act here")
        if asked.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise _Refused(HTTPStatus.FORBIDDEN, "a page of another site may not act here")
        form = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
        ambient = identity.means in ("session", "proxy")
        if not ambient and asked.path.startswith(API):
            return  # no cookie says who it is, and the content type is one no form can send
        given = asked.headers.get("x-csrf-token", "")
        if not given and form == FORM_TYPE:
            given = _field(body, "csrf")
        if not (given and identity.csrf and hmac.compare_digest(given.encode(), identity.csrf.encode())):
            raise _Refused(HTTPStatus.FORBIDDEN, "the form is from before this sign-in: load its page again")

    def _own_origin(self, origin: str, asked: _Asked) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        host = asked.headers.get("host", "")
        return parts.netloc.lower() == host.lower() or (parts.hostname or "") in self.terms.hosts

    def refusal(self, asked: _Asked, refused: _Refused) -> Response:
        """The answer to who may not come in."""
        if refused.status is HTTPStatus.UNAUTHORIZED:
            if asked.page and asked.method == "GET":
                where = asked.path + (f"?{asked.query}" if asked.query else "")
                return RedirectResponse(f"/sign-in?next={quote(where, safe='')}", HTTPStatus.SEE_OTHER)
            answer = _page(refused) if asked.page else problem(refused.status, refused.words)
            answer.headers["WWW-Authenticate"] = 'Bearer realm="fixgateway"'
            return answer
        if asked.page:
            return _page(refused)
        return problem(refused.status, refused.words)

    def knows(self, scope: Scope) -> bool:
        """Whether a request's headers say who it is from, so that a large body is read for it."""
        try:
            identity = self.identify(self.asked(scope))
        except _Refused:
            return False
        return bool(identity.person_id) or identity.set_up

    # ------------------------------------------------------------ reading a request

    def asked(self, scope: Scope) -> _Asked:
        """What of a request the door looks at."""
        headers = Headers(scope=scope)
        peer = (scope.get("client") or ("", 0))[0]
        forwarded = headers.get("x-forwarded-for", "") if peer in self.terms.proxies else ""
        cookies = _cookies(headers.get("cookie", ""))
        return _Asked(
            str(scope["method"]), str(scope["path"]), scope.get("query_string", b"").decode("latin-1"), headers, peer,
            forwarded.rpartition(",")[2].strip()[:64] or peer,
            cookies.get(self.cookie, ""), cookies.get(self.form_cookie, ""),
        )  # fmt: skip


class DoorKeeper:
    """ASGI middleware: every request goes through the :class:`Door`; the body has been read before (:mod:`.guard`)."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in with its :class:`Identity`, or answer it."""
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(STATIC):
            await self._app(scope, receive, send)
            return
        asked = self._door.asked(scope)
        fresh = "" if asked.form else secrets.token_urlsafe(24)
        if fresh:
            asked = replace(asked, form=fresh)
        body = await _body(receive)
        try:
            identity = await run_in_threadpool(self._door.admit, asked, body)
        except _Refused as refused:
            await self._door.refusal(asked, refused)(scope, receive, send)
            return
        scope["state"] = {**scope.get("state", {}), "identity": identity}
        if fresh and asked.page:
            send = self._with_form_cookie(send, fresh)
        await self._app(scope, _again(body, receive), send)

    def _with_form_cookie(self, send: Send, value: str) -> Send:
        """A send that gives the browser what its forms are compared with before it has a session."""
        secure = "; Secure" if self._door.terms.secure else ""
        cookie = f"{self._door.form_cookie}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return sending


async def _body(receive: Receive) -> bytes:
    """The body, which has been read whole before."""
    parts, more = list[bytes](), True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = bool(message.get("more_body", False)) and message["type"] == "http.request"
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _page(refused: _Refused) -> Response:
    """A refusal for people."""
    words = html.escape(refused.words)
    link = '<p><a href="/sign-in">Sign in</a></p>' if refused.status is HTTPStatus.UNAUTHORIZED else ""
    page = f'<!doctype html><html lang="en"><title>Refused</title><h1>Refused</h1><p>{words}</p>{link}</html>'
    return HTMLResponse(page, refused.status)


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header[:8_192]).items()}
    except CookieError:
        return {}


def _field(body: bytes, name: str) -> str:
    """One field of an urlencoded form, "" without it."""
    try:
        found = parse_qs(body.decode("utf-8"), max_num_fields=_FIELDS_MAX).get(name, [""])
    except (ValueError, UnicodeDecodeError):
        return ""
    return found[0] if len(found) == 1 else ""
