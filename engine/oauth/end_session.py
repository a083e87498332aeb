"""Ending the session of a browser at the provider (OpenID Connect RP-Initiated Logout 1.0).

Tokens are one thing, the browser's session at the provider another: after a revocation the next login
may need no password. The address made here ends the session, in the browser that has it.

The ID token of the login is the hint that saves its user a question (§2). It is no credential, but it
names a person, and an address is kept by browsers and servers: so nothing is opened unless somebody
asks for it. It is sealed with the login, because refreshes are compared with it (OpenID Connect Core
§12.2), and is erased with the login's tokens: about 1 kB a login. After that only the caller of the
logout has it, in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..errors import CallbackRefused
from ..reasons import Refusal
from ..secret import Secret
from .addresses import secure_address

if TYPE_CHECKING:
    from .provider import OAuthConfig

_OURS: Final = frozenset({"id_token_hint", "client_id", "post_logout_redirect_uri", "state"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """What ends the session of a browser.

    Attributes:
        address: What the browser has to open.
        state: What it must bring back (§3); ``None`` where it does not come back.
        redirect_uri: Where it comes back to; ``None`` where that is not registered.
    """

    address: str = field(repr=False)
    state: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None


def offers_end_session(config: OAuthConfig) -> bool:
    """Whether the provider has an ``end_session_endpoint`` that a browser may be sent to (§2.1)."""
    return secure_address(config.end_session_url)


def end_session(
    config: OAuthConfig,
    id_token: Secret | None,
    *,
    state: Secret,
    redirect_uri: str | None = None,
) -> EndSession | None:
    """What ends the session of a browser at the provider of ``config`` (§2).

    Args:
        config: The provider and client.
        id_token: The ID token of the login that was ended, if it had one.
        state: Comes back with the browser; never used before.
        redirect_uri: Where the browser is to come back to; it must be registered at the provider.
            Without it the browser stays at the provider, and no ``state`` is sent.

    Returns:
        ``None`` where the provider has no endpoint for it.
    """
    if not offers_end_session(config):
        return None
    parts = urlsplit(config.end_session_url or "")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = [
        (name, value) for name, value in pairs if name not in _OURS
    ]  # nothing stands there twice
    if id_token is not None:
        query.append(("id_token_hint", id_token.reveal()))
    if config.client_id:
        query.append(("client_id", config.client_id))
    if redirect_uri is not None:
        query += [("post_logout_redirect_uri", redirect_uri), ("state", state.reveal())]
    return EndSession(
        address=urlunsplit(parts._replace(query=urlencode(query), fragment="")),
        state=state.reveal() if redirect_uri is not None else None,
        redirect_uri=redirect_uri,
    )


def validate_return(parameters: Sequence[tuple[str, str]], ending: EndSession) -> None:
    """Make sure that a browser which came back answers ``ending`` (§3).

    Args:
        parameters: Decoded, in order, duplicates kept.
        ending: What it was sent to.

    Raises:
        CallbackRefused: It does not: the ``state`` is missing, there twice, or another one.
    """
    given = [value for name, value in parameters if name == "state"]
    if not given or ending.state is None:
        raise _refused(Refusal.MISSING_STATE, "that return has no state")
    if len(given) > 1:
        raise _refused(Refusal.DUPLICATE_PARAMETER, "that return says 'state' twice")
    if Secret(given[0]) != Secret(ending.state):
        raise _refused(Refusal.WRONG_STATE, "that return belongs to another logout")


def _refused(refusal: Refusal, message: str) -> CallbackRefused:
    return CallbackRefused(message, reason=refusal.value)
