"""What a person pastes, or a script pipes, read as callback parameters."""

from __future__ import annotations

import html
import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from .errors import CallbackRefused
from .reasons import Refusal

Parameters = list[tuple[str, str]]

_MARKERS: Final = re.compile(r"\x1b\[20[01]~")  # bracketed paste
_QUOTES: Final = "\"'`<>“”‘’"
_BARE: Final = re.compile(r"[A-Za-z0-9._~+/=%-]+\Z")
_LIMIT: Final = 64 * 1024
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def parse_callback(text: str, *, redirect_uri: str | None, shows_code: bool = False) -> Parameters:
    """The callback parameters in ``text``.

    Accepted: the whole address, the address without its scheme, its query alone, and the
    ``code#state`` some providers show. Quotes, white space, terminal paste markers and HTML's
    ``&amp;`` are tolerated.

    Args:
        text: What was pasted.
        redirect_uri: The redirect address of the login, whose host, port and path an address must
            have; ``None`` where it is not known. The three spellings of this machine
            (``127.0.0.1``, ``[::1]``, ``localhost``) count as one: a browser may show either.
        shows_code: Whether the provider shows a bare code, which then is accepted without a
            ``state``; the login it is for must be named by other means.

    Raises:
        CallbackRefused: It is none; ``reason`` says what it looks like instead.
    """
    cleaned = html.unescape("".join(_MARKERS.sub("", text[:_LIMIT]).split())).strip(_QUOTES)
    if not cleaned:
        raise _refused(Refusal.NOT_A_CALLBACK, "nothing was pasted")
    if "=" not in cleaned and "#" in cleaned:
        code, _, state = cleaned.partition("#")
        if _BARE.match(code) and _BARE.match(state):
            return [("code", code), ("state", state)]
    parts = _split(cleaned)
    if parts.netloc:
        _check_address(parts, redirect_uri)
    return _read_query(cleaned, parts, shows_code=shows_code)


def _split(cleaned: str) -> SplitResult:
    if re.match(r"https?://", cleaned, re.IGNORECASE):
        address = cleaned
    elif "/" in cleaned.partition("?")[0] and "?" in cleaned:  # 127.0.0.1:8080/callback?code=…
        address = "http://" + cleaned.lstrip("/")
    else:
        address = "?" + cleaned.lstrip("?&")
    try:
        return urlsplit(address)
    except ValueError as error:  # a bracket that does not close
        raise _refused(Refusal.NOT_A_CALLBACK, "that is not an address") from error


def _check_address(parts: SplitResult, redirect_uri: str | None) -> None:
    names = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if names & {"response_type", "code_challenge", "request_uri"}:
        raise _refused(
            Refusal.AUTHORIZATION_URL,
            "that is the sign-in address; paste the address you land on afterwards",
        )
    if redirect_uri is None:
        return
    wanted = urlsplit(redirect_uri)
    try:
        same = _place(parts) == _place(wanted)
    except ValueError:  # a port that is no number
        same = False
    if not same:
        raise _refused(
            Refusal.WRONG_ADDRESS,
            f"that is another address; the right one starts with {redirect_uri}?",
        )


def _place(parts: SplitResult) -> tuple[str, int | None, str]:
    host = (parts.hostname or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return ("local" if host in _LOCAL else host), port, parts.path or "/"


def _read_query(cleaned: str, parts: SplitResult, *, shows_code: bool) -> Parameters:
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in parameters}
    if "=" not in parts.query:
        if parts.fragment and "access_token=" in parts.fragment:
            raise _refused(
                Refusal.IMPLICIT_RESPONSE, "that address carries tokens, which nobody asked for"
            )
        if _BARE.match(cleaned) and not parts.netloc:
            return _bare_code(cleaned, shows_code=shows_code)
        raise _refused(Refusal.NOT_A_CALLBACK, "there is no answer in what was pasted")
    if "code" in names or "error" in names:
        if "state" not in names and not shows_code:
            raise _refused(
                Refusal.TRUNCATED,
                "the address is cut off (no state in it); copy it from the address bar",
            )
        return parameters
    raise _refused(Refusal.NOT_A_CALLBACK, "there is neither a code nor an error in that")


def _bare_code(cleaned: str, *, shows_code: bool) -> Parameters:
    if shows_code:
        return [("code", cleaned)]
    raise _refused(
        Refusal.BARE_CODE,
        "that looks like a code alone; without its state nobody can tell whose it is, "
        "so paste the whole address",
    )


def _refused(refusal: Refusal, message: str) -> CallbackRefused:
    return CallbackRefused(message, reason=refusal.value)
