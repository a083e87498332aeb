"""Whom a resource may send its users to, and who may say so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recorded import answer
from stayfast.engine.errors import ConfigInvalid, NetworkError, ProviderError
from stayfast.engine.oauth.metadata import ServerMetadata
from stayfast.engine.oauth.protected_resource import (
    canonical_resource,
    judge_resource_metadata,
    may_be_named,
    metadata_places,
)
from stayfast.engine.oauth.resource_discovery import require_for_resource
from stayfast.engine.oauth.www_authenticate import read_challenges

ASKED = "https://h.example/team/mcp"
OWN = "https://h.example/.well-known/oauth-protected-resource/team/mcp"
ROOT = "https://h.example/.well-known/oauth-protected-resource"
SERVER = "https://login.example"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("HTTPS://H.Example:443/MCP", "https://h.example/MCP"),
        ("https://h.example/", "https://h.example"),
        ("https://h.example./mcp/", "https://h.example/mcp/"),
        ("https://h.example/mcp?a=B#part", "https://h.example/mcp?a=B"),
        ("http://127.0.0.1:8000/mcp", "http://127.0.0.1:8000/mcp"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
    ],
)
def test_a_resource_has_one_spelling(typed, expected):
    """Host and scheme in lower case; the path stays as it was typed (RFC 8707 §2)."""
    assert canonical_resource(typed) == expected


@pytest.mark.parametrize(
    "typed", ["http://h.example/mcp", "ftp://h.example", "https://u:p@h.example", "file:///etc/passwd", "https://" + "a." * 2000 + "example", "https://"]
)  # fmt: skip
def test_what_is_no_address_is_no_resource(typed):
    """Only https, and http to this machine."""
    with pytest.raises(ConfigInvalid):
        canonical_resource(typed)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, [OWN, ROOT]),
        ("Bearer", [OWN, ROOT]),
        (f'Bearer resource_metadata="{ROOT}"', [ROOT]),
        ('Bearer resource_metadata="/.well-known/x"', ["https://h.example/.well-known/x"]),
        ('Bearer resource_metadata="https://H.example:443/x"', ["https://H.example:443/x"]),
    ],
)
def test_metadata_are_where_the_challenge_says_or_at_the_known_places(header, expected):
    """RFC 9728 §3.1 and §5.1; the root is an extension of MCP."""
    challenge = read_challenges(header)[0] if header else None
    assert metadata_places(ASKED, challenge) == expected


@pytest.mark.parametrize(
    "named",
    [
        "https://evil.example/x", "http://h.example/x", "https://h.example:8443/x", "//evil.example/x",
        "file:///etc/passwd", "https://10.0.0.1/x", "https://h.example@evil.example/x", "data:,{}",
        "https://[", "https://h.example\\@evil.example", "https://h.example/" + "a" * 3000,
    ],
)  # fmt: skip
def test_metadata_on_another_origin_are_not_read(named):
    """A file, a private host, another scheme, port or host, and what two parsers read differently."""
    (challenge,) = read_challenges('Bearer resource_metadata="' + named.replace("\\", "\\\\") + '"')
    with pytest.raises(ProviderError):
        metadata_places(ASKED, challenge)


@pytest.mark.parametrize(
    ("named", "location", "fine"),
    [
        (ASKED, OWN, True),
        (ASKED, "https://h.example/anything", True),
        ("https://H.EXAMPLE/team/mcp", OWN, True),
        ("https://h.example", ROOT, True),
        ("https://h.example/", ROOT, True),
        ("https://h.example/team", "https://h.example/.well-known/oauth-protected-resource/team", True),
        # one tenant of a host does not speak for the host, nor for another tenant
        ("https://h.example", OWN, False),
        ("https://h.example", "https://h.example/team/prm", False),
        ("https://h.example/team", ROOT, False),
        ("https://h.example/tea", "https://h.example/.well-known/oauth-protected-resource/tea", False),
        ("https://h.example/other", OWN, False),
        (ASKED + "/", OWN, False),
        (ASKED + "/deeper", OWN, False),
        ("https://evil.example/team/mcp", OWN, False),
        ("http://h.example/team/mcp", OWN, False),
        (ASKED + "#part", OWN, False),
        ("", OWN, False),
        ("https://", OWN, False),
    ],
)  # fmt: skip
def test_a_document_speaks_for_its_own_resource(named, location, fine):
    """RFC 9728 §3.3 to the letter; for a part of a host only from that part's well-known place."""
    response = answer({"resource": named, "authorization_servers": [SERVER]})
    if fine:
        found = judge_resource_metadata(ASKED, location, response)
        assert (found.resource, found.issuers) == (named, (SERVER,))
        return
    with pytest.raises(ProviderError):
        judge_resource_metadata(ASKED, location, response)


