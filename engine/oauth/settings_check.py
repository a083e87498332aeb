"""Settings of a provider that no request can be made with, found before a user is asked for consent.

:class:`.provider.OAuthProvider` refuses what cannot be saved. A record of an older version may
hold settings that are refused here: it is still read, but no new login begins with them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Final, cast

from ..errors import ConfigInvalid
from ..hints import Hint

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
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def require_sendable(provider: OAuthProvider) -> None:
    """Refuse settings that no request can be made with.

    Raises:
        ConfigInvalid: The message names the setting.
    """
    for name, text in _texts(provider):
        if any(unicodedata.category(c) in _CONTROLS or c in _TURNING for c in text):
            raise _wrong(name, "has control characters")
    headers, parameters = provider.token_request_headers, provider.extra_auth_params
    age = parameters.get("max_age", "0")
    for setting, fine, why in (
        ("scopes", all(map(_SCOPE.fullmatch, provider.scopes)), "has an empty scope, or one with characters that no scope may have"),
        ("scope_parameter", _NAME.fullmatch(provider.scope_parameter), "is not the name of a parameter"),
        ("scope_parameter", provider.scope_parameter.lower() not in RESPONSE_PARAMETERS, "is a parameter of the provider's answer"),
        ("scope_separator", _SEPARATOR.fullmatch(provider.scope_separator), "cannot stand between two scopes"),
        ("token_request_headers", all(map(_HEADER_NAME.fullmatch, headers)), "has a name that no header may have"),
        ("token_request_headers", all(map(_HEADER_VALUE.fullmatch, headers.values())), "has a value that no header may have"),
        ("extra_auth_params", all(map(str.strip, parameters)), "has a parameter without a name"),
        ("extra_auth_params", age.isascii() and age.isdigit(), "has a max_age that is not a number of seconds"),
    ):  # fmt: skip
        if not fine:
            raise _wrong(setting, why)


def _texts(provider: OAuthProvider) -> Iterator[tuple[str, str]]:
    """Every text in the settings, with the name of its setting."""
    for f in fields(provider):
        value: object = getattr(provider, f.name)
        if f.name in {"client_id", "client_secret"}:  # judged with their source
            continue
        if isinstance(value, str):
            yield f.name, value
        elif isinstance(value, Mapping):
            for pair in cast("Mapping[str, str]", value).items():
                yield from ((f.name, text) for text in pair)
        elif isinstance(value, list | tuple):
            for part in cast("list[object]", value):
                if isinstance(part, str):
                    yield f.name, part


def _wrong(setting: str, why: str) -> ConfigInvalid:
    return ConfigInvalid(f"the provider setting {setting} {why}", hint=Hint("help providers"))
