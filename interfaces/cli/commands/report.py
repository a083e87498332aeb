"""``audit report``: the log as one page for a browser."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ....engine.errors import StayfastError, StorageError
from ....engine.hints import Hint
from ....engine.moments import timestamp
from ....storage.host import CLOCK, origin
from ....storage.private_file import write_private
from ....storage.version import app_version
from ....transports.browser import SystemBrowser
from ...audit.reading import every_event
from ...audit.report import gather, render
from ...audit.report.facts import quantile
from ...audit.report.page import MARK, About
from ..app import App
from ..command_line import takes_app
from ..marks import MARKS, MarkParam
from ..terminal.formatting import number_of
from .audit import filter_of
from .verify import audit_log, verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ....engine.audit.events import Recorded
    from ....engine.audit.verifier import Verification
    from ...audit.report import Facts
    from ..marks import Mark

NAME: Final = "stayfast-report.html"
_HEAD: Final = 4096  # bytes in which an earlier report says that it is one


@click.command("report")
@click.option(
    "--since",
    type=MarkParam(),
    default=None,
    help=f"From this {MARKS}.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default=NAME,
    show_default=True,
    metavar="FILE",
    help="Where the page is written; - is standard output.",
)
@click.option("--open", "opened", is_flag=True, help="Open the page in the browser.")
@takes_app
def report(app: App, /, *, since: Mark | None, output: str, opened: bool) -> None:
    """Write the log as a page to look at: who signed in, how, how often, and what failed.

    The page is one file that loads nothing and runs nothing; it can be read in any browser, and
    printed. It holds no token, but names of users, hosts and accounts, so only you can read the file.
    An earlier report in its place is replaced, and nothing else is.

    The whole log is verified, also with --since.
    """
    if opened and output == "-":
        raise click.UsageError("--open needs a file, and -o - writes none")
    wanted = filter_of(login="", since=since)
    assembly = app.assembly()
    now = assembly.clock.now()
    if output != "-":
        check_place(output)

    def read(unreadable: Callable[[int, int], None]) -> Iterator[Recorded]:
        return (
            one
            for one in every_event(assembly.storage, after=wanted.after(), unreadable=unreadable)
            if wanted.takes(one, now)
        )

    with app.terminal.working("verifying the log and counting"):
        found, verdict = _verified(app)
        facts = gather(read)
        chosen = "" if since is None else f" since {_since(since, now)}"
        about = About(
            made=CLOCK.now(),
            program=f"stayfast {app_version()}",
            host=origin().host or "this machine",
            chosen=chosen,
            **verdict,
        )
        page = render(facts, about).encode("utf-8", "backslashreplace")
    where = None if output == "-" else os.path.abspath(output)
    if where is not None:
        write_private(where, page)
    if app.terminal.json:
        answer = {"file": where, "bytes": len(page), **_members(facts, found)}
        app.terminal.answer_json("audit-report/1", answer)
    elif where is None:
        app.terminal.answer_document(page.decode().rstrip("\n"))
    else:
        app.terminal.say(
            f"{number_of(facts.events, 'event')} of {number_of(len(facts.logins), 'login')} "
            f"{'is' if facts.events == 1 else 'are'} in the report",
            mark="good",
        )
        app.terminal.answer_line(where)
    if opened and where is not None:
        _open(app, where)


def _since(mark: Mark, now: float) -> str:
    return str(timestamp(mark.moment(now))) if mark.seq is None else f"record {mark.seq}"


def check_place(output: str) -> None:
    """Make sure that writing there takes nothing away but an earlier report.

    Raises:
        StorageError: There is a link, or a file that is no report.
    """
    elsewhere = Hint("audit report", None, "-o", "FILE")
    try:
        found = os.lstat(output)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(os.path.abspath(output))):
            raise StorageError(f"there is no directory for {output}", hint=elsewhere) from None
        return
    except (OSError, ValueError) as error:
        raise StorageError(f"{output} cannot be written", hint=elsewhere) from error
    if stat.S_ISLNK(found.st_mode):
        raise StorageError(
            f"{output} is a link, and a report is not written through one", hint=elsewhere
        )
    earlier = False
    try:
        if stat.S_ISREG(found.st_mode):  # a pipe would wait for its other end
            with Path(output).open("rb") as file:
                earlier = MARK.encode() in file.read(_HEAD)
    except OSError as error:
        raise StorageError(f"{output} cannot be read", hint=elsewhere) from error
    if not earlier:
        raise StorageError(f"{output} is there already, and is no report", hint=elsewhere)


def _verified(app: App) -> tuple[Verification | None, dict[str, Any]]:
    """The check of the whole log, and what the page says of it."""
    try:
        found = verified(app, audit_log(app.assembly().storage))
    except StayfastError as error:
        return None, {
            "verdict": "unknown",
            "verified": f"{error.message[:1].upper()}{error.message[1:]}.",
        }
    if found.findings:
        return found, {
            "verdict": "bad",
            "verified": f"{number_of(len(found.findings), 'finding')} in "
            f"{number_of(found.records, 'record')}; "
            f"records up to {found.intact:,} are intact.",
            "findings": [one.message for one in found.findings],
        }
    if not found.records:
        return found, {"verdict": "good", "verified": "The log is empty."}
    many = number_of(found.records, "record")
    return found, {
        "verdict": "good",
        "verified": f"{many}: none was changed, moved, added or cut, and the machine allows every transition.",
        "head": f"{found.last} sha256:{found.head.hex()}",
    }


def _members(facts: Facts, found: Verification | None) -> dict[str, Any]:
    """The figures of the page, for programs."""
    return {
        "events": facts.events,
        "since": timestamp(facts.since) if facts.events else None,
        "until": timestamp(facts.until) if facts.events else None,
        "sound": None if found is None else not found.findings,
        "logins": len(facts.logins),
        "paths": len(facts.shown),
        "unreadable": [{"first": first, "last": last} for first, last in facts.unreadable],
        "failures": [
            {"of": what, "reason": why, "count": count}
            for (what, why), count in facts.failures.most_common()
        ],
        "refreshes": [
            {
                "provider": name,
                "count": len(values),
                "median": quantile(sorted(values), 0.5),
                "longest": max(values),
            }
            for name, values in sorted(facts.latencies.items())
        ],
        "people": [
            {"user": user, "host": host, **_share(one)}
            for (user, host), one in sorted(facts.people.items())
        ],
        "transports": [
            {"transport": name, **_share(one)}
            for name, one in sorted(facts.transports.items())
            if one.total
        ],
        "providers": [
            {"provider": name, **_share(one)}
            for name, one in sorted(facts.providers.items())
            if one.total
        ],
    }


def _share(one: Any) -> dict[str, int]:
    return {name: getattr(one, name) for name in ("signed_in", "failed", "refreshed", "refused")}


def _open(app: App, where: str) -> None:
    why = SystemBrowser(app.environ).open_file(where)
    if why is not None:
        app.terminal.say(f"could not start a browser ({why}); open the file yourself", mark="warn")
