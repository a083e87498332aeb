"""Answers of the token endpoint, and of its relatives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from logins import CONFIG, NOW, TOKENS
from recorded import answer, recorded
from stayfast.engine.errors import NetworkError, ProviderError
from stayfast.engine.oauth.device import judge_device_response, judge_poll
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.provider_response import hint_of_refusal
from stayfast.engine.oauth.pushed_request import judge_push
from stayfast.engine.oauth.token_endpoint import judge_token_response
from stayfast.engine.oauth.token_status import Introspection, judge_introspection, judge_revocation

HTML = "<!DOCTYPE html><html><body>token=secret-in-a-page</body></html>"


def judged(body=b"", status=200, *, config: OAuthConfig = CONFIG, previous=None, **headers):
    """The tokens in a made-up answer."""
    return judge_token_response(config, answer(body, status, **headers), previous=previous)


def test_a_response_of_the_rfc_is_read_whole():
    """The example of RFC 6749 §5.1, unknown members kept, times from the answer."""
    tokens = judged(
        {
            "access_token": "2YotnFZFEjr1zCsicMWpAA",
            "token_type": "bearer",
            "expires_in": 3600,
            "refresh_token": "tGzv3JOkF0XG5Qx2TlKWIA",
            "example_parameter": "example_value",
        },
        date="Fri, 15 Jan 2027 08:00:03 GMT",
    )

    assert tokens.access_token == "2YotnFZFEjr1zCsicMWpAA"
    assert tokens.refresh_token == "tGzv3JOkF0XG5Qx2TlKWIA"
    assert tokens.token_type == "bearer"
    assert (tokens.issued_at, tokens.expires_at) == (NOW, NOW + 3600)
    assert tokens.server_date == NOW + 3
    assert tokens.extra == {"example_parameter": "example_value"}


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"]
)
@pytest.mark.parametrize(
    "body", ['{"access_token":"a","expires_in":"60"}', "access_token=a&expires_in=60"]
)
def test_form_and_json_are_told_apart_by_themselves(kind, body):
    """Some providers label one as the other."""
    tokens = judged(body, **{"content-type": kind})

    assert (tokens.access_token, tokens.expires_in) == ("a", 60)


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [(3600, 3600), (59.5, 59.5), ("3600", 3600), (None, None), (0, None), (-1, None), ("soon", None),
     ("", None), (True, None), ([], None), ("inf", None), ("nan", None), (1e400, None), (10**400, None)],
)  # fmt: skip
def test_a_lifetime_that_makes_no_sense_is_unknown(expires_in, expected):
    """Unknown, and never for ever."""
    assert judged({"access_token": "a", "expires_in": expires_in}).expires_in == expected


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("a b", "a b"), ("a,b", "a b"), ("a, b", "a b"), (["a", "b"], "a b"), ("", ""), (None, None), (7, None)],
)  # fmt: skip
def test_scopes_are_split_on_spaces_or_commas(scope, expected):
    """Whatever the provider joins them with, they are kept one way."""
    assert judged({"access_token": "a", "scope": scope}).scope == expected


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 418])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": "invalid_grant", "error_description": "gone"}, "invalid_grant"),
        ("error=invalid_grant", "invalid_grant"),
        ({"error": "invalid_grant", "access_token": "a"}, "invalid_grant"),
        ({"ok": False, "error": "bad_client_secret"}, "bad_client_secret"),
        ({"errors": [{"errorType": "invalid_grant"}]}, "invalid_grant"),
        ({"errors": ["invalid_grant"]}, "invalid_grant"),
        ({"error": {"code": 401, "status": "INVALID_GRANT"}}, "INVALID_GRANT"),
    ],
)
def test_an_error_is_a_definite_no_whatever_the_status(status, body, code):
    """A 200 with an error is an error; only codes are kept of it."""
    with pytest.raises(ProviderError) as caught:
        judged(body, status)

    assert (caught.value.oauth_error, caught.value.status) == (code, status)
    assert "secret\n" not in str(caught.value)


@pytest.mark.parametrize("error", ["none", "", {}, [], None, False, "ok"])
def test_a_word_that_refuses_nothing_costs_no_token(error):
    """Tokens beside an error that is none of the known ones are tokens."""
    assert judged({"access_token": "a", "error": error}).access_token == "a"


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "body",
    [
        b"", HTML, b"\xff\xfe", "{", "[]", {"access_token": "a"}, {"message": "Forbidden"},
        {"error": "a sentence with\nthe secret"}, {"error": 7}, {"error": "Forbidden"},
        {"error": {"code": 403, "message": "blocked by the proxy"}},
        {"error": "v1.MjQ0ZjE3YTk5NzE0NDk3Nzk5"},
    ],
)  # fmt: skip
def test_a_status_alone_refuses_nothing(status, body):
    """Firewalls and captive portals answer so as well: only a readable OAuth error is a no."""
    with pytest.raises(NetworkError) as caught:
        judged(body, status)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400, 403])
@pytest.mark.parametrize(
    "code",
    ["rate_limit_exceeded", "too_many_requests", "ratelimited", "internal_error",
     "service_unavailable", "Service_Unavailable",
     # gateways, firewalls, clouds and databases, as they were seen or are documented
     "Unauthorized", "unauthorized", "not_found", "DEPLOYMENT_NOT_FOUND", "method_not_allowed",
     "Conflict", "payload_too_large", "quota_exceeded", "rateLimitExceeded", "RESOURCE_EXHAUSTED",
     "TooManyRequests", "ThrottlingException", "RequestLimitExceeded", "database_error",
     "unknown_error", "proxy", "anything_else"],
)  # fmt: skip
def test_a_code_of_passing_trouble_refuses_nothing(status, code):
    """Whatever the status: what was sent may be sent again."""
    with pytest.raises(NetworkError):
        judged({"ok": False, "error": code}, status)


GOOD = '{"access_token": "a", "refresh_token": "r"}'


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xef\xbb\xbf" + GOOD.encode(), "application/json"),
        (GOOD.encode("utf-16"), "application/json"),
        (GOOD.encode("utf-16-be"), "application/json; charset=utf-16be"),
        (GOOD.encode("utf-16-le"), 'application/json;charset="UTF-16LE"'),
        (GOOD.encode(), "application/json; charset=no-such-thing"),
        (GOOD[:-1].encode() + b', "note": "one\ntwo\x07"}', "application/json"),
        (GOOD.encode() + b"\n<!-- served by proxy [7] -->", "application/json"),
        (GOOD[:-1].encode() + b', "id": ' + b"9" * 5000 + b"}", "application/json"),
        (GOOD[:-1].encode() + b', "deep": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "text/json"),
        (
            b'{"deep": ' + b'{"a":[' * 5_000 + b'"\\"]"' + b"]}" * 5_000 + b"," + GOOD[1:].encode(),
            "",
        ),
    ],
)
def test_an_answer_that_can_be_read_is_read(body, kind):
    """Marks, charsets, raw control characters, and what nobody needs cost no tokens."""
    tokens = judged(body, **{"content-type": kind})

    assert (tokens.access_token, tokens.refresh_token) == ("a", "r")


@pytest.mark.parametrize("character", ["\r", "\n", "\x1b", "\0", "\x7f", "\x9b", "é", "\ud800"])
def test_an_access_token_of_other_characters_is_refused(character):
    """RFC 6749 A.12: one that could end a header, or move a cursor, is never kept."""
    with pytest.raises(ProviderError) as caught:
        judged({"access_token": f"abc{character}X: 1"})
    assert "abc" not in str(caught.value)

    assert judged({"access_token": "a", "refresh_token": f"r{character}"}).refresh_token is None


@pytest.mark.parametrize("kind", ["mac", "N_A", "DPoP", "bearer\r\nX: 1", "Bearer "])
def test_a_token_of_a_type_that_is_not_understood_is_refused(kind):
    """RFC 6749 §7.1: it must not be used as something else."""
    with pytest.raises(ProviderError):
        judged({"access_token": "a", "token_type": kind})


def test_a_provider_may_have_its_own_word_for_bearer():
    """It is declared; any case will do, as for bearer itself."""
    config = replace(CONFIG, token_types=("user",))

    for kind in ("bearer", "BEARER", "user", "User"):
        assert judged({"access_token": "a", "token_type": kind}, config=config).token_type == kind


@pytest.mark.parametrize("never", [9223372036854775, 1e15, 1e300, "9223372036854775807"])
def test_a_lifetime_that_means_never_is_a_date_all_the_same(never):
    """Nothing that shows it may fail."""
    tokens = judged({"access_token": "a", "expires_in": never})

    assert tokens.expires_at is not None
    assert datetime.fromtimestamp(tokens.expires_at, UTC).year < 2200
    kept = replace(tokens, expires_in=1e300)
    assert kept.expires_at == tokens.expires_at


@pytest.mark.parametrize("scope", ["", [], None])
def test_a_refresh_that_names_no_scope_leaves_it(scope):
    """RFC 6749 §6: left out means the same as before, and empty means nothing else."""
    before = replace(TOKENS, scope="read write")

    assert judged({"access_token": "b", "scope": scope}, previous=before).scope == "read write"


@pytest.mark.parametrize("body", [{}, {"status": "maintenance"}, {"access_token": 7}])
def test_a_refresh_answered_without_a_token_is_postponed(body):
    """It says nothing about the refresh token."""
    with pytest.raises(NetworkError):
        judged(body, previous=TOKENS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""), (500, HTML), (502, HTML), (503, {"error": "temporarily_unavailable"}),
        (500, {"error": "invalid_grant"}), (504, b""), (429, b""), (429, {"error": "invalid_request"}),
        (408, b""), (302, b""), (307, {"error": "invalid_grant"}), (404, b""), (404, HTML), (405, b""),
        (200, b""), (200, HTML), (200, b"\x00\x01"), (200, "{"), (200, "[]"), (200, '"text"'),
        (200, "[" * 10_000), (200, "no=form at all"), (204, b""), (206, HTML), (100, b""),
        (400, {"error": "server_error"}), (400, {"error": "temporarily_unavailable"}),
        (400, {"error": "slow_down"}), (200, {"error": "server_error"}),
    ],
)  # fmt: skip
def test_what_settles_nothing_leaves_the_token_as_good_as_it_was(status, body):
    """Trouble on the way is no refusal."""
    with pytest.raises(NetworkError) as caught:
        judged(body, status)

    assert "secret" not in str(caught.value)


def test_trouble_is_told_apart():
    """A web page, a server error, an empty answer and an unreadable one read differently."""
    messages = set()
    for status, body in ((200, HTML), (500, HTML), (200, b""), (200, "{"), (429, b""), (302, b"")):
        with pytest.raises(NetworkError) as caught:
            judged(body, status)
        messages.add(caught.value.message)

    assert len(messages) == 6


@pytest.mark.parametrize(
    "body", [{}, {"access_token": ""}, {"access_token": None}, {"access_token": 7}]
)
def test_an_answer_without_tokens_is_none(body):
    """Readable, and not what was asked for: it is no refusal, and gives nothing up."""
    with pytest.raises(NetworkError):
        judged(body)


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Jan 2027 08:00:03 GMT", "0"])
def test_a_date_that_is_none_is_left_out(date):
    """The provider's clock is a help, not a condition."""
    assert judged({"access_token": "a"}, date=date).server_date is None


