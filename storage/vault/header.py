"""The header of a vault: its name, the versions that may read it, and the slots that open it.

A slot wraps the root key under a key of its own (a keyring item, a passphrase, a key file). The
header is kept twice, in the database and beside it, because nothing opens without it.
"""

from __future__ import annotations

from ...engine import cbor
from ...engine.hints import Hint
from ...engine.storage_errors import Damaged, NewerFormat
from ..keys.sealing import Keys, hmac, seal, unseal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = 1
"""The layout of a vault that is written and read here."""
_LIMIT = 16  # slots; a hostile header must not make us try a thousand passphrases
KEPT_SECONDS = 90 * 86400.0
"""How long the key of what was kept aside outlives its root key."""


class Slot:
    """One way to the root key.

    Attributes:
        kind: ``keyring``, ``passphrase`` or ``keyfile``.
        params: What its key is derived with, or found by; no secret.
        wrapped: The root key, sealed.
        commitment: Shows that a key is this slot's before it is used: GCM alone would not.
    """

    __slots__ = ("commitment", "kind", "params", "wrapped")

    def __init__(
        self, kind: str, params: Mapping[str, cbor.Plain], wrapped: bytes, commitment: bytes
    ) -> None:
        """Keep the four parts."""
        self.kind = kind
        self.params = dict(params)
        self.wrapped = wrapped
        self.commitment = commitment

    @classmethod
    def wrap(
        cls,
        kind: str,
        params: Mapping[str, cbor.Plain],
        key: bytes,
        root: bytes,
        store: bytes,
    ) -> Slot:
        """``root`` wrapped under ``key``."""
        sealed = seal(key, root, _bound(kind, params, store))
        return cls(kind, params, sealed, _commitment(key, store))

    def unwrap(self, key: bytes, store: bytes) -> bytes | None:
        """The root key, or ``None`` if ``key`` is not this slot's.

        Raises:
            Damaged: The key is right and the slot was changed.
        """
        # compared as digests: the time of a comparison then shows nothing about the commitment
        if hmac(b"compare", _commitment(key, store)) != hmac(b"compare", self.commitment):
            return None
        return unseal(key, self.wrapped, _bound(self.kind, self.params, store))


class Earlier:
    """A former root key, of which only the key of what was kept aside is left.

    Attributes:
        epoch: Its number.
        since: When it was replaced, POSIX seconds.
        sealed: That key, sealed under the present root key.
    """

    __slots__ = ("epoch", "sealed", "since")

    def __init__(self, epoch: int, since: float, sealed: bytes) -> None:
        """Keep the three parts."""
        self.epoch = epoch
        self.since = since
        self.sealed = sealed


