"""gateway.toml: the keys that may stand in it, with default, meaning and accepted values.

The tables below are the only definition of the keys: :data:`KEYS` and the tables of
``docs/configuration.md`` come from them.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from fixgateway.config.alerts import Alerts
from fixgateway.config.charges import AMOUNT, FEES, Amount, Fee
from fixgateway.config.keys import REQUIRED, Key, Table, TimeZone, Words, keys_of, setting
from fixgateway.config.reviews import Reviews

COMP_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
_HOST = r"^[A-Za-z0-9._:-]{1,253}$"
_LOOPBACK_NAMES = ("localhost",)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ipaddress.ip_address(value)
    return values


def _http_url(url: str) -> str:
    if url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url} is no address")
    return url


BeginString = Literal["FIX.4.2", "FIX.4.4", "FIXT.1.1"]

_SECONDS = "a whole number of seconds"
_BEGIN_STRING = '"FIX.4.4", "FIX.4.2" or "FIXT.1.1" (FIX 5.0SP2)'


class Gateway(Table):
    """The gateway itself."""

    comp_id: str = setting(
        "FIXGW",
        "the gateway's CompID, SenderCompID(49) on every session",
        "1 to 64 letters, digits, . _ or -",
        pattern=COMP_ID,
    )
    data_dir: str = setting(
        "var",
        "journal, FIX store and embedded database live here; relative to this file",
        "a directory",
        min_length=1,
    )


class Listen(Table):
    """Where OMS sessions connect."""

    host: str = setting(
        "127.0.0.1", "address OMS sessions connect to", "an IP address or host name", pattern=_HOST
    )
    port: int = setting(9876, "port OMS sessions connect to", "a number from 1 to 65535", ge=1, le=65535)


class Http(Table):
    """API, pages, metrics and health; on this machine only until TLS or a proxy stands before them."""

    host: str = setting(
        "127.0.0.1",
        "address of API, pages, /metrics, /healthz and /readyz; other than loopback only with tls_certificate or "
        "behind_proxy",
        'an IP address or host name, for example "127.0.0.1"',
        pattern=_HOST,
    )
    port: int = setting(
        8080,
        "port of API, /metrics, /healthz and /readyz; 0 takes any free port",
        "a number from 0 to 65535",
        ge=0,
        le=65535,
    )
    allowed_hosts: Words = setting(
        (),
        "names besides the loopback ones accepted in the Host header",
        'a list of host names, for example ["gw.example.com"]',
    )
    tls_certificate: str = setting(
        "",
        'certificate chain of the HTTP server (PEM), relative to this file; "": plain HTTP',
        "a PEM file that exists, together with tls_key",
    )
    tls_key: str = setting(
        "",
        "private key of tls_certificate (PEM, without passphrase), relative to this file",
        "a PEM file that only the gateway's user can read",
    )
    behind_proxy: bool = setting(
        False,
        "a proxy that people reach by TLS stands before the gateway: cookies travel by TLS only, and other addresses "
        "than loopback are allowed",
        "true or false",
    )
    proxy_addresses: Annotated[Words, AfterValidator(_addresses)] = setting(
        (),
        "addresses of proxies whose X-Forwarded-For and proxy_user_header are believed; with a loopback address "
        "every program of this machine is believed",
        'a list of IP addresses, for example ["10.0.0.7"]',
    )
    proxy_user_header: str = setting(
        "",
        "header in which a proxy names the person it has authenticated (OIDC, for example), by person id; the proxy "
        'must remove it from what comes in; "": people sign in here',
        'a header name such as "X-Forwarded-User", together with behind_proxy and proxy_addresses',
        pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$",
    )
    idle_minutes: int = setting(
        30, "a session without a request for this long ends", "a number from 1 to 1440", ge=1, le=1440
    )
    session_hours: int = setting(
        12, "a session ends this long after its sign-in, used or not", "a number from 1 to 168", ge=1, le=168
    )
    lockout_failures: int = setting(
        5, "failed sign-ins in a row that lock a name", "a number from 1 to 100", ge=1, le=100
    )
    lockout_minutes: int = setting(
        15, "how long a name is locked after its last failure", "a number from 1 to 1440", ge=1, le=1440
    )


class Records(Table):
    """The SQL database, a projection of the journal."""

    url: str = setting(
        "sqlite:///{data_dir}/records.db",
        "SQLAlchemy URL of the database; {data_dir} stands for gateway.data_dir",
        '"sqlite:///{data_dir}/records.db" or "postgresql+psycopg://user@host/database"',
        pattern=r"^(sqlite:///.+|postgresql\+psycopg://.+)$",
    )


class Journal(Table):
    """The append-only record of everything."""

    sync: Literal["group", "always", "never"] = setting(
        "group",
        "group: one sync a batch; always: one a record; never: leave it to the system (tests only)",
        '"group", "always" or "never"',
    )
    segment_bytes: int = setting(
        67_108_864,
        "size at which a new segment file is begun, in bytes",
        "a number from 65536 to 1073741824",
        ge=65_536,
        le=1_073_741_824,
    )
    snapshots: bool = setting(
        True,
        "snapshots are made at every new segment and at the stop, and a start reads the journal from there on; "
        "false: neither",
        "true or false",
    )
    checkpoint_seconds: int = setting(
        60,
        "time between two checkpoints of the journal; one more at every new segment and at the stop",
        f"{_SECONDS} from 1 to 86400",
        ge=1,
        le=86_400,
    )
    key_file: str = setting(
        "",
        'signing key of the checkpoints, made by `fixgateway keys new`; relative to this file; "": not signed',
        "a file that only the gateway's user can read",
    )
    anchor_dirs: Words = setting(
        (),
        "directories outside data_dir, best on other machines, that get every checkpoint; relative to this file",
        'a list of directories that exist, for example ["/mnt/worm/fixgateway"]',
    )
    anchor_url: Annotated[str, AfterValidator(_http_url)] = setting(
        "",
        'address every checkpoint is sent to by POST; "" for none',
        "an address that begins with http:// or https://, without name and password",
    )
    timestamp_url: Annotated[str, AfterValidator(_http_url)] = setting(
        "",
        'RFC 3161 authority that stamps checkpoints with its time; it gets their SHA-256 only; "" for none',
        "an address that begins with http:// or https://, without name and password",
    )
    timestamp_ca_file: str = setting(
        "",
        "certificates its signatures must lead to, relative to this file; "
        '"": a time stamp is kept without a look at its signature',
        "a PEM file that exists",
    )
    timestamp_seconds: int = setting(
        3600,
        "time between two time stamps, if a checkpoint is new; one more at every new segment and at the stop",
        f"{_SECONDS} from 1 to 604800",
        ge=1,
        le=604_800,
    )
    reserve_bytes: int = setting(
        67_108_864,
        "space set aside on the journal's disk and freed when it is full, for fills and cancels; 0: none",
        "a number from 0 to 1099511627776",
        ge=0,
        le=1 << 40,
    )
    min_free_bytes: int = setting(
        268_435_456,
        "with less than this free on the journal's disk new orders are refused (GW-502) until more is free",
        "a number from 0 to 1099511627776",
        ge=0,
        le=1 << 40,
    )
    spare_dir: str = setting(
        "",
        "directory on another disk where the journal goes on, with orders off, when its own disk fails; relative "
        'to this file; "": the gateway ends at once',
        "a directory that exists, of this gateway alone",
    )
    slow_sync_seconds: float = setting(
        1.0,
        "a sync of the journal that takes longer is slow; three in 30 s, or one five times as long, turn new "
        "orders off",
        "a number of seconds from 0.01 to 60",
        ge=0.01,
        le=60,
    )
    retention_years: int = setting(
        6,
        "`fixgateway journal prune` removes no record younger than this; in force from the next start on",
        "a number from 1 to 100",
        ge=1,
        le=100,
    )


class PolicyFiles(Table):
    """The allocation policy, the accounts and what they hold."""

    file: str = setting("policy.toml", "the allocation policy; relative to this file", "a file name", min_length=1)
    accounts: str = setting("accounts.csv", "the account file; relative to this file", "a file name", min_length=1)
    holdings: str = setting(
        "",
        'what accounts may sell (account, symbol, quantity, as_of), read with the accounts; "" for none',
        "a file name",
    )
    exceptions: str = setting(
        "",
        'pre-approved codes of exceptions ([exceptions.md](exceptions.md)); "" for the list shipped with the gateway',
        "a file name",
    )


class Drop(Table):
    """The folder statement files may be dropped in."""

    directory: str = setting(
        "", 'folder watched for statement files, relative to this file; "" for none', "a directory"
    )


class LimitsTable(Table):
    """Bounds; each says what happens at it."""

    inbox_messages: int = setting(
        10_000,
        "messages waiting for the pump; at it the FIX session waits",
        "a number from 100 to 1000000",
        ge=100,
        le=1_000_000,
    )
    batch_messages: int = setting(
        500, "most messages journaled with one sync", "a number from 1 to 100000", ge=1, le=100_000
    )
    max_queue_seconds: int = setting(
        10,
        "an order judged later than this after its receipt is refused (GW-310)",
        "a number from 1 to 3600",
        ge=1,
        le=3600,
    )
    resend_seconds: int = setting(
        30,
        "an order resent by the OMS later than this is refused (GW-310)",
        "a number from 1 to 3600",
        ge=1,
        le=3600,
    )


class Log(Table):
    """The structured log."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "least severe entries written", '"debug", "info", "warning" or "error"'
    )


