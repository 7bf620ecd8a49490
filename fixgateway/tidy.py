"""When the garbage collector works: while nothing waits.

The gateway's memory is large, long-lived and free of cycles; a collector that walks through it again and again
costs a quarter of the throughput, and one that walks through every new order a twentieth. What has cycles comes
from elsewhere (HTTP requests, errors) and is little.
"""

from __future__ import annotations

import gc

YOUNG = 20_000
"""New objects worth a collection when nothing waits."""
YOUNG_MAX = 500_000
"""New objects at which they are collected even while messages wait."""
_NEVER = 1_000_000


def tidy() -> None:
    """Collect all cyclic garbage, leave what survives alone from here on, and the young to :func:`tidy_young`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, _NEVER, _NEVER)


def tidy_young() -> None:
    """Collect garbage among the new objects, when there are enough of them."""
    if gc.get_count()[0] > YOUNG:
        gc.collect(0)