def test_only_a_slash_apart_is_said():
    """The message says whose address has the slash, and the hint is the address that will do."""
    with pytest.raises(ProviderError) as refused:
        judge_resource_metadata(ASKED, OWN, answer({"resource": ASKED + "/"}))
    assert refused.value.hint == f"stayfast login {ASKED}/"


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([SERVER, SERVER, "https://b.example/x"], (SERVER, "https://b.example/x")),
        ([7, None, {}, "http://login.example", "https://10.0.0.1", SERVER], (SERVER,)),
        ([f"https://s{n}.example" for n in range(100)], tuple(f"https://s{n}.example" for n in range(20))),
    ],
)  # fmt: skip
def test_servers_that_may_be_asked_are_kept(listed, expected):
    """What is no safe address is left out, and a list has an end."""
    found = judge_resource_metadata(
        ASKED, OWN, answer({"resource": ASKED, "authorization_servers": listed})
    )
    assert found.issuers == expected


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (answer({"resource": ASKED}), ProviderError),
        (answer({"resource": ASKED, "authorization_servers": SERVER}), ProviderError),
        (answer({"resource": ASKED, "authorization_servers": ["http://127.0.0.1:1"]}), ProviderError),
        (answer({"resource": [ASKED]}), ProviderError),
        (answer([ASKED]), ProviderError),
        (answer("<html>"), ProviderError),
        (answer({"resource": ASKED, "authorization_servers": [SERVER]}, 302, location=SERVER), ProviderError),
        (answer(status=404), ProviderError),
        (answer(status=503), NetworkError),
        (answer(status=429), NetworkError),
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused(response, error):
    """A redirect is not followed, and trouble is no answer."""
    with pytest.raises(error):
        judge_resource_metadata(ASKED, OWN, response)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "localhost.", "a.localhost", "10.1.2.3", "192.168.1.1", "169.254.169.254",
        "172.16.0.1", "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0",
        "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "10.1", "0x7f.1", "printer.local", "vault.internal",
        "login", "[64:ff9b::a00:1]", "[2002:a00:1::]", "100.64.0.1", "224.0.0.1", "255.255.255.255", "1.2.3.4.5",
        "router.home.arpa", "999.1.1.1", "0x.0x.0x.0x",
    ],
)  # fmt: skip
def test_a_stranger_names_no_private_host(host):
    """In whatever spelling; a resource that is private itself may, because its user typed it."""
    assert not may_be_named(f"https://{host}/x", ASKED)
    if not host[-1].isdigit() or host.count(".") == 3:
        assert may_be_named(f"https://{host}/x", "http://127.0.0.1:8000/mcp")


@pytest.mark.parametrize(
    "named",
    [
        "token_endpoint",
        "authorization_endpoint",
        "registration_endpoint",
        "jwks_uri",
        "revocation_endpoint",
    ],
)
def test_a_server_names_no_endpoint_in_a_private_network(named):
    """Nor does the server that a public resource names; one that the user typed may."""
    fine = ServerMetadata(
        issuer=SERVER,
        token_endpoint=f"{SERVER}/t",
        authorization_endpoint=f"{SERVER}/a",
        pkce_methods=("S256",),
    )
    assert require_for_resource(fine, ASKED) == fine
    private = replace(fine, **{named: "https://169.254.169.254/x"})
    assert require_for_resource(private, "http://127.0.0.1:8000/mcp") == private
    aliased = replace(fine, mtls_endpoint_aliases={"token_url": "https://169.254.169.254/x"})
    for one in (private, aliased):
        with pytest.raises(ProviderError):
            require_for_resource(one, ASKED)


@pytest.mark.parametrize(
    "host", ["login.example", "8.8.8.8", "[2606:4700::1111]", "local.example", "1.example"]
)
def test_a_public_host_may_be_named(host):
    """Names and addresses of the public network."""
    assert may_be_named(f"https://{host}/x", ASKED)
    assert not may_be_named(f"http://{host}/x", ASKED)


@pytest.mark.parametrize(
    "address", ["https://me:canary@h/mcp", "ftp://canary@h", "https://a@canary@h"]
)
def test_a_password_in_an_address_is_not_shown(address: str) -> None:
    """It is refused as any address that is none of a resource."""
    with pytest.raises(ConfigInvalid) as refusal:
        canonical_resource(address)
    assert "canary" not in str(refusal.value)
