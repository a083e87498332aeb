"""Whatever a resource, or the server it names, answers: a value of ours, or one of our errors.

The quick run is part of the suite. ``make soak`` runs the same for long, and prints how many inputs
each reader got.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from instant import ManualClock
from logins import BY_BROWSER, CHALLENGE, CONFIG, NOW
from stayfast.engine import cbor
from stayfast.engine.errors import CallbackRefused, ConfigInvalid, NetworkError, ProviderError
from stayfast.engine.flows.moved import GONE, is_gone
from stayfast.engine.oauth import registration
from stayfast.engine.oauth.addresses import private_host, secure_address
from stayfast.engine.oauth.client_document import client_document, differences
from stayfast.engine.oauth.dpop import nonce_in, usable_nonce, wants_nonce
from stayfast.engine.oauth.end_session import EndSession, validate_return
from stayfast.engine.oauth.grant_request import judge_grant_response
from stayfast.engine.oauth.metadata import ServerMetadata
from stayfast.engine.oauth.private_keys import read_private_key
from stayfast.engine.oauth.protected_resource import (
    canonical_resource,
    judge_resource_metadata,
    may_be_named,
    metadata_places,
    origin_of,
)
from stayfast.engine.oauth.provider_response import (
    LONGEST_WAIT,
    may_hold_tokens,
    retry_after,
    server_date,
)
from stayfast.engine.oauth.pushed_request import judge_push
from stayfast.engine.oauth.registration import (
    ClientRegistration,
    client_members,
    judge_registration,
)
from stayfast.engine.oauth.resource_discovery import needs_sign_in
from stayfast.engine.oauth.token_status import require_confirmation
from stayfast.engine.oauth.userinfo import is_signed, judge_userinfo
from stayfast.engine.oauth.www_authenticate import bearer_challenge, read_challenges
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.clients import Clients
from stayfast.interfaces.kept_metadata import KeptMetadata, lifetime_of
from stayfast.storage import MemoryStorage

GUIDED = 20_000
LOGIN = Login(
    id="7F3K0000000000000000000000", version=2, state=State.AWAITING_CALLBACK, config=CONFIG,
    account="default", created_at=NOW, changed_at=NOW, challenge=CHALLENGE, presentation=BY_BROWSER,
)  # fmt: skip
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

JWK = json.loads((Path(__file__).parents[1] / "wire" / "client-key.json").read_text())
jwks = st.dictionaries(
    st.sampled_from([*JWK, "keys", "n", "e", "alg"]), values | st.sampled_from([*JWK.values(), "RSA", "P-521"])
)  # fmt: skip
keys = st.one_of(
    text,
    st.sampled_from(["-----BEGIN PRIVATE KEY-----\n", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", "{", "[]"]),
    jwks.map(lambda one: json.dumps({**JWK, **one})),
    jwks.map(lambda one: json.dumps({"keys": [one, JWK]})),
)  # fmt: skip
nonces = st.sampled_from(["n-1", "", "a b", 'a"b', "é", "x" * 2000]) | text
headed = st.builds(
    lambda response, *more: HttpResponse(
        status=response.status,
        headers=dict(zip(("dpop-nonce", "www-authenticate", "retry-after", "date", "content-type",
                          "cache-control"), more, strict=True)),
        body=response.body,
        received_at=NOW,
    ),
    answers,
    nonces,
    challenges | st.just('DPoP error="use_dpop_nonce"'),
    st.sampled_from(["1", "-1", "9" * 40, "Thu, 26 Nov 2026 16:00:00 GMT", "soon"]) | text,
    st.sampled_from(["Thu, 26 Nov 2026 16:00:00 GMT", "Thu, 99 Nov 99999 16:00:00 GMT", ""]) | text,
    st.sampled_from(["application/json", "application/jwt", "application/jwt; x=y", "text/html"]) | text,
    st.sampled_from(["max-age=60", "no-store", "max-age=" + "9" * 9]) | text,
)  # fmt: skip


granted = st.builds(
    lambda status, body: HttpResponse(
        status=status, headers={}, body=json.dumps(body).encode(), received_at=NOW
    ),
    st.sampled_from([200, 400, 401, 500]),
    st.dictionaries(
        st.sampled_from(["access_token", "issued_token_type", "token_type", "scope", "resource", "expires_in",
                         "refresh_token", "aud", "error"]),
        values | st.sampled_from(["t", "N_A", "Bearer", "urn:ietf:params:oauth:token-type:access_token"]),
    ),
)  # fmt: skip


def encodable(value: Any) -> dict[str, Any]:
    """``value`` without what our encoding has no place for."""
    return json.loads(
        json.dumps(value, default=str), parse_constant=str, parse_int=lambda n: int(n) % 2**60
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


def a_push(response: HttpResponse) -> None:
    """A name that an address can hold, for some time from now."""
    with contextlib.suppress(ProviderError, NetworkError):
        pushed = judge_push(CONFIG, response)
        name = pushed.request_uri.reveal()
        assert name.isascii()
        assert name.isprintable()
        assert " " not in name
        assert pushed.expires_at > NOW


def a_key(text: str) -> None:
    """A key that signs, and shows nothing private."""
    key = None
    with contextlib.suppress(ConfigInvalid):
        key = read_private_key(text)
    if key is None:
        return
    assert "d" not in key.public()
    assert key.algorithm() is None or key.sign(key.algorithm() or "", {}, {"a": 1}).count(".") == 2


def an_answer(response: HttpResponse) -> None:
    """Headers and statuses that decide what happens next: a nonce, a wait, a challenge, a move."""
    nonce = nonce_in(response)
    assert nonce is None or usable_nonce(nonce)
    assert not wants_nonce(response) or nonce is not None
    wait = retry_after(response)
    assert wait is None or 0 < wait <= LONGEST_WAIT
    server_date(response)
    may_hold_tokens(response)
    challenge = bearer_challenge(response)
    assert challenge is None or challenge.scheme in {"bearer", "dpop"}
    assert needs_sign_in(response) in {None, challenge} if challenge is None else True
    assert not is_gone(CONFIG, response) or response.status in GONE
    assert lifetime_of(response) >= 0
    with contextlib.suppress(ProviderError, NetworkError):
        require_confirmation(CONFIG, response)


def a_userinfo(response: HttpResponse) -> None:
    """Somebody with a name that can be shown, or one of our errors; signed ones need keys."""
    with contextlib.suppress(ProviderError, NetworkError):
        found = judge_userinfo(LOGIN, response, keys=None, now=NOW)
        assert found.subject.isprintable()
        assert not is_signed(response)


def a_grant(response: HttpResponse) -> None:
    """Tokens without a user, of each kind of grant, or one of our errors."""
    for grant in ("client-credentials", "token-exchange", "jwt-bearer"):
        with contextlib.suppress(ProviderError, NetworkError):
            found = judge_grant_response(replace(CONFIG, grant=grant), response)
            assert found.tokens.access_token


def a_return(query: list[tuple[str, str]]) -> None:
    """Only the state that was sent is the answer to a logout."""
    ending = EndSession(address="https://s.example/out", state="right")
    with contextlib.suppress(CallbackRefused):
        validate_return(query, ending)
        assert [value for name, value in query if name == "state"] == ["right"]


def a_copy(octets: bytes) -> None:
    """A kept copy of metadata, of whatever version or none at all."""
    storage = MemoryStorage()
    storage.put_entry("metadata https://s.example", octets)
    kept = KeptMetadata(storage, Silent(), ManualClock(NOW))
    kept.copy("https://s.example")
    kept.published("https://s.example")
    entries = Clients(storage, Catalogue(environ={}), Silent(), ManualClock(NOW))
    storage.put_entry("registration https://s.example", octets)
    entries.kept("https://s.example")


class Silent:
    """A server that has nothing."""

    def send(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=404, headers={}, body=b"", received_at=NOW)


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
    "pushed request": Reader(a_push, answers),
    "key": Reader(a_key, keys),
    "answer": Reader(an_answer, headed),
    "grant": Reader(a_grant, granted),
    "userinfo": Reader(a_userinfo, headed),
    "return": Reader(a_return, st.lists(st.tuples(st.sampled_from(["state", "x"]), text | st.just("right")))),
    "copy": Reader(a_copy, st.binary(max_size=80) | members.map(encodable).map(cbor.encode)),
}  # fmt: skip


def fuzz_target(name: str) -> Any:
    """The reader ``name`` for a fuzzer that makes its inputs from octets."""
    reader = READERS[name]

    @settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(reader.inputs)
    def run(value: Any) -> None:
        reader.read(value)

    return run.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # hypothesis puts it there


@pytest.mark.parametrize(
    "most",
    [pytest.param(60, id="quick"), pytest.param(20_000, id="long", marks=pytest.mark.soak)],
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
    if most > 60:
        print(f"{name}: {count} inputs")
    assert count >= min(most, 20)


@pytest.mark.soak
@pytest.mark.parametrize("name", READERS)
def test_a_reader_bears_what_a_fuzzer_finds(name: str) -> None:
    """With the branches of the code for a guide, where Atheris has a wheel for this Python."""
    pytest.importorskip("atheris", reason="pip install atheris")
    script = Path(__file__).parents[1] / "support" / "guided_fuzz.py"
    done = subprocess.run(
        [sys.executable, str(script), name, str(GUIDED)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(f"{name}: {GUIDED} guided inputs")


def test_every_reader_of_the_protocol_is_fuzzed() -> None:
    """Whatever judges, reads, parses or validates something from outside stands in a fuzz test."""
    folder = Path(__file__).parent
    tried = " ".join(file.read_text() for file in folder.glob("test_*fuzz*.py"))
    readers = [
        node.name
        for file in Path(registration.__file__).parent.glob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and reads(node)
    ]
    assert len(readers) > 20
    assert [name for name in readers if not re.search(rf"\b{name}\b", tried)] == []


def reads(node: ast.FunctionDef) -> bool:
    """Whether a function takes an answer, or is called like one that reads."""
    given = [ast.unparse(one.annotation) for one in node.args.args if one.annotation]
    named = re.match(r"(judge|read|parse|validate)_", node.name)
    return named is not None or any("HttpResponse" in one for one in given)
