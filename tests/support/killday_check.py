"""The judge of a day with kills: looks at the tape only and shares no code with the gateway's rules.

Every check is a generator of complaints; a day is good when none of them has any.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from killday_shares import check_allocations
from killday_tape import Entry, Heard, flagged, frames, messages

from fixgateway.sim.fields import Fields


@dataclass
class Day:
    """The tape by who said what.

    ``got`` and ``sent`` hold every message of a counterparty once, in the order of their numbers; ``frames`` what
    it got as it came, copies included.
    """

    entries: list[Entry]
    omses: tuple[str, ...]
    brokers: tuple[str, ...]
    got: dict[str, list[Heard]] = field(default_factory=dict)
    sent: dict[str, list[Heard]] = field(default_factory=dict)
    frames: dict[str, list[Fields]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        copies = frames(self.entries)
        for peer in (*self.omses, *self.brokers):
            self.got[peer] = messages(copies[peer, "in"])
            self.sent[peer] = messages(copies[peer, "out"])
            self.frames[peer] = [heard.fields for heard in copies[peer, "in"]]

    def oms_sent(self, *types: str) -> Iterator[tuple[str, Heard]]:
        """What the OMSs sent, with the OMS."""
        return _only(self.sent, self.omses, types)

    def oms_got(self, *types: str) -> Iterator[tuple[str, Heard]]:
        """What the OMSs got."""
        return _only(self.got, self.omses, types)

    def broker_sent(self, *types: str) -> Iterator[tuple[str, Heard]]:
        """What the brokers sent."""
        return _only(self.sent, self.brokers, types)

    def broker_got(self, *types: str) -> Iterator[tuple[str, Heard]]:
        """What the brokers got."""
        return _only(self.got, self.brokers, types)


def _only(said: dict[str, list[Heard]], who: Iterable[str], types: tuple[str, ...]) -> Iterator[tuple[str, Heard]]:
    for peer in who:
        for heard in said[peer]:
            if heard.fields.msg_type in types:
                yield peer, heard


def complaints(day: Day, doubtful: set[str]) -> list[str]:
    """Everything that is wrong; ``doubtful`` are the ClOrdIDs the gateway reports as in doubt."""
    checks = (
        numbers_are_used_once(day),
        nothing_is_marked_resent(day),
        no_order_twice(day),
        every_order_is_covered(day),
        every_request_is_answered(day, doubtful),
        every_statement_is_answered(day),
        executions_arrive_unaltered(day),
        allocation_reports_follow(day),
        nothing_of_ours_is_refused(day),
        check_allocations(day),
    )
    return [complaint for check in checks for complaint in check]


# ---------------------------------------------------------------- the session


def numbers_are_used_once(day: Day) -> Iterator[str]:
    """A MsgSeqNum of the gateway's is one message for ever, and only copies with 43=Y follow the first."""
    for peer in day.got:
        first: dict[int, Fields] = {}
        for fields in day.frames[peer]:
            known = first.setdefault(fields.seq, fields)
            if known is fields:
                continue
            if (known.msg_type, known.body) != (fields.msg_type, fields.body):
                yield f"{peer}: number {fields.seq} is two messages: {known!r} and {fields!r}"
            if fields.get(43) != "Y":
                yield f"{peer}: number {fields.seq} came again without 43=Y: {fields!r}"


def nothing_of_ours_is_refused(day: Day) -> Iterator[str]:
    """Nobody did anything that deserves a 3 or j from the gateway."""
    for peer in day.got:
        for _, fields in day.got[peer]:
            if fields.msg_type in ("3", "j"):
                yield f"{peer} was told {fields!r}"


