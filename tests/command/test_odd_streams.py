"""The command where its streams, its terminal and its limits are not as usual."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess

import pytest
from command import STAYFAST, World


@pytest.fixture
def signed_in(world: World) -> World:
    """Somebody is signed in."""
    world.run("login", "demo", "--via", "loopback")
    assert [login.tokens is not None for login in world.logins()] == [True]
    return world


def shell(world: World, line: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which ``$C`` is the command."""
    return subprocess.run(
        ["bash", "-c", line],
        env={**world.environ, "C": STAYFAST, **extra},
        cwd=world.place,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )


COMMANDS = {
    "token demo": 0,
    "token github": 4,
    "token github --json": 4,
    "nonsense": 2,
    "status": 0,
    "refresh demo": 0,
    "audit verify": 0,
    "exec demo -- true": 0,
    "login demo --new --via manual --start --json": 3,
    "login demo --new --via manual": 3,
    "login demo --new": 3,
    "resume nosuch": 1,
    "cancel": 1,
    "provider list": 0,
    "help": 0,
    "--version": 0,
    "logout demo": 0,
}
"""Commands with their documented exit statuses, where nobody sits at a terminal."""


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "2>/dev/full", "<&- 2>&-"])
def test_exit_statuses_hold_without_streams(signed_in: World, redirection: str) -> None:
    """Standard input closed, standard error closed, full or not to be written to: all is as usual."""
    script = "".join(f'"$C" {line} {redirection}; echo "$?" >&3\n' for line in COMMANDS)
    done = shell(signed_in, f"exec 3>statuses\n{script}")

    statuses = (signed_in.place / "statuses").read_text().split()
    assert dict(zip(COMMANDS, map(int, statuses), strict=True)) == COMMANDS
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize(
    "line", ["token demo", "token demo --json", "status", "--help", "help audit"]
)
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "1</dev/null"])
def test_an_answer_that_cannot_be_written_is_an_error(
    signed_in: World, line: str, redirection: str
) -> None:
    """No success where the answer was lost; a sentence on standard error says so."""
    done = shell(signed_in, f'"$C" {line} {redirection}')

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("error: ") == done.stderr.count("hint: ") == 1
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("stream", [">/dev/full", ">/dev/full 2>&1", ">&- 2>&-"])
def test_an_error_keeps_its_exit_status_where_its_json_is_lost(
    signed_in: World, stream: str
) -> None:
    """If an error in JSON cannot be written, the exit status still reports it."""
    assert shell(signed_in, f'"$C" token github --json {stream}').returncode == 4


@pytest.mark.parametrize("line", ["token demo", "audit export"])
def test_a_reader_that_leaves_hears_nothing(signed_in: World, line: str) -> None:
    """A pipe closed by its reader is no error of anybody."""
    done = shell(signed_in, f'"$C" {line} | true; echo "${{PIPESTATUS[0]}}"')

    assert done.stderr == ""


GIT = "credential git --provider demo get"
ASKED = "printf 'protocol=https\\nhost=a.example\\n\\n' | "


@pytest.mark.parametrize("line", ["token demo", "token demo --json", GIT])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "1</dev/null"])
def test_a_lost_answer_is_reported_the_same_both_ways(
    signed_in: World, line: str, redirection: str
) -> None:
    """By the short way, too; what git asked is not lost with it."""
    said = {
        shell(signed_in, f'{ASKED}"$C" {line} {redirection}', **extra).stderr
        for extra in ({}, {"STAYFAST_TOKEN_NONCE": "x"})
    }
    assert len(said) == 1
    assert said.pop().count("error: ") == 1


@pytest.mark.parametrize("kind", ["git", "docker", "bazel"])
def test_a_question_that_cannot_be_read_is_an_error_and_no_answer(
    signed_in: World, kind: str
) -> None:
    """Standard input that is open for writing alone."""
    done = shell(signed_in, f'"$C" credential {kind} --provider demo get 0>nothing')
    assert done.returncode in {1, 2}
    assert "password" not in done.stdout
    (said,) = (done.stdout + done.stderr).splitlines()  # docker reads errors from standard output
    assert "standard input cannot be read" in said


