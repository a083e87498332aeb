"""The unlock window: what opens a vault, for some minutes in the kernel's session keyring.

Every test runs in a session keyring of its own. Where the kernel keeps no keys (many containers refuse
the calls), the same tests hold that everything works as without a window.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import STAYFAST
from stayfast.engine.errors import ConfigInvalid
from stayfast.storage.keys.window import forget_all, seconds_of, why_not, window_of

JOIN = """
import ctypes, os, sys
try:
    from stayfast.storage.keys.window import _numbers
    named = os.environ.get("SESSION_NAME")
    ctypes.CDLL(None).syscall(_numbers()[1], 1, named and named.encode())  # KEYCTL_JOIN_SESSION_KEYRING
except Exception:
    pass
os.execvp(sys.argv[1], sys.argv[1:])
"""
WORLD = """
import os, sys
from dataclasses import replace
from time import time
from stayfast.engine.errors import StayfastError
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import open_storage
from stayfast.storage.keys import window
from stayfast.storage.vault.file import headers, open_database
from stayfast.testing.storage_contract import finished, saved

settings = dict(os.environ)

def opens(**changed):
    environ = {name: value for name, value in (settings | changed).items() if value}
    try:
        return len(list(open_storage(environ=environ).summaries()))
    except StayfastError as error:
        return type(error).__name__

def make():
    login = finished("acme", token="the-token")
    fresh = replace(login.tokens, issued_at=time() - 60)
    storage = open_storage(environ=settings)
    saved(storage, [replace(login, tokens=fresh)])
    return storage

def header():
    directory = settings["STAYFAST_STATE_DIR"]
    return next(headers(open_database(directory), directory))[0]

def slot():
    return header().slots[0]

def store():
    return header().store

def token(**changed):
    environ = {name: value for name, value in (settings | changed).items() if value}
    return cached_token(["acme"], environ)
"""
REFUSING = """
import ctypes, struct
from stayfast.storage.keys.window import _numbers
# seccomp(2): the two calls answer EPERM, as in a container
lines = [(0x20, 0, 0, 0)]
lines += [(0x15, 0, 1, _numbers()[0]), (0x06, 0, 0, 0x50001)]
lines += [(0x15, 0, 1, _numbers()[1]), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in lines))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(program)))
prctl = ctypes.CDLL(None).prctl
longs = lambda *numbers: [ctypes.c_ulong(one) for one in numbers]
assert prctl(38, *longs(1, 0, 0, 0)) == 0
assert prctl(22, ctypes.c_ulong(2), filter, *longs(0, 0)) == 0
"""
KEYRING = """
printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null
exec "$@"
"""


def in_a_session(*words: str, environ: dict[str, str]) -> str:
    """The output of a program in a session keyring of its own."""
    done = subprocess.run(
        [sys.executable, "-c", JOIN, *words],
        env=environ, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


WHY_NOT = "from stayfast.storage.keys.window import why_not; print(why_not())"
KEEPS = not in_a_session(sys.executable, "-c", WHY_NOT, environ=dict(os.environ)).strip()
REFUSES = "StorageError"
needs_the_kernel = pytest.mark.skipif(not KEEPS, reason="the kernel keeps no keys here")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The settings of a vault under a passphrase, with a window."""
    tmp_path.chmod(0o700)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "STAYFAST_STATE_DIR": str(tmp_path / "s"),
        "STAYFAST_CONFIG_DIR": str(tmp_path / "c"),
        "STAYFAST_STORE": "file",
        "STAYFAST_PASSPHRASE": "a passphrase of many words",
        "STAYFAST_UNLOCK_WINDOW": "15m",
    }


def run(code: str, environ: dict[str, str]) -> list[str]:
    return in_a_session(sys.executable, "-c", WORLD + code, environ=environ).split()


