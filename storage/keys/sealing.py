"""Sealing: AES-256-GCM under keys derived per login; the names of a row are authenticated with it.

Everything comes from one random root key. A row that was edited, swapped with another, moved to
another vault or put under another version or state does not open.
"""

from __future__ import annotations

import os
import sys

from ..lending import Lent

# private homes, here and below, because the public modules cost more than opening a record
try:
    if sys.version_info >= (3, 12):
        from _sha2 import sha256 as _sha256  # type: ignore[import-not-found,unused-ignore]
    else:
        from _sha256 import sha256 as _sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:  # a Python that calls it otherwise
    from hashlib import sha256 as _sha256

try:
    with Lent("types", SimpleNamespace=type(sys.implementation)):
        from cryptography.hazmat.bindings._rust import openssl as _openssl

    Aead = _openssl.aead.AESGCM
except (ImportError, AttributeError):  # moved by a newer release
    from cryptography.hazmat.primitives.ciphers.aead import (
        AESGCM as Aead,  # noqa: N811  a class, whatever its capitals say
    )

from ...engine.hints import Hint
from ...engine.storage_errors import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Digest = Callable[[bytes, bytes], bytes]

# typeshed knows no private module
sha256: Callable[[bytes], Any] = _sha256  # pyright: ignore[reportUnknownVariableType]
RECORD = 1
KEY_OCTETS = 32
_NONCE_OCTETS = 12
_HELP = Hint("store mend")


_INNER = bytes(octet ^ 0x36 for octet in range(256))
_OUTER = bytes(octet ^ 0x5C for octet in range(256))
_BLOCK_OCTETS = 64
_MANY = 100  # digests; reading one token takes about 30
_LONG = 16 * 1024  # octets


class _Hmac:
    """HMAC-SHA-256, by OpenSSL as soon as that pays.

    To load OpenSSL takes as long as a thousand digests by the small module of Python, which
    ``stayfast token`` would wait for at each call.
    """

    __slots__ = ("_by_openssl", "_few")

    def __init__(self) -> None:
        self._few = _MANY
        self._by_openssl: Digest | None = None

    def __call__(self, key: bytes, message: bytes) -> bytes:
        """The HMAC (RFC 2104) of ``message`` under ``key``."""
        if self._by_openssl is not None:
            return self._by_openssl(key, message)
        if self._few and len(message) < _LONG:
            self._few -= 1
            return by_small_module(key, message)
        self._by_openssl = _load_openssl()
        return self._by_openssl(key, message)


hmac = _Hmac()


