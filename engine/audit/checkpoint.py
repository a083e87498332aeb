"""Checkpoints: signed heads of a log, to be kept where no attacker of the log can write.

Whoever has the key of the vault can rewrite the log and all its links. A checkpoint that was made
before, and is kept elsewhere, shows it: the log must still contain that head.

The form is the signed note of transparency logs: the name of the log, the number of records, the
link of the last one, the kind of head, and after an empty line the signature::

    stayfast/5d0c…
    1204
    mxxOTn…=
    chain hmac-sha256

    — stayfast/5d0c… 4pGvx0…

The fourth line allows for other kinds of head, such as the root of a tree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import ConfigInvalid
from ..hints import Hint
from .findings import Finding, FindingCode, records

if TYPE_CHECKING:
    from collections.abc import Callable

    from .verifier import Verification

KIND: Final = "chain hmac-sha256"
_ED25519: Final = b"\x01"
_HELP: Final = Hint("audit checkpoint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log at one time.

    Attributes:
        origin: The name of the log: ``stayfast/`` and the random name of its vault.
        size: The number of the last record.
        head: The link of that record.
    """

    origin: str
    size: int
    head: bytes

    def text(self) -> str:
        """The text that is signed."""
        head = base64.b64encode(self.head).decode("ascii")
        return f"{self.origin}\n{self.size}\n{head}\n{KIND}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A checkpoint and the signatures under it.

    Attributes:
        checkpoint: The checkpoint.
        signatures: The signatures by the hashes of their keys (:func:`key_hash`).
    """

    checkpoint: Checkpoint
    signatures: dict[bytes, bytes]


def key_hash(origin: str, public: bytes) -> bytes:
    """The four octets by which a signature names its key.

    They say which key to try. The whole signature is checked with that key, so a collision of four
    octets proves nothing and costs nothing.
    """
    return hashlib.sha256(f"{origin}\n".encode() + _ED25519 + public).digest()[:4]


def verifier_key(origin: str, public: bytes) -> str:
    """A public key in the form that tools for signed notes read."""
    encoded = base64.b64encode(_ED25519 + public).decode("ascii")
    return f"{origin}+{key_hash(origin, public).hex()}+{encoded}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """The origin and the key in a text of :func:`verifier_key`.

    Raises:
        ConfigInvalid: ``text`` is not the public key of a log.
    """
    try:
        origin, named, encoded = text.strip().split("+", 2)
        key = base64.b64decode(encoded, validate=True)
        if key[:1] != _ED25519 or len(key) != 33 or key_hash(origin, key[1:]).hex() != named:
            raise ValueError
    except ValueError as error:
        raise ConfigInvalid("this is not the public key of a log", hint=_HELP) from error
    return origin, key[1:]


def compose(checkpoint: Checkpoint, public: bytes, signature: bytes) -> str:
    """The note of ``checkpoint`` with ``signature``."""
    signed = base64.b64encode(key_hash(checkpoint.origin, public) + signature).decode("ascii")
    return f"{checkpoint.text()}\n— {checkpoint.origin} {signed}\n"


def parse(note: str) -> Note:
    """The checkpoint in ``note``. Its signatures are not checked here.

    Raises:
        ConfigInvalid: ``note`` is not a checkpoint, or its kind is unknown.
    """
    try:
        text, signed = note.replace("\r\n", "\n").strip("\n").split("\n\n", 1)
        origin, size, head, kind = text.split("\n")
        checkpoint = Checkpoint(
            origin=origin, size=int(size), head=base64.b64decode(head, validate=True)
        )
        # int() and b64decode take several spellings of one value. The text must be the one that we
        # would write, because the signature is over the text.
        if kind != KIND or checkpoint.text() != f"{text}\n" or checkpoint.size < 1:
            raise ValueError
        signatures: dict[bytes, bytes] = {}
        for line in signed.split("\n"):
            mark, _, encoded = line.split(" ")
            octets = base64.b64decode(encoded, validate=True)
            if mark == "—" and len(octets) == 68:
                signatures[octets[:4]] = octets[4:]
    except (ValueError, binascii.Error) as error:
        raise ConfigInvalid("this is not a checkpoint", hint=_HELP) from error
    return Note(checkpoint=checkpoint, signatures=signatures)


def kept_head(text: str) -> Note:
    """A kept head: a signed checkpoint, or the unsigned ``head`` line of ``audit verify``.

    Raises:
        ConfigInvalid: ``text`` is neither.
    """
    words = text.split()
    if len(words) == 3 and words[0] == "head" and words[2].startswith("sha256:"):
        try:
            size, head = int(words[1]), bytes.fromhex(words[2].removeprefix("sha256:"))
        except ValueError as error:
            raise ConfigInvalid("this is not a checkpoint", hint=_HELP) from error
        if size < 1:  # records are counted from 1: no log could agree, or all would
            raise ConfigInvalid("this is not a checkpoint", hint=_HELP)
        return Note(checkpoint=Checkpoint(origin="", size=size, head=head), signatures={})
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
        origin: The log that the checkpoint must be of.
        public: The key that must have signed it.
        verify: Called with the public key, the signature and the text; says whether they match.
    """
    signature = note.signatures.get(key_hash(origin, public), b"")
    text = note.checkpoint.text().encode()
    if note.checkpoint.origin == origin and verify(public, signature, text):
        return []
    message = "the checkpoint was not signed with the key of this log"
    return [Finding(code=FindingCode.CHECKPOINT_SIGNATURE, message=message)]


def compare_head(size: int, head: bytes, found: Verification) -> list[Finding]:
    """Compare a log with a head of it that was kept elsewhere.

    Args:
        size: The number of the last record at that time.
        head: The link of that record.
        found: The result of a check of the log, with ``size`` among its marks.
    """
    if size > found.last:
        message = f"{records(found.last + 1, size)} of the checkpoint are not in the log"
        return [
            Finding(code=FindingCode.CHECKPOINT_CUT, message=message, seq=found.last + 1, last=size)
        ]
    # A checkpoint of a record that was pruned since cannot be compared; its note was signed then.
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
