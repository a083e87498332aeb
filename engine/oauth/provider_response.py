"""A provider's HTTP answer, read: members, or an error that says whether it settles the matter.

:class:`~stayfast.engine.errors.ProviderError` is a definite no. Everything that does not settle
the matter (no page of JSON, a proxy's HTML, 5xx, 429) is a
:class:`~stayfast.engine.errors.NetworkError`: whatever was sent is as good as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from ..errors import NetworkError, ProviderError
from .callback import quotable

if TYPE_CHECKING:
    from ..ports import HttpResponse

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}\Z")
_WHITE: Final = re.compile(r"\s")
_PASSING: Final = frozenset({"server_error", "temporarily_unavailable", "slow_down"})
_REFUSING: Final = frozenset({400, 401, 403})
_LATER: Final = frozenset({408, 425, 429})


def read_members(response: HttpResponse) -> dict[str, Any] | None:
    """The members of a JSON object or of a form, whatever the answer calls itself; else ``None``.

    Providers label JSON as text, and forms as JSON, so both are tried (an HTML page is neither).
    """
    text = response.body.decode("utf-8", "replace").strip()
    if text[:1] in {"{", "["}:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", value) if isinstance(value, dict) else None
    if "=" not in text or text[:1] == "<" or _WHITE.search(text):
        return None
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return None


def judge(response: HttpResponse, asked: str) -> dict[str, Any]:
    """The members of a successful answer.

    Args:
        response: The answer.
        asked: What it answers, for messages: ``token request``.

    Raises:
        ProviderError: A definite no: an OAuth error, or 400, 401 or 403 without a readable one.
        NetworkError: The matter is not settled.
    """
    members = read_members(response)
    code = error_code(members) if members is not None else None
    settled = response.status // 100 in {2, 4} and response.status not in _LATER
    if code is not None and code not in _PASSING and settled:
        raise ProviderError(
            f"the provider refused the {asked}: {_described(code, members or {})}",
            oauth_error=code,
            status=response.status,
        )
    if code is None and response.status in _REFUSING:
        raise ProviderError(
            f"the provider refused the {asked} without saying why (HTTP {response.status})",
            status=response.status,
        )
    if 200 <= response.status < 300 and members is not None and code is None:
        return members
    raise NetworkError(_unsettled(response, asked, code), hint="try again in a while")


def error_code(members: Mapping[str, Any]) -> str | None:
    """The OAuth error code in ``members``, if they report an error.

    Slack's ``ok: false`` and lists of ``errors`` count; text that is no code becomes
    ``invalid_response``, so that nothing of an answer's body gets into a log.
    """
    error = members.get("error")
    errors: object = members.get("errors")
    if isinstance(error, dict):  # {"error": {"code": …}} and its relatives
        nested = cast("dict[str, object]", error)
        error = nested.get("type") or nested.get("status") or nested.get("code") or "error"
    if error is None and members.get("ok") is False:
        error = "error"
    if error is None and isinstance(errors, list) and errors and "access_token" not in members:
        first = cast("list[object]", errors)[0]
        error = (
            cast("dict[str, object]", first).get("errorType") if isinstance(first, dict) else first
        )
    if error is None or error in (False, ""):
        return None
    well_formed = isinstance(error, str) and _CODE.match(error) and quotable(error) == error
    return cast("str", error) if well_formed else "invalid_response"


def server_date(response: HttpResponse) -> float | None:
    """The provider's clock, from the ``Date`` header (RFC 9110 §6.6.1), POSIX seconds."""
    try:
        return parsedate_to_datetime(response.headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError, TypeError):
        return None


def _described(code: str, members: Mapping[str, Any]) -> str:
    description = members.get("error_description")
    said = quotable(description) if isinstance(description, str) else None
    return f"{code} ({said})" if said else code


def _unsettled(response: HttpResponse, asked: str, code: str | None) -> str:
    status = response.status
    if status == 429:
        return f"the provider asks for fewer requests (HTTP 429) and did not answer the {asked}"
    if status >= 500 or code is not None:
        return f"the provider is having trouble (HTTP {status}) and did not answer the {asked}"
    if 300 <= status < 400:
        return f"the provider's endpoint sent us elsewhere (HTTP {status}) for the {asked}"
    if not response.body.strip():
        return f"the provider sent an empty answer (HTTP {status}) to the {asked}"
    if response.body.lstrip()[:1] == b"<":
        return f"a web page came back (HTTP {status}) instead of an answer to the {asked}"
    return f"the answer to the {asked} cannot be read (HTTP {status})"
