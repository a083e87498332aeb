"""Refused inputs are logged, and cannot fill the log."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from conductors import conductor_over
from instant import ManualClock
from logins import fresh_login
from stayfast.engine.audit.events import EventKind
from stayfast.engine.errors import StorageFull
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.flows.refusals import EVERY, IN_FULL, Refusals
from stayfast.engine.reasons import Refusal
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock, origin
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.user_agent import fetch_only, tampered
from stayfast.transports.loopback.transport import LoopbackTransport
from wire_talk import BackgroundBrowser, Notices

FLOOD = 300


def lines(storage: MemoryStorage) -> list[tuple[str, str | None]]:
    """Reason and detail of every refusal that has a line."""
    return [
        (str(one.members["reason"]), one.members.get("detail"))  # type: ignore[misc]  # a text here
        for one in storage.events(limit=10_000)
        if one.members["event"] == EventKind.REFUSED
    ]


def counted(found: list[tuple[str, str | None]]) -> Counter[str]:
    """The number of refusals in the lines, by reason."""
    total: Counter[str] = Counter()
    for reason, detail in found:
        if detail is None:
            total[reason] += 1
        else:
            named = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", detail)}
            assert named.pop("count") == sum(named.values())
            total.update(named)
    return total


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def refusals(storage: MemoryStorage, clock: ManualClock) -> Refusals:
    return Refusals(Ledger(storage, clock, origin()), clock)


def test_the_first_ones_have_a_line_each_and_the_others_are_counted(
    storage: MemoryStorage, refusals: Refusals, clock: ManualClock
) -> None:
    """After a few in full there is one line a minute, and one at the end; no refusal is lost."""
    login = fresh_login()
    for _ in range(100):
        refusals.note(login, Refusal.WRONG_STATE, "loopback")
    assert len(lines(storage)) == IN_FULL
    clock.sleep(EVERY)
    refusals.note(login, Refusal.WRONG_STATE, "loopback")
    assert lines(storage)[IN_FULL:] == [("wrong_state", "count=96 wrong_state=96")]
    for _ in range(3):
        refusals.note(login, Refusal.WRONG_STATE, "loopback")
    refusals.finish(login.id)
    refusals.finish(login.id)
    assert counted(lines(storage)) == {"wrong_state": 104}
    assert len(lines(storage)) == IN_FULL + 2


def test_a_new_reason_is_never_only_counted(storage: MemoryStorage, refusals: Refusals) -> None:
    """A flood for one reason does not hide the first refusal for another."""
    login = fresh_login()
    for _ in range(50):
        refusals.note(login, Refusal.WRONG_PATH, "loopback")
    refusals.note(login, Refusal.WRONG_ISSUER, "loopback")
    assert lines(storage)[-1] == ("wrong_issuer", None)


def test_each_login_has_a_count_of_its_own(storage: MemoryStorage, refusals: Refusals) -> None:
    """A flood at one login leaves the lines of another alone; memory does not grow with logins."""
    for _ in range(50):
        refusals.note(None, Refusal.NOT_WAITING, None)
    login = fresh_login()
    refusals.note(login, Refusal.WRONG_STATE, "manual")
    assert lines(storage)[-1] == ("wrong_state", None)
    for number in range(1200):
        refusals.note(replace(login, id=f"{number:026}"), Refusal.WRONG_STATE, None)
    assert len(refusals._by_login) <= 1001
    assert counted(lines(storage)) == {"not_waiting": 50, "wrong_state": 1201}


def test_a_full_disk_ends_nobodys_login(clock: ManualClock) -> None:
    """A line that cannot be written is left out."""

    class Full(MemoryStorage):
        def note(self, event: Any) -> Any:
            raise StorageFull("no room")

    refusals = Refusals(Ledger(Full(), clock, origin()), clock)
    for _ in range(IN_FULL + 2):
        refusals.note(None, Refusal.WRONG_STATE, None)
    refusals.finish(None)


def test_what_belongs_to_no_login_is_told_when_a_minute_is_over_or_a_wait_ends(
    storage: MemoryStorage, refusals: Refusals, clock: ManualClock
) -> None:
    """Its count does not wait for another refusal of its own kind, and each is counted once."""
    login = fresh_login()
    for _ in range(IN_FULL + 3):
        refusals.note(None, Refusal.NOT_WAITING, None)
    clock.sleep(EVERY + 1)
    refusals.note(login, Refusal.WRONG_STATE, "loopback")
    assert counted(lines(storage)) == {"not_waiting": IN_FULL + 3, "wrong_state": 1}
    for _ in range(7):
        refusals.note(None, Refusal.NOT_WAITING, None)
    refusals.finish(login.id)
    refusals.finish(login.id)
    assert counted(lines(storage)) == {"not_waiting": IN_FULL + 10, "wrong_state": 1}
    assert len(lines(storage)) == IN_FULL + 3


NO_HTTP = [
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 64,  # a TLS hello
    "SSH-2.0-OpenSSH_9.6\r\n",
    "GET /" + "a" * 100_000 + " HTTP/1.1\r\n",
    "\x00\xff\x00\xff\r\n\r\n",
    "POST /callback HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
]


def test_what_is_no_http_is_logged_as_other_refusals_are(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """Noise, another protocol and requests beyond every bound: named, counted, and the login goes on."""

    def walk(url: str) -> None:
        callback = fetch_only(url)
        where = urlsplit(callback)
        for number in range(30):
            send(where.port or 0, NO_HTTP[number % len(NO_HTTP)])
        send(
            where.port or 0,
            f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n",
        )

    browser = BackgroundBrowser(walk)
    transport = LoopbackTransport(Notices(), browser, SystemClock())
    login = conductor_over(storage).sign_in(server.config(), transport)
    browser.result()
    assert login.state is State.AUTHENTICATED
    assert counted(lines(storage)) == {"not_http": 30}
    assert len(lines(storage)) == IN_FULL + 1


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def test_a_flood_at_the_port_leaves_a_few_lines(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """Wrong hosts, paths, methods and states at the port of a login are named, counted and bounded."""

    def walk(url: str) -> None:
        callback = fetch_only(url)
        where = urlsplit(callback)
        wrong = tampered(callback, state="x" * 43)
        kinds = [
            ("GET", wrong.removeprefix(f"http://{where.netloc}"), where.netloc),
            ("GET", "/other", where.netloc),
            ("DELETE", where.path, where.netloc),
            ("GET", f"{where.path}?code=a", "evil.example"),
            ("GET", where.path, where.netloc),
        ]
        for number in range(FLOOD):
            method, target, host = kinds[number % len(kinds)]
            send(where.port or 0, f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        send(
            where.port or 0,
            f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n",
        )

    browser = BackgroundBrowser(walk)
    transport = LoopbackTransport(Notices(), browser, SystemClock())
    login = conductor_over(storage).sign_in(server.config(), transport)
    browser.result()
    assert login.state is State.AUTHENTICATED
    each = FLOOD // 5
    assert counted(lines(storage)) == {
        "wrong_state": each, "wrong_path": each, "wrong_method": each, "wrong_host": each,
        "not_a_callback": each,
    }  # fmt: skip
    assert len(lines(storage)) <= IN_FULL + 5 + 1


def send(port: int, request: str) -> None:
    # what is no request may be refused before all of it has been sent
    with (
        closing(socket.create_connection(("127.0.0.1", port), 10)) as client,
        suppress(ConnectionError),
    ):
        client.sendall(request.encode("latin-1"))
        client.recv(100)
