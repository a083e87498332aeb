"""What it costs to show that a login is the last that was saved: each reader with the tree and without it."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from postgres_server import PostgresServer, binaries
from ratios import row
from stayfast import OAUTH_PROVIDERS, OAuthService, Success
from stayfast.engine.ports import Storage
from stayfast.engine.summary import account_alias
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.cli import fast
from stayfast.storage.postgres import PostgresStorage, resealing
from stayfast.storage.vault import vault
from stayfast.storage.vault.file import row_by_alias
from stayfast.testing.storage_contract import finished, saved
from transitions_of import vault_in

if TYPE_CHECKING:
    from stayfast.storage.keys.sealing import Keys
    from stayfast.storage.vault.database import Database
    from stayfast.storage.vault.tree import Found

MANY, AT_ONCE = 30_000, 2_000
ALIAS = account_alias("demo", "default")


def unchecked(connection: Database, keys: Keys, alias: str) -> Found:
    """The row alone, as the latest of any generation."""
    return row_by_alias(connection, keys, alias), True, sys.maxsize


@contextmanager
def without_the_tree(reader: ModuleType) -> Iterator[None]:
    """In the block, ``reader`` looks its login up without a check."""
    checked = reader.read_by_alias
    reader.read_by_alias = unchecked
    try:
        yield
    finally:
        reader.read_by_alias = checked


def compare(name: str, reader: ModuleType, look: Callable[[], object], rounds: int = 300) -> None:
    """One row: without the tree, and with it."""

    def bare() -> None:
        with without_the_tree(reader):
            assert look()

    row(name, bare, look, rounds)


def fill(storage: Storage, count: int) -> None:
    """A login that is looked for, and ``count`` more."""
    login = finished("demo")
    assert login.tokens is not None
    fresh = replace(login.tokens, issued_at=time.time())
    saved(storage, [replace(login, tokens=fresh)])
    for first in range(0, count, AT_ONCE):
        saved(storage, [finished(f"p{one}") for one in range(first, min(first + AT_ONCE, count))])


def of_a_vault(sizes: Sequence[int]) -> None:
    """The file: ``find`` of a program, and the whole of ``token`` but the start of Python."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            Path(place).chmod(0o700)
            environ = {"STAYFAST_STATE_DIR": f"{place}/s", "STAYFAST_CONFIG_DIR": f"{place}/c"}
            with closing(vault_in(place)) as storage:
                fill(storage, size - 1)
                name = f"vault of {size}: find, against one without the tree"
                compare(name, vault, lambda storage=storage: storage.find(ALIAS))
            name = f"vault of {size}: token (fast path), the same"
            compare(name, fast, lambda environ=environ: fast.cached_token(["demo"], environ))


def of_a_database(server: PostgresServer, sizes: Sequence[int]) -> None:
    """PostgreSQL: ``find``; then the large store against the small one."""
    looks: list[list[Callable[[], object]]] = []
    with tempfile.TemporaryDirectory() as place:
        for size in sizes:
            storage = PostgresStorage(
                server.url(server.new_database()),
                config_dir=f"{place}/c", state_dir=f"{place}/s{size}", environ={},
            )  # fmt: skip
            fill(storage, size - 1)
            name = f"PostgreSQL, {size}: find, against one without the tree"
            compare(name, resealing, lambda storage=storage: storage.find(ALIAS))
            login = storage.find(ALIAS)
            assert login is not None
            OAUTH_PROVIDERS["demo"] = login.config
            assembly = Assembly.open(storage=storage, config_dir=f"{place}/c", audit="none")
            service = OAuthService(assembly=assembly)
            assert isinstance(service.get_status("demo"), Success)
            looks.append(
                [
                    lambda service=service, whole=login.id: service.find_login(whole),
                    lambda service=service: service.get_status("demo"),
                    storage.about,
                    lambda storage=storage: list(storage.summaries()),
                ]
            )
        names = {
            "a login by its whole id": 300,
            "status of one login": 300,
            "store info": 20,
            "list": 5,
        }
        for (name, rounds), few, many in zip(names.items(), *looks, strict=True):
            row(f"PostgreSQL: {name}, {sizes[1]} against {sizes[0]}", few, many, rounds)


def main() -> None:
    of_a_vault((1, MANY))
    if binaries() is None:
        return
    server = PostgresServer(durable=True)
    try:
        server.start()
        of_a_database(server, (1, MANY))
    finally:
        server.remove()


if __name__ == "__main__":
    main()
