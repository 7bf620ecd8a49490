"""gateway.toml: read, checked across keys, every problem collected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fixgateway.config import alerts as alert_keys
from fixgateway.config import charges, http_checks
from fixgateway.config.keys import Table
from fixgateway.config.problems import (
    MAX_TOML_BYTES,
    Problem,
    parse_toml,
    read_model,
    read_text,
    refuse,
    unknown_key,
)
from fixgateway.config.reviews import Reviews
from fixgateway.config.tables import (
    COMP_ID,
    KEYS,
    LISTS,
    TABLES,
    Broker,
    Drop,
    Gateway,
    Http,
    Journal,
    LimitsTable,
    Listen,
    Log,
    Oms,
    PolicyFiles,
    Records,
    Session,
)

__all__ = ["KEYS", "Settings", "load", "problems", "read"]


class Settings(Table):
    """gateway.toml, read and checked; ``file`` is where it was read from."""

    file: Path
    gateway: Gateway = Gateway()
    listen: Listen = Listen()
    http: Http = Http()
    records: Records = Records()
    journal: Journal = Journal()
    policy: PolicyFiles = PolicyFiles()
    drop: Drop = Drop()
    limits: LimitsTable = LimitsTable()
    log: Log = Log()
    alerts: alert_keys.Alerts = alert_keys.Alerts()
    reviews: Reviews = Reviews()
    oms: tuple[Oms, ...]
    broker: tuple[Broker, ...]

    def _beside(self, name: str) -> Path:
        return (self.file.parent / name).absolute()

    @property
    def data_dir(self) -> Path:
        """Where journal, FIX store and embedded database live."""
        return self._beside(self.gateway.data_dir)

    @property
    def policy_file(self) -> Path:
        """The allocation policy."""
        return self._beside(self.policy.file)

    @property
    def accounts_file(self) -> Path:
        """The account file."""
        return self._beside(self.policy.accounts)

    @property
    def holdings_file(self) -> Path | None:
        """What accounts may sell, None when nothing says so."""
        return self._beside(self.policy.holdings) if self.policy.holdings else None

    @property
    def exceptions_file(self) -> Path | None:
        """The pre-approved codes of exceptions, None for the list shipped with the gateway."""
        return self._beside(self.policy.exceptions) if self.policy.exceptions else None

    @property
    def drop_directory(self) -> Path | None:
        """The folder watched for statement files, None when there is none."""
        return self._beside(self.drop.directory) if self.drop.directory else None

    @property
    def journal_key_file(self) -> Path | None:
        """The signing key of the journal's checkpoints, None when they are not signed."""
        return self._beside(self.journal.key_file) if self.journal.key_file else None

    @property
    def journal_timestamp_ca_file(self) -> Path | None:
        """Certificates the signatures of time stamps must lead to, None when they are not checked."""
        return self._beside(self.journal.timestamp_ca_file) if self.journal.timestamp_ca_file else None

    @property
    def journal_spare_dir(self) -> Path | None:
        """Where the journal goes on when its disk fails, None when nowhere."""
        return self._beside(self.journal.spare_dir) if self.journal.spare_dir else None

    @property
    def http_hosts(self) -> tuple[str, ...]:
        """Names accepted in Host besides the loopback ones."""
        own = () if self.http.host in ("0.0.0.0", "::") else (self.http.host,)
        return (*self.http.allowed_hosts, *own)

    @property
    def tls_files(self) -> tuple[Path, Path] | None:
        """Certificate chain and private key of the HTTP server, None for plain HTTP."""
        if not self.http.tls_certificate:
            return None
        return self._beside(self.http.tls_certificate), self._beside(self.http.tls_key)

    @property
    def journal_anchor_dirs(self) -> tuple[Path, ...]:
        """Directories every checkpoint is copied to."""
        return tuple(self._beside(name) for name in self.journal.anchor_dirs)

    @property
    def records_url(self) -> str:
        """The database's URL with the data directory filled in."""
        return self.records.url.replace("{data_dir}", str(self.data_dir))


