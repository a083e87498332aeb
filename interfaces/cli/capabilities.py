"""What the commands about proof ask of a storage."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ...engine.errors import StorageError

if TYPE_CHECKING:
    from ...engine.audit.verifier import Verification
    from ...engine.ports import Storage
    from ...storage.audit.signing import Signer


@runtime_checkable
class Provable(Protocol):
    """A storage whose audit log is a chain that can be checked."""

    def verify(
        self, marks: Collection[int] = (), forward: tuple[int, bytes] | None = None
    ) -> Verification:
        """Check the log, and the logins against it; keep the links of ``marks``."""
        ...

    def verify_lines(
        self,
        lines: Iterable[bytes],
        marks: Collection[int] = (),
        forward: tuple[int, bytes] | None = None,
    ) -> Verification:
        """Check an exported log with the key of this storage, if it is there."""
        ...

    def signer(self) -> Signer | None:
        """What signs checkpoints, if anything was ever stored."""
        ...

    def checkpoint(self) -> str | None:
        """A signed note of how the log stands; ``None`` of an empty one."""
        ...


def provable(storage: Storage) -> Provable:
    """``storage``, if its log can be checked.

    Raises:
        StorageError: It has no chain.
    """
    if isinstance(storage, Provable):
        return storage
    raise StorageError(
        f"the audit log of {storage.description} has no links to check", hint="unset STAYFAST_STORE"
    )