def test_within_the_window_the_vault_opens_without_its_passphrase(environ: dict[str, str]) -> None:
    """Whoever set the window opens the vault until it ends; without the setting, nobody does."""
    code = """
make()
print(opens(), opens(STAYFAST_PASSPHRASE=""), token(STAYFAST_PASSPHRASE=""))
print(opens(STAYFAST_PASSPHRASE="", STAYFAST_UNLOCK_WINDOW=""), window.forget_all())
print(opens(STAYFAST_PASSPHRASE=""), token(STAYFAST_PASSPHRASE=""), window.forget_all())
"""
    within = (
        ["1", "1", "the-token", REFUSES, "1"] if KEEPS else ["1", REFUSES, "None", REFUSES, "0"]
    )
    assert run(code, environ) == [*within, REFUSES, "None", "0"]


def test_nothing_is_kept_without_the_setting(environ: dict[str, str]) -> None:
    """The window is off by default."""
    del environ["STAYFAST_UNLOCK_WINDOW"]
    assert run("make(); print(opens(), token(), window.forget_all())", environ) == [
        "1", "the-token", "0"
    ]  # fmt: skip


def test_another_session_does_not_have_the_key(environ: dict[str, str]) -> None:
    """The key of one session opens nothing in another one of the same user."""
    run("make(); opens()", environ)
    assert run('print(opens(STAYFAST_PASSPHRASE=""))', environ) == [REFUSES]


def test_a_process_without_a_session_keeps_nothing(environ: dict[str, str]) -> None:
    """The keyring that all processes of a user share, where they have no session, gets no key."""
    environ["SESSION_NAME"] = "_uid_ses.ours"  # the kernel names the shared one so
    code = 'make(); print(opens(), opens(STAYFAST_PASSPHRASE=""), window.forget_all(), bool(window.why_not()))'
    assert run(code, environ) == ["1", REFUSES, "0", "True"]


@needs_the_kernel
def test_the_kernel_ends_what_was_kept(environ: dict[str, str]) -> None:
    """A kept key has its end from the first moment, and is gone afterwards."""
    environ["STAYFAST_UNLOCK_WINDOW"] = "1s"
    code = """
make()
opened = opens()
with open("/proc/keys") as keys:
    print(opened, [one.split()[3] for one in keys if "stayfast:" in one and one.split()[3] == "perm"])
ended = time() + 30
while opens(STAYFAST_PASSPHRASE="") == 1 and time() < ended:
    pass
print(opens(STAYFAST_PASSPHRASE=""))
"""
    assert run(code, environ) == ["1", "[]", REFUSES]


def test_a_new_key_of_the_vault_makes_the_kept_one_useless(environ: dict[str, str]) -> None:
    """After a change of keys nothing of the former window is left, and what it kept opens nothing."""
    code = """
storage = make()
opens()
before = slot()
kept = window.kept_key(before.commitment)
storage.rekey("passphrase", "quite another one")
print(window.kept_key(before.commitment), opens(STAYFAST_PASSPHRASE="quite another one"))
print(slot().unwrap(kept or b"k" * 32, store()))
window.forget_all()
if kept:
    window.keep_key(slot().commitment, kept, 60)  # put back under the new name
print(opens(STAYFAST_PASSPHRASE=""))
"""
    assert run(code, environ) == ["None", "1", "None", REFUSES]


def test_a_foreign_key_in_the_session_is_no_obstacle(environ: dict[str, str]) -> None:
    """What another program put under our name opens nothing, and the ordinary way is taken."""
    code = """
make()
window.keep_key(slot().commitment, b"x" * 32, 60)
print(opens(STAYFAST_PASSPHRASE=""), opens(), opens(STAYFAST_PASSPHRASE=""))
"""
    assert run(code, environ) == [REFUSES, "1", "1" if KEEPS else REFUSES]


def test_a_kernel_that_refuses_changes_nothing(environ: dict[str, str]) -> None:
    """Where a sandbox refuses the calls, every command works as without a window."""
    code = """
make()
print(opens(), token(), opens(STAYFAST_PASSPHRASE=""), window.forget_all(), bool(window.why_not()))
"""
    refusing = REFUSING if KEEPS else ""
    assert run(refusing + code, environ) == ["1", "the-token", REFUSES, "0", "True"]


