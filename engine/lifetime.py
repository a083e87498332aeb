"""How long an access token serves, by clocks that may be wrong, and when to look for the next.

This module is on the path of ``stayfast token``, which is why it imports nothing.
"""

from __future__ import annotations

JUMP = 60.0
"""Seconds by which a clock may be off before it is worth a word."""

_SHARE = 0.1
_MOST = 120.0


def serves(*, now: float, issued_at: float, expires_in: float, buffer: float) -> bool:
    """Whether a token is good for more than ``buffer`` seconds.

    One that was issued in the future shows that the clock was put back since: its end is then not
    where it seems, and it does not count.

    Args:
        now: POSIX seconds.
        issued_at: When it was received, by the same clock.
        expires_in: Its lifetime, seconds.
        buffer: Seconds.
    """
    return issued_at - JUMP <= now < issued_at + expires_in - buffer


def eagerness(login_id: str, expires_in: float) -> float:
    """Seconds before a token no longer serves at which a refresh may already be tried.

    The old token goes on serving whoever does not do the trying. Logins that began at the same
    moment differ in it, so that a provider does not hear from all of them at once.

    Args:
        login_id: The login.
        expires_in: The lifetime of its token, seconds.
    """
    spread = sum(login_id.encode()) % 64 / 63
    return min(expires_in * _SHARE, _MOST) * (1 + spread) / 2


def clock_error(issued_at: float, server_date: float | None) -> float | None:
    """By how many seconds this machine's clock was ahead of the provider's, if worth a word."""
    if server_date is None or abs(issued_at - server_date) <= JUMP:
        return None
    return issued_at - server_date
