"""Which account a command means: the one it names, the user's default, or the only one there is.

A default is a line ``provider <tab> account`` of the file ``accounts`` in the configuration
directory. The short way of ``stayfast token`` reads it too, so it is no TOML.
"""

from __future__ import annotations

import os
import re
from shlex import quote
from typing import TYPE_CHECKING, Final

from ...engine.errors import AuthRequired, ConfigInvalid, ConfigMissing, NotFound, StorageError
from ...engine.hints import Hint
from ...engine.summary import DEFAULT_ACCOUNT, account_alias
from ...storage.locks import locked
from ...storage.paths import config_dir
from ...storage.private_file import CONFIG_VARIABLE, ensure_directory, write_private
from ..settings_files import check_origin, open_regular
from .fast import DEFAULT_ACCOUNTS, account_of, lines_of
from .terminal.formatting import number_of

if TYPE_CHECKING:
    from ...engine.record import Login
    from ...engine.summary import Summary
    from .app import App

_LOCK_SECONDS = 10.0
_SHOWN = 8  # accounts in one sentence
_HOST: Final = (
    r"(?:(?P<here>localhost|127(?:\.\d{1,3}){3})|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d{1,5})?(?:/\S*)?"
)
"""An address without its scheme: a host, with a port and a path where there are some."""


def known_as(login: Summary | Login) -> str:
    """The name under which a person knows the account of ``login``, with its own where they differ."""
    who = login.identity.label if login.identity else None
    if who is None or who == login.account:
        return login.account
    return who if login.account == DEFAULT_ACCOUNT else f"{who} ({login.account})"


def option(account: str) -> str:
    """The option that names ``account``, with a space before it; nothing for the usual one."""
    return "" if account == DEFAULT_ACCOUNT else f" --account {quote(account)}"


def chosen_default(app: App, provider: str) -> str | None:
    """The account that `account use` chose for ``provider``.

    Raises:
        ConfigInvalid: The file of the choices cannot be read, or other users can write it.
    """
    path = os.path.join(config_dir(app.settings()), DEFAULT_ACCOUNTS)
    try:
        return account_of(_lines(path), provider)
    except ValueError as error:
        raise ConfigInvalid(
            f"{path} names {error} for {provider}, which cannot be an account",
            hint=Hint("account use", provider, "ACCOUNT"),
        ) from error


def choose_default(app: App, provider: str, account: str) -> None:
    """Make ``account`` the one that commands without ``--account`` mean.

    Raises:
        LoginBusy, StorageError: The choice could not be saved; it is as it was.
    """
    directory = config_dir(app.settings())
    ensure_directory(directory, CONFIG_VARIABLE)
    path = os.path.join(directory, DEFAULT_ACCOUNTS)
    with locked(f"{path}.lock", wait=_LOCK_SECONDS, what=DEFAULT_ACCOUNTS):
        lines = [line for line in _lines(path) if line]
        kept = [line for line in lines if line.partition("\t")[0] != provider]
        if account != DEFAULT_ACCOUNT:
            kept.append(f"{provider}\t{account}")
        text = "".join(f"{line}\n" for line in kept)
        write_private(os.path.realpath(path), text.encode())


def account_to_use(app: App, provider: str, named: str | None) -> str:
    """The account of ``provider`` that is signed in and that the user means.

    Args:
        app: The command.
        provider: The provider's name.
        named: What ``--account`` says: an account, or the email or user name of its owner.

    Raises:
        AuthRequired: That account is not signed in, or none is.
        NotFound: Several are and none is the default, or there is no such provider.
    """
    storage = app.assembly().storage
    chosen = None if named is not None else chosen_default(app, provider)
    first = named if named is not None else chosen or DEFAULT_ACCOUNT
    found = storage.find(account_alias(provider, first))
    if found is not None and found.tokens is not None:
        return first
    there = [one for one in storage.summaries() if one.provider == provider and one.holds_tokens]
    if named is not None:
        owned = [one for one in there if one.identity and named in _names(one)]
        if len(owned) == 1:
            return owned[0].account
    from ..unattended import (  # noqa: PLC0415  where there is no token yet
        needs_no_user,
        refuse_while_it_waits,
    )

    if not there:
        _require_provider(app, provider)
        if needs_no_user(app.assembly(), provider):
            return first
    if not there or named is not None or chosen is not None:
        of_any = not there and named is None
        refuse_while_it_waits(app.assembly(), provider, None if of_any else first)
    if not there:
        raise _not_signed_in(app, provider, first)
    if named is not None or chosen is not None:
        raise _not_this_one(provider, first, there, by_default=named is None)
    if len(there) == 1:
        return there[0].account
    raise NotFound(
        f"several accounts of {provider} are signed in: {_listed(there)}",
        hint=Hint("account use", provider, there[0].account),
        why="--account names one for this command, account use for all that follow",
    )


def _not_signed_in(app: App, provider: str, account: str) -> AuthRequired:
    """The error of a provider that nobody is signed in to; the hint leads to logins that were moved."""
    hint, why = Hint("login", provider, account=account), None
    for place, said in moved_away(app, provider).items():
        why = said
        if os.path.isabs(place):
            hint = Hint("status", provider, "--state-dir", place)
    return AuthRequired(f"not signed in to {provider}", hint=hint, why=why)


