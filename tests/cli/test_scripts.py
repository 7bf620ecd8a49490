"""The scripts: strict shell, nothing of one machine in them, clear words when something is missing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / "scripts" / name for name in ("setup", "run", "test")] + [ROOT / ".ci" / "run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_are_strict_and_portable(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    # No absolute paths but the null device and the shebang; no address of any host.
    assert re.findall(r"(?<![\w.$}\"/])/(?!dev/null|usr/bin/env|path/to/)\w+/", text) == []
    assert "://" not in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_continuous_integration_gets_strace_and_a_browser_runs_the_tests_and_nothing_else() -> None:
    lines = [x for x in (ROOT / ".ci" / "run").read_text().splitlines() if x and not x.startswith(("#", "set "))]
    *optional, last = lines
    for wanted, line in zip(("strace", "chromium"), optional, strict=True):
        assert wanted in line
        assert line.endswith("|| true")
    assert "/scripts/test" in last


def test_a_wrong_interpreter_is_named_with_a_remedy() -> None:
    environment = {**os.environ, "PYTHON": "no-such-python"}
    done = subprocess.run(
        [str(ROOT / "scripts" / "setup")], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "PYTHON=no-such-python" in done.stderr
    assert "unset PYTHON" in done.stderr
