"""What a provider publishes about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from logins import CONFIG
from recorded import answer
from stayfast.engine.errors import (
    ConfigInvalid,
    ConfigMissing,
    NetworkError,
    ProviderError,
    TransportUnavailable,
)
from stayfast.engine.oauth.authorization_request import require_browser_login
from stayfast.engine.oauth.client_authentication import require_authentication
from stayfast.engine.oauth.metadata import (
    apply_metadata,
    discover,
    judge_metadata,
    metadata_requests,
)
from stayfast.engine.oauth.provider import OAuthProvider
from stayfast.engine.oauth.setting_types import ASYMMETRIC
from stayfast.engine.ports import HttpRequest, HttpResponse

ISSUER = "https://login.acme.example/tenant"
OIDC = "https://login.acme.example/tenant/.well-known/openid-configuration"
OAUTH = "https://login.acme.example/.well-known/oauth-authorization-server/tenant"
INSERTED = "https://login.acme.example/.well-known/openid-configuration/tenant"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.acme.example/a",
    "token_endpoint": "https://login.acme.example/t",
    "device_authorization_endpoint": "https://login.acme.example/d",
    "revocation_endpoint": "https://login.acme.example/r",
    "introspection_endpoint": "https://login.acme.example/i",
    "jwks_uri": "https://login.acme.example/k",
    "userinfo_endpoint": "https://login.acme.example/u",
    "end_session_endpoint": "https://login.acme.example/e",
    "authorization_response_iss_parameter_supported": True,
    "code_challenge_methods_supported": ["plain", "S256"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
}
BROWSER_ONLY = {k: v for k, v in DOCUMENT.items() if k != "device_authorization_endpoint"}


class Pages:
    """A provider's web server: addresses and what they answer; the rest is not found."""

    def __init__(self, pages: Mapping[str, HttpResponse]) -> None:
        self._pages = pages
        self.asked: list[str] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        assert request.method == "GET"
        self.asked.append(request.url)
        return self._pages.get(request.url, answer("<html>", 404))


@pytest.mark.parametrize(
    ("issuer", "expected"),
    [
        (ISSUER, [OIDC, OAUTH, INSERTED]),
        ("https://a.example", ["https://a.example/.well-known/openid-configuration",
                               "https://a.example/.well-known/oauth-authorization-server"]),
        ("https://a.example/", ["https://a.example/.well-known/openid-configuration",
                                "https://a.example/.well-known/oauth-authorization-server"]),
        ("http://127.0.0.1:9/x", ["http://127.0.0.1:9/x/.well-known/openid-configuration",
                                  "http://127.0.0.1:9/.well-known/oauth-authorization-server/x",
                                  "http://127.0.0.1:9/.well-known/openid-configuration/x"]),
    ],
)  # fmt: skip
def test_openid_appends_and_oauth_inserts(issuer, expected):
    """OpenID Connect Discovery §4 and RFC 8414 §3.1."""
    assert [request.url for request in metadata_requests(issuer)] == expected


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "login.acme.example",
        "http://login.acme.example",
        "https://a.example?x",
        "https://a.example#x",
        "ftp://a",
    ],
)
def test_an_issuer_is_a_safe_address(issuer):
    """https, or this machine; no query, no fragment."""
    with pytest.raises(ConfigInvalid):
        metadata_requests(issuer)


TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
TEMPLATE = "https://login.acme.example/{tenantid}/v2.0"


@pytest.mark.parametrize(
    ("asked", "published", "kept"),
    [
        ("common", "{tenantid}", "common"),
        ("acme.example", TENANT, TENANT),  # the name of one tenant
        (TENANT, TENANT, TENANT),
        ("common", "other", None),
        ("common", "", None),
        (TENANT, "{tenantid}", None),
        (TENANT, TENANT.replace("7", "8"), None),
    ],
)
def test_the_metadata_of_many_tenants_name_a_placeholder(asked, published, kept):
    """Entra: `common` stands for every tenant, the name of a tenant for one; nothing else will do."""
    address = TEMPLATE.replace("{tenantid}", asked)
    document = answer({**DOCUMENT, "issuer": TEMPLATE.replace("{tenantid}", published)})
    if kept is None:
        with pytest.raises(ProviderError):
            judge_metadata(address, document, template=TEMPLATE)
    else:
        metadata = judge_metadata(address, document, template=TEMPLATE)
        assert metadata.issuer == TEMPLATE.replace("{tenantid}", kept)
    if asked != published:
        with pytest.raises(ProviderError):
            judge_metadata(address, document)


