"""A refresh and an exchange, killed and failed at every call, the sending of the token included."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
import sending
import stampede
from caller_kills import approve, patiently
from command import World
from instant import InstantTransport
from stayfast.engine.errors import AuthFailed, TokenRefreshFailed
from stayfast.engine.record import Login
from stayfast.engine.table import TABLE, State
from stayfast.interfaces.assembly import Assembly
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.crash_driver import EINTR, EIO, KILL, CrashDriver, Outcome, Point

ROWS = {(row.trigger.value, row.source.value, row.dest.value) for row in TABLE}


class Sending:
    """Vaults in which something is about to be sent, and what may be found afterwards."""

    def __init__(self, place: Path, server: AuthorizationServer, *, code: bool) -> None:
        self.place = place
        self.server = server
        self.code = code
        self._numbers = count()
        self.driver = CrashDriver(
            self.prepare,
            environ={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )

    def prepare(self) -> list[str]:
        place = self.place / str(next(self._numbers))
        place.mkdir(mode=0o700)
        World(place, self.server).config.rename(place / "c")
        assembly = stampede.assembly(str(place))
        argv = [sys.executable, str(sending.__file__), str(place)]
        if not self.code:
            assembly.conductor.sign_in(assembly.config("demo"), InstantTransport(approve))
            return argv
        started = assembly.conductor.start(assembly.config("demo"), InstantTransport(lambda _: []))
        return [*argv, user_agent.fetch_only(started.address)]

    def check(self, outcome: Outcome) -> str:
        """The next process goes on legally; gives how it ends."""
        place = outcome.argv[2]
        assembly = stampede.assembly(place)
        (summary,) = assembly.storage.summaries()
        if outcome.stdout.strip() == "done":
            assert summary.holds_tokens, outcome
            assert summary.state is State.AUTHENTICATED, outcome
        try:
            patiently(lambda: self.go_on(assembly, outcome))
            ended = "went on"
        except (AuthFailed, TokenRefreshFailed):
            ended = "lost"
        login = assembly.storage.read(summary.id)
        assert login is not None, outcome
        self.assert_story(assembly, login, outcome)
        assert assembly.storage.problems() == [], outcome  # type: ignore[attr-defined]  # a vault
        if ended == "lost":
            assert login.reason in {"code_spent", "outcome_unknown"}, outcome
        shutil.rmtree(place)
        return ended

    def go_on(self, assembly: Assembly, outcome: Outcome) -> Login:
        if self.code:
            return assembly.conductor.answer(
                outcome.argv[3], login_id=next(iter(assembly.storage.summaries())).id
            )
        return assembly.conductor.refresh.valid("demo", "default", force=True)

    @staticmethod
    def assert_story(assembly: Assembly, login: Login, outcome: Outcome) -> None:
        recorded = [one.members for one in assembly.storage.events(limit=1000)]
        moves = [one for one in recorded if one.get("trigger")]
        assert len(moves) == login.version, outcome
        for before, move in zip([None, *moves], moves, strict=False):
            assert (move["trigger"], move["from"], move["to"]) in ROWS, outcome
            assert move["from"] == (before["to"] if before else State.IDLE.value), outcome
        assert moves[-1]["to"] == login.state.value, outcome


@pytest.fixture
def place(traced_place: Path) -> Path:
    return traced_place


def sent(points: list[Point]) -> list[Point]:
    return [point for point in points if point.call in {"connect", "sendto", "sendmsg"}]


@pytest.mark.parametrize(
    ("code", "everything"),
    [
        pytest.param(False, False, id="refresh-some"),
        pytest.param(False, True, id="refresh", marks=pytest.mark.soak),
        pytest.param(True, True, id="exchange", marks=pytest.mark.soak),
    ],
)
def test_cut_off_anywhere_the_next_process_goes_on(
    place: Path, server: AuthorizationServer, code: bool, everything: bool
) -> None:
    """Caller or courier killed or failed at any call: the log stays legal, the next one goes on.

    Where caller and courier die of the same call, and only there, a strict server may be left with
    an answer that nobody has; that is then said for what it is.
    """
    campaign = Sending(place, server, code=code)
    points = campaign.driver.points()
    assert sent(points)
    chosen = points if everything else [sent(points)[-1], points[-20]]
    ends: Counter[str] = Counter()
    for outcome in campaign.driver.inflict([KILL, EIO, EINTR] if everything else [KILL], chosen):
        ends[campaign.check(outcome)] += 1
    print(f"\n{'exchange' if code else 'refresh'}: {len(points)} points, {len(sent(points))} of them "
          f"sending: {dict(ends)}")  # fmt: skip
    assert ends["went on"] > ends["lost"]
