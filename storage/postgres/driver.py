"""What is known of PostgreSQL without its driver, which only ``stayfast[postgres]`` brings along."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ...engine.errors import ConfigMissing

SCHEMES: Final = ("postgresql", "postgres")
"""How the address of a database begins."""

GRANTS: Final = """\
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON {schema}.migration, {schema}.header, {schema}.audit_key TO {role};
GRANT SELECT, INSERT, UPDATE ON {schema}.login, {schema}.tree, {schema}.lease TO {role};
GRANT SELECT, INSERT ON {schema}.audit TO {role};
GRANT SELECT, UPDATE ON {schema}.head TO {role};
GRANT USAGE ON SEQUENCE {schema}.fence TO {role};
"""
"""All that a role needs that only uses the tables; none of it lets it rewrite the audit log."""


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
            hint="in a clone of Stayfast: pip install '.[postgres]'",
        ) from error
