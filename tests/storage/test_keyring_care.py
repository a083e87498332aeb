"""A keyring is asked with a deadline, one question at a time, and hints lead somewhere."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from stayfast.engine.errors import StorageError
from stayfast.storage import EncryptedFileStorage, KeyringStorage, open_storage
from stayfast.storage.keys import keyring as keyring_key
from stayfast.storage.keys.keyring import KeyringKey
from stayfast.testing.storage_contract import finished, saved

HERE = {"STAYFAST_KEYRING": "a_keyring_for_a_test:Keyring"}
STORE = b"s" * 16


class Keyring:
    """Keeps items while the test lets it."""

    priority = 1.0
    items: dict[tuple[str, str], str]
    asked: int
    problem: Exception | None
    gate: threading.Event

    @classmethod
    def reset(cls) -> None:
        cls.items, cls.asked, cls.problem, cls.gate = {}, 0, None, threading.Event()
        cls.gate.set()

    @classmethod
    def _answer(cls) -> None:
        cls.asked += 1
        cls.gate.wait()
        if cls.problem is not None:
            raise cls.problem

    def get_password(self, service: str, username: str) -> str | None:
        self._answer()
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._answer()
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._answer()
        del self.items[service, username]


@pytest.fixture(autouse=True)
def _keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("a_keyring_for_a_test")
    module.Keyring = Keyring  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    Keyring.reset()
    yield
    Keyring.gate.set()


def vault(place: Path, environ: dict[str, str] = HERE) -> KeyringStorage:
    """The vault, as a process finds it that has not asked the keyring for anything yet."""
    keyring_key._remembered.clear()
    return KeyringStorage(str(place / "s"), environ=environ)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_one_small_item_is_all_a_keyring_holds(place: Path) -> None:
    """A vault of many logins is one item of 48 characters, read once by a process."""
    storage = vault(place)
    saved(storage, [finished(f"p{number}") for number in range(20)])
    ((item, text),) = Keyring.items.items()
    assert len(text) == 48
    assert "p1" not in str(item)
    Keyring.asked = 0
    again = vault(place)
    for number in range(20):
        assert again.find(f"account\0p{number}\0default") is not None
    assert Keyring.asked == 1


def test_a_silent_keyring_is_not_asked_a_second_time() -> None:
    """While a question is still unanswered the next one fails at once; then it is asked again."""
    key = KeyringKey(environ=HERE)
    kept = key.create(STORE)
    keyring_key._remembered.clear()
    later = KeyringKey(environ=HERE)
    later._patience = 0.1
    Keyring.gate.clear()
    Keyring.asked = 0
    for _ in range(3):
        with pytest.raises(StorageError):
            later.read(STORE)
    assert Keyring.asked == 1
    Keyring.gate.set()
    assert later._silent is not None
    later._silent.join()
    assert later.read(STORE) == kept


class Odd(Exception):
    """As the libraries below the back ends raise them: of no family of keyring's."""


@pytest.mark.parametrize("problem", [Odd("the secret"), OSError(5, "bus"), KeyError("x")])
def test_whatever_a_keyring_raises_is_a_storage_error(place: Path, problem: Exception) -> None:
    """An existing vault whose keyring fails is refused with a way on; it is never opened otherwise."""
    login = finished()
    saved(vault(place), [login])
    Keyring.problem = problem
    with pytest.raises(StorageError) as caught:
        vault(place).read(login.id)
    assert caught.value.exit_code == 7
    assert "secret" not in caught.value.message
    assert "STAYFAST_STORE" not in str(caught.value.hint)  # that would only be refused as well
    for choice in ("auto", "keyring"):
        with pytest.raises(StorageError):
            open_storage(choice, state_dir=str(place / "s"), environ=HERE).read(login.id)
    assert not (place / "c").exists()
    Keyring.problem = None
    assert vault(place).read(login.id) == login


def test_a_vault_keeps_to_the_kind_it_was_made_with(place: Path) -> None:
    """A vault with its key in the keyring is not opened as one with a file, nor the other way."""
    login = finished()
    saved(vault(place), [login])
    with pytest.raises(StorageError):
        EncryptedFileStorage(str(place / "s"), config_dir=str(place / "c"), environ=HERE).read(
            login.id
        )
    filed = EncryptedFileStorage(str(place / "f"), config_dir=str(place / "c"), environ=HERE)
    saved(filed, [login])
    with pytest.raises(StorageError):
        KeyringStorage(str(place / "f"), environ=HERE).read(login.id)


def test_a_lost_item_is_not_made_anew(place: Path) -> None:
    """When the keyring has lost the key, the vault stays shut and nothing is written over it."""
    login = finished()
    saved(vault(place), [login])
    before = (place / "s" / "vault.db").read_bytes()
    Keyring.items.clear()
    storage = vault(place)
    with pytest.raises(StorageError):
        storage.read(login.id)
    with pytest.raises(StorageError):
        saved(storage, [finished("other")])
    assert Keyring.items == {}
    assert (place / "s" / "vault.db").read_bytes() == before


def test_a_key_can_be_taken_out_of_the_keyring(place: Path) -> None:
    """Without its item the vault is as good as erased."""
    login = finished()
    storage = vault(place)
    saved(storage, [login])
    header = storage._vault_connection.header
    assert header is not None
    item = str(header.slots[0].params["item"])
    KeyringKey(environ=HERE).delete(header.store, item)
    assert Keyring.items == {}
    with pytest.raises(StorageError):
        vault(place).read(login.id)
