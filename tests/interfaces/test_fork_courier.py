"""The courier in a child process: what it brings home, what it leaves alone, when it is used."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from command import until
from errors_at_hand import make_error
from instant import ManualClock
from logins import fresh_login
from stayfast.engine import cbor, errors
from stayfast.engine.audit.events import Recorded
from stayfast.engine.errors import ConfigInvalid, NetworkError, StayfastError
from stayfast.engine.flows.job import Job, JobKind
from stayfast.engine.ports import Lease, Verdict, VerdictKind
from stayfast.engine.reasons import Refusal
from stayfast.engine.record import Login, TokensNotSaved
from stayfast.engine.result import ErrorCode
from stayfast.interfaces.couriers.channel import EventForwarder
from stayfast.interfaces.couriers.choice import ForkFirst, choose_courier
from stayfast.interfaces.couriers.fork import ForkCourier, can_fork
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.couriers.wire import pack_outcome, unpack_outcome
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage, open_storage
from stayfast.storage.locks import locked

JOB = Job(kind=JobKind.REFRESH, login=fresh_login(), lease=Lease("any"))


def courier(forwarder: EventForwarder | None = None) -> ForkCourier:
    return ForkCourier(forwarder or EventForwarder(), lambda: None)


def test_a_job_runs_in_another_process_and_its_login_comes_home() -> None:
    """The outcome is equal, and was made elsewhere."""
    outcome = courier().carry(JOB, lambda job: replace(job.login, account=f"{os.getpid()}"))
    assert isinstance(outcome, Login)
    assert outcome == replace(JOB.login, account=outcome.account)
    assert int(outcome.account) != os.getpid()


def test_a_courier_does_not_search_the_objects_of_its_parent() -> None:
    """To search them for garbage would copy memory that both share; its own are searched as ever."""
    outcome = courier().carry(
        JOB, lambda job: replace(job.login, account=f"{gc.get_freeze_count()} {gc.isenabled()}")
    )
    assert isinstance(outcome, Login)
    frozen, searches = outcome.account.split()
    assert int(frozen) > gc.get_freeze_count()
    assert searches == "True"


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(kind=VerdictKind.SLOW_DOWN, message="slower", interval=10),
        Verdict(kind=VerdictKind.FAILED, reason=ErrorCode.STORAGE_FULL),
        Verdict(kind=VerdictKind.REFUSED, reason=Refusal.WRONG_STATE),
    ],
)
def test_a_verdict_comes_home(verdict: Verdict) -> None:
    """So does what a poll has to say."""
    home = courier().carry(JOB, lambda _job: verdict)
    assert isinstance(home, Verdict)
    assert home == verdict
    assert type(home.reason) is type(verdict.reason)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in [*vars(errors).values(), TokensNotSaved]
        if isinstance(kind, type) and issubclass(kind, StayfastError)
    ],
)
def test_every_error_comes_home_whole(kind: type[StayfastError]) -> None:
    """An error keeps its class, its sentences, and what else it remembers."""
    sent = make_error(kind)
    sent.hint, sent.why = "stayfast list", "because"
    with pytest.raises(kind) as caught:
        unpack_outcome(cbor.decode_map(pack_outcome(sent)))
    ignored = {"save_again"}
    assert {k: v for k, v in vars(caught.value).items() if k not in ignored} == {
        k: v for k, v in vars(sent).items() if k not in ignored
    }


def test_an_error_of_somebody_elses_class_comes_home_as_the_nearest_of_ours() -> None:
    """A transport or HTTP client of a third party may raise a class of its own."""

    class Unheard(NetworkError):
        """Ours, further specialised."""

    with pytest.raises(NetworkError, match="nobody"):
        unpack_outcome(cbor.decode_map(pack_outcome(Unheard("nobody answers"))))


def test_what_the_child_records_is_told_in_the_parent() -> None:
    """Observers keep what they learn: they are called where they live."""
    observed: list[tuple[int, Login | None]] = []

    class Keeper:
        def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
            observed.append((recorded[0].seq, login))

    forwarder = EventForwarder([Keeper()])

    def perform(job: Job) -> Login:
        forwarder.observe([Recorded(7, {"scopes": ("a", "b")})], job.login)
        return job.login

    outcome = courier(forwarder).carry(JOB, perform)
    assert observed == [(7, JOB.login)]
    assert outcome is observed[0][1]  # it is read once


def test_the_child_is_in_a_session_of_its_own() -> None:
    """Ctrl-C, a hang-up and whatever ends the session or group of the sender do not reach it."""
    outcome = courier().carry(
        JOB, lambda job: replace(job.login, account=f"{os.getsid(0)} {os.getpgrp()} {os.getpid()}")
    )
    assert isinstance(outcome, Login)
    session, group, child = outcome.account.split()
    assert session == group == child


@pytest.mark.parametrize("sent", [False, True])
def test_a_killed_courier_is_replaced(*, sent: bool) -> None:
    """What it may have sent already is sent once more, marked as such; what it has not, is sent."""
    sender = os.getpid()

    def perform(job: Job) -> Login:
        if os.getpid() != sender:
            if sent:
                job.progress.sending()
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(job.login, account="again" if job.again else "first")

    outcome = courier().carry(JOB, perform)
    assert isinstance(outcome, Login)
    assert outcome.account == ("again" if sent else "first")


def test_what_came_to_a_killed_courier_is_saved_by_its_sender() -> None:
    """Tokens that it had received and not saved are at hand: nothing is sent again."""
    sender = os.getpid()

    def perform(job: Job) -> Login:
        if os.getpid() != sender:
            job.progress.sending()
            job.progress.arrived(replace(job.login, account="arrived"))
            os.kill(os.getpid(), signal.SIGKILL)
        assert job.arrived is not None
        return job.arrived

    outcome = courier().carry(JOB, perform)
    assert isinstance(outcome, Login)
    assert outcome.account == "arrived"


@pytest.mark.parametrize("call", ["fork", "socketpair"])
def test_where_no_process_can_be_had_the_job_runs_here(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A limit on processes or descriptors costs neither the job nor a descriptor."""

    def refused() -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr({"fork": os, "socketpair": socket}[call], call, refused)
    before = len(os.listdir("/dev/fd"))
    performed: list[Job] = []
    courier().carry(JOB, lambda job: performed.append(job) or job.login)
    (job,) = performed
    assert (job.again, job.courier) == (False, False)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("path", ["/dev/fd", os.devnull])
