"""Checkpoints kept elsewhere show what the vault alone cannot."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from command import World
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from insider import rewrite
from stayfast.engine.audit.checkpoint import kept_head, parse, parse_verifier_key
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.errors import ConfigInvalid
from stayfast.storage import Vault


@pytest.fixture
def kept(world: World) -> tuple[World, str]:
    """A world with a login, and the checkpoint that was made after it."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    done = world.run("audit", "checkpoint")
    assert done.code == 0
    return world, done.out


def found_with(world: World, note: str, *more: str) -> list[tuple[str, int | None]]:
    done = world.run("audit", "verify", "--json", "--checkpoint", "-", *more, stdin=note)
    assert done.code == (8 if done.json["findings"] else 0)
    return [(one["code"], one["seq"]) for one in done.json["findings"]]


def vault_of(world: World) -> Vault:
    storage = world.assembly.storage
    assert isinstance(storage, Vault)
    return storage


def test_a_log_that_went_on_agrees_with_its_checkpoint(kept: tuple[World, str]) -> None:
    """Right away and later, and with the plain head line as well."""
    world, note = kept
    assert found_with(world, note) == []
    head = world.run("audit", "verify").out.splitlines()[1]
    assert world.run("refresh", "demo").code == 0
    assert found_with(world, note) == []
    assert found_with(world, head) == []


def test_a_log_that_was_cut_by_one_who_has_the_key_is_found_out(kept: tuple[World, str]) -> None:
    """The vault agrees with its log, and the checkpoint does not."""
    world, note = kept
    assert world.run("logout", "demo").code == 0
    rewrite(vault_of(world), lambda seq, members: members if seq < 3 else None)
    chain = {"truncated", "missing", "moved", "changed", "head"}
    alone = world.run("audit", "verify", "--json").json["findings"]
    assert not chain & {one["code"] for one in alone}
    assert ("checkpoint_cut", 3) in found_with(world, note)


def test_a_log_that_was_written_anew_is_found_out(kept: tuple[World, str]) -> None:
    """One word in one record, and everything behind it linked again."""
    world, note = kept
    head = world.run("audit", "verify").out.splitlines()[1]
    rewrite(
        vault_of(world),
        lambda seq, members: {**members, "user": "mallory"} if seq == 2 else members,
    )
    assert world.run("audit", "verify").code == 0
    rewritten = [("checkpoint_rewritten", parse(note).checkpoint.size)]
    assert found_with(world, note) == rewritten
    assert found_with(world, head) == rewritten


def test_a_checkpoint_of_another_log_is_none_of_this_one(
    kept: tuple[World, str], tmp_path: Path
) -> None:
    """Nor is one whose text was changed."""
    world, note = kept
    other = World(tmp_path / "other", world.server)
    other.place.chmod(0o700)
    assert other.run("login", "demo", "--via", "loopback").code == 0
    assert found_with(other, note) == [("checkpoint_signature", None)]
    size = parse(note).checkpoint.size
    changed = note.replace(f"\n{size}\n", f"\n{size - 1}\n")
    assert found_with(world, changed) == [("checkpoint_signature", None)]


def test_others_can_check_it_without_the_vault(kept: tuple[World, str], tmp_path: Path) -> None:
    """The public key and an exported file are enough; the signature is plain Ed25519."""
    world, note = kept
    public = world.run("audit", "checkpoint", "--json").json["public_key"]
    file = str(world.state / "audit.jsonl")
    away = ("--state-dir", str(tmp_path / "none"), "--file", file)
    assert found_with(world, note, *away, "--public-key", public) == []
    assert world.run("audit", "verify", *away, "--checkpoint", "-", stdin=note).code == 1
    lines = Path(file).read_bytes().splitlines(keepends=True)
    Path(file).write_bytes(b"".join(lines[:-1]))
    cut = [("checkpoint_cut", parse(note).checkpoint.size)]
    assert found_with(world, note, *away, "--public-key", public) == cut
    text, signed = note.split("\n\n")
    _, key = parse_verifier_key(public)
    signature = base64.b64decode(signed.split()[2])[4:]
    Ed25519PublicKey.from_public_bytes(key).verify(signature, text.encode() + b"\n")
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text.encode())


def test_there_is_nothing_to_sign_before_anything_happened(world: World) -> None:
    """An empty log has no checkpoint, and none is made by asking."""
    done = world.run("audit", "checkpoint", "--json")
    assert (done.code, done.json["code"]) == (1, "NOT_FOUND")
    assert not (world.state / "vault.db").exists()


@pytest.mark.parametrize(
    "odd", ["", "head", "head x sha256:00", "head 3 sha256:zz", "a\n1\n!!\nchain hmac-sha256\n\n— a b\n",
            "a\n1\nAA==\ntree\n\n— a AA==\n", "a\n-1\nAA==\nchain hmac-sha256\n\n— a AA==\n",
            "a\n1\nAA==\nchain hmac-sha256\n\n— a AA==\n", "a\n01\nAA==\nchain hmac-sha256\n\n— a AA==\n"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(odd: str) -> None:
    """Text that is neither a note nor a head line is not compared with anything."""
    with pytest.raises(ConfigInvalid):
        kept_head(odd)


def test_every_changed_octet_of_a_note_is_noticed(kept: tuple[World, str]) -> None:
    """No octet of a checkpoint can be changed so that it still says something, signed."""
    world, note = kept
    signer = vault_of(world).signer()
    assert signer is not None
    from stayfast.engine.audit.checkpoint import check_signature  # noqa: PLC0415  beside its one use
    from stayfast.storage.audit.signing import signed_by  # noqa: PLC0415  the same

    sound = parse(note)
    assert check_signature(sound, signer.origin, signer.public, signed_by) == []
    for at, letter in enumerate(note):
        changed = note[:at] + ("A" if letter != "A" else "B") + note[at + 1 :]
        try:
            read = kept_head(changed)
        except ConfigInvalid:
            continue
        wrong = check_signature(read, signer.origin, signer.public, signed_by)
        assert [one.code for one in wrong] == [FindingCode.CHECKPOINT_SIGNATURE] or read == sound, (
            at
        )
