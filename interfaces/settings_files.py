"""Files that a user writes: opened without waiting, trusted only if nobody else can write them, and read as text."""

from __future__ import annotations

import codecs
import os
import re
import stat
from typing import TYPE_CHECKING, Any, Final, cast

from ..engine.errors import ConfigInvalid, StorageError
from ..storage.private_file import (
    CONFIG_VARIABLE,
    check_writers,
    foreign_hint,
    trusted_directory_exists,
)

if TYPE_CHECKING:
    from typing import BinaryIO

FILE_NAME: Final = "config.toml"
"""The file of providers, in the configuration directory."""
_SIZE_LIMIT: Final = 1024 * 1024


def text_of(octets: bytes) -> str:
    """The text of a file that an editor saved: UTF-8, or UTF-16 with its byte order mark.

    Raises:
        ValueError: It is neither.
    """
    wide = octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return octets.decode("utf-16" if wide else "utf-8-sig")


def parse_toml(text: bytes) -> dict[str, Any]:
    """The members of a TOML document.

    Raises:
        ConfigInvalid: The document is not TOML, or not UTF-8.
    """
    try:
        import tomllib  # noqa: PLC0415  many have no such file

        return tomllib.loads(text_of(text))
    except (ValueError, RecursionError) as error:  # tomllib and UTF-8 errors are ValueErrors
        where = re.search(r"\(at line \d+, column \d+\)", str(error))
        raise ConfigInvalid(
            f"{FILE_NAME} is not TOML {where.group() if where else ''}".rstrip(),
            hint=f"edit {FILE_NAME}",
        ) from error


def open_regular(path: str) -> BinaryIO:
    """The file ``path``, open for reading. It is opened without waiting: a pipe may have no writer.

    Raises:
        ConfigInvalid: It is a pipe, a device or a directory.
        OSError: It cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigInvalid(f"{path} is not a file", hint=f"ls -l {path}")
    return os.fdopen(descriptor, "rb")


def check_origin(path: str, status: os.stat_result) -> None:
    """Make sure that only this user and root can write the open file ``path``, or replace it.

    Raises:
        ConfigInvalid: Another user can.
    """
    if os.name != "posix":
        return
    if status.st_uid not in {os.geteuid(), 0}:
        raise ConfigInvalid(
            f"{path} belongs to another user (uid {status.st_uid})",
            hint=foreign_hint(status, CONFIG_VARIABLE),
        )
    try:
        check_writers(path, status)
        for place in {os.path.dirname(path), os.path.dirname(os.path.realpath(path))}:
            trusted_directory_exists(place)
    except StorageError as error:
        raise ConfigInvalid(error.message, hint=error.hint) from error


def provider_tables(directory: str) -> dict[str, Any]:
    """The providers of the user's file in ``directory``; empty without a file.

    A table is checked (:func:`stayfast.interfaces.provider_file.check_table`) when its provider is used: an unknown setting in one table, such
    as one of a newer version, must not disable the others.

    Raises:
        ConfigInvalid: The file cannot be read, is not TOML, or other users could have written it:
            a person who can write it decides where our secrets are sent.
    """
    path = os.path.join(directory, FILE_NAME)
    text = read_settings(path)
    if text is None:
        return {}
    try:
        providers = parse_toml(text).get("providers", {})
    except ConfigInvalid as error:
        raise ConfigInvalid(f"{error.message}: {path}", hint=f"edit {path}") from error
    if not isinstance(providers, dict):
        raise ConfigInvalid("providers is not a table", hint=f"edit {path}")
    return cast("dict[str, Any]", providers)


def read_settings(path: str) -> bytes | None:
    """What stands in the file of settings ``path``; ``None`` if it is absent.

    Raises:
        ConfigInvalid: It cannot be read, is too large, or other users could have written it.
    """
    try:
        if not trusted_directory_exists(os.path.dirname(path)):
            return None
    except StorageError as error:
        raise ConfigInvalid(error.message, hint=error.hint) from error
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            check_origin(path, status)
            text = file.read(_SIZE_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read", hint=f"ls -l {path}") from error
    if len(text) > _SIZE_LIMIT:
        raise ConfigInvalid(f"{path} is too large", hint=f"ls -l {path}")
    return text
