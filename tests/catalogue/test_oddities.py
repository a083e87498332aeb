"""What is odd about each provider, by name: what it wants to be sent, what it answers, how it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pytest
from answers_of_providers import documented
from standing_in import Case, LeapingClock, Signing, possible
from stayfast import ErrorCode, Failure, Success
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.interfaces.catalogue.entry import Entry, entry
from stayfast.testing.dialects import StandIn

BROWSER = {"response_type", "client_id", "redirect_uri", "state", "scope", "code_challenge",
           "code_challenge_method"}  # fmt: skip
NO_PKCE = BROWSER - {"code_challenge", "code_challenge_method"}
CODE = {"grant_type", "code", "redirect_uri", "code_verifier", "client_id"}
REFRESH = {"grant_type", "refresh_token", "client_id"}
POLL = {"grant_type", "device_code", "client_id"}


class Sign(Protocol):
    """Makes a program and its user at the provider of an entry."""

    def __call__(
        self, name: str, via: str = ..., *, secret: bool = ..., **settings: Any
    ) -> Signing: ...


@pytest.fixture
def at(stand_in: StandIn, clock: LeapingClock) -> Sign:
    """A program and its user, at a provider."""

    def make(name: str, via: str = "loopback", *, secret: bool = False, **settings: Any) -> Signing:
        return Signing(Case(name, via, secret), stand_in, clock, **settings)

    return make


def whole(one: Signing) -> None:
    """Sign in, refresh and sign out."""
    assert isinstance(one.sign_in(), Success)
    if one.grant.refresh_token:
        assert isinstance(one.service.refresh_tokens(one.case.name), Success)
    assert isinstance(one.service.sign_out(one.case.name), Success)
    one.require_content()


# --- what is sent ---------------------------------------------------------------------------------

SENT: list[tuple[str, str, bool, dict[str, Any], dict[str, set[str]], str]] = [
    ("aws-identity-center", "loopback", True, {}, {
        "authorize": BROWSER - {"scope"} | {"scopes"},
        "token": {"grantType", "code", "redirectUri", "codeVerifier", "clientId", "clientSecret"},
        "refresh": {"grantType", "refreshToken", "clientId", "clientSecret"},
    }, "camelCase in JSON, and scopes in the browser"),
    ("twitch", "device", False, {}, {
        "device": {"client_id", "scopes"}, "poll": POLL | {"scopes"},
        "revoke": {"token", "client_id"},
    }, "scopes, and again with every poll"),
    ("twitch", "loopback", True, {}, {
        "authorize": NO_PKCE, "token": CODE - {"code_verifier"} | {"client_secret"},
    }, "no PKCE, and scope in the browser"),
    ("salesforce-device", "device", False, {}, {
        "device": {"client_id", "scope", "response_type"},
        "poll": {"grant_type", "code", "client_id"}, "revoke": {"token"},
    }, "a device flow of the token endpoint, and a revocation of the token alone"),
    ("snowflake", "loopback", False, {}, {
        "token": CODE | {"enable_single_use_refresh_tokens"}, "refresh": REFRESH | {"scope"},
    }, "single-use refresh tokens on request, and the scope again"),
    ("gitlab", "loopback", False, {}, {
        "refresh": REFRESH | {"redirect_uri"}, "revoke": {"token", "token_type_hint", "client_id"},
    }, "the redirect address again"),
    ("gitlab", "device", False, {}, {"refresh": REFRESH}, "no address, where there was none"),
    ("reddit", "loopback", False, {}, {
        "authorize": BROWSER | {"duration"}, "token": CODE - {"client_id"},
        "refresh": REFRESH - {"client_id"} | {"redirect_uri"},
    }, "an installed app by Basic with an empty secret"),
    ("adfs", "device", False, {}, {
        "device": {"client_id", "scope", "resource"}, "poll": POLL | {"resource"},
        "refresh": REFRESH | {"resource"},
    }, "the resource on every request"),
    ("adfs", "loopback", False, {}, {
        "authorize": BROWSER | {"nonce", "resource"}, "token": CODE | {"resource"},
    }, "the resource on every request"),
    ("orcid", "loopback", True, {}, {
        "authorize": NO_PKCE, "refresh": REFRESH | {"client_secret", "revoke_old"},
    }, "no PKCE, and a refresh that ends the token before it"),
    ("dropbox-code", "manual", False, {}, {
        "authorize": BROWSER - {"redirect_uri"} | {"token_access_type"},
        "token": CODE - {"redirect_uri"}, "revoke": set(),
    }, "no redirect address, and a revocation with nothing but the token as Bearer"),
    ("slack", "loopback", False, {}, {
        "authorize": BROWSER, "token": CODE, "refresh": REFRESH, "revoke": set(),
    }, "no secret with PKCE, no user_scope, and a revocation by Bearer"),
    ("strava", "loopback", True, {}, {
        "authorize": BROWSER | {"approval_prompt"}, "revoke": {"access_token"},
    }, "the token by another name"),
    ("figma", "loopback", True, {}, {"refresh": REFRESH - {"client_id"}}, "refreshed elsewhere"),
    ("auth0", "loopback", False, {"audience": "https://api.example"}, {
        "authorize": BROWSER | {"nonce", "audience"},
    }, "the audience of an API"),
    ("auth0", "device", False, {"audience": "https://api.example"}, {
        "device": {"client_id", "scope", "audience"}, "poll": POLL,
    }, "the audience of an API"),
    ("google", "loopback", True, {}, {
        "authorize": BROWSER | {"nonce", "access_type", "prompt"}, "token": CODE | {"client_secret"},
    }, "offline access and consent"),
    ("globus", "loopback", False, {}, {
        "authorize": BROWSER | {"nonce", "access_type"},
    }, "offline access"),
    ("github", "device", False, {}, {
        "device": {"client_id", "scope"}, "poll": POLL,
    }, "no secret in the device flow"),
    ("github", "loopback", True, {}, {"token": CODE | {"client_secret"}}, "a secret with the code"),
    ("spotify", "loopback", False, {}, {"token": CODE}, "the client id in the body without a secret"),
    ("spotify", "loopback", True, {}, {"token": CODE - {"client_id"}}, "and a secret by Basic"),
    *[
        (name, "loopback", secret, {}, {"authorize": sent - {"scope"}}, "no scope: the app has them")
        for name, secret, sent in (
            ("github-app", True, BROWSER), ("zoom", False, BROWSER), ("notion", True, BROWSER | {"owner"}),
            ("supabase", True, BROWSER), ("bitbucket", True, NO_PKCE), ("netlify", True, BROWSER),
            ("terraform", False, BROWSER),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "via", "secret", "settings", "kinds", "why"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}: {row[5]}") for row in SENT],
)
def test_a_request_has_what_the_provider_asks_for_and_nothing_else(
    at: Sign,
    name: str,
    via: str,
    secret: bool,
    settings: dict[str, Any],
    kinds: dict[str, set[str]],
    why: str,
) -> None:
    """The names of the parameters of each kind of request, as the provider has them."""
    one = at(name, via, secret=secret, **settings)
    whole(one)
    for kind, names in kinds.items():
        sent = [set(parameters) for found, parameters in one.there.requests if found == kind]
        assert sent, f"no {kind}"
        assert all(parameters == names for parameters in sent), why


@pytest.mark.parametrize(
    ("name", "separator"),
    [("slack", ","), ("linear", ","), ("todoist", ","), ("strava", ","), ("github", " ")],
)
def test_scopes_are_joined_as_the_provider_splits_them(at: Sign, name: str, separator: str) -> None:
    """With another separator the provider knows none of the scopes."""
    scopes = list(documented(name).authorize.scopes[:2])
    one = at(name, secret=entry(name).about.secret in {"always", "loopback"}, scopes=scopes)
    whole(one)

    asked = next(sent for kind, sent in one.there.requests if kind == "authorize")
    assert asked["scope"] == separator.join(scopes)


@pytest.mark.parametrize("name", ["atlassian", "databricks", "mastodon", "gitlab", "figma"])
def test_a_provider_whose_entry_has_all_addresses_is_not_asked_for_metadata(
    at: Sign, name: str
) -> None:
    """Atlassian's two documents contradict each other; GitLab's lists no device endpoint."""
    one = at(name, secret=entry(name).about.secret == "always")
    whole(one)

    assert "metadata" not in {kind for kind, _ in one.there.requests}


@pytest.mark.parametrize(
    "name", ["cognito", "authentik", "auth0", "indigo-iam", "entra", "okta-custom"]
)
def test_an_odd_issuer_is_found_and_believed(at: Sign, name: str) -> None:
    """One with a slash at its end, one whose endpoints are elsewhere, one with a tenant in it."""
    one = at(name)
    assert isinstance(one.sign_in(), Success)

    assert "metadata" in {kind for kind, _ in one.there.requests}
    assert "keys" in {kind for kind, _ in one.there.requests}


# --- what is answered -----------------------------------------------------------------------------


def lasts(seconds: float) -> Callable[[OAuthTokens], bool]:
    """Whether the refresh token lasts so long."""
    return lambda t: abs((t.refresh_expires_at or 0) - t.issued_at - seconds) < 60


ANSWERED: list[tuple[str, str, bool, str, Callable[[OAuthTokens], bool]]] = [
    ("twitch", "device", False, "an array of scopes", lambda t: t.scopes == ("user:read:email",)),
    ("bitbucket", "loopback", True, "scopes in scopes", lambda t: t.scopes == ("account",)),
    ("hubspot", "loopback", True, "camelCase", lambda t: t.expires_in == 1800),
    ("aws-identity-center", "loopback", True, "camelCase", lambda t: t.expires_in == 28800),
    ("entra", "loopback", False, "a lifetime that is a text", lambda t: t.expires_in == 3599),
    ("slack", "loopback", False, "a type of its own", lambda t: t.token_type == "user"),
    ("supabase", "loopback", True, "status 201", lambda t: t.expires_in == 86400),
    ("mastodon", "loopback", True, "no end", lambda t: t.expires_in is None),
    ("salesforce", "loopback", False, "no lifetime", lambda t: t.expires_in is None),
    ("terraform", "loopback", False, "no end", lambda t: (t.expires_in, t.refresh_token) == (None, None)),
    ("netlify", "loopback", True, "no end", lambda t: (t.expires_in, t.refresh_token) == (None, None)),
    ("orcid", "loopback", True, "twenty years", lambda t: t.expires_in == 631138518),
    ("keycloak", "loopback", False, "a refresh token that never ends", lambda t: t.refresh_expires_at is None),
    ("airtable", "loopback", False, "refresh_expires_in", lasts(5184000)),
    ("google", "loopback", True, "refresh_token_expires_in", lasts(604799)),
    ("github-app", "loopback", True, "refresh_token_expires_in", lasts(15897600)),
    ("adfs", "loopback", False, "refresh_token_expires_in", lasts(28799)),
    ("salesforce", "loopback", False, "another host for the API",
     lambda t: t.extra["instance_url"] == "https://acme--dev.my.salesforce.com"),
    ("globus", "loopback", False, "a token for each service",
     lambda t: "transfer.api.globus.org" in str(t.extra["other_tokens"])),
    ("figma", "loopback", True, "who signed in", lambda t: t.extra["user_id_string"] == "1234567890"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "via", "secret", "what", "fits"),
    [pytest.param(*row, id=f"{row[0]}: {row[3]}") for row in ANSWERED],
)
def test_an_answer_is_read_as_the_provider_means_it(
    at: Sign, name: str, via: str, secret: bool, what: str, fits: Callable[[OAuthTokens], bool]
) -> None:
    """Its oddities end up where every other provider's members do."""
    one = at(name, via, secret=secret)
    assert isinstance(one.sign_in(), Success)

    assert fits(one.tokens()), what


