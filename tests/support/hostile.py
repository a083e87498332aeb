"""Callers that nobody invited to a port: what each kind sends, and a count of what it got."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

PATIENCE = 120.0  # seconds after which the other end has hung


@dataclass
class Target:
    """The port a login waits at.

    Attributes:
        address: The redirect address.
        state: The login's own ``state``, which a user's browser has seen.
        issuer: The provider's.
    """

    address: str
    state: str
    issuer: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def port(self) -> int:
        port = urlsplit(self.address).port
        assert port is not None
        return port

    def callback(self, **changes: str | list[str] | None) -> str:
        """The path of a callback that is wrong in nothing but its code and ``changes``."""
        right: dict[str, str | list[str] | None] = {
            "code": "a-guess", "state": self.state, "iss": self.issuer,
        }  # fmt: skip
        said = {name: value for name, value in {**right, **changes}.items() if value is not None}
        return f"{urlsplit(self.address).path}?{urlencode(said, doseq=True)}"

    def request(
        self, path: str, method: str = "GET", *lines: str, host: str | None = None
    ) -> bytes:
        head = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *lines]
        return ("\r\n".join(head) + "\r\n\r\n").encode()


def of(authorization_url: str, issuer: str) -> Target:
    """The target of an attacker who has seen ``authorization_url``."""
    query = dict(parse_qsl(urlsplit(authorization_url).query))
    return Target(query["redirect_uri"], query["state"], issuer)


Attack = Callable[[Target, int], Awaitable[str]]


def sends(octets: Callable[[Target, int], bytes]) -> Attack:
    """Sends ``octets`` and reports the status that comes back."""

    async def attack(target: Target, number: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        try:
            writer.write(octets(target, number))
            await writer.drain()
            words = (await asyncio.wait_for(reader.read(64), PATIENCE)).split()
            return words[1].decode() if len(words) > 1 else "closed"
        finally:
            writer.transport.abort()

    return attack


async def _drips(target: Target, number: int) -> str:
    """A header octet by octet, until the listener has had enough or the attack is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    try:
        for octet in target.request("/callback?code=x&state=y", "GET", "X: " + "y" * 10_000):
            writer.write(bytes([octet]))
            await writer.drain()
            with _waits():
                answer = await asyncio.wait_for(reader.read(64), 0.05)
                words = answer.split()
                return words[1].decode() if len(words) > 1 else "closed"
        return "never answered"
    finally:
        writer.transport.abort()


class _waits:  # noqa: N801  reads as a statement
    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, TimeoutError)


