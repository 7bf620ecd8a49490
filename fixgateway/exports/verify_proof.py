#!/usr/bin/env python3
"""Check a proof of fixgateway's journal on a machine that has neither fixgateway nor the journal.

    verify_proof.py PROOF.json --public-key KEY.pub
    verify_proof.py PROOF.json --checkpoint CHECKPOINT

Needs Python 3.9 or later and, for --public-key, the package "cryptography". The proof is what
"fixgateway journal prove" wrote. What makes it worth anything comes from elsewhere: the public key you were given,
or a checkpoint you have kept (--checkpoint; the proof must then be against that very checkpoint, or, for a
consistency proof, from it). Either or both may be given.

Exits with 0 when the proof holds, 1 when it does not, 2 on wrong usage. What is checked: the Merkle tree of
RFC 9162 (SHA-256), checkpoints of c2sp.org/tlog-checkpoint, Ed25519 signatures of c2sp.org/signed-note.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import struct
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

FORMAT = "fixgateway-proof-1"
KINDS = ("start", "control", "seen", "accepted", "engine-refused", "decision", "wire-out", "event", "stop")
SHOWN_BYTES_MAX = 2000


class Wrong(Exception):
    """The proof does not hold; says why."""


# ---------------------------------------------------------------- the tree


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf (RFC 9162 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node (RFC 9162 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_inclusion(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes | None:
    """The root that path leads to from a leaf (RFC 9162 2.1.3.2), None when it has a wrong length."""
    last = size - 1
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            leaf = node_hash(sibling, leaf)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        index, last = index >> 1, last >> 1
    return leaf if last == 0 else None


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, path: list[bytes]) -> bool:
    """Whether path leads from one root to the other (RFC 9162 2.1.4.2)."""
    if first == second:
        return first > 0 and not path and first_root == second_root
    if not 0 < first < second or not path:
        return False
    if first & (first - 1) == 0:
        path = [first_root, *path]
    index, last = first - 1, second - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, node)
        index, last = index >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


# ---------------------------------------------------------------- checkpoints and keys


def from_base64(text: str, what: str) -> bytes:
    """The bytes of a base64 text; ``what`` it is, for the message."""
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Wrong(f"{what} is not base64") from None


def read_checkpoint(note: str, what: str) -> dict[str, Any]:
    """Origin, size, root, signed text and signatures of a checkpoint."""
    text, gap, lines = note.rpartition("\n\n")
    text = text + "\n" if gap else note
    signatures = []
    for line in lines.split("\n")[:-1] if gap else []:
        mark, name, value = [*line.split(" "), "", ""][:3]
        if mark != "—":
            raise Wrong(f"{what}: a line behind the text is no signature")
        signatures.append((name, from_base64(value, f"{what}: a signature")))
    parts = text.split("\n")
    if len(parts) < 4 or not all(parts[:-1]) or parts[-1] or not (parts[1].isascii() and parts[1].isdigit()):
        raise Wrong(f"{what} is no checkpoint")
    root = from_base64(parts[2], f"{what}: the root")
    return {"origin": parts[0], "size": int(parts[1]), "root": root, "text": text, "signatures": signatures}


def read_public_key(path: str) -> tuple[str, bytes, bytes]:
    """Name, key id and key of a file ``<name>+<key id>+<base64>``."""
    with open(path, encoding="utf-8") as file:
        name, _, rest = file.read(4096).strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    data = from_base64(encoded, f"{path}: the key")
    right_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    if len(data) != 33 or data[0] != 1 or right_id.hex() != key_id:
        raise Wrong(f"{path} is no Ed25519 public key of fixgateway")
    return name, right_id, data[1:]


def check_signature(checkpoint: dict[str, Any], public_key: tuple[str, bytes, bytes], what: str) -> None:
    """The checkpoint is signed by this key, and rightly."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    name, key_id, key = public_key
    for signer, value in checkpoint["signatures"]:
        if signer == name and value[:4] == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(value[4:], checkpoint["text"].encode())
            except InvalidSignature:
                raise Wrong(f"{what}: the signature of {name} is wrong") from None
            return
    raise Wrong(f"{what} is not signed by {name}")


def check_same(checkpoint: dict[str, Any], mine: dict[str, Any], what: str) -> None:
    """The checkpoint is the one that was kept."""
    if any(checkpoint[part] != mine[part] for part in ("origin", "size", "root")):
        raise Wrong(f"{what} is not the checkpoint you gave")


# ---------------------------------------------------------------- proofs


def show_record(body: bytes) -> str:
    """A record's body in words: seq u64, ts_ns u64, kind u8, session (u8 length, UTF-8), payload."""
    sequence, ts_ns, kind, length = struct.unpack_from(">QQBB", body)
    session, payload = body[18 : 18 + length].decode("utf-8", "replace"), body[18 + length :]
    when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=ts_ns // 1000)  # noqa: UP017
    label = KINDS[kind - 1] if 0 < kind <= len(KINDS) else f"kind {kind}"
    payload = said_of(label, payload)
    text = payload[:SHOWN_BYTES_MAX].replace(b"\x01", b"|").decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    more = f" … (+{len(payload) - SHOWN_BYTES_MAX} bytes)" if len(payload) > SHOWN_BYTES_MAX else ""
    return f"record {sequence}  {when:%Y-%m-%dT%H:%M:%S.%fZ}  {label}  {session or '-'}  {text}{more}"


