"""Jobs sent by the courier: the way every code, device code and refresh token takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import StorageConflict, StorageError
from ..hints import Hint
from ..ports import Verdict
from ..record import TokensNotSaved
from ..table import State
from .dependencies import made_once
from .job import Job, JobKind

if TYPE_CHECKING:
    from ..ports import Lease
    from ..record import Login
    from .code_exchange import CodeExchange
    from .dependencies import Dependencies
    from .grant_exchange import GrantExchange
    from .job import JobOutcome
    from .refresh_exchange import RefreshExchange


class Jobs:
    """Hands jobs to the courier, and performs them where the courier says."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Hand the jobs to their courier."""
        self._dependencies = dependencies

    @made_once
    def _code_exchange(self) -> CodeExchange:
        from .code_exchange import CodeExchange  # noqa: PLC0415  each job has need of one of the three

        return CodeExchange(self._dependencies)

    @made_once
    def _grant_exchange(self) -> GrantExchange:
        from .grant_exchange import GrantExchange  # noqa: PLC0415  as above

        return GrantExchange(self._dependencies, self._code_exchange)

    @made_once
    def _refresh_exchange(self) -> RefreshExchange:
        from .refresh_exchange import RefreshExchange  # noqa: PLC0415  as above

        return RefreshExchange(self._dependencies)

    def send_code(self, login: Login, lease: Lease, *, again: bool = False) -> Login:
        """Have the saved code of ``login`` exchanged; see :meth:`CodeExchange.send_code`."""
        return self._login(Job(kind=JobKind.CODE, login=login, lease=lease, again=again))

    def send_grant(self, login: Login, lease: Lease, *, again: bool = False) -> Login:
        """Have tokens asked for by the grant of ``login``, for the first time or anew."""
        return self._login(Job(kind=JobKind.GRANT, login=login, lease=lease, again=again))

    def refresh(self, login: Login, lease: Lease, *, again: bool = False) -> Login:
        """Have the tokens of ``login`` refreshed; see :meth:`RefreshExchange.send`."""
        return self._login(Job(kind=JobKind.REFRESH, login=login, lease=lease, again=again))

    def poll(self, login: Login, lease: Lease) -> Login | Verdict:
        """Have one poll sent for ``login``; see :meth:`CodeExchange.poll`."""
        return self._carried(Job(kind=JobKind.POLL, login=login, lease=lease))

    def perform(self, job: Job) -> JobOutcome:
        """Run ``job`` here and now: what a courier calls, in whichever process.

        One that may have been run before is not run again if its answer was saved since.

        Raises:
            StayfastError: As the job turns out.
        """
        try:
            return self._perform(job)
        except TokensNotSaved as error:
            self._bind(job, error)
            raise

    def _perform(self, job: Job) -> JobOutcome:
        if job.again:
            done = self._done(job.login)
            if done is not None:
                return done
        exchange = self._exchange(job)
        if job.arrived is not None:
            return exchange.keep(job, job.arrived)
        return exchange.perform(job)

    def _exchange(self, job: Job) -> CodeExchange | GrantExchange | RefreshExchange:
        if job.kind is JobKind.REFRESH or job.login.tokens is not None:
            return self._refresh_exchange
        return self._grant_exchange if job.kind is JobKind.GRANT else self._code_exchange

    def _login(self, job: Job) -> Login:
        outcome = self._carried(job)
        if isinstance(outcome, Verdict):  # only a poll ends with one
            msg = f"the job for login {job.login.short_id} came back without a login"
            raise StorageConflict(msg, hint=Hint("status"))
        return outcome

    def _carried(self, job: Job) -> JobOutcome:
        self._exchange(job)  # loaded before a courier is forked, which gets it with the rest
        try:
            return self._dependencies.courier.carry(job, self.perform)
        except TokensNotSaved as error:
            self._bind(job, error)  # it may come from another process
            if error.kept is None:
                return self._saved_here(error)
            raise

    @staticmethod
    def _saved_here(error: TokensNotSaved) -> Login:
        """Save or keep what another process could not: its descriptors and limits are its own."""
        try:
            return error.save_again()
        except StorageError as again:
            error.kept = again.kept
            raise error from again

    def _bind(self, job: Job, error: TokensNotSaved) -> None:
        arrived = error.login
        error.save_again = lambda: self._save(job, arrived)

    def _save(self, job: Job, arrived: Login) -> Login:
        """Save ``arrived``; or give what was saved, if another process has done it meanwhile.

        Raises:
            StorageConflict: The login has gone on without these tokens.
            StorageError: They still cannot be saved.
        """
        try:
            return self._exchange(job).save(job, arrived)
        except StorageConflict:
            current = self._dependencies.storage.read(job.login.id)
            if current is None or current.tokens != arrived.tokens:
                raise
            return current

    def _done(self, login: Login) -> Login | None:
        """``login`` as another run of its job has left it, if that is finished."""
        current = self._dependencies.storage.read(login.id)
        if current is None or current.version == login.version:
            return None
        if current.state is State.AUTHENTICATED:
            return current
        msg = f"login {login.short_id} has changed meanwhile: it is {current.state.value}"
        raise StorageConflict(msg, hint=Hint("status", login.provider))
