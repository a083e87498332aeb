"""The one item of a vault in the system keyring, and how to use a keyring that fails.

Keyrings hang (a frozen daemon, a prompt that nobody sees) and report writes that did not happen, and
some back ends keep everything in clear. So: exact classes only, every call in a thread with a
deadline, every write read back, and one read per process.
"""

from __future__ import annotations

import os
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast

from ...engine.errors import Damaged, StorageError
from ...engine.hints import Hint
from ..paths import THE_COMMAND
from .sealing import KEY_OCTETS, hmac
from .slots import KeyMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

PATIENCE: Final = 3.0
"""Seconds for a keyring where no person can answer its prompt."""
PATIENCE_AT_TERMINAL: Final = 60.0
"""Seconds for a keyring that may show a prompt: time to type a password."""

_WITHOUT: Final = "export STAYFAST_STORE=file"
_MEND: Final = Hint("store mend")
_CHECK: Final = 4  # octets of a checksum: another program may have written under our name
_ALLOWED: Final = {
    "linux": ("keyring.backends.SecretService:Keyring", "keyring.backends.kwallet:DBusKeyring"),
    "darwin": ("keyring.backends.macOS:Keyring",),
    "win32": ("keyring.backends.Windows:WinVaultKeyring",),
}


class Backend(Protocol):
    """The part of a keyring back end that is used here."""

    def get_password(self, service: str, username: str) -> str | None:
        """The item, if it is there."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Write the item."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Remove the item."""
        ...


class KeyringKey:
    """The system keyring as a place for the key of a vault.

    Attributes:
        name: Which keyring it is, such as ``SecretService``.
    """

    def __init__(
        self, *, interactive: bool = False, environ: Mapping[str, str] | None = None
    ) -> None:
        """Choose the classes to try; load and call none yet.

        Args:
            interactive: Whether a person can answer a prompt.
            environ: Where ``STAYFAST_KEYRING`` may name another class (``module:Class``).
        """
        named = (os.environ if environ is None else environ).get("STAYFAST_KEYRING")
        self._classes = (named,) if named else _ALLOWED.get(sys.platform, _ALLOWED["linux"])
        self._patience = PATIENCE_AT_TERMINAL if interactive else PATIENCE
        self._backend: Backend | None = None
        self._silent: threading.Thread | None = None
        self.name = "keyring"

    def read(self, store: bytes, item: str = "key") -> bytes:
        """The key of the vault ``store``, read once per process.

        Raises:
            StorageError: The keyring is absent, locked or gives no answer.
            Damaged: It has no such item, or the item is not a key.
        """
        name = (*self._classes, *_item(store, item))
        if name not in _remembered:
            found = self._ask(
                lambda backend: backend.get_password(*_item(store, item)),
                hint="unlock the system keyring, and try again",
            )
            _remembered[name] = (self.name, _decode(found))
        self.name, key = _remembered[name]
        return key

    def create(self, store: bytes, item: str = "key") -> bytes:
        """A new key, kept in the keyring: written, then read back.

        Raises:
            StorageError: It could not be kept.
        """
        key = os.urandom(KEY_OCTETS)
        text = b64encode(key + hmac(key, b"check")[:_CHECK]).decode("ascii")
        service, username = _item(store, item)

        def keep(backend: Backend) -> str | None:
            backend.set_password(service, username, text)
            return backend.get_password(service, username)

        if self._ask(keep, hint=_WITHOUT) != text:
            raise StorageError(
                f"the {self.name} keyring did not keep what was written",
                hint=_WITHOUT,
            )
        _remembered[*self._classes, service, username] = (self.name, key)
        return key

    def delete(self, store: bytes, item: str = "key") -> None:
        """Remove the key of the vault ``store``.

        Raises:
            StorageError: It could not be removed.
        """
        _remembered.pop((*self._classes, *_item(store, item)), None)
        self._ask(
            lambda backend: backend.delete_password(*_item(store, item)),
            hint="unlock the system keyring, and try again",
        )

    def _ask(self, question: Callable[[Backend], T], *, hint: str) -> T:
        """The answer of the keyring to ``question``, if it gives one in time."""
        outcome: list[T] = []
        problem: list[BaseException] = []

        def work() -> None:
            try:
                if self._backend is None:
                    self._backend = self._find()
                outcome.append(question(self._backend))
            except BaseException as error:  # noqa: BLE001  back ends raise what their libraries do
                problem.append(error)

        # one thread at a time: a keyring that hangs would otherwise leave a thread behind at each call
        if self._silent is None or not self._silent.is_alive():
            # a daemon thread: if the keyring never answers, the process must still be able to end
            thread = threading.Thread(target=work, name="keyring", daemon=True)
            thread.start()
            thread.join(self._patience)
            self._silent = thread
        if outcome:
            return outcome[0]
        if not problem:
            raise StorageError(
                f"the system keyring gave no answer in {self._patience:.0f} s", hint=hint
            )
        if isinstance(problem[0], _Absent):
            raise StorageError(str(problem[0]), hint=hint)
        raise StorageError(
            f"the system keyring cannot be used: {type(problem[0]).__name__}", hint=hint
        ) from problem[0]

    def _find(self) -> Backend:
        reasons: list[str] = []
        for where in self._classes:
            module, _, name = where.partition(":")
            try:
                found: Any = getattr(import_module(module), name)
                found.priority  # noqa: B018  a back end says here, by raising, that it cannot work
                backend = cast("Backend", found())
            except Exception as error:  # noqa: BLE001  back ends raise what their libraries do
                reasons.append(type(error).__name__)
                continue
            self.name = module.rpartition(".")[2]
            return backend
        # RuntimeError is how a back end says that it is not for this machine
        named = [reason for reason in dict.fromkeys(reasons) if reason != "RuntimeError"]
        why = f" ({', '.join(named)})" if named else ""
        raise _Absent(f"no system keyring answers here{why}")


class _Absent(Exception):
    """None of the allowed keyrings can work here."""


_remembered: dict[tuple[str, ...], tuple[str, bytes]] = {}
"""The keys that were read in this process, and which keyring had them."""


def item_of(program: str, name: str) -> str:
    """What the header keeps of the item ``name`` that ``program`` makes."""
    return name if program == THE_COMMAND else f"{program}:{name}"


def _item(store: bytes, item: str) -> tuple[str, str]:
    """Service and user name of the item, whose program stands before a colon.

    Each item has a service of its own, because Windows renames the second user of a service.
    """
    program, _, name = item.rpartition(":")
    service = f"{program or THE_COMMAND} vault {store.hex()}"
    return service + ("" if name == "key" else f" {name}"), "key"


def _decode(found: str | None) -> bytes:
    if found is None:
        raise KeyMissing(
            "the system keyring has no key for this vault",
            hint="open the keyring of the user and session that made the vault, and try again",
        )
    try:
        octets = b64decode(found, validate=True)
    except ValueError:
        octets = b""
    key, check = octets[:KEY_OCTETS], octets[KEY_OCTETS:]
    if len(key) != KEY_OCTETS or check != hmac(key, b"check")[:_CHECK]:
        raise Damaged("the item in the system keyring is not a key", hint=_MEND)
    return key