def nothing_is_marked_resent(day: Day) -> Iterator[str]:
    """After a kill the store says what was sent and the session settles it: the gateway adds no 97=Y."""
    theirs = {h.fields.body for _, h in day.broker_sent("8") if h.fields.get(97) == "Y"}
    for peer, heard in ((peer, heard) for peer, all_heard in day.got.items() for heard in all_heard):
        if heard.fields.get(97) == "Y" and heard.fields.body not in theirs:
            yield f"{peer} got 97=Y: {heard.fields!r}"


# ---------------------------------------------------------------- orders


def no_order_twice(day: Day) -> Iterator[str]:
    """A D, G or F reaches a broker as its OMS wrote it, and once, but for copies marked 43=Y or 97=Y."""
    written: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, (_, fields) in day.oms_sent("D", "G", "F"):
        written[fields.msg_type, fields.get(11)].add(fields.body)
    for broker in day.brokers:
        plain: Counter[tuple[str, str]] = Counter()
        for fields in day.frames[broker]:
            if fields.msg_type not in ("D", "G", "F"):
                continue
            key = (fields.msg_type, fields.get(11))
            plain[key] += not flagged(fields)
            if plain[key] > 1:
                yield f"{broker} got {key} twice: {fields!r}"
            if fields.body not in written[key]:
                yield f"{broker} got {key} as no OMS wrote it: {fields!r}"
    refused = set(refused_by_the_gate(day))
    for broker, (_, fields) in day.broker_got("D", "G"):
        if fields.get(11) in refused:
            yield f"{broker} got {fields.get(11)}, which was refused to its OMS"


def refused_by_the_gate(day: Day) -> Iterator[str]:
    """ClOrdIDs of D and G that the gateway itself refused, repeated ClOrdIDs aside."""
    for _, (_, fields) in day.oms_got("8", "9"):
        ours = fields.get(58).startswith("GW-") and not fields.get(58).startswith(("GW-301", "GW-810"))
        if ours and (fields.get(150) == "8" or fields.get(434) == "2"):
            yield fields.get(11)


@dataclass
class Leg:
    """What an order at a broker may at least be executed for, as the gateway must know it.

    ``asked`` are quantities of the order and of replaces the broker got and did not answer; ``least`` is what
    was filled when it ended, or less after busts.
    """

    asked: dict[str, int]
    ended: bool = False
    least: int = 0

    @property
    def exposure(self) -> int:
        return self.least if self.ended else max(self.asked.values())


@dataclass
class Statement:
    """What an OMS said of a statement, as far as it is in force; ``total`` 0 while it is not."""

    oms: str
    symbol: str
    side: str
    total: int
    number: int
    acknowledged: bool = False
    withdrawn: int = 0
    legs: dict[tuple[str, str], Leg] = field(default_factory=dict)


def every_order_is_covered(day: Day) -> Iterator[str]:
    """Each D at a broker has a statement of its OMS, told registered, and all together never exceed its total."""
    statements = registered(day)
    numbers = {(oms, h.fields.get(11)): h for oms, h in reversed(list(day.oms_sent("D")))}
    chains: dict[tuple[str, str], tuple[Statement, Leg]] = {}
    numbered = {(broker, h.fields.seq): h.fields.get(11) for broker, h in day.broker_got("D", "G")}
    got = [(heard.at, heard.fields.seq, broker, heard.fields) for broker, heard in day.broker_got("D", "G")]
    sent = [(heard.at, heard.fields.seq, broker, heard.fields) for broker, heard in day.broker_sent("8", "9", "j")]
    for _, _, broker, fields in sorted([*got, *sent], key=lambda each: each[:2]):
        if fields.msg_type in ("8", "9", "j"):
            _released(broker, fields, chains, numbered)
            continue
        key = (broker, fields.get(11))
        if fields.msg_type == "D":
            statement = statements.get(fields.get(70))
            if statement is None or not statement.acknowledged:
                yield f"{broker} got {fields.get(11)} without a registered statement {fields.get(70)}"
                continue
            yield from _misfits(broker, fields, statement, numbers)
            leg = statement.legs[key] = Leg({fields.get(11): int(fields.get(38))})
        else:
            known = chains.get((broker, fields.get(41)))
            if known is None:
                continue
            statement, leg = known
            if not leg.ended:
                leg.asked[fields.get(11)] = int(fields.get(38))
        chains[key] = (statement, leg)
        exposed = sum(each.exposure for each in statement.legs.values())
        if exposed > statement.total:
            yield f"{broker} got {fields!r}: {exposed} at brokers under a statement of {statement.total}"