@pytest.mark.parametrize(
    "name",
    ["cloudflare", "figma", "google", "dropbox", "spotify", "reddit", "globus", "salesforce"],
)
def test_a_refresh_token_that_an_answer_leaves_out_stays(at: Sign, name: str) -> None:
    """It serves a second time."""
    one = at(name, secret=entry(name).about.secret == "always")
    assert isinstance(one.sign_in(), Success)
    if name == "spotify":  # whether it rotates depends on the client
        one.there.grants[-1].refresh_token = one.tokens().refresh_token
    for _ in range(2):
        assert isinstance(one.service.refresh_tokens(name), Success)

    one.require_content()
    assert one.grant.refreshed == 2


@pytest.mark.parametrize(
    ("name", "secret", "polls"),
    [
        ("auth0", False, 3),
        ("google", True, 3),
        ("github", False, 3),
        ("twitch", False, 2),
        ("dex", False, 2),
        ("salesforce-device", False, 2),
        ("huggingface", False, 2),
    ],
)
def test_a_code_is_polled_for_until_its_user_has_entered_it(
    at: Sign, clock: LeapingClock, name: str, secret: bool, polls: int
) -> None:
    """Pending comes as 403, 428, 401, 200 or a message, and slow_down as 429, 403 or 200."""
    one = at(name, "device", secret=secret)
    began = clock.now()
    assert isinstance(one.sign_in(), Success)

    assert one.grant.polls == polls
    assert clock.now() - began >= 5 * polls + (5 if polls == 3 else 0), "slow_down was not heeded"


