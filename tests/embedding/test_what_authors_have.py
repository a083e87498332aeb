"""What authors of programs have already: token storages with places of their own, and entries of providers."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from stayfast import (
    ConfigInvalid,
    FileTokenStorage,
    MemoryStorage,
    OAuthConfig,
    OAuthService,
    OAuthTokens,
    Success,
)


class AcmeTokens(FileTokenStorage):
    SERVICE_PREFIX = "acme"
    TOKEN_DIR = ".acme/tokens"


class NamedOnly(FileTokenStorage):
    SERVICE_PREFIX = "acme"


class PlacedOnly(FileTokenStorage):
    TOKEN_DIR = ".acme/tokens"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, and settings of the command that a program must not heed."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "STAYFAST_STATE_DIR", "STAYFAST_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def made(home: Path) -> set[str]:
    """The files that lie in the home now, but for locks."""
    found = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    return {path for path in found if "lock" not in path}


@pytest.mark.parametrize(
    ("kind", "vault", "config"),
    [
        (AcmeTokens, ".acme/tokens", ".config/acme"),
        (NamedOnly, ".local/state/acme", ".config/acme"),
        (PlacedOnly, ".acme/tokens", ".config/stayfast"),
        (FileTokenStorage, ".local/state/stayfast", ".config/stayfast"),
    ],
)
def test_a_class_of_a_program_s_own_has_its_own_places(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[FileTokenStorage],
    vault: str,
    config: str,
) -> None:
    """Vault and key lie where the class says, and nothing lies anywhere else."""
    named = kind.SERVICE_PREFIX == "acme"
    monkeypatch.setenv("STAYFAST_STORE", "memory" if named else "file")
    monkeypatch.setenv("ACME_STORE", "file")
    tokens = OAuthTokens(access_token="t", expires_in=3600)

    kind().save_tokens("github", tokens)

    assert kind().load_tokens("github") == tokens
    assert {path for path in made(home) if not path.startswith((vault, config))} == set()
    assert any(path.startswith(vault) and path.endswith("vault.db") for path in made(home))
    assert OAuthService(token_storage=kind()).get_bearer_token("github") == Success("t")


def test_a_directory_given_to_the_class_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`token_dir` is where the vault is, whatever the class says."""
    monkeypatch.setenv("ACME_STORE", "file")
    AcmeTokens("~/elsewhere").save_tokens("github", OAuthTokens(access_token="t"))

    assert (home / "elsewhere/vault.db").exists()
    assert not (home / ".acme").exists()


def test_a_prefix_that_can_name_nothing(home: Path) -> None:
    """A name that would lead out of its directory is refused, and nothing is made."""

    class Wandering(FileTokenStorage):
        SERVICE_PREFIX = "../acme"

    with pytest.raises(ConfigInvalid):
        Wandering()
    assert made(home) == set()


GITHUB = {
    "service_name": "github",
    "client_id": "acme-cli",
    "auth_url": "https://github.com/login/oauth/authorize",
    "token_url": "https://github.com/login/oauth/access_token",
}


@pytest.mark.parametrize(
    ("name", "members", "redirect"),
    [
        ("github", {}, "http://localhost:8080/callback"),
        ("github", {"redirect_uri": "http://127.0.0.1:0/back"}, "http://127.0.0.1:8080/back"),
        ("acme", {}, "http://localhost:8080/callback"),
        ("acme", {"redirect_uri": "http://127.0.0.1/callback"}, "http://127.0.0.1:8080/callback"),
    ],
)
def test_an_entry_of_a_program_sends_what_the_page_has_people_register(
    name: str, members: dict[str, str], redirect: str
) -> None:
    """An entry that says nothing of its redirect address has the page's; one that says it has its own."""
    entry = OAuthConfig(**{**GITHUB, "service_name": name, **members})  # type: ignore[arg-type]
    service = OAuthService(
        app="acme", providers={name: entry}, storage=MemoryStorage(), environ={}, audit="none"
    )

    started = service.begin(name)

    assert isinstance(started, Success)
    query = parse_qs(urlsplit(started.value.address or "").query)
    assert query["redirect_uri"] == [redirect]
