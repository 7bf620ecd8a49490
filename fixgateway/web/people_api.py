"""Signing in, people, passwords and tokens by HTTP."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from fixgateway.core.desk_inputs import RecordPerson
from fixgateway.core.people import MAY, Person, Role, Task
from fixgateway.records.queries import utc_text
from fixgateway.web.answers import Answer, problem
from fixgateway.web.credentials import SignedIn
from fixgateway.web.door import Denied, Door
from fixgateway.web.forms import Filter, NewPassword, Nothing, PersonForm, SignIn, TokenForm, acted
from fixgateway.web.identity import MACHINE, Identity, Viewer, require
from fixgateway.web.port import GatewayPort

Administrator = Annotated[Identity, Depends(require(Task.PEOPLE))]
NOT_AGAIN = (
    "/api/people", "/api/sign-in", "/api/password", "/api/tokens", "/api/statements/preview",
)  # fmt: skip
"""Paths whose answers may hold a secret or change nothing: an Idempotency-Key is ignored there."""


def add_people(app: FastAPI, gateway: GatewayPort, door: Door) -> None:
    """Add the routes."""
    _add_signing(app, door)
    _add_people(app, gateway, door)
    _add_tokens(app, door)


# ---------------------------------------------------------------- signing in


def _add_signing(app: FastAPI, door: Door) -> None:
    @app.post("/api/sign-in")
    def sign_in(by: SignIn, viewer: Viewer) -> Response:
        """Open a session: sets a cookie; `csrf` goes into the header X-CSRF-Token of what changes something."""
        return _entered(door, door.sign_in(by.person_id, by.password, viewer.address))

    @app.post("/api/password")
    def password(by: NewPassword, viewer: Viewer) -> Response:
        """Choose a password of one's own with the one that is known, a one-time password say; opens a session."""
        return _entered(
            door, door.change_password(by.person_id, by.password, by.new_password, viewer.address), choosing=True
        )

    @app.post("/api/sign-out")
    def sign_out(request: Request, _: Nothing, viewer: Viewer) -> Response:
        """End the session."""
        door.sign_out(viewer, request)
        answer = Answer({"done": True})
        door.take_cookie(answer)
        return answer

    @app.get("/api/me")
    def me(viewer: Viewer) -> Response:
        """Who the gateway takes the request to be from, and what they may do."""
        may = [task.value for task in Task if viewer.may(task)]
        return Answer({"person_id": viewer.person_id, "name": viewer.name, "roles": list(viewer.roles), "may": may,
                       "set_up": viewer.set_up, "csrf": viewer.csrf})  # fmt: skip


def _entered(door: Door, result: SignedIn | Denied, *, choosing: bool = False) -> Response:
    if isinstance(result, Denied):
        status = HTTPStatus.UNAUTHORIZED
        if result.must_change:
            status = HTTPStatus.UNPROCESSABLE_ENTITY if choosing else HTTPStatus.FORBIDDEN
        if result.locked:
            status = HTTPStatus.TOO_MANY_REQUESTS
        answer = problem(status, str(result), must_change=result.must_change)
        if status is HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = 'Bearer realm="fixgateway"'
        if result.locked:
            answer.headers["Retry-After"] = str(door.credentials.terms.lock_seconds)
        return answer
    entered = Answer({"person_id": result.person_id, "csrf": result.csrf})
    door.give_cookie(entered, result)
    return entered


# ---------------------------------------------------------------- people


def _add_people(app: FastAPI, gateway: GatewayPort, door: Door) -> None:
    @app.get("/api/people")
    def people(viewer: Viewer) -> Response:
        """Everybody recorded, by id; for who administers people also how each can sign in."""
        rows = [_row(person) for _, person in sorted(gateway.people().items())]
        if viewer.may(Task.PEOPLE) or viewer.means == "machine":
            rows = [{**row, **door.credentials.state(row["person_id"])} for row in rows]
        return Answer({"rows": rows, "next": None})

    @app.get("/api/roles")
    def roles() -> Response:
        """The roles, and what each may do."""
        return Answer([{"role": role, "may": [task for task in Task if role in MAY[task]]} for role in Role])

    @app.post("/api/people")
    def record(by: PersonForm, viewer: Viewer) -> Response:
        """Add or change a person. Who is new gets a one-time password, shown in this answer only.

        The first person is recorded on the machine itself and has role compliance or principal.
        """
        person = Person(by.person_id, by.name, by.roles, by.active, by.email)
        actor = _recorder(viewer, by.actor)
        before = gateway.people().get(person.person_id)
        outcome = gateway.act(lambda seq, ts_ns: RecordPerson(seq, ts_ns, actor, person))
        if not outcome.done:
            return acted(outcome)
        if not person.active:
            door.credentials.forget(person.person_id)
        new = person.active and (before is None or not before.active)
        secret = {"one_time_password": _one_time(door, actor, person.person_id, viewer.address)} if new else {}
        return acted(outcome, HTTPStatus.CREATED if before is None else HTTPStatus.OK, **_row(person), **secret)

    @app.post("/api/people/{person_id}/password")
    def reset(person_id: str, _: Nothing, viewer: Viewer) -> Response:
        """Give a person a one-time password, shown in this answer only; their sessions end."""
        actor = _administrator(viewer, person_id)
        if door.person(person_id) is None:
            return problem(HTTPStatus.NOT_FOUND, f"no active person {person_id}")
        secret = _one_time(door, actor, person_id, viewer.address)
        return Answer({"done": True, "person_id": person_id, "one_time_password": secret})

    @app.post("/api/people/{person_id}/unlock")
    def unlock(person_id: str, _: Nothing, viewer: Viewer) -> Response:
        """Let a name that failures have locked sign in again."""
        actor = _administrator(viewer, person_id)
        door.record(actor, "password", f"{person_id} (unlocked)", viewer.address)
        door.credentials.unlock(person_id)
        return Answer({"done": True, "person_id": person_id})

    @app.get("/api/people/{person_id}")
    def person(person_id: str) -> Response:
        """One person."""
        found = gateway.people().get(person_id)
        return Answer(_row(found)) if found else problem(HTTPStatus.NOT_FOUND, f"no person {person_id}")


