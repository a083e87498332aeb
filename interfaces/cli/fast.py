"""``stayfast token`` with a valid cached token: read, open, print, nothing else.

This path imports as little as Python allows; the rules for its modules are in the tests. It only
handles success. Everything else (expired, absent, locked, damaged, a flag it does not know) is left to
the whole command: this path then returns ``None``.
"""

from __future__ import annotations

import errno
import os
import sys
import time

from ...engine import cbor
from ...engine.lifetime import eagerness, serves
from ...storage.keys.slots import unlock
from ...storage.paths import config_dir, state_dir
from ...storage.vault.file import headers, noted_generation, open_database, open_secret
from ...storage.vault.header import keys_of
from ...storage.vault.tree import read_by_alias

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from sqlite3 import Connection

    from ...storage.keys.sealing import Keys
    from ...storage.vault.header import Header

DEFAULT_ACCOUNTS = "accounts"
"""The file of the accounts that are meant where none is named, in the configuration directory."""
SCROLLBACK_NOTE = "note: a secret, now in your scrollback\n"
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DIGITS = 12  # Python refuses to read thousands of them
_NO_USER = 3  # the schema of logins by a grant that needs no user (engine/codec.py)
_SERVING = ("authenticated", "expired", "exchanging", "refresh_failed")
_VALUES = {"--account": "account", "--format": "format", "--min-ttl": "min_ttl"}
_STEERING = ("STAYFAST_TOKEN", "STAYFAST_JSON", "STAYFAST_QUIET")
_FORMATS = ("raw", "header")


def read_arguments(arguments: Sequence[str]) -> dict[str, str] | None:
    """The arguments of ``token`` if they are ones this path knows, else ``None``."""
    given = {"format": "raw", "min_ttl": "60s"}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name in _VALUES:
            if not equals:
                value = next(rest, "")
            given[_VALUES[name]] = value
        elif argument.startswith("-") or "provider" in given:
            return None
        else:
            given["provider"] = argument
    if given["format"] not in _FORMATS or "" in given.values() or "provider" not in given:
        return None
    return given


def account_of(lines: str, provider: str) -> str | None:
    """The account that ``lines`` of the file of defaults name for ``provider``."""
    for line in lines.split("\n"):
        name, _, account = line.partition("\t")
        if account and name == provider:
            return account
    return None


def _default_account(environ: Mapping[str, str], provider: str) -> str:
    """The account that is meant where none is named; the whole command says what is wrong here."""
    try:
        descriptor = os.open(f"{config_dir(environ)}/{DEFAULT_ACCOUNTS}", os.O_RDONLY)
    except FileNotFoundError:
        return "default"
    with open(descriptor, encoding="utf-8") as file:
        status = os.fstat(descriptor)
        if os.name == "posix" and (status.st_mode & 0o022 or status.st_uid != os.geteuid()):
            raise PermissionError(DEFAULT_ACCOUNTS)
        return account_of(file.read(), provider) or "default"


