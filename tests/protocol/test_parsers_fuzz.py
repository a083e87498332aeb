"""Whatever arrives, a parser answers with its own value or one of its own errors."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from logins import BY_BROWSER, CHALLENGE, CONFIG, NOW
from stayfast.engine.cbor import encode
from stayfast.engine.errors import CallbackRefused, ConfigInvalid, NetworkError, ProviderError
from stayfast.engine.oauth.callback import Denial, ValidatedCallback, validate_callback
from stayfast.engine.oauth.device import PollAnswer, judge_device_response, judge_poll
from stayfast.engine.oauth.id_token import Asked, judge_id_token
from stayfast.engine.oauth.metadata import judge_metadata, metadata_requests
from stayfast.engine.oauth.pasted import parse_callback
from stayfast.engine.oauth.provider_response import read_members
from stayfast.engine.oauth.signing_keys import judge_keys
from stayfast.engine.oauth.token_endpoint import judge_token_response
from stayfast.engine.oauth.token_status import judge_introspection, judge_revocation
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.ports import HttpResponse
from stayfast.engine.reasons import Refusal
from stayfast.engine.record import Login
from stayfast.engine.secret import Secret
from stayfast.engine.table import State
from stayfast.interfaces.catalogue import Catalogue

few = settings(max_examples=150, deadline=None)
LOGIN = Login(
    id="7F3K0000000000000000000000",
    version=2,
    state=State.AWAITING_CALLBACK,
    config=CONFIG,
    account="default",
    created_at=NOW,
    changed_at=NOW,
    challenge=CHALLENGE,
    presentation=BY_BROWSER,
)
CLIENT = replace(CONFIG, id_token_algorithms=("ES256", "RS256", "EdDSA", "HS256", "none"))
MARK = "s3cr3t-m4rk"

names = st.sampled_from(
    [
        "access_token", "refresh_token", "token_type", "expires_in", "scope", "id_token", "error",
        "errors", "error_description", "ok", "interval", "device_code", "user_code", "active",
        "verification_uri", "verification_url", "verification_uri_complete", "issuer", "keys",
        "authed_user", "token_endpoint", "jwks_uri", "code_challenge_methods_supported", "exp",
        "code", "state", "iss", "nested",
    ]
)  # fmt: skip
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["invalid_grant", "slow_down", "https://a.example", "12", "Bearer", MARK]),
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
members = st.dictionaries(names | st.text(max_size=5), values, max_size=6)
bodies = st.one_of(
    st.binary(max_size=60),
    members.map(lambda value: json.dumps(value).encode()),
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(names, st.text(max_size=10)).map(lambda value: urlencode(value).encode()),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
headers = st.dictionaries(
    st.sampled_from(["date", "retry-after", "content-type"]), st.text(max_size=30)
)
statuses = st.sampled_from([100, 200, 201, 204, 301, 400, 401, 403, 404, 408, 428, 429, 500, 503])
responses = st.builds(
    HttpResponse, status=statuses, headers=headers, body=bodies, received_at=st.just(NOW)
)


def keepable(tokens: OAuthTokens) -> None:
    """Tokens that were accepted can be saved and read again."""
    plain = tokens.to_dict()
    encode(plain)
    assert OAuthTokens.from_dict(plain).access_token == tokens.access_token


@few
@given(responses)
@example(HttpResponse(status=200, headers={}, body=b"[" * 100_000, received_at=NOW))
@example(HttpResponse(status=200, headers={}, body=b'{"a":' * 100_000, received_at=NOW))
@example(HttpResponse(status=200, headers={}, body=b"&=" * 1000, received_at=NOW))
@example(
    HttpResponse(
        status=200,
        headers={"date": "Mon, 01 Jan 99999 00:00:00 GMT"},
        body=b'{"access_token":"a","expires_in":1' + b"0" * 5000 + b"}",
        received_at=NOW,
    )
)
def test_an_answer_becomes_tokens_or_one_of_two_errors(response):
    """Every judge of an answer, with every answer."""
    nested = replace(CONFIG, token_response_path=("authed_user", "nested"))
    for config in (CONFIG, nested):
        with contextlib.suppress(ProviderError, NetworkError):
            keepable(judge_token_response(config, response))
        with contextlib.suppress(ProviderError, NetworkError):
            answer = judge_poll(config, response)
            assert isinstance(answer, PollAnswer | OAuthTokens)
    for judge in (judge_introspection, judge_revocation):
        with contextlib.suppress(ProviderError, NetworkError):
            judge(CONFIG, response)
    with contextlib.suppress(ProviderError, NetworkError):
        judge_keys(response)
    with contextlib.suppress(ProviderError, NetworkError):
        judge_metadata("https://a.example", response)
    with contextlib.suppress(ProviderError, NetworkError):
        grant = judge_device_response(CONFIG, response)
        assert grant.user_code.isprintable()
        assert grant.interval > 0


@few
@given(
    st.sampled_from([200, 400, 401, 403, 404, 500]), members, st.sampled_from(["error", "errors"])
)
def test_nothing_of_an_answers_body_gets_into_an_error(status, body, name):
    """But codes, and the sentence that is meant to be shown."""
    body = {k: v for k, v in body.items() if k not in {"error_description", "error", "errors"}}
    text = json.dumps({**body, "note": MARK, name: f"{MARK} {MARK}"}).encode()
    response = HttpResponse(status=status, headers={}, body=text, received_at=NOW)
    for judge in (judge_introspection, judge_token_response):
        try:
            judge(CONFIG, response)
        except (ProviderError, NetworkError) as error:
            said = f"{error} {error.hint} {getattr(error, 'oauth_error', '')}"
            assert MARK not in said


@few
@given(st.dictionaries(names | st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=6))
def test_members_are_read_back_from_a_form_as_they_were(form):
    """Text in, text out."""
    body = urlencode(form).encode()
    response = HttpResponse(status=200, headers={}, body=body, received_at=NOW)

    assert read_members(response) == (form or None)


@few
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["code", "state", "iss", "error", "error_description", "id_token"])
            | st.text(max_size=5),
            st.sampled_from(["canary-state", "https://login.acme.example", "access_denied"])
            | st.text(max_size=20),
        ),
        max_size=6,
    )
)
def test_a_callback_is_an_answer_or_refused(parameters):
    """And no answer is accepted without this login's state."""
    try:
        answer = validate_callback(parameters, LOGIN)
    except CallbackRefused as refused:
        Refusal(refused.reason)  # a word of the list
        return
    assert [value for name, value in parameters if name == "state"] == ["canary-state"]
    assert isinstance(answer, ValidatedCallback | Denial)
    if isinstance(answer, Denial):
        assert answer.description is None or answer.description.isprintable()


