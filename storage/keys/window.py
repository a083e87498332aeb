"""The unlock window: what opens a slot stays in the kernel's session keyring for some minutes.

Off unless the user sets ``STAYFAST_UNLOCK_WINDOW``. What is kept is the key of one slot, not the root
key, the passphrase or the item of the system keyring: once the vault has another slot, it opens nothing.
Only processes of the session in which it was kept can read it (``keyrings(7)``: the kernel's permission
for the possessor); other sessions of the same user see its name. The kernel removes it when the time
is over, and when the session or the machine ends. It is never written to a disk.
"""

from __future__ import annotations

import os
import sys

from ...engine.errors import ConfigInvalid
from ..paths import UNLOCK_WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

MOST_SECONDS = 24 * 3600
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DIGITS = 6
_HINT = f"export {UNLOCK_WINDOW}=15m"

# add_key(2) and keyctl(2) have no functions in the C library. The machines with other numbers are old.
_NUMBERS = {"x86_64": (248, 250), "aarch64": (217, 219), "riscv64": (217, 219)}
_PROCESS, _SESSION = -2, -3
_DESCRIBE, _LINK, _SEARCH, _READ, _SET_TIMEOUT, _INVALIDATE = 6, 8, 10, 11, 15, 21
_KEYRING_ID = 0
_TYPE = b"user"
_NAME = "stayfast:"
_SHARED = ("_uid_ses.", "_uid.")  # keyrings of all processes of a user that have no session
_LIMIT = 4096  # octets of an answer


class Refused(Exception):
    """The kernel does not keep keys here."""


def seconds_of(environ: Mapping[str, str]) -> int:
    """How many seconds a key is kept; 0 if the user did not ask for it.

    Raises:
        ConfigInvalid: The setting is not a duration, or longer than a day.
    """
    text = environ.get(UNLOCK_WINDOW, "")
    if text in {"", "off"}:
        return 0
    number, unit = (text[:-1], _UNITS.get(text[-1:], 0)) if text[-1:] in _UNITS else (text, 1)
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS):
        raise ConfigInvalid(f"{UNLOCK_WINDOW} is not a duration", hint=_HINT)
    if int(number) * unit > MOST_SECONDS:
        raise ConfigInvalid(f"{UNLOCK_WINDOW} is longer than 24h", hint=_HINT)
    return int(number) * unit


class UnlockWindow:
    """Keeps keys for as long as the user wants."""

    __slots__ = ("_lasts",)

    def __init__(self, lasts: int) -> None:
        """Keep each key for ``lasts`` seconds."""
        self._lasts = lasts

    def kept(self, commitment: bytes) -> bytes | None:
        """See :func:`kept_key`."""
        return kept_key(commitment)

    def keep(self, commitment: bytes, key: bytes) -> None:
        """See :func:`keep_key`. Where the kernel does not keep it, the vault opens the ordinary way the next time."""
        keep_key(commitment, key, self._lasts)


def window_of(environ: Mapping[str, str]) -> UnlockWindow | None:
    """The window that the user asked for; ``None`` without one.

    Raises:
        ConfigInvalid: As :func:`seconds_of` says.
    """
    lasts = seconds_of(environ)
    return UnlockWindow(lasts) if lasts else None


def kept_key(commitment: bytes) -> bytes | None:
    """The key of the slot with ``commitment``, if its window is open in this session.

    Whoever may write to the session can put anything there: the caller tries it on the slot.
    """
    try:
        keyctl = _kernel()
        found = keyctl(_SEARCH, _SESSION, _TYPE, _name(commitment), 0)
        return _content(keyctl, _READ, found)
    except Refused:
        return None


def keep_key(commitment: bytes, key: bytes, lasts: int) -> bool:
    """Keep the ``key`` of a slot for ``lasts`` seconds; say whether that worked.

    It gets its end before the session sees it: a process killed half-way leaves nothing behind.
    """
    try:
        keyctl = _kernel()
        _own_session(keyctl)
        fresh = _add(_name(commitment), key)
        keyctl(_SET_TIMEOUT, fresh, lasts)
        keyctl(_LINK, fresh, _SESSION)
    except Refused:
        return False
    return True


