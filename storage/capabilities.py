"""What a storage can do besides keeping logins; callers that need more than ``Storage`` look here.

:class:`~stayfast.engine.ports.Storage` is all that a login needs. A storage that can do more says
so in its property ``capabilities``; no caller looks at its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ..engine.audit.events import Event, Recorded
    from ..engine.audit.verifier import Verification
    from ..engine.errors import Damaged
    from ..engine.ports import Lease, Storage
    from .audit.pruning import Pruned
    from .audit.signing import Signer
    from .vault.handover import Handover
    from .vault.info import DatabaseInfo, VaultInfo
    from .vault.repair import Mended

_READING: Final = frozenset({"find", "read"})


class AuditLog(Protocol):
    """An audit log whose records are linked: it can be checked, signed and cut."""

    def verify(
        self, marks: Collection[int] = (), forward: tuple[int, bytes] | None = None
    ) -> Verification:
        """Check the log, and the logins against it.

        Args:
            marks: The records whose links are to be kept in the answer.
            forward: The first record whose key was erased, and that key.
        """
        ...

    def verify_lines(
        self,
        lines: Iterable[bytes],
        marks: Collection[int] = (),
        forward: tuple[int, bytes] | None = None,
    ) -> Verification:
        """Check an exported log with the key of this storage, if there is one yet."""
        ...

    def signer(self) -> Signer | None:
        """What signs checkpoints; ``None`` if nothing was ever stored."""
        ...

    def checkpoint(self) -> str | None:
        """A signed note of how the log stands; ``None`` of an empty one."""
        ...

    def prune(self, before: float) -> Pruned | None:
        """Remove what was recorded before ``before``, POSIX seconds; ``None`` if there is nothing.

        Raises:
            Damaged: The records that would go are not as they were written.
        """
        ...

    def set_aside(self) -> Recorded | None:
        """Leave a damaged log behind and begin a new segment; gives the record of that."""
        ...


class Upkeep(Protocol):
    """A sealed storage that can be looked at, mended and given a new key."""

    @property
    def description(self) -> str:
        """Kind and place in a few words."""
        ...

    @property
    def damage(self) -> Damaged | None:
        """The damage that the last look found."""
        ...

    def about(self) -> VaultInfo | DatabaseInfo:
        """The storage as a whole: its place, its key, its counts."""
        ...

    def problems(self) -> list[str]:
        """What is not as it was saved, one sentence each; empty if all is well."""
        ...

    def mend(self, *, without_key: bool = False) -> list[Mended]:
        """Set aside what does not open; gives what was done.

        Args:
            without_key: Also set aside a vault whose key is merely missing.

        Raises:
            KeyMissing: The key is not where it was looked for, and ``without_key`` is not set.
        """
        ...

    def rekey(self, kind: str, passphrase: str | None = None) -> None:
        """Seal everything under a new root key, which is kept where ``kind`` says."""
        ...

    def purge(self, before: float) -> int:
        """Remove the logins that ended before ``before``, POSIX seconds; gives how many.

        They hold no secret, and what is known of them is in the audit log.
        """
        ...


class VaultUpkeep(Upkeep, Protocol):
    """A vault in a directory of this machine."""

    @property
    def directory(self) -> str:
        """The state directory."""
        ...

    def about(self) -> VaultInfo:
        """The vault as a whole: its place, its key, its counts."""
        ...

    def set_aside(self, beyond: int | None = None) -> Recorded | None:
        """As :meth:`AuditLog.set_aside`, if the present segment has a record up to ``beyond``."""
        ...

    def go_forward_secure(self) -> str:
        """Erase the key of every record from now on; gives the verification key, kept nowhere."""
        ...


class Sharing(Protocol):
    """A storage that a process which we start can open too, with what we hand over to it."""

    def held(self, lease: Lease) -> list[int] | None:
        """The descriptors that hold ``lease``: a process that gets them holds it as well.

        ``None`` if this process does not hold it.
        """
        ...

    def handover(self) -> Handover | None:
        """What the other process needs; ``None`` if nothing was ever stored.

        Raises:
            StorageError: The storage cannot be opened.
        """
        ...


class SealedEntries(Protocol):
    """Sealed values by name, beside the logins: what belongs to a provider and outlives a login."""

    def entry(self, name: str) -> bytes | None:
        """The value ``name``; ``None`` if there is none, or none that opens."""
        ...

    def entries(self) -> list[tuple[str, bytes]]:
        """Every name with its value."""
        ...

    def put_entry(self, name: str, value: bytes | None, event: Event | None = None) -> None:
        """Save ``value`` under ``name``, and ``event`` with it, or nothing; ``None`` removes it.

        It is durable on return. The last writer wins: who decides upon what is there holds a lease.

        Raises:
            StorageError: It could not be saved.
        """
        ...


class Glance(Protocol):
    """Shows whether anything was saved, for a small part of the cost of reading a login."""

    def look(self) -> object:
        """What is equal to an earlier look if nothing was saved since.

        A storage that is far away may look the same for a moment longer; it says how long.
        """
        ...

    def begin(self) -> object:
        """A look that is to be compared with later ones; equal to none if they could not tell."""
        ...


class Capabilities(NamedTuple):
    """What one storage can do; ``None`` is what it cannot.

    Attributes:
        log: Its audit log, if the records are linked.
        upkeep: Its own care, if it is sealed.
        vault: Its files, if they are a vault on this machine.
        close: Lets go of what a forked child must not share, if another process can go on with
            this storage; the storage is opened again when it is needed.
        sharing: Hands it over to a process that was not forked.
        entries: Keeps what belongs to a provider.
        remote: Whether every process needs a session of its own at a server, which costs both.
        probe_within: Probes it with an answer within so many seconds.
        glance: Shows whether what was read a moment ago still holds. It must see every way in which
            the tokens change, by whatever program; a storage whose tokens change elsewhere has none.
    """

    log: AuditLog | None = None
    upkeep: Upkeep | None = None
    vault: VaultUpkeep | None = None
    close: Callable[[], None] | None = None
    sharing: Sharing | None = None
    entries: SealedEntries | None = None
    remote: bool = False
    probe_within: Callable[[float], None] | None = None
    glance: Glance | None = None


def capabilities_of(storage: Storage) -> Capabilities:
    """What ``storage`` can do; nothing more than logins, if it does not say.

    A glance shows what one way of reading would find. Where a program reads in a way of its own, by
    a class that it derives or wraps around a storage, the glance counts only if that class states it.
    """
    # asked for by its name: a check of a protocol does not see what another object answers for it
    can: object = getattr(storage, "capabilities", None)
    if not isinstance(can, Capabilities):
        return Capabilities()
    return can if _states_what_it_reads(storage) else can._replace(glance=None)


def _states_what_it_reads(storage: object) -> bool:
    """Whether whoever says how ``storage`` reads says what it can do as well."""
    for own in (getattr(storage, "__dict__", {}), *map(vars, type(storage).__mro__)):
        if "capabilities" in own:
            return True
        if not own.keys().isdisjoint(_READING):
            return False
    return False  # another object answers for it


def rebuilt_elsewhere(storage: object) -> bool:
    """Whether another process that opens the same place has the same storage.

    A class that a program derives does not count: the other process would not have its additions.
    """
    return type(storage).__module__.startswith(f"{__name__.rpartition('.')[0]}.")
