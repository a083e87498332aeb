"""Nothing that can be stored keeps a list, a table, the log or their JSON from being shown."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logins import fresh_login
from stayfast.engine.audit.events import Recorded
from stayfast.engine.moments import rfc3339
from stayfast.engine.record import Login, Presentation
from stayfast.engine.summary import Identity
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.audit.lines import line_of, render
from stayfast.interfaces.audit.mappings import MAPPINGS
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.cli.app import App
from stayfast.interfaces.cli.commands.audit import event_row
from stayfast.interfaces.cli.main import cli
from stayfast.interfaces.cli.terminal import formatting
from stayfast.storage import MemoryStorage
from stayfast.testing.storage_contract import finished, saved

ODD_TIMES = [
    0.0,
    -1.0,
    1.0,
    1e10,
    253402300800.0,
    1e15,
    2.0**63,
    1e300,
    -1e300,
    math.inf,
    -math.inf,
    math.nan,
]
"""Seconds since 1970 of the year 1970, 10000 and never, and no number at all."""
TIMES = st.one_of(st.sampled_from(ODD_TIMES), st.floats())
TEXTS = st.one_of(
    st.sampled_from(
        ["", "http://[", "a\x1b[2J\r\nb", "\u202eabc", "\x00", "é" * 300, "{x}", "[red]", "%s"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
)
SCALARS: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    TIMES,
    TEXTS,
    st.lists(TEXTS, max_size=2).map(tuple),
)
MEMBERS = ["event", "time", "login", "provider", "account", "trigger", "from", "to", "outcome", "version",
           "duration", "expires_in", "reason", "detail", "http_status", "oauth_error", "transport", "scopes",
           "attempt", "pid", "host", "user", "state_fp", "issuer", "unheard_of"]  # fmt: skip
EVENTS = st.dictionaries(st.sampled_from(MEMBERS), SCALARS)
ALWAYS = ["schema", "event", "time", "host", "pid", "user", "app_version"]
RECORDED = st.builds(
    lambda always, more: {**always, **more},
    st.fixed_dictionaries(dict.fromkeys(ALWAYS, SCALARS)),
    EVENTS,
)


@st.composite
def logins(draw: st.DrawFn) -> Login:
    """A login, finished or pending, with values nobody expects."""
    login = finished("demo") if draw(st.booleans()) else fresh_login()
    moments = {name: draw(TIMES) for name in ("created_at", "changed_at", "deadline")}
    tokens = login.tokens and replace(
        login.tokens,
        expires_in=draw(st.one_of(st.none(), TIMES)),
        issued_at=draw(st.one_of(TIMES, st.just(time.time()))),
        server_date=draw(st.one_of(st.none(), TIMES)),
        scope=draw(st.one_of(st.none(), TEXTS)),
        token_type=draw(TEXTS),
    )
    states = (
        [State.AUTHENTICATED, State.EXPIRED, State.REFRESH_FAILED]
        if tokens
        else [State.AWAITING_CALLBACK, State.CHALLENGE]
    )
    return replace(
        login,
        version=1,
        **moments,
        tokens=tokens,
        state=draw(st.sampled_from(states)),
        config=replace(login.config, service_name=draw(TEXTS) or "x", token_url=draw(TEXTS)),
        account=draw(TEXTS) or "default",
        reason=draw(st.one_of(st.none(), TEXTS)),
        oauth_error=draw(st.one_of(st.none(), TEXTS)),
        presentation=Presentation(transport=draw(TEXTS), redirect_uri=draw(TEXTS)),
        identity=draw(st.one_of(st.none(), st.builds(Identity, subject=TEXTS, name=st.one_of(st.none(), TEXTS)))),
    )  # fmt: skip


def shown(login: Login, *words: str) -> Result:
    """What a command shows of a vault with that login in it."""
    storage = MemoryStorage()
    saved(storage, [login])
    app = App(environ={}, assembly=Assembly(storage, Catalogue(None)))
    return CliRunner().invoke(cli, words, obj=app)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    login=logins(),
    words=st.sampled_from(
        [["status"], ["status", "-v"], ["list"], ["audit", "show"], ["audit", "export"]]
    ),
)
def test_every_login_is_shown(login: Login, words: list[str]) -> None:
    """Text is of a length people can read; JSON is JSON; the exit status is a documented one."""
    done = shown(login, *words)
    assert isinstance(done.exception, SystemExit | None), done.exc_info
    assert done.exit_code in {0, 4}
    if words[0] != "audit":
        assert all(c.isprintable() or c == "\n" for c in done.output)
    if words[-1] == "export":
        return
    done = shown(login, *words, "--json")
    assert done.exit_code in {0, 4}, done.exc_info
    for line in filter(None, done.stdout.split("\n")):
        json.loads(line, parse_constant=pytest.fail)


@given(members=EVENTS, timed=st.booleans())
def test_every_event_is_shown(members: Mapping[str, Any], timed: bool) -> None:
    """In a row of words, whatever it has and lacks."""
    row = event_row(Recorded(1, members), "->", timed=timed)
    assert all(isinstance(cell, str) for cell in (*row.cells, *row.narrow))


@given(members=RECORDED)
def test_every_event_is_exported(members: Mapping[str, Any]) -> None:
    """In each format it is JSON."""
    recorded = Recorded(1, members)
    for mapped in MAPPINGS.values():
        json.loads(render(None, "", mapped(line_of(recorded))), parse_constant=pytest.fail)


@given(seconds=st.one_of(TIMES, st.integers(-(10**400), 10**400)))
def test_every_time_has_words(seconds: float) -> None:
    """Of any length and any moment, in a few characters."""
    for words in (
        formatting.span,
        formatting.more,
        formatting.countdown,
        rfc3339,
        lambda moment: formatting.clock_time(moment, 0.0),
        lambda moment: formatting.clock_time(0.0, moment),
    ):
        done = words(seconds)
        assert done is not None
        assert 0 < len(done) < 40
