"""The projector: decision records become rows.

Theory of operation. The database is a projection of the journal with a watermark: the sequence of the last
record taken. Rows and watermark are written in one transaction, so a crash leaves both or neither, and
records at or below the watermark are skipped. The watermark is moved with ``UPDATE … WHERE watermark =
<what we believe>`` before anything else: two projectors on one database cannot both succeed, the loser reads
the watermark again.

What goes wrong, and what is done about it:

* the database does not answer, is locked or full: the batch is tried again later, forever, with a growing
  pause; the gateway goes on, the lag grows, nothing is held in memory;
* one record's rows are refused (a defect of ours or of the data): the batch is halved until the record stands
  alone; it is noted in ``unprojected`` and passed over, because one odd record must not hide all later ones;
* the database belongs to another journal, or its tables to another version: the error says to rebuild.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError, TimeoutError

from fixgateway.errors import FixgatewayError
from fixgateway.journal.codec import decode_outputs
from fixgateway.journal.reader import Follower
from fixgateway.journal.records import Kind, Record
from fixgateway.records.batch import Batch, Origin
from fixgateway.records.database import create_schema, short
from fixgateway.records.message_writers import accepted, arrived, delivered_later, left
from fixgateway.records.tables import Projection, Unprojected
from fixgateway.records.writers import WRITERS

BATCH_RECORDS = 2_000
"""Journal records per transaction: what is in memory at most, and what a crash repeats."""
FLUSH_ROWS = 20_000
"""Rows gathered before they are written inside the transaction: a statement may have 100,000 lines."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses after failures in a row; the last one repeats."""
IDLE_SECONDS = 0.5
"""Longest wait for a wake-up when there is nothing to project."""
BUSY_SHARE = 0.5
"""Most of the time the projector works, behind or not: the gateway needs the machine more."""
GATHER_SECONDS = 0.02
"""Shortest pause between two transactions, so that a busy pump does not cause one for each of its batches."""

_TRANSIENT = (OperationalError, InterfaceError, DisconnectionError, TimeoutError, OSError)


def project(connection: Connection, chunk: list[Record]) -> None:
    """Write the rows of journal records, in order, inside the connection's transaction; the watermark is not moved."""
    batch = Batch(connection)
    delivered_as = accepted(chunk)
    delivered_later(batch, delivered_as, chunk[0].seq)
    for record in chunk:
        if record.kind is Kind.WIRE_OUT:
            left(batch, record)
        elif record.kind is Kind.SEEN:
            arrived(batch, record, delivered_as)
        if record.kind is not Kind.DECISION:
            continue
        input_seq, decided = decode_outputs(record.payload)
        for position, out in enumerate(decided):
            origin = Origin(record.seq, position, input_seq, record.ts_ns, decided)
            WRITERS[type(out)](batch, origin, out)
        if batch.size >= FLUSH_ROWS:
            batch.flush()
    batch.flush()


class WatermarkMoved(FixgatewayError):
    """Somebody else projects into the same database; the watermark is read again."""


