"""What providers take as a redirect address: it chooses the address, and says what to register."""

from __future__ import annotations

from typing import Any

import pytest
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.transports.loopback.redirect import (
    OUT_OF_BAND,
    address_without_listener,
    addresses_to_register,
    broken_rule,
    redirect_of,
    registered_address,
    registration_note,
)

HERE = "http://127.0.0.1/callback"


def config(**settings: Any) -> OAuthConfig:
    return OAuthConfig.from_dict({"service_name": "x", "client_id": "y", **settings})


@pytest.mark.parametrize(
    ("settings", "addresses", "ports"),
    [
        ({"redirect_port": "any"}, [HERE], (0,)),
        ({"redirect_port": "any", "redirect_uri": "http://localhost:0/cb"}, ["http://localhost/cb"], (0,)),
        ({"redirect_uri": "http://localhost:0"}, ["http://localhost"], (0,)),
        (
            {"redirect_port": "exact", "ports": (8080, 3000)},
            ["http://127.0.0.1:8080/callback", "http://127.0.0.1:3000/callback"],
            (8080, 3000),
        ),
        (
            {"redirect_port": "exact", "redirect_uri": "http://localhost:7/cb"},
            ["http://localhost:7/cb"],
            (7,),
        ),
        (
            {"redirect_port": "range", "ports": (10000, 10001), "redirect_uri": "http://localhost/login"},
            ["http://localhost:10000/login", "http://localhost:10001/login"],
            (10000, 10001),
        ),
        ({"ports": (8080,)}, [HERE, "http://127.0.0.1:8080/callback"], (8080,)),
    ],
)  # fmt: skip
def test_the_rule_of_ports_chooses_and_says_what_to_register(
    settings: dict[str, Any], addresses: list[str], ports: tuple[int, ...]
) -> None:
    """Any port is registered without one, exact ones each with its own."""
    assert list(addresses_to_register(config(**settings))) == addresses
    assert redirect_of(config(**settings)).ports == ports


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"redirect_port": "any"}, True),
        ({"redirect_uri": "http://localhost:0/cb"}, True),
        ({"redirect_port": "exact", "ports": (8080, 3000)}, True),
        ({"redirect_port": "exact", "ports": (8080,)}, False),
        ({"redirect_uri": "http://localhost:7/cb"}, False),
        ({"redirect_uri": "https://app.example/cb"}, False),
        ({"redirect_uri": OUT_OF_BAND, "shows_code": True}, False),
    ],
)
def test_something_is_said_about_ports_where_one_is_open(
    settings: dict[str, Any], said: bool
) -> None:
    """And nothing where the address is whole."""
    assert bool(registration_note(config(**settings))) == said


def test_an_address_that_nobody_chose_gets_a_host_that_the_provider_takes() -> None:
    """Dex takes `localhost` alone, Spotify addresses alone; what the user chose stays as it is."""
    dex = config(redirect_hosts=("localhost",))
    spotify = config(redirect_hosts=("127.0.0.1", "::1"), redirect_uri="http://localhost/callback")
    chosen = config(redirect_hosts=("localhost",), redirect_uri="http://127.0.0.1:8000/cb")

    assert registered_address(dex) == "http://localhost/callback"
    assert registered_address(spotify) == "http://127.0.0.1/callback"
    assert registered_address(config(redirect_hosts=("::1",))) == "http://[::1]/callback"
    assert registered_address(chosen) == "http://127.0.0.1:8000/cb"
    assert broken_rule(dex) is broken_rule(spotify) is None
    assert "localhost" in (broken_rule(chosen) or "")


@pytest.mark.parametrize(
    ("settings", "broken"),
    [
        ({"redirect_https_only": True}, True),
        ({"redirect_https_only": True, "redirect_uri": "https://app.example/cb"}, False),
        ({"redirect_port": "range", "ports": (10, 11), "redirect_uri": "http://localhost:12/cb"}, True),
        ({"redirect_port": "range", "ports": (10, 11), "redirect_uri": "http://localhost:11/cb"}, False),
        ({"redirect_uri": OUT_OF_BAND, "shows_code": True, "redirect_https_only": True}, False),
    ],
)  # fmt: skip
def test_an_address_that_breaks_a_rule_is_explained(settings: dict[str, Any], broken: bool) -> None:
    """In a sentence that names the provider."""
    said = broken_rule(config(display_name="Acme", **settings))
    assert (said is not None) == broken
    assert said is None or said.startswith("Acme")


def test_where_https_alone_is_taken_a_login_says_so_before_it_begins() -> None:
    """The hint is the command that sets the address."""
    with pytest.raises(ConfigInvalid) as caught:
        address_without_listener(config(redirect_https_only=True))
    assert "--redirect-uri" in (caught.value.hint or "")
    own = config(redirect_https_only=True, redirect_uri="https://app.example/cb")
    assert address_without_listener(own) == "https://app.example/cb"


@pytest.mark.parametrize("address", ["", OUT_OF_BAND])
def test_a_page_that_shows_the_code_needs_no_address(address: str) -> None:
    """Dropbox, Mastodon: what is registered is that address, or none."""
    shown = config(redirect_uri=address, shows_code=True, redirect_per_issuer=True)
    assert address_without_listener(shown) == address
    assert addresses_to_register(shown) == ((address,) if address else ())
