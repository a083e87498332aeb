"""From the address of a resource to a token for it, by the library."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from signing import Signing
from stayfast import Failure, MemoryStorage, OAuthService, Success
from stayfast.engine.audit.events import EventKind
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.resource_server import ResourceServer
from stayfast.testing.server_state import Client
from stayfast.testing.user_agent import UserAgent


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(registration=True)) as running:
        yield running


@pytest.fixture
def resource(server) -> Iterator[ResourceServer]:
    with ResourceServer(server, scopes=("mcp:read",)) as running:
        yield running


def parameters(server: AuthorizationServer, path: str) -> list[tuple[str, ...]]:
    return [one.parameters for one in server.requests if one.path == f"/{path}"]


def test_an_address_is_all_that_a_login_needs(server, resource):
    """Challenge, metadata, server, registration, sign-in; and the token is for the resource."""
    program = Signing()
    done = program.sign_in(resource.address)
    assert isinstance(done, Success), done
    login = program.login(resource.address)
    assert login.provider == resource.address
    assert login.config.issuer == server.issuer
    assert login.config.resources == (resource.address,)
    assert login.config.scopes == ("mcp:read",)
    assert server.counts["register"] == 1
    assert EventKind.CLIENT_REGISTERED in program.kinds()
    # RFC 8707 §2: whether or not the server says that it knows the parameter
    program.service.refresh_tokens(resource.address)
    assert "resource" in parameters(server, "authorize")[0]
    assert all("resource" in names for names in parameters(server, "token"))
    assert len(parameters(server, "token")) == 2
    assert program.service.get_status(resource.address).value == "authenticated"
    upper = resource.address.replace("http", "HTTP", 1)
    assert program.service.get_bearer_token(upper) == program.service.get_bearer_token(
        resource.address
    )
    assert program.service.logout(resource.address).value


def test_one_registration_serves_every_login_at_its_server(server, resource):
    """It is kept by issuer, also over another process and beside a second resource."""
    storage = MemoryStorage()
    with ResourceServer(server, scopes=("mcp:read",)) as second:
        for address in (resource.address, second.address, resource.address):
            assert isinstance(Signing(storage).sign_in(address, replace=True), Success)
        logins = [Signing(storage).login(one.address) for one in (resource, second)]
    assert server.counts["register"] == 1
    assert logins[0].config.client_id == logins[1].config.client_id
    assert logins[0].config.resources != logins[1].config.resources


def test_many_that_need_a_client_at_once_register_one(server, resource):
    """No registration is lost, and none is made twice."""
    storage = MemoryStorage()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: Signing(storage).service.begin(resource.address), range(8)))
    assert all(isinstance(one, Success) for one in done)
    assert server.counts["register"] == 1


def test_a_client_that_the_server_has_forgotten_is_registered_anew_once(server, resource):
    """The refused login says so; the next one registers, and one after that does not (RFC 7592 §2.1)."""
    program = Signing()
    assert isinstance(program.sign_in(resource.address), Success)
    begun = program.service.begin(resource.address).value
    landed = UserAgent().walk(begun.address, approve=True)
    server.state.clients.clear()
    assert isinstance(program.service.complete(landed), Failure)
    assert isinstance(program.sign_in(resource.address, replace=True), Success)
    assert isinstance(program.sign_in(resource.address, replace=True), Success)
    assert server.counts["register"] == 2


def test_the_client_of_the_user_comes_first(server, resource):
    """Given with the login, or in a provider of the same issuer; then nothing is registered."""
    server.add_client(Client("mine"))
    program = Signing()
    assert isinstance(program.sign_in(resource.address, client_id="mine"), Success)
    program.assembly.catalogue._providers = {"demo": server.config(client_id="mine")}
    assert isinstance(program.sign_in(resource.address, replace=True), Success)
    assert program.login(resource.address).config.client_id == "mine"
    assert server.counts["register"] == 0


def test_a_client_of_the_user_keeps_all_that_belongs_to_it(server, resource, tmp_path):
    """Its key, its registered redirect address, its DPoP and PAR: nothing falls back to a public client."""
    key = Path(__file__).parents[1] / "wire" / "client-key.json"
    members = json.loads(key.read_text())
    own = tmp_path / "key.json"
    own.write_text(key.read_text())
    own.chmod(0o600)
    public = {"keys": [{name: value for name, value in members.items() if name != "d"}]}
    server.change(dpop="offered")
    server.add_client(
        Client("keyed", redirect_uris=("http://127.0.0.1/mine",), auth_method="private_key_jwt", jwks=public)
    )  # fmt: skip
    program = Signing()
    mine = server.config(client_id="keyed", client_key_file=str(own), dpop="required", par="required",
                         redirect_uri="http://127.0.0.1:0/mine")  # fmt: skip
    program.assembly.catalogue._providers = {"demo": mine}
    assert isinstance(program.sign_in(resource.address), Success)
    login = program.login(resource.address)
    assert login.config.client_key_file == str(own)
    assert login.config.redirect_uri == "http://127.0.0.1:0/mine"
    assert (login.tokens.token_type, server.counts["par"]) == ("DPoP", 1)
    assert "client_assertion" in parameters(server, "token")[0]


@pytest.mark.parametrize("method", ["private_key_jwt", "none"])
def test_a_key_given_with_the_login_is_used(server, resource, method):
    """Which of the server's ways is taken hangs on what the client has, also by address."""
    members = (Path(__file__).parents[1] / "wire" / "client-key.json").read_text()
    public = {"keys": [{n: v for n, v in json.loads(members).items() if n != "d"}]}
    server.add_client(Client("keyed", auth_method=method, jwks=public))
    given = {"client_key": members} if method == "private_key_jwt" else {}
    done = Signing().sign_in(resource.address, client_id="keyed", **given)
    assert isinstance(done, Success), done
    assert ("client_assertion" in parameters(server, "token")[0]) == bool(given)


