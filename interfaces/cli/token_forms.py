"""The forms in which a token is printed, each by the quoting rules of its reader.

Each shell has quoting rules of its own, and an access token may hold any printable ASCII character
(RFC 6749 appendix A.12). What one shell reads as text, another runs as a command.

``stayfast token`` prints by this module, whichever way it found the token, so this loads nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCROLLBACK_NOTE = "note: a secret, now in your scrollback\n"
"""What standard error says after a token on a terminal."""
# what shlex.quote leaves as it is; to load shlex takes longer than to read the token
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")
_QUOTES = ("'", "\u2018", "\u2019", "\u201a", "\u201b")


def text_of(form: str, secret: str) -> str:
    """``secret`` in the form ``raw``, ``header``, ``env``, ``fish`` or ``powershell``."""
    if form == "env":
        return f"export ACCESS_TOKEN={quoted_for_sh(secret)}"
    if form == "fish":
        return f"set -gx ACCESS_TOKEN {quoted_for_fish(secret)}"
    if form == "powershell":
        return f"$env:ACCESS_TOKEN = {quoted_for_powershell(secret)}"
    return secret if form == "raw" else f"Authorization: Bearer {secret}"


def json_of_token(
    *,
    provider: str,
    account: str,
    token: str,
    token_type: str,
    expires_at: float | None,
    scopes: Sequence[str],
    api_url: str | None,
) -> str:
    """The line of JSON with a token and what is known of it."""
    from ...engine.moments import timestamp  # noqa: PLC0415  the other forms need no calendar

    return json_of_members(
        {
            "provider": provider,
            "account": account,
            "access_token": token,
            "token_type": token_type,
            "expires_at": timestamp(expires_at),
            "scopes": list(scopes),
            **({"api_url": api_url} if api_url is not None else {}),
        }
    )


def json_of_members(members: Mapping[str, object]) -> str:
    """As :func:`json_of_token`, for a token of which less is known."""
    from ..json_text import document_of  # noqa: PLC0415  the other forms need no JSON

    return document_of("token/1", members)


def quoted_for_sh(text: str) -> str:
    """``text`` as one word of a POSIX shell, as :func:`shlex.quote` writes it."""
    if text and _PLAIN.issuperset(text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


def quoted_for_fish(text: str) -> str:
    """``text`` as one word of fish, where a backslash escapes inside single quotes too."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted_for_powershell(text: str) -> str:
    """``text`` as one string of PowerShell, which takes U+2018 to U+201B for single quotes too."""
    for quote in _QUOTES:
        text = text.replace(quote, quote * 2)
    return f"'{text}'"
