"""Going on with a login, and what is refused, or closed, when that is not possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantSession, InstantTransport, ManualClock
from logins import (
    BY_BROWSER,
    BY_DEVICE,
    CHALLENGE,
    CONFIG,
    NOW,
    REFRESH_EXCHANGE,
    TOKENS,
    login_in,
)
from recorded import answer
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import (
    AuthCancelled,
    AuthFailed,
    CallbackRefused,
    LoginBusy,
    NetworkError,
    StorageError,
    StorageFull,
    TransportUnavailable,
)
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.callback import digest_of
from stayfast.engine.ports import Asking, Change, HttpRequest, HttpResponse
from stayfast.engine.record import Login, Presentation
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import origin

FRESH = {"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600}
WAITING = login_in(
    State.AWAITING_CALLBACK, version=1, challenge=CHALLENGE, deadline=NOW + 600,
    presentation=replace(BY_BROWSER, transport="instant"),
)  # fmt: skip
UNASKED = login_in(State.CHALLENGE, version=1, challenge=CHALLENGE, deadline=NOW + 600)
SIGNED_IN = login_in(State.AUTHENTICATED, version=1, tokens=TOKENS)
ANSWER = [("state", "canary-state"), ("code", "c0de"), ("iss", CONFIG.issuer or "")]


class Provider:
    """Gives one answer to everything; ``None`` is no answer."""

    def __init__(self, body: Any = FRESH, status: int = 200) -> None:
        self._body, self._status = body, status
        self.asked = 0

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        if self._body is None:
            raise NetworkError("no answer")
        return answer(self._body, self._status)


def saved(storage: MemoryStorage, login: Login) -> Login:
    event = Event(time=login.changed_at, event=EventKind.TRANSITION, origin=origin())
    storage.commit([Change(login=login, event=event)])
    return login


def over(storage: MemoryStorage, http: Provider | None = None) -> Conductor:
    return conductor_over(storage, http=http or Provider(), clock=ManualClock(NOW))


def refused(storage: MemoryStorage) -> list[object]:
    """The reasons of the answers that were refused."""
    events = [one.members for one in storage.events()]
    return [one["reason"] for one in events if one["event"] == EventKind.REFUSED]


class Closing(InstantTransport):
    """Counts the sessions that are open; ``fails`` is called where a session presents."""

    def __init__(self, fails: Callable[[], None]) -> None:
        super().__init__(lambda address: [])
        self._fails = fails
        self.open = 0

    def prepare(self, asking: Asking) -> InstantSession:
        return self._counted(super().prepare(asking))

    def reopen(self, asking: Asking, presentation: Presentation) -> InstantSession:
        return self._counted(super().reopen(asking, presentation))

    def _counted(self, session: InstantSession) -> InstantSession:
        transport = self

        class Counted(InstantSession):
            def present(self, authorization_url: str | None) -> None:
                transport._fails()
                super().present(authorization_url)

            def close(self) -> None:
                transport.open -= 1
                super().close()

        session.__class__ = Counted
        self.open += 1
        return session


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("login", [WAITING, UNASKED], ids=["waits", "was not asked yet"])
def test_ctrl_c_while_the_user_is_asked_closes_the_transport(login: Login) -> None:
    """The port or terminal of an interrupted login is free again, and the login still waits."""
    storage, transport = MemoryStorage(), Closing(interrupt)
    saved(storage, login)
    with pytest.raises(KeyboardInterrupt):
        over(storage).resume(login.id, [transport])
    assert transport.open == 0
    kept = storage.read(login.id)
    assert kept is not None
    assert kept.state is State.AWAITING_CALLBACK


def test_a_new_challenge_that_cannot_be_saved_closes_the_new_transport() -> None:
    """The login waits on under its old secrets, and nobody is asked with new ones."""

    class Full(MemoryStorage):
        full = False

        def commit(self, changes: Any, **named: Any) -> Any:
            if self.full:
                raise StorageFull("no space")
            return super().commit(changes, **named)

    storage, transport = Full(), Closing(lambda: None)
    saved(storage, WAITING)
    transport.redirect_uri = "http://127.0.0.1:9999/elsewhere"  # it cannot go on: secrets are new
    storage.full = True
    with pytest.raises(StorageFull):
        over(storage).resume(WAITING.id, [transport])
    assert (transport.open, transport.addresses) == (0, [])
    assert storage.read(WAITING.id) == WAITING


def test_an_address_that_cannot_be_built_ends_the_login() -> None:
    """Nobody waits for an answer to an address that nobody can open; the transport is closed."""

    class Odd(Closing):
        """A transport of somebody else, whose redirect address cannot be sent."""

        name = "odd"

    storage, transport = MemoryStorage(), Odd(lambda: None)
    transport.redirect_uri = "http://127.0.0.1:8080/\udc80"
    with pytest.raises(UnicodeEncodeError):
        over(storage).start(CONFIG, transport)
    assert transport.open == 0
    assert [one.state for one in storage.summaries()] == [State.IDLE]


def test_an_answer_comes_late_to_a_finished_login() -> None:
    """The answer that finished a login gives its tokens again where the login is named; alone it finds none."""
    storage = MemoryStorage()
    answered = replace(SIGNED_IN, callback_digest=digest_of(ANSWER))
    saved(storage, answered)
    assert over(storage).complete(ANSWER, login_id=answered.id) == answered
    with pytest.raises(CallbackRefused):
        over(storage).complete(ANSWER)
    assert refused(storage) == ["wrong_state"]


@pytest.mark.parametrize("digest", [None, digest_of([("code", "another"), ("state", "another")])])
def test_another_answer_to_a_finished_login_is_refused(digest: str | None) -> None:
    """Who knows the id of a login that is signed in gets nothing by it."""
    storage = MemoryStorage()
    login = replace(SIGNED_IN, callback_digest=digest)
    saved(storage, login)
    with pytest.raises(CallbackRefused):
        over(storage).complete(ANSWER, login_id=login.id)
    assert refused(storage) == ["not_waiting"]
    assert storage.read(login.id) == login


def test_an_answer_to_a_question_that_was_not_asked_is_refused() -> None:
    """A login whose process stopped before it asked takes no answer, and the log says so."""
    storage, http = MemoryStorage(), Provider()
    saved(storage, UNASKED)
    with pytest.raises(CallbackRefused):
        over(storage, http).complete(ANSWER, login_id=UNASKED.id)
    assert (refused(storage), http.asked) == (["not_waiting"], 0)
    assert storage.read(UNASKED.id) == UNASKED


def test_a_refresh_whose_process_stopped_is_finished_by_a_resume() -> None:
    """The refresh token of that login is sent once more, and the new tokens are the outcome."""
    storage, http = MemoryStorage(), Provider()
    stopped = login_in(State.EXCHANGING, version=1, exchange=REFRESH_EXCHANGE, tokens=TOKENS)
    saved(storage, stopped)
    login = over(storage, http).resume(stopped.id, [InstantTransport(lambda address: [])])
    assert login.tokens is not None
    assert (login.state, login.tokens.access_token, http.asked) == (State.AUTHENTICATED, "fresh", 1)


def test_a_waiting_login_that_lost_its_question_asks_anew() -> None:
    """A record without its presentation is not a dead end: the user is asked with new secrets."""
    storage = MemoryStorage()
    saved(storage, replace(WAITING, presentation=None))
    transport = InstantTransport(lambda address: [])
    with pytest.raises(TransportUnavailable):
        over(storage).resume(WAITING.id, [transport])
    (address,) = transport.addresses
    assert "canary-state" not in address


@pytest.mark.parametrize(
    ("error", "ends"),
    [("access_denied", "access_denied"), ("server_error", "provider_error")],
)
def test_a_provider_that_says_no_ends_the_login(error: str, ends: str) -> None:
    """Only 'access_denied' is said to be the user's own no."""
    storage = MemoryStorage()
    saved(storage, WAITING)
    parameters = [*ANSWER[:1], ("error", error), *ANSWER[2:]]
    with pytest.raises((AuthFailed, AuthCancelled)) as caught:
        over(storage).complete(parameters, login_id=WAITING.id)
    kept = storage.read(WAITING.id)
    assert kept is not None
    assert (kept.state, kept.reason) == (State.IDLE, ends)
    assert (caught.value.code == "AUTH_CANCELLED") is (error == "access_denied")


