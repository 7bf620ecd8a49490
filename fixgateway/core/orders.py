"""The state of one order: its ClOrdID chain, its fills, what it keeps committed.

Theory of operation. The gateway owns no order; it follows two opinions of one. The OMS's requests (D, G, F)
are *pending* until the broker answers; the broker's reports are what happened. From both follows the
*commitment*, the quantity a statement must keep for the order:

    open          max(OrderQty in force, every pending replace's OrderQty, filled)
    ended         filled (cancelled, expired, rejected, filled), and a pending replace that may reopen it
    done for day  as open: a broker may trade on after 39=3, so nothing is released before the cut-off
    in doubt      as open, whatever else is known: an execution report settles it

So a raising G counts from the moment it is forwarded, a lowering one releases only on 150=5, and a later
fill of an ended order commits again. Fills are kept by ExecID: a repeated one changes nothing, a bust or
correction names the fill's *last* ExecID in ExecRefID(19) (FIX 4.4 vol. 4, order state matrices).
OrdStatus values are FIX 4.4's.

What a report does to the order: :mod:`progress` (and :mod:`amends`, :mod:`restated` for the awkward ones).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from fixgateway.core.fills import MONEY, Early, Fill
from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import EXACT, ZERO, exact_sum
from fixgateway.core.values import quick

PENDING_NEW, NEW, PARTIAL, FILLED, DONE, CANCELLED, STOPPED = "A", "0", "1", "2", "3", "4", "7"
PENDING_CANCEL, REJECTED, EXPIRED, PENDING_REPLACE = "6", "8", "C", "E"

ENDED = frozenset({FILLED, CANCELLED, REJECTED, EXPIRED})
"""OrdStatus values after which nothing more is expected and the rest is released."""
GONE = frozenset({CANCELLED, REJECTED, EXPIRED})
"""OrdStatus values that a late fill or a bust does not change (matrix J.1.b)."""
PENDING = frozenset({PENDING_CANCEL, PENDING_REPLACE})
"""OrdStatus values that take precedence over new, partially filled and filled (FIX 4.4 vol. 4)."""
ENDS_STATEMENT = frozenset({CANCELLED, EXPIRED, DONE})
"""OrdStatus values of a last order that complete its statement although quantity is left."""
GOOD_TILL = frozenset({"1", "6"})
"""TimeInForce(59) of an order that lives on after its day: good till cancel, good till date."""


@dataclass(slots=True)
class Order:
    """One order the gateway forwarded; mutable, owned by the engine's state.

    ``cl_ord_id`` is the latest accepted ClOrdID, ``names`` every ClOrdID of its chain. ``paid`` is Σ money of the
    fills. ``early`` are busts and corrections whose fill has not come, by the ExecID they name. ``rules`` is the
    edition of the rules it was opened under (:attr:`model.Setup.rules`) and keeps.
    """

    key: int
    oms: str
    broker: str
    statement_id: str
    symbol: str
    side: str
    account: str
    cl_ord_id: str
    quantity: Decimal
    forwarded_ns: int
    order_id: str = ""
    status: str = PENDING_NEW
    cum_qty: Decimal = ZERO
    answered: bool = False
    in_doubt: bool = False
    mismatch: bool = False
    committed: Decimal = ZERO
    counted: Decimal = ZERO
    counted_open: bool = False
    names: set[str] = field(default_factory=set)
    pending: dict[str, Decimal] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    seen: dict[str, tuple[ExecKind, Decimal | None, Decimal | None, str]] = field(default_factory=dict)
    rules: int = 1
    time_in_force: str = ""
    paid: Decimal = ZERO
    day_mismatch: bool = False
    early: dict[str, Early] = field(default_factory=dict)

    @property
    def good_till(self) -> bool:
        """Whether it lives on after its day (GTC, GTD): 39=3 is then a night's rest, not the end."""
        return self.time_in_force in GOOD_TILL and self.rules >= 2

    @property
    def open(self) -> bool:
        """Whether the broker may still trade it as far as completion is concerned."""
        status = self.status
        if status in ENDED or (status == DONE and not self.good_till):
            return False
        return status not in PENDING or self.cum_qty < self.quantity or self.rules < 2

    def commitment(self) -> Decimal:
        """What the statement must keep for this order (see the module's theory of operation)."""
        base = ZERO if self.status in ENDED and not self.in_doubt else self.quantity
        return max(base, self.cum_qty, *self.pending.values())

    def leaves(self) -> Decimal:
        """OrderQty − CumQty while open, else 0."""
        return max(EXACT.subtract(self.quantity, self.cum_qty), ZERO) if self.status not in ENDED else ZERO

    def average(self) -> Fraction:
        """Exact average price of the fills."""
        return Fraction(self.paid) / Fraction(self.cum_qty) if self.cum_qty else Fraction(0)

    def standing(self) -> str:
        """The status that the fills alone give: new, partially filled, filled."""
        if self.cum_qty >= self.quantity:
            return FILLED
        return PARTIAL if self.cum_qty else NEW

    def recount(self) -> None:
        """CumQty and money from the fills, after anything but a plain fill."""
        self.cum_qty = exact_sum(fill.quantity for fill in self.fills.values())
        self.paid = ZERO
        for fill in self.fills.values():
            self.paid = MONEY.add(self.paid, fill.value)

    def days(self) -> dict[date, tuple[Decimal, Decimal]]:
        """Quantity and money of each trade date's fills, earliest first. A correction belongs to its fill's
        day."""
        found: dict[date, tuple[Decimal, Decimal]] = {}
        for fill in self.fills.values():
            quantity, money = found.get(fill.trade_date, (ZERO, ZERO))
            found[fill.trade_date] = EXACT.add(quantity, fill.quantity), MONEY.add(money, fill.value)
        return dict(sorted(found.items()))

    def day(self, trade_date: date) -> tuple[Decimal, Decimal]:
        """DayCumQty(425) of a trade date and its money; both 0 when nothing was filled."""
        return self.days().get(trade_date, (ZERO, ZERO))

    def day_order_qty(self, trade_date: date) -> Decimal:
        """DayOrderQty(424): OrderQty − (CumQty − DayCumQty), FIX 4.4 vol. 4."""
        return EXACT.subtract(self.quantity, EXACT.subtract(self.cum_qty, self.day(trade_date)[0]))


def blended(orders: Iterable[Order]) -> Fraction:
    """Exact average price over all fills of several orders."""
    quantity, money = ZERO, ZERO
    for order in orders:
        quantity = EXACT.add(quantity, order.cum_qty)
        money = MONEY.add(money, order.paid)
    return Fraction(money) / Fraction(quantity) if quantity else Fraction(0)


@quick
@dataclass(frozen=True, slots=True)
class Effect:
    """What an execution report did to its order.

    ``name`` is the ``effect`` of :class:`outputs.ExecutionApplied`; ``reason`` a GW code when something is
    wrong, with ``text`` for the person who must look. ``note`` is ``GW-… words`` for the record only.
    ``derived`` is a fill entered from CumQty and AvgPx, ``ratio`` a split that the statement must follow.
    """

    name: str
    reason: str = ""
    text: str = ""
    note: str = ""
    derived: Fill | None = None
    ratio: Fraction | None = None
