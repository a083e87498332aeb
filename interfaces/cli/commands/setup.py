"""``setup``: tells git, kubectl, docker and Bazel to ask us for tokens, and takes that back."""

from __future__ import annotations

import os
from shlex import join
from typing import Any, Final

import click

from ....engine.errors import ConfigInvalid
from ....engine.hints import Hint
from ....storage.paths import state_dir
from ..accounts import require_known
from ..app import App
from ..command_line import takes_app
from ..setups import KINDS, Plan, Wanted, plan, undo, write
from ..terminal.formatting import with_tilde, word_of_path


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.option("--provider", default=None, help="Whose token.")
@click.option("--account", default=None, help="Which of your accounts; the usual one without it.")
@click.option(
    "--url",
    default=None,
    metavar="HOST",
    help="The host that gets the token: of the repositories, the registry or the cache.",
)
@click.option("--id-token", is_flag=True, help="kubectl: hand out the ID token.")
@click.option("--username", default=None, help="git and docker: the user name beside the token.")
@click.option(
    "--bin-dir",
    type=click.Path(file_okay=False),
    default=None,
    help="Where the program goes that docker and Bazel run; ~/.local/bin without it.",
)
@click.option("--write", "writes", is_flag=True, help="Write the configuration; a copy is kept.")
@click.option("--undo", "undoes", is_flag=True, help="Take back what --write wrote.")
@takes_app
def setup(
    app: App,
    *,
    kind: str,
    provider: str | None,
    account: str | None,
    url: str | None,
    id_token: bool,
    username: str | None,
    bin_dir: str | None,
    writes: bool,
    undoes: bool,
) -> None:
    """Show the configuration that makes KIND ask for tokens: git, kubectl, docker or bazel.

    --write writes it after it was shown, and keeps a copy of each file. --undo puts the files back to
    the letter; in a file that was edited since, only the part that --write added is taken out.
    """
    if writes and undoes:
        raise ConfigInvalid("--write and --undo exclude one another", hint=Hint("help credentials"))
    given = {"--url": url, "--id-token": id_token, "--username": username, "--bin-dir": bin_dir}
    _refuse_idle(kind, [one for one, value in given.items() if value], undoes=undoes)
    place = state_dir(app.settings())
    if undoes:
        _undo(app, place, kind, provider)
        return
    name = app.only_provider(provider)
    if provider is not None and not name.startswith(("https://", "http://")):
        require_known(app, name)
    extra = (
        *(("--id-token",) if id_token else ()),
        *(("--username", username) if username else ()),
    )
    named = {"--config-dir": "config_dir", "--state-dir": "state_dir"}
    wanted = Wanted(
        kind=kind,
        provider=name,
        account=account,
        url=url,
        extra=extra,
        directories=tuple(
            f"{option}={os.path.abspath(app.options[member])}"
            for option, member in named.items()
            if app.options.get(member)
        ),
    )
    made = plan(wanted, app.environ, bin_dir)
    kept = None
    if writes:
        if not app.terminal.json:
            _show_change(app, made)
        kept = write(place, wanted, made)
    if app.terminal.json:
        app.terminal.answer_json("setup/1", _members(wanted, made, kept, writes=writes))
        return
    if writes:
        _show_written(app, wanted, made, kept)
        return
    for line in made.lines:
        app.terminal.answer_line(line)
    again = [*(["--account", account] if account else []), *(["--url", url] if url else [])]
    again += ["--bin-dir", bin_dir] if bin_dir else []
    words = ["stayfast", "setup", kind, "--provider", name, *again, *extra, "--write"]
    app.terminal.suggest(join(words), "write it")


_USES: Final = {
    "git": {"--url", "--username"},
    "kubectl": {"--id-token"},
    "docker": {"--url", "--username", "--bin-dir"},
    "bazel": {"--url", "--bin-dir"},
}
"""Which options a kind has a use for."""


def _refuse_idle(kind: str, given: list[str], *, undoes: bool) -> None:
    """Make sure that every option that was given does something.

    Raises:
        ConfigInvalid: One does nothing.
    """
    if undoes and given:
        raise ConfigInvalid(
            f"--undo takes back what --write wrote for {kind}; {given[0]} does nothing there",
            hint=Hint("setup", None, kind, "--undo"),
        )
    for option in given:
        if option not in _USES[kind]:
            raise ConfigInvalid(f"{kind} has no use for {option}", hint=Hint("setup", None, kind))


def _show_written(app: App, wanted: Wanted, made: Plan, kept: str | None) -> None:
    kind, name = wanted.kind, wanted.provider
    if kept is None:
        app.terminal.say(f"{kind} asks for tokens of {name} already", mark="good")
        return
    app.terminal.say(f"{kind} asks for tokens of {name} from now on", mark="good")
    app.terminal.say(f"  a copy of what was there is in {with_tilde(kept)}")
    if made.then is not None:
        app.terminal.suggest(made.then, "use it in the present context")
    if made.off_path is not None:
        folder = with_tilde(made.off_path)
        app.terminal.say(f"{kind} will not find its program: PATH lacks {folder}", mark="warn")
        line = f"export PATH={word_of_path(made.off_path)}:$PATH"
        app.terminal.suggest(line, "in your shell's start-up file")
    app.terminal.suggest(f"stayfast setup {kind} --undo", "take it back")


def _show_change(app: App, made: Plan) -> None:
    for change in made.changes:
        for line in change.diff():
            app.terminal.answer_line(line.expandtabs(4))


def _undo(app: App, place: str, kind: str, provider: str | None) -> None:
    done = undo(place, kind, provider)
    if app.terminal.json:
        files = [{"path": one.path, "whole": one.whole} for one in done]
        app.terminal.answer_json("setup-undone/1", {"kind": kind, "files": files})
        return
    for one in done:
        how = "is as it was" if one.whole else "has our part no more; your changes since stay"
        app.terminal.say(with_tilde(f"{one.path} {how}"), mark="good")
    if not done:
        app.terminal.say("nothing was written that could be taken back")


def _members(wanted: Wanted, made: Plan, kept: str | None, *, writes: bool) -> dict[str, Any]:
    return {
        "kind": wanted.kind,
        "provider": wanted.provider,
        "account": wanted.account,
        "written": writes,
        "copy": kept,
        "lines": list(made.lines),
        "files": [{"path": one.path, "diff": "\n".join(one.diff())} for one in made.changes],
    }
