"""The package where Unix is not: every module can be imported, and a login works.

Windows has neither the modules nor the names that are taken away here. This does not show that
Stayfast works on Windows; it shows that nothing needs Unix merely by being imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PRELUDE = """
import importlib, pkgutil, sys, types
import stayfast

def modules():
    found = pkgutil.walk_packages(stayfast.__path__, "stayfast.", onerror=lambda name: None)
    ours = ("engine", "storage", "transports", "interfaces", "diagrams", "testing")
    # a hook of PyInstaller has a name that cannot be imported, and is run by it
    return sorted(
        one.name for one in found if one.name.split(".")[1] in ours and "-" not in one.name
    )

def import_all():
    absent = {}
    for name in modules():
        try:
            importlib.import_module(name)
        except ImportError as error:
            absent[name] = error.name
    return absent

absent = import_all()  # loads the libraries too: they know Windows by themselves
assert set(absent.values()) <= OPTIONAL, absent
for name in [name for name in sys.modules if name.partition(".")[0] == "stayfast"]:
    del sys.modules[name]

UNIX_ONLY = {
    "os": "O_CLOEXEC O_NOFOLLOW O_DIRECTORY O_NONBLOCK O_ACCMODE fork forkpty getuid geteuid getgid"
    " getegid getpgrp getppgid setsid killpg uname pread pwrite register_at_fork waitpid statvfs"
    " chown fchown fchmod mkfifo openpty tcgetpgrp tcsetpgrp sysconf getloadavg get_blocking"
    " set_blocking WNOHANG posix_fallocate sched_getaffinity",
    "select": "PIPE_BUF poll",
    "signal": "SIGHUP SIGALRM SIGTSTP SIGCONT SIGKILL SIGPIPE SIGUSR1 SIGCHLD SIGSTOP setitimer"
    " ITIMER_REAL pthread_kill pthread_sigmask alarm",
    "socket": "AF_UNIX send_fds recv_fds MSG_DONTWAIT SCM_RIGHTS",
    "time": "clock_gettime CLOCK_MONOTONIC CLOCK_BOOTTIME",
    "errno": "EDQUOT",
}
for module, names in UNIX_ONLY.items():
    for name in names.split():
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
for name in ("fcntl", "pwd", "grp", "termios", "tty", "pty", "resource", "syslog"):
    sys.modules[name] = None  # to import it is an ImportError from now on
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
sys.modules["socket"].SO_EXCLUSIVEADDRUSE = sys.modules["socket"].SO_REUSEADDR

def socketpair(*kind):  # as Windows makes one: over TCP
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        return near, server.accept()[0]

sys.modules["socket"].socketpair = socketpair
sys.platform = "win32"
""".replace("OPTIONAL", repr({"psycopg", "structlog", "keyring"}))


def run(program: str, home: Path) -> str:
    """What ``program`` prints, in a process without Unix whose user's directories are in ``home``."""
    home.chmod(0o700)
    own = {"STAYFAST_STATE_DIR": str(home / "state"), "STAYFAST_CONFIG_DIR": str(home / "config")}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import errno, os, select, signal, socket, time\n{PRELUDE}{program}",
        ],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_every_module_is_imported_without_unix(tmp_path: Path) -> None:
    """No module but those of an absent library fails, and those fail for the library alone."""
    printed = run(
        "again = import_all()\nassert again == absent, again\nprint(len(modules()))", tmp_path
    )

    assert int(printed) > 150


def test_a_login_in_memory_works_without_unix(tmp_path: Path) -> None:
    """From the address shown to the saved tokens, by the loopback listener."""
    printed = run(
        """
import threading
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
import stayfast

class Browser:
    def open(self, url):
        threading.Thread(target=user_agent.approve, args=(url,), daemon=True).start()

with AuthorizationServer() as server:
    stayfast.OAUTH_PROVIDERS["mine"] = server.config(service_name="mine")
    service = stayfast.OAuthService(stayfast.MemoryTokenStorage(), browser=Browser())
    signed_in = service.authenticate("mine")
    assert isinstance(signed_in, stayfast.Success), signed_in
    refreshed = service.refresh_tokens("mine")
    assert isinstance(refreshed, stayfast.Success), refreshed
    print(dict(server.counts))
""",
        tmp_path,
    )

    assert "token:authorization_code" in printed
    assert "token:refresh_token" in printed
