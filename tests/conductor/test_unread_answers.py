"""A success that cannot be read has the tokens in it: it is kept, and what was sent is not sent again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import EMFILE
from typing import NoReturn

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from joserfc import jwt
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.codec import decode_login, encode_login
from stayfast.engine.errors import LoginTimedOut, NetworkError, ProviderError, TokenRefreshFailed
from stayfast.engine.flows.unread import KEPT_FOR, LIMIT
from stayfast.engine.ports import Change
from stayfast.engine.record import Login
from stayfast.engine.secret import Secret
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import origin
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

JUNK = b")]}',\n"
SPOILED = Fault(kind=FaultKind.TEXT, before=JUNK)


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


def only(storage: MemoryStorage) -> Login:
    (one,) = storage.summaries()
    login = storage.read(one.id)
    assert login is not None
    return login


def unread(server: AuthorizationServer, storage: MemoryStorage) -> Login:
    """A login whose code was answered with tokens behind junk."""
    server.misbehave("token", SPOILED)
    with pytest.raises(ProviderError):
        conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    return only(storage)


def with_readable_answer(storage: MemoryStorage, login: Login) -> None:
    """Save ``login`` as a version would find it that can read its answer."""
    assert login.unread is not None
    body = login.unread.body.reveal().removeprefix(JUNK.decode())
    mended = replace(
        login, version=login.version + 1, unread=replace(login.unread, body=Secret(body))
    )
    event = Event(time=0.0, event=EventKind.STORAGE_CHANGED, origin=origin(), login=login.id)
    storage.commit([Change(login=mended, event=event, fence=0)])


def test_a_code_whose_answer_cannot_be_read_is_not_sent_again(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """The login keeps the answer, resuming reads it again, and the provider is not asked."""
    login = unread(server, storage)
    assert (login.state, login.reason) == (State.EXCHANGING, "answer_unreadable")
    assert login.unread is not None
    assert server.state.tokens[-1].access_token in login.unread.body.reveal()
    for _ in range(2):
        with pytest.raises(ProviderError) as refused:
            conductor_over(storage).resume(login.id, [InstantTransport(approve)])
        assert login.short_id in (refused.value.hint or "")
    assert server.counts["token:authorization_code"] == 1
    assert only(storage) == login


def test_a_newer_reader_finds_the_tokens_in_a_kept_answer(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """It signs the user in without a request, and erases the answer."""
    with_readable_answer(storage, unread(server, storage))
    done = conductor_over(storage).resume(only(storage).id, [InstantTransport(approve)])
    assert done.state is State.AUTHENTICATED
    assert done.tokens is not None
    assert done.tokens.access_token == server.state.tokens[-1].access_token
    assert done.unread is None
    assert server.counts["token:authorization_code"] == 1


@pytest.mark.parametrize("ends", ["cancel", "deadline"])
def test_the_end_of_a_login_erases_its_answer(
    server: AuthorizationServer, storage: MemoryStorage, ends: str
) -> None:
    """Nobody finds tokens in a login that is over; a day is left to install a newer version."""
    login = unread(server, storage)
    clock = ManualClock((login.changed_at or 0.0) + KEPT_FOR - 60)
    with pytest.raises(ProviderError):
        conductor_over(storage, clock=clock).resume(login.id, [InstantTransport(approve)])
    if ends == "cancel":
        conductor_over(storage).cancel(login.id)
    else:
        clock.sleep(120)
        with pytest.raises(LoginTimedOut):
            conductor_over(storage, clock=clock).resume(login.id, [InstantTransport(approve)])
    assert only(storage).state is State.IDLE
    assert only(storage).unread is None


@pytest.mark.parametrize(
    "body", [b"", b"<!doctype html><p>Sign in to the network", b"{}", b'{"status": "maintenance"}']
)
def test_an_answer_without_tokens_leaves_the_code_for_another_try(
    server: AuthorizationServer, storage: MemoryStorage, body: bytes
) -> None:
    """A page, nothing, or an object without a word of tokens is trouble: resuming sends the code."""
    server.misbehave("token", Fault(kind=FaultKind.ANSWER, status=200, body=body))
    with pytest.raises(NetworkError):
        conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    login = only(storage)
    assert (login.state, login.unread) == (State.EXCHANGING, None)
    done = conductor_over(storage).resume(login.id, [InstantTransport(approve)])
    assert done.state is State.AUTHENTICATED


@pytest.mark.parametrize(
    "body",
    [b"{'access_token': 'x'}", b'{"result": {"user_token": "x"}}', b"access token: x", b"\xff\x00"],
)
def test_whatever_may_hold_tokens_is_kept_to_the_octet(
    server: AuthorizationServer, storage: MemoryStorage, body: bytes
) -> None:
    """In any form; saved, it is the same, and a pickled login has none of it."""
    server.misbehave("token", Fault(kind=FaultKind.ANSWER, status=200, body=body))
    with pytest.raises(ProviderError):
        conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    login = only(storage)
    assert login.unread is not None
    assert login.unread.body.reveal().encode("latin-1") == body
    assert decode_login(encode_login(login)[1]) == login
    assert pickle.loads(pickle.dumps(login)).unread is None
    assert "access" not in repr(login.unread)


def test_what_is_kept_is_bounded(server: AuthorizationServer, storage: MemoryStorage) -> None:
    """The beginning of a long answer is kept."""
    body = b"token=" * LIMIT
    server.misbehave("token", Fault(kind=FaultKind.ANSWER, status=200, body=b"?" + body))
    with pytest.raises(ProviderError):
        conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    answer = only(storage).unread
    assert answer is not None
    assert len(answer.body) == LIMIT


@pytest.fixture
def expired(server: AuthorizationServer, storage: MemoryStorage) -> Login:
    server.change(token_lifetime=0.001)
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    server.change(token_lifetime=3600)
    return login


def lost_refresh(server: AuthorizationServer, storage: MemoryStorage, login: Login) -> Login:
    """``login`` after a refresh that was answered with tokens behind junk."""
    server.misbehave("token", SPOILED)
    with pytest.raises(NetworkError) as raised:
        conductor_over(storage).refresh.valid(login.provider, login.account)
    assert login.short_id in (raised.value.hint or "")
    return only(storage)


def test_a_refresh_reads_the_kept_answer_before_it_sends_anything(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """The new tokens were in it, and the refresh token that they replaced is not sent."""
    login = lost_refresh(server, storage, expired)
    assert (login.state, login.reason) == (State.EXPIRED, "answer_unreadable")
    with_readable_answer(storage, login)
    done = conductor_over(storage).refresh.valid(login.provider, login.account)
    assert done.tokens is not None
    assert done.tokens.access_token == server.state.tokens[-1].access_token
    assert (done.unread, done.setback) == (None, None)
    assert server.counts["token:refresh_token"] == 1


def test_kept_tokens_that_have_ended_are_refreshed_at_once(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """An answer that is read late brings an old access token and the refresh token that counts."""
    server.change(token_lifetime=0.001)
    login = lost_refresh(server, storage, expired)
    server.change(token_lifetime=3600)
    with_readable_answer(storage, login)
    done = conductor_over(storage).refresh.valid(login.provider, login.account)
    assert done.tokens is not None
    assert done.tokens.access_token == server.state.tokens[-1].access_token
    assert server.counts["token:refresh_token"] == 2


def test_a_refusal_after_an_unread_answer_keeps_it(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """The provider refuses the replaced token; the answer with the new one is still there."""
    kept = lost_refresh(server, storage, expired).unread
    server.state.revoke_family(server.state.tokens[-1].family)
    with pytest.raises(TokenRefreshFailed) as refused:
        conductor_over(storage).refresh.valid(expired.provider, expired.account)
    login = only(storage)
    assert (login.state, login.unread) == (State.REFRESH_FAILED, kept)
    assert login.short_id in (refused.value.why or "")


BROKEN = [OSError(EMFILE, "no descriptor is left"), ImportError("it was upgraded meanwhile"),
          MemoryError()]  # fmt: skip


@contextmanager
def no_signature_can_be_checked(error: Exception) -> Iterator[None]:
    """In the block, the library that checks ID tokens fails with ``error``."""

    def broken(*_arguments: object, **_named: object) -> NoReturn:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jwt, "decode", broken)
        yield


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_tokens_are_kept_where_this_machine_cannot_read_them(
    server: AuthorizationServer, storage: MemoryStorage, error: Exception
) -> None:
    """A library that breaks costs neither the login nor its refresh, and no token is sent twice."""
    config = server.config(scopes=("openid", "profile"))
    with no_signature_can_be_checked(error), pytest.raises(ProviderError):
        conductor_over(storage).sign_in(config, InstantTransport(approve))
    assert only(storage).unread is not None
    login = conductor_over(storage).resume(only(storage).id, [InstantTransport(approve)])
    assert login.state is State.AUTHENTICATED
    with no_signature_can_be_checked(error), pytest.raises(NetworkError):
        conductor_over(storage).refresh.valid(login.provider, login.account, force=True)
    login = conductor_over(storage).refresh.valid(login.provider, login.account, force=True)
    assert login.tokens is not None
    assert login.tokens.access_token == server.state.tokens[-1].access_token
    assert (login.unread, login.identity is None) == (None, False)
    assert server.counts["token:authorization_code"] == server.counts["token:refresh_token"] == 1
    assert server.counts["code_reuse"] == server.counts["refresh_reuse"] == 0
