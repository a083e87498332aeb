"""``audit verify`` and ``audit checkpoint``: whether the log is complete, untouched and plausible.

A checkpoint is a signed note of how the log stands. Kept where the vault cannot be reached, it shows
later what was cut off or rewritten since.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Final

import click

from ....engine.audit.checkpoint import (
    check_signature,
    compare_head,
    kept_head,
    parse,
    parse_verifier_key,
    verifier_key,
)
from ....engine.audit.findings import CHAIN, Finding, FindingCode, records
from ....engine.errors import ConfigMissing, Damaged, NotFound, StorageError
from ....engine.hints import Hint
from ....engine.moments import moment_of, timestamp
from ....storage.audit.forward_keys import parse_key
from ....storage.audit.signing import signed_by
from ....storage.capabilities import capabilities_of
from ...audit.cursor import Cursor, read_cursor
from ...audit.outbox import Outbox
from ..app import App
from ..command_line import takes_app
from ..terminal.formatting import day_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from ....engine.audit.checkpoint import Note
    from ....engine.audit.verifier import Verification
    from ....engine.ports import Storage
    from ....storage.capabilities import AuditLog

_SHOWN: Final = 20  # a rewritten log has one finding per record: a screen of them is enough


def audit_log(storage: Storage) -> AuditLog:
    """The audit log of ``storage``, if it can be checked.

    Raises:
        StorageError: Its records are not linked.
    """
    log = capabilities_of(storage).log
    if log is None:
        raise StorageError(
            f"the audit log of {storage.description} has no links to check",
            hint="unset STAYFAST_STORE",
        )
    return log


@click.command()
@click.option(
    "--file",
    "exported",
    type=click.File("rb"),
    default=None,
    metavar="LOG.jsonl",
    help="Check an exported log instead; - is standard input.",
)
@click.option(
    "--checkpoint",
    "kept",
    type=click.File("r", encoding="utf-8", errors="replace"),  # then it is refused by its form
    multiple=True,
    metavar="FILE",
    help="Compare with a checkpoint, or a head line, that was kept elsewhere; - is standard input.",
)
@click.option(
    "--public-key",
    default=None,
    metavar="KEY",
    help="What checkpoints must be signed with, where the vault is not here.",
)
@click.option(
    "--forward-key",
    type=click.File("r", encoding="utf-8", errors="replace"),  # then it is refused by its form
    default=None,
    metavar="FILE",
    help="The verification key that forward-secure showed; - is standard input.",
)
@takes_app
def verify(
    app: App,
    *,
    exported: IO[bytes] | None,
    kept: Sequence[IO[str]],
    public_key: str | None,
    forward_key: IO[str] | None,
) -> None:
    """Prove the audit log. Every record follows, none is missing, all was allowed.

    Checks the links between the records, their numbers, that the log ends where the vault says it
    does, that every transition is one of the machine and starts where its login was, and that every
    login in the vault stands where the log left it. Exits with 8 if anything is wrong.

    A checkpoint that was kept elsewhere shows what the vault alone cannot: whether a person with
    its key cut the log off or rewrote it.

    An exported log is checked with the key of the vault, if the vault is here; without it,
    a record that was rewritten together with all later records goes unnoticed.
    """
    log = audit_log(app.assembly().storage)
    heads = [kept_head(file.read()) for file in kept]
    marks = [head.checkpoint.size for head in heads]
    forward = parse_key(forward_key.read()) if forward_key else None
    signer = log.signer() if exported is None else None  # opens the vault, which may ask first
    if exported is None and kept and signer is None:
        raise NotFound(
            "nothing was ever recorded here; an exported log is compared by --file and --checkpoint",
            hint=Hint("audit verify", None, "--help"),
        )
    with app.terminal.working("checking every record"):
        if exported is not None:
            found = log.verify_lines(exported, marks, forward)
        else:
            found = verified(app, log, marks, forward)
    found = replace(found, findings=[*found.findings, *_compared(log, found, heads, public_key)])
    show_verification(app, found, exported=exported is not None)
    if found.findings:
        sys.exit(Damaged.exit_code)


def verified(
    app: App,
    log: AuditLog,
    marks: Collection[int] = (),
    forward: tuple[int, bytes] | None = None,
) -> Verification:
    """The check of ``log``, with a finding for each sink that has later records than the log.

    Args:
        app: Has the storage of ``log``, and its sinks.
        log: The log.
        marks: As for :meth:`stayfast.storage.capabilities.AuditLog.verify`.
        forward: Likewise.
    """
    # read before the log: a record is sent after its commit, so no sink is ahead of a genuine log
    sent = _sent(app)
    found = log.verify(marks, forward)
    end = max(found.last, *(one.last or 0 for one in found.findings), 0)  # with what was cut off
    ahead = [
        Finding(
            code=FindingCode.ROLLED_BACK,
            message=f"{sink} has records up to {seq}, and the log ends with record {end}",
            seq=end + 1,
            last=seq,
        )
        for sink, seq in sent
        if seq > end
    ]
    return replace(found, findings=[*found.findings, *ahead])


def _sent(app: App) -> list[tuple[str, int]]:
    """The name of each sink that outlives a process, and the last record of this log that it has."""
    outboxes = [one for one in app.assembly().sinks if isinstance(one, Outbox)]
    found: list[tuple[str, int]] = []
    with suppress(Damaged):  # a record that does not open has a finding of its own
        for record in app.assembly().storage.events(limit=1):
            for one in outboxes:
                with suppress(StorageError, OSError):  # `store info` says why it cannot be read
                    cursor = read_cursor(one.cursor) or Cursor()
                    if record.store in cursor.positions:
                        found.append((one.sink.name, cursor.positions[record.store].seq))
    return found


def _compared(
    log: AuditLog, found: Verification, heads: Sequence[Note], public_key: str | None
) -> list[Finding]:
    """What is wrong with the log, going by ``heads`` that were kept elsewhere."""
    findings: list[Finding] = []
    for note in heads:
        if note.signatures:  # a head line is unsigned: the person who kept it vouches for it
            origin, public = _signer(log, public_key)
            wrong = check_signature(note, origin, public, signed_by)
            if wrong:
                findings += wrong
                continue
        findings += compare_head(note.checkpoint.size, note.checkpoint.head, found)
    return findings


def _signer(log: AuditLog, public_key: str | None) -> tuple[str, bytes]:
    if public_key is not None:
        return parse_verifier_key(public_key)
    signer = log.signer()
    if signer is None:
        raise ConfigMissing(
            "the vault is not here, so the key of the checkpoint is not known",
            hint=Hint("audit verify", None, "--public-key", "KEY"),
        )
    return signer.origin, signer.public


def show_verification(app: App, found: Verification, *, exported: bool = False) -> None:
    """Print the result of a check: of the vault's own log, or of an exported one."""
    if app.terminal.json:
        app.terminal.answer_json("audit-verify/1", members_of(found))
        return
    for line in lines_of(app, found, exported=exported):
        app.terminal.answer_words(line, len(line) - len(line.lstrip()) + 2)


