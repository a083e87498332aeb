"""Every code of an error has a page, in the command and in the documentation."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner
from stayfast.engine.errors import NotFound
from stayfast.engine.result import ErrorCode
from stayfast.interfaces.cli.error_pages import PAGES
from stayfast.interfaces.cli.main import cli


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_explained(code: ErrorCode) -> None:
    """In any spelling of its letters; the page says what it means, what became of the login, and what to do."""
    for word in (code.value, code.value.lower()):
        shown = CliRunner().invoke(cli, ["help", word])
        assert shown.exit_code == 0, shown.output
        assert shown.output.startswith(f"{code.value}\n")
        assert all(command in shown.output for command, _ in PAGES[code].steps)


@pytest.mark.parametrize(
    "command", sorted({c for page in PAGES.values() for c, _ in page.steps if c})
)
def test_each_step_is_a_command_that_exists(command: str) -> None:
    """Its words are commands, its options are theirs, and its values stand where values are taken."""
    at: click.Command = cli
    words = command.split()[1:]
    root = click.Context(cli, info_name="stayfast")
    while words and isinstance(at, click.Group) and not words[0].startswith("-"):
        below = at.get_command(root, words.pop(0))
        assert below is not None, command
        at = below
    at.make_context("stayfast", words, parent=root, resilient_parsing=False)


def test_a_misspelt_code_is_met_with_the_right_one() -> None:
    """As a misspelt command is."""
    shown = CliRunner().invoke(cli, ["help", "AUTH_REQUIERD"])
    assert isinstance(shown.exception, NotFound)
    assert str(shown.exception.hint) == "stayfast help AUTH_REQUIRED"
