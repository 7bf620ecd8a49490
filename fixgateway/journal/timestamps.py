"""RFC 3161 time stamps of checkpoints: an authority outside signs that a checkpoint existed at a time.

The authority gets the SHA-256 of a checkpoint's bytes and nothing else. Its answer, the TimeStampResp as it came,
is kept beside the checkpoint as ``<checkpoint>.tsr``, where ``openssl ts -verify`` can read it too. Times inside
the journal are the gateway's clock; this one is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from fixgateway.errors import JournalError, UsageError

INTERVAL_SECONDS = 3600
_SHA256 = "2.16.840.1.101.3.4.2.1"


class StampError(JournalError):
    """Bytes that are no time stamp, or not one of what they should be."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time stamp that was checked: the authority's time (UTC), and whether its signature was checked too."""

    time: datetime
    signed: bool


@dataclass(frozen=True, slots=True)
class Stamping:
    """Whom to ask for time stamps and how often.

    Attributes:
        url: the authority's address. roots: certificates its signature must lead to; without any only what
            the answer says is checked. seconds: between two time stamps.
    """

    url: str
    roots: tuple[Certificate, ...] = ()
    seconds: float = INTERVAL_SECONDS


def load_roots(file: Path) -> tuple[Certificate, ...]:
    """The certificates of a PEM file.

    Raises:
        UsageError: it cannot be read or holds none.
    """
    try:
        return tuple(load_pem_x509_certificates(file.read_bytes()))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} holds no certificates in PEM form: {error}") from None


def request_for(data: bytes) -> TimeStampRequest:
    """What to send: the SHA-256 of ``data``, a nonce, and the wish for the authority's certificate."""
    return TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()


def check(answer: bytes, data: bytes, roots: Sequence[Certificate] = (), nonce: int | None = None) -> Stamp:
    """Check an authority's answer: granted, for these bytes, to this request, and signed.

    Args:
        answer: the TimeStampResp, DER. data: what was to be stamped.
        roots: certificates one of which the signature must lead to; none: the signature is not looked at.
        nonce: what the request said, when it is known.

    Raises:
        StampError: it is no time stamp of ``data``; says why.
    """
    try:
        response = _decode(answer)
        _check_status(response)
        told = response.tst_info
        imprint = told.message_imprint
        if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message != sha256(data).digest():
            raise StampError("it is the time stamp of something else: its imprint is not the SHA-256 of this")
        if nonce is not None and told.nonce != nonce:
            raise StampError("it answers another request: its nonce is not ours")
        if roots:
            VerifierBuilder(roots=list(roots), nonce=nonce).build().verify_message(response, data)
        return Stamp(told.gen_time.astimezone(UTC), signed=bool(roots))
    except StampError:
        raise
    except VerificationError as error:
        raise StampError(f"its signature is not good: {error}") from None
    except Exception as error:  # decoders have many words for bytes that are wrong somewhere
        raise StampError(f"no time stamp: {error}") from None


def _check_status(response: TimeStampResponse) -> None:
    if response.status == PKIStatus.GRANTED:
        return
    names = {status.value: status.name.lower() for status in PKIStatus}
    why = "; ".join(response.status_string)
    raise StampError(f"refused: {names.get(response.status, response.status)}{f', {why}' if why else ''}")


# ---------------------------------------------------------------- decoding


def _decode(answer: bytes) -> TimeStampResponse:
    """Decode an answer, also one that lists its certificates in another order than DER's.

    DER wants a SET's elements sorted, many authorities send signer first, and the decoder takes DER only. The
    list is not signed, and sorting it moves bytes without changing any length.
    """
    try:
        return decode_timestamp_response(answer)
    except ValueError:
        return decode_timestamp_response(_with_sorted_certificates(answer))


def _with_sorted_certificates(answer: bytes) -> bytes:
    """TimeStampResp → timeStampToken → content [0] → SignedData → certificates [0]: its elements sorted.

    Raises:
        ValueError: it has not this shape.
    """
    _, token, *_ = _elements(answer, *_elements(answer, 0, len(answer))[0][1:])
    signed_data = _elements(answer, *_elements(answer, *token[1:])[1][1:])[0]
    fields = _elements(answer, *signed_data[1:])
    for start, content, end in fields:
        if answer[start] == 0xA0:
            parts = sorted(answer[part[0] : part[2]] for part in _elements(answer, content, end))
            return answer[:content] + b"".join(parts) + answer[end:]
    raise ValueError("no certificates")


def _elements(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """The DER elements between two places: (start, start of the content, end) of each."""
    found = []
    while start < end:
        if end - start < 2:
            raise ValueError("cut short")
        length, content = data[start + 1], start + 2
        if length & 0x80:
            size = length & 0x7F
            length, content = int.from_bytes(data[content : content + size]), content + size
        if not content + length <= end:
            raise ValueError("cut short")
        found.append((start, content, content + length))
        start = content + length
    return found
