"""What lies in the vault, however it came there, is judged where it is used and shown as it is."""

from __future__ import annotations

import signal
import time
from dataclasses import replace

import pytest
from command import World
from stayfast.engine.errors import AuthRequired
from stayfast.engine.oauth.token_endpoint import bearer_token
from stayfast.engine.result import ErrorCode, Failure
from stayfast.interfaces.service import OAuthService
from stayfast.testing.storage_contract import finished, saved

NO_TOKENS = [
    "",
    "a\r\nX-Evil: 1",
    "a\nb",
    "\x00",
    "a\x1b]0;owned\x07",
    "tökén",
    "a\x7f",
    "a\u2028b",
    "a\u200bb",
]
"""Values that no access token may have (RFC 6749 appendix A.12)."""
NO_TYPES = ["mac", "N_A", "DPoP", "", "Bearer\r\nX: 1"]
"""Types that nobody asked for (RFC 6749 §7.1)."""
FORMATS = ["raw", "header", "json", "env", "fish", "powershell"]


def store(world: World, **changes: object) -> None:
    """Put a login with tokens of this kind into the vault, past every check."""
    login = finished("demo", token="good-token")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time(), refresh_token=None, **changes)
    config = world.assembly.config("demo", client_id=None, scopes=None, via="auto")
    saved(world.assembly.storage, [replace(login, config=config, tokens=tokens)])


@pytest.mark.parametrize(
    "changes",
    [
        *({"access_token": value} for value in NO_TOKENS),
        *({"token_type": kind} for kind in NO_TYPES),
    ],
    ids=repr,
)
def test_no_use_of_a_stored_token_takes_one_that_is_none(
    world: World, changes: dict[str, str]
) -> None:
    """Neither the library's ways to use it nor a command prints or passes it on; the answer is a sign-in."""
    store(world, **changes)
    service = OAuthService(storage=world.assembly.storage)
    login = world.logins()[0]

    for answer in (service.get_bearer_token("demo"), service.ensure_valid_token("demo")):
        assert isinstance(answer, Failure)
        assert answer.code is ErrorCode.AUTH_REQUIRED
        assert answer.hint is not None
        assert (answer.hint.action, answer.hint.provider) == ("login", "demo")
    with pytest.raises(AuthRequired):
        bearer_token(login)
    done = world.run("token", "demo")
    assert (done.code, done.out) == (4, "")


@pytest.mark.parametrize("changes", [{"access_token": "a\r\nb"}, {"token_type": "mac"}], ids=repr)
@pytest.mark.parametrize(
    "words",
    [*(["token", "demo", "--format", form] for form in FORMATS), ["exec", "demo", "--", "env"]],
    ids=" ".join,
)
def test_no_format_and_no_command_gets_it(
    world: World, changes: dict[str, str], words: list[str]
) -> None:
    """Each format is refused in words, and `exec` runs nothing."""
    store(world, **changes)
    done = world.run(*words)

    assert (done.code, done.out) == (4, "")
    assert done.err.count("error: ") == done.err.count("hint: ") == 1


def test_a_token_that_can_be_refreshed_says_so(world: World) -> None:
    """Where a refresh token is stored the advice is to refresh, with the account."""
    login = finished("demo")
    assert login.tokens is not None
    tokens = replace(login.tokens, access_token="\x00", refresh_token="r")
    with pytest.raises(AuthRequired) as refused:
        bearer_token(replace(login, account="work", tokens=tokens))
    assert refused.value.hint == "stayfast refresh demo --account work"


@pytest.mark.parametrize(
    ("value", "printed"),
    [("tok\r\n", "tok"), (" tok ", "tok"), (" \n", "good-token"), ("", "good-token")],
)
def test_the_variable_counts_without_its_blanks(world: World, value: str, printed: str) -> None:
    """STAYFAST_TOKEN with the line end of its file is one clean line; of nothing but blanks it is unset."""
    store(world)
    assert world.run("token", "demo", env={"STAYFAST_TOKEN": value}).out == f"{printed}\n"


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2Jb", "tökén"])
@pytest.mark.parametrize("words", [["token", "--format", "header"], ["exec", "demo", "--", "env"]])
def test_a_variable_that_holds_no_token_is_refused(
    world: World, value: str, words: list[str]
) -> None:
    """It reaches no header, no terminal and no command."""
    done = world.run(*words, env={"STAYFAST_TOKEN": value})
    assert (done.code, done.out) == (1, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["exec", "demo", "--", "/nonexistent/x"], 127),
        (["exec", "demo", "no-such-command-4711"], 127),
        (["exec", "demo", "--", "/"], 126),
        (["exec", "demo", "--", "/etc/passwd"], 126),
        (["exec", "demo", "--", "sh", "-c", "exit 77"], 77),
        (["exec", "demo", "--account", "default", "--", "sh", "-c", "exit 3"], 3),
        (["exec", "--account", "default", "demo", "sh", "-c", "exit 3"], 3),
        (["exec", "demo", "--var=X", "-q", "sh", "-c", "exit ${#X}"], 10),
        (["exec", "demo", "sh", "-c", 'test "$*" = "x -- y"', "sh", "x", "--", "y"], 0),
        (["exec", "demo", "--var", "é", "--", "true"], 1),
        (["exec", "demo", "--"], 1),
        (["exec", "demo"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_exec_ends_as_its_command(world: World, words: list[str], code: int) -> None:
    """The status is the command's own, or that of `env` for a missing command; options stand anywhere."""
    store(world)
    assert world.run(*words).code == code


def test_exec_hands_on_the_signals_of_a_shell(world: World) -> None:
    """The command ignores no signal that Python ignores for itself; a pipe that breaks ends it in silence."""
    store(world)
    ignored = world.run("exec", "demo", "--", "grep", "SigIgn", "/proc/self/status").out
    mask = int(ignored.split()[1], 16)
    assert not [one for one in (signal.SIGPIPE, signal.SIGXFSZ) if mask >> one - 1 & 1]
    piped = world.run("exec", "demo", "--", "sh", "-c", "yes | head -1")
    assert (piped.out, piped.err) == ("y\n", "")
