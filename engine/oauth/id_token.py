"""Check ID tokens (OpenID Connect Core §3.1.3.7, §12.2), and say whose tokens came with them.

:func:`judge_id_token` does the checks of one token and does no I/O. :class:`Identification` fetches
the keys, and decides what a token that fails a check costs.
"""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import new as new_hash
from hashlib import shake_256
from hmac import compare_digest
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from ..errors import ConfigInvalid, NetworkError, ProviderError
from ..foreign_text import presentable
from ..hints import Hint
from ..reasons import Reason
from ..secret import Secret
from ..summary import Identity
from .issuer import accepts_issuer
from .setting_types import ASYMMETRIC
from .signing_keys import (
    IdTokenRefused,
    Keys,
    UnknownKey,
    judge_keys,
    keys_request,
    publishes_keys,
    refused,
)

if TYPE_CHECKING:
    from ..ports import Clock, Http
    from ..record import Login
    from .provider import OAuthConfig
    from .tokens import OAuthTokens

LEEWAY: Final = 60.0
"""Seconds by which the clocks of provider and client may differ."""
CORRECTABLE: Final = 86400.0
"""Seconds by which this machine's clock may be wrong; the provider's clock is used instead."""
_HASHES: Final = {"256": "sha256", "384": "sha384", "512": "sha512"}
_ED448: Final = 114  # bytes of SHAKE256, the hash within Ed448 (RFC 8032 §5.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the authorization request demanded of the ID token.

    Attributes:
        nonce: The login's nonce; ``None`` where none was sent (device flow, refresh).
        since: An ID token without a nonce must be issued later, POSIX seconds by the provider's
            clock; ``None`` where nothing is known.
        max_age: Seconds since the user proved who they are, at the time of the request.
        auth_time: Whether the ID token must say when that was.
        acr: The authentication context classes that will do; empty where none was asked for.
        acr_required: Whether the ID token must name one of them.
    """

    nonce: Secret | None = None
    since: float | None = None
    max_age: float | None = None
    auth_time: bool = False
    acr: tuple[str, ...] = ()
    acr_required: bool = False

    @property
    def promised(self) -> bool:
        """Whether the answer is of no use unless it says how, or when, its user signed in."""
        return self.auth_time or self.max_age is not None or bool(self.acr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What an ID token said, or why it said nothing.

    Attributes:
        tokens: The tokens worth keeping: an ID token that was not checked is not among them.
        identity: Whose they are, if that is known.
        reason: Why it is not known, although ``openid`` was asked for.
    """

    tokens: OAuthTokens
    identity: Identity | None = None
    reason: Reason | None = None


def require_checkable(config: OAuthConfig) -> None:
    """Refuse a login whose ID token cannot be checked, before its user is sent away.

    Raises:
        ConfigInvalid: No accepted algorithm works here, or ``max_age`` or ``claims`` cannot be
            read.
    """
    if "openid" in config.scopes:
        if not set(ASYMMETRIC).intersection(config.id_token_algorithms):
            from .signatures import require_algorithm  # noqa: PLC0415  as for `verified`

            require_algorithm(config)
        _wishes(config, config.extra_auth_params)
        _wishes(config, config.extra_device_params)


