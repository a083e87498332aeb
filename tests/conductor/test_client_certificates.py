"""Clients that prove themselves by a TLS certificate, and tokens that are bound to it (RFC 8705)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from command import World
from conductors import conductor_over
from instant import InstantTransport
from stayfast import Failure, OAuthService, Success
from stayfast.engine.errors import ConfigMissing, NetworkError, StayfastError
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.metadata import apply_metadata, discover
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.token_endpoint import refresh_request
from stayfast.engine.ports import HttpRequest
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.client_certificates import CertificateFiles
from stayfast.testing.server_state import Client

METHODS = ("tls_client_auth", "self_signed_tls_client_auth")


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(mtls=True)) as running:
        yield running


def registered(server: AuthorizationServer, method: str, name: str = "certain") -> CertificateFiles:
    """A client with a certificate."""
    own = method != "tls_client_auth"
    files = server.issue_certificate(name, self_signed=own)
    known = files.thumbprint if own else files.subject
    server.add_client(Client(name, auth_method=method, certificate=known))
    return files


def http_of(server: AuthorizationServer) -> RequestsHttp:
    assert server.authority is not None
    return RequestsHttp(certificates=server.authority.own.certificate)


def configured(server: AuthorizationServer, files: CertificateFiles, **more: Any) -> OAuthConfig:
    """As by discovery."""
    plain = OAuthConfig(
        service_name="demo",
        client_id="certain",
        issuer=server.issuer,
        scopes=("openid", "offline_access"),
        redirect_uri="http://127.0.0.1:0/callback",
        client_certificate_file=files.certificate,
        client_key_file=files.key,
        **more,
    )
    return apply_metadata(plain, discover(RequestsHttp(), server.issuer))


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


def me(server: AuthorizationServer, token: str, files: CertificateFiles | None) -> int:
    """What the API answers to ``token`` over a connection with that certificate."""
    certificate = None if files is None else (files.certificate, files.key)
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{server.secure_address}/me"
    request = HttpRequest(method="GET", url=address, headers=headers, certificate=certificate)
    return http_of(server).send(request).status


@pytest.mark.parametrize("par", ["off", "required"])
@pytest.mark.parametrize("method", METHODS)
def test_a_whole_login_by_certificate(server: AuthorizationServer, method: str, par: str) -> None:
    """Code, refresh and revocation at the endpoints for certificates; the tokens are bound to it."""
    files = registered(server, method)
    conductor: Conductor = conductor_over(MemoryStorage(), http=http_of(server))
    config = configured(server, files, token_endpoint_auth_method=method, par=par)
    login = conductor.sign_in(config, InstantTransport(approve))
    assert login.tokens is not None
    assert server.state.tokens[-1].certificate == files.thumbprint
    assert server.counts["par"] == (par == "required")
    stranger = server.issue_certificate("stranger")
    token = login.tokens.access_token
    assert [me(server, token, one) for one in (files, None, stranger)] == [200, 401, 401]
    again = conductor.refresh.valid("demo", "default", force=True)
    assert again.tokens != login.tokens
    assert server.state.tokens[-1].certificate == files.thumbprint
    assert conductor.logout.sign_out(again).revoked


def test_a_public_client_binds_its_tokens_to_its_certificate(server: AuthorizationServer) -> None:
    """RFC 8705 §4: nothing proves the client, and a stolen refresh token is of no use all the same."""
    files = server.issue_certificate("any")
    server.add_client(Client("certain"))
    conductor = conductor_over(MemoryStorage(), http=http_of(server))
    config = configured(server, files, token_endpoint_auth_method="none")
    login = conductor.sign_in(config, InstantTransport(approve))
    assert login.tokens is not None
    assert server.state.tokens[-1].certificate == files.thumbprint
    bare = replace(config, client_certificate_file=None, client_key_file=None)
    stolen = refresh_request(bare, login.tokens.refresh_token or "")
    assert http_of(server).send(stolen).status == 400
    assert conductor.refresh.valid("demo", "default", force=True).tokens != login.tokens


@pytest.mark.parametrize("method", METHODS)
def test_the_certificate_of_another_proves_nothing(
    server: AuthorizationServer, method: str
) -> None:
    """The server refuses the client, and the login ends with its word."""
    registered(server, method)
    other = server.issue_certificate("other", self_signed=method != "tls_client_auth")
    conductor = conductor_over(MemoryStorage(), http=http_of(server))
    config = configured(server, other, token_endpoint_auth_method=method)
    with pytest.raises(StayfastError, match="invalid_client"):
        conductor.sign_in(config, InstantTransport(approve))


def test_what_the_server_offers_for_a_certificate_is_chosen(server: AuthorizationServer) -> None:
    """Without a setting; and without a certificate nothing of it is."""
    files = registered(server, "tls_client_auth")
    assert configured(server, files).token_endpoint_auth_method == "tls_client_auth"
    conductor = conductor_over(MemoryStorage(), http=http_of(server))
    with pytest.raises(ConfigMissing):
        conductor.sign_in(
            server.config(token_endpoint_auth_method="tls_client_auth"), InstantTransport(approve)
        )


def test_by_command(server: AuthorizationServer, tmp_path: Path) -> None:
    """``--client-cert`` and ``--client-key``; later commands find the files by themselves."""
    tmp_path.chmod(0o700)
    files = registered(server, "tls_client_auth")
    assert server.authority is not None
    world = World(tmp_path, server, {"REQUESTS_CA_BUNDLE": server.authority.own.certificate})
    done = world.run(
        "login", server.issuer, "--client-id", "certain", "--via", "loopback",
        "--client-cert", files.certificate, "--client-key", files.key,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert server.state.tokens[-1].certificate == files.thumbprint
    done = world.run("refresh", server.issuer)
    assert done.code == 0, done.err
    assert server.state.tokens[-1].certificate == files.thumbprint
    out = world.run("logout", server.issuer, "--json")
    assert (out.code, out.json["logouts"][0]["revoked"]) == (0, True), out.err


@pytest.mark.parametrize("one_file", [False, True])
@pytest.mark.parametrize("library", ["requests", "httpx"])
def test_a_program_shows_the_api_the_certificate_of_its_tokens(
    server: AuthorizationServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    one_file: bool,
) -> None:
    """The service says which files it is; without them the API refuses the bound token."""
    tmp_path.chmod(0o700)
    files = registered(server, "tls_client_auth")
    if one_file:
        with open(files.certificate, "ab") as file:
            file.write(Path(files.key).read_bytes())
        os.unlink(files.key)
    assert server.authority is not None
    trusted = server.authority.own.certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
    world = World(tmp_path, server, {"REQUESTS_CA_BUNDLE": trusted})
    key = () if one_file else ("--client-key", files.key)
    done = world.run(
        "login", server.issuer, "--client-id", "certain", "--via", "loopback",
        "--client-cert", files.certificate, *key,
    )  # fmt: skip
    assert done.code == 0, done.err
    oauth = OAuthService(environ=world.environ)
    shown = oauth.client_certificate(server.issuer)
    assert isinstance(shown, Success)
    assert shown.value == (files.certificate, files.certificate if one_file else files.key)

    address = f"{server.secure_address}/me"
    statuses: list[int] = []
    for certificate in (shown.value, None):
        if library == "requests":
            auth: Any = oauth.auth(server.issuer)
            statuses.append(
                requests.get(
                    address, auth=auth, cert=certificate, verify=trusted, timeout=10
                ).status_code
            )
        else:
            trust = ssl.create_default_context(cafile=trusted)
            if certificate is not None:
                trust.load_cert_chain(*certificate)
            statuses.append(
                httpx.get(address, auth=oauth.httpx_auth(server.issuer), verify=trust).status_code
            )
    assert statuses == [200, 401]

    Path(files.certificate if one_file else files.key).write_text("no key")
    spoiled = oauth.client_certificate(server.issuer)
    assert isinstance(spoiled, Failure)
    assert spoiled.code == "CONFIG_INVALID"
    os.unlink(files.certificate)
    gone = oauth.client_certificate(server.issuer)
    assert isinstance(gone, Failure)
    assert gone.code == "CONFIG_MISSING"


def test_a_client_without_a_certificate_has_no_files(
    server: AuthorizationServer, tmp_path: Path
) -> None:
    """``None``, which HTTP libraries take for no certificate; and nobody is signed in by asking."""
    tmp_path.chmod(0o700)
    world = World(tmp_path, server)
    oauth = OAuthService(environ=world.environ)
    asked = oauth.client_certificate("demo")
    assert isinstance(asked, Failure)
    assert asked.code == "AUTH_REQUIRED"
    assert world.run("login", "demo", "--via", "loopback").code == 0
    shown = oauth.client_certificate("demo")
    assert isinstance(shown, Success)
    assert shown.value is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dpop", [False, True], ids=["certificate", "certificate-and-dpop"])
def test_a_grant_without_a_user_by_certificate(
    server: AuthorizationServer, method: str, dpop: bool
) -> None:
    """A client asks for itself at the endpoint for certificates, again and again; its tokens are bound to it."""
    files = registered(server, method)
    if dpop:
        server.change(dpop="required")
    storage = MemoryStorage()
    conductor = conductor_over(storage, http=http_of(server))
    config = replace(
        configured(server, files, token_endpoint_auth_method=method),
        grant="client-credentials",
        scopes=("read",),
        dpop="required" if dpop else "off",
    )
    first = conductor.userless.obtain(config)
    again = conductor_over(storage, http=http_of(server)).refresh.valid(
        "demo", "default", force=True
    )
    assert server.counts["token:client_credentials"] == 2
    for login, issued in zip((first, again), server.state.tokens[-2:], strict=True):
        assert login.tokens is not None
        assert login.tokens.refresh_token is None
        assert login.tokens.access_token == issued.access_token
        assert issued.certificate == files.thumbprint
        assert (issued.thumbprint is not None) == dpop
    assert first.tokens != again.tokens
    if not dpop:
        stranger = server.issue_certificate("stranger")
        token = server.state.tokens[-1].access_token
        assert [me(server, token, one) for one in (files, None, stranger)] == [200, 401, 401]


@pytest.mark.parametrize("method", METHODS)
def test_a_token_is_exchanged_by_certificate(server: AuthorizationServer, method: str) -> None:
    """The new token is bound to the certificate of the client that exchanges (RFC 8705 §3)."""
    files = registered(server, method)
    conductor = conductor_over(MemoryStorage(), http=http_of(server))
    config = configured(server, files, token_endpoint_auth_method=method)
    person = conductor.sign_in(config, InstantTransport(approve))
    exchanging = replace(
        config, service_name="exchanged", grant="token-exchange", subject_login="demo",
        scopes=("read",),
    )  # fmt: skip
    login = conductor.userless.ask(exchanging)
    assert login.tokens is not None
    assert person.tokens is not None
    assert login.tokens.access_token != person.tokens.access_token
    assert server.state.tokens[-1].certificate == files.thumbprint


def test_a_grant_with_the_certificate_of_another_is_refused(server: AuthorizationServer) -> None:
    """The login ends with the server's word, and no token was issued."""
    registered(server, "tls_client_auth")
    other = server.issue_certificate("other")
    config = replace(
        configured(server, other, token_endpoint_auth_method="tls_client_auth"),
        grant="client-credentials",
    )  # fmt: skip
    storage = MemoryStorage()
    with pytest.raises(StayfastError, match="invalid_client"):
        conductor_over(storage, http=http_of(server)).userless.ask(config)
    assert server.state.tokens == []


@pytest.mark.parametrize("courier", ["inline", "spawn"])
def test_the_environment_of_a_program_says_whom_to_trust(
    server: AuthorizationServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, courier: str
) -> None:
    """Its ``REQUESTS_CA_BUNDLE`` counts, in whatever process a code or refresh token is sent."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert server.authority is not None
    trusted = {"REQUESTS_CA_BUNDLE": server.authority.own.certificate}
    config = configured(
        server, registered(server, "tls_client_auth"), token_endpoint_auth_method="tls_client_auth"
    )

    def program(environ: dict[str, str]) -> Conductor:
        return Assembly.open(
            state_dir=str(tmp_path / "s"),
            config_dir=str(tmp_path / "c"),
            store="file",
            environ={"STAYFAST_COURIER": courier, "STAYFAST_AUDIT": "none", **environ},
        ).conductor

    conductor = program(trusted)
    login = conductor.sign_in(config, InstantTransport(approve))
    assert conductor.refresh.valid("demo", "default", force=True).version > login.version
    with pytest.raises(NetworkError):
        program({}).refresh.valid("demo", "default", force=True)
