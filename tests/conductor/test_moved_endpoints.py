"""A token endpoint that moves, and a client that its server forgets: the user does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from recorded import answer
from signing import Signing
from stayfast import Failure, Success
from stayfast.engine.errors import NetworkError
from stayfast.engine.flows.moved import is_gone, moved
from stayfast.engine.oauth.client_authentication import endpoint
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.resource_server import ResourceServer

ISSUER = "https://login.example"
OLD = f"{ISSUER}/old"


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(registration=True)) as running:
        yield running


class Publishing:
    """An issuer that publishes ``token_endpoint``, as ``issuer``."""

    def __init__(self, token_endpoint: str, issuer: str = ISSUER, **members: Any) -> None:
        self.document = {
            "issuer": issuer,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": token_endpoint,
            **members,
        }

    def send(self, request: HttpRequest) -> HttpResponse:
        assert request.body == b""
        if not request.url.endswith("/.well-known/openid-configuration"):
            return answer(status=404)
        return answer(self.document)


CONFIG = OAuthConfig(
    service_name="x", client_id="c", issuer=ISSUER, token_url=OLD, auth_url=f"{ISSUER}/a"
)


@pytest.mark.parametrize(
    ("published", "issuer", "believed"),
    [
        (f"{ISSUER}/new", ISSUER, True),
        (OLD, ISSUER, False),
        (f"{ISSUER}/new", "https://evil.example", False),
        (f"{ISSUER}/new", f"{ISSUER}/", False),
        ("https://evil.example/t", ISSUER, False),
        ("https://login.example.evil.example/t", ISSUER, False),
        ("https://10.0.0.1/t", ISSUER, False),
        ("http://login.example/t", ISSUER, False),
    ],
)
def test_only_what_the_same_issuer_publishes_on_a_known_host_is_believed(
    published: str, issuer: str, believed: bool
) -> None:
    """RFC 9700 §4.4: a refresh token goes to nobody whom the login does not deal with already."""
    found = moved(Publishing(published, issuer), CONFIG)
    assert (found is not None) == believed
    if found is not None:
        assert found == replace(CONFIG, token_url=published, auth_url=f"{ISSUER}/authorize")


def test_metadata_that_are_not_to_be_read_move_nothing() -> None:
    """Atlassian: its two documents differ, and its endpoints are those that are configured."""
    asked = Publishing(f"{ISSUER}/new", ISSUER)
    assert moved(asked, CONFIG) is not None
    assert moved(asked, replace(CONFIG, discovers="no")) is None


ELSEWHERE = "https://keys.example/revoke"


@pytest.mark.parametrize(
    ("published", "kept"),
    [
        (f"{ISSUER}/revoke/2", f"{ISSUER}/revoke/2"),
        ("https://keys.example/2", "https://keys.example/2"),
        ("https://evil.example/revoke", ELSEWHERE),
        ("https://10.0.0.1/revoke", ELSEWHERE),
    ],
)
def test_no_other_endpoint_moves_to_a_host_that_is_not_known(published: str, kept: str) -> None:
    """The revocation endpoint gets the refresh token, too."""
    config = replace(CONFIG, revocation_url=ELSEWHERE)
    found = moved(Publishing(f"{ISSUER}/new", revocation_endpoint=published), config)
    assert found is not None
    assert found.revocation_url == kept


@pytest.mark.parametrize(
    ("token_endpoint", "alias", "asked"),
    [
        (f"{ISSUER}/new", "https://mtls.example/new", "https://mtls.example/new"),
        (OLD, "https://mtls.example/new", "https://mtls.example/new"),
        (f"{ISSUER}/new", "https://evil.example/new", f"{ISSUER}/new"),
        (OLD, "https://mtls.example/old", None),
    ],
)
def test_an_alias_for_clients_with_a_certificate_moves_like_the_endpoint(
    token_endpoint: str, alias: str, asked: str | None
) -> None:
    """RFC 8705 §5: it is where such a client sends its refresh token."""
    config = replace(
        CONFIG,
        client_certificate_file="client.pem",
        mtls_endpoint_aliases={"token_url": "https://mtls.example/old"},
    )
    publishing = Publishing(token_endpoint, mtls_endpoint_aliases={"token_endpoint": alias})
    found = moved(publishing, config)
    assert (found and endpoint(found, found.token_url)) == asked


def test_without_an_issuer_nobody_is_asked() -> None:
    """There is nobody who could say where it has moved to."""
    assert moved(Publishing(f"{ISSUER}/new"), replace(CONFIG, issuer=None)) is None


@pytest.mark.parametrize(
    ("response", "gone"),
    [
        (answer(status=404), True),
        (answer("<html>", 410), True),
        (answer({}, 308, location="https://evil.example"), True),
        (answer({"error": "invalid_grant"}, 404), False),
        (answer({"error": "not_found"}, 404), True),
        (answer(status=500), False),
        (answer(status=403), False),
        (answer({"access_token": "a"}), False),
    ],
)
def test_trouble_and_a_refusal_are_no_move(response: HttpResponse, gone: bool) -> None:
    """The issuer is asked only where there is no token endpoint any more."""
    assert is_gone(CONFIG, response) == gone


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


@pytest.mark.parametrize("dpop", ["off", "required"])
def test_a_kept_login_goes_on_at_the_new_address(server: AuthorizationServer, dpop: str) -> None:
    """One refresh finds it, the next one goes there at once; and the log says that it has moved."""
    server.change(dpop=dpop)
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    conductor.sign_in(server.config(dpop=dpop), InstantTransport(approve))
    server.change(token_path="v2/token")
    first = conductor.refresh.valid("demo", "default", force=True)
    assert first.config.token_url == f"{server.issuer}/v2/token"
    assert list(storage.events())[-1].members["detail"] == "endpoint_moved"
    again = conductor.refresh.valid("demo", "default", force=True)
    assert again.tokens != first.tokens
    assert server.counts["token:refresh_token"] == 1
    assert server.counts["v2/token:refresh_token"] == 2
    assert conductor.logout.sign_out(again).revoked


def test_an_issuer_that_publishes_nothing_new_leaves_all_as_it_was(
    server: AuthorizationServer,
) -> None:
    """The refresh is postponed, and the refresh token is kept for when the server is back."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    conductor.sign_in(server.config(), InstantTransport(approve))
    server.misbehave("token", Fault(kind=FaultKind.ANSWER, status=404), times=None)
    with pytest.raises(NetworkError):
        conductor.refresh.valid("demo", "default", force=True)
    server.behave()
    assert conductor.refresh.valid("demo", "default", force=True).tokens is not None
    assert server.counts["refresh_reuse"] == 0


