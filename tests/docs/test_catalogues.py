"""The documentation says what the code's catalogues say: reasons, metrics, commands, dependencies, tables."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fixgateway.cli.main import app
from fixgateway.core.inputs import ExecKind
from fixgateway.core.reasons import CATALOGUE, Reason
from fixgateway.monitor.metrics import CATALOGUE as METRICS
from fixgateway.records.tables import Base

ROOT = Path(__file__).parents[2]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------- reasons

RULES = read("spec/rules-of-engagement.md")


def reason_row(reason: Reason) -> str:
    codes = (("103", reason.ord_rej), ("102", reason.cxl_rej), ("88", reason.alloc_rej), ("380", reason.business))
    fix = ", ".join(f"{tag}={code}" for tag, code in codes if code) or "-"
    return f"| `{reason.code}` | {reason.meaning} | {reason.remedy} | {fix} |"


def test_every_reason_stands_in_the_rules_of_engagement_word_for_word() -> None:
    # To mend: paste the rows printed here.
    lines = set(RULES.splitlines())
    assert [row for reason in CATALOGUE.values() if (row := reason_row(reason)) not in lines] == []


def test_the_rules_of_engagement_have_no_other_reason_rows() -> None:
    in_table = re.findall(r"^\| `(GW-\d+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", RULES, re.MULTILINE)
    assert sorted(in_table) == sorted(CATALOGUE)


def pages() -> Iterator[Path]:
    yield from sorted(path for folder in (".", "docs", "spec", "config") for path in (ROOT / folder).rglob("*.md")
                      if not {".venv", ".git", "tests"} & set(path.relative_to(ROOT).parts))  # fmt: skip


def test_no_page_names_a_reason_that_does_not_exist() -> None:
    unknown = {
        f"{path.relative_to(ROOT)}: {code}"
        for path in pages()
        for code in re.findall(r"GW-\d{3}\b", path.read_text(encoding="utf-8"))
        if code not in CATALOGUE
    }
    assert unknown == set()


@pytest.mark.parametrize("kind", [k for k in ExecKind if k not in (ExecKind.OTHER, ExecKind.STATUS)])
def test_every_sort_of_execution_is_explained(kind: ExecKind) -> None:
    table = RULES[RULES.index("| 150 | taken as |") : RULES.index("Numbers may have leading")]
    assert kind.value.replace("-", " ").replace("correct", "correction") in table


# ---------------------------------------------------------------- metrics


def test_the_metrics_page_has_every_metric_as_the_catalogue_says_it() -> None:
    rows = [
        f"| `{m.name}` | {m.type} | {', '.join(f'`{label}`' for label in m.labels) or '-'} | {m.help} |"
        for m in METRICS
    ]
    lines = set(read("docs/metrics.md").splitlines())
    assert [row for row in rows if row not in lines] == []


def test_no_page_names_a_metric_that_does_not_exist() -> None:
    known = {m.name for m in METRICS} | {f"{m.name}_bucket" for m in METRICS if m.type == "histogram"}
    used = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in pages()
        for name in re.findall(r"\bfixgateway_[a-z_]+", path.read_text(encoding="utf-8"))
        if name not in known
    }
    assert used == set()


def test_every_label_is_explained() -> None:
    text = read("docs/metrics.md")
    explained = set(re.findall(r"^\| `(\w+)` \| ", text[text.index("Label values:") :], re.MULTILINE))
    assert {label for m in METRICS for label in m.labels} <= explained | {"session", "broker", "msg_type"}


# ---------------------------------------------------------------- commands


def commands(command: click.Command = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words after ``fixgateway``."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(commands())


def usages() -> dict[str, str]:
    """Heading → the indented usage under it."""
    found = re.findall(r"^### ([a-z -]+)\n\n((?:    .*\n)+)", read("docs/cli.md"), re.MULTILINE)
    return {heading: " ".join(usage.split()) for heading, usage in found}


def test_the_commands_page_has_every_command_and_no_other() -> None:
    assert sorted(usages()) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_usage_names_every_option_and_argument(name: str) -> None:
    usage = usages()[name]
    assert usage.startswith(f"fixgateway {name}")
    options = [p for p in COMMANDS[name].params if isinstance(p, click.Option) and p.name != "help"]
    written = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", usage))
    assert written <= {name for option in options for name in option.opts}
    assert [option.opts for option in options if not written & set(option.opts)] == []
    for option in options:
        required = any(re.search(rf"(?<!\[){name} ", usage) for name in option.opts if name in written)
        assert option.required == required, f"{option.opts} required: {option.required}"
    arguments = [p for p in COMMANDS[name].params if isinstance(p, click.Argument)]
    words = [re.escape(p.metavar or str(p.name).upper().rstrip("_")) for p in arguments]
    assert [word for word in words if not re.search(rf"\b{word}\b", usage)] == []


def test_no_page_uses_a_command_that_does_not_exist() -> None:
    groups = {name.split()[0] for name in COMMANDS}
    wrong = set()
    for path in pages():
        words = r"^(?:fixgateway|scripts/run) ([a-z]+(?: [a-z][a-z-]*)?)(?![\w-])"
        for used in re.findall(words, code_of(path), re.MULTILINE):
            first, _, second = used.partition(" ")
            alone = first in COMMANDS
            known = any(f"{name} ".startswith(f"{used} ") for name in COMMANDS)
            if first not in groups or (not alone and second and not known):
                wrong.add(f"{path.relative_to(ROOT)}: {used}")
    assert wrong == set()


def code_of(path: Path) -> str:
    """Indented lines, fenced blocks and inline code of a page, one piece a line."""
    text = path.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", text)
    pieces = [line for piece in (*fenced, *indented, *inline) for line in piece.splitlines()]
    return "\n".join(re.sub(r"\s#.*", "", line) for line in pieces)


# ---------------------------------------------------------------- dependencies and tables


def test_every_dependency_is_explained_and_no_other() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = [item for group in project["optional-dependencies"].values() for item in group]
    declared = {re.split(r"[\[<>=~! ]", item, maxsplit=1)[0] for item in (*project["dependencies"], *extras)}
    explained = set(re.findall(r"^\| `([\w-]+)` \|", read("docs/dependencies.md"), re.MULTILINE))
    assert explained == declared - {"fixgateway"}


def test_every_table_is_named_in_the_records_page() -> None:
    text = read("docs/records.md")
    assert [name for name in Base.metadata.tables if f"`{name}`" not in text] == []
