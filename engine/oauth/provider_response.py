"""A provider's HTTP answer, read: members, or an error that says whether it settles the matter.

:class:`~stayfast.engine.errors.ProviderError` is a definite no. Everything that does not settle
the matter (an unreadable body, a proxy's HTML, 5xx, 429) is a
:class:`~stayfast.engine.errors.NetworkError`: what was sent is not given up. Whether the provider
acted on it is another question (:func:`may_hold_tokens`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from ..errors import NetworkError, ProviderError
from ..foreign_text import quotable
from ..hints import Hint
from ..secret import Secret
from .dialect import in_our_names, named_error
from .error_codes import ABOUT_CREDENTIALS, canonical, refuses

if TYPE_CHECKING:
    from ..ports import HttpResponse
    from .provider import OAuthConfig, OAuthProvider

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}\Z")
_WHITE: Final = re.compile(r"\s")
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_MARKS: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)  # a string, or a bracket
_UNREADABLE: Final = "invalid_response"
_TEXT_LIMIT: Final = 100  # digits of an integer: Python refuses to read thousands of them
_DEPTH: Final = 32
LONGEST_WAIT: Final = 3600.0
"""Seconds: a provider that asks for more must not keep a user from a login that is well again."""
_LATER: Final = frozenset({408, 425, 429})


def read_members(
    response: HttpResponse, provider: OAuthProvider | None = None
) -> dict[str, Any] | None:
    """The members of a JSON object or of a form, whatever the answer calls itself; else ``None``.

    Providers label JSON as text, and forms as JSON, so both are tried (an HTML page is neither).

    Args:
        response: The answer.
        provider: Whose answer it is, if that may have names of its own for the members
            (:mod:`.dialect`). What is returned has the names of the RFCs.
    """
    members = _members(response)
    return in_our_names(provider, members) if members is not None else None


def _members(response: HttpResponse) -> dict[str, Any] | None:
    """The members by the names they came with."""
    text = _text(response)
    if text[:1] in {"{", "["}:
        try:
            # not strict: a raw line end in a description must not cost the tokens beside it
            decoder = json.JSONDecoder(strict=False, parse_int=_integer)
            value, _ = decoder.raw_decode(_shallow(text))  # what follows the object is ignored
        except ValueError:
            return None
        return cast("dict[str, Any]", value) if isinstance(value, dict) else None
    if "=" not in text or text[:1] == "<" or _WHITE.search(text):
        return None
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return None


def _text(response: HttpResponse) -> str:
    """The body as text; a byte order mark says its encoding, else the named charset, else UTF-8."""
    body = response.body
    if body[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        encoding = "utf-16"
    else:
        named = _CHARSET.search(response.headers.get("content-type", ""))
        wide = named is not None and named[1].lower().startswith("utf-16")
        encoding = named[1] if wide and named is not None else "utf-8-sig"
    try:
        return body.decode(encoding, "replace").lstrip("\ufeff").strip()
    except LookupError:
        return body.decode("utf-8-sig", "replace").strip()


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _TEXT_LIMIT else float(digits)


def _shallow(text: str) -> str:
    """JSON with ``null`` for whatever is nested deeper than any member that is read here.

    The standard parser recurses, and a member nobody needs must not end in ``RecursionError``.
    """
    if text.count("[") + text.count("{") <= _DEPTH:
        return text
    kept: list[str] = []
    depth, start = 0, 0
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark in "[{":
            if depth == _DEPTH:
                kept += text[start : found.start()], "null"
            depth += 1
        elif mark in "]}":
            depth -= 1
            if depth == _DEPTH:
                start = found.end()
            if depth == 0:  # what follows the value is no part of it
                return "".join([*kept, text[start : found.end()]])
    return "".join(kept) if depth > _DEPTH else "".join([*kept, text[start:]])


def judge(response: HttpResponse, request: str, config: OAuthConfig | None) -> dict[str, Any]:
    """The members of a successful answer, by the names of the RFCs.

    Args:
        response: The answer.
        request: What it answers, for messages: ``token request``.
        config: Whose answer it is. The client secret, if one was sent, is in no message; some
            providers quote it.

    Raises:
        ProviderError: A definite no, which only a word that is known to refuse is (:mod:`.error_codes`).
        NetworkError: The matter is not settled. A page of a proxy, a gateway's JSON and an empty
            body are no refusal, whatever their status: what was sent is not given up.
    """
    secret = config.client_secret if config is not None else None
    members = read_members(response, config)
    code = error_code(members, secret=secret) if members is not None else None
    settled = response.status // 100 in {2, 4} and response.status not in _LATER
    if code is not None and refuses(code) and settled:
        raise ProviderError(
            f"the provider refused the {request}: {_described(code, members or {}, secret)}",
            oauth_error=code,
            status=response.status,
            hint=hint_of_refusal(config, code) if config is not None else None,
        )
    # a word beside a token that nobody knows as a refusal ("none", {}) takes nothing back
    granted = members is not None and (code is None or isinstance(members.get("access_token"), str))
    if response.status // 100 == 2 and members is not None and granted:
        return members
    raise NetworkError(_unsettled(response, request, code), hint="try again in a while")


def hint_of_refusal(config: OAuthConfig, code: str) -> Hint | None:
    """What to correct where ``code`` says that the client is not known; ``None`` of any other code.

    A client that registered itself has no setting to correct, nor has a server that is named by its address.
    """
    known = config.registration_url is None and "://" not in config.service_name
    if not known or canonical(code) not in ABOUT_CREDENTIALS:
        return None
    secret = ("--client-secret-file", "FILE") if config.client_secret else ()
    return Hint("provider edit", config.service_name, "--client-id", "ID", *secret)


def may_hold_tokens(response: HttpResponse, provider: OAuthProvider | None = None) -> bool:
    """Whether an answer that cannot be used reports success and may hold tokens all the same.

    A page, an empty body, an error and an object without a word of tokens hold none: they come
    from somebody on the way, or from a provider that has not acted.
    """
    text = _text(response)
    if response.status // 100 != 2 or not text or text[0] == "<":
        return False
    members = read_members(response, provider)
    return members is None or (error_code(members) is None and "token" in text.lower())


def error_code(members: Mapping[str, Any], *, secret: str | None = None) -> str | None:
    """The OAuth error code in ``members``, if they report an error.

    Text that is no code becomes ``invalid_response``, so that nothing of an answer's body gets into a
    log; and so does text that quotes the client ``secret``.
    """
    error = named_error(members)
    if error is None or error in (False, ""):
        return None
    if not isinstance(error, str) or not _CODE.match(error) or quotable(error) != error:
        return _UNREADABLE
    return _UNREADABLE if secret and secret in error else error


def retry_after(response: HttpResponse) -> float | None:
    """Seconds to wait before the next request, at most :data:`LONGEST_WAIT`, if the provider asks.

    ``Retry-After`` is a number of seconds or a date (RFC 9110 §10.2.3). A date is measured by the
    provider's own clock, where its answer shows it.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return (
            min(float(value), LONGEST_WAIT) if len(value) <= _TEXT_LIMIT else LONGEST_WAIT
        ) or None
    moment = _posix_of(value)
    if moment is None:
        return None
    wait = moment - (server_date(response) or response.received_at)
    return min(wait, LONGEST_WAIT) if wait > 0 else None


