"""A shell completes the values that a user would type: providers, accounts, logins, pages."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from command import World
from stayfast.testing.storage_contract import finished, saved


def completed(world: World, line: str) -> set[str]:
    """What bash is offered behind ``line``."""
    words = line.split(" ")
    asked = {
        "_STAYFAST_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = world.run(env=asked)
    assert done.err == ""
    return {one.partition(",")[2] for one in done.out.splitlines() if one}


@pytest.fixture
def known(world: World) -> World:
    """Two accounts, and an open login."""
    for account in ("home", "work"):
        login = replace(finished("demo"), account=account)
        assert login.tokens is not None
        tokens = replace(login.tokens, issued_at=time.time())
        saved(world.assembly.storage, [replace(login, tokens=tokens)])
    assert world.run("login", "demo", "--start").code == 3
    return world


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("stayfast token de", {"demo"}),
        ("stayfast token demo --account ", {"home", "work"}),
        ("stayfast account use demo w", {"work"}),
        ("stayfast account use other w", set[str]()),
        ("stayfast credential git --provider de", {"demo"}),
        ("stayfast help cred", {"credential", "credentials"}),
    ],
)
def test_values_are_offered_where_they_fit(known: World, line: str, offered: set[str]) -> None:
    """Those of the provider that stands in the line, and only those that begin so."""
    assert completed(known, line) == offered


@pytest.mark.parametrize("command", ["resume", "cancel"])
def test_open_logins_are_offered(known: World, command: str) -> None:
    """By the id that a person types."""
    (waiting,) = [login for login in known.logins() if login.pending]
    assert completed(known, f"stayfast {command} ") == {waiting.short_id}


def test_what_cannot_be_read_completes_nothing(known: World) -> None:
    """And says nothing into the line of the shell."""
    (known.config / "config.toml").write_text("[")
    (known.state / "vault.db").write_bytes(b"nonsense")
    assert completed(known, "stayfast token de") == set()
    assert completed(known, "stayfast token demo --account ") == set()