@pytest.mark.parametrize(
    ("name", "seconds"), [("huggingface", 900), ("salesforce-device", 600), ("dex", 300)]
)
def test_a_device_code_lasts_as_long_as_is_documented(
    at: Sign, clock: LeapingClock, name: str, seconds: int
) -> None:
    """Where the answer does not say, the entry does."""
    one = at(name, "device")
    started = one.service.begin(name, via="device", timeout=1800, **one.client)
    assert isinstance(started, Success)
    presentation = started.value.login.presentation
    assert presentation is not None
    assert presentation.device is not None

    assert abs(presentation.device.expires_at - clock.now() - seconds) < 30


# --- how it is refused ----------------------------------------------------------------------------

REFUSED = {  # whether the answer says that the refresh token is no good any more
    "github-app": True, "slack": True, "reddit": True, "auth0": True, "entra": True, "cognito": True,
    "atlassian": True, "snowflake": True, "zoom": True, "gitlab": True, "keycloak": True,
    # an envelope or a message that names no code: it may be trouble, and nothing is given up for it
    "cloudflare": False, "figma": False, "strava": False,
}  # fmt: skip


@pytest.mark.parametrize(("name", "readable"), REFUSED.items())
def test_a_refusal_is_understood_in_the_form_that_the_provider_gives_it(
    at: Sign, name: str, readable: bool
) -> None:
    """With status 200, in a nested or a flat answer; only one that can be read ends the login."""
    one = at(name, secret=entry(name).about.secret in {"always", "loopback"})
    assert isinstance(one.sign_in(), Success)
    one.grant.ended.add(one.grant.refresh_token)

    answer = one.service.refresh_tokens(name)

    assert isinstance(answer, Failure)
    assert one.there.complaints
    wanted = ErrorCode.TOKEN_REFRESH_FAILED if readable else ErrorCode.NETWORK_ERROR
    assert answer.code == wanted, answer


