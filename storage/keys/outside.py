"""Keys that another program keeps: a credential of the service manager, or the output of a command."""

from __future__ import annotations

import os
import select
import shlex
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import StorageError
from ..forks import LockOfProcess
from ..host import CLOCK
from .sealing import KEY_OCTETS, hmac

if TYPE_CHECKING:
    import subprocess

CREDENTIAL: Final = "stayfast"
"""The name of the credential, as in ``LoadCredentialEncrypted=stayfast:…`` of a unit."""
KEY_COMMAND: Final = "STAYFAST_KEY_COMMAND"
"""The variable that names the command. The vault does not name it: what a file says is never run."""
_PATIENCE: Final = 30.0  # seconds: time to touch a security key or to type a passphrase
_AGAIN: Final = (
    10.0  # seconds: longer than one run of the command, shorter than a person's second try
)
_STEP: Final = 0.05  # seconds between looks whether the command has ended
_LIMIT: Final = 64 * 1024  # octets: a command that prints without end must not fill memory
_LEAST: Final = 16  # octets; less is not a key but a password
_main: Final = threading.main_thread()
_asking: Final = LockOfProcess()
_answers: Final[dict[tuple[bytes, str], bytes]] = {}
_refusals: Final[dict[str, tuple[float, str]]] = {}


def credential_key(environ: Mapping[str, str]) -> bytes:
    """The key in the credential directory of a systemd service.

    Raises:
        StorageError: The service manager gave no credential, or it cannot be read.
    """
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise StorageError(
            "this vault opens with a systemd credential, and no service manager gave one",
            hint=f"LoadCredentialEncrypted={CREDENTIAL}:…",
        )
    try:
        with open(os.path.join(directory, CREDENTIAL), "rb") as file:
            return _key(file.read(_LIMIT), f"the systemd credential {CREDENTIAL!r}")
    except OSError as error:
        raise StorageError(
            f"the systemd credential {CREDENTIAL!r} cannot be read: "
            f"{(error.strerror or 'unknown error').lower()}",
            hint=f"LoadCredentialEncrypted={CREDENTIAL}:…",
        ) from error


def command_key(environ: Mapping[str, str], *, known_by: bytes = b"") -> bytes:
    """The key that the user's command prints.

    It runs once a process, because each run may need a touch or a passphrase. A failure is kept for
    :data:`_AGAIN` seconds: a command of ours that opens the vault several times fails once, not each
    time after a wait.

    Args:
        environ: Names the command.
        known_by: The commitment of the slot that an earlier answer opened; that answer is used again.
            If it is empty, the command runs.

    Raises:
        StorageError: No command is named; or it fails, takes too long, prints too much or nothing.
    """
    hint = f"export {KEY_COMMAND}='secret-tool lookup stayfast key'"
    command = environ.get(KEY_COMMAND, "")
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise StorageError("this vault opens with the output of a command", hint=hint)
    with _asking.lock:  # two threads open the vault at once: one prompt, not two
        if known_by and (known_by, command) in _answers:
            return _answers[known_by, command]
        since, why = _refusals.get(command, (0.0, ""))
        if since and CLOCK.monotonic() - since < _AGAIN:
            raise StorageError(why, hint=hint)
        try:
            output = _output_of(words, environ)
            key = _key(output.strip(), f"the output of {KEY_COMMAND}")
        except StorageError as error:
            _refusals[command] = (CLOCK.monotonic(), error.message)
            raise
        except OSError as error:
            why = (error.strerror or "unknown error").lower()
            raise StorageError(
                f"the command of {KEY_COMMAND} cannot be run: {why}", hint=hint
            ) from error
        if known_by:
            _answers[known_by, command] = key
        return key


def forget_answer(known_by: bytes) -> None:
    """Run the command again the next time: its answer did not open the slot."""
    for kept in [kept for kept in _answers if kept[0] == known_by]:
        del _answers[kept]


def _output_of(words: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """What the command prints until it ends.

    It gets a process group of its own, so that all of it can be ended if it takes too long. Where we
    are in the foreground of a terminal the group is put there, or the command could not ask its user
    anything. A program it leaves behind may hold the output open, so the end of the command counts,
    and not the end of its output; the program is ended, unless it has left the group, as agents do.
    """
    hint = f"{KEY_COMMAND}: the command must print the key and end"
    import subprocess  # noqa: PLC0415  many have no such command

    ours, theirs = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own words
            words,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            process_group=0 if os.name == "posix" else None,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    try:
        with _in_the_foreground(process.pid):
            return _read(process, ours, hint)
    finally:  # a program left behind would hold our standard error open, and its reader would wait
        _end(process)
        os.close(ours)


def _read(process: subprocess.Popen[bytes], output: int, hint: str) -> bytes:
    from subprocess import TimeoutExpired  # noqa: PLC0415  as above

    deadline = CLOCK.monotonic() + _PATIENCE
    octets = b""
    ended = False
    while True:
        status = process.poll()
        ready, _, _ = select.select([output], [], [], 0 if status is not None else _STEP)
        read = os.read(output, _LIMIT) if ready else b""
        octets += read
        ended = ended or (bool(ready) and not read)
        if len(octets) > _LIMIT:
            raise StorageError(
                f"the command of {KEY_COMMAND} prints more than {_LIMIT // 1024} KiB", hint=hint
            )
        if status is not None and not read:
            break
        if ended and status is None:
            with suppress(TimeoutExpired):
                process.wait(_STEP)
        if CLOCK.monotonic() > deadline:
            raise StorageError(
                f"the command of {KEY_COMMAND} gave no answer in {_PATIENCE:.0f} s", hint=hint
            )
    if status:
        raise StorageError(f"the command of {KEY_COMMAND} failed with status {status}", hint=hint)
    return octets


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it has started."""
    if os.name == "posix":
        import signal  # noqa: PLC0415  subprocess has loaded it

        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


@contextmanager
def _in_the_foreground(group: int) -> Generator[None]:
    """Give the terminal to ``group``, if it is ours to give; and take it back."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except (OSError, AttributeError):
        yield
        return
    import signal  # noqa: PLC0415  subprocess has loaded it

    before: Any = None
    try:
        if os.tcgetpgrp(terminal) == os.getpgrp() and threading.current_thread() is _main:
            # from the background, which we are in until we have it back, the call would stop us
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(terminal, group)
            os.killpg(group, signal.SIGCONT)  # it was stopped if it asked before it could
        yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.tcsetpgrp(terminal, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)
        os.close(terminal)


def _key(secret: bytes, what: str) -> bytes:
    """A key of the right length from a secret of any form."""
    if len(secret) < _LEAST:
        raise StorageError(f"{what} is too short for a key", hint=f"openssl rand -hex {KEY_OCTETS}")
    return hmac(b"stayfast/1/outside-key", secret)