@pytest.mark.parametrize(
    ("text", "lasts"),
    [("15m", 900), ("90s", 90), ("90", 90), ("24h", 86400), ("", 0), ("off", 0), ("0", 0)],
)
def test_a_window_is_a_duration(text: str, lasts: int) -> None:
    """Seconds, minutes or hours; nothing, zero and `off` turn it off."""
    assert seconds_of({"STAYFAST_UNLOCK_WINDOW": text}) == lasts


@pytest.mark.parametrize("text", ["25h", "soon", "-1", "1.5h", "m", "9" * 5000, "١٥m", "15 m"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    """A wrong value is named, not ignored."""
    with pytest.raises(ConfigInvalid):
        seconds_of({"STAYFAST_UNLOCK_WINDOW": text})


def test_a_wrong_window_stops_every_kind_of_vault(environ: dict[str, str]) -> None:
    """A vault with a key file says it, too, although it needs no window."""
    del environ["STAYFAST_PASSPHRASE"]
    code = 'make(); print(opens(), opens(STAYFAST_UNLOCK_WINDOW="soon"), token(STAYFAST_UNLOCK_WINDOW="soon"))'
    assert run(code, environ) == ["1", "ConfigInvalid", "None"]


@pytest.mark.keyring
def test_a_locked_keyring_is_not_asked_within_the_window(environ: dict[str, str]) -> None:
    """The first token comes from the system keyring; the next one does without it, and loads nothing of it."""
    missing = [
        name for name in ("gnome-keyring-daemon", "dbus-run-session") if not shutil.which(name)
    ]
    if missing and not os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.skip(f"not installed: {missing}")
    assert not missing
    del environ["STAYFAST_PASSPHRASE"]
    environ["STAYFAST_STORE"] = "keyring"
    environ["XDG_RUNTIME_DIR"] = environ["HOME"]
    code = """
import subprocess
before = set(sys.modules)
if sys.argv[1] == "make":
    make()
if sys.argv[1] != "again":
    print(token())
    subprocess.run([sys.executable, "-c", sys.argv[2], "again"], check=True,
                   env=settings | {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"})
else:
    print(token(), *sorted({"keyring", "jeepney", "secretstorage"} & set(sys.modules) - before))
"""
    text = WORLD + code
    answer = in_a_session(
        "dbus-run-session", "--", "sh", "-c", KEYRING, "sh",
        sys.executable, "-c", text, "make", text, environ=environ,
    ).split()  # fmt: skip
    assert answer[:2] == (["the-token", "the-token"] if KEEPS else ["the-token", "None"])
    assert not KEEPS or answer[2:] == []


def test_store_lock_ends_the_window_and_doctor_shows_it(environ: dict[str, str]) -> None:
    """`store lock` says how many keys it forgot, and `doctor` what the setting means here."""
    code = """
import json, subprocess
make()
opens()
def command(*words, **changed):
    done = subprocess.run(
        [sys.argv[1], *words, "--json"], env=settings | changed, capture_output=True, text=True
    )
    return json.loads(done.stdout)
def window_check(**changed):
    checks = command("doctor", "--offline", **changed)["checks"]
    return [one["result"] for one in checks if one["name"] == "unlock window"]
print(*window_check(), len(window_check(STAYFAST_UNLOCK_WINDOW="")), *window_check(STAYFAST_UNLOCK_WINDOW="soon"))
print(*command("store", "info")["unlock_window"].values())
print(command("store", "lock")["forgotten"], command("store", "lock")["forgotten"])
print(opens(STAYFAST_PASSPHRASE=""))
"""
    done = in_a_session(sys.executable, "-c", WORLD + code, STAYFAST, environ=environ).split()
    kept = "1" if KEEPS else "0"
    assert done == ["ok" if KEEPS else "warn", "0", "fail", "900", kept, kept, "0", REFUSES]


def test_a_python_without_ctypes_opens_the_vault_the_ordinary_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The window is a matter of speed: that it cannot be had is said by ``doctor``, and fails nothing."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    wanted = window_of({"STAYFAST_UNLOCK_WINDOW": "15m"})
    assert wanted is not None
    wanted.keep(b"c" * 32, b"k" * 32)
    assert wanted.kept(b"c" * 32) is None
    assert forget_all() == 0
    assert why_not()
