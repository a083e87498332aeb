"""The token cache of MSAL in JSON: accounts, refresh tokens, access tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from .found import Found, moment, text, tokens_from

_HOST: Final = "login.microsoftonline.com"
_ALIASES: Final = {"login.windows.net", "login.microsoft.com", "sts.windows.net"}
"""Names that the public cloud's server has besides; a cache may hold any of them."""
_NAMES: Final = ("home_account_id", "client_id")
"""Members that say whose an entry is: one in which they are no texts is nobody's."""


def is_msal(members: Mapping[str, Any]) -> bool:
    """Whether ``members`` are such a cache."""
    return any(isinstance(members.get(part), Mapping) for part in ("AccessToken", "RefreshToken"))


def read(cache: Mapping[str, Any]) -> list[Found]:
    """The tokens of each account and client.

    Of several access tokens of one account, the one that lasts longest is taken. Its scopes are
    those of the login. A refresh token of a family of clients serves each of them.

    Raises:
        ConfigInvalid: A token has characters that no token may have.
    """
    names = {
        account.get("home_account_id"): text(account, "username") or ""
        for account in _entries(cache, "Account")
    }
    access: dict[tuple[Any, Any], Mapping[str, Any]] = {}
    for entry in sorted(_entries(cache, "AccessToken"), key=_end):
        access[entry.get("home_account_id"), entry.get("client_id")] = entry
    refresh = {
        (entry.get("home_account_id"), entry.get("client_id")): entry
        for entry in _entries(cache, "RefreshToken")
    }
    found: list[Found] = []
    for key in {**refresh, **access}:
        held, renewing = access.get(key, {}), refresh.get(key, {})
        host = text(held, "environment") or text(renewing, "environment") or _HOST
        tokens = tokens_from(
            {
                "access_token": held.get("secret"),
                "refresh_token": renewing.get("secret"),
                "token_type": held.get("token_type"),
                "scope": held.get("target") or renewing.get("target"),
                "expires_at": held.get("expires_on"),
            }
        )
        account, client = key
        found.append(
            Found(
                user=names.get(account, ""),
                tokens=tokens,
                host=_HOST if host in _ALIASES else host.lower(),
                client_id=client if isinstance(client, str) else None,
            )
        )
    return found


def _entries(cache: Mapping[str, Any], part: str) -> Iterator[Mapping[str, Any]]:
    entries = cache.get(part)
    if isinstance(entries, Mapping):
        for entry in cast("Mapping[str, object]", entries).values():
            if isinstance(entry, Mapping):
                members = cast("Mapping[str, Any]", entry)
                if all(isinstance(members.get(name), str | None) for name in _NAMES):
                    yield members


def _end(entry: Mapping[str, Any]) -> float:
    return moment(entry.get("expires_on")) or 0.0
