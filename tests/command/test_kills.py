"""kill -9 in every state of a login; another process goes on from what was saved."""

from __future__ import annotations

import pytest
from command import PATIENCE, World, events_of, kill, states_of, until
from stayfast.engine.table import State
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import EMAIL


def test_killed_at_its_challenge(world: World, server: AuthorizationServer) -> None:
    """If a login is killed before its user saw anything, the next process shows the address."""
    server.misbehave("device_authorization", Fault(kind=FaultKind.HANG, seconds=5))
    starting = world.start("login", "demo", "--via", "device", "--qr", "never")
    (login,) = world.wait_for(bool)
    assert login.state is State.CHALLENGE
    kill(starting)

    done = world.run("resume", login.short_id, "--json")

    assert (done.code, done.json["state"]) == (0, "authenticated")


@pytest.mark.parametrize("approved", ["before", "after"])
def test_killed_while_awaiting_its_callback(world: World, approved: str) -> None:
    """What the user approved is not lost: the address finishes the login in another process."""
    waiting = world.start("login", "demo", "--via", "loopback", "--no-browser")
    (login,) = world.wait_for(
        lambda logins: logins[:1] and logins[0].state is State.AWAITING_CALLBACK
    )
    address = world.assembly.conductor.address(login)
    callback = user_agent.fetch_only(address) if approved == "before" else ""
    kill(waiting)
    callback = callback or user_agent.fetch_only(address)

    done = world.run("resume", login.short_id, "--callback-url", "-", "--json", stdin=callback)

    assert (done.code, done.json["state"]) == (0, "authenticated")


def test_killed_and_listening_again(world: World) -> None:
    """The next process listens on the same port, and the waiting browser's answer arrives."""
    waiting = world.start("login", "demo", "--via", "loopback", "--no-browser")
    (login,) = world.wait_for(
        lambda logins: logins[:1] and logins[0].state is State.AWAITING_CALLBACK
    )
    callback = user_agent.fetch_only(world.assembly.conductor.address(login))
    kill(waiting)

    again = world.start("resume", login.short_id)
    page = user_agent.UserAgent()

    def deliver() -> int | None:
        try:
            return page.deliver(callback).status_code
        except OSError:  # not listening yet
            return None

    answered = until(deliver, bool)
    again.communicate(timeout=PATIENCE)

    assert (again.returncode, answered) == (0, 200)
    assert world.logins()[0].state is State.AUTHENTICATED


@pytest.mark.parametrize("moment", [FaultKind.HANG, FaultKind.SLOW])
def test_killed_while_exchanging(
    world: World, server: AuthorizationServer, moment: FaultKind
) -> None:
    """The courier goes on without its sender: the next process waits for it, and is signed in."""
    reused = server.counts["code_reuse"]
    server.misbehave("token", Fault(kind=moment, seconds=1.5))
    waiting = world.start("login", "demo", "--via", "loopback")
    (login,) = world.wait_for(lambda logins: logins[:1] and logins[0].state is State.EXCHANGING)
    kill(waiting)

    done = world.run("resume", login.short_id, "--json")

    (login,) = world.logins()
    assert (done.code, login.state) == (0, State.AUTHENTICATED)
    assert server.counts["code_reuse"] == reused
    transitions = [event for event in events_of(world) if "trigger" in event]
    assert len(transitions) == login.version


@pytest.mark.parametrize(
    ("moment", "ends"),
    [(FaultKind.HANG, State.AUTHENTICATED), (FaultKind.SLOW, State.IDLE)],
    ids=["before the provider acted", "after it acted"],
)
def test_killed_without_a_courier(
    world: World, server: AuthorizationServer, moment: FaultKind, ends: State
) -> None:
    """The saved code is sent once more: it works, or the error says that the code was spent."""
    world.extra["STAYFAST_COURIER"] = "inline"
    server.misbehave("token", Fault(kind=moment, seconds=1.5))
    waiting = world.start("login", "demo", "--via", "loopback")
    (login,) = world.wait_for(lambda logins: logins[:1] and logins[0].state is State.EXCHANGING)
    kill(waiting)

    done = world.run("resume", login.short_id, "--json")

    (login,) = world.logins()
    assert login.state in {ends, State.AUTHENTICATED, State.IDLE}
    if login.state is State.IDLE:
        assert (done.code, login.reason) == (1, "code_spent")
    else:
        assert done.code == 0
    transitions = [event for event in events_of(world) if "trigger" in event]
    assert len(transitions) == login.version
    assert states_of(transitions)[:3] == ["begin", "present", "receive_callback"]


def test_killed_between_two_polls(world: World, server: AuthorizationServer) -> None:
    """The code that was shown stays good: approved meanwhile, the next process signs in with it."""
    before = server.counts["token:device_code"]
    waiting = world.start("login", "demo", "--via", "device", "--qr", "never")
    until(lambda: server.counts["token:device_code"] > before, bool)
    kill(waiting)
    (login,) = world.logins()
    assert login.presentation is not None
    assert login.presentation.device is not None
    device = login.presentation.device
    user_agent.decide_device(device.verification_uri, device.user_code)

    done = world.run("resume", "--json")

    assert (done.code, done.json["state"]) == (0, "authenticated")
    assert done.json["login"] == login.short_id


@pytest.mark.parametrize("courier", ["fork", "inline"])
def test_killed_while_refreshing(world: World, server: AuthorizationServer, courier: str) -> None:
    """An interrupted refresh is finished by its courier, or tried once more without one."""
    world.extra["STAYFAST_COURIER"] = courier
    assert world.run("login", "demo", "--via", "loopback").code == 0
    moment = FaultKind.SLOW if courier == "fork" else FaultKind.HANG
    server.misbehave("token", Fault(kind=moment, seconds=1.5))
    refreshing = world.start("refresh", "demo")
    world.wait_for(lambda logins: logins[0].state is State.EXCHANGING)
    kill(refreshing)

    done = world.run("refresh", "demo", "--json")

    (login,) = world.logins()
    assert (done.code, login.state) == (0, State.AUTHENTICATED)


def test_killed_while_its_user_is_asked_for(world: World, server: AuthorizationServer) -> None:
    """The login is finished: its token serves at once, and the name is there after the next question."""
    world.provide("asks", userinfo_url=server.config().userinfo_url)
    server.misbehave("token", Fault(kind=FaultKind.ID_TOKEN, members={"email": None}))
    server.misbehave("userinfo", Fault(kind=FaultKind.HANG, seconds=30))
    asked = server.counts["userinfo"]
    waiting = world.start("login", "asks", "--via", "loopback")
    until(lambda: server.counts["userinfo"], lambda seen: seen > asked)
    kill(waiting)
    server.release()
    (login,) = world.logins()
    assert login.identity is not None
    assert (login.state, login.identity.name) == (State.AUTHENTICATED, None)

    assert world.run("token", "asks").code == 0
    assert world.run("whoami", "asks").out == f"{EMAIL}\n"

    (login,) = world.logins()
    assert login.identity is not None
    assert (login.state, login.identity.name) == (State.AUTHENTICATED, EMAIL)
    assert states_of(events_of(world)) == [
        "begin", "present", "receive_callback", "accept_tokens", "identify",
    ]  # fmt: skip
    assert world.run("audit", "verify").code == 0
