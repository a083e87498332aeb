"""Accounts get other names: by a transition of their own, and never in the place of another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conductors import conductor_over
from logins import REFRESH_EXCHANGE, TOKENS, login_in
from stayfast.engine.errors import ConfigInvalid, IllegalTransition
from stayfast.engine.record import require_account_name
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.storage import EncryptedFileStorage, MemoryStorage
from stayfast.testing.storage_contract import records_of_logins, saved


@pytest.fixture(params=["memory", "vault"])
def storage(request, tmp_path):
    """Both kinds of a storage's index by account."""
    if request.param == "memory":
        return MemoryStorage()
    tmp_path.chmod(0o700)
    place = {"STAYFAST_STATE_DIR": str(tmp_path / "s"), "STAYFAST_CONFIG_DIR": str(tmp_path / "c")}
    return EncryptedFileStorage(environ=place)


def held(state=State.AUTHENTICATED, **fields):
    return login_in(state, version=1, tokens=TOKENS, **fields)


@pytest.mark.parametrize("state", [State.AUTHENTICATED, State.EXPIRED, State.REFRESH_FAILED])
def test_an_account_is_found_under_its_new_name_only(storage, state):
    """State, tokens and the reason of the state stay; the log has one record of it."""
    failed = {"reason": "refresh_refused", "oauth_error": "invalid_grant"}
    login = held(state, **(failed if state is State.REFRESH_FAILED else {}))
    saved(storage, [login])

    renamed = conductor_over(storage).rename(login.id, "work")

    assert storage.find(account_alias("acme", "work")) == renamed
    assert storage.find(account_alias("acme", "default")) is None
    assert (renamed.state, renamed.tokens) == (state, TOKENS)
    assert (renamed.reason, renamed.oauth_error) == (login.reason, login.oauth_error)
    last = records_of_logins(storage)[-1].members
    assert (last["trigger"], last["account"], last["outcome"]) == ("rename", "work", "success")


def test_a_name_that_is_taken_stays_with_its_login(storage):
    """Nothing is saved, and both are as they were."""
    mine = held()
    other = replace(mine, id="01J9ZK4Q0V7F3KTWX2A8B00000", account="work")
    saved(storage, [mine])
    saved(storage, [other])
    with pytest.raises(ConfigInvalid):
        conductor_over(storage).rename(mine.id, "work")
    assert storage.find(account_alias("acme", "work")) == other
    assert conductor_over(storage).rename(mine.id, "default") == mine  # its own name is no change


def test_a_refresh_that_is_not_finished_keeps_the_name(storage):
    """What the provider may answer yet belongs to the login as it was sent."""
    login = held(State.EXCHANGING, exchange=REFRESH_EXCHANGE)
    saved(storage, [login])
    with pytest.raises(IllegalTransition):
        conductor_over(storage).rename(login.id, "work")
    assert storage.read(login.id) == login


@pytest.mark.parametrize(
    "name", ["", " ", " work", "a\0b", "a\nb", "\x1b[2J", "\u202eknom", "x" * 201]
)
def test_a_name_that_no_line_can_show_is_refused(storage, name):
    """For a new login and for an old one alike."""
    login = held()
    saved(storage, [login])
    with pytest.raises(ConfigInvalid):
        conductor_over(storage).rename(login.id, name)
    with pytest.raises(ConfigInvalid):
        require_account_name(name)


@pytest.mark.parametrize("name", ["work", "ada@acme.dev", "Büro 2", "x" * 200, "-", "日本"])
def test_names_that_people_use_are_names(name):
    """Whatever can be shown on a line."""
    require_account_name(name)