def test_a_login_that_cannot_be_read_is_not_ended_by_a_list() -> None:
    """Listing logins works while another process holds one, or the storage fails for a moment."""
    storage, clock = MemoryStorage(), ManualClock(NOW)
    saved(storage, WAITING)
    clock.time += 601

    class Unreadable(MemoryStorage):
        def __init__(self) -> None:
            vars(self).update(vars(storage))

        def read(self, login_id: str) -> Login | None:
            raise StorageError("not now")

    (seen,) = conductor_over(Unreadable(), clock=clock).overview.summaries()
    assert seen.state is State.AWAITING_CALLBACK
    with storage.lease(WAITING.id, wait=0):
        (seen,) = conductor_over(storage, clock=clock).overview.summaries()
    assert seen.state is State.AWAITING_CALLBACK
    (seen,) = conductor_over(storage, clock=clock).overview.summaries()
    assert (seen.state, seen.reason) == (State.IDLE, "deadline_passed")


# --- tokens that still serve ---------------------------------------------------------------------

OLD = replace(TOKENS, expires_in=100.0, issued_at=NOW)


def at(login: Login, storage: MemoryStorage, http: Provider, time: float) -> Login:
    saved(storage, login)
    clock = ManualClock(time)
    conductor = conductor_over(storage, http=http, clock=clock)
    return conductor.refresh.valid(login.provider, login.account)


