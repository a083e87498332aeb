"""How long an access token can be used, by clocks that may be wrong, and when to refresh it.

This module is on the path of ``stayfast token``, so it imports nothing.
"""

from __future__ import annotations

JUMP = 60.0
"""Seconds by which a clock may be wrong without a warning."""

USUAL_BUFFER = 60.0
"""Seconds before its end at which a token counts as expired, where nobody asks for more."""
LONGEST = 100 * 365.25 * 86400
"""Seconds: what servers say that mean never (2⁶³ milliseconds) is past every calendar."""
_SHARE = 0.1
_MOST = 120.0


def serves(
    *, now: float, issued_at: float, expires_in: float, buffer: float, early: float = 0.0
) -> bool:
    """Whether a token is good for more than ``buffer`` seconds, as far as its lifetime allows.

    Args:
        now: POSIX seconds.
        issued_at: See :func:`service_of`, as of the others.
        expires_in: See there.
        buffer: See there.
        early: See there.
    """
    first, end = service_of(issued_at, expires_in, buffer, early)
    return first <= now < end


def service_of(
    issued_at: float, expires_in: float, buffer: float, early: float = 0.0
) -> tuple[float, float]:
    """From when on and until when a token serves whoever wants it for ``buffer`` seconds.

    A buffer that the lifetime cannot hold counts as half the lifetime, and so does the usual one
    where that is less. Otherwise a short-lived token would be refreshed at every use.

    A token that was issued in the future shows that the clock was put back since. Then its end cannot
    be computed, and it does not count as good.

    Args:
        issued_at: When it was received, by the same clock, POSIX seconds.
        expires_in: Its lifetime, seconds.
        buffer: Seconds.
        early: Seconds before that moment at which it counts as passed, for :func:`eagerness`.
    """
    if buffer <= USUAL_BUFFER or buffer >= expires_in:
        buffer = min(buffer, expires_in / 2)
    return issued_at - JUMP, issued_at + expires_in - buffer - early


def end_of(issued_at: float, expires_in: float) -> float:
    """When a token ends, POSIX seconds; a lifetime is a century at most.

    It is capped here as well: a program may have made the token, or an older version saved it.
    """
    return issued_at + min(expires_in, LONGEST)


def eagerness(login_id: str, expires_in: float) -> float:
    """How many seconds before the end of a token's use a refresh may already be tried.

    One process tries; the old token still serves all others meanwhile. The number differs from login to
    login, so that logins that began at the same moment do not refresh at the same moment.

    Args:
        login_id: The login.
        expires_in: The lifetime of its token, seconds.
    """
    spread = sum(login_id.encode()) % 64 / 63
    return min(expires_in * _SHARE, _MOST) * (1 + spread) / 2


def clock_error(issued_at: float, server_date: float | None) -> float | None:
    """Seconds by which this clock was ahead of the provider's; ``None`` up to :data:`JUMP`."""
    if server_date is None or abs(issued_at - server_date) <= JUMP:
        return None
    return issued_at - server_date
