"""A vault of 100,000 logins against a vault with one; listing; memory; syncs of a transition."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from processes import Run, memory
from ratios import measured, row
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.storage import Vault
from stayfast.storage.vault.reserve import remove_list
from stayfast.testing.crash_driver import CrashDriver, unavailable
from stayfast.testing.storage_contract import finished, further, saved
from transitions_of import vault_in

MANY = 100_000
AT_ONCE = 2_000
TOKEN = "assert service.get_tokens('demo').value.access_token"
LIST = "every = service.logins().value; assert len(every) > 1"


def fill(storage: Vault, count: int) -> None:
    """Put so many finished logins into ``storage``."""
    for first in range(0, count, AT_ONCE):
        batch = range(first, min(first + AT_ONCE, count))
        saved(storage, [finished(f"p{number}") for number in batch])


def saves(storage: Vault, login: Login | None) -> Iterator[None]:
    """Save ``login`` again each time."""
    assert login is not None
    while True:
        login = further(login)
        saved(storage, [login])
        yield


def departures(storage: Vault, logins: list[Login]) -> Iterator[None]:
    """Erase the tokens of one login after another, and sign in anew."""
    while True:
        login = logins.pop()
        saved(storage, [further(login, state=State.IDLE, tokens=None)])
        logins.append(finished(login.provider))
        saved(storage, logins[-1:])
        yield


def listed(storage: Vault) -> float:
    """Seconds of processor time a list takes."""
    began = time.process_time()
    for _summary in storage.summaries():
        pass
    return time.process_time() - began


def service(name: str, place: str, *work: str) -> Run:
    """A process that makes a service with the vault in ``place``, and then does ``work``."""
    script = (
        "import sys; from stayfast import OAuthService",
        "from transitions_of import vault_in",
        "service = OAuthService(storage=vault_in(sys.argv[1]), audit='none', environ={})",
        *work,
    )
    return Run(f"memory: a service, {name}", [sys.executable, "-c", "\n".join(script), place])


def syncs(place: str, *, wal: bool) -> int:
    """How often one transition asks the disk to be done."""
    script = (
        "import sys; from stayfast.storage.vault import schema\n"
        f"schema._WAL_SAFE = {(0,) if wal else (9,)}\n"
        "from transitions_of import vault_in\n"
        "from stayfast.testing.storage_contract import finished, further, saved\n"
        "storage = vault_in(sys.argv[1])\n"
        "login = next(iter(storage.summaries()))\n"
        "login = storage.read(login.id)\n"
        "for _ in range(int(sys.argv[2])):\n"
        "    login = further(login); saved(storage, [login])\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    counted = []
    for times in (3, 13):
        driver = CrashDriver(
            lambda times=times: [sys.executable, "-c", script, place, str(times)], environ=environ
        )
        counted.append(sum(point.call in {"fsync", "fdatasync"} for point in driver.points()))
    return round((counted[1] - counted[0]) / 10)


with tempfile.TemporaryDirectory() as place:
    for name in ("one", "many"):
        Path(place, name).mkdir(mode=0o700)
    one, many = vault_in(f"{place}/one"), vault_in(f"{place}/many")
    only = finished("demo")
    saved(one, [only])
    fill(many, MANY)
    among = finished("demo")
    saved(many, [among])
    alias = account_alias("demo", "default")
    row(
        "get: one of 100,000 against the only one",
        lambda: one.find(alias),
        lambda: many.find(alias),
        300,
    )
    few, lots = saves(one, only), saves(many, among)
    row("save: the same", lambda: next(few), lambda: next(lots), 300)
    extra, others = finished("gone"), finished("gone")
    saved(one, [extra])
    saved(many, [others])
    here, there = departures(one, [extra]), departures(many, [others])
    row("delete and sign in anew: the same", lambda: next(here), lambda: next(there), 300)
    row(
        "a page of 20 logins, against one look-up",
        lambda: many.find(alias),
        lambda: many.page(0, 20),
        100,
    )

    def anew() -> float:
        remove_list(many.directory)
        return listed(many)

    measured("a list of 100,000, against one that opens all", anew, lambda: listed(many), 3)

    a_hundred = [saves(many, many.read(summary.id)) for summary in list(many.summaries())[:100]]

    def after_a_hundred() -> float:
        for each in a_hundred:
            next(each)
        return listed(many)

    measured("the same, after transitions of 100 logins", anew, after_a_hundred, 3)
    memory(
        [
            service("idle", f"{place}/one"),
            service("that gave a token: one login", f"{place}/one", TOKEN),
            service("that gave a token: 100,000 logins", f"{place}/many", TOKEN),
            service("that listed 100,000 logins", f"{place}/many", LIST),
        ],
        {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if unavailable() is None:
        print(f"{'syncs of a transition: write-ahead log, journal':<52} "
              f"{syncs(f'{place}/one', wal=True):9}    {syncs(f'{place}/one', wal=False):9}")  # fmt: skip
