"""Tokens that were read a moment ago and still serve, kept in memory until anything is saved.

A program that calls an API asks for the token before every request. Reading it from the storage
opens and checks a sealed row each time. So the login is kept after it was read, together with what
:class:`~stayfast.storage.capabilities.Glance` showed before. The next call looks again; if it sees the same,
nothing was saved, by this process or another, and the kept login is the stored one.

It is kept for as long as :meth:`~stayfast.engine.flows.refresh.Refresh.undisturbed` says. After that, or by
another clock, the call takes the whole way again. No lock is held: a kept login never changes, and
a dictionary hands it out whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..engine.errors import StayfastError
from ..engine.oauth.token_endpoint import bearer_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.audit.events import Recorded
    from ..engine.ports import Clock
    from ..engine.record import Login
    from ..engine.result import Success
    from ..storage.capabilities import Glance

_MOST: Final = 1024
"""Logins that are kept; a service of many users begins anew when it has as many."""


class _Kept:
    __slots__ = ("bearer", "end", "first", "login", "seen")

    def __init__(self, login: Login, first: float, end: float, seen: object) -> None:
        self.login = login
        self.first = first
        self.end = end
        self.seen = seen
        from ..engine.result import Success  # noqa: PLC0415  programs have it; the command keeps none

        self.bearer: Success[str] | None
        try:
            self.bearer = Success(bearer_token(login), hidden=True)
        except StayfastError:  # it cannot be handed out as it is; the whole way says why
            self.bearer = None


class TokensAtHand:
    """The logins of one assembly whose tokens serve now. Any number of threads may share it."""

    def __init__(self, glance: Glance | None, clock: Clock) -> None:
        """Keep nothing yet; and nothing at all where there is no ``glance``."""
        self._glance = glance
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._changes = 0

    def bearer(self, provider: str, account: str) -> Success[str] | None:
        """The answer of the last call, if it holds now; else ``None``."""
        kept = self._holding(provider, account)
        return None if kept is None else kept.bearer

    def login(self, provider: str, account: str) -> Login | None:
        """The login as it is stored, if it was read before and its token serves; else ``None``."""
        kept = self._holding(provider, account)
        return None if kept is None else kept.login

    def begin(self) -> tuple[int, object]:
        """What is to be given to :meth:`keep` after a login was read."""
        return self._changes, None if self._glance is None else self._glance.begin()

    def keep(self, login: Login, between: tuple[float, float], seen: tuple[int, object]) -> None:
        """Keep ``login``, if nothing was saved since :meth:`begin` gave ``seen``.

        Args:
            login: As it was read after that.
            between: From when on and until when it may be handed out, POSIX seconds.
            seen: What :meth:`begin` gave.
        """
        changes, look = seen
        if self._glance is None or look != self._glance.begin():
            return
        if len(self._kept) >= _MOST:
            self._kept.clear()
        name = login.provider, login.account
        self._kept[name] = _Kept(login, *between, look)
        if changes != self._changes:  # this process saved something meanwhile
            self._kept.pop(name, None)

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """See :class:`stayfast.engine.ports.Observer`: forget what was changed through this process.

        A glance at a storage that is far away may show that later.
        """
        self._changes += 1
        for one in recorded:
            members = one.members
            self._kept.pop((str(members.get("provider")), str(members.get("account"))), None)
        if login is not None:
            self._kept.pop((login.provider, login.account), None)

    def _holding(self, provider: str, account: str) -> _Kept | None:
        try:
            kept = self._kept.get((provider, account))
        except TypeError:  # no names: the whole way says so
            return None
        if kept is None or self._glance is None:
            return None
        if kept.first <= self._clock.now() < kept.end and kept.seen == self._glance.look():
            return kept
        self._kept.pop((provider, account), None)  # a secret that no longer holds does not linger
        return None
