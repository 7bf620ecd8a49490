"""``fixgateway`` with something done to it first, for what no door of it can bring about.

    python doctored.py '{"boot_id": "another"}' run -c gateway.toml

``boot_id``: the kernel's boot id, as after a restart of the machine. ``die_before``: MsgTypes; the process
kills itself (SIGKILL) when it is about to hand the first such message to the FIX engine, the decision being on
disk. ``version``: of fixgateway, as another release would write it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import fixgateway
from fixgateway import gateway
from fixgateway.cli.main import main
from fixgateway.sessions.host import SessionHost


def doctor(what: dict[str, Any]) -> None:
    """Do it."""
    if boot_id := what.get("boot_id"):
        vars(gateway)["boot_id"] = lambda: boot_id
    if version := what.get("version"):
        fixgateway.__version__ = version
    if fatal := what.get("die_before"):
        send = SessionHost.send

        def dying(host: SessionHost, session: str, msg_type: str, *rest: Any) -> bool:
            if msg_type in fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return send(host, session, msg_type, *rest)

        SessionHost.send = dying  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    doctor(json.loads(sys.argv.pop(1)))
    main()
