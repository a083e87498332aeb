"""PKCE is required of every client, before the user sees a page (RFC 9700 §2.1.1)."""

# Authlib carries no types, so a strict checker can say little about what passes through it
# pyright: basic

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidRequestError


def require_challenge(grant: Any) -> None:
    """An extension of Authlib's code grant: no code without a challenge.

    Authlib itself checks only the verifier, after the code was issued.
    """
    grant.register_hook("after_validate_authorization_request_payload", _check)


def _check(grant: Any, redirect_uri: str) -> None:
    members = grant.request.payload.data
    method = members.get("code_challenge_method", "plain")  # RFC 7636 §4.3
    allowed = {"S256", *grant.server.settings.pkce_methods}
    if not members.get("code_challenge") or method not in allowed:
        raise InvalidRequestError(
            "PKCE is required", state=members.get("state"), redirect_uri=redirect_uri
        )
