"""Logins to save and read back in tests of a storage."""

from __future__ import annotations

import os
from dataclasses import replace

from ..engine.audit.events import Event, EventKind, Origin
from ..engine.login_id import new_login_id
from ..engine.oauth.provider import OAuthConfig
from ..engine.oauth.tokens import OAuthTokens
from ..engine.ports import Change
from ..engine.record import Challenge, DeviceGrant, Exchange, Login, Presentation
from ..engine.secret import Secret
from ..engine.summary import Identity
from ..engine.table import State

NOW = 1_800_000_000.0
ORIGIN = Origin(pid=1, host="host", user="user", app_version="1")


class _SystemRandomness:
    def octets(self, count: int) -> bytes:
        return os.urandom(count)


def pending(provider: str = "acme", *, state: str = "state") -> Login:
    """A login that waits for the callback with ``state``."""
    return Login(
        id=new_login_id(_SystemRandomness()),
        version=1,
        state=State.AWAITING_CALLBACK,
        config=OAuthConfig(service_name=provider, client_id="client"),
        account="default",
        created_at=NOW,
        changed_at=NOW,
        deadline=NOW + 600,
        challenge=Challenge(
            verifier=Secret("verifier"), state=Secret(state), nonce=Secret("nonce")
        ),
    )


def finished(provider: str = "acme", *, token: str = "token") -> Login:
    """A login that holds ``token``."""
    return replace(
        pending(provider),
        state=State.AUTHENTICATED,
        challenge=None,
        deadline=None,
        tokens=OAuthTokens(access_token=token, issued_at=NOW, expires_in=3600.0),
    )


def change(login: Login) -> Change:
    """The change that saves ``login``, with its event."""
    event = Event(
        time=NOW,
        event=EventKind.TRANSITION,
        origin=ORIGIN,
        login=login.id,
        version=login.version,
        fingerprints={"client": Secret(login.config.client_id)},
    )
    return Change(login=login, event=event)


def further(login: Login, **amended: object) -> Login:
    """``login`` in its next version, with ``amended`` fields."""
    return replace(login, version=login.version + 1, **amended)  # type: ignore[arg-type]  # by name


def complete() -> Login:
    """A login with a value in every field."""
    return replace(
        pending(),
        deadline=NOW + 0.25,
        reason="a reason",
        oauth_error="invalid_grant",
        presentation=Presentation(
            transport="device",
            redirect_uri="http://127.0.0.1:1/c",
            device=DeviceGrant(
                device_code=Secret("device"),
                user_code="ÄBCD-EFGH",
                verification_uri="https://acme.example/device",
                verification_uri_complete=None,
                expires_at=NOW + 600.5,
                interval=5.0,
            ),
        ),
        exchange=Exchange(kind="code", started_at=NOW, code=Secret("code")),
        tokens=OAuthTokens(
            access_token="t" * 10_000,
            refresh_token="r",
            id_token="i",
            scope="a b",
            issued_at=NOW,
            extra={"nested": [{"deep": None}, 1, 1.5, True, "ü"]},
        ),
        identity=Identity(subject="s", name="Ada \u2764"),
    )
