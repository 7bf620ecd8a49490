"""The key tables of docs/configuration.md, from the definitions: ``python -m fixgateway.config.keys_doc``."""

from __future__ import annotations

from collections.abc import Iterable

from fixgateway.config import policy, tables
from fixgateway.config.keys import Key


def markdown(keys: Iterable[Key]) -> str:
    """The keys as a Markdown table."""
    rows = ["| key | default | meaning | accepts |", "|---|---|---|---|"]
    for key in keys:
        default = key.default if key.default in ("required", "none") else f"`{key.default}`"
        rows.append(f"| `{key.key}` | {default} | {key.meaning} | {key.values} |".replace("``", ""))
    return "\n".join(rows) + "\n"


def main() -> None:
    """Print both tables."""
    print(f"gateway.toml\n\n{markdown(tables.KEYS)}\npolicy.toml\n\n{markdown(policy.KEYS)}", end="")


if __name__ == "__main__":
    main()