@pytest.mark.parametrize(("asked", "published"), [("", "/"), ("/", "")])
def test_a_slash_at_the_end_of_an_issuer_counts(asked, published):
    """Auth0 has one; the hint says how it is spelt."""
    document = answer({**DOCUMENT, "issuer": f"https://acme.auth0.example{published}"})
    with pytest.raises(ProviderError) as caught:
        judge_metadata(f"https://acme.auth0.example{asked}", document)
    assert caught.value.hint == f"--issuer https://acme.auth0.example{published}"


def test_a_document_is_read_and_fills_what_is_empty():
    """What the configuration names itself is left alone."""
    metadata = judge_metadata(ISSUER, answer(DOCUMENT))
    provider = OAuthProvider(service_name="acme", token_url="https://mine.example/t")
    filled = apply_metadata(provider, metadata)

    assert filled.issuer == ISSUER
    assert filled.token_url == "https://mine.example/t"
    assert filled.auth_url == "https://login.acme.example/a"
    assert filled.device_url == "https://login.acme.example/d"
    assert filled.revocation_url == "https://login.acme.example/r"
    assert filled.introspection_url == "https://login.acme.example/i"
    assert filled.jwks_url == "https://login.acme.example/k"
    assert filled.userinfo_url == "https://login.acme.example/u"
    assert filled.end_session_url == "https://login.acme.example/e"
    assert filled.iss_required
    assert filled.token_endpoint_auth_method == "auto"


def test_a_configuration_keeps_its_client():
    """Metadata can be applied to either."""
    filled = apply_metadata(CONFIG, judge_metadata(ISSUER, answer(DOCUMENT)))

    assert filled.client_id == CONFIG.client_id


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["client_secret_post"], "auto_post"),
        (["client_secret_post", "client_secret_basic"], "auto"),
        (["private_key_jwt", "client_secret_post"], "auto_post"),
        (["private_key_jwt", "none"], "none"),
        ([], "auto"),
        (None, "auto"),
        ([7], "auto"),
    ],
)
def test_a_server_that_takes_one_way_of_authentication_gets_that(methods, expected):
    """Unless the configuration says how."""
    document = {**DOCUMENT, "token_endpoint_auth_methods_supported": methods}
    metadata = judge_metadata(ISSUER, answer(document))

    assert apply_metadata(CONFIG, metadata).token_endpoint_auth_method == expected
    said = replace(CONFIG, token_endpoint_auth_method="none")
    assert apply_metadata(said, metadata).token_endpoint_auth_method == "none"


@pytest.mark.parametrize(
    ("method", "error"), [("private_key_jwt", ConfigMissing), ("attest_jwt", ProviderError)]
)
def test_a_server_that_takes_no_secret_gets_none_unless_the_configuration_says_so(method, error):
    """A key is then missed, or the server refused, before anything is sent."""
    document = {**DOCUMENT, "token_endpoint_auth_methods_supported": [method]}
    metadata = judge_metadata(ISSUER, answer(document))

    with pytest.raises(error):
        require_authentication(apply_metadata(CONFIG, metadata))
    said = replace(CONFIG, token_endpoint_auth_method="client_secret_post")
    assert apply_metadata(said, metadata).token_endpoint_auth_method == "client_secret_post"


@pytest.mark.parametrize(
    "promise",
    [{"require_pushed_authorization_requests": True}, {"response_types_supported": ["id_token"]}],
)
def test_what_a_browser_cannot_do_leaves_the_device_flow(promise):
    """Nobody is sent to an address that cannot work; the device endpoint still can."""
    metadata = discover(Pages({OIDC: answer({**DOCUMENT, **promise})}), ISSUER)
    provider = apply_metadata(replace(CONFIG, auth_url="", device_url=None), metadata)

    assert provider.device_url == "https://login.acme.example/d"
    with pytest.raises(TransportUnavailable):
        require_browser_login(provider)


def test_unsafe_endpoints_and_odd_promises_are_left_out():
    """A document cannot make us send secrets in the clear, nor promise in another type."""
    metadata = judge_metadata(
        ISSUER,
        answer(
            {
                **DOCUMENT,
                "token_endpoint": "http://login.acme.example/t",
                "jwks_uri": 7,
                "authorization_response_iss_parameter_supported": "true",
                "code_challenge_methods_supported": "S256",
            }
        ),
    )

    assert metadata.token_endpoint is None
    assert metadata.jwks_uri is None
    assert not metadata.iss_supported
    assert metadata.pkce_methods is None