def moved_away(app: App, provider: str | None = None) -> dict[str, str]:
    """What is to be said of the logins that were kept here and went elsewhere, by the place."""
    from ...storage.migrating import moved_to  # noqa: PLC0415  where nobody is signed in

    try:
        found = moved_to(app.assembly().storage, provider)
    except StorageError:  # of the log; whether the vault is sound is another question
        return {}
    return {
        place: f"{number_of(many, 'login')} {'was' if many == 1 else 'were'} moved to {place}"
        for place, many in found.items()
    }


ACCOUNT_HELP = "Which of your accounts; by default the only one, or the one of `account use`."
"""What help says about ``--account``."""


def whose_login(app: App, provider: str | None, named: str | None) -> tuple[str, str]:
    """The provider and the account that the user means: :func:`account_to_use` of the only provider.

    Raises:
        AuthRequired, NotFound: As there; or several providers are signed in, and none is named.
    """
    name = app.only_provider(provider)
    return name, account_to_use(app, name, named)


def offered_provider(app: App) -> str:
    """The provider that the user chooses at the terminal, of those configured or signed in to.

    Raises:
        click.UsageError: Nobody is at a terminal, or there is nothing to choose from.
    """
    used = {one.provider for one in app.assembly().storage.summaries() if one.holds_tokens}
    import click  # noqa: PLC0415  where nothing was named

    from ..provider_file import ProviderFile  # noqa: PLC0415  as above

    own = ProviderFile(config_dir(app.settings())).names()
    names = [*own, *sorted(used - set(own))]
    terminal = app.terminal
    if not names and terminal.interactive and not terminal.json:
        raise ConfigMissing("no provider is configured yet", hint=Hint("provider add"))
    if terminal.json or not terminal.interactive:
        raise click.UsageError(
            "the provider to sign in to is not named; see: stayfast provider list"
        )
    for number, name in enumerate(names, 1):
        terminal.say(f"  {number}  {name}{' (signed in)' if name in used else ''}")
    numbers = [str(number) for number in range(1, len(names) + 1)]
    choice = click.Choice([*numbers, *names])
    typed = terminal.ask("Sign in to which", type=choice, show_choices=False)
    return names[int(typed) - 1] if typed in numbers else typed


def account_to_sign_in(app: App, provider: str, named: str | None) -> str:
    """The account that a new login is for: the named one, the chosen one, or the usual one."""
    return named if named is not None else chosen_default(app, provider) or DEFAULT_ACCOUNT


def require_known(app: App, provider: str) -> None:
    """Make sure that ``provider`` is the name of a provider.

    Raises:
        NotFound: It is not; the hint names a similar one, or the address that was meant.
    """
    try:
        app.assembly().catalogue.require(provider)
    except NotFound as error:
        raise _meant_address(error, provider) from None


def _names(login: Summary) -> set[str]:
    identity = login.identity
    return {identity.label, identity.subject} if identity else set()


def _not_this_one(
    provider: str, account: str, there: list[Summary], *, by_default: bool
) -> AuthRequired:
    """The error of an account that is not signed in, where others are."""
    from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

    similar = get_close_matches(account, [one.account for one in there], n=1)
    what = f"account {account[:40]!r}" + (", the default," if by_default else "")
    return AuthRequired(
        f"{what} of {provider} is not signed in; signed in: {_listed(there)}",
        hint=(
            Hint("token", provider, account=similar[0])
            if similar
            else Hint("login", provider, account=account)
        ),
    )


def _listed(there: list[Summary]) -> str:
    names = [known_as(one) for one in sorted(there, key=lambda one: one.account)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _require_provider(app: App, provider: str) -> None:
    """Make sure that ``provider`` is a name or address that can be signed in to.

    Raises:
        NotFound: It is not.
    """
    if provider.startswith(("https://", "http://")):
        return
    try:
        require_known(app, provider)
    except NotFound as error:
        raise _NoLoginThere(error.message, hint=error.hint) from None


class _NoLoginThere(NotFound):
    """An unknown provider, where a login of it was wanted: the exit status is that of a missing login."""

    exit_code = AuthRequired.exit_code


def _meant_address(error: NotFound, typed: str) -> NotFound:
    """``error`` of an unknown provider, whose hint is an address where ``typed`` is a host's name."""
    host = re.fullmatch(_HOST, typed, re.IGNORECASE)
    if host is not None and error.hint is not None and error.hint.action == "provider list":
        scheme = "http" if host["here"] else "https"
        error.hint = Hint("login", f"{scheme}://{typed}")
    return error


def _lines(path: str) -> list[str]:
    """The lines of the file of defaults ``path``; none without the file.

    Raises:
        ConfigInvalid: It cannot be read, is not text, or other users can write it.
    """
    try:
        with open_regular(path) as file:
            check_origin(path, os.fstat(file.fileno()))
            return lines_of(file.read())
    except FileNotFoundError:
        return []
    except UnicodeError as error:
        raise ConfigInvalid(f"{path} is not text in UTF-8", hint=f"edit {path}") from error
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read", hint=Hint.note(f"ls -l {path}")) from error
