"""Every claim of SECURITY.md names tests that hold it, and they exist and run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import click
import pytest
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.provider import OAuthProvider
from stayfast.interfaces.cli.help_topics import TOPICS
from stayfast.interfaces.cli.main import cli
from stayfast.storage import open_storage

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ("What is protected, and how", "Design rules that carry this")
WEAKER = re.compile(
    r"insecure|unsafe|unverified|verify.?tls|no.?verify|(?<!ex)plain|skip|disable|ignore"
)


@dataclass(frozen=True)
class Claim:
    """One row of a table of SECURITY.md."""

    text: str
    tests: tuple[str, ...]


def section(title: str) -> list[str]:
    """The lines under a heading that are not blank."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    (found,) = re.findall(
        rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return [line for line in found.splitlines() if line.strip()]


def claims() -> list[Claim]:
    """Every row of the tables, without their heads."""
    rows = [line for title in SECTIONS for line in section(title) if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return [
        Claim(one[-2], tuple(re.findall(r"`([^`]+)`", one[-1])))
        for one in cells
        if one[-1] != "shown by" and not set(one[-1]) <= {"-"}
    ]


@cache
def functions_in(path: Path) -> dict[str, list[str]]:
    """The test functions of a file, each with its decorators."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: [ast.unparse(one) for one in node.decorator_list]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.text[:60])
def test_a_claim_has_tests_that_run(claim: Claim) -> None:
    """Each is a function of a file of tests, and is not left to the long runs alone."""
    assert claim.text
    assert claim.tests
    for test in claim.tests:
        path, _, name = test.partition("::")
        decorators = functions_in(ROOT / "tests" / path)[name]
        assert name.startswith("test_")
        assert "pytest.mark.soak" not in decorators


def test_every_claim_stands_in_a_table() -> None:
    """These sections are tables, under two lines that say what the tables are."""
    assert len(claims()) > 40
    for title in SECTIONS:
        prose = [line for line in section(title) if not line.startswith("|")]
        assert len(prose) <= 2, prose


def options() -> Iterator[str]:
    """Every option of every command."""
    waiting: list[click.Command] = [cli]
    while waiting:
        command = waiting.pop()
        yield from (name for one in command.params for name in (*one.opts, *one.secondary_opts))
        if isinstance(command, click.Group):
            waiting += command.commands.values()


def test_nothing_weaker_can_be_asked_for() -> None:
    """No option, variable, field of a provider or storage turns a protection off."""
    variables = re.findall(r"\bSTAYFAST_[A-Z_]+", TOPICS["environment"]())
    named = [*options(), *variables, *(one.name for one in fields(OAuthProvider))]
    assert len(named) > 100
    assert [name for name in named if WEAKER.search(name.lower())] == []
    with pytest.raises(ConfigInvalid):
        open_storage("plain")
