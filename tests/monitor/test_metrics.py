"""The catalogue is what is exported; decisions are counted; labels stay bounded."""

import re
import threading
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, get_args

import pytest
from booked import CONFIRMING, confirm, report, sent
from prometheus_client.parser import text_string_to_metric_families
from worlds import POLICY, TODAY, World, draft, one

from fixgateway.core import outputs
from fixgateway.core.desk_facts import DeliveryNoted, ReconciliationRecorded
from fixgateway.core.inputs import ExecKind, Input
from fixgateway.core.outputs import Output, SendAllocation
from fixgateway.monitor.metrics import CATALOGUE, MSG_TYPES, OTHER, Metrics, increments

NAMES = ("OMS1", "OMS2", "BRK1", "BRK2")


def evening() -> list[tuple[Input, tuple[Output, ...]]]:
    """What follows an allocation, as (input, outputs)."""
    world = World(replace(CONFIRMING, policy=replace(POLICY, warn_minutes=30)))
    alloc_id = sent(world)
    world.ack(alloc_id)
    kept = [
        (world.inputs[-1], decided)
        for decided in (report(world, alloc_id), confirm(world, alloc_id), world.tick(local_time="20:30:00"))
    ]
    first, second = world.inputs[-1], world.inputs[-2]
    desk = (DeliveryNoted("A-1-1", "mail", True, ""), ReconciliationRecorded(TODAY, "f", "ab", 4, 4, 0, "ops"))
    failed = (DeliveryNoted("A-1-1", "pigeon", False, ""), ReconciliationRecorded(TODAY, "", "", 0, 0, 0, ""))
    return [(source, decided) for source, decided in kept if decided] + [(first, desk), (second, failed)]


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """Sample name and label values in the catalogue's order → value, as a scraper reads them."""
    order = {metric.name: metric.labels for metric in CATALOGUE}

    def values(sample: Any) -> tuple[str, ...]:
        return tuple(sample.labels[name] for name in order.get(sample.name) or sample.labels)

    return {
        (sample.name, values(sample)): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def play() -> list[tuple[Input, tuple[Output, ...]]]:
    """A short day as (input, outputs)."""
    world = World()
    found: list[tuple[Input, tuple[Output, ...]]] = []

    def keep(decided: tuple[Output, ...]) -> tuple[Output, ...]:
        found.append((world.inputs[-1], decided))
        return decided

    keep(world.order("C0", statement="S-9"))
    keep(world.submit())
    keep(world.submit(draft("S-BAD", symbol="")))
    keep(world.order())
    keep(world.order())
    keep(world.fill("30000", "100"))
    keep(world.replace("C2", "C1", "40000"))
    keep(world.replace("C3", "C9", "40000"))
    keep(world.cancel("C4", "C1"))
    done = keep(world.execution(ExecKind.CANCELLED))
    keep(world.ack(one(done, SendAllocation).allocation.alloc_id, "rejected"))
    keep(world.submit(draft("S-2")))
    keep(world.order("C5", statement="S-2"))
    keep(world.not_sent(world.seq))
    keep(world.unsupported("AB"))
    keep(world.operate("halt"))
    keep(world.fill("1", "1", "NEVER-SENT"))
    return found


def test_the_catalogue_is_what_is_registered() -> None:
    metrics = Metrics("1.2.3", NAMES)
    collected = {family.name: family for family in metrics.registry.collect()}
    ours = {name: family for name, family in collected.items() if not name.startswith("process_")}
    assert {family.name.removesuffix("_total").removesuffix("_info") for family in CATALOGUE} == set(ours)
    for metric in CATALOGUE:
        family = ours[metric.name.removesuffix("_total").removesuffix("_info")]
        assert (family.type, family.documentation) == (metric.type, metric.help)


def test_every_metric_takes_the_labels_of_the_catalogue() -> None:
    metrics = Metrics("1", NAMES)
    metrics.observe([*play(), *evening()])
    metrics.messages({("OMS1", "in", "D"): 3})
    metrics.journal_records({"decision": 2})
    metrics.session_up("BRK1", True)
    metrics.unacked_orders("BRK1", 4)
    metrics.orders_off(["full"])
    metrics.journal_free(5)
    metrics.alerts_unacknowledged({"critical": 2})
    metrics.alerts_undelivered("mail", 3)
    seen: dict[str, set[tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            seen.setdefault(family.name, set()).add(tuple(sorted(set(sample.labels) - {"le"})))
    for metric in CATALOGUE:
        if metric.type == "info":
            continue
        assert seen[metric.name.removesuffix("_total")] == {tuple(sorted(metric.labels))}, metric.name


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Any) -> None:
    assert re.fullmatch(r"fixgateway(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.type == "counter")
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.type == "histogram")
    assert list(metric.buckets) == sorted(metric.buckets)
    assert not {"account", "cl_ord_id", "statement_id", "alloc_id"} & set(metric.labels)


def test_a_day_is_counted() -> None:
    metrics = Metrics("1", NAMES)
    metrics.observe(play())
    found = samples(metrics)

    def count(name: str, *labels: str) -> float:
        return found[f"fixgateway_{name}_total", labels]

    assert count("orders", "forwarded", "") == 2
    assert count("orders", "blocked", "GW-101") == 1
    assert count("orders", "blocked", "GW-301") == 1
    assert count("orders", "undone", "GW-405") == 1
    assert count("order_changes", "G", "forwarded", "") == 1
    assert count("order_changes", "G", "refused", "GW-701") == 1
    assert count("order_changes", "F", "forwarded", "") == 1
    assert count("statements", "fix", "registered") == 2
    assert count("statements", "fix", "refused") == 1
    assert count("statements_closed", "complete") == 1
    assert count("executions", "fill") == 1
    assert count("executions", "unknown-order") == 1
    assert count("allocations", "BRK1", "0") == 1
    assert count("allocation_acks", "BRK1", "rejected") == 1
    assert count("message_refusals", "OMS1", "GW-404") == 1
    assert count("exceptions", "GW-806") == 1
    assert count("alerts", "GW-801", "critical") == 1
    assert found["fixgateway_orders_halted", ("all",)] == 1


def test_batches_add_up_as_single_decisions_do() -> None:
    day = play()
    whole, single = Metrics("1", NAMES), Metrics("1", NAMES)
    whole.observe(day)
    for decision in day:
        single.observe([decision])

    def ours(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
        return {key: value for key, value in samples(metrics).items() if key[0].startswith("fixgateway")}

    assert ours(whole) == ours(single)


def test_increments_are_pure() -> None:
    for source, decided in play():
        assert increments(source, decided) == increments(source, decided)


def test_labels_stay_bounded() -> None:
    metrics = Metrics("1", ("OMS1",))
    for number in range(500):
        metrics.messages({(f"X{number}", "in", f"U{number}"): 1})
        metrics.session_up(f"X{number}", True)
        metrics.unacked_orders(f"X{number}", 1)
        metrics.orders_halted(f"X{number}", True)
        refused = outputs.SendBusinessReject(f"X{number}", 1, "AB", "", "3", f"GW-{number + 9000}", "")
        alert = outputs.Alert(f"GW-{number + 9000}", "warning", "x", "x")
        metrics.observe([(World().inputs[0], (refused, alert))])
    found = samples(metrics)
    assert found["fixgateway_messages_total", (OTHER, "in", OTHER)] == 500
    assert found["fixgateway_alerts_total", (OTHER, "warning")] == 500
    assert len([key for key in found if key[0].startswith("fixgateway")]) < 150
    assert {"D", "8", "J", "P", "AS"} <= MSG_TYPES


def test_gauges_and_histograms_take_their_values() -> None:
    metrics = Metrics("9.9", NAMES)
    metrics.batches([12], [0.003], queue_depth=7, newest_ts_ns=1_795_447_000_500_000_000)
    metrics.allocation_sent(0.25)
    metrics.unallocated_quantity(Decimal("30000"))
    metrics.records(lag=42, newly_skipped=1)
    metrics.ready(True)
    found = samples(metrics)
    assert found["fixgateway_batch_records_sum", ()] == 12
    assert found["fixgateway_journal_sync_seconds_count", ()] == 1
    assert found["fixgateway_queue_depth", ()] == 7
    assert found["fixgateway_last_processed_timestamp_seconds", ()] == 1_795_447_000.5
    assert found["fixgateway_allocation_seconds_sum", ()] == 0.25
    assert found["fixgateway_unallocated_quantity", ()] == 30000
    assert found["fixgateway_records_lag", ()] == 42
    assert found["fixgateway_records_skipped_total", ()] == 1
    assert found["fixgateway_ready", ()] == 1
    assert found["fixgateway_session_up", ("BRK1",)] == 0
    assert any(name == "fixgateway_build_info" and "9.9" in labels for name, labels in found)


def test_threads_may_count_at_once() -> None:
    metrics = Metrics("1", NAMES)

    def count() -> None:
        for _ in range(2000):
            metrics.messages({("OMS1", "in", "D"): 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(metrics)["fixgateway_messages_total", ("OMS1", "in", "D")] == 8000


def test_outputs_are_plain_dataclasses() -> None:
    """What the counting rules read must exist on the outputs they read it from."""
    for kind in get_args(Output):
        assert is_dataclass(kind)
        assert fields(kind)
