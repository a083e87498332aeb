"""Shows whether the vault is as it was saved and, if it is not, which of its logins are still genuine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import Damaged
from ...engine.table import PENDING, State
from ..host import CLOCK
from .database import one_moment
from .integrity import compare_rows, read_head, released, rows_in_pieces, rows_of
from .sqlite_errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...engine.hints import Hint
    from ..keys.sealing import Keys
    from .database import Database
    from .file import Row
    from .integrity import Head
    from .tree import Found


COUNTS_FOR: Final = 10.0
"""Seconds for which a comparison of all rows counts for the pages of one list."""
_LISTED: Final = (
    "SELECT id, version, state, idx, meta, substr(secret, length(secret) - 15) FROM login"
)
_WAITING: Final = ", ".join(f"'{state}'" for state in sorted(state.value for state in PENDING))
_PAGE: Final = (
    f"SELECT id, version, state, meta FROM login WHERE state <> '{State.IDLE.value}'"  # noqa: S608  our own words
    f" ORDER BY state IN ({_WAITING}), id LIMIT ? OFFSET ?"
)


class TamperCheck:
    """Compares the rows of a vault with its integrity record: one of them, or all.

    One login is looked up together with its branch of the tree, which costs the same in a vault of
    any size. All rows are compared where all of them are read, or where the branch of one does not
    fit. An earlier comparison does not count there: rows can be changed without a commit. Only for a
    page, which is a part of a list, it counts until the next commit, and for :data:`COUNTS_FOR` at most.

    One torn row must not cost the other logins. So a difference is kept in ``suspicion`` rather than
    raised. A login is then given out only if the audit log shows that its row is the last one saved:
    the seal alone cannot show that, because an older row that was put back has a good seal too.
    """

    def __init__(self) -> None:
        """Compare nothing yet."""
        # the commit that was found in order, and when
        self._checked: tuple[int, float] | None = None
        self._said: tuple[str, Hint | None] | None = None

    @property
    def suspicion(self) -> Damaged | None:
        """The difference that the last comparison found; ``None`` if it found none.

        A new error each time: one that was raised holds the frames of its way, and the keys in them.
        """
        return None if self._said is None else Damaged(self._said[0], hint=self._said[1])

    def checked(
        self,
        connection: Database,
        keys: Keys,
        look_up: Callable[[], Found],
        scan: Callable[[], Row | None],
    ) -> Row | None:
        """The row that ``look_up`` finds, if it may be believed; ``None`` if there is no such login.

        Args:
            connection: The database.
            keys: Its keys.
            look_up: Gives the row, and whether the tree shows it to be the last that was saved
                (:mod:`.tree`).
            scan: Gives the row where the database's own index may be torn.

        Raises:
            Damaged: Something in the vault is wrong, and this may be it.
        """
        row: Row | None = None
        try:
            with translated():
                row, genuine, _ = look_up()
        except Damaged:  # of the tree or an index, if what follows does without
            genuine = False
        if genuine:
            return row
        self.look(connection, keys)
        row = scan()
        self.vouch(connection, keys, row)
        return row

    def look(self, connection: Database, keys: Keys) -> None:
        """Compare all rows with the integrity record.

        Raises:
            Damaged: The integrity record itself was changed.
        """
        head, rows = self._read(connection, keys, lambda: rows_of(connection))
        if rows is not None:
            self._compare(keys, head, rows)

    def listed(self, connection: Database, keys: Keys) -> list[Any]:
        """The id, version, state and sealed summary of every row; :meth:`look` on the way.

        What is compared is what is given: the rows are read once, with the integrity record of the
        same moment.

        Raises:
            Damaged: The integrity record itself was changed.
        """
        head, rows = self._read(connection, keys, lambda: list(connection.execute(_LISTED)))
        if rows is None:
            return list(connection.execute("SELECT id, version, state, meta FROM login"))
        self._compare(keys, head, rows)
        return [
            (login, version, state, meta) for login, version, state, _, meta, _ in released(rows)
        ]

    def _read(
        self, connection: Database, keys: Keys, rows_now: Callable[[], list[Any]]
    ) -> tuple[Head, list[Any] | None]:
        """The integrity record, and the rows of the same moment; no rows if they cannot be read.

        No transaction is open afterwards: a process that is stopped then is in no writer's way.
        """
        with one_moment(connection):
            head = read_head(connection, keys)
            try:
                with translated():  # text that is not UTF-8, or a torn page, is damage as well
                    return head, rows_now()
            except Damaged as error:
                self._checked, self._said = None, (error.message, error.hint)
                return head, None

    def page(self, connection: Database, keys: Keys, offset: int, limit: int | None) -> list[Any]:
        """As :meth:`listed`, of one page of the logins that are not over: the finished ones first.

        Memory holds the page, and not the other rows that are compared. They are compared in the
        transaction, so this is for a database that lets others write meanwhile.

        Args:
            connection: The database.
            keys: Its keys.
            offset: How many logins are left out.
            limit: How many are given at most; all of them if ``None``.

        Raises:
            Damaged: The integrity record itself was changed.
        """
        with one_moment(connection):
            head = read_head(connection, keys)
            if not self._counts(head):
                self._compare(keys, head, rows_in_pieces(connection))
            return list(connection.execute(_PAGE, (limit, offset)))

    def _counts(self, head: Head) -> bool:
        """Whether the rows of that commit were compared a moment ago, and were in order."""
        if self._checked is None:
            return False
        generation, at = self._checked
        return generation == head.generation and CLOCK.monotonic() - at < COUNTS_FOR

    def _compare(self, keys: Keys, head: Head, rows: Iterable[Any]) -> None:
        try:
            compare_rows(keys, head, rows)
        except Damaged as error:
            self._checked, self._said = None, (error.message, error.hint)
        else:
            self._checked, self._said = (head.generation, CLOCK.monotonic()), None

    def vouch(self, connection: Database, keys: Keys, row: Row | None) -> None:
        """Make sure that ``row`` may be believed; ``None`` stands for a login that is not there.

        Raises:
            Damaged: Something in the vault is wrong, and this may be it.
        """
        suspicion = self.suspicion
        if suspicion is None:
            return
        if row is None:  # it may be the row that is missing
            raise suspicion
        from ..audit.rows import check_chain  # noqa: PLC0415  where something is wrong
        from .problems import last_saved  # noqa: PLC0415  as above

        check_chain(connection, keys)
        head = read_head(connection, keys)
        if (last_saved(connection, keys, head.first) or {}).get(row[0]) != row[1]:
            raise suspicion

    def believable(self, connection: Database, keys: Keys) -> Callable[[str, int], bool]:
        """Whether a row of that id and version may be shown in a list."""
        if self.suspicion is None:
            return lambda _login, _version: True
        from .problems import last_saved  # noqa: PLC0415  where something is wrong

        last = last_saved(connection, keys, read_head(connection, keys).first)
        return lambda login, version: last is None or last.get(login) == version
