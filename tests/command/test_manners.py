"""What a newcomer meets: groups alone, help of any command, wrong words, narrow terminals."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pexpect
import pytest
from command import PATIENCE, STAYFAST, World, until
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.storage_contract import finished, saved


def keep(world: World, **fields: Any) -> None:
    login = finished("demo", token="the-token")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time())
    saved(world.assembly.storage, [replace(login, **{"tokens": tokens, **fields})])


@pytest.mark.parametrize("group", ["provider", "audit", "store", "account", "credential"])
def test_a_group_alone_is_its_help(world: World, group: str) -> None:
    """On standard output, and nothing is wrong."""
    alone = world.run(group)
    assert (alone.code, alone.err) == (0, "")
    assert alone.out == world.run(group, "--help").out
    assert world.run(group, "no-such-command").code == 2


def test_help_knows_every_command_by_its_words(world: World) -> None:
    """As they are typed; a page that is not there is an error."""
    assert world.run("help", "audit", "show").out.startswith("Usage: stayfast audit show ")
    assert world.run("help", "token").out.startswith("Usage: stayfast token ")
    for words in (["audit", "shwo"], ["token", "x"], ["nosuch"]):
        done = world.run("help", *words)
        assert (done.code, done.out) == (1, "")
    assert world.run("-V").out == world.run("--version").out


def test_settings_are_shown_as_their_user_wrote_them(world: World) -> None:
    """With the client id, without the secret, and in no language of programmers."""
    world.provide("lab", client_id="the-client", client_secret="canary", extra_auth_params=None)
    with (world.config / "config.toml").open("a") as file:
        file.write('extra_auth_params = { prompt = "consent" }\n')
    shown = world.run("provider", "show", "lab").out
    assert "the-client" in shown.split()
    assert "prompt=consent" in shown.split()
    assert not set(shown.replace("{", " { ").split()) & {"None", "True", "False", "{", "[]"}
    assert "canary" not in shown + world.run("provider", "show", "lab", "--json").out


@pytest.mark.parametrize("words", [("add", "lab"), ("edit", "demo"), ("edit", "dmeo")])
@pytest.mark.parametrize("content", [None, "", "\n \n"])
def test_the_file_of_a_secret_is_looked_at_when_it_is_given(
    world: World, tmp_path: Path, words: tuple[str, ...], content: str | None
) -> None:
    """One that is not there, or is empty, is not saved."""
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)
    before = (world.config / "config.toml").read_text()
    given = [
        "--client-id",
        "c",
        "--auth-url",
        "https://x.test/a",
        "--token-url",
        "https://x.test/t",
    ]
    done = world.run("provider", *words, *given, "--client-secret-file", str(path))
    assert done.code == 1
    assert (world.config / "config.toml").read_text() == before


def test_programs_learn_what_was_saved(world: World) -> None:
    """`provider add`, `edit` and `remove` answer in JSON, too, and so does `diagram`."""
    given = [
        "--client-id",
        "c",
        "--auth-url",
        "https://x.test/a",
        "--token-url",
        "https://x.test/t",
    ]
    added = world.run("provider", "add", "lab", *given, "--json").json
    assert (added["schema"], added["service_name"]) == ("stayfast.provider/1", "lab")
    assert added["register"].startswith("http://127.0.0.1")
    edited = world.run("provider", "edit", "lab", "--display-name", "Lab", "--json").json
    assert edited["display_name"] == "Lab"
    assert world.run("provider", "remove", "lab", "--json").json["name"] == "lab"
    assert "awaiting_callback" in world.run("diagram", "--json").json["drawing"]


@pytest.mark.parametrize(
    "words", [("--event", "nosuch"), ("--since", "banana"), ("--until", "2026-13-45")]
)
@pytest.mark.parametrize("command", ["show", "export"])
def test_a_question_that_has_no_answer_is_wrong(
    world: World, command: str, words: tuple[str, ...]
) -> None:
    """Not an empty answer with success."""
    keep(world)
    done = world.run("audit", command, *words)
    assert (done.code, done.out) == (2, "")


def test_a_checkpoint_says_how_it_is_compared(world: World, tmp_path: Path) -> None:
    """The command that it prints is one that compares, and finds what was changed."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    noted = world.run("audit", "checkpoint")
    (tmp_path / "FILE").write_text(noted.out)
    exported = world.run("audit", "export").out
    (tmp_path / "LOG.jsonl").write_text(exported)
    line = next(line for line in noted.err.splitlines() if "stayfast audit" in line)
    words = line.split("stayfast ", 1)[1].split()
    named = [str(tmp_path / word) if word in {"FILE", "LOG.jsonl"} else word for word in words]
    elsewhere = {
        "STAYFAST_STATE_DIR": str(tmp_path / "s"),
        "STAYFAST_CONFIG_DIR": str(tmp_path / "c"),
    }
    assert world.run(*named, env=elsewhere).code == 0
    (tmp_path / "LOG.jsonl").write_text("".join(exported.splitlines(keepends=True)[:-1]))
    assert world.run(*named, env=elsewhere).code == 8

    nowhere = world.run("audit", "verify", "--checkpoint", named[named.index("--checkpoint") + 1],
                        "--public-key", named[-1], env=elsewhere)  # fmt: skip
    assert nowhere.code == 1
    assert "--file" in nowhere.err


