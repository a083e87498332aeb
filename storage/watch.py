"""Whether the vault is as it was saved; and if it is not, which of its logins can be relied on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..engine.errors import Damaged
from ..engine.event_text import NotAnEvent, members_of_text
from .audit_rows import check_chain
from .manifest import check_rows, read_head
from .sqlite_errors import translated

if TYPE_CHECKING:
    from .database import Database
    from .reader import Row
    from .sealing import Keys

_CHECKED_AT_ONCE: Final = 512  # rows up to which every look at the vault checks the whole of it


class Watch:
    """Compares the rows of a vault with its manifest, once for every time it is written.

    A row that was torn must not cost the other logins. So a difference is kept in mind rather than
    raised, and a login is then given out only if the audit log shows that its row is the last that
    was saved: a seal alone would not tell it from an older one put back.
    """

    def __init__(self) -> None:
        """Nothing has been looked at yet."""
        self._checked: object = None  # when the rows were last as the manifest says
        self._suspicion: Damaged | None = None

    def look(self, connection: Database, keys: Keys, changes: object = None) -> None:
        """Compare the rows with the manifest, if the vault is small and has not been seen so yet.

        Args:
            connection: The database.
            keys: Its keys.
            changes: Differs from what it was when somebody has written, by our rules or not.

        Raises:
            Damaged: The manifest itself was changed.
        """
        connection.execute("BEGIN")  # the manifest and the rows of one moment
        try:
            head = read_head(connection, keys)
            seen = (head.generation, changes)
            if seen == self._checked or head.count > _CHECKED_AT_ONCE:
                self._suspicion = None
                return
            try:
                with translated():  # text that is none, or a torn page, is damage as well
                    check_rows(connection, keys, head)
            except Damaged as error:
                self._checked, self._suspicion = None, error
            else:
                self._checked, self._suspicion = seen, None
        finally:
            connection.execute("COMMIT")

    def vouch(self, connection: Database, keys: Keys, row: Row | None) -> None:
        """Make sure that ``row`` may be believed; ``None`` stands for a login that is not there.

        Raises:
            Damaged: Something in the vault is wrong, and this may be it.
        """
        if self._suspicion is None:
            return
        if row is None or _last_saved(connection, keys, row[0]) != row[1]:
            raise self._suspicion


def problems_of(connection: Database, keys: Keys) -> list[str]:
    """What in a vault is not as it was saved, one sentence each; empty if all is well."""
    found: list[str] = []
    connection.execute("BEGIN")  # everything of one moment
    try:
        for check in (check_rows, check_chain):
            try:
                with translated():
                    check(connection, keys, read_head(connection, keys))
            except Damaged as error:
                found.append(error.message)
        for login, *names, meta, secret in connection.execute(
            "SELECT CAST(id AS BLOB), version, CAST(state AS BLOB), CAST(meta AS BLOB),"
            " CAST(secret AS BLOB) FROM login"
        ):
            try:
                told = (login.decode(), names[0], names[1].decode())
                keys.open_row("meta", *told, meta)
                keys.open_row("secret", *told, secret)
            except (Damaged, UnicodeDecodeError, AttributeError):
                found.append(f"login {(login or b'').decode('ascii', 'replace')[:4]} does not open")
    finally:
        connection.execute("COMMIT")
    return found


def _last_saved(connection: Database, keys: Keys, login_id: str) -> int:
    """The last version of a login the audit log tells of; reads all of it, about 20 µs an event.

    Raises:
        Damaged: The log is not as it was written either.
    """
    head = read_head(connection, keys)
    check_chain(connection, keys, head)
    newest = 0
    for seq, sealed in connection.execute(
        "SELECT seq, body FROM audit WHERE seq >= ?", (head.first,)
    ):
        try:
            members = members_of_text(keys.open_event(seq, sealed))
        except NotAnEvent as error:
            raise Damaged("the audit log cannot be read", hint="holdfast audit verify") from error
        version = members.get("version")
        if members.get("login") == login_id and isinstance(version, int):
            newest = max(newest, version)
    return newest
