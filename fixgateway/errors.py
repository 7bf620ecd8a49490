"""Every exception fixgateway raises on purpose.

::

    FixgatewayError
    ├── UsageError            the caller asked for something that cannot be (exit code 2)
    │   ├── ConfigError       a configuration file is wrong; names file and key
    │   └── StatementFileError a statement file cannot be read; names line and field
    ├── CounterpartyError     the other side sent something that is not FIX
    │   └── WireError         FIX text that cannot be parsed; names the tag or position
    ├── JournalError          the journal cannot be written or read; names segment and record
    │   ├── JournalDamaged    a record fails its checks; carries the record number
    │   └── RecordRemoved     a record is asked for that was removed, its time being over
    └── GatewayUnavailable    a command needs a running gateway and none answers

A business refusal (an order without a statement, a statement with a wrong sum) is a value, a
:class:`fixgateway.core.reasons.Refusal`, never an exception.
"""

from __future__ import annotations


class FixgatewayError(Exception):
    """Base of every deliberate error; its message is meant for the person who reads it."""


class UsageError(FixgatewayError):
    """Wrong usage or configuration: the command line exits with 2."""


class ConfigError(UsageError):
    """A configuration file is wrong; the message names file, key and remedy."""


class StatementFileError(UsageError):
    """A statement file cannot be read; the message names line and field."""


class CounterpartyError(FixgatewayError):
    """The counterparty sent something we cannot use."""


class WireError(CounterpartyError):
    """FIX text that cannot be parsed; the message names the tag or the position."""


class JournalError(FixgatewayError):
    """The journal cannot be written or read; the message names segment and record."""


class JournalDamaged(JournalError):
    """A record fails its checks.

    Attributes:
        sequence: number of the first record that is wrong.
    """

    def __init__(self, sequence: int, message: str) -> None:
        super().__init__(message)
        self.sequence = sequence

    def __reduce__(self) -> tuple[type[JournalDamaged], tuple[int, str]]:
        """Errors cross from one process to another by pickle."""
        return type(self), (self.sequence, str(self))


class RecordRemoved(JournalError):
    """A record is asked for that was removed because its time was over; the message says by whom."""


class GatewayUnavailable(FixgatewayError):
    """A command needs a running gateway and none answers; the message says how to start one."""


class DeliveryError(FixgatewayError):
    """An alert could not be delivered by a channel; the text says who refused what. It is tried again."""
