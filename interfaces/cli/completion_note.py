"""The note by which a shell completes without the whole command: all its commands and options as data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import click

from ...engine.errors import StayfastError
from ...storage.paths import state_dir
from ...storage.private_file import STATE_VARIABLE, ensure_directory, write_private
from ..catalogue import OAUTH_PROVIDERS
from .command_line import HelpfulGroup
from .completion import COMPLETERS, kinds, pages, settings, value_name
from .login_options import VIA_NAMES, Via
from .quick_completion import NOTE, noted_scripts, version_of_words


def note_words(
    command: click.Command, environ: Mapping[str, str], script: Mapping[str, str] | None = None
) -> None:
    """Note the commands and options for :mod:`.quick_completion`, where logins are kept already.

    Nothing is made for it: somebody who only reads the help leaves no directory behind.

    Args:
        command: Whose words are noted.
        environ: The environment.
        script: The completion script of a shell, under the name of it; those of before stay.
    """
    with suppress(StayfastError, OSError):
        directory = state_dir(environ)
        if not os.path.isdir(directory):
            return
        ensure_directory(directory, STATE_VARIABLE)
        note = {
            "version": version_of_words(),
            "root": _noted_words(command, pages(command), None),
            "scripts": {**noted_scripts(environ), **(script or {})},
        }
        write_private(os.path.join(directory, NOTE), json.dumps(note).encode())


def _noted_words(
    command: click.Command, topics: Mapping[str, str], above: click.Context | None
) -> dict[str, Any]:
    """A command with its options, arguments and the commands below it, as plain data."""
    settings = command.context_settings  # and those of the commands above: the names of --help
    with click.Context(command, above, resilient_parsing=True, **settings) as context:
        params = command.get_params(context)
        order = command.list_commands(context) if isinstance(command, click.Group) else []
        # click keeps the option that it made at first, perhaps below another command
        helps = command.get_help_option_names(context)
        shows_help = command.get_help_option(context)
    options: dict[str, Any] = {}
    arguments: list[dict[str, Any]] = []
    for param in params:
        noted = {
            **_noted_values(command, param, topics),
            "many": param.multiple or param.nargs == -1,
        }
        if isinstance(param, click.Option):
            # a word behind it is perhaps its value, and perhaps not
            noted["unclear"] = bool(getattr(param, "_flag_needs_value", False))
            noted |= {"takes": not (param.is_flag or param.count), "help": param.help or ""}
            names = helps if param is shows_help else [*param.opts, *param.secondary_opts]
            options |= {} if param.hidden else dict.fromkeys(names, noted)
        else:
            arguments.append(noted)
    below = dict(command.commands) if isinstance(command, click.Group) else {}
    return {
        "help": command.get_short_help_str(),
        "options": options,
        "arguments": arguments,
        "commands": {
            name: _noted_words(below[name], topics, context)
            for name in order
            if name in below and not below[name].hidden
        },
        "odd": type(command).parse_args not in _PLAIN_PARSERS
        or any(param.nargs not in {1, -1} for param in params),
    }


def _noted_values(
    command: click.Command, param: click.Parameter, topics: Mapping[str, str]
) -> dict[str, Any]:
    """What kind of values ``param`` has, and those that are always the same."""
    kind, words = "nothing", list[list[str]]()
    kind_of: Any = type(param.type)
    plain: Any = click.ParamType
    completes = kind_of.shell_complete is not plain.shell_complete
    named = value_name(param, command.name)
    if named in COMPLETERS and isinstance(param.type, click.types.StringParamType):
        kind = named
    elif isinstance(param.type, click.Choice):
        kind, words = "words", [[str(one), ""] for one in param.type.choices]
    elif isinstance(param.type, click.Path):
        kind = "dir" if param.type.dir_okay and not param.type.file_okay else "file"
    elif completes:
        kind = "unknown"
    if isinstance(param.type, Via):
        kind, words = "via", [[name, ""] for name in VIA_NAMES]
    if kind == "topic":
        kind, words = "words", [[value, about] for value, about in sorted(topics.items())]
    if kind == "provider_kind":
        kind, words = "words", [[name, title] for name, title in kinds().items()]
    if kind == "setting":
        kind, words = "words", [[name, ""] for name in settings(command)]
    if kind in {"provider", "signed_in"}:
        words = [[name, ""] for name in OAUTH_PROVIDERS]
    return {"name": param.name or "", "kind": kind, "words": words}


_PLAIN_PARSERS: Final = frozenset(
    {click.Command.parse_args, click.Group.parse_args, HelpfulGroup.parse_args}
)