class Projector:
    """Turns journal records into rows.

    Args:
        engine: from :func:`database.connect`.

    Attributes:
        error: "" or, in one line, why the last attempt of :meth:`run` failed.
        skipped: records passed over (noted in ``unprojected``) by this projector.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watermark = -1
        self._watermark_ns = 0
        self._newest: Callable[[], int] | None = None
        self.error = ""
        self.skipped = 0

    @property
    def watermark(self) -> int:
        """Sequence of the last journal record in the database; 0 before the first, or when not read yet."""
        return max(self._watermark, 0)

    @property
    def lag(self) -> int:
        """Records between the newest durable one (as :meth:`run` was told) and the watermark."""
        return max(self._newest() - self.watermark, 0) if self._newest is not None else 0

    # ------------------------------------------------------------ applying

    def apply(self, records: Iterable[Record]) -> int:
        """Project ``records``, given in journal order; those at or below the watermark are skipped.

        Returns:
            how many records were taken.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer; what was not taken can be given again.
            WatermarkMoved: somebody else moved the watermark meanwhile.
        """
        if self._watermark < 0:
            self.load()
        taken = 0
        stream = (record for record in records if record.seq > self._watermark)
        while chunk := list(islice(stream, BATCH_RECORDS)):
            self._take(chunk)
            taken += len(chunk)
        return taken

    def load(self) -> None:
        """Read the watermark from the database; it may have been moved by somebody else."""
        with self._engine.connect() as connection:
            row = connection.execute(select(Projection.watermark, Projection.watermark_ns)).one()
        self._watermark, self._watermark_ns = row.watermark, row.watermark_ns

    def _take(self, chunk: list[Record]) -> None:
        """One transaction; on a refusal by content, halves, down to the one record that is refused."""
        try:
            self._transaction(chunk, lambda connection: project(connection, chunk))
        except (*_TRANSIENT, WatermarkMoved):
            raise
        except Exception as error:  # any content error ends here on purpose: see the module's theory
            if len(chunk) > 1:
                middle = len(chunk) // 2
                self._take(chunk[:middle])
                self._take(chunk[middle:])
                return
            row = {"journal_seq": chunk[0].seq, "ts_ns": chunk[0].ts_ns, "error": short(error)}
            self._transaction(chunk, lambda connection: connection.execute(insert(Unprojected), row))
            self.skipped += 1

    def _transaction(self, chunk: list[Record], write: Callable[[Connection], object]) -> None:
        """Move the watermark over ``chunk`` and ``write``, both or neither."""
        last = chunk[-1]
        move = (
            update(Projection)
            .where(Projection.id == 1, Projection.watermark == self._watermark)
            .values(watermark=last.seq, watermark_ns=last.ts_ns)
        )
        with self._engine.begin() as connection:
            if connection.execute(move).rowcount != 1:
                believed, self._watermark = self._watermark, -1
                raise WatermarkMoved(
                    f"the records' watermark is no longer {believed}: another gateway or a rebuild writes there"
                )
            write(connection)
        self._watermark, self._watermark_ns = last.seq, last.ts_ns

    # ------------------------------------------------------------ following

    def run(
        self,
        directory: Path,
        stop: threading.Event,
        wake: threading.Event,
        synced_seq: Callable[[], int],
    ) -> None:
        """Follow the journal until ``stop`` is set; the body of the projector's thread. Never raises.

        What keeps it from working stands in :attr:`error`; it tries again with a growing pause. Tables are
        created when they are missing.

        Args:
            directory: the gateway's data directory or the journal's own.
            stop: set to end; noticed within a batch.
            wake: set by the pump after a sync; without it new records are noticed after ``IDLE_SECONDS``.
            synced_seq: sequence of the newest durable record; what is only written may still vanish in a
                crash and never enters the database.
        """
        self._newest = synced_seq
        failures = 0
        while not stop.is_set():
            before = self.watermark
            try:
                create_schema(self._engine)
                self._follow(directory, stop, wake, synced_seq)
            except Exception as error:  # the gateway goes on without its database, whatever is wrong with it
                self.error = str(error) if isinstance(error, FixgatewayError) else short(error)
                failures = 0 if self.watermark > before else failures + 1
                stop.wait(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])

    def _follow(
        self, directory: Path, stop: threading.Event, wake: threading.Event, synced_seq: Callable[[], int]
    ) -> None:
        self.load()
        self._check_origin(directory)
        follower = Follower(directory, self._watermark)
        while not stop.is_set():
            wake.clear()  # before looking, so that a sync during the look is not missed
            started = time.monotonic()
            records = follower.poll(BATCH_RECORDS, synced_seq())
            self.apply(records)
            self.error = ""
            if records:
                worked_seconds = time.monotonic() - started
                stop.wait(max(GATHER_SECONDS, worked_seconds * (1 - BUSY_SHARE) / BUSY_SHARE))
            else:
                wake.wait(IDLE_SECONDS)

    def _check_origin(self, directory: Path) -> None:
        """The record at the watermark must be the one that was projected."""
        if not self._watermark:
            return
        found = Follower(directory, self._watermark - 1).poll(1)
        if not found or found[0].ts_ns != self._watermark_ns:
            raise FixgatewayError(
                f"the records database holds rows of another journal (its watermark is {self._watermark}); "
                "point [records] url elsewhere or refill it: fixgateway records rebuild -c gateway.toml"
            )
