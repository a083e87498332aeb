"""A string that cannot be printed by accident."""

from __future__ import annotations

from typing import Final, final

HIDDEN: Final = "‹hidden›"


@final
class Secret:
    """A string that logs, tracebacks, ``repr`` and ``format`` show as ``‹hidden›``.

    Only :meth:`reveal` gives the value, so a search for that name finds every use of a secret. A
    comparison takes the same time wherever two values differ, so nobody can guess one character by
    character. A secret that is not empty cannot be pickled: it is sent only in a sealed record.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap ``value``."""
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the request or record that it is meant for."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest  # noqa: PLC0415  it loads OpenSSL, and few compare secrets

        # a typed value may hold a lone surrogate; then it is wrong, and must not raise
        return compare_digest(
            self._value.encode("utf-8", "surrogatepass"),
            other._value.encode("utf-8", "surrogatepass"),
        )

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self  # a copy would be one more place in memory

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        if not self._value:  # stands in a pickled login for a secret that was left out
            return Secret, ("",)
        msg = "a Secret is not pickled: it travels in a sealed record"
        raise TypeError(msg)
