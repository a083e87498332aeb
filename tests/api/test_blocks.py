"""The public API as its users know it: every block of its page runs, against a local server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stayfast
from command import World
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.server_state import Client

BLOCKS = Path(__file__).with_name("blocks")
SIGNED_IN = {"06", "07", "15", "16", "17"}
"""Blocks that stand on an earlier one having signed in."""


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings()) as running:
        running.add_client(Client("your-client-id"))
        yield running


@pytest.fixture
def world(tmp_path: Path, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch) -> World:
    """A user whose `atlassian` is the local server, and whose browser says yes."""
    tmp_path.chmod(0o700)
    made = World(tmp_path, server)
    known = server.config()
    made.provide(
        "atlassian",
        client_id=None,
        issuer=None,
        iss_required=False,
        auth_url=known.auth_url,
        redirect_uri="http://localhost:0/callback",
        scopes=["read:jira-work", "offline_access"],
    )
    for name in ("STAYFAST_STATE_DIR", "STAYFAST_CONFIG_DIR", "STAYFAST_STORE", "BROWSER"):
        monkeypatch.setenv(name, made.environ[name])
    monkeypatch.setenv("ATLASSIAN_CLIENT_ID", "your-client-id")
    return made


def run(name: str, **given: Any) -> dict[str, Any]:
    """What a block defines."""
    (path,) = BLOCKS.glob(f"{name}_*.py")
    names: dict[str, Any] = {"__name__": path.stem, **given}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


@pytest.mark.parametrize("name", sorted(path.name[:2] for path in BLOCKS.glob("*.py")))
def test_a_block_runs(name: str, world: World) -> None:
    """The block runs as it stands."""
    service = stayfast.OAuthService()
    if name in SIGNED_IN:
        assert isinstance(service.authenticate("atlassian"), stayfast.Success)
    used: list[Any] = []
    names = run(
        name,
        service=service,
        response_data={"access_token": "a", "expires_in": "3600"},
        use_token=used.append,
        handle_error=lambda *details: pytest.fail(str(details)),
    )
    if "result" in names and name != "07":
        assert isinstance(names["result"], stayfast.Success)


def test_the_blocks_tell_one_story(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Signed out, signed in, valid, refreshed, signed out: the values are those of the page."""
    names = run("05")
    assert names["status"].value is stayfast.AuthStatus.NOT_AUTHENTICATED
    assert "Authenticated! Token: " in capsys.readouterr().out
    service = names["service"]
    assert service.get_status("atlassian").value is stayfast.AuthStatus.AUTHENTICATED

    bearer = run("06", service=service)["headers"]["Authorization"]
    assert run("07", service=service)["result"].value.access_token not in bearer

    names = run("08")
    assert isinstance(names["result"], stayfast.Success)
    assert service.get_status("atlassian").value is stayfast.AuthStatus.NOT_AUTHENTICATED
    assert service.get_tokens("atlassian").code is stayfast.ErrorCode.AUTH_REQUIRED


def test_tokens_and_challenges_are_values(world: World) -> None:
    """Tokens survive being stored, know when they expire, and do not print."""
    names = run("02", response_data={"access_token": "x", "expires_in": 60})
    assert names["restored"].to_dict() == names["token_dict"]
    assert names["tokens"].is_expired(buffer_seconds=60)
    challenge = run("01")["challenge"]
    assert stayfast.PKCEChallenge.from_verifier(challenge.code_verifier) == challenge
    assert challenge.code_verifier not in repr(challenge)
    config = run("03")["config"]
    assert "your-client-secret" not in repr(config)


