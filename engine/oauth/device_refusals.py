"""Refusals that are about the way of signing in, not about who signs in.

Organisations switch the device flow off, or let it through only from machines they manage
(conditional access). What their providers say of it is a paragraph for administrators, with trace
ids and names in it. It is recognised here and said in our own words, with what may work instead;
of theirs only the error's number is repeated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..errors import ProviderError
from ..hints import Hint
from .provider_response import error_code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .provider import OAuthConfig

_NUMBER: Final = re.compile(r"\bAADSTS(\d{5,7})\b")
_POLICY: Final = "a policy of your organisation does not allow it"
_STRONGER: Final = "your organisation asks for a second factor, which it cannot give here"
_CLIENT: Final = "this client is not registered for it"
_NUMBERED: Final = (  # Microsoft Entra; https://learn.microsoft.com/entra/identity-platform
    (re.compile(r"530\d{2,4}|50005|50097|50131|50158|50142"), _POLICY),
    (re.compile(r"5007[2469]"), _STRONGER),
    (re.compile(r"7000218|700022|700023|50194"), _CLIENT),
    (re.compile(r"50105"), "your account is not assigned to this client"),
)
_WORDED: Final = (
    (
        re.compile(
            r"conditional access|security defaults|policy evaluation|access polic|"
            r"(managed|compliant) device|blocked by .{0,40}polic",
            re.IGNORECASE,
        ),
        _POLICY,
    ),
    (
        re.compile(
            r"device (code )?(flow|grant)\b.{0,60}\b(disabled|not (allowed|enabled|supported))|"
            r"grant type .{0,80}not allowed",
            re.IGNORECASE,
        ),
        _CLIENT,
    ),
)
_CODES: Final = {
    "device_flow_disabled": _CLIENT,  # GitHub
    "unauthorized_client": _CLIENT,
    "unsupported_grant_type": "the provider does not offer it",
    "admin_policy_enforced": _POLICY,  # Google
    "org_internal": "it is for members of the client's own organisation",
}


def policy_refusal(
    config: OAuthConfig, members: Mapping[str, Any], status: int
) -> ProviderError | None:
    """The refusal in an answer to a device request or poll, if it is about the device flow.

    Args:
        config: The provider.
        members: The members of the answer.
        status: Its HTTP status.
    """
    code = members.get("error")
    if not isinstance(code, str) or status >= 500:
        return None
    described = members.get("error_description")
    why, number = _why(code, described if isinstance(described, str) else "")
    if why is None:
        return None
    other = "loopback" if config.auth_url else "auto"
    return ProviderError(
        f"{config.title} refused the device flow: {why}{number}",
        oauth_error=error_code(members, secret=config.client_secret),
        status=status,
        hint=Hint("login", config.service_name, "--via", other),
    )


def _why(code: str, description: str) -> tuple[str | None, str]:
    """Why, in our words, and the number that administrators search for."""
    found = _NUMBER.search(description)
    if found:
        for numbers, why in _NUMBERED:
            if numbers.fullmatch(found[1]):
                return why, f" ({found[0]})"
    for words, why in _WORDED:
        if words.search(description):
            return why, f" ({found[0]})" if found else ""
    return _CODES.get(code), ""
