"""Tokens that arrive while PostgreSQL is out of reach, from every call of the saving process on.

The failure begins when the provider has rotated the refresh token. It meets the process that saves the
answer, caller or courier: that is killed at one of its calls, or one of them fails, or all from there on
until the caller has ended. What reaches the provider is left alone.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import attached
import forked_callers
import pytest
from caller_kills import approve, patiently
from command import World, until
from instant import InstantTransport
from postgres_server import PostgresServer
from stayfast.engine.errors import StayfastError
from stayfast.engine.record import Login
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

HELD = 30.0  # seconds after which the provider answers even if nobody releases it
CALLS = ("socket", "connect", "sendto", "recvfrom", "poll", "epoll_wait")
STEPS = ("socket", "connect", "sendto", "sendmsg", "recvfrom", "recvmsg", "poll", "write", "flock",
         "clone", "clone3", "vfork", "wait4")  # fmt: skip
KILL = "signal=SIGKILL"
EIO, ENOSPC = "error=EIO", "error=ENOSPC"
SAID = {"done", "STORAGE_TOKENS_NOT_SAVED"}


class Caller(NamedTuple):
    """One kind of caller.

    Attributes:
        courier: What ``STAYFAST_COURIER`` says.
        threads: Whether another thread is alive.
        killed: Whether it is killed before the answer comes.
    """

    courier: str
    threads: bool
    killed: bool

    def __str__(self) -> str:
        """The caller in a few words."""
        threads = "-threads" if self.threads else ""
        return f"{self.courier}{threads}{'-killed' if self.killed else ''}"

    @property
    def alone(self) -> bool:
        """Whether it carries its jobs itself."""
        return self.courier == "inline"


CALLERS = [
    Caller("fork", threads=False, killed=False),
    Caller("fork", threads=False, killed=True),
    Caller("auto", threads=True, killed=False),
    Caller("auto", threads=True, killed=True),
    Caller("inline", threads=False, killed=False),
    Caller("inline", threads=True, killed=False),
]


class Point(NamedTuple):
    """A call of the saving process, as strace counts it from the moment when it is attached.

    Attributes:
        call: Its name.
        number: Which of its calls in that thread, from 1.
        home: Whether it tells the caller something.
        wait: After a sending, the call that waits for the server: libpq looks there why it failed. As
            strace's ``inject`` names it.
    """

    call: str
    number: int
    home: bool
    wait: str = ""


class Campaign:
    """One login, refreshed again and again while something fails."""

    def __init__(self, place: Path, provider: AuthorizationServer, url: str) -> None:
        place.chmod(0o700)
        (place / "run").mkdir(mode=0o700)
        World(place, provider).config.rename(place / "c")
        self.place, self.provider, self.url = place, provider, url
        self.own = forked_callers.assembly(str(place), url)
        self.sign_in()
        self.callers = forked_callers.Callers(str(place), url)
        self.counts: Counter[str] = Counter()

    def sign_in(self) -> None:
        self.own.conductor.sign_in(self.own.config("demo"), InstantTransport(approve))

    def refreshed(self, caller: Caller, options: list[str]) -> str:
        """What a caller said whose saving process is traced with ``options`` once the answer is due."""
        before, login_id = self.token(), self.login().id
        self.provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=HELD), times=1)
        rotated = self.provider.counts["tokens"]
        pid = self.callers.start(caller.courier, threads=caller.threads)
        until(lambda: self.provider.counts["tokens"], lambda seen: seen > rotated)
        saver = attached.saver(self.place / "s", pid, login_id)
        with attached.attached(saver, options):
            if caller.killed:
                os.kill(pid, signal.SIGKILL)
            self.provider.release()
            said = self.callers.said()
            if caller.killed:
                until(self.token, lambda token: token != before)
        return said

    def login(self) -> Login:
        return self.own.conductor.refresh.find("demo", "default")

    def token(self) -> str:
        tokens = self.login().tokens
        assert tokens is not None
        return tokens.access_token

    def points(self, caller: Caller) -> list[Point]:
        """The calls of an undisturbed refresh from here on, but those for which the provider counts."""
        trace = self.place / "trace"
        names = ",".join(CALLS)
        said = self.refreshed(caller, ["-yy", "-s", "0", "-o", str(trace), "-e", f"trace={names}"])
        assert said == ("" if caller.killed else "done")
        numbers: Counter[tuple[str, str]] = Counter()
        found: list[tuple[str, Point]] = []
        foreign: set[tuple[str, int]] = set()
        for line in trace.read_text().splitlines():
            match = re.match(r"(\d+) +(\w+)\((.*)", line)
            if match is None or match[2] not in CALLS:
                continue  # the end of a process, or the second half of a call
            numbers[match[1], match[2]] += 1
            number = numbers[match[1], match[2]]
            if "<TCP:" in match[3]:
                foreign.add((match[2], number))
            # the database is the only one whose calls say MSG_NOSIGNAL
            home = match[2] == "sendto" and "MSG_NOSIGNAL" not in match[3]
            found.append((match[1], Point(match[2], number, home)))
        waits = [(thread, one) for thread, one in found if one.call in {"poll", "epoll_wait"}]
        for at, (thread, point) in enumerate(found):
            if point.call == "sendto" and not point.home:
                later = (one for own, one in found[at:] if (own, one) in waits and own == thread)
                wait = next(later, None)  # none after the last words to the server
                told = "" if wait is None else f"{wait.call}:{EIO}:when={wait.number}"
                found[at] = thread, point._replace(wait=told)
        told = {point[:2] for _, point in found if point.home}
        points = dict.fromkeys(
            point._replace(home=point[:2] in told, wait="" if point[:2] in told else point.wait)
            for _, point in found
        )
        return [point for point in points if point[:2] not in foreign and not meets_others(point)]

    def killed_at(self, caller: Caller, options: list[str]) -> str:
        """What a caller said that is traced with ``options`` from its beginning, it alone."""
        pid = self.callers.start(caller.courier, threads=caller.threads, stopped=True)
        until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0],
              lambda state: state == "T")  # fmt: skip
        with attached.attached(pid, options, follow=False):
            os.kill(pid, signal.SIGCONT)
            return self.callers.said()

    def steps(self, caller: Caller) -> list[tuple[str, int]]:
        """The calls of a caller by which others could notice it, from its beginning to its end."""
        trace = self.place / "trace"
        self.killed_at(caller, ["-o", str(trace), "-s", "0", "-e", f"trace={','.join(STEPS)}"])
        numbers: Counter[str] = Counter()
        found: list[tuple[str, int]] = []
        for line in trace.read_text().splitlines():
            call = line.partition("(")[0]
            if call in STEPS:
                numbers[call] += 1
                found.append((call, numbers[call]))
        return found

    def lost_with(self, caller: Caller, step: tuple[str, int]) -> str | None:
        """What is lost where the caller is killed at that step; ``None`` if nothing is."""
        call, number = step
        reused = self.provider.counts["refresh_reuse"]
        options = [
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:{KILL}:when={number}",
        ]
        said = self.killed_at(caller, options)
        self.counts[said or "killed"] += 1
        try:
            patiently(lambda: self.own.conductor.refresh.valid("demo", "default", force=True))
        except StayfastError as error:
            self.sign_in()
            return f"{caller} killed at {call} #{number}: {error}"
        if self.provider.counts["refresh_reuse"] != reused:
            return f"{caller} killed at {call} #{number}: a refresh token was sent twice"
        return None

    def lost(self, caller: Caller, point: Point, effect: str) -> str | None:
        """What is lost where ``effect`` meets ``point``; ``None`` if nothing is."""
        case = f"{caller} {point.call} #{point.number} {effect}"
        injected = [f"{point.call}:{effect.replace('N', str(point.number))}"]
        if point.wait and effect != f"{KILL}:when=N":
            injected.append(point.wait + "+" * effect.endswith("+"))
        reused = self.provider.counts["refresh_reuse"]
        try:
            options = ["-o", "/dev/null", "-e", f"trace={','.join(CALLS)}"]
            options += [word for one in injected for word in ("-e", f"inject={one}")]
            said = self.refreshed(caller, options)
            self.counts[said or "killed"] += 1
            if not caller.killed and said not in SAID:
                self.sign_in()
                return f"{case}: the caller said {said!r}"
            patiently(lambda: self.own.conductor.refresh.valid("demo", "default", force=True))
        except (StayfastError, AssertionError) as error:
            self.sign_in()
            return f"{case}: {error}"
        if self.provider.counts["refresh_reuse"] != reused:
            return f"{case}: a refresh token was sent twice"
        return None


def meets_others(point: Point) -> bool:
    """Whether ``point`` may be a call of another thread, since strace counts in each from one.

    The first polls and readings may be those of the provider's answer, and a worker waits for its next
    lane by ``epoll_wait``.
    """
    waits = [(point.call, point.number), *re.findall(r"^(\w+):.*=(\d+)$", point.wait)]
    return any(
        call == "epoll_wait" or (call in {"poll", "recvfrom"} and int(number) <= 2)
        for call, number in waits
    )


def effects(caller: Caller, point: Point) -> list[str]:
    """What may go wrong at ``point``, in strace's words."""
    found = [f"{EIO}:when=N"]
    if not caller.alone and not caller.killed and not point.home:
        found.append(f"{KILL}:when=N")
    # a living caller would not hear from a courier that cannot send at all
    if (caller.alone or caller.killed or point.call != "sendto") and not point.home:
        found.append(f"{EIO}:when=N+")
        if point.call in {"sendto", "connect", "socket"}:
            found.append(f"{ENOSPC}:when=N+")
    return found


