"""The parts that need no engine running: inbox, texts, settings, dictionaries, links."""

from __future__ import annotations

import socket
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import quickfix as fix
from hypothesis import given, settings
from hypothesis import strategies as st
from rawpeer import frame

from fixgateway.errors import ConfigError
from fixgateway.sessions import dictionary, links, listener, texts
from fixgateway.sessions.inbox import Inbox
from fixgateway.sessions.items import Seen
from fixgateway.sessions.settings import HostSpec, SessionSpec, check_specs, dictionary_names, utc_times

OMS = SessionSpec("OMS1", "oms", "FIX.4.4", "FIXGW", "OMS1")
BROKER = SessionSpec("BRK1", "broker", "FIX.4.4", "FIXGW", "BRK1", host="127.0.0.1", port=9877)

# ---------------------------------------------------------------- inbox


def test_batches_keep_the_order_and_the_limit() -> None:
    inbox: Inbox[int] = Inbox(100)
    for n in range(10):
        inbox.put(n)
    assert inbox.get_batch(4, 0.1) == [0, 1, 2, 3]
    assert inbox.get_batch(100, 0.1) == [4, 5, 6, 7, 8, 9]
    assert inbox.get_batch(100, 0.01) == []


def test_a_full_inbox_makes_only_the_bounded_door_wait() -> None:
    inbox: Inbox[int] = Inbox(2)
    inbox.put(1)
    inbox.put(2)
    inbox.put(3)
    assert inbox.full
    done = threading.Event()

    def callback() -> None:
        inbox.put_bounded(4)
        done.set()

    threading.Thread(target=callback, daemon=True).start()
    assert not done.wait(0.1)
    assert inbox.get_batch(2, 0.1) == [1, 2]
    assert done.wait(2)
    assert inbox.waits == 1
    assert inbox.get_batch(5, 0.1) == [3, 4]
    assert not inbox.full


def test_closing_lets_waiting_callbacks_go_and_loses_nothing() -> None:
    inbox: Inbox[int] = Inbox(1)
    inbox.put(0)
    threads = [threading.Thread(target=inbox.put_bounded, args=(n,), daemon=True) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    inbox.close()
    for thread in threads:
        thread.join(2)
        assert not thread.is_alive()
    assert sorted(inbox.get_batch(10, 0.1)) == [0, 1, 2, 3]


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("value", "number"),
    [("7", 7), ("007", 7), ("", 0), ("1_2", 0), (" 7", 0), ("-3", 0), ("٣", 0), ("7x", 0), ("1.0", 0)],
)
def test_only_plain_numbers_are_numbers(value: str, number: int) -> None:
    assert texts.msg_seq_num(f"8=FIX.4.4\x0135=D\x0134={value}\x0149=A\x01") == number


def test_a_missing_number_is_zero() -> None:
    assert texts.msg_seq_num("8=FIX.4.4\x0135=D\x01134=5\x01") == 0


def test_soundness_is_length_and_checksum() -> None:
    good = frame("FIX.4.4", "35=8\x0134=2\x0158=\xfcx\x01").decode("utf-8", "surrogateescape")
    assert texts.is_sound(good)
    assert not texts.is_sound(good.replace("34=2", "34=3"))
    assert not texts.is_sound(good.replace("34=2", "34=22"))
    assert not texts.is_sound("")
    assert not texts.is_sound("8=FIX.4.4\x019=x\x0135=0\x0110=y\x01")


@settings(max_examples=100)
@given(st.binary(max_size=40).filter(lambda b: b"\x00" not in b))
def test_true_data_lengths_pass_and_wrong_ones_are_named(data: bytes) -> None:
    value = data.decode("utf-8", "surrogateescape")
    assert texts.lying_length(f"11=A\x0195={len(data)}\x0196={value}\x0158=x\x01") == 0
    assert texts.lying_length(f"11=A\x0195={len(data)}\x0196={value}") == 0
    assert texts.lying_length(f"11=A\x0195={len(data) + 50}\x0196={value}\x0158=x\x01") == 96


def test_a_data_field_needs_its_length_in_front() -> None:
    assert texts.lying_length("11=A\x0196=abc\x01") == 96
    assert texts.lying_length("96=abc\x01") == 96
    assert texts.lying_length("11=A\x0158=96=abc\x01") == 0


def test_header_fields_end_where_the_body_begins() -> None:
    text = "8=FIX.4.4\x019=5\x0135=D\x0134=2\x0197=Y\x0158=body\x0150=not header\x0110=000\x01"
    assert texts.header_fields(text) == [(8, "FIX.4.4"), (9, "5"), (35, "D"), (34, "2"), (97, "Y")]


# ---------------------------------------------------------------- settings


def host_spec(*omses: SessionSpec, brokers: tuple[SessionSpec, ...] = ()) -> HostSpec:
    return HostSpec("127.0.0.1", 0, Path("s"), Path("d"), omses, brokers)


