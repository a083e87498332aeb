"""Compares the definitions of a vault's tables with those that are made, and puts torn ones right.

SQLite keeps the statement that made each table, and parses it again whenever the file is opened. A
byte that is torn there makes one table unusable, or all of them, while every row is still in its
place. So the definition is written again; no row is touched. Where more of that page is torn than a
definition, such as the page on which a table begins, all of them are written again, and that is kept
only if SQLite's own check then finds every page in its place.

A table, index or trigger of another program is left alone unless it belongs to a table of ours:
there it changes what our statements do.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .entries import TABLE as ENTRY_TABLE
from .file import SECOND_HEADER, open_database
from .page_check import torn_pages
from .schema import TABLES
from .sqlite_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterable

_READ: Final = "SELECT type, name, tbl_name, sql, rowid, rootpage FROM sqlite_master ORDER BY rowid"
_MADE_AGAIN: Final = frozenset({"header", "head", "tree", "quarantine"})
"""Tables that ``store mend`` can do without: what stands in the first three follows from the rest."""
_BLANKS: Final = dict.fromkeys(b"\t\n\f\r", " ")  # str.split() knows more of them than SQLite
_OPTIONAL: Final = "entry"
_FEW: Final = 12
_MAY_BE_ENTRY: Final = range(10, 40)  # the pages that come after those of a new vault


class Definition(NamedTuple):
    """A table, index or trigger, as a row of ``sqlite_master`` says it.

    Attributes:
        type: ``table``, ``index`` or ``trigger``.
        name: Its name.
        table: The table that it belongs to.
        sql: The statement that made it, with single spaces; empty for what SQLite makes by itself.
    """

    type: object
    name: object
    table: object
    sql: object

    def likeness(self, other: Definition) -> int:
        """How many parts of both are equal; the type alone, which tables share, does not count."""
        alike = sum(one == another for one, another in zip(self[1:], other[1:], strict=True))
        alike += _columns(self.sql) == _columns(other.sql) != ""
        return alike and alike + (self.type == other.type)


class _Found(NamedTuple):
    row: int
    page: object
    definition: Definition


class Differences(NamedTuple):
    """What in the definitions of a vault is not as it was made.

    Attributes:
        torn: Where a definition stands that is not as it was made, and as which one it was made.
        gone: The definitions that are not there in any form.
        strange: What somebody else has added to our tables.
    """

    torn: tuple[tuple[int, Definition], ...]
    gone: tuple[Definition, ...]
    strange: tuple[Definition, ...]

    def problems(self) -> list[str]:
        """One sentence for each."""
        return [
            *(f"the definition of {one.name} in the vault was changed" for _, one in self.torn),
            *(f"the vault has no {one.type} {one.name}" for one in self.gone),
            *(f"the vault has a strange {one.type} {one.name}" for one in self.strange),
        ]


def differences(connection: sqlite3.Connection) -> Differences:
    """Compare the definitions of an open vault with those that are made.

    Raises:
        sqlite3.Error: They cannot be read.
    """
    return _compared(_found(connection))


def restore_definitions(directory: str) -> list[str]:
    """Put right what :func:`differences` finds in the vault in ``directory``; says what was done.

    No other process may make or write the vault meanwhile.

    What cannot be put right is left as it is.

    Raises:
        StorageError: The vault cannot be written.
    """
    with translated():
        if _all_put_right(directory):
            return ["the definitions of all tables"]
        wrong = _torn_put_right(directory)
        if not (wrong.gone or wrong.strange):
            return [_done(one) for _, one in wrong.torn]
        connection = open_database(directory)
        if connection is None:
            return []
        with closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            for one in wrong.strange:
                name = str(one.name).replace('"', '""')
                connection.execute(f'DROP {str(one.type).upper()} "{name}"')
            for one in wrong.gone:
                connection.execute(str(one.sql))
            connection.execute("COMMIT")
    return [_done(one) for one in (*(one for _, one in wrong.torn), *wrong.gone, *wrong.strange)]


def need_restoring(directory: str) -> bool:
    """Whether the definitions of the vault in ``directory`` are not as made and can be put right."""
    try:
        connection = open_database(directory)
        if connection is None:
            return False
        with closing(connection):
            _read_in_spite_of_damage(connection)
            if torn_pages(connection):
                return True
            found = _found(connection)
            wrong = _compared(found)
            return any(wrong) and _can_be_put_right(directory, found, wrong)
    except (sqlite3.Error, UnicodeDecodeError):  # no database: this is said elsewhere
        return False


def _all_put_right(directory: str) -> bool:
    """Write all definitions again where pages are torn, if that leaves none torn."""
    connection = open_database(directory)
    if connection is None:
        return False
    with closing(connection), closing(sqlite3.connect("", isolation_level=None)) as copy:
        if not torn_pages(connection):
            return False
        found: list[_Found] = []
        with suppress(sqlite3.Error, UnicodeDecodeError):
            connection.backup(copy)
            _read_in_spite_of_damage(copy)
            found = _found(copy)
        made = [(row, page, one) for row, (one, page) in enumerate(_made().items(), 1)]
        pages = [one.page for one in found if one.definition.name == _OPTIONAL]
        tries = [*pages, None, *_MAY_BE_ENTRY]
        # if all are as made, what is torn is likely elsewhere, and each try checks all pages
        if [one for one in found if one.definition.name != _OPTIONAL] == made[:-1]:
            tries = tries[:_FEW] if pages else [None]
        for entry_page in tries:
            with suppress(sqlite3.Error, UnicodeDecodeError):
                _read_in_spite_of_damage(copy)
                _write_all(copy, entry_page)
                if copy.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",):
                    copy.backup(connection)
                    return True
            if copy.in_transaction:
                copy.execute("ROLLBACK")
    return False


def _write_all(copy: sqlite3.Connection, entry_page: object) -> None:
    """Write the definitions of a vault that was never made anew by ``VACUUM``."""
    copy.execute("BEGIN")
    copy.execute("DELETE FROM sqlite_master")
    for row, (one, page) in enumerate(_made().items(), 1):
        begins = entry_page if one.name == _OPTIONAL else page
        if begins is not None:
            copy.execute(
                "INSERT INTO sqlite_master (rowid, type, name, tbl_name, rootpage, sql)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (row, one.type, one.name, one.table, begins, one.sql),
            )
    _say_changed(copy)
    copy.execute("COMMIT")
    copy.execute("PRAGMA writable_schema = RESET")


def _say_changed(connection: sqlite3.Connection) -> None:
    """Make every process that has the vault open parse the definitions again."""
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    connection.execute(f"PRAGMA schema_version = {int(version) + 1}")


def _torn_put_right(directory: str) -> Differences:
    connection = open_database(directory)
    if connection is None:
        return Differences((), (), ())
    with closing(connection):
        _read_in_spite_of_damage(connection)
        found = _found(connection)
        wrong = _compared(found)
        # a transaction alone would already write to a file that was cut short
        if not any(wrong) or not _can_be_put_right(directory, found, wrong):
            return Differences((), (), ())
        connection.execute("BEGIN IMMEDIATE")
        for row, one in wrong.torn:
            connection.execute(
                "UPDATE sqlite_master SET type = ?, name = ?, tbl_name = ?, sql = ?"
                " WHERE rowid = ?",
                (one.type, one.name, one.table, one.sql, row),
            )
        if wrong.torn:
            _say_changed(connection)
        connection.execute("COMMIT")
    return wrong


def _can_be_put_right(directory: str, found: Iterable[_Found], wrong: Differences) -> bool:
    """No tables share pages, and none is gone that could not be filled again."""
    pages = [one.page for one in found if one.page]
    gone = {one.name for one in wrong.gone}
    if "header" in gone and not os.path.lexists(os.path.join(directory, SECOND_HEADER)):
        return False
    return gone <= _MADE_AGAIN and len(set(pages)) == len(pages)


def _read_in_spite_of_damage(connection: sqlite3.Connection) -> None:
    """Let SQLite read the definitions although it cannot parse one of them."""
    connection.execute("PRAGMA writable_schema = ON")


def _found(connection: sqlite3.Connection) -> list[_Found]:
    rows = connection.execute(_READ).fetchall()
    return [_Found(row, page, _definition(*members)) for *members, row, page in rows]


def _compared(found: Iterable[_Found]) -> Differences:
    made = _made()
    names = {one.table for one in made}
    here = {one.definition for one in found}
    others = [one for one in found if one.definition not in made]
    torn: list[tuple[int, Definition]] = []
    gone: list[Definition] = []
    for one in made:
        if one in here:
            continue
        like = max(others, key=lambda other: one.likeness(other.definition), default=None)
        if like is not None and one.likeness(like.definition):
            others.remove(like)
            torn.append((like.row, one))
        elif one.name != _OPTIONAL:
            gone.append(one)
    strange = tuple(one.definition for one in others if one.definition.table in names)
    return Differences(tuple(torn), tuple(gone), strange)


@cache
def _made() -> dict[Definition, object]:
    """Every definition, and on which page what it defines begins."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(f"{TABLES};{ENTRY_TABLE};")
        return {one.definition: one.page for one in _found(connection)}


def _definition(kind: Any, name: Any, table: Any, sql: Any) -> Definition:
    if isinstance(sql, str):
        sql = " ".join(word for word in sql.translate(_BLANKS).split(" ") if word)
    return Definition(kind, name, table, sql)


def _columns(sql: object) -> str:
    return sql.partition("(")[2] if isinstance(sql, str) else ""


def _done(one: Definition) -> str:
    return f"the definition of the {one.type} {one.name}"
