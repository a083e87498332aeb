"""What -vv shows of HTTP, and what it does not."""

from __future__ import annotations

import json

import pytest
from stayfast.engine.errors import NetworkError
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.interfaces.http_lines import http_lines

SECRET = "canary="
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MEMBERS = {
    "client_secret": SECRET,
    "grant_type": "refresh_token",
    "refresh_token": SECRET,
    "scope": "read",
}
ANSWER = HttpResponse(
    status=200,
    headers={"Set-Cookie": SECRET, "Content-Type": JSON, "Location": SECRET},
    body=SECRET.encode(),
    received_at=0.0,
)


def request(body: bytes, kind: str = FORM) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=f"https://{SECRET}@idp.test/token?code={SECRET}",
        headers={"Authorization": SECRET, "DPoP": SECRET, "Accept": JSON, "content-type": kind},
        body=body,
    )


@pytest.mark.parametrize(
    "sent",
    [
        request(b"grant_type=refresh_token&refresh_token=canary%3D&new=canary&scope=read"),
        request(json.dumps(MEMBERS).encode(), f"{JSON}; charset=utf-8"),
    ],
    ids=["form", "json"],
)
def test_nothing_secret_is_shown(sent: HttpRequest) -> None:
    """Method, address, status, time and harmless headers; every other value is hidden."""
    shown = "\n".join(http_lines(sent, ANSWER, 0.25) + http_lines(sent, NetworkError("none"), 1.0))
    assert "canary" not in shown
    for said in (
        "POST https://idp.test/token", "200", "250 ms", "grant_type=refresh_token", "scope=read",
        "Accept: application/json", "Content-Type: application/json", "refresh_token=(hidden)",
    ):  # fmt: skip
        assert said in shown


@pytest.mark.parametrize(
    "sent",
    [
        request(b"canary=canary&canary", "text/plain"),
        request(b"{canary=", JSON),
        request(b'["canary="]', JSON),
        request(b"scope=\xff&code=canary"),
        request(b"canary=canary", ""),
    ],
)
def test_a_body_of_another_kind_is_not_taken_apart(sent: HttpRequest) -> None:
    """Only its size is shown."""
    shown = "\n".join(http_lines(sent, ANSWER, 0.25))
    assert "canary" not in shown
    assert f"{len(sent.body)} octets" in shown


def test_the_lines_of_an_exchange_are_bounded() -> None:
    """A courier sends them home, and a provider chooses what its headers are."""
    headers = {f"x-{number}": "1" for number in range(10_000)} | {"server": "a" * 100_000}
    answer = HttpResponse(status=200, headers=headers, body=b"", received_at=0.0)
    sent = request(b"scope=" + b"a" * 100_000)
    assert sum(map(len, http_lines(sent, answer, 0.25))) < 100_000