def test_a_client_that_wants_bound_tokens_registers_so(server, resource):
    """RFC 9449 §5.2; later logins follow the registration, and one that must not be bound registers anew."""
    server.change(dpop="offered")
    program = Signing()
    assert isinstance(program.sign_in(resource.address, dpop="required"), Success)
    login = program.login(resource.address)
    assert server.state.clients[login.config.client_id].dpop_bound
    assert isinstance(program.sign_in(resource.address, replace=True), Success)
    assert program.login(resource.address).tokens.token_type == "DPoP"
    assert server.counts["register"] == 1
    assert isinstance(program.sign_in(resource.address, replace=True, dpop="off"), Success)
    assert not server.state.clients[login.config.client_id].dpop_bound or (
        program.login(resource.address).config.client_id != login.config.client_id
    )
    assert server.counts["register"] == 2


def test_a_registered_client_that_must_push_pushes(server, resource):
    """RFC 9126 §6: the registration says so, where the server's metadata do not."""
    server.change(registered_push=True)
    assert isinstance(Signing().sign_in(resource.address), Success)
    assert server.counts["par"] == 1


class Drawer:
    """A program's own three methods."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def save_tokens(self, service: str, tokens: Any) -> None:
        self.kept[service] = tokens

    def load_tokens(self, service: str) -> Any:
        return self.kept.get(service)

    def delete_tokens(self, service: str) -> bool:
        return self.kept.pop(service, None) is not None


def test_three_methods_keep_no_key(server, resource):
    """A login that would be bound to one is refused before anybody is sent anywhere."""
    server.change(dpop="offered")
    service = OAuthService(token_storage=Drawer())
    failed = service.begin(resource.address, dpop="required")
    assert failed.code == "CONFIG_INVALID"
    assert failed.hint is not None
    assert server.counts["authorize"] + server.counts["token"] == 0
    assert isinstance(service.begin(resource.address, dpop="off"), Success)


def test_a_metadata_document_comes_before_a_registration(server, resource):
    """Where the server takes one; its address is the client id."""
    document = "https://app.example/client.json"
    server.add_client(Client(document))
    program = Signing(STAYFAST_CLIENT_METADATA=document)
    assert isinstance(program.sign_in(resource.address), Success)
    assert server.counts["register"] == 1
    server.change(documents=True)
    assert isinstance(program.sign_in(resource.address, replace=True), Success)
    assert program.login(resource.address).config.client_id == document
    assert server.counts["register"] == 1


def test_without_any_way_to_a_client_the_user_is_told_what_to_register(server, resource):
    """The message names the redirect address; nothing was sent to the server but for its metadata."""
    server.change(registration=False)
    failed = Signing().service.begin(resource.address)
    assert failed.code == "CONFIG_MISSING"
    assert "http://127.0.0.1/callback" in failed.error
    assert server.counts["authorize"] == 0


def test_a_resource_without_metadata_has_its_server_on_its_own_origin(server):
    """As servers of MCP's revision of 2025-03-26; the resource is the embedded server's own /me."""
    program = Signing()
    done = program.sign_in(f"{server.issuer}/me")
    assert isinstance(done, Success), done
    assert program.login(f"{server.issuer}/me").config.issuer == server.issuer


def test_the_client_of_an_account_serves_that_account_again(server):
    """With its secret: the login of another account at the same issuer has another client."""
    server.state.clients["robot"] = Client("robot", client_secret="hunter-two")
    program = Signing()
    for account, client in {
        "default": {"client_id": "stayfast-demo"},
        "work": {"client_id": "robot", "client_secret": "hunter-two"},
    }.items():
        assert isinstance(program.sign_in(server.issuer, account=account, **client), Success)
    again = program.sign_in(server.issuer, account="work")
    assert isinstance(again, Success), again
    configs = {
        one.account: program.assembly.storage.read(one.id).config
        for one in program.assembly.storage.summaries()
        if one.holds_tokens
    }
    assert {name: one.client_id for name, one in configs.items()} == {
        "default": "stayfast-demo",
        "work": "robot",
    }
    assert configs["work"].client_secret == "hunter-two"


def test_an_address_that_is_no_resource_is_an_issuer(server):
    """As before: with a client, and under its own name."""
    program = Signing()
    assert program.service.begin(server.issuer).code == "CONFIG_MISSING"
    assert isinstance(program.sign_in(server.issuer, client_id="stayfast-demo"), Success)
    assert program.login(server.issuer).config.resources == ()


def test_another_server_of_the_resource_gets_a_client_and_a_login_of_its_own(server, resource):
    """When a resource moves, nothing of the old server is sent to the new one."""
    program = Signing()
    assert isinstance(program.sign_in(resource.address), Success)
    before = program.login(resource.address)
    with AuthorizationServer(Settings(registration=True)) as other:
        resource.publish(resource.metadata(authorization_servers=[other.issuer]))
        assert isinstance(program.sign_in(resource.address), Success)
        assert other.counts["register"] == 1
    kept = program.login(resource.address)
    assert (kept.id, kept.config.issuer) == (
        before.id,
        server.issuer,
    )  # no token is replaced unasked
    issuers = {one.issuer for one in program.assembly.storage.summaries() if one.holds_tokens}
    assert len(issuers) == 2


def test_of_several_servers_the_known_one_is_asked_again(server, resource):
    """The user can name another; one that is not listed is refused."""
    with AuthorizationServer(Settings(registration=True)) as other:
        both = [other.issuer, server.issuer]
        program = Signing()
        assert isinstance(program.sign_in(resource.address), Success)
        resource.publish(resource.metadata(authorization_servers=both))
        logins = program.assembly.resource_logins
        assert logins.config(resource.address).issuer == server.issuer
        assert logins.config(resource.address, issuer=other.issuer).issuer == other.issuer
    with pytest.raises(Exception, match="does not list"):
        logins.config(resource.address, issuer="https://third.example")


def test_a_resource_in_trouble_is_no_issuer(server):
    """Its user is asked to wait, and not for a client."""
    program = Signing()

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def do_POST(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Broken) as broken:
        serving = threading.Thread(target=broken.serve_forever)
        serving.start()
        try:
            done = program.service.begin(f"http://127.0.0.1:{broken.server_port}/mcp")
        finally:
            broken.shutdown()
            serving.join()
    assert done.code == "NETWORK_ERROR"
