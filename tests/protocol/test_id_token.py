"""ID tokens: signed here by keys made here, judged as a client judges them."""

from __future__ import annotations

import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256, sha512
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from logins import CONFIG, NOW
from recorded import answer
from stayfast.engine.errors import ConfigInvalid, NetworkError, ProviderError
from stayfast.engine.oauth.id_token import Asked, judge_id_token, require_checkable
from stayfast.engine.oauth.setting_types import ASYMMETRIC
from stayfast.engine.oauth.signing_keys import UnknownKey, judge_keys, keys_request
from stayfast.engine.reasons import Reason
from stayfast.engine.secret import Secret
from stayfast.engine.summary import Identity

CLIENT = replace(
    CONFIG,
    scopes=("openid",),
    client_secret="a-client-secret-of-thirty-two-characters",
    jwks_url="https://login.acme.example/keys",
)
RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
EC = ECKey.generate_key("P-256", parameters={"kid": "ec", "use": "sig", "alg": "ES256"})
ED = OKPKey.generate_key("Ed25519", parameters={"kid": "ed"})
P384 = ECKey.generate_key("P-384", parameters={"kid": "p384"})
P521 = ECKey.generate_key("P-521", parameters={"kid": "p521"})
K256 = ECKey.generate_key("secp256k1", parameters={"kid": "k256"})
ED448 = OKPKey.generate_key("Ed448", parameters={"kid": "ed448"})
OTHER = ECKey.generate_key("P-256", parameters={"kid": "ec"})
KEYS: dict[str, Any] = {
    "keys": [key.as_dict(private=False) for key in (RSA, EC, ED, P384, P521, K256, ED448)]
}
ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"  # OpenID Connect Core, A.4
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"
CLAIMS: dict[str, Any] = {
    "iss": CLIENT.issuer,
    "sub": "248289761001",
    "aud": "acme-cli",
    "exp": NOW + 300,
    "iat": NOW,
    "nonce": "canary-nonce",
    "email": "ada@acme.example",
}


def signed(claims=CLAIMS, key: Any = EC, algorithm="ES256", **header):
    """An ID token; a claim that is ``None`` is left out."""
    members = {name: value for name, value in claims.items() if value is not None}
    with warnings.catch_warnings():  # of the library, that EdDSA has another name now
        warnings.simplefilter("ignore")
        head = {"alg": algorithm, "kid": key.kid, **header}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, members, key, algorithms=[algorithm])


def judged(
    token, *, config=CLIENT, keys=KEYS, nonce="canary-nonce", now=NOW, access_token="x", **asked
):
    """Whom ``token`` is about."""
    return judge_id_token(
        config,
        token,
        keys=keys,
        asked=Asked(nonce=Secret(nonce) if nonce else None, **asked),
        access_token=access_token,
        now=now,
    )


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        *((RSA, f"{family}{bits}") for family in ("RS", "PS") for bits in (256, 384, 512)),
        *((EC, "ES256"), (P384, "ES384"), (P521, "ES512"), (K256, "ES256K")),
        *((ED, "EdDSA"), (ED, "Ed25519"), (ED448, "EdDSA"), (ED448, "Ed448")),
    ],
)
def test_a_token_signed_with_a_published_key_holds(key, algorithm):
    """With any algorithm that has a public key."""
    assert judged(signed(key=key, algorithm=algorithm)) == Identity(
        subject="248289761001", name="ada@acme.example"
    )


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": None, "preferred_username": "ada", "name": "Ada"}, "ada"),
        ({"email": "", "name": "Ada"}, "Ada"),
        ({"email": ["x"]}, None),
        ({"email": "a\x1b[31m@b"}, "a [31m@b"),
    ],
)
def test_people_are_named_by_what_they_recognise(claims, name):
    """And by nothing a terminal would act upon."""
    assert judged(signed({**CLAIMS, **claims})).name == name


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "https://evil.example"}, id="another issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"aud": "another"}, id="another client"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"aud": []}, id="empty audience"),
        pytest.param({"azp": "another"}, id="issued to another"),
        pytest.param({"exp": NOW - 61}, id="expired"),
        pytest.param({"exp": None}, id="no end"),
        pytest.param({"exp": "soon"}, id="an end that is no time"),
        pytest.param({"exp": True}, id="an end that is a truth value"),
        pytest.param({"exp": float("nan")}, id="an end that never comes"),
        pytest.param({"iat": NOW + 61}, id="from the future"),
        pytest.param({"nbf": NOW + 61}, id="not before the future"),
        pytest.param({"nbf": "soon"}, id="not before a word"),
        pytest.param({"iat": None}, id="no beginning"),
        pytest.param({"nonce": "another"}, id="another nonce"),
        pytest.param({"nonce": None}, id="no nonce"),
        pytest.param({"nonce": 7}, id="a nonce that is not a text"),
        pytest.param({"sub": None}, id="no subject"),
        pytest.param({"sub": ""}, id="empty subject"),
        pytest.param({"sub": "x" * 256}, id="endless subject"),
        pytest.param({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}, id="another access token"),
        pytest.param({"at_hash": 7}, id="a hash that is not a text"),
    ],
)
def test_a_claim_that_is_wrong_is_an_error(claims):
    """OpenID Connect Core §3.1.3.7, one check at a time."""
    with pytest.raises(ProviderError) as caught:
        judged(signed({**CLAIMS, **claims}))

    assert not isinstance(caught.value, UnknownKey)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["acme-cli"]},
        {"aud": ["acme-cli", "acme-cli"]},
        {"aud": ["another", "acme-cli"]},
        {"azp": "acme-cli"},
        {"aud": ["acme-cli", "another"], "azp": "acme-cli"},
        {"exp": NOW - 59},
        {"iat": NOW + 59},
        {"nbf": NOW + 59},
        {"iat": NOW - 86400 * 365},
        {"acr": "whatever"},
    ],
)
def test_what_the_specification_allows_holds(claims):
    """Audiences in a list, clocks a minute apart, unknown claims."""
    assert judged(signed({**CLAIMS, **claims})).subject == "248289761001"


