"""The written format and the code say the same: vectors made without any of our code."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from stayfast.engine import cbor
from stayfast.storage.keys.sealing import Keys, expand
from stayfast.storage.keys.slots import unlock
from stayfast.storage.vault.header import Header, Slot
from stayfast.storage.vault.tree import leaves_of, root_of, tree_of

VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return json.loads((VECTORS / "format-1.json").read_text())


@pytest.fixture
def keys(published: dict[str, Any]) -> Keys:
    return Keys(
        bytes.fromhex(published["root"]), bytes.fromhex(published["store"]), published["epoch"]
    )


def test_the_published_vectors_are_what_their_maker_makes(published: dict[str, Any]) -> None:
    """Nobody edited one without the other."""
    spec = importlib.util.spec_from_file_location("vector_maker", VECTORS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.vectors() == published


def test_rows(published: dict[str, Any], keys: Keys) -> None:
    """A row sealed elsewhere opens here, and its index is the same."""
    for row in published["rows"]:
        names = (row["kind"], published["login"], row["version"], row["state"])
        assert keys.open_row(*names, bytes.fromhex(row["sealed"])).hex() == row["plain"]
    assert keys.index(published["index"]["alias"]).hex() == published["index"]["value"]


def test_the_log(published: dict[str, Any], keys: Keys) -> None:
    """Its keys, its events, its links and its fingerprints."""
    log = published["log"]
    kept = [
        (0, keys.open_audit_key(0, bytes.fromhex(log["fingerprint_key_sealed"]))),
        (1, keys.open_audit_key(1, bytes.fromhex(log["key_sealed"]))),
    ]
    assert [key.hex() for _, key in kept] == [log["fingerprint_key"], log["key"]]
    keys.take_audit_keys(kept)
    link = b""
    for seq, event in enumerate(log["events"], 1):
        text = keys.open_event(seq, bytes.fromhex(event["sealed"]))
        assert text.decode() == event["text"]
        link = keys.chain(link, seq, text)
        assert link.hex() == event["link"]
    fingerprint = log["fingerprint"]
    assert keys.fingerprint(fingerprint["name"], fingerprint["value"]) == fingerprint["digest"]


def test_the_integrity_record(published: dict[str, Any], keys: Keys) -> None:
    """What shows that a row vanished, or that the head or the header was edited."""
    integrity = published["integrity"]
    digest = keys.row_digest(
        published["login"], 7, "authenticated", bytes.fromhex(integrity["tags"])
    )
    assert digest.to_bytes(32, "big").hex() == integrity["row_digest"]
    assert keys.head_mac(bytes.fromhex(integrity["head"])).hex() == integrity["head_mac"]
    assert keys.header_mac(bytes.fromhex(integrity["header"])).hex() == integrity["header_mac"]


def test_the_tree(published: dict[str, Any], keys: Keys) -> None:
    """What shows that a row is the last that was saved."""
    tree = published["integrity"]["tree"]
    rows = []
    for login, version, state, index, ends in tree["rows"]:
        named = bytes.fromhex(index) if index else None
        tags = (named or b"") + bytes.fromhex(ends)
        rows.append((leaves_of(login, named), keys.row_digest(login, version, state, tags)))
    grown = tree_of(keys, rows)
    assert {str(place): body.hex() for place, body in grown.items()} == tree["nodes"]
    assert root_of(keys, grown).hex() == tree["root"]


def test_slots(published: dict[str, Any]) -> None:
    """A slot made elsewhere gives the root key."""
    store, root = bytes.fromhex(published["store"]), bytes.fromhex(published["root"])
    made = published["slots"]["keyfile"]
    slot = Slot("keyfile", {}, bytes.fromhex(made["wrapped"]), bytes.fromhex(made["commitment"]))
    assert slot.unwrap(expand(bytes.fromhex(made["key"]), "keyfile", store), store) == root

    made = published["slots"]["passphrase"]
    params: dict[str, cbor.Plain] = {
        "salt": b"sixteen octets!!",
        "memory_kib": 64,
        "passes": 1,
        "lanes": 1,
    }
    slot = Slot(
        "passphrase", params, bytes.fromhex(made["wrapped"]), bytes.fromhex(made["commitment"])
    )
    header = Header(store=store, kind="file", reason="", epoch=1, created_at=0.0, slots=[slot])
    opened = unlock(
        header,
        config_dir="",
        passphrase=lambda: made["passphrase"],
        keyring=lambda _store, _item: b"",
        environ={},
    )
    assert opened == root
