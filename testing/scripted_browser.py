"""A browser whose user is a script: signs in, declines, or only looks at the page.

::

    browser = ScriptedBrowser()
    service = OAuthService(browser=browser, conversation=browser, …)
    service.authenticate("acme")      # the user says yes
    browser.user = "declines"
    service.authenticate("acme")      # and now no
    browser.close()
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias, get_args

import requests

from .user_agent import approve, decide_device, deny

if TYPE_CHECKING:
    from ..engine.ports import Notice

User: TypeAlias = Literal["approves", "declines", "leaves"]
"""What the user does at the provider's page; one who ``leaves`` never answers."""

_PATIENCE: Final = 60.0


class ScriptedBrowser:
    """Stands for the browser and for the terminal beside it: give it as both.

    A page is answered in a thread of its own, as a browser is a process of its own. What is shown
    with a code (RFC 8628) is answered, too.

    Attributes:
        addresses: Every address that was opened or shown to be opened, in order.
    """

    def __init__(self, user: User = "approves") -> None:
        """A browser in front of ``user``."""
        self.user = user
        self.addresses: list[str] = []
        self._visits: list[threading.Thread] = []

    @property
    def user(self) -> User:
        """What the user does from now on.

        Raises:
            ValueError: It is set to something that no user does.
        """
        return self._user

    @user.setter
    def user(self, user: User) -> None:
        if user not in get_args(User):
            msg = f"a user {', '.join(get_args(User))}: {user!r} is none of these"
            raise ValueError(msg)
        self._user: User = user

    def open(self, url: str) -> str | None:
        """Open ``url``; the user answers what is there."""
        self.addresses.append(url)
        if self.user != "leaves":
            self._visit(url, None, yes=self.user == "approves")
        return None

    def show(self, notice: Notice) -> None:
        """Show ``notice``; an address that no browser opened, and a code, are gone to by hand."""
        if notice.url is None or notice.opened:
            return
        self.addresses.append(notice.url)
        if self.user != "leaves":
            self._visit(notice.url, notice.user_code, yes=self.user == "approves")

    def close(self) -> None:
        """Wait until every page was answered."""
        for visit in self._visits:
            visit.join(_PATIENCE)
        self._visits.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _visit(self, url: str, user_code: str | None, *, yes: bool) -> None:
        def visit() -> None:
            try:
                if user_code is not None:
                    decide_device(url, user_code, approve=yes)
                else:
                    (approve if yes else deny)(url)
            except (requests.RequestException, LookupError):
                return  # as in any browser: the program has ended its wait, and shows why

        visiting = threading.Thread(target=visit, name="scripted-browser", daemon=True)
        self._visits.append(visiting)
        visiting.start()
