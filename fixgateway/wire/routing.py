"""Header fields that pass from one leg to the other (FIX "third party message routing").

The two legs are two sessions: sequence numbers, times and comp ids are never carried over. What is carried is
who sent it and for whom. A broker without third-party routing sees the OMS's trader in SenderSubID(50); one
with it (``on_behalf_of``) sees the OMS in OnBehalfOfCompID(115), and answers with DeliverToCompID(128).
"""

from __future__ import annotations

from collections.abc import Mapping

from fixgateway.wire.values import plain_words

HeaderFields = tuple[tuple[int, str], ...]

_Row = tuple[tuple[str, int], ...]

_ALWAYS: _Row = (
    ("97", 97),  # PossResend is end to end; the gateway adds its own only at recovery
    ("347", 347),  # MessageEncoding says how to read the encoded fields of the body that passes
)
_TO_BROKER: Mapping[bool, _Row] = {
    # on_behalf_of → (tag of the OMS's message, tag towards the broker). 128 chose the broker and ends here.
    False: (("50", 50), ("129", 57), *_ALWAYS),
    True: (("50", 116), ("129", 57), *_ALWAYS),
}
_TO_OMS: Mapping[bool, _Row] = {
    False: (("50", 50), ("57", 57), *_ALWAYS),
    True: (("50", 116), ("129", 57), *_ALWAYS),
}

_SOURCES = frozenset(source for rows in (_TO_BROKER, _TO_OMS) for row in rows.values() for source, _ in row)


def to_broker(header: Mapping[str, str], oms: str, on_behalf_of: bool = False) -> HeaderFields:
    """Header fields for the broker's leg of a message that came from ``oms`` with ``header``.

    Args:
        header: the inbound header by tag; empty for a message of the gateway's own.
        oms: the OMS's comp id.
        on_behalf_of: the broker takes third-party routing; then 115 is set on every application message,
            as FIX demands of a session that uses it.
    """
    own = ((115, oms),) if on_behalf_of and oms else ()
    return own + _carry(header, _TO_BROKER[on_behalf_of])


def to_oms(header: Mapping[str, str], broker: str, on_behalf_of: bool = False) -> HeaderFields:
    """Header fields for the OMS's leg of a message that came from ``broker`` with ``header``."""
    own = ((115, broker),) if on_behalf_of and broker else ()
    return own + _carry(header, _TO_OMS[on_behalf_of])


def _carry(header: Mapping[str, str], row: _Row) -> HeaderFields:
    if _SOURCES.isdisjoint(header):
        return ()  # nearly every message
    # Values come from a peer and go into the engine's header: nothing that could close the field early.
    return tuple((target, plain_words(header[source])) for source, target in row if header.get(source))
