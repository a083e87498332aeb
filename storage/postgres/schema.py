"""The tables in PostgreSQL, and the migration to what this version needs.

Steps are only added, never changed: a database may be at any earlier version. All missing steps run
in one transaction and under an advisory lock, so each runs once, and other hosts wait meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from ...engine.errors import NewerFormat, StorageError
from ...engine.hints import Hint

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connections import Connection

_LOCK: Final = 0x53544159  # "STAY"

# These read the rows of the catalogue. to_regclass() uses a cache, which may be older than the lock
# that we waited for.
_SCHEMA_IS_THERE: Final = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)"
_TABLE_IS_THERE: Final = """
SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
               WHERE nspname = %s AND relname = 'migration')
"""

STEPS: Final = (
    """
    CREATE TABLE header (
      one INTEGER PRIMARY KEY CHECK (one = 1), body BYTEA NOT NULL, mac BYTEA NOT NULL
    );
    CREATE TABLE login (
      id TEXT COLLATE "C" PRIMARY KEY, version BIGINT NOT NULL, fence BIGINT NOT NULL DEFAULT 0,
      state TEXT NOT NULL, epoch BIGINT NOT NULL, idx BYTEA UNIQUE,
      meta BYTEA NOT NULL, secret BYTEA NOT NULL
    ) WITH (fillfactor = 70);
    ALTER TABLE login ALTER COLUMN secret SET STORAGE EXTERNAL;
    CREATE TABLE audit (seq BIGINT PRIMARY KEY, body BYTEA NOT NULL, mac BYTEA NOT NULL);
    CREATE TABLE head (
      one INTEGER PRIMARY KEY CHECK (one = 1), body BYTEA NOT NULL, mac BYTEA NOT NULL
    ) WITH (fillfactor = 10);
    CREATE TABLE tree (place BIGINT PRIMARY KEY, body BYTEA NOT NULL) WITH (fillfactor = 50);
    ALTER TABLE tree ALTER COLUMN body SET STORAGE PLAIN;
    CREATE TABLE audit_key (first_seq BIGINT PRIMARY KEY, sealed BYTEA NOT NULL);
    CREATE SEQUENCE fence;
    CREATE TABLE lease (
      login TEXT PRIMARY KEY, fence BIGINT NOT NULL, until TIMESTAMPTZ, since TIMESTAMPTZ NOT NULL,
      pid BIGINT NOT NULL, host TEXT NOT NULL, host_lock TEXT
    ) WITH (fillfactor = 50);
    """,
    """
    CREATE TABLE entry (idx BYTEA PRIMARY KEY, epoch BIGINT NOT NULL, sealed BYTEA NOT NULL);
    ALTER TABLE entry ALTER COLUMN sealed SET STORAGE EXTERNAL;
    """,
    """
    CREATE TABLE quarantine (
      number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, since DOUBLE PRECISION NOT NULL,
      why TEXT NOT NULL, id TEXT COLLATE "C", version BIGINT, state TEXT, epoch BIGINT, idx BYTEA,
      meta BYTEA, secret BYTEA
    );
    """,
)
"""The step from each version of the tables to the next.

Sealed octets do not compress, so their columns are stored without compression. The fill factors leave
room on the pages of rows that are updated often.
"""


def prepare(connection: Connection, schema: str, finish: Callable[[], None]) -> None:
    """Make the tables, or bring them up to this version.

    Args:
        connection: A connection with ``schema`` as its search path.
        schema: The schema of the tables.
        finish: Called at the end of the transaction that makes them.

    Raises:
        NewerFormat: A newer version has changed the tables.
        StorageError: The tables are missing, and this user may not make them.
    """
    found = _version(connection, schema)
    if found == len(STEPS):
        return
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, schema))
            before = _version(connection, schema)
            if before == len(STEPS):  # another process made them while we waited for the lock
                return
            if not _one(connection, _SCHEMA_IS_THERE, (schema,)):
                connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
            if before is None:
                connection.execute(
                    "CREATE TABLE migration (version INTEGER PRIMARY KEY,"
                    " at TIMESTAMPTZ NOT NULL DEFAULT now())"
                )
            for number in range(before or 0, len(STEPS)):
                connection.execute(STEPS[number].encode())
                connection.execute("INSERT INTO migration (version) VALUES (%s)", (number + 1,))
            finish()
    except psycopg.errors.InsufficientPrivilege as error:
        what = (
            f"the tables of Stayfast are not in schema {schema}, and this user may not make them"
            if found is None
            else f"the tables in schema {schema} are those of an older version of Stayfast, and this"
            " user may not change them: their owner has to use this version first"
        )
        raise StorageError(what, hint=Hint("help storage")) from error


def _version(connection: Connection, schema: str) -> int | None:
    """The version of the tables, or ``None`` if there are no tables.

    Raises:
        NewerFormat: The version is newer than this program.
    """
    if not _one(connection, _TABLE_IS_THERE, (schema,)):
        return None
    found = _one(connection, "SELECT coalesce(max(version), 0) FROM migration")
    if found > len(STEPS):
        raise NewerFormat(
            "the tables of this database were changed by a newer version of Stayfast",
            hint="in a newer clone of Stayfast: pip install .",
        )
    return int(found)


def _one(connection: Connection, sql: str, parameters: tuple[Any, ...] = ()) -> Any:
    row = connection.execute(sql.encode(), parameters or None).fetchone()
    return row[0] if row else None