def registered(day: Day) -> dict[str, Statement]:
    """Every statement that was ever told to be registered: the first J with its id that its OMS sent."""
    statements: dict[str, Statement] = {}
    withdrawals: dict[str, tuple[str, int]] = {}
    for oms, (_, fields) in day.oms_sent("J"):
        name = fields.get(70)
        if fields.get(71) == "2":
            withdrawals[name] = (fields.get(72), fields.seq)
        elif name not in statements:
            total = sum(int(quantity) for quantity in fields.all(80))
            statements[name] = Statement(oms, fields.get(55), fields.get(54), total, fields.seq)
    for _, (_, fields) in day.oms_got("P"):
        if fields.get(87) != "0":
            continue
        if fields.get(70) in withdrawals:
            target, number = withdrawals[fields.get(70)]
            statements[target].withdrawn = number
        elif fields.get(70) in statements:
            statements[fields.get(70)].acknowledged = True
    return statements


def _misfits(
    broker: str, fields: Fields, statement: Statement, numbers: dict[tuple[str, str], Heard]
) -> Iterator[str]:
    """What of a D differs from its statement; the order of messages on the OMS's session counts."""
    words = f"{broker} got {fields.get(11)} under {fields.get(70)}"
    order = numbers.get((statement.oms, fields.get(11)))
    if order is None:
        yield f"{words}, which is another OMS's"
        return
    if order.fields.seq < statement.number:
        yield f"{words}, which was registered later"
    if 0 < statement.withdrawn < order.fields.seq:
        yield f"{words}, which was withdrawn"
    if (fields.get(55), fields.get(54)) != (statement.symbol, statement.side):
        yield f"{words}, which is for another instrument or side"


def _released(
    broker: str,
    fields: Fields,
    chains: dict[tuple[str, str], tuple[Statement, Leg]],
    numbered: dict[tuple[str, int], str],
) -> None:
    """What a broker's message takes off a leg at the earliest: when it was written."""
    name = fields.get(11) or numbered.get((broker, int(fields.get(45, "0"))), "")
    known = chains.get((broker, name)) or chains.get((broker, fields.get(41)))
    if known is None or fields.get(97) == "Y":
        return
    _, leg = known
    if name:
        chains.setdefault((broker, name), known)  # a bust after a cancel may name the cancel only
    if fields.msg_type in ("9", "j"):
        if name in leg.asked and len(leg.asked) > 1:
            del leg.asked[name]
        elif name in leg.asked:
            leg.ended = fields.msg_type == "j"
    elif fields.get(39) in ("4", "8"):
        cum = int(fields.get(14))
        leg.least = min(leg.least, cum) if leg.ended else cum
        leg.ended = True
    elif fields.get(150) == "5":
        names = list(leg.asked)
        later = names[names.index(name) + 1 :] if name in names else names
        leg.asked = {name: int(fields.get(38)), **{other: leg.asked[other] for other in later}}
        chains[broker, name] = known


def every_request_is_answered(day: Day, doubtful: set[str]) -> Iterator[str]:
    """Each D, G and F of an OMS has an 8 or 9 with its ClOrdID, or is reported in doubt."""
    for oms, cl_ord_id, kind in unanswered(day):
        if cl_ord_id not in doubtful:
            yield f"{kind} {cl_ord_id} of {oms} was never answered"