@pytest.mark.parametrize("new", [None, ""])
def test_a_refresh_token_that_is_not_replaced_is_kept(new):
    """RFC 6749 §6: absent or empty means the old one."""
    body = {"access_token": "a2", "refresh_token": new}
    tokens = judged(body, previous=TOKENS)

    assert tokens.access_token == "a2"
    assert tokens.refresh_token == TOKENS.refresh_token
    assert tokens.id_token == TOKENS.id_token
    assert tokens.scope == TOKENS.scope
    assert tokens.extra == TOKENS.extra


def test_what_a_refresh_brings_replaces_what_was():
    """Rotation, narrower scopes, a new ID token."""
    body = {"access_token": "a2", "refresh_token": "r2", "scope": "read", "id_token": "i2", "x": 1}
    tokens = judged(body, previous=TOKENS)

    assert (tokens.refresh_token, tokens.scope, tokens.id_token) == ("r2", "read", "i2")
    assert tokens.extra == {**TOKENS.extra, "x": 1}


SLACK = replace(CONFIG, token_types=("user", "bot"), token_response_path=("authed_user",))


def test_nested_tokens_are_found_where_they_are_declared():
    """The members around them are kept, but no token of somebody else."""
    tokens = judge_token_response(SLACK, recorded("slack-token"))

    assert tokens.access_token == "xoxe.xoxp-1-Mi0yLTEy"
    assert tokens.refresh_token == "xoxe-1-My0x"
    assert tokens.scopes == ("users:read", "chat:write")
    assert tokens.extra["team"] == {"id": "T9TK3CUKW", "name": "Slack Softball Team"}


