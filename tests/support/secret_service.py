"""A Secret Service for benchmarks: gnome-keyring, unlocked, in a D-Bus session of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("gnome-keyring-daemon", "dbus-run-session")
# the last command lasts until its input ends, and the session lasts as long
_SESSION = """
printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null
echo "$DBUS_SESSION_BUS_ADDRESS"
exec cat
"""


@contextmanager
def secret_service(place: Path) -> Generator[dict[str, str] | None]:
    """The variables that lead to an unlocked keyring; ``None`` where one is not installed.

    Args:
        place: A directory for its files. It touches no keyring of the user.
    """
    if not all(map(shutil.which, PROGRAMS)):
        yield None
        return
    leading = {"HOME": str(place / "home"), "XDG_RUNTIME_DIR": str(place / "run")}
    for directory in leading.values():
        Path(directory).mkdir(parents=True, mode=0o700)
    apart = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}  # fmt: skip
    with subprocess.Popen(
        ["dbus-run-session", "--", "sh", "-c", _SESSION], env=apart | leading, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as session:  # fmt: skip
        assert session.stdin is not None
        assert session.stdout is not None
        address = session.stdout.readline().strip()
        try:
            yield {**leading, "DBUS_SESSION_BUS_ADDRESS": address}
        finally:
            session.stdin.close()