def forget_key(commitment: bytes) -> None:
    """Close the window of one slot in this session, if it is open."""
    try:
        keyctl = _kernel()
        keyctl(_INVALIDATE, keyctl(_SEARCH, _SESSION, _TYPE, _name(commitment), 0))
    except Refused:
        return


def forget_all() -> int:
    """Close all windows of this session, and return how many there were."""
    count = 0
    try:
        keyctl = _kernel()
        for one in _ours(keyctl):
            keyctl(_INVALIDATE, one)
            count += 1
    except Refused:
        pass
    return count


def how_many() -> int:
    """How many windows are open in this session."""
    try:
        return sum(1 for _ in _ours(_kernel()))
    except Refused:
        return 0


def why_not() -> str:
    """Why no key can be kept here; empty if one can."""
    try:
        _own_session(_kernel())
    except Refused as error:
        return str(error)
    return ""


def _name(commitment: bytes) -> bytes:
    return (_NAME + commitment[:16].hex()).encode("ascii")


def _ours(keyctl: Callable[..., int]) -> Iterator[int]:
    """The keys of this session that were kept here, by their serial numbers."""
    listed = _content(keyctl, _READ, _SESSION)
    for start in range(0, len(listed), 4):
        serial = int.from_bytes(listed[start : start + 4], sys.byteorder, signed=True)
        try:
            described = _content(keyctl, _DESCRIBE, serial)
        except Refused:  # it ended meanwhile, or is not for us
            continue
        kind, *_, name = described.rstrip(b"\0").split(b";", 4)
        if kind == _TYPE and name.startswith(_NAME.encode("ascii")):
            yield serial


def _own_session(keyctl: Callable[..., int]) -> None:
    """Refuse a process that has no session keyring: the kernel would make one that ends with it."""
    described = _content(keyctl, _DESCRIBE, keyctl(_KEYRING_ID, _SESSION, 0))
    name = described.rstrip(b"\0").split(b";", 4)[-1].decode("utf-8", "replace")
    if name.startswith(_SHARED):
        raise Refused("this process has no session keyring (pam_keyinit makes one)")


def _content(keyctl: Callable[..., int], operation: int, serial: int) -> bytes:
    """What the kernel writes for ``operation``: the content of a key, or its description."""
    ctypes = _ctypes()
    buffer = ctypes.create_string_buffer(_LIMIT)
    length = keyctl(operation, serial, buffer, ctypes.c_size_t(_LIMIT))
    content: bytes = buffer.raw[: min(length, _LIMIT)]
    return content


def _add(name: bytes, content: bytes) -> int:
    ctypes = _ctypes()
    size = ctypes.c_size_t(len(content))
    return _call(_numbers()[0], _TYPE, name, content, size, _PROCESS)


def _kernel() -> Callable[..., int]:
    number = _numbers()[1]
    return lambda *arguments: _call(number, *arguments)


def _numbers() -> tuple[int, int]:
    """The numbers of the two system calls on this machine."""
    if sys.platform != "linux":
        raise Refused("only Linux has a keyring in its kernel")
    machine = os.uname().machine
    if machine not in _NUMBERS or sys.maxsize < 2**32:
        raise Refused(f"the keyring of the kernel is not used on {machine}")
    return _NUMBERS[machine]


def _ctypes() -> Any:
    """The module; some builds of Python have none, and a process without open files cannot read it."""
    try:
        import ctypes  # noqa: PLC0415  only where the window is on
    except (ImportError, OSError) as error:
        raise Refused("this Python cannot load ctypes") from error
    return ctypes


def _call(number: int, *arguments: object) -> int:
    ctypes = _ctypes()
    result: int = ctypes.CDLL(None, use_errno=True).syscall(
        *(ctypes.c_long(one) if isinstance(one, int) else one for one in (number, *arguments))
    )
    if result < 0:
        raise Refused(f"the kernel refuses: {os.strerror(ctypes.get_errno()).lower()}")
    return result