def test_good_sessions_pass() -> None:
    check_specs(host_spec(OMS, replace(OMS, name="OTHER", begin_string="FIX.4.2"), brokers=(BROKER,)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"begin_string": "FIX.4.3"}, "begin_string"),
        ({"comp_id": "A B"}, "comp_id"),
        ({"comp_id": "A\nHttpAcceptPort=1"}, "comp_id"),
        ({"comp_id": "../x"}, "comp_id"),
        ({"heart_bt_int": 0}, "heart_bt_int"),
        ({"start_time": "08:00:00"}, "belong together"),
        ({"start_time": "8", "end_time": "25:00:00"}, "HH:MM:SS"),
        ({"start_time": "08:00:00", "end_time": "17:00:00", "timezone": "Mars/Base"}, "IANA"),
        ({"port": 0}, "port"),
        ({"host": ""}, "host"),
    ],
)
def test_a_wrong_session_is_named_with_its_key(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        check_specs(host_spec(brokers=(replace(BROKER, **change),)))  # type: ignore[arg-type]
    assert "session BRK1" in str(caught.value)


def test_two_sessions_must_differ() -> None:
    with pytest.raises(ConfigError, match="used twice"):
        check_specs(host_spec(OMS, replace(OMS, comp_id="X")))
    with pytest.raises(ConfigError, match="must differ"):
        check_specs(host_spec(OMS, replace(OMS, name="X")))


def test_times_become_utc() -> None:
    day = replace(OMS, start_time="08:00:00", end_time="17:30:00", timezone="America/New_York")
    assert utc_times(day, datetime(2026, 11, 20, 12, tzinfo=UTC)) == ("13:00:00", "22:30:00")
    assert utc_times(day, datetime(2026, 7, 20, 12, tzinfo=UTC)) == ("12:00:00", "21:30:00")
    assert utc_times(OMS, datetime(2026, 7, 20, 12, tzinfo=UTC)) is None


def test_every_version_knows_its_dictionaries() -> None:
    assert dictionary_names(OMS) == ("FIX44",)
    assert dictionary_names(replace(OMS, begin_string="FIXT.1.1")) == ("FIXT11", "FIX50SP2")
    with pytest.raises(ConfigError, match="default_appl_ver_id"):
        dictionary_names(replace(OMS, begin_string="FIXT.1.1", default_appl_ver_id="4"))


# ---------------------------------------------------------------- dictionaries


@pytest.mark.parametrize("name", ["FIX42", "FIX44", "FIXT11", "FIX50SP2"])
def test_dictionaries_demand_nothing_but_what_the_session_layer_reads(name: str, tmp_path: Path) -> None:
    dictionary.write_dictionaries([name], tmp_path)
    fix.DataDictionary(str(tmp_path / f"{name}.xml"))  # the engine can read it
    root = ElementTree.parse(tmp_path / f"{name}.xml").getroot()
    assert not list(root.iter("value"))
    required = {element.get("name") for element in root.iter() if element.get("required") == "Y"}
    assert required <= set.union(*(set(names) for names in dictionary.DEMANDED.values()))
    types = {field.get("type") for field in root.iterfind("fields/field")}
    assert types <= {"STRING", "DATA", "INT", "SEQNUM", "BOOLEAN", "UTCTIMESTAMP"}
    stock = ElementTree.parse(dictionary.installed_dictionaries() / f"{name}.xml").getroot()
    assert len(list(root.iter("group"))) == len(list(stock.iter("group")))
    assert [m.get("msgtype") for m in root.iter("message")] == [m.get("msgtype") for m in stock.iter("message")]


def test_a_missing_dictionary_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"FIX44\.xml"):
        dictionary.write_dictionaries(["FIX44"], tmp_path / "out", tmp_path / "nowhere")


# ---------------------------------------------------------------- links


def seen(number: int, note: str = "") -> Seen:
    return Seen("OMS1", 0, f"8=FIX.4.4\x0135=D\x0134={number}\x0158={note}\x01")


def test_the_latest_text_of_a_number_is_kept() -> None:
    link = links.Link(OMS)
    link.stash(seen(5, "old"))
    link.stash(seen(6))
    link.stash(seen(5, "new"))
    assert texts.field(link.undelivered[5].text, 58) == "new"
    assert list(link.undelivered) == [6, 5]


def test_at_the_limit_the_stale_go_first_then_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_UNDELIVERED", 3)
    link = links.Link(OMS, expected=10)
    for number in (4, 11, 12, 13):
        link.stash(seen(number))
    assert list(link.undelivered) == [11, 12, 13]
    link.stash(seen(14))
    assert list(link.undelivered) == [12, 13, 14]


def test_refusals_are_counted_per_number() -> None:
    link = links.Link(OMS)
    assert [link.refused_again(n) for n in (1, 2, 1, 1)] == [False, False, True, True]
    link.begin_epoch()
    assert not link.refused_again(1)


def test_the_engines_listener_is_taken_over_only_once_it_accepts() -> None:
    """While the engine sets its sessions up it asks its socket for the port: it must still be its own then."""
    with (
        socket.create_server(("0.0.0.0", 0)) as engine,
        listener.open_listener("127.0.0.1", 0) as ours,
        ThreadPoolExecutor(1) as threads,
    ):
        port, accepting = engine.getsockname()[1], threading.Event()
        done = threads.submit(listener.take_over, ours, port, 10.0, lambda: False, accepting.is_set)
        engine.settimeout(5)
        engine.accept()[0].close()  # it knocks, so that the engine shows that it is ready
        assert not done.done()
        assert engine.getsockname()[1] == port
        accepting.set()
        assert done.result(5)
        assert engine.getsockname() == ours.getsockname()


def test_the_take_over_ends_when_the_engine_does_not_come_up() -> None:
    with listener.open_listener("127.0.0.1", 0) as ours:
        assert not listener.take_over(ours, 1, 0.05, lambda: False, lambda: False)
        assert not listener.take_over(ours, 1, 10.0, lambda: True, lambda: False)
