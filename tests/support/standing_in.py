"""A program and its user at a provider of the stand-in, for one entry of the catalogue."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from answers_of_providers import covered, documented
from stayfast import OAuthService, Success
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.catalogue.entry import Entry, entry, entry_names
from stayfast.interfaces.catalogue.shipped import made_provider
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.interfaces.transport_maker import Via
from stayfast.storage import MemoryStorage
from stayfast.testing.dialects import Dialect, Provider, StandIn, Visitor
from stayfast.transports.loopback.redirect import redirect_of


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

    def __init__(
        self,
        case: Case,
        stand_in: StandIn,
        clock: LeapingClock,
        *,
        registers: bool = False,
        environ: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """Make them, with the client that somebody registered, or one that registers itself.

        With ``environ``, the program finds the client there.
        """
        one, values = entry(case.name), covered()[case.name][1]
        self.dialect: Dialect = documented(case.name)
        blanks = {name: values[name] for name in one.templates if name in values}
        provider = made_provider(case.name, {**one.filled(blanks), **settings})
        self.client: dict[str, Any] = {} if registers else {"client_id": "the-client"}
        if case.secret and not registers:
            self.client["client_secret"] = "the-secret"
        if self.dialect.redirect.ports == "exact":  # the port is the user's choice
            port = free_port()
            address = re.sub(r"^(http://[^/:]+):\d+", rf"\1:{port}", provider.redirect_uri)
            provider = replace(provider, redirect_uri=address, ports=(port,))
        self.provider = provider
        registered = provider.redirect_uri
        if not registered.startswith(("https:", "urn:")):
            redirect = redirect_of(provider.to_config("the-client"))
            first = redirect.ports[0]
            registered = redirect.address(first) if first else registered.replace(":0", "", 1)
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
                Catalogue(None, environ=environ or {}, providers={case.name: provider}),
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
        if environ is not None:
            self.client = {}

    def attempt(self) -> Any:
        """Sign in, if the provider lets anybody."""
        # a code is polled for by a clock that leaps; a listener waits by the real one
        seconds = 900 if self.case.via == "device" else 10
        cancel = self.user.turned_away if self.case.via == "loopback" else None
        return self.service.authenticate(
            self.case.name,
            via=cast("Via", self.case.via),
            timeout=seconds,
            cancel=cancel,
            **self.client,
        )

    def sign_in(self) -> Any:
        """Sign in; a complaint of the provider comes first, because it says why."""
        answer = self.attempt()
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
