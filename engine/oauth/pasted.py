"""What a person pastes, or a script pipes, read as callback parameters."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..errors import CallbackRefused
from ..reasons import Refusal
from .addresses import loopback_host

Parameters = list[tuple[str, str]]

_LIMIT: Final = 64 * 1024
_FIELDS: Final = 100
_NOISE: Final = re.compile(r"\x1b\[20[01]~|[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ufeff]+")
"""Terminal paste markers, the line breaks of a narrow terminal, what word processors add unseen."""
_AMPERSAND: Final = re.compile(r"&(?:amp|#38|#x26);", re.IGNORECASE)
_QUOTES: Final = "\"'`<>()“”‘’«»"
_BUNDLE: Final = re.compile(r"(?!code=)([\w.~+/=%-]+)#(?:state=)?([\w.~+/=%-]+)\Z", re.ASCII)
_BARE: Final = re.compile(r"[\w.~+/%-]{8,}=*\Z", re.ASCII)
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_HOST: Final = re.compile(
    r"/{0,2}(localhost|\[[0-9a-f:]+\]|[\w.-]+(?=:\d)|[\w-]*\.[\w.-]*)(:\d*)?/"
)
"""Not any word before a slash: authorization codes have slashes in them too."""
_ASKS: Final = frozenset({"response_type", "code_challenge", "request_uri"})
_TOKENS: Final = frozenset({"access_token", "id_token", "refresh_token"})


def parse_callback(
    text: object, *, redirect_uri: str | None, shows_code: bool = False
) -> Parameters:
    """The callback parameters in ``text``.

    Accepted: the whole address, the address without its scheme, its query alone, and the
    ``code#state`` some providers show. Quotes, white space, terminal paste markers and HTML's
    ``&amp;`` are tolerated.

    Args:
        text: What was pasted. A web framework gives ``None`` where nothing came.
        redirect_uri: The redirect address of the login, whose host, port and path an address must
            have; ``None`` where it is not known. The spellings of this machine (``127.0.0.1``,
            ``[::1]``, ``localhost``) count as one: a browser may show either, and what is pasted
            has to carry this login's ``state`` in any case.
        shows_code: Whether the provider shows a bare code, which then is accepted without a
            ``state``; the login it is for must be named by other means.

    Raises:
        CallbackRefused: The text holds no answer; ``reason`` says what it looks like instead.
    """
    if not isinstance(text, str):
        raise _refused(Refusal.NOT_A_CALLBACK, "no address came back, and no query")
    cleaned = _AMPERSAND.sub("&", _NOISE.sub("", text[:_LIMIT])).strip(_QUOTES)
    if not cleaned:
        raise _refused(Refusal.NOT_A_CALLBACK, "nothing was pasted")
    bundle = _BUNDLE.match(cleaned)
    if bundle:
        return [("code", bundle[1]), ("state", bundle[2])]
    if shows_code and _BARE.match(cleaned):
        return [("code", cleaned)]
    parts = _split(cleaned, redirect_uri)
    parameters = _decoded(parts.query)
    names = {name for name, _ in parameters}
    if names & _ASKS:
        raise _refused(
            Refusal.AUTHORIZATION_URL,
            "that is the sign-in address; paste the address you land on afterwards",
        )
    if parts.scheme and redirect_uri is not None and not _same_place(parts, redirect_uri):
        raise _refused(
            Refusal.WRONG_ADDRESS,
            f"that is another address; the right one starts with {redirect_uri}?",
        )
    if names & {"code", "error"} and ("state" in names or shows_code):
        return parameters
    if "response" in names:  # signed, with all others in it (JARM §2.1)
        return parameters
    raise _refused(*_mistake(cleaned, parts, names))


def _split(cleaned: str, redirect_uri: str | None) -> SplitResult:
    """The address in ``cleaned``; one without a scheme if it is a query alone."""
    if _SCHEME.match(cleaned):
        address = cleaned
    elif _HOST.match(cleaned):  # 127.0.0.1:8080/callback?code=…
        address = f"{urlsplit(redirect_uri or '').scheme or 'http'}://{cleaned.lstrip('/')}"
    else:
        address = cleaned if cleaned[0] in "?#" else f"?{cleaned.lstrip('&')}"
    try:
        return urlsplit(address)
    except ValueError as error:  # a bracket that does not close
        raise _refused(Refusal.NOT_A_CALLBACK, "that is not an address") from error


def _decoded(query: str) -> Parameters:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise _refused(Refusal.NOT_A_CALLBACK, "that is far more than an answer") from error


def _same_place(parts: SplitResult, redirect_uri: str) -> bool:
    try:
        return _place(parts) == _place(urlsplit(redirect_uri))
    except ValueError:  # a port that is no number
        return False


def _place(parts: SplitResult) -> tuple[str, str, int | None, str]:
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    # a browser treats http://host and http://host/ alike; an app's own scheme may not
    scheme = "" if parts.scheme in {"http", "https"} else parts.scheme
    return scheme, "loopback" if loopback_host(host) else host, port, parts.path or "/"


def _mistake(cleaned: str, parts: SplitResult, names: set[str]) -> tuple[Refusal, str]:
    """What ``cleaned`` is, if it is no callback."""
    behind = {name for name, _ in _decoded(parts.fragment)}
    if (names | behind) & _TOKENS:
        return (
            Refusal.IMPLICIT_RESPONSE,
            "that address carries tokens, which were not asked for here",
        )
    if names & {"code", "error"}:
        return (
            Refusal.TRUNCATED,
            "the address is cut off (no state in it); copy it from the address bar",
        )
    if behind & {"code", "error"}:
        return (
            Refusal.IMPLICIT_RESPONSE,
            "the answer stands behind a # there, where it was not asked to be",
        )
    if parts.scheme or "state" in names:
        return (
            Refusal.TRUNCATED,
            "there is no answer in that address; copy it whole from the address bar",
        )
    if _BARE.match(cleaned):
        return (
            Refusal.BARE_CODE,
            "that looks like a code alone; paste the whole address, which says whose it is",
        )
    return Refusal.NOT_A_CALLBACK, "there is no answer in what was pasted"


def _refused(refusal: Refusal, message: str) -> CallbackRefused:
    return CallbackRefused(message, reason=refusal.value)