class Session(Table):
    """What OMS and broker sessions have in common."""

    comp_id: str = setting(
        REQUIRED,
        "the counterparty's CompID, its name everywhere",
        "1 to 64 letters, digits, . _ or -",
        pattern=COMP_ID,
    )
    begin_string: BeginString = setting("FIX.4.4", "FIX version, BeginString(8)", _BEGIN_STRING)
    heart_bt_int: int = setting(
        30, "heartbeat interval in seconds, HeartBtInt(108)", f"{_SECONDS} from 1 to 3600", ge=1, le=3600
    )
    start_time: str | None = setting(
        None, "daily start of the session; none: round the clock", 'a time "HH:MM:SS"', pattern=_TIME
    )
    end_time: str | None = setting(
        None, "daily end of the session; none: round the clock", 'a time "HH:MM:SS"', pattern=_TIME
    )
    timezone: TimeZone = setting(
        "UTC", "time zone of start_time and end_time", 'an IANA time zone such as "America/New_York"'
    )
    reset_on_logon: bool = setting(False, "both sequence numbers begin at 1 at every logon", "true or false")


class Oms(Session):
    """One OMS session (the gateway accepts)."""

    brokers: Words = setting(
        REQUIRED,
        "brokers this OMS may reach, by comp_id; the first is the default",
        'a list of [[broker]] comp_ids, for example ["BRK1"]',
        min_length=1,
    )
    match: Annotated[tuple[Literal["AllocID", "ClOrdID"], ...], Field(strict=False)] = setting(
        ("AllocID", "ClOrdID"),
        "fields that link an order to its statement, tried in this order",
        'a list of "AllocID" and "ClOrdID"',
        min_length=1,
    )
    allocation_report: Literal["AS", "J", "none"] = setting(
        "AS",
        "how the OMS hears of an accepted allocation: AllocationReport, a copy of the J, or not",
        '"AS" (FIX 4.4 and later), "J" or "none"',
    )
    pass_allocation_ack: bool = setting(
        False, "pass the broker's P for the gateway's allocation on to the OMS", "true or false"
    )
    allowed_addresses: Annotated[Words, AfterValidator(_addresses)] = setting(
        (),
        "addresses this OMS may connect from; empty: any (looked at after the logon: no firewall)",
        'a list of IP addresses, for example ["10.0.0.7"]',
    )


