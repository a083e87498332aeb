"""The command as users have it, installed from a wheel, against a Python that does nothing; and its peers.

The peers hold a valid token, too, and print it by their own quickest documented way. What does not
install here is named, and left out.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from command import World
from processes import KEPT, Run, environment, installed, measure, memory
from secret_service import PROGRAMS, secret_service
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.keys.window import _numbers, why_not
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.storage_contract import finished, saved

PEERS = ("msal", "msal-extensions", "authlib", "requests", "requests-oauth2client", "google-auth")
MSAL = """
import msal
cache = msal.SerializableTokenCache()
cache.add({"client_id": "c", "scope": ["s"], "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    "response": {"access_token": "t", "expires_in": 3600, "token_type": "Bearer", "id_token_claims": {}}})
print(cache.find("AccessToken")[0]["secret"])
"""
AUTHLIB = """
import json, sys, time
from authlib.integrations.requests_client import OAuth2Session
session = OAuth2Session("c", token=json.loads(sys.argv[1]))
assert not session.token.is_expired()
print(session.token["access_token"])
"""
OAUTH2CLIENT = """
import json, sys
from requests_oauth2client import BearerToken
token = BearerToken(**json.loads(sys.argv[1]))
assert not token.is_expired()
print(token.access_token)
"""
GOOGLE = """
import sys
from google.oauth2.credentials import Credentials
found = Credentials.from_authorized_user_file(sys.argv[1])
print(found.token)
"""
KEYRING_CLASS = "import os, keyring.backends.SecretService as b; b.Keyring().get_password('s', 'u'); os._exit(0)"
ASKED = "protocol=https\nhost=a.example\n\n"


if why_not():  # a session keyring of its own (KEYCTL_JOIN_SESSION_KEYRING) ends with this process
    with suppress(Exception):
        ctypes.CDLL(None).syscall(_numbers()[1], 1, None)

with tempfile.TemporaryDirectory() as place, AuthorizationServer() as server:
    python = installed()
    command = str(Path(python).with_name("stayfast"))
    world = World(Path(place), server)
    environ = world.environ
    vault = EncryptedFileStorage(environ=environ)
    login = finished("kept")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time(), expires_in=1e6, scope="read write")
    saved(vault, [replace(login, tokens=tokens)])
    subprocess.run(
        [command, "login", "demo", "--via", "loopback"],
        env=environ,
        check=True,
        capture_output=True,
    )
    subprocess.run([command, "completion", "bash"], env=environ, check=True, capture_output=True)

    under_passphrase = {
        "STAYFAST_STATE_DIR": str(Path(place) / "passphrase"),
        "STAYFAST_CONFIG_DIR": str(Path(place) / "passphrase-config"),
        "STAYFAST_PASSPHRASE": "a passphrase of many words",
    }
    another = EncryptedFileStorage(environ={**environ, **under_passphrase})
    saved(another, [replace(login, tokens=tokens)])
    unlocked = {**under_passphrase, "STAYFAST_UNLOCK_WINDOW": "1h"}
    windows = [
        Run("stayfast token P, passphrase", [command, "token", "kept"], environ=under_passphrase),
        Run("the same, in an unlock window", [command, "token", "kept"], "", 2.0, unlocked),
    ]
    if why_not():
        print(f"left out: the unlock window; {why_not()}")
        del windows[1:]

    def ours(name: str, words: str, goal: float | None = None, stdin: str = "") -> Run:
        return Run(f"stayfast {name}", [command, *words.split()], stdin, goal)

    def tab(name: str, words: str, place: int) -> Run:
        asked = {
            "_STAYFAST_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(place),
        }
        return Run(name, [command], goal=4, environ=asked)

    idle = Run("python -c pass", [python, "-c", "pass"])
    measure(
        idle,
        [
            ours("token P", "token kept", 1.8),
            ours("token P --json", "token kept --json", 2.8),
            ours("token P --format env", "token kept --format env", 2.8),
            ours("token P --min-ttl 5m", "token kept --min-ttl 5m", 2.8),
            ours("credential git get", "credential git --provider kept get", 2.8, ASKED),
            ours("exec P true", "exec kept -- true", 2.8),
            *windows,
            ours("--version", "--version", 4),
            ours("completion bash", "completion bash", 4),
            tab("Tab behind the first word `to`", "stayfast to", 1),
            tab("Tab behind `token d`, with a provider file", "stayfast token d", 2),
            ours("--help", "--help", 6),
            ours("help storage", "help storage", 6),
            ours("status", "status", 6),
            ours("status --json", "status --json", 6),
            ours("list", "list", 6),
            ours("provider list", "provider list", 6),
            ours("refresh P", "refresh demo", 14),
            Run("import stayfast", [python, "-c", "import stayfast"], goal=1.0),
        ],
        environ,
    )
    memory(
        [
            Run("memory: python -c pass", [python, "-c", "pass"], goal=9),
            Run("memory: stayfast token P", [command, "token", "kept"], goal=14),
            Run("memory: stayfast status", [command, "status"], goal=32),
        ],
        environ,
    )

    with secret_service(Path(place) / "session") as leading:
        if leading is None:
            print(f"left out: the key in the system keyring; {' or '.join(PROGRAMS)} is missing")
        else:
            state = str(Path(place) / "in-keyring")
            session = {**leading, "STAYFAST_STATE_DIR": state, "STAYFAST_STORE": "keyring"}
            store = [python, "-c", "import keyring; keyring.set_password('s', 'u', 't')"]
            for words in ([command, "login", "demo", "--via", "loopback"], store):
                subprocess.run(words, env={**environ, **session}, check=True, capture_output=True)
            get = [str(Path(python).with_name("keyring")), "get", "s", "u"]
            measure(
                Run("python -c pass", [python, "-c", "pass"]),
                [
                    Run("stayfast token P, key in the system keyring", [command, "token", "demo"], environ=session),
                    Run("the class of keyring for it, alone", [python, "-c", KEYRING_CLASS], environ=session),
                    Run("keyring get, from the same keyring", get, environ=session),
                ],
                environ,
            )  # fmt: skip

    print("peers, each with a valid token; ratios to the same idle Python")
    token = (
        f'{{"access_token": "t", "token_type": "Bearer", "expires_at": {int(time.time()) + 9999}}}'
    )
    oauth2client = '{"access_token": "t", "token_type": "Bearer", "expires_in": 9999}'
    google = Path(place) / "google.json"
    google.write_text(
        '{"token": "t", "refresh_token": "r", "client_id": "c", "client_secret": "s", "type": "authorized_user"}'
    )
    peers: list[Run] = []
    theirs = environment(KEPT / "peers", *PEERS)
    if theirs is None:
        print(f"left out, since they do not install here: {', '.join(PEERS)}")
    else:
        peers += [
            Run("MSAL: its cache, read and asked", [theirs, "-c", MSAL]),
            Run("Authlib: OAuth2Session with a token", [theirs, "-c", AUTHLIB, token]),
            Run("requests_oauth2client: BearerToken", [theirs, "-c", OAUTH2CLIENT, oauth2client]),
            Run("google-auth: Credentials of a file", [theirs, "-c", GOOGLE, str(google)]),
        ]
    with_keyring = environment(KEPT / "keyring", "keyring", "keyrings.alt")
    if with_keyring is None:
        print("left out, since it does not install here: keyring")
    else:
        back = {
            "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
            "XDG_DATA_HOME": f"{place}/data",
        }
        store = "import keyring; keyring.set_password('s', 'u', 't')"
        subprocess.run([with_keyring, "-c", store], env={**environ, **back}, check=True)
        words = [str(Path(with_keyring).with_name("keyring")), "get", "s", "u"]
        peers.append(Run("keyring get, from a plain file", words, environ=back))
    with_gh = {**environ, "GH_TOKEN": "gho_t", "GH_CONFIG_DIR": f"{place}/gh"}
    if gh := shutil.which("gh"):
        peers += [
            Run("gh auth token", [gh, "auth", "token"], environ=with_gh),
            Run("gh auth git-credential get", [gh, "auth", "git-credential", "get"], "protocol=https\nhost=github.com\n\n", environ=with_gh),
        ]  # fmt: skip
    for name, words in (("git-credential-oauth", ["version"]), ("oidc-token", ["--version"])):
        if found := shutil.which(name):
            peers.append(Run(f"{name}, its start alone", [found, *words]))
    missing = [
        name for name in ("gh", "git-credential-oauth", "oidc-token") if not shutil.which(name)
    ]
    if missing:
        print(f"left out, since they are not on this machine: {', '.join(missing)}")
    if git := shutil.which("git"):
        helped = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        fill = [git, "-c", "credential.helper=", "-c"]
        by_us = f"credential.helper=!{command} credential git --provider kept"
        peers.append(Run("git credential fill, by stayfast", [*fill, by_us, "credential", "fill"], ASKED, environ=helped))  # fmt: skip
        if gh:
            by_gh = f"credential.helper=!{gh} auth git-credential"
            peers.append(Run("git credential fill, by gh", [*fill, by_gh, "credential", "fill"], "protocol=https\nhost=github.com\n\n", environ={**with_gh, **helped}))  # fmt: skip
    measure(
        Run("python -c pass", [python, "-c", "pass"]),
        [ours("token P, beside the peers", "token kept"), *peers],
        environ,
    )