class Header:
    """What a vault says about itself before it is opened.

    Attributes:
        store: Its random name, 16 octets.
        kind: ``keyring`` or ``file``: what was chosen when it was made.
        reason: Why, in one line for its user.
        epoch: Which root key its rows are sealed under.
        created_at: When it was made, POSIX seconds.
        slots: The ways to the root key.
        layout: The format of the vault it was read from.
        min_writer: The least version that may write the vault; others may read it.
        generation: Counts the times it was written: of two copies the higher is the present one.
        body: What it was read from, with members only a newer version knows; empty if it is new.
        former: The number of the root key before and that key, sealed under the present one, while
            rows are still sealed under it.
        earlier: The former root keys whose keys of what was kept aside are kept.
    """

    __slots__ = (
        "body",
        "created_at",
        "earlier",
        "epoch",
        "former",
        "generation",
        "kind",
        "layout",
        "min_writer",
        "reason",
        "slots",
        "store",
    )

    def __init__(
        self,
        *,
        store: bytes,
        kind: str,
        reason: str,
        epoch: int,
        created_at: float,
        slots: Sequence[Slot],
        layout: int = FORMAT,
        min_writer: int = FORMAT,
        generation: int = 1,
        body: bytes = b"",
        former: tuple[int, bytes] | None = None,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        """Keep the parts."""
        self.store = store
        self.kind = kind
        self.reason = reason
        self.epoch = epoch
        self.created_at = created_at
        self.slots = tuple(slots)
        self.layout = layout
        self.min_writer = min_writer
        self.generation = generation
        self.body = body
        self.former = former
        self.earlier = tuple(earlier)

    def amended(
        self,
        *,
        slots: Sequence[Slot] | None = None,
        kind: str | None = None,
        reason: str | None = None,
        epoch: int | None = None,
    ) -> Header:
        """The next header of the same vault."""
        return Header(
            store=self.store,
            kind=kind or self.kind,
            reason=reason or self.reason,
            epoch=epoch or self.epoch,
            created_at=self.created_at,
            slots=self.slots if slots is None else slots,
            generation=self.generation + 1,
            earlier=self.earlier,
        )

    def encode(self) -> bytes:
        """The header as it is written."""
        further: dict[str, cbor.Plain] = {}
        if self.former is not None:
            further["former"] = {"epoch": self.former[0], "sealed": self.former[1]}
        if self.earlier:
            further["earlier"] = [
                {"epoch": one.epoch, "since": one.since, "sealed": one.sealed}
                for one in self.earlier
            ]
        return cbor.encode(
            {
                **further,
                "format": FORMAT,
                "min_reader": FORMAT,
                "min_writer": self.min_writer,
                "generation": self.generation,
                "store": self.store,
                "kind": self.kind,
                "reason": self.reason,
                "epoch": self.epoch,
                "created_at": self.created_at,
                "slots": [
                    {
                        "kind": slot.kind,
                        "params": slot.params,
                        "wrapped": slot.wrapped,
                        "commitment": slot.commitment,
                    }
                    for slot in self.slots
                ],
            }
        )


def encode_copy(body: bytes, mac: bytes) -> bytes:
    """The copy of the header ``body`` that is kept beside the database, with its seal."""
    return cbor.encode({"header": body, "mac": mac})


def decode_copy(data: bytes) -> tuple[Header, bytes]:
    """The header that :func:`encode_copy` wrote, and its seal.

    Raises:
        NewerFormat, Damaged: As for :func:`decode_header`.
    """
    try:
        members = cbor.decode_map(data)
        body, mac = _octets(members["header"]), _octets(members["mac"])
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("the copy of the header cannot be read", hint=_MEND) from error
    return decode_header(body), mac


def decode_header(data: bytes) -> Header:
    """The header that :meth:`Header.encode` wrote.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: It cannot be read.
    """
    try:
        members = cbor.decode_map(data)
        least = members["min_reader"]
        if isinstance(least, int) and least > FORMAT:
            raise NewerFormat(
                "this vault was written by a newer version of Stayfast",
                hint="in a newer clone of Stayfast: pip install .",
            )
        slots = _sequence(members["slots"])[:_LIMIT]
        return Header(
            store=_octets(members["store"]),
            kind=_text(members["kind"]),
            reason=_text(members["reason"]),
            epoch=_count(members["epoch"]),
            created_at=_number(members["created_at"]),
            slots=[_slot(_mapping(slot)) for slot in slots],
            layout=_count(members["format"]),
            min_writer=_count(members["min_writer"]),
            generation=_count(members["generation"]),
            body=data,
            former=_former(members.get("former")),
            earlier=[_earlier(_mapping(one)) for one in _sequence(members.get("earlier", []))],
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise Damaged("the header of the vault cannot be read", hint=_MEND) from error


_MEND = Hint("store mend")


def keys_of(header: Header, root: bytes) -> Keys:
    """The keys of the vault of ``header``."""
    keys = Keys(root, header.store, header.epoch)
    keys.earlier = [(one.epoch, one.sealed) for one in header.earlier]
    if header.former is not None:
        keys.former = keys.open_former(*header.former)
    return keys


def _former(members: cbor.Plain) -> tuple[int, bytes] | None:
    if members is None:
        return None
    given = _mapping(members)
    return _count(given["epoch"]), _octets(given["sealed"])


def _earlier(members: Mapping[str, cbor.Plain]) -> Earlier:
    return Earlier(_count(members["epoch"]), _number(members["since"]), _octets(members["sealed"]))


def _slot(members: Mapping[str, cbor.Plain]) -> Slot:
    return Slot(
        _text(members["kind"]),
        _mapping(members["params"]),
        _octets(members["wrapped"]),
        _octets(members["commitment"]),
    )


def _bound(kind: str, params: Mapping[str, cbor.Plain], store: bytes) -> bytes:
    return b"stayfast/1/slot\0" + store + kind.encode() + b"\0" + cbor.encode(params)


def _commitment(key: bytes, store: bytes) -> bytes:
    return hmac(key, b"stayfast/1/commitment\0" + store)


def _octets(value: cbor.Plain) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError
    return value


def _text(value: cbor.Plain) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: cbor.Plain) -> float:
    if not isinstance(value, int | float):
        raise TypeError
    return value


def _count(value: cbor.Plain) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise TypeError
    return value


def _sequence(value: cbor.Plain) -> Sequence[cbor.Plain]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _mapping(value: cbor.Plain) -> Mapping[str, cbor.Plain]:
    if not isinstance(value, dict):
        raise TypeError
    return value
