"""What differs from FIX version to version, as tables.

Codes on the wire become the core's words and back. Sources: the dictionaries the quickfix package ships and the
printed specifications (FIX 4.2 errata 20010501, FIX 4.4, FIX 5.0SP2). Where a printed specification and a
dictionary differ, the row says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fixgateway.core.inputs import ExecKind
from fixgateway.core.model import Side
from fixgateway.errors import ConfigError

SIDE_OF: Mapping[str, str] = {
    "1": Side.BUY.value,
    "2": Side.SELL.value,
    "5": Side.SHORT.value,
    "6": Side.SHORT_EXEMPT.value,
}
"""Side(54) → the core's word; other codes have no word and stay as they are."""

SIDE_CODE: Mapping[str, str] = {word: code for code, word in SIDE_OF.items()}
UNDISCLOSED_SIDE = "7"
"""Side(54) for a reply to an order that had no side: the tag is required and this value says "not told"."""

_KIND_4X: Mapping[str, ExecKind] = {
    # ExecType(150), FIX 4.2 to 5.0SP2. 1 and 2 are fills of 4.2 that some 4.4 brokers still send.
    "0": ExecKind.NEW, "1": ExecKind.FILL, "2": ExecKind.FILL, "3": ExecKind.DONE_FOR_DAY,
    "4": ExecKind.CANCELLED, "5": ExecKind.REPLACED, "6": ExecKind.PENDING_CANCEL, "7": ExecKind.OTHER,
    "8": ExecKind.REJECTED, "9": ExecKind.OTHER, "A": ExecKind.PENDING_NEW, "B": ExecKind.OTHER,
    "C": ExecKind.EXPIRED, "D": ExecKind.RESTATED, "E": ExecKind.PENDING_REPLACE, "F": ExecKind.FILL,
    "G": ExecKind.CORRECT, "H": ExecKind.BUST, "I": ExecKind.STATUS,
}  # fmt: skip

_KIND_OF_TRANS: Mapping[str, ExecKind] = {
    # ExecTransType(20), up to 4.2: it decides before 150; 0 is a plain report.
    "1": ExecKind.BUST, "2": ExecKind.CORRECT, "3": ExecKind.STATUS,
}  # fmt: skip

_TRADE_KINDS = frozenset((ExecKind.FILL, ExecKind.CORRECT, ExecKind.BUST))

_ACK_44: Mapping[str, str] = {
    # AllocStatus(87): 5 is "rejected by intermediary"
    "0": "accepted", "1": "rejected", "2": "account-rejected", "3": "received", "4": "incomplete", "5": "rejected",
}  # fmt: skip
_ACK_42: Mapping[str, str] = {
    # The printed 4.2 calls 2 "partial accept", the dictionary "account level reject": in either reading an
    # account was not accepted, which is what the core acts on.
    "0": "accepted", "1": "rejected", "2": "account-rejected", "3": "received",
}  # fmt: skip
_ACK_50: Mapping[str, str] = {
    # 6, 9, 11, 13, 14 wait for somebody (allocation, claim, give-up, take-up, reversal); 7, 12 undo an allocation
    **_ACK_44, "6": "pending", "7": "reversed", "8": "rejected", "9": "pending", "10": "rejected", "11": "pending",
    "12": "reversed", "13": "pending", "14": "pending",
}  # fmt: skip

