"""Errands sent by the courier: the way every code, device code and refresh token takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import StorageConflict
from ..ports import Verdict
from ..record import TokensNotSaved
from ..table import State
from .exchange import Exchange, Refreshing
from .job import Errand, ErrandKind

if TYPE_CHECKING:
    from ..ports import Lease
    from ..record import Login
    from .dependencies import Parts
    from .job import ErrandOutcome


class Errands:
    """Hands errands to the courier, and performs them where the courier says."""

    def __init__(self, parts: Parts) -> None:
        """Work with ``parts``."""
        self._parts = parts
        self._exchange = Exchange(parts)
        self._refreshing = Refreshing(parts)

    def send_code(self, login: Login, lease: Lease, *, again: bool = False) -> Login:
        """Have the saved code of ``login`` exchanged; see :meth:`Exchange.send_code`."""
        return self._login(Errand(kind=ErrandKind.CODE, login=login, lease=lease, again=again))

    def refresh(self, login: Login, lease: Lease, *, again: bool = False) -> Login:
        """Have the tokens of ``login`` refreshed; see :meth:`Refreshing.send`."""
        return self._login(Errand(kind=ErrandKind.REFRESH, login=login, lease=lease, again=again))

    def poll(self, login: Login, lease: Lease) -> Login | Verdict:
        """Have one poll sent for ``login``; see :meth:`Exchange.poll`."""
        return self._carried(Errand(kind=ErrandKind.POLL, login=login, lease=lease))

    def perform(self, errand: Errand) -> ErrandOutcome:
        """Run ``errand`` here and now: what a courier calls, in whichever process.

        One that may have been run before is not run again if its answer was saved since.

        Raises:
            StayfastError: As the errand turns out.
        """
        try:
            return self._perform(errand)
        except TokensNotSaved as error:
            self._bind(errand, error)
            raise

    def _perform(self, errand: Errand) -> ErrandOutcome:
        login, lease = errand.login, errand.lease
        if errand.again:
            done = self._done(login)
            if done is not None:
                return done
        if errand.kind is ErrandKind.CODE:
            return self._exchange.send_code(login, lease, again=errand.again)
        if errand.kind is ErrandKind.REFRESH:
            return self._refreshing.send(login, lease, again=errand.again)
        return self._exchange.poll(login, lease)

    def _login(self, errand: Errand) -> Login:
        outcome = self._carried(errand)
        if isinstance(outcome, Verdict):  # only a poll ends with one
            msg = f"the errand for login {errand.login.short_id} came back without a login"
            raise StorageConflict(msg, hint="stayfast status")
        return outcome

    def _carried(self, errand: Errand) -> ErrandOutcome:
        try:
            return self._parts.courier.carry(errand, self.perform)
        except TokensNotSaved as error:
            self._bind(errand, error)  # it may come from another process, which is gone
            raise

    def _bind(self, errand: Errand, error: TokensNotSaved) -> None:
        arrived = error.login
        error.save_again = lambda: self._save(errand, arrived)

    def _save(self, errand: Errand, arrived: Login) -> Login:
        if errand.kind is ErrandKind.REFRESH:
            return self._refreshing.save(errand.login, arrived, errand.lease)
        return self._exchange.save(errand.login, arrived, errand.lease)

    def _done(self, login: Login) -> Login | None:
        """``login`` as another run of its errand has left it, if that is finished."""
        current = self._parts.storage.read(login.id)
        if current is None or current.version == login.version:
            return None
        if current.state is State.AUTHENTICATED:
            return current
        msg = f"login {login.short_id} has changed meanwhile: it is {current.state.value}"
        raise StorageConflict(msg, hint=f"stayfast status {login.provider}")
