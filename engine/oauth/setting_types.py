"""What each setting of a provider may hold, by its type and its choices.

Whether a request can be made with the settings is another question (:mod:`.settings_check`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias, cast, get_args

from ..errors import ConfigInvalid
from ..hints import Hint

ClientAuthentication: TypeAlias = Literal[
    "auto",
    "auto_post",
    "auto_jwt",
    "none",
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
]
"""How the client proves itself (RFC 6749 §2.3, OpenID Connect Core §9, RFC 8705 §2).

``auto``: by the certificate, the key or the secret that it has, in this order, else ``none``; the
secret by ``client_secret_basic``. ``auto_post`` and ``auto_jwt``: likewise, the secret by
``client_secret_post`` and ``client_secret_jwt``.
"""

ResponseMode: TypeAlias = Literal["auto", "jwt", "query.jwt"]
"""How an authorization response comes back (JARM §2.3)."""
Wanted: TypeAlias = Literal["auto", "required", "off"]
"""Whether something is done: where the server or the registration asks for it, always, or never."""
GrantName: TypeAlias = Literal[
    "authorization-code", "client-credentials", "token-exchange", "jwt-bearer"
]
"""How tokens are asked for: with the user, or by one of the grants that need none."""
TOKEN_TYPES: Final = (
    *("access_token", "refresh_token", "id_token", "saml1", "saml2", "jwt"),  # RFC 8693 §3
    "id-jag",  # draft-ietf-oauth-identity-assertion-authz-grant §3
)
"""The words for types of tokens; another type is given as the URN that it is."""
BodyFormat: TypeAlias = Literal["form", "json"]
RevocationFormat: TypeAlias = Literal["", "form", "json"]
PkceMethod: TypeAlias = Literal["S256", "off"]
"""How a code is bound to its login (RFC 7636 §4.3); ``off`` for servers that refuse PKCE."""
SecretUse: TypeAlias = Literal["all", "code", "none"]
"""Which requests the client proves itself on with its secret."""
RevocationMethod: TypeAlias = Literal["POST", "DELETE", "GET"]
RevocationAuthentication: TypeAlias = Literal["client", "basic", "bearer", "none"]
"""Who a revocation is sent as: the client in its usual way or by ``Basic``, the token's bearer, or
nobody."""
RevocationReach: TypeAlias = Literal["", "token", "grant", "all"]
"""What a revocation ends; empty where it is not known."""
Rotation: TypeAlias = Literal["", "yes", "no", "optional"]
"""Whether a refresh brings a new refresh token; empty where it is not known."""
Discovery: TypeAlias = Literal["yes", "no", "endpoints-elsewhere"]
RedirectPort: TypeAlias = Literal["", "any", "exact", "range"]
"""Which ports of a loopback address a server takes; empty where it is not known."""

DEVICE_GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
"""RFC 8628 §3.4."""
DEFAULT_REDIRECT_URI: Final = "http://127.0.0.1/callback"
"""Of a provider in a file, and of an issuer (RFC 8252 §8.3 advises against the name)."""
PROGRAMS_REDIRECT_URI: Final = "http://localhost/callback"
"""Of a provider that a program makes: what the API's page tells people to register, letter by letter."""
ASYMMETRIC: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"),
)
"""The JWS algorithms with a public key (RFC 7518 §3.1, RFC 8037, RFC 8812, RFC 9864)."""
DEFAULT_PORTS: Final = (8080, 3000, 57548)
_LISTS: Final = frozenset(
    {
        "scopes",
        "resources",
        "ports",
        "token_types",
        "token_response_path",
        "id_token_algorithms",
        "id_token_issuers",
        "client_assertion_algorithms",
        "dpop_algorithms",
        "request_object_algorithms",
        "scopes_for_device",
        "repeats_scope",
        "repeats_redirect_uri",
        "revocation_parameters",
        "revocation_tokens",
        "token_lists",
        "callback_extras",
        "redirect_hosts",
        "registration_parameters",
    }
)
_SWITCHES: Final = frozenset(
    {"iss_required", "shows_code", "client_id_in_body", "par_required", "redirect_per_issuer"}
    | {"id_token_azp_required"}
    | {"empty_400_refuses", "dpop_bound_access_tokens", "request_object_required"}
    | {"empty_secret", "sends_scope", "sends_redirect_uri", "refresh_lifetime_slides"}
    | {"redirect_https_only", "registration_scope_list", "sends_scope_for_device"}
)
_MAPS: Final = frozenset(
    {"token_request_headers", "mtls_endpoint_aliases"}
    | {"parameter_names", "member_names", "error_codes", "extra_registration_params"}
)
_SECONDS: Final = frozenset({"device_lifetime", "refresh_grace", "refresh_lifetime"})
_LONGEST: Final = 100 * 366 * 86400
OURS: Final = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
        "dpop_jkt",
    }
)
"""Parameters no configuration may set: the checks of the callback rest on them.

A request object (RFC 9101 §6.3) would replace every other parameter.
"""
OURS_AT_TOKEN_ENDPOINT: Final = frozenset(
    {"grant_type", "code", "code_verifier", "redirect_uri", "refresh_token", "device_code"}
    | {"client_id", "client_secret", "client_assertion", "client_assertion_type"}
    | {"token", "token_type_hint"}
)
"""Parameters of token, device and revocation requests that no configuration may set."""
EXTRA_PARAMETERS: Final = (
    *("extra_auth_params", "extra_device_params", "extra_token_params"),
    *("extra_refresh_params", "extra_revoke_params"),
)
"""The settings with further parameters, by the kind of request."""
OUR_HEADERS: Final = frozenset(
    {"authorization", "content-type", "content-length", "host", "transfer-encoding", "cookie"}
)
SINCE_FOUR: Final = frozenset(
    {"parameter_names", "member_names", "error_codes", "device_grant_type", "device_lifetime"}
    | {"repeats_scope", "repeats_redirect_uri", "refresh_url", "scopes_for_device", "secret_for"}
    | {"empty_secret", "sends_scope", "sends_redirect_uri", "pkce", "revocation_method"}
    | {"revocation_auth", "revocation_parameters", "revocation_format", "revocation_tokens"}
    | {"revocation_ends", "refresh_rotates", "refresh_grace", "refresh_lifetime"}
    | {"refresh_lifetime_slides", "token_lists", "token_resource_member", "api_url_member"}
    | {"callback_extras", "issuer_template", "discovers", "redirect_port", "redirect_hosts"}
    | {"registration_url", "registration_parameters", "registration_scope_list"}
    | {"extra_registration_params", "sends_scope_for_device"}
    | {"redirect_https_only", "client_id_for_device", "client_secret_for_device"}
)
"""The settings that versions before number 4 of a record's layout do not know."""
_CHOICES: Final = {
    "token_endpoint_auth_method": get_args(ClientAuthentication),
    "token_request_format": get_args(BodyFormat),
    "par": get_args(Wanted),
    "dpop": get_args(Wanted),
    "request_object": get_args(Wanted),
    "grant": get_args(GrantName),
    "response_mode": get_args(ResponseMode),
    "pkce": get_args(PkceMethod),
    "secret_for": get_args(SecretUse),
    "revocation_method": get_args(RevocationMethod),
    "revocation_auth": get_args(RevocationAuthentication),
    "revocation_format": get_args(RevocationFormat),
    "revocation_ends": get_args(RevocationReach),
    "refresh_rotates": get_args(Rotation),
    "discovers": get_args(Discovery),
    "redirect_port": get_args(RedirectPort),
}
REGISTERED: Final = frozenset(
    {"client_name", "software_id", "application_type", "redirect_uris", "grant_types"}
    | {"response_types", "token_endpoint_auth_method", "scope"}
)
"""What a registration says of a client (RFC 7591 §2)."""
_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "repeats_scope": frozenset({"poll", "refresh"}),
    "repeats_redirect_uri": frozenset({"refresh"}),
    "revocation_parameters": frozenset({"token", "token_type_hint", "client_id"}),
    "revocation_tokens": frozenset({"refresh_token", "access_token"}),
    "registration_parameters": REGISTERED,
    "redirect_hosts": frozenset({"127.0.0.1", "localhost", "::1"}),
}
"""The lists whose parts are words of ours."""