ENDED: list[tuple[str, bool, int, str, ErrorCode]] = [
    ("auth0", False, 403, '{"error": "expired_token", "error_description": "The code has expired."}', ErrorCode.TIMEOUT),
    ("auth0", False, 403, '{"error": "invalid_grant", "error_description": "Invalid or expired device code."}', ErrorCode.AUTH_FAILED),
    ("auth0", False, 403, '{"error": "access_denied", "error_description": "User cancelled the prompt."}', ErrorCode.AUTH_CANCELLED),
    ("entra", False, 400, '{"error": "authorization_declined", "error_description": "AADSTS70017: declined", "error_codes": [70017]}', ErrorCode.AUTH_CANCELLED),
    ("entra", False, 400, '{"error": "bad_verification_code", "error_description": "AADSTS70018: bad", "error_codes": [70018]}', ErrorCode.AUTH_FAILED),
    ("entra", False, 400, '{"error": "expired_token", "error_description": "AADSTS70020: expired", "error_codes": [70020]}', ErrorCode.TIMEOUT),
    ("github", False, 200, '{"error": "access_denied", "error_description": "The authorization request was denied."}', ErrorCode.AUTH_CANCELLED),
    ("github", False, 200, '{"error": "expired_token", "error_description": "This device_code has expired."}', ErrorCode.TIMEOUT),
    ("github", False, 200, '{"error": "incorrect_device_code", "error_description": "The device_code is not valid."}', ErrorCode.AUTH_FAILED),
    ("google", True, 403, '{"error": "access_denied", "error_description": "Forbidden"}', ErrorCode.AUTH_CANCELLED),
    ("twitch", False, 400, '{"status": 400, "message": "invalid device code"}', ErrorCode.TIMEOUT),
    ("aws-identity-center", True, 400, '{"error": "expired_token", "error_description": null}', ErrorCode.TIMEOUT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "secret", "status", "text", "code"),
    [pytest.param(*row, id=f"{row[0]}: {row[4]} {place}") for place, row in enumerate(ENDED)],
)
def test_a_poll_that_is_refused_in_the_providers_words_is_the_last_one(
    at: Sign, name: str, secret: bool, status: int, text: str, code: ErrorCode
) -> None:
    """Whoever declined, or was too late, is told so; the provider is not asked again."""
    one = at(name, "device", secret=secret)
    one.there.answer_once("poll", status, text)

    answer = one.attempt()

    assert isinstance(answer, Failure)
    assert answer.code == code, answer
    assert [kind for kind, _ in one.there.requests].count("poll") == 1
    one.require_content()


