"""Three methods over a complete storage, for programs that only keep tokens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeVar, runtime_checkable

from ..engine.errors import StorageConflict
from ..engine.oauth.provider import OAuthConfig
from ..engine.summary import DEFAULT_ACCOUNT, account_alias
from .memory import MemoryStorage
from .migrating import forget_login, import_tokens
from .opening import open_storage
from .paths import THE_COMMAND
from .program import ProgramEnviron, require_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.oauth.tokens import OAuthTokens
    from ..engine.ports import Storage
    from ..engine.record import Login

T = TypeVar("T")

_ATTEMPTS: Final = 20  # each lost to another commit: more means that something is wrong


@runtime_checkable
class TokenStorageProtocol(Protocol):
    """What a program can implement to keep tokens itself."""

    def save_tokens(self, service: str, tokens: OAuthTokens) -> None:
        """Keep ``tokens`` as those of ``service``."""
        ...

    def load_tokens(self, service: str) -> OAuthTokens | None:
        """The tokens of ``service``, or ``None``."""
        ...

    def delete_tokens(self, service: str) -> bool:
        """Forget the tokens of ``service``; returns whether there were any."""
        ...


class StorageView:
    """The three methods over a complete storage.

    Attributes:
        storage: The storage behind it, in which logins can be resumed.
    """

    def __init__(self, storage: Storage) -> None:
        """A view of ``storage``."""
        self.storage = storage

    def save_tokens(self, service: str, tokens: OAuthTokens) -> None:
        """Keep ``tokens`` as those of ``service``.

        Raises:
            StorageError: They could not be saved.
        """

        def save() -> None:
            before = self._found(service)
            config = before.config if before else OAuthConfig(service_name=service)
            import_tokens(self.storage, config, tokens)

        _until_nobody_interferes(save)

    def load_tokens(self, service: str) -> OAuthTokens | None:
        """The tokens of ``service``, even expired ones.

        Raises:
            StorageError: The storage cannot be read.
        """
        login = self._found(service)
        return login.tokens if login else None

    def delete_tokens(self, service: str) -> bool:
        """Forget the tokens of ``service``, here only; returns whether there were any.

        Raises:
            StorageError: They could not be erased.
        """

        def delete() -> bool:
            login = self._found(service)
            if login is None:
                return False
            forget_login(self.storage, login)
            return True

        return _until_nobody_interferes(delete)

    def _found(self, service: str) -> Login | None:
        return self.storage.find(account_alias(service, DEFAULT_ACCOUNT))


def _until_nobody_interferes(attempt: Callable[[], T]) -> T:
    """Call ``attempt`` again while another process changes the login in between.

    The three methods have no word for a conflict, and the last save is meant to win.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except StorageConflict:
            continue
    return attempt()


class FileTokenStorage(StorageView):
    """Tokens in the user's sealed vault, whose key is in the system keyring or in a file.

    The keyring is used wherever one answers; what was chosen is kept with the vault. A program that
    keeps tokens of its own derives a class, and names its own places::

        class AcmeTokens(FileTokenStorage):
            SERVICE_PREFIX = "acme"
            TOKEN_DIR = ".acme/tokens"

    Attributes:
        SERVICE_PREFIX: The program's name: the keyring's item, the configuration directory and the
            variables (``ACME_STORE``) have it.
        TOKEN_DIR: Where the vault is, below the home directory, unless it is absolute. A program
            that names itself only has it in a directory of that name.
    """

    SERVICE_PREFIX: ClassVar[str] = THE_COMMAND
    TOKEN_DIR: ClassVar[str] = ".local/state/stayfast"

    def __init__(self, token_dir: str | None = None) -> None:
        """A vault in ``token_dir`` (``~`` is expanded), or where the class says.

        Raises:
            ConfigInvalid: ``SERVICE_PREFIX`` cannot be the name of directories and variables.
        """
        program = type(self).SERVICE_PREFIX
        require_name(program)
        environ = None if program == THE_COMMAND else ProgramEnviron(program, os.environ)
        if token_dir is None and type(self).TOKEN_DIR != FileTokenStorage.TOKEN_DIR:
            token_dir = os.path.join("~", type(self).TOKEN_DIR)
        super().__init__(open_storage(state_dir=token_dir, environ=environ))


class MemoryTokenStorage(StorageView):
    """Tokens in memory, for tests."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(MemoryStorage())
