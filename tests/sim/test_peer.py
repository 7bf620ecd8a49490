"""Two peers against each other over TCP: the session protocol and misbehaviour on purpose."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixgateway.errors import CounterpartyError
from fixgateway.sim.fields import SOH, Fields, Framer, Stamp, body_text, build_frame, checksum
from fixgateway.sim.peer import Peer

ORDER = [(11, "O-1"), (55, "XYZ"), (54, "1"), (38, "100"), (5001, "own tag")]


@pytest.fixture
def acceptor() -> Iterator[Peer]:
    with Peer.listen("127.0.0.1", 0, "BRK", "OMS") as peer:
        yield peer


@pytest.fixture
def initiator(acceptor: Peer) -> Iterator[Peer]:
    with Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK") as peer:
        yield peer


def test_a_message_arrives_with_its_body_byte_for_byte(acceptor: Peer, initiator: Peer) -> None:
    body = "11=O-1|78=2|79=A|80=60|9001=x|79=B|80=40|58=ü"
    seq = initiator.send("D", body, header=[(50, "TRADER"), (97, "Y")])
    got = acceptor.expect("D", ClOrdID="O-1")
    assert got.body == body_text(body)
    assert (got.seq, got.get(50), got.get(97)) == (seq, "TRADER", "Y")
    entries = got.group(78, (79, 80, 9001))
    assert [entry.pairs for entry in entries] == [
        [(79, "A"), (80, "60"), (9001, "x")],
        [(79, "B"), (80, "40")],
    ]


def test_a_connection_closed_without_an_answer_is_tried_again() -> None:
    """An acceptor that still holds the session's last connection closes the new one without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:

        def refuse_then_answer() -> socket.socket:
            for _ in range(2):
                refused, _ = server.accept()
                refused.recv(1000)
                refused.close()
            taken, _ = server.accept()
            taken.recv(1000)
            taken.sendall(
                build_frame(Stamp("FIX.4.4", "BRK", "OMS", 1, "20261122-12:00:00"), "A", body_text("98=0|108=30"))
            )
            return taken

        answering = threads.submit(refuse_then_answer)
        with Peer.connect("127.0.0.1", server.getsockname()[1], "OMS", "BRK") as peer:
            assert peer.logged_on
            answering.result(5).close()


def test_expect_takes_the_match_and_leaves_the_rest(acceptor: Peer, initiator: Peer) -> None:
    for name in ("A", "B", "C"):
        initiator.send("D", [(11, name)])
    assert acceptor.expect("D", t11="B").get(11) == "B"
    assert [acceptor.expect("D").get(11) for _ in range(2)] == ["A", "C"]
    acceptor.expect_none("D", 0.05)
    with pytest.raises(CounterpartyError, match=r"receive 8 ExecType=F within .* last received: .*11=C"):
        acceptor.expect("8", 0.05, ExecType="F")
    with pytest.raises(ValueError, match="NoSuchField"):
        acceptor.expect("D", 0.05, NoSuchField="1")
    initiator.send("D", [(11, "D")])
    with pytest.raises(CounterpartyError, match="should not come"):
        acceptor.expect_none("D", 2)


def test_a_test_request_is_answered_with_its_id(acceptor: Peer, initiator: Peer) -> None:
    initiator.send("1", [(112, "PING")])
    assert initiator.expect("0", TestReqID="PING").get(112) == "PING"


def test_heartbeats_flow_both_ways_and_a_mute_side_is_dropped() -> None:
    with (
        Peer.listen("127.0.0.1", 0, "BRK", "OMS") as acceptor,
        Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK", heart_bt_int=1) as initiator,
    ):
        assert initiator.expect("0", 3).seq == 2
        acceptor.expect("0", 3)
        acceptor.mute = True
        acceptor.expect("1", 4)
        assert initiator.wait_down(5)


