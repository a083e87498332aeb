"""Every interleaving of the real refresh: processes that stop where anything outside is touched.

Not a model of the protocol: the engine's own code runs, in threads of which one moves at a time.
What is modelled is the world: a storage with versions and leases, a provider that rotates refresh
tokens, and a scheduler that may kill a process, or lose an answer, wherever it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Semaphore, Thread
from typing import Any

from instant import ManualClock
from logins import CONFIG, NOW, ORIGIN, TOKENS, login_in
from stayfast.engine.audit.events import Recorded
from stayfast.engine.errors import LoginBusy, NetworkError, StayfastError, StorageConflict
from stayfast.engine.flows.dependencies import Dependencies
from stayfast.engine.flows.job import Job, JobKind, JobOutcome
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.ports import Change, HttpRequest, HttpResponse, Lease
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.storage.host import SystemRandomness

ID = "01J9ZK4Q0V7F3KTWX2A8B5C6DE"
Move = tuple[int, str]
"""Which process, and what befalls it: ``step``, ``kill``, ``lose`` or ``refuse``."""


class Killed(BaseException):
    """The process is gone; nothing it still does reaches the world."""


@dataclass(frozen=True)
class Scenario:
    """What may happen.

    Attributes:
        processes: How many ask for a token at once.
        strict: Whether the provider ends everything when a spent refresh token comes again; else
            it takes the predecessor until the successor was used.
        kills: How many processes may be killed.
        faults: How many answers may be lost on the way, or requests refused.
        courier: Whether a job outlives the process that sent it.
        newer: Whether another process finishes a new login of the same account meanwhile.
        leases: Whether leases exclude anybody; only to see the invariants fail without.
    """

    processes: int = 2
    strict: bool = True
    kills: int = 0
    faults: int = 0
    courier: bool = False
    newer: bool = False
    leases: bool = True


@dataclass
class Findings:
    """What a search has seen.

    Attributes:
        states: Different states of the whole world.
        endings: How often each thing was the case when all processes had ended.
    """

    states: int = 0
    endings: dict[str, int] = field(default_factory=dict)

    def note(self, ending: str) -> None:
        self.endings[ending] = self.endings.get(ending, 0) + 1


class Provider:
    """Rotates refresh tokens."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self.current, self.previous, self.issued = 0, -1, 0
        self.revoked = False
        self.reused = 0

    def digest(self) -> tuple[Any, ...]:
        return (self.current, self.previous, self.issued, self.revoked, self.reused)

    def refresh(self, token: int) -> int | None:
        """The number of the next tokens, or ``None``."""
        if not self.revoked and token == self.current:
            self.previous = token
        elif self.revoked or self._strict or token != self.previous:
            if not self.revoked:
                self.reused += 1
            self.revoked = True
            return None
        self.issued += 1
        self.current = self.issued
        return self.current


class Process:
    """One caller, as a thread that the explorer moves."""

    def __init__(self, number: int, world: World, work: Callable[[Process], Login]) -> None:
        self.number = number
        self._world = world
        self._work = work
        self._go = Semaphore(0)
        self._order = "step"
        self.history: tuple[Any, ...] = ()
        self.at = "start"
        self.enabled: Callable[[], bool] = lambda: True
        self.ended: str | None = None
        self.dead = False
        self.sheltered = False
        self.peeking = False
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def move(self, order: str) -> None:
        """Let it go on to where it next touches the world."""
        self._order = order
        self._go.release()
        self._world.arrived.acquire()

    def pause(self, at: str, enabled: Callable[[], bool] | None = None) -> str:
        """Stop before touching the world; the order to go on with."""
        if self.dead and not self.sheltered:
            raise Killed
        if self.peeking:
            return "step"
        self.at = at
        self.enabled = enabled or (lambda: True)
        self._world.arrived.release()
        self._go.acquire()
        if self._order == "kill":
            self.dead = True
            if not self.sheltered:
                raise Killed
            return self.pause(at, enabled)  # the courier goes on, from where it was
        if self._order == "abandon":
            self.dead, self.sheltered = True, False
            raise Killed
        return self._order

    def saw(self, *what: Any) -> None:
        """Remember what it learnt: all its further doings follow from that."""
        if not self.peeking:
            self.history += (what,)

    def _run(self) -> None:
        try:
            self.pause("start")
            login = self._work(self)
            self._world.check_returned(self, login)
            self.ended = "served"
        except Killed:
            self.ended = "killed"
        except StayfastError as error:
            self.ended = type(error).__name__
        except BaseException as error:  # noqa: BLE001  shown by the search, in its own thread
            self._world.broken = error
            self.ended = "broken"
        self._world.arrived.release()

    def digest(self) -> tuple[Any, ...]:
        return (self.history, self.at, self.ended, self.dead, self.sheltered)


