"""What the gateway sends stands in the rules of engagement, tag by tag, in the section of the message."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from fixgateway.core import outputs
from fixgateway.core.model import ZERO, Side
from fixgateway.wire.message import parse
from fixgateway.wire.outward import Buildable, build
from fixgateway.wire.versions import FIX44

RULES = (Path(__file__).parents[2] / "spec" / "rules-of-engagement.md").read_text(encoding="utf-8")
NOW_NS = 1_795_359_475_000_000_000
ORDER = parse(
    "8=FIX.4.4|9=1|35=D|34=2|49=OMS1|56=FIXGW|52=20261122-14:57:20|11=O-1|1=ACC|55=XYZ|48=US0|22=4|54=1|38=100|"
    "40=2|44=10.5|10=000|".replace("|", "\x01")
)
ALLOCATION = outputs.Allocation(
    "GWA20261122-94-1", "1", "GWA20261122-90-1", "2", "1", "S-1", "BRK1", "OMS1", date(2026, 11, 22),
    "XYZ", "US0", "4", Side.BUY, Decimal(30_000), "100.0000", 4,
    (outputs.OrderRef("O-1", "B-1", Decimal(50_000), "100.0000", Decimal(30_000)),),
    (
        outputs.Share("CLIENT-A", Decimal(30_000), "100.0000", commission=ZERO, net=ZERO,
                      fees=(outputs.Charge("4", Decimal(1)),)),
    ),
    gross=ZERO, net=ZERO,
)  # fmt: skip
REPORT = outputs.SendReport(
    "OMS1", "8", "8", "O-1", "GW20261122-1", "GWE20261122-1", "XYZ", "buy", "100", ZERO, ZERO, "0", "99", "GW-101",
    "GW-101 no", 0, "", "",
)  # fmt: skip

SENT: dict[str, tuple[str, Buildable]] = {
    "J to the broker": ("Allocation (J)", outputs.SendAllocation(ALLOCATION)),
    "AS to the OMS": ("What the OMS receives", outputs.SendAllocationReport("OMS1", "AS", "GWR1", ALLOCATION)),
    "J to the OMS": ("What the OMS receives", outputs.SendAllocationReport("OMS1", "J", "GWR1", ALLOCATION)),
    "blocked": ("New order (D)", REPORT),
    "status": ("Status (H)", replace(REPORT, exec_type="I", order_id="NONE")),
    "cancel reject": (
        "What the OMS receives",
        outputs.SendCancelReject("OMS1", "C-1", "O-1", "NONE", "8", "1", "1", "GW-701", "GW-701 no", 0),
    ),
    "j": ("What the OMS receives", outputs.SendBusinessReject("OMS1", 4, "E", "", "3", "GW-404", "GW-404 no")),
    "AT": (
        "Allocation report (AS)",
        outputs.SendReportAck("BRK1", "R-1", "A-1", "2026-11-22", "1", "8", "GW-873", "GW-873 no"),
    ),
    "AU": (
        "Confirmation (AK)",
        outputs.SendConfirmationAck("BRK1", "K-1", "2026-11-22", "2", "99", "GW-875", "GW-875 no", "A-1", "S-1", ""),
    ),
    "BH": (
        "Confirmation (AK)",
        outputs.SendConfirmationRequest("BRK1", "Q-1", "A-1", "S-1", "CLIENT-A"),
    ),
    "P registered": (
        "Registering a statement (J)",
        outputs.SendStatementAck("OMS1", "S-1", "2026-11-22", "0", "", "", "registered"),
    ),
    "P refused": (
        "Registering a statement (J)",
        outputs.SendStatementAck("OMS1", "S-1", "", "1", "7", "GW-601", "GW-601 no"),
    ),
}
SHARED = {"Status (H)": "New order (D)", "What the OMS receives": "Allocation (J)"}
"""Sections that point to another for the tags they share with it."""


def section(heading: str) -> str:
    """The text from a heading to the next of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", RULES, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[2]


@pytest.mark.parametrize("name", SENT)
def test_every_tag_sent_is_explained_in_its_section(name: str) -> None:
    heading, output = SENT[name]
    built = build(output, FIX44, NOW_NS, ORDER)
    text = section(heading) + (section(SHARED[heading]) if heading in SHARED else "")
    tags = dict.fromkeys(field.partition("=")[0] for field in built.body.split("\x01") if field)
    assert [tag for tag in tags if not re.search(rf"\b{tag}\b", text)] == []


def test_the_allocation_is_written_in_the_order_it_is_explained() -> None:
    body = build(SENT["J to the broker"][1], FIX44, NOW_NS, None).body
    on_the_wire = [field.partition("=")[0] for field in body.split("\x01") if field]
    table = section("Allocation (J)").split("| tag | name | value |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (?:→ )?([\d, ]+) \|", table, re.MULTILINE)
    assert [tag for row in rows for tag in row.split(", ")] == on_the_wire


def test_ids_have_the_form_the_page_gives() -> None:
    examples = re.findall(r"`(GW[A-Z]?\d{8}-\d+(?:-\d+)?)` \|$", section("Ids the gateway makes"), re.MULTILINE)
    assert [re.sub(r"\d{8}.*", "", example) for example in examples] == ["GW", "GWE", "GWA", "GWR", "GWC"]