def test_a_copy_that_was_edited_says_nothing_of_the_vault(world: World, tmp_path: Path) -> None:
    """Its own commands would act on a log that is sound."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    copy = tmp_path / "copy.jsonl"
    lines = [json.loads(line) for line in world.run("audit", "export").out.splitlines()]
    lines[2]["host"] = "elsewhere"
    copy.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    done = world.run("audit", "verify", "--file", str(copy))
    assert done.code == 8
    assert "set-aside" not in done.out
    assert "stayfast audit verify" in done.out


def test_the_store_counts_who_is_signed_in(world: World) -> None:
    """Not those that have ended."""
    for _ in range(2):
        assert world.run("login", "demo", "--via", "loopback", "--new").code == 0
    assert "1 signed in" in world.run("store", "info").out


def at_terminal(world: World, columns: int, *words: str) -> Any:
    """The command at a terminal of so many columns, whatever the variable says of another one."""
    environ = {name: value for name, value in world.environ.items() if name != "COLUMNS"}
    command: Any = pexpect.spawn
    size = (24, columns)
    return command(
        STAYFAST,
        list(words),
        env=environ,
        dimensions=size,
        encoding="utf-8",
        timeout=PATIENCE,
        echo=False,
    )


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("words", [("audit", "show"), ("status",), ("doctor", "--offline")])
def test_no_word_is_broken_in_a_narrow_terminal(
    world: World, columns: int, words: tuple[str, ...]
) -> None:
    """And no line is longer than the terminal, but for a word that is."""
    if words[0] == "audit":
        assert world.run("login", "demo", "--via", "loopback").code == 0
    else:
        keep(world, account="an-account-of-work")
    child = at_terminal(world, columns, *words)
    shown = re.sub(r"\x1b\[[\d;]*m", "", child.read())  # a colour takes no column
    child.close()
    for line in shown.splitlines():
        longest = max(map(len, line.split()), default=0)
        assert len(line.rstrip()) <= columns or longest > columns - 22, line
    if words[0] == "audit":
        for word in ("challenge", "awaiting_callback", "exchanging", "authenticated"):
            assert word in shown.replace("(", " ").replace(")", " ").split()


@pytest.fixture
def guarded(world: World) -> World:
    """A vault under a passphrase, with a good token in it."""
    vault = EncryptedFileStorage(
        environ={
            "STAYFAST_STATE_DIR": str(world.state),
            "STAYFAST_CONFIG_DIR": str(world.config),
            "STAYFAST_PASSPHRASE": "correct horse",
        }
    )
    login = finished("demo", token="the-token")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time())
    saved(vault, [replace(login, tokens=tokens)])
    return world


def test_a_vault_under_a_passphrase_asks_for_it_at_a_terminal(guarded: World) -> None:
    """Once if it is right, without showing it; a wrong one opens nothing, and is asked again twice."""
    for typed, code in (("correct horse", 0), ("wrong", None)):
        child = at_terminal(guarded, 80, "token", "demo")
        for _ in range(1 if code == 0 else 3):
            child.expect("passphrase: ?")
            child.sendline(typed)
        shown = child.read()
        child.close()
        assert ("the-token" in shown) is (code == 0)
        assert typed not in shown
        assert child.exitstatus == 0 if code == 0 else child.exitstatus != 0


def test_without_a_terminal_nobody_is_asked_for_a_passphrase(guarded: World) -> None:
    """And a helper asks nobody at a terminal either."""
    assert guarded.run("token", "demo").code == 7
    child = at_terminal(guarded, 80, "credential", "kubectl", "--provider", "demo")
    child.read()
    child.close()
    assert child.exitstatus == 7
    assert guarded.run("token", "demo", env={"STAYFAST_PASSPHRASE": "correct horse"}).code == 0


def test_a_provider_in_the_place_of_a_shipped_one_is_announced(world: World) -> None:
    """Whoever takes the name of a shipped provider learns it, and how to go back."""
    words = [
        "--auth-url",
        "https://x.test/a",
        "--token-url",
        "https://x.test/t",
        "--client-id",
        "x",
    ]
    assert "shipped" in world.run("provider", "add", "github", *words).err
    assert "shipped" not in world.run("provider", "add", "nowhere", *words).err


def test_a_new_vault_is_announced_after_the_login(world: World) -> None:
    """Where its key is comes last, on a line of its own, with the command that changes it."""
    done = world.run("login", "demo", "--via", "loopback")
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    (notice,) = [number for number, line in enumerate(lines) if "key file in" in line]
    assert notice > lines.index(
        "-> stayfast token demo" if done.err.isascii() else "→ stayfast token demo"
    )
    assert "stayfast store rekey --to passphrase" in lines[notice + 1]


def test_a_drawing_is_opened_in_a_browser(world: World) -> None:
    """As a file that the browser of the user gets; no other format can be shown so."""
    recorded = world.place / "opened"
    browser = {"BROWSER": f"/bin/sh -c 'echo $0 > {recorded}' %s"}
    done = world.run("diagram", "--open", "--json", env=browser)
    assert (done.code, done.json["opened"]) == (0, True)
    assert Path(done.json["file"]).read_text().startswith("<svg")
    assert until(lambda: recorded.exists() and recorded.read_text(), bool).strip() == (
        Path(done.json["file"]).as_uri()
    )
    assert world.run("diagram", "--open", "--format", "dot").code == 2


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--help",),
        ("provider",),
        ("credential",),
        ("account",),
        ("login", "--help"),
        ("provider", "add", "--help"),
        ("store", "info"),
        ("audit", "verify"),
        ("status", "demo", "-v"),
        ("provider", "show", "demo"),
    ],
)
def test_help_and_answers_fit_the_terminal(
    world: World, columns: int, words: tuple[str, ...]
) -> None:
    """No line is wider but for one word that is, and no sentence about a command ends in dots."""
    keep(world)
    child = at_terminal(world, columns, *words)
    shown = re.sub(r"\x1b\[[\d;]*m", "", child.read())
    child.close()
    assert shown.strip()
    for line in shown.splitlines():
        assert len(line) <= columns or max(map(len, line.split())) > columns - 22, line
    listed = shown.partition("Commands:")[2]
    assert "..." not in listed


@pytest.mark.parametrize(
    ("asked", "colored"),
    [
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "STAYFAST_COLOR": "always"}, True),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({}, True),
    ],
)
def test_a_login_without_colour_moves_the_cursor_and_no_more(
    world: World, asked: dict[str, str], colored: bool
) -> None:
    """No style and no link of the terminal, from the heading to the last line; the option goes first."""
    environ = {**world.environ, "TERM": "xterm-256color", **asked}
    child = pexpect.spawn(
        STAYFAST, ["login", "demo", "--via", "loopback"], env=environ, timeout=PATIENCE
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert bool(re.search(rb"\x1b(\[[\d;]*m|\])", child.before)) is colored


@pytest.mark.parametrize(
    ("asked", "colored"),
    [
        ({}, False),
        ({"CLICOLOR_FORCE": "0"}, False),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"FORCE_COLOR": "1"}, True),
    ],
)
def test_colours_are_written_to_a_pipe_only_where_they_are_asked_for(
    world: World, asked: dict[str, str], colored: bool
) -> None:
    """And nothing that moves a cursor, which a log has none of."""
    done = world.run("token", "demo", env={"TERM": "xterm", "NO_COLOR": "", **asked})
    assert done.code == 4
    assert ("\x1b[1;31merror" in done.err) is colored
    assert not re.search(r"\x1b\[[\d?]*[^\d;m]", done.err)


@pytest.mark.parametrize("typed", ["nosuch", "status", "whoami", "--color never nosuch"])
def test_without_colour_no_escape_sequence_reaches_a_terminal(world: World, typed: str) -> None:
    """Neither of errors nor of advice: not bold either."""
    environ = {**world.environ, "TERM": "xterm-256color"}
    seen: dict[bool, bytes] = {}
    for plain in (True, False):
        env = {**environ, "NO_COLOR": "1"} if plain and "--color" not in typed else environ
        words = [word for word in typed.split() if plain or word not in {"--color", "never"}]
        child = pexpect.spawn(STAYFAST, words, env=env, timeout=20)
        child.expect(pexpect.EOF)
        seen[plain] = child.before
        child.close()
    assert b"\x1b" not in seen[True]
    assert b"\x1b" in seen[False]
