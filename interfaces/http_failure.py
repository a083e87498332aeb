"""The failures of requests, urllib3 and the system, each as one sentence with what to do.

We never quote the message of a library: it may hold the address with its query, or a proxy's
password, and it means little to a user.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final

from ..engine.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .http_settings import Proxy, Trust

_UNREACHABLE: Final = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}
)
_LATER: Final = "try again in a while"
_LOOK: Final = "curl -v https://{host}/"
_TRUST: Final = "export REQUESTS_CA_BUNDLE=/path/to/your-authority.pem"
_STRICT: Final = "openssl s_client -x509_strict -connect {host}:443 </dev/null"
# the reasons of OpenSSL, of which Python names none (X509_V_ERR_…, openssl-verification-options(1))
_DATES: Final = frozenset({9, 10})  # CERT_NOT_YET_VALID, CERT_HAS_EXPIRED
_OTHER_NAME: Final = frozenset({62, 64})  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
_MALFORMED: Final = frozenset(range(79, 95))
"""INVALID_CA to EC_KEY_EXPLICIT_PARAMS: rules of RFC 5280 that Python checks from 3.13 on. To trust the authority does
not help then."""


def explain(
    error: BaseException, host: str, proxy: Proxy | None = None, trust: Trust | None = None
) -> NetworkError:
    """The error to raise for ``error``, without a quotation of it.

    Args:
        error: The exception of requests, urllib3 or the system.
        host: The provider's host.
        proxy: The proxy on the way, if there is one.
        trust: The certificates that replace the usual ones, if they are configured.
    """
    causes = list(_causes(error))
    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    if trust is not None and (_bad_bundle(causes, names) or "SSLError" in names):
        problem = trust.problem()
        if problem is not None:
            return problem
    if proxy is not None and _by_proxy(causes, names):
        return NetworkError(
            f"the proxy in {proxy.variable} did not let us through to {host}",
            hint=f"export {proxy.variable}=http://…",
        )
    for test, message, hint in _SENTENCES:
        if test(causes, names):
            found = NetworkError(message.format(host=host), hint=hint.format(host=host))
            found.sent = not _before_sending(causes, names)
            return found
    return NetworkError(f"no answer came from {host}", hint=_LATER)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and the errors behind it.

    requests and urllib3 put the original error into an argument, not into ``__cause__``, so both are
    followed. An error may contain itself; each is visited once.
    """
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def _certificate(codes: frozenset[int]) -> Callable[[list[BaseException], set[str]], bool]:
    return lambda causes, _: any(
        isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in codes
        for cause in causes
    )


def _of(*kinds: type[BaseException]) -> Callable[[list[BaseException], set[str]], bool]:
    return lambda causes, _: any(isinstance(cause, kinds) for cause in causes)


def _named(*kinds: str) -> Callable[[list[BaseException], set[str]], bool]:
    """Whether the class has that name. Importing requests and urllib3 for isinstance takes 90 ms."""
    return lambda _, names: bool(names & set(kinds))


def _unreachable(causes: list[BaseException], _: set[str]) -> bool:
    return any(isinstance(cause, OSError) and cause.errno in _UNREACHABLE for cause in causes)


def _before_sending(causes: list[BaseException], names: set[str]) -> bool:
    """Whether there was no connection, so that the provider cannot have acted upon the request."""
    made_none = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
    return (
        any(isinstance(cause, made_none) for cause in causes)
        or _unreachable(causes, names)
        or _bad_bundle(causes, names)
        or bool(names & {"ConnectTimeout", "ConnectTimeoutError", "NameResolutionError"})
    )


def _bad_bundle(causes: list[BaseException], names: set[str]) -> bool:
    """Whether the certificates cannot be read. requests raises a plain OSError then."""
    first = causes[0]
    return (
        type(first) in {OSError, FileNotFoundError}
        and "RequestException" not in names
        and "certificate" in str(first).lower()
    )


_by_proxy: Final = _named("ProxyError", "ProxySchemeUnknown", "InvalidProxyURL")

_SENTENCES: Final[tuple[tuple[Callable[[list[BaseException], set[str]], bool], str, str], ...]] = (
    (
        _bad_bundle,
        "the certificates that this Python trusts cannot be read",
        "pip install --force-reinstall certifi",
    ),
    (
        _certificate(_DATES),
        "the certificate of {host} is not valid at this time; is the clock of this machine right?",
        "date -u",
    ),
    (_certificate(_OTHER_NAME), "the certificate of {host} is that of another host", _LOOK),
    (
        _certificate(_MALFORMED),
        "the certificate of {host}, or of who issued it, breaks a rule that this Python checks (RFC 5280)",
        _STRICT,
    ),
    (_of(ssl.SSLCertVerificationError), "the certificate of {host} is not trusted here", _TRUST),
    (
        _of(socket.gaierror),
        "{host} was not found; is this machine on the network?",
        _LOOK,
    ),
    (_named("NameResolutionError"), "{host} was not found", _LOOK),
    (_of(ConnectionRefusedError), "{host} refused the connection", _LATER),
    (_unreachable, "{host} cannot be reached from this network", _LOOK),
    (
        _named("ConnectTimeout", "ConnectTimeoutError"),
        "{host} did not answer the connection in time",
        _LATER,
    ),
    (
        _named("ReadTimeout", "ReadTimeoutError"),
        "{host} did not answer in time; it may have acted all the same",
        _LATER,
    ),
    (_of(TimeoutError), "{host} did not answer in time", _LATER),
    (
        _named("SSLError"),
        "no secure connection to {host} could be made",
        _LOOK,
    ),
    (
        _named("ContentDecodingError", "DecodeError"),
        "the answer of {host} cannot be decompressed",
        _LATER,
    ),
    (
        _named(
            "ProtocolError",
            "ChunkedEncodingError",
            "IncompleteRead",
            "HTTPException",
            "ConnectionResetError",
            "BrokenPipeError",
        ),
        "the connection to {host} was cut off; it may have acted all the same",
        _LATER,
    ),
)
"""The tests with their sentences and hints. The first test that matches wins."""
