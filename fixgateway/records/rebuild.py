"""Rebuilding the database from the journal: losing it loses nothing (DESIGN §2 rule 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from fixgateway.errors import FixgatewayError
from fixgateway.journal.reader import read
from fixgateway.journal.records import Record
from fixgateway.records.database import connect, create_schema, short
from fixgateway.records.projector import Projector, WatermarkMoved
from fixgateway.records.tables import Base

PROGRESS_RECORDS = 2_000
"""Records between two calls of ``progress``."""
CONFLICTS_MAX = 1_000
"""How often a running gateway's projector may get ahead; each time it has done part of the work."""


def rebuild(data_dir: Path, url: str, progress: Callable[[int], None] | None = None) -> int:
    """Drop fixgateway's tables and refill them from the journal.

    May run beside the gateway: its projector notices and helps. Other tables in the database are not touched.

    Args:
        data_dir: the gateway's data directory.
        url: the ``[records] url``; ``{data_dir}`` stands for ``data_dir``.
        progress: called now and then with the number of records done.

    Returns:
        the number of the last journal record, which is how many there are.

    Raises:
        ConfigError: the URL is wrong. UsageError: there is no journal.
        JournalDamaged: a record is wrong; rows before it are in.
        FixgatewayError: the database does not answer.
    """
    next(read(data_dir), None)  # a missing or unreadable journal is noticed before anything is dropped
    engine = connect(url, data_dir)
    try:
        with engine.begin() as connection:
            Base.metadata.drop_all(connection)
        create_schema(engine)
        return _refill(Projector(engine), data_dir, progress)
    except SQLAlchemyError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise FixgatewayError(
            f"the records database {where} cannot be refilled: {short(error)}; start the rebuild again"
        ) from error
    finally:
        engine.dispose()


def _refill(projector: Projector, data_dir: Path, progress: Callable[[int], None] | None) -> int:
    """Project everything; when a running gateway projects too, go on from where it is."""
    for _ in range(CONFLICTS_MAX):
        try:
            records = read(data_dir, projector.watermark + 1)
            projector.apply(_counted(records, projector.watermark, progress))
            return projector.watermark
        except WatermarkMoved:
            projector.load()
    raise FixgatewayError("a running gateway fills the same database; it goes on by itself")


def _counted(records: Iterable[Record], number: int, progress: Callable[[int], None] | None) -> Iterator[Record]:
    """The same records, telling ``progress`` the number of the one going by."""
    for record in records:
        yield record
        number = record.seq
        if progress and number % PROGRESS_RECORDS == 0:
            progress(number)
    if progress:
        progress(number)
