"""How the embedded server checks the assertion of a client that signs (RFC 7523 §3).

It is strict: one audience, the issuer or the token endpoint; a short life; each ``jti`` once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from ..engine.oauth.id_token import claims_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server_state import Client, ServerState

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST: Final = 300.0  # seconds


def client_by_assertion(
    server: Any, method: str, query_client: Callable[[str], Client | None], request: Any
) -> Client | None:
    """The client that has signed ``request`` by ``method``; ``None`` where that does not hold.

    Args:
        server: The authorization server: its ``issuer``, ``settings`` and ``state``.
        method: ``client_secret_jwt`` or ``private_key_jwt``.
        query_client: Finds a client by its id.
        request: The request.
    """
    form: dict[str, str] = request.form
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        return None
    claims = claims_of(form.get("client_assertion", ""))
    client = query_client(str(claims.get("sub")))
    if client is None or form.get("client_id", client.client_id) != client.client_id:
        return None
    if client.auth_method != method:
        return None
    state: ServerState = server.state
    key: Any = OctKey.import_key(client.client_secret) if method == "client_secret_jwt" else None
    try:
        algorithms = [name for name in server.settings.assertion_algorithms if name[:2] != "HS"]
        checked = jwt.decode(
            form["client_assertion"],
            key or KeySet.import_key_set(cast("Any", client.jwks)),
            algorithms=["HS256"] if key else algorithms,
        ).claims
    except (JoseError, ValueError):
        return None
    now, number = state.now(), str(checked.get("jti"))
    sound = (
        checked.get("iss") == client.client_id
        and checked.get("aud") in {server.issuer, f"{server.issuer}/token"}
        and now < checked.get("exp", 0) <= now + _LONGEST
        and number not in state.spent
    )
    if not sound:
        return None
    state.spent.add(number)
    return client


def requested(server: Any, members: dict[str, str]) -> dict[str, str] | None:
    """The authorization request in ``members``, which may be signed (RFC 9101 §6).

    ``None`` where the signature does not hold, or there is none and there must be one.
    """
    signed = members.get("request")
    if signed is None:
        return None if server.settings.request_object_required else members
    client: Client | None = server.state.clients.get(members.get("client_id", ""))
    if client is None or not client.jwks:
        return None
    try:
        algorithms = [name for name in server.settings.assertion_algorithms if name[:2] != "HS"]
        keys = KeySet.import_key_set(cast("Any", client.jwks))
        claims = jwt.decode(signed, keys, algorithms=algorithms).claims
    except (JoseError, ValueError):
        return None
    fresh = server.state.now() < claims.get("exp", 0) and claims.get("aud") == server.issuer
    if not fresh or claims.get("client_id") != client.client_id:
        return None
    return {name: str(value) for name, value in claims.items()}  # nothing beside it counts (§6.3)
