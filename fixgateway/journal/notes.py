"""Signed notes and their Ed25519 keys, in the form of the C2SP specification (c2sp.org/signed-note).

A note is text, an empty line, and signature lines ``— <key name> base64(key id ‖ signature)``. A key's id is the
start of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key). Keys are kept as one line of text, the public one as
``<name>+<key id>+<base64>``, the private one as ``PRIVATE+KEY+<name>+<key id>+<base64>``; before the base64 is
taken, 0x01 is put in front of the 32 bytes of the key.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NOTE_BYTES_MAX = 256 * 1024
"""Longest note that is read; room for many signatures."""

KEY_NAME_CHARS_MAX = 200

_ED25519 = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE_MARK = "— "


class NoteError(ValueError):
    """A text is no note, or a note no checkpoint; says what is wrong with it."""


# ---------------------------------------------------------------- notes


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name and id, and the signature."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its last newline, and its signatures; none when it was never signed."""

    text: str
    signatures: tuple[Signature, ...] = ()


def parse_note(data: bytes) -> Note:
    """Read a note. A text without an empty line and signatures is a note that nobody signed.

    Raises:
        NoteError: it is no note.
    """
    if len(data) > NOTE_BYTES_MAX:
        raise NoteError(f"{len(data)} bytes, a note has at most {NOTE_BYTES_MAX}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError(f"not UTF-8: {error}") from None
    if any(char < " " and char != "\n" for char in whole):
        raise NoteError("control characters in it")
    if not whole.endswith("\n"):
        raise NoteError("no newline at its end: it was cut")
    text, gap, lines = whole.rpartition("\n\n")
    if not gap:
        return Note(whole)
    if not lines:
        raise NoteError("no signatures behind the empty line: it was cut")
    return Note(text + "\n", tuple(_parse_signature(line) for line in lines[:-1].split("\n")))


def _parse_signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_SIGNATURE_MARK).partition(" ")
    if not line.startswith(_SIGNATURE_MARK) or not is_key_name(name):
        raise NoteError(f"a line behind the text is no signature: {line[:60]!r}")
    value = bytes_of(encoded)
    if len(value) <= _ID_BYTES:
        raise NoteError(f"the signature of {name} is too short")
    return Signature(name, value[:_ID_BYTES], value[_ID_BYTES:])


def is_key_name(name: str) -> bool:
    """Whether a key may be called so: neither empty nor long, no spaces, no +."""
    fits = 0 < len(name) <= KEY_NAME_CHARS_MAX and name.isprintable()
    return fits and not any(char == "+" or char.isspace() for char in name)


def base64_text(data: bytes) -> str:
    """Standard base64 of RFC 4648, as notes have it."""
    return base64.b64encode(data).decode("ascii")


def bytes_of(text: str) -> bytes:
    """What a base64 text stands for. Raises NoteError when it is none, or not the usual spelling of it."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64_text(data) != text:  # one spelling only, or two different files would be the same note
        raise NoteError("its base64 cannot be read")
    return data


# ---------------------------------------------------------------- keys


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What checks signatures: the key's name and its 32 bytes."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64_text(_ED25519 + self.key)}"

    def signed(self, note: Note) -> bool:
        """Whether this key signed the note.

        Raises:
            NoteError: a signature says that it is this key's and is not good.
        """
        mine = [item for item in note.signatures if (item.name, item.key_id) == (self.name, self.key_id)]
        for signature in mine:
            try:
                Ed25519PublicKey.from_public_bytes(self.key).verify(signature.value, note.text.encode())
            except InvalidSignature:
                raise NoteError(f"the signature of {self.name} is wrong: the text was changed") from None
        return bool(mine)


class PrivateKey:
    """What signs: a key's name and its secret."""

    def __init__(self, name: str, secret: bytes) -> None:
        self._secret = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = PublicKey(name, self._secret.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.name})"

    def sign(self, text: str) -> str:
        """The note of ``text``, which ends with a newline, signed."""
        value = self.public.key_id + self._secret.sign(text.encode())
        return f"{text}\n{_SIGNATURE_MARK}{self.public.name} {base64_text(value)}\n"

    def secret_line(self) -> str:
        """The key as text, for its file and nothing else."""
        secret = base64_text(_ED25519 + self._secret.private_bytes_raw())
        return f"{_PRIVATE}{self.public.name}+{self.public.key_id.hex()}+{secret}"


def parse_public_key(line: str) -> PublicKey:
    """Read ``<name>+<key id>+<base64>``. Raises NoteError when it is none."""
    name, key_id, data = _parse_key(line)
    return _checked(PublicKey(name, data), key_id)


def parse_private_key(line: str) -> PrivateKey:
    """Read ``PRIVATE+KEY+<name>+<key id>+<base64>``. Raises NoteError when it is none."""
    if not line.startswith(_PRIVATE):
        raise NoteError(f"it does not start with {_PRIVATE}: no signing key")
    name, key_id, data = _parse_key(line.removeprefix(_PRIVATE))
    key = PrivateKey(name, data)
    _checked(key.public, key_id)
    return key


def new_private_key(name: str) -> PrivateKey:
    """A new key. Raises NoteError when ``name`` cannot be a key's name."""
    if not is_key_name(name):
        raise NoteError(
            f"{name[:60]!r} is no key's name: 1 to {KEY_NAME_CHARS_MAX} printable characters without spaces and +"
        )
    return PrivateKey(name, Ed25519PrivateKey.generate().private_bytes_raw())


def _parse_key(line: str) -> tuple[str, str, bytes]:
    """Name, key id in hex and the 32 bytes of a key's line."""
    name, _, rest = line.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    if not is_key_name(name):
        raise NoteError("no key: it does not start with a key's name")
    data = bytes_of(encoded)
    if data[:1] != _ED25519 or len(data) != 1 + _KEY_BYTES:
        raise NoteError("no Ed25519 key")
    return name, key_id, data[1:]


def _checked(key: PublicKey, key_id: str) -> PublicKey:
    if key.key_id.hex() != key_id:
        raise NoteError("the key's id does not fit its name and bytes: it was changed or cut")
    return key
