"""The hard stop: is this order covered?

Default deny. An order is covered when every check below passes; the first that does not gives the reason.
Nothing here changes state: the engine records what the gate decided.

Order of the checks: the message itself (3xx), has the ClOrdID been used, may orders pass at all (5xx),
where does it go (4xx), which statement (1xx), does it fit the statement (2xx), can it go now (4xx).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fixgateway.core import own_orders
from fixgateway.core.inputs import NewOrder, ReplaceOrder
from fixgateway.core.model import ZERO, Line, Side, Statement, plain_decimal, plain_text
from fixgateway.core.orders import ENDED, FILLED, Order
from fixgateway.core.reasons import CATALOGUE, Refusal, refuse
from fixgateway.core.registry import in_force
from fixgateway.core.rotation import release_refusal
from fixgateway.core.state import ACTIVE, State, StatementRecord
from fixgateway.core.values import quick

SIDES = {side.value for side in Side}


@quick
@dataclass(frozen=True, slots=True)
class Cover:
    """A covered order: the statement, the broker it goes to, and OrderQty."""

    record: StatementRecord
    broker: str
    quantity: Decimal


def check_new(state: State, order: NewOrder) -> Cover | Refusal:
    """Whether a D may reach a broker; the ClOrdID was found unused before."""
    refusal = _message(state, order) or open_for_orders(state, order.session)
    if refusal:
        return refusal
    quantity = plain_decimal(order.order_qty)
    if quantity is None or quantity == ZERO:
        return refuse("GW-302", f"OrderQty {order.order_qty or '(missing)'} is not a plain positive number")
    broker = route(state, order)
    if isinstance(broker, Refusal):
        return broker
    record = match(state, order)
    if isinstance(record, Refusal):
        return record
    in_turn = own_orders.applies(record.statement, state.setup.rules)
    refusal = (
        _statement(state, record, order.session, broker)
        or _terms(record.statement, order.symbol, order.security_id, order.side)
        or fits(record, quantity, None if in_turn else order.alloc_lines, quantity)
        or (release_refusal(state, record, order.account, quantity, order.alloc_lines, quantity) if in_turn else None)
        or _can_go(state, order, broker)
    )
    return refusal or Cover(record, broker, quantity)


def check_replace(state: State, order: Order, replace: ReplaceOrder) -> Refusal | Decimal:
    """Whether a G of a known order may pass; returns the OrderQty it asks for.

    Unchanged or lower passes; raised is checked like a new order for the difference.
    """
    if replace.defect:
        return defect_refusal(replace.defect)
    other = held_by_other(state, order.broker, replace.cl_ord_id, order.oms)
    if other:
        return other
    if order.status in ENDED and order.status != FILLED:
        return refuse("GW-703", f"order {order.cl_ord_id} has ended (OrdStatus {order.status})")
    changed = [
        name
        for name, old, new in (
            ("Symbol", order.symbol, replace.symbol),
            ("Side", order.side, replace.side),
            ("Account", order.account, replace.account),
        )
        if new and new != old
    ]
    if changed:
        return refuse("GW-702", f"{', '.join(changed)} of order {order.cl_ord_id} may not change")
    if replace.cash_order_qty:
        return refuse("GW-205", "CashOrderQty(152) cannot be covered")
    quantity = plain_decimal(replace.order_qty) if replace.order_qty else order.quantity
    if quantity is None or quantity == ZERO:
        return refuse("GW-302", f"OrderQty {replace.order_qty} is not a plain positive number")
    if order.status == FILLED and quantity <= order.quantity:
        return refuse("GW-703", f"order {order.cl_ord_id} is filled; only a raise can reopen it")
    record = state.statements[order.statement_id]
    raised = max(quantity - order.committed, ZERO)
    if quantity > order.quantity or raised:
        refusal = (
            open_for_orders(state, replace.session)
            or halted_broker(state, order.broker)
            or _statement(state, record, order.oms, order.broker, order.good_till)
        )
        if refusal:
            return refusal
    if not own_orders.applies(record.statement, state.setup.rules):
        return fits(record, raised, replace.alloc_lines, quantity) or quantity
    refusal = fits(record, raised, None, quantity)
    return refusal or release_refusal(state, record, order.account, raised, replace.alloc_lines, quantity) or quantity


def defect_refusal(defect: str) -> Refusal:
    """The refusal a text check already named: ``GW-30x words``."""
    code, _, words = defect.partition(" ")
    return Refusal(CATALOGUE[code], words)


def open_for_orders(state: State, oms: str) -> Refusal | None:
    """Whether anything that creates exposure may pass now."""
    if state.stopping:
        return refuse("GW-503", "the gateway is stopping")
    if state.degraded:
        return refuse("GW-502", f"the journal cannot be written safely: {state.degraded}")
    if state.halted and ("all" in state.halted or oms in state.halted):
        return refuse("GW-501", "orders are halted by operations")
    return None


def halted_broker(state: State, broker: str) -> Refusal | None:
    """Whether orders to this broker are halted."""
    return refuse("GW-501", f"orders to {broker} are halted by operations") if broker in state.halted else None


def held_by_other(state: State, broker: str, cl_ord_id: str, oms: str) -> Refusal | None:
    """Whether another OMS has this ClOrdID live on the broker."""
    held = state.orders.get(state.at_broker.get((broker, cl_ord_id), 0))
    if held is not None and held.oms != oms and (held.open or held.pending):
        return refuse("GW-311", f"ClOrdID {cl_ord_id} is live on {broker} from another OMS")
    return None


def route(state: State, order: NewOrder) -> str | Refusal:
    """The broker: DeliverToCompID(128), else ExDestination(100) when it names a broker, else the first."""
    brokers = state.omses[order.session].brokers
    named = order.deliver_to or (order.ex_destination if order.ex_destination in state.brokers else "")
    if not named:
        return brokers[0]
    return named if named in brokers else refuse("GW-401", f"{named} is not a broker of {order.session}")


def match(state: State, order: NewOrder) -> StatementRecord | Refusal:
    """The statement the order names, by the OMS's match keys in order; the first key it carries decides.

    AllocID and other keys equal the statement id; ClOrdID equals the statement id or a ClOrdID that the
    statement names.
    """
    if not order.keys:
        return refuse("GW-101", "no allocation statement: the order carries none of the match keys")
    key, value = order.keys[0]
    record = state.statements.get(value)
    if key == "ClOrdID":
        found = {*state.named.get(value, ()), *([value] if record else [])}
        if len(found) > 1:
            return refuse("GW-102", f"{key} {value} matches {len(found)} statements")
        record = state.statements[found.pop()] if found else None
    return record or refuse("GW-101", f"no allocation statement for {key} {value}")


def _message(state: State, order: NewOrder) -> Refusal | None:
    """What is wrong with the message, whatever statements exist."""
    if order.defect:
        return defect_refusal(order.defect)
    limit = state.setup.limits.resend_seconds
    if order.poss_dup and order.ts_ns - order.sent_ns > limit * 1_000_000_000:
        return refuse("GW-310", f"order resent more than {limit} seconds after it was made")
    if not order.side:
        return refuse("GW-303", "Side(54) is missing")
    if not order.order_qty and not order.cash_order_qty:
        return refuse("GW-303", "OrderQty(38) is missing")
    if not order.symbol and not order.security_id:
        return refuse("GW-303", "Symbol(55) is missing")
    if order.side not in SIDES:
        return refuse("GW-312", f"Side {order.side} cannot be covered")
    if order.cash_order_qty:
        return refuse("GW-205", "CashOrderQty(152) cannot be covered; send OrderQty(38)")
    return None


def _statement(
    state: State, record: StatementRecord, oms: str, broker: str, good_till: bool = False
) -> Refusal | None:
    """Whether the statement itself stands behind orders now.

    ``good_till``: the order lives on from an earlier day, under a statement that is still open for it.
    """
    statement = record.statement
    name = statement.statement_id
    if statement.oms != oms:
        return refuse("GW-105", f"statement {name} belongs to another OMS")
    if record.status != ACTIVE:
        if record.status in ("cancelled", "replaced"):
            return refuse("GW-104", f"statement {name} was {record.status}")
        return refuse("GW-103", f"statement {name} is closed ({record.status})")
    if statement.trade_date != state.trade_date and not good_till:
        return refuse("GW-106", f"statement {name} is for trade date {statement.trade_date.isoformat()}")
    policy = state.policies.get((statement.policy_id, statement.policy_version))
    if policy is None or not in_force(policy, state.trade_date, state.local_time):
        return refuse("GW-107", f"policy {statement.policy_id} {statement.policy_version} is not in force today")
    if statement.brokers and broker not in statement.brokers:
        return refuse("GW-108", f"statement {name} does not permit broker {broker}")
    if record.barred:
        return refuse("GW-109", f"account {record.barred} of statement {name} is not permitted any more")
    return None


def _terms(statement: Statement, symbol: str, security_id: str, side: str) -> Refusal | None:
    """Instrument and side as the statement says."""
    other_symbol = symbol and symbol != statement.symbol
    other_security = security_id and statement.security_id and security_id != statement.security_id
    if other_symbol or other_security or not (symbol or statement.security_id):
        return refuse(
            "GW-201", f"instrument {symbol or security_id} differs from the statement's {statement.symbol}"
        )
    if side != statement.side:
        return refuse("GW-202", f"side {side} differs from the statement's {statement.side}")
    return None


def fits(
    record: StatementRecord,
    more: Decimal,
    alloc_lines: tuple[tuple[str, str], ...] | None,
    order_qty: Decimal,
) -> Refusal | None:
    """Whether ``more`` quantity is still uncommitted, and a carried allocation group agrees."""
    name = record.statement.statement_id
    if more > record.uncommitted:
        return refuse(
            "GW-203",
            f"OrderQty {plain_text(order_qty)} exceeds the {plain_text(max(record.uncommitted, ZERO))} "
            f"uncommitted under statement {name}",
        )
    if alloc_lines is not None and not same_split(record.statement, alloc_lines, order_qty):
        return refuse("GW-204", f"the order's allocation group differs from statement {name}")
    return None


def same_split(statement: Statement, carried: tuple[tuple[str, str], ...], order_qty: Decimal) -> bool:
    """Whether an order's own NoAllocs(78) is the statement's, scaled when the order is a slice.

    The same accounts, adding up to OrderQty, each within one lot of its exact share (equal to the intent
    for the whole quantity).
    """
    quantities = {account: plain_decimal(text) for account, text in carried}
    if len(quantities) != len(carried) or set(quantities) != {line.account for line in statement.lines}:
        return False
    known = {account: q for account, q in quantities.items() if q is not None}
    if len(known) != len(carried) or sum(known.values(), ZERO) != order_qty:
        return False
    share = Fraction(order_qty) / Fraction(statement.total)
    lot = Fraction(statement.lot)
    whole = order_qty == statement.total

    def agrees(line: Line) -> bool:
        off = abs(Fraction(known[line.account]) - share * Fraction(line.quantity))
        return off == 0 if whole else off < lot

    return all(agrees(line) for line in statement.lines)


def _can_go(state: State, order: NewOrder, broker: str) -> Refusal | None:
    """Whether the broker can take the order now."""
    record = state.brokers[broker]
    refusal = held_by_other(state, broker, order.cl_ord_id, order.session) or halted_broker(state, broker)
    if refusal:
        return refusal
    if not record.up:
        return refuse("GW-402", f"broker {broker} is not logged on")
    if len(record.unacked) >= record.setup.max_unacked_orders:
        return refuse("GW-403", f"{broker} has {len(record.unacked)} unacknowledged orders")
    return None