def test_a_lost_message_is_asked_for_and_delivered_in_order(acceptor: Peer, initiator: Peer) -> None:
    initiator.send("D", [(11, "A")])
    acceptor.expect("D")
    acceptor.next_in -= 1  # as if A had been lost
    initiator.send("D", [(11, "B")])
    initiator.send("D", [(11, "C")])
    again = acceptor.expect("D", ClOrdID="A")
    assert (again.get(43), again.get(122) != "") == ("Y", True)
    assert [acceptor.expect("D").get(11) for _ in range(2)] == ["B", "C"]
    assert [f.seq for f in acceptor.received] == [1, 2, 2, 3, 4]
    assert [f.get(7) for f in initiator.received if f.msg_type == "2"] == ["2"]


def test_a_jump_of_numbers_is_gap_filled(acceptor: Peer, initiator: Peer) -> None:
    initiator.next_out += 10
    initiator.send("D", [(11, "A")])
    assert acceptor.expect("4").get(36) == "12"
    assert acceptor.expect("D").seq == 12


def test_a_number_too_low_ends_the_session(acceptor: Peer, initiator: Peer) -> None:
    initiator.next_out = 1
    initiator.send("D", [(11, "A")])
    assert "MsgSeqNum too low, expecting 2 but received 1" in initiator.expect("5").get(58)
    assert acceptor.wait_down()
    acceptor.expect_none("D", 0.05)


def test_a_duplicate_is_seen_on_the_wire_but_not_delivered(acceptor: Peer, initiator: Peer) -> None:
    seq = initiator.send("D", ORDER)
    acceptor.expect("D")
    initiator.send_raw(initiator.frame("D", ORDER, seq=seq, header=[(43, "Y")]))
    assert acceptor.expect_wire("D", t43="Y").seq == seq
    acceptor.expect_none("D", 0.05)


def test_garbled_bytes_are_skipped_and_the_message_recovered(acceptor: Peer, initiator: Peer) -> None:
    initiator.send_raw(b"garbage" + initiator.frame("D", ORDER, check_sum="999"))
    initiator.send_raw(initiator.frame("D", ORDER, body_length=7))
    initiator.send("D", ORDER)
    assert acceptor.expect("D").seq == 2
    assert b"garbage" in b"".join(acceptor.inbox.garbled)
    assert sum(b"O-1" in piece for piece in acceptor.inbox.garbled) == 2


def test_reconnecting_continues_the_numbers_and_recovers_what_was_missed(acceptor: Peer) -> None:
    with Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK") as initiator:
        initiator.send("D", [(11, "A")])
        acceptor.expect("D")
        initiator.drop(reset=True)
        assert acceptor.wait_down()
        acceptor.send("8", [(11, "A"), (150, "F")])  # kept: the acceptor is a broker that goes on filling
        with pytest.raises(CounterpartyError, match="not logged on"):
            initiator.send("D", [(11, "B")])
        initiator.reconnect()
        fill = initiator.expect("8", ExecType="F")
        assert (fill.get(43), fill.seq) == ("Y", 2)


def test_numbers_survive_in_a_file_and_reset_on_request(tmp_path: Path) -> None:
    with Peer.listen("127.0.0.1", 0, "BRK", "OMS", seq_file=tmp_path / "brk") as acceptor:
        for expected in (3, 6):
            file = tmp_path / "oms"
            with Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK", seq_file=file) as initiator:
                initiator.send("D", ORDER)
                acceptor.expect("D")
                assert initiator.next_out == expected
                assert initiator.logout()
            assert acceptor.wait_down()
        with Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK", reset_seq_num=True) as initiator:
            assert (initiator.next_out, initiator.next_in) == (2, 2)
            assert initiator.expect("A").get(141) == "Y"
    with Peer.listen("127.0.0.1", 0, "BRK", "OMS", seq_file=tmp_path / "brk") as again:
        assert again.next_in == 2


def test_a_logon_for_somebody_else_is_not_answered(acceptor: Peer) -> None:
    with pytest.raises(CounterpartyError, match="OMS9 is not logged on to BRK"):
        Peer.connect("127.0.0.1", acceptor.port, "OMS9", "BRK", timeout_seconds=2)
    assert any("another session" in error for error in acceptor.inbox.errors)


def test_nobody_listening_is_said_with_the_address() -> None:
    with pytest.raises(CounterpartyError, match=r"no connection to 127\.0\.0\.1:1"):
        Peer.connect("127.0.0.1", 1, "OMS", "BRK", timeout_seconds=0.2)


