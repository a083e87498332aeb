"""How a client proves itself: which way, by which key, and anew at each sending."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instant import ManualClock
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from logins import CONFIG
from stayfast.engine.errors import ConfigInvalid, ConfigMissing
from stayfast.engine.oauth.client_authentication import (
    authentication_method,
    client_request,
    fitting_method,
    require_authentication,
)
from stayfast.engine.oauth.metadata import judge_metadata
from stayfast.engine.oauth.private_keys import read_private_key
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.request_proofs import Prover
from stayfast.engine.oauth.signatures import QuietRegistry
from stayfast.engine.oauth.token_endpoint import refresh_request
from stayfast.engine.ports import HttpResponse
from stayfast.interfaces.client_files import key_of
from stayfast.storage.host import SystemRandomness

SECRET = "a secret that is long enough to sign with"
EC = ECKey.generate_key("P-256", {"kid": "one"})
RSA = RSAKey.generate_key(2048)
KEYS = {
    "P-256": (EC, "ES256"),
    "P-384": (ECKey.generate_key("P-384"), "ES384"),
    "P-521": (ECKey.generate_key("P-521"), "ES512"),
    "RSA": (RSA, "RS256"),
    "Ed25519": (OKPKey.generate_key("Ed25519"), "EdDSA"),
}
CLIENT = replace(CONFIG, client_secret=None, issuer="https://login.acme.example")
BY_KEY = replace(CLIENT, client_key=json.dumps(EC.as_dict(private=True)))


def prover(files=()):
    """A prover whose key files are ``files``."""
    return Prover(ManualClock(), SystemRandomness(), dict(files).__getitem__)


def asserted(request, key, **expected):
    """The claims of the assertion in ``request``, whose signature holds; and its header."""
    form = parse_qs(request.body.decode(), strict_parsing=True)
    assert form["client_assertion_type"] == [
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    ]
    (assertion,) = form["client_assertion"]
    header = json.loads(jwt_part(assertion, 0))
    token = jwt.decode(assertion, key, registry=QuietRegistry(algorithms=[header["alg"]]))
    assert expected.items() <= {**header, **token.claims}.items()
    return token.claims


def jwt_part(token, place):
    return urlsafe_b64decode(token.split(".")[place] + "==")


def test_an_assertion_says_who_for_whom_and_for_how_long():
    """RFC 7523 §3: issuer and subject are the client, the audience is the issuer, life is short."""
    claims = asserted(prover().proved(refresh_request(BY_KEY, "r")), EC, alg="ES256", kid="one")

    assert (claims["iss"], claims["sub"]) == (CLIENT.client_id,) * 2
    assert claims["aud"] == CLIENT.issuer
    assert 0 < claims["exp"] - claims["iat"] <= 60


def test_each_sending_is_signed_anew():
    """The same request, sent twice, has two numbers: a server takes each once."""
    request, signs = refresh_request(BY_KEY, "r"), prover()
    numbers = {asserted(signs.proved(request), EC)["jti"] for _ in range(3)}

    assert len(numbers) == 3


def test_a_server_may_want_another_audience():
    """As configured."""
    config = replace(BY_KEY, client_assertion_audience="https://login.acme.example/token")
    asserted(
        prover().proved(refresh_request(config, "r")), EC, aud="https://login.acme.example/token"
    )


@pytest.mark.parametrize("form", ["pem", "jwk", "jwks", "file"])
@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_and_form_sign(kind, form):
    """PEM, a JWK or a set of them; the text itself or its file; the algorithm is that of the key."""
    key, algorithm = KEYS[kind]
    jwk = key.as_dict(private=True)
    text = {
        "pem": key.as_pem(private=True).decode(),
        "jwk": json.dumps(jwk),
        "jwks": json.dumps({"keys": [{**jwk, "use": "enc"}, key.as_dict(private=False), jwk]}),
        "file": json.dumps(jwk),
    }[form]
    config = replace(
        CLIENT,
        token_endpoint_auth_method="private_key_jwt",
        client_key_id="chosen",
        **({"client_key_file": "/k"} if form == "file" else {"client_key": text}),
    )
    request = prover({"/k": text}).proved(refresh_request(config, "r"))

    asserted(request, key, alg=algorithm, kid="chosen")


@pytest.mark.parametrize(
    ("offered", "alg"),
    [
        ((), "RS256"),
        (("PS256", "ES256"), "PS256"),
        (("PS256", "RS256"), "RS256"),
        (["ES256"], None),
    ],
)
def test_the_algorithm_is_one_that_both_sides_can(offered, alg):
    """Of what the server lists the first that fits the key; with none in common, no request."""
    config = replace(
        CLIENT,
        client_key=RSA.as_pem(private=True).decode(),
        client_assertion_algorithms=tuple(offered),
    )
    request = refresh_request(config, "r")
    if alg is None:
        with pytest.raises(ConfigInvalid):
            prover().require(config)
        with pytest.raises(ConfigInvalid):
            prover().proved(request)
    else:
        asserted(prover().proved(request), RSA, alg=alg)


def test_a_secret_signs_too():
    """`client_secret_jwt`; the secret itself is not sent."""
    config = replace(CLIENT, client_secret=SECRET, token_endpoint_auth_method="client_secret_jwt")
    request = prover().proved(refresh_request(config, "r"))

    asserted(request, OctKey.import_key(SECRET), alg="HS256")
    assert b"long+enough" not in request.body
    assert "Authorization" not in request.headers


def test_an_assertion_goes_into_json_as_well():
    """A server that wants JSON gets it there."""
    config = replace(BY_KEY, token_request_format="json")
    body = json.loads(prover().proved(refresh_request(config, "r")).body)

    assert body["refresh_token"] == "r"
    assert body["client_assertion"].count(".") == 2


@pytest.mark.parametrize(
    ("material", "setting", "method"),
    [
        ({}, "auto", "none"),
        ({"client_secret": "s"}, "auto", "client_secret_basic"),
        ({"client_secret": "s"}, "auto_post", "client_secret_post"),
        ({"client_secret": "s"}, "auto_jwt", "client_secret_jwt"),
        ({"client_secret": "s", "client_key_file": "/k"}, "auto", "private_key_jwt"),
        ({"client_key": "k"}, "auto_post", "private_key_jwt"),
        ({"client_key_file": "/k", "client_certificate_file": "/c"}, "auto", "tls_client_auth"),
        (
            {"client_secret": "s", "client_key_file": "/k"},
            "client_secret_post",
            "client_secret_post",
        ),
        ({"client_secret": "s"}, "none", "none"),
    ],
)
def test_what_the_client_has_decides_unless_a_way_is_set(material, setting, method):
    """Certificate before key before secret."""
    config = replace(CLIENT, token_endpoint_auth_method=setting, **material)

    assert authentication_method(config) == method


@pytest.mark.parametrize(
    ("offered", "material", "setting"),
    [
        (None, {}, None),
        (["client_secret_basic", "private_key_jwt"], {}, None),
        (["client_secret_basic", "private_key_jwt"], {"client_key_file": "/k"}, "private_key_jwt"),
        (["client_secret_post", "none"], {}, "auto_post"),
        (["client_secret_jwt", "private_key_jwt"], {}, "auto_jwt"),
        (["private_key_jwt", "tls_client_auth"], {}, "private_key_jwt"),
        (
            ["private_key_jwt", "tls_client_auth"],
            {"client_key_file": "/k", "client_certificate_file": "/c"},
            "tls_client_auth",
        ),
        (
            ["private_key_jwt"],
            {"client_key_file": "/k", "client_certificate_file": "/c"},
            "private_key_jwt",
        ),
        (["self_signed_tls_client_auth"], {}, "self_signed_tls_client_auth"),
    ],
)
def test_metadata_chooses_by_what_the_client_has(offered, material, setting):
    """Among the ways that the server takes."""
    assert fitting_method(offered, replace(CLIENT, **material)) == setting


def test_a_server_of_unknown_ways_is_refused():
    """By its metadata already."""
    with pytest.raises(LookupError):
        fitting_method(["attest_jwt_client_auth"], CLIENT)


@pytest.mark.parametrize(
    "settings",
    [
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "tls_client_auth", "client_key_file": "/k"},
    ],
    ids=str,
)
def test_what_is_missing_is_missed_before_the_user_is_asked(settings):
    """With a hint that names the option."""
    config = replace(CLIENT, **settings)
    with pytest.raises(ConfigMissing) as caught:
        require_authentication(config)
    assert "--client-" in (caught.value.hint or "")
    with pytest.raises(ConfigMissing):
        client_request(config, config.token_url, [])


NO_KEYS = {
    "empty": "{}",
    "text": "no key at all",
    "list": "[]",
    "deep": '{"a":' * 50_000,
    "public": json.dumps(EC.as_dict(private=False)),
    "public pem": EC.as_pem(private=False).decode(),
    "short": '{"keys": []}',
    "oct": json.dumps(OctKey.generate_key(256).as_dict(private=True)),
    "null": '{"kty": "EC", "crv": "P-256", "d": null}',
    "encrypted": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
    "broken": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    "curve": json.dumps(OKPKey.generate_key("X25519").as_dict(private=True)),
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_to_sign_with_is_refused(text):
    """With an error of ours that quotes nothing of it, whatever stands there."""
    config = replace(CLIENT, client_key=text)
    with pytest.raises(ConfigInvalid) as caught:
        prover().require(config)
    assert text[:20] not in str(caught.value)


@given(st.text())
def test_no_text_breaks_the_reader_of_keys(text):
    """It is a key or an error of ours."""
    with pytest.raises(ConfigInvalid):
        read_private_key(text)
    with pytest.raises(ConfigInvalid):
        read_private_key("{" + text)


def test_a_short_secret_does_not_sign():
    """A signature would give it away (RFC 7518 §3.2)."""
    with pytest.raises(ConfigInvalid):
        prover().require(
            replace(CLIENT, client_secret="short", token_endpoint_auth_method="client_secret_jwt")
        )


def test_a_key_is_shown_nowhere():
    """Neither by the configuration nor by the request that it will sign."""
    request = refresh_request(BY_KEY, "r")

    assert EC.as_dict(private=True)["d"] not in f"{BY_KEY!r} {request!r} {prover()!r}"
    assert OAuthConfig.from_dict(BY_KEY.to_dict()) == BY_KEY


def test_a_certificate_goes_with_every_request_and_to_the_aliases():
    """RFC 8705 §2, §5: the client id stands in the body, and the endpoint is the one for it."""
    config = replace(
        CLIENT,
        client_certificate_file="/c.pem",
        client_key_file="/k.pem",
        mtls_endpoint_aliases={"token_url": "https://mtls.acme.example/token"},
    )
    request = refresh_request(config, "r")

    assert request.url == "https://mtls.acme.example/token"
    assert request.certificate == ("/c.pem", "/k.pem")
    assert parse_qs(request.body.decode())["client_id"] == [CLIENT.client_id]
    assert refresh_request(CLIENT, "r").certificate is None


def test_metadata_says_algorithms_and_aliases():
    """What cannot be an address is left out."""
    issuer = "https://a.example"
    members = {
        "issuer": issuer,
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", 5],
        "mtls_endpoint_aliases": {"token_endpoint": "https://m.example/t", "jwks_uri": "ftp://x"},
    }
    found = judge_metadata(
        issuer,
        HttpResponse(status=200, headers={}, body=json.dumps(members).encode(), received_at=0.0),
    )

    assert found.assertion_algorithms == ("ES256",)
    assert found.mtls_endpoint_aliases == {"token_url": "https://m.example/t"}


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_key_file_is_private(tmp_path):
    """As the file of a secret: others may not read it."""
    file = tmp_path / "key.json"
    with pytest.raises(ConfigMissing):
        key_of(str(file))
    file.write_text(BY_KEY.client_key or "")
    file.chmod(0o666)
    with pytest.raises(ConfigInvalid):
        key_of(str(file))
    file.chmod(0o600)
    assert read_private_key(key_of(str(file))).key_id == "one"
