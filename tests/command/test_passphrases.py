"""What is asked of somebody whose vault is sealed under a passphrase, and how often."""

from __future__ import annotations

import re

import pytest
from command import World
from seat import Seat
from stayfast.engine.errors import ConfigInvalid
from stayfast.storage import open_storage
from tmux import Window

RIGHT = "four or five random words"
ASKED = r"passphrase: ?$"


def signed_in(world: World) -> str:
    """Sign in, and return the token."""
    done = world.run("login", "demo", "--via", "loopback")
    assert done.code == 0, done.err
    return world.run("token", "demo").out


@pytest.fixture
def sealed(world: World) -> str:
    """The token of a login whose vault has that passphrase."""
    token = signed_in(world)
    done = world.run("store", "rekey", "--to", "passphrase", env={"STAYFAST_NEW_PASSPHRASE": RIGHT})
    assert done.code == 0, done.err
    return token


def asked_again(opened: Window, question: str, answers: list[str]) -> None:
    """Give ``answers``, each to a question of its own."""
    for number, answer in enumerate(answers, 1):
        opened.seen(rf"(?s)({question}.*){{{number}}}")
        opened.type(answer)


@pytest.mark.parametrize("slips", [0, 2])
def test_a_mistyped_passphrase_is_asked_for_again(world: World, sealed: str, slips: int) -> None:
    """The command goes on with the right one, which is typed at the third time at the latest."""
    with Seat(world, made=True).opens(rows=60) as opened:
        opened.type("stayfast token demo > $HOME/token")
        asked_again(opened, "'s passphrase:", [*["wrong"] * slips, RIGHT])
        shown = opened.prompted(0)
    assert (world.place / "token").read_text() == sealed
    assert RIGHT not in shown


@pytest.mark.parametrize("words", ["token demo", "store info"])
def test_three_wrong_passphrases_are_enough(world: World, sealed: str, words: str) -> None:
    """However often the command opens the vault; its error is one of the storage."""
    with Seat(world, made=True).opens(rows=60) as opened:
        opened.type(f"stayfast {words}")
        asked_again(opened, "'s passphrase:", ["wrong", "wronger", "wrong"])
        shown = opened.prompted(7)
    assert len(re.findall("'s passphrase:", shown)) == 3
    assert world.run("token", "demo", env={"STAYFAST_PASSPHRASE": RIGHT}).out == sealed


def test_who_leaves_the_question_is_not_asked_again(world: World, sealed: str) -> None:
    """Not even by a command that opens the vault several times."""
    with Seat(world, made=True).opens(rows=60) as opened:
        opened.type("stayfast store info")
        opened.seen(ASKED)
        opened.press("C-c")
        shown = opened.prompted(7)
    assert sealed not in shown
    assert len(re.findall("'s passphrase:", shown)) == 1


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ([RIGHT, "another", RIGHT, RIGHT], 0),
        (["a", "b", "c", "d", "e", "f"], 1),
    ],
    ids=["at the second time", "never"],
)
def test_a_new_passphrase_is_typed_twice_the_same(
    world: World, typed: list[str], code: int
) -> None:
    """After three times nothing is changed."""
    token = signed_in(world)
    with Seat(world, made=True).opens(rows=60) as opened:
        opened.type("stayfast store rekey --to passphrase")
        asked_again(opened, r"(?:New passphrase|again):", typed)
        opened.prompted(code)
    opens = {"STAYFAST_PASSPHRASE": RIGHT} if code == 0 else {}
    assert world.run("token", "demo", env=opens).out == token


def test_the_vault_that_logins_move_to_has_a_passphrase_of_its_own(
    world: World, sealed: str
) -> None:
    """Each of the two is asked for."""
    there = str(world.place / "elsewhere")
    made = world.run("login", "demo", "--via", "loopback", env={"STAYFAST_STATE_DIR": there})
    assert made.code == 0, made.err
    other = {"STAYFAST_STATE_DIR": there, "STAYFAST_NEW_PASSPHRASE": "of the other"}
    assert world.run("store", "rekey", "--to", "passphrase", env=other).code == 0
    with Seat(world, made=True).opens(rows=60) as opened:
        opened.type(f"stayfast store migrate {there}")
        asked_again(opened, "passphrase[ a-z]*:", [RIGHT, "wrong", "of the other"])
        opened.prompted(0)
    moved = {"STAYFAST_STATE_DIR": there, "STAYFAST_PASSPHRASE": "of the other"}
    assert world.run("token", "demo", env=moved).out == sealed


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        ("passphrase", "export STAYFAST_STORE=file STAYFAST_PASSPHRASE=…"),
        ("keyfile", "export STAYFAST_STORE=file"),
        ("keyrng", "export STAYFAST_STORE=keyring"),
        ("FILE", "export STAYFAST_STORE=file"),
        ("mysql://there", "unset STAYFAST_STORE"),
    ],
)
def test_a_storage_that_there_is_not_has_one_line_to_follow(choice: str, meant: str) -> None:
    """The line names the storage that was meant; what the user has to fill in is a secret alone."""
    with pytest.raises(ConfigInvalid) as refused:
        open_storage(choice, environ={})
    assert refused.value.hint == meant
