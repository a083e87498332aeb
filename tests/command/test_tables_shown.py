"""Every table in a real terminal, wide and narrow, plain and in colour, as files to be looked at.

One terminal shows them all, so that it takes seconds. ``STAYFAST_RENEW_TRANSCRIPTS=1`` writes the
files anew, as for the screens of a login.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from command import World
from stayfast.engine.summary import Identity
from stayfast.engine.table import State
from stayfast.testing.storage_contract import finished, saved
from tmux import styled, window
from transcripts import compare

SCREENS = {
    "status": "status",
    "list": "list",
    "accounts": "account list",
    "providers": "provider list",
    "audit": "audit show --limit 6",
    "diagram": "diagram",
}
KINDS = {
    "80": (80, ""),
    "40": (40, ""),
    "plain": (80, "NO_COLOR=1 "),
    "ascii": (80, "LC_ALL=C LANG=C PYTHONUTF8=0 "),
}
_VOLATILE = [
    (r"\d\d:\d\d:\d\d", "HH:MM:SS"),
    (r" *\b\d{1,2} [A-Z][a-z]{2} \d{4}\b", "  D MMM YYYY"),
    (r"\b\d+ (min|s) (left|ago)", r"N \1 \2"),
]


@pytest.fixture
def kept(world: World) -> World:
    """Accounts in every state that a table shows, and a login that waits."""
    world.provide("laboratory", display_name="The laboratory of long names, in the town of tests")
    for provider, account, state, name in (
        ("demo", "default", State.AUTHENTICATED, "ada@demo.test"),
        ("demo", "work", State.AUTHENTICATED, "ada.lovelace@engines.test"),
        ("laboratory", "default", State.REFRESH_FAILED, None),
    ):
        login = replace(
            finished(provider),
            account=account,
            state=state,
            identity=Identity(subject=account, name=name) if name else None,
            oauth_error="invalid_grant" if state is State.REFRESH_FAILED else None,
        )
        assert login.tokens is not None
        tokens = replace(login.tokens, issued_at=time.time())
        saved(world.assembly.storage, [replace(login, tokens=tokens)])
    assert world.run("login", "demo", "--account", "third", "--start", "--via", "manual").code == 3
    return world


def test_every_table_at_every_terminal(kept: World) -> None:
    """At eighty and forty columns, with and without colour and UTF-8, as it was when somebody looked."""
    (waiting,) = [login for login in kept.logins() if login.pending]
    ordered = sorted(kept.logins(), key=lambda login: (login.provider, login.account))
    ids = {login.short_id: f"LOG{number}" for number, login in enumerate(ordered)}
    seen: dict[str, str] = {}
    with window(kept.place, kept.environ, rows=60) as opened:
        number = 0
        for kind, (columns, before) in KINDS.items():
            opened.command("resize-window", "-x", str(columns), "-y", "60")
            for name, words in SCREENS.items():
                number += 1
                text = styled(opened, kept.place, f"{before}stayfast {words}", number)
                for short, instead in ids.items():
                    text = text.replace(short, instead)
                for pattern, instead in _VOLATILE:
                    text = re.sub(pattern, instead, text)
                seen[f"{name} {kind}"] = text
    for kind, (columns, _) in KINDS.items():
        of_kind = {name: text for name, text in seen.items() if name.endswith(f" {kind}")}
        for text in of_kind.values():
            bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
            assert max(map(len, bare.splitlines())) <= columns
            if kind == "ascii":
                assert bare.isascii()
            if kind == "plain":
                assert bare == text
        compare(f"tables-{kind}", waiting.short_id, *(f"{n}\n{t}" for n, t in of_kind.items()))