class World:
    """Storage, provider and processes of one run."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.arrived = Semaphore(0)
        self.broken: BaseException | None = None
        self.provider = Provider(strict=scenario.strict)
        stale = replace(TOKENS, access_token="a0", refresh_token="0", issued_at=NOW - 7200)
        first = login_in(State.EXPIRED, tokens=stale)
        self.logins: dict[str, Login] = {first.id: first}
        self.owner: dict[str, int] = {}
        self.in_flight: dict[int, int] = {}
        self.kills, self.faults = scenario.kills, scenario.faults
        self.processes: list[Process] = []
        for number in range(scenario.processes):
            self._add(number, self._ask)
        if scenario.newer:
            self._add(scenario.processes, self._sign_in)

    def _add(self, number: int, work: Callable[[Process], Login]) -> Process:
        process = Process(number, self, work)
        self.processes.append(process)
        self.arrived.acquire()
        return process

    def _ask(self, process: Process) -> Login:
        return _conductor(self, process).refresh.valid(CONFIG.service_name, "default")

    def _sign_in(self, process: Process) -> Login:
        """A second login of the account, whose tokens have just arrived."""
        from logins import CODE_EXCHANGE  # noqa: PLC0415  only here

        fresh = replace(TOKENS, access_token="new", refresh_token="99", issued_at=NOW)
        coming = replace(
            login_in(State.EXCHANGING, exchange=CODE_EXCHANGE), id="02" + ID[2:], version=3
        )
        self.logins[coming.id] = coming
        conductor = _conductor(self, process)
        return conductor.jobs._code_exchange.save(
            Job(kind=JobKind.CODE, login=coming, lease=Lease(coming.id)),
            replace(coming, tokens=fresh),
        )

    def moves(self) -> list[Move]:
        """What may happen next."""
        found: list[Move] = []
        for process in self.processes:
            if process.ended:
                continue
            if process.enabled():
                found.append((process.number, "step"))
                if process.at == "send" and self.faults:
                    found += [(process.number, "lose"), (process.number, "refuse")]
            if self.kills and not process.dead and process.number < self.scenario.processes:
                found.append((process.number, "kill"))
        return found

    def apply(self, move: Move) -> None:
        """Let it happen."""
        number, order = move
        if order == "kill":
            self.kills -= 1
        elif order in {"lose", "refuse"}:
            self.faults -= 1
        self.processes[number].move(order)
        if self.broken is not None:
            raise self.broken

    def digest(self) -> tuple[Any, ...]:
        stored = tuple(
            (login.id, login.version, login.state, login.tokens and login.tokens.refresh_token)
            for login in self.logins.values()
        )
        return (
            stored,
            tuple(sorted(self.owner.items())),
            self.provider.digest(),
            (self.kills, self.faults),
            tuple(process.digest() for process in self.processes),
        )

    def last(self) -> str:
        """How a process fares that asks when all others have ended."""
        process = self._add(len(self.processes), self._ask)
        while process.ended is None:
            assert process.enabled(), "a process waits for a lock that nobody holds"
            self.apply((process.number, "step"))
        return process.ended

    def abandon(self) -> None:
        for process in self.processes:
            while process.ended is None:
                process.move("abandon")

    def check_returned(self, process: Process, login: Login) -> None:
        """A token that is handed out was durable before."""
        stored = self.logins[login.id]
        assert login.tokens is not None
        assert stored.version >= login.version
        # served with what would not have served when it asked: an expired token
        assert login.tokens.access_token != "a0", process.history


class WorldStorage:
    """The storage of a world, as one process has it."""

    description = "world"

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    def probe(self) -> None:
        """Always room."""

    def read(self, login_id: str) -> Login | None:
        self._process.pause("read")
        login = self._world.logins.get(login_id)
        self._process.saw("read", login and login.version)
        return login

    def find(self, alias: str) -> Login | None:
        self._process.pause("find")
        found = [login for login in self._world.logins.values() if login.alias == alias]
        assert len(found) <= 1, "two logins of one account"
        self._process.saw("find", *[(login.id, login.version) for login in found])
        return found[0] if found else None

    def summaries(self) -> Iterable[Any]:
        return [login.summary() for login in self._world.logins.values()]

    def note(self, event: Any) -> Recorded:
        return Recorded(1, {})

    def events(self, **_: Any) -> Sequence[Recorded]:
        return []

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        self._process.pause("commit")
        after = dict(self._world.logins)
        for change in changes:
            login = change.login
            if after[login.id].version != login.version - 1:
                self._process.saw("conflict", login.version)
                msg = "a newer version is there"
                raise StorageConflict(msg)
            after[login.id] = login
        self._world.logins = after
        self._process.saw("committed", *[change.login.version for change in changes])
        return [Recorded(1, {}) for _ in changes]

    @contextmanager
    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> Generator[Lease]:
        world, process = self._world, self._process
        seen = -1

        def ready() -> bool:
            return login_id not in world.owner or world.logins[login_id].version != seen

        while True:
            process.pause("lease", ready)
            if login_id not in world.owner or not world.scenario.leases:
                break
            seen = world.logins[login_id].version
            process.saw("waiting", seen)
            process.peeking = True
            given_up = wait == 0 or (until is not None and until())
            process.peeking = False
            if given_up:
                msg = "somebody has it"
                raise LoginBusy(msg)
        world.owner[login_id] = process.number
        process.saw("lease")
        try:
            yield Lease(login_id)
        finally:
            world.owner.pop(login_id, None)


class WorldHttp:
    """The wire between one process and the provider: a request acts, then its answer arrives."""

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    def send(self, request: HttpRequest) -> HttpResponse:
        token = int(request.body.decode().rpartition("refresh_token=")[2].partition("&")[0])
        order = self._process.pause("send")
        if order == "refuse":
            self._process.saw("refused")
            raise NetworkError("nobody there")
        flying = self._world.in_flight
        assert flying.get(token, 0) == 0, "one refresh token is under way twice"
        flying[token] = flying.get(token, 0) + 1
        try:
            number = self._world.provider.refresh(token)
            if order == "lose":
                self._process.saw("lost")
                raise NetworkError("the line is cut")
            self._process.pause("answer")
        finally:
            flying[token] -= 1
        self._process.saw("answer", number)
        if number is None:
            body, status = {"error": "invalid_grant"}, 400
        else:
            body, status = (
                {
                    "access_token": f"a{number}",
                    "refresh_token": str(number),
                    "token_type": "Bearer",
                    "expires_in": 3600,
                },
                200,
            )
        return HttpResponse(
            status=status,
            headers={"content-type": "application/json"},
            body=json.dumps(body).encode(),
            received_at=NOW,
        )


class WorldCourier:
    """Carries jobs in the process that asks, which may survive its own death there."""

    def __init__(self, process: Process, *, outlives: bool) -> None:
        self._process = process
        self._outlives = outlives

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        self._process.sheltered = self._outlives
        try:
            return perform(job)
        finally:
            self._process.sheltered = False
            if self._process.dead:
                raise Killed


def _conductor(world: World, process: Process) -> Conductor:
    storage: Any = WorldStorage(world, process)
    clock = ManualClock(NOW)
    return Conductor(
        Dependencies(
            storage=storage,
            ledger=Ledger(storage, clock, ORIGIN),
            http=WorldHttp(world, process),
            clock=clock,
            randomness=SystemRandomness(),
            courier=WorldCourier(process, outlives=world.scenario.courier),
        )
    )


def explore(scenario: Scenario, check: Callable[[World, str], None] | None = None) -> Findings:
    """Try every order in which things may happen.

    Args:
        scenario: What may happen.
        check: Called at every ending with the world and how a process fared that asked last.

    Raises:
        AssertionError: An invariant was broken; its notes list the moves that led there.
    """
    findings = Findings()
    seen: set[int] = set()
    ahead: list[tuple[Move, ...]] = [()]
    while ahead:
        path = ahead.pop()
        world = World(scenario)
        try:
            for move in path:
                world.apply(move)
            while True:
                digest = hash(world.digest())
                if digest in seen:
                    break
                seen.add(digest)
                moves = world.moves()
                if not moves:
                    stuck = [process.at for process in world.processes if process.ended is None]
                    assert not stuck, f"nothing can move any more: {stuck}"
                    last = world.last()
                    findings.note(last)
                    if check is not None:
                        check(world, last)
                    break
                ahead += [(*path, move) for move in moves[1:]]
                path = (*path, moves[0])
                world.apply(moves[0])
        except AssertionError as error:
            error.add_note(" ".join(f"{number}:{order}" for number, order in path))
            raise
        finally:
            world.abandon()
    findings.states = len(seen)
    return findings
