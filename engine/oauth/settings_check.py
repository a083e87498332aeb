"""Settings of a provider that no request can be made with, found before a user is asked for consent.

:class:`.provider.OAuthProvider` refuses what cannot be saved. A record of an older version may
hold settings that are refused here: it is still read, but no new login begins with them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from ..errors import ConfigInvalid
from ..hints import Hint
from .addresses import secure_address
from .dialect import naming_fault
from .setting_types import EXTRA_PARAMETERS, OURS, REGISTERED, TOKEN_TYPES

if TYPE_CHECKING:
    from .provider import OAuthProvider

RESPONSE_PARAMETERS: Final = frozenset(
    {"code", "state", "iss", "error", "error_description", "error_uri"}
    | {"access_token", "id_token", "token_type", "refresh_token", "expires_in"}
)
"""The parameters of an authorization response (RFC 6749 §4.1.2, §4.2.2; RFC 9207 §2)."""
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # NQCHAR (RFC 6749 §3.3)
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # token (RFC 9110 §5.6.2)
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7E]([\x20-\x7E]*[\x21-\x7E])?|")  # RFC 9110 §5.5
_NAME: Final = re.compile(r"[\x21-\x7E]+")
_SEPARATOR: Final = re.compile(r"[\x20-\x7E]+")
_URI: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x24-\x3B\x3D\x3F-\x5B\x5D\x5F\x61-\x7A\x7E%]+"
)
"""A scheme and what may follow it but ``#`` (RFC 3986 §4.3)."""
_OF_GRANTS: Final = frozenset(
    {"assertion", "subject_token", "subject_token_type", "actor_token", "actor_token_type"}
    | {"requested_token_type", "scope", "audience", "resource"}
)
"""The parameters of grants that need no user, which have settings of their own."""
_OTHER_GRANTS: Final = frozenset(
    {"authorization_code", "refresh_token", "client_credentials", "password", "implicit"}
)
_BLANK: Final = re.compile(r"\{[^}]*\}?|\}")
_DIGITS: Final = 10  # of a number of seconds: more than a human life
_JUDGED_WITH_SOURCE: Final = frozenset(
    {"client_id", "client_secret", "client_key", "subject_token", "actor_token"}
    | {"client_id_for_device", "client_secret_for_device"}
)
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def require_sendable(provider: OAuthProvider) -> None:
    """Refuse settings that no request can be made with.

    Raises:
        ConfigInvalid: The message names the setting.
    """
    fault = fault_of(provider)
    if fault is not None:
        setting, why = fault
        raise ConfigInvalid(f"the provider setting {setting} {why}", hint=Hint("help providers"))


