"""Against the ``mcp`` package's own server, and a certified one behind a resource, by command."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from command import World
from stayfast import OAuthService
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.auth.mcp import McpAuth
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage import MemoryStorage
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.resource_server import ResourceServer
from stayfast.testing.user_agent import UserAgent

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("mcp.server.mcpserver")

from mcp.client.client import Client as McpClient  # noqa: E402  optional
from mcp.client.streamable_http import streamable_http_client  # noqa: E402  optional
from mcp.server.auth.provider import (  # noqa: E402  optional
    AccessToken,
    AuthorizationCode,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import (  # noqa: E402  optional
    AuthSettings,
    ClientRegistrationOptions,
    RevocationOptions,
)
from mcp.server.mcpserver import MCPServer  # noqa: E402  optional
from mcp.shared._httpx_utils import create_mcp_http_client  # noqa: E402  optional
from mcp.shared.auth import OAuthToken  # noqa: E402  optional


class Lab:
    """The package's authorization server: everybody is approved at once, and all is in memory."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.refreshes: dict[str, RefreshToken] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.counts: Counter[str] = Counter()

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.counts["register"] += 1
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        code = secrets.token_urlsafe(32)
        self.codes[code] = AuthorizationCode(
            code=code, scopes=params.scopes or [], expires_at=time.time() + 60, client_id=client.client_id,
            code_challenge=params.code_challenge, redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=True, resource=params.resource,
        )  # fmt: skip
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        return self._issue(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client, refresh_token):
        return self.refreshes.get(refresh_token)

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        del self.refreshes[refresh_token.token]
        self.counts["refresh"] += 1
        return self._issue(client, scopes or refresh_token.scopes, refresh_token.resource)

    async def load_access_token(self, token):
        return self.tokens.get(token)

    async def revoke_token(self, token):
        self.counts["revoke"] += 1
        self.tokens.pop(token.token, None)
        self.refreshes.pop(token.token, None)

    def _issue(self, client: Any, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        named = {"client_id": client.client_id, "scopes": scopes, "resource": resource}
        self.tokens[access] = AccessToken(token=access, expires_at=int(time.time()) + 3600, **named)
        self.refreshes[refresh] = RefreshToken(token=refresh, **named)
        return OAuthToken(
            access_token=access, expires_in=3600, refresh_token=refresh, scope=" ".join(scopes)
        )


class Elsewhere:
    """A resource server's view of the embedded authorization server."""

    def __init__(self, server: AuthorizationServer, resource: str) -> None:
        self.server = server
        self.resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        state = self.server.state
        with state.lock:
            issued = state.by_access_token(token)
            if issued is None or not state.valid(issued):
                return None
            return AccessToken(
                token=token, client_id=issued.client_id, scopes=issued.scope.split(), resource=self.resource
            )  # fmt: skip


def serve(port: int, **auth: Any) -> Any:
    """The package's server with one tool, in a thread."""
    server = MCPServer("lab", **auth)

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    running = uvicorn.Server(
        uvicorn.Config(server.streamable_http_app(), port=port, log_level="error", ws="none")
    )
    threading.Thread(target=running.run, daemon=True).start()
    while not running.started:
        time.sleep(0.01)
    return running


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def world(tmp_path: Path) -> World:
    tmp_path.chmod(0o700)
    return World(tmp_path, AuthorizationServer())


@pytest.fixture
def lab() -> Iterator[tuple[Lab, str]]:
    """The package's server as authorization server and resource in one."""
    port, provider = free_port(), Lab()
    origin = f"http://127.0.0.1:{port}"
    auth = AuthSettings(
        issuer_url=origin, resource_server_url=f"{origin}/mcp", required_scopes=["user"],
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["user", "more"]),
        revocation_options=RevocationOptions(enabled=True), validate_token_resource=True,
    )  # fmt: skip
    running = serve(port, auth=auth, auth_server_provider=provider)
    yield provider, f"{origin}/mcp"
    running.should_exit = True


def whole(world: World, address: str, *more: str) -> None:
    """Sign in by the address alone, refresh, sign out with revocation where the server can."""
    done = world.run("login", address, "--via", "loopback", *more)
    assert done.code == 0, done.err
    assert [one.state for one in world.logins()] == [State.AUTHENTICATED]
    done = world.run("refresh", address)
    assert done.code == 0, done.err
    out = world.run("logout", address, "--json")
    assert (out.code, out.json["logouts"][0]["revoked"]) == (0, True), out.err


def test_the_packages_server_is_signed_in_to_by_its_address(
    world: World, lab: tuple[Lab, str]
) -> None:
    """Authorization server and resource in one; its tokens are bound to the resource."""
    provider, address = lab
    whole(world, address)
    assert (provider.counts["register"], provider.counts["refresh"]) == (1, 1)
    assert provider.counts["revoke"] >= 1
    assert {one.resource for one in provider.tokens.values()} <= {address}
    again = world.run("mcp", "auth", address, "--via", "loopback")
    assert again.code == 0, again.err
    assert provider.counts["register"] == 1


def test_the_packages_client_calls_a_tool_with_our_auth_object(lab: tuple[Lab, str]) -> None:
    """The whole of a program: an auth object that signs in by itself, and one call."""
    provider, address = lab
    assembly = Assembly(
        MemoryStorage(), Catalogue(environ={}), environ={"STAYFAST_COURIER": "inline"}
    )
    service = OAuthService(assembly=assembly)

    def sign_in(where: str, challenge: str | None, account: str) -> Any:
        begun = service.begin(where, challenge=challenge, account=account)
        return service.complete(UserAgent().walk(begun.value.address, approve=True))

    async def call() -> Any:
        auth = McpAuth(service, address, sign_in=sign_in)
        async with (
            create_mcp_http_client(auth=auth) as http,
            McpClient(streamable_http_client(address, http_client=http)) as client,
        ):
            return await client.call_tool("add", {"a": 2, "b": 3})

    assert "5" in str(anyio.run(call).content)
    assert provider.counts["register"] == 1


def test_the_packages_server_in_front_of_another(world: World) -> None:
    """A resource server whose tokens another server issues."""
    with AuthorizationServer(Settings(registration=True)) as issuer:
        port = free_port()
        address = f"http://127.0.0.1:{port}/mcp"
        auth = AuthSettings(issuer_url=issuer.issuer, resource_server_url=address,
                            required_scopes=["mcp:read"], validate_token_resource=True)  # fmt: skip
        running = serve(port, auth=auth, token_verifier=Elsewhere(issuer, address))
        whole(world, address)
        assert issuer.counts["register"] == 1
        running.should_exit = True


@pytest.mark.wire
def test_a_certified_server_registers_our_client(world: World, issuer: str) -> None:
    """``oidc-provider`` with dynamic registration and resource indicators, behind a resource."""
    behind: Any = SimpleNamespace(issuer=issuer)
    with ResourceServer(behind, scopes=("read",)) as resource:
        done = world.run("login", resource.address, "--via", "loopback")
        assert done.code == 0, done.err
        (login,) = world.logins()
        found = world.run("token", resource.address)
        assert (found.code, bool(found.out.strip())) == (0, True), found.err
        assert login.config.issuer == issuer
