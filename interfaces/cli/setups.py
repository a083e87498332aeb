"""The configuration that makes git, kubectl, docker and Bazel ask us; how it is written and taken back.

A change is planned as whole files, before and after. Before a file is written, a copy of what it was
is kept in the state directory, so that it can be put back to the letter.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from shlex import join, quote
from typing import Any, Final, cast

from ...engine.errors import ConfigInvalid, ConfigMissing, StorageError
from ...engine.hints import Hint
from ...storage.private_file import ensure_directory, read_private, write_private
from .credential_protocols import KUBERNETES_VERSIONS, NotAsked, Server, may_have_it, server_of

KINDS: Final = ("git", "kubectl", "docker", "bazel")
_KNOWN_HOSTS: Final = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
_LIMIT: Final = 16 * 1024 * 1024  # octets of a file of somebody else, twice in base 64
_PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file, before and after.

    Attributes:
        path: Where it is, links followed.
        before: What is in it; ``None`` if it is not there.
        after: What is to be in it.
        mode: Its permissions, if it is made.
    """

    path: str
    before: bytes | None
    after: bytes
    mode: int = 0o600

    def diff(self) -> list[str]:
        """The change as people read it."""
        before = (self.before or b"").decode("utf-8", "replace").splitlines()
        after = self.after.decode("utf-8", "replace").splitlines()
        old = self.path if self.before is not None else os.devnull
        return list(difflib.unified_diff(before, after, old, self.path, lineterm="", n=1))