def cached_token(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What ``stayfast token`` prints for ``arguments``, if that needs no more than reading."""
    given = read_arguments(arguments)
    store = environ.get("STAYFAST_STORE", "auto")
    if given is None or sys.stdout is None or store not in {"auto", "file", "keyring"}:
        return None
    if any(name.startswith(_STEERING) for name in environ):  # a token, or an option
        return None
    least = seconds(given["min_ttl"])
    if least is None:
        return None
    try:
        account = given.get("account") or _default_account(environ, given["provider"])
        secret = _secret(f"account\0{given['provider']}\0{account}", store, environ)
        if secret is None:
            return None
        login = cbor.decode_map(secret)
    except Exception:  # noqa: BLE001  in any doubt: the whole command says what is wrong, and how
        return None
    # a record under the name of another account: the whole command reports it
    named = _is(login, given["provider"], account)
    return _printed(login, given["format"], least) if named else None


def _secret(alias: str, store: str, environ: Mapping[str, str]) -> bytes | None:
    directory = state_dir(environ)
    connection = open_database(directory)
    if connection is None:
        return None
    try:
        keys = unlocked(connection, directory, store, environ)
        if keys is None:
            return None
        noted = noted_generation(config_dir(environ), keys)  # first: a commit may come in between
        row, genuine, generation = read_by_alias(connection, keys, alias)
        if row is None or not genuine or generation < (noted or 0):
            return None
        return open_secret(keys, row)
    finally:
        connection.close()


def unlocked(
    connection: Connection, directory: str, store: str, environ: Mapping[str, str]
) -> Keys | None:
    """The keys of the vault that ``connection`` reads; ``None`` if it is not of the kind ``store``.

    Raises:
        StayfastError: What opens it is not there.
    """
    header, seal = next(headers(connection, directory))
    if store not in {"auto", header.kind}:
        return None
    keys = _keys(header, environ)
    return keys if seal == keys.header_mac(header.body) else None


def _keys(header: Header, environ: Mapping[str, str]) -> Keys:
    def keyring(store: bytes, item: str) -> bytes:
        from ...storage.keys.keyring import KeyringKey  # noqa: PLC0415  100 ms, only if it is there

        return KeyringKey(environ=environ).read(store, item)

    root = unlock(
        header,
        config_dir=config_dir(environ),
        passphrase=lambda: environ.get("STAYFAST_PASSPHRASE") or None,
        keyring=keyring,
        environ=environ,
    )
    return keys_of(header, root)


def _is(login: Mapping[str, cbor.Plain], provider: str, account: str) -> bool:
    config = login.get("config")
    return (
        isinstance(config, dict)
        and config.get("service_name") == provider
        and login.get("account") == account
    )


def _printed(login: Mapping[str, cbor.Plain], form: str, least: float) -> str | None:
    tokens, schema = login.get("tokens"), login.get("schema")
    if (
        schema not in (1, _NO_USER)
        or login.get("state") not in _SERVING
        or not isinstance(tokens, dict)
    ):
        return None
    token = tokens.get("access_token")
    lasts, issued = tokens.get("expires_in"), tokens.get("issued_at")
    if not isinstance(token, str) or not (token and token.isascii() and token.isprintable()):
        return None
    if str(tokens.get("token_type", "Bearer")).lower() != "bearer":  # some mean bearer all the same
        return None
    if isinstance(lasts, int | float) and isinstance(issued, int | float):
        early = 0.0
        renews = tokens.get("refresh_token") or schema == _NO_USER
        if login.get("state") == "authenticated" and renews:
            early = eagerness(str(login.get("id")), lasts)
        now = time.time()
        # no token of this provider may last so long as was asked: the whole command says it
        if least >= lasts or not serves(
            now=now, issued_at=issued, expires_in=lasts, buffer=least, early=early
        ):
            return None
    elif login.get("state") != "authenticated":
        return None
    return f"Authorization: Bearer {token}" if form == "header" else token


def seconds(text: str) -> float | None:
    """A duration such as ``60s``, ``5m``, ``1h`` or ``90`` in seconds; ``None`` if it is not a duration."""
    number, unit = (text[:-1], _UNITS.get(text[-1:])) if text[-1:] in _UNITS else (text, 1)
    if unit is None or not number.isascii() or not number.isdigit() or len(number) > _DIGITS:
        return None
    return float(int(number) * unit)


def print_and_leave(text: str) -> None:
    """Print ``text`` and end the process at once: the interpreter's shutdown costs 3 ms.

    A token that the terminal's encoding has no letters for is left to the whole command.
    """
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except UnicodeEncodeError:
        return
    except OSError as error:
        if error.errno != errno.EPIPE:  # else the reader closed the pipe: it knows
            why = (error.strerror or "it takes nothing").lower()
            hint = "df -h" if error.errno == errno.ENOSPC else "look where standard output goes"
            _remark(f"error: the token could not be written to standard output: {why}\n")
            _remark(f"hint:  {hint}\n")
        os._exit(1)
    if sys.stdout.isatty():
        _remark(SCROLLBACK_NOTE)
    os._exit(0)


def _remark(text: str) -> None:
    """Write ``text`` to standard error, if it is open."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (AttributeError, OSError):  # it is closed, or full
        return