_NO_MAP: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of one reason field: those the version has, what a newer code becomes, and the rest."""

    known: frozenset[str]
    becomes: Mapping[str, str]
    rest: str

    def of(self, code: str) -> str:
        """The version's code for FIX 4.4's ``code``."""
        return code if code in self.known else self.becomes.get(code, self.rest)


def _codes(last: int, more: str = "", becomes: Mapping[str, str] = _NO_MAP, rest: str = "99") -> Codes:
    """Codes 0 … ``last`` and those in ``more``."""
    return Codes(frozenset(map(str, range(last + 1))) | frozenset(more.split()), becomes, rest)


@dataclass(frozen=True, slots=True)
class Version:
    """One FIX version's row.

    ``begin_string`` is 8 on the wire and names the dictionary. ``trans_types_of_statement`` are the
    (AllocTransType 71, AllocType 626) pairs that register a statement.
    """

    name: str
    begin_string: str
    ack_status: Mapping[str, str]
    ord_rej: Codes
    cxl_rej: Codes
    alloc_rej: Codes
    business: Codes
    statement: Mapping[tuple[str, str], str]
    """(71, 626) of a J that registers, replaces or cancels a statement → the core's alloc_trans_type."""
    has_exec_trans_type: bool = False
    """20 is required in 8 and decides the kind."""
    has_alloc_type: bool = True
    """626, 857 and, in an entry of 73, 38, 799 and 800 exist; 793, 796 too."""
    has_allocation_report: bool = True
    """AS exists."""
    symbol_required: bool = False
    """55 is required by itself (not within a component that also takes 48/22)."""
    alloc_rej_other: frozenset[str] = frozenset(("", "7"))
    """AllocRejCodes(88) that may mean an AllocID used before: no version has a code of its own for that."""
    alloc_trans_of_type: Mapping[str, str] = field(default_factory=dict)
    """Without 626: AllocType → the AllocTransType(71) of a new allocation that means the same."""


_STATEMENT_44 = {("0", "2"): "0", ("1", "2"): "1", ("2", "2"): "2"}

FIX42 = Version(
    name="FIX.4.2",
    begin_string="FIX.4.2",
    ack_status=_ACK_42,
    ord_rej=_codes(8, becomes={"13": "3"}, rest="0"),
    cxl_rej=_codes(3, rest="2"),
    alloc_rej=_codes(7, becomes={"8": "1", "12": "5"}, rest="7"),
    business=_codes(5, rest="0"),
    statement={("3", ""): "0", ("1", ""): "1", ("2", ""): "2"},
    has_exec_trans_type=True,
    has_alloc_type=False,
    has_allocation_report=False,
    symbol_required=True,
    alloc_trans_of_type={"2": "3"},
)
FIX44 = Version(
    name="FIX.4.4",
    begin_string="FIX.4.4",
    ack_status=_ACK_44,
    ord_rej=_codes(15, "99"),
    cxl_rej=_codes(6, "99"),
    alloc_rej=_codes(13, rest="7"),
    business=_codes(7, rest="0"),
    statement=_STATEMENT_44,
)
FIX50SP2 = Version(
    name="FIX.5.0SP2",
    begin_string="FIXT.1.1",
    ack_status=_ACK_50,
    ord_rej=_codes(18, "99"),
    cxl_rej=_codes(8, "18 99"),
    alloc_rej=_codes(28, "99"),
    alloc_rej_other=frozenset(("", "7", "16", "99")),
    business=_codes(8, "18", rest="0"),
    statement=_STATEMENT_44,
)

_VERSIONS: Mapping[str, Version] = {
    "FIX.4.2": FIX42,
    "FIX.4.4": FIX44,
    "FIX.5.0SP2": FIX50SP2,
    "FIXT.1.1": FIX50SP2,
}


def named(begin_string: str) -> Version:
    """The row for a ``begin_string`` of the configuration; ``FIXT.1.1`` and ``FIX.5.0SP2`` are the same.

    Raises:
        ConfigError: the gateway does not speak it.
    """
    version = _VERSIONS.get(begin_string)
    if version is None:
        raise ConfigError(f"begin_string {begin_string!r}: the gateway speaks {', '.join(_VERSIONS)}")
    return version


def exec_kind(version: Version, exec_type: str, exec_trans_type: str, ord_status: str) -> ExecKind:
    """What an execution report reports.

    Args:
        version: the session's version.
        exec_type: 150; "" as in FIX 4.0, where 39 says it.
        exec_trans_type: 20; decides before 150 up to FIX 4.2, later only for trades (mixed dialects exist).
        ord_status: 39.
    """
    kind = _KIND_4X.get(exec_type or ord_status, ExecKind.OTHER)
    if version.has_exec_trans_type or kind in _TRADE_KINDS:
        return _KIND_OF_TRANS.get(exec_trans_type, kind)
    return kind
