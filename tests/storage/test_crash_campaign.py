"""Every legal transition, killed and failed at every call by which it changes anything."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from itertools import count
from pathlib import Path

import pytest
import transitions_of
from stayfast.engine.errors import IllegalTransition
from stayfast.engine.machine import next_state
from stayfast.engine.record import Login
from stayfast.engine.table import TABLE, Row, Trigger
from stayfast.storage import Vault
from stayfast.testing.crash_driver import (
    EINTR,
    EIO,
    ENOSPC,
    KILL,
    NOTHING_WRITTEN,
    CrashDriver,
    Outcome,
    Point,
)
from stayfast.testing.storage_contract import finished, records_of_logins, saved
from transitions_of import LOGIN, before, step, vault_in

FAILURES = [ENOSPC, EIO, EINTR, NOTHING_WRITTEN]
WORKERS = 2
_QUICKLY = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), os.path.dirname(transitions_of.__file__)]),
    "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


@pytest.fixture
def place(traced_place: Path) -> Path:
    return traced_place


class Campaign:
    """One row of the table: a vault before it, and copies of that vault for every run."""

    def __init__(self, place: Path, number: int) -> None:
        self.row: Row = TABLE[number]
        self.template = place / f"row{number}"
        self.template.mkdir(mode=0o700)
        self.bystander = finished("bystander")
        storage = vault_in(str(self.template))
        saved(storage, [self.bystander])
        self.first: Login = before(self.row)
        if self.first.version:
            saved(storage, [self.first])
        storage.close()
        self._numbers = count()
        script = str(transitions_of.__file__)
        self.driver = CrashDriver(
            lambda: [sys.executable, "-S", script, self._copy(), str(number)],
            environ=_QUICKLY,
            workers=WORKERS,
        )

    def _copy(self) -> str:
        copy = self.template.with_name(f"{self.template.name}-{next(self._numbers)}")
        shutil.copytree(self.template, copy)
        copy.chmod(0o700)
        return str(copy)

    def check(self, outcome: Outcome) -> str:
        """See that nothing was lost and nothing made up; gives how the run ended."""
        place = outcome.argv[3]
        said = outcome.stdout.split()
        spoken = outcome.point is not None and outcome.point.arguments.startswith("1, ")
        if outcome.effect is KILL:
            assert outcome.returncode == -9, outcome
        else:
            assert said or spoken, outcome  # an error of ours, and no other
        storage = vault_in(place)
        assert storage.problems() == [], outcome
        login = storage.read(LOGIN)
        version = login.version if login else 0
        at = self.first.version
        if said[:1] == ["saved"]:
            assert version == at + 1 == int(said[1]), outcome
        elif (
            said
            and said[1] != "STORAGE_OUTCOME_UNKNOWN"
            and self.row.trigger is not Trigger.ACCEPT_TOKENS  # these are kept, and brought in here
        ):
            assert version == at, outcome
        assert version in {at, at + 1}, outcome
        assert storage.read(self.bystander.id) == self.bystander, outcome
        assert len(records_of_logins(storage)) == 1 + version, outcome
        self.go_on(storage, login or self.first, outcome)
        storage.close()
        shutil.rmtree(place)
        ended = said[0] if said else "killed" if outcome.effect is KILL else "silent"
        kept = "kept" if version > at else "not kept"
        return f"{ended}, {kept}"

    def go_on(self, storage: Vault, login: Login, outcome: Outcome) -> None:
        """The next transition works: the same once more, or one that follows it."""
        trigger = self.row.trigger if login.version == self.first.version else following(login)
        after = step(storage, login, trigger)
        assert storage.read(LOGIN) == after, outcome
        assert storage.problems() == [], outcome


def following(login: Login) -> Trigger:
    """A transition that may follow."""
    for trigger in Trigger:
        try:
            next_state(login, trigger)
        except IllegalTransition:
            continue
        return trigger
    raise AssertionError(login.state)


def spread(points: list[Point], offset: int, many: int) -> list[Point]:
    """``many`` of ``points``, far apart; another ``offset`` gives others."""
    return points[offset % max(1, len(points) // many) :: max(1, len(points) // many)][:many]


def test_a_transition_cut_off_anywhere_is_made_or_not(place: Path) -> None:
    """Killed or failed at calls of every kind, a transition is saved whole or not at all.

    Every row of the table at every call is the matter of the campaign below; here are the first
    saving of a login, its code and its tokens, each at some of its calls.
    """
    ends: Counter[str] = Counter()
    for number in [
        next(n for n, row in enumerate(TABLE) if row.trigger is trigger)
        for trigger in (Trigger.BEGIN, Trigger.RECEIVE_CALLBACK, Trigger.ACCEPT_TOKENS)
    ]:
        campaign = Campaign(place, number)
        points = campaign.driver.points()
        seen = {point.call for point in points}
        assert seen >= {"flock", "fcntl", "pwrite64"}
        assert seen & {"fsync", "fdatasync"}
        for effect, many in ((KILL, 6), (ENOSPC, 3), (EIO, 3)):
            chosen = spread(points, number, many)
            for outcome in campaign.driver.inflict([effect], chosen):
                ends[campaign.check(outcome)] += 1
    assert ends["killed, not kept"]
    assert ends["refused, not kept"]


@pytest.mark.soak
def test_every_transition_cut_off_at_every_call(place: Path) -> None:
    """All rows, all calls; kill -9, no space, i/o error, interruption, short writes."""
    points_seen, ends, effects = 0, Counter[str](), Counter[str]()
    for number, row in enumerate(TABLE):
        campaign = Campaign(place, number)
        points = campaign.driver.points()
        points_seen += len(points)
        for outcome in campaign.driver.inflict([KILL, *FAILURES], points):
            ends[campaign.check(outcome)] += 1
            effects[outcome.effect.name] += 1
        size = (campaign.template / "s" / "vault.db").stat().st_size // 512
        for outcome in campaign.driver.stint(range(0, size + 80, 3)):
            ends[campaign.check(outcome)] += 1
            effects["short write"] += 1
        print(f"{row.trigger} from {row.source}: {len(points)} points", flush=True)
    print(f"\n{len(TABLE)} rows, {points_seen} points: {dict(effects)}\n{dict(ends)}")
    assert points_seen > 1000
