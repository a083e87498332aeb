"""HTTP to a provider: one request, one bounded answer, every failure as one sentence.

TLS is always verified, no redirect is followed, nothing is tried twice, no cookie is kept and no
``.netrc`` is read (requests would put its password over our own ``Authorization``). Proxies and
certificates come from the environment as with any other program, but nothing meant for this
machine goes through a proxy.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..engine.errors import ConfigInvalid, NetworkError, StayfastError
from ..engine.hints import Hint
from ..engine.oauth.addresses import loopback_host, secure_address
from ..engine.oauth.request_proofs import Prover
from ..engine.ports import HttpResponse
from ..storage.host import SystemClock, SystemRandomness
from ..storage.version import app_version
from .client_files import key_of, require_certificate
from .http_settings import proxy_for, trust_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from requests import Response, Session

    from ..engine.ports import Clock, HttpRequest

    Heard: TypeAlias = Callable[[HttpRequest, HttpResponse | NetworkError, float], None]

BODY_LIMIT: Final = 1024 * 1024
"""Octets of an answer that are read at most; token responses are a few thousand."""
_PIECE: Final = 16 * 1024
_IDLE: Final = (
    15.0  # seconds; a firewall drops an idle connection without a sign, and the next request hangs
)


class RequestsHttp:
    """Speaks to providers with requests; may be shared by threads, and used after a fork.

    Attributes:
        prover: Proves who sends a request.
        heard: Called with each request, its answer or failure, and the seconds it took.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        connect: float = 10.0,
        read: float = 20.0,
        total: float = 30.0,
        limit: int = BODY_LIMIT,
        certificates: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Set the bounds; open nothing yet.

        Args:
            clock: Dates the answers.
            connect: Seconds to reach one address of the provider.
            read: Seconds between two pieces of its answer.
            total: Seconds for all of it, the look-up of the name included.
            limit: Octets of a body.
            certificates: A file or directory of certificate authorities to trust instead of the
                usual ones; ``REQUESTS_CA_BUNDLE`` and ``SSL_CERT_FILE`` do the same.
            environ: Instead of the environment of the process.
        """
        self._clock: Clock = clock or SystemClock()
        self.prover: Final = Prover(self._clock, SystemRandomness(), key_of)
        self._timeout = (connect, read)
        self._total = total
        self._limit = limit
        self._certificates = certificates
        self._environ = os.environ if environ is None else environ
        self._sessions: dict[bool, Session] = {}
        self._session_of = 0
        self._last_use = 0.0
        self.heard: Heard | None = None

    def settings(self) -> dict[str, Any]:
        """What another process needs for a client that behaves like this one, by argument."""
        trust = trust_of(self._environ, self._certificates)
        return {
            "connect": self._timeout[0],
            "read": self._timeout[1],
            "total": self._total,
            "limit": self._limit,
            "certificates": os.path.abspath(trust.path) if trust else None,
        }

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer to ``request``, whatever its status.

        Raises:
            NetworkError: No answer, or one that is too large, too slow or cut off. The provider may
                have acted upon the request.
            ConfigInvalid: No secret may be sent to that address, or a key of the client cannot be
                used.
            ConfigMissing: A key of the client is not there.
            ProviderError: The request may go to the public network only, and its address leads
                elsewhere; nothing was sent.
        """
        if not secure_address(request.url):
            raise ConfigInvalid(
                f"{_named(request.url)} is not an https address",
                hint=Hint("provider list"),
            )
        if request.certificate is not None:
            require_certificate(*request.certificate)
        ready = self.prover.proved(request)
        call = _Call(lambda gone: self._exchange(ready, gone), self._total)
        began = time.monotonic()
        try:
            response = call.result(urlsplit(request.url).hostname or "")
        except NetworkError as error:
            self._tell(ready, error, began)
            raise
        self._tell(ready, response, began)
        self.prover.heard(request.url, response)
        return response

    def _tell(
        self, request: HttpRequest, answer: HttpResponse | NetworkError, since: float
    ) -> None:
        if self.heard is not None:
            self.heard(request, answer, time.monotonic() - since)

    def _exchange(self, request: HttpRequest, gone: Callable[[], bool]) -> HttpResponse:
        import requests  # noqa: PLC0415  90 ms that a cached token does not need

        host = urlsplit(request.url).hostname or ""
        headers = {
            "User-Agent": f"stayfast/{app_version()}",
            "Accept-Encoding": "identity",
            **request.headers,
        }
        # not through the session, which would add what .netrc says of this host
        prepared = requests.Request(
            request.method, request.url, headers=headers, data=request.body or None
        )
        try:
            ready = prepared.prepare()
        except (requests.RequestException, ValueError):
            raise ConfigInvalid(
                f"{_named(request.url)} is not an address", hint=Hint("provider list")
            ) from None
        session = self._open_session(public=request.public_only)
        # nothing meant for this machine goes through a proxy, which would call itself by that name
        proxy = None if loopback_host(host) else proxy_for(request.url, self._environ)
        trust = trust_of(self._environ, self._certificates)
        try:
            response = session.send(
                ready,
                stream=True,
                allow_redirects=False,
                timeout=self._timeout,
                verify=trust.path if trust else True,
                proxies={"all": proxy.address} if proxy else {},
                cert=_certificate(request),
            )
            with response:
                return self._received(response, host, gone)
        except StayfastError:
            raise
        # an exception of requests carries its request: the secret in it must not travel on; and
        # whatever it is (requests, urllib3, OSError, ValueError), there is no answer
        except Exception as error:  # noqa: BLE001  said above
            from .http_failure import explain  # noqa: PLC0415  ssl, for those who have an error

            raise explain(error, host, proxy, trust) from None

    def _received(self, response: Response, host: str, gone: Callable[[], bool]) -> HttpResponse:
        size = response.headers.get("Content-Length", "")
        if size.isascii() and size.isdigit() and int(size[:19]) > self._limit:
            raise _too_large(host, self._limit)
        body = bytearray()
        while piece := _next_piece(response.raw):
            body += piece
            if len(body) > self._limit:
                raise _too_large(host, self._limit)
            if gone():
                break
        return HttpResponse(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body),
            received_at=self._clock.now(),
        )

    def _open_session(self, *, public: bool) -> Session:
        """The session, or a fresh one after a fork or a pause.

        Two threads may make one each at the same moment, and one of them is forgotten: that is
        cheaper than a lock which a fork could leave locked for ever.
        """
        now = self._clock.monotonic()
        if self._session_of != os.getpid() or now - self._last_use > _IDLE:
            self._sessions = {}
            self._session_of = os.getpid()
        session = self._sessions.get(public)
        if session is None:
            session = self._sessions[public] = _new_session(public=public)
        self._last_use = now
        return session


