"""What the page and the help topic for operators of PostgreSQL name is there, and the two agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from stayfast.interfaces.cli.help_topics import TOPICS
from stayfast.interfaces.cli.main import cli
from stayfast.storage.postgres.driver import GRANTS, GRANTS_TO_PURGE

ROOT = Path(__file__).resolve().parents[2]
ROLE = {"schema": "stayfast", "role": "the_user"}
PAGES = {
    "docs": (ROOT / "docs" / "postgresql.md").read_text(encoding="utf-8"),
    "help": TOPICS["postgresql"](),
}


def commands_in(text: str) -> Iterator[list[str]]:
    """Every call of the command, with `stayfast` before it or without."""
    groups = "|".join(name for name, one in cli.commands.items() if isinstance(one, click.Group))
    spans = re.findall(r"`([^`]+)`", text) + re.findall(
        r"^ +(?:\d\. )?(stayfast .*)$", text, re.MULTILINE
    )
    for span in spans:
        called = re.fullmatch(rf"(?:stayfast )?((?:{groups}|help)\b[^:;]*)", " ".join(span.split()))
        if called:
            yield re.sub(r"[\[\]]", "", called[1]).split("   ")[0].split()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page: str) -> None:
    """A command is found word by word, and takes the options that are shown with it."""
    called = list(commands_in(PAGES[page]))
    assert len(called) >= 5
    for words in called:
        at: click.Command = cli
        for word in words:
            if word.startswith("-"):
                assert word in {name for one in at.params for name in one.opts}, words
            elif isinstance(at, click.Group):
                assert word in at.commands, words
                at = at.commands[word]
            elif at.name == "help":
                assert word in TOPICS


@pytest.mark.parametrize("page", PAGES)
def test_the_grants_are_those_that_the_tests_use(page: str) -> None:
    """Statement by statement, with that of `store purge` as the last."""
    shown = re.findall(r"^ *(GRANT [^;]+;)", PAGES[page], re.MULTILINE)
    assert shown == [*GRANTS.format(**ROLE).splitlines(), GRANTS_TO_PURGE.format(**ROLE)]


@pytest.mark.parametrize("page", PAGES)
def test_every_variable_and_parameter_of_the_address_is_read(page: str) -> None:
    """Each is a name in the code that reads it."""
    text = PAGES[page]
    named = set(re.findall(r"STAYFAST_[A-Z_]+", text))
    assert named <= set(re.findall(r"STAYFAST_[A-Z_]+", TOPICS["environment"]()))
    address = (ROOT / "storage" / "postgres" / "address.py").read_text(encoding="utf-8")
    ours = set(re.findall(r"[`\s]\?([a-z]+)=", text))
    assert ours >= {"schema", "pool", "patience"}
    assert all(f'"{name}"' in address for name in ours)


def test_every_metric_and_span_is_made() -> None:
    """The names that an operator searches for are those of the observer."""
    made = (ROOT / "interfaces" / "telemetry.py").read_text(encoding="utf-8")
    table = (ROOT / "engine" / "table.py").read_text(encoding="utf-8")
    shown = set(re.findall(r"`(stayfast\.[a-z_.]+)`", PAGES["docs"]))
    assert len(shown) == 5
    for name in shown:
        assert f'"{name}"' in made or f'"{name.removeprefix("stayfast.")}"' in table, name


def test_the_topic_is_short() -> None:
    """It is read at a terminal."""
    assert len(PAGES["help"].splitlines()) <= 60
