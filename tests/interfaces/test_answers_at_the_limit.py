"""No first call raises at a limit of the system, or while the program ends: it answers, as it says."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import pytest
from stayfast import AsyncOAuthService, Failure, MemoryStorage, OAuthService
from stayfast.engine.errors import StayfastError
from stayfast.interfaces.answers import raising_ours, refusal_of

COMMON = """
import builtins, json, os, resource, sys
from stayfast import OAuthConfig, OAuthService
from stayfast.engine.errors import StayfastError

PLACE = sys.argv[1]
ARGUMENTS = {
    "check": [], "logins": [], "find_login": ["0" * 26], "cancel": ["0" * 26], "resume": ["0" * 26],
    "complete": ["http://127.0.0.1/cb?state=s&code=c"], "further_token": ["acme", "api"],
    "request_headers": ["acme", "GET", "https://api.example/"],
}
METHODS = [
    name for name, found in vars(OAuthService).items() if callable(found) and name[0] != "_"
]

def service():
    acme = OAuthConfig(
        service_name="acme", client_id="c", auth_url="https://as.example/a",
        token_url="https://as.example/t", redirect_uri="http://127.0.0.1:9/cb",
    )
    return OAuthService(
        app="acme-tool", providers={"acme": acme}, state_dir=PLACE + "/s", config_dir=PLACE + "/c",
    )

def outcome(ours, name):
    call = getattr(ours, name)
    try:
        more = {"via": "manual", "timeout": 0.1} if name == "authenticate" else {}
        answer = call(*ARGUMENTS.get(name, ["acme"]), **more)
    except StayfastError:
        return "raised ours"
    except BaseException as error:
        return "raised " + repr(error)
    return type(answer).__name__
"""
NO_FILES = (
    COMMON
    + """
ours = service()
for name in METHODS:
    here, there = os.pipe()
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        try:
            while True: os.open(os.devnull, os.O_RDONLY)
        except OSError: pass
        os.write(there, json.dumps([name, outcome(ours, name)]).encode())
        os._exit(0)
    os.close(there)
    os.wait()
    print(os.read(here, 9999).decode())
    os.close(here)
"""
)
ENDING = (
    COMMON
    + """
class Last:
    def __init__(self): self.rest = service(), outcome, json.dumps, os.write, list(METHODS)
    def __del__(self):
        ours, outcome, dumps, write, names = self.rest
        for name in names:
            write(1, dumps([name, outcome(ours, name)]).encode() + bytes([10]))
builtins.last = Last()
"""
)
MADE = {"auth": "raised ours", "httpx_auth": "raised ours"}


@pytest.mark.skipif(os.name != "posix", reason="limits the number of open files")
@pytest.mark.parametrize("script", [NO_FILES, ENDING], ids=["no open file left", "python ends"])
def test_every_first_call_answers(script: str, tmp_path: Path) -> None:
    """With no descriptor left, and where no module can be loaded any more."""
    tmp_path.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.stderr == ""
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert len(found) > len(MADE)
    expected = {name: {MADE.get(name, "Failure"), "RequestsAuth", "HttpxAuth"} for name in found}
    assert {name: said for name, said in found.items() if said not in expected[name]} == {}


def limit_of_threads(*_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("call", ["get_status", "authenticate", "get_bearer_token"])
def test_an_awaited_call_answers_where_no_thread_can_be_had(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure says so; and nothing is done later of what was refused."""
    awaited = AsyncOAuthService(OAuthService(storage=MemoryStorage()))

    async def ask() -> Any:
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", limit_of_threads)
            return await getattr(awaited, call)("demo")

    answer = asyncio.run(ask())
    assert isinstance(answer, Failure)
    assert "thread" in answer.error


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), MemoryError(), ImportError("no", name="ssl")]
)
def test_what_the_system_refuses_is_one_of_our_errors(error: Exception) -> None:
    """It keeps its cause; a mistake stays what it is."""
    with pytest.raises(StayfastError) as caught, raising_ours():
        raise error
    assert caught.value.__cause__ is error
    assert refusal_of(ValueError("a mistake")) is None
