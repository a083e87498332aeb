"""The items of other programs in the system keyring, and those of ours."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from stayfast import OAuthService, OAuthTokens, Success
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.storage.keys import keyring as keyring_key
from stayfast.storage.token_storage import StorageView

ACME = OAuthConfig(
    service_name="acme",
    client_id="ours",
    auth_url="https://acme.test/authorize",
    token_url="https://acme.test/token",
)
MODULE = "a_keyring_of_neighbours"


class Keyring:
    """One user's keyring, which many programs write into."""

    priority = 1.0
    items: dict[tuple[str, str], str]

    def get_password(self, service: str, username: str) -> str | None:
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.items[service, username]


@pytest.fixture(autouse=True)
def items(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    module = types.ModuleType(MODULE)
    module.Keyring = Keyring  # type: ignore[attr-defined]  # made for this test
    monkeypatch.setitem(sys.modules, MODULE, module)
    monkeypatch.setattr(keyring_key, "_remembered", {})
    Keyring.items = {
        ("stayfast", "key"): "theirs",
        ("stayfast vault", "key"): "theirs",
        ("tool", "acme"): "theirs",
        ("tool", "key"): "theirs",
    }
    return Keyring.items


def tool(home: Path, app: str = "tool") -> OAuthService:
    prefix = app.upper()
    environ = {
        "HOME": str(home),
        "STAYFAST_KEYRING": "nowhere:Theirs",
        f"{prefix}_STORE": "keyring",
        f"{prefix}_KEYRING": f"{MODULE}:Keyring",
    }
    return OAuthService(app=app, providers={"acme": ACME}, environ=environ)


def keep(service: OAuthService, text: str) -> None:
    StorageView(service.assembly.storage).save_tokens("acme", OAuthTokens(access_token=text))


def kept(service: OAuthService) -> str:
    found = service.get_tokens("acme")
    assert isinstance(found, Success)
    return found.value.access_token


def test_items_of_others_are_neither_read_nor_changed(
    tmp_path: Path, items: dict[tuple[str, str], str]
) -> None:
    """A program's item has its name and that of its vault; no other item is touched."""
    tmp_path.chmod(0o700)
    before = dict(items)

    keep(tool(tmp_path), "ours")

    ((service, username),) = items.keys() - before.keys()
    assert service.startswith("tool vault ")
    assert username == "key"
    assert {name: items[name] for name in before} == before
    keyring_key._remembered.clear()  # as in the next process
    for name in before:
        items[name] = "changed"
    assert kept(tool(tmp_path)) == "ours"


def test_programs_of_one_user_have_items_of_their_own(
    tmp_path: Path, items: dict[tuple[str, str], str]
) -> None:
    """Two programs, and the command, keep tokens of one provider apart, each under a key of its own."""
    tmp_path.chmod(0o700)
    names = ("one", "two", "stayfast")
    for name in names:
        keep(tool(tmp_path, name) if name != "stayfast" else _command(tmp_path), name)

    keyring_key._remembered.clear()
    ours = {service.split()[0] for service, _ in items if " vault " in service}
    assert ours == set(names)
    assert kept(tool(tmp_path, "one")) == "one"
    assert kept(tool(tmp_path, "two")) == "two"


def _command(home: Path) -> OAuthService:
    environ = {
        "HOME": str(home),
        "STAYFAST_STORE": "keyring",
        "STAYFAST_KEYRING": f"{MODULE}:Keyring",
    }
    return OAuthService(providers={"acme": ACME}, environ=environ)


def test_the_command_opens_the_vault_of_a_program(
    tmp_path: Path, items: dict[tuple[str, str], str]
) -> None:
    """The vault says which item its key is in, so the library's own tools can mend a program's vault."""
    tmp_path.chmod(0o700)
    keep(tool(tmp_path), "ours")
    keyring_key._remembered.clear()

    environ = {
        "HOME": str(tmp_path),
        "STAYFAST_KEYRING": f"{MODULE}:Keyring",
        "STAYFAST_STATE_DIR": str(tmp_path / ".local/state/tool/logins"),
        "STAYFAST_CONFIG_DIR": str(tmp_path / ".config/tool/logins"),
    }
    assert kept(OAuthService(providers={"acme": ACME}, environ=environ)) == "ours"
