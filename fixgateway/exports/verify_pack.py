#!/usr/bin/env python3
"""Check an exam pack of fixgateway on a machine that has neither fixgateway nor the journal.

    verify_pack.py [DIRECTORY] --public-key KEY.pub
    verify_pack.py [DIRECTORY] --checkpoint CHECKPOINT

Checks that every file is as the manifest says, that nothing was added, that every journal record of the pack is in the
journal of its checkpoint (verify_proof.py beside this file), and that every FIX message is what its record says.

Exits with 0 when all of it holds, 1 when something does not, 2 on wrong usage. Needs Python 3.9 or later and, for
--public-key, the package "cryptography".
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FORMAT = "fixgateway-exam-pack-1"
SEEN, WIRE_OUT = 3, 7
"""Kinds of journal records that hold a FIX message: as read, and as sent (after 12 bytes of numbers)."""


class Wrong(Exception):
    """The pack does not hold; says why."""


def check_files(pack: Path, manifest: dict[str, Any]) -> int:
    """Every file is as the manifest says, and there is no other one."""
    files = manifest["files"]
    there = {str(path.relative_to(pack)) for path in pack.rglob("*") if path.is_file()} - {"manifest.json"}
    there = {name for name in there if "__pycache__" not in name}
    if missing := sorted(set(files) - there):
        raise Wrong(f"missing: {', '.join(missing[:5])}")
    if added := sorted(there - set(files)):
        raise Wrong(f"not of the pack: {', '.join(added[:5])}")
    for name, digest in files.items():
        if hashlib.sha256((pack / name).read_bytes()).hexdigest() != digest:
            raise Wrong(f"{name} was changed")
    return len(files)


def check_messages(pack: Path, proof: dict[str, Any]) -> int:
    """Every FIX message of the pack is what its proved record says, and none is left out."""
    said: dict[int, bytes] = {}
    for record in proof["records"]:
        body = base64.b64decode(record["leaf"])
        number, _, kind, length = struct.unpack_from(">QQBB", body)
        payload = body[18 + length :]
        if kind == SEEN:
            said[number] = payload
        elif kind == WIRE_OUT:
            said[number] = payload[12:]
    found = {int(path.name.partition("-")[0]): path for path in sorted((pack / "fix").glob("*.fix"))}
    if set(found) != set(said):
        raise Wrong(f"messages and records differ: {sorted(set(found) ^ set(said))[:5]}")
    for number, path in found.items():
        if path.read_bytes() != said[number]:
            raise Wrong(f"{path.name} is not what record {number} says")
    return len(found)


def beside(name: str) -> ModuleType:
    """The program of this name beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise Wrong(f"{name}.py is missing beside this file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def check_proof(pack: Path, proof: dict[str, Any], public_key: str, checkpoint: str) -> int:
    """The proof holds, by the key or checkpoint that was given."""
    prover = beside("verify_proof")
    key = prover.read_public_key(public_key) if public_key else None
    mine = prover.read_checkpoint(Path(checkpoint).read_text(encoding="utf-8"), checkpoint) if checkpoint else None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            prover.check_inclusion(proof, key, mine)
    except prover.Wrong as error:
        raise Wrong(f"proofs/records.json: {error}") from None
    return len(proof["records"])


def main() -> None:
    """Check the pack named on the command line."""
    sys.dont_write_bytecode = True
    words = str(__doc__).split("\n\n")
    parser = argparse.ArgumentParser(description=words[0], epilog=words[2])
    parser.add_argument("pack", metavar="DIRECTORY", nargs="?", default=str(Path(__file__).parent))
    parser.add_argument("--public-key", metavar="FILE", default="", help="the .pub file of the gateway's signing key")
    parser.add_argument("--checkpoint", metavar="FILE", default="", help="a checkpoint you have kept")
    given = parser.parse_args()
    if not (given.public_key or given.checkpoint):
        parser.error("give --public-key or --checkpoint: without either nothing is proved")
    pack = Path(given.pack)
    try:
        manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
        if manifest.get("format") != FORMAT:
            raise Wrong(f"{pack} is no pack in the form {FORMAT}")
        files = check_files(pack, manifest)
        proof = json.loads((pack / "proofs" / "records.json").read_text(encoding="utf-8"))
        if [record["sequence"] for record in proof["records"]] != manifest["records"]:
            raise Wrong("the manifest lists other records than are proved")
        records = check_proof(pack, proof, given.public_key, given.checkpoint)
        messages = check_messages(pack, proof)
    except (Wrong, OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"NOT PROVED: {error}")
    except ImportError as error:
        parser.error(f"{error}: pip install cryptography")
    withheld = manifest["withheld"]
    print(f"{files} files as the manifest says, {messages} FIX messages as their records say")
    if withheld:
        print(f"{len(withheld)} records are withheld: they hold a seed that was not revealed yet")
    print(f"PROVED: {records} records of statement {manifest['statement_id']} are in the journal "
          f"{manifest['journal_origin']} of {manifest['checkpoint_records']} records")  # fmt: skip


if __name__ == "__main__":
    main()
