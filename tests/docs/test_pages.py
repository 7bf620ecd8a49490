"""The pages hang together: links, the first commands, the changelog, the examples; nothing of one machine."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import fixgateway
from fixgateway.config.policy import load as load_policy
from fixgateway.core.apportion import seed_commitment, tie_rank
from fixgateway.core.methods import Terms, allocate
from fixgateway.core.model import ZERO, Line, Remainder, Ties
from fixgateway.records.database import connect, create_schema
from fixgateway.sim.oms import load_oms_scenario

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in ("var", "build") for part in path.relative_to(ROOT).parts)
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
FOREIGN = re.compile(r"/work\b|/root\b|/home/|/tmp/|\.\./shared|file://")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors a page's headings get where it is shown."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def links(path: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        if not target.startswith(("http://", "https://", "mailto:")):
            yield target


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    broken = []
    for target in links(path):
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        found = goal.is_relative_to(ROOT) and goal.exists()
        if not found or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_one_machine(name: str) -> None:
    assert [line for line in read(name).splitlines() if FOREIGN.search(line)] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_unfinished(name: str) -> None:
    assert re.findall(r"\b(?:TODO|FIXME|XXX|TBD|lorem)\b", read(name)) == []


def test_every_page_of_docs_and_spec_is_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        files = [target.partition("#")[0] for target in links(page)]
        waiting += [(page.parent / file).resolve() for file in files if file]
    wanted = {path for path in PAGES if path.relative_to(ROOT).parts[0] in ("docs", "spec")}
    assert sorted(wanted - reached) == []


def test_the_readme_shows_both_commands_before_anything_else_to_type() -> None:
    typed = re.findall(r"^    (\S*scripts/\S+|fixgateway .*|curl .*)", read("README.md"), re.MULTILINE)
    assert typed[:2] == ["scripts/run", "scripts/test"]
    assert (ROOT / "scripts" / "run").is_file()
    assert (ROOT / "scripts" / "test").is_file()


def test_the_changelog_has_this_version() -> None:
    version = re.escape(fixgateway.__version__)
    assert re.search(rf"^## \[{version}\] - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"), re.MULTILINE)


# ---------------------------------------------------------------- the examples work


def test_the_readme_scenario_is_one(tmp_path: Path) -> None:
    (scenario,) = blocks(read("README.md"), "toml")
    file = tmp_path / "order.toml"
    file.write_text(scenario, encoding="utf-8")
    assert [step.do for step in load_oms_scenario(file)] == ["order", "expect"]


@pytest.mark.parametrize("name", NAMES)
def test_toml_can_be_read(name: str) -> None:
    for block in blocks(read(name), "toml"):
        tomllib.loads(block)


def test_the_queries_of_the_records_page_run(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/records.db", tmp_path)
    create_schema(engine)
    engine.dispose()
    queries = blocks(read("docs/records.md"), "sql")
    assert len(queries) >= 3
    with sqlite3.connect(tmp_path / "records.db") as connection:
        for query in queries:
            connection.execute(query)


def test_the_tie_order_of_the_compliance_page_is_the_gateways() -> None:
    text = read("docs/compliance.md")
    (code,) = blocks(text, "python")
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    commitment, order = run.stdout.splitlines()
    accounts = ["CLIENT-A", "CLIENT-B", "CLIENT-C"]
    lines = [Line(account, Decimal(100)) for account in accounts]
    rank = tie_rank(lines, Ties.SEEDED, "00" * 32, "S-1")
    assert commitment == seed_commitment("00" * 32)
    assert order == str(sorted(accounts, key=lambda account: rank[accounts.index(account)]))
    assert f"`{order}`" in text
    assert divide(lines, 100, seed="00" * 32) == [33, 34, 33]


def divide(lines: list[Line], filled: int, lot: int = 1, minimum: int = 0, seed: str = "00") -> list[Decimal]:
    terms = Terms("S-1", Decimal(lot), Decimal(minimum), Ties.SEEDED, Remainder.LARGEST_SHORTFALL, seed)
    division = allocate(lines, Decimal(filled), terms)
    assert division.unallocated == ZERO
    return [line.quantity for line in division.lines]


INTENTS = {"CLIENT-A": 25_000, "CLIENT-B": 10_000, "CLIENT-C": 5_000, "PROP": 10_000}
WORKED = [Line(account, Decimal(quantity)) for account, quantity in INTENTS.items()]


@pytest.mark.parametrize(
    ("heading", "filled", "lot", "minimum"),
    [
        ("30,000 of the worked example", 30_000, 1, 0),
        ("33,333 of it", 33_333, 1, 0),
        ("33,333 with lot 100", 33_333, 100, 0),
        ("3,000 with a minimum of 500", 3_000, 1, 500),
    ],
)
def test_the_worked_numbers_of_the_compliance_page(heading: str, filled: int, lot: int, minimum: int) -> None:
    text = read("docs/compliance.md")
    table = text[text.index(f"\n{heading}") :].split("\n\n")[1]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    written = {row[0]: Decimal(row[-1].replace(",", "")) for row in cells}
    assert list(written) == [line.account for line in WORKED]
    assert list(written.values()) == divide(WORKED, filled, lot, minimum)


def test_the_readme_table_is_the_division() -> None:
    row = re.compile(r"^\| (?:Client|Prop)[^|]*\| \*\*([\d,]+)\*\* \| ([\d,]+) \|$", re.MULTILINE)
    rows = row.findall(read("README.md"))
    assert [Decimal(fair.replace(",", "")) for fair, _ in rows] == divide(WORKED, 30_000)
    assert sum(Decimal(picked.replace(",", "")) for _, picked in rows) == 30_000


def test_what_the_pages_say_is_shipped_is_shipped() -> None:
    policy = load_policy(ROOT / "config" / "policy.toml")
    assert (policy.ties, policy.remainder) == (Ties.SEEDED, Remainder.LARGEST_SHORTFALL)
    assert (policy.allocate_at[:5], policy.timezone) == ("19:00", "America/New_York")
    assert not policy.require_memo
