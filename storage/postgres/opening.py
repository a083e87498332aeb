"""A database opened: its tables made sure of, its header read, its keys found on this host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ...engine.errors import Damaged
from ..audit_keys import new_audit_keys, read_audit_keys, write_audit_keys
from ..header import Header, decode_header
from ..manifest import Head
from ..opening import VaultOpener
from .executor import Executor
from .schema import prepare

if TYPE_CHECKING:
    from ..sealing import Keys
    from .connections import Connection, Connections


class PostgresOpener:
    """Opens the database once per process; whoever comes first also makes what is missing.

    The root key is wrapped in the slots of the header, which is in the database. What opens them
    is on each host: a key file, a passphrase, a keyring.
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
        """As for :class:`stayfast.storage.opening.VaultOpener`."""
        self._connections = connections
        self._schema = schema
        self._slots = VaultOpener(
            "file",  # a new one: hosts have a key file or a passphrase in common, but no keyring
            config_dir=config_dir,
            passphrase=passphrase,
            interactive=interactive,
            announce=announce,
            environ=environ,
        )
        self._opened: Keys | None = None

    def keys(self) -> Keys:
        """The keys of the logins.

        Raises:
            StorageError: The server cannot be reached, or no slot opens here.
            NewerFormat: A newer version has changed the tables, or the header.
        """
        if self._opened is None:
            with self._connections.opening:
                if self._opened is None:
                    self._opened = self._connections.run(self._open)
        return self._opened

    def _open(self, connection: Connection) -> Keys:
        made: list[Header] = []
        prepare(connection, self._schema, lambda: made.extend(self._create(connection)))
        for header in made:
            self._slots.announce(header.reason)
        found = connection.execute("SELECT body, mac FROM header").fetchone()
        if found is None:
            raise Damaged("the header of the database is gone", hint="stayfast help storage")
        header = decode_header(bytes(found[0]))
        keys = self._slots.keys(header)
        read_audit_keys(Executor(connection), keys)
        if bytes(found[1]) != keys.header_mac(header.body):
            raise Damaged("the header of the database was changed", hint="stayfast help storage")
        return keys

    def _create(self, connection: Connection) -> list[Header]:
        """Make the header, in the transaction that makes the tables; gives it if it is new."""
        if connection.execute("SELECT one FROM header").fetchone() is not None:
            return []
        header, keys = self._slots.new_header()
        body = header.encode()
        database = Executor(connection)
        write_audit_keys(database, keys, new_audit_keys())
        database.execute("INSERT INTO header VALUES (1, ?, ?)", (body, keys.header_mac(body)))
        database.execute("INSERT INTO head VALUES (1, ?, ?)", Head().encode(keys))
        return [header]
