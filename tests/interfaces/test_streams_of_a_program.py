"""The library in a program whose standard streams are closed, absent, full or not its own."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from stayfast.engine.oauth.provider import OAuthProvider
from stayfast.engine.ports import Notice, NoticeKind
from stayfast.engine.result import ErrorCode, Failure, Success
from stayfast.interfaces.catalogue import OAUTH_PROVIDERS
from stayfast.interfaces.service import OAuthService
from stayfast.interfaces.transport_maker import LineConversation
from stayfast.storage import MemoryStorage


def closed() -> Any:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


def detached() -> Any:
    stream = io.TextIOWrapper(io.BytesIO(b""))
    stream.detach()
    return stream


class Notebook(io.StringIO):
    """Has no terminal, and says so by an error of its own."""

    def read(self, size: int | None = -1, /) -> NoReturn:
        raise RuntimeError("no input here")


class Failing(io.StringIO):
    """Fails as the system would."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str, /) -> NoReturn:
        raise self.error


INPUTS: dict[str, Callable[[], Any]] = {
    "absent": lambda: None,
    "closed": closed,
    "detached": detached,
    "empty text": io.StringIO,
    "notebook": Notebook,
}
OUTPUTS: dict[str, Callable[[], Any]] = {
    "absent": lambda: None,
    "closed": closed,
    "detached": detached,
    "full": lambda: Failing(OSError(28, "No space left on device")),
    "broken pipe": lambda: Failing(BrokenPipeError(32, "Broken pipe")),
}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> OAuthService:
    """A program with a provider of its own."""
    provider = OAuthProvider(
        service_name="acme", auth_url="https://p.test/a", token_url="https://p.test/t"
    )
    monkeypatch.setitem(OAUTH_PROVIDERS, "acme", provider.to_config("cid"))
    return OAuthService(storage=MemoryStorage())


@pytest.mark.parametrize("odd", INPUTS.values(), ids=INPUTS)
def test_a_login_by_paste_without_an_input_is_a_failure(
    service: OAuthService, odd: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is raised; the login stays and can be completed in another way."""
    monkeypatch.setattr(sys, "stdin", odd())
    answer = service.authenticate("acme", via="manual", open_browser=False, timeout=5)

    assert isinstance(answer, Failure)
    assert answer.code is ErrorCode.TRANSPORT_UNAVAILABLE


def test_an_input_without_octets_is_read(
    service: OAuthService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text stream that the program put there is taken as it is."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("http://127.0.0.1:8080/callback?code=a&state=b"))
    answer = service.authenticate("acme", via="manual", open_browser=False, timeout=5)
    assert isinstance(answer, Failure)


@pytest.mark.parametrize("odd", OUTPUTS.values(), ids=OUTPUTS)
def test_what_cannot_be_told_changes_nothing(
    service: OAuthService,
    odd: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Beginning a login and showing a notice go on; nothing goes to standard output instead."""
    monkeypatch.setattr(sys, "stderr", odd())
    assert isinstance(service.begin("acme"), Success)
    LineConversation().show(Notice(kind=NoticeKind.OPEN, url="https://p.test/a?state=x"))
    assert capsys.readouterr().out == ""


def test_begin_leaves_the_conversation_to_the_program(
    service: OAuthService, capsys: pytest.CaptureFixture[str]
) -> None:
    """It writes nothing: the address holds the state of the login."""
    assert isinstance(service.begin("acme"), Success)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_notice_is_shown_in_the_letters_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoding without a letter of the address does not hide the rest."""
    octets = io.BytesIO()
    out = io.TextIOWrapper(octets, encoding="ascii")
    LineConversation(out).show(Notice(kind=NoticeKind.MISTAKE, message="Soci\u00e9t\u00e9"))
    assert octets.getvalue() == b"Soci?t?\n"


@pytest.mark.parametrize("kind", [NoticeKind.PASTE, NoticeKind.CODE])
@pytest.mark.parametrize(("seconds", "said"), [(600, "10"), (45, "45"), (None, None)])
def test_what_a_user_has_to_do_says_how_long_there_is(
    kind: NoticeKind, seconds: float | None, said: str | None
) -> None:
    """A line counts nothing down, so it has the time from the start; a time nobody knows is not there."""
    out = io.StringIO()
    ends = None if seconds is None else time.time() + seconds + 0.4
    notice = Notice(kind=kind, url="https://p.test/", user_code="AB", expires_at=ends)
    LineConversation(out).show(notice)
    numbers = [word for word in out.getvalue().split() if word.isdecimal()]
    assert numbers == ([said] if said else [])
