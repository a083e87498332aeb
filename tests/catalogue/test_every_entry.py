"""Every entry of the catalogue, by every way that it names, from the sign-in to the sign-out.

Each is tried on a stand-in that speaks what its provider documents, over real ports: the entry stays as it
is shipped, addresses and all. The stand-in refuses what a provider would refuse, and complains of
what is documented nowhere.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from answers_of_providers import covered, documented
from stayfast import Failure, OAuthService, Success
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.catalogue.entry import Entry, entry, entry_names
from stayfast.interfaces.catalogue.shipped import made_provider
from stayfast.interfaces.couriers import InlineCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing.dialects import Dialect, Provider, StandIn, Visitor
from stayfast.transports.loopback.redirect import redirect_of

_SECRETS = {"never": (False,), "always": (True,), "optional": (False, True)}


class LeapingClock:
    """The real time, but a sleep takes none."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> float:
        return time.time() + self._slept

    def monotonic(self) -> float:
        return time.monotonic() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds


@dataclass(frozen=True)
class Case:
    """An entry, a way to sign in, and whether its client has a secret."""

    name: str
    via: str
    secret: bool

    def __str__(self) -> str:
        return f"{self.name}-{self.via}{'-secret' if self.secret else ''}"


def possible() -> list[Entry]:
    """The entries that somebody can sign in to."""
    return [one for one in map(entry, entry_names()) if not one.about.impossible]


AWAITED: dict[tuple[str, str], str] = {}
"""What a setting says without an effect until now."""


def cases() -> list[Any]:
    """Every entry, by every way that it names, with and without a secret."""
    found: list[Any] = []
    for one in possible():
        for via in one.about.ways:
            by_code = {"loopback": (via != "device",)}
            for secret in (_SECRETS | by_code)[one.about.secret]:
                reason = AWAITED.get((one.name, via))
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                case = Case(one.name, via, secret)
                found.append(pytest.param(case, id=str(case), marks=marks))
    return found


@pytest.fixture(scope="module")
def clock() -> LeapingClock:
    """The clock of the program and of the providers."""
    return LeapingClock()


@pytest.fixture(scope="module")
def stand_in(clock: LeapingClock) -> Iterator[StandIn]:
    """One server for all entries."""
    with StandIn(now=clock.now) as running:
        yield running


class LedThere(RequestsHttp):
    """The HTTP client of a program, led to a provider of the stand-in."""

    def __init__(self, provider: Provider, **settings: Any) -> None:
        """Lead requests to ``provider``; the rest is as for :class:`RequestsHttp`."""
        super().__init__(**settings)
        self._provider = provider

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer of the stand-in."""
        return super().send(replace(request, url=self._provider.here(request.url)))


class Signing:
    """A program and its user, at the provider of one case."""

    def __init__(self, case: Case, stand_in: StandIn, clock: LeapingClock, **settings: Any) -> None:
        one, values = entry(case.name), covered()[case.name][1]
        self.dialect: Dialect = documented(case.name)
        blanks = {name: values[name] for name in one.templates if name in values}
        provider = made_provider(case.name, {**one.filled(blanks), **settings})
        self.client: dict[str, str] = {"client_id": "the-client"}
        if case.secret:
            self.client["client_secret"] = "the-secret"
        if ":57548" in provider.redirect_uri:  # the port is the user's choice
            address = provider.redirect_uri.replace(":57548", f":{free_port()}")
            provider = replace(provider, redirect_uri=address)
        self.provider = provider
        registered = provider.redirect_uri
        if not registered.startswith(("https:", "urn:")):
            redirect = redirect_of(provider.to_config("the-client"))
            port = redirect.ports[0]
            registered = redirect.address(port) if port else registered.replace(":0", "", 1)
        standing = stand_in.speak(
            self.dialect,
            redirect_uri=registered if provider.sends_redirect_uri else None,
            **self.client,
        )
        self.there = standing.speaker
        self.user = Visitor(standing, delivers=case.via == "loopback")
        self.storage = MemoryStorage()
        self.service = OAuthService(
            assembly=Assembly(
                self.storage,
                Catalogue(None, environ={}, providers={case.name: provider}),
                http=LedThere(standing, clock=clock),
                clock=clock,
                courier=InlineCourier(),
                environ={},
            ),
            browser=self.user,
            conversation=self.user,
            answers=lambda: self.user,
        )
        self.case = case

    def sign_in(self) -> Any:
        """Sign in; a complaint of the provider comes first, because it says why."""
        # a code is polled for by a clock that leaps; a listener waits by the real one
        seconds = 900 if self.case.via == "device" else 10
        answer = self.service.authenticate(
            self.case.name, via=self.case.via, timeout=seconds, **self.client
        )
        self.require_content()
        return answer

    def tokens(self) -> OAuthTokens:
        """The tokens as they are stored."""
        found = self.service.get_tokens(self.case.name)
        assert isinstance(found, Success), found
        return found.value

    def require_content(self) -> None:
        """Make sure that the provider has nothing to complain of."""
        assert self.there.complaints == []

    @property
    def grant(self) -> Any:
        """What the provider granted last."""
        return self.there.grants[-1]


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("case", cases())
def test_an_entry_signs_in_refreshes_and_signs_out(
    case: Case, stand_in: StandIn, clock: LeapingClock
) -> None:
    """The provider has nothing to complain of, each token is the one it sent, and none is left."""
    at = Signing(case, stand_in, clock)
    answer = at.sign_in()
    assert isinstance(answer, Success), answer
    tokens = at.tokens()
    assert tokens.access_token == at.grant.access_tokens[-1]
    assert tokens.refresh_token == at.grant.refresh_token

    if at.grant.refresh_token is not None:
        refreshed = at.service.refresh_tokens(case.name)
        at.require_content()
        assert isinstance(refreshed, Success), refreshed
        assert at.grant.refreshed == 1
        assert refreshed.value.access_token == at.grant.access_tokens[1]
        assert refreshed.value.refresh_token == at.grant.refresh_token

    ended = at.service.sign_out(case.name)
    at.require_content()
    assert isinstance(ended, Success), ended
    assert ended.value.signed_in
    if at.dialect.revoke.url:
        assert at.grant.ended, "nothing was revoked"
        if at.dialect.revoke.kinds == ("access_token", "refresh_token"):
            assert at.grant.tokens == set()
    assert isinstance(at.service.get_tokens(case.name), Failure)


@pytest.mark.parametrize("one", possible(), ids=lambda one: one.name)
def test_an_entry_has_a_documented_dialect(one: Entry) -> None:
    """No entry ships that was tried on nothing."""
    assert one.name in covered()
    assert one.about.source
    assert one.about.checked
    assert one.about.ways


def test_no_dialect_is_left_over() -> None:
    """What is documented in a file is of an entry that ships."""
    assert set(covered()) <= {one.name for one in possible()}
