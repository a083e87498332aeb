"""Every option of every command has a variable: STAYFAST_COMMAND_OPTION."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from stayfast.interfaces.cli.fast import cached_token
from stayfast.interfaces.cli.help_topics import TOPICS
from stayfast.interfaces.cli.main import cli


def options(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Option]]:
    """Every option of the command and of those below it, but ``--version``."""
    for param in command.params:
        if isinstance(param, click.Option) and param.expose_value:
            yield path, param
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from options(below, *path, name)


EVERY = list(options(cli))


@pytest.mark.parametrize(
    ("path", "option"), EVERY, ids=[f"{' '.join(path)} {one.opts[0]}" for path, one in EVERY]
)
def test_an_option_is_read_from_the_variable_of_its_long_name(
    monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...], option: click.Option
) -> None:
    """Whatever the parameter is called inside."""
    long = next(name for name in option.opts if name.startswith("--"))
    words = ["stayfast", *path, long.removeprefix("--")]
    monkeypatch.setenv("_".join(words).replace("-", "_").upper(), "the value")

    assert option.resolve_envvar_value(click.Context(click.Command("x"))) == "the value"


def test_no_two_options_share_a_variable_by_accident() -> None:
    """Nor does one take a variable with a meaning of its own."""
    own = [(option.envvar or [""])[0] for _, option in EVERY]
    documented = {word for word in TOPICS["environment"]().split() if word.startswith("STAYFAST_")}
    meant = {"STAYFAST_STATE_DIR", "STAYFAST_CONFIG_DIR", "STAYFAST_COLOR"}
    samples = {"STAYFAST_PROVIDER_ADD_ISSUER", "STAYFAST_TOKEN_FORMAT", "STAYFAST_JSON"}

    assert len(own) == len(set(own))
    assert set(own) & documented <= meant | samples


@pytest.mark.parametrize(
    "variable", ["STAYFAST_TOKEN_FORMAT", "STAYFAST_TOKEN_JSON", "STAYFAST_JSON"]
)
def test_the_short_path_leaves_variables_to_the_whole_command(variable: str) -> None:
    """It would print a raw token where another form is asked for."""
    assert cached_token(["x"], {variable: "1", "HOME": "/nonexistent"}) is None