@pytest.mark.parametrize(
    ("name", "secret", "status", "text"),
    [
        ("github", False, 400, '{"error": "device_flow_disabled", "error_description": "Device Flow must be explicitly enabled for this App"}'),
        ("google", True, 403, '{"error_code": "rate_limit_exceeded"}'),
        ("google", True, 400, '{"error": "invalid_scope", "error_description": "Invalid device flow scope"}'),
        ("okta", False, 400, '{"error": "unauthorized_client", "error_description": "The client is not authorized to use the provided grant type."}'),
    ],
)  # fmt: skip
def test_a_device_request_that_is_refused_shows_no_code(
    at: Sign, name: str, secret: bool, status: int, text: str
) -> None:
    """The device flow is a switch at the client, or at a policy; some have a few scopes only."""
    one = at(name, "device", secret=secret)
    one.there.answer_once("device", status, text)

    assert isinstance(one.attempt(), Failure)
    assert [kind for kind, _ in one.there.requests if kind != "metadata"] == ["device"]


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("cloudflare", 403, "<!doctype html><title>Just a moment...</title>"),
        ("cloudflare", 429, '{"success": false, "errors": [{"code": 10013, "message": "wait"}]}'),
        ("auth0", 429, '{"error": "too_many_requests", "error_description": "Global limit"}'),
        ("slack", 200, '{"ok": false, "error": "ratelimited"}'),
        ("google", 403, '{"error": "rate_limit_exceeded"}'),
    ],
)
def test_trouble_in_the_providers_words_spends_no_refresh_token(
    at: Sign, name: str, status: int, text: str
) -> None:
    """A page, a limit: it is tried again later, and works."""
    one = at(name, secret=entry(name).about.secret == "always")
    assert isinstance(one.sign_in(), Success)
    media = "text/html" if text.startswith("<") else "application/json"
    one.there.answer_once("refresh", status, text, media=media)

    assert isinstance(one.service.refresh_tokens(name), Failure)
    assert one.tokens().refresh_token == one.grant.refresh_token


def test_a_grant_of_more_than_was_asked_for_is_kept_as_it_was_given(at: Sign) -> None:
    """GitHub adds the scopes of earlier consents."""
    one = at("github", "device")
    one.there.answer_once("poll", 200, (
        '{"access_token": "gho_1", "scope": "gist,read:user,repo", "token_type": "bearer"}'
    ))  # fmt: skip
    assert isinstance(one.attempt(), Success)

    assert set(one.tokens().scopes) == {"gist", "read:user", "repo"}


