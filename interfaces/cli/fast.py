"""A valid cached token without the whole command: read, open, hand out, nothing else.

``token``, ``exec`` and ``credential git`` come through here. This path imports as little as Python
allows; the rules for its modules are in the tests. It only handles success. Everything else (expired,
absent, locked, damaged, a flag it does not know) is left to the whole command.
"""

from __future__ import annotations

import os
import stat
import sys
import time

from ...engine import cbor
from ...engine.lifetime import USUAL_BUFFER, eagerness, end_of, serves
from ...engine.storage_errors import StayfastError
from ...storage.arrival_places import arrival_places, logins_waiting
from ...storage.keys.slots import unlock
from ...storage.paths import config_dir, state_dir
from ...storage.vault.file import headers, noted_generation, open_database, open_secret
from ...storage.vault.header import keys_of
from ...storage.vault.tree import read_by_alias

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from sqlite3 import Connection
    from typing import BinaryIO

    from ...storage.keys.sealing import Keys
    from ...storage.vault.header import Header

DEFAULT_ACCOUNTS = "accounts"
"""The file of the accounts that are meant where none is named, in the configuration directory."""
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8 and UTF-16
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 366 * 86400  # seconds, and digits, that the whole command takes
_DIGITS = 9
# schemas of a login (engine/codec.py): of a user; by a grant that needs none; of a provider whose
# settings are newer, by either
_OF_USER, _NO_USER, _NEWER = 1, 3, 4
_SERVING = ("authenticated", "expired", "exchanging", "refresh_failed")
# a token, or options
_STEERING = tuple(
    f"STAYFAST_{name}" for name in ("CREDENTIAL", "EXEC", "JSON", "QUIET", "TOKEN", "VERBOSE")
)
# what every command reads, and the words that each of them may have (a test compares them)
_WORDS = {
    "STAYFAST_COLOR": ("auto", "always", "never"),
    "STAYFAST_COURIER": ("auto", "fork", "spawn", "inline"),
}
_SINKS = ("file", "stderr", "syslog", "journald", "logging", "structlog", "none")
_AGE_DIGITS = 6
_FORMATS = ("raw", "header", "json", "env", "fish", "powershell")
_QUESTION_LIMIT = 1024 * 1024  # octets
_TOKEN_OPTIONS = ("--account", "--format", "--min-ttl")
_EXEC_OPTIONS = ("--account", "--var")
_GIT_OPTIONS = ("--account", "--provider", "--url", "--username")


class Held:
    """A token that serves, as the vault holds it.

    Attributes:
        provider: Whose it is.
        account: The account of it.
        token: The access token.
        token_type: As the provider wrote it.
        expires_at: POSIX seconds, if that is known.
        scopes: What was granted.
        said_api_url: What the answer said of the API's address, which nobody has judged.
    """

    __slots__ = (
        "account", "expires_at", "provider", "said_api_url", "scopes", "token", "token_type",
    )  # fmt: skip

    def __init__(
        self,
        provider: str,
        account: str,
        token: str,
        token_type: str,
        expires_at: float | None,
        scopes: Sequence[str],
        said_api_url: object,
    ) -> None:
        """Keep the parts."""
        self.provider = provider
        self.account = account
        self.token = token
        self.token_type = token_type
        self.expires_at = expires_at
        self.scopes = scopes
        self.said_api_url = said_api_url


