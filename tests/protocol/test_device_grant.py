"""The device authorization grant."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from logins import BY_DEVICE, CONFIG, NOW
from recorded import answer, recorded
from stayfast.engine.errors import ConfigMissing, NetworkError, ProviderError
from stayfast.engine.oauth.device import (
    DEFAULT_INTERVAL,
    PollAnswer,
    PollKind,
    PollSchedule,
    device_request,
    judge_device_response,
    judge_poll,
    poll_request,
)
from stayfast.engine.oauth.setting_types import DEVICE_GRANT_TYPE as GRANT_TYPE
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.secret import Secret

DEVICE = replace(CONFIG, device_url="https://login.acme.example/device", client_secret=None)
GRANT = BY_DEVICE.device
assert GRANT is not None
EXAMPLE = {  # RFC 8628 §3.2
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://example.com/device",
    "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}


def granted(**changes):
    """The grant of the RFC's example with other members; ``None`` takes one out."""
    body = {k: v for k, v in {**EXAMPLE, **changes}.items() if v is not None}
    return judge_device_response(DEVICE, answer(body))


def test_the_request_asks_for_the_scopes_as_this_client():
    """RFC 8628 §3.1."""
    request = device_request(replace(DEVICE, audience="api"))

    assert request.url == DEVICE.device_url
    assert parse_qs(request.body.decode()) == {
        "client_id": ["acme-cli"],
        "scope": ["read write"],
        "audience": ["api"],
    }


def test_without_the_endpoint_it_is_a_missing_setting():
    """Not every provider has one."""
    with pytest.raises(ConfigMissing):
        device_request(CONFIG)


def test_the_answer_of_the_rfc_is_read():
    """RFC 8628 §3.2; the device code is a secret, the rest is shown."""
    grant = granted()

    assert grant.device_code == Secret(EXAMPLE["device_code"])
    assert grant.user_code == "WDJB-MJHT"
    assert grant.verification_uri == "https://example.com/device"
    assert grant.verification_uri_complete == "https://example.com/device?user_code=WDJB-MJHT"
    assert (grant.expires_at, grant.interval) == (NOW + 1800, 5)
    assert EXAMPLE["device_code"] not in repr(grant)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(None, DEFAULT_INTERVAL), ("7", 7), (0, 5), (-3, 5), ("x", 5), (10**9, 3600)],
)
def test_an_interval_that_makes_no_sense_is_the_default(interval, expected):
    """Five seconds where none is named."""
    assert granted(interval=interval).interval == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"device_code": None}, {"device_code": ""}, {"device_code": 7},
        {"device_code": "\ud800"}, {"device_code": "a\r\nb"}, {"device_code": "☃"},
        {"user_code": None}, {"user_code": ""}, {"user_code": "A\x1b[31mB"}, {"user_code": "x" * 65},
        {"expires_in": None}, {"expires_in": 0}, {"expires_in": "soon"},
        {"verification_uri": None}, {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://"}, {"verification_uri": "https://a.example/\x07"},
        {"verification_uri": "https://a.example/\u202emoc.live"}, {"verification_uri": "https://[x"},
        {"verification_uri": "a.example/device"}, {"verification_uri": 7},
        {"verification_uri": "http://a.example/device"},
    ],
)  # fmt: skip
def test_what_cannot_be_shown_to_a_person_is_refused(changes):
    """Codes and addresses go to a terminal; a code without an end cannot be waited for."""
    with pytest.raises(ProviderError):
        granted(**changes)


@pytest.mark.parametrize("lifetime", [None, 0, "soon"])
def test_without_a_lifetime_the_login_ends_the_code(lifetime):
    """A provider that names no lifetime, or one of 0, never ends before the login's own deadline."""
    body = {k: v for k, v in {**EXAMPLE, "expires_in": lifetime}.items() if v is not None}

    assert judge_device_response(DEVICE, answer(body), NOW + 900).expires_at > NOW + 900


def test_what_is_missing_is_named():
    """The message has the names of the members that a provider left out."""
    with pytest.raises(ProviderError, match="device_code or verification_uri"):
        granted(device_code=None, verification_uri=None)


def test_a_complete_address_that_cannot_be_shown_is_left_out():
    """The short address does."""
    assert granted(verification_uri_complete="file:///etc/passwd").verification_uri_complete is None


def test_a_poll_carries_the_device_code():
    """RFC 8628 §3.4."""
    request = poll_request(DEVICE, GRANT)

    assert request.url == DEVICE.token_url
    assert parse_qs(request.body.decode()) == {
        "grant_type": [GRANT_TYPE],
        "device_code": ["canary-device-code"],
        "client_id": ["acme-cli"],
    }
    assert "canary" not in repr(request)