def _row(person: Person) -> dict[str, Any]:
    return {**asdict(person), "roles": list(person.roles)}


def _recorder(viewer: Identity, given: str) -> str:
    """Who records a person: who signed in, or whoever holds the machine."""
    return viewer.person_id or MACHINE + given.removeprefix(MACHINE)


def _administrator(viewer: Identity, person_id: str) -> str:
    """Who may give others passwords: who administers people, and whoever holds the machine.

    Raises:
        HTTPException: 403 for everybody else.
    """
    if viewer.means != "machine" and not (viewer.known and viewer.may(Task.PEOPLE)):
        detail = f"{viewer.person_id or 'nobody'} may not {Task.PEOPLE.value}: {person_id} needs somebody who may"
        raise HTTPException(HTTPStatus.FORBIDDEN, detail)
    return viewer.person_id


def _one_time(door: Door, actor: str, person_id: str, address: str) -> str:
    """A one-time password, journaled before it is good for anything."""
    door.record(actor, "password", f"{person_id} (one-time password)", address)
    return door.credentials.one_time_password(person_id)


# ---------------------------------------------------------------- tokens


def _add_tokens(app: FastAPI, door: Door) -> None:
    @app.get("/api/tokens")
    def tokens(viewer: Viewer, person_id: Filter = None) -> Response:
        """One's own tokens; for who administers people anybody's. Never the tokens themselves."""
        _signed_in(viewer)
        wanted = person_id if viewer.may(Task.PEOPLE) else viewer.person_id
        rows = [_token_row(row) for row in door.credentials.tokens(wanted)]
        return Answer({"rows": rows, "next": None})

    @app.post("/api/tokens")
    def make(by: TokenForm, viewer: Viewer) -> Response:
        """A token for a program that acts in one's name, shown in this answer only. A token cannot make tokens."""
        _signed_in(viewer)
        if viewer.means == "token":
            return problem(HTTPStatus.FORBIDDEN, "a token cannot make tokens: sign in")
        door.record(viewer.person_id, "token", f"made for {by.days} days: {by.label}", viewer.address)
        token_id, token = door.credentials.make_token(viewer.person_id, by.label, by.days)
        return Answer({"token_id": token_id, "token": token, "days": by.days}, status_code=HTTPStatus.CREATED)

    @app.post("/api/tokens/{token_id}/revoke")
    def revoke(token_id: str, _: Nothing, viewer: Viewer) -> Response:
        """End a token at once: one's own, or as who administers people anybody's."""
        _signed_in(viewer)
        owner = next((row["person_id"] for row in door.credentials.tokens() if row["token_id"] == token_id), None)
        if owner is None or not (owner == viewer.person_id or viewer.may(Task.PEOPLE)):
            return problem(HTTPStatus.NOT_FOUND, f"no token {token_id} of yours")
        door.credentials.revoke(token_id)
        door.record(viewer.person_id, "token", f"revoked {token_id} of {owner}", viewer.address)
        return Answer({"done": True, "token_id": token_id})


def _signed_in(viewer: Identity) -> None:
    """Raises HTTPException 403 for nobody known."""
    if not viewer.known:
        raise HTTPException(HTTPStatus.FORBIDDEN, "tokens belong to people, and nobody signed in")


def _token_row(row: dict[str, Any]) -> dict[str, Any]:
    """A token's row with readable times."""
    times = {name.removesuffix("_ns"): utc_text(row[name]) if row[name] else "" for name in row if name.endswith("_ns")}
    return {name: value for name, value in row.items() if not name.endswith("_ns")} | times
