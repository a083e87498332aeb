"""Each thing that the embedded server can demand: a login that does it succeeds, another one does not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.errors import StayfastError
from stayfast.engine.oauth.metadata import apply_metadata, discover
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.server_state import Client

KEY = (Path(__file__).parents[1] / "wire" / "client-key.json").read_text()
PUBLIC = {"keys": [{name: value for name, value in json.loads(KEY).items() if name != "d"}]}
RESOURCE = "https://api.demo.test/"
BY_KEY = {"client_id": "keyed", "client_key": KEY}


@dataclass(frozen=True)
class Switch:
    """A setting of the server, what a client must do then, and what it does if it knows nothing of it."""

    settings: dict[str, Any]
    does: dict[str, Any] = field(default_factory=dict)
    ignores: dict[str, Any] | None = None


SWITCHES = {
    "pushed requests": Switch({"par_required": True}, {}, {"par": "off"}),
    "signed requests": Switch({"request_object_required": True}, BY_KEY, {"request_object": "off"}),
    "signed and pushed": Switch(
        {"request_object_required": True, "par_required": True}, BY_KEY, {"request_object": "off"}
    ),
    "bound tokens": Switch({"dpop": "required"}, {"dpop": "required"}, {"dpop": "off"}),
    "bound tokens with nonces": Switch(
        {"dpop": "required", "dpop_nonce": True}, {"dpop": "required"}, {"dpop": "off"}
    ),
    "a signed assertion": Switch(
        {"auth_methods": ("private_key_jwt",)},
        BY_KEY,
        {"client_key": None, "token_endpoint_auth_method": "none"},
    ),
    "known resources": Switch(
        {"resources": (RESOURCE,)},
        {"resources": (RESOURCE,)},
        {"resources": ("https://evil.test/",)},
    ),
    "a client that is a document": Switch(
        {"documents": True}, {"client_id": "https://app.demo.test/client.json"}
    ),
    "no iss": Switch({"send_iss": False}),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_a_login_does_what_the_server_demands(name: str) -> None:
    """By what its metadata publish; and a client that does not is refused."""
    switch = SWITCHES[name]
    with AuthorizationServer(Settings(**switch.settings)) as server:
        server.add_client(Client("keyed", auth_method="private_key_jwt", jwks=PUBLIC))
        server.add_client(Client("https://app.demo.test/client.json"))

        def sign_in(**more: Any) -> State:
            plain = OAuthConfig(
                service_name="demo",
                issuer=server.issuer,
                redirect_uri="http://127.0.0.1:0/callback",
                scopes=("openid", "offline_access"),
                **{"client_id": "stayfast-demo", **switch.does, **more},
            )
            config = apply_metadata(plain, discover(RequestsHttp(), server.issuer))
            transport = InstantTransport(lambda url: [user_agent.fetch_only(url)])
            return conductor_over(MemoryStorage()).sign_in(config, transport).state

        assert sign_in() is State.AUTHENTICATED
        if switch.ignores is not None:
            with pytest.raises((StayfastError, LookupError, AssertionError)):
                sign_in(**switch.ignores)


def test_every_setting_is_documented() -> None:
    """In the docstring of the settings, by name."""
    said = Settings.__doc__ or ""
    assert [one.name for one in fields(Settings) if f"{one.name}:" not in said] == []
