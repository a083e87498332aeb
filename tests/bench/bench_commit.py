"""A saved transition (row, audit event, integrity record), against SQLite writing the same octets.

The second row has the line of the audit file as well, which each transition gets after its commit.
"""

import os
import sqlite3
import tempfile

from ratios import row
from stayfast.engine.codec import encode_login
from stayfast.interfaces.audit.file import AuditFile
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.vault.schema import TABLES, set_pragmas
from stayfast.testing.storage_contract import change, finished, further, saved

with tempfile.TemporaryDirectory() as place:
    vault = EncryptedFileStorage(f"{place}/s", config_dir=f"{place}/c", environ={})
    login = finished("demo")
    saved(vault, [login])
    bare = sqlite3.connect(f"{place}/bare.db", isolation_level=None)
    bare.executescript(TABLES)
    set_pragmas(bare)
    octets = tuple(os.urandom(len(part) + 28) for part in encode_login(login))
    numbers = iter(range(1, 1_000_000))

    def baseline() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute(
            "INSERT OR REPLACE INTO login VALUES (?, 1, 0, 's', 1, NULL, ?, ?)", (login.id, *octets)
        )
        bare.execute(
            "INSERT INTO audit VALUES (?, ?, ?)", (next(numbers), os.urandom(400), b"m" * 32)
        )
        bare.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (os.urandom(130), b"m" * 32))
        bare.execute("COMMIT")

    newest = [login]

    def ours() -> None:
        newest.append(further(newest.pop()))
        vault.commit([change(newest[0])])

    row("a saved transition, against the bare SQLite commit", baseline, ours, 300, goal=1.5)

    audit_file = AuditFile(f"{place}/audit.jsonl", vault)

    def told() -> None:
        newest.append(further(newest.pop()))
        audit_file.observe(vault.commit([change(newest[0])]), newest[0])

    for _ in range(200):  # until the part of the file that is read is full
        told()
    row("a saved transition and its line, against the same", baseline, told, 300)
