"""Writes a journal in batches and says, on its standard output, how far it is durable: a process to break.

``python fault_writer.py DIRECTORY RESERVE_BYTES SPARE``: 12 batches of 3 records, segments of 1 kB, so that
several are begun. A line ``durable N`` follows each sync; ``refused …`` ends it when the writer gives up, as the
gateway would. Run again on the same directory it goes on where the journal ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fixgateway.errors import FixgatewayError
from fixgateway.journal.records import Kind
from fixgateway.journal.segments import Writer

BATCHES = 12
BATCH_RECORDS = 3
STARTED_NS = 1_795_449_600_000_000_000


def payload(seq: int) -> bytes:
    """What record ``seq`` holds."""
    return f"record {seq} ".encode() * 5


def main() -> None:
    """See the module."""
    directory, reserve_bytes, spare = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    try:
        with Writer(
            directory, segment_bytes=1024, reserve_bytes=reserve_bytes, spare=Path(spare) if spare else None
        ) as writer:
            for _ in range(BATCHES):
                for _ in range(BATCH_RECORDS):
                    seq = writer.next_seq
                    writer.append(Kind.SEEN, "OMS1", STARTED_NS + seq, payload(seq))
                writer.sync()
                os.write(1, b"durable %d\n" % writer.synced_seq)
    except FixgatewayError as error:
        os.write(1, f"refused {error}\n".encode())


if __name__ == "__main__":
    main()
