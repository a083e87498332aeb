"""Where logins are kept and locked: the sealed vault, PostgreSQL, memory, and views for other contracts.

Its names are loaded when they are asked for: ``stayfast token`` needs only the reading half.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .adapter import TokenStorageAdapter
    from .memory import MemoryStorage
    from .opening import EncryptedFileStorage, KeyringStorage, open_storage
    from .postgres import PostgresStorage
    from .token_storage import FileTokenStorage, MemoryTokenStorage, TokenStorageProtocol
    from .vault.vault import Vault

__all__ = [
    "EncryptedFileStorage",
    "FileTokenStorage",
    "KeyringStorage",
    "MemoryStorage",
    "MemoryTokenStorage",
    "PostgresStorage",
    "TokenStorageAdapter",
    "TokenStorageProtocol",
    "Vault",
    "open_storage",
]

_HOMES = {
    "EncryptedFileStorage": "opening",
    "FileTokenStorage": "token_storage",
    "KeyringStorage": "opening",
    "MemoryStorage": "memory",
    "MemoryTokenStorage": "token_storage",
    "PostgresStorage": "postgres",
    "TokenStorageAdapter": "adapter",
    "TokenStorageProtocol": "token_storage",
    "Vault": "vault.vault",
    "open_storage": "opening",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415  ``token`` asks for no name

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
