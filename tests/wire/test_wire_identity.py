"""Who signed in, and signed answers, against a certified authorization server."""

from __future__ import annotations

import pytest
from command import World, events_of
from stayfast.engine.table import State

pytestmark = pytest.mark.wire


def test_the_user_is_asked_for_at_the_userinfo_endpoint(world: World) -> None:
    """OpenID Connect Core §5.3: the answer is about the subject of the ID token."""
    assert world.run("login", "wire", "--via", "loopback").code == 0
    (me,) = world.run("whoami", "wire", "--json").json["accounts"]
    assert (me["identity"], me["subject"], me["source"]) == ("ada@wire.test", "ada", "userinfo")
    assert me["claims"]["sub"] == "ada"


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
def test_a_signed_answer_is_checked_and_read(world: World, mode: str) -> None:
    """JARM §2.3: the server signs what the browser brings back, and by the callback comes nothing else."""
    edited = world.run("provider", "edit", "wire", "--param", f"response_mode={mode}")
    assert edited.code == 0
    assert world.run("login", "wire", "--via", "loopback").code == 0
    assert world.logins()[-1].state is State.AUTHENTICATED
    assert all(event["event"] != "login.refused" for event in events_of(world))


def test_a_signed_no_is_a_no(world: World) -> None:
    """An error stands in the signed answer, too."""
    world.run("provider", "edit", "wire", "--param", "response_mode=jwt")
    deny = {"BROWSER": world.environ["BROWSER"].replace(" approve ", " deny ")}
    assert world.run("login", "wire", "--via", "loopback", env=deny).code == 5
