"""Makes the test vectors of the vault's format, with nothing of Stayfast's own.

Run it to see that ``format-1.json`` is what it says: ``python make.py > format-1.json``. It is written
from ``storage/FORMAT.md`` alone, with fixed keys and nonces, so that another implementation can be
held against the same values.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from struct import pack

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

ROOT = bytes(range(32))
STORE = bytes(range(100, 116))
LOGIN = "01J9ZK4Q0V7F3KTWX2A8B5C6DE"
NONCE = bytes(range(200, 212))
EPOCH = 3


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def expand(key: bytes, label: str, *context: bytes) -> bytes:
    parts = b"".join(pack(">I", len(part)) + part for part in context)
    return mac(key, b"stayfast/1/" + label.encode() + b"\0" + parts + b"\x01")


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    return NONCE + AESGCM(key).encrypt(NONCE, plain, bound)


def rows() -> list[dict[str, object]]:
    found = []
    for kind, version, state, plain in (
        ("secret", 7, "authenticated", b"the whole login"),
        ("meta", 7, "authenticated", b"what a list shows"),
        ("secret", 1 << 40, "idle", b""),
    ):
        key = expand(ROOT, "record", LOGIN.encode(), kind.encode(), pack(">I", EPOCH))
        bound = pack(">HQI", 1, version, EPOCH) + b"\0".join(
            (STORE, LOGIN.encode(), kind.encode(), state.encode())
        )
        found.append(
            {
                "kind": kind,
                "version": version,
                "state": state,
                "plain": plain.hex(),
                "sealed": seal(key, plain, bound).hex(),
            }
        )
    return found


def log() -> dict[str, object]:
    audit = bytes(range(50, 82))
    fingerprints = bytes(range(60, 92))
    wrap = expand(ROOT, "audit-key", STORE)
    texts = [b'{"event":"login.transition","seq":1}', b'{"event":"login.refused","seq":2}']
    link, events = b"", []
    for seq, text in enumerate(texts, 1):
        link = mac(audit, link + pack(">Q", seq) + text)
        sealed = seal(expand(audit, "event"), text, STORE + pack(">Q", seq))
        events.append({"text": text.decode(), "sealed": sealed.hex(), "link": link.hex()})
    return {
        "key": audit.hex(),
        "key_sealed": seal(wrap, audit, pack(">Q", 1)).hex(),
        "fingerprint_key": fingerprints.hex(),
        "fingerprint_key_sealed": seal(wrap, fingerprints, pack(">Q", 0)).hex(),
        "fingerprint": {
            "name": "subject",
            "value": "ada",
            "digest": mac(fingerprints, b"subject\0ada")[:8].hex(),
        },
        "events": events,
    }


def integrity() -> dict[str, object]:
    key = expand(ROOT, "integrity", STORE)
    tags = b"index-of-16-byte" + b"end-of-meta-16-b" + b"end-of-secret-16"
    hashed = b"\0".join((LOGIN.encode(), b"7", b"authenticated", tags))
    return {
        "tags": tags.hex(),
        "row_digest": mac(key, hashed).hex(),
        "tree": tree(key),
        "head": b"a head".hex(),
        "head_mac": mac(key, b"head\0" + b"a head").hex(),
        "header": b"a header".hex(),
        "header_mac": mac(key, b"header\0" + b"a header").hex(),
    }


def tree(key: bytes) -> dict[str, object]:
    """Two rows, of which one has an index, and every node over them."""
    index, ends = bytes(range(16)), b"m" * 16 + b"s" * 16
    digests = [
        int.from_bytes(mac(key, b"\0".join((name.encode(), version, state, tags))), "big")
        for name, version, state, tags in (
            (LOGIN, b"7", b"authenticated", index + ends),
            (f"01J{LOGIN[3:][::-1]}", b"2", b"idle", ends),
        )
    ]
    by_id = int(LOGIN[:3], 36)
    by_index = 46656 + (int.from_bytes(index[:2], "big") >> 1)
    entries = {by_id: sum(digests) % 2**256, by_index: digests[0]}
    below = {number: total.to_bytes(32, "big") for number, total in entries.items()}
    nodes: dict[int, bytes] = {}
    for first in (100, 1, 0):
        above: dict[int, dict[int, bytes]] = {}
        for number, entry in below.items():
            place = first + number // 36 if first else 0
            above.setdefault(place, {})[number % 36 if first else number] = entry
        for place, found in above.items():
            bits = sum(1 << number for number in found)
            nodes[place] = pack(">Q", bits) + b"".join(found[number] for number in sorted(found))
        below = {
            place - first: mac(key, b"node\0" + pack(">I", place) + nodes[place]) for place in above
        }
    return {
        "rows": [
            [LOGIN, 7, "authenticated", index.hex(), ends.hex()],
            [f"01J{LOGIN[3:][::-1]}", 2, "idle", None, ends.hex()],
        ],
        "nodes": {str(place): nodes[place].hex() for place in sorted(nodes)},
        "root": below[0].hex(),
    }


def slots() -> dict[str, object]:
    file_key = bytes(range(10, 42))
    opened = expand(file_key, "keyfile", STORE)
    stretched = Argon2id(
        salt=b"sixteen octets!!", length=32, iterations=1, lanes=1, memory_cost=64
    ).derive(b"correct horse")
    # the parameters of a slot, as CBOR: {} and {"lanes": 1, "memory_kib": 64, "passes": 1, "salt": …}
    nothing = b"\xa0"
    parameters = (
        b"\xa4" + b"\x64salt" + b"\x50sixteen octets!!" + b"\x65lanes\x01"
        + b"\x66passes\x01" + b"\x6amemory_kib\x18\x40"
    )  # fmt: skip
    head = b"stayfast/1/slot\0" + STORE
    return {
        "keyfile": {
            "key": file_key.hex(),
            "wrapped": seal(opened, ROOT, head + b"keyfile\0" + nothing).hex(),
            "commitment": mac(opened, b"stayfast/1/commitment\0" + STORE).hex(),
        },
        "passphrase": {
            "passphrase": "correct horse",
            "wrapped": seal(stretched, ROOT, head + b"passphrase\0" + parameters).hex(),
            "commitment": mac(stretched, b"stayfast/1/commitment\0" + STORE).hex(),
        },
    }


def vectors() -> dict[str, object]:
    """All of them."""
    return {
        "root": ROOT.hex(),
        "store": STORE.hex(),
        "login": LOGIN,
        "epoch": EPOCH,
        "index": {
            "alias": "account\0acme\0default",
            "value": mac(expand(ROOT, "index", STORE), b"account\0acme\0default")[:16].hex(),
        },
        "rows": rows(),
        "log": log(),
        "integrity": integrity(),
        "slots": slots(),
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=2))
