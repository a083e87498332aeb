"""What is made at first use is made once, whichever threads ask; and a forked child can use all of it."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
import stayfast
from stayfast import AsyncOAuthService, Failure, MemoryStorage, OAuthService, Success
from stayfast.engine.flows.dependencies import made_once
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.result import Result
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage import TokenStorageAdapter, forks
from stayfast.storage.keys import outside

ACME = OAuthConfig(
    service_name="acme",
    client_id="client",
    redirect_uri="http://127.0.0.1:9/cb",
    auth_url="http://127.0.0.1:9/authorize",
    token_url="http://127.0.0.1:9/token",
)
_LONG = 0.3  # seconds in which another thread comes if it can
_HANGS = 10  # seconds


class Drawer:
    """A program's own place for tokens."""

    def __init__(self) -> None:
        self.kept: dict[str, OAuthTokens] = {}

    def save_tokens(self, service: str, tokens: OAuthTokens) -> None:
        self.kept[service] = tokens

    def load_tokens(self, service: str) -> OAuthTokens | None:
        return self.kept.get(service)

    def delete_tokens(self, service: str) -> bool:
        return self.kept.pop(service, None) is not None


class Meeting(Mapping[str, str]):
    """An environment at whose first look the threads meet, if more than one gets there."""

    def __init__(self) -> None:
        self._both = threading.Barrier(2)

    def __getitem__(self, name: str) -> str:
        with suppress(threading.BrokenBarrierError):
            self._both.wait(_LONG)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def service(environ: Mapping[str, str]) -> OAuthService:
    return OAuthService(
        token_storage=Drawer(), app="a-tool", providers={"acme": ACME}, environ=environ
    )


def known(found: OAuthService, begun: list[Result[Any]]) -> bool:
    """Whether ``found`` knows each of the logins that were ``begun``."""
    logins = found.logins()
    assert isinstance(logins, Success)
    ids = {one.value.login_id for one in begun if isinstance(one, Success)}
    return len(ids) == len(begun) and ids <= {one.id for one in logins.value}


def test_threads_that_come_first_at_once_share_one_service() -> None:
    """Each login that one of them begins is known afterwards."""
    shared, begun = service(Meeting()), list[Result[Any]]()
    threads = [
        threading.Thread(target=lambda: begun.append(shared.begin("acme"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert known(shared, begun)


def test_tasks_that_come_first_at_once_share_one_service() -> None:
    """The same of the calls that are awaited together."""

    async def at_once() -> tuple[OAuthService, list[Result[Any]]]:
        async with AsyncOAuthService(service(Meeting())) as awaited:
            begun = await asyncio.gather(*(awaited.begin("acme") for _ in range(2)))
            return awaited.service, list(begun)

    assert known(*asyncio.run(at_once()))


def test_a_part_that_two_threads_make_is_one_part() -> None:
    """Who comes second gets the part of the first, and not the one made meanwhile."""
    both = threading.Barrier(2)

    class Flow:
        @made_once
        def part(self) -> object:
            both.wait()
            return object()

    flow, got = Flow(), list[object]()
    threads = [threading.Thread(target=lambda: got.append(flow.part)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] is got[1] is flow.part


# --- forks -----------------------------------------------------------------------------------------


def in_child(use: Callable[[], object]) -> bool:
    """Whether ``use`` ends in a forked child, with what is true."""
    child = os.fork()
    if child == 0:
        signal.alarm(_HANGS)
        done = False
        try:
            done = bool(use())
        finally:
            os._exit(not done)
    return os.waitpid(child, 0)[1] == 0


def refused(answer: Result[Any]) -> bool:
    return isinstance(answer, Failure) and answer.code == "AUTH_REQUIRED"


Held = tuple[AbstractContextManager[object], Callable[[], object]]


def held_assembly() -> Held:
    assembly = Assembly(MemoryStorage(), Catalogue(environ={}), environ={})
    return assembly.guard, lambda: assembly.conductor


def held_service() -> Held:
    held = service({})
    return vars(held)["_making"].guard, lambda: refused(held.get_bearer_token("acme"))


def held_memory() -> Held:
    storage = MemoryStorage()
    return storage.guard, lambda: storage.find("none") is None


def held_lease() -> Held:
    storage = MemoryStorage()

    def lease() -> bool:
        with storage.lease("0" * 26, wait=0):
            return True

    return storage.lease("0" * 26, wait=0), lease


def held_adapter() -> Held:
    storage = TokenStorageAdapter(Drawer(), lambda _: ACME)
    return storage.guard, lambda: storage.find("account\0acme\0default") is None


def held_key_command() -> Held:
    environ = {outside.KEY_COMMAND: "printf 0123456789abcdef0123456789abcdef"}
    return vars(outside)["_asking"].lock, lambda: outside.command_key(environ)


@pytest.mark.parametrize(
    "held",
    [held_assembly, held_service, held_memory, held_lease, held_adapter, held_key_command],
)
def test_a_child_finds_no_lock_held_by_a_thread_that_it_does_not_have(
    held: Callable[[], Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one whose thread does not leave it while the fork waits."""
    monkeypatch.setattr(forks, "_WAIT", 0.05)
    lock, use = held()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        assert in_child(use)
    finally:
        leave.set()
        thread.join()
    assert use()


def test_a_fork_waits_for_what_another_thread_makes() -> None:
    """The child has the part that was being made when its process forked."""
    catalogue = Catalogue(environ={})
    inside, leave = threading.Event(), threading.Event()

    def make() -> Catalogue:
        inside.set()
        leave.wait(_LONG)
        return catalogue

    assembly = Assembly(MemoryStorage(), make, environ={})
    thread = threading.Thread(target=lambda: assembly.catalogue)
    thread.start()
    inside.wait()
    assert in_child(lambda: assembly.__dict__["catalogue"] is catalogue)
    leave.set()
    thread.join()


def test_a_fork_waits_for_a_module_that_another_thread_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child can load it; Python would have it wait for a thread that is not there."""
    gate = threading.Event()
    monkeypatch.setattr(forks, "_gate_of_a_test", gate, raising=False)
    monkeypatch.setattr(stayfast, "__path__", [*stayfast.__path__, str(tmp_path)])
    (tmp_path / "slow_to_load.py").write_text(
        "import threading\n"
        "from stayfast.storage import forks\n"
        "forks._gate_of_a_test.set()\n"
        f"threading.Event().wait({_LONG})\n"
        "loaded = True\n"
    )
    name = "stayfast.slow_to_load"
    thread = threading.Thread(target=importlib.import_module, args=(name,))
    thread.start()
    gate.wait()
    try:
        assert in_child(lambda: importlib.import_module(name).loaded)
    finally:
        thread.join()
        sys.modules.pop(name, None)


def test_calls_that_are_awaited_in_a_child_have_threads_there() -> None:
    """The threads of the parent, which the child does not have, are not waited for."""
    awaited = AsyncOAuthService(service({}))

    def ask() -> bool:
        return refused(asyncio.run(awaited.ensure_valid_token("acme")))

    assert ask()
    assert in_child(ask)
