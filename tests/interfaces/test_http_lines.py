"""What -vv shows of HTTP, and what it does not."""

from __future__ import annotations

import pytest
from stayfast.engine.errors import NetworkError
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.interfaces.cli.terminal.http_lines import HttpLines
from stayfast.interfaces.cli.terminal.tty import Terminal

SECRET = "canary"


def test_nothing_secret_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Method, address, status, time and harmless headers; every other value is hidden."""
    request = HttpRequest(
        method="POST",
        url=f"https://{SECRET}@idp.test/token?code={SECRET}",
        headers={"Authorization": SECRET, "DPoP": SECRET, "Accept": "application/json"},
        body=f"grant_type=refresh_token&refresh_token={SECRET}&new={SECRET}&scope=read".encode(),
    )
    headers = {"Set-Cookie": SECRET, "Content-Type": "application/json", "Location": SECRET}
    answer = HttpResponse(status=200, headers=headers, body=SECRET.encode(), received_at=0.0)
    lines = HttpLines(Terminal(verbose=2))
    lines.show(request, answer, 0.25)
    lines.show(request, NetworkError("no answer"), 1.0)
    shown = capsys.readouterr().err
    assert SECRET not in shown
    for said in (
        "POST https://idp.test/token", "200", "250 ms", "grant_type=refresh_token", "scope=read",
        "Accept: application/json", "Content-Type: application/json", "refresh_token=(hidden)",
    ):  # fmt: skip
        assert said in shown
