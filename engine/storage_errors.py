"""The root of all errors, and the errors of a storage.

They are all that ``stayfast token`` can meet, so they have a module of their own, which imports
nothing but hints. :mod:`stayfast.engine.errors` has the whole tree; import from there elsewhere.
"""

from __future__ import annotations

from .hints import Hint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Self, TypeVar

    E = TypeVar("E", bound="StayfastError")


class StayfastError(Exception):
    """The root of every error this library raises on purpose.

    Args:
        message: What happened: lower case, no full stop, no secret.
        hint: The one thing to do about it: a :class:`~.hints.Hint`, or a note in plain text.
        why: One more line, only where the reason is not obvious.
    """

    code: ClassVar[str] = "AUTH_FAILED"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, why: str | None = None) -> None:
        """Keep the three sentences."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.why = why

    @property
    def hint(self) -> Hint | None:
        """The one thing to do about it; a plain text that is given becomes a note."""
        return self._hint

    @hint.setter
    def hint(self, hint: str | None) -> None:
        self._hint = hint if hint is None or isinstance(hint, Hint) else Hint.note(hint)

    # Python would make a copy by calling the class with the message alone, and errors that need
    # more would break there: a worker process could not report one, and its pool would hang

    def __copy__(self) -> Self:
        return _made_again(type(self), self.args, vars(self))

    def __deepcopy__(self, memo: object) -> Self:
        return self.__copy__()  # nothing in an error changes in place

    def __reduce__(self) -> tuple[object, ...]:
        # a function belongs to the process that made it, such as one that can save tokens again
        members = {name: value for name, value in vars(self).items() if not callable(value)}
        return _made_again, (type(self), self.args, members)


def _made_again(kind: type[E], args: tuple[object, ...], members: dict[str, object]) -> E:
    """The error of class ``kind`` with ``members``, without asking its constructor."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(members)
    return error


class StorageError(StayfastError):
    """The storage cannot be used. Its content was not changed.

    Attributes:
        kept: The place where tokens that had arrived are kept meanwhile, sealed.
    """

    code = "STORAGE_UNAVAILABLE"
    exit_code = 7
    kept: str | None = None


class StorageConflict(StorageError):
    """A newer version was saved first. Read it before you decide anew."""

    code = "STORAGE_CONFLICT"


class Fenced(StorageConflict):
    """The lease of the login ended, and another process has it now."""

    code = "STORAGE_FENCED"


class StorageFull(StorageError):
    """There is no space left. The change was not made."""

    code = "STORAGE_FULL"


class OutcomeUnknown(StorageError):
    """The change may be durable or not. Read again before you assume either."""

    code = "STORAGE_OUTCOME_UNKNOWN"


class Damaged(StorageError):
    """A record, header or log cannot be opened: it was edited, swapped or truncated, or has decayed."""

    code = "STORAGE_DAMAGED"
    exit_code = 8


class NewerFormat(StorageError):
    """A newer version of Stayfast wrote it. It is refused, because half of it could be lost."""

    code = "STORAGE_NEWER_FORMAT"
