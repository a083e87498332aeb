"""The table of the machine: every change of state that a login can make, and nothing else.

Rules for a change of this file:

1. **Only** :data:`TABLE` **says which state follows which.** The interpreter, the diagrams, the
   documentation, the words of the audit log and the property tests read it. None of them has a
   state or an arrow of its own.
2. **A row is a promise to saved logins.** A record of an older version must still have a way out of
   its state. So rows may be added, and none may be removed.
3. **(trigger, source) is unique.** If two rows had both in common, the interpreter would follow the
   first and never the second, without a warning.
4. **No row has an effect.** The conductor acts outside after the row was saved.

A refused input (a callback with another login's ``state``, say) is not a row: it changes nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class State(StrEnum):
    """The state of a login. ``idle`` is the beginning, and also every end without tokens."""

    IDLE = "idle"
    CHALLENGE = "challenge"
    AWAITING_CALLBACK = "awaiting_callback"
    EXCHANGING = "exchanging"
    AUTHENTICATED = "authenticated"
    EXPIRED = "expired"
    REFRESH_FAILED = "refresh_failed"


class Trigger(StrEnum):
    """The triggers: what can happen to a login."""

    BEGIN = "begin"
    REQUEST_TOKENS = "request_tokens"
    PRESENT = "present"
    FAIL = "fail"
    RECHALLENGE = "rechallenge"
    RECEIVE_CALLBACK = "receive_callback"
    DENY = "deny"
    ACCEPT_TOKENS = "accept_tokens"
    REJECT_CODE = "reject_code"
    REJECT_GRANT = "reject_grant"
    PUSH_AGAIN = "push_again"
    SLOW_DOWN = "slow_down"
    KEEP_ANSWER = "keep_answer"
    TIME_OUT = "time_out"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REFRESH = "refresh"
    RENEW = "renew"
    POSTPONE_REFRESH = "postpone_refresh"
    REJECT_REFRESH = "reject_refresh"
    LOGOUT = "logout"
    SUPERSEDE = "supersede"
    REPLACE = "replace"
    RENAME = "rename"
    IDENTIFY = "identify"


class Guard(StrEnum):
    """A condition on the record; :data:`stayfast.engine.machine.GUARDS` has the tests."""

    NEEDS_NO_USER = "needs_no_user"
    POLLS = "polls"
    PUSHED = "pushed"
    SENDS_CODE = "sends_code"
    SENDS_GRANT = "sends_grant"
    GETS_FIRST_TOKENS = "gets_first_tokens"
    RENEWS_TOKENS = "renews_tokens"
    HAS_REFRESH_TOKEN = "has_refresh_token"
    CAN_ASK_AGAIN = "can_ask_again"


class Row(NamedTuple):
    """One arrow of the machine.

    Attributes:
        trigger: What happens.
        source: The state in which it can happen.
        dest: The state after it.
        guard: A condition that the record must meet as well.
        meaning: When it happens, in one clause.
        rfc: The section of a specification that asks for it.
    """

    trigger: Trigger
    source: State
    dest: State
    meaning: str
    rfc: str = ""
    guard: Guard | None = None


_S = State
_T = Trigger

TABLE: Final[tuple[Row, ...]] = (
    # idle: not begun, or ended; the reason in the record says why it ended
    Row(
        _T.BEGIN, _S.IDLE, _S.CHALLENGE,
        "verifier, state, nonce and deadline are minted, before anything leaves the machine",
        "RFC 7636 §4.1",
    ),
    Row(
        _T.REQUEST_TOKENS, _S.IDLE, _S.EXCHANGING,
        "the client is about to ask for tokens with a grant that needs no user",
        "RFC 6749 §4.4, RFC 8693 §2.1, RFC 7523 §2.1",
        Guard.NEEDS_NO_USER,
    ),
    # challenge: the secrets are saved, and the user has seen nothing yet
    Row(
        _T.PRESENT, _S.CHALLENGE, _S.AWAITING_CALLBACK,
        "the transport is ready: port bound, request pushed or device code granted",
        "RFC 8252 §7.3, RFC 8628 §3.2, RFC 9126 §2.2",
    ),
    Row(
        _T.FAIL, _S.CHALLENGE, _S.IDLE,
        "the transport could not start, or the provider refused the device or pushed request",
        "RFC 8628 §3.2",
    ),
    Row(_T.TIME_OUT, _S.CHALLENGE, _S.IDLE, "the deadline passed before the user was asked"),
    Row(_T.CANCEL, _S.CHALLENGE, _S.IDLE, "the user gave up before being asked"),
    # awaiting_callback: the user has the address or the code; the answer may come at any time
    Row(
        _T.RECHALLENGE, _S.AWAITING_CALLBACK, _S.CHALLENGE,
        "resumed with another redirect address or transport: new verifier and state, "
        "the old ones are refused from now on",
        "RFC 6749 §4.1.3",
    ),
    Row(
        _T.PUSH_AGAIN, _S.AWAITING_CALLBACK, _S.AWAITING_CALLBACK,
        "resumed: an address of a pushed request has a short life and one use, so the same request "
        "is pushed again",
        "RFC 9126 §2.2",
        Guard.PUSHED,
    ),
    Row(
        _T.RECEIVE_CALLBACK, _S.AWAITING_CALLBACK, _S.EXCHANGING,
        "a callback passed every check; its code is saved before it is sent",
        "RFC 6749 §4.1.2, RFC 9207 §2.4",
    ),
    Row(
        _T.ACCEPT_TOKENS, _S.AWAITING_CALLBACK, _S.AUTHENTICATED,
        "a device poll was answered with tokens",
        "RFC 8628 §3.5",
        Guard.POLLS,
    ),
    Row(
        _T.SLOW_DOWN, _S.AWAITING_CALLBACK, _S.AWAITING_CALLBACK,
        "the provider asked for slower polls; every later poll keeps the new interval",
        "RFC 8628 §3.5",
        Guard.POLLS,
    ),
    Row(
        _T.KEEP_ANSWER, _S.AWAITING_CALLBACK, _S.AWAITING_CALLBACK,
        "a poll was answered with success that cannot be read: the answer is kept, polls end",
        "RFC 8628 §3.5",
        Guard.POLLS,
    ),
    Row(
        _T.DENY, _S.AWAITING_CALLBACK, _S.IDLE,
        "a valid callback or poll says no",
        "RFC 6749 §4.1.2.1, RFC 8628 §3.5",
    ),
    Row(_T.TIME_OUT, _S.AWAITING_CALLBACK, _S.IDLE, "the deadline passed without an answer"),
    Row(_T.CANCEL, _S.AWAITING_CALLBACK, _S.IDLE, "the user gave up"),
    # exchanging: a code, another grant or a refresh token is with the provider
    Row(
        _T.ACCEPT_TOKENS, _S.EXCHANGING, _S.AUTHENTICATED,
        "tokens arrived and are saved before success is reported",
        "RFC 6749 §5.1, §6",
    ),
    Row(
        _T.REJECT_GRANT, _S.EXCHANGING, _S.IDLE,
        "the provider refused the first request of a grant that needs no user",
        "RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 7523 §3.1",
        Guard.SENDS_GRANT,
    ),
    Row(
        _T.FAIL, _S.EXCHANGING, _S.IDLE,
        "no usable answer to the first request of a grant that needs no user: it can be made anew",
        "",
        Guard.SENDS_GRANT,
    ),
    Row(
        _T.REJECT_CODE, _S.EXCHANGING, _S.IDLE,
        "the provider refused the code",
        "RFC 6749 §5.2",
        Guard.SENDS_CODE,
    ),
    Row(
        _T.KEEP_ANSWER, _S.EXCHANGING, _S.EXCHANGING,
        "the code was answered with success that cannot be read: the answer is kept, "
        "the code is not sent again",
        "RFC 6749 §4.1.2",
        Guard.SENDS_CODE,
    ),
    Row(
        _T.TIME_OUT, _S.EXCHANGING, _S.IDLE,
        "the deadline passed while the code, or another grant, could not be exchanged",
        "",
        Guard.GETS_FIRST_TOKENS,
    ),
    Row(
        _T.CANCEL, _S.EXCHANGING, _S.IDLE,
        "the user gave up while the code, or another grant, could not be exchanged",
        "",
        Guard.GETS_FIRST_TOKENS,
    ),
    Row(
        _T.POSTPONE_REFRESH, _S.EXCHANGING, _S.EXPIRED,
        "no usable answer: the refresh token is kept for a later try, whether the provider acted or not",
        "",
        Guard.RENEWS_TOKENS,
    ),
    Row(
        _T.REJECT_REFRESH, _S.EXCHANGING, _S.REFRESH_FAILED,
        "the provider refused the refresh token, or the grant that is asked again, and nobody else "
        "has stored newer tokens",
        "RFC 6749 §5.2",
        Guard.RENEWS_TOKENS,
    ),
    # authenticated: an access token that is good for more than the expiry buffer
    Row(
        _T.EXPIRE, _S.AUTHENTICATED, _S.EXPIRED,
        "the access token was seen to be within the expiry buffer",
        "RFC 6749 §5.1",
    ),
    Row(
        _T.REFRESH, _S.AUTHENTICATED, _S.EXCHANGING,
        "the refresh token is about to be sent",
        "RFC 6749 §6",
        Guard.HAS_REFRESH_TOKEN,
    ),
    Row(
        _T.RENEW, _S.AUTHENTICATED, _S.EXCHANGING,
        "the client is about to ask again with a grant that needs no user",
        "RFC 6749 §4.4, RFC 8693 §2.1, RFC 7523 §2.1",
        Guard.CAN_ASK_AGAIN,
    ),
    Row(
        _T.LOGOUT, _S.AUTHENTICATED, _S.IDLE,
        "the user signed out: tokens are revoked and erased",
        "RFC 7009 §2",
    ),
    Row(_T.SUPERSEDE, _S.AUTHENTICATED, _S.IDLE, "a newer login of the same account took its place"),
    Row(
        _T.REPLACE, _S.AUTHENTICATED, _S.AUTHENTICATED,
        "the user put it in the place of another login, whose account it has from now on",
    ),
    Row(_T.RENAME, _S.AUTHENTICATED, _S.AUTHENTICATED, "the user gave the account another name"),
    Row(
        _T.IDENTIFY, _S.AUTHENTICATED, _S.AUTHENTICATED,
        "the provider said what the user is called, whose subject an ID token has named",
        "OpenID Connect Core §5.3.2",
    ),
    # expired: the access token is spent, a refresh token may remain
    Row(
        _T.REFRESH, _S.EXPIRED, _S.EXCHANGING,
        "the refresh token is about to be sent",
        "RFC 6749 §6",
        Guard.HAS_REFRESH_TOKEN,
    ),
    Row(
        _T.RENEW, _S.EXPIRED, _S.EXCHANGING,
        "the client is about to ask again with a grant that needs no user",
        "RFC 6749 §4.4, RFC 8693 §2.1, RFC 7523 §2.1",
        Guard.CAN_ASK_AGAIN,
    ),
    Row(
        _T.LOGOUT, _S.EXPIRED, _S.IDLE,
        "the user signed out: tokens are revoked and erased",
        "RFC 7009 §2",
    ),
    Row(_T.SUPERSEDE, _S.EXPIRED, _S.IDLE, "a newer login of the same account took its place"),
    Row(_T.RENAME, _S.EXPIRED, _S.EXPIRED, "the user gave the account another name"),
    Row(
        _T.IDENTIFY, _S.EXPIRED, _S.EXPIRED,
        "the provider said what the user is called, whose subject an ID token has named",
        "OpenID Connect Core §5.3.2",
    ),
    # refresh_failed: the provider said no to the refresh token
    Row(
        _T.REFRESH, _S.REFRESH_FAILED, _S.EXCHANGING,
        "the user asked to try the refresh token once more",
        "RFC 6749 §6",
        Guard.HAS_REFRESH_TOKEN,
    ),
    Row(
        _T.RENEW, _S.REFRESH_FAILED, _S.EXCHANGING,
        "the user asked to try the grant, which needs no user, once more",
        "RFC 6749 §4.4, RFC 8693 §2.1, RFC 7523 §2.1",
        Guard.CAN_ASK_AGAIN,
    ),
    Row(
        _T.LOGOUT, _S.REFRESH_FAILED, _S.IDLE,
        "the user signed out: tokens are revoked and erased",
        "RFC 7009 §2",
    ),
    Row(
        _T.SUPERSEDE, _S.REFRESH_FAILED, _S.IDLE,
        "a newer login of the same account took its place",
    ),
    Row(_T.RENAME, _S.REFRESH_FAILED, _S.REFRESH_FAILED, "the user gave the account another name"),
)

PENDING: Final = frozenset({State.CHALLENGE, State.AWAITING_CALLBACK, State.EXCHANGING})
"""The states of a login that waits for its first tokens."""
