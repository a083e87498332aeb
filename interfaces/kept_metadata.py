"""Published metadata, kept whole for as long as the server says, and read again when something fails.

What a server publishes about itself is asked for before every login that needs it. It is kept by
issuer, sealed beside the logins, as it came: so a later version can read members that this one does
not know. A copy ends by ``Cache-Control: max-age``, within bounds, or after an hour; and at once when
a login or a refresh at that issuer meets an endpoint or a key that does not work, because the server
may have moved.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from ..engine import cbor
from ..engine.audit.events import Outcome
from ..engine.errors import StorageError
from ..engine.ports import HttpResponse
from ..engine.reasons import Reason

if TYPE_CHECKING:
    from ..engine.audit.events import Recorded
    from ..engine.oauth.metadata import ServerMetadata
    from ..engine.ports import Clock, Http, HttpRequest
    from ..engine.record import Login
    from ..storage.capabilities import SealedEntries

LIFETIME: Final = 3600.0
"""Seconds that a copy serves where the server does not say."""
_LEAST: Final = 60.0
_MOST: Final = 86400.0
_AGE: Final = re.compile(r"(?:^|,)\s*(?:s-)?max-age\s*=\s*\"?(\d{1,9})\"?\s*(?:,|$)", re.IGNORECASE)
_NEVER: Final = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\b", re.IGNORECASE)
_GONE: Final = frozenset({301, 302, 307, 308, 404, 405, 410, 501})
_SUSPICIOUS: Final = frozenset(
    {Reason.NETWORK, Reason.ID_TOKEN_KEY_UNKNOWN, Reason.ID_TOKEN_SIGNATURE, Reason.ID_TOKEN_ISSUER}
)
_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """The metadata of one issuer as they were read.

    Attributes:
        read_at: When, POSIX seconds.
        ends_at: Until when they serve, POSIX seconds.
        pages: What each place answered: status, content type and body.
    """

    read_at: float
    ends_at: float
    pages: dict[str, tuple[int, str, bytes]]


class _Recorder:
    """Answers from a copy where that has the place, and keeps what it had to ask for."""

    def __init__(self, http: Http, copy: KeptCopy | None) -> None:
        self._http = http
        self._copy = copy
        self.asked: dict[str, HttpResponse] = {}

    def send(self, request: HttpRequest) -> HttpResponse:
        page = self._copy.pages.get(request.url) if self._copy else None
        if page is not None and self._copy is not None:
            status, kind, body = page
            headers = {"content-type": kind}
            return HttpResponse(
                status=status, headers=headers, body=body, received_at=self._copy.read_at
            )
        response = self._http.send(request)
        self.asked[request.url] = response
        return response


class KeptMetadata:
    """Asks for published metadata, and keeps them."""

    def __init__(self, entries: SealedEntries | None, http: Http, clock: Clock) -> None:
        """Keep copies in ``entries``; without a place for them each is asked for anew."""
        self._entries = entries
        self._http = http
        self._clock = clock

    def discover(
        self,
        issuer: str,
        *,
        inserted_first: bool = False,
        http: Http | None = None,
        template: str | None = None,
        pkce: bool = True,
    ) -> ServerMetadata:
        """As :func:`stayfast.engine.oauth.metadata.discover`, from a copy that still serves.

        Args:
            issuer: The issuer identifier.
            inserted_first: See there.
            http: What asks, instead of the usual one.
            template: See there.
            pkce: See there.

        Raises:
            ConfigInvalid, NetworkError, ProviderError: See there.
        """
        from ..engine.oauth.metadata import discover  # noqa: PLC0415  a refresh asks for none

        copy = self.copy(issuer)
        now = self._clock.now()
        fresh = copy if copy is not None and copy.read_at <= now < copy.ends_at else None
        recorder = _Recorder(http or self._http, fresh)
        found = discover(
            recorder, issuer, inserted_first=inserted_first, template=template, pkce=pkce
        )
        if recorder.asked:
            self._keep(issuer, fresh, recorder.asked)
        return found

    def copy(self, issuer: str) -> KeptCopy | None:
        """The copy of the metadata of ``issuer``, even one that has ended; ``None`` without one."""
        value = self._entries.entry(_name(issuer)) if self._entries else None
        if value is None:
            return None
        try:
            members = cast("dict[str, Any]", cbor.decode_map(value))
            if members["schema"] != _SCHEMA:
                return None
            pages = {url: (page[0], page[1], page[2]) for url, page in members["pages"].items()}
            return KeptCopy(float(members["read_at"]), float(members["ends_at"]), pages)
        except (cbor.CborError, KeyError, TypeError, ValueError, IndexError, AttributeError):
            return None

    def published(self, issuer: str, template: str | None = None) -> ServerMetadata | None:
        """What the copy says, without a request; ``None`` without one."""
        from ..engine.oauth.metadata import discover  # noqa: PLC0415  as above

        copy = self.copy(issuer)
        if copy is None:
            return None
        with suppress(Exception):  # a copy that cannot be read any more is none
            return discover(_Recorder(_Nobody(), copy), issuer, template=template, pkce=False)
        return None

    def forget(self, issuer: str) -> None:
        """Ask anew the next time.

        Raises:
            StorageError: The copy could not be removed.
        """
        if self._entries is not None and self._entries.entry(_name(issuer)) is not None:
            self._entries.put_entry(_name(issuer), None)

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """See :class:`stayfast.engine.ports.Observer`: forget what an endpoint or a key belies."""
        del login
        for one in recorded:
            members = one.members
            issuer, outcome = members.get("issuer"), members.get("outcome")
            failed = outcome in {Outcome.FAILURE, Outcome.UNKNOWN}
            belied = members.get("http_status") in _GONE or members.get("reason") in _SUSPICIOUS
            if isinstance(issuer, str) and belied and (failed or members.get("http_status")):
                with suppress(StorageError):
                    self.forget(issuer)

    def _keep(self, issuer: str, fresh: KeptCopy | None, asked: dict[str, HttpResponse]) -> None:
        lifetime = min((lifetime_of(one) for one in asked.values()), default=LIFETIME)
        if self._entries is None or lifetime <= 0:
            return
        now = self._clock.now()
        pages = dict(fresh.pages) if fresh else {}
        for url, response in asked.items():
            if response.status in {200, 404, 410}:
                kind = response.headers.get("content-type", "")
                pages[url] = (response.status, kind, response.body)
        ends = min(now + lifetime, fresh.ends_at) if fresh else now + lifetime
        members: dict[str, Any] = {
            "schema": _SCHEMA,
            "read_at": float(fresh.read_at if fresh else now),
            "ends_at": float(ends),
            "pages": {url: list(page) for url, page in pages.items()},
        }
        with suppress(StorageError):  # they serve this time all the same
            self._entries.put_entry(_name(issuer), cbor.encode(members))


def lifetime_of(response: HttpResponse) -> float:
    """Seconds that an answer may be kept (RFC 9111 §5.2.2), within our bounds; 0: not at all."""
    said = response.headers.get("cache-control", "")
    if _NEVER.search(said):
        return 0.0
    age = _AGE.search(said)
    return LIFETIME if age is None else min(max(float(age[1]), _LEAST), _MOST)


class _Nobody:
    """An ``Http`` that asks nobody: for a copy alone."""

    def send(self, request: HttpRequest) -> HttpResponse:
        del request
        return HttpResponse(status=404, headers={}, body=b"", received_at=0.0)


def _name(issuer: str) -> str:
    return f"metadata {issuer}"
