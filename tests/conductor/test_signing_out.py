"""What is said of each token when somebody signs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from conductors import conductor_over
from logins import CONFIG, TOKENS, login_in
from recorded import answer
from stayfast.engine.audit.events import Event
from stayfast.engine.errors import NetworkError
from stayfast.engine.ports import Change, HttpRequest, HttpResponse
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import origin

OK = answer(b"", 200)


def no(code: str) -> HttpResponse:
    """A readable refusal."""
    return answer({"error": code}, 400)


class Revocation:
    """A revocation endpoint that gives its answers in order; ``None`` is no answer."""

    def __init__(self, answers: Sequence[HttpResponse | None]) -> None:
        self._answers = list(answers)

    def send(self, request: HttpRequest) -> HttpResponse:
        """The next answer."""
        assert request.url == "https://login.acme.example/revoke"
        given = self._answers.pop(0)
        if given is None:
            raise NetworkError("no answer")
        return given


@pytest.mark.parametrize(
    ("answers", "revoked", "refresh_lives", "access_lives"),
    [
        pytest.param([OK, OK], True, False, False, id="both revoked"),
        pytest.param([OK, no("invalid_token")], True, False, False, id="the first ended both"),
        pytest.param([OK, no("unsupported_token_type")], True, False, True,
                     id="access tokens end by themselves"),
        pytest.param([OK, no("invalid_client")], False, False, True, id="access token refused"),
        pytest.param([OK, None], False, False, True, id="trouble after the first"),
        pytest.param([no("unsupported_token_type"), OK], False, True, False,
                     id="refresh token refused, access token revoked"),
        pytest.param([no("invalid_token"), OK], True, False, False, id="refresh token gone before"),
        pytest.param([None], False, True, True, id="trouble at the first"),
    ],
)  # fmt: skip
def test_each_token_has_its_own_result(answers, revoked, refresh_lives, access_lives):
    """What is said to be valid at the provider may be, and what is said to be gone is gone."""
    storage = MemoryStorage()
    config = replace(CONFIG, revocation_url="https://login.acme.example/revoke")
    held = replace(login_in(State.AUTHENTICATED, version=1, tokens=TOKENS), config=config)
    now = held.changed_at
    storage.commit([Change(login=held, event=Event(time=now, event="test", origin=origin()))])
    ended = conductor_over(storage, http=Revocation(answers)).logout.sign_out(held)

    assert ended.revoked is revoked
    assert (ended.problem is None) is revoked
    assert (ended.refresh_token_valid, ended.access_token_valid) == (refresh_lives, access_lives)
    assert ended.login.tokens is None
