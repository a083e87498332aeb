"""Checkpoints: what is read, what is refused, and what a comparison says, without any vault."""

from __future__ import annotations

import base64

import pytest
from stayfast.engine.audit.checkpoint import (
    Checkpoint,
    check_signature,
    compare_head,
    compose,
    kept_head,
    parse,
    parse_verifier_key,
    verifier_key,
)
from stayfast.engine.audit.findings import Finding, FindingCode
from stayfast.engine.audit.histories import Histories
from stayfast.engine.audit.verifier import ChainWalk, Verification
from stayfast.engine.errors import ConfigInvalid

ORIGIN = "stayfast/5d0c"
PUBLIC = bytes(range(32))
HEAD = b"h" * 32
CHECKPOINT = Checkpoint(origin=ORIGIN, size=7, head=HEAD)
SIGNATURE = b"s" * 64
NOTE = compose(CHECKPOINT, PUBLIC, SIGNATURE)


def same(public: bytes, signature: bytes, text: bytes) -> bool:
    """A signature scheme that accepts one signature of one text by one key."""
    return (public, signature, text) == (PUBLIC, SIGNATURE, CHECKPOINT.text().encode())


def log(first: int, last: int) -> Verification:
    """A sound log of the records from ``first`` to ``last``; each has a link of its own."""
    walk = ChainWalk(
        None, Histories(from_the_start=first == 1), last=first - 1, wanted=range(1, last + 1)
    )
    for seq in range(first, last + 1):
        walk.take(seq, b'{"event":"test"}', seq.to_bytes(32))
    return walk.verification()


def codes(findings: list[Finding]) -> list[tuple[FindingCode, int | None, int | None]]:
    return [(one.code, one.seq, one.last) for one in findings]


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["as written", "by way of Windows"])
def test_a_note_is_read_back(ends: str) -> None:
    """A checkpoint and its signature come back from their text, whatever ends its lines."""
    note = parse(NOTE.replace("\n", ends))
    assert note.checkpoint == CHECKPOINT
    assert check_signature(note, ORIGIN, PUBLIC, same) == []
    assert kept_head(NOTE) == note


def test_signatures_of_others_do_no_harm() -> None:
    """A note may carry lines of other signers; the one that is asked for is found among them."""
    other = compose(CHECKPOINT, b"o" * 32, b"x" * 64).splitlines()[-1]
    short = "— witness " + base64.b64encode(b"short").decode()
    note = parse(f"{NOTE.rstrip()}\n{other}\n{short}\n")
    assert len(note.signatures) == 2
    assert check_signature(note, ORIGIN, PUBLIC, same) == []


@pytest.mark.parametrize(
    ("origin", "public"),
    [("stayfast/other", PUBLIC), (ORIGIN, b"o" * 32)],
    ids=["another log", "another key"],
)
def test_a_note_of_another_signer_is_a_finding(origin: str, public: bytes) -> None:
    """Both the log and the key must be those of the signature."""
    found = check_signature(parse(NOTE), origin, public, same)
    assert codes(found) == [(FindingCode.CHECKPOINT_SIGNATURE, None, None)]


def test_a_note_without_a_usable_signature_is_refused() -> None:
    """A line that only looks like a signature signs nothing."""
    unsigned = NOTE.replace("— ", "- ")
    assert parse(unsigned).signatures == {}
    with pytest.raises(ConfigInvalid):
        kept_head(unsigned)


def test_a_head_line_is_read_without_a_signature() -> None:
    """The line that ``audit verify`` prints is enough for a later check."""
    note = kept_head(f"  head 7 sha256:{HEAD.hex()}\n")
    assert (note.checkpoint.size, note.checkpoint.head, note.signatures) == (7, HEAD, {})


@pytest.mark.parametrize(
    "text",
    [
        "head 0 sha256:00", "head -5 sha256:00", "head x sha256:00", "head 7 sha256:0",
        "head 7", "", NOTE.replace("\n7\n", "\n0\n"), NOTE.replace("\n7\n", "\n-7\n"),
        NOTE.replace("\n7\n", "\n07\n"), NOTE.replace("\n7\n", "\n7_0\n"),
        NOTE.replace("chain", "tree"), NOTE.replace("\n\n", "\n"), NOTE.replace("— ", "—"),
        NOTE.replace("\n7\n", "\n" + "9" * 5000 + "\n"),
    ],
)  # fmt: skip
def test_what_counts_no_records_is_not_a_checkpoint(text: str) -> None:
    """Nothing is compared with a head that no log can have, or with another spelling of one."""
    with pytest.raises(ConfigInvalid):
        kept_head(text)


def test_a_public_key_is_read_back() -> None:
    """The name of the log and the key come back from their text."""
    assert parse_verifier_key(f" {verifier_key(ORIGIN, PUBLIC)}\n") == (ORIGIN, PUBLIC)


@pytest.mark.parametrize(
    "changed",
    [
        lambda key: "",
        lambda key: key.replace("5d0c", "5d0d"),
        lambda key: key[:-4],
        lambda key: key + "!",
        lambda key: f"{key.rsplit('+', 1)[0]}+{base64.b64encode(b'2' + PUBLIC).decode()}",
        lambda key: key.replace("+", "-"),
        lambda key: key + "é",
    ],
)
def test_a_public_key_with_a_slip_in_it_is_refused(changed) -> None:
    """The key names its log and its own hash, so that a damaged copy is noticed."""
    with pytest.raises(ConfigInvalid):
        parse_verifier_key(changed(verifier_key(ORIGIN, PUBLIC)))


@pytest.mark.parametrize(
    ("size", "head", "first", "last", "found"),
    [
        pytest.param(3, 3, 1, 5, [], id="went on since"),
        pytest.param(5, 5, 1, 5, [], id="the same"),
        pytest.param(2, 2, 4, 9, [], id="pruned since"),
        pytest.param(7, 7, 1, 5, [(FindingCode.CHECKPOINT_CUT, 6, 7)], id="cut off"),
        pytest.param(1, 1, 0, 0, [(FindingCode.CHECKPOINT_CUT, 1, 1)], id="emptied"),
        pytest.param(3, 4, 1, 5, [(FindingCode.CHECKPOINT_REWRITTEN, 3, 3)], id="rewritten"),
    ],
)
def test_a_log_is_compared_with_its_kept_head(
    size: int, head: int, first: int, last: int, found: list[tuple[FindingCode, int, int]]
) -> None:
    """A log agrees while it contains the head, or has pruned it; else the finding says how not."""
    walked = log(first, last) if last else ChainWalk(None, Histories()).verification()
    assert codes(compare_head(size, head.to_bytes(32), walked)) == found


def test_a_record_that_was_taken_out_does_not_agree() -> None:
    """A log that has lost the record of a kept head is not the log it was."""
    walk = ChainWalk(None, Histories(), wanted=[2])
    for seq in (1, 3):
        walk.take(seq, b'{"event":"test"}', seq.to_bytes(32))
    (found,) = compare_head(2, (2).to_bytes(32), walk.verification())
    assert (found.code, found.found) == (FindingCode.CHECKPOINT_REWRITTEN, None)