@pytest.mark.parametrize(("via", "secret"), [("device", False), ("loopback", True)])
def test_github_gives_a_refresh_token_to_whoever_asks_for_offline_access(
    at: Sign, via: str, secret: bool
) -> None:
    """Then the access token ends after eight hours; without the scope it does not end."""
    lasting, ending = at("github", via, secret=secret), at(
        "github", via, secret=secret, scopes=["read:user", "offline_access"]
    )  # fmt: skip
    whole(lasting)
    assert isinstance(ending.sign_in(), Success)

    assert "refresh" not in {kind for kind, _ in lasting.there.requests}
    assert ending.tokens().expires_in == 28800
    assert isinstance(ending.service.refresh_tokens("github"), Success)
    ending.require_content()


def test_github_answers_in_a_form_where_a_proxy_takes_the_accept_header_away(at: Sign) -> None:
    """The members are the same, and scopes have commas."""
    one = at("github", secret=True, scopes=["read:user", "repo"])
    form = "access_token=gho_1&scope=repo%2Cread%3Auser&token_type=bearer"
    one.there.answer_once("token", 200, form, media="application/x-www-form-urlencoded")
    assert isinstance(one.attempt(), Success)

    assert one.tokens().access_token == "gho_1"
    assert set(one.tokens().scopes) == {"repo", "read:user"}


def test_google_has_another_client_for_the_device_flow(at: Sign) -> None:
    """It stands beside the usual one, and goes with the code, the polls and the refresh."""
    one = at("google", "device", secret=True, environ={
        "GOOGLE_CLIENT_ID": "desktop", "GOOGLE_CLIENT_SECRET": "of the desktop",
        "GOOGLE_DEVICE_CLIENT_ID": "the-client", "GOOGLE_DEVICE_CLIENT_SECRET": "the-secret",
    })  # fmt: skip
    whole(one)

    assert {sent["client_id"] for kind, sent in one.there.requests if kind != "keys"} == {
        "the-client"
    }


@pytest.mark.parametrize("via", ["loopback", "manual", "device"])
def test_aws_registers_a_client_at_the_first_login_and_keeps_it(at: Sign, via: str) -> None:
    """With its addresses, its grants, its scopes and the start URL; the second login asks for none."""
    one = at("aws-identity-center", via, registers=True)
    for _ in range(2):
        assert isinstance(one.sign_in(), Success)
        assert isinstance(one.service.refresh_tokens("aws-identity-center"), Success)
        assert isinstance(one.service.sign_out("aws-identity-center"), Success)

    one.require_content()
    assert [kind for kind, _ in one.there.requests].count("register") == 1


# --- that the stand-in would notice ---------------------------------------------------------------

