"""What sessions there are, and the engine settings made from that.

The defaults are a trader's: sequence numbers persist, nothing is reset at logon, sessions run round the clock
unless a schedule is given. Checks that would let the engine refuse a fill are off (the raw text is checked
elsewhere); the engine's own web server is never switched on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import quickfix as fix

from fixgateway.errors import ConfigError

BEGIN_STRINGS = ("FIX.4.2", "FIX.4.4", "FIXT.1.1")

LENIENT = {
    "AllowUnknownMsgFields": "Y",
    "ValidateUserDefinedFields": "N",
    "ValidateFieldsHaveValues": "N",
    "ValidateFieldsOutOfOrder": "N",
}
"""Each would make the engine refuse a real fill for a tag it does not know or like."""

FIXED = LENIENT | {
    "UseDataDictionary": "Y",
    "PersistMessages": "Y",
    "ValidateLengthAndChecksum": "Y",
    "CheckCompID": "Y",
    "ResetOnDisconnect": "N",
    "RefreshOnLogon": "N",
    "SendRedundantResendRequests": "N",
    "SocketNodelay": "Y",
}


@dataclass(frozen=True)
class SessionSpec:
    """One FIX session.

    Attributes:
        name: what items and configuration call it (unique in the gateway).
        role: ``oms`` sessions connect to us, ``broker`` sessions we connect to.
        begin_string: ``FIX.4.2``, ``FIX.4.4`` or ``FIXT.1.1``.
        gateway_comp_id: our SenderCompID(49); ``comp_id``: theirs.
        host, port: where a broker listens; unused for an OMS.
        heart_bt_int: HeartBtInt(108) in seconds that we ask a broker for; an OMS says its own.
        start_time, end_time: ``HH:MM:SS`` of the session's day in ``timezone``; both or none (round the clock).
        timezone: IANA name. The engine knows UTC only: times are turned into UTC once, when the gateway starts.
        reset_on_logon, reset_on_logout: start again at 1; off unless the counterparty insists.
        allowed_addresses: remote addresses an OMS may come from; empty: any. The engine looks at it only after
            it answered the logon, so it is no firewall.
        reconnect_seconds: pause between attempts to reach a broker.
        default_appl_ver_id: DefaultApplVerID(1137) of a FIXT session, ``9`` for 5.0SP2.
        max_latency_seconds: a message whose SendingTime(52) is further away is refused and the session logged
            out; None (default): not checked, because a broker's clock must not cost a fill.
    """

    name: str
    role: Literal["oms", "broker"]
    begin_string: str
    gateway_comp_id: str
    comp_id: str
    host: str = ""
    port: int = 0
    heart_bt_int: int = 30
    start_time: str | None = None
    end_time: str | None = None
    timezone: str = "UTC"
    reset_on_logon: bool = False
    reset_on_logout: bool = False
    allowed_addresses: tuple[str, ...] = ()
    reconnect_seconds: int = 5
    default_appl_ver_id: str = "9"
    max_latency_seconds: int | None = None

    @property
    def engine_key(self) -> str:
        """The engine's SessionID as text."""
        return f"{self.begin_string}:{self.gateway_comp_id}->{self.comp_id}"


@dataclass(frozen=True)
class HostSpec:
    """Everything the FIX engine of one gateway process needs.

    Attributes:
        listen_host, listen_port: where OMS sessions connect; port 0: a free one is chosen.
        store_dir: the engine's message store; dictionary_dir: where generated dictionaries are written.
        oms, brokers: the sessions.
        dictionary_source: directory of the engine's FIX*.xml; None: where the package installed them.
    """

    listen_host: str
    listen_port: int
    store_dir: Path
    dictionary_dir: Path
    oms: tuple[SessionSpec, ...] = ()
    brokers: tuple[SessionSpec, ...] = ()
    dictionary_source: Path | None = field(default=None)


def check_specs(spec: HostSpec) -> None:
    """Refuse sessions the engine could not tell apart or would choke on.

    Raises:
        ConfigError: naming the session, the key and the remedy.
    """
    names: set[str] = set()
    keys: dict[str, str] = {}
    for session in (*spec.oms, *spec.brokers):
        _check_one(session)
        if session.name in names:
            raise ConfigError(f"session {session.name}: the name is used twice; give every session its own")
        if session.engine_key in keys:
            raise ConfigError(
                f"session {session.name}: begin_string and comp_id equal those of session "
                f"{keys[session.engine_key]}; one of them must differ"
            )
        names.add(session.name)
        keys[session.engine_key] = session.name


def _check_one(session: SessionSpec) -> None:
    where = f"session {session.name}:"
    if session.begin_string not in BEGIN_STRINGS:
        raise ConfigError(f"{where} begin_string {session.begin_string!r} must be one of {BEGIN_STRINGS}")
    for key, value in (("comp_id", session.comp_id), ("gateway comp_id", session.gateway_comp_id)):
        if not value or not value.isprintable() or not value.isascii() or "/" in value or " " in value:
            raise ConfigError(f"{where} {key} {value!r} must be printable ASCII without spaces and slashes")
    if session.role == "broker" and (not session.host or not 0 < session.port < 65536):
        raise ConfigError(f"{where} host {session.host!r} and port {session.port} must say where it listens")
    if session.heart_bt_int < 1:
        raise ConfigError(f"{where} heart_bt_int {session.heart_bt_int} must be at least 1 second")
    if (session.start_time is None) != (session.end_time is None):
        raise ConfigError(f"{where} start_time and end_time belong together; give both or none")
    utc_times(session, datetime.now(UTC))