class Form(Enum):
    """How a setting is written as text, where that is not the text itself."""

    LIST = "list"
    TABLE = "table"
    SWITCH = "switch"
    SECONDS = "seconds"


def form_of(name: str) -> Form | tuple[str, ...] | None:
    """How the setting ``name`` is written; the words that it may be; ``None`` for any text."""
    if name in _LISTS:
        return Form.LIST
    if name in _MAPS or name in EXTRA_PARAMETERS:
        return Form.TABLE
    if name in _SWITCHES:
        return Form.SWITCH
    return Form.SECONDS if name in _SECONDS else _CHOICES.get(name)


def check(name: str, value: object) -> None:
    """Refuse a value that the setting ``name`` cannot have, by its type or its choices.

    Raises:
        ConfigInvalid: It cannot.
    """
    if name in _LISTS:
        fine = isinstance(value, list | tuple) and all(
            _port(part) if name == "ports" else _text(part)
            for part in cast("Sequence[object]", value)
        )
        if fine and name in _PARTS:
            fine = set(cast("Sequence[str]", value)) <= _PARTS[name]
    elif name in _SECONDS:
        fine = isinstance(value, int | float) and not isinstance(value, bool)
        fine = fine and 0 <= cast("float", value) <= _LONGEST
    elif name in EXTRA_PARAMETERS or name in _MAPS:
        fine = isinstance(value, Mapping) and all(
            _text(part) for pair in cast("Mapping[object, object]", value).items() for part in pair
        )
    elif name in _SWITCHES:
        fine = isinstance(value, bool)
    elif name == "via":  # which transports there are, only those know who can load them
        fine = isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum()
    else:
        fine = _text(value) and value in _CHOICES.get(name, (value,))
        fine = fine and (name != "service_name" or value != "")
    if not fine:
        takes = _takes(name)
        said = f"takes {takes}" if takes else "has a value that cannot be right"
        msg = f"the provider setting {name!r} {said}"
        raise ConfigInvalid(msg, hint=Hint("help providers"))


