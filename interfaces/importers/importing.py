"""Makes tokens from elsewhere a login of a program: what they are, whose, and whether they fit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace as with_changes
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from ...engine.errors import AuthRequired, ConfigInvalid, ConfigMissing, NotFound, StayfastError
from ...engine.hints import Hint
from ...engine.oauth.tokens import OAuthTokens, printable
from ...engine.result import Failure, Success
from ...engine.summary import DEFAULT_ACCOUNT
from ...storage import migrating
from ..answers import signed_in
from ..arguments import OF_CALLS, require
from ..service import require_service
from ..settings_files import open_regular
from ..signed_in import SignedIn
from . import gh, google, msal
from .found import FORMATS, Found, host_of, tokens_from, undated

if TYPE_CHECKING:
    from ...engine.oauth.provider import OAuthConfig
    from ...engine.record import Login
    from ...engine.result import Result
    from ..assembly import Assembly
    from ..service import OAuthService

Source: TypeAlias = OAuthTokens | Mapping[str, Any] | str | os.PathLike[str]
"""Tokens, what JSON says of them, or the path of a file."""

_LIMIT: Final = 8 * 1024 * 1024  # octets: caches of many users are large, and devices are endless


def import_tokens(
    service: OAuthService,
    provider: str,
    source: Source,
    *,
    account: str = DEFAULT_ACCOUNT,
    user: str | None = None,
    replace: bool = False,
) -> Result[SignedIn]:
    """Make the tokens that ``source`` holds the login of ``account`` at ``provider``.

    Nothing is sent to the provider, and ``source`` stays as it is. An access token that has expired
    or is missing is renewed at its first use.

    Args:
        service: Whose logins get one more.
        provider: The provider's name; the tokens must be of its server, if ``source`` says whose.
        source: The path of a file, or its content as a mapping: the ``hosts.yml`` of ``gh`` (needs
            the extra ``gh``), ``credentials.db`` or ``application_default_credentials.json`` of
            ``gcloud``, a ``token.json`` of ``google-auth``, a cache of MSAL, or a token response
            with ``expires_at`` or ``issued_at``. Or :class:`~stayfast.OAuthTokens`.
        account: The account to keep the login under.
        user: Which user's, as ``source`` calls them, where it holds those of several.
        replace: Whether a login that this account has already makes room.

    The value has a warning if ``expires_in`` came without the time that it counts from.

    Failures: ``NOT_FOUND`` (no such file, provider or user), ``CONFIG_INVALID`` (no tokens, those of
    another server, of several users, or the account has a login), ``CONFIG_MISSING`` (tokens to
    renew, and no client), ``NETWORK_ERROR`` (the provider's endpoints are not known yet),
    ``STORAGE_…``.
    """
    try:
        service = require_service(service)
    except StayfastError as error:
        return Failure.of(error)
    try:
        given = {"provider": provider, "account": account, "user": user, "replace": replace}
        require(OF_CALLS, given.items(), {"user"})
        found, login = _imported(
            service.assembly, provider, source, account, user, make_room=replace
        )
        value = signed_in(login)
    except StayfastError as error:
        service.words.put_into(error)
        return Failure.of(error)
    return Success(value, Failure.of(_undated(found)) if found.undated else None)


def import_into(
    assembly: Assembly,
    provider: str,
    source: Source,
    account: str,
    user: str | None,
    *,
    make_room: bool,
) -> Login:
    """The login that :func:`import_tokens` makes, with its arguments.

    Raises:
        StayfastError: As :func:`import_tokens` fails.
    """
    return _imported(assembly, provider, source, account, user, make_room=make_room)[1]


def _imported(
    assembly: Assembly,
    provider: str,
    source: Source,
    account: str,
    user: str | None,
    *,
    make_room: bool,
) -> tuple[Found, Login]:
    """What was found, and the login that it has become."""
    known = assembly.catalogue.provider(provider)
    hosts = {host_of(known.auth_url), host_of(known.token_url), host_of(known.issuer)} - {None}
    found = _chosen(_of_server(read(source), hosts, known.title), user)
    _require_room(assembly, provider, account, make_room=make_room)
    config = _config(assembly, provider, found)
    tokens = with_changes(found.tokens, id_token=None)
    return found, migrating.import_tokens(assembly.storage, config, tokens, account)


def _undated(found: Found) -> ConfigInvalid:
    """The warning that nobody knows how long the tokens of ``found`` last."""
    then = (
        "it is renewed at its first use"
        if found.tokens.refresh_token is not None
        else "it is used until the provider refuses it"
    )
    return ConfigInvalid(
        f"when the token was issued is not known, so expires_in says nothing: {then}",
        hint=Hint.note("give issued_at or expires_at beside expires_in, in POSIX seconds"),
    )


def read(source: Source) -> list[Found]:
    """What ``source`` holds.

    Raises:
        NotFound: There is no such file.
        ConfigInvalid: It cannot be read, or holds no tokens.
        ConfigMissing: A library that reads it is not installed.
    """
    if isinstance(source, OAuthTokens):
        if not all(printable(one) for one in (source.access_token, source.refresh_token or "")):
            raise ConfigInvalid("a token has characters that no token may have", hint=FORMATS)
        return [Found(user="", tokens=source)]
    if isinstance(source, Mapping):
        return _of_members(source)
    given = cast("object", source)
    if not isinstance(given, str | os.PathLike):
        raise ConfigInvalid(f"no tokens are in a {type(given).__name__}", hint=FORMATS)
    path = os.path.expanduser(str(Path(source)))
    octets = _content(path)
    if octets.startswith(google.DATABASE_MARK):
        return google.read_database(path)
    try:
        parsed: object = json.loads(octets)
    except (ValueError, RecursionError):
        parsed = gh.parse_hosts(octets) if gh.is_hosts(octets) else None
        if isinstance(parsed, Mapping):
            return gh.read(cast("Mapping[str, Any]", parsed))
    if not isinstance(parsed, Mapping):
        raise ConfigInvalid(f"{path} holds no tokens", hint=FORMATS)
    return _of_members(cast("Mapping[str, Any]", parsed))


def _content(path: str) -> bytes:
    try:
        with open_regular(path) as file:
            octets = file.read(_LIMIT + 1)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint=FORMATS) from None
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path} cannot be read", hint=Hint.note(f"ls -l {path}")) from error
    if len(octets) > _LIMIT:
        raise ConfigInvalid(f"{path} is too large to hold a user's tokens", hint=FORMATS)
    return octets


def _of_members(members: Mapping[str, Any]) -> list[Found]:
    if msal.is_msal(members):
        return msal.read(members)
    if google.is_google(members):
        return [google.read(members)]
    if "access_token" in members or "refresh_token" in members:
        return [Found(user="", tokens=tokens_from(members), undated=undated(members))]
    return gh.read(members)


def _of_server(found: Sequence[Found], hosts: set[str | None], title: str) -> list[Found]:
    """Those of ``found`` that are of one of ``hosts``, or do not say of which.

    Raises:
        ConfigInvalid: There are only others: their refresh tokens would be sent to a stranger.
    """
    fitting = [one for one in found if one.host is None or one.host in hosts]
    if not fitting:
        others = sorted({one.host or "" for one in found})
        only = f", only of {', '.join(others)[:200]}" if others else ""
        raise ConfigInvalid(f"there are no tokens of {title} in it{only}", hint=FORMATS)
    return fitting


def _chosen(found: Sequence[Found], user: str | None) -> Found:
    """The one of ``found`` that is of ``user``, or the only one.

    Raises:
        NotFound: None is of ``user``.
        ConfigInvalid: There are several.
    """
    users = sorted({one.user for one in found})
    named = [one for one in found if user in {None, one.user}]
    if not named:
        raise NotFound(
            f"there are no tokens of {(user or '')[:80]!r}",
            hint=Hint.note(f"choose one of {', '.join(users)[:400]}"),
        )
    if len(named) > 1:
        several = f"users: {', '.join(users)[:400]}" if len(users) > 1 else "clients of one user"
        raise ConfigInvalid(
            f"there are tokens of several {several}",
            hint=Hint.note("name one user; remove the other clients from a copy of the file"),
        )
    return named[0]


def _require_room(assembly: Assembly, provider: str, account: str, *, make_room: bool) -> None:
    try:
        assembly.conductor.refresh.find(provider, account)
    except AuthRequired:
        return
    if not make_room:
        raise ConfigInvalid(
            f"somebody is signed in to {provider} as {account} already",
            hint=Hint("login", provider, "--with-token", "--replace", account=account),
        )


def _config(assembly: Assembly, provider: str, found: Found) -> OAuthConfig:
    """The provider with the client that the tokens were issued to, which alone can renew them."""
    try:
        return assembly.config(
            provider, client_id=found.client_id, client_secret=found.client_secret
        )
    except ConfigMissing:
        if found.tokens.refresh_token is not None:
            raise
        return assembly.catalogue.provider(provider).to_config("")
