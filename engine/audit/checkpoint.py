"""Checkpoints: signed heads of a log, to be kept where the log cannot be reached.

The form is that of a signed note of transparency logs: what log, how many records, what it came
to, a line of its own kind, and after an empty line the signature::

    stayfast/5d0c…
    1204
    mxxOTn…=
    chain hmac-sha256

    — stayfast/5d0c… 4pGvx0…

The line that says ``chain`` leaves room for another kind of head, such as the root of a tree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import ConfigInvalid
from .findings import Finding, FindingCode, records

if TYPE_CHECKING:
    from collections.abc import Callable

    from .verifier import Verification

KIND: Final = "chain hmac-sha256"
_ED25519: Final = b"\x01"
_HELP: Final = "stayfast audit checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log as it was.

    Attributes:
        origin: Which log: ``stayfast/`` and the random name of its vault.
        size: The number of its last record.
        head: The link of that record.
    """

    origin: str
    size: int
    head: bytes

    def text(self) -> str:
        """What is signed."""
        head = base64.b64encode(self.head).decode("ascii")
        return f"{self.origin}\n{self.size}\n{head}\n{KIND}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A checkpoint and the signatures under it.

    Attributes:
        checkpoint: What was signed.
        signatures: Which keys, as the hashes they name themselves by, signed how.
    """

    checkpoint: Checkpoint
    signatures: dict[bytes, bytes]


def key_hash(origin: str, public: bytes) -> bytes:
    """The four octets a signature names its key by."""
    return hashlib.sha256(f"{origin}\n".encode() + _ED25519 + public).digest()[:4]


def verifier_key(origin: str, public: bytes) -> str:
    """A public key in the form that tools for signed notes take."""
    told = base64.b64encode(_ED25519 + public).decode("ascii")
    return f"{origin}+{key_hash(origin, public).hex()}+{told}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """The origin and the key that :func:`verifier_key` wrote.

    Raises:
        ConfigInvalid: ``text`` is not the public key of a log.
    """
    try:
        origin, named, told = text.strip().split("+", 2)
        key = base64.b64decode(told, validate=True)
        if key[:1] != _ED25519 or len(key) != 33 or key_hash(origin, key[1:]).hex() != named:
            raise ValueError
    except ValueError as error:
        raise ConfigInvalid("this is not the public key of a log", hint=_HELP) from error
    return origin, key[1:]


def compose(checkpoint: Checkpoint, public: bytes, signature: bytes) -> str:
    """The note that carries ``checkpoint``."""
    told = base64.b64encode(key_hash(checkpoint.origin, public) + signature).decode("ascii")
    return f"{checkpoint.text()}\n— {checkpoint.origin} {told}\n"


def parse(note: str) -> Note:
    """The checkpoint in ``note``, whose signatures are still to be checked.

    Raises:
        ConfigInvalid: ``note`` is not a checkpoint, or its kind is unknown.
    """
    try:
        text, signed = note.replace("\r\n", "\n").strip("\n").split("\n\n", 1)
        origin, size, head, kind = text.split("\n")
        checkpoint = Checkpoint(
            origin=origin, size=int(size), head=base64.b64decode(head, validate=True)
        )
        if kind != KIND or checkpoint.text() != f"{text}\n" or checkpoint.size < 0:
            raise ValueError
        signatures: dict[bytes, bytes] = {}
        for line in signed.split("\n"):
            mark, _, told = line.split(" ")
            octets = base64.b64decode(told, validate=True)
            if mark == "—" and len(octets) == 68:
                signatures[octets[:4]] = octets[4:]
    except (ValueError, binascii.Error) as error:
        raise ConfigInvalid("this is not a checkpoint", hint=_HELP) from error
    return Note(checkpoint=checkpoint, signatures=signatures)


def kept_head(text: str) -> Note:
    """What was kept of a log: a checkpoint, or the ``head`` line of ``audit verify``, unsigned.

    Raises:
        ConfigInvalid: It is neither.
    """
    words = text.split()
    if len(words) == 3 and words[0] == "head" and words[2].startswith("sha256:"):
        try:
            head = bytes.fromhex(words[2].removeprefix("sha256:"))
            return Note(
                checkpoint=Checkpoint(origin="", size=int(words[1]), head=head), signatures={}
            )
        except ValueError:
            pass
    note = parse(text)
    if not note.signatures:
        raise ConfigInvalid("the checkpoint is not signed", hint=_HELP)
    return note


def check_signature(
    note: Note, origin: str, public: bytes, verify: Callable[[bytes, bytes, bytes], bool]
) -> list[Finding]:
    """A finding, unless ``note`` was signed in the name of ``origin`` with the key ``public``.

    Args:
        note: The checkpoint.
        origin: Which log it should be of.
        public: The key it should be signed with.
        verify: Whether, with a public key, a signature is that of a text.
    """
    signature = note.signatures.get(key_hash(origin, public), b"")
    text = note.checkpoint.text().encode()
    if note.checkpoint.origin == origin and verify(public, signature, text):
        return []
    message = "the checkpoint was not signed with the key of this log"
    return [Finding(code=FindingCode.CHECKPOINT_SIGNATURE, message=message)]


def compare_head(size: int, head: bytes, found: Verification) -> list[Finding]:
    """What is wrong with a log, going by a head of it that was kept elsewhere.

    Args:
        size: The number of the last record there was.
        head: Its link.
        found: What a check of the log came to, with ``size`` among its marks.
    """
    if size > found.last:
        message = f"{records(found.last + 1, size)} of the checkpoint are not in the log"
        return [
            Finding(code=FindingCode.CHECKPOINT_CUT, message=message, seq=found.last + 1, last=size)
        ]
    there = found.marks.get(size)
    if there == head or (there is None and size < found.first):  # the same, or pruned since
        return []
    return [
        Finding(
            code=FindingCode.CHECKPOINT_REWRITTEN,
            message=f"record {size} or one before it was rewritten after the checkpoint",
            seq=size,
            last=size,
            expected=head.hex(),
            found=there.hex() if there else None,
        )
    ]