def fault_of(provider: OAuthProvider) -> tuple[str, str] | None:
    """The first setting that no request can be made with, and why; ``None`` if all are fine."""
    for name, text in _texts(provider):
        if _has_controls(text):
            return name, "has control characters"
        if _holds_address(name) and (blank := _BLANK.search(_without_client_id(name, text))):
            return name, f"has a blank that nobody has filled in: {blank.group()[:40]}"
    headers = provider.token_request_headers
    for kind in EXTRA_PARAMETERS:
        parameters: Mapping[str, str] = getattr(provider, kind)
        age, prompts = parameters.get("max_age", "0"), parameters.get("prompt", "").split()
        checks: tuple[tuple[bool, str], ...] = (
            (all(map(str.strip, parameters)), "has a parameter without a name"),
            (age.isascii() and age.isdigit() and len(age) <= _DIGITS, "has a max_age that is not a number of seconds"),
            ("none" not in prompts or len(prompts) == 1, "has a prompt that is none and something else"),
        )  # fmt: skip
        for sound, why in checks:
            if not sound:
                return kind, why
    details = provider.authorization_details
    for setting, fine, why in (
        ("scopes", all(map(_SCOPE.fullmatch, provider.scopes)), "has an empty scope, or one with characters that no scope may have"),
        ("scope_parameter", _NAME.fullmatch(provider.scope_parameter), "is not the name of a parameter"),
        ("scope_parameter", provider.scope_parameter.lower() not in RESPONSE_PARAMETERS, "is a parameter of the provider's answer"),
        ("scope_separator", _SEPARATOR.fullmatch(provider.scope_separator), "cannot stand between two scopes"),
        ("token_request_headers", all(map(_HEADER_NAME.fullmatch, headers)), "has a name that no header may have"),
        ("token_request_headers", all(map(_HEADER_VALUE.fullmatch, headers.values())), "has a value that no header may have"),
        ("resources", all(map(resource_indicator, provider.resources)), "has a resource that is not an absolute address without a fragment (RFC 8707 §2)"),
        ("mtls_endpoint_aliases", all(map(secure_address, provider.mtls_endpoint_aliases.values())), "has an address that is not https"),
        ("subject_token_type", _is_type(provider.subject_token_type), "is no type of token (RFC 8693 §3)"),
        ("actor_token_type", _is_type(provider.actor_token_type), "is no type of token (RFC 8693 §3)"),
        ("requested_token_type", _is_type(provider.requested_token_type), "is no type of token (RFC 8693 §3)"),
        ("subject_login", not (provider.subject_login and provider.subject_token_file), "stands beside a file: one of them is the subject"),
        ("actor_login", not (provider.actor_login and provider.actor_token_file), "stands beside a file: one of them is the actor"),
        ("subject_login", _names_login(provider.subject_login), "names no provider whose login could be asked"),
        ("actor_login", _names_login(provider.actor_login), "names no provider whose login could be asked"),
        ("post_logout_redirect_uri", _comes_back(provider.post_logout_redirect_uri), "is no address that a browser can come back to"),
        ("extra_token_params", not (provider.needs_no_user and _OF_GRANTS & set(provider.extra_token_params)), "has a parameter of the grant itself"),
        ("authorization_details", details is None or _are_details(details), "is not a JSON array of objects that have a type (RFC 9396 §2)"),
    ):  # fmt: skip
        if not fine:
            return setting, why
    return naming_fault(provider) or _capability_fault(provider)


def _has_controls(text: str) -> bool:
    """Whether ``text`` has characters that do something to the line or the terminal it is shown in."""
    if text.isascii() and text.isprintable():  # as nearly every text: one look, not one a character
        return False
    return any(unicodedata.category(c) in _CONTROLS or c in _TURNING for c in text)


def _holds_address(name: str) -> bool:
    """Whether the setting ``name`` holds addresses. No address has braces in it (RFC 3986 §2)."""
    return name.endswith(("_url", "_uri")) or name in {"issuer", "mtls_endpoint_aliases"}


def _without_client_id(name: str, text: str) -> str:
    """``text`` of the setting ``name`` without the one placeholder that is filled at each request."""
    return text.replace("{client_id}", "", 1) if name == "revocation_url" else text


def _capability_fault(provider: OAuthProvider) -> tuple[str, str] | None:
    """The first setting about what the provider can do that cannot be right, and why; else ``None``."""
    extras = {name.lower() for name in provider.callback_extras}
    says_token = "token" in provider.revocation_parameters
    by_basic = provider.token_endpoint_auth_method in {"auto", "client_secret_basic"}
    for setting, fine, why in (
        ("pkce", provider.pkce != "off" or not provider.shows_code, "is off where a bare code is pasted: nothing would tie the code to its login"),
        ("sends_redirect_uri", provider.sends_redirect_uri or provider.shows_code, "is off where the provider shows no code: the browser would have nowhere to bring one"),
        ("device_grant_type", _NAME.fullmatch(provider.device_grant_type), "is no grant type"),
        ("device_grant_type", provider.device_grant_type not in _OTHER_GRANTS, "is the grant type of another grant"),
        ("device_lifetime", provider.device_lifetime != 0, "is no lifetime: a code of no seconds cannot be used"),
        ("refresh_url", not provider.refresh_url or secure_address(provider.refresh_url), "is not an https address"),
        ("registration_url", not provider.registration_url or secure_address(provider.registration_url), "is not an https address"),
        ("extra_registration_params", not set(provider.extra_registration_params) & _registered_names(provider), "has a member of the registration itself"),
        ("scopes_for_device", all(map(_SCOPE.fullmatch, provider.scopes_for_device)), "has an empty scope, or one with characters that no scope may have"),
        ("empty_secret", by_basic or not provider.empty_secret, "needs the client authentication client_secret_basic"),
        ("revocation_parameters", provider.revocation_method != "GET" or not says_token, "would put the token into an address, where logs keep it"),
        ("revocation_parameters", says_token or provider.revocation_auth == "bearer", "does not say which token is to end"),
        ("revocation_tokens", provider.revocation_tokens, "has no token that the provider revokes; leave out the revocation endpoint instead"),
        ("revocation_tokens", provider.revocation_auth != "bearer" or "refresh_token" not in provider.revocation_tokens, "would send a refresh token as a Bearer token"),
        ("refresh_lifetime", provider.refresh_lifetime != 0, "is no lifetime: a refresh token of no seconds cannot be used"),
        ("token_lists", all(map(_NAME.fullmatch, provider.token_lists)), "has a name that no member may have"),
        ("token_resource_member", not provider.token_resource_member or _NAME.fullmatch(provider.token_resource_member), "is not the name of a member"),
        ("api_url_member", not provider.api_url_member or _NAME.fullmatch(provider.api_url_member), "is not the name of a member"),
        ("callback_extras", all(map(_NAME.fullmatch, provider.callback_extras)), "has a name that no parameter may have"),
        ("callback_extras", not extras & (RESPONSE_PARAMETERS | OURS), "has a parameter of the provider's answer itself"),
        ("issuer_template", not provider.issuer_template or _is_template(provider.issuer_template), "is not an https address with {tenantid} once in its path"),
    ):  # fmt: skip
        if not fine:
            return setting, why
    return None