async def _stays_silent(target: Target, number: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    try:
        if number % 2:
            writer.write(b"GET /callback?code=half-a-request HTTP/1.1\r\nHo")
        return "let go" if await reader.read(64) == b"" else "answered"
    finally:
        writer.transport.abort()


async def _resets(target: Target, number: int) -> str:
    one = socket.create_connection(("127.0.0.1", target.port), PATIENCE)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.send(b"GET /callback?code=x&state=y HTT")
    one.close()
    return "sent"


_KINDS: dict[str, tuple[int, Attack]] = {
    "wrong state": (4, sends(lambda t, n: t.request(t.callback(state=f"guess-{n}")))),
    "no state": (2, sends(lambda t, n: t.request(t.callback(state=None)))),
    "state twice": (2, sends(lambda t, n: t.request(t.callback(state=[t.state, t.state])))),
    "code twice": (2, sends(lambda t, n: t.request(t.callback(code=["a", "b"])))),
    "wrong issuer": (2, sends(lambda t, n: t.request(t.callback(iss="https://evil.test")))),
    "no issuer": (2, sends(lambda t, n: t.request(t.callback(iss=None)))),
    "error, wrong state": (
        4,
        sends(lambda t, n: t.request(t.callback(code=None, state="x", error="access_denied"))),
    ),
    "error, wrong issuer": (
        2,
        sends(lambda t, n: t.request(t.callback(code=None, iss="https://e", error="x"))),
    ),
    "nothing said": (2, sends(lambda t, n: t.request("/callback"))),
    "posted, wrong state": (
        2,
        sends(
            lambda t, n: (
                t.request(
                    "/callback",
                    "POST",
                    "Content-Type: application/x-www-form-urlencoded",
                    "Content-Length: 14",
                )
                + b"code=a&state=b"
            )
        ),
    ),
    "posted JSON": (
        2,
        sends(
            lambda t, n: (
                t.request(
                    "/callback", "POST", "Content-Type: application/json", "Content-Length: 2"
                )
                + b"{}"
            )
        ),
    ),
    "foreign Host": (
        4,
        sends(lambda t, n: t.request(t.callback(), host=f"rebound.evil.test:{t.port}")),
    ),
    "wrong path": (4, sends(lambda t, n: t.request(f"/x{n}/callback?code=a"))),
    "favicon": (4, sends(lambda t, n: t.request("/favicon.ico"))),
    "HEAD": (4, sends(lambda t, n: t.request(t.callback(), "HEAD"))),
    "OPTIONS": (4, sends(lambda t, n: t.request(t.callback(), "OPTIONS"))),
    "PUT": (2, sends(lambda t, n: t.request(t.callback(), "PUT"))),
    "prefetch": (4, sends(lambda t, n: t.request(t.callback(), "GET", "Sec-Purpose: prefetch"))),
    "prerender": (
        2,
        sends(lambda t, n: t.request(t.callback(), "GET", "Sec-Purpose: prefetch;prerender")),
    ),
    "old prefetch": (2, sends(lambda t, n: t.request(t.callback(), "GET", "Purpose: prefetch"))),
    "1 MB header line": (2, sends(lambda t, n: t.request("/callback", "GET", "X: " + "y" * 2**20))),
    "1 MB request line": (2, sends(lambda t, n: t.request("/callback?" + "y" * 2**20))),
    "huge length": (
        2,
        sends(lambda t, n: t.request("/callback", "POST", "Content-Length: 99999999999999999")),
    ),
    "chunked": (
        2,
        sends(lambda t, n: t.request("/callback", "POST", "Transfer-Encoding: chunked")),
    ),
    "garbage": (4, sends(lambda t, n: bytes((n * 37 + i * i) % 256 for i in range(4096)))),
    "TLS hello": (
        2,
        sends(lambda t, n: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32),
    ),
    "HTTP/2 preface": (2, sends(lambda t, n: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
    "reset": (8, _resets),
}
_PARALLEL = sends(lambda t, n: t.request(t.callback(state=f"crowd-{n}")))
ANSWERS = {
    "wrong path": {"404"}, "favicon": {"404"}, "HEAD": {"405"}, "OPTIONS": {"405"}, "PUT": {"405"},
    "prefetch": {"503"}, "prerender": {"503"}, "old prefetch": {"503"},
    "1 MB header line": {"431", "reset"}, "1 MB request line": {"431", "reset"},
    "huge length": {"413"}, "reset": {"sent"},
}  # fmt: skip
"""What each kind may get; 400 where nothing is said."""


async def _campaign(target: Target, rounds: int, crowd: int) -> None:
    lingering = [
        asyncio.create_task(_counted(target, "slow drip", _drips, number)) for number in range(20)
    ] + [
        asyncio.create_task(_counted(target, "half open", _stays_silent, number))
        for number in range(40)
    ]
    try:
        for _ in range(rounds):
            await asyncio.gather(
                *(
                    _counted(target, name, attack, number)
                    for name, (count, attack) in _KINDS.items()
                    for number in range(count)
                )
            )
        await asyncio.gather(
            *(_counted(target, "parallel", _PARALLEL, number) for number in range(crowd))
        )
    finally:
        for one in lingering:
            one.cancel()
        await asyncio.gather(*lingering, return_exceptions=True)


async def _counted(target: Target, name: str, attack: Attack, number: int) -> None:
    counts = target.counts.setdefault(name, Counter())
    try:
        counts[await attack(target, number)] += 1
    except asyncio.CancelledError:
        counts["still there"] += 1
        raise
    except TimeoutError:
        counts["no answer"] += 1
    except OSError:
        counts["reset"] += 1


def besiege(target: Target, *, rounds: int = 1, crowd: int = 1000) -> None:
    """Every kind of caller at once, ``rounds`` times; then ``crowd`` of them in parallel."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, crowd + 1000), most))
    asyncio.run(_campaign(target, rounds, crowd))


def report(target: Target) -> str:
    """The counts, one kind a line."""
    lines = []
    for name, counts in target.counts.items():
        counted = ", ".join(f"{count} {got}" for got, count in counts.most_common())
        lines.append(f"  {name:<22} {counts.total():>6}   {counted}")
    total = sum(counts.total() for counts in target.counts.values())
    return "\n".join([*lines, f"  {'all':<22} {total:>6}"])