def test_a_login_without_a_nonce_asks_for_none():
    """The device flow sends none."""
    assert judged(signed({**CLAIMS, "nonce": None}), nonce=None).subject == "248289761001"


def test_the_access_token_is_tied_to_the_id_token():
    """The hash of OpenID Connect Core, A.4, and those of longer algorithms."""
    token = signed({**CLAIMS, "at_hash": AT_HASH}, key=RSA, algorithm="RS256")
    assert judged(token, access_token=ACCESS_TOKEN).subject == "248289761001"

    half = urlsafe_b64encode(sha512(b"x").digest()[:32]).rstrip(b"=").decode()
    assert judged(signed({**CLAIMS, "at_hash": half}, key=ED, algorithm="EdDSA"))


def test_a_key_that_is_not_published_is_its_own_error():
    """The provider may have rotated its keys: the caller fetches them once more."""
    token = signed(key=ECKey.generate_key("P-256", parameters={"kid": "new"}))

    with pytest.raises(UnknownKey):
        judged(token)
    with pytest.raises(UnknownKey):
        judged(signed(), keys={"keys": []})


def test_a_signature_by_another_key_of_that_name_may_be_a_newer_one():
    """A provider may publish a new key under an old name, so they are fetched once more."""
    with pytest.raises(UnknownKey) as caught:
        judged(signed(key=OTHER))

    assert caught.value.reason == Reason.ID_TOKEN_SIGNATURE


def test_all_keys_of_one_name_are_tried():
    """Whichever of the two has signed."""
    both = {"keys": [OTHER.as_dict(private=False), EC.as_dict(private=False)]}

    assert judged(signed(), keys=both).subject == judged(signed(key=OTHER), keys=both).subject


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=["RSA", "EC", "OKP"])
@pytest.mark.parametrize(
    "odd",
    [
        {"use": None},
        {"kid": None},
        {"alg": None, "key_ops": None},
        {"x5c": None},
        {"x5c": "no list", "x5t": 7},
        {"key_ops": ["verify"]},
        {"key_ops": "verify"},
        {"vendor": {"deep": [None]}},
    ],
)
def test_a_key_is_known_by_what_it_consists_of(key, odd):
    """Members that are null, malformed or a vendor's do not matter."""
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[key.key_type]
    published = {"keys": [{**key.as_dict(private=False), **odd}]}

    assert judged(signed(key=key, algorithm=algorithm), keys=published)


@pytest.mark.parametrize("odd", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "ES384"}])
def test_a_key_for_something_else_is_not_used(odd):
    """RFC 7517 §4.2 to §4.4."""
    with pytest.raises(UnknownKey):
        judged(signed(), keys={"keys": [{**EC.as_dict(private=False), **odd}]})