class Identification:
    """Checks ID tokens against the provider's published keys, which it fetches and remembers."""

    def __init__(self, http: Http, clock: Clock) -> None:
        """Fetch keys with ``http``; judge expiry by ``clock``."""
        self._http = http
        self._clock = clock
        self._fetched: dict[str, Keys] = {}

    def keys(self, config: OAuthConfig, *, anew: bool = False) -> Keys | None:
        """The provider's keys, or ``None`` where no ID token is asked for or none can be checked.

        Raises:
            NetworkError: They could not be fetched.
            ProviderError: What was fetched are no keys.
        """
        if "openid" not in config.scopes or not config.issuer:
            return None
        return self.published(config, anew=anew)

    def published(self, config: OAuthConfig, *, anew: bool = False) -> Keys | None:
        """The keys that the provider of ``config`` signs with; ``None`` where it publishes none.

        Raises:
            NetworkError, ProviderError: As for :meth:`keys`.
        """
        import_module(".signatures", __package__)  # loaded now, while no code is spent
        if not publishes_keys(config):
            shared = any(name.startswith("HS") for name in config.id_token_algorithms)
            return {} if shared and config.client_secret else None
        url = config.jwks_url or ""
        if anew or url not in self._fetched:
            self._fetched[url] = judge_keys(self._http.send(keys_request(config)))
        return self._fetched[url]

    def keys_at_hand(self, config: OAuthConfig) -> Keys | None:
        """As :meth:`keys`, and ``None`` where they cannot be had."""
        try:
            return self.keys(config)
        except (NetworkError, ProviderError):
            return None

    def identify(self, login: Login, tokens: OAuthTokens, keys: Keys | None) -> Identified:
        """Whose ``tokens`` are, which a new login has brought.

        An ID token that fails a check is an error. One that cannot be checked, because no keys
        are published or they are out of reach, says nothing and is not kept: the access
        token that came with it is good, and must not be lost for it.

        Raises:
            IdTokenRefused: The ID token does not hold.
        """
        if "openid" not in login.config.scopes:
            return Identified(tokens=replace(tokens, id_token=None))
        polls = login.presentation is not None and login.presentation.device is not None
        config = login.config
        wishes = _wishes(config, config.extra_device_params if polls else config.extra_auth_params)
        if tokens.id_token is None:
            if wishes.max_age is not None or wishes.auth_time or wishes.acr_required:
                why = "there is none, and it had to say how and when its user signed in"
                raise refused(Reason.ID_TOKEN_MISSING, why)
            return Identified(tokens=tokens, reason=Reason.ID_TOKEN_MISSING)
        shift = self._shift(tokens)
        asked = replace(
            wishes,
            nonce=login.challenge.nonce if login.challenge and not polls else None,
            since=login.created_at + shift,
        )
        try:
            identity = self._judged(login.config, tokens, keys, asked)
        except (NetworkError, _Unreachable):
            identity, why = None, Reason.ID_TOKEN_KEYS_UNAVAILABLE
        else:
            why = Reason.ID_TOKEN_UNCHECKABLE
        if identity is not None:
            return Identified(tokens=tokens, identity=identity)
        if asked.promised:
            # the endpoint itself says it over TLS (§3.1.3.7, 6): that needs no signature
            now = self._clock.now() if tokens.server_date is None else tokens.issued_at
            _check_authentication(claims_of(tokens.id_token), asked, now + shift)
        return Identified(tokens=replace(tokens, id_token=None), reason=why)

    def identify_refreshed(
        self, login: Login, tokens: OAuthTokens, keys: Keys | None
    ) -> Identified:
        """Whose ``tokens`` are, which a refresh of ``login`` has brought (§12.2).

        Tokens of another person are refused. Any other ID token that does not hold is dropped,
        and the one of the login stays: the access token that came is good.

        Args:
            login: The login, with the tokens it had.
            tokens: The new tokens; an ID token that did not come is the old one.
            keys: The provider's keys, if they could be had before the refresh token was sent.

        Raises:
            IdTokenRefused: The ID token names another subject.
        """
        before = login.tokens.id_token if login.tokens else None
        if tokens.id_token is None or tokens.id_token == before:
            return Identified(tokens=tokens, identity=login.identity)
        claims = claims_of(tokens.id_token)
        known = login.identity.subject if login.identity else None
        named = claims.get("sub")
        # the endpoint itself says so over TLS (§3.1.3.7, 6): that needs no signature
        if known is not None and isinstance(named, str) and named != known:
            raise refused(Reason.ID_TOKEN_OTHER_SUBJECT, "it is about another person")
        first = claims_of(before) if before else {}
        if login.config.issuer_template and first.get("iss", claims.get("iss")) != claims.get(
            "iss"
        ):
            # a subject is one person at one issuer, and here each tenant has its own (§12.2)
            raise refused(Reason.ID_TOKEN_OTHER_SUBJECT, "it is about a person of another tenant")
        nonce, issued = first.get("nonce"), first.get("iat")
        asked = Asked(
            nonce=Secret(nonce) if isinstance(nonce, str) and "nonce" in claims else None,
            since=issued if is_time(issued) else None,
        )
        try:
            identity = self._judged(login.config, tokens, keys, asked)
        except IdTokenRefused as error:
            reason = Reason(error.reason or Reason.ID_TOKEN_UNREADABLE)
        except (NetworkError, _Unreachable):
            reason = Reason.ID_TOKEN_KEYS_UNAVAILABLE
        else:
            if identity is not None:
                if login.identity is not None and not identity.name:  # userinfo may have said it
                    identity = identity._replace(name=login.identity.name)
                return Identified(tokens=tokens, identity=identity)
            reason = Reason.ID_TOKEN_UNCHECKABLE
        kept = replace(tokens, id_token=before)
        return Identified(tokens=kept, identity=login.identity, reason=reason)

    def _shift(self, tokens: OAuthTokens) -> float:
        """Seconds by which the provider's clock is ahead of this machine's.

        Raises:
            IdTokenRefused: More than a day lies between them.
        """
        if tokens.server_date is None:
            return 0.0
        shift = tokens.server_date - tokens.issued_at
        if abs(shift) > CORRECTABLE:
            raise refused(
                Reason.ID_TOKEN_CLOCKS_APART,
                f"the clock of this machine says {_day(tokens.issued_at)}, "
                f"and the provider's says {_day(tokens.server_date)}",
            )
        return shift

    def _judged(
        self, config: OAuthConfig, tokens: OAuthTokens, keys: Keys | None, asked: Asked
    ) -> Identity | None:
        """The identity, or ``None`` where no keys are published.

        Raises:
            NetworkError, _Unreachable: Keys are published, and cannot be had.
            IdTokenRefused: A check failed.
        """
        # the provider's clock, as of the same answer: a wrong one here must not cost a login
        now = self._clock.now() if tokens.server_date is None else tokens.issued_at
        now += self._shift(tokens)
        if keys is None:
            keys = self._anew(config, anew=False)
        if keys is None:
            return None

        def judge(keys: Keys) -> Identity:
            return judge_id_token(
                config,
                tokens.id_token or "",
                keys=keys,
                asked=asked,
                access_token=tokens.access_token,
                now=now,
            )

        try:
            return judge(keys)
        except UnknownKey:  # the provider has changed its keys since, perhaps under the old name
            return judge(self._anew(config, anew=True) or {})

    def _anew(self, config: OAuthConfig, *, anew: bool) -> Keys | None:
        try:
            return self.keys(config, anew=anew)
        except ProviderError as error:
            raise _Unreachable from error


