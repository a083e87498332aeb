"""Whatever a resource, or the server it names, answers: a value of ours, or one of our errors.

The quick run is part of the suite. ``make soak`` runs the same for long, and prints how many inputs
each reader got.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logins import NOW
from stayfast.engine.errors import ConfigInvalid, NetworkError, ProviderError
from stayfast.engine.oauth.addresses import private_host, secure_address
from stayfast.engine.oauth.client_document import client_document, differences
from stayfast.engine.oauth.metadata import ServerMetadata
from stayfast.engine.oauth.protected_resource import (
    canonical_resource,
    judge_resource_metadata,
    may_be_named,
    metadata_places,
    origin_of,
)
from stayfast.engine.oauth.registration import (
    ClientRegistration,
    client_members,
    judge_registration,
)
from stayfast.engine.oauth.www_authenticate import read_challenges
from stayfast.engine.ports import HttpResponse

ASKED = "https://h.example/team/mcp"
PLACE = "https://h.example/.well-known/oauth-protected-resource"
ADDRESSES = ("http://127.0.0.1/callback", "http://127.0.0.1:8080/callback")
CLIENT = client_members(ServerMetadata(issuer="https://s.example"), ADDRESSES, ("a",))

text = st.text(max_size=30)
pieces = st.sampled_from(
    ["Bearer", "DPoP", "Basic", " ", ",", "=", '"', "\\", "scope", "error", "resource_metadata", "max_age",
     "acr_values", "https://h.example/x", "//evil.example", "a b", "300", "\t", "YII=", "\x00", "é", "/", "?"]
)  # fmt: skip
challenges = st.lists(pieces | st.text(max_size=3), max_size=30).map("".join)
addresses = st.one_of(
    text,
    text.map(lambda rest: "https://" + rest),
    st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(["https://", "http://", "HTTPS://", "//", "file://", ""]),
        st.sampled_from(["h.example", "H.EXAMPLE:443", "127.1", "[::1]", "h.example:x", "0x7f.1", "a@h.example"]),
        st.sampled_from(["", "/", "/team/mcp", "/team/../mcp", "/team", "?q", "#f", "/\\x", "/ü"]),
    ),
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | addresses,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["resource", "authorization_servers", "scopes_supported", "client_id", "client_secret", "redirect_uris",
     "client_secret_expires_at", "token_endpoint_auth_method", "registration_access_token", "error", "scope",
     "registration_client_uri", "grant_types", "client_name", "schema", "auth_method", "issuer", "registered_at"]
)  # fmt: skip
good = st.sampled_from(
    [ASKED, [ASKED], ["https://s.example"], list(ADDRESSES), "none", "client_secret_post", 1, "c1"]
)
members = st.dictionaries(names | st.text(max_size=4), values | good, max_size=7)
answers = st.builds(
    lambda status, body: HttpResponse(status=status, headers={}, body=body, received_at=NOW),
    st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 429, 500]),
    members.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
)


def a_header(header: str) -> None:
    """The parameters are text, the scopes are scopes, and a place it names is on the origin."""
    for one in read_challenges(header):
        assert one.scheme == one.scheme.lower()
        assert all(scope.isascii() and " " not in scope for scope in one.scopes)
        assert one.max_age is None or one.max_age >= 0
        with contextlib.suppress(ProviderError):
            for place in metadata_places(ASKED, one):
                assert origin_of(place) == "https://h.example"


def an_address(address: str) -> None:
    """One spelling, which is its own; a host that is judged whatever it is."""
    with contextlib.suppress(ConfigInvalid):
        once = canonical_resource(address)
        assert canonical_resource(once) == once
        assert secure_address(once)
        private_host(urlsplit(once).hostname or "")
    if may_be_named(address, ASKED):
        assert not private_host(urlsplit(address).hostname or "")


def a_document(response: HttpResponse) -> None:
    """A resource on the asked origin, and servers that may be asked."""
    with contextlib.suppress(ProviderError, NetworkError):
        found = judge_resource_metadata(ASKED, PLACE, response)
        assert origin_of(found.resource) == "https://h.example"
        assert found.issuers
        assert all(may_be_named(issuer, ASKED) for issuer in found.issuers)


def a_registration(response: HttpResponse) -> None:
    """No address but ours, and what is kept can be read again."""
    with contextlib.suppress(ProviderError, NetworkError):
        found = judge_registration("https://s.example", CLIENT, response)
        assert set(found.redirect_uris) <= set(ADDRESSES)
        assert ClientRegistration.from_dict(found.to_dict()) == found


def kept_members(kept: dict[str, Any]) -> None:
    """A kept registration of whatever version, and a hosted document of whatever content."""
    ClientRegistration.from_dict(kept)
    differences(kept, client_document("https://a.example/c", ADDRESSES))


@dataclass(frozen=True)
class Reader:
    """A reader and what it gets."""

    read: Callable[[Any], None]
    inputs: st.SearchStrategy[Any]


READERS = {
    "challenge": Reader(a_header, challenges),
    "address": Reader(an_address, addresses),
    "resource metadata": Reader(a_document, answers),
    "registration": Reader(a_registration, answers),
    "kept": Reader(kept_members, members),
}


@pytest.mark.parametrize(
    "most",
    [pytest.param(100, id="quick"), pytest.param(20_000, id="long", marks=pytest.mark.soak)],
)
@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_a_value_or_one_of_our_errors(name, most):
    """Whatever comes: no exception but ours, no hang, and what holds of a value holds."""
    reader, count = READERS[name], 0

    @settings(
        max_examples=most, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(reader.inputs)
    def run(value: Any) -> None:
        nonlocal count
        count += 1
        reader.read(value)

    run()
    if most > 100:
        print(f"{name}: {count} inputs")
    assert count >= min(most, 100)