def load(path: Path | str) -> Settings:
    """Read gateway.toml.

    Raises:
        ConfigError: with every problem found, one a line.
    """
    settings, problems = read(path)
    refuse(problems)
    if settings is None:  # read() gives settings or problems
        raise AssertionError("no settings and no problem")
    return settings


def problems(path: Path | str) -> list[Problem]:
    """Every problem of gateway.toml; empty when it is good."""
    return read(path)[1]


def read(path: Path | str) -> tuple[Settings | None, list[Problem]]:
    """gateway.toml as Settings, or None and every problem found in it."""
    file, found = Path(path), list[Problem]()
    text = read_text(file, MAX_TOML_BYTES, found)
    raw = parse_toml(str(file), text, found) if text is not None else {}
    if found:
        return None, found
    name = str(file)
    found += [unknown_key(name, "", key, {**TABLES, **LISTS}) for key in raw if key not in {**TABLES, **LISTS}]
    tables = {key: read_model(model, raw.get(key, {}), name, key, found) for key, model in TABLES.items()}
    lists = {key: _read_list(key, model, raw.get(key, []), name, found) for key, model in LISTS.items()}
    found += _cross_checks(name, raw, lists)
    if found:
        return None, found
    settings = Settings.model_validate({"file": file, **tables, **{k: tuple(v) for k, v in lists.items()}})
    found += _place_checks(settings)
    return (None, found) if found else (settings, [])


def _read_list(
    key: str, model: type[Session], raw: object, file: str, found: list[Problem]
) -> list[Session | None]:
    """The ``[[key]]`` tables; a table with problems gives None."""
    if not isinstance(raw, list):
        found.append(Problem(file, key, "is written once", f"write [[{key}]] with two brackets"))
        return []
    if not raw:
        found.append(Problem(file, key, "is missing", f"add a [[{key}]] table for every {_WHO[key]}"))
    return [read_model(model, item, file, _where(key, n, item), found) for n, item in enumerate(raw, 1)]


_WHO = {"oms": "OMS that connects", "broker": "broker to connect to"}


def _where(key: str, number: int, item: object) -> str:
    """``oms[OMS1]``, or ``oms[#1]`` for a table without a name."""
    comp_id = item.get("comp_id") if isinstance(item, dict) else None
    return f"{key}[{comp_id if isinstance(comp_id, str) and re.match(COMP_ID, comp_id) else f'#{number}'}]"


# ---------------------------------------------------------------- checks across keys


def _cross_checks(file: str, raw: dict[str, Any], lists: dict[str, list[Session | None]]) -> list[Problem]:
    """What only several keys together can be wrong about; looks at whatever could be read."""
    found = list(_name_checks(file, raw))
    brokers = {x.comp_id for x in lists["broker"] if x}
    complete = bool(lists["broker"]) and None not in lists["broker"]
    for session in (*lists["oms"], *lists["broker"]):
        if session:
            found += _schedule_checks(file, "oms" if isinstance(session, Oms) else "broker", session)
        if isinstance(session, Broker):
            found += _charge_checks(file, session)
            found += _confirmation_checks(file, session)
    for oms in lists["oms"]:
        if isinstance(oms, Oms):
            found += _oms_checks(file, oms, brokers if complete else None)
    return found


