"""The keys of the slots: from a key file, a passphrase, or the system keyring."""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64

from ...engine.hints import Hint
from ...engine.storage_errors import Damaged, StorageError
from ..paths import UNLOCK_WINDOW, leading_to
from ..private_file import (
    CONFIG_VARIABLE,
    ensure_directory,
    read_private,
    trusted_directory_exists,
    write_private,
)
from ..vault.header import Slot
from .sealing import KEY_OCTETS, expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    from ...engine.cbor import Plain
    from ..vault.header import Header
    from .window import UnlockWindow

    Prompt = Callable[[], str | None]

KEYFILE = "keyfile"
PASSPHRASE = "passphrase"
KEYRING = "keyring"
CREDENTIALS = "systemd-creds"
COMMAND = "command"
WINDOWED = (KEYRING, PASSPHRASE, COMMAND)
"""The kinds whose keys an unlock window keeps; the others cost no more than the window."""

# RFC 9106 §4, second recommended option: 64 MiB, 3 passes, 4 lanes; a sixth of a second. The first
# option wants 2 GiB, which small containers do not have.
_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4
_MOST_MEMORY_KIB, _MOST_PASSES, _MOST_LANES = (
    1024 * 1024,
    10,
    16,
)  # a hostile header must not fill memory
_TRIES = 3  # of somebody who types a passphrase, as with ssh and GnuPG
_MEND = Hint("store mend")
_KEYFILE_HEAD = b"stayfast key 1\n"


class AskedPassphrase:
    """A passphrase that a person types: asked for when it is needed, and again while it is wrong.

    Attributes:
        typed: What was typed last; ``None`` before that.
    """

    __slots__ = ("_ask", "_left", "typed")

    def __init__(self, ask: Callable[[bool], str | None]) -> None:
        """Ask by ``ask``, which is handed whether the answer before was wrong.

        It returns ``None`` if the person does not answer; nobody is asked after that.
        """
        self.typed: str | None = None
        self._ask = ask
        self._left = _TRIES

    def __call__(self) -> str | None:
        """What was typed, or else what is typed now."""
        return self._next(again=False) if self.typed is None else self.typed

    def another(self) -> str | None:
        """What is typed after a wrong one; ``None`` after too many."""
        return self._next(again=True)

    def fits(self) -> None:
        """What was typed opens the vault: nobody is asked for the key of another one."""
        self._left = 0

    def _next(self, *, again: bool) -> str | None:
        if not self._left:
            return None
        given = self._ask(again)
        self._left = 0 if given is None else self._left - 1
        if given is not None:
            self.typed = given
        return given


def known_passphrase(passphrase: Prompt) -> str | None:
    """The passphrase as far as it is known; nobody is asked for it."""
    return passphrase.typed if isinstance(passphrase, AskedPassphrase) else passphrase()


class KeyMissing(Damaged):
    """The key of a vault is not where it was looked for. The vault itself may be undamaged."""


def key_file_path(config_dir: str, store: bytes, name: object = None) -> str:
    """Where the key file of a vault is: with the configuration, apart from the vault.

    A vault that was given another key has a file of another ``name`` for it.
    """
    further = f"-{name}" if isinstance(name, str) and name.isalnum() else ""
    return os.path.join(config_dir, f"vault-{store[:4].hex()}{further}.key")


def new_keyfile_slot(config_dir: str, store: bytes, root: bytes) -> Slot:
    """A slot with a new key file.

    Raises:
        StorageError: The file could not be written.
    """
    ensure_directory(config_dir, CONFIG_VARIABLE)
    octets = os.urandom(KEY_OCTETS)
    params: dict[str, Plain] = {}
    if os.path.lexists(key_file_path(config_dir, store)):  # the present key's, needed till the end
        params["name"] = os.urandom(4).hex()
    path = key_file_path(config_dir, store, params.get("name"))
    write_private(path, _KEYFILE_HEAD + b2a_base64(octets))
    return Slot.wrap(KEYFILE, params, expand(octets, "keyfile", store), root, store)