def test_a_token_of_unknown_lifetime_serves_while_the_login_stands() -> None:
    """Where the provider gives no lifetime there is nothing to wait for, and nothing to refresh."""
    endless = replace(SIGNED_IN, tokens=replace(TOKENS, expires_in=None))
    http = Provider()
    assert at(endless, MemoryStorage(), http, NOW + 1e8) == endless
    assert http.asked == 0
    refresh = over(MemoryStorage()).refresh
    assert not refresh.due(endless)
    for state in (State.EXPIRED, State.REFRESH_FAILED, State.IDLE):
        assert not refresh.usable(replace(endless, state=state).summary())


@pytest.mark.parametrize("left", [40.0, 5.0])
def test_a_token_with_seconds_left_serves_through_an_outage(left: float) -> None:
    """A refresh that fails for the moment is no error while the old token is still good."""
    login = replace(SIGNED_IN, tokens=OLD)
    http = Provider(None)
    found = at(login, MemoryStorage(), http, NOW + 100 - left)
    assert found.tokens == OLD
    assert http.asked == 2
    with pytest.raises(NetworkError):
        at(login, MemoryStorage(), Provider(None), NOW + 100)


def test_looking_at_an_expired_token_needs_no_room() -> None:
    """That a token has expired is noted if it can be; where not, the login is as it was read."""

    class Full(MemoryStorage):
        def commit(self, changes: Any, **named: Any) -> Any:
            raise StorageFull("no space")

    expired = replace(SIGNED_IN, tokens=OLD)
    assert over(Full()).refresh.observe(expired) == expired  # it still serves
    late = conductor_over(Full(), clock=ManualClock(NOW + 200)).refresh
    assert late.observe(expired) == expired
    storage = MemoryStorage()
    saved(storage, expired)
    seen = conductor_over(storage, clock=ManualClock(NOW + 200)).refresh.observe(expired)
    assert seen.state is State.EXPIRED


def test_an_early_refresh_finds_the_work_done() -> None:
    """Who gets the lease after another process has refreshed takes that token, and sends nothing."""

    class Overtaken(MemoryStorage):
        """Another process refreshes between the first look and the lease."""

        newer: Login | None = None

        def read(self, login_id: str) -> Login | None:
            return self.newer or super().read(login_id)

    long = replace(TOKENS, expires_in=3600.0, issued_at=NOW)
    login = replace(SIGNED_IN, tokens=long)
    storage, http = Overtaken(), Provider()
    storage.newer = replace(login, version=3, tokens=replace(long, issued_at=NOW + 3500))
    found = at(login, storage, http, NOW + 3600 - 62)
    assert (found.version, http.asked) == (3, 0)


def test_a_login_that_is_held_is_busy() -> None:
    """A login that another process holds is not cancelled under it."""
    storage = MemoryStorage()
    saved(storage, WAITING)
    with storage.lease(WAITING.id, wait=0), pytest.raises(LoginBusy):
        over(storage).cancel(WAITING.id)


def test_a_device_login_shows_where_the_code_is_entered() -> None:
    """The address of a device login is the provider's, and it has no callback of ours in it."""
    device = replace(WAITING, presentation=BY_DEVICE)
    assert over(MemoryStorage()).address(device) == "https://login.acme.example/device"
