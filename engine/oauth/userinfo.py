"""The UserInfo endpoint: who a login's user is, in the provider's own words (OpenID Connect Core §5.3).

An answer is JSON over TLS, or a JWT that the provider has signed. Either is taken only if it names the
subject that the ID token of the login named (§5.3.2): anything else may be about somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..errors import NetworkError, ProviderError
from ..hints import Hint
from ..ports import HttpRequest
from ..reasons import Refusal
from ..secret import Secret
from .addresses import secure_address
from .client_authentication import certificate_of, endpoint
from .id_token import LEEWAY, audience_of, is_time, name_in
from .provider_response import read_members
from .signing_keys import IdTokenRefused, UnknownKey
from .token_endpoint import access_token, is_bound

if TYPE_CHECKING:
    from ..ports import HttpResponse
    from ..record import Login
    from .provider import OAuthConfig
    from .signing_keys import Keys

_SIGNED: Final = "application/jwt"
_LONGEST_SUBJECT: Final = 255  # characters (§2)


class UserInfoRefused(ProviderError):
    """An answer of the endpoint that may not be used; ``reason`` is a :class:`.reasons.Refusal`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInfo:
    """What the endpoint said of a login's user.

    Attributes:
        subject: The ``sub`` claim: it never changes, and means nothing to people.
        name: The first of email, user name and name that it has, fit to be shown.
        claims: All claims as they came (§5.1).
        signed: Whether the provider signed them.
        agrees: Whether an ID token of this login named the same subject. It is false only where no
            validated ID token came: another subject is refused.
    """

    subject: str
    name: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    signed: bool = False
    agrees: bool = False


def offers_userinfo(config: OAuthConfig) -> bool:
    """Whether the endpoint is known and safe, and the scope ``openid`` lets a login ask it (§5.3)."""
    return "openid" in config.scopes and secure_address(config.userinfo_url)


def userinfo_request(login: Login) -> HttpRequest:
    """The question about the user of ``login`` (§5.3.1), with the access token that it holds.

    A token that is bound to the login's key gets its proof when the request is sent.

    Raises:
        AuthRequired: The token cannot be used.
    """
    token, tokens, config = access_token(login), login.tokens, login.config
    key = login.proof_key if tokens is not None and is_bound(tokens.token_type) else None
    return HttpRequest(
        method="GET",
        url=endpoint(config, config.userinfo_url or ""),
        headers={
            "Accept": f"application/json, {_SIGNED}",
            "Authorization": f"{'DPoP' if key else 'Bearer'} {token}",
        },
        proof_key=key,
        access_token=Secret(token) if key else None,
        certificate=certificate_of(config),
    )


def is_signed(response: HttpResponse) -> bool:
    """Whether ``response`` calls itself a JWT, which its signature makes good or not (§5.3.2)."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.status == 200 and kind == _SIGNED


def judge_userinfo(
    login: Login, response: HttpResponse, *, keys: Keys | None, now: float
) -> UserInfo:
    """What ``response`` says of the user of ``login``.

    Args:
        login: The login that asked.
        response: The answer of its provider.
        keys: The provider's keys, for a signed answer.
        now: POSIX seconds, by the provider's clock.

    Raises:
        UserInfoRefused: It is about another subject, it does not hold, or the provider did not
            take the access token.
        UnknownKey: None of ``keys`` has made the signature; newer ones may be published.
        NetworkError: No usable answer.
    """
    signed = is_signed(response)
    claims = (
        _signed_claims(login.config, response, keys, now) if signed else _plain(login, response)
    )
    subject = claims.get("sub")
    whole = isinstance(subject, str) and subject.isprintable()  # it is shown where no name is
    if not isinstance(subject, str) or not whole or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise _refused(Refusal.USERINFO_NO_SUBJECT, "it names no subject")
    known = login.identity.subject if login.identity else None
    if known is not None and subject != known:
        raise _refused(Refusal.USERINFO_OTHER_SUBJECT, "it is about another person")
    return UserInfo(
        subject=subject,
        name=name_in(claims),
        claims=claims,
        signed=signed,
        agrees=known is not None,
    )


def _plain(login: Login, response: HttpResponse) -> Mapping[str, Any]:
    """The claims of an answer that is not signed: an object of JSON, and no form."""
    status = response.status
    if status in {400, 401, 403}:
        raise UserInfoRefused(
            f"the provider did not take the access token for the user's details (HTTP {status})",
            reason=Refusal.USERINFO_TOKEN_REFUSED.value,
            status=status,
            hint=Hint("refresh", login.provider, account=login.account),
        )
    if status // 100 == 5 or status in {408, 425, 429}:
        raise NetworkError(
            f"the provider is having trouble (HTTP {status}) and did not say who the user is",
            hint="try again in a while",
        )
    body = response.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    members = read_members(response) if status == 200 and body[:1] == b"{" else None
    if members is None:
        raise _refused(Refusal.USERINFO_UNREADABLE, f"it is no JSON object (HTTP {status})", status)
    return members


def _signed_claims(
    config: OAuthConfig, response: HttpResponse, keys: Keys | None, now: float
) -> Mapping[str, Any]:
    """The claims of a signed answer, which must be this issuer's, for this client (§5.3.2)."""
    from .signatures import verified  # noqa: PLC0415  joserfc: most commands need none

    if keys is None:
        why = "it is signed, and the provider publishes no keys"
        raise _refused(Refusal.USERINFO_SIGNATURE, why)
    text = response.body.decode("ascii", "replace").strip()
    try:
        _, claims = verified(config, text, keys)
    except UnknownKey:
        raise
    except IdTokenRefused as error:
        raise signature_refused(error) from error
    if claims.get("iss") not in [config.issuer, *config.id_token_issuers]:
        raise _refused(Refusal.USERINFO_ISSUER, "it is from another issuer")
    if config.client_id not in audience_of(claims):
        raise _refused(Refusal.USERINFO_AUDIENCE, "it is meant for another client")
    ends = claims.get("exp")
    if ends is not None and not (is_time(ends) and now < ends + LEEWAY):
        raise _refused(Refusal.USERINFO_EXPIRED, "it has ended")
    return claims


def signature_refused(error: IdTokenRefused) -> UserInfoRefused:
    """The error for a signed answer whose signature does not hold, as ``error`` found."""
    why = error.message.rpartition(": ")[2]
    return _refused(Refusal.USERINFO_SIGNATURE, why)


def _refused(refusal: Refusal, why: str, status: int | None = None) -> UserInfoRefused:
    return UserInfoRefused(
        f"the answer of the UserInfo endpoint does not hold: {why}",
        reason=refusal.value,
        status=status,
    )
