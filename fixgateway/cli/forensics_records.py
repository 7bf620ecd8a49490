"""``forensics run --records URL``: the gateway's own records as a blotter, and the review journaled."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fixgateway.cli.client import Client

if TYPE_CHECKING:
    from fixgateway.forensics.run import Result

BLOTTER = "/api/exports/registers/blotter?form=csv"


def blotter_of(url: str) -> tuple[Path, Callable[[Result], str]]:
    """The records as a blotter file that lives until the command ends, and what journals the review.

    Args:
        url: of a running gateway (``http://…``): it gives its blotter and journals the review with the person's id;
            or of a records database (``sqlite:///…``, ``postgresql+psycopg://…``), which nothing is written to.

    Raises:
        UsageError, FixgatewayError: gateway or database do not answer.
    """
    directory = tempfile.TemporaryDirectory(prefix="fixgateway-review-")
    click.get_current_context().call_on_close(directory.cleanup)
    path = Path(directory.name) / "blotter.csv"
    if url.startswith(("http://", "https://")):
        client = Client(url, None)
        path.write_bytes(client.download(BLOTTER))
        return path, lambda result: _journaled(client, result)
    from fixgateway.records.database import open_records
    from fixgateway.reviewing import write_blotter

    write_blotter(open_records(url, "."), path)
    return path, lambda _: (
        "not journaled: the database was read directly; name the gateway's address (--records http://…) to have the "
        "review on record"
    )


def _journaled(client: Client, result: Result) -> str:
    document = result.document()
    review_id = f"R{datetime.now(UTC):%Y%m%d-%H%M%S}-{document['data_sha256'][:6]}"
    text = json.dumps(document, sort_keys=True)
    reds = [test["id"] for test in document["tests"] if test["verdict"] == document["verdict"] and test["counts"]]
    said = client.post(
        "/api/reviews",
        {
            "kind": "run",
            "review_id": review_id,
            "plan_sha256": document["plan_sha256"],
            "data_sha256": document["data_sha256"],
            "seed": str(document["seed"]),
            "verdict": document["verdict"],
            "summary": f"{document['blocks']} blocks; {document['verdict']}: {', '.join(reds[:8]) or 'none'}",
            "first": document["period"][0],
            "last": document["period"][1],
            "result": hashlib.sha256(text.encode()).hexdigest(),
        },
    )
    return f"journaled as review {review_id}, record {said.get('seq', '')}; its conclusion is to be signed"
