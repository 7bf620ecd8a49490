"""The setting of the simulated week: its days, policies, brokers' charges, accounts, and what people are told in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from worlds import ACCOUNTS, POLICY, SETUP

from fixgateway.core.model import (
    Account,
    Averaging,
    BrokerSetup,
    Calendar,
    CommType,
    FeeBasis,
    FeeTerms,
    Interim,
    MarketDay,
    OmsSetup,
    Overfill,
    Policy,
    Rounding,
    Setup,
    Ties,
)

DAYS = (date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25), date(2026, 11, 27), date(2026, 11, 30))
"""Thanksgiving (26 November) is closed, the Friday after it is half a day."""
HALF_DAY = date(2026, 11, 27)
CALENDAR = Calendar(
    "XNYS", "America/New_York", "written by hand", DAYS[0], date(2026, 12, 31),
    tuple(
        MarketDay(day, "09:30", "13:00" if day == HALF_DAY else "16:00", day == HALF_DAY)
        for day in (*DAYS, *(date(2026, 12, n) for n in range(1, 32) if date(2026, 12, n).weekday() < 5))
        if day != date(2026, 12, 25)
    ),
)  # fmt: skip
TERMS = replace(
    POLICY, policy_id="BLOCK", effective_from=date(2026, 1, 1), ties=Ties.ACCOUNT, overfill=Overfill.ERROR_ACCOUNT,
    error_account="ERR", calendar="XNYS", allocate_at="19:00", allocate_after_close=180,
    tiers=(("client",), ("proprietary", "employee")), reregistrations=1000,
    allowed=(
        ("ties", ("seeded",)), ("lot", ("10",)),
        ("method", ("client-priority", "price-time", "rotation", "high-low")),
    ),
)  # fmt: skip
POLICIES: dict[str, Policy] = {
    "BLOCK": TERMS,
    "DAY": replace(TERMS, policy_id="DAY", averaging=Averaging.DAY),
    "GT": replace(TERMS, policy_id="GT", interim=Interim.DAILY, rounding=Rounding.QUOTA, allowed=()),
}
METHOD = {"priority": "client-priority", "price-time": "price-time", "rotation": "rotation", "high-low": "high-low"}
BROKERS = (
    BrokerSetup(
        "BRK1", commission=Decimal("0.0125"), commission_type=CommType.PER_UNIT,
        fees=(FeeTerms("4", Decimal("0.000278")), FeeTerms("1", Decimal("0.35"), FeeBasis.ABSOLUTE, each=True)),
        confirmations=True,
    ),
    BrokerSetup(
        "BRK2", commission=Decimal("0.0005"), commission_type=CommType.PERCENT,
        fees=(FeeTerms("7", Decimal("4.21"), FeeBasis.ABSOLUTE),),
    ),
)  # fmt: skip
SETTING = Setup(
    engine_version="test", policy=TERMS,
    accounts=(*ACCOUNTS, Account("EMP", "employees", "employee", "standard", "S", "active")),
    omses=(OmsSetup("OMS1", ("BRK1", "BRK2")),), brokers=BROKERS, rules=SETUP.rules, money=True, life_cycle=True,
    calendar=CALENDAR,
)  # fmt: skip
NAMES = ("CLIENT-A", "CLIENT-B", "CLIENT-C", "EMP", "PROP", "X1", "X2")
KINDS = ("hamilton", "seeded", "lots", "priority", "price-time", "rotation", "high-low")
EXPECTED = frozenset((
    "GW-802", "GW-805", "GW-806", "GW-808", "GW-813", "GW-841", "GW-852", "GW-861", "GW-871", "GW-879", "GW-881",
))  # fmt: skip
"""What a person is told in such a week; any other exception is a fault."""
