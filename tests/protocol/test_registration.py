"""A client of one's own at a server that knows nobody yet (RFC 7591), and one that is an address."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from logins import NOW
from recorded import answer
from stayfast.engine.errors import ConfigInvalid, NetworkError, ProviderError
from stayfast.engine.oauth.client_document import (
    client_document,
    differences,
    require_document_address,
)
from stayfast.engine.oauth.metadata import ServerMetadata
from stayfast.engine.oauth.registration import (
    ClientRegistration,
    client_members,
    judge_registration,
    registration_request,
)

ISSUER = "https://login.example"
LOOPBACK = "http://127.0.0.1/callback"
ADDRESSES = (LOOPBACK, "http://127.0.0.1:8080/callback", "http://127.0.0.1:3000/callback")
ASKED = client_members(ServerMetadata(issuer=ISSUER), ADDRESSES, ("a", "b"))


def test_a_native_client_is_registered():
    """Without the type a server takes it for a web client, and refuses loopback addresses."""
    request = registration_request(f"{ISSUER}/register", ASKED)
    sent = json.loads(request.body)
    assert request.headers["Content-Type"] == "application/json"
    assert sent["application_type"] == "native"
    assert sent["redirect_uris"] == list(ADDRESSES)
    assert sent["grant_types"] == ["authorization_code", "refresh_token"]
    assert sent["scope"] == "a b"
    device = ServerMetadata(issuer=ISSUER, device_authorization_endpoint=f"{ISSUER}/d")
    assert client_members(device, ADDRESSES, ())["grant_types"][2].endswith("device_code")


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        (None, "none"),
        (("client_secret_basic", "none"), "none"),
        (("client_secret_basic", "client_secret_post"), "client_secret_post"),
        (("private_key_jwt", "client_secret_basic"), "client_secret_basic"),
    ],
)
def test_the_plainest_way_of_the_server_is_registered(offered, expected):
    """A public client where the server has such clients."""
    metadata = ServerMetadata(issuer=ISSUER, auth_methods=offered)
    assert client_members(metadata, ADDRESSES, ())["token_endpoint_auth_method"] == expected


def test_a_server_without_a_way_we_know_registers_nobody():
    """The refusal comes before anything is registered."""
    with pytest.raises(ProviderError):
        client_members(
            ServerMetadata(issuer=ISSUER, auth_methods=("tls_client_auth",)), ADDRESSES, ()
        )


def test_a_registration_is_kept_whole():
    """Everything of the answer that is needed later survives saving."""
    members = {
        "client_id": "c1", "client_secret": "s", "client_secret_expires_at": NOW + 3600,
        "token_endpoint_auth_method": "client_secret_basic", "redirect_uris": list(ADDRESSES),
        "registration_access_token": "t", "registration_client_uri": f"{ISSUER}/register/c1", "scope": "a b c",
    }  # fmt: skip
    found = judge_registration(ISSUER, ASKED, answer(members, 201))
    assert found.client_secret is not None
    assert found.client_secret.reveal() == "s"
    assert ClientRegistration.from_dict(found.to_dict()) == found
    assert "'s'" not in repr(found)
    assert found.serves(NOW, ADDRESSES, ("a", "c"))
    assert not found.serves(NOW + 3599, ADDRESSES, ())
    assert not found.serves(NOW, ["http://127.0.0.1:9/callback"], ())
    assert not found.serves(NOW, ADDRESSES, ("a", "more"))


@pytest.mark.parametrize(
    ("redirect_uris", "ports"),
    [(list(ADDRESSES), None), (list(ADDRESSES[1:]), (8080, 3000)), (None, None)],
)
def test_only_registered_addresses_are_used(redirect_uris, ports):
    """A server may take some of the addresses; ports that it left out are not tried."""
    members = {"client_id": "c", **({"redirect_uris": redirect_uris} if redirect_uris else {})}
    assert judge_registration(ISSUER, ASKED, answer(members, 201)).ports == ports


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"client_id": ""},
        {"client_id": "a\nb"},
        {"client_id": "\u00e9"},
        {"client_id": 7},
        {"client_id": "c" * 5000},
        {"client_id": "c", "redirect_uris": []},
        {"client_id": "c", "redirect_uris": "http://127.0.0.1/callback"},
        {"client_id": "c", "redirect_uris": ["https://evil.example/callback"]},
        {"client_id": "c", "redirect_uris": [*ADDRESSES, "https://evil.example/callback"]},
        {"client_id": "c", "redirect_uris": [["http://127.0.0.1/callback"]]},
        {"client_id": "c", "token_endpoint_auth_method": "client_secret_basic"},
        {"client_id": "c", "token_endpoint_auth_method": "private_key_jwt"},
        {"client_id": "c", "token_endpoint_auth_method": ["none"]},
        {"client_id": "c", "error": "invalid_redirect_uri"},
    ],
)
def test_a_registration_of_something_else_is_not_used(members):
    """No client id, another redirect address, a way of authentication that was not asked for."""
    with pytest.raises((ProviderError, NetworkError)):
        judge_registration(ISSUER, ASKED, answer(members, 201))


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (answer({"error": "invalid_redirect_uri"}, 400), ProviderError),
        (answer({"error": "access_denied"}, 403), ProviderError),
        (answer("<html>", 403), NetworkError),
        (answer(status=503), NetworkError),
    ],
)
def test_a_refusal_is_told_from_trouble(response, error):
    """RFC 7591 §3.2.2."""
    with pytest.raises(error):
        judge_registration(ISSUER, ASKED, response)


@pytest.mark.parametrize(
    "broken",
    [{}, {"schema": 2}, {"schema": 1, "auth_method": "none"}, {"schema": 1, "auth_method": "x"}],
)
def test_what_cannot_be_read_is_no_registration(broken):
    """A record of another version costs a new registration, and no login."""
    assert ClientRegistration.from_dict(broken) is None


def test_a_lasting_secret_has_no_end():
    """``client_secret_expires_at`` 0 means that it does not expire (RFC 7591 §3.2.1)."""
    members = {"client_id": "c", "client_secret": "s", "client_secret_expires_at": 0,
               "token_endpoint_auth_method": "client_secret_post"}  # fmt: skip
    found = judge_registration(ISSUER, ASKED, answer(members, 201))
    assert found.serves(NOW * 10, ADDRESSES, ())
    assert not replace(found, secret_expires_at=NOW).serves(NOW, ADDRESSES, ())


@pytest.mark.parametrize(
    "address",
    ["https://h.example", "https://h.example/", "http://h.example/c.json", "https://h.example/a/../c",
     "https://u@h.example/c", "https://h.example/c#x", "https://h.example/./c", "client"],
)  # fmt: skip
def test_a_document_lies_at_an_address_with_a_path(address):
    """The rules of the draft, before anything is sent."""
    with pytest.raises(ConfigInvalid):
        require_document_address(address)


def test_the_printed_document_is_one_that_is_accepted():
    """What is printed has no differences to what is sent; what lacks something has."""
    address = "https://app.example/client.json"
    document = client_document(address, ADDRESSES, scopes=("a",))
    assert differences(document, document) == []
    assert document["client_id"] == address
    for member, other in [("client_id", "x"), ("redirect_uris", []), ("grant_types", None),
                          ("token_endpoint_auth_method", "client_secret_post"), ("client_name", "")]:  # fmt: skip
        assert differences({**document, member: other}, document)
    assert differences({**document, "client_secret": "s"}, document)