FORGOTTEN = Fault(kind=FaultKind.ERROR, status=401, members={"error": "invalid_client"})


@pytest.mark.parametrize(("times", "done"), [(1, Success), (None, Failure)])
def test_a_client_that_was_forgotten_is_registered_anew_in_the_same_call(
    server: AuthorizationServer, times: int | None, done: type
) -> None:
    """One registration more, and the login goes on; a server that refuses every client ends it."""
    server.change(par_required=True)
    with ResourceServer(server, scopes=("mcp:read",)) as resource:
        program = Signing()
        assert isinstance(program.sign_in(resource.address), Success)
        server.misbehave("par", FORGOTTEN, times=times)
        assert isinstance(program.service.begin(resource.address), done)
        assert server.counts["register"] == 2
        assert server.counts["par"] == 3


def test_a_client_of_the_user_is_not_replaced(server: AuthorizationServer) -> None:
    """What the user registered, only the user can mend."""
    server.change(par_required=True)
    with ResourceServer(server, scopes=("mcp:read",)) as resource:
        program = Signing()
        server.misbehave("par", FORGOTTEN, times=None)
        assert isinstance(
            program.service.begin(resource.address, client_id="stayfast-demo"), Failure
        )
        assert server.counts["register"] == 0
        assert server.counts["par"] == 1
