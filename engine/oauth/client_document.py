"""Client-ID metadata documents: a client whose identifier is the address of its own description.

A server that says ``client_id_metadata_document_supported`` fetches the document and registers
nothing (draft-ietf-oauth-client-id-metadata-document). A command cannot host one: its user, or the
program that embeds this library, does, and names its address as the client id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from ..errors import ConfigInvalid
from ..hints import Hint
from .addresses import secure_address
from .registration import CLIENT_NAME, DEVICE_GRANT


def names_document(client_id: str) -> bool:
    """Whether ``client_id`` is the address of a metadata document, rather than a registered name."""
    return client_id.startswith("https://")


def require_document_address(client_id: str) -> None:
    """Make sure that ``client_id`` can be the address of a document (§3 of the draft).

    Raises:
        ConfigInvalid: It has no path, or something else that such an address may not have.
    """
    parts = urlsplit(client_id) if secure_address(client_id) else None
    if parts is None or parts.scheme != "https":
        why = "is not an https address"
    elif parts.path in {"", "/"}:
        why = "has no path"
    elif parts.fragment or "#" in client_id:
        why = "has a fragment"
    elif {".", ".."} & set(parts.path.split("/")):
        why = "has a dot for a part of its path"
    else:
        return
    raise ConfigInvalid(
        f"a client id that is an address {why}: {client_id[:80]!r}",
        hint=Hint("client-metadata", "https://HOST/client.json"),
    )


def client_document(
    client_id: str,
    redirect_uris: Sequence[str],
    *,
    name: str = CLIENT_NAME,
    scopes: Sequence[str] = (),
) -> dict[str, Any]:
    """The document to be hosted at ``client_id``.

    Args:
        client_id: The address at which it will be found.
        redirect_uris: The redirect addresses of logins.
        name: What a consent page shows.
        scopes: The scopes that logins may request; empty leaves that to the server.

    Raises:
        ConfigInvalid: No document can lie at that address.
    """
    require_document_address(client_id)
    parts = urlsplit(client_id)
    document: dict[str, Any] = {
        "client_id": client_id,
        "client_name": name,
        "client_uri": f"{parts.scheme}://{parts.netloc}/",
        "application_type": "native",
        "redirect_uris": list(redirect_uris),
        "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    if scopes:
        document["scope"] = " ".join(scopes)
    return document


def differences(hosted: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Why a server would refuse logins with the document ``hosted``, one sentence each.

    Args:
        hosted: What lies at the address.
        wanted: What :func:`client_document` gives for it.
    """
    found: list[str] = []
    if hosted.get("client_id") != wanted["client_id"]:
        found.append("its client_id is not its own address")
    for member in ("redirect_uris", "grant_types"):
        listed: object = hosted.get(member)
        texts = cast("list[object]", listed) if isinstance(listed, list) else []
        needed = wanted[member][:2] if member == "grant_types" else wanted[member]
        found += [f"its {member} lack {one}" for one in needed if one not in texts]
    if hosted.get("token_endpoint_auth_method") != "none":
        found.append("its token_endpoint_auth_method is not none")
    if "client_secret" in hosted:
        found.append("it has a client_secret, which everybody can read")
    if not hosted.get("client_name"):
        found.append("it has no client_name")
    return found
