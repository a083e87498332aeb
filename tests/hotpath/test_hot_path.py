"""What `stayfast token` and `import stayfast` cost: the modules they load, and no more."""

from __future__ import annotations

import hmac
import importlib.metadata
import json
import os
import sqlite3
import subprocess
import sys
import time
import types
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from command import STAYFAST
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st
from stayfast.engine.lifetime import USUAL_BUFFER, eagerness
from stayfast.engine.oauth.addresses import secure_address
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.interfaces.audit.choice import KINDS
from stayfast.interfaces.cli import fast
from stayfast.interfaces.cli.commands.token import FORMATS
from stayfast.interfaces.cli.fast import cached_token, read_arguments, seconds, unlocked
from stayfast.interfaces.cli.main import COMMANDS, cli
from stayfast.interfaces.cli.quick_completion import noted_scripts
from stayfast.interfaces.couriers import CHOICES
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.arrivals import Arrivals
from stayfast.storage.keys import sealing, slots
from stayfast.storage.paths import config_dir, state_dir
from stayfast.storage.vault import file, tree
from stayfast.storage.vault.file import open_database
from stayfast.storage.version import app_version, version_beside
from stayfast.testing.storage_contract import change, finished, further, saved

HEAVY = {
    "transitions", "requests", "urllib3", "keyring", "structlog", "click", "rich", "joserfc",
    "platformdirs", "asyncio", "http", "ssl", "email",
}  # fmt: skip
LEAN = HEAVY | {
    "re", "enum", "typing", "dataclasses", "json", "pathlib", "argparse", "logging", "secrets",
    "subprocess", "base64", "inspect", "tempfile", "urllib", "cryptography.hazmat.primitives",
}  # fmt: skip
LIST = "import sys; print('\\n'.join(sorted(sys.modules)), file=sys.stderr)"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A vault with one good token in it."""
    tmp_path.chmod(0o700)
    place = {
        "STAYFAST_STATE_DIR": str(tmp_path / "s"),
        "STAYFAST_CONFIG_DIR": str(tmp_path / "c"),
    }
    vault = EncryptedFileStorage(environ=place)
    saved(vault, [_lasting("demo")])
    return {"PATH": os.environ["PATH"], **place}


def _lasting(provider: str) -> Login:
    login = finished(provider, token="the-token")
    assert login.tokens is not None
    return replace(login, tokens=replace(login.tokens, issued_at=time.time() - 60))


def modules(code: str, environ: dict[str, str]) -> set[str]:
    """The modules that ``code`` leaves loaded, less those of a bare interpreter."""

    def loaded(what: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-S", "-c", f"{PATHS}\n{what}\n{LIST}"],
            env=environ, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return set(done.stderr.split())

    return loaded(code) - loaded("pass")


# -S leaves out the .pth files, whose modules would hide what we load ourselves
PATHS = f"import sys; sys.path[:0] = {[p for p in sys.path if p and 'support' not in p]!r}"


def test_a_cached_token_loads_next_to_nothing(environ: dict[str, str]) -> None:
    """Printing a valid token from a vault with a key file loads none of the heavy modules."""
    code = (
        "import os\nfrom stayfast.interfaces.cli.fast import cached_token\n"
        "assert cached_token(['demo'], os.environ) == 'the-token'"
    )
    found = modules(code, environ)
    assert not {name for name in found if name in LEAN or name.partition(".")[0] in LEAN}
    assert not found & {"functools", "collections", "warnings", "_hashlib", "struct", "types"}
    assert len(found) < 45


def kept_aside(environ: dict[str, str], token: str) -> None:
    """Keep ``token`` aside, as one that arrived and could not be saved."""
    directory = state_dir(environ)
    login = EncryptedFileStorage(environ=environ).find(account_alias("demo", "default"))
    assert login is not None
    assert login.tokens is not None
    newer = further(login, tokens=replace(login.tokens, access_token=token))
    connection = open_database(directory)
    assert connection is not None
    with closing(connection):
        keys = unlocked(connection, directory, "auto", environ)
    assert keys is not None
    assert Arrivals(environ, directory).keep(keys, [change(newer)]) is not None


def test_tokens_that_wait_to_be_saved_come_before_those_in_the_vault(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where newer tokens arrived and could not be saved, the whole command answers, and saves them.

    So it is where another process saves them between two looks of this one.
    """
    environ["XDG_RUNTIME_DIR"] = str(tmp_path)
    kept_aside(environ, "newer")
    assert cached_token(["demo"], environ) is None
    assert printed(environ, "token", "demo") == "newer"
    assert cached_token(["demo"], environ) == "newer"

    def read_just_before(*given: Any) -> Any:
        row = tree.read_by_alias(*given)
        printed(environ, "token", "demo")
        return row

    kept_aside(environ, "newest")
    monkeypatch.setattr(fast, "read_by_alias", read_just_before)
    assert cached_token(["demo"], environ) != "newer"


