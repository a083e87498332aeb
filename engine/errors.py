"""The errors of the library, in one tree.

::

    StayfastError
    ├── AuthRequired           AUTH_REQUIRED           nobody is signed in
    │   └── StepUpRequired     AUTH_REQUIRED           an API asks for a stronger login
    ├── AuthFailed             AUTH_FAILED             the login ended without tokens
    ├── AuthCancelled          AUTH_CANCELLED          the user or the provider declined
    ├── LoginTimedOut          TIMEOUT                 the deadline of the login passed
    ├── LoginPending           LOGIN_PENDING           saved, and waiting for the user
    ├── LoginBusy              LOGIN_BUSY              another process has this login
    ├── CallbackRefused        CALLBACK_REFUSED        an answer that is not this login's
    ├── IllegalTransition      ILLEGAL_TRANSITION      the table has no such row
    ├── TokenExpired           TOKEN_EXPIRED           expired, and nothing to refresh it with
    ├── TokenRefreshFailed     TOKEN_REFRESH_FAILED    the refresh token was refused
    ├── ConfigMissing          CONFIG_MISSING          no client id, no endpoint
    ├── ConfigInvalid          CONFIG_INVALID          a setting that cannot be right
    ├── NotFound               NOT_FOUND               no such provider or login
    ├── NetworkError           NETWORK_ERROR           no usable answer arrived
    ├── ProviderError          PROVIDER_ERROR          a refusal, or an answer without sense
    ├── TransportUnavailable   TRANSPORT_UNAVAILABLE   no port, no terminal, no device endpoint
    └── StorageError           STORAGE_UNAVAILABLE     the vault cannot be used
        ├── StorageConflict    STORAGE_CONFLICT        a newer version was saved first
        │   └── Fenced         STORAGE_FENCED          another process has the lease now
        ├── StorageFull        STORAGE_FULL            no space left
        ├── OutcomeUnknown     STORAGE_OUTCOME_UNKNOWN it is unknown whether it is durable
        ├── TokensNotSaved     STORAGE_TOKENS_NOT_SAVED the tokens are in this error only
        ├── Damaged            STORAGE_DAMAGED         a record or header cannot be opened
        └── NewerFormat        STORAGE_NEWER_FORMAT    written by a newer version

Every error carries what a person needs: the sentence, one ``hint`` (a command or a setting), the
stable ``code`` and the exit status of the command. No message holds a secret or a response body.
``TokensNotSaved`` holds a login, so it is defined beside ``Login``, in
:mod:`stayfast.engine.record`. The root and the errors of a storage are defined in
:mod:`stayfast.engine.storage_errors`, so that ``stayfast token`` makes no other class than those.

Codes are plain strings here; :class:`stayfast.engine.result.ErrorCode` lists them.
"""

from __future__ import annotations

from .storage_errors import (
    Damaged,
    Fenced,
    NewerFormat,
    OutcomeUnknown,
    StayfastError,
    StorageConflict,
    StorageError,
    StorageFull,
)

__all__ = [
    "AuthCancelled",
    "AuthFailed",
    "AuthRequired",
    "CallbackRefused",
    "ConfigInvalid",
    "ConfigMissing",
    "Damaged",
    "Fenced",
    "IllegalTransition",
    "LoginBusy",
    "LoginPending",
    "LoginTimedOut",
    "NetworkError",
    "NewerFormat",
    "NotFound",
    "OutcomeUnknown",
    "ProviderError",
    "StayfastError",
    "StepUpRequired",
    "StorageConflict",
    "StorageError",
    "StorageFull",
    "TokenExpired",
    "TokenRefreshFailed",
    "TransportUnavailable",
]


class AuthRequired(StayfastError):
    """Nobody is signed in to this provider with this account."""

    code = "AUTH_REQUIRED"
    exit_code = 4


