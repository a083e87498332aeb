"""``store``: where logins are kept, and under which key."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from ....engine.errors import ConfigInvalid, Damaged, StorageError
from ....engine.hints import Hint
from ....engine.moments import local_of, timestamp
from ....storage import open_storage
from ....storage.capabilities import Upkeep, capabilities_of
from ....storage.keys.slots import WINDOWED, KeyMissing
from ....storage.keys.sources import KINDS
from ....storage.keys.window import forget_all, how_many, seconds_of, why_not
from ....storage.migrating import migrate, place_of
from ....storage.paths import absolute, state_dir
from ....storage.postgres.driver import is_address
from ....storage.private_file import STATE_VARIABLE
from ....storage.vault.info import DatabaseInfo
from ...audit.cursor import Cursor, read_cursor
from ...audit.outbox import Outbox
from ..app import App
from ..command_line import AGES, Duration, HelpfulGroup, takes_app
from ..passphrases import new_passphrase, passphrase_of
from ..standing import say_moved
from ..terminal.formatting import clock_time, day_of, number_of, with_tilde, word_of_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ....engine.ports import Storage
    from ....engine.summary import Summary
    from ....storage.vault.info import VaultInfo

_WITHOUT_KEY: Final = "stayfast store mend --without-key"


@click.group(cls=HelpfulGroup)
def store() -> None:
    """Where logins are kept, and under which key."""


@store.command("info")
@takes_app
def info(app: App) -> int:
    """Show where the logins are, what opens them, and whether all is as it was saved.

    Also shows which receivers of the audit log lack records, since when, and why; and whether this
    session has what an unlock window keeps.

    Exits with 8 if something is not as it was saved.
    """
    storage = app.assembly().storage
    upkeep = capabilities_of(storage).upkeep
    sinks = _sinks(app)
    if upkeep is None:
        if app.terminal.json:
            answer = {"storage": storage.description, "sinks": [asdict(one) for one in sinks]}
            app.terminal.answer_json("store/1", answer)
        else:
            app.terminal.answer_words(f"  {'storage':<10} {storage.description}", 13)
            _answer_sinks(app, sinks)
        return 0
    info = upkeep.about()
    problems = upkeep.problems() if info.key else []
    lasts, kept = seconds_of(app.environ), how_many()
    if app.terminal.json:
        members = _members(upkeep, info, problems)
        members["unlock_window"] = {"seconds": lasts if _windowed(info.key) else 0, "kept": kept}
        members["sinks"] = [asdict(one) for one in sinks]
        app.terminal.answer_json("store/1", members)
    else:
        counted = (
            _counted(storage.summaries()) if info.key and not problems else f"{info.logins} kept"
        )
        unlocked = [("unlocked", _window(info.key, lasts, kept))] if lasts or kept else []
        for name, value in [*_fields(info, counted), *unlocked]:
            app.terminal.answer_words(f"  {name:<10} {with_tilde(value)}", 13)
        _answer_sinks(app, sinks)
        for problem in problems:
            app.terminal.say(problem, mark="bad")
        if problems:
            app.terminal.suggest("stayfast store mend", "set aside what does not open")
    return Damaged.exit_code if problems else 0


@store.command("mend")
@click.option(
    "--without-key",
    is_flag=True,
    help="Also set aside a vault whose key is missing, and make a new one.",
)
@takes_app
def mend(app: App, *, without_key: bool) -> None:
    """Set damaged records aside. Nothing is deleted, and the other logins work again.

    If the vault does not open, and one that was set aside does, that one is taken back. If only the
    key is missing, nothing is moved without --without-key or a yes at the terminal.
    """
    upkeep = _upkeep(app)
    try:
        done = upkeep.mend(without_key=without_key)
    except KeyMissing as error:
        if not _wants_another_vault(app, error):
            raise KeyMissing(
                error.message, hint=f"{error.hint}; if the key is lost: {_WITHOUT_KEY}"
            ) from error
        done = upkeep.mend(without_key=True)
    if app.terminal.json:
        answer = [{"login": one.login, "message": one.message} for one in done]
        app.terminal.answer_json("mended/1", {"mended": answer})
        return
    for one in done:
        app.terminal.say(one.message, mark="warn")
    app.terminal.say(
        "what does not open was set aside; sign in again where a login is missing"
        if done
        else "everything opens, and is as it was saved",
        mark="good",
    )


@store.command("rekey")
@click.option(
    "--to",
    "kind",
    type=click.Choice(KINDS),
    default=None,
    help="Where to keep the new key; by default where the present one is.",
)
@takes_app
def rekey(app: App, *, kind: str | None) -> None:
    """Seal everything under a new key. The old key no longer opens anything.

    Programs that are at work go on with the new key. Other hosts of a database need what opens it: the
    key file, the passphrase, or the same answer of the command. Where a command, a credential or a
    passphrase opens the key, change its secret before: the same one would open the new key, too.
    """
    upkeep = _upkeep(app)
    present = upkeep.about().key
    chosen = kind or present
    if present is None or chosen is None:
        raise StorageError("there is no vault yet", hint=Hint("login"))
    secret = new_passphrase(app.terminal, app.environ) if chosen == "passphrase" else None
    with app.terminal.working("sealing everything anew"):
        upkeep.rekey(chosen, secret)
    after = upkeep.about()
    if app.terminal.json:
        app.terminal.answer_json("store/1", _members(upkeep, after, []))
        return
    app.terminal.say(with_tilde(after.reason or ""), mark="good")
    wanted = app.environ.get("STAYFAST_STORE")
    # the address of a database stays what it is, whatever its key
    vault = capabilities_of(app.assembly().storage).vault
    if vault and wanted not in {None, "auto", vault.description.partition(":")[0]}:
        app.terminal.say(f"STAYFAST_STORE still names {wanted}", mark="warn")
        app.terminal.suggest("unset STAYFAST_STORE")


@store.command("lock")
@takes_app
def lock(app: App) -> None:
    """Forget the keys that an unlock window keeps in this session. No login is signed out.

    The next command opens the vault with its passphrase, the system keyring or the key command again, and
    opens another window if STAYFAST_UNLOCK_WINDOW is set. Other sessions keep their own windows.
    """
    forgotten = forget_all()
    if app.terminal.json:
        app.terminal.answer_json("locked/1", {"forgotten": forgotten})
        return
    app.terminal.say(
        f"{number_of(forgotten, 'key')} forgotten"
        if forgotten
        else "no unlock window is open here",
        mark="good",
    )


@store.command("purge")
@click.option(
    "--older-than",
    "age",
    type=Duration(AGES),
    default=None,
    metavar="AGE",
    help="How long they have been over, such as 30d; by default STAYFAST_RETENTION.",
)
@takes_app
def purge(app: App, *, age: float | None) -> None:
    """Remove logins that are over: declined, abandoned, replaced or signed out.

    A login that nobody finished in time is ended first. The audit log keeps what is known of them, and
    can still be verified. No tokens are touched.
    """
    retention = app.assembly().retention
    kept = age if age is not None else retention
    if kept is None:
        raise ConfigInvalid(
            "it is not said how long a login that is over is kept",
            hint=Hint("store purge", None, "--older-than", "30d"),
        )
    ended, removed = app.assembly().purge(kept)
    if app.terminal.json:
        app.terminal.answer_json("purged/1", {"ended": ended, "removed": removed})
        return
    app.terminal.say(
        f"{number_of(ended, 'abandoned login')} ended, and {removed} removed that were over",
        mark="good",
    )


@store.command("migrate")
@click.argument("destination")
@takes_app
def migrate_command(app: App, *, destination: str) -> None:
    """Move finished logins to another storage.

    DESTINATION is the address of a PostgreSQL database (postgresql://…), or the state directory of
    another vault. A login ends here once it is saved there: two storages that refresh one login would
    lose it. If the command was interrupted, run it again. For another key of the same vault, use
    store rekey.
    """
    assembly = app.assembly()
    other, settings = _destination(app, destination, assembly.storage)
    for storage in (assembly.storage, other):
        storage.summaries()  # opens it, which may ask first
    with app.terminal.working("moving the logins"):
        moved, left = migrate(assembly.storage, other)
    place = place_of(other)
    if app.terminal.json:
        answer = [{"provider": one.provider, "account": one.account} for one in moved]
        pending = [one.short_id for one in left]
        app.terminal.answer_json(
            "migrated/1", {"destination": place, "moved": answer, "pending": pending}
        )
        return
    for one in moved:
        app.terminal.say(f"{one.provider} {one.account}", mark="good")
    many = (
        f"{number_of(len(moved), 'login')} {'was' if len(moved) == 1 else 'were'} moved to {place}"
    )
    if not moved:
        app.terminal.say("there is no login to move; none is finished here")
        say_moved(app)
    elif settings:
        app.terminal.say(f"{many}; commands look there once this is set:")
    else:
        app.terminal.say(f"{many}, where commands look anyway")
    for waiting in left:
        app.terminal.say(f"login {waiting.short_id} is not finished, and stays here", mark="warn")
    if moved and settings:
        app.terminal.suggest("; ".join(settings), "in this shell, and in its start-up file")


@dataclass(frozen=True, slots=True)
class _SinkState:
    """How far a sink outside the storage has the audit log.

    Attributes:
        sink: Its name.
        behind_since: Since when it takes no records (RFC 3339); ``None`` if it has them all.
        problem: Why, if that is known.
    """

    sink: str
    behind_since: str | None
    problem: str | None


def _sinks(app: App) -> list[_SinkState]:
    """The sinks that outlive a process, by the notes beside them; nothing is sent."""
    found: list[_SinkState] = []
    for one in app.assembly().sinks:
        if not isinstance(one, Outbox):
            continue
        try:
            cursor = read_cursor(one.cursor) or Cursor()
        except (StorageError, OSError) as error:
            cursor = Cursor(problem=str(error))
        since, problem = timestamp(cursor.since), cursor.problem
        found.append(_SinkState(one.sink.name, since, problem))
    return found


def _answer_sinks(app: App, sinks: list[_SinkState]) -> None:
    for one in sinks:
        why = f": {one.problem}" if one.problem else ""
        if one.behind_since is None and not one.problem:
            app.terminal.answer_words(f"  {'log copy':<10} {one.sink} has every record", 13)
        elif not one.behind_since:
            app.terminal.say(
                f"the audit log may not have been sent to {one.sink}{why}", mark="warn"
            )
        else:
            since = datetime.fromisoformat(one.behind_since).timestamp()
            said = clock_time(since, app.assembly().clock.now())
            app.terminal.say(f"{one.sink} has not had every record since {said}{why}", mark="warn")


def _destination(app: App, destination: str, source: Storage) -> tuple[Storage, list[str]]:
    """The storage that ``destination`` names, and what a shell has to be told to make it the user's."""
    passphrase = passphrase_of(app.terminal, app.environ, "The passphrase of the vault there")
    if "://" in destination:
        other = open_storage(
            destination,
            passphrase=passphrase,
            announce=lambda line: app.terminal.say(with_tilde(line)),
            environ=app.environ,
        )
        return other, ["export STAYFAST_STORE=postgresql://…"]
    directory = absolute(destination, app.environ)
    here = capabilities_of(source).vault
    if here is not None and os.path.realpath(directory) == os.path.realpath(here.directory):
        raise ConfigInvalid(
            "the logins are in that directory already",
            hint=Hint("store rekey", None, "--to", "keyfile"),
        )
    wanted = app.environ.get("STAYFAST_STORE")  # of the present storage, which may be no vault
    other = open_storage(
        wanted if wanted in {"keyring", "file"} else "auto",
        state_dir=directory,
        passphrase=passphrase,
        announce=lambda line: app.terminal.say(with_tilde(line)),
        environ=app.environ,
    )
    return other, _settings(app, directory)


def _settings(app: App, directory: str) -> list[str]:
    """What a shell has to be told so that commands look into ``directory``; nothing if they do."""
    environ = app.environ
    told = ["unset STAYFAST_STORE"] if is_address(environ.get("STAYFAST_STORE", "")) else []
    usual = {name: value for name, value in environ.items() if name != STATE_VARIABLE}
    there = os.path.realpath(directory)
    if os.path.realpath(state_dir(environ)) == there:
        return told
    if os.path.realpath(state_dir(usual)) == there:
        return [*told, f"unset {STATE_VARIABLE}"]
    return [*told, f"export {STATE_VARIABLE}={word_of_path(directory)}"]


def _upkeep(app: App) -> Upkeep:
    storage = app.assembly().storage
    upkeep = capabilities_of(storage).upkeep
    if upkeep is None:
        raise ConfigInvalid(
            f"logins are kept in {storage.description}, which has no key of its own",
            hint="unset STAYFAST_STORE",
        )
    return upkeep


def _wants_another_vault(app: App, problem: KeyMissing) -> bool:
    """Whether the user wants the vault set aside although it may be undamaged."""
    if app.terminal.json or not app.terminal.interactive:
        return False
    app.terminal.say(problem.message, mark="warn")
    try:
        return app.terminal.confirm("Set this vault aside, and make a new one?", default=False)
    except click.Abort:
        return False


def _counted(logins: Iterable[Summary]) -> str:
    """How many logins are signed in, and how many are open; those that have ended are history."""
    there = list(logins)
    open_ones = sum(one.pending for one in there)
    waiting = f", {open_ones} open" if open_ones else ""
    return f"{sum(one.holds_tokens for one in there)} signed in{waiting}"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _fields(info: VaultInfo | DatabaseInfo, counted: str) -> list[tuple[str, str]]:
    if info.key is None:
        place = info.place if isinstance(info, DatabaseInfo) else info.directory
        return [("vault", f"none yet; the first login makes one in {place}")]
    if isinstance(info, DatabaseInfo):
        where = [
            ("database", info.place),
            ("schema", f"{info.schema}, version {info.version}, PostgreSQL {info.server}"),
        ]
        form = ("size", f"{info.size / 1024 / 1024:.1f} MiB")
        states = ", ".join(f"{count} {state}" for state, count in sorted(info.states.items()))
        logins = f"{info.logins} ({states})" if states else f"{info.logins}"
    else:
        where = [("vault", info.directory)]
        form = ("format", f"version {info.format}, SQLite's journal mode {info.journal}")
        logins = counted
    fields = [
        *where,
        ("sealed", (info.reason or "").removeprefix("logins are sealed ") or f"by {info.key}"),
        ("key", f"changed {_times(info.epoch - 1)}" if info.epoch > 1 else "never changed"),
        *([("made", day_of(local_of(info.created_at)))] if info.created_at else []),
        form,
        ("logins", logins),
        ("audit log", number_of(info.records, "record")),
        (
            "set aside",
            number_of(len(info.quarantined), "record") if info.quarantined else "nothing",
        ),
    ]
    if isinstance(info, DatabaseInfo) and info.under_former_key:
        many = number_of(info.under_former_key, "login")
        fields.append(
            (
                "rekey",
                f"{many} still under the former key; store mend finishes it if no process does",
            )
        )
    oldest = info.oldest_pending if isinstance(info, DatabaseInfo) else None
    if oldest is not None:
        since = day_of(local_of(oldest.created_at))
        fields.append(("waiting", f"login {oldest.short_id} to {oldest.provider}, since {since}"))
    return fields


def _windowed(key: str | None) -> bool:
    """Whether an unlock window keeps what opens a vault that ``key`` seals; ``None`` is no vault yet."""
    return key is None or key in WINDOWED


def _window(key: str | None, lasts: int, kept: int) -> str:
    """What the unlock window has at the moment, in words."""
    if kept:
        return f"this session keeps {number_of(kept, 'key')}; stayfast store lock forgets them"
    if not _windowed(key):
        return "not for this vault: what opens it is read each time, and no window keeps it"
    return (
        why_not() or f"not now; the next command that opens the vault keeps its key for {lasts} s"
    )


def _members(
    upkeep: Upkeep, info: VaultInfo | DatabaseInfo, problems: list[str]
) -> dict[str, object]:
    members: dict[str, object] = {
        "storage": upkeep.description if info.key else None,
        "key": info.key,
        "reason": info.reason,
        "created_at": timestamp(info.created_at),
        "epoch": info.epoch,
        "generation": info.generation,
        "logins": info.logins,
        "records": info.records,
        "set_aside": [{"since": timestamp(since), "why": why} for since, why in info.quarantined],
        "problems": problems,
    }
    if not isinstance(info, DatabaseInfo):
        here = {"directory": info.directory, "format": info.format, "journal": info.journal}
        return {**members, **here}
    oldest = info.oldest_pending
    waiting = oldest and {
        "login": oldest.short_id,
        "provider": oldest.provider,
        "created_at": timestamp(oldest.created_at),
        "deadline": timestamp(oldest.deadline),
    }
    return {
        **members,
        "database": info.place,
        "schema": info.schema,
        "schema_version": info.version,
        "server": info.server,
        "keys": list(info.keys),
        "under_former_key": info.under_former_key,
        "states": dict(info.states),
        "oldest_pending": waiting,
        "in_hand": info.leased,
        "first_record": info.first_record,
        "bytes": info.size,
    }
