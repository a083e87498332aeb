"""A stored access token, looked at once more before it is used (RFC 6749 §7.1, appendix A.12)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from logins import TOKENS, login_in
from stayfast.engine.errors import AuthRequired
from stayfast.engine.oauth.token_endpoint import bearer_token
from stayfast.engine.table import State

SIGNED_IN = login_in(State.AUTHENTICATED, tokens=TOKENS)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "Private"])
def test_a_token_of_a_known_type_is_used(token_type: str) -> None:
    """The type is compared without case, and a provider may have declared a word of its own."""
    config = replace(SIGNED_IN.config, token_types=("private",))
    login = replace(SIGNED_IN, config=config, tokens=replace(TOKENS, token_type=token_type))
    assert bearer_token(login) == TOKENS.access_token


@pytest.mark.parametrize(
    "stored",
    [
        {"access_token": ""},
        {"access_token": "two\nlines"},
        {"access_token": "caf\xe9"},
        {"token_type": "dpop"},
        {"token_type": ""},
    ],
)
@pytest.mark.parametrize("account", ["default", "work"])
@pytest.mark.parametrize("refreshable", [True, False])
def test_a_token_that_may_not_be_used_is_refused(
    stored: dict[str, str], account: str, refreshable: bool
) -> None:
    """It never gets into a header or a line, and the hint is a way to a better one."""
    refresh_token = TOKENS.refresh_token if refreshable else None
    tokens = replace(TOKENS, refresh_token=refresh_token)
    for name, value in stored.items():
        object.__setattr__(tokens, name, value)  # as it was stored before there were checks
    with pytest.raises(AuthRequired) as caught:
        bearer_token(replace(SIGNED_IN, tokens=tokens, account=account))
    hint = caught.value.hint or ""
    assert hint.split()[1] == ("refresh" if refreshable else "login")
    assert ("--account work" in hint) is (account == "work")
    assert not stored.get("access_token") or stored["access_token"] not in caught.value.message


def test_a_login_without_tokens_has_none_to_use() -> None:
    """The caller is sent to sign in, to the account that was asked for."""
    with pytest.raises(AuthRequired) as caught:
        bearer_token(replace(SIGNED_IN, tokens=None, account="work"))
    assert caught.value.hint == "stayfast login acme --account work"
