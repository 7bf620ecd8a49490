"""Talking to the running gateway over HTTP."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fixgateway.errors import FixgatewayError, GatewayUnavailable, UsageError

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_SECONDS = 30.0
"""Longest a command waits for one answer."""

Command = TypeVar("Command", bound=Callable[..., Any])


def gateway_options(command: Command) -> Command:
    """Add ``--url`` and ``-c`` to a command; it receives them as ``url`` and ``config``."""
    for option in (
        click.option("-c", "--config", default=None, metavar="FILE", help="gateway.toml the URL is taken from."),
        click.option(
            "--url", envvar="FIXGATEWAY_URL", default=None, metavar="URL",
            help=f"The gateway's HTTP address [env FIXGATEWAY_URL; default {DEFAULT_URL}].",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def actor_option(command: Command) -> Command:
    """Add ``--actor``, who does it; default the system's user."""
    option = click.option(
        "--actor", envvar="FIXGATEWAY_ACTOR", default=_user, show_default="the system's user", help="Who does it."
    )
    return option(command)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class Client:
    """One gateway's API; errors of every sort leave as FixgatewayError with words for people."""

    def __init__(self, url: str | None, config: str | None) -> None:
        self._url = (url or _configured(config) or DEFAULT_URL).rstrip("/")
        if not self._url.startswith(("http://", "https://")):
            raise UsageError(f"--url: {self._url} is no HTTP address (write {DEFAULT_URL})")

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        return self._answer("GET", path)

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer of a POST."""
        return self._answer("POST", path, json=body, headers=headers)

    def submit(self, body: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Register a statement; the answer also when it is refused (``registered`` false, ``problems``)."""
        answer = self._send("POST", "/api/statements", json=body, headers={"X-Actor": actor, "X-Door": "cli"})
        document = self._document(answer)
        if isinstance(document, dict) and "registered" in document:
            return document
        self._refuse(answer, document)
        raise FixgatewayError(f"{self._url} gave no answer a fixgateway gives (check --url)")

    def _answer(self, method: str, path: str, **rest: Any) -> Any:
        answer = self._send(method, path, **rest)
        document = self._document(answer)
        self._refuse(answer, document)
        return document

    def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        import httpx

        try:
            # A proxy from the environment has no business between two programs on one machine.
            with httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS) as client:
                return client.request(method, self._url + path, **rest)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise GatewayUnavailable(
                f"no gateway answers at {self._url} (start one: fixgateway run -c config/gateway.toml,"
                " or name another with --url or -c)"
            ) from None
        except httpx.InvalidURL as error:
            raise UsageError(f"--url: {error} (write {DEFAULT_URL})") from None
        except httpx.HTTPError as error:
            raise GatewayUnavailable(
                f"the gateway at {self._url} broke off: {error or type(error).__name__} (the outcome is unknown;"
                " look before repeating)"
            ) from None

    def _document(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise FixgatewayError(
                f"{self._url} answered {answer.status_code} without JSON (check --url)"
            ) from None

    def _refuse(self, answer: httpx.Response, document: Any) -> None:
        """Raise for an error answer: UsageError for 400, FixgatewayError else."""
        if answer.is_success:
            return
        kind = UsageError if answer.status_code == 400 else FixgatewayError
        detail = document.get("detail", "") if isinstance(document, dict) else ""
        problems = document.get("problems", []) if isinstance(document, dict) else []
        lines = [detail or f"the gateway answered {answer.status_code}"]
        raise kind("\n".join(lines + [f"{item['field']}: {item['text']}" for item in problems]))


def _configured(config: str | None) -> str:
    """The gateway's address from its gateway.toml, "" when none is given."""
    if config is None:
        return ""
    from fixgateway.config import settings

    http = settings.load(config).http
    host = f"[{http.host}]" if ":" in http.host else http.host
    return f"http://{host}:{http.port}"


def quote(name: str) -> str:
    """``name`` as one segment of a path."""
    from urllib.parse import quote as percent

    return percent(name, safe="")
