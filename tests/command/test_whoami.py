"""`whoami`: the UserInfo endpoint is asked, and what it says costs nobody a login."""

from __future__ import annotations

import jsonschema
import pytest
from command import World, events_of, states_of
from stayfast import Failure, OAuthService, Success
from stayfast.interfaces.cli.reference.contract import schema_of
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import EMAIL, USER


@pytest.fixture
def signed_in(world: World) -> World:
    """A user whose ID token has a name."""
    world.provide("asks", userinfo_url=world.server.config().userinfo_url)
    assert world.run("login", "asks", "--via", "loopback").code == 0
    return world


def said(world: World) -> dict[str, object]:
    answer = world.run("whoami", "asks", "--json").json
    jsonschema.validate(answer, schema_of("whoami/1"))
    (one,) = answer["accounts"]
    return one


def renamed(world: World, name: str) -> None:
    body = f'{{"sub":"{USER}","email":"{name}"}}'.encode()
    fault = Fault(kind=FaultKind.ANSWER, status=200, body=body)
    world.server.misbehave("userinfo", fault, times=None)


def test_the_provider_is_asked_and_a_new_name_is_kept(signed_in: World) -> None:
    """Later commands know the new name without a question; a list asks nobody whose name it knows."""
    assert said(signed_in)["source"] == "userinfo"
    renamed(signed_in, "ada@new.test")
    assert signed_in.run("whoami", "asks").out == "ada@new.test\n"
    asked = signed_in.server.counts["userinfo"]
    assert signed_in.run("whoami").out == "ada@new.test\n"
    (login,) = signed_in.run("status", "--json").json["logins"]
    assert login["identity"] == "ada@new.test"
    assert signed_in.server.counts["userinfo"] == asked
    assert states_of(events_of(signed_in))[-1] == "identify"
    assert signed_in.run("audit", "verify").code == 0


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (Fault(kind=FaultKind.HTML), "PROVIDER_ERROR", "userinfo_unreadable"),
        (Fault(kind=FaultKind.BUSY_503), "NETWORK_ERROR", None),
        (Fault(kind=FaultKind.ERROR, status=401), "PROVIDER_ERROR", "userinfo_token_refused"),
    ],
)
def test_no_answer_leaves_what_was_known(signed_in: World, fault: Fault, code, reason) -> None:
    """The name of the ID token is printed, and a warning says that it is not today's."""
    signed_in.server.misbehave("userinfo", fault, times=None)
    done = signed_in.run("whoami", "asks")
    assert (done.code, done.out) == (0, f"{EMAIL}\n")
    assert done.err
    one = said(signed_in)
    assert (one["source"], one["identity"]) == ("id_token", EMAIL)
    assert one["problem"] == {"code": code, "reason": reason}
    assert signed_in.run("token", "asks").code == 0


def test_another_person_is_an_error(signed_in: World) -> None:
    """Nothing is printed as the answer, the log says why, and the login stays as it was."""
    body = b'{"sub":"mallory","email":"m@x.test"}'
    fault = Fault(kind=FaultKind.ANSWER, status=200, body=body)
    signed_in.server.misbehave("userinfo", fault, times=None)
    done = signed_in.run("whoami", "asks")
    assert (done.code, done.out) == (1, "")
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["error", "hint"]
    assert "m@x" not in done.err
    assert events_of(signed_in)[-1]["reason"] == "userinfo_other_subject"
    (login,) = signed_in.run("status", "--json").json["logins"]
    assert (login["state"], login["identity"]) == ("authenticated", EMAIL)


def test_a_program_gets_all_claims(signed_in: World) -> None:
    """As a value; and a failure with its code where the answer does not hold."""
    service = OAuthService(assembly=signed_in.assembly)
    answer = service.identity("asks")
    assert isinstance(answer, Success)
    assert (answer.value.subject, answer.value.claims["email"]) == (USER, EMAIL)
    assert answer.value.agrees
    signed_in.server.misbehave("userinfo", Fault(kind=FaultKind.HTML))
    refused = service.identity("asks")
    assert isinstance(refused, Failure)
    assert refused.code == "PROVIDER_ERROR"
    assert service.identity("github").code == "AUTH_REQUIRED"
