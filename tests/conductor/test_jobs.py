"""Jobs as couriers run them: again, half done, or for a login that has gone on without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from conductors import conductor_over
from instant import ManualClock
from logins import (
    BY_BROWSER,
    BY_DEVICE,
    CHALLENGE,
    CODE_EXCHANGE,
    GRANT_EXCHANGE,
    NO_USER,
    NOW,
    REFRESH_EXCHANGE,
    TOKENS,
    login_in,
)
from recorded import answer
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import (
    AuthFailed,
    LoginTimedOut,
    NetworkError,
    StorageConflict,
    StorageError,
    StorageFull,
    TokenExpired,
    TokenRefreshFailed,
)
from stayfast.engine.flows.dependencies import Dependencies
from stayfast.engine.flows.job import Job, JobKind, JobOutcome
from stayfast.engine.flows.jobs import Jobs
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.ports import Change, HttpRequest, HttpResponse, Lease, Verdict, VerdictKind
from stayfast.engine.record import Login, TokensNotSaved
from stayfast.engine.summary import Identity
from stayfast.engine.table import State
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemRandomness, origin

FRESH = {"access_token": "fresh", "token_type": "Bearer", "refresh_token": "next"}
CODE_SENT = login_in(
    State.EXCHANGING, version=1, presentation=BY_BROWSER, exchange=CODE_EXCHANGE,
    challenge=replace(CHALLENGE, state=None), deadline=NOW + 600,
)  # fmt: skip
REFRESHING = login_in(State.EXCHANGING, version=1, exchange=REFRESH_EXCHANGE, tokens=TOKENS)
POLLING = login_in(
    State.AWAITING_CALLBACK, version=1, presentation=BY_DEVICE, challenge=CHALLENGE,
    deadline=NOW + 600,
)  # fmt: skip
ASKING = login_in(State.EXCHANGING, version=1, exchange=GRANT_EXCHANGE, config=NO_USER)
STATES = {
    JobKind.CODE: CODE_SENT, JobKind.REFRESH: REFRESHING, JobKind.POLL: POLLING,
    JobKind.GRANT: ASKING,
}  # fmt: skip
LEASE = Lease(CODE_SENT.id)


class Provider:
    """Gives one answer to everything, and counts the requests."""

    def __init__(self, body: Any = FRESH, status: int = 200) -> None:
        self._answer = answer(body, status)
        self.asked = 0

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked += 1
        return self._answer


class Elsewhere:
    """A courier that says how the job went in another process, where ``carried`` is the whole of it."""

    def __init__(self, carried: Callable[[Job], JobOutcome]) -> None:
        self._carried = carried

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        return self._carried(job)


class Failing(MemoryStorage):
    """Its disk is full for the next ``times`` commits."""

    times = 0

    def commit(self, changes: Any, **named: Any) -> Any:
        if self.times:
            self.times -= 1
            full = StorageFull("no space")
            full.kept = "/a/sealed/place"
            raise full
        return super().commit(changes, **named)


def jobs_over(
    storage: MemoryStorage,
    http: Provider,
    *,
    courier: Any = None,
    clock: ManualClock | None = None,
) -> Jobs:
    clock = clock or ManualClock(NOW)
    return Jobs(
        Dependencies(
            storage=storage,
            ledger=Ledger(storage, clock, origin()),
            http=http,
            clock=clock,
            randomness=SystemRandomness(),
            courier=courier or InlineCourier(),
        )
    )


def saved(storage: MemoryStorage, login: Login) -> Login:
    event = Event(time=login.changed_at, event=EventKind.TRANSITION, origin=origin())
    storage.commit([Change(login=login, event=event)])
    return login


def arrived(login: Login) -> Login:
    """``login`` with the tokens that came for it."""
    return replace(login, tokens=replace(TOKENS, access_token="arrived"))


@pytest.mark.parametrize("kind", JobKind)
def test_tokens_that_a_killed_courier_had_are_saved_without_a_request(kind: JobKind) -> None:
    """Of a job whose answer has arrived only the saving is left; the provider is not asked again."""
    storage, http = MemoryStorage(), Provider()
    login = saved(storage, STATES[kind])
    done = jobs_over(storage, http).perform(
        Job(kind=kind, login=login, lease=LEASE, again=True, arrived=arrived(login))
    )
    assert isinstance(done, Login)
    assert (done.state, done.tokens) == (State.AUTHENTICATED, arrived(login).tokens)
    assert (storage.read(login.id), http.asked) == (done, 0)


@pytest.mark.parametrize("kind", [JobKind.CODE, JobKind.GRANT, JobKind.REFRESH])
def test_a_job_that_was_done_before_is_not_done_again(kind: JobKind) -> None:
    """Where a process saved the answer and was killed before it said so, the answer is read."""
    storage, http = MemoryStorage(), Provider()
    jobs = jobs_over(storage, http)
    job = Job(kind=kind, login=saved(storage, STATES[kind]), lease=LEASE)
    first = jobs.perform(job)
    assert jobs.perform(replace(job, again=True)) == first
    assert http.asked == 1


@pytest.mark.parametrize("kind", [JobKind.CODE, JobKind.GRANT, JobKind.REFRESH])
def test_a_job_whose_login_ended_meanwhile_is_not_done(kind: JobKind) -> None:
    """A code or refresh token is not sent a second time for a login that has gone elsewhere."""
    storage, http = MemoryStorage(), Provider({"error": "invalid_grant"}, 400)
    jobs = jobs_over(storage, http)
    job = Job(kind=kind, login=saved(storage, STATES[kind]), lease=LEASE)
    with pytest.raises((AuthFailed, TokenRefreshFailed)):
        jobs.perform(job)
    asked = http.asked
    with pytest.raises(StorageConflict):
        jobs.perform(replace(job, again=True))
    assert http.asked == asked


def test_a_job_for_a_login_that_is_not_changed_is_done_again() -> None:
    """A job that nobody finished is sent once more."""
    storage, http = MemoryStorage(), Provider()
    login = saved(storage, REFRESHING)
    done = jobs_over(storage, http).refresh(login, LEASE, again=True)
    assert (done.state, http.asked) == (State.AUTHENTICATED, 1)


@pytest.mark.parametrize("kind", [JobKind.CODE, JobKind.GRANT, JobKind.REFRESH])
@pytest.mark.parametrize("kept", [None, "/a/sealed/place"])
def test_what_another_process_could_not_save_is_saved_here(kind: JobKind, kept: str | None) -> None:
    """Tokens that exist nowhere else are saved by the caller; those that are kept, by the next."""
    storage = MemoryStorage()
    login = saved(storage, STATES[kind])

    def no_room_there(job: Job) -> JobOutcome:
        raise TokensNotSaved("no space there", login=arrived(job.login), kept=kept)

    jobs = jobs_over(storage, Provider(), courier=Elsewhere(no_room_there))
    send = jobs.refresh if kind is JobKind.REFRESH else jobs.send_code
    if kept is None:
        done = send(login, LEASE)
    else:
        with pytest.raises(TokensNotSaved) as caught:
            send(login, LEASE)
        assert caught.value.kept_where
        assert storage.read(login.id) == login
        done = caught.value.save_again()
    assert (done.state, done.tokens) == (State.AUTHENTICATED, arrived(login).tokens)
    assert storage.read(login.id) == done


def test_tokens_that_nobody_can_save_are_in_the_error() -> None:
    """If the caller cannot save them either, its error says where they are kept and tries again."""
    storage = Failing()
    login = saved(storage, REFRESHING)

    def no_room_there(job: Job) -> JobOutcome:
        raise TokensNotSaved("no space there", login=arrived(job.login))

    storage.times = 1
    jobs = jobs_over(storage, Provider(), courier=Elsewhere(no_room_there))
    with pytest.raises(TokensNotSaved) as caught:
        jobs.refresh(login, LEASE)
    assert caught.value.kept == "/a/sealed/place"
    assert caught.value.save_again() == storage.read(login.id)


def test_saving_again_finds_what_another_process_saved() -> None:
    """Tokens that were saved meanwhile are a success; a login that went on without them is not."""
    storage = Failing()
    login = saved(storage, REFRESHING)
    storage.times = 1
    with pytest.raises(TokensNotSaved) as caught:
        jobs_over(storage, Provider()).refresh(login, LEASE)
    done = caught.value.save_again()
    assert caught.value.save_again() == done
    conductor_over(storage, http=Provider(b"", 200)).logout.sign_out(done, revoke=False)
    with pytest.raises(StorageConflict):
        caught.value.save_again()


def test_an_error_from_elsewhere_cannot_save() -> None:
    """An error that came without a way to save raises itself, and says nothing of a place."""
    error = TokensNotSaved("no space", login=arrived(REFRESHING))
    assert error.kept_where is None
    with pytest.raises(TokensNotSaved) as caught:
        error.save_again()
    assert caught.value is error


def test_a_courier_that_brings_no_login_is_a_conflict() -> None:
    """Only a poll may come back with anything else than a login."""
    storage = MemoryStorage()
    jobs = jobs_over(
        storage, Provider(), courier=Elsewhere(lambda job: Verdict(kind=VerdictKind.PENDING))
    )
    assert jobs.poll(POLLING, LEASE) == Verdict(kind=VerdictKind.PENDING)
    with pytest.raises(StorageConflict):
        jobs.send_code(CODE_SENT, LEASE)


@pytest.mark.parametrize(
    ("kind", "damaged", "error"),
    [
        (JobKind.CODE, {"challenge": None}, AuthFailed),
        (JobKind.CODE, {"presentation": None}, AuthFailed),
        (JobKind.POLL, {"presentation": None}, AuthFailed),
        (JobKind.POLL, {"presentation": BY_BROWSER}, AuthFailed),
        (JobKind.REFRESH, {"tokens": None}, TokenExpired),
        (JobKind.REFRESH, {"tokens": replace(TOKENS, refresh_token=None)}, TokenExpired),
    ],
)
def test_a_record_that_lacks_what_is_to_be_sent_sends_nothing(
    kind: JobKind, damaged: dict[str, Any], error: type[Exception]
) -> None:
    """A record that a program or a fault has left half empty is a clear error."""
    http = Provider()
    login = replace(STATES[kind], **damaged)
    with pytest.raises(error):
        jobs_over(MemoryStorage(), http).perform(Job(kind=kind, login=login, lease=LEASE))
    assert http.asked == 0


@pytest.mark.parametrize(
    ("body", "status", "later", "error", "reason"),
    [
        ({"error": "invalid_grant"}, 400, 0, AuthFailed, "provider_error"),
        ({"error": "invalid_grant"}, 400, 600, LoginTimedOut, "device_code_expired"),
        ({"error": "expired_token"}, 400, 0, LoginTimedOut, "device_code_expired"),
        ({**FRESH, "token_type": "dpop"}, 200, 0, AuthFailed, "token_type_unknown"),
    ],
)
def test_a_poll_that_is_answered_for_good_ends_the_login(
    body: Any, status: int, later: float, error: type[Exception], reason: str
) -> None:
    """An answer that is neither tokens nor 'not yet' is the end, and the record says why."""
    storage = MemoryStorage()
    login = saved(storage, POLLING)
    jobs = jobs_over(storage, Provider(body, status), clock=ManualClock(NOW + later))
    with pytest.raises(error):
        jobs.poll(login, LEASE)
    ended = storage.read(login.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.IDLE, reason)


def test_a_device_login_with_an_id_token_that_does_not_hold_is_refused() -> None:
    """Tokens whose ID token is unsound end the login, as they do after a browser."""
    storage = MemoryStorage()
    config = replace(
        POLLING.config,
        scopes=("openid",),
        id_token_algorithms=("HS256",),
        client_secret="s" * 32,
    )
    login = saved(storage, replace(POLLING, config=config))
    jobs = jobs_over(storage, Provider({**FRESH, "id_token": "not.a.token"}))
    with pytest.raises(AuthFailed):
        jobs.poll(login, LEASE)
    ended = storage.read(login.id)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.IDLE, "id_token_unreadable")


@pytest.mark.parametrize("status", [200, 404])
def test_a_code_that_is_answered_with_nothing_readable_can_be_sent_again(status: int) -> None:
    """A page of a proxy settles nothing: the login keeps its code."""
    storage = MemoryStorage()
    login = saved(storage, CODE_SENT)
    with pytest.raises(NetworkError):
        jobs_over(storage, Provider(b"<html>", status)).send_code(login, LEASE)
    assert storage.read(login.id) == login


def identified(login: Login, subject: str, **fields: Any) -> Login:
    return replace(login, identity=Identity(subject=subject, **fields))


def test_a_person_whose_every_name_is_taken_gets_the_id_as_account() -> None:
    """Nobody's login is replaced by another person's, even if one named accounts after them."""
    storage = MemoryStorage()
    for number, account in enumerate(("default", "ada@acme.example", "subject-1")):
        older = login_in(State.AUTHENTICATED, version=1, tokens=TOKENS)
        older = identified(
            replace(older, id=f"01J9ZK4Q0V7F3KTWX2A8B{number:05d}", account=account),
            f"other-{number}",
        )
        saved(storage, older)
    login = saved(storage, CODE_SENT)
    came = identified(arrived(login), "subject-1", name="ada@acme.example")
    done = jobs_over(storage, Provider()).perform(
        Job(kind=JobKind.CODE, login=login, lease=LEASE, arrived=came)
    )
    assert isinstance(done, Login)
    assert (done.account, done.reason) == (login.id.lower(), "other_subject")
    assert len([one for one in storage.summaries() if one.holds_tokens]) == 4


def test_accounts_that_cannot_be_looked_up_do_not_keep_tokens_from_being_saved() -> None:
    """A storage that cannot search for a moment is still asked to save."""

    class Blind(MemoryStorage):
        def find(self, alias: str) -> Login | None:
            raise StorageError("cannot search")

    storage = Blind()
    login = saved(storage, CODE_SENT)
    assert jobs_over(storage, Provider()).send_code(login, LEASE).state is State.AUTHENTICATED