def test_the_situations_behind_the_error_codes(
    world: World, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each code comes from the situation its users know it by."""
    service = stayfast.OAuthService()
    assert service.authenticate("nobody").code is stayfast.ErrorCode.NOT_FOUND
    assert service.ensure_valid_token("atlassian").code is stayfast.ErrorCode.AUTH_REQUIRED
    monkeypatch.delenv("ATLASSIAN_CLIENT_ID")
    assert service.authenticate("atlassian").code is stayfast.ErrorCode.CONFIG_MISSING
    monkeypatch.setenv("BROWSER", f"{sys.executable} -m stayfast.testing.user_agent deny %s")
    denied = service.authenticate("atlassian", client_id="your-client-id")
    assert denied.code is stayfast.ErrorCode.AUTH_CANCELLED
    late = service.authenticate(
        "atlassian", client_id="your-client-id", open_browser=False, timeout=0.1
    )
    assert late.code is stayfast.ErrorCode.TIMEOUT

    server.change(token_lifetime=0.001)
    server.state.clients["your-client-id"].refreshable = False
    monkeypatch.setenv("BROWSER", world.environ["BROWSER"])
    assert isinstance(
        service.authenticate("atlassian", client_id="your-client-id"), stayfast.Success
    )
    assert service.ensure_valid_token("atlassian").code is stayfast.ErrorCode.TOKEN_EXPIRED
    assert service.get_status("atlassian").value is stayfast.AuthStatus.TOKEN_EXPIRED
    server.state.clients["your-client-id"].refreshable = True
    server.change(token_lifetime=3600)

    assert isinstance(
        service.authenticate("atlassian", client_id="your-client-id"), stayfast.Success
    )
    server.state.revoke_family(server.state.tokens[-1].family)
    assert service.refresh_tokens("atlassian").code is stayfast.ErrorCode.TOKEN_REFRESH_FAILED
    assert service.get_status("atlassian").value is stayfast.AuthStatus.TOKEN_REFRESH_FAILED


def test_a_program_owns_the_conversation(world: World) -> None:
    """begin, complete, resume and cancel serve a program that shows the address itself."""
    service = stayfast.OAuthService()
    begun = service.begin("atlassian", redirect_uri="https://app.example/callback")
    assert isinstance(begun, stayfast.Failure) or "app.example" in begun.value.address
    begun = service.begin("atlassian")
    assert isinstance(begun, stayfast.Success)
    callback = user_agent.fetch_only(begun.value.address)
    wrong = service.complete(user_agent.tampered(callback, state="x"))
    assert wrong.code is stayfast.ErrorCode.CALLBACK_REFUSED
    done = stayfast.OAuthService().complete(callback)
    assert isinstance(done, stayfast.Success)

    begun = service.begin("atlassian")
    found = service.find_login(begun.value.login.short_id)
    assert isinstance(found, stayfast.Success)
    assert isinstance(service.cancel(found.value.id), stayfast.Success)
    assert isinstance(service.resume(begun.value.login.id), stayfast.Failure)


def test_three_methods_are_enough(world: World) -> None:
    """A program's own object with the three methods keeps the tokens, and is asked for them."""

    class Own:
        def __init__(self) -> None:
            self.kept: dict[str, stayfast.OAuthTokens] = {}

        def save_tokens(self, service: str, tokens: stayfast.OAuthTokens) -> None:
            self.kept[service] = tokens

        def load_tokens(self, service: str) -> stayfast.OAuthTokens | None:
            return self.kept.get(service)

        def delete_tokens(self, service: str) -> bool:
            return self.kept.pop(service, None) is not None

    own = Own()
    assert isinstance(own, stayfast.TokenStorageProtocol)
    service = stayfast.OAuthService(token_storage=own)
    assert isinstance(service.authenticate("atlassian"), stayfast.Success)
    first = own.kept["atlassian"]

    again = stayfast.OAuthService(token_storage=own)
    assert again.get_tokens("atlassian").value.access_token == first.access_token
    assert isinstance(again.refresh_tokens("atlassian"), stayfast.Success)
    assert own.kept["atlassian"].access_token != first.access_token
    assert again.logout("atlassian").value
    assert not own.kept
    assert not world.state.exists()


def test_a_program_may_add_providers(world: World, server: AuthorizationServer) -> None:
    """What a program puts into OAUTH_PROVIDERS can be signed in to."""
    stayfast.OAUTH_PROVIDERS["mine"] = server.config(service_name="mine")
    try:
        service = stayfast.OAuthService(stayfast.MemoryTokenStorage())
        assert isinstance(service.authenticate("mine"), stayfast.Success)
    finally:
        del stayfast.OAUTH_PROVIDERS["mine"]
