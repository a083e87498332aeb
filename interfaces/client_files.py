"""The files by which a client proves itself: its secret, its private key, its TLS certificate.

Each is read when it is used. A file that another user can read, write or replace is refused: the
secret would be theirs as well, or the key would be theirs alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from ..engine.errors import ConfigInvalid, ConfigMissing, StorageError
from ..storage.private_file import check_readers
from .settings_files import check_origin, open_regular, text_of

# octets. A wrong path may name a large file or a device: read a bounded piece, and refuse more.
_LIMIT: Final = 16 * 1024
_TOKEN_LIMIT: Final = 64 * 1024


def secret_of(path: str, what: str, *, hint: str | None = None) -> str:
    """The text in the private file ``path``, without the blanks around it.

    Args:
        path: The file.
        what: What it holds, for messages: ``client secret``.
        hint: What to do about an error; by default, to look at the file.

    Raises:
        ConfigMissing: It is not there.
        ConfigInvalid: It cannot be read, is too large or empty, or others could use it.
    """
    return _text_of(path, what, _LIMIT, (check_origin, check_readers), hint)


def token_of(path: str) -> str:
    """The text of the file ``path`` that holds a subject token, an actor token or an assertion.

    Platforms put such files where programs of other users may read them, so that is no error; that
    others could write it is one.

    Raises:
        ConfigMissing: It is not there.
        ConfigInvalid: It cannot be read, is too large or empty, or others could write it.
    """
    return _text_of(path, "token", _TOKEN_LIMIT, (check_origin,))


def _text_of(
    path: str,
    what: str,
    limit: int,
    checks: Sequence[Callable[[str, os.stat_result], None]],
    hint: str | None = None,
) -> str:
    hint = hint or f"ls -l {path}"
    noun = what.rpartition(" ")[2]
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            for check in checks:
                check(path, status)
            octets = file.read(limit + 1)
        if len(octets) > limit:
            raise ConfigInvalid(
                f"the {what} file {path} is too large: a {noun} has at most {limit} octets",
                hint=hint,
            )
        text = text_of(octets).strip()
    except FileNotFoundError:
        raise ConfigMissing(f"there is no {what} file {path}", hint=hint) from None
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"the {what} file {path} cannot be read", hint=hint) from error
    except StorageError as error:
        raise ConfigInvalid(error.message, hint=error.hint) from error
    if not text:
        raise ConfigInvalid(f"the {what} file {path} holds no {noun}", hint=hint)
    return text


def key_of(path: str) -> str:
    """The text of the key file ``path``; see :func:`secret_of`."""
    return secret_of(path, "client key")


def require_certificate(certificate: str, key: str | None) -> None:
    """Make sure that a connection can be made with the TLS certificate in a file.

    OpenSSL would ask at the terminal for the passphrase of a key: an encrypted one is refused.

    Args:
        certificate: The file of the certificate, with or without its key.
        key: The file of its key, if it is another one.

    Raises:
        ConfigMissing: A file is not there.
        ConfigInvalid: A file cannot be used, or others could use it.
    """
    if not os.path.exists(certificate):
        raise ConfigMissing(
            f"there is no client certificate file {certificate}", hint=f"ls -l {certificate}"
        )
    private = key or certificate
    secret_of(private, "client key")
    import ssl  # noqa: PLC0415  few clients have a certificate

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(
            certificate, key, password=_no_passphrase
        )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigInvalid(
            f"the client certificate {certificate} and its key cannot be used",
            hint=f"openssl x509 -in {certificate} -noout",
        ) from error


def _no_passphrase() -> bytes:
    return b""
