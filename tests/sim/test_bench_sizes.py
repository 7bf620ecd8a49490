"""The sizes bench measures every case at every size; its words say whether the aim is met."""

from __future__ import annotations

import pytest

from fixgateway.sim import bench_sizes
from fixgateway.sim.bench_journal import BenchError


@pytest.mark.serial
def test_every_case_is_measured_at_every_size() -> None:
    document = bench_sizes.measure((50, 500), least=50)
    assert document["sizes"] == [50, 500]
    assert document["cases"].keys() == {
        "pro-rata", "quota", "carry-forward", "client-priority", "rotation", "three brokers", "money",
    }  # fmt: skip
    for case in document["cases"].values():
        assert case["us_per_account"] > 0
        assert case["ratios"].keys() == {"500"}
        assert case["ratios"]["500"] > 0
    assert bench_sizes.table(document).row_count == len(document["cases"])


def test_a_failed_measurement_is_told() -> None:
    with pytest.raises(BenchError, match="ZeroDivisionError"):
        bench_sizes.measure((0, 1))
