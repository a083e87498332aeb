"""An authorization server in the test's own process, on a loopback port.

It has what a client can meet at a real one: OpenID Connect discovery, authorization code with PKCE,
``iss`` in the callback, refresh rotation with reuse detection, the device grant, revocation,
introspection, ID tokens. It is as strict as the best of them, and :meth:`~AuthorizationServer.misbehave`
makes it as bad as the worst. Everything is in memory, and is gone when it stops.

::

    with AuthorizationServer() as server:
        config = server.config(scopes=("openid",))
        ...
        assert server.counts["token:refresh_token"] == 1
"""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Final, Self

from joserfc.jwk import ECKey, KeySet, RSAKey

from ..engine.oauth.provider import OAuthConfig
from .client_certificates import Authority, CertificateFiles
from .endpoints import Endpoints
from .loopback_server import LoopbackServer
from .misbehaviour.faults import Fault
from .request_handler import make_handler
from .server_state import Client, Seen, ServerState, Settings

__all__ = ["CLIENT_ID", "AuthorizationServer", "Settings"]

CLIENT_ID: Final = "stayfast-demo"


class AuthorizationServer:
    """The server; a context manager that starts and stops it.

    Attributes:
        issuer: Its issuer identifier.
        state: Its clients, codes, tokens and counts.
        settings: How it behaves. They may be replaced while it runs.
        secure_address: Where clients with a certificate find it, with the setting ``mtls``.
        authority: Issues certificates to clients, with that setting. Its own certificate, in the
            file ``authority.own.certificate``, is what they must trust.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        now: Callable[[], float] = lambda: time.time(),  # noqa: PLW0108  a test may replace time.time
        algorithm: str = "ES256",
        port: int = 0,
    ) -> None:
        """Make a server that is not running yet.

        Args:
            settings: How it behaves.
            now: Its clock, POSIX seconds.
            algorithm: The JWS algorithm of its ID tokens: ``ES256``, ``RS256`` or ``PS256``.
            port: Where it listens; a free port if it is 0.
        """
        self._port = port
        self.settings = settings or Settings()
        self.state = ServerState(now)
        self.state.clients[CLIENT_ID] = Client(CLIENT_ID)
        self._algorithm = algorithm
        self._key = _new_key(algorithm, 1)
        self._faults: list[tuple[str, Fault, int | None]] = []
        self._released = threading.Event()
        self._http: LoopbackServer | None = None
        self._endpoints: Endpoints | None = None
        self._secure: LoopbackServer | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._context: ssl.SSLContext | None = None
        self.authority: Authority | None = None
        self.secure_address: str | None = None
        self.issuer = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a loopback port, in a daemon thread.

        Raises:
            OSError: The port is taken, or may not be used.
        """
        self._http = LoopbackServer(port=self._port)
        self.issuer = f"http://{self._http.place}"
        self._endpoints = Endpoints(self, self._key)
        self._http.RequestHandlerClass = make_handler(self._endpoints)
        self._http.start()
        if self.settings.mtls:
            self._start_secure(self._http.RequestHandlerClass)

    def _start_secure(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Listen on another port for clients with a certificate (RFC 8705 §5)."""
        self._folder = tempfile.TemporaryDirectory()
        self.authority = Authority(self._folder.name)
        self._context, _ = self.authority.server_context()
        self._secure = LoopbackServer(handler)
        # the handshake comes with the first octet that a handler reads, in a thread of its own
        self._secure.socket = self._context.wrap_socket(
            self._secure.socket, server_side=True, do_handshake_on_connect=False
        )
        self.secure_address = f"https://{self._secure.place}"
        self._secure.start()

    def issue_certificate(self, name: str, *, self_signed: bool = False) -> CertificateFiles:
        """A certificate for the client ``name``, with the setting ``mtls``.

        Register the client with its ``subject``, or one that is ``self_signed`` with its
        ``thumbprint``, as its :attr:`~.server_state.Client.certificate`.

        Raises:
            LookupError: The server does not run, or runs without that setting.
        """
        if self.authority is None or self._context is None:
            raise LookupError(name)
        made = self.authority.issue(name, self_signed=self_signed)
        if self_signed:
            self._context.load_verify_locations(made.certificate)
        return made

    def stop(self) -> None:
        """Close the ports. A second call does nothing."""
        if self._secure is not None:
            self._secure.stop()
            self._secure = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        if self._http is not None:
            self._http.stop()
            self._http = None

    # --- for clients -----------------------------------------------------------------------------

    def config(self, **overrides: Any) -> OAuthConfig:
        """The configuration of this server and its public client, ready to sign in with.

        Args:
            overrides: Fields of :class:`~stayfast.OAuthConfig` with other values.
        """
        fields: dict[str, Any] = {
            "service_name": "demo",
            "display_name": "Demo",
            "client_id": CLIENT_ID,
            "issuer": self.issuer,
            "auth_url": f"{self.issuer}/authorize",
            "token_url": f"{self.issuer}/{self.settings.token_path}",
            "device_url": f"{self.issuer}/device_authorization",
            "revocation_url": f"{self.issuer}/revoke",
            "introspection_url": f"{self.issuer}/introspect",
            "jwks_url": f"{self.issuer}/jwks",
            "par_url": f"{self.issuer}/par",
            "par_required": self.settings.par_required,
            "userinfo_url": f"{self.issuer}/userinfo",
            "end_session_url": f"{self.issuer}/end_session" if self.settings.end_session else None,
            "scopes": ("openid", "offline_access"),
            "redirect_uri": "http://127.0.0.1:0/callback",
            "iss_required": self.settings.send_iss,
        }
        return OAuthConfig(**{**fields, **overrides})

    def add_client(self, client: Client) -> Client:
        """Register ``client``."""
        with self.state.lock:
            self.state.clients[client.client_id] = client
        return client

    def change(self, **settings: Any) -> None:
        """Change some settings while it runs."""
        self.settings = replace(self.settings, **settings)

    # --- for assertions --------------------------------------------------------------------------

    @property
    def counts(self) -> Counter[str]:
        """How often each thing happened.

        Endpoints by name (``authorize``, ``token``, …), grants as ``token:GRANT_TYPE``, and
        ``tokens`` issued, ``refresh_reuse``, ``code_reuse``, ``revoked``.
        """
        return self.state.counts

    @property
    def requests(self) -> list[Seen]:
        """Every request so far, without values."""
        return self.state.requests

    def misbehave(self, endpoint: str, fault: Fault, times: int | None = 1) -> None:
        """Let ``endpoint`` go wrong the next ``times``, or always with ``None``.

        Args:
            endpoint: Its name, as in :attr:`counts`; ``metadata`` for both well-known addresses;
                ``callback`` for the parameters that the browser brings back.
            fault: What goes wrong.
            times: How often, from now on.
        """
        self._released.clear()
        with self.state.lock:
            self._faults.append((endpoint, fault, times))

    def release(self) -> None:
        """Go on at once with what a ``SLOW`` or ``HANG`` holds back.

        A test then waits for what it must see in between, and not for a time that a busy machine
        may need longer for.
        """
        self._released.set()

    def hold(self, seconds: float) -> None:
        """Wait as a ``SLOW`` or ``HANG`` does: for ``seconds``, or until :meth:`release`."""
        self._released.wait(seconds)

    def behave(self) -> None:
        """Forget every fault."""
        with self.state.lock:
            self._faults.clear()

    def take_fault(self, endpoint: str, grant: str | None) -> Fault | None:
        """Take the next fault for ``endpoint``, or ``None``."""
        with self.state.lock:
            for place, (where, fault, times) in enumerate(self._faults):
                if where in _names(endpoint) and fault.grant in {None, grant}:
                    if times == 1:
                        del self._faults[place]
                    elif times is not None:
                        self._faults[place] = (where, fault, times - 1)
                    return fault
        return None

    def trust(self, other: AuthorizationServer) -> None:
        """Take the tokens and assertions that ``other`` has signed (RFC 8693, RFC 7523 §2.1)."""
        self.state.trusted[other.issuer] = other.published_keys()

    def rotate_key(self) -> None:
        """Sign with a new key from now on; the old one is no longer published."""
        number = int((self._key.kid or "demo-1").rpartition("-")[2]) + 1
        new = _new_key(self._algorithm, number)
        self._key = new
        if self._endpoints is not None:  # also for connections that are open
            self._endpoints.sign_with(new)

    def published_keys(self) -> dict[str, Any]:
        """The published key set (RFC 7517 §5)."""
        return dict(KeySet([self._key]).as_dict(private=False))


def _new_key(algorithm: str, number: int) -> ECKey | RSAKey:
    """The key that the server signs with after ``number`` keys."""
    kid = f"demo-{number}"
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": algorithm})
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": algorithm})


def _names(endpoint: str) -> set[str]:
    """The names that faults may know ``endpoint`` by."""
    return {endpoint, "metadata"} if endpoint.startswith(".well-known/") else {endpoint}