def test_a_failing_callback_does_not_end_the_session() -> None:
    def broken(_peer: object, fields: Fields) -> None:
        raise KeyError(fields.get(11))

    with (
        Peer.listen("127.0.0.1", 0, "BRK", "OMS", on_message=broken) as acceptor,
        Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK") as initiator,
    ):
        initiator.send("D", ORDER)
        acceptor.expect("D")
        initiator.send("1", [(112, "still there")])
        initiator.expect("0", TestReqID="still there")
        assert list(acceptor.inbox.errors) == ["KeyError on D: 'O-1'"]


def test_fixt_logon_names_the_application_version() -> None:
    with (
        Peer.listen("127.0.0.1", 0, "BRK", "OMS", begin_string="FIXT.1.1") as acceptor,
        Peer.connect("127.0.0.1", acceptor.port, "OMS", "BRK", begin_string="FIXT.1.1") as initiator,
    ):
        logon = acceptor.expect("A")
        assert (logon.get(8), logon.get(1137)) == ("FIXT.1.1", "9")
        assert initiator.expect("A").get(1137) == "9"


def test_thousands_behind_a_gap_arrive_once_each_in_order(acceptor: Peer, initiator: Peer) -> None:
    names = [f"O-{i}" for i in range(3000)]
    initiator.send("D", [(11, names[0])])
    acceptor.expect("D")
    acceptor.next_in -= 1
    for name in names[1:]:
        initiator.send("D", [(11, name)])
    acceptor.expect("D", 20, ClOrdID=names[-1])
    delivered = [f.get(11) for f in acceptor.received if f.msg_type == "D"]
    assert delivered == [names[0], *names]


def test_checksum_is_the_sum_of_the_bytes() -> None:
    # 8=FIX.4.2 heartbeat of FIX 4.2 appendix style; computed by hand: sum of bytes modulo 256
    assert checksum(b"A" * 4) == "004"
    assert checksum(b"8=FIX.4.2\x019=5\x0135=0\x01") == "161"


TEXT = st.text(st.characters(exclude_characters=SOH, exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.lists(st.tuples(st.integers(5000, 9999), TEXT), max_size=4), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    noise=st.binary(max_size=8),
)
def test_frames_come_out_as_they_went_in_whatever_the_pieces(
    bodies: list[list[tuple[int, str]]], cuts: list[int], noise: bytes
) -> None:
    stamp = Stamp("FIX.4.4", "A", "B", 1, "20260101-00:00:00.000")
    frames = [build_frame(stamp, "D", body_text(body)) for body in bodies]
    stream = noise + b"".join(frames)
    framer, out = Framer(), []
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    for start, end in itertools.pairwise(edges):
        out += framer.feed(stream[start:end])
    assert out == frames
    assert [Fields.parse(frame).pairs[7:-1] for frame in out] == bodies
    assert [Fields.parse(frame).body for frame in out] == [body_text(body) for body in bodies]


def test_a_data_field_may_hold_soh() -> None:
    body = f"11=A{SOH}95=5{SOH}96=a{SOH}b=c{SOH}58=x{SOH}"
    fields = Fields.parse(build_frame(Stamp("FIX.4.4", "A", "B", 1, "t"), "D", body))
    assert fields.get(96) == f"a{SOH}b=c"
    assert fields.get(58) == "x"
    assert fields.body == body


def test_text_without_a_tag_is_kept_as_tag_zero() -> None:
    fields = Fields.parse(b"8=FIX.4.4\x01junk\x01=5\x0155=XYZ\x01")
    assert fields.pairs[1:] == [(0, "junk"), (0, "=5"), (55, "XYZ")]


def test_logging_on_after_the_peer_is_gone_waits_for_it() -> None:
    probe = Peer.listen("127.0.0.1", 0, "BRK", "OMS")
    port = probe.port
    probe.close()
    started = time.monotonic()
    with pytest.raises(CounterpartyError):
        Peer.connect("127.0.0.1", port, "OMS", "BRK", timeout_seconds=0.3)
    assert 0.2 < time.monotonic() - started < 3
