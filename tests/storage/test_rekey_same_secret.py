"""A change of keys with the secret that opened the former key says that it protects nothing new."""

from __future__ import annotations

from pathlib import Path

import pytest
from stayfast.engine.ports import Storage
from stayfast.storage import open_storage
from stayfast.storage.capabilities import Upkeep, capabilities_of
from stayfast.storage.keys.outside import KEY_COMMAND
from stayfast.testing.storage_contract import finished, saved

ONE, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def keepers(place: Path, command: str, credential: str) -> dict[str, str]:
    """An environment in which a command and a systemd credential keep these secrets."""
    program = place / "keeper"
    program.write_text(f"#!/bin/sh\necho {command}\necho >> {place}/calls\n")
    program.chmod(0o700)
    (place / "stayfast").write_text(credential)
    return {KEY_COMMAND: str(program), "CREDENTIALS_DIRECTORY": str(place)}


def upkeep_of(storage: Storage) -> Upkeep:
    upkeep = capabilities_of(storage).upkeep
    assert upkeep is not None
    return upkeep


@pytest.mark.parametrize(
    ("before", "secret", "after", "fresh", "same"),
    [
        ("command", ONE, "command", ONE, True),
        ("command", ONE, "command", OTHER, False),
        ("systemd-creds", ONE, "systemd-creds", ONE, True),
        ("systemd-creds", ONE, "systemd-creds", OTHER, False),
        ("command", ONE, "systemd-creds", ONE, True),
        ("systemd-creds", ONE, "command", OTHER, False),
        ("passphrase", ONE, "passphrase", ONE, True),
        ("passphrase", ONE, "passphrase", OTHER, False),
        ("passphrase", ONE, "command", ONE, False),
        ("keyfile", ONE, "keyfile", ONE, False),
        ("command", ONE, "keyfile", ONE, False),
    ],
)
def test_the_same_secret_is_announced(
    tmp_path: Path, before: str, secret: str, after: str, fresh: str, same: bool
) -> None:
    """One line says so, once; the logins are there under either key."""
    tmp_path.chmod(0o700)
    places = {
        "STAYFAST_CONFIG_DIR": str(tmp_path / "config"),
        "STAYFAST_STATE_DIR": str(tmp_path / "state"),
        "STAYFAST_STORE": "file",
    }
    login = finished("one")
    first = open_storage(environ={**places, **keepers(tmp_path, secret, secret)})
    saved(first, [login])
    upkeep_of(first).rekey(before, secret if before == "passphrase" else None)
    said: list[str] = []
    environ = {**places, **keepers(tmp_path, secret, secret)}
    if before == "passphrase":
        environ["STAYFAST_PASSPHRASE"] = secret
    second = open_storage(environ=environ, announce=said.append)
    assert second.read(login.id) == login
    keepers(tmp_path, fresh, fresh)
    upkeep_of(second).rekey(after, fresh if after == "passphrase" else None)
    assert second.read(login.id) == login
    assert len(said) == same
    assert not any(ONE in line for line in said)
    if not same or after == "passphrase":
        return
    upkeep_of(second).rekey("keyfile")
    assert len(said) == 1
