"""Answers that report success, cannot be read, and may hold tokens all the same.

The provider has acted: the code is spent, or the refresh token is replaced, and the tokens are in
that answer and nowhere else. So it is kept with the login, which means sealed. A version that can
read it does so when the login is resumed or refreshed, and the user can have it shown. A code is
not sent a second time: that would revoke the tokens in the answer (RFC 6749 §4.1.2).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from ..errors import NetworkError, ProviderError, StayfastError
from ..hints import Hint
from ..oauth.provider_response import may_hold_tokens
from ..ports import HttpResponse
from ..reasons import Reason
from ..record import UnreadAnswer
from ..secret import Secret

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..record import Login

KEPT_FOR: Final = 86400.0
"""Seconds a pending login stays for the sake of its answer: long enough to install a newer version."""
LIMIT: Final = 64 * 1024
"""Octets of an answer that are kept. The cut end of a longer one is lost."""


@contextmanager
def reading() -> Generator[None]:
    """Read an answer in the block. What nobody foresaw there makes it an answer that cannot be read.

    It may hold tokens, which must not be lost because a library could not be loaded, no descriptor
    was left or a check failed in itself.

    Raises:
        NetworkError: Reading failed in a way of its own.
    """
    try:
        yield
    except StayfastError:
        raise
    except Exception as error:
        raise NetworkError(
            f"the answer could not be read on this machine ({type(error).__name__})"
        ) from error


def worth_keeping(config: OAuthConfig, response: HttpResponse) -> UnreadAnswer | None:
    """What to keep of an answer that cannot be used; ``None`` if it plainly holds no tokens."""
    if not may_hold_tokens(response, config):
        return None
    return UnreadAnswer(
        status=response.status,
        received_at=response.received_at,
        body=Secret(response.body[:LIMIT].decode("latin-1")),
        content_type=response.headers.get("content-type"),
        date=response.headers.get("date"),
    )


def as_it_came(answer: UnreadAnswer) -> HttpResponse:
    """The answer, to be read once more."""
    headers = {"content-type": answer.content_type, "date": answer.date}
    return HttpResponse(
        status=answer.status,
        headers={name: value for name, value in headers.items() if value is not None},
        body=answer.body.reveal().encode("latin-1"),
        received_at=answer.received_at,
    )


def show_hint(login: Login) -> Hint:
    """The command that prints the answer."""
    return Hint("status --show-answer", login=login.short_id)


def unread_error(login: Login) -> ProviderError:
    """What to raise for a login whose code has such an answer."""
    status = login.unread.status if login.unread else None
    error = ProviderError(
        f"{login.provider} accepted the code, and its answer cannot be used; "
        f"the answer is kept, sealed, with login {login.short_id}",
        hint=show_hint(login),
        status=status,
        reason=Reason.ANSWER_UNREADABLE.value,
    )
    error.why = (
        "the code is spent and is not sent again; "
        f"a newer version may read the answer when login {login.short_id} is resumed"
    )
    return error