@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_the_two_names_of_one_algorithm_are_one(name):
    """The metadata, the key and the header may each use another (RFC 9864)."""
    config = replace(CLIENT, id_token_algorithms=(name,))
    published = {"keys": [{**ED.as_dict(private=False), "alg": name}]}

    for used in ("EdDSA", "Ed25519"):
        assert judged(signed(key=ED, algorithm=used), config=config, keys=published)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://evil.example"}, Reason.ID_TOKEN_ISSUER),
        ({"aud": "another"}, Reason.ID_TOKEN_AUDIENCE),
        ({"azp": "another"}, Reason.ID_TOKEN_AUTHORIZED_PARTY),
        ({"exp": None}, Reason.ID_TOKEN_NO_TIMES),
        ({"exp": NOW - 61}, Reason.ID_TOKEN_EXPIRED),
        ({"exp": 1e11, "iat": 9e11}, Reason.ID_TOKEN_FUTURE),
        ({"exp": 1e11, "iat": NOW + 61}, Reason.ID_TOKEN_FUTURE),
        ({"nonce": "another"}, Reason.ID_TOKEN_NONCE),
        ({"at_hash": "x"}, Reason.ID_TOKEN_ACCESS_TOKEN),
        ({"at_hash": "\u00e4"}, Reason.ID_TOKEN_ACCESS_TOKEN),
        ({"sub": None}, Reason.ID_TOKEN_NO_SUBJECT),
    ],
)
def test_each_check_has_a_reason_of_its_own(claims, reason):
    """So that the log distinguishes them."""
    with pytest.raises(ProviderError) as caught:
        judged(signed({**CLAIMS, **claims}))

    assert caught.value.reason == reason


TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OF_TENANTS = replace(
    CLIENT,
    issuer="https://login.acme.example/common/v2.0",
    issuer_template="https://login.acme.example/{tenantid}/v2.0",
)


@pytest.mark.parametrize(
    ("issuer", "claims", "holds"),
    [
        ("common", {"iss": TENANT, "tid": TENANT}, True),
        ("common", {"iss": "common", "tid": TENANT}, True),
        (TENANT, {"iss": TENANT, "tid": TENANT}, True),
        ("common", {"iss": TENANT, "tid": None}, False),
        ("common", {"iss": TENANT, "tid": TENANT.replace("7", "8")}, False),
        ("common", {"iss": TENANT, "tid": ["x"]}, False),
        ("common", {"iss": TENANT, "tid": TENANT[::-1]}, False),
        ("common", {"iss": "acme", "tid": "acme"}, False),
        ("common", {"iss": "{tenantid}", "tid": "{tenantid}"}, False),
        ("common", {"iss": f"x/../{TENANT}", "tid": f"x/../{TENANT}"}, False),
        (TENANT, {"iss": TENANT.replace("7", "8"), "tid": TENANT.replace("7", "8")}, False),
    ],
)
def test_each_tenant_has_an_issuer_of_its_own(issuer, claims, holds):
    """Entra: the tenant that the ID token names is the one in its issuer; a client of one tenant takes no other."""
    config = replace(OF_TENANTS, issuer=f"https://login.acme.example/{issuer}/v2.0")
    named = f"https://login.acme.example/{claims['iss']}/v2.0"
    token = signed({**CLAIMS, **claims, "iss": named})
    if holds:
        assert judged(token, config=config)
    else:
        with pytest.raises(ProviderError) as caught:
            judged(token, config=config)
        assert caught.value.reason == Reason.ID_TOKEN_ISSUER


def test_a_declared_spelling_of_the_issuer_holds():
    """Google's ID tokens carry either of two."""
    config = replace(CLIENT, id_token_issuers=("login.acme.example",))

    assert judged(signed({**CLAIMS, "iss": "login.acme.example"}), config=config)
    assert judged(signed(), config=config)
    with pytest.raises(ProviderError):
        judged(signed({**CLAIMS, "iss": "login.acme.example"}))


@pytest.mark.parametrize(
    ("issued", "holds"), [(NOW, True), (NOW - 59, True), (NOW - 61, False), (NOW - 1e6, False)]
)
def test_without_a_nonce_it_must_be_newer_than_the_login(issued, holds):
    """The device flow: an ID token of an earlier login is not this one's."""
    token = signed({**CLAIMS, "nonce": None, "iat": issued})
    if holds:
        assert judged(token, nonce=None, since=NOW)
    else:
        with pytest.raises(ProviderError) as caught:
            judged(token, nonce=None, since=NOW)
        assert caught.value.reason == Reason.ID_TOKEN_TOO_OLD