def utc_times(session: SessionSpec, now: datetime) -> tuple[str, str] | None:
    """The session's start and end as UTC ``HH:MM:SS`` on the day of ``now``; None round the clock.

    Raises:
        ConfigError: for a time or zone that does not exist.
    """
    if session.start_time is None or session.end_time is None:
        return None
    try:
        zone = ZoneInfo(session.timezone)
        start, end = (time.fromisoformat(text) for text in (session.start_time, session.end_time))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise ConfigError(
            f"session {session.name}: start_time {session.start_time!r}, end_time {session.end_time!r}, "
            f"timezone {session.timezone!r}: {error}; use HH:MM:SS and an IANA zone such as America/New_York"
        ) from error
    today = now.astimezone(zone).date()
    in_utc = [datetime.combine(today, t, zone).astimezone(UTC) for t in (start, end)]
    return in_utc[0].strftime("%H:%M:%S"), in_utc[1].strftime("%H:%M:%S")


def session_keys(session: SessionSpec, spec: HostSpec, engine_port: int, now: datetime) -> dict[str, str]:
    """The engine's configuration keys of one session.

    ``engine_port`` is the port the engine itself opens (the host puts its own listener in its place).
    """
    keys = FIXED | {
        "FileStorePath": str(spec.store_dir),
        "ResetOnLogon": _yes(session.reset_on_logon),
        "ResetOnLogout": _yes(session.reset_on_logout),
        "CheckLatency": _yes(session.max_latency_seconds is not None),
    }
    if session.max_latency_seconds is not None:
        keys["MaxLatency"] = str(session.max_latency_seconds)
    times = utc_times(session, now)
    if times is None:
        keys["NonStopSession"] = "Y"
    else:
        keys["StartTime"], keys["EndTime"] = times
    keys |= _dictionary_keys(session, spec.dictionary_dir)
    if session.role == "oms":
        keys |= {"ConnectionType": "acceptor", "SocketAcceptPort": str(engine_port), "SocketReuseAddress": "Y"}
        if session.allowed_addresses:
            keys["AllowedRemoteAddresses"] = ",".join(session.allowed_addresses)
    else:
        keys |= {
            "ConnectionType": "initiator",
            "SocketConnectHost": session.host,
            "SocketConnectPort": str(session.port),
            "HeartBtInt": str(session.heart_bt_int),
            "ReconnectInterval": str(session.reconnect_seconds),
        }
    return keys


def _dictionary_keys(session: SessionSpec, directory: Path) -> dict[str, str]:
    files = dictionary_names(session)
    paths = [str(directory / f"{name}.xml") for name in files]
    if session.begin_string != "FIXT.1.1":
        return {"DataDictionary": paths[0]}
    return {
        "TransportDataDictionary": paths[0],
        "AppDataDictionary": paths[1],
        "DefaultApplVerID": session.default_appl_ver_id,
    }


def dictionary_names(session: SessionSpec) -> tuple[str, ...]:
    """The dictionaries a session needs, as the engine's package names the files.

    Raises:
        ConfigError: for an application version without a dictionary.
    """
    if session.begin_string != "FIXT.1.1":
        return (session.begin_string.replace(".", ""),)
    applications = {"7": "FIX50", "8": "FIX50SP1", "9": "FIX50SP2"}
    if session.default_appl_ver_id not in applications:
        raise ConfigError(
            f"session {session.name}: default_appl_ver_id {session.default_appl_ver_id!r} must be one of "
            f"{sorted(applications)} (9 is FIX 5.0SP2)"
        )
    return ("FIXT11", applications[session.default_appl_ver_id])


def engine_settings(
    sessions: tuple[SessionSpec, ...], spec: HostSpec, engine_port: int, now: datetime
) -> fix.SessionSettings:
    """Settings of one engine (the acceptor with all OMS sessions, or one broker's initiator)."""
    settings = fix.SessionSettings()
    defaults = fix.Dictionary()
    # The initiator reads these two from the defaults only.
    defaults.setString("SocketNodelay", "Y")
    defaults.setString("ReconnectInterval", str(max(session.reconnect_seconds for session in sessions)))
    settings.set(defaults)
    for session in sessions:
        keys = fix.Dictionary()
        for key, value in session_keys(session, spec, engine_port, now).items():
            keys.setString(key, value)
        settings.set(session_id(session), keys)
    return settings


def session_id(session: SessionSpec) -> fix.SessionID:
    """The engine's identifier of ``session``."""
    return fix.SessionID(session.begin_string, session.gateway_comp_id, session.comp_id)


def _yes(value: bool) -> str:
    return "Y" if value else "N"