@dataclass(frozen=True, slots=True)
class Plan:
    """What one setup changes.

    Attributes:
        lines: The same as commands or lines to paste.
        changes: The files.
        then: A command that is still to be run by the user, if there is one.
        off_path: The folder of a program that is found by its name, if no such folder is searched.
    """

    lines: Sequence[str]
    changes: Sequence[FileChange]
    then: str | None = None
    off_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be set up.

    Attributes:
        kind: The program.
        provider: Whose token.
        account: Which account; ``None`` for the one that is meant without a name.
        url: The host that gets the token, as it was given.
        extra: Further words for the helper.
        directories: The options that name our directories, if they were given.
    """

    kind: str
    provider: str
    account: str | None = None
    url: str | None = None
    extra: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """The command line of the helper, without the operation."""
        account = [] if self.account is None else [f"--account={self.account}"]
        named = ["--provider", self.provider, *account, *self.extra]
        return [*_ourselves(), "credential", self.kind, *self.directories, *named]

    def server(self) -> Server:
        """The server that gets the token.

        Raises:
            ConfigMissing: It was not named.
            ConfigInvalid: It cannot be a host, or is one that everybody could read on the way.
        """
        given = _KNOWN_HOSTS.get(self.provider) if self.url is None else self.url
        if given is None:
            raise ConfigMissing(
                f"which host {self.kind} is to be signed in to is not known", hint=self._hint()
            )
        try:
            server = server_of(given)
        except NotAsked as error:
            raise ConfigInvalid(error.message, hint=self._hint()) from None
        if not may_have_it(server, ()):
            raise ConfigInvalid(
                f"no token is sent to {server.host} by {server.scheme}", hint=self._hint()
            )
        return server

    def address(self) -> str:
        """The host with its scheme."""
        server = self.server()
        return f"{server.scheme}://{server.host}"

    def _hint(self) -> Hint:
        more = ("--provider", self.provider, "--url", f"https://{self.kind}.acme.dev")
        if self.kind == "docker":
            return Hint("setup docker", None, *more)
        return (
            Hint("setup bazel", None, *more)
            if self.kind == "bazel"
            else Hint("setup git", None, *more)
        )


def plan(wanted: Wanted, environ: Mapping[str, str], bin_dir: str | None) -> Plan:
    """What ``wanted`` changes; nothing is written.

    Raises:
        ConfigMissing, ConfigInvalid: The host is not known, or a file cannot be understood.
    """
    match wanted.kind:
        case "git":
            return _git(wanted, environ)
        case "kubectl":
            return _kubectl(wanted, environ)
        case "docker":
            return _docker(wanted, environ, bin_dir)
        case _:
            return _bazel(wanted, environ, bin_dir)


def _git(wanted: Wanted, environ: Mapping[str, str]) -> Plan:
    home = os.path.expanduser("~")
    usual = os.path.join(home, ".gitconfig")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    other = os.path.join(config, "git", "config")
    path = environ.get("GIT_CONFIG_GLOBAL") or (
        other if os.path.exists(other) and not os.path.exists(usual) else usual
    )
    helper = f"!{join(wanted.words())}"
    quoted = helper.replace("\\", "\\\\").replace('"', '\\"')
    # the empty helper leaves out those of other sections: they would store our short-lived token
    section = f'[credential "{wanted.address()}"]\n\thelper =\n\thelper = "{quoted}"\n'
    key = f"credential.{wanted.address()}.helper"
    lines = [f"git config --global --add {key} {quote(value)}" for value in ("", helper)]
    return Plan(lines, [_appended(path, section)])


def _kubectl(wanted: Wanted, environ: Mapping[str, str]) -> Plan:
    listed = [one for one in environ.get("KUBECONFIG", "").split(os.pathsep) if one]
    path = listed[0] if listed else os.path.join(os.path.expanduser("~"), ".kube", "config")
    user = f"stayfast-{wanted.provider}" + (f"-{wanted.account}" if wanted.account else "")
    command, *arguments = wanted.words()
    named = [f"--exec-arg={one}" for one in arguments]
    words = [
        *("kubectl", "config", "set-credentials", user),
        f"--exec-api-version={KUBERNETES_VERSIONS[0]}",
        f"--exec-command={command}",
        "--exec-interactive-mode=Never",
        *named,
    ]
    before = _read(path)
    after = _with_user(before, words) if before else _new_kubeconfig(user, command, arguments)
    then = f"kubectl config set-context --current --user={quote(user)}"
    return Plan([join(words), then], [FileChange(os.path.realpath(path), before, after)], then)


def _with_user(before: bytes, words: Sequence[str]) -> bytes:
    """The kubeconfig that kubectl makes of ``before``: YAML is a language of its own."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise ConfigMissing(
            "kubectl is not installed, and its file is there already",
            hint=Hint("help credentials"),
        )
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "config")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(before)
        try:
            subprocess.run(  # noqa: S603  words of ours, and no shell
                [kubectl, *words[1:], f"--kubeconfig={path}"],
                check=True,
                capture_output=True,
                timeout=_PATIENCE,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigInvalid(
                "kubectl could not add a user to its file", hint=Hint.note("kubectl config view")
            ) from error
        with open(path, "rb") as file:
            return file.read()


def _new_kubeconfig(user: str, command: str, arguments: Sequence[str]) -> bytes:
    """A kubeconfig with one user; JSON is YAML."""
    plugin = {
        "apiVersion": KUBERNETES_VERSIONS[0],
        "command": command,
        "args": list(arguments),
        "interactiveMode": "Never",
    }
    members = {
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": user, "user": {"exec": plugin}}],
    }
    return f"{json.dumps(members, indent=2)}\n".encode()


def _docker(wanted: Wanted, environ: Mapping[str, str], bin_dir: str | None) -> Plan:
    folder = environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    path = os.path.join(folder, "config.json")
    host = wanted.server().host
    before = _read(path)
    numbers = _Numbers()
    config = _docker_config(path, before or b"{}", numbers)
    helpers: object = config.get("credHelpers") or {}
    if not isinstance(helpers, dict):
        raise ConfigInvalid(f"credHelpers in {path} is no object", hint=Hint.note(f"edit {path}"))
    name = f"stayfast-{hashlib.sha256(join(wanted.words()).encode()).hexdigest()[:8]}"
    config["credHelpers"] = {**cast("dict[str, Any]", helpers), host: name}
    after = numbers.written(config)
    same = helpers == config["credHelpers"]
    script = _script(wanted, host, bin_dir, environ, f"docker-credential-{name}")
    files = [
        script,
        FileChange(os.path.realpath(path), before, before if same and before else after),
    ]
    lines = [f'"credHelpers": {{"{host}": "{name}"}}   in {path}', f"and the program {script.path}"]
    folder = os.path.dirname(script.path)
    searched = environ.get("PATH", "").split(os.pathsep)
    return Plan(lines, files, off_path=None if folder in searched else folder)


class _Numbers:
    """Keeps the numbers of a JSON text as they are written: other programs may read them otherwise."""

    def __init__(self) -> None:
        self._sign = os.urandom(16).hex()

    def kept(self, number: str) -> str:
        """What stands for ``number`` until it is written again."""
        return f"{self._sign}:{number}"

    def written(self, members: Mapping[str, Any]) -> bytes:
        """The JSON text of ``members``; half a surrogate pair stays an escape."""
        text = json.dumps(members, indent="\t", ensure_ascii=False)
        text = re.sub(rf'"{self._sign}:([^"]*)"', r"\1", text)
        return f"{text}\n".encode("utf-8", "backslashreplace")


def _docker_config(path: str, text: bytes, numbers: _Numbers) -> dict[str, Any]:
    """The members of docker's file.

    Raises:
        ConfigInvalid: It is no JSON object, or names a member twice: one of them would be lost.
    """
    try:
        members: object = json.loads(
            text.decode(),
            parse_float=numbers.kept,
            parse_int=numbers.kept,
            parse_constant=_refused,
            object_pairs_hook=_once,
        )
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise ConfigInvalid(
            f"{path} is not a JSON object whose names are unique", hint=Hint.note(f"edit {path}")
        )
    return cast("dict[str, Any]", members)


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name comes twice")
    return members


def _bazel(wanted: Wanted, environ: Mapping[str, str], bin_dir: str | None) -> Plan:
    server = wanted.server()
    name = f"bazel-stayfast-{hashlib.sha256(join(wanted.words()).encode()).hexdigest()[:8]}"
    script = _script(wanted, server.host, bin_dir, environ, name)
    line = f"common --credential_helper={server.name}={script.path}\n"
    path = os.path.join(os.path.expanduser("~"), ".bazelrc")
    lines = [f"{line.rstrip()}   in {path}", f"and the program {script.path}"]
    return Plan(lines, [script, _appended(path, line)])


def _script(
    wanted: Wanted, host: str, bin_dir: str | None, environ: Mapping[str, str], name: str
) -> FileChange:
    """The program that runs our helper: docker and Bazel name a program, not a command line."""
    local = os.path.join(os.path.expanduser("~"), ".local", "bin")
    path = os.path.join(os.path.abspath(bin_dir or local), name)
    words = join([*wanted.words(), "--url", host])
    text = f'#!/bin/sh\nexec {words} "$@"\n'.encode()
    del environ
    return FileChange(path, _read(path), text, 0o755)


def _appended(path: str, text: str) -> FileChange:
    """The file ``path`` with ``text`` at its end, unless it has it already."""
    path = os.path.realpath(path)
    before = _read(path)
    whole = before or b""
    if text.encode() in whole:
        return FileChange(path, before, whole, 0o644)
    between = b"" if not whole or whole.endswith(b"\n") else b"\n"
    if whole.rstrip(b"\r\n").endswith(b"\\"):  # the last line would go on in ours
        between += b"\n"
    return FileChange(path, before, whole + between + text.encode(), 0o644)


def _ourselves() -> list[str]:
    """The words that run this program from anywhere."""
    called = os.path.abspath(sys.argv[0])
    found = shutil.which("stayfast")
    if found is not None and os.path.realpath(found) == os.path.realpath(called):
        return ["stayfast"]
    if os.path.basename(called).startswith("stayfast") and os.access(called, os.X_OK):
        return [called]
    return [sys.executable, "-m", "stayfast"]


# writing, and taking back


def write(state_dir: str, wanted: Wanted, made: Plan) -> str | None:
    """Write the files of ``made``, after a copy of them was kept; gives the place of the copy.

    ``None`` if every file is as it should be already.

    Raises:
        StorageError: A file cannot be written; those before it in the list are.
    """
    changes = [one for one in made.changes if one.before != one.after]
    if not changes:
        return None
    ensure_directory(state_dir)
    kept = os.path.join(state_dir, "setups")
    ensure_directory(kept)
    named = hashlib.sha256(join(wanted.words()).encode()).hexdigest()[:12]
    taken = [one.split("-")[1] for one in os.listdir(kept) if one.startswith(f"{wanted.kind}-")]
    number = 1 + max((int(one) for one in taken if one.isdecimal()), default=-1)
    path = os.path.join(kept, f"{wanted.kind}-{number:04d}-{named}.json")
    members = {
        "kind": wanted.kind,
        "provider": wanted.provider,
        "files": [
            {"path": one.path, "before": _text(one.before), "after": _text(one.after)}
            for one in changes
        ],
    }
    write_private(path, json.dumps(members).encode())
    for one in changes:
        _replace(one.path, one.after, one.mode)
    return path


@dataclass(frozen=True, slots=True)
class Undone:
    """A file that was put back.

    Attributes:
        path: Where it is.
        whole: Whether it is as it was to the letter; else only our part was taken out of it,
            because somebody has edited it since.
    """

    path: str
    whole: bool


def undo(state_dir: str, kind: str, provider: str | None) -> list[Undone]:
    """Take back what was written for ``kind``, of one provider or of all; the last first.

    Raises:
        ConfigInvalid: A file was edited where our part was; it is left as it is.
        StorageError: A file cannot be written.
    """
    kept = os.path.join(state_dir, "setups")
    done: list[Undone] = []
    try:
        names = sorted((n for n in os.listdir(kept) if n.startswith(f"{kind}-")), reverse=True)
    except FileNotFoundError:
        return []
    for name in names:
        path = os.path.join(kept, name)
        whose, files = _kept_files(path)
        if provider is not None and whose != provider:
            continue
        for at, before, after in reversed(files):
            stood = _read(at)
            done += _put_back(kind, at, before, after)
            for later in names[: names.index(name)]:
                _forget_earlier(os.path.join(kept, later), at, stood, (before, after))
        os.unlink(path)
    return done


def _forget_earlier(
    path: str, at: str, stood: bytes | None, earlier: tuple[bytes | None, bytes]
) -> None:
    """Let the kept copy ``path`` restore the file ``at`` as it was before an earlier setup.

    That one has just been taken back. So what was there before it is what the later one must leave,
    if nobody has edited the file since: ``stood`` is what it held then, ``earlier`` the file before
    and after the earlier setup was written.
    """
    with suppress(FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        members = json.loads(read_private(path, 4 * _LIMIT))
        for file in members["files"]:
            versions = (_octets(file["before"]), _octets(file["after"]))
            if file["path"] == at and versions == (earlier[1], stood):
                file |= {"before": _text(earlier[0]), "after": _text(_read(at))}
                write_private(path, json.dumps(members).encode())


def _kept_files(path: str) -> tuple[str | None, list[tuple[str, bytes | None, bytes]]]:
    """The provider of a kept copy, and its files: the path, what was there, and what was written.

    Raises:
        ConfigInvalid: The copy is damaged.
    """
    try:
        members = json.loads(read_private(path, 4 * _LIMIT))
        return members.get("provider"), [
            (os.fspath(file["path"]), _octets(file["before"]), _octets(file["after"]) or b"")
            for file in members["files"]
        ]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise ConfigInvalid(
            f"the copy {path} is damaged; nothing that it describes was changed",
            hint=Hint.note(f"mv {quote(path)} {quote(path)}.damaged"),
        ) from None


def _without_our_helpers(path: str, current: bytes, before: bytes, after: bytes) -> bytes:
    """Docker's file with the helpers that it had before ours; docker itself writes it anew often.

    Raises:
        ConfigInvalid: The file is no JSON object any more.
    """
    numbers = _Numbers()
    config = _docker_config(path, current, numbers)
    earlier = _docker_config(path, before or b"{}", numbers).get("credHelpers")
    ours = _docker_config(path, after, numbers).get("credHelpers")
    now = config.get("credHelpers")
    if not (isinstance(ours, dict) and isinstance(now, dict)):
        return current
    had = cast("dict[str, Any]", earlier if isinstance(earlier, dict) else {})
    helpers = cast("dict[str, Any]", now)
    changed = False
    for host, name in cast("dict[str, Any]", ours).items():
        if had.get(host) == name or helpers.get(host) != name:
            continue
        changed = True
        if host in had:
            helpers[host] = had[host]
        else:
            del helpers[host]
    if not helpers and earlier is None:
        del config["credHelpers"]
    return numbers.written(config) if changed else current


def _put_back(kind: str, path: str, before: bytes | None, after: bytes) -> list[Undone]:
    current = _read(path)
    if current is None or current == before:
        return []
    if current == after:
        if before is None:
            os.unlink(path)
        else:
            _replace(path, before, 0o600)
        return [Undone(path, whole=True)]
    if kind == "docker" and os.path.basename(path).endswith(".json"):
        rest = _without_our_helpers(path, current, before or b"", after)
        if rest == current:
            return []
        _replace(path, rest, 0o600)
        return [Undone(path, whole=False)]
    ours, theirs = _difference(before or b"", after)
    if not ours or current.count(ours) != 1 or not _starts_a_line(current, ours):
        raise ConfigInvalid(
            f"{path} was edited where our part was; take it out by hand",
            hint=Hint.note(f"edit {path}"),
        )
    _replace(path, current.replace(ours, theirs), 0o600)
    return [Undone(path, whole=False)]


def _difference(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The lines of ``after`` and those of ``before`` between what both have at both ends.

    Line ends that were put before our lines belong to the file: lines that were added since would
    otherwise become a part of its last line.
    """
    if after.startswith(before):
        return after[len(before) :].lstrip(b"\n"), b""
    new, old = _lines(after), _lines(before)
    most = min(len(new), len(old))
    first = next((at for at in range(most) if new[at] != old[at]), most)
    most -= first
    last = next((at for at in range(most) if new[-1 - at] != old[-1 - at]), most)
    return b"".join(new[first : len(new) - last]), b"".join(old[first : len(old) - last])


def _lines(text: bytes) -> list[bytes]:
    """The lines of ``text``, each with its end; the last one gets an end if it has none."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith((b"\n", b"\r")):
        lines[-1] += b"\n"
    return lines


def _starts_a_line(text: bytes, part: bytes) -> bool:
    """Whether ``part`` starts at the start of a line of ``text``, and not behind a comment sign."""
    at = text.find(part)
    return at == 0 or text[at - 1 : at] in {b"\n", b"\r"}


def _read(path: str) -> bytes | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigInvalid(f"{path} is no regular file", hint=Hint.note(f"ls -l {path}"))
            text = file.read(_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read", hint=Hint.note(f"ls -l {path}")) from error
    if len(text) > _LIMIT:
        raise ConfigInvalid(f"{path} is too large", hint=Hint.note(f"ls -l {path}"))
    return text


def _replace(path: str, data: bytes, mode: int) -> None:
    """Put ``data`` in the place of the file ``path``, all of it or nothing; its permissions stay."""
    aside = f"{path}.{os.urandom(6).hex()}.new"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.exists(path):
            mode = os.stat(path).st_mode & 0o777
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        if os.path.lexists(aside):
            os.unlink(aside)
        raise StorageError(
            f"{path} cannot be written: {(error.strerror or '').lower()}",
            hint=Hint.note(f"ls -ld {os.path.dirname(path)}"),
        ) from error


def _text(octets: bytes | None) -> str | None:
    return None if octets is None else base64.b64encode(octets).decode()


def _octets(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
