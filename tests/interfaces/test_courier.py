"""The stretch that signals cannot break, and the tokens that a failing disk cannot lose."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from logins import fresh_login
from stayfast.engine.errors import NetworkError, StorageFull
from stayfast.engine.flows.job import Job, JobKind
from stayfast.engine.ports import (
    Change,
    HttpRequest,
    HttpResponse,
    Lease,
    Verdict,
    VerdictKind,
)
from stayfast.engine.record import TokensNotSaved
from stayfast.engine.table import State
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.couriers.signals import acknowledging, signals_as_interrupts
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer

POLL = Job(kind=JobKind.POLL, login=fresh_login(), lease=Lease("any"))
NOT_YET = Verdict(kind=VerdictKind.PENDING)


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_job_is_finished_before_a_signal_is_heeded(number: int) -> None:
    """A signal that comes during a job takes effect after it, and its sender sees at once that it came."""
    done: list[str] = []

    def perform(job: Job) -> Verdict:
        os.kill(os.getpid(), number)
        done.append(job.kind)
        return NOT_YET

    seen: list[str] = []
    with (
        pytest.raises(KeyboardInterrupt),
        signals_as_interrupts(),
        acknowledging(lambda: seen.append("at once" if not done else "too late")),
    ):
        InlineCourier().carry(POLL, perform)
    assert done == [JobKind.POLL]
    assert seen == ["at once"]


def test_an_ignored_signal_stays_ignored() -> None:
    """What nohup turned off does not interrupt."""

    def perform(job: Job) -> Verdict:
        del job
        os.kill(os.getpid(), signal.SIGHUP)
        return NOT_YET

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interrupts():
            assert InlineCourier().carry(POLL, perform) is NOT_YET
    finally:
        signal.signal(signal.SIGHUP, before)


class InterruptedHttp(RequestsHttp):
    """Ctrl-C comes just after the token endpoint has answered."""

    def send(self, request: HttpRequest) -> HttpResponse:
        response = super().send(request)
        if request.url.endswith("/token"):
            os.kill(os.getpid(), signal.SIGINT)
        return response


def test_ctrl_c_during_the_exchange_loses_nothing(server: AuthorizationServer) -> None:
    """The tokens that were on their way are saved, and only then is Ctrl-C heeded."""
    storage = MemoryStorage()
    with pytest.raises(KeyboardInterrupt):
        conductor_over(storage, http=InterruptedHttp()).sign_in(
            server.config(), InstantTransport(approve)
        )
    (login,) = storage.summaries()
    assert login.state is State.AUTHENTICATED


class FillingStorage:
    """A storage whose disk is full at its nth commit and the next, and has room again afterwards."""

    def __init__(self, behind: MemoryStorage, nth: int) -> None:
        self._behind = behind
        self._left = nth

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def commit(self, changes: Sequence[Change]) -> Any:
        self._left -= 1
        if self._left in {0, -1}:
            raise StorageFull("no space", hint="df -h")
        return self._behind.commit(changes)


def test_tokens_that_cannot_be_saved_are_handed_over(server: AuthorizationServer) -> None:
    """A full disk after the exchange is an error that holds the tokens and can save them later."""
    storage = MemoryStorage()
    filling = FillingStorage(storage, 4)
    with pytest.raises(TokensNotSaved) as caught:
        conductor_over(filling).sign_in(server.config(), InstantTransport(approve))
    held = caught.value.login.tokens
    assert held is not None
    assert held.access_token not in str(caught.value)
    saved = caught.value.save_again()
    assert saved.tokens == held
    assert storage.read(saved.id) == saved


def test_refreshed_tokens_that_cannot_be_saved_are_handed_over(server: AuthorizationServer) -> None:
    """So is a rotated refresh token, without which the login would be lost."""
    storage = MemoryStorage()
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    with pytest.raises(TokensNotSaved) as caught:
        conductor_over(FillingStorage(storage, 2)).refresh.valid(
            login.provider, login.account, force=True
        )
    saved = caught.value.save_again()
    assert login.tokens is not None
    assert saved.tokens is not None
    assert saved.tokens.refresh_token != login.tokens.refresh_token
    assert conductor_over(storage).refresh.valid(login.provider, login.account, force=True)


@pytest.mark.parametrize("nth", [1, 2])
def test_nothing_leaves_the_machine_before_it_is_saved(
    server: AuthorizationServer, nth: int
) -> None:
    """When the challenge or the question cannot be saved, no browser is sent anywhere."""
    asked: list[str] = []
    transport = InstantTransport(lambda address: asked.append(address) or [])
    with pytest.raises(StorageFull):
        conductor_over(FillingStorage(MemoryStorage(), nth)).sign_in(server.config(), transport)
    assert asked == []


def test_no_code_and_no_refresh_token_is_sent_before_it_is_saved(
    server: AuthorizationServer,
) -> None:
    """When the exchange cannot be saved first, no request goes to the provider."""
    before = server.counts["token"]
    with pytest.raises(StorageFull):
        conductor_over(FillingStorage(MemoryStorage(), 3)).sign_in(
            server.config(), InstantTransport(approve)
        )
    assert server.counts["token"] == before

    storage = MemoryStorage()
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    before = server.counts["token"]
    with pytest.raises(StorageFull):
        conductor_over(FillingStorage(storage, 1)).refresh.valid(
            login.provider, login.account, force=True
        )
    assert server.counts["token"] == before


class DeafHttp(RequestsHttp):
    """The answers of the token endpoint are lost on the way, the first ``times``."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/token") and self._times:
            self._times -= 1
            raise NetworkError("lost")
        return super().send(request)


def test_a_request_that_got_no_answer_is_made_once_more(server: AuthorizationServer) -> None:
    """One lost request costs the user nothing; two leave a login that can be resumed."""
    storage = MemoryStorage()
    login = conductor_over(storage, http=DeafHttp(1)).sign_in(
        server.config(), InstantTransport(approve)
    )
    assert login.state is State.AUTHENTICATED
    other = MemoryStorage()
    with pytest.raises(NetworkError):
        conductor_over(other, http=DeafHttp(2)).sign_in(server.config(), InstantTransport(approve))
    (waiting,) = other.summaries()
    assert waiting.state is State.EXCHANGING
    resumed = conductor_over(other).resume(waiting.id, [InstantTransport(approve)])
    assert resumed.state is State.AUTHENTICATED


def test_tokens_reach_the_caller_where_no_thread_can_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error that holds the tokens is raised, and not that of the thread that would save them."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    login = fresh_login()

    def perform(job: Job) -> Any:
        raise TokensNotSaved("no room", login=job.login)

    job = Job(kind=JobKind.CODE, login=login, lease=Lease(login.id))
    with pytest.raises(TokensNotSaved) as caught:
        InlineCourier().carry(job, perform)
    assert caught.value.login == login