def _takes(name: str) -> str:
    """What the setting ``name`` takes, in words; empty for a text."""
    form = form_of(name)
    if isinstance(form, tuple):
        return f"one of {', '.join(word for word in form if word)}"
    examples: dict[str, tuple[object, ...]] = {
        "ports": (8765, 8766),
        "scopes": ("openid", "email"),
        **{one: (*sorted(parts),) for one, parts in _PARTS.items()},
    }
    said = {
        Form.LIST: f"a sequence, such as {examples.get(name, ('one', 'another'))!r}",
        Form.TABLE: "a mapping of texts, such as {'one': 'another'}",
        Form.SWITCH: "True or False",
        Form.SECONDS: f"a number of seconds, at most {_LONGEST:.0f}",
    }
    return said[form] if form else ""


def _text(value: object) -> bool:
    """Whether it is text that can be sent and saved: a variable's octets need not be UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 16


ENDPOINTS: Final = {
    "auth_url": "authorization_endpoint",
    "token_url": "token_endpoint",
    "device_url": "device_authorization_endpoint",
    "revocation_url": "revocation_endpoint",
    "introspection_url": "introspection_endpoint",
    "jwks_url": "jwks_uri",
    "userinfo_url": "userinfo_endpoint",
    "end_session_url": "end_session_endpoint",
    "par_url": "pushed_authorization_request_endpoint",
}
"""The endpoints of a provider, by our name, and the name that published metadata has for each."""