def _comp_ids(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, name) of the gateway and every counterparty, as far as they are written."""
    gateway = raw.get("gateway")
    own = gateway.get("comp_id", "FIXGW") if isinstance(gateway, dict) else "FIXGW"
    if isinstance(own, str):
        yield "gateway.comp_id", own
    for key in LISTS:
        items = raw.get(key)
        for number, item in enumerate(items if isinstance(items, list) else [], 1):
            comp_id = item.get("comp_id") if isinstance(item, dict) else None
            if isinstance(comp_id, str):
                yield f"{_where(key, number, item)}.comp_id", comp_id


def _name_checks(file: str, raw: dict[str, Any]) -> Iterator[Problem]:
    """CompIDs name sessions, so no two may be equal; equal but for case would share a store on some disks."""
    first: dict[str, str] = {}
    for key, comp_id in _comp_ids(raw):
        folded = comp_id.casefold()
        if folded in first:
            yield Problem(
                file,
                key,
                f'"{comp_id}" is used by {first[folded]} already',
                "give every counterparty its own comp_id",
            )
        first.setdefault(folded, key)


def _schedule_checks(file: str, kind: str, session: Session) -> Iterator[Problem]:
    """A schedule has two different times or none."""
    where, start, end = f"{kind}[{session.comp_id}]", session.start_time, session.end_time
    if (start is None) != (end is None):
        missing = "start_time" if start is None else "end_time"
        yield Problem(file, f"{where}.{missing}", "is missing", "give both start_time and end_time, or none")
    elif start is not None and start == end:
        yield Problem(file, f"{where}.end_time", "equals start_time", "leave both out for round the clock")


def _charge_checks(file: str, broker: Broker) -> Iterator[Problem]:
    """What a broker charges, and whether its allocations can say it."""
    where = f"broker[{broker.comp_id}]"
    charged = (broker.commission, broker.commission_type, broker.fees)
    yield from charges.checks(file, where, broker.begin_string, *charged)


def _confirmation_checks(file: str, broker: Broker) -> Iterator[Problem]:
    """Confirmations exist from FIX 4.4 on."""
    if broker.confirmations and broker.begin_string == "FIX.4.2":
        key, text = f"broker[{broker.comp_id}].confirmations", "Confirmation (AK) does not exist in FIX.4.2"
        yield Problem(file, key, text, "write confirmations = false")


def _oms_checks(file: str, oms: Oms, brokers: set[str] | None) -> Iterator[Problem]:
    """One OMS's keys together; ``brokers`` is None when some broker could not be read."""
    where = f"oms[{oms.comp_id}]"
    for broker in oms.brokers:
        if brokers is not None and broker not in brokers:
            known = ", ".join(sorted(brokers)) or "none"
            yield Problem(
                file,
                f"{where}.brokers",
                f'"{broker}" is no [[broker]]',
                f'add a [[broker]] with comp_id = "{broker}" or name one of: {known}',
            )
    for key, values in (("brokers", oms.brokers), ("match", oms.match)):
        if len(set(values)) != len(values):
            yield Problem(file, f"{where}.{key}", "names one twice", "name each once")
    if oms.allocation_report == "AS" and oms.begin_string == "FIX.4.2":
        yield Problem(file, f"{where}.allocation_report", '"AS" does not exist in FIX.4.2', 'write "J" or "none"')


def _place_checks(settings: Settings) -> list[Problem]:
    """Files, directories, ports and the database's URL of settings that are otherwise good."""
    file = str(settings.file)
    found: list[Problem] = []
    if settings.listen.port == settings.http.port and _same_host(settings.listen.host, settings.http.host):
        found.append(
            Problem(file, "http.port", f"{settings.http.port} is listen.port too", "give http a port of its own")
        )
    for key, path in (
        ("policy.file", settings.policy_file),
        ("policy.accounts", settings.accounts_file),
        ("policy.holdings", settings.holdings_file),
        ("policy.exceptions", settings.exceptions_file),
    ):
        if path is not None and not path.is_file():
            found.append(Problem(file, key, f"{path} does not exist", "create it or correct the path"))
    if settings.data_dir.exists() and not settings.data_dir.is_dir():
        found.append(
            Problem(
                file,
                "gateway.data_dir",
                f"{settings.data_dir} is no directory",
                "name a directory; it is created when missing",
            )
        )
    if settings.drop_directory and not settings.drop_directory.is_dir():
        found.append(
            Problem(
                file,
                "drop.directory",
                f"{settings.drop_directory} is no directory",
                "create it or correct the path",
            )
        )
    found += http_checks.checks(file, settings.http, settings.tls_files)
    found += alert_keys.checks(settings.file, settings.alerts)
    found += _anchor_checks(settings)
    found += _spare_checks(settings)
    found += _secret_checks(file, settings.records.url)
    found += _version_checks(settings)
    return found


