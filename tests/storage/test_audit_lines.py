"""An exported log, checked with the key and without."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.audit.verifier import check_lines
from stayfast.interfaces.audit.file import AuditFile
from stayfast.storage.audit.record_keys import LogKeys
from stayfast.storage.keys.sealing import Keys
from transitions_of import vault_in
from wandering import Wanderer

C = FindingCode
LINES = 60


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], LogKeys]:
    """The lines of a file, and the keys of the vault that wrote it."""
    place = tmp_path_factory.mktemp("exported")
    place.chmod(0o700)
    vault = vault_in(str(place))
    Wanderer(vault, 3, 9).fill(LINES)
    AuditFile(str(place / "audit.jsonl"), vault).catch_up()
    with vault._vault_connection.reading() as opened:
        assert opened is not None
        return (place / "audit.jsonl").read_bytes().splitlines(), LogKeys(opened[1])


def changed(raw: bytes, **members: Any) -> bytes:
    return json.dumps({**json.loads(raw), **members}).encode()


def test_a_whole_file_is_sound_with_the_key_and_without(exported) -> None:
    """All lines, any stretch of them, and repeated or torn ones have nothing wrong with them."""
    lines, keys = exported
    for stretch in (lines, lines[17:], lines[:40], [*lines[:9], lines[9][:50], *lines[5:]]):
        for link in (keys.link, None):
            found = check_lines(stretch, link)
            assert (found.findings, found.keyed) == ([], link is not None)
            assert found.last == json.loads(stretch[-1])["seq"]
    assert check_lines(lines, keys.link).records == LINES


@pytest.mark.parametrize("with_key", [True, False])
def test_a_line_less_or_elsewhere_is_noticed_without_a_key(exported, with_key: bool) -> None:
    """A line taken out, or exchanged with the next, at every place; the key is not needed for it."""
    lines, keys = exported
    link = keys.link if with_key else None
    for n in range(1, LINES - 1):
        less = check_lines([*lines[:n], *lines[n + 1 :]], link)
        assert (less.findings[0].code, less.findings[0].seq) == (C.MISSING, n + 1)
        swapped = [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]]
        found = check_lines(swapped, link).findings
        assert {one.seq for one in found if one.code in {C.MISSING, C.MOVED}} == {n + 1}


def test_an_edited_line_is_noticed_with_the_key(exported) -> None:
    """One member of one line, at every place: that line does not follow."""
    lines, keys = exported
    for n in range(LINES):
        edited = [*lines[:n], changed(lines[n], user="mallory"), *lines[n + 1 :]]
        found = check_lines(edited, keys.link).findings
        assert [(one.code, one.seq) for one in found] == [(C.CHANGED, n + 1)]
        assert check_lines(edited, None).findings == []  # what the key is for


def test_an_edited_link_is_noticed_without_the_key(exported) -> None:
    """The next line names another one before it."""
    lines, _ = exported
    for n in range(LINES - 1):
        edited = [*lines[:n], changed(lines[n], mac="00" * 32), *lines[n + 1 :]]
        found = check_lines(edited, None).findings
        assert [(one.code, one.seq) for one in found] == [(C.CHANGED, n + 2)]


def test_a_line_told_twice_and_differently_is_noticed(exported) -> None:
    """A repeat is a repeat only if it is the same record."""
    lines, _ = exported
    found = check_lines([*lines[:9], changed(lines[4], mac="00"), *lines[9:]], None).findings
    assert [(one.code, one.seq) for one in found] == [(C.CHANGED, 5)]


def test_a_key_of_another_vault_fits_nothing(exported) -> None:
    """Every line fails under it."""
    lines, _ = exported
    keys = Keys(b"x" * 32, b"y" * 16, 1)
    keys.take_audit_keys([(1, b"z" * 32)])
    other = LogKeys(keys)
    assert len(check_lines(lines, other.link).findings) == LINES


@pytest.mark.parametrize(
    "odd",
    [b"", b"[]", b"null", b"{}", b'{"seq": "x"}', b"\xff", b'{"seq":0,"prev":"","mac":""}',
     b'{"seq":true,"prev":"","mac":""}', b'{"seq":5,"prev":"zz","mac":""}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_record_is_passed_by(exported, odd: bytes) -> None:
    """A line that names no record proves nothing; what is missing is said by its number."""
    lines, keys = exported
    assert check_lines([odd, *lines, odd], keys.link).findings == []
    assert check_lines([odd], None).records == 0
