"""Refusals of the device flow itself: recognised, said without the provider's paragraph."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stayfast.engine.errors import NetworkError, ProviderError
from stayfast.engine.oauth.device import PollAnswer, PollKind, judge_device_response, judge_poll
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import HttpResponse

CONFIG = OAuthConfig(
    service_name="acme",
    client_id="c",
    auth_url="https://login.acme.example/authorize",
    token_url="https://login.acme.example/token",
    device_url="https://login.acme.example/device",
)
TRACE = "2f3a9c51-canary-trace"


def answer(error: str, description: str = "", status: int = 400) -> HttpResponse:
    members: dict[str, Any] = {"error": error, "error_description": description}
    return HttpResponse(
        status=status, headers={}, body=json.dumps(members).encode(), received_at=1.8e9
    )


def entra(number: int) -> str:
    """A description in the shape of Microsoft Entra's."""
    return f"AADSTS{number}: Canary text about ada@acme.example. Trace ID: {TRACE}"


@pytest.mark.parametrize(
    ("error", "description", "number"),
    [
        ("invalid_grant", entra(53003), "AADSTS53003"),
        ("invalid_grant", entra(530033), "AADSTS530033"),
        ("interaction_required", entra(53000), "AADSTS53000"),
        ("invalid_grant", entra(50076), "AADSTS50076"),
        ("access_denied", entra(50105), "AADSTS50105"),
        ("invalid_client", entra(7000218), "AADSTS7000218"),
        ("access_denied", "Policy evaluation failed for this request, canary", ""),
        ("access_denied", "Blocked by the canary access policy", ""),
        ("admin_policy_enforced", "", ""),
        ("unauthorized_client", "Grant type 'device_code' not allowed for the client.", ""),
    ],
)
def test_a_policy_is_said_with_the_way_that_may_work(
    error: str, description: str, number: str
) -> None:
    """Asked for a code or polled: the hint is another transport; of theirs only the number stays."""
    for judged in (judge_device_response, judge_poll):
        with pytest.raises(ProviderError) as caught:
            judged(CONFIG, answer(error, description))
        assert caught.value.oauth_error == error
        assert caught.value.hint == "stayfast login acme --via loopback"
        assert number in caught.value.message
        for private in (TRACE, "ada@", "canary", "Canary"):
            assert private not in caught.value.message


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        ("access_denied", "", PollKind.DENIED),
        ("access_denied", "The user did not consent", PollKind.DENIED),
        ("authorization_pending", "AADSTS70016: authorization is pending", PollKind.PENDING),
        ("slow_down", "", PollKind.SLOW_DOWN),
        ("expired_token", "AADSTS70020: the code has expired", PollKind.EXPIRED),
    ],
)
def test_the_users_own_answers_are_none_of_these(
    error: str, description: str, kind: PollKind
) -> None:
    """A user who declines, and a poll that is early, are not taken for a policy."""
    assert judge_poll(CONFIG, answer(error, description)) == PollAnswer(kind)


def test_a_provider_in_trouble_has_not_refused() -> None:
    """With status 500 nothing is settled, whatever the words."""
    with pytest.raises(NetworkError):
        judge_poll(CONFIG, answer("access_denied", entra(53003), status=503))
