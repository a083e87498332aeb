"""What the first commit of a login holds: with a transport that sends nothing to get ready, two steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import pytest
from conductors import conductor_over
from instant import InstantSession, InstantTransport
from stayfast.engine.audit.events import Recorded
from stayfast.engine.errors import LoginTimedOut, StorageFull, TransportUnavailable
from stayfast.engine.ports import Asking, Change, sends_nothing_first
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.transports.cancelling import CancellableTransport
from stayfast.transports.loopback.transport import LoopbackTransport
from stayfast.transports.manual import ManualTransport
from stayfast.transports.racing import RacingTransport


class Remembering(MemoryStorage):
    """Remembers the triggers of each commit; refuses all of them where it is full."""

    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self.commits: list[list[str | None]] = []
        self._full = full

    def commit(
        self, changes: Sequence[Change], *, first: Callable[[], None] | None = None
    ) -> list[Recorded]:
        if self._full:
            raise StorageFull("no space is left on the disk")
        self.commits.append([change.event.trigger for change in changes])
        return super().commit(changes, first=first)


class Local(InstantTransport):
    """Sends nothing to get ready; ``meanwhile`` is called while it does."""

    sends_nothing_first = True

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        super().__init__(lambda address: [user_agent.fetch_only(address)])
        self.meanwhile = meanwhile
        self.open = 0

    def prepare(self, asking: Asking) -> InstantSession:
        self.meanwhile()
        self.open += 1
        transport = self

        class Counted(InstantSession):
            def close(self) -> None:
                transport.open -= 1
                super().close()

        session = super().prepare(asking)
        session.__class__ = Counted
        return session


class Remote(Local):
    """Says nothing of what it sends."""

    sends_nothing_first = False


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail


ANSWERED = [["receive_callback"], ["accept_tokens"]]


@pytest.mark.parametrize(
    ("transport", "par", "first"),
    [
        (Local, "off", [["begin", "present"]]),
        (Remote, "off", [["begin"], ["present"]]),
        (
            Local,
            "required",
            [["begin"], ["present"]],
        ),  # a request is pushed before the user is asked
    ],
)
def test_both_steps_are_one_commit_where_nothing_is_sent_between_them(
    server: AuthorizationServer, transport: type[Local], par: str, first: list[list[str]]
) -> None:
    """The secrets are always saved before anything leaves the machine, each step with its event."""
    storage = Remembering()
    login = conductor_over(storage).sign_in(server.config(par=par), transport())
    assert storage.commits == [*first, *ANSWERED]
    assert (login.state, login.version) == (State.AUTHENTICATED, 4)
    assert [one.members["version"] for one in storage.events()] == [1, 2, 3, 4]


def test_a_login_that_is_only_started_waits_after_one_commit(server: AuthorizationServer) -> None:
    """Another process finds it as it finds any other."""
    storage = Remembering()
    started = conductor_over(storage).start(server.config(), Local())
    assert storage.commits == [["begin", "present"]]
    assert storage.read(started.login_id) == started.login


def test_a_transport_that_cannot_work_is_one_commit(server: AuthorizationServer) -> None:
    """The log tells what was begun, and how it ended."""
    storage, transport = Remembering(), Local(raising(TransportUnavailable("no port")))
    with pytest.raises(TransportUnavailable):
        conductor_over(storage).sign_in(server.config(), transport)
    assert storage.commits == [["begin", "fail"]]
    assert [(one.state, one.version) for one in storage.summaries()] == [(State.IDLE, 2)]


def test_who_stops_before_the_user_is_asked_leaves_nothing(server: AuthorizationServer) -> None:
    """Nobody can answer it, so there is nothing to resume."""
    storage, transport = Remembering(), Local(raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        conductor_over(storage).sign_in(server.config(), transport)
    assert (storage.commits, list(storage.summaries()), transport.addresses) == ([], [], [])


def test_a_login_without_time_is_over_before_it_is_asked(server: AuthorizationServer) -> None:
    """Its transport does not get ready, and its user sees nothing."""
    storage, transport = Remembering(), Local()
    with pytest.raises(LoginTimedOut):
        conductor_over(storage).sign_in(server.config(), transport, timeout=0)
    assert storage.commits == [["begin"], ["time_out"]]
    assert (transport.open, transport.addresses) == (0, [])


def test_nobody_is_asked_where_the_first_commit_fails(server: AuthorizationServer) -> None:
    """What the transport made ready is given back."""
    transport = Local()
    with pytest.raises(StorageFull):
        conductor_over(Remembering(full=True)).sign_in(server.config(), transport)
    assert (transport.open, transport.addresses) == (0, [])


class NeverSet:
    def is_set(self) -> bool:
        return False


def test_a_transport_says_itself_that_it_sends_nothing() -> None:
    """Those that bind a port or wait for a paste do; whoever says nothing does not."""
    clock, shown, nobody = SystemClock(), Nobody(), Local()
    manual = ManualTransport(shown, raising(AssertionError()))
    loopback = LoopbackTransport(shown, shown, clock)
    for local in (manual, loopback, RacingTransport(loopback, manual), nobody):
        assert sends_nothing_first(local)
        assert sends_nothing_first(CancellableTransport(local, NeverSet(), clock))
    silent = InstantTransport(lambda address: [])
    assert not sends_nothing_first(silent)
    assert not sends_nothing_first(CancellableTransport(silent, NeverSet(), clock))


class Nobody:
    """A browser and a conversation that are never used."""

    def open(self, url: str) -> str | None:
        raise AssertionError(url)

    def show(self, notice: object) -> None:
        raise AssertionError(notice)
