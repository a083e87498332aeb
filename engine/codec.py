"""A login as bytes, in two parts: the summary that a list shows, and the whole record.

A list of many logins opens only the summaries, which hold no secret. Each part has a schema number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from . import cbor
from .errors import Damaged, NewerFormat, StayfastError
from .hints import Hint
from .oauth.provider import OAuthConfig
from .oauth.setting_types import SINCE_FOUR
from .oauth.tokens import OAuthTokens
from .record import (
    Challenge,
    DeviceGrant,
    Exchange,
    Identity,
    Login,
    Presentation,
    ProofKey,
    PushedRequest,
    Setback,
    Summary,
    UnreadAnswer,
)
from .secret import Secret
from .table import State

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA: Final = 4
"""The number of this layout.

Number 2 has pushed requests and keys of proofs, number 3 grants without a user, number 4 the
dialects of providers. A login without them is written as number 1, which older versions read.

A reader refuses a higher number: it could drop members that it does not know when it saves the
login again. Members may be added under the same number only if their loss does no harm.
"""

T = TypeVar("T")
_STATES: Final = {state.value: state for state in State}


def encode_login(login: Login) -> tuple[bytes, bytes]:
    """The summary and the whole of ``login``. Only the second part holds secrets."""
    return cbor.encode(_summary_members(login.summary())), cbor.encode(_login_members(login))


def decode_login(secret: bytes) -> Login:
    """The login in the second part that :func:`encode_login` gives.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: The bytes are not a login.
    """
    return _decoded(secret, _login)


def decode_summary(meta: bytes) -> Summary:
    """The summary in the first part that :func:`encode_login` gives.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: The bytes are not a summary.
    """
    return _decoded(meta, _summary)


def _decoded(data: bytes, build: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        members = cast("dict[str, Any]", cbor.decode_map(data))
        if members["schema"] > SCHEMA:
            raise NewerFormat(
                "this login was written by a newer version of Stayfast",
                hint="in a newer clone of Stayfast: pip install .",
            )
        return build(members)
    except (cbor.CborError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged("a login cannot be read", hint=Hint("list")) from error
    except NewerFormat:
        raise
    except StayfastError as error:  # the saved configuration has a value that is refused today
        raise Damaged("a login cannot be read", hint=Hint("list")) from error


def _present(**members: Any) -> dict[str, Any]:
    """The members that are not ``None``: an absent member and ``None`` mean the same."""
    return {name: value for name, value in members.items() if value is not None}


def _reveal(secret: Secret | None) -> str | None:
    return secret.reveal() if secret is not None else None


def _hide(value: str | None) -> Secret | None:
    return Secret(value) if value is not None else None


def _login_members(login: Login) -> dict[str, Any]:
    challenge, shown, exchange = login.challenge, login.presentation, login.exchange
    setback = login.setback
    return _present(
        schema=_schema(login),
        id=login.id,
        version=login.version,
        state=login.state.value,
        config=login.config.to_dict(),
        account=login.account,
        created_at=float(login.created_at),
        changed_at=float(login.changed_at),
        deadline=login.deadline,
        reason=login.reason,
        oauth_error=login.oauth_error,
        challenge=challenge
        and _present(
            verifier=challenge.verifier.reveal(),
            state=_reveal(challenge.state),
            nonce=challenge.nonce.reveal(),
        ),
        presentation=shown
        and _present(
            transport=shown.transport,
            redirect_uri=shown.redirect_uri,
            device=shown.device and _device_members(shown.device),
            pushed=shown.pushed
            and _present(
                request_uri=shown.pushed.request_uri.reveal(),
                expires_at=float(shown.pushed.expires_at),
            ),
        ),
        exchange=exchange
        and _present(
            kind=exchange.kind,
            started_at=exchange.started_at,
            code=_reveal(exchange.code),
            subject=_reveal(exchange.subject),
            actor=_reveal(exchange.actor),
            extras=dict(exchange.extras) or None,
        ),
        callback_digest=login.callback_digest,
        tokens=login.tokens and login.tokens.to_dict(),
        identity=_identity_members(login.identity),
        replaces=login.replaces or None,
        setback=setback
        and _present(
            tries=setback.tries,
            doubts=setback.doubts,
            lost=setback.lost,
            retry_at=setback.retry_at,
            message=setback.message,
        ),
        unread=login.unread and _unread_members(login.unread),
        proof_key=login.proof_key
        and _present(
            key=login.proof_key.key.reveal(),
            algorithm=login.proof_key.algorithm,
            nonce=login.proof_key.nonce,
        ),
    )


def _schema(login: Login) -> int:
    """The lowest number whose readers lose nothing of ``login``."""
    if not SINCE_FOUR.isdisjoint(login.config.to_dict()):
        return 4
    if login.config.needs_no_user or login.sends_grant:
        return 3
    shown = login.presentation
    pushed = shown is not None and shown.pushed is not None
    return 2 if pushed or login.proof_key is not None else 1


def _unread_members(answer: UnreadAnswer) -> dict[str, Any]:
    return _present(
        status=answer.status,
        received_at=float(answer.received_at),
        body=answer.body.reveal().encode("latin-1"),
        content_type=answer.content_type,
        date=answer.date,
    )


def _device_members(device: DeviceGrant) -> dict[str, Any]:
    return _present(
        device_code=device.device_code.reveal(),
        user_code=device.user_code,
        verification_uri=device.verification_uri,
        verification_uri_complete=device.verification_uri_complete,
        expires_at=device.expires_at,
        interval=device.interval,
    )


def _identity_members(identity: Identity | None) -> dict[str, Any] | None:
    return _present(subject=identity.subject, name=identity.name) if identity else None


def _summary_members(summary: Summary) -> dict[str, Any]:
    return _present(
        schema=1,
        id=summary.id,
        version=summary.version,
        state=summary.state.value,
        provider=summary.provider,
        account=summary.account,
        created_at=float(summary.created_at),
        changed_at=float(summary.changed_at),
        deadline=summary.deadline,
        reason=summary.reason,
        oauth_error=summary.oauth_error,
        transport=summary.transport,
        issuer=summary.issuer,
        holds_tokens=summary.holds_tokens,
        expires_at=summary.expires_at,
        issued_at=summary.issued_at,
        scopes=list(summary.scopes),
        refreshable=summary.refreshable,
        refresh_expires_at=summary.refresh_expires_at,
        identity=_identity_members(summary.identity),
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
        identity=_identity(members.get("identity")),
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


def _identity(members: Mapping[str, Any] | None) -> Identity | None:
    return Identity(subject=members["subject"], name=members.get("name")) if members else None


def _summary(members: Mapping[str, Any]) -> Summary:
    return Summary(
        id=members["id"],
        version=members["version"],
        state=_STATES[members["state"]],
        provider=members["provider"],
        account=members["account"],
        created_at=members["created_at"],
        changed_at=members["changed_at"],
        deadline=members.get("deadline"),
        reason=members.get("reason"),
        oauth_error=members.get("oauth_error"),
        transport=members.get("transport"),
        issuer=members.get("issuer"),
        holds_tokens=members["holds_tokens"],
        expires_at=members.get("expires_at"),
        issued_at=members.get("issued_at"),
        scopes=tuple(members["scopes"]),
        refreshable=members["refreshable"],
        refresh_expires_at=members.get("refresh_expires_at"),
        identity=_identity(members.get("identity")),
    )
