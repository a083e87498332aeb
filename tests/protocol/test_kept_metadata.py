"""Published metadata are kept for as long as the server says, and read again when something fails."""

from __future__ import annotations

from typing import Any

import pytest
from instant import ManualClock
from logins import NOW, ORIGIN
from recorded import answer
from stayfast.engine.audit.events import Event, EventKind, Outcome, Recorded
from stayfast.engine.errors import NetworkError, ProviderError
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.interfaces.kept_metadata import LIFETIME, KeptMetadata, lifetime_of
from stayfast.storage import MemoryStorage

ISSUER = "https://login.acme.example"
PLACE = f"{ISSUER}/.well-known/oauth-authorization-server"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/a",
    "token_endpoint": f"{ISSUER}/t",
    "something_of_tomorrow": [1],
}


class Server:
    """Publishes one document, and counts who asks."""

    def __init__(self, **headers: str) -> None:
        self.asked: list[str] = []
        self.document: dict[str, Any] = DOCUMENT
        self.headers = headers
        self.away = False

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request.url)
        if self.away:
            raise NetworkError("out of reach")
        if request.url != PLACE:
            return answer(status=404)
        return answer(self.document, **self.headers)


def kept(server: Server, storage: Any = None) -> tuple[KeptMetadata, ManualClock]:
    clock = ManualClock(NOW)
    return KeptMetadata(storage or MemoryStorage(), server, clock), clock


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [
        (None, LIFETIME),
        ("public, max-age=600", 600),
        ("max-age=1", 60),
        ("max-age=99999999", 86400),
        ('max-age="300"', 300),
        ("no-store", 0),
        ("max-age=600, no-cache", 0),
        ("x-max-age=5", LIFETIME),
        ("max-age=-5", LIFETIME),
    ],
)
def test_a_copy_serves_as_long_as_the_server_says(said, lifetime):
    """Within a minute and a day; without a word an hour; with no-store not at all (RFC 9111)."""
    headers = {} if said is None else {"cache-control": said}
    assert lifetime_of(answer({}, **headers)) == lifetime
    server = Server(**headers)
    metadata, clock = kept(server)
    first = metadata.discover(ISSUER)
    asked = len(server.asked)
    assert metadata.discover(ISSUER) == first
    assert (len(server.asked) == asked) == (lifetime > 0)
    clock.sleep(lifetime + 1)
    server.document = {**DOCUMENT, "token_endpoint": f"{ISSUER}/moved"}
    assert metadata.discover(ISSUER).token_endpoint == f"{ISSUER}/moved"


def test_it_is_kept_whole_and_for_every_process():
    """Also what this version does not read, and the places that have nothing."""
    storage, server = MemoryStorage(), Server()
    kept(server, storage)[0].discover(ISSUER)
    asked = len(server.asked)
    again, _ = kept(server, storage)
    again.discover(ISSUER)
    assert len(server.asked) == asked
    copy = again.copy(ISSUER)
    assert copy is not None
    assert b"something_of_tomorrow" in copy.pages[PLACE][2]
    assert again.published(ISSUER) == again.discover(ISSUER)


@pytest.mark.parametrize(
    ("members", "forgotten"),
    [
        ({"outcome": Outcome.FAILURE, "http_status": 404}, True),
        ({"outcome": Outcome.FAILURE, "reason": "network"}, True),
        ({"outcome": Outcome.FAILURE, "reason": "id_token_key_unknown"}, True),
        ({"outcome": Outcome.FAILURE, "http_status": 400, "oauth_error": "invalid_grant"}, False),
        ({"outcome": Outcome.SUCCESS}, False),
    ],
)
def test_a_failing_endpoint_or_key_ends_a_copy(members, forgotten):
    """A server that has moved is asked again; one that only refuses is not."""
    server = Server()
    metadata, _ = kept(server)
    metadata.discover(ISSUER)
    event = Event(time=NOW, event=EventKind.TRANSITION, origin=ORIGIN, issuer=ISSUER, **members)
    metadata.observe([Recorded(1, event.members())], None)
    assert (metadata.copy(ISSUER) is None) == forgotten


def test_a_copy_of_another_issuer_or_another_version_is_none():
    """What cannot be read is asked for."""
    storage, server = MemoryStorage(), Server()
    metadata, _ = kept(server, storage)
    storage.put_entry(f"metadata {ISSUER}", b"\xa0")
    assert metadata.discover(ISSUER).issuer == ISSUER
    for broken in (b"", b"\xff", b"\xa1\x66schema\x02"):
        storage.put_entry(f"metadata {ISSUER}", broken)
        assert metadata.copy(ISSUER) is None


def test_what_is_no_metadata_is_not_kept():
    """A refusal is asked for again each time, and an old copy does not hide that a server is away."""
    server = Server()
    metadata, clock = kept(server)
    metadata.discover(ISSUER)
    clock.sleep(LIFETIME + 1)
    server.away = True
    with pytest.raises(NetworkError):
        metadata.discover(ISSUER)
    server.away, server.document = False, {"issuer": "https://evil.example"}
    for _ in range(2):
        with pytest.raises(ProviderError):
            metadata.discover(ISSUER)
