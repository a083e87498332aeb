"""The token endpoint: its requests (RFC 6749 §4.1.3, §6) and its answers (§5.1, §5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..errors import (
    AuthRequired,
    ConfigMissing,
    NetworkError,
    NotFound,
    ProviderError,
    TokenExpired,
)
from ..hints import Hint
from ..lifetime import serves
from .authorization_request import targets
from .client_authentication import client_request
from .dialect import in_our_names
from .provider_response import error_code, judge, server_date
from .token_extras import tokens_for, with_further_since, with_refresh_end
from .tokens import OAuthTokens, printable

if TYPE_CHECKING:
    from ..ports import HttpRequest, HttpResponse
    from ..record import Login
    from ..secret import Secret
    from .callback import ValidatedCallback
    from .provider import OAuthConfig

_TOKEN_MEMBERS: Final = frozenset(
    {"access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"}
)


def token_endpoint(config: OAuthConfig) -> str:
    """The token endpoint.

    Raises:
        ConfigMissing: It is not known.
    """
    if not config.token_url:
        raise ConfigMissing(
            f"the token endpoint of {config.title} is not known",
            hint=Hint("provider edit", config.service_name, "--token-url", "https://…"),
        )
    return config.token_url


def code_request(
    config: OAuthConfig, callback: ValidatedCallback, *, verifier: Secret, redirect_uri: str | None
) -> HttpRequest:
    """The exchange of an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).

    Args:
        config: The provider and client.
        callback: What the validator returned; nothing else holds a code.
        verifier: The code verifier of the login.
        redirect_uri: The redirect address of its authorization request; none, or empty, if that
            named none.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    members = {
        "grant_type": "authorization_code",
        "code": callback.code.reveal(),
    }
    if config.pkce != "off":
        members["code_verifier"] = verifier.reveal()
    if redirect_uri:
        members["redirect_uri"] = redirect_uri
    return token_request(config, members)


def token_request(config: OAuthConfig, members: Mapping[str, str]) -> HttpRequest:
    """A request for the first tokens: ``members``, the resources, and what is configured besides.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    sent = [*members.items(), *targets(config)]
    added = config.extra_token_params.items()
    return client_request(config, token_endpoint(config), sent, added)


def refresh_request(config: OAuthConfig, refresh_token: str) -> HttpRequest:
    """The use of a refresh token (RFC 6749 §6); the scope is left as it was granted.

    A provider that wants the scope or the redirect address again gets it
    (:attr:`~.provider.OAuthProvider.repeats_scope`).

    The resources are named again: without them a server may give a token for another one.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    members = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    if "refresh" in config.repeats_scope and config.asked_scope:
        members["scope"] = config.asked_scope
    if "refresh" in config.repeats_redirect_uri:
        members["redirect_uri"] = config.redirect_uri
    sent = [*members.items(), *targets(config)]
    where = config.refresh_url or token_endpoint(config)
    return client_request(config, where, sent, config.extra_refresh_params.items())


def is_bound(token_type: str) -> bool:
    """Whether tokens of this type are of use with a proof of their key alone (RFC 9449 §7.1)."""
    return token_type.lower() == "dpop"


def understood(config: OAuthConfig, token_type: str) -> bool:
    """Whether a token of this type may be used as a Bearer token (RFC 6749 §7.1, RFC 6750).

    A type that is not understood must not be used. A provider with a word of its own for
    ``bearer`` declares it in :attr:`~.provider.OAuthProvider.token_types`.
    """
    words = {"bearer", *(word.lower() for word in config.token_types)}
    return token_type.lower() in words


def bearer_token(login: Login) -> str:
    """The access token of ``login`` as it may stand in a header, a line or a variable.

    Raises:
        AuthRequired: As for :func:`access_token`; or the token is bound to a key, and of no use
            without a proof.
    """
    token, tokens = access_token(login), login.tokens
    if tokens is None or not is_bound(tokens.token_type):
        return token
    raise AuthRequired(
        f"the access token for {login.provider} is bound to a key (DPoP): each request needs a proof",
        hint=Hint(
            "token", login.provider, "--format", "dpop", "GET", "https://…", account=login.account
        ),
    )


def further_token(login: Login, resource: str, now: float, buffer: float) -> OAuthTokens:
    """What came with the tokens of ``login`` for ``resource``, a bearer token that serves for a while.

    It is not refreshed: the machine of a login knows one refresh token.

    Args:
        login: A finished login.
        resource: As the provider names it.
        now: POSIX seconds.
        buffer: Seconds that the token must still be good for; at most half of its lifetime counts.

    Raises:
        NotFound: Nothing came for it.
        TokenExpired: It does not last so long.
        AuthRequired: The login has no tokens, or this one is of another type.
    """
    name, tokens = login.provider, login.tokens
    found = tokens_for(login.config, tokens, resource) if tokens else None
    if tokens is None:
        raise AuthRequired(f"not signed in to {name}", hint=Hint.sign_in(login))
    if found is None:
        raise NotFound(
            f"{name} sent no token for {resource[:80]!r} with this login", hint=Hint("status", name)
        )
    if not understood(login.config, found.token_type):
        raise AuthRequired(
            f"the token of {name} for {resource[:80]} is of a type that is not understood",
            hint=Hint.sign_in(login, "--new"),
        )
    lasts = found.expires_in
    if lasts is not None and not serves(
        now=now, issued_at=found.issued_at, expires_in=lasts, buffer=buffer
    ):
        raise TokenExpired(
            f"the token of {name} for {resource[:80]} has ended or is about to",
            hint=Hint("refresh", name) if found is tokens else Hint.sign_in(login, "--new"),
        )
    return found