def members_of(found: Verification) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "sound": not found.findings,
        "records": found.records,
        "first": found.first,
        "last": found.last,
        "intact": found.intact,
        "head": {"seq": found.last, "mac": found.head.hex()},
        "since": timestamp(found.since),
        "until": timestamp(found.until),
        "logins": found.logins,
        "keyed": found.keyed,
        "unkeyed": found.unkeyed,
        "findings": [
            {
                "code": one.code.value,
                "seq": one.seq,
                "last": one.last,
                "login": one.login,
                "message": one.message,
                "expected": one.expected,
                "found": one.found,
            }
            for one in found.findings
        ],
    }


def lines_of(app: App, found: Verification, *, exported: bool = False) -> list[str]:
    """The answer for people."""
    terminal = app.terminal
    if not found.findings:
        return _sound(app, found)
    lines: list[str] = []
    for one in found.findings[:_SHOWN]:
        lines += _finding(terminal.symbol("bad"), one)
    if len(found.findings) > _SHOWN:
        lines.append(f"  and {len(found.findings) - _SHOWN} more: stayfast audit verify --json")
    if any(one.code in CHAIN for one in found.findings):
        lines.append(_trust(found))
        if exported:  # the vault's own log may be sound: what mends that one is not for a copy
            own = "the vault's own log, which may be sound"
            return [*lines, f"  {terminal.symbol('next')} stayfast audit verify     {own}"]
        onward = f"{terminal.symbol('next')} stayfast audit set-aside"
        if found.intact >= found.first > 0:
            kept = f"stayfast audit export --until {found.intact} > before.jsonl"
            lines.append(f"  {terminal.symbol('next')} {kept}")
        lines.append(f"  {onward}     go on with a new segment; what is damaged stays")
    else:
        lines.append("  the records themselves are unbroken")
    return lines