def test_a_courier_begins_where_files_cannot_be_listed(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """In a chroot or a hardened container, without /proc or /dev, it works as anywhere."""

    def missing(name: str, *rest: object) -> object:
        if name == path:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
        return real[path == os.devnull](name, *rest)

    real = (os.listdir, os.open)
    monkeypatch.setattr(os, "open" if path == os.devnull else "listdir", missing)
    outcome = courier().carry(JOB, lambda job: replace(job.login, account=f"{os.getpid()}"))
    assert isinstance(outcome, Login)
    assert int(outcome.account) != os.getpid()


@pytest.mark.parametrize("call", ["os.fork", "os.dup", "socket.socketpair"])
def test_a_job_that_gets_no_child_runs_in_its_sender(
    call: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At a limit of processes, memory or files it is done once, here, and no file stays open."""
    runs: list[int] = []

    def refuse(*_: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    def perform(job: Job) -> Login:
        runs.append(os.getpid())
        return job.login

    with locked(str(tmp_path / "lock"), wait=0, what="login"):
        before = set(os.listdir("/dev/fd"))
        with monkeypatch.context() as patch:
            patch.setattr(call, refuse)
            assert courier().carry(JOB, perform) == JOB.login
        assert set(os.listdir("/dev/fd")) <= before  # a server of another test may close some
    assert runs == [os.getpid()]


def test_the_lock_is_held_until_both_have_let_go(tmp_path: Path) -> None:
    """While a courier lives nobody else gets the login, though its sender has died."""
    path, gate, sign = (str(tmp_path / name) for name in ("login.lock", "gate", "sign"))
    os.mkfifo(gate)
    os.mkfifo(sign)

    def perform(job: Job) -> Login:
        # by name: a courier has let go of every file it was born with
        Path(sign).write_text(str(os.getpid()))
        Path(gate).read_text()
        return job.login

    sender = os.fork()
    if sender == 0:
        with locked(path, wait=0, what="login"):
            courier().carry(JOB, perform)
        os._exit(0)
    child = Path(sign).read_text()
    os.kill(sender, signal.SIGKILL)
    os.waitpid(sender, 0)
    with (
        pytest.raises(errors.LoginBusy, match=f"process {child} "),
        locked(path, wait=0, what="it"),
    ):
        pass
    Path(gate).write_text("go on")
    with locked(path, wait=5, what="login"):
        pass


def test_a_courier_holds_no_file_of_its_sender(tmp_path: Path) -> None:
    """A pipe or a port of the sender is free as soon as the sender is gone."""
    reading, writing = os.pipe()

    def perform(job: Job) -> Login:
        same = os.fstat(writing).st_ino
        return replace(job.login, account="kept" if same == inode else "let go")

    inode = os.fstat(writing).st_ino
    outcome = courier().carry(JOB, perform)
    os.close(reading)
    os.close(writing)
    assert isinstance(outcome, Login)
    assert outcome.account == "let go"


def test_tokens_that_nobody_takes_are_saved_when_there_is_room(tmp_path: Path) -> None:
    """An orphan whose save failed tries again until it succeeds."""
    saved, sign = tmp_path / "saved", tmp_path / "sign"
    os.mkfifo(sign)

    def perform(job: Job) -> Login:
        sign.write_text("here")
        sign.read_text()
        error = TokensNotSaved("no room", login=job.login)
        tries = iter((errors.StorageFull("still none"), None))

        def save_again() -> Login:
            problem = next(tries)
            if problem:
                raise problem
            saved.write_text("saved")
            return job.login

        error.save_again = save_again
        raise error

    sender = os.fork()
    if sender == 0:
        courier().carry(JOB, perform)
        os._exit(0)
    sign.read_text()
    os.kill(sender, signal.SIGKILL)
    os.waitpid(sender, 0)
    sign.write_text("go on")
    until(saved.exists, bool)


def test_a_thread_that_may_hold_a_lock_forbids_a_fork() -> None:
    """A child would wait for ever for a lock whose thread it does not have."""
    gate = threading.Event()
    other = threading.Thread(target=gate.wait, name="somebody's")
    other.start()
    try:
        assert not can_fork()
    finally:
        gate.set()
        other.join()


def test_what_only_this_process_has_stays_in_it(tmp_path: Path) -> None:
    """Memory cannot be shared with a child, so its logins are carried inline."""
    http, forwarder = RequestsHttp(), EventForwarder()
    vault = open_storage("file", state_dir=str(tmp_path / "s"), config_dir=str(tmp_path / "c"))
    assert isinstance(choose_courier(MemoryStorage(), http, forwarder, {}), InlineCourier)
    inline = {"STAYFAST_COURIER": "inline"}
    assert isinstance(choose_courier(vault, http, forwarder, inline), InlineCourier)
    forked = {"STAYFAST_COURIER": "fork"}
    assert isinstance(choose_courier(vault, http, forwarder, forked), ForkFirst)
    clock = ManualClock()  # a worker would not see it move
    assert isinstance(choose_courier(vault, http, forwarder, forked, clock), ForkCourier)
    with pytest.raises(ConfigInvalid):
        choose_courier(vault, http, forwarder, {"STAYFAST_COURIER": "pigeon"})