def access_token(login: Login) -> str:
    """The access token of ``login``, a bearer token or one that is bound to the login's key.

    What is stored may be older than the checks of :func:`judge_token_response`, or come from a
    program, so it is checked again where it is used.

    Raises:
        AuthRequired: The login has no token, or one of another type, or one with characters that a
            token may not have (RFC 6749 §7.1, appendix A.12).
    """
    tokens, name = login.tokens, login.provider
    if tokens is None:
        raise AuthRequired(f"not signed in to {name}", hint=Hint.sign_in(login))
    if not tokens.access_token or not printable(tokens.access_token):
        problem = "it has characters that no token may have"
    elif is_bound(tokens.token_type) and login.proof_key is None:
        problem = "its key is not here"
    elif not (is_bound(tokens.token_type) or understood(login.config, tokens.token_type)):
        problem = "it is of a type that is not understood"
    else:
        return tokens.access_token
    again = Hint.sign_in(login, "--new")
    if tokens.refresh_token:
        again = Hint("refresh", name, account=login.account)
    raise AuthRequired(f"the stored access token for {name} cannot be used: {problem}", hint=again)


def judge_token_response(
    config: OAuthConfig,
    response: HttpResponse,
    *,
    previous: OAuthTokens | None = None,
    bound: bool = False,
) -> OAuthTokens:
    """The tokens in ``response``.

    Args:
        config: The provider, which says where in the answer they are.
        response: The answer of the token endpoint.
        previous: The tokens that are being refreshed. A refresh token, an ID token or a scope
            that the answer leaves out, or leaves empty, stays what it was (RFC 6749 §6).
        bound: Whether a proof went with the request, so that the tokens may be bound to its key.

    Raises:
        ProviderError: A definite no, or tokens that must not be used.
        NetworkError: The matter is not settled. :func:`~.provider_response.may_hold_tokens` says
            whether the answer is worth keeping.
    """
    if previous is not None:
        _refuse_as_declared(config, response)
    members = judge(response, "token request", config)
    found: dict[str, Any] = members
    for name in config.token_response_path:
        inner = found.get(name)
        if not isinstance(inner, dict):
            break
        found = cast("dict[str, Any]", inner)
    if previous is not None and "access_token" not in in_our_names(config, found):
        found = members  # Slack nests a user's token at first, and not when it is refreshed
    if found is not members:
        found = in_our_names(config, found)
        code = error_code(found, secret=config.client_secret)
        if code is not None:
            raise ProviderError(
                f"the provider refused the token request: {code}",
                oauth_error=code,
                status=response.status,
            )
        found = {**{k: v for k, v in members.items() if k not in _TOKEN_MEMBERS}, **found}
    try:
        tokens = OAuthTokens.from_response(
            found, received_at=response.received_at, server_date=server_date(response)
        )
    except ProviderError as error:
        # {"status": "maintenance"} is no word about what was sent
        if previous or error.reason == "token_missing":
            raise NetworkError(
                f"the answer to the token request cannot be used: {error.message}",
                hint="try again in a while",
            ) from error
        error.status = response.status
        raise
    _check_type(config, tokens, response.status, bound=bound)
    whole = with_further_since(config, _continued(tokens, previous), tokens, previous)
    return with_refresh_end(config, whole, previous)


def _check_type(config: OAuthConfig, tokens: OAuthTokens, status: int, *, bound: bool) -> None:
    """Refuse tokens of a type that was not asked for (RFC 6749 §7.1, RFC 9449 §5).

    Raises:
        ProviderError: They are.
    """
    if bound and is_bound(tokens.token_type):
        return
    if bound and config.dpop == "required":
        raise ProviderError(
            "the provider sent a token that is not bound to the key of this login (RFC 9449)",
            status=status,
            reason="token_not_bound",
        )
    if not understood(config, tokens.token_type):
        raise ProviderError(
            "the provider sent a token of a type that was not asked for and is not understood",
            status=status,
            reason="token_type_unknown",
        )


def _continued(tokens: OAuthTokens, previous: OAuthTokens | None) -> OAuthTokens:
    """``tokens``, with what a refresh leaves as it was (RFC 6749 §6)."""
    if previous is None:
        return tokens
    return replace(
        tokens,
        refresh_token=tokens.refresh_token or previous.refresh_token,
        id_token=tokens.id_token or previous.id_token,
        scope=tokens.scope or previous.scope,
        extra={**previous.extra, **tokens.extra},
    )


def _refuse_as_declared(config: OAuthConfig, response: HttpResponse) -> None:
    """Take an empty 400 for a refusal, where the provider's entry declares that it is one.

    Raises:
        ProviderError: It is.
    """
    if config.empty_400_refuses and response.status == 400 and not response.body.strip():
        msg = "the provider refused the token request with an empty answer"
        raise ProviderError(msg, status=response.status)