@pytest.fixture
def campaign(
    tmp_path: Path, server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Campaign]:
    attached.require()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with AuthorizationServer() as provider:
        made = Campaign(tmp_path, provider, server.url(database))
        yield made
        made.callers.close()


SOME = [CALLERS[0], CALLERS[3], CALLERS[5]]


@pytest.mark.parametrize(
    ("callers", "everything"),
    [
        pytest.param(SOME, False, id="some"),
        *(pytest.param([one], True, id=str(one), marks=pytest.mark.soak) for one in CALLERS),
    ],
)
def test_no_failure_on_the_way_to_the_database_loses_a_login(
    campaign: Campaign, callers: list[Caller], everything: bool
) -> None:
    """Whatever fails, for caller or courier, living or killed: the next command has the new tokens.

    A courier that is killed before it could report to its caller is left out: nobody has the answer
    then, which SECURITY says.
    """
    tried, gone = 0, []
    for caller in callers:
        points = campaign.points(caller)
        cases = [(point, effect) for point in points for effect in effects(caller, point)]
        if everything:
            polls = [case for case in cases if case[0].call == "poll"]
            cases = [case for case in cases if case[0].call != "poll"] + polls[::8]
        else:
            cases = [cases[len(cases) // 3], cases[-3]]
        for case in cases:
            tried += 1
            lost = campaign.lost(caller, *case)
            if lost is not None:
                gone.append(lost)
                print(f"\n{lost}", flush=True)
    print(f"\n{' '.join(map(str, callers))}: {tried} failures on the way to PostgreSQL while tokens came "
          f"({dict(campaign.counts)}): {len(gone)} logins lost")  # fmt: skip
    assert gone == []
    assert campaign.own.storage.problems() == []  # type: ignore[attr-defined]  # PostgreSQL


@pytest.mark.parametrize(
    ("callers", "everything"),
    [
        pytest.param(CALLERS[:1], False, id="some"),
        *(
            pytest.param([one], True, id=str(one), marks=pytest.mark.soak)
            for one in CALLERS
            if not one.alone and not one.killed
        ),
    ],
)
def test_no_kill_of_a_caller_loses_a_login(
    campaign: Campaign, callers: list[Caller], everything: bool
) -> None:
    """Killed at any of its calls from its first look at the database to its last: the login goes on."""
    for caller in callers:
        steps = campaign.steps(caller)
        chosen = steps if everything else [steps[at * len(steps) // 8] for at in (5, 6, 7)]
        found = [campaign.lost_with(caller, step) for step in chosen]
        gone = [one for one in found if one is not None]
        print(f"\n{caller}: a caller over PostgreSQL killed at {len(chosen)} of its {len(steps)} calls "
              f"({dict(campaign.counts)}): {len(gone)} logins lost")  # fmt: skip
        assert gone == []
        assert campaign.counts["killed"] > 0
    assert campaign.own.storage.problems() == []  # type: ignore[attr-defined]  # PostgreSQL
