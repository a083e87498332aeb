"""Leases of one login, lent to processes of several hosts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import kill
from instant import InstantTransport
from postgres_server import SESSIONS, Host, PostgresServer
from stayfast.engine.errors import Fenced, LoginBusy
from stayfast.engine.flows.dependencies import Dependencies
from stayfast.engine.flows.job import Job, JobOutcome
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.ports import Change
from stayfast.engine.table import State
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage.host import SystemClock, SystemRandomness, origin
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.storage_contract import change, further, pending, saved

HOLD = """
import sys, time
from stayfast.storage.postgres import PostgresStorage
url, config, state, login, seconds = sys.argv[1:]
storage = PostgresStorage(url, config_dir=config, state_dir=state, lease_seconds=float(seconds))
with storage.lease(login, wait=0):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(
    server: PostgresServer, database: str, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process of a host that holds a login."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, login_id: str, *, seconds: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, server.url(database), str(tmp_path / "config"),
             str(tmp_path / name), login_id, str(seconds)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            kill(process)


def under(login: object, fence: int) -> Change:
    """A change of ``login``, decided under a lease."""
    plain = change(login)
    return Change(login=plain.login, event=plain.event, fence=fence)


def test_who_holds_a_login_is_named_everywhere(
    host: Host, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    """On its own host and on others, a login that is held is refused, with the holder's process."""
    login = pending()
    saved(host(), [login])
    process = holder("one", login.id, seconds=45)
    for name in ("one", "two"):
        with pytest.raises(LoginBusy) as caught, host(name).lease(login.id, wait=0.05):
            pass
        assert str(process.pid) in caught.value.message


def test_what_a_killed_process_held_is_free_here_at_once(
    host: Host, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    """The processes of its own host know that it is dead; theirs need not wait for its lease."""
    login = pending()
    saved(host(), [login])
    kill(holder("one", login.id, seconds=3600))
    began = time.monotonic()
    with host("one").lease(login.id, wait=60) as lease:
        assert lease.fence > 0
    assert time.monotonic() - began < 30


def test_what_a_killed_process_held_is_free_elsewhere_in_time(
    host: Host, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    """Other hosts cannot know; to them it is free when its lease has run out, and not before."""
    login = pending()
    saved(host(), [login])
    kill(holder("one", login.id, seconds=2))
    with pytest.raises(LoginBusy), host("two").lease(login.id, wait=0):
        pass
    with host("two").lease(login.id, wait=20) as lease:
        assert lease.fence > 1


def test_nothing_is_saved_under_a_lost_lease(host: Host) -> None:
    """Once another host has taken a lease that ran out, its old holder can neither keep it nor save."""
    login = pending()
    slow, quick = host("one", lease_seconds=0.2), host("two")
    saved(slow, [login])
    with slow.lease(login.id, wait=0) as lost:
        with quick.lease(login.id, wait=10) as lease:
            assert lease.fence > lost.fence
            with pytest.raises(Fenced):
                lost.keep()
            with pytest.raises(Fenced):
                slow.commit([under(further(login, reason="late"), lost.fence)])
            quick.commit([under(further(login, reason="in time"), lease.fence)])
            lease.keep()
        newest = quick.read(login.id)
        assert newest is not None
        assert newest.reason == "in time"
    with quick.lease(login.id, wait=0):  # the loser has not given back what is not its own
        pass


def test_a_lease_nobody_else_took_is_kept(host: Host) -> None:
    """One that ran out and that nobody wanted meanwhile is still its holder's."""
    login = pending()
    slow, other = host("one", lease_seconds=0.2), host("two")
    saved(slow, [login])
    with slow.lease(login.id, wait=0) as lease:
        with (
            other.lease("1" * 26, wait=0),
            pytest.raises(LoginBusy),
            slow.lease("1" * 26, wait=1),  # another login; its waiting lets ours run out
        ):
            pass
        slow.commit([under(further(login), lease.fence)])
        lease.keep()


def test_no_connection_waits_for_the_length_of_a_lease(
    host: Host, server: PostgresServer, database: str
) -> None:
    """While a login is held, no transaction is open, and one connection serves many leases."""
    storage = host(most_connections=1)
    saved(storage, [pending()])
    with storage.lease("0" * 26, wait=0), storage.lease("1" * 26, wait=0):
        states = server.execute(database, f"SELECT state FROM {SESSIONS}")
    assert states == [("idle",)]


def test_a_waiter_on_another_host_is_next(host: Host) -> None:
    """Who waits on another host gets the login when its holder has done, long before its lease ends."""
    one, two = host("one"), host("two")
    saved(one, [pending()])
    asked, got = threading.Event(), threading.Event()

    def point() -> bool:
        asked.set()
        return False

    def ask() -> None:
        with two.lease("0" * 26, wait=20, until=point):
            got.set()

    thread = threading.Thread(target=ask)
    with one.lease("0" * 26, wait=0):
        thread.start()
        assert asked.wait(10)
        assert not got.is_set()
    thread.join(5)
    assert got.is_set()


class PausedCourier(InlineCourier):
    """Its process stands still before it sends, for as long as ``meanwhile`` takes."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        self._meanwhile()
        return super().carry(job, perform)


def conductor(storage: PostgresStorage, courier: InlineCourier) -> Conductor:
    clock = SystemClock()
    return Conductor(
        Dependencies(
            storage=storage,
            ledger=Ledger(storage, clock, origin()),
            http=RequestsHttp(),
            clock=clock,
            randomness=SystemRandomness(),
            courier=courier,
        )
    )


def test_a_paused_holder_sends_nothing(host: Host, provider: AuthorizationServer) -> None:
    """Who stood still until another host had refreshed sends nothing, and uses the other's token."""
    slow, quick = host("one", lease_seconds=0.2), host("two")
    signed_in = conductor(quick, InlineCourier()).sign_in(
        provider.config(), InstantTransport(lambda address: [user_agent.fetch_only(address)])
    )
    before = provider.counts.copy()
    others: list[object] = []

    def refresh_elsewhere() -> None:
        if not others:
            others.append(None)
            other = conductor(quick, InlineCourier())
            others.append(other.refresh.valid("demo", "default", force=True))

    mine = conductor(slow, PausedCourier(refresh_elsewhere)).refresh.valid(
        "demo", "default", force=True
    )
    assert mine == others[1]
    assert mine.state is State.AUTHENTICATED
    assert mine.tokens != signed_in.tokens
    assert provider.counts["token:refresh_token"] - before["token:refresh_token"] == 1
    assert provider.counts["refresh_reuse"] == before["refresh_reuse"]


def test_a_forked_child_uses_connections_of_its_own(
    host: Host, server: PostgresServer, database: str
) -> None:
    """A child neither talks over its parent's connections nor ends its lease."""
    count = f"SELECT count(*) FROM {SESSIONS}"
    login = pending()
    storage = host()
    saved(storage, [login])
    with storage.lease(login.id, wait=0) as lease:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the tests' own threads
            child = os.fork()
        if child == 0:
            code = 100
            try:
                storage.commit([under(further(login), lease.fence)])
                code = server.execute(database, count)[0][0]
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        newest = storage.read(login.id)
        assert newest is not None
        assert newest.version == 2
        storage.commit([under(further(newest), lease.fence)])