class Broker(Session):
    """One broker session (the gateway connects)."""

    host: str = setting(REQUIRED, "where the broker listens", "an IP address or host name", pattern=_HOST)
    port: int = setting(REQUIRED, "where the broker listens", "a number from 1 to 65535", ge=1, le=65535)
    profile: Literal["default"] = setting("default", "the broker's dialect", '"default"')
    reconnect_seconds: int = setting(
        5, "wait between two attempts to connect", f"{_SECONDS} from 1 to 3600", ge=1, le=3600
    )
    on_behalf_of: bool = setting(
        False, "send the OMS's CompID in OnBehalfOfCompID(115) to this broker", "true or false"
    )
    alloc_type: Literal["1", "2", "5"] = setting(
        "1", "AllocType(626) of allocations: 1 calculated, 2 preliminary, 5 ready-to-book", '"1", "2" or "5"'
    )
    price_decimals: int | None = setting(
        None,
        "decimals of the average price this broker is sent; default: the policy's",
        "a number from 0 to 9",
        ge=0,
        le=9,
    )
    max_unacked_orders: int = setting(
        1000,
        "orders the broker has not answered; at it, orders are refused (GW-403)",
        "a number from 1 to 1000000",
        ge=1,
        le=1_000_000,
    )
    max_unacked_seconds: int = setting(
        30,
        "age of the oldest unanswered order; beyond it, orders are refused (GW-403)",
        f"{_SECONDS} from 1 to 3600",
        ge=1,
        le=3600,
    )
    ack_timeout_seconds: int = setting(
        300,
        "an allocation without P is alerted after this (GW-808)",
        f"{_SECONDS} from 1 to 86400",
        ge=1,
        le=86_400,
    )
    final_timeout_seconds: int = setting(
        1800,
        "an allocation the broker received (87=3) and did not decide is alerted after this (GW-870); 0: never",
        f"{_SECONDS} from 0 to 86400",
        ge=0,
        le=86_400,
    )
    confirmations: bool = setting(
        False,
        "the broker confirms every account (AK); each is compared and affirmed (AU). false: an AK is refused",
        "true or false",
    )
    price_tolerance: Amount = setting(
        "0", "how far a price in the broker's AS or AK may be from ours", 'a number in quotes such as "0.0001"'
    )
    money_tolerance: Amount = setting(
        "0.01", "how far an amount in the broker's AS or AK may be from ours", 'a number in quotes such as "0.05"'
    )
    dont_know: bool = setting(False, "answer fills of unknown orders with DontKnowTrade (Q)", "true or false")
    commission: Amount | None = setting(
        None, "Commission(12) of a block; with one (or fees) allocations of alloc_type 1 say net money", AMOUNT
    )
    commission_type: Literal["1", "2", "3"] | None = setting(
        None,
        "CommType(13): what commission is of; 1 a unit, 2 part of the gross (0.05 is 5 %), 3 the block",
        '"1", "2" or "3"; required with commission',
    )
    fees: Annotated[tuple[Fee, ...], Field(strict=False)] = setting(
        (), "fees of a block, NoMiscFees(136)", f"a list of tables: {FEES}"
    )
    fills_from_cum: bool = setting(
        False,
        "enter a fill that only CumQty(14) and AvgPx(6) show, when the order is over or a status says so (GW-864)",
        "true or false",
    )
    replace_accepted: bool = setting(
        True,
        "the broker takes a replacement (71=1) or cancel (71=2) of an allocation it has accepted; false: it stands, "
        "what comes later gets a new one, and what cannot be made right so is an exception (GW-841, GW-842)",
        "true or false",
    )


TABLES: dict[str, type[Table]] = {
    "gateway": Gateway,
    "listen": Listen,
    "http": Http,
    "records": Records,
    "journal": Journal,
    "policy": PolicyFiles,
    "drop": Drop,
    "limits": LimitsTable,
    "log": Log,
    "alerts": Alerts,
    "reviews": Reviews,
}
"""Tables that stand once, ``[name]``."""

LISTS: dict[str, type[Session]] = {"oms": Oms, "broker": Broker}
"""Tables that stand once for each counterparty, ``[[name]]``."""


KEYS: tuple[Key, ...] = tuple(keys_of({**TABLES, **LISTS}))
"""Every key, in the order of the file."""
