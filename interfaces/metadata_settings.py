"""The settings that come from a provider's published metadata, and what a new issuer does to them.

A login belongs to one issuer. When the issuer of a provider changes, nothing of the old issuer may
stay: its endpoints would get the codes and secrets of the new one (RFC 9700 §4.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from ..engine.oauth.provider import OAuthProvider
from ..engine.oauth.setting_types import ENDPOINTS

if TYPE_CHECKING:
    from ..engine.oauth.metadata import ServerMetadata

_METHOD: Final = "token_endpoint_auth_method"
_UNPUBLISHED: Final[Mapping[str, str]] = {
    "refresh_url": "refresh_endpoint",
    "registration_url": "registration_endpoint",
}
"""Further endpoints that get our secrets, by our names; metadata do not have them, or not for us."""
_UNSET: Final[Mapping[str, Any]] = {
    **dict.fromkeys((*ENDPOINTS, *_UNPUBLISHED), ""),
    "iss_required": False,
    "par_required": False,
    "client_assertion_algorithms": [],
    "dpop_algorithms": [],
    "request_object_required": False,
    "request_object_algorithms": [],
    "mtls_endpoint_aliases": {},
    "response_mode": "auto",
    _METHOD: "auto",
    "id_token_issuers": [],
}
"""The settings that belong to an issuer, and what stands for "none" where one is shipped."""
_CHOSEN_FOR_US: Final = ("auto_post", "auto_jwt", "none", "private_key_jwt", "tls_client_auth")
"""The ways of client authentication that metadata may choose."""


def published_settings(found: ServerMetadata) -> dict[str, Any]:
    """What a provider publishes, as the provider file spells it.

    Raises:
        ProviderError: It takes no way of client authentication that is supported.
    """
    spelt = {name: getattr(found, published) for name, published in ENDPOINTS.items()}
    spelt["iss_required"] = found.iss_supported or None
    spelt["par_required"] = found.par_required or None
    spelt["client_assertion_algorithms"] = list(found.assertion_algorithms or ()) or None
    spelt["request_object_required"] = found.request_object_required or None
    # "none" is among them at some servers, and is nothing to sign with
    spelt["request_object_algorithms"] = list(found.request_object_algorithms or ()) or None
    spelt["dpop_algorithms"] = list(found.dpop_algorithms or ()) or None
    spelt["response_mode"] = found.signed_mode
    spelt["mtls_endpoint_aliases"] = dict(found.mtls_endpoint_aliases) or None
    return {name: value for name, value in spelt.items() if value is not None}


def client_of(members: Mapping[str, Any]) -> OAuthProvider:
    """The client of a provider with these ``members``, as far as its ways to prove itself go."""
    key, certificate = members.get("client_key_file"), members.get("client_certificate_file")
    return OAuthProvider(
        service_name="client", client_key_file=key, client_certificate_file=certificate
    )


class ChangeOfIssuer(NamedTuple):
    """What a new issuer does to the settings of a provider.

    Attributes:
        changes: The members to write; ``None`` takes one out.
        gone: The endpoints of the old issuer that the new one has no replacement for.
    """

    changes: dict[str, Any]
    gone: list[str]


def change_of_issuer(
    *,
    given: Mapping[str, Any],
    table: Mapping[str, Any],
    shipped: OAuthProvider | None,
    before: ServerMetadata | None,
    found: ServerMetadata,
) -> ChangeOfIssuer:
    """The changes that replace everything of the old issuer by what the new one publishes.

    A setting that the user gave stays. What stands in the user's file is the user's own where there
    was no issuer before, or where the old issuer neither publishes it nor serves its host.

    Args:
        given: The settings that are given now, the new issuer among them.
        table: The members of the provider in the user's file.
        shipped: The provider as shipped, if it is.
        before: The metadata of the old issuer; ``None`` if it cannot be had. Then everything that
            could be the old issuer's counts as its own.
        found: The metadata of the new issuer.

    Raises:
        ProviderError: The new issuer takes no way of client authentication that is supported.
    """
    published = published_settings(found)
    if _METHOD not in given and table.get(_METHOD, "auto") in ("auto", *_CHOSEN_FOR_US):
        method = found.authentication(client_of({**table, **given}))
        published |= {_METHOD: method} if method else {}
    old = table.get("issuer") or (shipped.issuer if shipped else None)
    changes: dict[str, Any] = dict(given)
    gone: list[str] = []
    for member, unset in _UNSET.items():
        value = table.get(member)
        if member in given or (
            value is not None
            and _users_own(member, value, old, before, found.issuer, client_of(table))
        ):
            continue
        base = getattr(shipped, member) if shipped else None
        if member in published:
            changes[member] = published[member]
        elif base and base != unset:
            changes[member] = unset
        elif value is not None:
            changes[member] = None
        if member in ENDPOINTS and not changes.get(member, True):
            gone.append(member)
    return ChangeOfIssuer(changes, gone)


def _users_own(
    member: str,
    value: object,
    old: object,
    before: ServerMetadata | None,
    new: str,
    client: OAuthProvider,
) -> bool:
    """Whether ``value`` of the user's file did not come with the issuer ``old``."""
    if old is None:
        return True
    if member == "id_token_issuers":  # further spellings of the old issuer
        return old == new
    if member == _METHOD:
        chosen = before.authentication(client) if before else None
        return value != chosen if before else value not in ("auto", *_CHOSEN_FOR_US)
    if before is None:
        return False
    theirs = published_settings(before)
    if member not in ENDPOINTS and member not in _UNPUBLISHED:
        return bool(value != theirs.get(member, False))
    hosts = {host_of(str(old)), *(host_of(str(theirs.get(name))) for name in ENDPOINTS)}
    return value != theirs.get(member) and host_of(str(value)) not in hosts


def host_of(address: str) -> str:
    """Host and port of ``address``, to be compared; empty if there is none."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def endpoints_elsewhere(issuer: str, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The endpoints in ``settings`` that another host than the issuer's serves, and which (RFC 9700 §4.4)."""
    home = host_of(issuer)
    all_of_them = {**ENDPOINTS, **_UNPUBLISHED}
    named = [(what, str(settings[one])) for one, what in all_of_them.items() if settings.get(one)]
    hosts = [(name, host_of(address)) for name, address in named]
    return [(name.replace("_", " "), host) for name, host in hosts if host != home]
