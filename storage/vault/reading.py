"""The reading half of a vault: its logins, its log, and what is to be said of it as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ...engine.audit.verifier import check_lines
from ...engine.codec import decode_login, decode_summary
from ...engine.errors import Damaged, NewerFormat, StorageError
from ..audit.check import check_log, file_keys, nothing_to_verify
from ..audit.rows import read_events
from ..audit.signing import Signer, signed_head
from .connection import VaultConnection
from .file import open_secret, row_by_alias, row_by_id, scan_for_alias
from .integrity import read_head
from .repair import quarantined
from .sqlite_errors import translated
from .tamper_check import TamperCheck, problems_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.audit.verifier import Verification
    from ...engine.record import Login, Summary
    from ..keys.sealing import Keys
    from .file import Row
    from .header import Header


T = TypeVar("T")
_HELP: Final = "stayfast store mend"


class VaultReader:
    """What can be learnt from a vault without changing it."""

    def __init__(
        self, connection: VaultConnection, describe: Callable[[Header | None], str]
    ) -> None:
        """Read over ``connection``."""
        self._vault_connection = connection
        self._describe = describe
        self._tamper_check = TamperCheck()

    @property
    def description(self) -> str:
        """Kind and place of its key, such as ``keyring:SecretService``."""
        return self._describe(self._vault_connection.header)

    @property
    def directory(self) -> str:
        """The state directory."""
        return self._vault_connection.directory

    def read(self, login_id: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.read`."""
        return self._settled(lambda: self._read(login_id))

    def _read(self, login_id: str) -> Login | None:
        with self._reading() as opened:
            if opened is None:
                return None
            connection, keys = opened
            row = row_by_id(connection, login_id)
            self._tamper_check.vouch(connection, keys, row)
            if row is None:
                return None
            return decode_login(open_secret(keys, row))

    def find(self, alias: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.find`."""
        return self._settled(lambda: self._find(alias))

    def _find(self, alias: str) -> Login | None:
        with self._reading() as opened:
            if opened is None:
                return None
            connection, keys = opened
            row = _by_alias(connection, keys, alias)
            self._tamper_check.vouch(connection, keys, row)
            if row is None:
                return None
            login = decode_login(open_secret(keys, row))
        if login.alias != alias:  # the index is not sealed with the row: it may have been moved
            raise Damaged("a login in the vault is filed under another's name", hint=_HELP)
        return login

    def summaries(self) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.ports.Storage.summaries`; rows that do not open are left out.

        What is left out is not silent: :attr:`damage` says so, and :meth:`problems` names it.
        """
        found = self._settled(lambda: list(self._summaries()))
        return sorted(found, key=lambda summary: summary.created_at)

    def _summaries(self) -> Iterator[Summary]:
        with self._reading() as opened:
            if opened is None:
                return
            connection, keys = opened
            believable = self._tamper_check.believable(connection, keys)
            for login, version, state, meta in connection.execute(
                "SELECT id, version, state, meta FROM login"
            ):
                if not believable(login, version):
                    continue
                try:
                    yield decode_summary(keys.open_row("meta", login, version, state, meta))
                except (Damaged, NewerFormat):
                    continue

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.events`."""
        with self._reading() as opened:
            if opened is None:
                return []
            connection, keys = opened
            connection.execute("BEGIN")  # the integrity record and the log of one moment
            try:
                head = read_head(connection, keys)
                return read_events(connection, keys, head, after=after, limit=limit)
            finally:
                connection.execute("COMMIT")

    @property
    def damage(self) -> Damaged | None:
        """What was seen to be wrong when the vault was last looked at; :meth:`mend` mends it."""
        return self._tamper_check.suspicion

    def problems(self) -> list[str]:
        """What in the vault is not as it was saved, one sentence each; empty if all is well."""
        with self._reading(check=False) as opened:
            return [] if opened is None else [*_torn_pages(opened[0]), *problems_of(*opened)]

    def verify(
        self, marks: Collection[int] = (), forward: tuple[int, bytes] | None = None
    ) -> Verification:
        """Check the audit log, and the logins against it; everything found is in the answer.

        Args:
            marks: The records whose links are to be kept in the answer.
            forward: The first record whose key was erased, and that key.
        """
        with self._reading(check=False) as opened:
            return nothing_to_verify() if opened is None else check_log(*opened, marks, forward)

    def verify_lines(
        self,
        lines: Iterable[bytes],
        marks: Collection[int] = (),
        forward: tuple[int, bytes] | None = None,
    ) -> Verification:
        """Check an exported log with the key of this vault; without it, if there is no vault."""
        with self._reading(check=False) as opened:
            link = file_keys(*opened, forward).link if opened else None
        return check_lines(lines, link, marks)

    def signer(self) -> Signer | None:
        """What signs checkpoints of the log; ``None`` without a vault."""
        with self._reading(check=False) as opened:
            return Signer(opened[1]) if opened else None

    def checkpoint(self) -> str | None:
        """A signed note of how the log stands; ``None`` of an empty one."""
        with self._reading(check=False) as opened:
            return signed_head(*opened) if opened else None

    def about(self) -> VaultInfo:
        """What there is to say of the vault as a whole."""
        with self._reading(check=False) as opened:
            return vault_info_of(
                self._vault_connection.header, self._vault_connection.directory, opened
            )

    def exists(self) -> bool:
        """Whether there is a vault already."""
        with self._reading(check=False) as opened:
            return opened is not None

    def _settled(self, look: Callable[[], T]) -> T:
        """What ``look`` gives; it looks again if the vault got another key under its eyes."""
        try:
            found = look()
        except Damaged:
            if not self._vault_connection.moved():
                raise
            return look()
        return look() if self._vault_connection.moved() else found

    @contextmanager
    def _reading(self, *, check: bool = True) -> Generator[tuple[sqlite3.Connection, Keys] | None]:
        with self._vault_connection.reading() as opened:
            if opened is not None and check:
                self._tamper_check.look(*opened, self._vault_connection.changes())
            yield opened


def _torn_pages(connection: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds wrong with its file: pages nobody asks for may be gone unnoticed."""
    try:
        with translated():
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except StorageError as error:
        return [error.message]
    return [] if found == ("ok",) else ["pages of the vault are torn"]


def _by_alias(connection: sqlite3.Connection, keys: Keys, alias: str) -> Row | None:
    """The row of ``alias``, also where SQLite's index of them is torn."""
    try:
        row = row_by_alias(connection, keys, alias)
    except sqlite3.DatabaseError as error:
        if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        row = None
    return row or scan_for_alias(connection, keys, alias)


# A vault as a whole, described: where it is, what opens it, how far it has come.


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultInfo:
    """What ``store info`` tells.

    Attributes:
        directory: Where the vault is.
        key: The kind of key that opens it; ``None`` where there is no vault yet.
        reason: Why that kind was chosen.
        created_at: When it was made, POSIX seconds.
        epoch: How many root keys it has had.
        format: The layout it is in.
        generation: How often it was changed.
        logins: How many it holds.
        records: How many records its audit log has.
        quarantined: When each row that did not open was set aside, and why.
        journal: How SQLite makes changes durable.
    """

    directory: str
    key: str | None = None
    reason: str | None = None
    created_at: float | None = None
    epoch: int = 0
    format: int = 0
    generation: int = 0
    logins: int = 0
    records: int = 0
    quarantined: tuple[tuple[float, str], ...] = ()
    journal: str | None = None


def vault_info_of(
    header: Header | None, directory: str, opened: tuple[sqlite3.Connection, Keys] | None
) -> VaultInfo:
    """What there is to say of a vault; of a damaged one, what can still be read."""
    if header is None or opened is None:
        return VaultInfo(directory=directory)
    connection, keys = opened
    try:
        head = read_head(connection, keys)
        generation, records = head.generation, head.seq
    except Damaged:
        generation = records = 0
    (logins,) = connection.execute("SELECT count(*) FROM login").fetchone()
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    return VaultInfo(
        directory=directory,
        key=header.slots[0].kind if header.slots else None,
        reason=header.reason,
        created_at=header.created_at,
        epoch=header.epoch,
        format=header.layout,
        generation=generation,
        logins=logins,
        records=records,
        quarantined=tuple(quarantined(connection)),
        journal=journal,
    )
