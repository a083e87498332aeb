"""What is known of PostgreSQL without its driver, which only ``holdfast[postgres]`` brings along."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ...engine.errors import ConfigMissing

SCHEMES: Final = ("postgresql", "postgres")
"""How the address of a database begins."""


def is_address(choice: str) -> bool:
    """Whether ``choice`` of a storage is the address of a PostgreSQL database."""
    scheme, marked, _ = choice.partition("://")
    return bool(marked) and scheme in SCHEMES


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