def by_small_module(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 by Python's own SHA-256 (RFC 2104 §2)."""
    if len(key) > _BLOCK_OCTETS:
        key = bytes(sha256(key).digest())
    block = key.ljust(_BLOCK_OCTETS, b"\0")
    inner = sha256(block.translate(_INNER) + message).digest()
    return bytes(sha256(block.translate(_OUTER) + inner).digest())


class Mac:
    """HMAC-SHA-256 under one key, for many messages: the key is hashed once.

    A list or a check of many rows takes a third of the time of :data:`hmac`. After some messages it goes
    on by OpenSSL, for the reason that is given there.
    """

    __slots__ = ("_few", "_inner", "_key", "_outer")

    def __init__(self, key: bytes) -> None:
        """Prepare ``key``."""
        self._key = key
        self._few = _MANY
        self._inner, self._outer = _started(sha256, key)

    def __call__(self, message: bytes) -> bytes:
        """The HMAC (RFC 2104) of ``message``."""
        if self._few:
            self._few -= 1
            if not self._few:
                self._inner, self._outer = _started(_sha256_of_openssl(), self._key)
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return bytes(outer.digest())


def _started(sha: Callable[[bytes], Any], key: bytes) -> tuple[Any, Any]:
    """The two hashes of an HMAC, which have taken in ``key`` (RFC 2104 §4)."""
    block = (sha(key).digest() if len(key) > _BLOCK_OCTETS else key).ljust(_BLOCK_OCTETS, b"\0")
    return sha(block.translate(_INNER)), sha(block.translate(_OUTER))


def _sha256_of_openssl() -> Callable[[bytes], Any]:
    try:
        from _hashlib import openssl_sha256  # noqa: PLC0415  see above
    except ImportError:  # a Python without OpenSSL
        return sha256
    by_openssl: Callable[[bytes], Any] = openssl_sha256
    return by_openssl


def _load_openssl() -> Digest:
    try:
        from _hashlib import hmac_digest  # noqa: PLC0415  see above
    except ImportError:  # a Python without OpenSSL
        from hmac import digest as hmac_digest  # type: ignore[assignment]  # noqa: PLC0415  as above
    return lambda key, message: bytes(hmac_digest(key, message, "sha256"))


def expand(key: bytes, label: str, *context: bytes) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3) to one block: the key for ``label`` in ``context``."""
    return hmac(key, _info(label, context))


# numbers, the first octet first; to load the module struct takes longer than to read a token


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _info(label: str, context: Sequence[bytes]) -> bytes:
    """What :func:`expand` computes its HMAC of."""
    parts = b"".join([_u32(len(part)) + part for part in context])
    return b"stayfast/1/" + label.encode("ascii") + b"\0" + parts + b"\x01"


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """``plain`` sealed under ``key`` with a fresh nonce, tied to ``bound``."""
    nonce = os.urandom(_NONCE_OCTETS)
    return nonce + bytes(Aead(key).encrypt(nonce, plain, bound))


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """What :func:`seal` was given.

    Raises:
        Damaged: It was changed, or belongs elsewhere.
    """
    try:
        return bytes(Aead(key).decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], bound))
    except Exception as error:  # InvalidTag: naming it would import re and typing
        raise Damaged(
            "a sealed record does not open: it was changed or put elsewhere", hint=_HELP
        ) from error


_OF_RECORD = _info("record", ())[:-1]


class Keys:
    """The keys of one vault, derived from its root key.

    Attributes:
        store: The vault's own random name.
        epoch: Which root key this is.
        former: The keys of the root key before, while some rows are still sealed under it.
        earlier: The numbers of former root keys, and for each the key of what was kept aside under
            it, sealed.
    """

    __slots__ = (
        "_audit",
        "_ends",
        "_expand_root",
        "_fingerprint",
        "_index",
        "_integrity",
        "_root",
        "earlier",
        "epoch",
        "former",
        "store",
    )

    # the audit log outlives a root key, so its keys are kept in the vault as values of their own

    def __init__(self, root: bytes, store: bytes, epoch: int) -> None:
        """Derive the keys that are needed often."""
        self._root = root
        self.store = store
        self.epoch = epoch
        self.former: Keys | None = None
        self.earlier: Sequence[tuple[int, bytes]] = ()
        self._index = expand(root, "index", store)
        self._integrity = Mac(expand(root, "integrity", store))
        self._expand_root = Mac(root)
        self._ends: dict[str, bytes] = {}
        self._audit: list[tuple[int, bytes]] = []
        # serves where the kept one does not open: a torn key must not stop a login from being saved
        self._fingerprint = expand(root, "fingerprint", store)

    def __repr__(self) -> str:
        return f"Keys(epoch={self.epoch})"

    @property
    def name(self) -> str:
        """The vault's short name, as in the names of its files and in lines of its log."""
        return self.store[:4].hex()

    def index(self, alias: str) -> bytes:
        """The name an alias is found under: keyed, so that it does not show the alias."""
        return hmac(self._index, _octets(alias))[:16]

    def seal_row(self, kind: str, login: str, version: int, state: str, plain: bytes) -> bytes:
        """``plain`` sealed as the ``kind`` part of a row."""
        return seal(self._row(kind, login), plain, self._bound(kind, login, version, state))

    def open_row(self, kind: str, login: str, version: int, state: str, sealed: bytes) -> bytes:
        """What was sealed as the ``kind`` part of this very row.

        Raises:
            Damaged: It is not this row's.
        """
        try:
            key, bound = self._row(kind, login), self._bound(kind, login, version, state)
        except Exception as error:  # SQLite keeps any type in any column
            raise Damaged("a sealed record claims to be what none can be", hint=_HELP) from error
        if self.former is None:
            return unseal(key, sealed, bound)
        try:
            return unseal(key, sealed, bound)
        except Damaged:
            return self.former.open_row(kind, login, version, state, sealed)

    def _row(self, kind: str, login: str) -> bytes:
        end = self._ends.get(kind)
        if end is None:
            parts = _info("", (kind.encode(), _u32(self.epoch)))
            end = self._ends[kind] = parts[len(_info("", ())) - 1 :]
        name = login.encode()
        return self._expand_root(_OF_RECORD + _u32(len(name)) + name + end)

    def _bound(
        self, kind: str, login: str, version: int, state: str, epoch: int | None = None
    ) -> bytes:
        head = _u16(RECORD) + _u64(version) + _u32(self.epoch if epoch is None else epoch)
        names = b"\0".join((self.store, login.encode(), kind.encode(), state.encode()))
        return head + names

    def entry_index(self, name: str) -> bytes:
        """The key of the entry ``name`` in the database."""
        return self.index(f"entry\0{name}")

    def seal_entry(self, index: bytes, plain: bytes) -> bytes:
        """``plain`` sealed as the entry at ``index``."""
        return seal(self._entry(index), plain, self._bound_entry(index))

    def open_entry(self, index: bytes, sealed: bytes) -> bytes:
        """What :meth:`seal_entry` was given.

        Raises:
            Damaged: It is not this entry's.
        """
        return unseal(self._entry(index), sealed, self._bound_entry(index))

    def _entry(self, index: bytes) -> bytes:
        return expand(self._root, "entry", index, _u32(self.epoch))

    def _bound_entry(self, index: bytes) -> bytes:
        return _u16(RECORD) + _u32(self.epoch) + self.store + b"\0" + index

    def seal_arrival(self, login: str, plain: bytes) -> bytes:
        """``plain`` sealed as what is kept aside of ``login``, outside of the storage."""
        key = expand(self.arrivals_key, "login", login.encode())
        return seal(key, plain, self._bound("arrival", login, 0, ""))

    def open_arrival(self, login: str, sealed: bytes) -> bytes:
        """What :meth:`seal_arrival` was given, under this root key or an earlier one.

        Raises:
            Damaged: It is not that login's.
        """
        tried = [(self.epoch, self.arrivals_key)]
        for epoch, kept in self.earlier:
            tried.append((epoch, self.open_earlier(epoch, kept)))
        for epoch, arrivals_key in tried:
            key = expand(arrivals_key, "login", login.encode())
            bound = self._bound("arrival", login, 0, "", epoch)
            try:
                return unseal(key, sealed, bound)
            except Damaged:
                continue
        return self.open_row("spill", login, 0, "", sealed)  # an earlier version kept it

    @property
    def arrivals_key(self) -> bytes:
        """The key of what is kept aside. It opens nothing in the storage, and outlives the root key."""
        return expand(self._root, "arrivals", self.store)

    def seal_earlier(self, epoch: int, arrivals_key: bytes) -> bytes:
        """The key of what was kept aside under root key ``epoch``, sealed under this one."""
        return seal(expand(self._root, "earlier", self.store), arrivals_key, _u32(epoch))

    def open_earlier(self, epoch: int, sealed: bytes) -> bytes:
        """What :meth:`seal_earlier` was given.

        Raises:
            Damaged: It is not that one.
        """
        return unseal(expand(self._root, "earlier", self.store), sealed, _u32(epoch))

    def seal_former(self, former: Keys) -> bytes:
        """The root key before, sealed under this one, for as long as rows are sealed under it."""
        return seal(expand(self._root, "former", self.store), former.root, _u32(former.epoch))

    def open_former(self, epoch: int, sealed: bytes) -> Keys:
        """The keys that :meth:`seal_former` was given.

        Raises:
            Damaged: They are not those.
        """
        root = unseal(expand(self._root, "former", self.store), sealed, _u32(epoch))
        return Keys(root, self.store, epoch)

    @property
    def root(self) -> bytes:
        """The root key itself, for a slot that is to wrap it."""
        return self._root

    @property
    def audit_keys(self) -> list[tuple[int, bytes]]:
        """The keys of the audit log, each with the first event it is for; 0 is for fingerprints."""
        return [(0, self._fingerprint), *self._audit]

    def take_audit_keys(self, kept: Sequence[tuple[int, bytes]]) -> None:
        """Use the audit keys that are ``kept`` in the vault, in the order of their events."""
        by_first = dict(kept)
        self._fingerprint = by_first.pop(0, self._fingerprint)
        self._audit = sorted(by_first.items())

    def _audit_key(self, seq: int) -> bytes:
        for first, key in reversed(self._audit):
            if first <= seq:
                return key
        raise Damaged(f"there is no key for record {seq} of the audit log", hint=_HELP)

    def seal_audit_key(self, first: int, key: bytes) -> bytes:
        """An audit key, sealed under the root key."""
        return seal(expand(self._root, "audit-key", self.store), key, _u64(first))

    def open_audit_key(self, first: int, sealed: bytes) -> bytes:
        """What :meth:`seal_audit_key` was given.

        Raises:
            Damaged: It is not that one.
        """
        return unseal(expand(self._root, "audit-key", self.store), sealed, _u64(first))

    def seal_event(self, seq: int, plain: bytes) -> bytes:
        """An audit event sealed as number ``seq``."""
        return seal(expand(self._audit_key(seq), "event"), plain, self.store + _u64(seq))

    def open_event(self, seq: int, sealed: bytes) -> bytes:
        """The audit event number ``seq``.

        Raises:
            Damaged: It is not that one.
        """
        return unseal(expand(self._audit_key(seq), "event"), sealed, self.store + _u64(seq))

    def chain(self, before: bytes, seq: int, sealed: bytes) -> bytes:
        """The link of event ``seq`` to all before it."""
        return hmac(self._audit_key(seq), before + _u64(seq) + sealed)

    def row_digest(self, login: str, version: int, state: str, tags: bytes) -> int:
        """The number that one row adds to the sums of its leaves."""
        bound = b"\0".join((login.encode(), str(version).encode(), state.encode(), tags))
        return int.from_bytes(self._integrity(bound), "big")

    def node_digest(self, place: int, body: bytes) -> bytes:
        """The digest of a node, as the node above it holds it."""
        return self._integrity(b"node\0" + _u32(place) + body)

    def head_mac(self, head: bytes) -> bytes:
        """The seal of the integrity record."""
        return self._integrity(b"head\0" + head)

    def header_mac(self, header: bytes) -> bytes:
        """The seal of the header."""
        return self._integrity(b"header\0" + header)

    def marker_mac(self, number: bytes) -> bytes:
        """The seal of a note of the vault's generation."""
        return self._integrity(b"rollback\0" + number)

    def fingerprint(self, name: str, value: str) -> str:
        """A short keyed digest of ``value``: equal for equal values, and it shows nothing else."""
        return hmac(self._fingerprint, _octets(f"{name}\0{value}"))[:8].hex()


def _octets(text: str) -> bytes:
    """``text`` in UTF-8; a lone surrogate, as in a bad paste, must give a wrong value, not an error."""
    return text.encode("utf-8", "surrogatepass")