def new_passphrase_slot(passphrase: str, store: bytes, root: bytes) -> Slot:
    """A slot that ``passphrase`` opens (Argon2id, RFC 9106)."""
    params: dict[str, Plain] = {
        "salt": os.urandom(16),
        "memory_kib": _MEMORY_KIB,
        "passes": _PASSES,
        "lanes": _LANES,
    }
    return Slot.wrap(PASSPHRASE, params, _stretch(passphrase, params), root, store)


def unlock(
    header: Header,
    *,
    config_dir: str,
    passphrase: Prompt,
    keyring: Callable[[bytes, str], bytes],
    environ: Mapping[str, str],
) -> bytes:
    """The root key of the vault of ``header``.

    Args:
        header: Its header.
        config_dir: Where its key file would be.
        passphrase: Returns the passphrase, or ``None``. An :class:`AskedPassphrase` gets further tries.
        keyring: Returns the keyring's key for a vault, by the name of its item.
        environ: The environment.

    Raises:
        StorageError: No slot opens; the message is about the slot that is most likely to open later.
        Damaged: A slot was changed.
        ConfigInvalid: The setting of the unlock window is not a duration.
    """
    window: UnlockWindow | None = None
    if UNLOCK_WINDOW in environ:
        from .window import window_of  # noqa: PLC0415  only who asked for it

        window = window_of(environ)
    problem: StorageError | None = None
    for slot in header.slots:
        open_for_now = window if slot.kind in WINDOWED else None
        kept = None if open_for_now is None else open_for_now.kept(slot.commitment)
        if kept is not None:
            root = slot.unwrap(kept, header.store)
            if root is not None:
                return root
        try:
            key = _slot_key(slot, header, config_dir, passphrase, keyring, environ)
        except StorageError as error:
            if problem is None or _hope(error) > _hope(problem):
                problem = error
            continue
        if key is not None:
            key, root = _unwrapped(slot, header, key, passphrase)
            if root is not None:
                if open_for_now is not None:
                    open_for_now.keep(slot.commitment, key)
                return root
            problem = problem or _wrong_key(slot)
    raise problem or Damaged("this vault has no key slot", hint=_MEND)


def _unwrapped(
    slot: Slot, header: Header, key: bytes, passphrase: Prompt
) -> tuple[bytes, bytes | None]:
    """The key that opens ``slot`` and the root key; whoever types a passphrase gets further tries."""
    root = slot.unwrap(key, header.store)
    if slot.kind != PASSPHRASE or not isinstance(passphrase, AskedPassphrase):
        return key, root
    while root is None and (given := passphrase.another()) is not None:
        key = _stretch(given, slot.params)
        root = slot.unwrap(key, header.store)
    if root is not None:
        passphrase.fits()
    return key, root


def _hope(problem: StorageError) -> int:
    """How likely it is that the slot opens another day."""
    if not isinstance(problem, Damaged):
        return 2
    return 1 if isinstance(problem, KeyMissing) else 0


def _wrong_key(slot: Slot) -> StorageError:
    if slot.kind == PASSPHRASE:
        return StorageError(
            "that is not the passphrase of this vault", hint="export STAYFAST_PASSPHRASE=…"
        )
    message = f"the key found in the {slot.kind} is not the key of this vault"
    if slot.kind in {KEYFILE, KEYRING}:  # we put it there: the right one is lost
        return Damaged(message, hint=_MEND)
    return StorageError(message, hint=Hint("help storage"))


def _slot_key(
    slot: Slot,
    header: Header,
    config_dir: str,
    passphrase: Prompt,
    keyring: Callable[[bytes, str], bytes],
    environ: Mapping[str, str],
) -> bytes | None:
    if slot.kind == KEYFILE:
        path = key_file_path(config_dir, header.store, slot.params.get("name"))
        return expand(_read_key_file(path, environ), "keyfile", header.store)
    if slot.kind == KEYRING:
        item = str(slot.params.get("item", "key"))
        return expand(keyring(header.store, item), "keyring", header.store)
    if slot.kind in {CREDENTIALS, COMMAND}:
        return _outside(slot, header, environ)
    if slot.kind == PASSPHRASE:
        given = passphrase()
        if given is None:
            raise StorageError(
                "this vault needs its passphrase", hint="export STAYFAST_PASSPHRASE=…"
            )
        return _stretch(given, slot.params)
    return None  # a kind of a newer version: another slot may do


