"""Logins in any state, with canaries for secrets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stayfast.engine.audit.events import Origin
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.record import (
    Challenge,
    DeviceGrant,
    Exchange,
    Login,
    Presentation,
    PushedRequest,
)
from stayfast.engine.secret import Secret
from stayfast.engine.table import Guard, State

NOW = 1_800_000_000.0
CANARY = "canary"
"""Stands in every secret that this module mints."""

ORIGIN = Origin(pid=4711, host="testhost", user="ada", app_version="1.2.3")
CONFIG = OAuthConfig(
    service_name="acme",
    auth_url="https://login.acme.example/authorize",
    token_url="https://login.acme.example/token",
    issuer="https://login.acme.example",
    scopes=("read", "write"),
    client_id="acme-cli",
    client_secret="canary-client-secret",
)
TOKENS = OAuthTokens(
    access_token="canary-access-token",
    refresh_token="canary-refresh-token",
    id_token="canary-id-token",
    expires_in=3600.0,
    scope="read write",
    issued_at=NOW,
    extra={"workspace": "canary-extra"},
)
CHALLENGE = Challenge(
    verifier=Secret("canary-verifier"),
    state=Secret("canary-state"),
    nonce=Secret("canary-nonce"),
)
BY_BROWSER = Presentation(transport="loopback", redirect_uri="http://127.0.0.1:8080/callback")
BY_DEVICE = Presentation(
    transport="device",
    device=DeviceGrant(
        device_code=Secret("canary-device-code"),
        user_code="CANARY-USER",
        verification_uri="https://login.acme.example/device",
        verification_uri_complete="https://login.acme.example/device?code=canary",
        expires_at=NOW + 600,
        interval=5.0,
    ),
)
PUSHED = replace(
    BY_BROWSER,
    pushed=PushedRequest(request_uri=Secret("urn:canary-request"), expires_at=NOW + 60),
)
CODE_EXCHANGE = Exchange(kind="code", started_at=NOW, code=Secret("canary-code"))
REFRESH_EXCHANGE = Exchange(kind="refresh", started_at=NOW)
GRANT_EXCHANGE = Exchange(
    kind="grant", started_at=NOW, subject=Secret("canary-subject"), actor=Secret("canary-actor")
)
NO_USER = replace(CONFIG, grant="client-credentials")
GIVEN_ONCE = replace(NO_USER, grant="jwt-bearer", subject_token="")

FULFILLED: dict[Guard | None, dict[str, Any]] = {
    None: {},
    Guard.POLLS: {"presentation": BY_DEVICE},
    Guard.PUSHED: {"presentation": PUSHED},
    Guard.SENDS_CODE: {"exchange": CODE_EXCHANGE},
    Guard.NEEDS_NO_USER: {"config": NO_USER},
    Guard.SENDS_GRANT: {"config": NO_USER, "exchange": GRANT_EXCHANGE, "tokens": None},
    Guard.GETS_FIRST_TOKENS: {"exchange": CODE_EXCHANGE},
    Guard.RENEWS_TOKENS: {"exchange": REFRESH_EXCHANGE, "tokens": TOKENS},
    Guard.HAS_REFRESH_TOKEN: {"tokens": TOKENS},
    Guard.CAN_ASK_AGAIN: {"config": NO_USER, "tokens": TOKENS},
}
"""What makes a guard say yes, as fields of a record."""

VIOLATED: dict[Guard, list[dict[str, Any]]] = {
    Guard.POLLS: [{"presentation": None}, {"presentation": BY_BROWSER}],
    Guard.PUSHED: [{"presentation": None}, {"presentation": BY_BROWSER}],
    Guard.NEEDS_NO_USER: [{"config": CONFIG}],
    Guard.SENDS_CODE: [{"exchange": None}, {"exchange": REFRESH_EXCHANGE, "tokens": TOKENS}],
    Guard.SENDS_GRANT: [
        {"exchange": None},
        {"exchange": CODE_EXCHANGE},
        {"exchange": GRANT_EXCHANGE, "tokens": TOKENS},
    ],
    Guard.GETS_FIRST_TOKENS: [
        {"exchange": None},
        {"exchange": REFRESH_EXCHANGE, "tokens": TOKENS},
        {"exchange": GRANT_EXCHANGE, "tokens": TOKENS},
    ],
    Guard.RENEWS_TOKENS: [
        {"exchange": None},
        {"exchange": CODE_EXCHANGE},
        {"exchange": GRANT_EXCHANGE, "tokens": None},
    ],
    Guard.HAS_REFRESH_TOKEN: [{"tokens": None}, {"tokens": replace(TOKENS, refresh_token=None)}],
    Guard.CAN_ASK_AGAIN: [
        {"tokens": TOKENS},
        {"config": NO_USER, "tokens": None},
        {"config": GIVEN_ONCE, "tokens": TOKENS},
    ],
}
"""What makes a guard say no."""


def login_in(state: State, *, version: int = 7, **fields: Any) -> Login:
    """A login in ``state``, with ``fields`` of its record as given and the rest empty."""
    return Login(
        id="01J9ZK4Q0V7F3KTWX2A8B5C6DE",
        version=version,
        state=state,
        account="default",
        created_at=NOW - 60,
        changed_at=NOW - 5,
        **{"config": CONFIG, **fields},
    )


def fresh_login(number: int = 0) -> Login:
    """A login that has never been saved."""
    return replace(
        login_in(State.IDLE, version=0), id=f"01J9ZK4Q0V7F3KTWX2A8B{number:05d}", changed_at=NOW
    )