def test_a_token_of_another_kind_is_not_taken_for_the_nested_one():
    """A bot's token beside a user without one is not the user's."""
    with pytest.raises(NetworkError):
        judge_token_response(SLACK, recorded("slack-bot-only"))


def test_a_refresh_may_answer_without_the_nesting():
    """Slack does."""
    tokens = judge_token_response(SLACK, recorded("slack-refresh"), previous=TOKENS)

    assert (tokens.access_token, tokens.refresh_token) == ("xoxe.xoxp-1-new", "xoxe-1-new")


def test_a_nested_error_is_an_error():
    """Wherever it stands."""
    with pytest.raises(ProviderError) as caught:
        judged({"ok": True, "authed_user": {"error": "token_revoked"}}, config=SLACK)

    assert caught.value.oauth_error == "token_revoked"


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", [b"", HTML, {}])
def test_any_2xx_confirms_a_revocation(status, body):
    """RFC 7009 §2.2: the body says nothing."""
    judge_revocation(CONFIG, answer(body, status))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "unsupported_token_type"}, ProviderError),
        (401, b"", NetworkError),
        (503, b"", NetworkError),
        (404, HTML, NetworkError),
    ],
)
def test_a_revocation_that_failed_is_told(status, body, error):
    """A no is a no, and trouble is trouble."""
    with pytest.raises(error):
        judge_revocation(CONFIG, answer(body, status))