def _outside(slot: Slot, header: Header, environ: Mapping[str, str]) -> bytes:
    """The key of a slot that another program keeps.

    An earlier answer of the command is used again in this process. Only if it does not open the slot
    does the command run once more: another process may have given the vault another key.
    """
    if slot.kind == CREDENTIALS:
        return expand(outside_key(slot.kind, environ), slot.kind, header.store)
    from .outside import command_key, forget_answer  # noqa: PLC0415  only those who have one

    key = expand(command_key(environ, known_by=slot.commitment), slot.kind, header.store)
    if slot.unwrap(key, header.store) is None:
        forget_answer(slot.commitment)
    return key


def passphrase_key(given: str, slot: Slot) -> bytes:
    """The key that the passphrase ``given`` makes for ``slot``.

    Raises:
        Damaged: The slot was changed.
    """
    return _stretch(given, slot.params)


def outside_key(kind: str, environ: Mapping[str, str], *, known_by: bytes = b"") -> bytes:
    """The key that a service manager or a command of the user keeps.

    Args:
        kind: Which of the two.
        environ: Leads to it.
        known_by: As for :func:`.outside.command_key`.

    Raises:
        StorageError: The other program does not give it.
    """
    from .outside import command_key, credential_key  # noqa: PLC0415  only those who have one

    return command_key(environ, known_by=known_by) if kind == COMMAND else credential_key(environ)


def _read_key_file(path: str, environ: Mapping[str, str]) -> bytes:
    directory = os.path.dirname(path)
    trusted_directory_exists(directory)
    try:
        data = read_private(path, 256)
    except FileNotFoundError as error:
        variable = leading_to(directory, environ)
        where = f", in the directory that {variable} leads to" if variable else ""
        unset = f" (or unset {CONFIG_VARIABLE})" if variable == CONFIG_VARIABLE else ""
        raise KeyMissing(
            f"the key file of this vault is missing: {path}{where}",
            hint=f"export {CONFIG_VARIABLE}=/…{unset}",
        ) from error
    head, body = data[: len(_KEYFILE_HEAD)], data[len(_KEYFILE_HEAD) :]
    try:
        octets = a2b_base64(body)
    except ValueError:
        octets = b""
    if head != _KEYFILE_HEAD or len(octets) != KEY_OCTETS:
        raise Damaged(f"the key file cannot be read: {path}", hint=_MEND)
    return octets


def argon2id() -> type[Argon2id]:
    """The class that stretches a passphrase, from its private home as the cipher's in ``sealing``.

    To load the public module of it takes as long as an idle Python.
    """
    try:
        from cryptography.hazmat.bindings._rust import openssl  # noqa: PLC0415  only here

        found = openssl.kdf.Argon2id
    except (ImportError, AttributeError):  # moved by a newer release
        from cryptography.hazmat.primitives.kdf.argon2 import (  # noqa: PLC0415
            Argon2id as found,  # noqa: N813  a class, whatever its capitals say
        )
    return found


def _stretch(passphrase: str, params: Mapping[str, Plain]) -> bytes:
    salt = params.get("salt")
    memory, passes, lanes = (params.get(name) for name in ("memory_kib", "passes", "lanes"))
    if (
        not isinstance(salt, bytes)
        or not isinstance(memory, int)
        or not isinstance(passes, int)
        or not isinstance(lanes, int)
        or not 8 * lanes <= memory <= _MOST_MEMORY_KIB
        or not 1 <= passes <= _MOST_PASSES
        or not 1 <= lanes <= _MOST_LANES
        or len(salt) < 8
    ):
        raise Damaged("a passphrase slot asks for the impossible", hint=_MEND)
    return argon2id()(
        salt=salt, length=KEY_OCTETS, iterations=passes, lanes=lanes, memory_cost=memory
    ).derive(passphrase.encode("utf-8", "surrogateescape"))  # as the environment gave it
