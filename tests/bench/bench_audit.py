"""The audit log: what an event costs, and how fast 200,000 of them are verified."""

import os
import sqlite3
import tempfile
import time

from ratios import row
from stayfast.engine.audit.events import text_of
from stayfast.interfaces.audit.lines import AllowList, line_of, render
from stayfast.storage import EncryptedFileStorage, MemoryStorage
from stayfast.storage.audit.check import check_log
from stayfast.storage.audit.keys import new_audit_keys
from stayfast.storage.audit.rows import append_event
from stayfast.storage.keys.sealing import Keys
from stayfast.storage.vault.integrity import Head
from stayfast.storage.vault.schema import TABLES
from wandering import Wanderer

EVENTS = 200_000
TOLD = 20_000

with tempfile.TemporaryDirectory() as place:
    vault = EncryptedFileStorage(f"{place}/s", config_dir=f"{place}/c", environ={})
    wanderer = Wanderer(vault, 200, 1)
    events = [wanderer.draft().event for _ in range(EVENTS)]
    keys = Keys(os.urandom(32), os.urandom(16), 1)
    keys.take_audit_keys(new_audit_keys())
    log = sqlite3.connect(f"{place}/log.db", isolation_level=None)
    log.executescript(TABLES)
    log.execute("BEGIN")
    head = Head()
    started = time.process_time()
    for event in events:
        head, _ = append_event(log, keys, head, event)
    each = (time.process_time() - started) / EVENTS
    log.execute("INSERT INTO head VALUES (1, ?, ?)", head.encode(keys))
    for login in wanderer.logins:
        memory = (login.id, login.version, 0, login.state.value, 1, None, b"", b"")
        log.execute("INSERT INTO login VALUES (?, ?, ?, ?, ?, ?, ?, ?)", memory)
    log.execute("COMMIT")
    print(
        f"an event of {len(text_of(events[0].members()))} octets: {each * 1e6:.1f} µs of CPU, no fsync"
    )

    def baseline() -> None:
        for _ in log.execute("SELECT seq, body, mac FROM audit ORDER BY seq"):
            pass

    def ours() -> None:
        found = check_log(log, keys)
        assert found.findings == []
        assert found.records == EVENTS

    began = time.perf_counter(), time.process_time()
    ours()
    took, busy = time.perf_counter() - began[0], time.process_time() - began[1]
    print(
        f"{EVENTS:,} events verified in {took:.2f} s: {EVENTS / took:,.0f} a second, {busy:.2f} s of CPU"
    )
    row(f"{EVENTS:,} events verified, against fetching their rows", baseline, ours, 5)
    log.close()

    memory = MemoryStorage()
    for event in events[:TOLD]:
        memory.note(event)
    recorded = memory.events(limit=TOLD)
    listed = AllowList()
    started = time.process_time()
    with open(os.devnull, "wb", buffering=0) as nowhere:
        nowhere.writelines(render(None, "", listed(None, "", line_of(one))) for one in recorded)
    each = (time.process_time() - started) / TOLD
    print(f"an event as a line: {each * 1e6:.1f} µs of CPU, no fsync")