def said_of(kind: str, payload: bytes) -> bytes:
    """A payload with the numbers before its text in words."""
    if kind == "accepted" and len(payload) >= 20:
        seen, number = struct.unpack_from(">QQ", payload)
        seed = f", seed {payload[20:].decode('ascii', 'replace')}" if payload[20:] else ""
        return f"the text of record {seen}, MsgSeqNum {number}{seed}".encode()
    if kind == "wire-out" and len(payload) >= 12:
        return f"for {struct.unpack_from('>Q', payload)[0]}: ".encode() + payload[12:]
    if kind == "engine-refused" and len(payload) >= 8:
        return f"the text of record {struct.unpack_from('>Q', payload)[0]}: ".encode() + payload[8:]
    return payload


def check_inclusion(proof: dict[str, Any], public_key: Any, mine: Any) -> None:
    """Every record of the proof is in the journal of its checkpoint; prints them."""
    checkpoint = read_checkpoint(proof["checkpoint"], "the proof's checkpoint")
    if public_key:
        check_signature(checkpoint, public_key, "the proof's checkpoint")
    if mine:
        check_same(checkpoint, mine, "the proof's checkpoint")
    if not proof["records"]:
        raise Wrong("no records in it")
    for record in proof["records"]:
        sequence = record["sequence"]
        body = from_base64(record["leaf"], f"record {sequence}")
        path = [from_base64(item, f"record {sequence}: the path") for item in record["path"]]
        if not 1 <= sequence <= checkpoint["size"]:
            raise Wrong(f"record {sequence}: the checkpoint is of {checkpoint['size']} records")
        root = root_of_inclusion(sequence - 1, checkpoint["size"], leaf_hash(body), path)
        if root is None or root != checkpoint["root"]:
            raise Wrong(f"record {sequence} is not in the journal of the checkpoint, or was changed")
        if len(body) < 18 or int.from_bytes(body[:8], "big") != sequence:
            raise Wrong(f"record {sequence} says that it has another number")
    for record in proof["records"]:
        print(show_record(base64.b64decode(record["leaf"])))
    count = len(proof["records"])
    records = f"{count} record is" if count == 1 else f"{count} records are"
    print(f"PROVED: {records} in the journal {checkpoint['origin']} of {checkpoint['size']} records")


def check_consistency(proof: dict[str, Any], public_key: Any, mine: Any) -> None:
    """The second checkpoint grew out of the first."""
    first = read_checkpoint(proof["from"], "the first checkpoint")
    second = read_checkpoint(proof["to"], "the second checkpoint")
    if public_key:
        check_signature(first, public_key, "the first checkpoint")
        check_signature(second, public_key, "the second checkpoint")
    if mine:
        check_same(first, mine, "the first checkpoint")
    if first["origin"] != second["origin"]:
        raise Wrong("the checkpoints are of two journals")
    path = [from_base64(item, "the path") for item in proof["path"]]
    if not is_consistent(first["size"], first["root"], second["size"], second["root"], path):
        raise Wrong("the second checkpoint did not grow out of the first: something was changed in between")
    sizes = f"the first {first['size']} records of the journal {first['origin']}"
    print(f"PROVED: {sizes} are unchanged in the journal of {second['size']} records")


def main() -> None:
    """Check the proof named on the command line."""
    words = str(__doc__).split("\n\n")
    parser = argparse.ArgumentParser(description=words[0], epilog=words[2])
    parser.add_argument("proof", metavar="PROOF", help="what 'fixgateway journal prove' wrote")
    parser.add_argument("--public-key", metavar="FILE", help="the .pub file of the gateway's signing key")
    parser.add_argument("--checkpoint", metavar="FILE", help="a checkpoint you have kept")
    arguments = parser.parse_args()
    if not (arguments.public_key or arguments.checkpoint):
        parser.error("give --public-key or --checkpoint: a proof without either proves nothing")
    try:
        public_key = read_public_key(arguments.public_key) if arguments.public_key else None
        mine = None
        if arguments.checkpoint:
            with open(arguments.checkpoint, encoding="utf-8") as file:
                mine = read_checkpoint(file.read(), arguments.checkpoint)
        with open(arguments.proof, encoding="utf-8") as file:
            proof = json.load(file)
    except (OSError, ValueError, Wrong) as error:
        parser.error(str(error))
    except ImportError as error:
        parser.error(f"{error}: pip install cryptography")
    try:
        if not isinstance(proof, dict) or proof.get("format") != FORMAT:
            raise Wrong(f"no proof in the form {FORMAT}")
        check = {"inclusion": check_inclusion, "consistency": check_consistency}.get(str(proof.get("kind")))
        if check is None:
            raise Wrong("neither an inclusion nor a consistency proof")
        check(proof, public_key, mine)
    except (Wrong, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"NOT PROVED: {error if isinstance(error, Wrong) else 'the proof is incomplete'}")
    except ImportError as error:
        parser.error(f"{error}: pip install cryptography")


if __name__ == "__main__":
    main()
