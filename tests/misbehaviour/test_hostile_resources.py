"""Whatever a resource or the server behind it answers: nobody is sent anywhere, and the log says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import World
from signing import Signing
from stayfast import Failure, Success
from stayfast.engine.audit.events import EventKind
from stayfast.engine.reasons import Distrust
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour.provider import Expected
from stayfast.testing.misbehaviour.resources import RESOURCES, ResourceTrial, by_name
from stayfast.testing.resource_server import ResourceServer


@pytest.fixture
def resource() -> Iterator[ResourceServer]:
    with (
        AuthorizationServer(Settings(registration=True)) as server,
        ResourceServer(server, scopes=("mcp:read",)) as running,
    ):
        yield running


@pytest.fixture
def program() -> Signing:
    return Signing()


def lines(program: Signing) -> list[dict[str, Any]]:
    return [dict(one.members) for one in program.assembly.storage.events()]


def words(program: Signing) -> set[Any]:
    """The words in the log for what was not believed."""
    return {
        line.get("reason") or line.get("detail")
        for line in lines(program)
        if line["event"] in {EventKind.RESOURCE_REFUSED, EventKind.CLIENT_REGISTERED}
        and line["outcome"] == "failure"
    }


@pytest.mark.parametrize("trial", RESOURCES, ids=str)
def test_a_hostile_resource_sends_nobody_anywhere(
    trial: ResourceTrial, resource: ResourceServer, program: Signing
) -> None:
    """One clear error and one word in the log; what is only odd is read, and the sign-in succeeds."""
    trial.set_up(resource)
    done = program.sign_in(resource.address)
    server = resource.server
    if trial.expected is Expected.READ:
        assert isinstance(done, Success), done
        assert words(program) == set()
        return
    assert isinstance(done, Failure)
    trouble = trial.expected is Expected.TROUBLE
    assert done.code == ("NETWORK_ERROR" if trouble else "PROVIDER_ERROR")
    assert done.error.isprintable()
    assert words(program) == {trial.reason}
    assert server.counts["authorize"] + server.counts["par"] + server.counts["token"] == 0
    assert program.assembly.resource_logins.clients.kept(server.issuer) is None
    assert list(program.assembly.storage.summaries()) == []


@pytest.mark.parametrize(
    "trial", [one for one in RESOURCES if one.expected is not Expected.READ][::2], ids=str
)
def test_a_resource_that_turns_hostile_costs_nothing(
    trial: ResourceTrial, resource: ResourceServer, program: Signing
) -> None:
    """The login of before goes on, its token is refreshed, and once all is well a new login works."""
    assert isinstance(program.sign_in(resource.address), Success)
    pages = dict(resource.pages)
    trial.set_up(resource)
    again = program.service.begin(resource.address, client_id=None)
    if trial.endpoint != "register":  # the client of before serves, and nobody registers
        assert isinstance(again, Failure)
    assert program.service.get_bearer_token(resource.address)
    assert isinstance(program.service.refresh_tokens(resource.address), Success)
    resource.challenge = None
    resource.pages.clear()
    resource.pages.update(pages)
    resource.server.behave()
    assert isinstance(program.sign_in(resource.address, replace=True), Success)
    assert resource.server.counts["register"] == 1


@pytest.mark.parametrize("name", ["a-slash-more", "issuer-that-has-moved"])
def test_the_command_says_it_in_one_error(
    name: str, resource: ResourceServer, tmp_path: Path
) -> None:
    """One error, at most one hint, no traceback; and the log of the vault has the word."""
    tmp_path.chmod(0o700)
    world = World(tmp_path, resource.server)
    trial = by_name(name)
    trial.set_up(resource)
    done = world.run("mcp", "auth", resource.address, "--via", "loopback")
    assert done.code != 0
    assert done.err.count("error:") == 1
    assert done.err.count("hint:") <= 1
    log = world.run("audit", "show", "--json", "--event", "resource.refused")
    assert [line["reason"] for line in map(json.loads, log.out.splitlines())] == [trial.reason]


def test_every_word_of_distrust_has_a_trial() -> None:
    """But that of a private address, which no server on this machine can be public enough for."""
    tried = {trial.reason for trial in RESOURCES}
    assert set(Distrust) - tried == {Distrust.PRIVATE_ADDRESS}
    assert len({trial.name for trial in RESOURCES}) == len(RESOURCES)
