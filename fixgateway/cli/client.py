"""Talking to the running gateway over HTTP."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fixgateway.errors import FixgatewayError, GatewayUnavailable, UsageError

if TYPE_CHECKING:
    import ssl

    import httpx

    from fixgateway.config.settings import Settings

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_SECONDS = 30.0
"""Longest a command waits for one answer."""

EXPORT_SECONDS = 900.0
"""Longest a command waits for an export."""

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
    """One gateway's API; errors of every sort leave as FixgatewayError with words for people.

    Who asks is said by a token: FIXGATEWAY_TOKEN, else the one ``fixgateway login`` saved for this address. With
    ``machine`` and neither, by the file of the data directory that only the gateway's user can read.
    """

    def __init__(self, url: str | None, config: str | None, *, machine: bool = False) -> None:
        settings = _settings(config)
        self.url = (url or _configured(settings) or DEFAULT_URL).rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise UsageError(f"--url: {self.url} is no HTTP address (write {DEFAULT_URL})")
        self._certificate = settings.tls_files[0] if settings is not None and settings.tls_files else None
        self._token = os.environ.get("FIXGATEWAY_TOKEN") or saved_tokens().get(self.url, "")
        if machine and not self._token and settings is not None:
            self._token = _machine_token(settings)

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        return self._answer("GET", path)

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Any:
        """The JSON answer of a POST."""
        return self._answer("POST", path, json=body, headers=headers)

    def send_csv(self, path: str, content: bytes) -> Any:
        """The JSON answer of a POST whose body is a CSV file."""
        return self._answer("POST", path, content=content, headers={"Content-Type": "text/csv"})

    def download(self, path: str) -> bytes:
        """The bytes a GET answers with; making them may take minutes."""
        answer = self._send("GET", path, timeout=EXPORT_SECONDS)
        if not answer.is_success:
            self._refuse(answer, self._document(answer))
        return answer.content

    def submit(self, body: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Register a statement; the answer also when it is refused (``registered`` false, ``problems``)."""
        answer = self._send("POST", "/api/statements", json=body, headers={"X-Actor": actor, "X-Door": "cli"})
        document = self._document(answer)
        if isinstance(document, dict) and "registered" in document:
            return document
        self._refuse(answer, document)
        raise FixgatewayError(f"{self.url} gave no answer a fixgateway gives (check --url)")

    def _answer(self, method: str, path: str, **rest: Any) -> Any:
        answer = self._send(method, path, **rest)
        document = self._document(answer)
        self._refuse(answer, document)
        return document

    def sign_in(self, person_id: str, password: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Open a session: the answer (also a refusal's) and the headers that say so from then on."""
        return self._entered("/api/sign-in", {"person_id": person_id, "password": password})

    def choose_password(self, person_id: str, password: str, new: str) -> tuple[dict[str, Any], dict[str, str]]:
        """As :meth:`sign_in`, with a new password in place of the old one."""
        return self._entered(
            "/api/password", {"person_id": person_id, "password": password, "new_password": new}
        )

    def _entered(self, path: str, body: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        self._token = ""
        answer = self._send("POST", path, json=body)
        document: dict[str, Any] = self._document(answer)
        if not document.get("must_change"):
            self._refuse(answer, document)
        cookie = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
        return document, {"Cookie": cookie, "X-CSRF-Token": str(document.get("csrf", ""))}

    def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        import httpx

        try:
            # A proxy from the environment has no business between two programs on one machine.
            with httpx.Client(trust_env=False, timeout=TIMEOUT_SECONDS, verify=self._trust()) as client:
                headers = {**(rest.pop("headers", None) or {})}
                if self._token:
                    headers.setdefault("Authorization", f"Bearer {self._token}")
                headers.setdefault("X-Actor", _user())
                return client.request(method, self.url + path, headers=headers, **rest)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise GatewayUnavailable(
                f"no gateway answers at {self.url} (start one: fixgateway run -c config/gateway.toml,"
                " or name another with --url or -c)"
            ) from None
        except httpx.InvalidURL as error:
            raise UsageError(f"--url: {error} (write {DEFAULT_URL})") from None
        except httpx.HTTPError as error:
            raise GatewayUnavailable(
                f"the gateway at {self.url} broke off: {error or type(error).__name__} (the outcome is unknown;"
                " look before repeating)"
            ) from None

    def _trust(self) -> ssl.SSLContext | bool:
        """What the gateway's certificate must lead to: FIXGATEWAY_CA_FILE, its own file, else the system's."""
        if not self.url.startswith("https://"):
            return False
        import ssl

        file = os.environ.get("FIXGATEWAY_CA_FILE") or self._certificate
        try:
            context = ssl.create_default_context(cafile=file)
        except OSError as error:
            raise UsageError(f"{file}: {error} (correct FIXGATEWAY_CA_FILE)") from None
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def _document(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise FixgatewayError(
                f"{self.url} answered {answer.status_code} without JSON (check --url)"
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


def _settings(config: str | None) -> Settings | None:
    """gateway.toml, None when none is given."""
    if config is None:
        return None
    from fixgateway.config import settings

    return settings.load(config)


def _configured(settings: Settings | None) -> str:
    """The gateway's address from its gateway.toml, "" when none is given."""
    if settings is None:
        return ""
    http = settings.http
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host)
    scheme = "https" if http.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{http.port}"


def _machine_token(settings: Settings) -> str:
    """What the running gateway left for who holds the machine, "" when it cannot be read."""
    try:
        return (settings.data_dir / "machine.token").read_text().strip()
    except OSError:
        return ""


# ---------------------------------------------------------------- saved tokens


def token_file() -> Path:
    """Where ``fixgateway login`` saves tokens, by address."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "fixgateway" / "tokens.json"


def saved_tokens() -> dict[str, str]:
    """The saved tokens, by address; none when the file is missing or none of ours."""
    try:
        found = json.loads(token_file().read_text("utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return {str(url): str(token) for url, token in found.items()} if isinstance(found, dict) else {}


def save_token(url: str, token: str | None) -> Path:
    """Save the token for an address, None to forget it; readable by this user alone.

    Raises:
        FixgatewayError: the file cannot be written.
    """
    file, tokens = token_file(), saved_tokens()
    tokens.pop(url, None)
    if token is not None:
        tokens[url] = token
    new = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(tokens, out)
        new.replace(file)
    except OSError as error:
        raise FixgatewayError(f"{file}: {error} (use --print and FIXGATEWAY_TOKEN)") from None
    return file


def quote(name: str) -> str:
    """``name`` as one segment of a path."""
    from urllib.parse import quote as percent

    return percent(name, safe="")
