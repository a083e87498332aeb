"""The web backend of the examples, on a real database: its own tests, and several workers of a server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests
from command import until
from postgres_server import PostgresServer
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer
from stayfast.testing.server_state import Client
from stayfast.testing.user_agent import UserAgent

pytest.importorskip("fastapi")
EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi-backend"


@pytest.fixture
def environ(tmp_path: Path, server: PostgresServer, database: str) -> dict[str, str]:
    """The environment of the backend: its logins in a database of their own."""
    tmp_path.chmod(0o700)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "SHOP_STORE": server.url(database),
    }


def test_its_own_tests_pass(environ: dict[str, str], server: PostgresServer, database: str) -> None:
    """A visitor signs in, and an attacker does not get one into his account; the logins are in the database."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLE],
        cwd=EXAMPLE, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    ((logins,),) = server.execute(database, "SELECT count(*) FROM login")
    assert logins >= 6


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def backend(environ: dict[str, str], provider: AuthorizationServer) -> Iterator[str]:
    """The address of the backend, whose workers a server has started."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = f"http://127.0.0.1:{port}"
    provider.add_client(Client(CLIENT_ID, redirect_uris=(f"{here}/callback",)))
    ours = {
        "ACME_ISSUER": provider.issuer,
        "ACME_CLIENT_ID": CLIENT_ID,
        "SHOP_CALLBACK": f"{here}/callback",
        "ACME_API": f"{provider.issuer}/userinfo",
    }
    running = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "backend:make_app", "--workers", "2",
         "--port", str(port), "--log-level", "warning"],
        cwd=EXAMPLE, env={**environ, **ours}, start_new_session=True,
    )  # fmt: skip
    try:

        def status() -> int | None:
            with suppress(requests.ConnectionError):
                return requests.get(f"{here}/me", timeout=10).status_code
            return None

        until(status, lambda seen: seen == 401)
        yield here
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def test_any_worker_goes_on_with_any_visitor(backend: str) -> None:
    """What one worker began another finishes; each request is a connection of its own."""
    for number in range(6):
        cookies: dict[
            str, str
        ] = {}  # requests keeps Secure cookies from http, even of this machine

        def visit(address: str, cookies: dict[str, str] = cookies) -> requests.Response:
            answer = requests.get(address, cookies=cookies, allow_redirects=False, timeout=20)
            cookies.update(answer.cookies.get_dict())
            return answer

        page = visit(f"{backend}/login").headers["Location"]
        back = UserAgent({"login": f"visitor{number}"}).walk(page, approve=True)
        assert visit(back).headers["Location"] == "/me"
        assert visit(f"{backend}/me").json()["sub"]