@pytest.mark.parametrize("status", [200, 400, 403, 428])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "authorization_pending"}, PollAnswer(PollKind.PENDING)),
        ({"error": "slow_down"}, PollAnswer(PollKind.SLOW_DOWN)),
        ({"error": "slow_down", "interval": 20}, PollAnswer(PollKind.SLOW_DOWN, 20)),
        ("error=slow_down&interval=20", PollAnswer(PollKind.SLOW_DOWN, 20)),
        ({"error": {"code": "authorization_pending"}}, PollAnswer(PollKind.PENDING)),
        ({"error": "AUTHORIZATION_PENDING"}, PollAnswer(PollKind.PENDING)),
        ({"error": "access_denied"}, PollAnswer(PollKind.DENIED)),
        ({"error": "authorization_declined"}, PollAnswer(PollKind.DENIED)),
        ({"error": "expired_token"}, PollAnswer(PollKind.EXPIRED)),
        ({"error": "token_expired"}, PollAnswer(PollKind.EXPIRED)),
    ],
)
def test_a_poll_is_answered_by_one_of_four_words(status, body, expected):
    """RFC 8628 §3.5, in the spellings that are in use, whatever the status."""
    assert judge_poll(DEVICE, answer(body, status)) == expected


def test_a_poll_may_bring_tokens():
    """The answer of a token endpoint."""
    tokens = judge_poll(DEVICE, answer({"access_token": "a", "expires_in": 60}))

    assert isinstance(tokens, OAuthTokens)
    assert tokens.expires_at == NOW + 60


def test_too_many_requests_is_slow_down():
    """HTTP's own word for it, with its own interval."""
    assert judge_poll(DEVICE, answer(b"", 429, **{"retry-after": "30"})) == PollAnswer(
        PollKind.SLOW_DOWN, 30
    )


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_grant"}, ProviderError),
        (400, {"error": "bad_verification_code"}, ProviderError),
        (401, {"error": "invalid_client"}, ProviderError),
        (400, b"", NetworkError),
        (500, {"error": "authorization_pending"}, NetworkError),
        (502, "<html>", NetworkError),
        (200, "<html>", NetworkError),
        (503, b"", NetworkError),
    ],
)
def test_any_other_code_stops_and_trouble_does_not(status, body, error):
    """RFC 8628 §3.5: only the four words and time-outs go on."""
    with pytest.raises(error):
        judge_poll(DEVICE, answer(body, status))


WALL = 1_800_000_000.0


def due(schedule: PollSchedule) -> float:
    """When the next poll is due, by a clock that started with the other one."""
    return schedule.left(0.0, WALL)


def test_every_poll_waits_a_whole_interval_first():
    """Also the first one."""
    schedule = PollSchedule(GRANT, 100.0, WALL + 100.0)
    assert due(schedule) == 105.0
    schedule.pending(107.0, WALL + 107.0)
    assert due(schedule) == 112.0


def test_slow_down_adds_five_seconds_for_good():
    """RFC 8628 §3.5; a new interval of the provider counts if it is longer."""
    schedule = PollSchedule(GRANT, 0.0, WALL)
    schedule.slow_down(5.0, WALL + 5.0)
    assert due(schedule) == 15.0
    schedule.pending(15.0, WALL + 15.0)
    assert due(schedule) == 25.0
    schedule.slow_down(25.0, WALL + 25.0, 30.0)
    assert due(schedule) == 55.0
    schedule.slow_down(55.0, WALL + 55.0, 1.0)
    assert due(schedule) == 90.0
    schedule.pending(90.0, WALL + 90.0)
    assert due(schedule) == 125.0


def test_time_outs_double_the_wait_until_an_answer_comes():
    """Exponential back-off, to two minutes, and back to the interval afterwards."""
    schedule = PollSchedule(GRANT, 0.0, WALL)
    waits = []
    for _ in range(7):
        schedule.unanswered(0.0, WALL + 0.0)
        waits.append(due(schedule))
    schedule.pending(0.0, WALL + 0.0)
    assert waits == [10, 20, 40, 80, 120, 120, 120]
    assert due(schedule) == 5

    schedule.unanswered(0.0, WALL + 0.0)
    schedule.slow_down(0.0, WALL + 0.0)
    assert due(schedule) == 10


def test_back_off_never_goes_below_the_providers_interval():
    """An interval longer than the bound of the back-off is obeyed."""
    schedule = PollSchedule(replace(GRANT, interval=300.0), 0.0, WALL)
    schedule.unanswered(0.0, WALL + 0.0)

    assert due(schedule) == 300


def test_recorded_device_answers_are_read():
    """GitHub's new interval and its word for expiry, Google's address, Microsoft's strings."""
    github = judge_device_response(DEVICE, recorded("github-device"))
    google = judge_device_response(DEVICE, recorded("google-device"))
    microsoft = judge_device_response(DEVICE, recorded("microsoft-device"))

    assert (github.user_code, github.expires_at) == ("WDJB-MJHT", NOW + 899)
    assert google.verification_uri == "https://www.google.com/device"
    assert (microsoft.expires_at, microsoft.interval) == (NOW + 900, 5)
    assert microsoft.verification_uri_complete is None
    for name, expected in {
        "github-device-slow-down": PollAnswer(PollKind.SLOW_DOWN, 15),
        "github-device-expired": PollAnswer(PollKind.EXPIRED),
        "google-device-pending": PollAnswer(PollKind.PENDING),
        "microsoft-device-declined": PollAnswer(PollKind.DENIED),
    }.items():
        assert judge_poll(DEVICE, recorded(name)) == expected


def test_an_app_without_the_device_flow_is_told_so():
    """GitHub's own code is passed on."""
    with pytest.raises(ProviderError) as caught:
        judge_device_response(DEVICE, recorded("github-device-disabled"))

    assert caught.value.oauth_error == "device_flow_disabled"
