"""What a provider documents of its requests and answers, as data: the dialect that the stand-in speaks.

A dialect is written from what the provider says or is seen to send, and never from the settings that
a client of it uses: it is what those settings are tried on. It is a TOML text with these tables; one
that is left out is as the RFC has it::

    [client]      # public: it may sign in without a secret; secret: how one comes
    [redirect]    # hosts, ports ("any", "exact", "10000-10010"), also: fixed addresses
    [authorize]   # url, pkce, scopes, separator, …
    [token]       # the code exchange; its url, names and answer serve the next two as well
    [refresh]     # rotates, only_with: the scope that brings refresh tokens
    [device]  [poll]
    [revoke]
    [register]    # where a client registers itself at run time
    [metadata]  [id_token]

An answer is a text as the provider sends it, JSON or a form, with ``$access_token``,
``$refresh_token``, ``$id_token``, ``$client_id``, ``$client_secret``, ``$scope``, ``$scopes`` (an array), ``$expires_in`` (a number), ``$device_code``,
``$user_code`` and ``$now`` where the values stand; a member without a value is left out of it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar, cast, get_origin, get_type_hints

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
PUBLIC_STYLES: Final = frozenset({"none", "empty-basic"})
"""The ways of a client without a secret: its id in the body, or in the header with an empty secret."""

_TOKENS: Final = (
    '{"access_token": "$access_token", "token_type": "Bearer", "expires_in": "$expires_in",'
    ' "refresh_token": "$refresh_token", "id_token": "$id_token", "scope": "$scope"}'
)
_CODES: Final = (
    '{"device_code": "$device_code", "user_code": "$user_code",'
    ' "verification_uri": "https://device.example/", "expires_in": 600, "interval": 5}'
)


@dataclass(frozen=True, kw_only=True)
class Client:
    """The clients that a provider registers.

    Attributes:
        public: Whether one may go without a secret.
        secret: How a secret comes: ``basic``, ``post``; empty where there are no secrets.
        without: How a client without a secret comes: ``none``, or ``empty-basic``.
    """

    public: bool = True
    secret: tuple[str, ...] = ("basic", "post")
    without: tuple[str, ...] = ("none",)

    def __post_init__(self) -> None:
        """Refuse words that have no meaning."""
        if unknown := {*self.secret, *self.without} - {"basic", "post", *PUBLIC_STYLES}:
            raise ValueError(f"no way of a client: {unknown}")


@dataclass(frozen=True, kw_only=True)
class Redirect:
    """The redirect addresses that a native client may register.

    Attributes:
        hosts: The names of this machine that it takes.
        ports: ``any`` at sign-in (RFC 8252 §7.3); ``exact``; or a range.
        path: The path that it must be, if it is fixed.
        also: Addresses that are not of this machine.
    """

    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    ports: str = "exact"
    path: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Call:
    """A kind of request.

    Attributes:
        url: The endpoint.
        method: The HTTP method.
        body: ``form``, ``json``, or ``none``: then its parameters are not looked at.
        names: The provider's names of parameters, by those of the RFC.
        needs: Parameters and their values; ``*`` is any.
        may: Further parameters that are documented.
        refuses: Parameters that must not be sent.
        headers: Header fields and their values; ``*`` is any.
        client: How the client comes, where that is not the same for all requests.
        answer: The answer.
        status: Its HTTP status.
        type: Its media type.
        refused: A refusal; the answer of the RFC if empty.
        refused_status: Its HTTP status.
    """

    url: str = ""
    method: str = "POST"
    body: str = "form"
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    needs: Mapping[str, str] = field(default_factory=dict[str, str])
    may: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    client: tuple[str, ...] = ()
    answer: str = ""
    status: int = 200
    type: str = "application/json"
    refused: str = ""
    refused_status: int = 400


@dataclass(frozen=True, kw_only=True)
class Authorize(Call):
    """The authorization request (RFC 6749 §4.1.1).

    Attributes:
        pkce: ``required``; ``optional``; or ``none``, where its parameters mean nothing.
        scopes: Those that are known; another one is refused.
        separator: What stands between two.
        callback: Further parameters of the callback.
        shows_code: The redirect addresses with which a page shows the code; an empty one stands for
            no address at all.
    """

    method: str = "GET"
    pkce: str = "optional"
    scopes: tuple[str, ...] = ()
    separator: str = " "
    callback: Mapping[str, str] = field(default_factory=dict[str, str])
    shows_code: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Token(Call):
    """The code exchange (RFC 6749 §4.1.3).

    Attributes:
        answer_separator: What stands between two granted scopes.
        expires_in: Seconds that an access token lasts.
        ends_with_refresh_only: Whether one lasts without an end where no refresh token comes with it.
    """

    answer: str = _TOKENS
    answer_separator: str = " "
    expires_in: int = 3600
    ends_with_refresh_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Refresh(Call):
    """The refresh (RFC 6749 §6).

    Attributes:
        issued: Whether there are refresh tokens.
        only_with: The scope that one must ask for to get one.
        rotates: Whether the old one is no good any more. Else the answer has none.
        repeats_redirect_uri: Whether the redirect address must be there again, after a sign-in with
            one.
        client_after_device: How the client comes, after a sign-in by device code.
    """

    issued: bool = True
    only_with: str = ""
    rotates: bool = True
    repeats_redirect_uri: bool = False
    client_after_device: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Device(Call):
    """The device authorization request (RFC 8628 §3.1).

    Attributes:
        scopes: Those that are known to it, where they are others.
    """

    answer: str = _CODES
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Poll(Call):
    """A poll (RFC 8628 §3.4).

    Attributes:
        grant: The grant type.
        pending: The answer before the user has decided.
        pending_status: Its HTTP status.
        slow_down: The answer to the second poll; none if empty.
        slow_down_status: Its HTTP status.
    """

    grant: str = DEVICE_GRANT
    pending: str = '{"error": "authorization_pending"}'
    pending_status: int = 400
    slow_down: str = ""
    slow_down_status: int = 400


@dataclass(frozen=True, kw_only=True)
class Revoke(Call):
    """The revocation (RFC 7009 §2).

    Attributes:
        token: Where the token is: in the ``body``, or the ``bearer`` header.
        ends: What ends with it: the ``token``, the ``grant``, or ``all`` of that user's grants.
        kinds: The kinds of tokens that it takes.
    """

    token: str = "body"
    ends: str = "grant"
    kinds: tuple[str, ...] = ("access_token", "refresh_token")


@dataclass(frozen=True, kw_only=True)
class Register(Call):
    """The registration of a client by itself, at run time (RFC 7591 §3.1).

    Attributes:
        body: ``json``, as in the RFC.
        redirect_uris: The addresses that a program must name.
        grants: The grant types that it must name.
    """

    body: str = "json"
    redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What the provider publishes (RFC 8414 §3).

    Attributes:
        urls: Where.
        issuer: The issuer identifier in it.
        adds: Further members, as JSON.
        lacks: Members that it lacks, although there is such an endpoint.
    """

    urls: tuple[str, ...] = ()
    issuer: str = ""
    adds: str = "{}"
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IdToken:
    """The ID tokens (OpenID Connect Core §2); there are none without an issuer.

    Attributes:
        issuer: Their ``iss``.
        algorithm: Their JWS algorithm.
        jwks_url: Where the keys are.
        claims: Further claims.
        always: Whether they come without the scope ``openid``, too.
    """

    issuer: str = ""
    algorithm: str = "RS256"
    jwks_url: str = ""
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One provider's dialect.

    Attributes:
        covers: The names that clients know the provider by, and what stands for the blanks of its
            addresses there (``host``, ``tenant``).
    """

    covers: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    client: Client = field(default_factory=Client)
    redirect: Redirect = field(default_factory=Redirect)
    authorize: Authorize = field(default_factory=Authorize)
    token: Token = field(default_factory=Token)
    refresh: Refresh = field(default_factory=Refresh)
    device: Device = field(default_factory=Device)
    poll: Poll = field(default_factory=Poll)
    revoke: Revoke = field(default_factory=Revoke)
    register: Register = field(default_factory=Register)
    metadata: Metadata = field(default_factory=Metadata)
    id_token: IdToken = field(default_factory=IdToken)

    @classmethod
    def read(cls, text: str) -> Dialect:
        """The dialect that ``text`` describes.

        Raises:
            ValueError: It is no TOML, or has a table or member that means nothing.
        """
        tables = tomllib.loads(text)
        token = tables.get("token", {})
        shared = {name: token[name] for name in _SHARED if name in token}
        for name in ("refresh", "poll"):
            tables[name] = {**shared, **tables.get(name, {})}
        tables["refresh"].setdefault("answer", token.get("answer", _TOKENS))
        tables["poll"].setdefault("answer", token.get("answer", _TOKENS))
        return _made(cls, tables, "a dialect")


_SHARED: Final = ("url", "method", "body", "names", "headers", "client", "type", "status",
                  "refused", "refused_status")  # fmt: skip
T = TypeVar("T")


def _made(kind: type[T], members: Mapping[str, object], where: str) -> T:
    """A ``kind`` with these members."""
    types = get_type_hints(kind)
    made: dict[str, Any] = {}
    for name, value in members.items():
        if name not in {f.name for f in fields(kind)}:  # type: ignore[arg-type]  # a dataclass
            raise ValueError(f"{where} has no {name}")
        wanted = types[name]
        if isinstance(value, dict) and get_origin(wanted) is None:
            made[name] = _made(wanted, cast("dict[str, object]", value), f"[{name}]")
        elif isinstance(value, list):
            made[name] = tuple(cast("list[object]", value))
        else:
            made[name] = value
    return kind(**made)
