"""Version 2: the tables as they were before people's work was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fixgateway.records.migrations.compact import create

revision = "0002"
down_revision = None
branch_labels = None
depends_on = None

TABLES: Final[Mapping[str, str]] = {
    "accounts": (
        "part ts_ns:seq account:id name:words class:words fee:words strategy:words status:words fee_rate:words "
        "owner:words aggregation_permitted:bool agreement_ref:words disclosed_on:words new_issue_restricted:bool "
        "represented_on:words until_seq:seq? | account"
    ),
    "affirmations": (
        "happened confirm_id:id alloc_id:id statement_id:id broker:id account:id affirm_status:words "
        "reject_reason:words reason:words text:words | alloc_id confirm_id statement_id"
    ),
    "alerts": "happened reason:words severity:words subject:id text:words | subject",
    "allocation_acks": (
        "happened alloc_id:id statement_id:id broker:id status:words reject_code:words text:words | alloc_id "
        "statement_id"
    ),
    "allocation_reports": "happened report_id:id session:id form:words alloc_id:id statement_id:id | alloc_id",
    "allocations": (
        "happened alloc_id:id trans_type:words ref_alloc_id:id replace_reason:words alloc_type:words statement_id:id "
        "broker:id oms:id trade_date:date symbol:words security_id:words id_source:words side:words quantity:amount "
        "avg_px:words price_decimals:int gross:amount? net:amount? fills_money:amount? residual_cash:amount? "
        "averaging_cash:amount? residual_to:words booking:int status:words answered_seq:seq? answered_ns:seq? | "
        "alloc_id statement_id"
    ),
    "broker_reports": (
        "happened report_id:id alloc_id:id statement_id:id broker:id trans_type:words status:words verdict:words "
        "text:words | alloc_id report_id statement_id"
    ),
    "completions": (
        "happened trade_date:date broker:id stage:words due:int allocated:int accepted:int confirmed:int affirmed:int "
        "confirms:bool | trade_date"
    ),
    "confirmation_requests": (
        "happened request_id:id alloc_id:id statement_id:id broker:id account:id | alloc_id statement_id"
    ),
    "confirmations": (
        "happened confirm_id:id ref_confirm_id:id trans_type:words confirm_type:words broker:id alloc_id:id "
        "statement_id:id account:id quantity:amount? avg_px:amount? gross:amount? net:amount? verdict:words "
        "text:words | account alloc_id confirm_id statement_id"
    ),
    "deliveries": "*journal_seq:seq ts_ns:seq input_seq:seq position:int session:id msg_type:words | input_seq",
    "divisions": (
        "happened statement_id:id version:int filled:amount unallocated:amount avg_px:words average:words seed:words "
        "gross:amount? fills_money:amount? residual_cash:amount? averaging_cash:amount? kind:words number:int "
        "trade_date:date? notes:words | statement_id"
    ),
    "exceptions": "happened reason:words subject:id text:words | subject",
    "executions": (
        "happened order_key:seq statement_id:id broker:id oms:id order_id:id exec_id:id exec_ref_id:id kind:words "
        "effect:words last_qty:amount? last_px:amount? | exec_id order_key statement_id"
    ),
    "flags": "happened kind:words subject:id reason:words text:words",
    "holding_changes": (
        "happened account:id symbol:words quantity:amount before:amount? actor:words reason:words statements:words | "
        "account"
    ),
    "orders": (
        "happened order_key:seq oms:id broker:id statement_id:id cl_ord_id:id symbol:words side:words order_qty:words "
        "verdict:words reason:words text:words status:words latest_cl_ord_id:id order_id:id quantity:amount? "
        "cum_qty:amount avg_px:words open:bool in_doubt:bool changed_seq:seq | cl_ord_id order_key statement_id"
    ),
    "policies": (
        "happened policy_id:id version:words approved_by:words effective_from:date method:words ties:words "
        "remainder:words lot:amount min_quantity:amount completion:words price_decimals:int require_memo:bool "
        "timezone:words allocate_at:words affirm_at:words text_sha256:words allowed:words effective_at:words "
        "basis:words rounding:words min_value:amount price_rounding:words money_decimals:int residual_cash:words "
        "overfill:words error_account:words averaging:words interim:words tiers:words sellable:bool "
        "reregistrations:int instruments:words text:words engine_version:words until_seq:seq?"
    ),
    "projection": "*id:int schema_version:int watermark:seq watermark_ns:seq",
    "report_answers": (
        "happened report_id:id alloc_id:id broker:id alloc_status:words reason:words text:words | report_id"
    ),
    "requests": (
        "happened order_key:seq session:id statement_id:id msg_type:words cl_ord_id:id orig_cl_ord_id:id "
        "quantity:amount? verdict:words reason:words text:words | cl_ord_id order_key"
    ),
    "rotation_turns": (
        "happened policy_id:id statement_id:id account:id turn:int outcome:words queue_position:int quantity:amount "
        "actor:words reason:words | account policy_id statement_id"
    ),
    "statement_refusals": "happened statement_id:id door:words actor:words | statement_id",
    "statements": (
        "happened statement_id:id version:int oms:id trade_date:date symbol:words security_id:words id_source:words "
        "side:words total:amount method:words lot:amount min_quantity:amount ties:words remainder:words policy_id:id "
        "policy_version:words cl_ord_ids:words brokers:words recommended_by:words placed_by:words discretionary:words "
        "rationale:words memo_complete:bool basis:words rounding:words reference_price:amount justification:words "
        "new_issue:bool door:words actor:words registered_ns:seq seed_commitment:words state:words closed_seq:seq? "
        "closed_ns:seq? closed_by:words? allocated_seq:seq? filled:amount? unallocated:amount? avg_px:words? "
        "seed:words? | statement_id trade_date"
    ),
    "switches": "happened target:id halted:bool actor:words reason:words",
    "unprojected": "*journal_seq:seq ts_ns:seq error:words",
    "allocation_ack_lines": "part account:id code:words text:words | account > allocation_acks",
    "allocation_fees": "part *number:int account:id type:words amount:amount > allocations",
    "allocation_lines": (
        "part account:id quantity:amount avg_px:words price:words gross:amount? commission:amount? fees:amount? "
        "net:amount? residual:amount? | account > allocations"
    ),
    "allocation_orders": (
        "part cl_ord_id:id order_id:id order_qty:amount avg_px:words booked_qty:amount | cl_ord_id > allocations"
    ),
    "division_lines": (
        "part account:id intent:amount exact:words floor:amount award:amount quantity:amount rule:words "
        "cost_difference:amount? before:amount place:int cap:amount? credit:words | account > divisions"
    ),
    "statement_lines": (
        "part account:id quantity:amount min_quantity:amount weight:amount price_limit:amount? received_ns:seq "
        "tier:int turn:int cap:amount? residual:bool | account > statements"
    ),
    "statement_problems": "part row:int field:words reason:words text:words > statement_refusals",
}
"""Heads before their lines."""


def upgrade() -> None:
    """Create everything."""
    create(TABLES)
