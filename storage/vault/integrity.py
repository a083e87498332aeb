"""What the vault holds, as one keyed sum: shows a row that vanished, or an older one put back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ...engine import cbor
from ...engine.errors import Damaged

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from .database import Database

_MODULUS: Final = 1 << 256
_READ: Final = "SELECT body, mac FROM head"
_READ_TO_WRITE: Final = "SELECT body, mac FROM head FOR UPDATE"
_HELP: Final = "stayfast store mend"


@dataclass(frozen=True, slots=True)
class Head:
    """The state of the vault as a whole, written with every commit.

    Attributes:
        total: The sum of the digests of all rows, modulo 2**256.
        count: How many rows there are.
        seq: The number of the last audit event.
        mac: Its link in the chain.
        generation: Counts the commits.
        first: The record the log is followed from: those before were pruned, or set aside.
        link: The link before that record.
        forward: The first record whose key was erased (:mod:`stayfast.storage.audit.forward_keys`); 0 if none.
        forward_key: The key of the next record, sealed.
    """

    total: int = 0
    count: int = 0
    seq: int = 0
    mac: bytes = b""
    generation: int = 0
    first: int = 1
    link: bytes = b""
    forward: int = 0
    forward_key: bytes = b""

    def encode(self, keys: Keys) -> tuple[bytes, bytes]:
        """The head as written, and what shows that it was not edited."""
        body = cbor.encode(
            {
                "total": self.total.to_bytes(32, "big"),
                "count": self.count,
                "seq": self.seq,
                "mac": self.mac,
                "generation": self.generation,
                "first": self.first,
                "link": self.link,
                "forward": self.forward,
                "forward_key": self.forward_key,
            }
        )
        return body, keys.head_mac(body)

    def moved(self, *, add: int = 0, remove: int = 0, count: int = 0) -> Head:
        """The head after one row's digest gave way to another's."""
        total = (self.total + add - remove) % _MODULUS
        return replace(self, total=total, count=self.count + count)


def read_head(connection: Database, keys: Keys, *, for_update: bool = False) -> Head:
    """The head of the vault.

    Args:
        connection: The open vault.
        keys: Its keys.
        for_update: Wait for whoever is writing it, where the database knows of several writers.

    Raises:
        Damaged: It is gone or was edited.
    """
    found = connection.execute(_READ_TO_WRITE if for_update else _READ).fetchone()
    try:
        body, mac = found
        if keys.head_mac(body) != mac:
            raise ValueError
        members = cbor.decode_map(body)
        total, link = members["total"], members["mac"]
        count, seq, generation = members["count"], members["seq"], members["generation"]
        first, before = members["first"], members["link"]
        forward, forward_key = members["forward"], members["forward_key"]
        if (
            not isinstance(total, bytes)
            or not isinstance(link, bytes)
            or not isinstance(count, int)
            or not isinstance(seq, int)
            or not isinstance(generation, int)
            or not isinstance(first, int)
            or not isinstance(before, bytes)
            or not isinstance(forward, int)
            or not isinstance(forward_key, bytes)
        ):
            raise TypeError
    except (TypeError, ValueError, KeyError) as error:
        raise Damaged("the integrity record of the vault was changed", hint=_HELP) from error
    return Head(
        int.from_bytes(total, "big"),
        count,
        seq,
        link,
        generation,
        first,
        before,
        forward,
        forward_key,
    )


def keep_head(connection: Database, keys: Keys, head: Head) -> None:
    """Write ``head`` as that of one more commit."""
    head = replace(head, generation=head.generation + 1)
    connection.execute("UPDATE head SET body = ?, mac = ?", head.encode(keys))


def check_rows(connection: Database, keys: Keys, head: Head) -> None:
    """Compare every row with the integrity record; takes about 9 µs a row.

    Raises:
        Damaged: A row vanished, was added, or is an older one put back.
    """
    total, count = 0, 0
    for login, version, state, index, meta, secret in connection.execute(
        "SELECT id, version, state, idx, substr(meta, length(meta) - 15),"
        " substr(secret, length(secret) - 15) FROM login"
    ):
        try:
            tags = tags_of(index, meta, secret)
            total = (total + keys.row_digest(login, version, state, tags)) % _MODULUS
        except (TypeError, AttributeError) as error:  # SQLite keeps any type in any column
            raise Damaged("a login in the vault is not one of ours", hint=_HELP) from error
        count += 1
    if count != head.count:
        raise Damaged(
            f"the vault holds {count} logins and should hold {head.count}",
            hint=_HELP,
        )
    if total != head.total:
        raise Damaged("a login in the vault is not the one that was last saved", hint=_HELP)


def tags_of(index: bytes | None, meta: bytes, secret: bytes) -> bytes:
    """What of a row goes into its digest besides its names: its index and its seals."""
    return (index or b"") + meta[-16:] + secret[-16:]
