"""A disk that fails a read has damaged nothing: the error is said, and no part of the log is set aside."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
import telling
from stayfast.engine.errors import Damaged, StorageError
from stayfast.storage.vault.database import one_moment
from stayfast.storage.vault.sqlite_errors import translated
from stayfast.testing.crash_driver import EIO, CrashDriver
from stayfast.testing.storage_contract import finished, saved
from transitions_of import vault_in


class DiskFailed(Exception):
    """What the block raises."""


def test_the_error_of_a_look_goes_up_as_it_is() -> None:
    """Also where the database has ended the transaction by itself; the next look begins anew."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for ended_by_itself in (True, False):
            with pytest.raises(DiskFailed):
                fail(connection, ended_by_itself=ended_by_itself)
            with one_moment(connection):
                assert connection.in_transaction
            assert not connection.in_transaction


def fail(connection: sqlite3.Connection, *, ended_by_itself: bool) -> None:
    """A look that fails."""
    with one_moment(connection):
        if ended_by_itself:
            connection.execute("ROLLBACK")
        raise DiskFailed


@pytest.mark.parametrize("statements", [["COMMIT"], ["ROLLBACK"], ["BEGIN", "BEGIN"]])
def test_a_transaction_that_is_not_there_is_no_damage(statements: list[str]) -> None:
    """It says nothing of the file: whatever is damaged is set aside."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with pytest.raises(StorageError) as caught:
            run(connection, statements)
        assert not isinstance(caught.value, Damaged)
        with pytest.raises(Damaged):
            run(connection, ["SELECT 1 FROM absent"])


def run(connection: sqlite3.Connection, statements: list[str]) -> None:
    """Run ``statements`` as the vault does."""
    with translated():
        for statement in statements:
            connection.execute(statement)


def test_a_read_of_the_log_that_the_disk_fails_sets_nothing_aside(traced_place: Path) -> None:
    """Each lock for reading fails once, while a process copies the log; the log stays one piece."""
    template = traced_place / "template"
    template.mkdir(mode=0o700)
    vault = vault_in(str(template))
    saved(vault, [finished("demo")])
    whole = vault.events(limit=100)
    vault.close()
    numbers = count()

    def prepare() -> list[str]:
        copy = traced_place / str(next(numbers))
        shutil.copytree(template, copy)
        copy.chmod(0o700)
        return [sys.executable, str(telling.__file__), str(copy)]

    driver = CrashDriver(
        prepare, workers=2, environ={"PYTHONPATH": ":".join(filter(None, sys.path))}
    )
    points = [one for one in driver.points() if "F_RDLCK" in one.arguments]
    assert points
    for outcome in driver.inflict([EIO], points):
        assert outcome.returncode == 0, outcome
        after = vault_in(outcome.argv[2])
        assert after.events(after=len(whole), limit=1) == [], (
            outcome
        )  # such as that it was set aside
        assert after.problems() == [], outcome
        after.close()