def unanswered(day: Day) -> Iterator[tuple[str, str, str]]:
    """(OMS, ClOrdID, MsgType) of requests without an answer; a repeated ClOrdID needs its own 103=6."""
    answers: Counter[tuple[str, str]] = Counter()
    repeats: Counter[tuple[str, str]] = Counter()
    for oms, (_, fields) in day.oms_got("8", "9"):
        repeat = fields.get(58).startswith("GW-301")
        (repeats if repeat else answers)[oms, fields.get(11)] += 1
    used: set[tuple[str, str]] = set()
    for oms, (_, fields) in day.oms_sent("D", "G", "F"):
        key = (oms, fields.get(11))
        tally = repeats if key in used else answers
        used.add(key)
        tally[key] -= tally is repeats
        if tally[key] < (tally is answers):
            yield oms, fields.get(11), fields.msg_type


# ---------------------------------------------------------------- statements, executions, reports


def every_statement_is_answered(day: Day) -> Iterator[str]:
    """Each J of an OMS has exactly one P with its id."""
    asked = Counter((oms, heard.fields.get(70)) for oms, heard in day.oms_sent("J"))
    told = Counter((oms, heard.fields.get(70)) for oms, heard in day.oms_got("P"))
    for key in asked.keys() | told.keys():
        if asked[key] != told[key]:
            yield f"{key}: {asked[key]} J and {told[key]} P"


def executions_arrive_unaltered(day: Day) -> Iterator[str]:
    """Each 8 and 9 of a broker reaches the OMS of its order as written, once; no other claims to be one."""
    sent: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for _, (_, fields) in day.broker_sent("8", "9"):
        sent[fields.body] += 1
    for oms, (_, fields) in day.oms_got("8", "9"):
        if fields.get(58).startswith("GW-") or fields.get(17).startswith("GWE"):
            continue
        told[fields.body] += 1
        if not fields.get(11).startswith(oms):
            yield f"{oms} got another OMS's report {fields!r}"
    for body in sent.keys() | told.keys():
        if told[body] < sent[body]:
            yield f"sent {sent[body]} times, told {told[body]} times: {body!r}"
        if told[body] > sent[body]:
            yield f"told {told[body]} times, sent {sent[body]} times: {body!r}"


def _overtaken(day: Day, instructions: dict[str, Fields]) -> set[str]:
    """AllocIDs that were accepted after a version that replaced them."""
    over: set[str] = set()
    found: set[str] = set()
    for _, (_, fields) in day.broker_sent("P"):
        name = fields.get(70)
        if fields.get(87) != "0" or name not in instructions:
            continue
        if name in over:
            found.add(name)
        earlier = instructions[name].get(72)
        while earlier in instructions and earlier not in over:
            over.add(earlier)
            earlier = instructions[earlier].get(72)
    return found


def allocation_reports_follow(day: Day) -> Iterator[str]:
    """Each allocation a broker accepted is reported to the OMS once, with the same shares.

    One that the broker accepts after a later version of it is over, and need not be.
    """
    instructions = {h.fields.get(70): h.fields for _, h in day.broker_got("J")}
    overtaken = _overtaken(day, instructions)
    accepted = {h.fields.get(70) for _, h in day.broker_sent("P") if h.fields.get(87) == "0"}
    reports: Counter[str] = Counter()
    for oms, (_, fields) in day.oms_got("AS"):
        name = fields.get(70)
        reports[name] += 1
        instruction = instructions.get(name)
        if instruction is None:
            yield f"{oms} got a report of no allocation: {fields!r}"
        elif (fields.get(53), fields.all(79), fields.all(80)) != (
            instruction.get(53), instruction.all(79), instruction.all(80),
        ):  # fmt: skip
            yield f"{oms} was told {fields!r} of {instruction!r}"
    for name in accepted | reports.keys():
        if reports[name] != (name in accepted) and not (name in overtaken and not reports[name]):
            yield f"allocation {name}: accepted {name in accepted}, reported {reports[name]} times"
