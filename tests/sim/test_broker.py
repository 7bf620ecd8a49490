"""The scriptable broker and OMS against each other over TCP."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fixgateway.errors import ConfigError, CounterpartyError, StatementFileError, UsageError
from fixgateway.sim.broker import Broker
from fixgateway.sim.fields import Fields
from fixgateway.sim.oms import Oms, SimStatement, load_oms_scenario, read_statement, run_scenario
from fixgateway.sim.peer import Peer
from fixgateway.sim.script import BrokerScript, broker_script, load_broker_script, parse_steps

STATEMENT = SimStatement("S-1", "XYZ", "buy", (("CLIENT-A", "25000"), ("PROP", "25000")), "2026-11-22")


@contextlib.contextmanager
def session(script: BrokerScript, begin_string: str = "FIX.4.4") -> Iterator[tuple[Broker, Oms]]:
    """A broker and an OMS connected directly."""
    with (
        Broker(script, target="OMS1", begin_string=begin_string) as broker,
        Peer.connect("127.0.0.1", broker.peer.port, "OMS1", "BRK1", begin_string=begin_string) as peer,
    ):
        yield broker, Oms(peer, STATEMENT)


def values(fields: Fields, *tags: int) -> list[str]:
    return [fields.get(tag) for tag in tags]


def steps(text: str, **more: Any) -> BrokerScript:
    return BrokerScript(steps=parse_steps(text), **more)


def test_an_order_is_acknowledged_filled_and_the_rest_cancelled() -> None:
    with session(steps("10000@99.90,10000@100,10000@100.10")) as (_, oms):
        oms.order("O-1", "50000")
        ack = oms.peer.expect("8", ExecType="0")
        assert (ack.get(39), ack.get(151), ack.get(14)) == ("0", "50000", "0")
        fills = oms.expect("8", {"ExecType": "F"}, 3)
        assert [(f.get(32), f.get(31), f.get(14), f.get(6)) for f in fills] == [
            ("10000", "99.9", "10000", "99.9"),
            ("10000", "100", "20000", "99.95"),
            ("10000", "100.1", "30000", "100"),
        ]
        oms.cancel("C-1", "O-1")
        end = oms.wait_end()
        got = [end.get(tag) for tag in (150, 39, 11, 41, 14, 151)]
        assert got == ["4", "4", "C-1", "O-1", "30000", "0"]
        ids = [f.get(17) for f in oms.peer.received if f.msg_type == "8"]
        assert len(set(ids)) == 5


def test_quantities_in_parts_the_rest_and_over() -> None:
    with session(steps("30%@10,rest+5@11")) as (_, oms):
        oms.order("O-1", "101")
        fills = oms.expect("8", {"ExecType": "F"}, 2)
        assert [f.get(32) for f in fills] == ["30", "76"]
        assert (fills[1].get(14), fills[1].get(39), fills[1].get(151)) == ("106", "2", "0")


def test_bust_correct_repeat_and_unknown() -> None:
    with session(steps("100@10,200@11,bust 1,correct 2 150@12,repeat 2,unknown 5@1")) as (_, oms):
        oms.order("O-1", "1000")
        first, second = oms.expect("8", {"ExecType": "F"}, 2)
        bust = oms.peer.expect("8", ExecType="H")
        assert (bust.get(19), bust.get(14)) == (first.get(17), "200")
        corrected, repeated = oms.expect("8", {"ExecType": "G"}, 2)
        assert (corrected.get(19), corrected.get(14), corrected.get(6)) == (second.get(17), "150", "12")
        assert repeated.body == corrected.body
        stranger = oms.peer.expect("8", ExecType="F")
        assert "NEVER-SENT" in stranger.get(11)
        assert stranger.get(32) == "5"


def test_fix_42_says_new_cancel_correct_by_exec_trans_type() -> None:
    with session(steps("100@10,bust 1,50@10,correct 2 40@10"), "FIX.4.2") as (_, oms):
        oms.order("O-1", "100")
        reports = oms.expect("8", {}, 5)
        assert [(r.get(20), r.get(150)) for r in reports] == [
            ("0", "0"), ("0", "2"), ("1", "0"), ("0", "1"), ("2", "1"),
        ]  # fmt: skip
        assert oms.register(STATEMENT) is not None
        assert STATEMENT.fields("FIX.4.2")[1] == (71, "3")


@pytest.mark.parametrize(
    ("step", "status"), [("done", "3"), ("expire", "C"), ("cancel", "4"), ("rest@1", "2")]
)
def test_an_order_ends_as_scripted(step: str, status: str) -> None:
    with session(steps(f"10@1,{step}")) as (_, oms):
        oms.order("O-1", "100")
        assert oms.wait_end(5).get(39) == status


def test_a_rule_for_one_symbol_rejects() -> None:
    script = broker_script({"steps": ["rest@1"], "rule": [{"when": {"Symbol": "ABC"}, "reject": "not today"}]})
    with session(script) as (_, oms):
        oms.order("O-1", "10", symbol="ABC")
        rejected = oms.wait_end(5)
        assert (rejected.get(150), rejected.get(39), rejected.get(58)) == ("8", "8", "not today")
        oms.order("O-2", "10", symbol="XYZ")
        assert oms.wait_end(5).get(39) == "2"
        oms.order("O-2", "10", symbol="XYZ")
        assert oms.wait_end(5).get(58) == "duplicate ClOrdID"


@pytest.mark.parametrize(("choice", "reason"), [("accept", ""), ("reject", "2")])
def test_replace_and_cancel_as_told(choice: str, reason: str) -> None:
    with session(BrokerScript(on_cancel=choice, on_replace=choice)) as (_, oms):
        oms.order("O-1", "100")
        oms.replace("O-2", "O-1", "60")
        if reason:
            assert values(oms.peer.expect("9"), 434, 102, 41) == ["2", reason, "O-1"]
            oms.cancel("C-1", "O-1")
            assert values(oms.peer.expect("9"), 434, 102) == ["1", reason]
        else:
            replaced = oms.peer.expect("8", ExecType="5")
            assert [replaced.get(t) for t in (11, 41, 38, 151)] == ["O-2", "O-1", "60", "60"]
            oms.cancel("C-1", "O-2")
            assert oms.wait_end(5).get(39) == "4"
            oms.cancel("C-2", "C-1")
            assert oms.peer.expect("9").get(102) == "0"
        oms.cancel("C-9", "NOBODY")
        assert values(oms.peer.expect("9"), 37, 102, 39) == ["NONE", "1", "8"]


def test_allocations_are_answered_in_turn() -> None:
    script = BrokerScript(allocation=("received", "rejected"))
    with session(script) as (broker, oms):
        refused = oms.register(STATEMENT, status="1")
        assert refused is not None
        assert (refused.get(88), refused.get(75)) == ("7", "20261122")
        assert oms.peer.expect("P", AllocStatus="3").get(70) == "S-1"
        j = broker.peer.expect("J")
        assert [(e.get(79), e.get(80)) for e in j.group(78, (79, 80))] == list(STATEMENT.lines)
        assert [j.get(t) for t in (71, 626, 857, 53, 54, 55)] == ["0", "2", "0", "50000", "1", "XYZ"]


def test_a_cut_connection_loses_no_fill() -> None:
    with session(steps("10@1,disconnect,20@1,wait 0.2,30@1", delay_seconds=0.02)) as (broker, oms):
        oms.order("O-1", "60")
        assert oms.peer.wait_down()
        oms.peer.reconnect()
        end = oms.wait_end(5)
        assert end.get(14) == "60"
        traded = [f.get(32) for f in oms.peer.received if f.get(150) == "F"]
        assert traded == ["10", "20", "30"]
        assert not broker.peer.inbox.errors


def test_the_connection_is_cut_after_so_many_orders() -> None:
    with session(BrokerScript(disconnect_after=2)) as (_, oms):
        oms.order("O-1", "1")
        oms.peer.expect("8", ClOrdID="O-1")
        oms.order("O-2", "1")
        assert oms.peer.wait_down()


def test_an_unreadable_order_does_not_end_the_broker() -> None:
    with session(BrokerScript()) as (broker, oms):
        oms.order("O-1", "many")
        oms.order("O-2", "1")
        assert oms.peer.expect("8").get(11) == "O-2"
        assert "broker: InvalidOperation" in broker.peer.inbox.errors[0]


def test_a_scenario_file_runs(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "statement_id,account,quantity,trade_date,symbol,side\nS-7,A,1.5,2026-11-22,ABC,sell\nS-7,B,2,,ABC,sell\n"
    )
    file = tmp_path / "oms.toml"
    file.write_text(
        """
        [[step]]
        do = "statement"
        file = "s.csv"
        [[step]]
        do = "order"
        cl_ord_id = "O-1"
        quantity = "100"
        alloc_id = "S-7"
        more = "59=0|9001=x"
        [[step]]
        do = "expect"
        msg_type = "8"
        match = {ExecType = "F"}
        count = 2
        [[step]]
        do = "send"
        msg_type = "H"
        body = "11=O-1|55=ABC|54=2"
        [[step]]
        do = "expect"
        msg_type = "8"
        match = {ExecType = "I"}
        timeout_seconds = 5
        [[step]]
        do = "wait"
        seconds = 0.01
        [[step]]
        do = "logout"
        """
    )
    with session(steps("10@1,20@1")) as (broker, oms):
        run_scenario(oms, load_oms_scenario(file))
        order = broker.peer.expect("D")
        assert [order.get(t) for t in (70, 55, 54, 59, 9001)] == ["S-7", "ABC", "2", "0", "x"]
        statement = broker.peer.expect("J")
        assert (statement.get(53), statement.get(75)) == ("3.5", "20261122")
        assert not oms.peer.logged_on


def test_a_scenario_that_goes_wrong_names_the_step(tmp_path: Path) -> None:
    file = tmp_path / "oms.json"
    file.write_text('[{"do": "wait", "seconds": 0}, {"do": "expect", "msg_type": "P", "timeout_seconds": 0.05}]')
    with (
        session(BrokerScript()) as (_, oms),
        pytest.raises(CounterpartyError, match=r"step 2 \(expect\): OMS1 did not receive P within"),
    ):
        run_scenario(oms, load_oms_scenario(file))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('step = [{do = "dance"}]', "step 1: do = 'dance'; write one of statement, order"),
        ('step = [{do = "order", cl_ord_id = "A"}]', "step 1: quantity is missing"),
        ('step = [{do = "wait", seconds = "x"}]', "step 1: seconds = 'x'; write a value of type int or float"),
        ('step = [{do = "cancel", off = "x"}]', "step 1: off is not a key of cancel; known are cl_ord_id, of"),
        ("step = [", "oms.toml: "),
    ],
)
def test_a_wrong_oms_scenario_names_step_and_key(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "oms.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_oms_scenario(file)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("acks = true", "acks is not a key; known are ack, allocation"),
        ("ack = 1", "ack = 1; write true or false"),
        ("delay_seconds = -1", "write seconds from 0 to 3600"),
        ('on_cancel = "maybe"', "write accept | reject | silent"),
        ('allocation = ["perhaps"]', "write a list of received"),
        ('steps = ["10@"]', "steps: step '10@' is not understood"),
        ('[[rule]]\nwhen = {Colour = "red"}', "rule 1: when: field 'Colour' is not known"),
        ("ack = ", "b.toml: "),
    ],
)
def test_a_wrong_broker_scenario_names_key_and_remedy(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "b.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_broker_script(file)
    assert problem in str(caught.value)


@pytest.mark.parametrize("text", ["bust", "bust x", "wait", "done 1", "10", "1e5@1", "rest+@1", "correct 1"])
def test_a_step_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not understood; write one of: QTY@PRICE"):
        parse_steps(text)


def test_steps_read_back() -> None:
    read = parse_steps("10@1.5, wait 0.5,correct 2 rest@3,done")
    assert [(s.verb, s.number, s.quantity, s.price) for s in read] == [
        ("fill", 0, "10", Decimal("1.5")),
        ("wait", Decimal("0.5"), "", 0),
        ("correct", 2, "rest", 3),
        ("done", 0, "", 0),
    ]


def test_an_unreadable_statement_names_file_and_field(tmp_path: Path) -> None:
    for name, text, problem in (
        ("a.json", '{"statement_id": "S"}', "'lines' is missing"),
        ("b.json", "{", "b.json: "),
        ("c.csv", "statement_id\n", "c.csv: "),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(StatementFileError) as caught:
            read_statement(tmp_path / name)
        assert problem in str(caught.value)


# ---------------------------------------------------------------- the back office

J_BODY = (
    (70, "A-1"), (71, "0"), (626, "1"), (857, "1"), (73, "1"), (11, "O-1"), (54, "1"), (55, "XYZ"), (53, "100"),
    (6, "10"), (75, "20261123"), (60, "20261123-21:00:00"), (78, "2"), (79, "ACC-1"), (80, "60"), (153, "10"),
    (79, "ACC-2"), (80, "40"), (153, "10"),
)  # fmt: skip


def test_confirmations_right_wrong_and_corrected() -> None:
    with session(BrokerScript(confirmations=("right", "wrong-quantity"))) as (_, oms):
        oms.peer.send("J", list(J_BODY))
        right = oms.peer.expect("AK", t79="ACC-1")
        assert values(right, 80, 6, 381, 70, 75) == ["60", "10", "600", "A-1", "20261123"]
        wrong = oms.peer.expect("AK", t79="ACC-2")
        assert wrong.get(80) == "41"
        oms.peer.send("AU", [(664, wrong.get(664)), (75, "20261123"), (60, "20261123-21:00:00"), (940, "2")])
        better = oms.peer.expect("AK", t79="ACC-2", ConfirmTransType="1")
        assert values(better, 80, 772) == ["40", wrong.get(664)]


def test_confirmations_missing_late_copied_and_asked_for() -> None:
    script = BrokerScript(confirmations=("missing", "late"), late_seconds=0.2)
    with session(script) as (_, oms):
        oms.peer.send("J", list(J_BODY))
        assert oms.peer.expect("AK", t79="ACC-2").get(665) == "4"
        oms.peer.expect_none("AK", 0.1, t79="ACC-1")
        oms.peer.send("BH", [(859, "Q-1"), (773, "2"), (70, "A-1"), (60, "20261123-21:00:00")])
        assert oms.peer.expect("AK", t79="ACC-1").get(859) == "Q-1"
        oms.peer.send("BH", [(859, "Q-2"), (773, "2"), (70, "A-9"), (60, "20261123-21:00:00")])
        assert oms.peer.expect("AK", t859="Q-2").get(773) == "3"


@pytest.mark.parametrize(("how", "copies", "quantity", "price"), [
    ("right", 1, "60", "10"), ("wrong-quantity", 1, "59", "10"), ("wrong-price", 1, "60", "10.5"),
    ("duplicate", 2, "60", "10"),
])  # fmt: skip
def test_allocation_reports(how: str, copies: int, quantity: str, price: str) -> None:
    with session(BrokerScript(allocation_report=how)) as (_, oms):
        oms.peer.send("J", list(J_BODY))
        found = oms.expect("AS", {}, copies)
        assert {(report.get(80), report.get(6), report.get(70), report.get(53)) for report in found} == {
            (quantity, price, "A-1", "100")
        }
        assert len({report.get(755) for report in found}) == 1