def _anchor_checks(settings: Settings) -> Iterator[Problem]:
    """The signing key exists and is a secret; anchors exist, and are not where the journal is."""
    file, key = str(settings.file), settings.journal_key_file
    if key is not None and not key.is_file():
        yield Problem(file, "journal.key_file", f"{key} does not exist", "make it with 'fixgateway keys new'")
    elif key is not None and key.stat().st_mode & 0o077:
        yield Problem(file, "journal.key_file", f"{key} can be used by others than its owner", f"chmod 0600 {key}")
    if urlsplit(settings.journal.anchor_url).username is not None:
        remedy = "leave it out; let the endpoint check the signature instead"
        yield Problem(file, "journal.anchor_url", "holds a name or a password", remedy)
    if urlsplit(settings.journal.timestamp_url).username is not None:
        remedy = "leave it out; name an authority, or a proxy of yours, that needs none"
        yield Problem(file, "journal.timestamp_url", "holds a name or a password", remedy)
    ca_file = settings.journal_timestamp_ca_file
    if ca_file is not None and not ca_file.is_file():
        yield Problem(file, "journal.timestamp_ca_file", f"{ca_file} does not exist", "correct the path")
    data_dir = settings.data_dir.resolve()
    for path in settings.journal_anchor_dirs:
        if not path.is_dir():
            yield Problem(file, "journal.anchor_dirs", f"{path} is no directory", "create or mount it")
        elif path.resolve() == data_dir or data_dir in path.resolve().parents:
            yield Problem(
                file,
                "journal.anchor_dirs",
                f"{path} is inside gateway.data_dir",
                "name a directory elsewhere: an anchor must outlive what happens to the journal",
            )


def _spare_checks(settings: Settings) -> Iterator[Problem]:
    """The spare directory exists, can be written, and is not where the journal is."""
    file, spare = str(settings.file), settings.journal_spare_dir
    if spare is None:
        return
    key, data_dir = "journal.spare_dir", settings.data_dir.resolve()
    if not spare.is_dir():
        yield Problem(file, key, f"{spare} is no directory", "create or mount it")
    elif not os.access(spare, os.R_OK | os.W_OK | os.X_OK):
        yield Problem(file, key, f"{spare} cannot be written", "give it to the gateway's user")
    elif spare.resolve() == data_dir or data_dir in spare.resolve().parents:
        yield Problem(file, key, f"{spare} is inside gateway.data_dir", "name a directory on another disk")


def warnings(settings: Settings) -> list[Problem]:
    """What is allowed and probably not meant."""
    spare, data_dir = settings.journal_spare_dir, settings.data_dir
    there = next((path for path in (data_dir, *data_dir.parents) if path.exists()), None)
    if spare is None or there is None or spare.stat().st_dev != there.stat().st_dev:
        return []
    what = f"{spare} is on the disk of gateway.data_dir"
    return [Problem(str(settings.file), "journal.spare_dir", what, "name a directory on another disk")]


def _version_checks(settings: Settings) -> Iterator[Problem]:
    """An OMS and its brokers speak one version: bodies are forwarded byte for byte, never translated."""
    versions = {broker.comp_id: broker.begin_string for broker in settings.broker}
    for oms in settings.oms:
        for broker in oms.brokers:
            if versions[broker] != oms.begin_string:
                yield Problem(
                    str(settings.file),
                    f"oms[{oms.comp_id}].begin_string",
                    f"is {oms.begin_string}, its broker {broker} speaks {versions[broker]}",
                    "give both the same version; messages are not translated between versions",
                )


def _same_host(listen: str, http: str) -> bool:
    """Whether two listeners would meet; a wildcard address meets every other."""
    return listen == http or listen in {"0.0.0.0", "::"}


def _secret_checks(file: str, url: str) -> Iterable[Problem]:
    """Secrets come from the environment or from files, never from gateway.toml."""
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or "password=" in parts.query
    except ValueError:
        return [Problem(file, "records.url", f"{url.split('@')[-1]} cannot be read", "correct the URL")]
    if secret:
        return [
            Problem(
                file,
                "records.url",
                "holds a password",
                "leave it out and set PGPASSWORD or PGPASSFILE in the environment",
            )
        ]
    return []
