"""``python -m stayfast.testing``: a server for whoever tries a program by hand."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from stayfast import OAuthService, Success
from stayfast.testing.__main__ import READY
from stayfast.testing.authorization_server import CLIENT_ID
from stayfast.testing.user_agent import UserAgent

COMMAND = (sys.executable, "-m", "stayfast.testing")


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def service_of(issuer: str, client: str) -> OAuthService:
    """The service whose code the server prints."""
    _, _, code = READY.format(issuer=issuer, client=client).partition("signs in there:\n")
    lines = [line.removeprefix("  ") for line in code.splitlines() if "print(" not in line]
    made: dict[str, Any] = {}
    exec("\n".join(lines), made)
    service = made["service"]
    assert isinstance(service, OAuthService)
    return service


def test_what_it_prints_signs_in(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client that it prints is ready, and Ctrl-C ends it without an error."""
    monkeypatch.setenv("ACME_TOOL_STORE", "memory")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with running("--json", "--lifetime", "60") as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        service = service_of(said["issuer"], said["client_id"])
        started = service.begin("acme").value
        callback = UserAgent().walk(started.address, approve=True)
        done = service.complete(callback, login_id=started.login_id)
        assert isinstance(done, Success)
        assert 0 < done.value.expires_in <= 60
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_it_listens_where_it_is_told_to() -> None:
    """A taken port is one clear error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (1, "")
    # what a library says of its own age may come first
    assert [one for one in done.stderr.splitlines() if one.startswith(f"error: port {port}")]
    with running("--port", port) as process:
        assert process.stdout is not None
        assert f"127.0.0.1:{port}" in process.stdout.readline()


@pytest.mark.parametrize("wrong", ["--port=70000", "--port=x", "--lifetime=0", "--lifetime=-1"])
def test_a_wrong_argument_is_refused(wrong: str) -> None:
    """With the status of a wrong line, and no traceback."""
    done = subprocess.run([*COMMAND, wrong], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_what_it_prints_fits_a_terminal() -> None:
    """Eighty columns, with the longest address that it can have: a copied line is a whole one."""
    ready = READY.format(issuer="http://127.0.0.1:65535", client=CLIENT_ID)
    assert max(map(len, ready.splitlines())) < 80