def _registered_names(provider: OAuthProvider) -> set[str]:
    """What the members of a registration are called, by the RFC and by the provider."""
    return {*REGISTERED, *(provider.parameter_names.get(name, name) for name in REGISTERED)}


def _is_template(text: str) -> bool:
    """Whether ``text`` is an issuer but for the tenant in its path: no tenant chooses the host."""
    host, mark, path = text.partition("{tenantid}")
    plain = not set(host + path) & set("{}?#")
    return bool(mark) and plain and host.count("/") >= 3 and secure_address(host + "x" + path)


def _names_login(named: str | None) -> bool:
    """Whether ``named`` is ``PROVIDER`` or ``PROVIDER/ACCOUNT``, or nothing at all."""
    return not named or bool(named.partition("/")[0].strip())


def _comes_back(address: str | None) -> bool:
    """Whether ``address`` may be that of a web page, or of an app by its own scheme (RFC 8252 §7.1).

    The scheme of an app has a dot. Without one it is of a page, or of what a browser would run or open
    itself: ``javascript:``, ``data:``, ``file:``.
    """
    if not address:
        return True
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    page = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return bool(_URI.fullmatch(address)) and (page or "." in parts.scheme)


def _is_type(word: str | None) -> bool:
    """Whether ``word`` names a type of token: a word of the list, or a URI."""
    return word is None or word in TOKEN_TYPES or bool(_URI.fullmatch(word))


def resource_indicator(text: str) -> bool:
    """Whether ``text`` may name a resource (RFC 8707 §2): an absolute URI without a fragment."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    named = parts.netloc or (parts.path and parts.scheme not in {"http", "https"})
    return bool(_URI.fullmatch(text) and named)


def _are_details(text: str) -> bool:
    """Whether ``text`` is what ``authorization_details`` may hold (RFC 9396 §2)."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, list) or not value:
        return False
    kinds = [
        cast("dict[str, object]", one).get("type") if isinstance(one, dict) else None
        for one in cast("list[object]", value)
    ]
    return all(isinstance(kind, str) and kind for kind in kinds)


def _texts(provider: OAuthProvider) -> Iterator[tuple[str, str]]:
    """Every text in the settings, with the name of its setting."""
    for f in fields(provider):
        value: object = getattr(provider, f.name)
        if not value or f.name in _JUDGED_WITH_SOURCE:
            continue
        if isinstance(value, str):
            yield f.name, value
        elif isinstance(value, list | tuple):
            for part in cast("list[object]", value):
                if isinstance(part, str):
                    yield f.name, part
        elif isinstance(value, Mapping):
            for pair in cast("Mapping[str, str]", value).items():
                yield from ((f.name, text) for text in pair)
