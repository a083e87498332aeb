"""Our own version."""

from __future__ import annotations

from functools import cache


@cache
def app_version() -> str:
    """The version that is installed."""
    from importlib.metadata import version  # noqa: PLC0415  costs 40 ms, and few commands ask

    return version("holdfast")
