"""The keys a provider publishes (RFC 7517): how they are fetched, and what is refused for want of one.

What checks a signature with them is :mod:`.signatures`, which loads joserfc; most commands need none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import NetworkError, ProviderError
from ..ports import HttpRequest
from ..reasons import Reason
from .addresses import secure_address
from .provider_response import read_members

if TYPE_CHECKING:
    from ..ports import HttpResponse
    from .provider import OAuthConfig


Keys: TypeAlias = "Mapping[str, object]"
"""A key set of a provider (RFC 7517 §5)."""


class IdTokenRefused(ProviderError):
    """A check of an ID token failed; ``reason`` says which."""


class UnknownKey(IdTokenRefused):
    """No key at hand has made this signature; newer ones may be published."""


def refused(
    reason: Reason, why: str, kind: type[IdTokenRefused] = IdTokenRefused
) -> IdTokenRefused:
    """The error for one failed check: ``why`` for people, ``reason`` for the log."""
    return kind(f"the ID token does not hold: {why}", reason=reason.value)


def keys_request(config: OAuthConfig) -> HttpRequest:
    """The request for the provider's published keys."""
    return HttpRequest(
        method="GET", url=config.jwks_url or "", headers={"Accept": "application/json"}
    )


def judge_keys(response: HttpResponse) -> dict[str, Any]:
    """The key set (RFC 7517 §5) in ``response``.

    Raises:
        NetworkError: The provider has trouble; a later answer may hold the keys.
        ProviderError: There is no key set at this address.
    """
    if response.status >= 500 or response.status == 429:
        raise NetworkError(f"the provider's signing keys are not available ({response.status})")
    members = read_members(response) if response.status == 200 else None
    if members is None or not isinstance(members.get("keys"), list):
        msg = f"the provider publishes no signing keys at its jwks_uri (HTTP {response.status})"
        raise ProviderError(msg, status=response.status)
    return members


def publishes_keys(config: OAuthConfig) -> bool:
    """Whether the keys of ``config`` can be fetched from an address that is safe."""
    return secure_address(config.jwks_url)
