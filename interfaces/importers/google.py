"""What ``gcloud`` and ``google-auth`` keep of a user: a refresh token and the client it is of."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any, Final, cast
from urllib.parse import quote

from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from .found import FORMATS, Found, host_of, text, tokens_from

DATABASE_MARK: Final = b"SQLite format 3\x00"
_ALIASES: Final = {"accounts.google.com", "www.googleapis.com"}  # of older token endpoints
_HOST: Final = "oauth2.googleapis.com"
_MOST: Final = 1000  # accounts
_LONGEST: Final = 64 * 1024  # octets of one value: a key of a service has 3 KiB
_SECONDS: Final = 5.0
_STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock: about a millisecond


def is_google(members: Mapping[str, Any]) -> bool:
    """Whether ``members`` are credentials of Google's libraries."""
    kind = members.get("type")
    return kind in ("authorized_user", "service_account", "external_account") or (
        "refresh_token" in members and "client_id" in members and "token_uri" in members
    )


def read(members: Mapping[str, Any], user: str = "") -> Found:
    """The tokens of one file, or of one row of the database.

    Raises:
        ConfigInvalid: They are no user's, or there is no refresh token.
    """
    kind = members.get("type")
    if kind not in (None, "authorized_user"):
        raise ConfigInvalid(
            f"these are credentials of the kind {str(kind)[:40]}, and not of a user who signed in",
            hint=FORMATS,
        )
    scopes = members.get("scopes")
    tokens = tokens_from(
        {
            "access_token": members.get("token"),
            "refresh_token": members.get("refresh_token"),
            "scope": scopes,
            "expires_at": members.get("expiry"),
        }
    )
    host = host_of(text(members, "token_uri")) or _HOST
    return Found(
        user=user or text(members, "account") or "",
        tokens=tokens,
        host=_HOST if host in _ALIASES else host,
        client_id=text(members, "client_id"),
        client_secret=text(members, "client_secret"),
    )


def read_database(path: str) -> list[Found]:
    """The users of ``credentials.db``; accounts of services are left out.

    Raises:
        ConfigInvalid: It is another database, or is damaged.
    """
    address = f"file:{quote(os.path.abspath(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as connection:
            _bound(connection)
            rows = connection.execute(
                "SELECT account_id, value FROM credentials ORDER BY account_id LIMIT ?", [_MOST]
            ).fetchall()
    except sqlite3.Error as error:
        raise ConfigInvalid(
            f"{path} is not the credentials.db of gcloud, or cannot be read",
            hint=Hint.note("gcloud info names its configuration directory"),
        ) from error
    found: list[Found] = []
    for account, value in rows:
        with suppress(ConfigInvalid, ValueError, RecursionError, TypeError):
            members: object = json.loads(value)
            if isinstance(members, dict):
                found.append(read(cast("dict[str, Any]", members), str(account)))
    return found


def _bound(connection: sqlite3.Connection) -> None:
    """Let a database cost neither much time nor much memory, whoever made it.

    A view is a program: its query may never end. A virtual table may read one.

    Raises:
        sqlite3.Error: It has no table of credentials of its own.
    """
    end = time.monotonic() + _SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    found = connection.execute(
        "SELECT type = 'table' AND rootpage > 0 FROM sqlite_master "
        "WHERE name = 'credentials' COLLATE NOCASE AND type <> 'index'"
    ).fetchall()
    if found != [(1,)]:
        raise sqlite3.DatabaseError("there is no such table")
