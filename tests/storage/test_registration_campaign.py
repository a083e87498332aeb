"""A login by address that is killed anywhere, and many that begin at once: one client, and no login lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import registering
from command import PATIENCE
from registering import begin, service_in
from stayfast import Success
from stayfast.engine.table import State
from stayfast.storage.capabilities import capabilities_of
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.crash_driver import KILL, CrashDriver, Outcome, Point
from stayfast.testing.resource_server import ResourceServer
from stayfast.testing.user_agent import UserAgent

SCRIPT = str(registering.__file__)
MANY = 8
PENDING = {State.CHALLENGE, State.AWAITING_CALLBACK}


@pytest.fixture
def resource() -> Iterator[ResourceServer]:
    with (
        AuthorizationServer(Settings(registration=True, par_required=True)) as server,
        ResourceServer(server, scopes=("mcp:read",)) as running,
    ):
        yield running


def environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STAYFAST_")}
    paths = [*filter(None, sys.path), os.path.dirname(SCRIPT)]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def registrations(place: str) -> list[str]:
    """The issuers that a client is kept for, one entry each."""
    return list(service_in(place).assembly.resource_logins.clients.issuers())


def test_many_processes_that_begin_at_once_register_one_client(
    resource: ResourceServer, tmp_path: Path
) -> None:
    """None is lost and none is made twice; each process has a login of its own with it."""
    tmp_path.chmod(0o700)
    crowd = [
        subprocess.Popen(
            [sys.executable, SCRIPT, str(tmp_path), resource.address, "wait"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ(),
        )
        for _ in range(MANY)
    ]  # fmt: skip
    said = [one.communicate("go\n", timeout=PATIENCE)[0].split() for one in crowd]
    assert len({login for login, _ in said}) == MANY
    assert len({client for _, client in said}) == 1
    assert resource.server.counts["register"] == 1
    assert registrations(str(tmp_path)) == [resource.server.issuer]


class Campaign:
    """Copies of an empty vault, a process killed in each, and what must hold afterwards."""

    def __init__(self, place: Path, resource: ResourceServer) -> None:
        self.resource = resource
        self.template = place / "empty"
        self.template.mkdir(mode=0o700)
        service_in(str(self.template)).check()
        self._numbers = count()
        self.driver = CrashDriver(
            lambda: [sys.executable, SCRIPT, self._copy(), resource.address], environ=environ()
        )

    def _copy(self) -> str:
        copy = self.template.with_name(f"copy-{next(self._numbers)}")
        shutil.copytree(self.template, copy)
        copy.chmod(0o700)
        return str(copy)

    def check(self, outcome: Outcome) -> str:
        """Go on after a kill: the storage is whole, its login can be ended, and a new one succeeds."""
        place, server = outcome.argv[2], self.resource.server
        service = service_in(place)
        storage = service.assembly.storage
        vault = capabilities_of(storage).vault
        assert vault is None or service.check().value, outcome
        left = [one for one in storage.summaries() if one.pending]
        assert {one.state for one in left} <= PENDING, outcome
        kept = service.assembly.resource_logins.clients.kept(server.issuer)
        before = server.counts["register"]
        begun = begin(place, self.resource.address)
        made = server.counts["register"] - before
        assert made == (kept is None), outcome
        assert registrations(place) == [server.issuer], outcome
        assert kept is None or begun.login.config.client_id == kept.client_id, outcome
        for one in left:
            assert service.cancel(one.id).value, outcome
        landed = UserAgent().walk(begun.address, approve=True)
        assert isinstance(service.complete(landed), Success), outcome
        shutil.rmtree(place)
        return f"{'registered' if kept else 'nobody'}, {len(left)} pending"


def spread(points: list[Point], many: int) -> list[Point]:
    return points[:: max(1, len(points) // many)][:many]


@pytest.mark.parametrize(
    "many", [pytest.param(4, id="quick"), pytest.param(10_000, id="all", marks=pytest.mark.soak)]
)
def test_killed_anywhere_a_login_by_address_leaves_one_client_and_no_debris(
    resource: ResourceServer, traced_place: Path, many: int
) -> None:
    """Before and after the registration, the pushed request and each saved step."""
    campaign = Campaign(traced_place, resource)
    points = campaign.driver.points()
    chosen = spread(points, many)
    ends = Counter(campaign.check(outcome) for outcome in campaign.driver.inflict([KILL], chosen))
    print(f"{len(chosen)} of {len(points)} points: {dict(ends)}")
    assert ends["nobody, 0 pending"]
    assert sum(ends.values()) == len(chosen)
