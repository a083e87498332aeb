"""A line to a PostgreSQL server that is cut where it hurts: just before a COMMIT, or just after."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

_WORD = b"COMMIT"


class CuttingProxy:
    """Passes octets between clients and the server, until a test cuts the connections.

    Attributes:
        directory: Where its socket is: the ``host`` of a client's address.
        cuts: How many lines were cut.
    """

    def __init__(self, directory: Path, behind: Path) -> None:
        self.directory = directory
        self.cuts = 0
        self._behind = str(behind / ".s.PGSQL.5432")
        self._answered: bool | None = None
        self._then: Callable[[], object] = bool
        self._late: float | None = None
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(directory / ".s.PGSQL.5432"))
        self._door.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self, *, answered: bool, then: Callable[[], object] = bool) -> None:
        """Cut the next COMMIT: before it reaches the server, or once it has answered.

        Args:
            answered: Whether the server has done it.
            then: Done while the line is cut and before the client knows.
        """
        self._answered, self._then = answered, then

    def cut_and_deliver_late(self, seconds: float) -> None:
        """Cut the next COMMIT off its client, and let it reach the server so much later."""
        self.cut(answered=False)
        self._late = seconds

    def close(self) -> None:
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server:
            try:
                server.connect(self._behind)
                self._between(client, server)
            except OSError:
                return

    def _between(self, client: socket.socket, server: socket.socket) -> None:
        committing = False
        while True:
            for ready in select.select([client, server], [], [])[0]:
                octets = ready.recv(1 << 16)
                if not octets:
                    return
                if ready is client and _WORD in octets and self._answered is not None:
                    if not self._answered:
                        self._end()
                        self._deliver(octets, client, server)
                        return
                    committing = True
                if ready is server and committing and _WORD in octets:
                    self._end()
                    return
                (server if ready is client else client).sendall(octets)

    def _deliver(self, octets: bytes, client: socket.socket, server: socket.socket) -> None:
        late, self._late = self._late, None
        if late is not None:
            client.close()
            time.sleep(late)  # what a slow line does
            server.sendall(octets)
            server.recv(1 << 16)

    def _end(self) -> None:
        self._answered = None
        self.cuts += 1
        self._then()