SPOILED: list[tuple[str, str, bool, dict[str, Any]]] = [
    ("aws-identity-center", "loopback", True, {"parameter_names": {}}),
    ("aws-identity-center", "loopback", True, {"scope_parameter": "scope"}),
    ("aws-identity-center", "loopback", True, {"member_names": {}}),
    ("aws-identity-center", "loopback", True, {"token_request_format": "form"}),
    ("twitch", "device", False, {"parameter_names": {}}),
    ("twitch", "device", False, {"repeats_scope": []}),
    ("salesforce-device", "device", False, {"device_grant_type": "urn:ietf:params:oauth:grant-type:device_code"}),
    ("salesforce-device", "device", False, {"parameter_names": {}}),
    ("salesforce-device", "device", False, {"extra_device_params": {}}),
    ("salesforce", "loopback", False, {"revocation_auth": "client"}),
    ("snowflake", "loopback", False, {"extra_token_params": {}}),
    ("snowflake", "loopback", False, {"repeats_scope": []}),
    ("snowflake", "loopback", False, {"scopes": ["offline_access"]}),
    ("gitlab", "loopback", False, {"repeats_redirect_uri": []}),
    ("reddit", "loopback", False, {"empty_secret": False, "token_endpoint_auth_method": "auto"}),
    ("reddit", "loopback", False, {"extra_auth_params": {}}),
    ("figma", "loopback", True, {"refresh_url": None}),
    ("figma", "loopback", True, {"token_endpoint_auth_method": "client_secret_post"}),
    ("google", "device", True, {"scopes_for_device": ["https://www.googleapis.com/auth/calendar.readonly"]}),
    ("huggingface", "device", False, {"device_url": "https://huggingface.co/oauth/device/code"}),
    ("github", "loopback", True, {"token_endpoint_auth_method": "client_secret_basic"}),
    ("github-app", "loopback", True, {"sends_scope": True, "scopes": ["repo"]}),
    ("slack", "loopback", False, {"scope_parameter": "user_scope"}),
    ("slack", "loopback", False, {"token_types": []}),
    ("strava", "loopback", True, {"parameter_names": {}}),
    ("notion", "loopback", True, {"token_request_headers": {}}),
    ("notion", "loopback", True, {"token_request_format": "form"}),
    ("atlassian", "loopback", True, {"extra_auth_params": {}}),
    ("adfs", "loopback", False, {"resources": []}),
    ("orcid", "loopback", True, {"extra_refresh_params": {}}),
    ("globus", "loopback", False, {"extra_auth_params": {}}),
    ("dropbox", "loopback", False, {"extra_auth_params": {}}),
    ("auth0", "loopback", False, {"issuer": "https://acme.eu.auth0.com"}),
    ("entra", "loopback", False, {"issuer_template": None}),
    ("spotify", "loopback", False, {"redirect_uri": "http://localhost:0/callback", "redirect_hosts": []}),
    ("dex", "loopback", False, {"redirect_uri": "http://127.0.0.1:0/callback", "redirect_hosts": []}),
    ("zoom", "loopback", False, {"redirect_uri": "http://localhost:0/callback", "redirect_hosts": []}),
    ("hubspot", "loopback", True, {"redirect_uri": "http://127.0.0.1:57548/callback", "redirect_hosts": []}),
    ("terraform", "loopback", False, {"redirect_uri": "http://localhost:0/login", "ports": [], "redirect_port": "any"}),
    ("todoist", "loopback", False, {"scope_separator": " ", "scopes": ["data:read", "data:read_write"]}),
    ("cognito", "loopback", False, {"revocation_tokens": ["refresh_token", "access_token"]}),
    ("sentry", "loopback", False, {"token_url": "https://sentry.io/oauth/token"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "via", "secret", "settings"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}: {', '.join(row[3])}") for row in SPOILED],
)
def test_an_entry_without_its_oddity_does_not_work(
    at: Sign, name: str, via: str, secret: bool, settings: Mapping[str, Any]
) -> None:
    """So each of these settings is needed, and the stand-in speaks no language but the provider's."""
    one = at(name, via, secret=secret, **settings)
    outcomes: list[object] = [one.attempt()]
    if isinstance(outcomes[0], Success):
        if one.grant.refresh_token:
            outcomes.append(one.service.refresh_tokens(name))
        outcomes.append(one.service.sign_out(name))

    assert one.there.complaints or any(isinstance(each, Failure) for each in outcomes)


# --- what an entry says of its provider -----------------------------------------------------------


@pytest.mark.parametrize("one", possible(), ids=lambda one: one.name)
def test_an_entry_says_of_its_provider_what_is_documented(one: Entry) -> None:
    """What is only shown to people, and changes no request, agrees with the documents, too."""
    said, told = one.settings, documented(one.name)
    rotates = {"yes": {True}, "no": {False}, "optional": {True, False}, "": {True, False}}
    assert told.refresh.rotates in rotates[said.get("refresh_rotates", "")]
    if told.redirect.hosts:
        assert set(said.get("redirect_hosts", told.redirect.hosts)) <= {
            *told.redirect.hosts,
            "127.0.0.1",
        }
    if "redirect_port" in said:
        ports = told.redirect.ports
        assert said["redirect_port"] == (ports if ports in {"any", "exact"} else "range")
    if said.get("pkce") == "off":
        assert told.authorize.pkce == "none"
    if "revocation_ends" in said:
        assert said["revocation_ends"] == told.revoke.ends
    assert ("device" in one.about.ways) <= bool(told.device.url)
    assert (one.about.secret == "always") <= bool(told.client.secret)
    assert (one.about.secret == "always") or told.client.public


@pytest.mark.parametrize("one", possible(), ids=lambda one: one.name)
def test_an_entry_asks_for_little(one: Entry) -> None:
    """No scope that writes, deletes or administers unless the user names it."""
    asked = " ".join(one.settings.get("scopes", ()))
    for word in ("write", "admin", "delete", "repo", "manage"):
        assert word not in asked
