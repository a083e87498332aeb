"""Whether the driver is there, which only ``holdfast[postgres]`` brings along."""

from __future__ import annotations

from importlib import import_module

from ...engine.errors import ConfigMissing


def require_psycopg() -> None:
    """Load psycopg, once.

    Raises:
        ConfigMissing: It is not installed.
    """
    try:
        import_module("psycopg")
    except ImportError as error:  # absent, or without a libpq to speak through
        raise ConfigMissing(
            "logins in PostgreSQL need psycopg, which is not installed",
            hint="pip install 'holdfast[postgres]'",
        ) from error