@pytest.mark.parametrize(
    ("claims", "asked", "reason"),
    [
        ({}, {"max_age": 60}, Reason.ID_TOKEN_NO_AUTH_TIME),
        ({"auth_time": "x"}, {"max_age": 60}, Reason.ID_TOKEN_NO_AUTH_TIME),
        ({}, {"auth_time": True}, Reason.ID_TOKEN_NO_AUTH_TIME),
        ({"auth_time": 5}, {"auth_time": True}, None),
        ({"auth_time": NOW - 200}, {"max_age": 60}, Reason.ID_TOKEN_AUTH_TIME),
        ({"auth_time": NOW + 61}, {"max_age": 60}, Reason.ID_TOKEN_AUTH_TIME),
        ({"auth_time": NOW - 119}, {"max_age": 60}, None),
        ({"auth_time": NOW - 200}, {"max_age": 60, "since": NOW - 150}, None),
        ({"auth_time": NOW - 200}, {}, None),
        ({"acr": "silver"}, {"acr": ("gold",)}, Reason.ID_TOKEN_ACR),
        ({"acr": 7}, {"acr": ("gold",)}, Reason.ID_TOKEN_ACR),
        ({"acr": "gold"}, {"acr": ("platinum", "gold")}, None),
        ({}, {"acr": ("gold",)}, None),
        ({}, {"acr": ("gold",), "acr_required": True}, Reason.ID_TOKEN_ACR),
    ],
)
def test_how_its_user_signed_in_is_checked_where_that_was_asked(claims, asked, reason):
    """``max_age`` and ``acr`` (OpenID Connect Core §3.1.2.1, §5.5.1.1)."""
    token = signed({**CLAIMS, **claims})
    if reason is None:
        assert judged(token, **asked)
    else:
        with pytest.raises(ProviderError) as caught:
            judged(token, **asked)
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    "setting",
    [
        {"id_token_algorithms": ()},
        {"id_token_algorithms": ("none", "XS256")},
        {"id_token_algorithms": ("HS256",), "client_secret": None},
        {"extra_auth_params": {"max_age": "soon"}},
        {"extra_auth_params": {"max_age": "\u0661"}},
        {"extra_auth_params": {"claims": "{"}},
    ],
)
def test_what_cannot_be_checked_is_refused_before_anybody_is_asked(setting):
    """And only where an ID token is asked for."""
    config = replace(CLIENT, **setting)
    with pytest.raises(ConfigInvalid):
        require_checkable(config)
    require_checkable(replace(config, scopes=("read",)))


def test_a_token_without_a_key_id_is_tried_with_every_fitting_key():
    """A provider with several keys and no names for them."""
    nameless = {"keys": [{**OTHER.as_dict(private=False), "kid": "1"}, *KEYS["keys"]]}

    assert judged(signed(kid=None), keys=nameless).subject == "248289761001"
    with pytest.raises(UnknownKey):
        judged(signed(kid=None), keys={"keys": nameless["keys"][:1]})


def test_one_key_that_cannot_be_used_does_not_spoil_the_others():
    """Unknown types, broken keys, short keys, keys for encryption (RFC 7517 §5)."""
    odd: list[Any] = [
        "text",
        {},
        {"kty": "AKP", "kid": "ec"},
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "!", "y": 7},
        {"kty": "RSA", "kid": "ec", "n": "AQAB", "e": "AQAB"},
        {"kty": ["EC"], "kid": "ec"},
        {**OTHER.as_dict(private=False), "kid": "ec", "use": "enc"},
        {**OTHER.as_dict(private=False), "kid": "ec", "alg": "ES384"},
    ]

    assert judged(signed(), keys={"keys": [*odd, *KEYS["keys"]]}).subject == "248289761001"


def test_a_short_rsa_key_is_not_used():
    """RFC 7518 §3.3: 2048 bits or more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = RSAKey.generate_key(1024, parameters={"kid": "short"})
    token = signed(key=short, algorithm="RS256")

    with pytest.raises(UnknownKey):
        judged(token, keys={"keys": [short.as_dict(private=False)]})


def unsigned(header: dict[str, Any], claims=CLAIMS, signature=b"") -> str:
    """A token put together by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("algorithms", [CLIENT.id_token_algorithms, ("none",), ("none", "ES256")])