def server_date(response: HttpResponse) -> float | None:
    """The provider's clock, from the ``Date`` header (RFC 9110 §6.6.1), POSIX seconds."""
    return _posix_of(response.headers.get("date", ""))


def _posix_of(date: str) -> float | None:
    """A date of a header (RFC 9110 §5.6.7) in POSIX seconds; ``None`` if it is none."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  sockets, for those who ask

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _described(code: str, members: Mapping[str, Any], secret: str | None) -> str:
    description = members.get("error_description")
    if isinstance(description, str) and secret:
        description = description.replace(secret, str(Secret("")))
    said = quotable(description) if isinstance(description, str) else None
    return f"{code} ({said})" if said else code


def _unsettled(response: HttpResponse, request: str, code: str | None) -> str:
    status = response.status
    if status == 429:
        return f"the provider asks for fewer requests (HTTP 429) and did not answer the {request}"
    if status >= 500 or code is not None:
        said = "" if code in {None, _UNREADABLE} else f": {code}"
        return (
            f"the provider is having trouble (HTTP {status}{said}) and did not answer the {request}"
        )
    if 300 <= status < 400:
        return f"the provider's endpoint sent us elsewhere (HTTP {status}) for the {request}"
    if not response.body.strip():
        return f"the provider sent an empty answer (HTTP {status}) to the {request}"
    if response.body.lstrip()[:1] == b"<":
        return f"a web page came back (HTTP {status}) instead of an answer to the {request}"
    return f"the answer to the {request} cannot be read (HTTP {status})"
