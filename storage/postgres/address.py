"""The address of a PostgreSQL database. It never shows its password."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ...engine.errors import ConfigInvalid
from .driver import SCHEMES

DEFAULT_SCHEMA: Final = "stayfast"
CONNECT_TIMEOUT: Final = 5
"""Seconds to reach the server."""
STATEMENT_TIMEOUT: Final = 15
"""Seconds that a statement may take, with its wait for other writers."""
# Seconds that a process may pause inside a transaction. All writers of all hosts wait for it then,
# and a process that was stopped (Ctrl-Z, a suspended laptop) may never go on.
_PAUSED: Final = 10
_FORM: Final = "STAYFAST_STORE=postgresql://USER@HOST/DATABASE"
_OURS: Final = frozenset({"schema", "patience", "pool"})
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Address:
    """The address of a database, as libpq understands it.

    Attributes:
        place: Host and database, for people.
        schema: The schema our tables are in.
        patience: Seconds to wait for a server that went away, if the address says so.
        pool: How many connections this process may have at the same time, if the address says so.
    """

    __slots__ = ("_settings", "patience", "place", "pool", "schema")

    def __init__(
        self, url: str, *, schema: str | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        """Read ``url``, a libpq URI that may also have parameters of our own.

        They are ``schema``, ``patience`` (seconds) and ``pool`` (a number of connections).

        ``PGHOST``, ``PGPASSFILE`` and the other variables of libpq supply what is missing.

        Args:
            url: Such as ``postgresql://stayfast@db.example.com/logins?schema=cli``.
            schema: Replaces the one in ``url``; the default is ``stayfast``.
            environ: The environment.

        Raises:
            ConfigInvalid: ``url`` is not the address of a database, the schema has a bad name, or a
                number is none.
        """
        env = os.environ if environ is None else environ
        bare, ours = _without_ours(url)
        self.schema = schema or ours.get("schema") or DEFAULT_SCHEMA
        self.patience = _number(ours, "patience", 3600)
        self.pool = _number(ours, "pool", 1000)
        if not _SCHEMA.fullmatch(self.schema):
            raise ConfigInvalid(
                f"{self.schema!r} is not a name for a schema: lower-case letters, digits and _",
                hint=f"{_FORM}?schema=stayfast",
            )
        try:
            self._settings = conninfo_to_dict(bare)
        except psycopg.Error:
            # libpq's message may quote the address with its password, so it is not shown
            raise ConfigInvalid("that is not the address of a database", hint=_FORM) from None
        host = str(self._settings.get("host") or env.get("PGHOST") or "localhost")
        database = self._settings.get("dbname") or env.get("PGDATABASE") or "its user's database"
        self.place = f"{host}/{database}"
        # libpq's own default is "prefer", which an attacker on the network can talk down to plain text
        if not _is_local(host) and "PGSSLMODE" not in env:
            self._settings.setdefault("sslmode", "require")

    def __repr__(self) -> str:
        return f"Address({self.place})"

    def settings(self, *, pooled: bool = False) -> dict[str, Any]:
        """The arguments for :func:`psycopg.connect`.

        The keepalives find out that a host or a network has gone, which TCP alone would notice after
        hours. What :attr:`session_settings` says is a part of the start of a session. A pooler that hands
        the sessions of a server to one transaction after the other refuses that.

        Args:
            pooled: Leave it out.
        """
        defaults: dict[str, Any] = {
            "application_name": "stayfast",
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
        }
        if pooled:
            own = {name: value for name, value in self._settings.items() if name != "options"}
            return {**defaults, **own, "prepare_threshold": None}
        bounds = " ".join(f"-c {name}={value}" for name, value in self.session_settings.items())
        options = f"{self._settings.get('options') or ''} {bounds}".strip()
        return {**defaults, **self._settings, "options": options}

    @property
    def session_settings(self) -> dict[str, str]:
        """What holds for every statement: where the tables are, and that every wait has a bound.

        ``pg_temp`` comes last on the search path: else a temporary table of another user could stand in
        for one of ours.
        """
        return {
            "search_path": f"{self.schema},pg_temp",
            "statement_timeout": f"{STATEMENT_TIMEOUT}s",
            "idle_in_transaction_session_timeout": f"{_PAUSED}s",
        }


def _without_ours(url: str) -> tuple[str, dict[str, str]]:
    """``url`` without our own parameters, and those."""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise ConfigInvalid("that is not the address of a database", hint=_FORM) from None
    if parts.scheme not in SCHEMES:
        raise ConfigInvalid("that is not the address of a database", hint=_FORM)
    ours = {name: value for name, value in given if name in _OURS}
    if not ours:
        return url, ours
    rest = urlencode([(name, value) for name, value in given if name not in _OURS])
    return urlunsplit(parts._replace(query=rest)), ours


def _number(ours: Mapping[str, str], name: str, most: int) -> int | None:
    given = ours.get(name)
    if given is None:
        return None
    number = int(given) if re.fullmatch("[0-9]{1,6}", given) else 0
    if not 1 <= number <= most:
        raise ConfigInvalid(
            f"{name} in the address of the database is not a number from 1 to {most}",
            hint=f"{_FORM}?{name}=10",
        )
    return number


def _is_local(host: str) -> bool:
    return host.startswith(("/", "@")) or host in _LOCAL
