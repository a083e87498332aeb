"""Signed authorization responses (JARM): the answer in a browser is a JWT, and is checked before it is read.

The parameter ``response`` has all others in it (JARM §2.1). Whoever made it must hold a key of the
provider, and it is for this client, and for a short time (§2.4). What is inside is then judged like any
other answer: its ``state`` and its ``iss`` are those of the login (:mod:`.callback`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..errors import CallbackRefused, ConfigMissing, NetworkError, ProviderError
from ..hints import Hint
from ..reasons import Refusal
from .id_token import LEEWAY, Identification, audience_of, claims_of, is_time
from .issuer import accepts_issuer
from .signing_keys import IdTokenRefused, UnknownKey, publishes_keys

if TYPE_CHECKING:
    from ..ports import Clock, Http
    from ..record import Login
    from .provider import OAuthConfig
    from .signing_keys import Keys

Parameters = list[tuple[str, str]]

RESPONSE: Final = "response"
_SIGNED_MODES: Final = frozenset({"jwt", "query.jwt", "form_post.jwt"})
_READ: Final = ("code", "state", "error", "error_description", "error_uri", "iss")


def response_mode(config: OAuthConfig) -> str | None:
    """The ``response_mode`` that a login asks for; ``None`` where it asks for none (JARM §2.3)."""
    if config.response_mode != "auto":
        return config.response_mode
    return config.extra_auth_params.get("response_mode")


def wants_signed_response(config: OAuthConfig) -> bool:
    """Whether only a signed answer is an answer to a login of ``config``."""
    return response_mode(config) in _SIGNED_MODES


def require_signed_response(config: OAuthConfig) -> None:
    """Refuse a login whose signed answer could not be checked, before its user is sent away.

    Raises:
        ConfigMissing: Its issuer, or where the issuer's keys are, is not known.
    """
    if not wants_signed_response(config):
        return
    shared = config.client_secret and any(n.startswith("HS") for n in config.id_token_algorithms)
    if not config.issuer or not (shared or publishes_keys(config)):
        raise ConfigMissing(
            f"the signed answer of {config.title} could not be checked: its issuer, or where its keys"
            " are, is not known (JARM)",
            hint=Hint("provider edit", config.service_name, "--issuer", "https://…"),
        )


def peeked(parameters: Sequence[tuple[str, str]]) -> Parameters:
    """What ``parameters`` say, a signed answer's own among them, unchecked.

    For finding the login that they may belong to, and for nothing else.
    """
    given = [value for name, value in parameters if name == RESPONSE]
    return _members(claims_of(given[0])) if len(given) == 1 else list(parameters)


class SignedResponses:
    """Checks signed answers against the provider's published keys."""

    def __init__(self, http: Http, clock: Clock) -> None:
        """Fetch keys with ``http``; judge expiry by ``clock``."""
        self._identification = Identification(http, clock)
        self._clock = clock

    def unpacked(self, login: Login, parameters: Sequence[tuple[str, str]]) -> Parameters:
        """The parameters that the provider has signed; ``parameters`` where no signature is wanted.

        Raises:
            CallbackRefused: They are not signed as they must be; nothing may change for it.
        """
        config = login.config
        if not wants_signed_response(config):
            return list(parameters)
        given = [value for name, value in parameters if name == RESPONSE]
        if len(given) > 1:
            raise _refused(Refusal.DUPLICATE_PARAMETER, "that answer says 'response' twice")
        if not given:
            raise _refused(Refusal.RESPONSE_UNSIGNED, "that answer is not signed, and has to be")
        return _members(self._claims(config, given[0]))

    def _claims(self, config: OAuthConfig, text: str) -> Mapping[str, Any]:
        """The checked claims of a signed answer (JARM §2.4).

        Raises:
            CallbackRefused: They do not hold.
        """
        try:
            claims = self._verified(config, text)
        except IdTokenRefused as error:
            why = error.message.rpartition(": ")[2]
            raise _refused(
                Refusal.RESPONSE_SIGNATURE, f"that signed answer does not hold: {why}"
            ) from error
        except (NetworkError, ProviderError) as error:
            why = "the keys of the provider are out of reach; reload this page to try again"
            raise _refused(Refusal.RESPONSE_KEYS_UNAVAILABLE, why) from error
        issuer = claims.get("iss")
        if issuer is None:
            raise _refused(Refusal.MISSING_ISSUER, "that signed answer does not say whose it is")
        if not accepts_issuer(config, issuer):
            raise _refused(Refusal.WRONG_ISSUER, "that signed answer is from another provider")
        if config.client_id not in audience_of(claims):
            why = "that signed answer is meant for another client"
            raise _refused(Refusal.RESPONSE_AUDIENCE, why)
        ends = claims.get("exp")
        if not is_time(ends) or not self._clock.now() < ends + LEEWAY:
            raise _refused(Refusal.RESPONSE_EXPIRED, "that signed answer has ended, or has no end")
        return claims

    def _verified(self, config: OAuthConfig, text: str) -> Mapping[str, Any]:
        from .signatures import verified  # noqa: PLC0415  joserfc: most commands need none

        try:
            return verified(config, text, self._keys(config, anew=False))[1]
        except UnknownKey:  # the provider may have changed its keys since
            return verified(config, text, self._keys(config, anew=True))[1]

    def _keys(self, config: OAuthConfig, *, anew: bool) -> Keys:
        return self._identification.published(config, anew=anew) or {}


def _members(claims: Mapping[str, Any]) -> Parameters:
    """The parameters of an authorization response among ``claims``; only text is one."""
    return [(name, claims[name]) for name in _READ if isinstance(claims.get(name), str)]


def _refused(refusal: Refusal, message: str) -> CallbackRefused:
    return CallbackRefused(message, reason=refusal.value)
