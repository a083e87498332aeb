"""Settings with octets that are not UTF-8, as a variable of the environment may hold."""

from __future__ import annotations

import pytest
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.provider import OAuthConfig

ODD = "a\udc80"  # how Python reads the octet 0x80 in a variable


@pytest.mark.parametrize(
    "settings",
    [
        {"client_id": ODD}, {"client_secret": ODD}, {"audience": ODD}, {"auth_url": ODD},
        {"scopes": ("read", ODD)}, {"extra_auth_params": {"hint": ODD}},
        {"extra_auth_params": {ODD: "hint"}}, {"token_request_headers": {"X-Hint": ODD}},
        {"service_name": ODD}, {"via": ODD},
    ],
)  # fmt: skip
def test_a_setting_that_can_be_neither_sent_nor_saved_is_refused(settings) -> None:
    """It is refused where it is set, and not in the midst of a login; other scripts are fine."""
    with pytest.raises(ConfigInvalid):
        OAuthConfig(**{"service_name": "acme", **settings})
    assert OAuthConfig(service_name="acme", client_id="é", audience="\U0001f511")
