"""Keys that are kept elsewhere: in a credential of the service manager, or by a command of the user."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from typing import Final

from ...engine.errors import StorageError
from .sealing import KEY_OCTETS, hmac

CREDENTIAL: Final = "stayfast"
"""The name of the credential, as in ``LoadCredentialEncrypted=stayfast:…`` of a unit."""
KEY_COMMAND: Final = "STAYFAST_KEY_COMMAND"
"""The variable that names the command. The vault does not name it: what a file says is never run."""
_PATIENCE: Final = 30.0  # seconds
_LIMIT: Final = 64 * 1024
_LEAST: Final = 16  # octets; less is not a key but a password


def credential_key(environ: Mapping[str, str]) -> bytes:
    """The key in the credential directory of a systemd service.

    Raises:
        StorageError: There is none.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise StorageError(
            "this vault opens with a systemd credential, and no service manager gave one",
            hint=f"LoadCredentialEncrypted={CREDENTIAL}:…",
        )
    try:
        with open(os.path.join(directory, CREDENTIAL), "rb") as file:
            return _key(file.read(_LIMIT), f"the systemd credential {CREDENTIAL!r}")
    except OSError as error:
        raise StorageError(
            f"the systemd credential {CREDENTIAL!r} cannot be read: "
            f"{(error.strerror or 'unknown error').lower()}",
            hint=f"LoadCredentialEncrypted={CREDENTIAL}:…",
        ) from error


def command_key(environ: Mapping[str, str]) -> bytes:
    """The key that the user's command prints.

    Raises:
        StorageError: It is not named, fails, takes too long, or prints nothing.
    """
    hint = f"export {KEY_COMMAND}='secret-tool lookup stayfast key'"
    try:
        words = shlex.split(environ.get(KEY_COMMAND, ""))
    except ValueError:
        words = []
    if not words:
        raise StorageError("this vault opens with the output of a command", hint=hint)
    try:
        # its standard error is the user's terminal: it may have to ask for something
        done = subprocess.run(  # noqa: S603  the user's own words
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StorageError(
            f"the command of {KEY_COMMAND} gave no answer in {_PATIENCE:.0f} s", hint=hint
        ) from error
    except OSError as error:
        raise StorageError(
            f"the command of {KEY_COMMAND} cannot be run: "
            f"{(error.strerror or 'unknown error').lower()}",
            hint=hint,
        ) from error
    if done.returncode:
        raise StorageError(
            f"the command of {KEY_COMMAND} failed with status {done.returncode}", hint=hint
        )
    return _key(done.stdout[:_LIMIT].strip(), f"the output of {KEY_COMMAND}")


def _key(secret: bytes, what: str) -> bytes:
    """A key of the right length from a secret of any form."""
    if len(secret) < _LEAST:
        raise StorageError(f"{what} is too short for a key", hint=f"openssl rand -hex {KEY_OCTETS}")
    return hmac(b"stayfast/1/outside-key", secret)
