"""Revoke a token (RFC 7009), and ask the provider whether it is active (RFC 7662)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from ..errors import NetworkError
from ..foreign_text import presentable
from .authorization_request import require_client
from .client_authentication import basic, client_request, plain_request, require_secret
from .dialect import in_their_names
from .provider_response import error_code, judge, read_members
from .tokens import lifetime

if TYPE_CHECKING:
    from ..ports import HttpRequest, HttpResponse
    from .provider import OAuthConfig


def revocation_request(config: OAuthConfig, token: str, token_type_hint: str) -> HttpRequest | None:
    """The request that ends ``token`` (RFC 7009 §2.1); ``None`` without a revocation endpoint.

    A provider with a way of its own gets it in that: by another method, as the bearer of the token,
    with a body of its own (:attr:`~.provider.OAuthProvider.revocation_method` and the settings below
    it).

    Args:
        config: The provider and client.
        token: The token.
        token_type_hint: ``refresh_token`` or ``access_token``.

    Raises:
        ConfigMissing: The client id or client secret is absent.
    """
    if not config.revocation_url:
        return None
    client = quote(config.client_id, safe="")
    url = config.revocation_url.replace("{client_id}", client)
    if config.revocation_format:
        config = replace(config, token_request_format=config.revocation_format)
    said = {"token": token, "token_type_hint": token_type_hint}
    members = [(name, said[name]) for name in said if name in config.revocation_parameters]
    added = config.extra_revoke_params.items()
    if config.revocation_auth == "client":
        request = client_request(config, url, members, added)
    else:
        headers: dict[str, str] = {}
        if config.revocation_auth == "basic":
            require_client(config)
            require_secret(config)
            headers["Authorization"] = basic(config)
        elif config.revocation_auth == "bearer":
            headers["Authorization"] = f"Bearer {token}"
        if "client_id" in config.revocation_parameters and config.revocation_auth != "basic":
            members.append(("client_id", config.client_id))
        body = [*in_their_names(config, members), *added]
        request = plain_request(config, url, body, headers)
        if not body:
            request = replace(request, body=b"")
    if config.revocation_method == "GET":
        query = urlencode(list(added))
        mark = "&" if "?" in request.url else "?"
        request = replace(request, url=f"{url}{mark}{query}" if query else url, body=b"")
    if not request.body:
        kept = {k: v for k, v in request.headers.items() if k != "Content-Type"}
        request = replace(request, headers=kept)
    return replace(request, method=config.revocation_method)


class RevocationOutcome(StrEnum):
    """What is known of a token after somebody signed out (RFC 7009 §2.2)."""

    REVOKED = "revoked"
    """The provider answered 200: it is no good any more."""
    ENDED_WITH_GRANT = "ended_with_grant"
    """It ended with the token that was revoked: the provider's documentation says so."""
    ALREADY_INVALID = "already_invalid"
    """The provider answered that the token was no good before (``invalid_token``)."""
    UNSUPPORTED_TOKEN_TYPE = "unsupported_token_type"
    """The provider does not revoke tokens of this kind (§2.2.1)."""
    REFUSED = "refused"
    """The provider refused; ``oauth_error`` says with which code."""
    NO_ANSWER = "no_answer"
    """No answer arrived that says anything; ``retry_after`` is what a busy server asked for."""
    NOT_SENT = "not_sent"
    """No request was sent: the one before it had no answer, a setting is missing, or nobody asked."""
    NOT_SUPPORTED = "not_supported"
    """The provider has no revocation endpoint."""


ENDED: Final = frozenset(
    {
        RevocationOutcome.REVOKED,
        RevocationOutcome.ENDED_WITH_GRANT,
        RevocationOutcome.ALREADY_INVALID,
    }
)
"""The outcomes after which a token is no good by the word of the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What became of one token.

    Attributes:
        token: ``refresh_token`` or ``access_token``.
        outcome: What is known.
        http_status: The status of the answer, if one came.
        oauth_error: The provider's error code (RFC 6749 §5.2), if it gave one.
        retry_after: Seconds after which the provider wants to be asked again (RFC 7009 §2.2.1).
    """

    token: str
    outcome: RevocationOutcome
    http_status: int | None = None
    oauth_error: str | None = None
    retry_after: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the token is no good any more, by the word of the provider."""
        return self.outcome in ENDED


def judge_revocation(config: OAuthConfig, response: HttpResponse) -> None:
    """Make sure ``response`` is no refusal of a revocation: any 2xx is none, whatever its body.

    Raises:
        ProviderError: The provider refused.
        NetworkError: It may or may not have happened (503: RFC 7009 §2.2.1).
    """
    if not 200 <= response.status < 300:
        judge(response, "revocation", config)


def require_confirmation(config: OAuthConfig, response: HttpResponse) -> None:
    """Make sure ``response`` confirms a revocation: status 200 does, and no other (RFC 7009 §2.2).

    In a provider's own way any 2xx does, such as the 204 of a ``DELETE``, if its body says nothing
    else (``{"ok": false}``).

    Raises:
        ProviderError, NetworkError: As :func:`judge_revocation` says.
        NetworkError: The provider answered something that neither confirms nor refuses.
    """
    judge_revocation(config, response)
    if config.revocation_method != "POST" or config.revocation_auth == "bearer":
        members = read_members(response, config)
        if members is not None and error_code(members) is not None:
            judge(response, "revocation", config)
        return
    if response.status != 200:
        raise NetworkError(
            f"the provider did not confirm the revocation (HTTP {response.status}, and not 200)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """What the provider says of a token (RFC 7662 §2.2).

    Attributes:
        active: Whether it may be used now. ``False`` is an ordinary answer, and no error.
        scopes: What it is good for.
        expires_at: When it ends, POSIX seconds on the provider's clock, if it says so.
        subject: Whose it is, as the provider identifies people.
        username: Whose it is, in a form people recognise.
    """

    active: bool
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    subject: str | None = None
    username: str | None = None


def introspection_request(
    config: OAuthConfig, token: str, token_type_hint: str
) -> HttpRequest | None:
    """The question about ``token`` (RFC 7662 §2.1); ``None`` without an endpoint.

    Args:
        config: The provider and client.
        token: The token.
        token_type_hint: ``refresh_token`` or ``access_token``.

    Raises:
        ConfigMissing: The client id or client secret is absent.
    """
    if not config.introspection_url:
        return None
    members = {"token": token, "token_type_hint": token_type_hint}
    return client_request(config, config.introspection_url, members.items())


def judge_introspection(config: OAuthConfig, response: HttpResponse) -> Introspection:
    """The answer in ``response``.

    Raises:
        ProviderError: This client may not ask.
        NetworkError: The matter is not settled, or the answer does not say.
    """
    members = judge(response, "introspection", config)
    active = members.get("active")
    if not isinstance(active, bool):
        raise NetworkError("the answer to the introspection does not say whether the token is good")
    if not active:  # nothing else may be concluded from it (RFC 7662 §2.2)
        return Introspection(active=False)
    scope, subject, username = (members.get(name) for name in ("scope", "sub", "username"))
    return Introspection(
        active=True,
        scopes=tuple(scope.split()) if isinstance(scope, str) else (),
        expires_at=lifetime(members.get("exp")),
        subject=subject if isinstance(subject, str) and subject else None,
        username=presentable(username) if isinstance(username, str) else None,
    )
