"""``audit prune``, ``set-aside`` and ``forward-secure``: where the log begins, and its keys end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ....engine.audit.findings import records
from ....engine.errors import StorageError
from ....storage.capabilities import capabilities_of
from ...audit.file import AuditFile
from ..app import App
from ..command_line import takes_app
from ..marks import MomentParam

if TYPE_CHECKING:
    from ....engine.ports import Storage
    from ....storage.capabilities import AuditLog, VaultUpkeep
    from ..marks import Mark


@click.command()
@click.option(
    "--before",
    type=MomentParam(),
    required=True,
    help="Remove the records that are older than this age or date, such as 90d.",
)
@takes_app
def prune(app: App, *, before: Mark) -> None:
    """Remove old records. The rest can still be verified.

    The old records are verified first, then closed with a checkpoint, which is printed. The log goes on
    from the last link of that part. The lines of the audit file go too, and so does a login that is
    over, with the last record of its history. A part that was set aside goes once it is old enough.
    """
    assembly = app.assembly()
    done = _log(assembly.storage).prune(before.moment(assembly.clock.now()))
    if done is None:
        if app.terminal.json:
            app.terminal.answer_json("audit-prune/1", {"removed": None, "logins": 0, "note": None})
        else:
            app.terminal.say("no record is that old")
        return
    for sink in assembly.sinks:
        sink.observe([], None)  # the record of this; a sink that fails now gets it later
        if isinstance(sink, AuditFile):
            sink.forget(done.last)
    if app.terminal.json:
        removed = {"first": done.first, "last": done.last}
        answer = {"removed": removed, "logins": done.logins, "note": done.note}
        app.terminal.answer_json("audit-prune/1", answer)
        return
    app.terminal.answer(done.note.rstrip("\n"))
    over = f", with {done.logins} logins that were over" if done.logins else ""
    app.terminal.say(f"removed {records(done.first, done.last)}{over}", mark="good")


@click.command("set-aside")
@takes_app
def set_aside(app: App) -> None:
    """Set a damaged log aside. The next record begins a new segment.

    Nothing is removed: `stayfast audit verify` reports the damaged part until you prune it. If the end
    of the log is damaged, Stayfast sets it aside by itself, so that no login waits for it.
    """
    recorded = _log(app.assembly().storage).set_aside()
    if recorded is None:
        app.terminal.say("nothing has been recorded yet")
        return
    if app.terminal.json:
        answer = {"seq": recorded.seq, "detail": recorded.members["detail"]}
        app.terminal.answer_json("audit-set-aside/1", answer)
        return
    app.terminal.say(f"the log goes on with record {recorded.seq}", mark="good")


@click.command("forward-secure")
@takes_app
def forward_secure(app: App) -> None:
    """Erase the key of each record once it is written. Prints a verification key, once.

    A thief of the vault and its key then cannot forge older records: their keys no longer exist. Keep
    the verification key away from the vault. `stayfast audit verify --forward-key FILE` derives the
    erased keys from it, and nothing else can. You cannot undo this for this vault.

    The keys are erased from the vault's file. A file system, an SSD or a backup may hold older copies.
    """
    shown = _vault(app.assembly().storage).go_forward_secure()
    if app.terminal.json:
        app.terminal.answer_json("audit-forward-secure/1", {"verification_key": shown})
        return
    app.terminal.say("keep this line where the vault is not; it is not shown again", mark="warn")
    app.terminal.answer(shown)


def _log(storage: Storage) -> AuditLog:
    log = capabilities_of(storage).log
    if log is None:
        raise StorageError(
            f"the audit log of {storage.description} has no end to cut", hint="unset STAYFAST_STORE"
        )
    return log


def _vault(storage: Storage) -> VaultUpkeep:
    """``storage``, if what is erased there is gone: a database server keeps old rows for a while."""
    vault = capabilities_of(storage).vault
    if vault is None:
        raise StorageError(
            f"what {storage.description} erases may remain in its database",
            hint="unset STAYFAST_STORE",
        )
    return vault