class _Unreachable(Exception):
    """The address of the keys answers with something else."""


def judge_id_token(
    config: OAuthConfig,
    id_token: str,
    *,
    keys: Keys,
    asked: Asked,
    access_token: str,
    now: float,
) -> Identity:
    """Whom ``id_token`` is about.

    Args:
        config: The provider, its algorithms, and the client it must be meant for.
        id_token: As it came.
        keys: The provider's key set.
        asked: What the authorization request asked for.
        access_token: What came with it, for ``at_hash``.
        now: POSIX seconds, by the provider's clock.

    Raises:
        UnknownKey: None of ``keys`` has made its signature.
        IdTokenRefused: A check failed; the message and ``reason`` say which.
    """
    from .signatures import verified  # noqa: PLC0415  joserfc: most commands need none

    algorithm, claims = verified(config, id_token, keys)
    issuer, tenant = claims.get("iss"), claims.get("tid", "")
    if not accepts_issuer(config, issuer, tenant=tenant) and issuer not in config.id_token_issuers:
        raise refused(Reason.ID_TOKEN_ISSUER, "it is from another issuer")
    _check_audience(config, claims)
    _check_times(claims, now)
    _check_question(claims, asked)
    _check_authentication(claims, asked, now)
    if claims.get("at_hash") is not None:
        _check_access_token(algorithm, claims["at_hash"], access_token)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise refused(Reason.ID_TOKEN_NO_SUBJECT, "it names no subject")
    return Identity(subject=subject, name=name_in(claims))