def printed(environ: dict[str, str], *words: str) -> str:
    """What the command prints for ``words``."""
    done = subprocess.run(
        [STAYFAST, *words], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_package_loads_next_to_nothing(environ: dict[str, str]) -> None:
    """`import stayfast` loads no library."""
    found = modules("import stayfast", environ)
    assert not {name for name in found if name.partition(".")[0] in HEAVY | {"cryptography"}}


def test_the_cipher_is_the_public_one() -> None:
    """The private homes of the cipher and of the key derivation lead to the very classes of the public modules."""
    assert sealing.Aead is AESGCM
    assert slots.argon2id() is Argon2id


@given(st.binary(max_size=200), st.binary(max_size=300))
def test_both_digests_are_those_of_the_library(key: bytes, message: bytes) -> None:
    """A digest is HMAC-SHA-256 whether OpenSSL made it or not."""
    right = hmac.digest(key, message, "sha256")
    assert sealing.by_small_module(key, message) == right
    assert sealing.hmac(key, message) == right


def test_openssl_is_loaded_for_many_digests(environ: dict[str, str]) -> None:
    """A process that makes many digests, or long ones, makes them by OpenSSL."""
    for code in ("[hmac(b'k', b'm') for _ in range(200)]", "hmac(b'k', bytes(100_000))"):
        found = modules(f"from stayfast.storage.keys.sealing import hmac\n{code}", environ)
        assert "_hashlib" in found
    assert "_hashlib" not in modules(
        "from stayfast.storage.keys.sealing import hmac\nhmac(b'k', b'm')", environ
    )


def test_struct_is_loaded_for_many_floats(environ: dict[str, str]) -> None:
    """A process that reads many floats reads them by the module for that."""
    code = "from stayfast.engine import cbor\nassert [cbor.decode(b'\\xfb' + bytes(8)) for _ in range({})]"
    assert "struct" in modules(code.format(200), environ)
    assert "struct" not in modules(code.format(20), environ)


def test_what_was_lent_is_whole_after_a_token_was_read(environ: dict[str, str]) -> None:
    """A program that reads a token first finds each module as it is, and SQLite goes on to work."""
    code = (
        "import os\nfrom stayfast.interfaces.cli.fast import cached_token\n"
        "assert cached_token(['demo'], os.environ) == 'the-token'\n"
        "assert not {'functools', 'types'} & set(sys.modules)\n"
        "import functools, sqlite3, types\nassert functools.wraps and functools.lru_cache\n"
        "assert types.SimpleNamespace and types.ModuleType\n"
        "assert sqlite3.connect(':memory:').execute('SELECT 1').fetchone() == (1,)"
    )
    assert {"functools", "types"} <= modules(code, environ)


def test_a_lent_module_gives_what_else_is_asked_for(environ: dict[str, str]) -> None:
    """An extension that asks for more than what is lent gets it from the module itself."""
    code = (
        "from stayfast.storage.lending import Lent\n"
        "with Lent('types', SimpleNamespace='lent'):\n"
        "    import types\n    assert types.SimpleNamespace == 'lent'\n"
        "    assert types.MethodType is type(environ.get)\n"
        "    from types import MethodType, SimpleNamespace\n"
        "    assert SimpleNamespace is type(sys.implementation)\n"
        "    with Lent('types', SimpleNamespace='lent'):\n"
        "        from types import SimpleNamespace\n"
        "        assert SimpleNamespace is type(sys.implementation)\n"
        "assert sys.modules['types'] is not types"
    )
    modules(f"from os import environ\n{code}", environ)


def test_what_is_lent_is_what_the_module_gives() -> None:
    """The names that are lent are those of the modules."""
    assert type(sys.implementation) is types.SimpleNamespace
    calls: list[int] = []

    def doubled(number: int) -> int:
        calls.append(number)
        return 2 * number

    cached: Any = file._lru_cache(2)(doubled)
    assert [cached(number) for number in (1, 1, 2, 3, 1)] == [2, 2, 4, 6, 2]
    assert calls == [1, 2, 3, 1]


def test_directories_are_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our few lines agree with platformdirs."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        for value in (None, "/somewhere", "relative"):
            environ = {"HOME": os.environ["HOME"], **({name: value} if value else {})}
            for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
                monkeypatch.delenv(variable, raising=False)
            if value and value != "relative":
                monkeypatch.setenv(name, value)
            assert state_dir(environ) == platformdirs.user_state_dir("stayfast", appauthor=False)
            assert config_dir(environ) == platformdirs.user_config_dir("stayfast", appauthor=False)


def test_it_answers_only_what_it_is_sure_of(environ: dict[str, str]) -> None:
    """Whatever is not a plain valid token is left to the whole command."""
    assert (
        cached_token(["demo", "--format", "header"], environ) == "Authorization: Bearer the-token"
    )
    assert cached_token(["demo", "--min-ttl=30m"], environ) == "the-token"
    for arguments in (
        [], ["other"], ["demo", "--min-ttl", "3570"], ["demo", "--format", "dpop"], ["demo", "x"],
        ["demo", "--no-refresh"], ["demo", "--account", "work"], ["demo", "--min-ttl", "soon"],
    ):  # fmt: skip
        assert cached_token(arguments, environ) is None
    for variable, value in [
        ("STAYFAST_TOKEN", "x"), ("STAYFAST_TOKEN_ACCOUNT", "work"), ("STAYFAST_STORE", "memory"),
        ("STAYFAST_STORE", "keyring"), ("STAYFAST_CONFIG_DIR", "/nowhere"),
    ]:  # fmt: skip
        assert cached_token(["demo"], {**environ, variable: value}) is None


WORDS = {"STAYFAST_AUDIT": KINDS, "STAYFAST_COURIER": CHOICES, "STAYFAST_COLOR": ("auto", "never")}


@pytest.mark.parametrize(
    ("variable", "value"),
    [(name, one) for name, words in WORDS.items() for one in ("", *words)]
    + [("STAYFAST_AUDIT", "file:/x, syslog"), ("STAYFAST_RETENTION", " 30d ")],
)
def test_a_setting_with_a_word_that_is_known_takes_no_time(
    environ: dict[str, str], variable: str, value: str
) -> None:
    """Every word that the whole command takes is known here."""
    assert cached_token(["demo"], {**environ, variable: value}) == "the-token"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *((name, "bogus") for name in WORDS), ("STAYFAST_COLOR", "Always"), ("STAYFAST_COURIER", " fork"),
        ("STAYFAST_AUDIT", "file,bogus"), ("STAYFAST_AUDIT", ","),
        ("STAYFAST_RETENTION", "30"), ("STAYFAST_RETENTION", "bogus"), ("STAYFAST_RETENTION", "1234567d"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_an_error_before_the_token_has_expired(
    environ: dict[str, str], variable: str, value: str
) -> None:
    """A script learns of it at once, and not when its token is refreshed."""
    calls = [["token", "demo"]]
    if value == "bogus":
        calls += [["exec", "demo", "true"], ["credential", "git", "--provider", "demo"]]
    for call in calls:
        quick, whole = both_ways(
            {**environ, variable: value}, call, b"protocol=https\nhost=a.b\n\n"
        )
        assert quick == whole
        assert quick[0] != 0


@pytest.mark.parametrize("least", ["366d", "367d", "2d", "8784h", "8785h", "9999999999s"])
def test_a_time_to_live_is_judged_the_same_both_ways(environ: dict[str, str], least: str) -> None:
    """Also of a token of which nobody knows how long it lasts."""
    login = _lasting("unknown")
    assert login.tokens is not None
    tokens = replace(login.tokens, expires_in=None)
    saved(EncryptedFileStorage(environ=environ), [replace(login, tokens=tokens)])
    quick, whole = both_ways(environ, ["token", "unknown", "--min-ttl", least])
    assert quick == whole


@pytest.mark.parametrize("state", list(State))
def test_states_that_serve(environ: dict[str, str], state: State) -> None:
    """A token is served by a login that holds one, whatever became of its refresh."""
    vault = EncryptedFileStorage(environ=environ)
    saved(vault, [replace(_lasting("other"), state=state)])
    serves = state in {State.AUTHENTICATED, State.EXPIRED, State.EXCHANGING, State.REFRESH_FAILED}
    assert (cached_token(["other"], environ) is not None) is serves


def test_a_login_without_a_user_is_as_quick(environ: dict[str, str]) -> None:
    """Its token is printed at once, until it is time to ask for the next one."""
    vault = EncryptedFileStorage(environ=environ)
    for name in ("fresh", "due"):
        login = _lasting(name)
        assert login.tokens is not None
        lasts = login.tokens.expires_in or 0.0
        age = 60 if name == "fresh" else lasts - USUAL_BUFFER - eagerness(login.id, lasts) / 2
        tokens = replace(login.tokens, issued_at=time.time() - age, refresh_token=None)
        config = replace(login.config, grant="client-credentials")
        saved(vault, [replace(login, tokens=tokens, config=config)])
    assert cached_token(["fresh"], environ) == "the-token"
    assert cached_token(["due"], environ) is None


def test_durations() -> None:
    """The lean reading of durations agrees with its words."""
    assert [seconds(text) for text in ("90", "60s", "5m", "1h", "x", "", "-1", "1.5")] == [
        90, 60, 300, 3600, None, None, None, None,
    ]  # fmt: skip
    assert read_arguments(["--account", "", "demo"], ["--account"]) is None


def test_what_does_not_open_is_left_to_the_whole_command(environ: dict[str, str]) -> None:
    """A torn row, a torn database and one open to others are nobody's token, and no traceback."""
    database = Path(environ["STAYFAST_STATE_DIR"]) / "vault.db"
    whole = database.read_bytes()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE login SET secret = zeroblob(length(secret))")
    assert cached_token(["demo"], environ) is None
    for torn in (b"", b"no database", whole[:5000], whole[:100] + b"x" * 4000 + whole[4100:]):
        database.write_bytes(torn)
        assert cached_token(["demo"], environ) is None
    database.write_bytes(whole)
    assert cached_token(["demo"], environ) == "the-token"
    database.chmod(0o644)
    assert cached_token(["demo"], environ) is None


def both_ways(
    environ: dict[str, str], words: list[str], asked: bytes = b""
) -> list[tuple[int, bytes, bytes]]:
    """What the command does, and what the whole command does where the fast path is kept from it."""
    command = str(Path(sys.executable).with_name("stayfast"))
    # an option of another command, which the fast path does not look at further
    slow = {**environ, "STAYFAST_TOKEN_NONCE": "x"}
    return [
        (done.returncode, done.stdout, done.stderr)
        for place in (environ, slow)
        for done in [
            subprocess.run(
                [command, *words], env=place, input=asked, capture_output=True, check=False
            )
        ]
    ]


@pytest.mark.parametrize(("scope", "lasts"), [(None, None), ("read write", 3600.0), (None, 1e30)])
def test_both_ways_print_the_same(
    environ: dict[str, str], scope: str | None, lasts: float | None
) -> None:
    """Every form of a token is the same whichever way the command took."""
    login = _lasting("odd")
    assert login.tokens is not None
    tokens = replace(login.tokens, scope=scope, expires_in=lasts, access_token="t'o\\k{en}")
    saved(EncryptedFileStorage(environ=environ), [replace(login, tokens=tokens)])
    calls = [["odd", f"--format={form}"] for form in FORMATS if form != "dpop"]
    for call in [*calls, ["odd", "--json"], ["odd", "--min-ttl", "5m", "--account", "default"]]:
        if lasts != 1e30 or "--min-ttl" not in call:  # it would be refreshed
            quick, whole = both_ways(environ, ["token", *call])
            assert quick == whole
            assert cached_token(call, environ) == quick[1].decode().rstrip("\n")


@pytest.mark.parametrize(
    "said",
    [
        "https://acme.my.salesforce.com", "https://ünïcode.example/a?b=c", "http://127.0.0.1:8080",
        "http://a.example", "https://u@a.example", "ftp://a.example", "https://a\\b", "", 5, None,
        {"a": "https://a.example"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("member", ["instance_url", "extra"])
def test_both_ways_print_the_address_of_the_api(
    environ: dict[str, str], said: object, member: str
) -> None:
    """Only an address to which a token may go is printed; a provider with newer settings is as quick."""
    login = _lasting("odd")
    assert login.tokens is not None
    tokens = replace(login.tokens, extra={"instance_url": said} if said is not None else {})
    config = replace(login.config, api_url_member=member, refresh_rotates="yes")
    saved(EncryptedFileStorage(environ=environ), [replace(login, tokens=tokens, config=config)])
    for call in (["odd", "--json"], ["odd", "--format=env"], ["odd"]):
        quick, whole = both_ways(environ, ["token", *call])
        assert quick == whole
        assert cached_token(call, environ) == quick[1].decode().rstrip("\n")
    answer = json.loads(cached_token(["odd", "--json"], environ) or "")
    known = member == "instance_url" and secure_address(said)
    assert answer.get("api_url") == (said if known else None)
    assert ("api_url" in answer) == known


@pytest.mark.parametrize(
    "asked",
    [
        "protocol=https\nhost=a.example\n\n",
        "protocol=https\nhost=a.example\nusername=me\n\n",
        "protocol=https\nhost=b.example\n\n",
        "protocol=http\nhost=a.example\n\n",
        "protocol=http\nhost=127.0.0.1:8080\n\n",
        "url=https://a.example/x\n\n",
        "capability[]=authtype\nprotocol=https\nhost=a.example\n\n",
        "protocol=https\nhost=a@b\n\n",
        "",
    ],
)
def test_git_is_answered_the_same_both_ways(environ: dict[str, str], asked: str) -> None:
    """What git is answered, told and exits with is the same whichever way the command took."""
    call = ["credential", "git", "--provider", "demo", "--url", "a.example", "--url=127.0.0.1:8080"]
    for more in [["--username=u", "get"], []] if "username" in asked else [["get"]]:
        quick, whole = both_ways(environ, [*call, *more], asked.encode())
        assert quick == whole


@pytest.mark.parametrize("locale", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("user", ["zo\u00eb".encode(), b"zo\xff", b"zo\xed\xa0\x80"])
def test_git_gets_its_own_octets_back_in_every_locale(
    environ: dict[str, str], locale: str, user: bytes
) -> None:
    """Its protocol is of octets: a user name that another encoding lacks is no other user."""
    asked = b"protocol=https\nhost=a.example\nusername=" + user + b"\n\n"
    call = ["credential", "git", "--provider", "demo", "get"]
    for done in both_ways({**environ, "PYTHONIOENCODING": locale}, call, asked):
        assert done[0] == 0
        assert done[1].startswith(b"username=" + user + b"\npassword=the-token\n")


def test_an_answer_in_json_is_utf_8_in_every_locale(environ: dict[str, str]) -> None:
    """RFC 8259 section 8.1; an account in which a letter is replaced is another account."""
    saved(EncryptedFileStorage(environ=environ), [replace(_lasting("demo"), account="w\u00f6rk")])
    call = ["token", "demo", "--account", "w\u00f6rk", "--json"]
    quick, whole = both_ways({**environ, "PYTHONIOENCODING": "ascii"}, call)
    assert quick == whole
    assert json.loads(quick[1].decode())["account"] == "w\u00f6rk"


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "sh", "-c", "echo $ACCESS_TOKEN"],
        ["--var", "T", "demo", "--", "sh", "-c", 'echo "$T" "$STAYFAST_PASSPHRASE"'],
        ["demo", "--var=T", "sh", "-c", "echo $T; exit 7"],
        ["demo", "no-such-command"],
        ["demo", "--var", "1", "true"],
        ["demo", "--"],
        ["demo", "sh", "-c", "ulimit -c; trap - PIPE; kill -PIPE $$"],
    ],
)
def test_a_command_gets_the_token_the_same_both_ways(
    environ: dict[str, str], words: list[str]
) -> None:
    """What a command gets, and what is said where it cannot run, is the same either way."""
    quick, whole = both_ways({**environ, "STAYFAST_PASSPHRASE": "p"}, ["exec", *words])
    assert quick == whole


@pytest.mark.parametrize(
    ("call", "more"),
    [
        (["token", "demo", "--json"], {"_json", "_datetime"}),
        (["token", "demo", "--format=env"], set[str]()),
        (["token", "demo", "--min-ttl=5m"], set[str]()),
        (["credential", "git", "--provider", "demo"], set[str]()),
        (["exec", "demo", "true"], set[str]()),
    ],
)
def test_every_use_of_a_token_loads_little(
    environ: dict[str, str], call: list[str], more: set[str]
) -> None:
    """Whoever wants a cached token in another form waits for that form alone."""
    code = (
        "import os, io\nfrom stayfast.interfaces.cli import entry\n"
        "sys.stdin = io.TextIOWrapper(io.BytesIO(b'protocol=https\\nhost=a.example\\n\\n'))\n"
        "def left(*_):\n"
        f"    {LIST}\n    sys.exit(0)\n"
        "os._exit = os.execvpe = left\n"
        f"sys.argv[1:] = {call!r}\nentry.main()"
    )
    found = modules(code, environ)
    heavy = {name for name in found if name in LEAN or name.partition(".")[0] in LEAN}
    assert more <= found
    assert not found & {"json", "datetime", "signal"}
    assert not heavy
    assert len(found) < 75


WHOLE_COMMAND = {
    "structlog",
    "joserfc",
    "requests",
    "keyring",
    "segno",
    "asyncio",
    "tomlkit",
}


STORED = {"rich", "transitions", "ssl", "email", "importlib.metadata", "subprocess", "logging"}
HELP = STORED | {"cryptography", "sqlite3", "stayfast.engine.record"}


@pytest.mark.parametrize(
    ("call", "never"),
    [
        ("--version", HELP),
        ("--help", HELP),
        ("help storage", HELP - {"rich"}),
        ("status --json", STORED),
        ("list --json", STORED),
        ("provider list --json", STORED),
        ("token demo --json --no-refresh", {"transitions", "ssl", "email", "importlib.metadata"}),
    ],
)
def test_a_command_loads_what_it_needs(environ: dict[str, str], call: str, never: set[str]) -> None:
    """Whoever asks for the version waits for no table, no key and no connection."""
    code = (
        "from stayfast.storage import version\n"
        "version._kept.append('1')\n"  # a clone has it in another place, and reads more
        "from stayfast.interfaces.cli.main import run\n"
        f"code = run({call.split()!r})\n"
        "assert code == 0, code"
    )
    found = modules(code, environ)
    found |= {name.partition(".")[0] for name in found}
    assert sorted(found & (never | WHOLE_COMMAND)) == []


def test_the_listed_sentences_are_those_of_the_commands() -> None:
    """What the help says about a command without loading it is what the command says of itself."""
    for name, (_, about) in COMMANDS.items():
        command = cli.commands[name]
        assert not command.hidden
        assert about == command.get_short_help_str(400)


def test_the_version_loads_next_to_nothing(environ: dict[str, str]) -> None:
    """It is printed as importlib.metadata says it, without that module."""
    code = "import sys\nfrom stayfast.storage import version\nassert version.app_version() == {!r}"
    shown = importlib.metadata.version("stayfast")
    found = modules(code.format(shown), environ)
    assert app_version() == shown
    assert len(found) < 12 or "importlib.metadata" in found  # a clone has it elsewhere


@pytest.mark.parametrize(
    ("names", "version"),
    [
        (["stayfast-1.2.3.dist-info", "other-1.dist-info"], "1.2.3"),
        (["stayfast-1.2.3rc1.dist-info"], "1.2.3rc1"),
        (["stayfast-1.2.3.dist-info", "stayfast-1.2.4.dist-info"], None),
        (["stayfast-1.2.3+local.dist-info"], None),
        (["stayfast_more-1.dist-info"], None),
        ([], None),
    ],
)
def test_a_folder_says_which_version_lies_beside_it(
    tmp_path: Path, names: list[str], version: str | None
) -> None:
    """Only where one installation lies there, and its name is plain."""
    for name in names:
        (tmp_path / name).mkdir()
    assert version_beside(str(tmp_path)) == version


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_noted(environ: dict[str, str], shell: str) -> None:
    """A shell that starts again gets the script of before, without the whole command."""
    command = str(Path(sys.executable).with_name("stayfast"))

    def asked() -> bytes:
        return subprocess.run(
            [command, "completion", shell], env=environ, capture_output=True, check=True
        ).stdout

    assert not noted_scripts(environ)
    first = asked()
    assert noted_scripts(environ) == {shell: first.decode().removesuffix("\n")}
    assert asked() == first
    code = (
        "sys.argv[1:] = ['completion', 'bash']\nfrom stayfast.interfaces.cli import entry\n"
        f"def left(*_):\n    {LIST}\n    sys.exit(0)\n"
        "entry.os._exit = left\nentry.main()"
    )
    if shell == "bash":
        assert not {name.partition(".")[0] for name in modules(code, environ)} & {"click", "rich"}
