"""Classes that programs derive from `FileTokenStorage`, as the API's page shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from stayfast import ConfigInvalid, FileTokenStorage, OAuthTokens
from stayfast.storage.capabilities import capabilities_of

TOKENS = OAuthTokens(access_token="ours", expires_in=3600)


class Harness(FileTokenStorage):
    SERVICE_PREFIX = "context-harness"
    TOKEN_DIR = ".context-harness/tokens"


class OnlyPlace(FileTokenStorage):
    TOKEN_DIR = ".only/place"


class OnlyPrefix(FileTokenStorage):
    SERVICE_PREFIX = "only-prefix"


class Deeper(Harness):
    pass


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a keyring, where the command's settings would lead elsewhere."""
    tmp_path.chmod(0o700)
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "STAYFAST_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for prefix in ("STAYFAST", "CONTEXT_HARNESS", "ONLY_PREFIX"):
        monkeypatch.setenv(f"{prefix}_STORE", "file")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "place", "keys"),
    [
        (FileTokenStorage, ".local/state/stayfast", ".config/stayfast"),
        (Harness, ".context-harness/tokens", ".config/context-harness/logins"),
        (Deeper, ".context-harness/tokens", ".config/context-harness/logins"),
        (OnlyPlace, ".only/place", ".config/stayfast"),
        (OnlyPrefix, ".local/state/only-prefix/logins", ".config/only-prefix/logins"),
    ],
)
def test_a_class_of_a_program_keeps_tokens_where_it_says(
    home: Path, kind: type[FileTokenStorage], place: str, keys: str
) -> None:
    """`TOKEN_DIR` is below the home directory, `SERVICE_PREFIX` names the rest; tokens come back from there."""
    kind().save_tokens("acme", TOKENS)

    vault = capabilities_of(kind().storage).vault
    assert vault is not None
    assert vault.directory == str(home / place)
    assert list((home / keys).glob("*"))
    found = kind().load_tokens("acme")
    assert found is not None
    assert found.access_token == "ours"
    assert all(b"ours" not in file.read_bytes() for file in (home / place).rglob("*.db"))


def test_a_class_reads_the_variables_of_its_own_prefix(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's `STAYFAST_STORE` says nothing about a program with a prefix of its own."""
    monkeypatch.setenv("STAYFAST_STORE", "memory")

    assert capabilities_of(Harness().storage).vault is not None
    assert capabilities_of(OnlyPlace().storage).vault is None


def test_a_place_that_is_given_comes_first(home: Path) -> None:
    """The argument wins over the class."""
    vault = capabilities_of(Harness("~/given").storage).vault

    assert vault is not None
    assert vault.directory == str(home / "given")


def test_a_prefix_that_cannot_be_one_is_refused() -> None:
    """A prefix leads to a directory of its own, and nowhere else."""

    class Escaping(FileTokenStorage):
        SERVICE_PREFIX = "../../etc"

    with pytest.raises(ConfigInvalid):
        Escaping()
