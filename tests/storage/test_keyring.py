"""The key in a real system keyring: gnome-keyring, in a D-Bus session of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from stayfast.engine.errors import StorageError
from stayfast.storage import KeyringStorage, open_storage
from stayfast.storage.keys import keyring as keyring_key
from stayfast.storage.keys.keyring import KeyringKey

SESSION = """
printf '%s' "${KR_PASSWORD-secret}" | gnome-keyring-daemon --unlock --components=secrets >/dev/null
exec "$@"
"""

MAKE = """
import sys
from stayfast.storage import open_storage
from stayfast.testing.storage_contract import finished, saved
from stayfast.engine.summary import account_alias
said = []
storage = open_storage(announce=said.append)
if "make" in sys.argv: saved(storage, [finished()])
print(storage.find(account_alias("acme", "default")).provider, storage.description, len(said))
"""

FREEZE = """
import os, pathlib, signal, time
from stayfast.storage.keys.keyring import KeyringKey
from stayfast.engine.errors import StorageError

def ours():  # the daemon of this home, and no other of this machine
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            named = (process / "comm").read_text().startswith("gnome-keyring")
            home = ("HOME=" + os.environ["HOME"]).encode() in (process / "environ").read_bytes().split(b"\\0")
        except OSError:
            continue
        if named and home:
            yield int(process.name)

daemons = list(ours())
assert daemons
for daemon in daemons: os.kill(daemon, signal.SIGSTOP)
began = time.monotonic()
try: KeyringKey().create(b"x" * 16)
except StorageError as error: print(error.exit_code, time.monotonic() - began < 30)
for daemon in daemons: os.kill(daemon, signal.SIGKILL)
"""


def require() -> None:
    missing = [
        name for name in ("gnome-keyring-daemon", "dbus-run-session") if not shutil.which(name)
    ]
    if missing and os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.fail(f"not installed: {missing}")
    if missing:
        pytest.skip(f"not installed: {missing}")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home in which nothing touches the user's own keyring."""
    require()
    tmp_path.chmod(0o700)
    for name in ("home", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY"}
        and not name.startswith("STAYFAST_")
    }
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "STAYFAST_STATE_DIR": str(tmp_path / "s"),
        "STAYFAST_CONFIG_DIR": str(tmp_path / "c"),
    }


def in_session(environ: dict[str, str], script: str, *arguments: str) -> str:
    """What ``script`` prints inside a D-Bus session with an unlocked keyring."""
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", SESSION, "-", sys.executable, "-c", script, *arguments],
        env=environ, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr[-500:]


@pytest.mark.keyring
def test_a_key_in_the_keyring_serves_every_process(environ: dict[str, str]) -> None:
    """Where a keyring answers, it holds the key: made once, said once, found by the next process."""
    assert in_session(environ, MAKE, "make") == "acme keyring:SecretService 1"
    assert in_session(environ, MAKE) == "acme keyring:SecretService 0"
    assert list(Path(environ["STAYFAST_CONFIG_DIR"]).glob("*.key")) == []


@pytest.mark.keyring
def test_a_locked_or_absent_keyring_is_said(environ: dict[str, str]) -> None:
    """A vault whose key is out of reach is refused in time, and never remade beside its key."""
    assert in_session(environ, MAKE, "make").startswith("acme")
    assert "StorageError" in in_session({**environ, "KR_PASSWORD": "wrong"}, MAKE)
    before = {name: environ[name] for name in ("STAYFAST_STATE_DIR", "STAYFAST_CONFIG_DIR")}
    began = time.monotonic()
    with pytest.raises(StorageError) as caught:
        open_storage(environ=before).find("x")
    assert caught.value.exit_code == 7
    assert time.monotonic() - began < 30


@pytest.mark.keyring
def test_a_frozen_keyring_costs_three_seconds(environ: dict[str, str]) -> None:
    """A daemon that does not answer is given up on."""
    assert in_session(environ, FREEZE) == "7 True"


class Planted:
    """A back end that would keep keys where anybody can read them."""

    priority = 99
    kept: dict[str, str] = {}  # noqa: RUF012  shared on purpose

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get(service)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service] = password


class Forgetful(Planted):
    def set_password(self, service: str, username: str, password: str) -> None:
        pass


def test_only_known_keyrings_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A back end that merely offers itself, by configuration or priority, is not used."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    with pytest.raises(StorageError):
        KeyringStorage(str(tmp_path / "s"), environ={}).probe()


def test_what_a_keyring_claims_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named back end is used; one that forgets, or gives back something else, is refused."""
    module = types.ModuleType("planted_for_a_test")
    module.Planted, module.Forgetful = Planted, Forgetful  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "planted_for_a_test", module)
    good = KeyringKey(environ={"STAYFAST_KEYRING": "planted_for_a_test:Planted"})
    key = good.create(b"a" * 16)
    again = KeyringKey(environ={"STAYFAST_KEYRING": "planted_for_a_test:Planted"})
    assert again.read(b"a" * 16) == key
    Planted.kept = dict.fromkeys(Planted.kept, "AAAA")
    keyring_key._remembered.clear()  # as another process
    with pytest.raises(StorageError):
        KeyringKey(environ={"STAYFAST_KEYRING": "planted_for_a_test:Planted"}).read(b"a" * 16)
    with pytest.raises(StorageError):
        KeyringKey(environ={"STAYFAST_KEYRING": "planted_for_a_test:Forgetful"}).create(b"b" * 16)