def name_in(claims: Mapping[str, Any]) -> str | None:
    """What people know the user of ``claims`` by, fit to be shown (OpenID Connect Core §5.1)."""
    names = (claims.get(name) for name in ("email", "preferred_username", "name"))
    name = next((text for text in names if isinstance(text, str) and text), None)
    return presentable(name)


def _check_audience(config: OAuthConfig, claims: Mapping[str, Any]) -> None:
    """``aud`` and ``azp``; the latter where it is present (errata set 2), or where it must be."""
    meant = audience_of(claims)
    if config.client_id not in meant:
        raise refused(Reason.ID_TOKEN_AUDIENCE, "it is meant for another client")
    authorized = claims.get("azp")
    if authorized is None and config.id_token_azp_required and len({*map(str, meant)}) > 1:
        why = "it is meant for other clients, too, and does not say whom it was issued to"
        raise refused(Reason.ID_TOKEN_AUTHORIZED_PARTY, why)
    if authorized is not None and authorized != config.client_id:
        raise refused(Reason.ID_TOKEN_AUTHORIZED_PARTY, "it was issued to another client")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued = claims.get("exp"), claims.get("iat")
    if not is_time(expires) or not is_time(issued):
        why = "it does not say when it was issued and when it ends"
        raise refused(Reason.ID_TOKEN_NO_TIMES, why)
    said = f"the provider's clock says {_day(now)}"
    if now >= expires + LEEWAY:
        raise refused(Reason.ID_TOKEN_EXPIRED, f"it ended {_day(expires)}, and {said}")
    if issued > now + LEEWAY:
        raise refused(Reason.ID_TOKEN_FUTURE, f"it was issued {_day(issued)}, and {said}")
    starts = claims.get("nbf")  # RFC 7519 §4.1.5
    if starts is not None and (not is_time(starts) or starts > now + LEEWAY):
        raise refused(Reason.ID_TOKEN_FUTURE, f"it does not hold yet, and {said}")


def _check_question(claims: Mapping[str, Any], asked: Asked) -> None:
    """That it answers this login, and not an earlier one."""
    if asked.nonce is not None:
        given = claims.get("nonce")
        if not isinstance(given, str) or Secret(given) != asked.nonce:
            raise refused(Reason.ID_TOKEN_NONCE, "its nonce is not the one that was sent")
    elif asked.since is not None and claims["iat"] < asked.since - LEEWAY:
        raise refused(Reason.ID_TOKEN_TOO_OLD, "it was issued before this login began")


def _check_authentication(claims: Mapping[str, Any], asked: Asked, now: float) -> None:
    """``auth_time`` and ``acr``, where they were asked for."""
    proved = claims.get("auth_time")
    if asked.auth_time or asked.max_age is not None:
        if not is_time(proved):
            why = "it does not say when its user signed in, although that was asked for"
            raise refused(Reason.ID_TOKEN_NO_AUTH_TIME, why)
        # a user who signed in after the request was sent did so in time, however long it took
        begun = now if asked.since is None else min(now, asked.since)
        oldest = None if asked.max_age is None else begun - asked.max_age - LEEWAY
        if oldest is not None and not oldest <= proved <= now + LEEWAY:
            why = "its user signed in longer ago than max_age allows"
            raise refused(Reason.ID_TOKEN_AUTH_TIME, why)
    given = claims.get("acr")
    if asked.acr and given not in asked.acr and (given is not None or asked.acr_required):
        why = "its user signed in another way than acr_values asks for"
        raise refused(Reason.ID_TOKEN_ACR, why)