def _sound(app: App, found: Verification) -> list[str]:
    good = app.terminal.symbol("good")
    if not found.records:
        return [f"{good} the log is empty"]
    many = f"{found.records:,} record{'s' if found.records != 1 else ''}"
    chain = "chain unbroken" if found.keyed else "numbers and links between lines unbroken"
    lines = [
        f"{good} {many}, {_dates(found)}, {chain}, every transition allowed by the machine",
        f"  head {found.last} sha256:{found.head.hex()}",
    ]
    if found.keyed:
        lines.append("  keep that line elsewhere to detect truncation")
    else:
        lines.append("  the key of the vault is not here: a log rewritten as a whole would pass")
    if found.unkeyed:
        many = f"{found.unkeyed:,} records are linked with keys that were erased"
        lines.append(f"  {many}: --forward-key FILE checks them too")
    return lines


def _finding(mark: str, one: Finding) -> list[str]:
    lines = [f"{mark} {one.message}"]
    if one.expected:
        lines += [f"    expected  sha256:{one.expected}", f"    found     sha256:{one.found}"]
    return lines


def _trust(found: Verification) -> str:
    last = max(found.last, *(one.last or 0 for one in found.findings))
    rest = f"{records(found.intact + 1, last)[7:].strip()} cannot be trusted"
    if found.intact < found.first or not found.first:
        return f"  {rest}"
    one = found.first == found.intact
    return f"  {records(found.first, found.intact)} {'is' if one else 'are'} intact; {rest}"


def _dates(found: Verification) -> str:
    first, last = (moment_of(moment) for moment in (found.since, found.until))
    if first.date() == last.date():
        return day_of(last)
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day} {first:%b}{year} - {day_of(last)}"


@click.command()
@takes_app
def checkpoint(app: App) -> None:
    """Print a signed note of how the log stands. Keep it elsewhere.

    Later, `stayfast audit verify --checkpoint FILE` shows whether the records it covers are still there
    and unchanged. A person with the key of the vault cannot hide a change from it. The note holds the number of
    records and the hash of the last one, signed with Ed25519 in the form of a transparency log's checkpoint.
    """
    log = audit_log(app.assembly().storage)
    note, signer = log.checkpoint(), log.signer()
    if note is None or signer is None:
        raise NotFound("nothing has been recorded yet", hint=Hint("login"))
    public = verifier_key(signer.origin, signer.public)
    if app.terminal.json:
        head = parse(note).checkpoint
        app.terminal.answer_json(
            "audit-checkpoint/1",
            {
                "origin": head.origin,
                "size": head.size,
                "head": head.head.hex(),
                "note": note,
                "public_key": public,
            },
        )
        return
    app.terminal.answer(note.rstrip("\n"))
    app.terminal.say("keep it elsewhere; without the vault, an export is compared with it by")
    app.terminal.suggest(
        f"stayfast audit verify --file LOG.jsonl --checkpoint FILE --public-key {public}"
    )
