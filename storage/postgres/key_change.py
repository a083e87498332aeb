"""Leads a database from one root key to the next: the steps of :mod:`.resealing`, and where the keys lie.

Two processes may change the key at once. On one host they take turns, because a change ends with the
removal of the keys that open nothing any more. Between hosts the database decides: who finds that the
header is no longer the one that it has read finishes the change of the other first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...engine.errors import Damaged, LoginBusy, StorageError
from ...engine.hints import Hint
from .host_lock import hold_host_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..keys.sealing import Keys
    from ..vault.header import Header
    from ..vault.rekey import Move
    from .commits import Commits
    from .opener import PostgresOpener
    from .resealing import Batch

_WAIT: Final = 30.0  # seconds for another process of this host


class KeyChange:
    """Changes the root key of a database, and finishes a change that was interrupted."""

    def __init__(
        self,
        opener: PostgresOpener,
        commits: Commits,
        locks: str,
        announce: Callable[[str], None],
    ) -> None:
        """Change nothing yet.

        Args:
            opener: Has the keys.
            commits: Writes each step.
            locks: The directory of the locks of this host.
            announce: Called with one line if the user should know something of the new key.
        """
        self._opener = opener
        self._commits = commits
        self._locks = locks
        self._announce = announce

    def to(self, kind: str, passphrase: str | None) -> None:
        """Seal everything under a new root key, whose own key is of that kind.

        Raises:
            Damaged: Something does not open.
            StorageError: The new key cannot be kept there, or the tables not be written.
            ConfigInvalid: There is no such kind.
        """
        sources = self._opener.key_sources
        move = sources.moving_to(kind, passphrase)
        try:
            with hold_host_lock(self._locks, "rekey", wait=_WAIT, what="the change of the key"):
                while (before := self._begun(move)) is None:
                    pass
                self._opener.keyed(self._commits.probe)  # opened by its new key
                sources.tidy(before, self._opener.header())
        except LoginBusy as error:
            raise StorageError(error.message, hint="try again in a while") from error
        if sources.notice:
            self._announce(sources.notice)
        self.finish()

    def _begun(self, move: Move) -> Header | None:
        """The header before the new one; ``None`` if another process has changed it meanwhile."""
        self.finish()

        def begin(keys: Keys) -> Header | None:
            before = self._opener.header()  # the one of these keys, also in a second try
            begun = before.former is None and self._commits.begin_rekey(before, keys, move)
            return before if begun else None

        before = self._opener.keyed(begin)
        self._opener.superseded(self._opener.keys())
        return before

    def finish(self) -> None:
        """Seal what is still under the former root key under the present one, and forget the former.

        Raises:
            Damaged: Something does not open. Until it is set aside, the former key is kept.
        """

        def some(after: str) -> Batch:
            return self._opener.keyed(lambda keys: self._commits.reseal(keys, after))

        while self._opener.keys().former is not None:
            batch, torn = some(""), list[str]()
            while batch.last is not None:
                torn += batch.torn
                batch = some(batch.last)
            if torn:
                raise Damaged(f"login {torn[0][:4]} does not open", hint=Hint("store mend"))
            self._opener.keyed(lambda keys: self._commits.end_rekey(self._opener.header(), keys))
            self._opener.superseded(self._opener.keys())