class _Call:
    """Work in a thread of its own: a slow look-up of a name, or an answer that drips, cannot delay us."""

    def __init__(self, work: Callable[[Callable[[], bool]], HttpResponse], seconds: float) -> None:
        self._work = work
        self._seconds = seconds
        self._answer: HttpResponse | None = None
        self._error: BaseException | None = None
        self._gone = False
        self._thread = threading.Thread(target=self._run, name="stayfast-http", daemon=True)

    def _run(self) -> None:
        try:
            self._answer = self._work(lambda: self._gone)
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            self._error = error

    def result(self, host: str) -> HttpResponse:
        try:
            try:
                self._thread.start()
            except RuntimeError:  # the limit of processes: bounded by connect and read alone, then
                self._run()
            # join with a time-out asks the C library, which freezegun does not stop
            if self._thread.ident is not None:
                self._thread.join(self._seconds)
        finally:
            self._gone = True
        error, answer = self._error, self._answer
        if error is not None:
            raise error
        if answer is None:
            raise NetworkError(
                f"{host} did not finish its answer within {self._seconds:g} seconds",
                hint="try again in a while",
            )
        return answer


def _new_session(*, public: bool) -> Session:
    from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415  as requests itself

    import requests  # noqa: PLC0415  90 ms that a cached token does not need

    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    if public:
        from .public_connections import PublicAdapter  # noqa: PLC0415  as requests itself

        for scheme in ("https://", "http://"):
            session.mount(scheme, PublicAdapter())
    return session


def _certificate(request: HttpRequest) -> Any:
    """The client's certificate as requests wants it: one file, or a pair of them."""
    if request.certificate is None:
        return None
    file, key = request.certificate
    return (file, key) if key else file


def _next_piece(raw: Any) -> bytes:
    """The octets that have arrived; a full piece would let a slow sender hold us for ever."""
    read1 = getattr(raw, "read1", None)  # urllib3 2
    piece = read1(_PIECE, decode_content=True) if read1 else raw.read(1, decode_content=True)
    return bytes(piece)


def _too_large(host: str, limit: int) -> NetworkError:
    return NetworkError(
        f"the answer of {host} is larger than {limit // 1024} KiB, and was not read",
        hint=Hint("provider list"),
    )


def _named(url: str) -> str:
    """The part of ``url`` that people recognise it by: no query, which may hold secrets."""
    return repr(url.partition("?")[0][:120])
