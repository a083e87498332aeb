"""Signed authorization requests (JAR, RFC 9101): one statement, signed with the client's key."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from instant import InstantTransport, ManualClock
from joserfc import jws, jwt
from joserfc.jwk import ECKey
from logins import CHALLENGE, CONFIG
from stayfast import MemoryStorage
from stayfast.engine.errors import ConfigInvalid, ConfigMissing
from stayfast.engine.oauth.authorization_request import authorization_parameters
from stayfast.engine.oauth.metadata import apply_metadata, judge_metadata
from stayfast.engine.oauth.request_object import no_signer, signs_requests
from stayfast.engine.oauth.request_proofs import Prover
from stayfast.engine.ports import HttpResponse
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage.host import SystemRandomness

KEY = ECKey.generate_key("P-256", {"kid": "one"})
CLIENT = replace(
    CONFIG,
    client_secret=None,
    client_key=json.dumps(KEY.as_dict(private=True)),
    request_object="required",
    resources=("https://api.example/a", "https://api.example/b"),
    authorization_details='[{"type":"payment"}]',
    extra_auth_params={"max_age": "60", "prompt": "login"},
)
REDIRECT = "http://127.0.0.1:8080/callback"


def test_everything_that_is_asked_stands_in_the_statement():
    """With its types: a number is one, and what is JSON is no text (RFC 9101 §4, RFC 9396 §2)."""
    clock = ManualClock()
    asked = authorization_parameters(CLIENT, CHALLENGE, REDIRECT, dpop_jkt="print")
    signed = Prover(clock, SystemRandomness(), str).request_object(CLIENT, asked)
    token = jwt.decode(signed, KEY, algorithms=["ES256"])
    header = jws.extract_compact(signed.encode()).headers()

    assert (header["typ"], header["kid"]) == ("oauth-authz-req+jwt", "one")
    claims = token.claims
    assert (claims["iss"], claims["aud"]) == (CLIENT.client_id, CLIENT.issuer)
    assert claims["resource"] == ["https://api.example/a", "https://api.example/b"]
    assert claims["authorization_details"] == [{"type": "payment"}]
    assert (claims["max_age"], claims["prompt"], claims["dpop_jkt"]) == (60, "login", "print")
    assert claims["state"] == CHALLENGE.state.reveal()
    assert claims["nbf"] <= clock.now() < claims["exp"]
    assert {name for name, _ in asked} <= set(claims)


def test_the_browser_gets_the_client_and_the_statement_alone():
    """Nothing that somebody could change on the way (§5)."""
    catalogue = Catalogue(providers={"acme": CLIENT}, environ={})
    assembly = Assembly(MemoryStorage(), catalogue)
    waits = InstantTransport(lambda _: [])
    assembly.conductor.start(CLIENT, waits)
    (address,) = waits.addresses

    query = parse_qs(urlsplit(address).query)
    assert set(query) == {"client_id", "request"}
    claims = jwt.decode(query["request"][0], KEY, algorithms=["ES256"]).claims
    assert claims["code_challenge_method"] == "S256"


@pytest.mark.parametrize(
    ("setting", "promised", "signs"),
    [
        ("auto", False, False),
        ("auto", True, True),
        ("required", False, True),
        ("off", True, False),
    ],
)
def test_the_server_or_the_setting_decides(setting, promised, signs):
    """`auto` where its metadata say that it takes no others."""
    members = {
        "issuer": CLIENT.issuer,
        "require_signed_request_object": promised,
        "request_object_signing_alg_values_supported": ["ES256"],
    }
    answer = HttpResponse(
        status=200, headers={}, body=json.dumps(members).encode(), received_at=0.0
    )
    metadata = judge_metadata(CLIENT.issuer, answer)
    config = apply_metadata(replace(CLIENT, request_object=setting), metadata)

    assert signs_requests(config) is signs
    assert config.request_object_algorithms == ("ES256",)


def test_a_key_that_is_missing_or_does_not_fit_is_missed_before_the_user_is_asked():
    """As for client assertions."""
    prover = Prover(ManualClock(), SystemRandomness(), str)
    with pytest.raises(ConfigMissing):
        prover.require(replace(CLIENT, client_key=None, token_endpoint_auth_method="none"))
    with pytest.raises(ConfigInvalid):
        prover.require(replace(CLIENT, request_object_algorithms=("PS256",)))
    with pytest.raises(ConfigMissing):
        no_signer(CLIENT, [])