def answer(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What answers ``arguments``, if a cached token is all that it needs; ``exec`` does not return then.

    With ``None``, or where standard output does not take the answer, the whole command is to do it:
    nothing has happened, and what stood in standard input stands there again.
    """
    if arguments[0] == "token":
        text = cached_token(arguments[1:], environ)
        if text is None or not (text.isascii() or not sys.stdout.isatty()):
            return None  # a terminal reads an encoding of its own
        return text + "\n"
    if arguments[0] == "exec":
        run_with_token(arguments[1:], environ)
    elif list(arguments[:2]) == ["credential", "git"]:
        return answer_for_git(arguments[2:], environ)
    return None


def cached_token(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What ``stayfast token`` prints for ``arguments``, if that needs no more than reading."""
    read = read_arguments(arguments, _TOKEN_OPTIONS)
    if read is None or sys.stdout is None or len(read[1]) != 1:
        return None
    given, (provider,), _ = read
    form = _last(given, "--format") or "raw"
    least = seconds(_last(given, "--min-ttl") or "60s")
    if form not in _FORMATS or least is None:
        return None
    held = held_token(provider, _last(given, "--account"), environ, least=least)
    if held is None:
        return None
    if form == "raw" and "--json" not in given:
        return held.token
    from .token_forms import json_of_token, text_of  # noqa: PLC0415  most want none of them

    if form != "json" and "--json" not in given:
        return text_of(form, held.token)
    return json_of_token(
        provider=held.provider,
        account=held.account,
        token=held.token,
        token_type=held.token_type,
        expires_at=held.expires_at,
        scopes=held.scopes,
        api_url=_judged(held.said_api_url),
    )


def _judged(address: object) -> str | None:
    """``address``, if a token may go there."""
    if not isinstance(address, str):
        return None
    from ...engine.oauth.addresses import secure_address  # noqa: PLC0415  few answers say one

    return address if secure_address(address) else None


def run_with_token(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Let the command of ``stayfast exec`` take our place, if that needs no more than reading."""
    read = read_arguments(arguments, _EXEC_OPTIONS, command_follows=True)
    if read is None or None in (sys.stdin, sys.stdout, sys.stderr) or not read[1]:
        return
    given, (provider,), rest = read
    command = rest[1:] if rest[:1] == ["--"] else rest
    var = _last(given, "--var") or "ACCESS_TOKEN"
    if not command or not (var.isascii() and var.isidentifier()) or "--json" in given:
        return
    held = held_token(provider, _last(given, "--account"), environ)
    if held is None:
        return
    from .replacing import replace_process  # noqa: PLC0415  only here

    try:
        replace_process(command, environ, {var: held.token})
    except (OSError, ValueError):  # ValueError: a NUL in a word
        return


def answer_for_git(arguments: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """What ``stayfast credential git`` answers, if that needs no more than reading.

    What git asked is read only after the token was, and put back for the whole command.
    """
    read = read_arguments(arguments, _GIT_OPTIONS)
    if read is None or None in (sys.stdin, sys.stdout) or read[1] not in ([], ["get"]):
        return None
    given = read[0]
    provider = _last(given, "--provider")
    if provider is None or "--json" in given:
        return None
    held = held_token(provider, _last(given, "--account"), environ)
    if held is None:
        return None
    try:
        asked = read_question(sys.stdin.buffer, blank_line_ends=True)
    except OSError:
        return None
    import io  # noqa: PLC0415  Python has loaded it

    sys.stdin = io.TextIOWrapper(io.BytesIO(asked))
    return _git_text(asked, held, given)


def _git_text(asked: bytes, held: Held, given: Mapping[str, list[str]]) -> str | None:
    from .credential_protocols import (  # noqa: PLC0415  only here
        Token,
        git_answer,
        git_question,
        git_server,
        may_have_it,
    )

    try:
        question = git_question(asked)
        server = git_server(question)
        if server is None:
            return ""
        if may_have_it(server, given.get("--url", ())):
            token = Token(held.token, held.expires_at)
            answer = git_answer(question, token, held.provider, _last(given, "--username"))
            return f"{answer}\n\n"
    except StayfastError:
        return None
    return "" if server.scheme == "https" else None


def read_arguments(
    arguments: Sequence[str], options: Sequence[str], *, command_follows: bool = False
) -> tuple[dict[str, list[str]], list[str], list[str]] | None:
    """``arguments`` as the values of options, words, and the rest; ``None`` if an option is another.

    Args:
        arguments: What stands behind the command.
        options: Those that this path knows, beside ``--json``; each takes a value.
        command_follows: Whether another command begins at the second word, or behind ``--``.
    """
    given: dict[str, list[str]] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest[0]
        if command_follows and (word == "--" or (words and not word.startswith("-"))):
            break
        del rest[0]
        if not word.startswith("-"):
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if word == "--json":
            given[word] = []
            continue
        if name not in options:
            return None
        if not equals:
            value = rest.pop(0) if rest else ""
        if not value or value.startswith("-"):
            return None
        given.setdefault(name, []).append(value)
    return given, words, rest


def _last(given: Mapping[str, list[str]], option: str) -> str | None:
    return given[option][-1] if option in given else None


def read_question(stream: BinaryIO, *, blank_line_ends: bool) -> bytes:
    """What a program asks on ``stream``, of which a helper's standard input is one.

    Raises:
        OSError: It cannot be read.
    """
    asked = bytearray()
    begins, waited = 0, False  # where the last line begins; whether more was waited for
    while len(asked) < _QUESTION_LIMIT:
        more = stream.readline(_QUESTION_LIMIT - len(asked))
        asked += more
        if not more and (waited or not _waits(stream)):
            break
        waited = not more
        if more.endswith(b"\n"):
            if blank_line_ends and not asked[begins:].strip():
                break
            begins = len(asked)
    return bytes(asked)


def _waits(stream: BinaryIO) -> bool:
    """Wait for more, if ``stream`` does not wait itself: another program has made it non-blocking."""
    try:
        if os.get_blocking(stream.fileno()):
            return False
    except (AttributeError, OSError):  # on no Windows before Python 3.12; or it is no file
        return False
    from select import select  # noqa: PLC0415  few streams are

    return bool(select([stream], [], [])[0])


def lines_of(octets: bytes) -> list[str]:
    """The lines of the file of defaults, however the user's editor ends them.

    Raises:
        ValueError: It is not text.
    """
    if octets.startswith(_MARKS):
        from ..settings_files import text_of  # noqa: PLC0415  few editors write such a mark

        text = text_of(octets)
    else:
        text = octets.decode()
    return [line.removesuffix("\r") for line in text.split("\n")]


def account_of(lines: Sequence[str], provider: str) -> str | None:
    """The account that ``lines`` of the file of defaults name for ``provider``.

    Raises:
        ValueError: What they name cannot be an account
            (:func:`stayfast.engine.record.require_account_name`).
    """
    for line in lines:
        name, _, account = line.partition("\t")
        if account and name == provider:
            if account != account.strip() or not account.isprintable():
                raise ValueError(repr(account[:40]))
            return account
    return None


def _default_account(environ: Mapping[str, str], provider: str) -> str:
    """The account that is meant where none is named; the whole command says what is wrong here."""
    path = f"{config_dir(environ)}/{DEFAULT_ACCOUNTS}"
    try:
        # a pipe in its place has perhaps no writer
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return "default"
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(path)
        if os.name == "posix" and (status.st_mode & 0o022 or status.st_uid != os.geteuid()):
            raise PermissionError(path)
        return account_of(lines_of(file.read()), provider) or "default"


def held_token(
    provider: str, account: str | None, environ: Mapping[str, str], *, least: float = USUAL_BUFFER
) -> Held | None:
    """The token of ``account`` that lasts ``least`` seconds more; ``None`` in any doubt."""
    store = environ.get("STAYFAST_STORE", "auto")
    if not provider or store not in {"auto", "file", "keyring"}:
        return None
    if any(name.startswith(_STEERING) for name in environ) or not _settings_are_plain(environ):
        return None
    try:
        account = account or _default_account(environ, provider)
        secret = _secret(f"account\0{provider}\0{account}", store, environ)
        if secret is None:
            return None
        login = cbor.decode_map(secret)
    except Exception:  # noqa: BLE001  in any doubt: the whole command says what is wrong, and how
        return None
    # a record under the name of another account: the whole command reports it
    named = _is(login, provider, account)
    return _held(login, provider, account, least) if named else None


def _settings_are_plain(environ: Mapping[str, str]) -> bool:
    """Whether the settings that every command reads have values that need no further look.

    Otherwise a wrong one would come out only when the token has expired.
    """
    for name, words in _WORDS.items():
        said = environ.get(name)
        if said and said not in words:
            return False
    sinks = environ.get("STAYFAST_AUDIT")
    if sinks and not all(one.strip().partition(":")[0] in _SINKS for one in sinks.split(",")):
        return False
    age = environ.get("STAYFAST_RETENTION", "").strip()
    number, unit = age[:-1], age[-1:]
    return not age or (
        unit in _UNITS and number.isascii() and number.isdigit() and len(number) <= _AGE_DIGITS
    )


def _secret(alias: str, store: str, environ: Mapping[str, str]) -> bytes | None:
    directory = state_dir(environ)
    connection = open_database(directory)
    if connection is None:
        return None
    try:
        keys = unlocked(connection, directory, store, environ)
        if keys is None:
            return None
        # newer tokens that could not be saved yet: the whole command saves them. Looked for before the row
        # is read: what is saved in between is in the row
        if logins_waiting(arrival_places(environ, directory), keys.name):
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


def _held(
    login: Mapping[str, cbor.Plain], provider: str, account: str, least: float
) -> Held | None:
    tokens, schema = login.get("tokens"), login.get("schema")
    if (
        schema not in (_OF_USER, _NO_USER, _NEWER)
        or login.get("state") not in _SERVING
        or not isinstance(tokens, dict)
    ):
        return None
    token = tokens.get("access_token")
    lasts, issued = tokens.get("expires_in"), tokens.get("issued_at")
    if not isinstance(token, str) or not (token and token.isascii() and token.isprintable()):
        return None
    kind, scope = tokens.get("token_type", "Bearer"), tokens.get("scope") or ""
    # some mean bearer all the same, however they spell it
    if not (isinstance(kind, str) and kind.lower() == "bearer" and isinstance(scope, str)):
        return None
    end = None
    if isinstance(lasts, int | float) and isinstance(issued, int | float):
        early = 0.0
        renews = tokens.get("refresh_token") or schema != _OF_USER
        if login.get("state") == "authenticated" and renews:
            early = eagerness(str(login.get("id")), lasts)
        now = time.time()
        # no token of this provider may last so long as was asked: the whole command says it
        if least >= lasts or not serves(
            now=now, issued_at=issued, expires_in=lasts, buffer=least, early=early
        ):
            return None
        end = end_of(issued, lasts)
    elif login.get("state") != "authenticated":
        return None
    config, extra = login.get("config"), tokens.get("extra")
    member = config.get("api_url_member") if isinstance(config, dict) else None
    said = extra.get(member) if isinstance(extra, dict) and isinstance(member, str) else None
    return Held(provider, account, token, kind, end, scope.split(), said)


def seconds(text: str) -> float | None:
    """A duration such as ``60s``, ``5m``, ``1h`` or ``90`` in seconds; ``None`` if the whole command takes none such."""
    number, unit = (text[:-1], _UNITS.get(text[-1:])) if text[-1:] in _UNITS else (text, 1)
    if unit is None or not number.isascii() or not number.isdigit() or len(number) > _DIGITS:
        return None
    lasts = float(int(number) * unit)
    return lasts if lasts <= _LONGEST else None
