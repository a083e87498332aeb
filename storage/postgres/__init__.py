"""Logins of many hosts in one PostgreSQL database, sealed as in the vault (``stayfast[postgres]``)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .storage import PostgresStorage

__all__ = ["PostgresStorage"]


def __getattr__(name: str) -> object:
    if name != "PostgresStorage":
        raise AttributeError(name)
    from .driver import require_psycopg  # noqa: PLC0415  the driver is loaded for those who need it

    require_psycopg()
    from .storage import PostgresStorage  # noqa: PLC0415  see above

    return PostgresStorage
