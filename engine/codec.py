"""A login as bytes, in two parts: the summary that a list shows (:mod:`.summary_codec`), and the whole record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import cbor
from .oauth.provider import OAuthConfig
from .oauth.setting_types import SINCE_FOUR
from .oauth.tokens import OAuthTokens
from .record import (
    Challenge,
    DeviceGrant,
    Exchange,
    Login,
    Presentation,
    ProofKey,
    PushedRequest,
    Setback,
    UnreadAnswer,
)
from .secret import Secret
from .summary_codec import decoded, identity_members, identity_of, present, summary_members
from .table import State


def encode_login(login: Login) -> tuple[bytes, bytes]:
    """The summary and the whole of ``login``. Only the second part holds secrets."""
    return cbor.encode(summary_members(login.summary())), cbor.encode(_login_members(login))


def decode_login(secret: bytes) -> Login:
    """The login in the second part that :func:`encode_login` gives.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: The bytes are not a login.
    """
    return decoded(secret, _login)


def _reveal(secret: Secret | None) -> str | None:
    return secret.reveal() if secret is not None else None


def _hide(value: str | None) -> Secret | None:
    return Secret(value) if value is not None else None


def _login_members(login: Login) -> dict[str, Any]:
    challenge, shown, exchange = login.challenge, login.presentation, login.exchange
    setback = login.setback
    config = login.config.to_dict()
    return present(
        schema=_schema(login, config),
        id=login.id,
        version=login.version,
        state=login.state.value,
        config=config,
        account=login.account,
        created_at=float(login.created_at),
        changed_at=float(login.changed_at),
        deadline=login.deadline,
        reason=login.reason,
        oauth_error=login.oauth_error,
        challenge=challenge
        and present(
            verifier=challenge.verifier.reveal(),
            state=_reveal(challenge.state),
            nonce=challenge.nonce.reveal(),
        ),
        presentation=shown
        and present(
            transport=shown.transport,
            redirect_uri=shown.redirect_uri,
            device=shown.device and _device_members(shown.device),
            pushed=shown.pushed
            and present(
                request_uri=shown.pushed.request_uri.reveal(),
                expires_at=float(shown.pushed.expires_at),
            ),
        ),
        exchange=exchange
        and present(
            kind=exchange.kind,
            started_at=exchange.started_at,
            code=_reveal(exchange.code),
            subject=_reveal(exchange.subject),
            actor=_reveal(exchange.actor),
            extras=dict(exchange.extras) or None,
        ),
        callback_digest=login.callback_digest,
        tokens=login.tokens and login.tokens.to_dict(),
        identity=identity_members(login.identity),
        replaces=login.replaces or None,
        setback=setback
        and present(
            tries=setback.tries,
            doubts=setback.doubts,
            lost=setback.lost,
            retry_at=setback.retry_at,
            message=setback.message,
        ),
        unread=login.unread and _unread_members(login.unread),
        proof_key=login.proof_key
        and present(
            key=login.proof_key.key.reveal(),
            algorithm=login.proof_key.algorithm,
            nonce=login.proof_key.nonce,
        ),
    )


def _schema(login: Login, config: Mapping[str, object]) -> int:
    """The lowest number whose readers lose nothing of ``login``, with the members ``config``."""
    if not SINCE_FOUR.isdisjoint(config):
        return 4
    if login.config.needs_no_user or login.sends_grant:
        return 3
    shown = login.presentation
    pushed = shown is not None and shown.pushed is not None
    return 2 if pushed or login.proof_key is not None else 1


def _unread_members(answer: UnreadAnswer) -> dict[str, Any]:
    return present(
        status=answer.status,
        received_at=float(answer.received_at),
        body=answer.body.reveal().encode("latin-1"),
        content_type=answer.content_type,
        date=answer.date,
    )


def _device_members(device: DeviceGrant) -> dict[str, Any]:
    return present(
        device_code=device.device_code.reveal(),
        user_code=device.user_code,
        verification_uri=device.verification_uri,
        verification_uri_complete=device.verification_uri_complete,
        expires_at=device.expires_at,
        interval=device.interval,
    )


def _login(members: Mapping[str, Any]) -> Login:
    challenge, shown = members.get("challenge"), members.get("presentation")
    exchange, tokens = members.get("exchange"), members.get("tokens")
    setback = members.get("setback")
    return Login(
        id=members["id"],
        version=members["version"],
        state=State(members["state"]),
        config=OAuthConfig.from_dict(members["config"]),
        account=members["account"],
        created_at=members["created_at"],
        changed_at=members["changed_at"],
        deadline=members.get("deadline"),
        reason=members.get("reason"),
        oauth_error=members.get("oauth_error"),
        challenge=Challenge(
            verifier=Secret(challenge["verifier"]),
            state=_hide(challenge.get("state")),
            nonce=Secret(challenge["nonce"]),
        )
        if challenge
        else None,
        presentation=Presentation(
            transport=shown["transport"],
            redirect_uri=shown.get("redirect_uri"),
            device=_device(shown.get("device")),
            pushed=_pushed(shown.get("pushed")),
        )
        if shown
        else None,
        exchange=Exchange(
            kind=exchange["kind"],
            started_at=exchange["started_at"],
            code=_hide(exchange.get("code")),
            subject=_hide(exchange.get("subject")),
            actor=_hide(exchange.get("actor")),
            extras=exchange.get("extras", {}),
        )
        if exchange
        else None,
        callback_digest=members.get("callback_digest"),
        tokens=OAuthTokens.from_dict(tokens) if tokens else None,
        identity=identity_of(members.get("identity")),
        replaces=members.get("replaces", False),
        setback=Setback(
            tries=setback["tries"],
            doubts=setback["doubts"],
            lost=setback["lost"],
            retry_at=setback.get("retry_at"),
            message=setback["message"],
        )
        if setback
        else None,
        unread=_unread(members.get("unread")),
        proof_key=_proof_key(members.get("proof_key")),
    )


def _unread(members: Mapping[str, Any] | None) -> UnreadAnswer | None:
    if not members:
        return None
    return UnreadAnswer(
        status=members["status"],
        received_at=members["received_at"],
        body=Secret(members["body"].decode("latin-1")),
        content_type=members.get("content_type"),
        date=members.get("date"),
    )


def _proof_key(members: Mapping[str, Any] | None) -> ProofKey | None:
    if not members:
        return None
    return ProofKey(
        key=Secret(members["key"]), algorithm=members["algorithm"], nonce=members.get("nonce")
    )


def _pushed(members: Mapping[str, Any] | None) -> PushedRequest | None:
    if not members:
        return None
    return PushedRequest(
        request_uri=Secret(members["request_uri"]), expires_at=members["expires_at"]
    )


def _device(members: Mapping[str, Any] | None) -> DeviceGrant | None:
    if not members:
        return None
    return DeviceGrant(
        device_code=Secret(members["device_code"]),
        user_code=members["user_code"],
        verification_uri=members["verification_uri"],
        verification_uri_complete=members.get("verification_uri_complete"),
        expires_at=members["expires_at"],
        interval=members["interval"],
    )