def test_an_unsigned_token_is_never_accepted(algorithms):
    """Not even where a configuration says so."""
    config = replace(CLIENT, id_token_algorithms=algorithms)
    for name in ("none", "None", "NONE"):
        with pytest.raises(ProviderError):
            judged(unsigned({"alg": name}), config=config)


def test_a_public_key_is_not_taken_for_a_shared_secret():
    """The old confusion of RS256 and HS256: the published key as the password."""
    public = RSA.as_pem(private=False)
    head = {"alg": "HS256", "kid": "rsa"}
    start = unsigned(head).rpartition(".")[0]
    mac = hmac.new(public, start.encode(), sha256).digest()
    forged = f"{start}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    for algorithms in (CLIENT.id_token_algorithms, ("RS256", "HS256")):
        with pytest.raises(ProviderError):
            judged(forged, config=replace(CLIENT, id_token_algorithms=algorithms))


def test_hs256_holds_only_where_it_is_configured():
    """With the client secret, and never with a published one."""
    secret = OctKey.import_key(CLIENT.client_secret)
    token = signed(key=secret, algorithm="HS256", kid=None)
    published = {"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "kid": "oct"}]}
    other = OctKey.import_key("secret-secret-secret")

    hs = replace(CLIENT, id_token_algorithms=("HS256",))
    assert judged(token, config=hs).subject == "248289761001"
    with pytest.raises(ProviderError):
        judged(token)
    with pytest.raises(ProviderError):
        judged(token, config=replace(hs, client_secret=None))
    with pytest.raises(ProviderError):
        judged(signed(key=other, algorithm="HS256", kid="oct"), config=hs, keys=published)


def test_an_algorithm_outside_the_list_is_refused():
    """Pinned: what a provider was not configured to use it does not use."""
    with pytest.raises(ProviderError):
        judged(signed(), config=replace(CLIENT, id_token_algorithms=("RS256",)))


def test_an_unknown_member_of_the_header_is_ignored_and_a_critical_one_is_not():
    """RFC 7515 §4 and §4.1.11."""
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    head = {"alg": "ES256", "kid": "ec", "ctx": "x"}
    token = jws.serialize_compact(head, json.dumps(CLAIMS), EC, registry=registry)
    assert judged(token).subject == "248289761001"

    with pytest.raises(ProviderError):
        judged(unsigned({"alg": "ES256", "kid": "ec", "crit": ["ctx"], "ctx": "x"}))


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b", "a.b.c", "ä.ö.ü", "..", "e30.e30.", "W10.e30.", "a.b.c.d.e", "x" * 10**6],
)
def test_what_is_no_token_is_refused(token):
    """With the error that says so."""
    with pytest.raises(ProviderError):
        judged(token)


DEEP = '{"a": ' + "[" * 10_000 + "]" * 10_000 + "}"


@pytest.mark.parametrize("payload", ["[]", '"x"', "7", "null", "{", "", DEEP])
def test_a_signed_payload_that_is_no_object_is_refused(payload):
    """A right signature under nonsense."""
    token = jws.serialize_compact({"alg": "ES256", "kid": "ec"}, payload, EC, algorithms=["ES256"])

    with pytest.raises(ProviderError):
        judged(token)


def test_no_warning_reaches_the_terminal():
    """The library remarks that EdDSA has a newer name; users have no use for it."""
    token = signed(key=ED, algorithm="EdDSA")
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        judged(token)

    assert remarks == []


def test_keys_are_asked_for_and_read():
    """A set of keys, or an error that leaves the matter open."""
    assert keys_request(CLIENT).url == CLIENT.jwks_url
    assert judge_keys(answer(KEYS)) == KEYS
    for body, status in ((KEYS, 500), ("", 429)):
        with pytest.raises(NetworkError):
            judge_keys(answer(body, status))
    for body, status in (("<html>", 200), ({}, 200), ({"keys": {}}, 200), (KEYS, 404)):
        with pytest.raises(ProviderError):
            judge_keys(answer(body, status))


def test_whoever_accepts_a_public_key_need_not_ask_what_can_be_checked():
    """Each algorithm with a public key can be checked here, so a login asks no library for them."""
    assert set(ASYMMETRIC) <= jws.JWSRegistry.algorithms.keys()
