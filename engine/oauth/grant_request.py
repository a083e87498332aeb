"""Grants that need no user: client credentials, token exchange, and JWT bearer assertions.

The client asks for itself (RFC 6749 §4.4), for whoever a token speaks of (RFC 8693), or by an
assertion that somebody signed (RFC 7523 §2.1). An identity assertion of an enterprise (ID-JAG) is
got by the second and used by the third: the first server exchanges an ID token for it, and at the
server of the resource it is the assertion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from ..errors import ConfigInvalid, ConfigMissing, ProviderError
from ..hints import Hint
from ..reasons import Reason
from .authorization_request import targets
from .client_authentication import authentication_method, client_request
from .id_token import audience_of, claims_of
from .setting_types import TOKEN_TYPES
from .token_endpoint import judge_token_response, token_endpoint

if TYPE_CHECKING:
    from ..ports import HttpRequest, HttpResponse
    from ..record import Exchange
    from .provider import OAuthConfig
    from .tokens import OAuthTokens

GRANT_TYPES: Final[Mapping[str, str]] = {
    "client-credentials": "client_credentials",
    "token-exchange": "urn:ietf:params:oauth:grant-type:token-exchange",
    "jwt-bearer": "urn:ietf:params:oauth:grant-type:jwt-bearer",
}
"""The ``grant_type`` of each grant, by its name in the settings."""
_TYPE: Final = "urn:ietf:params:oauth:token-type:"
ID_JAG: Final = _TYPE + "id-jag"
_ACCESS: Final = _TYPE + "access_token"
NOT_A_TOKEN_TYPE: Final = "n_a"
"""The ``token_type`` of what is no access token (RFC 8693 §2.2.1), in small letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a grant brought.

    Attributes:
        tokens: The tokens.
        reason: What the log should say of them, if anything.
    """

    tokens: OAuthTokens
    reason: Reason | None = None


def token_type_urn(word: str) -> str:
    """The URN of a type of token (RFC 8693 §3): that of a word, or ``word`` as it is."""
    return _TYPE + word if word in TOKEN_TYPES else word


def signs_assertion(config: OAuthConfig) -> bool:
    """Whether the client signs the assertion itself, with its key."""
    given = config.subject_token is not None or config.subject_login or config.subject_token_file
    return config.grant == "jwt-bearer" and not given


def require_grant(config: OAuthConfig) -> None:
    """Make sure that the grant of ``config`` has what it needs, before anything is sent.

    Raises:
        ConfigMissing: A subject, a key, or what the client proves itself with is absent.
        ConfigInvalid: It says what no request of its kind can say.
    """
    name = config.service_name
    again = Hint("login", name, "--grant", config.grant)
    if config.grant == "client-credentials" and authentication_method(config) == "none":
        raise ConfigMissing(
            f"{config.title} has no client secret, key or certificate: without one a client has no"
            " credentials to ask by (RFC 6749 §4.4)",
            hint=Hint("provider edit", name, "--client-secret-file", "FILE"),
        )
    has_subject = config.subject_login or config.subject_token_file or config.subject_token
    if config.grant == "token-exchange" and not has_subject:
        raise ConfigMissing(
            "a token exchange needs the token of whom it is about (RFC 8693 §2.1)",
            hint=Hint("login", name, "--grant", config.grant, "--subject-token-file", "FILE"),
        )
    if config.grant == "jwt-bearer" and config.subject_token == "":
        raise ConfigMissing("the assertion is used up: it serves once", hint=again)
    if signs_assertion(config) and not (config.client_key or config.client_key_file):
        raise ConfigMissing(
            "there is no assertion, and no client key to sign one with (RFC 7523 §2.1)",
            hint=Hint("login", name, "--grant", config.grant, "--assertion-file", "FILE"),
        )
    acts = config.actor_login or config.actor_token_file or config.actor_token
    if config.grant != "token-exchange" and (acts or config.requested_token_type):
        raise ConfigInvalid(
            "an actor token and a requested type belong to a token exchange (RFC 8693 §2.1)",
            hint=Hint("login", name, "--grant", "token-exchange"),
        )


def grant_request(config: OAuthConfig, exchange: Exchange) -> HttpRequest:
    """The request for tokens by the grant of ``config``.

    Args:
        config: The provider and client.
        exchange: What it is about: the subject and actor tokens, or the assertion.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    members = {"grant_type": GRANT_TYPES[config.grant]}
    if config.grant == "token-exchange":
        members |= _exchange_members(config, exchange)
    elif exchange.subject is not None and config.grant == "jwt-bearer":
        members["assertion"] = exchange.subject.reveal()
    if config.asked_scope:
        members[config.scope_parameter] = config.asked_scope
    if config.audience:
        members["audience"] = config.audience
    if config.authorization_details:
        members["authorization_details"] = config.authorization_details
    sent = [*members.items(), *targets(config)]
    added = config.extra_token_params.items()
    request = client_request(config, token_endpoint(config), sent, added)
    own = signs_assertion(config) and exchange.subject is None
    return replace(request, assertion=config) if own else request


def _exchange_members(config: OAuthConfig, exchange: Exchange) -> dict[str, str]:
    """The parameters of a token exchange (RFC 8693 §2.1)."""
    members: dict[str, str] = {}
    for name, token, kind in (
        ("subject_token", exchange.subject, config.subject_token_type),
        ("actor_token", exchange.actor, config.actor_token_type),
    ):
        if token is not None:
            members[name] = token.reveal()
            members[f"{name}_type"] = token_type_urn(kind or "access_token")
    if config.requested_token_type:
        members["requested_token_type"] = token_type_urn(config.requested_token_type)
    return members


