"""``doctor``: why it does not work, and which command mends it."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import click

from ....storage.version import app_version
from ..app import App
from ..checkup import FAIL, WARN, Checkup
from ..command_line import takes_app
from ..terminal.formatting import command_lines, with_tilde

if TYPE_CHECKING:
    from ..checkup import Check

_STYLE: Final = {"ok": "good", "warn": "warn", "fail": "bad"}
_NAME: Final = 13  # columns of the longest name of a check
_HANG: Final = _NAME + 8  # columns before the detail


@click.command()
@click.argument("provider", required=False)
@click.option("--offline", is_flag=True, help="Ask no provider anything.")
@takes_app
def doctor(app: App, *, provider: str | None, offline: bool) -> int:
    """Look for what keeps logins from working: settings, keyring, clock, network, browser, vault.

    Looks at PROVIDER alone, or at all that you configured or are signed in to. Changes nothing. What it
    prints holds no secret and can be pasted. Exits with 1 if a check fails.
    """
    app.never_asks = True
    found: list[Check] = []
    if not app.terminal.json:
        _say(app, _heading(), 0)
        app.terminal.answer_line("")
    for check in Checkup(app, provider, offline=offline).checks():
        found.append(replace(check, detail=with_tilde(check.detail)))
        if not app.terminal.json:
            _show(app, found[-1])
    failed, warned = (sum(one.result == kind for one in found) for kind in (FAIL, WARN))
    if app.terminal.json:
        members = {
            "version": app_version(),
            "python": platform.python_version(),
            "platform": platform.system(),
            "checks": [asdict(one) for one in found],
        }
        app.terminal.answer_json("doctor/1", members)
    else:
        app.terminal.answer_line("")
        many = f"{warned} warning{'' if warned == 1 else 's'}"
        _say(app, f"{failed} failed, {many}. No secrets above; safe to paste into an issue.", 0)
    return 1 if failed else 0


def _heading() -> str:
    shell = os.path.basename(os.environ.get("SHELL", ""))
    remote = any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY"))
    parts = [
        f"stayfast {app_version()}",
        f"Python {platform.python_version()}",
        f"{platform.system()} {platform.release()}",
        *([f"{shell}{' over SSH' if remote else ''}"] if shell else []),
    ]
    return " - ".join(parts)


def _show(app: App, check: Check) -> None:
    columns = app.terminal.columns
    hang = _HANG if columns is None or columns >= 2 * _HANG + 20 else 7
    _say(app, f" {check.result:<5} {check.name:<{_NAME}} {check.detail}", hang)
    if check.next is not None:
        before = f"{' ' * hang}{app.terminal.symbol('next')} "
        lines = command_lines(check.next, columns or len(before + check.next), before)
        for line in lines:
            app.terminal.answer_line(line)


def _say(app: App, line: str, hang: int) -> None:
    app.terminal.answer_words(line, hang)
