from __future__ import annotations

import json
from ast import literal_eval

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from stayfast.engine import cbor
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.provider import OAuthConfig, OAuthProvider, same_grant
from stayfast.engine.oauth.setting_types import OURS

TEXTS = st.lists(st.text(max_size=8), max_size=3)
SETTINGS = st.fixed_dictionaries(
    {"service_name": st.text(min_size=1)},
    optional={
        "auth_url": st.text(),
        "scopes": TEXTS,
        "issuer": st.text(),
        "audience": st.text(),
        "extra_auth_params": st.dictionaries(
            st.text(max_size=5).filter(lambda name: name not in OURS),
            st.text(max_size=5),
            max_size=3,
        ),
        "redirect_uri": st.text(),
        "ports": st.lists(st.integers(0, 65_535), max_size=4),
        "iss_required": st.booleans(),
        "token_endpoint_auth_method": st.sampled_from(
            ["auto", "none", "client_secret_basic", "client_secret_post"]
        ),
        "token_request_format": st.sampled_from(["form", "json"]),
        "token_response_path": TEXTS,
        "via": st.sampled_from(["auto", "loopback", "manual", "device"]),
        "shows_code": st.booleans(),
        "client_id": st.text(),
        "client_secret": st.text(),
    },
)


def configured(settings):
    """The configuration of ``settings``, where they are some that can be right."""
    try:
        return OAuthConfig.from_dict(settings)
    except ConfigInvalid:
        return reject()


@given(SETTINGS)
def test_what_is_saved_is_read(settings):
    """A configuration survives its way through a record, every setting as it was."""
    config = configured(settings)
    restored = OAuthConfig.from_dict(cbor.decode_map(cbor.encode(config.to_dict())))

    assert restored == config
    assert {name: plain(getattr(restored, name)) for name in settings} == settings


def plain(value: object) -> object:
    """A tuple as a list."""
    return list(value) if isinstance(value, tuple) else value


@given(SETTINGS)
def test_only_what_differs_from_the_defaults_is_saved(settings):
    """Defaults may improve for saved logins; what was chosen stays chosen."""
    saved = configured(settings).to_dict()
    untouched = OAuthConfig(service_name=settings["service_name"])

    assert set(saved) <= set(settings)
    assert all(
        saved[name] != plain(getattr(untouched, name)) for name in saved if name != "service_name"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"extra_auth_params": {"state": "x"}},
        {"extra_auth_params": {"State": "x"}},
        {"extra_auth_params": {" redirect_uri": "x"}},
        {"extra_auth_params": {"scope": "x"}, "scopes": ["a"]},
        {"extra_auth_params": {"audience": "x"}, "audience": "a"},
        {"auth_url": "https://a.example/a?tenant=1&st%61te=x"},
        {"auth_url": "https://a.example/a?scope=x", "scopes": ["a"]},
        {"scope_parameter": "code_challenge"},
        {"scope_parameter": "Nonce"},
        {"token_request_headers": {"authorization": "x"}},
    ],
)
def test_what_stayfast_sends_itself_cannot_be_configured(settings):
    """By no setting, in no spelling: the checks of the callback rest on these parameters."""
    with pytest.raises(ConfigInvalid):
        OAuthProvider(service_name="x", **settings)


def test_lists_may_be_written_as_lists():
    """The lists a person writes in Python are kept as they are read back: equal in use."""
    provider = OAuthProvider(service_name="x", scopes=["a", "b"], ports=[1, 2])

    assert list(OAuthConfig.from_dict(provider.to_config("id").to_dict()).scopes) == ["a", "b"]


def test_a_provider_with_credentials_is_the_provider_and_the_credentials():
    """`to_config` changes nothing but the two credentials."""
    provider = OAuthProvider(
        service_name="github",
        auth_url="https://github.example/authorize",
        token_url="https://github.example/token",
        scopes=["repo", "user"],
        extra_auth_params={"prompt": "consent"},
        redirect_uri="http://localhost/callback",
        token_request_format="json",
    )
    config = provider.to_config("my-id", "my-secret")

    assert (config.client_id, config.client_secret) == ("my-id", "my-secret")
    assert config == OAuthConfig(**vars(provider), client_id="my-id", client_secret="my-secret")


def test_the_client_secret_is_not_shown():
    """Neither `repr` nor a list of configurations shows the client secret."""
    config = OAuthConfig(service_name="x", client_id="visible", client_secret="canary")

    assert "visible" in repr(config)
    assert "canary" not in repr([config])


def test_a_title_is_what_people_read():
    """The display name if there is one, otherwise the name it is kept under."""
    assert OAuthProvider(service_name="x", display_name="X Inc").title == "X Inc"
    assert OAuthProvider(service_name="x").title == "x"


WRONG = [
    {"service_name": 3},
    {"service_name": ""},
    {"auth_url": None},
    {"issuer": 5},
    {"scopes": "read write"},
    {"scopes": [1]},
    {"ports": [80.5]},
    {"ports": ["80"]},
    {"ports": [True]},
    {"ports": [65_536]},
    {"ports": [-1]},
    {"extra_auth_params": []},
    {"extra_auth_params": {"a": 1}},
    {"extra_auth_params": {1: "a"}},
    {"iss_required": "yes"},
    {"shows_code": 1},
    {"token_endpoint_auth_method": "basic"},
    {"token_request_format": "xml"},
    {"via": "carrier pigeon"},
    {"client_id": None},
]


@pytest.mark.parametrize("wrong", WRONG, ids=json.dumps)
def test_a_setting_that_cannot_be_right_is_refused_wherever_it_comes_from(wrong):
    """From a file or from Python: what could not be read back is never built."""
    settings = {"service_name": "x"} | wrong

    with pytest.raises(ConfigInvalid):
        OAuthConfig.from_dict(settings)
    with pytest.raises(ConfigInvalid):
        OAuthConfig(**settings)


@pytest.mark.parametrize(
    "settings", [{}, {"client_id": "x"}, {"service_name": "x", "colour": "red"}]
)
def test_a_provider_needs_a_name_and_known_settings(settings):
    """A missing name and a setting nobody knows are refused, not ignored."""
    with pytest.raises(ConfigInvalid):
        OAuthConfig.from_dict(settings)


@pytest.mark.parametrize("given", ["subject_token", "actor_token"])
def test_a_token_that_serves_once_makes_every_request_another(given):
    """An exchange for another actor is not answered with the login that there is."""
    asked = {"service_name": "x", "grant": "token-exchange", "subject_login": "y"}
    one, other = OAuthConfig.from_dict(asked), OAuthConfig.from_dict({**asked, given: "token"})
    assert same_grant(one, one)
    assert not same_grant(one, other)
    assert not same_grant(other, one)
    assert not same_grant(one, other.spent())


@pytest.mark.parametrize("name", ["scopes", "ports", "revocation_tokens", "redirect_hosts"])
def test_the_example_in_an_error_can_be_used(name: str) -> None:
    """A list that is given as one text is refused, and what the error shows instead is taken."""
    with pytest.raises(ConfigInvalid) as refused:
        OAuthConfig.from_dict({"service_name": "acme", name: "openid email"})
    _, _, shown = refused.value.message.partition("(")
    example = literal_eval(f"({shown}")
    assert plain(getattr(OAuthConfig.from_dict({"service_name": "acme", name: example}), name))