@pytest.mark.parametrize("found", [ISSUER + "/", "https://evil.example", "", None, ["x"]])
def test_a_document_of_another_issuer_is_refused(found):
    """RFC 8414 §3.3: identical, to the letter."""
    with pytest.raises(ProviderError):
        judge_metadata(ISSUER, answer({**DOCUMENT, "issuer": found}))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(404, b"", ProviderError), (200, "<html>", ProviderError), (200, {}, ProviderError), (302, b"", ProviderError), (500, b"", NetworkError), (429, b"", NetworkError)],
)  # fmt: skip
def test_no_document_is_no_metadata(status, body, error):
    """An answer without metadata, and a server in trouble, are different errors."""
    with pytest.raises(error):
        judge_metadata(ISSUER, answer(body, status))


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        pytest.param({OIDC: answer(DOCUMENT)}, [OIDC], id="OpenID"),
        pytest.param({OAUTH: answer(DOCUMENT)}, [OIDC, OAUTH], id="OAuth"),
        pytest.param({INSERTED: answer(DOCUMENT)}, [OIDC, OAUTH, INSERTED], id="OpenID, inserted"),
        pytest.param({OIDC: answer({**DOCUMENT, "token_endpoint": None}), OAUTH: answer(DOCUMENT)},
                     [OIDC, OAUTH], id="the first is incomplete"),
        pytest.param({OIDC: answer(b"", 500), OAUTH: answer(DOCUMENT)}, [OIDC, OAUTH],
                     id="500 for a path it does not know"),
        pytest.param({OIDC: answer({**DOCUMENT, "issuer": "https://x.example"}),
                      OAUTH: answer(DOCUMENT)}, [OIDC, OAUTH], id="one of them is another's"),
        pytest.param({OIDC: answer({k: v for k, v in DOCUMENT.items()
                                    if k != "code_challenge_methods_supported"})}, [OIDC],
                     id="silent about PKCE"),
    ],
)  # fmt: skip
def test_discovery_tries_every_place(pages, asked):
    """The first that holds the issuer's own document."""
    http = Pages(pages)

    assert discover(http, ISSUER).issuer == ISSUER
    assert http.asked == asked


@pytest.mark.parametrize(
    ("pages", "error"),
    [
        ({}, ProviderError),
        ({OIDC: answer(b"", 503), OAUTH: answer(b"", 503)}, NetworkError),
        (
            {OIDC: answer({**DOCUMENT, "code_challenge_methods_supported": ["plain"]})},
            ProviderError,
        ),
        ({OIDC: answer({**DOCUMENT, "code_challenge_methods_supported": []})}, ProviderError),
        (
            {OIDC: answer({**BROWSER_ONLY, "require_pushed_authorization_requests": True})},
            ProviderError,
        ),
        ({OIDC: answer({**BROWSER_ONLY, "response_types_supported": ["id_token"]})}, ProviderError),
    ],
)
def test_discovery_that_finds_nothing_usable_says_why(pages, error):
    """Nothing there, no answer, or no S256."""
    with pytest.raises(error):
        discover(Pages(pages), ISSUER)


def test_a_server_without_s256_serves_whoever_switched_pkce_off():
    """The setting says that such a server is meant; nothing else that it must offer is waived."""
    document = {**BROWSER_ONLY, "code_challenge_methods_supported": ["plain"]}
    assert discover(Pages({OIDC: answer(document)}), ISSUER, pkce=False).issuer == ISSUER
    document["response_types_supported"] = ["id_token"]
    with pytest.raises(ProviderError):
        discover(Pages({OIDC: answer(document)}), ISSUER, pkce=False)


def test_a_forgotten_slash_is_named():
    """Auth0's issuers end in one; the hint is the option to use."""
    document = {**DOCUMENT, "issuer": ISSUER + "/"}
    with pytest.raises(ProviderError) as caught:
        discover(Pages({OIDC: answer(document)}), ISSUER)

    assert caught.value.hint == f"--issuer {ISSUER}/"


@pytest.mark.parametrize(
    ("listed", "configured", "accepted"),
    [
        (["RS512", "HS256", "none", "XS1"], ASYMMETRIC, ("RS512",)),
        (["HS256"], ASYMMETRIC, ()),
        (None, ASYMMETRIC, ASYMMETRIC),
        (["RS512"], ("RS256",), ("RS256",)),
    ],
)
def test_of_the_algorithms_those_that_the_metadata_lists_are_accepted(listed, configured, accepted):
    """Unless a setting names others."""
    provider = OAuthProvider(service_name="acme", id_token_algorithms=configured)
    document = {**DOCUMENT, "id_token_signing_alg_values_supported": listed}
    metadata = judge_metadata(ISSUER, answer(document))

    assert tuple(apply_metadata(provider, metadata).id_token_algorithms) == accepted
