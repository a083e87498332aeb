"""A complete storage over the three methods that a program brings, for programs that need no resuming."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from ..engine.errors import ConfigInvalid, StayfastError, StorageError
from ..engine.oauth.tokens import OAuthTokens
from ..engine.summary import DEFAULT_ACCOUNT, account_alias
from ..engine.table import Trigger
from .capabilities import Capabilities
from .forks import whole_at_fork
from .memory import MemoryStorage
from .migrating import forget_login, import_tokens

if TYPE_CHECKING:
    from ..engine.audit.events import Event, Recorded
    from ..engine.oauth.provider import OAuthConfig
    from ..engine.ports import Change, Lease
    from ..engine.record import Login
    from ..engine.summary import Summary
    from .token_storage import TokenStorageProtocol


class TokenStorageAdapter:
    """Keeps the tokens of finished logins in ``tokens``, and everything else in memory.

    Logins under way and the audit log end with the process, and only threads of this process
    share one refresh: three methods cannot promise more.
    """

    def __init__(
        self, tokens: TokenStorageProtocol, config_for: Callable[[str], OAuthConfig]
    ) -> None:
        """Adapt ``tokens``.

        Args:
            tokens: The three methods.
            config_for: Returns the provider and the client of the tokens that are found there.
        """
        self._tokens = tokens
        self._config_for = config_for
        self._memory = MemoryStorage()
        self.guard = threading.RLock()
        whole_at_fork(self)

    def leave_to_parent(self) -> None:
        """In a forked child: no thread of the parent is inside."""
        self.guard = threading.RLock()

    @property
    def capabilities(self) -> Capabilities:
        """Entries, in memory: the three methods have no place for them.

        There is no glance: that of the memory would not see what others do to the program's tokens.
        """
        return self._memory.capabilities._replace(glance=None)

    @property
    def description(self) -> str:
        """The name of the class behind it."""
        return type(self._tokens).__name__

    def probe(self) -> None:
        """Do nothing: three methods offer no way to try a save."""

    def read(self, login_id: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.read`."""
        return self._memory.read(login_id)

    def find(self, alias: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.find`; the program's tokens win over those in memory."""
        kind, _, rest = alias.partition("\0")
        if kind != "account":
            return self._memory.find(alias)
        provider, _, account = rest.partition("\0")
        with self.guard:
            kept = self._load(provider, account)
            login = self._memory.find(account_alias(provider, account))
            if kept is None:
                if login is not None:
                    forget_login(self._memory, login)
                return None
            if login is not None and login.tokens is not None and _same(login.tokens, kept):
                return login
            config = login.config if login else self._config_for(provider)
            return import_tokens(self._memory, config, kept, account)

    def summaries(self) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.ports.Storage.summaries`: those this process has seen."""
        return self._memory.summaries()

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """See :meth:`stayfast.engine.ports.Storage.lease`: among the threads of this process."""
        return self._memory.lease(login_id, wait=wait, until=until)

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.commit`; the program keeps the tokens first.

        Raises:
            ConfigInvalid: A login begins whose tokens will be bound to a key (RFC 9449). Three
                methods have no place for it, and without it the tokens end with this process.
        """
        for change in changes:
            if change.login.proof_key is not None and change.event.trigger == Trigger.BEGIN.value:
                raise ConfigInvalid(
                    f"{self.description} keeps tokens alone, and the tokens of {change.login.provider}"
                    " would be bound to a key (DPoP), which it has no place for",
                    hint="pass storage= with a whole storage, or sign in with dpop='off'",
                )
        with self.guard:
            return self._memory.commit(changes, first=lambda: self._pass_on(changes))

    def _pass_on(self, changes: Sequence[Change]) -> None:
        for change in changes:
            login, trigger = change.login, change.event.trigger
            name = _name(login.provider, login.account)
            if trigger == Trigger.ACCEPT_TOKENS.value and login.tokens is not None:
                self._outside(partial(self._tokens.save_tokens, name, login.tokens))
            elif trigger == Trigger.LOGOUT.value:
                self._outside(partial(self._tokens.delete_tokens, name))

    def note(self, event: Event) -> Recorded:
        """See :meth:`stayfast.engine.ports.Storage.note`."""
        return self._memory.note(event)

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.events`."""
        return self._memory.events(after=after, limit=limit)

    def _load(self, provider: str, account: str) -> OAuthTokens | None:
        found = self._outside(partial(self._tokens.load_tokens, _name(provider, account)))
        if found is not None and not isinstance(found, OAuthTokens):
            raise StorageError(
                f"{self.description} returned {type(found).__name__} instead of tokens",
                hint="look at the token storage that this program uses",
            )
        return found

    def _outside(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except StayfastError:
            raise
        except Exception as error:
            raise StorageError(
                f"{self.description} failed: {type(error).__name__}",
                hint="look at the token storage that this program uses",
            ) from error


def _name(provider: str, account: str) -> str:
    """The name under which the program keeps them: for the default account, the provider's name."""
    return provider if account == DEFAULT_ACCOUNT else f"{provider}/{account}"


def _same(ours: OAuthTokens, kept: OAuthTokens) -> bool:
    return (ours.access_token, ours.refresh_token) == (kept.access_token, kept.refresh_token)
