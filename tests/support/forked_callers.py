"""Callers that refresh a login in PostgreSQL, each in a process of its own: ``forked_callers.py PLACE URL``.

A program, since it forks, which is quicker than to start Python for each. Every line of its input is the
settings of one caller, as JSON; it answers with the caller's process id, and with ``ended`` and what the
caller said.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from stayfast.engine.errors import StayfastError
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage

PATIENCE = 0.4  # seconds in which a server that is away may come back


def assembly(place: str, url: str, courier: str = "inline") -> Assembly:
    """The parts as any process has them."""
    environ = {"STAYFAST_COURIER": courier, "STAYFAST_AUDIT": "none",
               "XDG_RUNTIME_DIR": f"{place}/run"}  # fmt: skip
    storage = PostgresStorage(
        url, config_dir=f"{place}/c", state_dir=f"{place}/s", patience=PATIENCE, environ=environ
    )
    return Assembly.open(storage=storage, config_dir=f"{place}/c", environ=environ)


def refresh(place: str, url: str, courier: str, threads: bool, stopped: bool) -> str:
    """Refresh the login; gives ``done``, or the code of the error of ours that it met."""
    if stopped:
        os.kill(os.getpid(), signal.SIGSTOP)
    if threads:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    try:
        assembly(place, url, courier).conductor.refresh.valid("demo", "default", force=True)
    except StayfastError as error:
        return error.code
    return "done"


def main(place: str, url: str) -> None:
    """Start the callers, one after the other."""
    for line in sys.stdin:
        settings: Mapping[str, Any] = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                os.write(writing, refresh(place, url, **settings).encode())
            finally:
                os._exit(0)
        os.close(writing)
        print(child, flush=True)
        os.waitpid(child, 0)
        os.set_blocking(reading, False)  # its courier may have the pipe, and live on
        try:
            said = os.read(reading, 100).decode()
        except BlockingIOError:
            said = ""
        os.close(reading)
        print("ended", said, flush=True)


class Callers:
    """The program, as a test sees it."""

    def __init__(self, place: str, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, place, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                 "XDG_RUNTIME_DIR": f"{place}/run"},
        )  # fmt: skip

    def start(self, courier: str, *, threads: bool, stopped: bool = False) -> int:
        """Start a caller; gives its process id. One that is ``stopped`` waits for ``SIGCONT``."""
        assert self._process.stdin is not None
        settings = {"courier": courier, "threads": threads, "stopped": stopped}
        print(json.dumps(settings), file=self._process.stdin, flush=True)
        return int(self._line())

    def said(self) -> str:
        """What the caller said, once it has ended."""
        return self._line().removeprefix("ended").strip()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=180)


if __name__ == "__main__":
    main(*sys.argv[1:])
