"""One JSON line for a decision; cheap where there are many; nothing a counterparty sends can break it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from worlds import TODAY, World, draft, one

from fixgateway.core import outputs
from fixgateway.core.inputs import ExecKind, Input, Tick
from fixgateway.core.outputs import Output, SendAllocation
from fixgateway.errors import ConfigError
from fixgateway.monitor import logs
from fixgateway.monitor.logs import DecisionLog, configure, decision_events


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("fixgateway")
    kept = (list(root.handlers), list(ours.handlers), ours.propagate, ours.level)
    yield
    root.handlers, ours.handlers, ours.propagate = kept[0], kept[1], kept[2]
    ours.setLevel(kept[3])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def events(world: World, decided: tuple[Output, ...], at_least: str = "debug") -> list[tuple[str, str]]:
    return [(level, event) for level, event, _ in decision_events(world.inputs[-1], decided, at_least)]


def test_a_blocked_order_says_who_what_and_why() -> None:
    world = World()
    decided = world.order("C0", statement="S-9")
    ((level, event, fields),) = decision_events(world.inputs[-1], decided)
    assert (level, event) == ("info", "order refused")
    assert fields == {
        "journal_seq": world.seq,
        "session": "OMS1",
        "msg_type": "D",
        "cl_ord_id": "C0",
        "statement_id": "",
        "broker": "",
        "reason": "GW-101",
        "text": "GW-101 no allocation statement for AllocID S-9",
    }


def test_levels_of_a_day() -> None:
    world = World()
    assert events(world, world.submit()) == [("info", "statement registered")]
    assert events(world, world.submit(draft("S-B", symbol=""))) == [("info", "statement refused")]
    assert events(world, world.order()) == [("debug", "order forwarded")]
    assert events(world, world.fill("30000", "100")) == [("debug", "execution")]
    assert events(world, world.status("C1"))[:1] != [("info", "order refused")]
    done = world.execution(ExecKind.CANCELLED)
    assert events(world, done, "info") == [
        ("info", "statement closed"),
        ("info", "statement allocated"),
        ("info", "allocation"),
    ]
    alloc_id = one(done, SendAllocation).allocation.alloc_id
    answered = events(world, world.ack(alloc_id, "rejected"), "info")
    assert ("warning", "exception") in answered
    assert answered[0] == ("info", "allocation answered")
    assert ("error", "alert") in events(world, world.fill("1", "1", "NEVER-SENT"))
    assert events(world, world.operate("halt")) == [("warning", "orders switched")]
    assert events(world, world.down()) == [("info", "session down")]


def test_lines_below_the_level_are_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.submit()
    decided = world.order()
    monkeypatch.setattr(logs, "_common", lambda _: pytest.fail("built for nothing"))
    assert decision_events(world.inputs[-1], decided, "info") == []


def test_only_critical_alerts_at_error() -> None:
    alerts = (outputs.Alert("GW-801", "warning", "x", "w"), outputs.Alert("GW-801", "critical", "x", "c"))
    found = decision_events(World().inputs[0], alerts, "error")
    assert [(level, fields["text"]) for level, _, fields in found] == [("error", "c")]


def test_every_output_is_logged_or_left_out_on_purpose() -> None:
    silent = {outputs.PassToOms, outputs.SendStatementAck, outputs.OrderChanged}
    assert set(logs._OUTPUT_LINES) == set(get_args(Output)) - silent


def test_lines_are_json_with_time_and_level() -> None:
    stream = io.StringIO()
    log = DecisionLog(configure("info", stream), "info")
    world = World()
    decided = world.order("C0", statement="S-9")
    log.write([(world.inputs[-1], decided)])
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["journal_seq"]) == ("order refused", "info", world.seq)
    assert line["ts"].endswith("Z")


def test_odd_bytes_do_not_break_the_line() -> None:
    stream = io.StringIO()
    world = World()
    decided = world.order('C\udcff\n"\x01é', statement="S-9")
    DecisionLog(configure("debug", stream), "debug").write([(world.inputs[-1], decided)])
    (line,) = lines(stream)
    assert line["cl_ord_id"] == 'C\udcff\n"\x01é'
    assert stream.getvalue().isascii()


def test_libraries_log_in_the_same_form_and_configuring_twice_does_not_double() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("info", first)
    logger = configure("info", second)
    logging.getLogger("some.library").warning("watch %s", "out")
    logger.info("ours")
    assert first.getvalue() == ""
    assert [(line["event"], line["level"]) for line in lines(second)] == [
        ("watch out", "warning"),
        ("ours", "info"),
    ]
    assert lines(second)[0]["logger"] == "some.library"


def test_a_flood_is_cut_and_counted_and_critical_alerts_pass() -> None:
    stream = io.StringIO()
    log = DecisionLog(configure("info", stream), "info", max_per_second=5)
    world = World()
    flood: list[tuple[Input, tuple[Output, ...]]] = []
    for number in range(100):
        decided = world.order(f"C{number}", statement="S-9")
        flood.append((world.inputs[-1], decided))
    assert len({given.ts_ns // 10**9 for given, _ in flood}) == 1
    alerts = tuple(outputs.Alert("GW-801", "critical", "x", str(n)) for n in range(10))
    log.write([*flood, (flood[-1][0], alerts)])
    log.write([(Tick(1, world.ts_ns + 10**9, TODAY, "10:00:00"), (outputs.Flagged("GW-811", "x"),))])
    found = [(line["event"], line.get("left_out")) for line in lines(stream)]
    assert found == [("order refused", None)] * 5 + [("alert", None)] * 10 + [
        ("lines left out", 95),
        ("flagged", None),
    ]


def test_a_wrong_level_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="log level 'loud'"):
        configure("loud")