def test_an_introspection_tells_what_a_token_is_good_for():
    """The example of RFC 7662 §2.2."""
    body = {
        "active": True, "client_id": "l238j323ds-23ij4", "username": "jdoe",
        "scope": "read write dolphin", "sub": "Z5O3upPC88QrAjx00dis", "exp": 1419356238,
    }  # fmt: skip

    assert judge_introspection(CONFIG, answer(body)) == Introspection(
        active=True,
        scopes=("read", "write", "dolphin"),
        expires_at=1419356238,
        subject="Z5O3upPC88QrAjx00dis",
        username="jdoe",
    )


def test_an_inactive_token_is_an_ordinary_answer():
    """And nothing else it says counts."""
    assert judge_introspection(CONFIG, answer({"active": False, "scope": "x"})) == Introspection(
        active=False
    )


@pytest.mark.parametrize("body", [{}, {"active": "true"}, HTML])
def test_an_introspection_that_does_not_say_settles_nothing(body):
    """A token is not called dead because of a broken answer."""
    with pytest.raises(NetworkError):
        judge_introspection(CONFIG, answer(body))


def nested(config, response):
    """The judge of a provider that nests its tokens, and its errors."""
    inner = replace(config, token_response_path=("inner",))
    return judge_token_response(
        inner, answer(b'{"inner": ' + response.body + b"}", response.status)
    )


ASKING = (
    *(judge_token_response, judge_device_response, judge_push, judge_poll),
    *(judge_introspection, nested),
)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_client", "error_description": "client cli with hunter-two is unknown"},
        {"error": "hunter-two", "error_description": "AADSTS50005: hunter-two"},
        {"error": "invalid_grant", "error_description": "hunter-two"},
        {"error": "hunter-two"},
        {"error": "bad_hunter-two", "error_description": "x"},
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("asking", ASKING)
def test_a_client_secret_that_the_provider_quotes_is_not_shown(asking, body, status):
    """However short it is, and wherever in the error it stands."""
    config = replace(CONFIG, client_secret="hunter-two")
    with pytest.raises((ProviderError, NetworkError)) as caught:
        asking(config, answer(body, status))
    assert "hunter" not in f"{caught.value} {caught.value.__dict__}"


@pytest.mark.parametrize("status", [400, 401, 500])
@pytest.mark.parametrize("said", ["error", "error_description"])
def test_a_refused_revocation_does_not_show_the_client_secret(said, status):
    """The client proves itself there as at the token endpoint (RFC 7009 §2.1)."""
    config = replace(CONFIG, client_secret="hunter-two")
    with pytest.raises((ProviderError, NetworkError)) as caught:
        judge_revocation(config, answer({"error": "invalid_client", said: "hunter-two"}, status))
    assert "hunter" not in f"{caught.value} {caught.value.__dict__}"


@pytest.mark.parametrize(
    ("changed", "code", "options"),
    [
        ({}, "invalid_client", ("--client-id", "ID")),
        ({}, "BAD-CLIENT-ID", ("--client-id", "ID")),
        (
            {"client_secret": "s3cret"},
            "incorrect_client_credentials",
            ("--client-id", "ID", "--client-secret-file", "FILE"),
        ),
        ({}, "invalid_grant", None),
        ({}, "access_denied", None),
        ({"registration_url": "https://a.test/clients"}, "invalid_client", None),
        ({"service_name": "https://mcp.acme.test/mcp"}, "invalid_client", None),
    ],
)
def test_a_refusal_of_the_client_names_the_setting(changed, code, options):
    """Where the client is a setting: one that registered itself has none to correct."""
    config = replace(CONFIG, **{"client_secret": None, **changed})
    hint = hint_of_refusal(config, code)
    assert (hint.options if hint else None) == options
