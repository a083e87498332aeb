"""The error codes that refuse, and what each of them is about.

Only a word that is known to refuse settles anything. An unknown one may be a gateway's, a firewall's
or a database's (``Unauthorized``, ``ThrottlingException``, ``quota_exceeded``), and no list of those
can be complete. A provider that refuses in words of its own costs a second try; a gateway that is
taken for the provider costs a login.
"""

from __future__ import annotations

from typing import Final

_DEAD: Final = frozenset(
    {
        "invalid_grant",  # RFC 6749 §5.2
        "expired_token",  # RFC 8628 §3.5
        "invalid_token",  # RFC 6750 §3.1
        "interaction_required", "login_required", "consent_required",  # OpenID Connect Core §3.1.2.6
        "account_selection_required", "unmet_authentication_requirements",
        # GitHub, Slack, HubSpot, Salesforce, Microsoft, and others in their manner
        "bad_refresh_token", "bad_verification_code", "bad_auth_code", "incorrect_device_code",
        "invalid_code", "code_already_used", "code_expired", "expired_code", "invalid_refresh_token",
        "refresh_token_expired", "refresh_token_invalid", "refresh_token_revoked", "token_expired",
        "token_invalid", "token_revoked", "expired_refresh_token", "account_inactive",
        "inactive_user", "inactive_org", "user_disabled", "account_disabled",
        "authorization_declined", "user_denied", "unverified_user_email",
    }
)  # fmt: skip
ABOUT_CLIENT: Final = frozenset(
    {
        "invalid_client", "invalid_request", "unauthorized_client", "unsupported_grant_type",
        "unsupported_response_type", "access_denied", "insufficient_scope", "unsupported_token_type",
        "redirect_uri_mismatch", "bad_redirect_uri", "incorrect_client_credentials",
        "bad_client_secret", "bad_client_id", "invalid_client_id", "invalid_client_secret",
        "deleted_client", "disabled_client", "org_internal", "admin_policy_enforced",
        "device_flow_disabled", "invalid_app_access", "not_supported", "unsupported_challenge_method",
        "invalid_redirect_uri", "registration_not_supported", "request_not_supported",
        "request_uri_not_supported", "invalid_request_object", "invalid_request_uri",
    }
)  # fmt: skip
"""Errors about us. At a refresh the token may be as good as it was (RFC 6749 §5.2), or the server says
so of a dead one: the second time in a row that is assumed."""
ABOUT_CREDENTIALS: Final = frozenset(
    {
        "invalid_client", "unauthorized_client", "invalid_client_id", "bad_client_id",
        "deleted_client", "disabled_client", "incorrect_client_credentials", "bad_client_secret",
        "invalid_client_secret",
    }
)  # fmt: skip
"""Those of them that say that the client is not known, or does not prove itself."""
ABOUT_REQUEST: Final = frozenset(
    {
        "invalid_scope",  # RFC 6749 §5.2
        "invalid_target", "invalid_resource",  # RFC 8707 §2, and Microsoft's word for it
        "invalid_authorization_details",  # RFC 9396 §5
        "use_dpop_nonce", "invalid_dpop_proof",  # RFC 9449 §5
    }
)  # fmt: skip
"""Errors about what was asked for; the refresh token is good, however often they come."""
_REFUSALS: Final = _DEAD | ABOUT_CLIENT | ABOUT_REQUEST


def refuses(code: str) -> bool:
    """Whether ``code`` is known to be an answer to what was sent; letters of either case."""
    return canonical(code) in _REFUSALS


def canonical(code: str) -> str:
    """``code`` in small letters and with underscores, as the specifications write theirs."""
    return code.lower().replace("-", "_")
