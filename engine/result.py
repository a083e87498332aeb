"""The results of the public API: :class:`Success`, :class:`Failure`, :class:`ErrorCode`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from .secret import HIDDEN

if TYPE_CHECKING:
    from .errors import StayfastError
    from .hints import Hint

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ErrorCode(StrEnum):
    """The codes of errors, for programs. The list only grows."""

    AUTH_REQUIRED = "AUTH_REQUIRED"
    AUTH_FAILED = "AUTH_FAILED"
    AUTH_CANCELLED = "AUTH_CANCELLED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_REFRESH_FAILED = "TOKEN_REFRESH_FAILED"
    CONFIG_MISSING = "CONFIG_MISSING"
    NOT_FOUND = "NOT_FOUND"
    TIMEOUT = "TIMEOUT"
    NETWORK_ERROR = "NETWORK_ERROR"
    CONFIG_INVALID = "CONFIG_INVALID"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    LOGIN_PENDING = "LOGIN_PENDING"
    LOGIN_BUSY = "LOGIN_BUSY"
    CALLBACK_REFUSED = "CALLBACK_REFUSED"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    TRANSPORT_UNAVAILABLE = "TRANSPORT_UNAVAILABLE"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    STORAGE_CONFLICT = "STORAGE_CONFLICT"
    STORAGE_FENCED = "STORAGE_FENCED"
    STORAGE_FULL = "STORAGE_FULL"
    STORAGE_OUTCOME_UNKNOWN = "STORAGE_OUTCOME_UNKNOWN"
    STORAGE_TOKENS_NOT_SAVED = "STORAGE_TOKENS_NOT_SAVED"
    STORAGE_DAMAGED = "STORAGE_DAMAGED"
    STORAGE_NEWER_FORMAT = "STORAGE_NEWER_FORMAT"


STORAGE_CODES: Final = frozenset(
    {
        ErrorCode.STORAGE_UNAVAILABLE,
        ErrorCode.STORAGE_CONFLICT,
        ErrorCode.STORAGE_FENCED,
        ErrorCode.STORAGE_FULL,
        ErrorCode.STORAGE_OUTCOME_UNKNOWN,
        ErrorCode.STORAGE_TOKENS_NOT_SAVED,
        ErrorCode.STORAGE_DAMAGED,
        ErrorCode.STORAGE_NEWER_FORMAT,
    }
)
"""The codes of :class:`~stayfast.engine.errors.StorageError` and of its kinds."""


@dataclass(frozen=True, slots=True)
class Success(Generic[T_co]):
    """The result of a call that worked.

    Attributes:
        value: What the call gives.
        warning: What went wrong nevertheless: tokens came and could not be saved yet. They are
            kept, sealed, and the next call saves them.
        hidden: Whether ``value`` is a token in plain text, which ``repr`` does not show.
    """

    value: T_co
    warning: Failure | None = field(default=None, compare=False)
    hidden: bool = field(default=False, compare=False, kw_only=True)

    def __repr__(self) -> str:
        value = HIDDEN if self.hidden else repr(self.value)
        return f"Success(value={value}, warning={self.warning!r})"


@dataclass(frozen=True, slots=True)
class Failure:
    """The result of a call that failed.

    Attributes:
        error: What happened, in one sentence without secrets.
        code: The same for programs.
        hint: What to do about it, if anything can be done: a sentence, and its data.
        cause: The exception behind it. A :class:`~stayfast.engine.record.TokensNotSaved` still holds
            the tokens.
    """

    error: str
    code: ErrorCode
    hint: Hint | None = None
    cause: StayfastError | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, error: StayfastError) -> Failure:
        """``error`` as a value, for callers who do not want exceptions."""
        return cls(error.message, ErrorCode(error.code), error.hint, error)


Result: TypeAlias = Success[T] | Failure
