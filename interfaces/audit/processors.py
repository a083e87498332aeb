"""Processors for a program's own structlog chain, which keep tokens out of its log.

The structure comes first: a value that is secret by its type or its name is replaced by a keyed
fingerprint. The text comes last: a scan finds the same values, and values that look like tokens, in
messages and tracebacks. The order matters, because the first step collects what the last one looks
for.

Example:
    >>> import structlog
    >>> from stayfast import audit_processors
    >>> log = structlog.wrap_logger(
    ...     structlog.PrintLogger(),
    ...     processors=[
    ...         structlog.processors.add_log_level,
    ...         structlog.processors.format_exc_info,
    ...         *audit_processors(fields={"event", "level", "provider", "access_token", "exception"}),
    ...         structlog.processors.JSONRenderer(),
    ...     ],
    ... )
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from typing import Any, Final, TypeAlias, TypeGuard, cast

from ...engine.secret import Secret

Entry: TypeAlias = MutableMapping[str, Any]

SECRET_NAMES: Final = frozenset(
    [
        "access_token",
        "refresh_token",
        "id_token",
        "token",
        "code",
        "state",
        "nonce",
        "verifier",
        "code_verifier",
        "code_challenge",
        "client_secret",
        "client_assertion",
        "assertion",
        "device_code",
        "user_code",
        "password",
        "passphrase",
        "authorization",
        "cookie",
        "set_cookie",
        "secret",
        "api_key",
        "private_key",
        "callback_url",
    ]
)
"""Names whose values are never written, in any spelling (``Access-Token`` and ``accessToken`` too)."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
REDACTED: Final = "[redacted]"
_DEEPEST: Final = 8  # levels; an object that contains itself must not end in RecursionError
# Values that the scan looks for. Each costs a search in every text of every entry, and a program
# that runs for months meets ever new ones.
_REMEMBERED: Final = 256
_SHORTEST: Final = 8  # characters; a shorter value would be found in harmless words as well
# What looks like a token: a JWT, the value after a scheme or a parameter name, the prefixes of
# well-known providers, and long random words of upper case, lower case and digits.
_LOOKS_SECRET: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"  # a JWT
    r"|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S+|(?<=DPoP )\S+"
    r"|(?:gh[opsur]_|xox[abeoprs]-|ya29\.|glpat-|sk-)[\w.-]{10,}"
    r"|(?<=[?&#](?:code)=)[^&\s\"']+|(?<=[?&#](?:state)=)[^&\s\"']+"
    r"|(?<=access_token=)[^&\s\"']+|(?<=refresh_token=)[^&\s\"']+|(?<=id_token=)[^&\s\"']+"
    r"|(?<![\w/.-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{40,}(?![\w/.-])"
)


class Fingerprints:
    """A processor that replaces secrets, known by type or name, with keyed fingerprints.

    The same value gives the same fingerprint, so two lines about one token can be connected.
    Without the key a fingerprint cannot be computed, so nobody can test a guess against it.
    """

    def __init__(self, key: bytes) -> None:
        """Make fingerprints under ``key``."""
        self._key = key
        self.seen: dict[str, None] = {}

    def __call__(self, logger: Any, method: str, entry: Entry) -> Entry:
        """``entry`` with a fingerprint in place of each secret of its structure."""
        del logger, method
        return {name: self._clean(name, value, 0) for name, value in entry.items()}

    def _clean(self, name: object, value: Any, depth: int) -> Any:  # noqa: PLR0911  one per kind of value
        if isinstance(value, Secret):
            return self._fingerprint(value.reveal())
        if _is_secret_name(name) and value is not None and not isinstance(value, bool):
            return self._fingerprint(value if isinstance(value, str) else repr(value))
        if depth > _DEEPEST:
            return REDACTED
        if _is_mapping(value):
            return {one: self._clean(one, each, depth + 1) for one, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean("", one, depth + 1) for one in cast("Collection[Any]", value)]
        if is_dataclass(value) and not isinstance(value, type):
            return {
                f.name: self._clean(f.name, getattr(value, f.name), depth + 1)
                for f in fields_of(value)
            }
        return value

    def _fingerprint(self, value: str) -> str:
        if len(value) >= _SHORTEST:
            self.seen[value] = None  # a dict keeps the order, so the oldest value goes first
            while len(self.seen) > _REMEMBERED:
                del self.seen[next(iter(self.seen))]
        digest = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return "fp:" + base64.b32encode(digest.digest()).decode()[:16].lower()


class Listed:
    """A processor that lets only listed names through.

    Attributes:
        dropped: How many fields were dropped.
    """

    def __init__(self, names: Collection[str]) -> None:
        """Let ``names`` through and drop all others."""
        self._names = frozenset(names)
        self.dropped = 0

    def __call__(self, logger: Any, method: str, entry: Entry) -> Entry:
        """``entry`` with the listed names only."""
        del logger, method
        listed = {name: value for name, value in entry.items() if name in self._names}
        self.dropped += len(entry) - len(listed)
        return listed


class LastLook:
    """A processor that scans every text for known secrets, and for what looks like a secret.

    Attributes:
        found: How many were replaced. Each of them is a mistake in an earlier step: the scan is the
            last line of defence.
    """

    def __init__(self, seen: Mapping[str, None], secrets: Collection[str]) -> None:
        """Scan for ``secrets``, and for the values in ``seen`` at the time of the entry."""
        self._seen = seen
        self._secrets = tuple(secrets)
        self.found = 0

    def __call__(self, logger: Any, method: str, entry: Entry) -> Entry:
        """``entry`` with each secret in its texts replaced."""
        del logger, method
        return {self._text(name): self._look(value) for name, value in entry.items()}

    def _look(self, value: Any) -> Any:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            return self._text(value)
        if _is_mapping(value):
            return {self._look(name): self._look(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._look(one) for one in cast("Collection[Any]", value)]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._text(str(value))

    def _text(self, text: str) -> str:
        for secret in (*self._secrets, *tuple(self._seen)):
            if secret in text:
                self.found += text.count(secret)
                text = text.replace(secret, REDACTED)
        text, count = _LOOKS_SECRET.subn(REDACTED, text)
        self.found += count
        return text


def audit_processors(
    *,
    fields: Collection[str] | None = None,
    key: bytes | None = None,
    secrets: Collection[str] = (),
) -> list[Any]:
    """Processors for a structlog chain. Put them right before its renderer.

    Args:
        fields: The names that may be written; by default all. ``exc_info`` must have been made text
            before, by structlog's own processors.
        key: The key of the fingerprints. The default is random, so fingerprints can be compared
            within one process only. Give 32 octets of your own to compare them across processes.
        secrets: Values that must not be written anywhere, such as a client secret.

    Returns:
        Fingerprints, the list of fields if there is one, and the last look.
    """
    fingerprints = Fingerprints(key or os.urandom(32))
    listed = [Listed(fields)] if fields is not None else []
    return [fingerprints, *listed, LastLook(fingerprints.seen, secrets)]


def _is_secret_name(name: object) -> bool:
    return isinstance(name, str) and _spelt(name) in SECRET_NAMES


def _spelt(name: str) -> str:
    """``name`` in small letters and with underscores."""
    return _HUMP.sub("_", name).lower().replace("-", "_")


def _is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)
