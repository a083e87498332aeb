"""A value that cannot be printed by accident."""

from __future__ import annotations

from hmac import compare_digest
from typing import Final, final

HIDDEN: Final = "‹hidden›"


@final
class Secret:
    """A string that logs, tracebacks, ``repr`` and ``format`` show as ``‹hidden›``.

    Comparison takes constant time. The only way to the value is :meth:`reveal`, so every place
    that uses a secret can be found by that name. It refuses to be pickled, unless it is empty: a secret
    travels in a sealed record or not at all.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap ``value``."""
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one request or record it is meant for."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # a value typed or pasted can hold half a character; it is wrong, not an exception
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
        return self  # it is immutable, and a copy would be another place to look after

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        if not self._value:  # what is left in the place of one that stayed behind
            return Secret, ("",)
        msg = "a Secret is not pickled: it travels in a sealed record"
        raise TypeError(msg)
