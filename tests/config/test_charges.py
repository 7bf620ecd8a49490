"""Commission and fees of a broker: read, checked, and what the core gets of them."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from fixgateway.config import settings, setup
from fixgateway.core.model import CommType, FeeBasis, FeeTerms
from fixgateway.errors import ConfigError

SHIPPED = Path(__file__).parents[2] / "config"
SMALL = """
[[oms]]
comp_id = "OMS1"
brokers = ["BRK1"]
allocation_report = "J"
[[broker]]
comp_id = "BRK1"
host = "127.0.0.1"
port = 9877
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("policy.toml", "accounts.csv"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    return tmp_path


def written(place: Path, lines: str) -> Path:
    file = place / "gateway.toml"
    file.write_text(SMALL + lines, encoding="utf-8")
    return file


def test_a_broker_s_charges_reach_the_core(place: Path) -> None:
    lines = """
commission = "0.002"
commission_type = "2"
[[broker.fees]]
type = "5"
amount = "0.005"
[[broker.fees]]
type = "6"
amount = "0.25"
basis = "0"
each = true
"""
    broker = setup.load(settings.load(written(place, lines))).brokers[0]
    assert (broker.commission, broker.commission_type) == (Decimal("0.002"), CommType.PERCENT)
    assert broker.fees == (
        FeeTerms("5", Decimal("0.005")),
        FeeTerms("6", Decimal("0.25"), FeeBasis.ABSOLUTE, each=True),
    )


def test_without_charges_there_are_none(place: Path) -> None:
    built = setup.load(settings.load(written(place, "")))
    assert (built.brokers[0].commission, built.brokers[0].fees, built.money) == (None, (), True)


@pytest.mark.parametrize(
    ("lines", "key", "remedy"),
    [
        ('commission = "0.002"', "broker[BRK1].commission_type", '"1", "2" or "3"'),
        ('commission_type = "2"', "broker[BRK1].commission", "leave both out"),
        ('commission = 0.002\ncommission_type = "2"', "broker[BRK1].commission", "in quotes"),
        ('commission = "-1"\ncommission_type = "3"', "broker[BRK1].commission", "in quotes"),
        ('commission = "5"\ncommission_type = "2"', "broker[BRK1].commission", '"0.05"'),
        ('commission = "5"\ncommission_type = "4"', "broker[BRK1].commission_type", '"1", "2" or "3"'),
        ('fees = [{ type = "5", amount = "1" }]', "broker[BRK1].fees[1].amount", '"0.05"'),
        ('fees = [{ type = "5", amount = "1", basis = "1", each = true }]', "broker[BRK1].fees[1].each", '"0"'),
        ('fees = [{ type = "13", amount = "0.1" }]', "broker[BRK1].fees[1].type", "write 1 to 12"),
        ('fees = [{ type = "5", amount = 0.1 }]', "broker[BRK1].fees", "a list of tables"),
        ('fees = [{ type = "5" }]', "broker[BRK1].fees", "a list of tables"),
        ('begin_string = "FIX.4.2"\nfees = [{ type = "10", amount = "0.1" }]', "broker[BRK1].fees[1].type", "9"),
    ],
)
def test_what_is_wrong_is_said_with_key_and_remedy(place: Path, lines: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings.load(written(place, lines))
    (line,) = [text for text in str(caught.value).splitlines() if f" {key}: " in text]
    assert remedy in line
