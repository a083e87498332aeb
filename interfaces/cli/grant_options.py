"""The options that say by which grant tokens are asked for, of ``login`` and of ``provider``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, get_args

import click

from ...engine.errors import ConfigInvalid, TransportUnavailable
from ...engine.hints import Hint
from ...engine.oauth.login_wishes import LoginWishes
from ...engine.oauth.setting_types import TOKEN_TYPES, GrantName
from ...transports.terminal.answers import piped_answer

F = TypeVar("F", bound=Callable[..., Any])

_TYPES: Final = "|".join(TOKEN_TYPES) + "|URN"


def _file(*names: str, about: str, dash: bool) -> Callable[[F], F]:
    kind = click.Path(dir_okay=False, resolve_path=True, allow_dash=dash)
    also = "; - reads it from standard input" if dash else ""
    return click.option(*names, type=kind, default=None, help=f"{about}{also}.")


def grant_options(*, dash: bool) -> tuple[Callable[[Any], Any], ...]:
    """The options, in the order of the help.

    Args:
        dash: Whether a file may be ``-``: where the token is wanted now, and not at each request.
    """
    return (
        click.option(
            "--grant",
            type=click.Choice(get_args(GrantName)),
            default=None,
            help="How tokens are asked for; all but authorization-code need no user.",
        ),
        click.option(
            "--subject",
            "--assertion",
            "subject_login",
            default=None,
            metavar="PROVIDER[/ACCOUNT]",
            help="The login whose token is exchanged, or is the assertion.",
        ),
        _file(
            "--subject-token-file",
            "--assertion-file",
            "subject_token_file",
            about="A file that holds that token instead, read at each request",
            dash=dash,
        ),
        click.option(
            "--subject-token-type", default=None, metavar=_TYPES, help="Its type (RFC 8693)."
        ),
        click.option(
            "--actor",
            "actor_login",
            default=None,
            metavar="PROVIDER[/ACCOUNT]",
            help="The login whose token says who acts (RFC 8693).",
        ),
        _file(
            "--actor-token-file",
            "actor_token_file",
            about="A file that holds that token instead",
            dash=False,
        ),
        click.option("--actor-token-type", default=None, metavar=_TYPES, help="Its type."),
        click.option(
            "--requested-token-type",
            default=None,
            metavar=_TYPES,
            help="What the exchange is to bring; by default an access token.",
        ),
        click.option(
            "--assertion-subject",
            default=None,
            help="Whom an assertion speaks of that the client signs (RFC 7523); itself by default.",
        ),
    )


def login_grant_options(command: F) -> F:
    """``command`` with the options, and the audience."""
    audience = click.option(
        "--audience", default=None, help="The API or server the tokens are for, instead."
    )
    for option in reversed((*grant_options(dash=True), audience)):
        command = option(command)
    return command


def piped_text() -> str:
    """The text on standard input; empty where there is none, or where it cannot be read."""
    try:
        answer = piped_answer().read(0)
    except TransportUnavailable:  # its hint is for a login that waits, and none does
        return ""
    return answer.reveal().strip() if answer is not None else ""


def grant_wishes(given: Mapping[str, Any]) -> LoginWishes:
    """The wishes among the options of ``login`` that were given.

    Raises:
        ConfigInvalid: Standard input holds no token.
    """
    file, token = given["subject_token_file"], None
    if file == "-":
        token, file = piped_text(), None
        if not token:
            raise ConfigInvalid(
                "there is no token on standard input",
                hint=Hint.note("cat FILE | stayfast login … --subject-token-file -"),
            )
    return LoginWishes(
        grant=given["grant"],
        subject=given["subject_login"],
        subject_token=token,
        subject_token_file=file,
        subject_token_type=given["subject_token_type"],
        actor=given["actor_login"],
        actor_token_file=given["actor_token_file"],
        actor_token_type=given["actor_token_type"],
        requested_token_type=given["requested_token_type"],
        assertion_subject=given["assertion_subject"],
        audience=given["audience"],
    )
