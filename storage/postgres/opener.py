"""Opens a database of logins once per process, and again where its root key was changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from ...engine.errors import Damaged, StorageError
from ...engine.hints import Hint
from ..audit.keys import new_audit_keys, read_audit_keys, write_audit_keys
from ..host import CLOCK
from ..vault.header import Header, decode_header
from ..vault.making import begin_log
from ..vault.opener import VaultOpener
from .connections import Executor
from .schema import prepare

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ..keys.sealing import Keys
    from ..keys.sources import KeySources
    from ..vault.handover import HandedSources
    from .connections import Connection, Connections

T = TypeVar("T")
_LOOK_AGAIN: Final = 1.0  # seconds


class PostgresOpener:
    """Opens the database once per process. The first process makes what is missing.

    The header is in the database. Its slots wrap the root key. What opens a slot is on each host: a
    key file, a passphrase or a keyring.

    Attributes:
        opened: The keys, once the database was opened.
        created: The first record of the log, if the tables were made here and no observer has it yet.
    """

    def __init__(
        self,
        connections: Connections,
        schema: str,
        *,
        config_dir: str | None = None,
        passphrase: Callable[[], str | None] | None = None,
        interactive: bool = False,
        announce: Callable[[str], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """As for :class:`stayfast.storage.vault.opener.VaultOpener`."""
        self._connections = connections
        self._schema = schema
        self._slots = VaultOpener(
            "file",  # of a new header: hosts can share a key file, and no keyring
            config_dir=config_dir,
            passphrase=passphrase,
            interactive=interactive,
            announce=announce,
            environ=environ,
        )
        self._makes = True
        self._looked = 0.0  # when the header was last compared
        self._header: Header | None = None
        self.opened: Keys | None = None
        self.created: list[Recorded] = []

    def use(self, sources: HandedSources) -> None:
        """Take the root key from ``sources``, and make nothing that is missing."""
        self._slots.key_sources = sources
        self._makes = False

    @property
    def key_sources(self) -> KeySources:
        """Where this host has its keys."""
        return self._slots.key_sources

    def header(self) -> Header:
        """The header that the keys are of.

        Raises:
            StorageError: As for :meth:`keys`.
        """
        self.keys()
        assert self._header is not None  # noqa: S101  it was read with the keys
        return self._header

    def superseded(self, keys: Keys) -> bool:
        """Whether the database has another root key than that of ``keys`` by now.

        If so, the next call of :meth:`keys` opens it anew.
        """

        def look(connection: Connection) -> bytes | None:
            found = connection.execute("SELECT body FROM header").fetchone()
            return None if found is None else bytes(found[0])

        with self._connections.opening:
            if self.opened is not keys:  # another thread has found it out
                return True
            self._looked = CLOCK.monotonic()
            if self._header is None or self._connections.run(look) == self._header.body:
                return False
            self.opened = None
            return True

    def keys(self) -> Keys:
        """The keys of the logins.

        Raises:
            StorageError: The server cannot be reached, or this host can open no slot.
            NewerFormat: A newer version has changed the tables, or the header.
        """
        opened = self.opened
        # while rows are sealed anew, both keys are at hand; the former one goes soon after its last row
        if (
            opened is not None
            and opened.former is not None
            and CLOCK.monotonic() - self._looked > _LOOK_AGAIN
        ):
            self.superseded(opened)
        if self.opened is None:
            # one thread opens: a passphrase or a keyring's prompt must not be asked for twice
            with self._connections.opening:
                if self.opened is None:
                    self.opened = self._connections.run(self._open)
                return self.opened
        return self.opened

    def keyed(self, work: Callable[[Keys], T]) -> T:
        """``work`` with the keys; again if another process has changed the root key meanwhile.

        Raises:
            Damaged: Something does not open, under the keys that are those of the database.
        """
        while True:
            keys = self.keys()
            try:
                return work(keys)
            except Damaged:  # nothing opens under a key that is no longer the one
                if not self.superseded(keys):
                    raise

    def _open(self, connection: Connection) -> Keys:
        made: list[tuple[Header, Recorded]] = []
        prepare(connection, self._schema, lambda: made.extend(self._create(connection)))
        for header, created in made:
            self._slots.announce(header.reason)
            self.created.append(created)
        found = connection.execute("SELECT body, mac FROM header").fetchone()
        if found is None:
            raise Damaged("the header of the database is gone", hint=Hint("help storage"))
        header = decode_header(bytes(found[0]))
        keys = self._slots.keys(header)
        read_audit_keys(Executor(connection), keys)
        if bytes(found[1]) != keys.header_mac(header.body):
            raise Damaged("the header of the database was changed", hint=Hint("help storage"))
        self._header = header
        self._looked = CLOCK.monotonic()
        return keys

    def _create(self, connection: Connection) -> list[tuple[Header, Recorded]]:
        """Make the header and the first record of the log, in the transaction that makes the tables.

        Gives both if they are new.
        """
        if connection.execute("SELECT one FROM header").fetchone() is not None:
            return []
        if not self._makes:
            raise StorageError("the tables of the logins have gone", hint=Hint("status"))
        header, keys = self._slots.new_header()
        body = header.encode()
        database = Executor(connection)
        write_audit_keys(database, keys, new_audit_keys())
        database.execute("INSERT INTO header VALUES (1, ?, ?)", (body, keys.header_mac(body)))
        return [(header, begin_log(database, keys, header))]