@pytest.mark.parametrize("extra", [{}, {"STAYFAST_TOKEN_NONCE": "x"}], ids=["short", "whole"])
def test_a_question_in_a_non_blocking_pipe_is_waited_for(
    signed_in: World, extra: dict[str, str]
) -> None:
    """It is answered, in whatever pieces it comes, and not taken for an empty one."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with subprocess.Popen(
        [STAYFAST, *GIT.split()], env={**signed_in.environ, **extra}, stdin=reading,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        for piece in (b"protocol=https", b"\nhost=a.", b"example\n", b"\n"):
            while (
                process.poll() is None and select.select([reading], [], [], 0)[0]
            ):  # till it is read
                os.sched_yield()
            os.write(writing, piece)
        out, _ = process.communicate(timeout=120)
        os.close(reading)
        os.close(writing)
    assert process.returncode == 0
    assert b"\npassword=" in out


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "1</dev/null", "| true"])
def test_completion_that_nobody_can_read_says_nothing(
    signed_in: World, redirection: str, *, noted: bool
) -> None:
    """Whatever it said would stand in the line that the user types."""
    asked = {"_STAYFAST_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    words = "stayfast token d" if noted else "stayfast token 'd"  # a quote is for the whole command
    assert shell(signed_in, '"$C"', **asked, COMP_WORDS=words).returncode == 0
    done = shell(
        signed_in, f'"$C" {redirection}; echo "${{PIPESTATUS[0]}}" >&2', **asked, COMP_WORDS=words
    )
    assert done.stderr in {"0\n", "1\n"}


def test_completion_is_in_utf_8_in_every_locale(signed_in: World) -> None:
    """The shell puts its octets into the line."""
    assert signed_in.run("account", "rename", "demo", "default", "w\u00f6rk").code == 0
    asked = {
        "_STAYFAST_COMPLETE": "bash_complete",
        "COMP_WORDS": "stayfast token demo --account w",
        "COMP_CWORD": "4",
    }
    for encoding in ("utf-8", "ascii", "ascii"):  # the first one notes the words
        done = shell(signed_in, '"$C"', **asked, PYTHONIOENCODING=encoding)
        assert (done.stdout, done.stderr) == ("plain,w\u00f6rk\n", "")


def test_a_pipe_that_another_program_made_non_blocking_gets_all(signed_in: World) -> None:
    """An answer larger than a non-blocking pipe arrives whole."""
    shell(signed_in, 'for i in 1 2 3 4 5; do "$C" refresh demo; done')
    want = shell(signed_in, '"$C" audit export').stdout
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    assert fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096) < len(want)
    with subprocess.Popen(
        [STAYFAST, "audit", "export"], env=signed_in.environ, stdout=writing, stderr=subprocess.PIPE
    ) as process:
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            got = b"".join(iter(lambda: pipe.read(512), b""))
    assert got.decode() == want
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("via", "columns"),
    [("device", "0"), *(("manual", size) for size in ["0", "00", "1", "-3", "²", "", "9" * 6000])],
)
def test_any_value_of_columns_shows_what_the_user_needs(
    world: World, columns: str, via: str
) -> None:
    """COLUMNS=0, as in Emacs, means unknown; neither it nor nonsense hides the address."""
    done = world.run(
        "login", "demo", "--via", via, "--start", env={"COLUMNS": columns, "LINES": columns}
    )
    (login,) = world.logins()

    assert done.code == 3
    assert world.assembly.conductor.address(login) in done.err


def test_an_error_is_shown_in_no_columns(world: World) -> None:
    """So is what went wrong."""
    assert world.run("token", "nosuch", env={"COLUMNS": "0"}).err.count("hint: ") == 1


POSIX = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ADD = [
    "provider",
    "add",
    "lab",
    "--client-id",
    "c",
    "--auth-url",
    "https://p.test/a",
    "--token-url",
    "https://p.test/t",
]


@pytest.mark.parametrize("locale", [{}, POSIX], ids=["utf-8", "posix"])
def test_a_name_with_an_accent_is_saved_in_any_locale(world: World, locale: dict[str, str]) -> None:
    """Where the locale has no such letter it is saved all the same; what is no text is wrong usage."""
    assert world.run(*ADD, "--display-name", "Soci\u00e9t\u00e9", env=locale).code == 0
    assert "Soci\u00e9t\u00e9" in (world.config / "config.toml").read_text("utf-8")
    assert world.run("provider", "list", env=locale).code == 0
    assert world.run("token", "\udcff", env=locale).code == 2


def test_a_command_gets_its_arguments_as_they_are(signed_in: World) -> None:
    """`exec` hands on octets that are no text."""
    done = shell(signed_in, """"$C" exec demo -- printf %s "$(printf 'a\\377')" | od -An -tx1""")
    assert done.stdout.split() == ["61", "ff"]