def judge_grant_response(
    config: OAuthConfig,
    response: HttpResponse,
    *,
    bound: bool = False,
) -> Granted:
    """The tokens in the answer to a grant that needs no user.

    A refresh token is of use only where the grant cannot be asked again; else it is left out, and
    the log says so (RFC 6749 §4.4.3). An ID token that comes along is nobody's sign-in here. The
    tokens that the grant brought before count for nothing: what the answer leaves out is not there.

    Args:
        config: The provider and client.
        response: The answer of the token endpoint.
        bound: Whether a proof went with the request.

    Raises:
        ProviderError: A definite no, or tokens that must not be used.
        NetworkError: The matter is not settled.
    """
    exchanged = config.grant == "token-exchange"
    wanted = token_type_urn(config.requested_token_type or "access_token")
    other = exchanged and wanted != _ACCESS
    lenient = replace(config, token_types=(*config.token_types, "N_A")) if exchanged else config
    tokens = judge_token_response(lenient, response, bound=bound and not other)
    if exchanged:
        _check_exchanged(config, tokens, wanted, response.status)
    _check_resources(config, tokens, response.status)
    reason = None
    if tokens.refresh_token and config.can_ask_again:
        reason = Reason.REFRESH_TOKEN_UNASKED
        tokens = replace(tokens, refresh_token=None)
    if scopes_unasked(config, tokens):  # of two reasons the one that is still true of the tokens
        reason = Reason.SCOPE_WIDER
    if (
        tokens.scope is None and config.asked_scopes
    ):  # RFC 6749 §5.1: left out when it is what was asked
        tokens = replace(tokens, scope=" ".join(config.scopes))
    return Granted(tokens=replace(tokens, id_token=None), reason=reason)


def scopes_unasked(config: OAuthConfig, tokens: OAuthTokens) -> list[str]:
    """The scopes of ``tokens`` that ``config`` did not ask for; none where it asked for no scope."""
    return sorted({*tokens.scopes} - {*config.asked_scopes}) if config.asked_scopes else []


def _check_exchanged(config: OAuthConfig, tokens: OAuthTokens, wanted: str, status: int) -> None:
    """Refuse what is not of the type that was asked for (RFC 8693 §2.2.1).

    Raises:
        ProviderError: It is not, or what should be an access token says that it is none.
    """
    said = tokens.extra.get("issued_token_type")
    issued = said if isinstance(said, str) or said is None else ""  # no type has this name
    jwt = {_ACCESS, _TYPE + "jwt"}  # either word is used of an access token that is a JWT
    same = issued == wanted or (issued in jwt and wanted in jwt)
    if issued is None and config.requested_token_type in {None, "access_token", _ACCESS}:
        same = True  # it is required, and many servers leave it out of the usual case
    if not same:
        raise ProviderError(
            "the provider sent a token of another type than was asked for (issued_token_type)",
            status=status,
            reason=Reason.ISSUED_TOKEN_TYPE.value,
        )
    usable = tokens.token_type.lower() != NOT_A_TOKEN_TYPE
    if wanted == _ACCESS and not usable:
        raise ProviderError(
            "the provider sent a token that is no access token (token_type N_A), and one is needed",
            status=status,
            reason=Reason.NOT_ACCESS_TOKEN.value,
        )
    if wanted == ID_JAG:
        _check_id_jag(config, tokens, status)


def _check_id_jag(config: OAuthConfig, tokens: OAuthTokens, status: int) -> None:
    """Refuse an identity assertion for another server than was asked for.

    Its signature is for that server to check. Whom it is for is read here, because it is handed over
    there.

    Raises:
        ProviderError: It is no JWT, or another server's.
    """
    claims = claims_of(tokens.access_token)
    if not claims or tokens.access_token.count(".") != 2:
        raise ProviderError(
            "the provider sent an identity assertion that is no JWT",
            status=status,
            reason=Reason.TOKEN_MALFORMED.value,
        )
    if config.audience and audience_of(claims) != [config.audience]:
        raise ProviderError(
            "the provider sent an identity assertion for another server than was asked for (aud)",
            status=status,
            reason=Reason.TOKEN_OTHER_AUDIENCE.value,
        )
    if tokens.token_type.lower() != NOT_A_TOKEN_TYPE:
        raise ProviderError(
            "the provider calls an identity assertion an access token (token_type)",
            status=status,
            reason=Reason.ISSUED_TOKEN_TYPE.value,
        )
    _named_resources(config, claims.get("resource"), status)


def _check_resources(config: OAuthConfig, tokens: OAuthTokens, status: int) -> None:
    """Refuse a token whose answer says that it is for another resource than was asked for."""
    _named_resources(config, tokens.extra.get("resource"), status)


def _named_resources(config: OAuthConfig, named: object, status: int) -> None:
    """Refuse ``named`` resources of which one was not asked for (RFC 8707 §2).

    Raises:
        ProviderError: One was not.
    """
    if named is None or not config.resources:
        return
    each = cast("list[object]", named) if isinstance(named, list | tuple) else [named]
    asked = {resource.rstrip("/") for resource in config.resources}
    if not all(isinstance(one, str) and one.rstrip("/") in asked for one in each):
        raise ProviderError(
            "the provider sent a token for another resource than was asked for (RFC 8707)",
            status=status,
            reason=Reason.TOKEN_OTHER_RESOURCE.value,
        )