def _wishes(config: OAuthConfig, sent: Mapping[str, str]) -> Asked:
    """What ``sent``, the further parameters of the first request, asks of the ID token.

    Raises:
        ConfigInvalid: A parameter cannot be read, so no answer could be checked against it.
    """
    max_age = sent.get("max_age")
    if max_age is not None and not (max_age.isascii() and max_age.isdigit()):
        raise _unreadable(config, "max_age")
    members: object = {}
    if "claims" in sent:
        try:
            members = json.loads(sent["claims"])
        except (ValueError, RecursionError):
            raise _unreadable(config, "claims") from None
    requested = _member(members, "id_token")
    time, acr = _member(requested, "auth_time"), _member(requested, "acr")
    listed = acr.get("values")
    values = [acr.get("value"), *(cast("list[object]", listed) if isinstance(listed, list) else ())]
    return Asked(
        max_age=float(max_age) if max_age is not None else None,
        auth_time=time.get("essential") is True,
        acr=(
            *sent.get("acr_values", "").split(),
            *(value for value in values if isinstance(value, str)),
        ),
        acr_required=acr.get("essential") is True,
    )


def _member(members: object, name: str) -> dict[str, object]:
    """The object ``name`` of ``members``; an empty one where it is anything else."""
    inner = cast("dict[str, object]", members).get(name) if isinstance(members, dict) else None
    return cast("dict[str, object]", inner) if isinstance(inner, dict) else {}


def _unreadable(config: OAuthConfig, name: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"the parameter {name!r} of {config.title} cannot be read",
        hint=Hint("provider show", config.service_name),
    )


def claims_of(id_token: str) -> dict[str, Any]:
    """The claims of ``id_token``, or of another JWT; empty if they cannot be read.

    Its signature is not checked here: it was when the token came, or the claims prove nothing.
    """
    payload = id_token.split(".")[1:2]
    try:
        text = b64decode((payload or [""])[0] + "==", altchars="-_")
        claims: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", claims) if isinstance(claims, dict) else {}


def audience_of(claims: Mapping[str, Any]) -> list[object]:
    """Whom ``claims`` are meant for: ``aud``, one text or a list of them (RFC 7519 §4.1.3)."""
    named = claims.get("aud")
    return cast("list[object]", named) if isinstance(named, list) else [named]


def is_time(value: object) -> TypeGuard[float]:
    """Whether ``value`` is a time as a claim has it (RFC 7519 §2, NumericDate)."""
    # the bounds keep NaN out, which JSON readers let in and no comparison would refuse
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _day(seconds: object) -> str:
    """A time as people read it, in UTC."""
    try:
        moment = datetime.fromtimestamp(cast("float", seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return "in another age"
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _check_access_token(algorithm: str, at_hash: object, access_token: str) -> None:
    """OpenID Connect Core §3.1.3.6: the left half of the hash that goes with the algorithm."""
    data = access_token.encode("ascii", "replace")
    if algorithm.startswith("Ed"):  # its name may leave open which curve it is
        digests = [new_hash("sha512", data).digest(), shake_256(data).digest(_ED448)]
    else:
        digests = [new_hash(_HASHES.get(algorithm[-3:], "sha256"), data).digest()]
    halves = [
        urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
        for digest in digests
    ]
    if not isinstance(at_hash, str) or not any(
        compare_digest(half.encode(), at_hash.encode("utf-8", "replace")) for half in halves
    ):
        raise refused(Reason.ID_TOKEN_ACCESS_TOKEN, "it belongs to another access token")
