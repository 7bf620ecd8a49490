"""The back office of the simulated broker: allocation reports (AS) and confirmations (AK) for a J, as scripted.

What a J says is confirmed, or something that is wrong on purpose. A wrong confirmation that the other side rejects
(AU 940=2) is corrected by a replace (666=1); one that is missing or late is sent when it is asked for (BH).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from fixgateway.sim.fields import Fields, Pair, utc_timestamp

Send = Callable[[str, list[Pair]], object]
Later = Callable[[float, Callable[[], None]], None]

REPORTS = ("none", "right", "wrong-quantity", "wrong-price", "duplicate", "unasked")
CONFIRMATIONS = ("right", "wrong-quantity", "wrong-price", "wrong-account", "missing", "late", "duplicate", "copy")
MAX_ALLOCATIONS = 10_000
"""Most allocations remembered; the oldest is forgotten first."""


def plain(value: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(slots=True)
class Line:
    """One account of an allocation as the J has it."""

    account: str
    quantity: Decimal
    price: Decimal
    net: str = ""


@dataclass(slots=True)
class Booked:
    """An allocation, and the ConfirmID last sent for each account."""

    instruction: Fields
    lines: list[Line]
    confirm_ids: dict[str, str] = field(default_factory=dict)


class Booker:
    """Sends AS and AK for allocations.

    Args:
        send: takes MsgType and fields. later: runs something after so many seconds. new_id: makes an id of a kind.
    """

    def __init__(self, send: Send, later: Later, new_id: Callable[[str], str]) -> None:
        self._send = send
        self._later = later
        self._new_id = new_id
        self._booked: dict[str, Booked] = {}
        self._of_account: dict[str, str] = {}

    def allocated(
        self, instruction: Fields, report: str, confirmations: tuple[str, ...], late_seconds: float
    ) -> None:
        """A J was accepted: report and confirm it, account after account by ``confirmations`` in turn."""
        alloc_id = instruction.get(70)
        earlier = self._booked.get(instruction.get(72))
        booked = Booked(instruction, lines_of(instruction))
        self._booked[alloc_id] = booked
        if len(self._booked) > MAX_ALLOCATIONS:
            del self._booked[next(iter(self._booked))]
        if report != "none":
            self._report(booked, report)
        if not confirmations:
            return
        if earlier is not None:
            booked.confirm_ids = dict(earlier.confirm_ids)
        for number, line in enumerate(booked.lines):
            how = confirmations[number % len(confirmations)]
            if how == "late":
                self._later(late_seconds, lambda line=line: self._confirm(booked, line, "right"))  # type: ignore[misc]
            elif how != "missing":
                self._confirm(booked, line, how)

    def on_ack(self, fields: Fields) -> None:
        """AU: a rejected confirmation is corrected."""
        alloc_id = self._of_account.get(fields.get(664), "")
        booked = self._booked.get(alloc_id)
        if fields.get(940) != "2" or booked is None:
            return
        account = next((name for name, held in booked.confirm_ids.items() if held == fields.get(664)), "")
        line = next((line for line in booked.lines if line.account == account), None)
        if line is not None:
            self._confirm(booked, line, "right")

    def on_request(self, fields: Fields) -> None:
        """BH: what was not confirmed is; for an allocation nobody knows the request is rejected (773=3)."""
        booked = self._booked.get(fields.get(70))
        if booked is None:
            self._send("AK", [
                (664, self._new_id("K")), (859, fields.get(859)), (666, "0"), (773, "3"), (665, "5"),
                (70, fields.get(70)), (60, utc_timestamp()), (58, "unknown allocation"),
            ])  # fmt: skip
            return
        wanted = fields.get(79)
        for line in booked.lines:
            if line.account not in booked.confirm_ids and wanted in ("", line.account):
                self._confirm(booked, line, "right", fields.get(859))

    def _confirm(self, booked: Booked, line: Line, how: str, request_id: str = "") -> None:
        before = booked.confirm_ids.get(line.account, "")
        confirm_id = self._new_id("K")
        quantity = line.quantity + (how == "wrong-quantity")
        price = line.price + (Decimal("0.5") if how == "wrong-price" else 0)
        fields = [
            (664, confirm_id), (772, before), (859, request_id), (666, "1" if before else "0"), (773, "2"),
            (797, "Y" if how == "copy" else "N"), (665, "4"), (70, booked.instruction.get(70)),
            (60, utc_timestamp()), (75, booked.instruction.get(75)), (55, booked.instruction.get(55)),
            (80, plain(quantity)), (54, booked.instruction.get(54)),
            (79, line.account + ("-X" if how == "wrong-account" else "")), (6, plain(price)),
            (381, plain(quantity * price)), (118, line.net or plain(quantity * price)),
            (862, "1"), (528, "A"), (863, plain(quantity)),
        ]  # fmt: skip
        filled: list[Pair] = [(tag, value) for tag, value in fields if value]
        if how != "copy":
            booked.confirm_ids[line.account] = confirm_id
            self._of_account[confirm_id] = booked.instruction.get(70)
        for _ in range(2 if how == "duplicate" else 1):
            self._send("AK", filled)

    def _report(self, booked: Booked, how: str) -> None:
        given = booked.instruction
        quantity = Decimal(given.get(53, "0"))
        price = Decimal(given.get(6, "0")) + (Decimal("0.5") if how == "wrong-price" else 0)
        lines = booked.lines
        if how == "wrong-quantity" and len(lines) > 1:
            moved = [Line(x.account, x.quantity, x.price) for x in lines]
            moved[0].quantity, moved[-1].quantity = moved[0].quantity - 1, moved[-1].quantity + 1
            lines = moved
        orders = given.all(11)
        fields: list[Pair] = [
            (755, self._new_id("R")),
            (70, self._new_id("A") if how == "unasked" else given.get(70)),
            (71, "0"), (794, "4" if how == "unasked" else "3"), (87, "0"), (857, "1"), (73, str(len(orders))),
            *((11, name) for name in orders), (54, given.get(54)), (55, given.get(55)), (53, plain(quantity)),
            (6, plain(price)), (75, given.get(75)), (60, utc_timestamp()), (78, str(len(lines))),
        ]  # fmt: skip
        for line in lines:
            fields += [(79, line.account), (80, plain(line.quantity)), (153, plain(price))]
        for _ in range(2 if how == "duplicate" else 1):
            self._send("AS", fields)


def lines_of(instruction: Fields) -> list[Line]:
    """The accounts of a J; an entry of NoAllocs(78) begins with 79 and ends with the next."""
    found: list[Line] = []
    inside = False
    for tag, value in instruction.pairs:
        inside = inside or tag == 78
        if not inside:
            continue
        if tag == 79:
            found.append(Line(value, Decimal(0), Decimal(instruction.get(6, "0"))))
        elif found and tag == 80:
            found[-1].quantity = Decimal(value)
        elif found and tag in (153, 366):
            found[-1].price = Decimal(value)
        elif found and tag == 154:
            found[-1].net = value
    return found
