"""What can be said about PostgreSQL without its driver, which only ``stayfast[postgres]`` installs."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from ...engine.errors import ConfigMissing

SCHEMES: Final = ("postgresql", "postgres")
"""The schemes of the address of a database."""

GRANTS: Final = """\
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON {schema}.migration, {schema}.header, {schema}.audit_key, {schema}.quarantine TO {role};
GRANT SELECT, INSERT, UPDATE ON {schema}.login, {schema}.tree, {schema}.lease TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.entry TO {role};
GRANT SELECT, INSERT ON {schema}.audit TO {role};
GRANT SELECT, UPDATE ON {schema}.head TO {role};
GRANT USAGE ON SEQUENCE {schema}.fence TO {role};
"""
"""All rights of a role that only uses the tables. None of them lets it rewrite the audit log."""

GRANTS_TO_PURGE: Final = "GRANT DELETE ON {schema}.login TO {role};"
"""What such a role needs besides to remove logins that are over (``STAYFAST_RETENTION``)."""


def is_address(choice: str) -> bool:
    """Whether ``choice``, the value of ``STAYFAST_STORE``, is the address of a database."""
    scheme, marked, _ = choice.partition("://")
    return bool(marked) and scheme in SCHEMES


def require_psycopg() -> None:
    """Load psycopg, once.

    Raises:
        ConfigMissing: psycopg is not installed.
    """
    try:
        import_module("psycopg")
    except ImportError as error:  # not installed, or installed without libpq
        raise ConfigMissing(
            "logins in PostgreSQL need psycopg, which is not installed",
            hint="in a clone of Stayfast: pip install '.[postgres]'",
        ) from error
