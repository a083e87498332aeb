"""The stand-in: one HTTP server on a loopback port that is any number of providers, each for one client.

A provider keeps its own addresses: who signs in at ``https://idp.example/authorize`` asks the
stand-in for ``/1/idp.example/authorize`` (:meth:`Provider.here`). The HTTP client of a program and its
user (:class:`Visitor`) do so, and the settings of the program stay as they are. It is real HTTP on a
real port; only TLS and the look-up of names are left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit

import requests

from ...engine.errors import TransportUnavailable
from ...engine.secret import Secret
from ..endpoints import Reply
from ..loopback_server import LoopbackServer
from .messages import Asked
from .speaker import Speaker

if TYPE_CHECKING:
    from types import TracebackType

    from ...engine.ports import Notice
    from .dialect import Dialect

_PATIENCE = 20.0


class StandIn:
    """The server; a context manager that starts and stops it.

    Attributes:
        now: The clock of every provider.
    """

    def __init__(self, *, now: Callable[[], float]) -> None:
        """Listen nowhere yet."""
        self.now = now
        self._speakers: list[Speaker] = []
        self._http: LoopbackServer | None = None

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._http = LoopbackServer(handler)
        self._http.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._http is not None:
            self._http.stop()

    def speak(self, dialect: Dialect, **client: Any) -> Provider:
        """A provider that speaks ``dialect``, with a client of its own (:class:`.speaker.Speaker`)."""
        if self._http is None:
            raise RuntimeError("the stand-in does not run")
        self._speakers.append(Speaker(dialect, now=self.now, **client))
        place = f"http://{self._http.place}/{len(self._speakers)}"
        return Provider(self._speakers[-1], place)

    def answer(self, place: str, asked: Asked) -> Reply:
        """The answer of the provider at ``place``."""
        return self._speakers[int(place) - 1].answer(asked)


class Provider:
    """One provider of the stand-in.

    Attributes:
        speaker: What it keeps and complains of.
    """

    def __init__(self, speaker: Speaker, place: str) -> None:
        """The provider at ``place``."""
        self.speaker = speaker
        self._place = place

    def here(self, url: str) -> str:
        """Where the stand-in has ``url``."""
        scheme, mark, rest = url.partition("://")
        return f"{self._place}/{rest}" if (scheme, mark) == ("https", "://") else url


class Visitor:
    """A user with a browser and a terminal, who consents to everything.

    It is the browser, the conversation and the answers of a program at once. Where a page shows a code,
    it is pasted; where the browser is sent to a program that does not listen, its address is.

    Attributes:
        pages: The addresses that were opened.
        turned_away: Set once a page was a refusal, after which no browser comes back.
    """

    def __init__(self, provider: Provider, *, delivers: bool = True) -> None:
        """A user of ``provider``; ``delivers`` says whether the browser can reach the program."""
        self._provider = provider
        self._delivers = delivers
        self._pastes: list[str] = []
        self._codes: set[str] = set()
        self.pages: list[str] = []
        self.turned_away = threading.Event()

    def open(self, url: str) -> str | None:
        """Visit ``url`` and consent."""
        self.pages.append(url)
        page = requests.get(self._provider.here(url), allow_redirects=False, timeout=_PATIENCE)
        if page.status_code >= 400:
            self.turned_away.set()
        elif page.is_redirect and self._delivers:
            back = page.headers["Location"]
            threading.Thread(
                target=requests.get, args=(back,), kwargs={"timeout": _PATIENCE}, daemon=True
            ).start()
        elif page.is_redirect:
            self._pastes.append(page.headers["Location"])
        elif "<code>" in page.text:
            self._pastes.append(page.text.partition("<code>")[2].partition("</code>")[0])
        return None

    def show(self, notice: Notice) -> None:
        """Enter a code that is shown, and visit an address that no browser opened."""
        if notice.user_code is not None:
            if notice.user_code not in self._codes and notice.url is not None:
                self._codes.add(notice.user_code)
                address = self._provider.here(notice.url)
                told = {"user_code": notice.user_code}
                requests.get(address, params=told, timeout=_PATIENCE)
        elif notice.url is not None and not notice.opened and notice.url not in self.pages:
            self.open(notice.url)

    def read(self, seconds: float) -> Secret | None:
        """What was copied.

        Raises:
            TransportUnavailable: Nothing was: no page showed anything to copy.
        """
        del seconds
        if not self._pastes:
            raise TransportUnavailable("the user has nothing to paste")
        return Secret(self._pastes.pop(0))

    def fileno(self) -> int | None:
        """Nothing to wait on."""
        return None

    def close(self) -> None:
        """Nothing to give back."""


class _Handler(BaseHTTPRequestHandler):
    stand_in: ClassVar[StandIn]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        parts = urlsplit(self.path)
        place, _, where = parts.path.removeprefix("/").partition("/")
        headers: Mapping[str, str] = {k.lower(): v for k, v in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        asked = Asked(self.command, f"https://{where}", query, body, headers)
        reply = self.stand_in.answer(place, asked)
        octets = str(reply.body).encode()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815  the base's names

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The ``Date`` header by the stand-in's own clock."""
        return super().date_time_string(self.stand_in.now() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Write nothing."""