class StepUpRequired(AuthRequired):
    """An API refuses the present login, and says what another one must have.

    It wants more scopes (``insufficient_scope``, RFC 6750 §3.1), or a newer or stronger sign-in
    (``insufficient_user_authentication``, RFC 9470 §3). The login that it wants::

        service.authenticate("acme", challenge=error.challenge)

    Attributes:
        challenge: The ``WWW-Authenticate`` header, reduced to what a login reads.
        scopes: The scopes that the request needs, if the API names them.
        acr_values: The ways of signing in that it accepts, the best first.
        max_age: Seconds since the user signed in, at most; ``None`` for any time.
    """

    def __init__(
        self,
        message: str,
        *,
        challenge: str,
        scopes: tuple[str, ...] = (),
        acr_values: tuple[str, ...] = (),
        max_age: int | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep what the API asks for."""
        super().__init__(message, hint=hint)
        self.challenge = challenge
        self.scopes = scopes
        self.acr_values = acr_values
        self.max_age = max_age


class AuthFailed(StayfastError):
    """The login ended without tokens, and neither the user nor the provider declined it."""

    code = "AUTH_FAILED"


class AuthCancelled(StayfastError):
    """The user or the provider declined (``access_denied``), or the login was cancelled."""

    code = "AUTH_CANCELLED"
    exit_code = 5


class LoginTimedOut(StayfastError):
    """The deadline of the login passed before an answer came."""

    code = "TIMEOUT"
    exit_code = 6


class LoginPending(StayfastError):
    """The login is saved and waits for the user; nothing failed."""

    code = "LOGIN_PENDING"
    exit_code = 3


class LoginBusy(StayfastError):
    """Another process has the lease of this login; the message names it."""

    code = "LOGIN_BUSY"


class CallbackRefused(StayfastError):
    """The answer belongs to another login, or is not an answer. The login goes on waiting.

    Attributes:
        reason: One of :class:`stayfast.engine.reasons.Refusal`, as a string.
    """

    code = "CALLBACK_REFUSED"

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        """Keep the machine-readable reason for the audit log."""
        super().__init__(message, hint=hint)
        self.reason = reason


class IllegalTransition(StayfastError):
    """The table has no row for this trigger in this state, or the row's guard is false."""

    code = "ILLEGAL_TRANSITION"


class TokenExpired(StayfastError):
    """The access token has expired and there is no refresh token."""

    code = "TOKEN_EXPIRED"
    exit_code = 4


class TokenRefreshFailed(StayfastError):
    """The provider refused the refresh token. A new login is needed."""

    code = "TOKEN_REFRESH_FAILED"
    exit_code = 4


class ConfigMissing(StayfastError):
    """A setting is missing that is needed before anything can be sent."""

    code = "CONFIG_MISSING"


class ConfigInvalid(StayfastError):
    """A setting has a value that cannot work."""

    code = "CONFIG_INVALID"


class NotFound(StayfastError):
    """There is no provider, account or login of that name."""

    code = "NOT_FOUND"


class NetworkError(StayfastError):
    """No usable answer arrived: refused, reset, timed out, bad certificate, server error.

    The provider may have acted on the request or not.
    """

    code = "NETWORK_ERROR"
    sent: bool = True
    """Whether the request may have left this machine, and so may have been acted upon."""


class ProviderError(StayfastError):
    """The provider refused, or its answer cannot be understood.

    Attributes:
        oauth_error: The provider's ``error`` code (RFC 6749 §5.2), if it gave a well-formed one.
        status: The HTTP status, if there was an answer.
        reason: One of :class:`stayfast.engine.reasons.Reason`, as a string, where the log has a
            word of its own for it.
    """

    code = "PROVIDER_ERROR"

    def __init__(
        self,
        message: str,
        *,
        oauth_error: str | None = None,
        status: int | None = None,
        hint: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Keep the code and the status: nothing else of an answer is safe to keep."""
        super().__init__(message, hint=hint)
        self.oauth_error = oauth_error
        self.status = status
        self.reason = reason


class TransportUnavailable(StayfastError):
    """This transport cannot work here: no free port, no terminal, no device endpoint."""

    code = "TRANSPORT_UNAVAILABLE"