pasted = st.one_of(
    st.text(max_size=80),
    st.builds(
        lambda start, query, end: start + query + end,
        st.sampled_from(["", "http://127.0.0.1:8080/callback?", "127.0.0.1:8080/callback?", "?",
                         "http://[", "//", "#", "a:/", "https://"]),
        st.dictionaries(names, st.text(max_size=8), max_size=4).map(urlencode) | st.text(max_size=20),
        st.sampled_from(["", "#", "#_=_", "\x1b[201~", '"', "&", "&amp;"]),
    ),
)  # fmt: skip


@few
@given(
    pasted, st.sampled_from([None, "http://127.0.0.1:8080/callback", "com.app:/cb"]), st.booleans()
)
@example("http://127.0.0.1:8080" + "/" * 70_000, None, False)
@example("http://a:b:c/?code=1&state=2", "http://127.0.0.1/", False)
@example("a#b#c#d", None, True)
def test_a_paste_becomes_parameters_or_a_refusal(text, redirect_uri, shows_code):
    """People paste anything."""
    try:
        found = parse_callback(text, redirect_uri=redirect_uri, shows_code=shows_code)
    except CallbackRefused as refused:
        Refusal(refused.reason)  # a word of the list
        return
    given = {name for name, _ in found}
    assert given & {"code", "error"}
    assert "state" in given or shows_code


@few
@given(
    st.text(alphabet="abcXYZ019-._~+/%&=# ü", min_size=1, max_size=30),
    st.text(alphabet="abcXYZ019-._~", min_size=1, max_size=30),
)
def test_what_a_browser_shows_is_read_back_exactly(code, state):
    """Any code, percent-encoded as in an address bar."""
    address = f"http://127.0.0.1:8080/callback?code={quote(code, safe='')}&state={state}"

    assert parse_callback(address, redirect_uri="http://localhost:8080/callback") == [
        ("code", code),
        ("state", state),
    ]


segments = st.one_of(
    st.sampled_from(["eyJhbGciOiJub25lIn0", "eyJhbGciOiJFUzI1NiJ9", "eyJhbGciOlsiRVMyNTYiXX0",
                     "eyJhbGciOiJIUzI1NiIsImtpZCI6MX0", "e30", "W10", "bnVsbA", ""]),
    st.text(max_size=12),
)  # fmt: skip
keys = st.lists(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "k", "kid", "use", "alg", "key_ops"]),
        st.sampled_from(["EC", "RSA", "OKP", "oct", "P-256", "Ed25519", "AQAB", "A" * 43, "sig", "",
                         "verify", None, 1, [], {}]),
        max_size=7,
    )
    | values,
    max_size=3,
)  # fmt: skip


@settings(few, max_examples=400)
@given(st.lists(segments, min_size=1, max_size=5).map(".".join), keys)
def test_an_id_token_holds_or_does_not(token, published):
    """Whatever the token and whatever the keys, and none of these holds."""
    try:
        judge_id_token(
            CLIENT,
            token,
            keys={"keys": published},
            asked=Asked(nonce=Secret("n")),
            access_token="a",
            now=NOW,
        )
    except ProviderError:
        return
    msg = "a token nobody signed was accepted"
    raise AssertionError(msg)


@few
@given(st.text(max_size=40) | st.text(max_size=20).map(lambda text: "https://" + text))
def test_an_issuer_is_asked_or_refused(issuer):
    """A text that is not an address is an invalid setting."""
    with contextlib.suppress(ConfigInvalid):
        assert len(metadata_requests(issuer)) in {2, 3}  # the third place is for a path


@settings(few, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60)
    | st.text(max_size=30).map(lambda text: f"[providers.acme]\n{text}")
    | st.builds(
        lambda name, value: f"[providers.acme]\n{name} = {value}\n",
        st.sampled_from(["scopes", "ports", "client_id", "auth_url", "extra_auth_params", "via"]),
        st.sampled_from(["1", "'x'", "[]", "[1]", "['x']", "{}", "{a=1}", "{a='b'}", "true", "1.5",
                         "1979-05-27", "[[]]"]),
    )
)  # fmt: skip
def test_a_users_file_is_read_or_is_an_error(tmp_path, text):
    """Any text at all may stand in a file."""
    (tmp_path / "config.toml").write_bytes(text.encode("utf-8", "surrogatepass"))
    catalogue = Catalogue(str(tmp_path), environ={})
    with contextlib.suppress(ConfigInvalid):
        for name in catalogue.names():
            catalogue.provider(name)
