"""What is asked of the exports, as the gateway hands it to the process that makes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: ``kind`` is ``register``, ``exam-pack``, ``policy`` or ``annual-review``.

    ``name`` is the register, statement, policy version or year; ``form`` one of :data:`.forms.FORMS`. ``target`` is the
    file to write (``register``, ``policy``) or the directory (packs); ``archive`` asks for a zip file beside it.
    ``first`` and ``last`` are ISO dates or "".
    """

    kind: str
    name: str
    target: str
    records_url: str
    data_dir: str
    form: str = "csv"
    first: str = ""
    last: str = ""
    by: str = ""
    public_key: str = ""
    archive: bool = False
